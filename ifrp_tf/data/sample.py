"""A portrait to try things on, made when asked for: no picture of a person is part of the project.

The face is that of scikit-image's `astronaut`, a photograph of Eileen Collins by NASA in the public domain,
which comes with that package.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ifrp_tf.core import runtime
from ifrp_tf.core.config import nearest
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures import images
from ifrp_tf.styles import formulas

# Measured once: eyes at (203.5, 100.8) and (246.3, 103.0) of the 512 x 512 photograph. A square of 123
# pixels puts them at x 0.326 and 0.674 and y 0.34 of its side, the frame of the training photographs.
LEFT, TOP, SQUARE = 163, 60, 123
SIDE = 128
TILT, SCALE = 15.0, 0.95
STYLE = "impasto"  # kept out of training


def whole() -> np.ndarray:
    """The whole photograph, in which a face has to be found, uint8 [512, 512, 3].

    Example:
        >>> whole().shape
        (512, 512, 3)
    """
    from skimage import data

    return np.asarray(data.astronaut())


def photo() -> np.ndarray:
    """The upright face in the frame of the training photographs, uint8 [128, 128, 3].

    Example:
        >>> photo().shape
        (128, 128, 3)
    """
    return images.resize(whole()[TOP : TOP + SQUARE, LEFT : LEFT + SQUARE], SIDE)


def portrait(style: str = STYLE, *, seed: int = 1, tilt: float = TILT) -> np.ndarray:
    """The same face tilted and stylised.

    Args:
        style: a name of `styles.formulas.NAMES`.
        seed: of the style's random numbers; equal seeds give equal portraits.
        tilt: degrees.

    Returns:
        uint8 [128, 128, 3].

    Raises:
        ConfigError: the style is unknown.
    """
    if style not in formulas.NAMES:
        raise ConfigError(f"Unknown style {style!r}.", hint=nearest(style, list(formulas.NAMES)))
    with runtime.start_up():
        import keras

        from ifrp_tf.data import misalign
        from ifrp_tf.styles import procedural

    upright = images.to_model_range(photo())[None]
    tilted = misalign.misalign(upright, np.array([[math.radians(tilt), SCALE, 0.0, 0.0]], np.float32))
    random = np.random.default_rng(seed)
    params = random.random((1, procedural.PARAMS), np.float32)
    field = random.random((1, SIDE, SIDE, 3), np.float32)
    drawn = procedural.STYLES[style](tilted, params, field)
    return images.to_uint8(keras.ops.convert_to_numpy(drawn))[0]


def run(output: str | Path, *, style: str = STYLE, seed: int = 1) -> Path:
    """Writes the sample portrait as a PNG.

    Args:
        output: the file to write.
        style: as in `portrait`.
        seed: as in `portrait`.

    Returns:
        `output`.

    Raises:
        ConfigError: the style is unknown, or the file's name does not end in `.png`.
        DataError: the file could not be written.

    Example:
        >>> run("recovered/sample_portrait.png")  # doctest: +SKIP
    """
    output = Path(output)
    if output.suffix.lower() != ".png":
        raise ConfigError(f"Expected `output` to end in .png. Received: {str(output)!r}.")
    images.write_png(output, portrait(style, seed=seed))
    return output
