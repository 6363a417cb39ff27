"""One folder a system: its networks and its objective."""
