"""Packs faces, weights and wheels in parts of a bounded size, for training on a machine without a network.

python tools/bundle.py --shards=runs/shards --output=.bundle --weights=data/weights/mobilefacenet.npz \\
    --start=runs/modern/model/srn.weights.h5 --wheels=keras,namex,optree
There: sh .bundle/unpack.sh, then KERAS_BACKEND=jax python tools/train.py --data=data/faces/train ...

Exit code: 0 all good, 1 something could not be packed, 2 wrong usage.
"""

from __future__ import annotations

from absl import flags, logging
from launch import launch

_SHARDS = flags.DEFINE_string("shards", None, "Folder from tools/prepare_faces.py.", required=True)
_OUTPUT = flags.DEFINE_string("output", ".bundle", "Folder for the parts.")
_SIDE = flags.DEFINE_integer("side", 128, "Of the shards' faces, pixels.")
_QUALITY = flags.DEFINE_integer("quality", 92, "Of the JPEG files.", 1, 95)
_PART_MIB = flags.DEFINE_integer("part_mib", 36, "Most MiB of a part.", lower_bound=1)
_WEIGHTS = flags.DEFINE_list("weights", [], "Files for data/weights, comma-separated.")
_START = flags.DEFINE_list("start", [], "Files for runs/start, for --initial; comma-separated.")
_WHEELS = flags.DEFINE_list("wheels", [], "Packages to download as wheels; comma-separated.")
_PYTHON = flags.DEFINE_string("python", "3.12", "Python of the other machine.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.data import bundle

    with runtime.start_up():
        from ifrp_tf.data import shards  # noqa: F401  TensorFlow, without its greetings

    logging.set_verbosity(logging.INFO)
    for path in bundle.make(
        bundle.Request(
            shards=_SHARDS.value,
            output=_OUTPUT.value,
            side=_SIDE.value,
            quality=_QUALITY.value,
            part_mib=_PART_MIB.value,
            weights=_WEIGHTS.value,
            start=_START.value,
            wheels=_WHEELS.value,
            python=_PYTHON.value,
        )
    ):
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
