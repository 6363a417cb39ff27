"""Measures where a model's error lies: what the true transform, or the true mean colour, would gain it.

python tools/error_budget.py                                    # the released model, 300 test photographs
python tools/error_budget.py --model=runs/modern --styles=train --limit=0 --json=budget.json

Prints a table in Markdown, the mean face beside. Exit code: 0 done, 1 the data cannot be used, 2 wrong usage,
3 model unusable, 130 interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import MODEL, launch

_MODEL = flags.DEFINE_string("model", MODEL, "A version, a folder of versions, or a run's folder.")
_FACES = flags.DEFINE_string("faces", "data/faces/test", "Photographs that were not trained on.")
_STYLES = flags.DEFINE_string("styles", "reserved", "train, reserved, all, bank, or names.")
_LIMIT = flags.DEFINE_integer("limit", 300, "Photographs; 0 = all.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Of the portraits' random numbers.", lower_bound=0)
_JSON = flags.DEFINE_string("json", "", "Also write the numbers to this file.")
_TRUST = flags.DEFINE_boolean("trust", False, "Load a model whose checksums do not match: it is a program.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime
    from ifrp_tf.release import folder
    from ifrp_tf.styles import sets

    folder.locate(_MODEL.value)
    files.require(_FACES.value)
    sets.resolve(_STYLES.value, allow_reserved=True)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import error_budget
    found = error_budget.run(
        _MODEL.value,
        _FACES.value,
        styles=_STYLES.value,
        limit=_LIMIT.value,
        seed=_SEED.value,
        trust=_TRUST.value,
        json_file=_JSON.value,
    )
    print(found)
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
