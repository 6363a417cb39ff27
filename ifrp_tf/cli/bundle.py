"""Packs faces, weights and wheels in parts of a bounded size, for training on a machine without a network.

python tools/bundle.py --shards=runs/shards --output=.bundle --weights=data/weights/mobilefacenet.npz \
    --start=runs/modern/model/srn.weights.h5 --wheels=keras,namex,optree
There: sh .bundle/unpack.sh, then KERAS_BACKEND=jax python tools/train.py --data=data/faces/train ...

Exit code: 0 all good, 1 something could not be packed, 2 wrong usage.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `bundle` is asked for.

    Attributes:
        shards: Folder from tools/prepare_faces.py.
        output: Folder for the parts.
        side: Of the shards' faces, pixels.
        quality: Of the JPEG files.
        part_mib: Most MiB of a part.
        weights: Files for data/weights, comma-separated.
        start: Files for runs/start, for --initial; comma-separated.
        wheels: Packages to download as wheels; comma-separated.
        python: Python of the other machine.
    """

    shards: str
    output: str = ".bundle"
    side: int = 128
    quality: int = option(92, low=1, high=95)
    part_mib: int = option(36, low=1)
    weights: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()
    python: str = "3.12"


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.data import bundle

    with runtime.start_up():
        from ifrp_tf.data import shards  # noqa: F401  TensorFlow, without its greetings

    with runtime.logged():
        made = bundle.make(bundle.Request(**dataclasses.asdict(request)))
    for path in made:
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")
    return 0
