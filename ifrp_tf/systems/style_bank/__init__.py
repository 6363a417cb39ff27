"""The style bank: one feed-forward network that paints in many styles."""
