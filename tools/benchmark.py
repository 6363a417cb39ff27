"""Measures how fast recovering and training are on this machine, beside what they could be at best.

python tools/benchmark.py recover --model=saved_models/ifrp [--batches=1,16]
python tools/benchmark.py train --preset=modern --data=data/faces/train [--steps=20] [--set=section.key=value]

recover: an exported model, the same weights in ONNX Runtime, and the arithmetic floor (the network's
multiply-adds at the speed of a large matrix product). train: a training step with the real pipeline and on
one batch, the pipeline alone, and the share of time spent waiting for data; without --data on drawn faces.

Exit code: 0 measured, 1 the data cannot be used, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import functools
import sys

from absl import flags
from launch import launch

_MODEL = flags.DEFINE_string("model", "saved_models/ifrp", "recover: a version, or a folder of versions.")
_BATCHES = flags.DEFINE_list("batches", ["1", "16"], "recover: batch sizes.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "recover: turns of each contender.", lower_bound=1)
_PRESET = flags.DEFINE_string("preset", "modern", "train: paper, wacv, fdnn, modern, tiny or toy.")
_DATA = flags.DEFINE_string("data", "", "train: folder of photographs. Empty: drawn faces.")
_SET = flags.DEFINE_multi_string("set", [], "train: section.key=value, repeatable: changes one setting.")
_STEPS = flags.DEFINE_integer("steps", 20, "train: timed steps in each of three turns.", lower_bound=1)
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "train: folder with the feature networks' weights.")
_CACHE = flags.DEFINE_string("cache", "runs/.cache", "train: where decoded photographs are kept.")
_THREADS = flags.DEFINE_integer("threads", 0, "Threads; 0: one a core.", lower_bound=0, upper_bound=1024)
_JSON = flags.DEFINE_string("json", "", "Also write the numbers to this file.")

_FLAGS = {"recover": (_MODEL, _BATCHES, _ROUNDS), "train": (_PRESET, _DATA, _SET, _STEPS, _WEIGHTS, _CACHE)}


def main(command: str) -> int:
    """Returns the exit code."""
    from ifrp_tf import benchmark
    from ifrp_tf.errors import ConfigError
    from ifrp_tf.presets import preset

    if command not in _FLAGS:
        raise ConfigError(f"Expected recover or train. Received: {command!r}.", hint="See --help.")
    foreign = [flag.name for name, own in _FLAGS.items() if name != command for flag in own if flag.present]
    if foreign:
        raise ConfigError(f"Expected flags of {command}. Received: --{foreign[0]}.", hint="See --help.")
    if command == "train":
        config = preset(_PRESET.value).override(_SET.value)
        return benchmark.run_train(
            config,
            _DATA.value,
            weights=_WEIGHTS.value,
            cache=_CACHE.value,
            steps=_STEPS.value,
            threads=_THREADS.value,
            json_file=_JSON.value,
        )
    if not all(batch.isdecimal() for batch in _BATCHES.value):
        raise ConfigError(f"Expected --batches=1,16. Received: {','.join(_BATCHES.value)}.")
    batches = [int(batch) for batch in _BATCHES.value]
    return benchmark.run_recover(
        _MODEL.value, batches=batches, threads=_THREADS.value, rounds=_ROUNDS.value, json_file=_JSON.value
    )


if __name__ == "__main__":
    first = sys.argv[1] if len(sys.argv) > 1 else "-"
    launch(functools.partial(main, "" if first.startswith("-") else sys.argv.pop(1)), __doc__)
