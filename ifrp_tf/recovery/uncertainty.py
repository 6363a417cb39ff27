"""How far the answer to a portrait depends on what should not matter: its place, its light, its scanner.

A network that saw the face gives one answer to every copy of a portrait that is shifted a little, turned,
mirrored, lighter or blurred; where it had to invent, the answers differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageFilter

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures.decoding import check_pixels, describe_array
from ifrp_tf.pictures.geometry import Place, cut

FULL_SCALE = 40.0
"""Grey levels of spread at which the picture's colours end."""

_NOISE, _NOISE_SEED = 10.0, 0  # grey levels, standard deviation
_GREY = np.array([0.299, 0.587, 0.114])
_C1, _C2 = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2)
_WINDOW = np.exp(-(np.arange(-5, 6, dtype=np.float32) ** 2) / np.float32(2 * 1.5**2))
_WINDOW /= _WINDOW.sum()
_FACE_SHARE = 0.35  # of the picture, that is the recovered face in grey
# Nine of the 256 colours of matplotlib's magma; straight lines between them are at most 10 levels off.
_MAGMA = np.array(
    [(0, 0, 4), (29, 17, 71), (81, 18, 124), (131, 38, 129), (183, 55, 121), (231, 82, 99), (252, 137, 97),
     (254, 196, 136), (252, 253, 191)], np.float64
)  # fmt: skip

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """How far the answers to slightly changed portraits lie apart.

    Attributes:
        recovered: uint8 [S, S, 3], the answer to the portrait as it is.
        spread: float32 [S, S], standard deviation of each pixel over the answers, mean over channels; grey
            levels, 0-255.
        value: the number of the face, `value_of`: 0 where all answers are alike; 0.03 to 0.07 for half of the
            test faces, up to 0.29.
        answers: uint8 [16, S, S, 3], all of them, `recovered` first.

    The number is a weak hint. `tools/check_uncertainty.py --limit=100` measured release 2 on 300 faces (100
    test photographs, three styles never trained on): its rank correlation (Spearman) with the real error is
    0.28 [0.15, 0.40] for 1 - SSIM (0.32 [0.18, 0.44] within a style), 0.20 [0.08, 0.31] for the mean absolute
    error and 0.13 [0.03, 0.23] for the descriptor distance of the person. The quarter with the highest
    numbers has a mean 1 - SSIM of 0.44, the one with the lowest 0.37. The definition was chosen on held-out
    training photographs in four other styles, where it reached 0.48 for 1 - SSIM. Within a picture spread and
    absolute error correlate by 0.25.

    It does not see that something is missing: flat grey (0.004), noise (0.026) and a portrait of which the
    lower half is erased (0.043) get numbers like those of good faces.
    """

    recovered: np.ndarray
    spread: np.ndarray
    value: float
    answers: np.ndarray

    @property
    def picture(self) -> np.ndarray:
        """The spread as colours over the recovered face in grey: uint8 [S, S, 3].

        The colours run from black over purple and orange to light yellow, ever lighter (magma), from a spread
        of 0 to one of `FULL_SCALE` = 40 grey levels and more. The scale is the same for every face.
        """
        steps = np.linspace(0.0, 1.0, len(_MAGMA))
        part = self.spread / FULL_SCALE
        colours = np.stack([np.interp(part, steps, channel) for channel in _MAGMA.T], axis=-1)
        face = (self.recovered @ _GREY)[:, :, None]
        return _levels(_FACE_SHARE * face + (1 - _FACE_SHARE) * colours)

    def several(self, count: int) -> np.ndarray:
        """The answer, and those others that differ most from it and from one another.

        Seen side by side they show how far the face is a guess.

        Args:
            count: how many, 1 to 16.

        Returns:
            uint8 [count, S, S, 3]; the first is `recovered`.
        """
        levels, chosen = self.answers.astype(np.float32), [0]
        apart = np.full(len(levels), np.inf)  # of each, from the nearest that is chosen
        while len(chosen) < min(count, len(levels)):
            apart = np.minimum(apart, np.abs(levels - levels[chosen[-1]]).mean(axis=(1, 2, 3)))
            apart[chosen] = -1.0  # equal answers are chosen once each, too
            chosen.append(int(apart.argmax()))
        return self.answers[chosen]


def estimate(recover_batch: Callable[[np.ndarray], np.ndarray], portrait: np.ndarray) -> Uncertainty:
    """Asks for the answers to a portrait and to 15 slightly changed ones, in one batch.

    Nothing is drawn at random: equal portraits get equal numbers.

    Args:
        recover_batch: uint8 [16, S, S, 3] portraits to recovered faces of the same type and shape, such as
            `Recoverer.recover_batch`.
        portrait: uint8 [S, S, 3], 0-255, laid out for the network.

    Raises:
        ImageError: with reason `bad_array`: the portrait is not square.
        ModelError: the network's answer is not finite.

    Example:
        >>> estimate(recoverer.recover_batch, images.letterbox(pixels)).value  # doctest: +SKIP
        0.0398
    """
    answers = align(recover_batch(changed(portrait)))
    return Uncertainty(answers[0].copy(), spread_of(answers), value_of(answers), answers)


def changed(portrait: np.ndarray) -> np.ndarray:
    """A portrait as it is and under each of `CHANGES`.

    Args:
        portrait: uint8 [S, S, 3], 0-255.

    Returns:
        uint8 [16, S, S, 3]; the first is the portrait.

    Raises:
        ImageError: with reason `bad_array`: the portrait is not square.
    """
    check_pixels(portrait)
    if portrait.shape[0] != portrait.shape[1]:
        raise ImageError("bad_array", f"expected a square portrait, received {describe_array(portrait)}.")
    return np.stack([portrait, *(change(portrait) for _, change in CHANGES)])


def align(answers: np.ndarray) -> np.ndarray:
    """The answers to what `changed` gives, as answers to the portrait: those to mirrored ones mirrored back.

    Args:
        answers: uint8 [16, S, S, 3].
    """
    mirrored = np.array([False, *(family == "mirror" for family, _ in CHANGES)])
    return np.where(mirrored[:, None, None, None], answers[:, :, ::-1], answers)


def spread_of(answers: np.ndarray) -> np.ndarray:
    """The standard deviation of each pixel over answers [N, S, S, 3], mean over channels: float32 [S, S]."""
    return answers.astype(np.float32).std(axis=0).mean(axis=-1)


def value_of(answers: np.ndarray) -> float:
    """The number of a face: the mean of 1 - SSIM between the first answer and each of the others.

    Args:
        answers: uint8 [N, S, S, 3], N at least 2, S at least 11.
    """
    # The windowed SSIM of `metrics`, without Keras: clients of a served model need this, too.
    grey = (answers @ _GREY).astype(np.float32)
    first, others = grey[:1], grey[1:]
    means, first_mean = _windowed(others), _windowed(first)
    variances = _windowed(others**2) - means**2 + _windowed(first**2) - first_mean**2
    covariances = _windowed(others * first) - means * first_mean
    same = (2 * means * first_mean + _C1) * (2 * covariances + _C2)
    return float(1.0 - (same / ((means**2 + first_mean**2 + _C1) * (variances + _C2))).mean())


def _windowed(pictures: np.ndarray) -> np.ndarray:
    """Gaussian-weighted means over every window that is within the pictures [N, S, S]."""
    rows = pictures.shape[1] - len(_WINDOW) + 1
    down = sum(weight * pictures[:, k : k + rows] for k, weight in enumerate(_WINDOW))
    return np.asarray(sum(weight * down[:, :, k : k + rows] for k, weight in enumerate(_WINDOW)))


def _move(
    pixels: np.ndarray, *, right: float = 0.0, down: float = 0.0, angle: float = 0.0, size: float = 1.0
) -> np.ndarray:
    """The content moved by parts of the side, turned clockwise by degrees, enlarged; edges are repeated."""
    side = len(pixels)
    return cut(pixels, Place((0.5 - right) * side, (0.5 - down) * side, side / size, -angle), side)


def _mirror(pixels: np.ndarray, **move: float) -> np.ndarray:
    return np.ascontiguousarray((_move(pixels, **move) if move else pixels)[:, ::-1])


def _tone(pixels: np.ndarray, *, exponent: float = 1.0, contrast: float = 1.0) -> np.ndarray:
    mean = pixels.mean(axis=(0, 1))
    flatter = np.clip(mean + contrast * (pixels - mean), 0.0, 255.0)
    return _levels(255.0 * (flatter / 255.0) ** exponent)


def _tint(pixels: np.ndarray, *, gains: tuple[float, float, float]) -> np.ndarray:
    return _levels(pixels * np.array(gains))


def _blur(pixels: np.ndarray, *, radius: float) -> np.ndarray:
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius * len(pixels))))


def _noise(pixels: np.ndarray) -> np.ndarray:
    drawn = np.random.default_rng(_NOISE_SEED).normal(0.0, _NOISE, pixels.shape)
    return _levels(pixels + drawn)


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


CHANGES: tuple[tuple[str, Change], ...] = (
    ("shift", partial(_move, right=0.04)),
    ("shift", partial(_move, right=-0.04)),
    ("shift", partial(_move, down=0.04)),
    ("shift", partial(_move, down=-0.04)),
    ("pose", partial(_move, angle=8.0)),
    ("pose", partial(_move, angle=-8.0)),
    ("pose", partial(_move, size=1.08)),
    ("pose", partial(_move, size=0.93)),
    ("mirror", _mirror),
    ("style", partial(_tone, exponent=0.75)),
    ("style", partial(_tone, exponent=1.35)),
    ("style", partial(_tone, contrast=0.7)),
    ("style", partial(_tint, gains=(1.15, 1.0, 0.8))),
    ("style", partial(_blur, radius=0.01)),
    ("style", _noise),
)
"""The changes by family: `shift`, `pose` (turned, larger, smaller), `mirror`, `style`."""
