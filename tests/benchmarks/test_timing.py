import time

import pytest

from benchmarks.timing import Timing, interleave


def test_contenders_take_turns_and_warm_up():
    seen = []

    def contender(name):
        def prepare():
            seen.append(f"{name} ready")
            return lambda: seen.append(name)

        return prepare

    timings = interleave({"a": contender("a"), "b": contender("b")}, rounds=2, calls=2, warm_up=1)
    assert seen == ["a ready", "a", "a", "a", "b ready", "b", "b", "b"] * 2
    assert {name: len(timing.turns) for name, timing in timings.items()} == {"a": 2, "b": 2}


def test_a_call_that_waits_is_timed_in_full_and_keeps_no_core_busy():
    timings = interleave({"nap": lambda: lambda: time.sleep(0.02)}, rounds=3, calls=2, warm_up=0)
    assert 0.02 <= timings["nap"].seconds < 2
    assert timings["nap"].cores < 0.5


def test_a_call_that_computes_keeps_a_core_busy():
    def work():
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass

    timings = interleave({"work": lambda: work}, rounds=2, calls=1, warm_up=0)
    assert timings["work"].seconds * timings["work"].cores >= 0.045


def test_a_turn_lasts_as_long_as_it_is_told():
    calls = []
    start = time.perf_counter()
    interleave({"nap": lambda: lambda: calls.append(time.sleep(0.01))}, rounds=2, turn_seconds=0.1, warm_up=0)
    assert time.perf_counter() - start >= 0.2
    assert 2 <= len(calls) <= 22


def test_a_turn_leaves_nothing_behind():
    alive = []

    class Busy:
        def __init__(self):
            assert not alive
            alive.append(self.__class__)

        def __del__(self):
            alive.pop()

        def __call__(self):
            return None

    interleave({"a": Busy, "b": Busy}, rounds=3, calls=1)
    assert not alive


def test_one_slow_turn_does_not_count():
    timing = Timing((0.01, 5.0, 0.02), 1.5)
    assert timing.seconds == 0.02
    assert timing.speed(4) == {
        "ms": pytest.approx(20),
        "pictures_per_second": pytest.approx(200),
        "cores": 1.5,
    }
    assert timing.scaled(2).seconds == 0.04
