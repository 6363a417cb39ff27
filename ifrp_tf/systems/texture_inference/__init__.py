"""Facial texture inference (Saito et al. 2017): Gram matrices of a soft or damaged face, from sharp ones."""
