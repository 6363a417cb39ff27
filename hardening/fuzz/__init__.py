"""Damaged input, in great numbers."""
