"""IFRP: the style removal network and its objective (journal and conference paper)."""
