"""What a picture costs in the pipeline by the number of styles to choose from: it must not grow with them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Call, interleave
from ifrp_tf.core import runtime
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.data import pipeline_tf
from ifrp_tf.styles import sets
from ifrp_tf.training import run

FEW = 4
_ROUNDS, _WARM_UP, _PHOTOS = 3, 3, 256


def measure(
    config: Config, folder: str, *, cache: str = "runs/.cache", steps: int = 20, threads: int = 0
) -> dict[str, Any]:
    """Times batches of one style, of four and of all styles of the configuration, in turn.

    Styles differ in cost. So each of the four, evenly spread over all, is also timed on its own, and what the
    four cost together is compared with the mean of that. `all` has other styles as well: where they are
    dearer or cheaper on average, its ratio says so and not how many they are.

    Args:
        config: its `data` section and batch size.
        folder: photographs; empty for drawn faces.
        cache: where decoded photographs are kept between runs.
        steps: timed batches in each of three turns, 1 or more.
        threads: for TensorFlow; 0 = all cores.

    Returns:
        Plain values, ready for JSON: `data side batch_size steps threads styles`; `singles` by style, `one`
        (their mean), `few` and `all`: ms a picture; `few_ratio` and `all_ratio` to `one`; `every`: ms a
        picture if all styles were computed for each and one chosen.

    Raises:
        ConfigError: if a number is out of range, or there are fewer than two styles.
        DataError: if the photographs cannot be used.
    """
    if steps < 1:
        raise ConfigError(f"Expected at least 1 step. Received: {steps}.")
    names = sets.of(config.data)
    if len(names) < 2:
        raise ConfigError(f"Expected at least 2 styles to compare. Received: {', '.join(names)}.")
    threads = runtime.use_threads(threads)
    photos, _ = run.load_photos(config, folder, Path(cache))
    places = np.linspace(0, len(names) - 1, min(FEW, len(names))).round().astype(int)
    some = tuple(names[place] for place in places)

    photos = photos.select(range(min(len(photos), max(_PHOTOS, config.train.batch_size))))

    def reading(batches: Any) -> Call:
        iterator = iter(batches)
        return lambda: next(iterator)

    chosen = {**{name: (name,) for name in some}, "few styles": some, "all styles": names}
    # Made once, for every pipeline that is made is traced again; each holds the photographs.
    mixes = {label: pipeline_tf.batches(photos, config, styles=styles) for label, styles in chosen.items()}
    timings = interleave(
        {label: functools.partial(reading, batches) for label, batches in mixes.items()},
        rounds=_ROUNDS,
        calls=steps,
        warm_up=_WARM_UP,
    )
    cost = {label: 1000 * timing.seconds / config.train.batch_size for label, timing in timings.items()}
    one = float(np.mean([cost[name] for name in some]))
    return {
        "data": folder or "drawn faces",
        "side": config.data.side,
        "batch_size": config.train.batch_size,
        "steps": _ROUNDS * steps,
        "threads": threads,
        "styles": len(names),
        "singles": {name: cost[name] for name in some},
        "one": one,
        "few": cost["few styles"],
        "all": cost["all styles"],
        "few_ratio": cost["few styles"] / one,
        "all_ratio": cost["all styles"] / one,
        "every": len(names) * one,
    }
