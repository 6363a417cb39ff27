"""Foundations that every other package uses: errors, configuration, files, the process."""
