"""The one face of a picture that a tool is about: pictures with none, or with several, are refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ifrp_tf.core.errors import ImageError
from ifrp_tf.recovery import recoverer
from ifrp_tf.recovery.recoverer import Late, Options


@dataclasses.dataclass(frozen=True, eq=False)
class OneFace:
    """A face in a picture.

    Attributes:
        crop: uint8 [S, S, 3], the tight frame.
        entry: what a report says of it: its box, how it was found, and `notes`.
    """

    crop: np.ndarray
    entry: dict[str, Any]


def one_face(pixels: np.ndarray, detector: Late, *, face: int = 0, side: int = 128) -> OneFace:
    """Finds it.

    Args:
        pixels: uint8 [H, W, 3], RGB 0-255, upright.
        detector: for pictures that are not a face as a whole.
        face: which, counted from 1 from the left; 0: there must be only one.
        side: of the crop, pixels.

    Raises:
        ImageError: no face, several with `face=0`, fewer than `face`, or all of them too small.
    """
    scene = recoverer.look(pixels, Options(), detector, side)
    count = len(scene.portraits)
    if not count or recoverer.NO_FACE in scene.notes:
        small = any(entry.get("reason") == "too_small" for entry in scene.entries)
        raise ImageError(
            "too_small" if small else "no_face",
            f"Expected a face{' that is large enough' if small else ''}. Received: none in this picture.",
        )
    if (count > 1 and not face) or face > count:
        raise ImageError(
            "several_faces" if count > 1 else "no_face",
            f"Expected {'one face' if not face else f'at least {face} faces'}. Received: {count}.",
            hint=f"Choose one with `face`, 1 to {count} from the left, or cut it out.",
        )
    index = max(face, 1) - 1
    entry = {**scene.entries[scene.chosen[index]], "notes": list(scene.notes)}
    return OneFace(scene.portraits[index], entry)
