import json

import numpy as np
import pytest

from ifrp_tf import rows
from ifrp_tf.pairing import Problem
from ifrp_tf.rows import DetectedRow, FailedRow, GalleryRow, PairRow, PhotoRow, Scores

VECTOR = np.random.default_rng(0).standard_normal(5).astype(np.float32)
SCORES = Scores(15.123456789, 0.5, 0.75)
PHOTO = PhotoRow("a/ü", Scores(float("inf"), 1.0, 1.0), SCORES, VECTOR, VECTOR[::-1])
PAIR = PairRow("oil", "a", -12.5, SCORES, Scores(11.0, -0.1, 0.3), VECTOR, -VECTOR)
ROWS = [
    PHOTO,
    PAIR,
    PairRow("oil", "b", None, SCORES, SCORES, np.zeros(0, np.float32), np.zeros(0, np.float32)),
    GalleryRow("line\nbreak", VECTOR),
    FailedRow("oil", "undecodable \udc80", "p/oil/c.png", "truncated", "expected more."),
    DetectedRow("", "a", True, False),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
def test_a_row_survives_its_line_bit_for_bit(row):
    line = rows.encode(row)
    assert b"\n" not in line
    json.loads(line, parse_constant=pytest.fail)  # strict JSON: neither NaN nor Infinity
    read = rows.decode(line)
    assert type(read) is type(row)
    for name, value in vars(row).items():
        if isinstance(value, np.ndarray):
            assert getattr(read, name).dtype == np.float32
            np.testing.assert_array_equal(getattr(read, name), value)
        else:
            assert getattr(read, name) == value


@pytest.mark.parametrize(
    "line", [b"", b"[]", b'{"kind": "other"}', b'{"kind": "photo"}', rows.encode(PAIR)[:-9]]
)
def test_what_is_no_row_is_refused(line):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        rows.decode(line)


def test_a_failure_is_a_problem():
    assert ROWS[4].problem == Problem("p/oil/c.png", "truncated", "expected more.")
