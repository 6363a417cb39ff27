"""Trains and measures the systems that the paper compares with, beside ours: a table and a sheet.

python tools/compare.py --table=main --run_dir=runs/compare
python tools/compare.py --table=main --run_dir=runs/quick --pictures=200 --limit=8
python tools/compare.py --table=main --run_dir=runs/compare --systems=pix2pix,release

Writes table.md, table.json and sheet.png (rows: systems; columns: styles) into the run folder. What is
trained or measured is not done again: the same command goes on. Exit code: 0 every row is there, 1 some
failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.core.assets import MODEL
from ifrp_tf.evaluation.request import ComparisonRequest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(ComparisonRequest):
    """What `compare` is asked for: the request of the library, with the released model."""

    model: str = MODEL


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.data, request.faces, request.sketches)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.comparison import run as comparison
        from ifrp_tf.recovery import crops
    if not request.insist:
        detector = crops.quick_detector()
        for photographs in (request.data, request.faces):
            crops.check(photographs, detector=detector)
    with runtime.logged():
        return comparison.run(request, say=print)
