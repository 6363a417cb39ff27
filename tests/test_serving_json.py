"""Requests and answers in JSON, against a signature of two inputs; the wire: test_serving_rest."""

import json

import numpy as np
import pytest

from ifrp_tf.served_model import Signature, Spec
from ifrp_tf.serving_json import parse, to_arrays, to_json
from ifrp_tf.serving_status import Refusal


@pytest.fixture
def signature():
    made = Signature.__new__(Signature)
    made.name = "two"
    made.inputs = {
        "level": Spec(np.dtype(np.float32), (None,)),
        "name_bytes": Spec(np.dtype(object), (None, 2)),
    }
    return made


ROWS = [{"level": 1, "name_bytes": ["a", {"b64": "/w=="}]}, {"level": 0.5, "name_bytes": ["ä", {"b64": ""}]}]


def check(arrays):
    np.testing.assert_array_equal(arrays["level"], np.array([1, 0.5], np.float32))
    assert arrays["level"].dtype == np.float32
    assert arrays["name_bytes"].tolist() == [[b"a", b"\xff"], ["ä".encode(), b""]]


def test_rows_and_columns_say_the_same(signature):
    check(to_arrays({"instances": ROWS}, signature))
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    check(to_arrays({"inputs": columns}, signature))


def test_padding_of_base64_may_be_left_out(signature):
    rows = {"instances": [{"level": 1, "name_bytes": [{"b64": "/w"}, ""]}]}
    assert to_arrays(rows, signature)["name_bytes"].tolist() == [[b"\xff", b""]]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([1, 2], "values by name"),
        ([ROWS[0], 2], "everywhere or nowhere"),
        ([ROWS[0], {"level": 1}], "same names"),
        ([{"level": 1}], "Missing: name_bytes"),
        ([{**ROWS[0], "name_bytes": "a"}, ROWS[1]], "or a string"),
        ([{**ROWS[0], "name_bytes": ["a", None]}], "b64"),
        ([{**ROWS[0], "name_bytes": ["a", {"b64": 5}]}], "b64"),
        ([{**ROWS[0], "level": "1"}], "strings"),
        ([{**ROWS[0], "level": True}], "booleans"),
        ([{**ROWS[0], "level": None}], "mixed"),
    ],
)
def test_wrong_rows_are_told(signature, rows, words):
    with pytest.raises(Refusal, match=words) as caught:
        to_arrays({"instances": rows}, signature)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_lists_inside_lists_have_an_end(signature):
    deep = "a"
    for _ in range(40):
        deep = [deep]
    with pytest.raises(Refusal, match="at most 16 lists"):
        to_arrays({"inputs": {"level": [1], "name_bytes": deep}}, signature)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b'"a"', b"{}", b'{"instances": [Infinity]}', b"1" * 10_000]
)
def test_bodies_that_are_no_requests(body):
    with pytest.raises(Refusal):
        parse(body)
    with pytest.raises(Refusal, match="signature_name"):
        parse(b'{"instances": [], "signature_name": 5}')


def test_answers():
    outputs = {"level": np.array([1, 2], np.uint8), "photo_bytes": np.array([b"\xff", b""], object)}
    rows = json.loads(to_json(outputs, rows=True))
    assert rows == {
        "predictions": [
            {"level": 1, "photo_bytes": {"b64": "/w=="}},
            {"level": 2, "photo_bytes": {"b64": ""}},
        ]
    }
    columns = json.loads(to_json(outputs, rows=False))
    assert columns == {"outputs": {"level": [1, 2], "photo_bytes": [{"b64": "/w=="}, {"b64": ""}]}}
    words = {"words": np.array(["ä".encode()], object)}
    assert json.loads(to_json(words, rows=True)) == {"predictions": ["ä"]}


@pytest.mark.parametrize("array", [np.array([np.nan]), np.array([b"\xff"], object)])
def test_answers_without_a_form_in_json(array):
    with pytest.raises(Refusal) as caught:
        to_json({"x": array}, rows=True)
    assert caught.value.code == "INTERNAL"
