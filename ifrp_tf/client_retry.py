"""When a question to a server is asked again, and when it is not."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ifrp_tf.client_wire import RemoteError

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Patience:
    """One deadline over a question and all its repetitions.

    Only `UNAVAILABLE` is repeated: nothing listens, or the server is full. Whatever else went wrong would go
    wrong again, or has cost the server its time already. Pauses double, from half to one and a half times
    `first_pause`, so that many clients do not come back at once.

    Args:
        timeout: seconds in all.
        retries: how often a question is repeated at most.
        jitter: numbers in [0, 1).
        first_pause: seconds.
        longest_pause: seconds; a server that asks for a longer one gets it, if the deadline allows.

    Example:
        >>> Patience(timeout=5.0, retries=3).ask(lambda left: left > 4.9)
        True
    """

    timeout: float
    retries: int
    jitter: Callable[[], float] = random.random
    first_pause: float = 0.1
    longest_pause: float = 5.0

    def ask(self, question: Callable[[float], _Answer]) -> _Answer:
        """The answer to a question.

        Args:
            question: takes the seconds that are left; raises `RemoteError`.

        Raises:
            RemoteError: the last one, if no repetition is left or would be in time.
        """
        end = time.monotonic() + self.timeout
        attempt = 0
        while True:
            try:
                return question(max(0.001, end - time.monotonic()))
            except RemoteError as error:
                pause = self.pause(attempt, error.wait_s)
                is_late = time.monotonic() + pause >= end
                if error.code != "UNAVAILABLE" or attempt == self.retries or is_late:
                    raise
            time.sleep(pause)
            attempt += 1

    def pause(self, attempt: int, wait_s: float = 0.0) -> float:
        """Seconds between an attempt, counted from 0, and the next; at least what the server asked for."""
        doubled = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt, 30))
        return max(wait_s, doubled * (0.5 + self.jitter()))
