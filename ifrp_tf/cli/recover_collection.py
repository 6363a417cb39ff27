"""Recovers the faces in a collection of any size, on one machine or a Ray cluster (extra `ray`).

python tools/recover_collection.py --input=scans --output=recovered --threads=1    # all processors here
python tools/recover_collection.py --list=scans.csv --output=/shared/recovered --address=auto    # a cluster
python tools/recover_collection.py --input=s3://museum/scans --output=s3://museum/recovered --address=auto

Writes what tools/recover.py writes, the same to the bit, and its report in parts, report/part-<k>.parquet and
.jsonl: a row an input, bad files too. --input and --list take paths and addresses of fsspec. Workers that die
are replaced; interrupted or killed as a whole, the same command does only what is missing. Exit code: 0 all
good, 1 some inputs failed or none was found, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

from ifrp_tf.cli.command import flag_names, option
from ifrp_tf.cli.recover import Asked, Seen
from ifrp_tf.core.assets import MODEL
from ifrp_tf.core.runtime import Console


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(Asked):
    """What `recover_collection` is asked for.

    Attributes:
        input: A folder, a file, or a pattern in quotes; given several times, or without the flag.
        list: A file that names inputs: one a line, or a column `input` of .csv, .jsonl or .parquet.
        model: A version, a folder of versions, or a run's folder; on every machine in the same place.
        trust: Load a model whose checksums do not match: it is a program.
        address: Of a Ray cluster; auto: that of this machine. Without it one is started here.
        workers: How many; 0: one a machine, or as many as there are processors for their threads.
        threads: Of each worker; 0: those of its machine. 1 is faster, and a few values differ.
        part: The most inputs that a worker is given at a time.
    """

    input: tuple[str, ...] = option((), repeated=True, argument="source", positional=True)
    list: str = option("", argument="listed")
    model: str = MODEL
    trust: bool = False
    address: str = ""
    workers: int = option(0, low=0)
    threads: int = option(0, low=0, high=1024)
    part: int = option(256, low=1, argument="part_size")


def run(request: Request) -> int:
    """Recovers: failures and progress go to the error stream, a summary to the output.

    Returns:
        Exit code: 0 all good, 1 some inputs failed, 130 interrupted.

    Raises:
        ConfigError: wrong usage; the output folder cannot be written to; Ray is not there.
        DataError: no input was found, or another run writes to the output folder.
        ModelError: the model is unusable.
    """
    from ifrp_tf.recovery import collection  # late: --help and wrong usage need no numpy

    task = collection.Task(
        output=request.output,
        options=request.options(),
        side_by_side=request.side_by_side,
        pages=request.pages,
        model=request.model,
        trust=request.trust,
        threads=request.threads,
    )
    with contextlib.ExitStack() as stack:
        seen: list[Seen] = []

        def begin(count: int) -> Callable[[dict[str, Any]], None]:
            seen.append(Seen(stack.enter_context(Console(count)), flag_names(Request)))
            return seen[0].show

        summary = collection.recover(
            task,
            request.input,
            listed=request.list,
            workers=request.workers,
            address=request.address,
            part_size=request.part,
            begin=begin,
        )
    words = f"{summary.recovered} recovered, {summary.skipped} skipped, {summary.failed} failed"
    if summary.interrupted:
        words += ", interrupted: run it again to go on"
    print(f"{words}; model {summary.model}; {request.output.rstrip('/')}/{collection.REPORT}")
    print("".join(f"{line}\n" for line in seen[0].lines()), end="")
    return summary.exit_code
