"""Tests of `benchmarks/detectors` and `benchmarks/empties`."""

import itertools
import json

import numpy as np
import pytest

from benchmarks import detectors, empties, run
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures.geometry import Face, Place


@pytest.mark.slow
def test_a_table_of_what_is_found(data_dir, tmp_path, capsys):
    path = tmp_path / "d.json"
    given = {"count": 1, "turns": [0, 180], "scores": [0.0, 0.99], "json_file": str(path)}
    assert run.run_detectors(str(data_dir), ["blazeface"], **given) == 0
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == 2 * 7  # three sets in two turns, and one without faces
    assert "right way up" in capsys.readouterr().out
    kept = [row for row in rows if row["score"] == 0]
    assert sum(row["right"] for row in kept if row["pictures"] != "none") >= 4  # of 6: one is a print
    assert all(row["seconds"] > 0 for row in rows)
    assert all(row["right"] == row["false"] == 0 for row in rows if row["score"] == 0.99)
    with pytest.raises(ConfigError, match="eyes"):
        run.run_detectors(str(data_dir), ["eyes"])


def test_finds_are_right_another_way_up_or_false():
    expected = Place(100, 100, 80, 180)
    places = [Place(101, 99, 84, -170), Place(100, 100, 80, 0), Place(300, 100, 80, 180)]
    found = [([Face(place, None, 0.8, "")], expected, 0.1) for place in places]
    assert detectors._judged(found, 0.0) == {"right": 1, "wrong_way_up": 1, "false": 1}
    assert detectors._judged(found, 0.9) == {"right": 0, "wrong_way_up": 0, "false": 0}
    assert detectors._judged([([Face(places[0], None, 0.8, "")], None, 0.1)], 0.0)["false"] == 1


def test_there_are_two_hundred_pictures_without_a_face_always_the_same(data_dir):
    first = dict(empties.pictures(data_dir / "styles"))
    second = dict(itertools.islice(empties.pictures(data_dir / "styles"), 12))
    assert len(first) >= 200
    assert all(pixels.dtype == np.uint8 and pixels.ndim == 3 for pixels in first.values())
    assert all((first[name] == second[name]).all() for name in second)
