"""Measures how fast recovering and training are on this machine, beside what they could be at best.

python tools/benchmark.py recover --model=saved_models/ifrp [--batches=1,16] [--data=data/faces/train]
python tools/benchmark.py train --preset=modern --data=data/faces/train [--steps=20] [--set=section.key=value]
python tools/benchmark.py styles --set=data.styles=all_train --data=data/faces/train
python tools/benchmark.py serve --model=saved_models/ifrp [--clients=32]
python tools/benchmark.py collection --model=saved_models/ifrp [--count=1000] [--data=data/faces/train]
python tools/benchmark.py detectors --data=data [--detectors=blazeface,mtcnn] [--turns=0,180] [--scores=0.7]

recover: an exported model, the same weights in ONNX Runtime, the arithmetic floor (the multiply-adds at the
speed of a large matrix product), and folders of files. train: a training step with the real pipeline and on
one batch, the pipeline alone, and the share of time spent waiting for data; without --data on drawn faces.
styles: what a picture costs in the pipeline with one, four and all styles to choose from. serve: a server
under many clients beside direct calls, and the time that it adds to a single request. collection:
recover_collection beside recover on the processors of this machine. detectors: the faces
that each finds in photographs, paintings and sketches, the right way up or not, what it takes for a face in
over 200 pictures without one, and the CPU seconds of a picture.

Exit code: 0 measured, 1 the data cannot be used, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ifrp_tf.cli.command import launch
from ifrp_tf.core.assets import MODEL

_MODEL = flags.DEFINE_string("model", MODEL, "recover, serve: version, or folder of versions.")
_BATCHES = flags.DEFINE_list("batches", ["1", "16"], "recover: batch sizes.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "recover, serve: turns of each.", lower_bound=1)
_PRESET = flags.DEFINE_string("preset", "modern", "train, styles: paper, wacv, fdnn, modern, tiny or toy.")
_DATA = flags.DEFINE_string("data", "", "Not serve: folder of photographs. Empty: drawn faces.")
_SET = flags.DEFINE_multi_string("set", [], "train, styles: section.key=value, repeatable.")
_STEPS = flags.DEFINE_integer("steps", 20, "train, styles: timed steps in a turn.", lower_bound=1)
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "train: folder with the feature networks' weights.")
_CACHE = flags.DEFINE_string("cache", "runs/.cache", "train, styles: where decoded photographs are kept.")
_THREADS = flags.DEFINE_integer("threads", 0, "Threads; 0: one a core.", lower_bound=0, upper_bound=1024)
_CLIENTS = flags.DEFINE_integer("clients", 32, "serve: at the same time.", lower_bound=1)
_DETECTORS = flags.DEFINE_list("detectors", ["blazeface", "mtcnn"], "detectors: which.")
_COUNT = flags.DEFINE_integer(
    "count", None, "detectors: pictures of each kind; collection: pictures.", lower_bound=1
)
_TURNS = flags.DEFINE_list("turns", ["0", "180"], "detectors: degrees by which pictures are turned.")
_SCORES = flags.DEFINE_list("scores", ["0"], "detectors: least scores that count.")
_JSON = flags.DEFINE_string("json", "", "Also write the numbers to this file.")

_STYLES = (_PRESET, _DATA, _SET, _STEPS, _CACHE)
_FLAGS: dict[str, tuple[Any, ...]] = {
    "recover": (_MODEL, _BATCHES, _ROUNDS, _DATA),
    "train": (*_STYLES, _WEIGHTS),
    "styles": _STYLES,
}
_FLAGS["detectors"] = (_DATA, _DETECTORS, _COUNT, _TURNS, _SCORES)
_FLAGS["collection"] = (_MODEL, _DATA, _COUNT, _THREADS)
_FLAGS["serve"] = (_MODEL, _CLIENTS, _ROUNDS)


def main(command: str) -> int:
    """Returns the exit code."""
    from benchmarks import run as benchmark
    from ifrp_tf.core.errors import ConfigError
    from ifrp_tf.core.presets import preset

    if command not in _FLAGS:
        raise ConfigError(
            f"Expected recover, train, styles, serve, collection or detectors. Received: {command!r}.",
            hint="See --help.",
        )
    given = {flag.name for flags_of in _FLAGS.values() for flag in flags_of if flag.present}
    foreign = sorted(given - {flag.name for flag in _FLAGS[command]})
    if foreign:
        raise ConfigError(f"Expected flags of {command}. Received: --{foreign[0]}.", hint="See --help.")
    if command == "detectors":
        try:
            turns = [int(turn) for turn in _TURNS.value]
            scores = [float(score) for score in _SCORES.value]
        except ValueError as error:
            raise ConfigError(f"Expected numbers with --turns and --scores. Received: {error}.") from error
        return benchmark.run_detectors(
            _DATA.value or "data",
            _DETECTORS.value,
            count=_COUNT.value or 40,
            turns=turns,
            scores=scores,
            json_file=_JSON.value,
        )
    if command == "collection":
        count = _COUNT.value or 1_000
        return benchmark.run_collection(
            _MODEL.value, _DATA.value, count=count, threads=_THREADS.value, json_file=_JSON.value
        )
    common: dict[str, Any] = {"threads": _THREADS.value, "json_file": _JSON.value}
    if command == "serve":
        return benchmark.run_serve(_MODEL.value, clients=_CLIENTS.value, rounds=_ROUNDS.value, **common)
    if command != "recover":
        run = benchmark.run_styles
        if command == "train":
            run = functools.partial(benchmark.run_train, weights=_WEIGHTS.value)
        return run(
            preset(_PRESET.value).override(_SET.value),
            _DATA.value,
            cache=_CACHE.value,
            steps=_STEPS.value,
            **common,
        )
    if not all(batch.isdecimal() for batch in _BATCHES.value):
        raise ConfigError(f"Expected --batches=1,16. Received: {','.join(_BATCHES.value)}.")
    batches = [int(batch) for batch in _BATCHES.value]
    return benchmark.run_recover(_MODEL.value, _DATA.value, batches, rounds=_ROUNDS.value, **common)


if __name__ == "__main__":
    first = sys.argv[1] if len(sys.argv) > 1 else "-"
    launch(functools.partial(main, "" if first.startswith("-") else sys.argv.pop(1)), __doc__)
