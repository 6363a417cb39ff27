"""Gives soft faces photographic detail, the person guarded: texture inference after Saito et al. 2017.

python tools/refine_face.py --input=recovered --output=refined --faces=data/faces/webmorph
python tools/refine_face.py --input=face.png --output=refined --model=saved_models/ifrp

The pictures are aligned faces, such as answers of recover (others are scaled to 128 x 128); --faces is a
folder of sharp, aligned photographs. Writes <stem>_refined.png and report.json. The detail is invented: it is
that of the faces in the folder. Exit code: 0 all good, 1 some pictures failed, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ifrp_tf.cli.command import option

if TYPE_CHECKING:
    import numpy as np

    from ifrp_tf.recovery.each import Made
    from ifrp_tf.recovery.texture import Textures


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextureRequest:
    """What the two commands of texture inference are asked for.

    Attributes:
        input: A file, a folder or a pattern: aligned faces.
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
    output: str
    faces: str = "data/faces/webmorph"
    weights: str = "data/weights"
    iterations: int = option(80, low=1)
    database: int = option(160, low=2)
    time_limit: float = option(0.0, low=0)
    cache: str = "data/textures"
    overwrite: bool = False

    @property
    def seconds(self) -> float:
        """What the search may take, seconds."""
        return self.time_limit or float("inf")

    def answer(
        self,
        make: Callable[[Textures], Callable[[np.ndarray, Path], Made]],
        also: Callable[[Path], Path | None] = lambda _: None,
        soften: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> int:
        """Makes an answer for each picture.

        Args:
            make: from the database to what makes the answer, as of `each`.
            also: as of `each`.
            soften: as of `Textures`.

        Returns:
            The exit code.
        """
        from ifrp_tf.recovery.each import each
        from ifrp_tf.recovery.texture import Textures

        textures = Textures(
            self.faces,
            self.weights,
            iterations=self.iterations,
            count=self.database,
            cache=self.cache or None,
            soften=soften,
        )
        given = {**vars(self), "input": "", "output": "", "overwrite": False, "cache": ""}
        return each(
            self.input,
            self.output,
            make(textures),
            settings=f"{type(self).__module__} {given}",
            method="texture inference",
            also=also,
            overwrite=self.overwrite,
            say=print,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(TextureRequest):
    """What `refine_face` is asked for.

    Attributes:
        model: A released model that made the pictures soft: the faces are softened by it; empty: by a blur.
    """

    iterations: int = option(40, low=1)
    model: str = ""


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.input, request.faces, request.model)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.recovery.recoverer import Recoverer
        from ifrp_tf.recovery.texture import squared

    soften = Recoverer.load(request.model).recover_batch if request.model else None

    def refine(textures: Textures) -> Callable[[np.ndarray, Path], Made]:
        def make(pixels: np.ndarray, path: Path) -> Made:
            done = textures.refine(squared(pixels), seconds=request.seconds)
            return {"refined": done.picture}, done.report

        return make

    return request.answer(refine, soften=soften)
