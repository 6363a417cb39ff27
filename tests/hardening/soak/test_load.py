"""Clients that ask and misbehave, against a real server."""

import random

import numpy as np
import pytest
import served
from served import NAME, direct, portraits

from hardening.soak.load import (
    KINDS,
    Rest,
    Tally,
    _Client,
    ask,
    percentile,
    predict_body,
    predict_request,
    read_body,
    read_photos,
)


@pytest.fixture(scope="module")
def endpoint():
    with served.inside() as opened:
        yield opened


def test_every_answer_is_checked(endpoint):
    pictures = portraits(4)
    requests = [predict_request(NAME, one[None]) for one in pictures]
    expected = direct(pictures)

    def check(place, answer):
        return bool((read_photos(answer)[0] == expected[place]).all())

    address = f"127.0.0.1:{endpoint.port}"
    tally = ask(address, requests, check, clients=3, count=40)
    assert (tally.answered, tally.total, len(tally.seconds)) == (40, 40, 40)
    assert ask(address, requests, lambda place, answer: False, clients=2, count=5).wrong == 5
    unknown = [predict_request("nobody", pictures[:1])]
    failed = ask(address, unknown, check, clients=1, count=2).failed
    assert [words.split(":")[0] for words in failed] == ["NOT_FOUND"] * 2


def over_rest(endpoint, pictures, name=NAME):
    expected = direct(pictures)
    bodies = [predict_body(one[None]) for one in pictures]
    return Rest(
        endpoint.rest_port,
        name,
        bodies,
        lambda place, answer: bool((read_body(answer)[0] == expected[place]).all()),
    )


def test_answers_over_rest_are_checked_too(endpoint, monkeypatch):
    monkeypatch.setattr("hardening.soak.load.REST_SHARE", 1.0)
    pictures = portraits(4)
    requests = [predict_request(NAME, one[None]) for one in pictures]
    address = f"127.0.0.1:{endpoint.port}"
    tally = ask(address, requests, None, clients=2, count=20, rest=over_rest(endpoint, pictures))
    assert (tally.answered, tally.total) == (20, 20)
    wrong = Rest(endpoint.rest_port, NAME, [predict_body(pictures[:1])] * 4, lambda place, answer: False)
    assert ask(address, requests, None, clients=2, count=5, rest=wrong).wrong == 5
    unknown = over_rest(endpoint, pictures, "nobody")
    failed = ask(address, requests, None, clients=1, count=2, rest=unknown).failed
    assert [words[:9] for words in failed] == ["REST: 404"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_way_to_misbehave_leaves_the_server_answering(endpoint, kind):
    pictures = portraits(1)
    address, requests = f"127.0.0.1:{endpoint.port}", [predict_request(NAME, pictures)]
    rest = over_rest(endpoint, pictures)
    client = _Client(address, requests, lambda place, answer: True, rest, random.Random(0))
    for _ in range(12):
        client._misbehave(kind)
    client._ask(0, tally := Tally())
    client.close()
    assert tally.answered == 1
    np.testing.assert_array_equal(endpoint.photos(pictures), direct(pictures))
    served.wait_for(lambda: endpoint.metric("ifrp_http_connections") <= 1)


def test_shed_requests_are_counted():
    with (
        served.inside(max_batch_size=1, max_enqueued_batches=1) as endpoint,
        served.Held(endpoint.server.batcher),
    ):
        waiting = endpoint.prediction.Predict.future(served.request(portrait=portraits(1)))
        served.wait_for(lambda: endpoint.server.batcher.waiting == 1)
        requests = [predict_request(NAME, portraits(1))]
        tally = ask(f"127.0.0.1:{endpoint.port}", requests, lambda place, answer: True, clients=1, count=3)
        waiting.cancel()
    assert (tally.shed, tally.failed) == (3, [])


def test_percentiles():
    seconds = [number / 100 for number in range(101)]
    assert percentile(seconds, 0.5) == pytest.approx(0.5)
    assert percentile(seconds, 0.99) == pytest.approx(0.99)
