"""Measurements of speed. Development only, never shipped."""
