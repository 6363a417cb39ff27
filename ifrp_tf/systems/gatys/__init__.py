"""Neural style transfer (Gatys et al. 2016): every answer is an optimisation, photographs are the style."""
