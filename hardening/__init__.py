"""Damage done to the whole on purpose: fuzzing, kills, load, bounds. Development only, never shipped."""
