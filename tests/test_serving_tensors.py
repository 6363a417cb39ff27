"""Protos to arrays and back, and protos that do not hold what they say."""

import numpy as np
import pytest
import served
import tensorflow as tf
from served import portraits

from ifrp_tf.served_model import ServedModel
from ifrp_tf.serving_status import Refusal
from ifrp_tf.serving_tensors import read_tensors, write_tensor


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
