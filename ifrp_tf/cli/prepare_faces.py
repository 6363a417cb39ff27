"""Photographs of faces to checked, de-duplicated TFRecord shards that tools/train.py takes as --data.

python tools/prepare_faces.py --input=photos --output=shards --side=128 --test=data/faces/test
python tools/prepare_faces.py --input=photos --output=shards --portraits=4 --preset=modern
python tools/prepare_faces.py --input=holidays --output=photos --align       # whole photographs to crops

Files that are no pictures or too small, copies, and test photographs and persons are dropped and listed in
manifest.json. With --align the faces in whole photographs are found and written as aligned pictures in place
of shards: a folder for --data, --photos, or --input here. Started again after an interruption it keeps
finished shards. Exit code: 0 all good, 1 some files could not be read, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `prepare_faces` is asked for.

    Attributes:
        input: Folder of photographs, searched recursively.
        output: Folder for the shards.
        align: Cut the faces out of whole photographs, as pictures; no shards.
        detector: That finds faces for --align: blazeface, or the slower mtcnn.
        side: Of the square pictures, pixels.
        shards: For training; 0: one for about a thousand photographs.
        portraits: To render for each photograph, in successive styles.
        test: Photographs to keep apart from. Empty: none.
        preset: Whose data settings the portraits are rendered with.
        set: data.key=value, repeatable: changes one setting.
        seed: Of the portraits' random numbers.
    """

    input: str
    output: str
    align: bool = False
    detector: Literal["blazeface", "mtcnn"] = "blazeface"
    side: int = 128
    shards: int = 0
    portraits: int = 0
    test: str = "data/faces/test"
    preset: str = "modern"
    set: tuple[str, ...] = option((), repeated=True)
    seed: int = 0


def run(request: Request) -> int:
    """Returns the exit code."""
    if request.align:
        return _align(request)
    from ifrp_tf.core.presets import preset
    from ifrp_tf.data import prepare

    config = preset(request.preset).override([f"data.side={request.side}", *request.set])
    return prepare.run(
        prepare.Request(
            source=request.input,
            output=request.output,
            data=config.data,
            shards=request.shards,
            portraits=request.portraits,
            test=request.test,
            seed=request.seed,
        ),
        say=print,
    )


def _align(request: Request) -> int:
    from ifrp_tf.core import files, runtime
    from ifrp_tf.core.errors import ConfigError

    if request.portraits or request.shards:
        raise ConfigError("Expected --align without --portraits and --shards. Received: both.")
    files.require(request.input)
    with runtime.start_up():
        from ifrp_tf.recovery import crops, detection
    detector = detection.DETECTORS[request.detector]()
    return crops.align(request.input, request.output, side=request.side, detector=detector, say=print)
