"""Measuring a model: protocols, measurements, statistics, reports."""
