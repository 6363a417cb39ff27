"""Markovian GAN (Li and Wand 2016): a decoder of VGG features against a critic of VGG patches."""
