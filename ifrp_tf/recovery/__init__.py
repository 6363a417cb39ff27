"""Recovering faces from pictures and folders of pictures."""
