"""Tests of `serving/codec`."""

import json

import numpy as np
import pytest
import served
import tensorflow as tf
from served import portraits

from ifrp_tf.serving.codec import parse, read_tensors, to_arrays, to_json, write_tensor
from ifrp_tf.serving.model import ServedModel
from ifrp_tf.serving.signature import Refusal, Signature, Spec

# ---- Protos to arrays and back, and protos that do not hold what they say ----


@pytest.fixture(scope="module")
def signature():
    return ServedModel("toy", 1, served.released() / "1").signature("")


def proto(dtype=tf.uint8, shape=(), **fields):
    made = tf.make_tensor_proto(0)
    made.Clear()
    made.dtype = dtype.as_datatype_enum
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    for name, value in fields.items():
        setattr(made, name, value) if isinstance(value, bytes) else getattr(made, name).extend(value)
    return made


def test_both_spellings_and_filling(signature):
    pictures = portraits(2)
    written = tf.make_tensor_proto(0)
    write_tensor(written, pictures)
    np.testing.assert_array_equal(read_tensors({"portrait": written}, signature)["portrait"], pictures)
    numbers = proto(shape=pictures.shape, int_val=pictures.reshape(-1).tolist())
    np.testing.assert_array_equal(read_tensors({"portrait": numbers}, signature)["portrait"], pictures)
    filled = read_tensors({"portrait": proto(shape=(2, 4), int_val=[7])}, signature)["portrait"]
    np.testing.assert_array_equal(filled, np.full((2, 4), 7, np.uint8))
    write_tensor(written, np.array([b"\0\xff", b""], object))
    assert list(written.string_val) == [b"\0\xff", b""]


BAD = {
    "huge": proto(shape=(2**40, 2**40), int_val=[1]),
    "large": proto(shape=(2**23,), int_val=[1]),
    "negative": proto(shape=(-1, 3), int_val=[1]),
    "short": proto(shape=(4,), tensor_content=b"abc"),
    "long": proto(shape=(2,), tensor_content=b"abc"),
    "resource": proto(tf.resource),
    "quantised": proto(tf.variant, shape=(1,)),
}


@pytest.mark.parametrize("case", BAD)
def test_protos_that_lie(signature, case):
    with pytest.raises(Refusal, match="portrait: expected a tensor") as caught:
        read_tensors({"portrait": BAD[case]}, signature)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_unknown_names_are_refused_before_anything_is_made(signature):
    with pytest.raises(Refusal, match="unknown: 1000"):
        read_tensors({f"x{number}": BAD["huge"] for number in range(1000)}, signature)


def test_a_type_that_does_not_exist(signature):
    bad = proto()
    bad.dtype = 99
    with pytest.raises(Refusal):
        read_tensors({"portrait": bad}, signature)


# ---- Requests and answers in JSON, against a signature of two inputs; the wire: ----


@pytest.fixture
def signature_of_serving_json():
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


def test_rows_and_columns_say_the_same(signature_of_serving_json):
    check(to_arrays({"instances": ROWS}, signature_of_serving_json))
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    check(to_arrays({"inputs": columns}, signature_of_serving_json))


def test_padding_of_base64_may_be_left_out(signature_of_serving_json):
    rows = {"instances": [{"level": 1, "name_bytes": [{"b64": "/w"}, ""]}]}
    assert to_arrays(rows, signature_of_serving_json)["name_bytes"].tolist() == [[b"\xff", b""]]


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
def test_wrong_rows_are_told(signature_of_serving_json, rows, words):
    with pytest.raises(Refusal, match=words) as caught:
        to_arrays({"instances": rows}, signature_of_serving_json)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_lists_inside_lists_have_an_end(signature_of_serving_json):
    deep = "a"
    for _ in range(40):
        deep = [deep]
    with pytest.raises(Refusal, match="at most 16 lists"):
        to_arrays({"inputs": {"level": [1], "name_bytes": deep}}, signature_of_serving_json)


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
