"""Photographs of faces to checked, de-duplicated TFRecord shards that tools/train.py takes as --data.

python tools/prepare_faces.py --input=photos --output=shards --side=128 --test=data/faces/test
python tools/prepare_faces.py --input=photos --output=shards --portraits=4 --preset=modern

Files that are no pictures or too small, copies, and test photographs and persons are dropped and told in
manifest.json. Started again after an interruption it keeps finished shards. Exit code: 0 all good, 1 some
files could not be read, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import launch

_INPUT = flags.DEFINE_string("input", None, "Folder of photographs, searched recursively.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the shards.", required=True)
_SIDE = flags.DEFINE_integer("side", 128, "Of the square pictures, pixels.")
_SHARDS = flags.DEFINE_integer("shards", 0, "For training; 0: one for about a thousand photographs.")
_PORTRAITS = flags.DEFINE_integer("portraits", 0, "To render for each photograph, in successive styles.")
_TEST = flags.DEFINE_string("test", "data/faces/test", "Photographs to keep apart from. Empty: none.")
_PRESET = flags.DEFINE_string("preset", "modern", "Whose data settings the portraits are rendered with.")
_SET = flags.DEFINE_multi_string("set", [], "data.key=value, repeatable: changes one setting.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the portraits' random numbers.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core.presets import preset
    from ifrp_tf.data import prepare

    config = preset(_PRESET.value).override([f"data.side={_SIDE.value}", *_SET.value])
    return prepare.run(
        prepare.Request(
            source=_INPUT.value,
            output=_OUTPUT.value,
            data=config.data,
            shards=_SHARDS.value,
            portraits=_PORTRAITS.value,
            test=_TEST.value,
            seed=_SEED.value,
        )
    )


if __name__ == "__main__":
    launch(main, __doc__)
