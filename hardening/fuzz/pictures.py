"""The fuzzer's pictures: damaged ones through the way in."""

from __future__ import annotations

import random

import numpy as np

from hardening.fuzz.mutations import mutate
from hardening.fuzz.samples import large_pictures, whole_pictures
from hardening.fuzz.worker import SECONDS
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.pictures.decoding import MAX_PIXELS, check_size

REASONS = frozenset({
    "empty", "not_an_image", "unsupported_format", "truncated", "corrupt", "too_large", "too_small",
    "too_elongated", "not_finite", "transparent",
})  # fmt: skip
"""What `images.read` may say of bytes; the rest of its reasons is about paths."""

_SECONDS_PER_PIXEL = 1e-7  # of a sound picture: the slowest kind, grey of 16 bits, was seen to take 7e-8


class Pictures:
    """Damaged pictures through the way in: `images.read` and `images.letterbox`.

    Example:
        >>> target = Pictures()
        >>> target.run(target.make(random.Random(1)))  # doctest: +SKIP
        'corrupt'
    """

    seconds = SECONDS

    def __init__(self) -> None:
        self._seeds, self._large = list(whole_pictures().values()), list(large_pictures().values())

    def make(self, chance: random.Random) -> dict[str, bytes]:
        """A damaged picture; one in a thousand is left whole, one in two hundred is large or says so."""
        data = chance.choice(self._large if chance.random() < 0.005 else self._seeds)
        return {"picture": mutate(data, self._seeds, chance) if chance.random() < 0.999 else data}

    def run(self, case: dict[str, bytes]) -> str:
        """Reads it; returns `read <format>` or the reason of the refusal.

        Raises:
            AssertionError: the picture or the reason is none that is promised.
        """
        self.seconds = SECONDS
        try:
            picture = images.read(case["picture"])
        except ImageError as error:
            if error.reason not in REASONS:
                raise AssertionError(f"a reason that is not promised: {error.reason}") from error
            return error.reason
        pixels = picture.pixels
        self.seconds = SECONDS + _SECONDS_PER_PIXEL * pixels.shape[0] * pixels.shape[1]
        assert pixels.dtype == np.uint8, pixels.dtype
        assert pixels.ndim == 3, pixels.shape
        assert pixels.shape[2] == 3, pixels.shape
        stored = picture.size_in_file
        if stored[0] * stored[1] <= MAX_PIXELS:  # or else a smaller version of it
            assert sorted(stored) == sorted(pixels.shape[:2]), (stored, pixels.shape)
        check_size(pixels.shape[1], pixels.shape[0])
        assert images.letterbox(pixels, 64).shape == (64, 64, 3)
        return f"read {picture.format}"
