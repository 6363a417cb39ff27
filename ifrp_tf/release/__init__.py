"""A run becomes a version folder, and a version folder a model again."""
