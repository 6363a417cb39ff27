"""Closed-set fuzzing: whatever is put in, a success or an error of the family comes out, soon and cheaply.

Cases are made from (target, seed, index) in processes of their own, which a decoder may crash: the case that
did it is a finding, as are an exception that escapes and a case that takes too long or too much memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import selectors
import sys
import time

from hardening.fuzz.process import Tally, Worker
from ifrp_tf.core.errors import ConfigError

TARGETS = {
    "pictures": "hardening.fuzz.pictures:Pictures",
    "weights": "hardening.fuzz.files:Weights",
    "configs": "hardening.fuzz.files:Configs",
    "runs": "hardening.fuzz.folders:Runs",
    "models": "hardening.fuzz.folders:Models",
}
"""What can be fuzzed, and where (`fuzz_worker.load`)."""

_ENOUGH, _PROGRESS = 50, 10.0
_ENDLESS = 2**62


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What to do.

    Attributes:
        targets: names out of `TARGETS`.
        count: cases of each target; 0 = as many as fit into the time.
        minutes: for all targets together, shared evenly; 0 = until the count is reached.
        seed: of the cases.
        first: index of the first case: a finding is seen again with its index and a count of 1.
        workers: processes at the same time, 1 to 64.
        keep: folder for the inputs of findings; empty = they are not kept.
        hang: processor seconds after which a case is given up; half an hour on the clock in any case.
    """

    targets: tuple[str, ...] = tuple(TARGETS)
    count: int = 0
    minutes: float = 0.0
    seed: int = 1
    first: int = 0
    workers: int = 1
    keep: str = ""
    hang: float = 30.0

    def __post_init__(self) -> None:
        if not self.targets or set(self.targets) - set(TARGETS):
            raise ConfigError(
                f"Expected targets out of {', '.join(TARGETS)}. Received: {', '.join(self.targets)}."
            )
        if self.count < 0 or not 0 <= self.minutes < 1e6 or not (self.count or self.minutes):
            raise ConfigError(
                f"Expected a count or minutes. Received: {self.count} and {self.minutes}.",
                hint="Give --count, --minutes, or both: the one that is reached first ends it.",
            )
        if not (1 <= self.workers <= 64 and self.first >= 0 and self.hang > 0):
            raise ConfigError(
                "Expected 1 to 64 workers and a first index of 0 or more. "
                f"Received: {self.workers} and {self.first}."
            )


def run(request: Request) -> int:
    """Fuzzes every target, shows progress on the error stream, and prints what came of each.

    Returns:
        0 where nothing was found, else 1.
    """
    sound = True
    for name in request.targets:
        tally = fuzz(name, TARGETS[name], request, request.minutes * 60 / len(request.targets))
        print("\n".join(lines(name, request, tally)), flush=True)  # noqa: T201
        sound = sound and not tally.findings
    return 0 if sound else 1


def lines(name: str, request: Request, tally: Tally) -> list[str]:
    """A summary for people: counts by outcome, then each kind of finding with how to see one again."""
    rate = tally.cases / max(tally.elapsed, 1e-9)
    head = (
        f"{name}: {tally.cases:,} cases in {tally.elapsed:,.0f} s ({rate:,.0f}/s), seed {request.seed}, from "
        f"{request.first}; slowest {tally.slowest:.2f} s, most memory {tally.largest / 2**20:,.0f} MiB; "
        f"{len(tally.findings)} findings"
    )
    shown = [head, *(f"  {count:>10,}  {words}" for words, count in tally.outcomes.most_common())]
    kinds: dict[str, list[int]] = {}
    for finding in tally.findings:
        last = (finding.detail.strip().splitlines() or [""])[-1]
        kinds.setdefault(f"{finding.words}: {last[:300]}", []).append(finding.index)
    for kind, indices in kinds.items():
        again = f"--targets={name} --seed={request.seed} --first={indices[0]} --count=1"
        shown.append(f"  FINDING ({len(indices)} times) {kind} | {again}")
    return shown


def fuzz(name: str, spec: str, request: Request, seconds: float = 0.0) -> Tally:
    """Fuzzes one target in processes of its own.

    Args:
        name: of the target; part of every case's seed.
        spec: `module:class` of a `fuzz_worker.Target`.
        request: how; its `targets` and `minutes` are not looked at.
        seconds: on the clock, with the start of the processes; 0 = until the count is reached.
    """
    tally, start = Tally(), time.monotonic()
    shown = looked = start
    with contextlib.ExitStack() as stack:
        watched = stack.enter_context(selectors.DefaultSelector())
        job = {"target": name, "spec": spec, "seed": request.seed}
        job |= {"stride": request.workers, "keep": request.keep}
        end = request.first + (request.count or _ENDLESS)
        workers = [Worker(job, request.first + k, end, request.hang) for k in range(request.workers)]
        for worker in workers:
            stack.callback(worker.stop)
            worker.start(watched)
        while watched.get_map() and len(tally.findings) < _ENOUGH:
            for key, _ in watched.select(1.0):
                key.data.read(watched, tally)
            now = time.monotonic()
            tally.elapsed = now - start
            if now - looked >= 1:
                looked = now
                for worker in workers:
                    worker.give_up(now)
            if seconds and tally.elapsed >= seconds:
                break
            if now - shown >= _PROGRESS:
                shown = now
                print(_progress(name, request, tally, seconds), file=sys.stderr, flush=True)  # noqa: T201
    return tally


def _progress(name: str, request: Request, tally: Tally, seconds: float) -> str:
    rate = tally.cases / tally.elapsed
    left = [seconds - tally.elapsed] if seconds else []
    left += [(request.count - tally.cases) / rate] if request.count and rate else []
    of = f" of {request.count:,}" if request.count else ""
    end = f", {min(left):,.0f} s left" if left else ""
    return f"{name}: {tally.cases:,}{of} ({rate:,.0f}/s{end}), {len(tally.findings)} findings"
