"""Fair timings on a machine that is never quite quiet: contenders take turns, and medians are compared."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping

Call = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Timing:
    """Timings of one contender.

    Attributes:
        turns: seconds a call, the mean of each turn, in order.
        cores: processor seconds that this process spent a second: how many cores were at work.
    """

    turns: tuple[float, ...]
    cores: float

    @property
    def seconds(self) -> float:
        """Median over the turns, seconds a call."""
        return statistics.median(self.turns)

    def scaled(self, factor: float) -> Timing:
        """What the timings would be for `factor` times the work."""
        return dataclasses.replace(self, turns=tuple(seconds * factor for seconds in self.turns))

    def speed(self, pictures: int) -> dict[str, float]:
        """`ms` a call, `pictures_per_second` where a call does so many pictures, and `cores`."""
        return {
            "ms": 1000 * self.seconds,
            "pictures_per_second": pictures / self.seconds,
            "cores": self.cores,
        }


def interleave(
    contenders: Mapping[str, Callable[[], Call]],
    *,
    rounds: int = 7,
    turn_seconds: float = 0.3,
    calls: int = 0,
    warm_up: int = 1,
) -> dict[str, Timing]:
    """Times contenders in turn, A B C A B C ..., so that whatever slows the machine down slows all of them.

    Args:
        contenders: name -> function that gets ready for a turn and returns what is to be timed. What is timed
            returns when its work is done, not when it is queued.
        rounds: turns of each, 1 or more.
        turn_seconds: a turn goes on until this has passed.
        calls: timed calls a turn instead, where not 0.
        warm_up: calls before every turn that are not timed.

    Returns:
        Timings by name.

    Example:
        >>> timings = interleave({"sum": lambda: lambda: sum(range(1000))}, rounds=3, calls=5)
        >>> timings["sum"].seconds > 0
        True
    """
    turns: dict[str, list[float]] = {name: [] for name in contenders}
    spent: dict[str, list[float]] = {name: [0.0, 0.0] for name in contenders}
    for _ in range(rounds):
        for name, prepare in contenders.items():
            call = prepare()
            for _ in range(warm_up):
                call()
            elapsed, cpu, done = _turn(call, turn_seconds, calls)
            turns[name].append(elapsed / done)
            spent[name][0] += cpu
            spent[name][1] += elapsed
            del call  # with whatever it keeps running in the background
    return {name: Timing(tuple(turns[name]), spent[name][0] / spent[name][1]) for name in contenders}


def _turn(call: Call, seconds: float, calls: int) -> tuple[float, float, int]:
    done, cpu, start = 0, time.process_time(), time.perf_counter()
    while True:
        call()
        done += 1
        elapsed = time.perf_counter() - start
        if done >= calls if calls else elapsed >= seconds:
            return elapsed, time.process_time() - cpu, done
