"""Recover the photorealistic, aligned face behind an artistic portrait (IFRP)."""

__version__ = "0.1.0"
