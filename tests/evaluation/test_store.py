"""Tests of `evaluation/store`."""

import json

import numpy as np
import pytest

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.evaluation import store
from ifrp_tf.evaluation.pairs import Problem
from ifrp_tf.evaluation.store import DetectedRow, FailedRow, GalleryRow, Journal, PairRow, PhotoRow, Scores

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
    line = json.dumps(store.encode(row), allow_nan=False)  # strict JSON: neither NaN nor Infinity
    assert "\n" not in line
    read = store.decode(json.loads(line))
    assert type(read) is type(row)
    for name, value in vars(row).items():
        if isinstance(value, np.ndarray):
            assert getattr(read, name).dtype == np.float32
            np.testing.assert_array_equal(getattr(read, name), value)
        else:
            assert getattr(read, name) == value


@pytest.mark.parametrize(
    "line", [{}, [], {"kind": "other"}, {"kind": "photo"}, {**store.encode(PAIR), "model": 3}]
)
def test_what_is_no_row_is_refused(line):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        store.decode(line)


def test_a_failure_is_a_problem():
    assert ROWS[4].problem == Problem("p/oil/c.png", "truncated", "expected more.")


SETTINGS = {"model": "ab", "protocol": {"seed": 1}}


def row(name, value=1.0):
    return GalleryRow(name, np.full(3, value, np.float32))


def test_rows_are_there_when_it_is_opened_again(tmp_path):
    path = tmp_path / "new" / "r.rows.jsonl"
    with Journal(path, SETTINGS) as journal:
        assert journal.resumed == 0
        journal.add([row("a"), FailedRow("/", "b", "g/b.png", "corrupt", "bad.")])
    with Journal(path, SETTINGS) as journal:
        assert journal.resumed == 2
        assert journal.done(GalleryRow, "", "a")
        assert journal.done(GalleryRow, "", "b"), "it failed before, so it is not tried again"
        assert not journal.done(GalleryRow, "", "c")
        assert not journal.done(PairRow, "oil", "b")
        assert [found.name for found in journal.of(GalleryRow)] == ["a"]
        assert journal.get(GalleryRow, "", "b") is None
        np.testing.assert_array_equal(journal.get(GalleryRow, "", "a").vector, np.ones(3))


def test_a_row_that_is_there_is_kept(tmp_path):
    with Journal(tmp_path / "r", SETTINGS) as journal:
        journal.add([row("a", 1.0)])
        journal.add([row("a", 2.0), row("b", 2.0)])
    with Journal(tmp_path / "r", SETTINGS) as journal:
        assert journal.get(GalleryRow, "", "a").vector[0] == 1.0
        assert journal.resumed == 2


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_that_a_kill_cut_is_dropped_and_written_again(tmp_path, cut):
    path = tmp_path / "r"
    with Journal(path, SETTINGS) as journal:
        journal.add([row("a"), row("b")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with Journal(path, SETTINGS) as journal:
        assert [found.name for found in journal.of(GalleryRow)] == ["a"]
        journal.add([row("b")])
    assert path.read_bytes() == whole


def test_a_line_damaged_inside_costs_itself(tmp_path):
    path = tmp_path / "r"
    with Journal(path, SETTINGS) as journal:
        journal.add([row("a"), row("b")])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"kind": "gal\xff\n' + lines[2])
    with Journal(path, SETTINGS) as journal:
        assert [found.name for found in journal.of(GalleryRow)] == ["b"]


@pytest.mark.parametrize("content", [b"", b"no header\n", b'{"settings"'])
def test_other_settings_or_another_file_begin_anew(tmp_path, content):
    path = tmp_path / "r"
    with Journal(path, SETTINGS) as journal:
        journal.add([row("a")])
    with Journal(path, {**SETTINGS, "model": "cd"}) as journal:
        assert journal.resumed == 0
        journal.add([row("b")])
    assert json.loads(path.read_text().splitlines()[0]) == {"settings": {**SETTINGS, "model": "cd"}}
    path.write_bytes(content)
    with Journal(path, SETTINGS) as journal:
        assert journal.resumed == 0
        journal.add([row("c")])
    with Journal(path, SETTINGS) as journal:
        assert journal.resumed == 1


def test_two_at_once_are_kept_apart(tmp_path):
    pytest.importorskip("fcntl")
    with (
        Journal(tmp_path / "r", SETTINGS),
        pytest.raises(DataError, match="another evaluation is at work"),
        Journal(tmp_path / "r", SETTINGS),
    ):
        pass


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="Expected to write to"):
        Journal(tmp_path / "file" / "r", SETTINGS)
