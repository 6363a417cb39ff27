"""Photographs on disk to endless batches of (portrait, photo, transform)."""
