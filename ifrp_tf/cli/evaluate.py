"""Measures a model, always beside the trivial answers: the portrait as it is, the mean face, chance.

python tools/evaluate.py --model=saved_models/ifrp --portraits=P --photos=Q --json=r.json --report=R
python tools/evaluate.py --model=saved_models/ifrp --protocol=procedural --limit=200 --json=r.json --report=R
python tools/evaluate.py --model=saved_models/ifrp --protocol=sketches --json=r.json
python tools/evaluate.py --model=saved_models/ifrp --protocol=foreign --gallery=data/faces/test --json=r.json

P/<style>/<name>.<ext> pairs with Q/<name>.<ext>. A killed evaluation goes on when it is started again: what
was measured is in <stem>.rows.jsonl beside the JSON. Exit code: 0 all portraits measured, 1 some not,
2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.core.assets import MODEL
from ifrp_tf.evaluation import request as evaluation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(evaluation.Request):
    """What `evaluate` is asked for: the request of the library, with the released model."""

    model: str = MODEL


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime
    from ifrp_tf.release import folder
    from ifrp_tf.styles import sets

    folder.locate(request.model)
    needed = {"procedural": request.faces, "sketches": request.sketches, "foreign": request.foreign}
    files.require(request.portraits, request.photos, request.gallery, needed.get(request.protocol, ""))
    if request.protocol == "procedural":
        sets.resolve(request.styles, allow_reserved=True)
    with runtime.start_up():  # late: wrong usage need not wait for TensorFlow
        from ifrp_tf.evaluation import run
        from ifrp_tf.recovery import crops
    if not request.insist:
        for photographs in filter(None, (request.photos, request.gallery)):
            crops.check(photographs, detector=crops.quick_detector())
    return run.run(request, say=print)
