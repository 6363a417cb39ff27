import time

import pytest

from ifrp_tf.client_retry import Patience
from ifrp_tf.client_wire import RemoteError


class Question:
    """Fails with the given codes, then answers; keeps when it was asked and with how much time left."""

    def __init__(self, *codes, wait_s=0.0):
        self.codes, self.wait_s = list(codes), wait_s
        self.times, self.left = [], []

    def __call__(self, left):
        self.times.append(time.monotonic())
        self.left.append(left)
        if self.codes:
            raise RemoteError(self.codes.pop(0), "as told", wait_s=self.wait_s)
        return "answer"


def patience(timeout=5.0, retries=3, jitter=0.5):
    return Patience(timeout, retries, lambda: jitter, first_pause=0.05, longest_pause=0.2)


def test_pauses_double_up_to_a_limit():
    assert [patience().pause(attempt) for attempt in range(5)] == pytest.approx([0.05, 0.1, 0.2, 0.2, 0.2])
    assert patience().pause(10**6) == pytest.approx(0.2)


def test_pauses_are_spread_over_half_to_one_and_a_half():
    assert [patience(jitter=jitter).pause(1) for jitter in (0.0, 1.0)] == pytest.approx([0.05, 0.15])
    pauses = {Patience(1.0, 1).pause(0) for _ in range(20)}
    assert len(pauses) > 10
    assert 0.05 <= min(pauses) <= max(pauses) <= 0.15


def test_unavailable_is_asked_again_after_the_pauses():
    question = Question("UNAVAILABLE", "UNAVAILABLE")
    assert patience().ask(question) == "answer"
    gaps = [after - before for before, after in zip(question.times, question.times[1:], strict=False)]
    assert gaps[0] >= 0.05
    assert gaps[1] >= 0.1
    assert question.left[0] == pytest.approx(5.0, abs=0.5)
    assert question.left[2] < 4.86


@pytest.mark.parametrize(
    "code", ["DEADLINE_EXCEEDED", "INVALID_ARGUMENT", "INTERNAL", "NOT_FOUND", "CANCELLED"]
)
def test_nothing_else_is_asked_again(code):
    question = Question(code)
    with pytest.raises(RemoteError):
        patience().ask(question)
    assert len(question.times) == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_at_most_so_many_retries(retries):
    question = Question(*["UNAVAILABLE"] * 9)
    with pytest.raises(RemoteError):
        patience(retries=retries).ask(question)
    assert len(question.times) == retries + 1


def test_nobody_waits_for_a_pause_that_ends_too_late():
    question = Question(*["UNAVAILABLE"] * 99)
    with pytest.raises(RemoteError):
        patience(timeout=0.5, retries=99).ask(question)
    assert 1 < len(question.times) < 9
    assert min(question.left) > 0.001
    start = time.monotonic()
    with pytest.raises(RemoteError):
        patience().ask(Question("UNAVAILABLE", wait_s=60.0))
    assert time.monotonic() - start < 4.0


def test_a_server_gets_the_pause_it_asks_for():
    question = Question("UNAVAILABLE", wait_s=0.4)
    patience().ask(question)
    assert question.times[1] - question.times[0] >= 0.4


def test_other_errors_pass():
    def question(left):
        raise KeyError("unknown")

    with pytest.raises(KeyError):
        patience().ask(question)
