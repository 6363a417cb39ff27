"""Codes and messages of refusals."""

import grpc
import pytest
import tensorflow as tf

from ifrp_tf.errors import ServingError
from ifrp_tf.serving_status import HTTP, MAX_MESSAGE, Refusal, refusal


def test_codes_are_those_of_grpc_and_http():
    assert all(hasattr(grpc.StatusCode, name) for name in HTTP)
    assert Refusal("INVALID_ARGUMENT", "x").http == 400
    assert Refusal("UNAVAILABLE", "x").http == 503
    assert Refusal("UNAVAILABLE", "x", overloaded=True).http == 429
    assert isinstance(Refusal("INTERNAL", "x"), ServingError)


def test_words_are_one_short_line():
    assert Refusal("INTERNAL", "a\nb", hint="c").words == "a b c"
    assert len(Refusal("INTERNAL", "a" * 5000).words) == MAX_MESSAGE


def test_an_assertion_in_a_graph_loses_its_trace():
    @tf.function
    def check(x):
        with tf.control_dependencies([tf.debugging.Assert(x > 0, ["portrait: expected more. Received:", x])]):
            return tf.identity(x)

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        check(tf.constant(-5))
    reason = refusal(caught.value)
    assert reason.code == "INVALID_ARGUMENT"
    assert reason.words == "portrait: expected more. Received: -5"


def test_other_errors_of_tensorflow():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.io.decode_png(b"\x89PNG\r\n\x1a\nno")
    reason = refusal(caught.value)
    assert reason.code == "INVALID_ARGUMENT"
    assert "[Op:" not in reason.words
    assert refusal(tf.errors.ResourceExhaustedError(None, None, "much")).code == "RESOURCE_EXHAUSTED"


def test_errors_of_python_are_internal():
    assert refusal(KeyError("x")).code == "INTERNAL"
    assert refusal(MemoryError()).words == "MemoryError"
    kept = Refusal("NOT_FOUND", "x")
    assert refusal(kept) is kept
