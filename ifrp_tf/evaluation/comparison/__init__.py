"""The compared systems under one harness: the same training pictures, portraits and measures."""
