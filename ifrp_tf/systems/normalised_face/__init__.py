"""Normalised faces from identity features (Cole et al. 2017): frontal, neutral, evenly lit."""
