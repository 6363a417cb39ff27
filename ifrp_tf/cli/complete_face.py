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
from pathlib import Path

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `complete_face` is asked for.

    Attributes:
        input: A file, a folder or a pattern: aligned faces.
        mask: A picture that is white where the face is hidden, or a folder of <stem>.png.
        output: Folder for the answers.
        faces: Folder of sharp, aligned photographs of faces.
        weights: Folder of VGG-19's and dlib's weights.
        iterations: Of the search.
        database: Faces to use, at most.
        time_limit: Seconds for a picture, after which the search ends; 0: none.
        cache: Folder that keeps what was computed of the faces; empty: none.
        overwrite: Make everything again.
    """

    input: str
    mask: str
    output: str
    faces: str = "data/faces/webmorph"
    weights: str = "data/weights"
    iterations: int = option(80, low=1)
    database: int = option(160, low=2)
    time_limit: float = option(0.0, low=0)
    cache: str = "data/textures"
    overwrite: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.input, request.faces, request.mask)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        import numpy as np

        from ifrp_tf.recovery.each import Made, each
        from ifrp_tf.recovery.texture import Textures, hidden_by, squared

    textures = Textures(
        request.faces,
        request.weights,
        iterations=request.iterations,
        count=request.database,
        cache=request.cache or None,
    )

    def make(pixels: np.ndarray, path: Path) -> Made:
        picture = squared(pixels)
        hidden = hidden_by(request.mask, path, pixels.shape[:2])
        done = textures.complete(picture, hidden, seconds=request.time_limit or float("inf"))
        damaged = np.where(hidden[..., None], np.uint8(255), picture)
        order = ("mirror", "principal_components", "nearest_face", "mean_face")
        strip = [damaged, done.picture, *(done.others[name] for name in order if name in done.others)]
        return {"completed": done.picture, "alternatives": np.concatenate(strip, axis=1)}, done.report

    given = {**vars(request), "input": "", "output": "", "overwrite": False, "cache": ""}
    return each(
        request.input,
        request.output,
        make,
        settings=f"complete_face {given}",
        method="texture inference",
        overwrite=request.overwrite,
        say=print,
    )
