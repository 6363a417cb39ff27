import collections

import numpy as np
import pytest

from hardening.fuzz.pictures import REASONS, Pictures
from hardening.fuzz.worker import SECONDS, attempt, chance_of
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.pictures.decoding import FORMATS


@pytest.fixture(scope="module")
def target():
    return Pictures()


def test_damaged_pictures_give_a_picture_or_a_promised_reason(target):
    """The short run; `tools/fuzz.py` is the long one."""
    outcomes = collections.Counter()
    for index in range(1200):
        outcome = attempt(target, target.make(chance_of("pictures", 20, index)))
        assert not outcome.finding, (index, outcome.finding)
        outcomes[outcome.words] += 1
    assert set(outcomes) <= REASONS | {f"read {format}" for format in FORMATS}
    assert min(outcomes[name] for name in ("corrupt", "truncated", "unsupported_format", "too_large")) > 5
    assert sum(count for words, count in outcomes.items() if words.startswith("read")) > 200


def test_large_pictures_are_given_more_time(target):
    for index in range(50):
        words = target.run(target.make(chance_of("pictures", 20, index)))
        assert (target.seconds > SECONDS) == words.startswith("read")


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (lambda data: data["no such key"], "escaped: TypeError"),
        (
            lambda data: (_ for _ in ()).throw(ImageError("surprise", "a new reason.")),
            "escaped: AssertionError",
        ),
        (
            lambda data: images.Picture(np.zeros((24, 32)), "PNG", (), (32, 24)),
            "escaped: AssertionError",
        ),
    ],
)
def test_a_door_that_breaks_its_promise_is_found(target, monkeypatch, fault, found):
    monkeypatch.setattr(images, "read", fault)
    outcome = attempt(target, target.make(chance_of("pictures", 20, 0)))
    assert outcome.words == found
    assert "Traceback" in outcome.finding
