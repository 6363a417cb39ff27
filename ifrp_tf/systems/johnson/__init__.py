"""Perceptual losses (Johnson et al. 2016): a feed-forward network with photographs as the style."""
