"""What `tools/benchmark.py` prints: how fast recovering and training are, beside what they could be at best.

Everything that is compared is measured in one run and in turn (`timing.interleave`), because a machine that
others use too is faster in one minute than in the next.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ifrp_tf.core import files, runtime
from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.recovery import detection
from ifrp_tf.release import folder as model_folder
from ifrp_tf.styles import sets


def run_recover(
    model: str | Path,
    folder: str = "",
    batches: Sequence[int] = (1, 16),
    *,
    threads: int = 0,
    rounds: int = 7,
    json_file: str = "",
) -> int:
    """Prints how fast a model recovers faces (`recovery_speed.measure`) and folders (`folder_speed.measure`).

    Args:
        model: a version folder, or a folder of numbered versions (the highest wins).
        folder: photographs for the folders; empty for drawn faces.
        batches: batch sizes, 1 to 1,024.
        threads: for TensorFlow and for ONNX Runtime; 0 = all cores.
        rounds: turns of each contender, 1 or more.
        json_file: also write the numbers here; empty = do not.

    Returns:
        0.

    Raises:
        ConfigError: a number is out of range, or `onnx` or `onnxruntime` is not installed.
        ModelError: there is no exported model, or ONNX Runtime does not answer as the SavedModel does.
        DataError: the photographs cannot be used, or `json_file` cannot be written.
    """
    model_folder.locate(model)  # a wrong name must not wait for TensorFlow
    if folder:
        files.list_pictures(folder)
    with runtime.start_up():
        from benchmarks import folders, machine, recover
    result = recover.measure(model, batches=batches, threads=threads, rounds=rounds)
    lines = [
        f"model {result['model']}: {result['parameters']:,} parameters, "
        f"{result['multiply_adds'] / 1e9:.3f} G multiply-adds a picture",
        f"TensorFlow on {result['device']}, ONNX Runtime on CPU, threads: {result['threads']}; "
        f"answers differ by {result['difference']['mean']:.3f} levels, at most {result['difference']['max']}",
        "megabytes: " + ", ".join(f"{name} {size:.1f}" for name, size in result["megabytes"].items()),
        f"floor: a {machine.MATMUL_SIDE} x {machine.MATMUL_SIDE} float32 product, "
        "2 operations a multiply-add",
    ]
    names = {
        "SavedModel": "savedmodel",
        "ONNX Runtime": "onnxruntime",
        "LiteRT": "litert",
        "floor": "floor",
    }
    columns = f"{'ms':>10}{'pictures/s':>12}{'x floor':>9}{'GFLOP/s':>9}{'cores':>7}"
    for batch, row in result["batches"].items():
        lines.append(f"\n{f'batch {batch}':14}{columns}")
        lines += [
            f"{label:14}{row[name]['ms']:>10.2f}{row[name]['pictures_per_second']:>12.1f}"
            f"{row[name]['floors']:>9.2f}{row[name]['gflops']:>9.1f}{row[name]['cores']:>7.2f}"
            for label, name in names.items()
        ]
        lines.append(f"SavedModel takes {row['savedmodel_to_onnxruntime']:.2f} x the time of ONNX Runtime")
    result["folder"] = found = folders.measure(model, folder, rounds=min(rounds, 3))
    lines.append(f"\nnetwork in batches of 16, no files {found['network']:>9.1f} pictures/s")
    lines += [
        f"folder of JPEG files, {side:>4} pixels  {row['pictures_per_second']:>9.1f} pictures/s, "
        f"{row['to_network']:.2f} x the network's; {found['data']}"
        for side, row in found["folders"].items()
    ]
    return _report(lines, result, json_file)


def run_train(
    config: Config,
    folder: str,
    *,
    weights: str = "data/weights",
    cache: str = "runs/.cache",
    steps: int = 20,
    threads: int = 0,
    json_file: str = "",
) -> int:
    """Prints how fast a configuration trains, and how long it waits for data (`training_speed.measure`).

    Args:
        config: what to train.
        folder: photographs; empty for drawn faces.
        weights: folder with the weights of the identity network.
        cache: where decoded photographs are kept between runs.
        steps: timed steps in each of three turns, 1 or more.
        threads: for TensorFlow; 0 = all cores.
        json_file: also write the numbers here; empty = do not.

    Returns:
        0.

    Raises:
        ConfigError: a number is out of range.
        DataError: the photographs or weights cannot be used, or `json_file` cannot be written.
    """
    sets.of(config.data)  # wrong names must not wait for TensorFlow
    if folder:
        files.list_pictures(folder)
    with runtime.start_up():
        from benchmarks import train
    result = train.measure(config, folder, weights=weights, cache=cache, steps=steps, threads=threads)
    labels = {
        "real": "pipeline and step",
        "cached": "step on a cached batch",
        "pipeline": "pipeline alone",
    }
    lines = [
        f"batches of {result['batch_size']} pictures of {result['side']} pixels, {result['data']}; "
        f"on {result['device']}, threads: {result['threads']}; {result['steps']} steps of each",
        f"\n{'':24}{'ms a step':>11}{'pictures/s':>12}{'cores':>7}",
    ]
    lines += [
        f"{label:24}{result[name]['ms']:>11.1f}{result[name]['pictures_per_second']:>12.1f}"
        f"{result[name]['cores']:>7.2f}"
        for name, label in labels.items()
    ]
    lines.append(f"waiting for data: {result['waiting_share']:.1%} of the time")
    return _report(lines, result, json_file)


def run_styles(
    config: Config,
    folder: str,
    *,
    cache: str = "runs/.cache",
    steps: int = 20,
    threads: int = 0,
    json_file: str = "",
) -> int:
    """Prints what a picture costs by the number of styles (`styles_speed.measure`).

    Args:
        config, folder, cache, steps, threads, json_file: as for `run_train`.

    Returns:
        0.

    Raises:
        ConfigError, DataError: as for `run_train`.
    """
    sets.of(config.data)  # wrong names must not wait for TensorFlow
    if folder:
        files.list_pictures(folder)
    with runtime.start_up():
        from benchmarks import styles
    result = styles.measure(config, folder, cache=cache, steps=steps, threads=threads)
    few, count = len(result["singles"]), result["styles"]
    rows = {**result["singles"], f"mean of {few} alone": result["one"]}
    lines = [
        f"batches of {result['batch_size']} pictures of {result['side']} pixels, {result['data']}; "
        f"threads: {result['threads']}; {result['steps']} batches of each",
        f"\n{'':24}{'ms a picture':>13}{'ratio':>8}",
        *(f"{label:24}{cost:>13.2f}{cost / result['one']:>8.2f}" for label, cost in rows.items()),
        f"{f'{few} styles mixed':24}{result['few']:>13.2f}{result['few_ratio']:>8.2f}",
        f"{f'all {count} styles mixed':24}{result['all']:>13.2f}{result['all_ratio']:>8.2f}",
        f"computing all {count} for every picture would cost {result['every']:.1f} ms",
    ]
    return _report(lines, result, json_file)


def run_serve(
    model: str, *, clients: int = 32, rounds: int = 3, threads: int = 0, json_file: str = ""
) -> int:
    """Prints how fast a server answers, beside direct calls (`serving_speed.measure`).

    Args:
        model: a folder of numbered versions.
        clients: at the same time, 1 to 1,000.
        rounds: turns of each, 1 or more.
        threads: of TensorFlow, in the server and beside it; 0 = all cores.
        json_file: also write the numbers here; empty = do not.

    Returns:
        0.

    Raises:
        ConfigError, ModelError, ServingError: as for `serving_speed.measure`.
    """
    model_folder.locate(model)  # a wrong name must not wait for TensorFlow
    with runtime.start_up():
        from benchmarks import serve
    result = serve.measure(model, clients=clients, rounds=rounds, threads=threads)
    lines = [
        f"model {result['model']}, pictures of {result['side']} pixels; on {result['device']}, "
        f"threads: {result['threads']}",
        f"direct calls of {result['batch']} pictures  {result['direct']:>9.1f} pictures/s",
        f"server, {result['clients']} clients of one     {result['served']:>9.1f} pictures/s, "
        f"{result['ratio']:.2f} x direct; 99 % answered within {result['p99_ms']:.0f} ms",
        f"direct call of 1 picture     {result['direct_ms']:>9.2f} ms (median)",
        f"server, 1 client             {result['served_ms']:>9.2f} ms, {result['overhead_ms']:+.2f} ms",
    ]
    return _report(lines, result, json_file)


def run_collection(
    model: str | Path, folder: str = "", *, count: int = 1_000, threads: int = 0, json_file: str = ""
) -> int:
    """Prints how fast `recover_collection` is beside `recover` (`collection.measure`).

    Args:
        model: as of `Recoverer.load`.
        folder: photographs; empty for drawn faces.
        count: pictures.
        threads: of each worker; 0 = those of the machine.
        json_file: also write the numbers here; empty = do not.

    Returns:
        0.

    Raises:
        ModelError: there is no model.
        DataError: a command failed, or `json_file` cannot be written.
    """
    model_folder.locate(model)  # a wrong name must not wait for TensorFlow
    with runtime.start_up():
        from benchmarks import collection
    result = collection.measure(model, folder, count=count, threads=threads)
    lines = [
        f"{name:20}{row['pictures_per_second']:>9.1f} pictures/s once begun, {row['seconds']:.1f} s in all"
        for name, row in result.items()
        if isinstance(row, dict)
    ]
    lines.append(f"{result['ratio']:.2f} x the speed of recover; {result['different']} answers differ")
    return _report(lines, result, json_file)


def run_detectors(
    data: str,
    names: Sequence[str],
    *,
    count: int = 40,
    turns: Sequence[int] = (0, 180),
    scores: Sequence[float] = (0.0,),
    json_file: str = "",
) -> int:
    """Prints what each detector finds, and what it takes for a face that is none (`detectors.measure`).

    Args:
        data, names, count, turns, scores: as for `detectors.measure`.
        json_file: also write the numbers here; empty = do not.

    Returns:
        0.

    Raises:
        ConfigError: there is no such detector or turn.
        DataError: a folder of the data holds no pictures, or `json_file` cannot be written.
    """
    for chosen, known in ((names, detection.DETECTORS), (turns, detection.WAYS)):
        strange = [one for one in chosen if one not in known]
        if strange:
            raise ConfigError(f"Expected one of {', '.join(map(str, known))}. Received: {strange[0]!r}.")
    with runtime.start_up():
        from benchmarks import detectors
    rows = detectors.measure(data, names, count=count, turns=turns, scores=scores)
    return _report(detectors.table(rows), {"rows": rows}, json_file)


def _report(lines: list[str], result: dict[str, Any], json_file: str) -> int:
    print("\n".join(lines))  # noqa: T201
    if json_file:
        files.write_bytes_atomic(json_file, json.dumps(result, indent=2).encode())
    return 0
