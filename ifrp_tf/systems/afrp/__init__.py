"""AFRP: recovery that is told attributes of the sitter (Shiri et al., WACV 2019)."""
