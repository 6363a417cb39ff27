"""Frozen feature networks from weight files."""
