"""Photographs of faces to checked, de-duplicated TFRecord shards that tools/train.py takes as --data.

python tools/prepare_faces.py --input=photos --output=shards --side=128 --test=data/faces/test
python tools/prepare_faces.py --input=photos --output=shards --portraits=4 --preset=modern

Files that are no pictures or too small, copies, and test photographs and persons are dropped and listed in
manifest.json. Started again after an interruption it keeps finished shards. Exit code: 0 all good, 1 some
files could not be read, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `prepare_faces` is asked for.

    Attributes:
        input: Folder of photographs, searched recursively.
        output: Folder for the shards.
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
    side: int = 128
    shards: int = 0
    portraits: int = 0
    test: str = "data/faces/test"
    preset: str = "modern"
    set: tuple[str, ...] = option((), repeated=True)
    seed: int = 0


def run(request: Request) -> int:
    """Returns the exit code."""
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
        )
    )
