"""Measures how well the uncertainty of a recovered face foretells its error, beside trivial numbers.

python tools/check_uncertainty.py --json=uncertainty.json    # 300 test photographs
python tools/check_uncertainty.py --protocol=sketches --limit=0
python tools/check_uncertainty.py --faces=data/faces/train --held_out=500 --styles=oil,bank_wave

Prints tables in Markdown. Exit code: 0 done, 1 the data cannot be used, 2 wrong usage, 3 model unusable, 130
interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import launch

_MODEL = flags.DEFINE_string(
    "model", "saved_models/ifrp", "A version, a folder of versions, or a run's folder."
)
_PROTOCOL = flags.DEFINE_enum(
    "protocol", "procedural", ["procedural", "sketches", "paper"], "What portraits."
)
_FACES = flags.DEFINE_string("faces", "data/faces/test", "Photographs of procedural and paper.")
_SKETCHES = flags.DEFINE_string("sketches", "data/sketches", "Pairs of --protocol=sketches.")
_STYLES = flags.DEFINE_string("styles", "reserved", "Of procedural: train, reserved, all, or names.")
_LIMIT = flags.DEFINE_integer("limit", 300, "Photographs (of each set of sketches); 0 = all.", lower_bound=0)
_HELD_OUT = flags.DEFINE_integer(
    "held_out", 0, "Only those of --faces that training with this data.validation_count holds out.",
    lower_bound=0,
)  # fmt: skip
_SEED = flags.DEFINE_integer("seed", 0, "Of the portraits' random numbers.", lower_bound=0)
_DESCRIPTOR = flags.DEFINE_enum(
    "descriptor", "dlib", ["dlib", "mobilefacenet", "facenet", "none"], "What compares faces."
)
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with the descriptor's weights.")
_JSON = flags.DEFINE_string("json", "", "Also write every portrait's numbers and errors here.")
_TRUST = flags.DEFINE_boolean("trust", False, "Load a model whose checksums do not match: it is a program.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime

    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import uncertainty
    request = uncertainty.Request(
        model=_MODEL.value,
        protocol=_PROTOCOL.value,
        faces=_FACES.value,
        sketches=_SKETCHES.value,
        styles=_STYLES.value,
        limit=_LIMIT.value,
        held_out=_HELD_OUT.value,
        seed=_SEED.value,
        descriptor=_DESCRIPTOR.value,
        weights=_WEIGHTS.value,
        json=_JSON.value,
        trust=_TRUST.value,
    )
    print(uncertainty.run(request))
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
