"""Pictures: bytes to upright uint8 RGB and back, letterboxing, geometry of faces, blending."""
