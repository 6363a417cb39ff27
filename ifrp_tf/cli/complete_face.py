"""Fills what damage or an object hides of an aligned face: texture inference after Saito et al. 2017.

python tools/complete_face.py --input=face.png --mask=mask.png --output=completed
python tools/complete_face.py --input=faces --mask=masks --output=completed      # masks/<stem>.png for each

White pixels of a mask are hidden ones; visible pixels stay as they are. Writes <stem>_completed.png, beside
it <stem>_alternatives.png (picture | completed | mirror | principal components | nearest face | mean face)
and report.json. What is filled in is invented. Exit code: 0 all good, 1 some pictures failed, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ifrp_tf.cli.refine_face import TextureRequest

if TYPE_CHECKING:
    from ifrp_tf.recovery.each import Made
    from ifrp_tf.recovery.texture import Textures


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(TextureRequest):
    """What `complete_face` is asked for.

    Attributes:
        mask: A picture that is white where the face is hidden, or a folder of <stem>.png.
    """

    mask: str


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.input, request.faces, request.mask)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        import numpy as np

        from ifrp_tf.recovery.texture import hidden_by, mask_of, squared

    def mask(path: Path) -> Path:
        return mask_of(request.mask, path, request.input)

    def complete(textures: Textures) -> Callable[[np.ndarray, Path], Made]:
        def make(pixels: np.ndarray, path: Path) -> Made:
            picture = squared(pixels)
            hidden = hidden_by(mask(path), pixels.shape[:2])
            done = textures.complete(picture, hidden, seconds=request.seconds)
            damaged = np.where(hidden[..., None], np.uint8(255), picture)
            order = ("mirror", "principal_components", "nearest_face", "mean_face")
            strip = [damaged, done.picture, *(done.others[name] for name in order if name in done.others)]
            return {"completed": done.picture, "alternatives": np.concatenate(strip, axis=1)}, done.report

        return make

    return request.answer(complete, also=mask)
