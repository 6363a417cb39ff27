"""What the styles are tried on: drawn faces and the two kinds of noise."""

import numpy as np

from ifrp_tf.data import toy_faces
from ifrp_tf.styles import procedural

SIDE = 64
COUNT = 3


def material(count=COUNT, side=SIDE, seed=3):
    """Drawn faces in [-1, 1] and the two kinds of noise."""
    random = np.random.default_rng(seed)
    photos = toy_faces.draw(count, side=side, seed=seed).pixels / np.float32(127.5) - 1
    params = random.random((count, procedural.PARAMS), dtype="float32")
    return photos.astype("float32"), params, random.random((count, side, side, 3), dtype="float32")
