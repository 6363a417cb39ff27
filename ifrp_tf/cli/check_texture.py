"""Measures texture inference: refined answers of a model, and holes filled, beside trivial answers.

python tools/check_texture.py --model=saved_models/ifrp --run_dir=runs/texture
python tools/check_texture.py --model=saved_models/ifrp --run_dir=runs/texture --portraits=2 --completed=0

Portraits are those of data/foreign/val, photographs those of data/faces/test. Some 20 CPU seconds a picture;
the same command goes on where it was broken off. Writes table.md, table.json, refined.png (portrait |
recovered | unsharp mask | refined | photograph) and completed.png (damaged | completed | biharmonic |
principal components | nearest face | mean face | photograph). Exit code: 0 measured, 1 data missing, 2 wrong
usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ifrp_tf.cli.command import option
from ifrp_tf.core.assets import MODEL


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `check_texture` is asked for.

    Attributes:
        run_dir: Gets rows, tables and sheets.
        model: Makes the answers that are refined.
        database: Folder of sharp, aligned photographs of faces.
        faces: Test photographs.
        foreign: Folder of portraits by foreign networks.
        weights: Folder of the networks' weights.
        portraits: Of each foreign style, recovered and refined; 0: none.
        completed: Photographs that are damaged and completed; 0: none.
        explained: Photographs whose textures are explained by the database; 0: none.
        iterations: Of a refinement.
        cache: Folder that keeps what was computed of the database; empty: none.
    """

    run_dir: str
    model: str = MODEL
    database: str = "data/faces/webmorph"
    faces: str = "data/faces/test"
    foreign: str = "data/foreign"
    weights: str = "data/weights"
    portraits: int = option(10, low=0)
    completed: int = option(24, low=0)
    explained: int = option(100, low=0)
    iterations: int = option(40, low=1)
    cache: str = "data/textures"


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.database, request.faces, request.weights)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation import retrieval
        from ifrp_tf.evaluation.diagnostics import texture
        from ifrp_tf.evaluation.foreign import Foreign
        from ifrp_tf.evaluation.pairs import Gallery
        from ifrp_tf.nn.perceptual import Perceptual
        from ifrp_tf.recovery.recoverer import Recoverer
        from ifrp_tf.recovery.texture import SIDE, Textures

    folder, found = Path(request.run_dir), {}
    squeeze = Perceptual("squeeze", request.weights, side=SIDE)
    with files.locked(folder / ".lock"):
        if request.explained or request.completed:
            textures = Textures(request.database, request.weights, cache=request.cache or None)
        if request.explained:
            found["explained"] = texture.explained(textures, request.faces, count=request.explained)
        if request.portraits:
            recoverer = Recoverer.load(request.model)
            asked = texture.Refining(
                recoverer.recover_batch,
                recoverer.name,
                recoverer.fingerprint,
                Foreign(request.foreign, request.faces, side=SIDE, limit=request.portraits),
                Gallery(request.faces, side=SIDE),
                retrieval.load("dlib", request.weights),
                [squeeze],
            )
            softened = Textures(
                request.database,
                request.weights,
                iterations=request.iterations,
                cache=request.cache or None,
                soften=recoverer.recover_batch,
            )
            found["refined"] = texture.refined(asked, softened, folder, say=print)
            texture.write(found, folder)
        if request.completed:
            found["completed"] = texture.completed(
                textures, request.faces, folder, count=request.completed, perceptual=squeeze, say=print
            )
    print(texture.write(found, folder))
    return 0
