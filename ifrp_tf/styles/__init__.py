"""Ways of turning a photograph into an artistic portrait."""
