"""Tests of `recovery/manifest`."""

import json
from pathlib import Path

import pictures
import pytest

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.files import list_pictures
from ifrp_tf.recovery.manifest import MANIFEST, Made, Manifest, ReportWriter, bases, plan

MADE = Made("a" * 64, 10, 123, "m", ("x_recovered.png",), (0, 0, 3, 4), ("note",))
LATER = Made("b" * 64, 11, 124, "m", ("y_recovered.png",), (0, 0, 3, 4), ())


def test_the_last_line_of_an_input_counts_and_every_output_is_remembered(tmp_path):
    with Manifest(tmp_path / "new" / "out") as manifest:
        assert manifest.get("x.png") is None
        manifest.add("x.png", MADE)
        manifest.add("שלום \udcff.png", MADE)
        manifest.add("x.png", LATER)
        assert manifest.get("x.png") == LATER
    with Manifest(tmp_path / "new" / "out") as manifest:
        assert manifest.get("x.png") == LATER
        assert manifest.get("שלום \udcff.png") == MADE
        assert manifest.outputs() == {"x_recovered.png", "y_recovered.png"}


@pytest.mark.parametrize(
    "junk", ['{"input": "z.png", "sha', "junk\n", "[1]\n", '{"input": "z.png"}\n', "\xff\0\n"]
)
def test_lines_cut_or_damaged_are_passed_over(tmp_path, junk):
    with Manifest(tmp_path) as manifest:
        manifest.add("x.png", MADE)
    with open(tmp_path / MANIFEST, "a", encoding="latin-1") as file:
        file.write(junk)
    with Manifest(tmp_path) as manifest:
        assert manifest.get("z.png") is None
        manifest.add("y.png", LATER)
    with Manifest(tmp_path) as manifest:
        assert manifest.get("x.png") == MADE
        assert manifest.get("y.png") == LATER


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    with Manifest(tmp_path), pytest.raises(DataError, match="another run"):
        Manifest(tmp_path)
    with Manifest(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_to_is_wrong_usage(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/out")):
        with pytest.raises(ConfigError, match="can be written to"):
            Manifest(folder)


def test_the_report_is_json_and_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("before")
    for entries in ([], [{"input": "a"}], [{"input": "é \ud83c"}, {"input": "b"}]):
        writer = ReportWriter(path, {"model": {"name": "ifrp/1"}})
        for entry in entries:
            writer.add([entry])
        writer.add([])
        before = path.read_text()
        writer.close({"counts": {"failed": 0}, "interrupted": False})
        assert path.read_text() != before
        writer.discard()
        assert json.loads(path.read_text()) == {
            "model": {"name": "ifrp/1"},
            "pictures": entries,
            "counts": {"failed": 0},
            "interrupted": False,
        }
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_discarded_report_leaves_nothing(tmp_path):
    writer = ReportWriter(tmp_path / "report.json", {"model": None})
    writer.add([{"input": "a"}])
    writer.discard()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not be written"):
        ReportWriter(tmp_path / "file" / "report.json", {})


SCENE = pictures.scene(60, 40)


def stems(folder, output="out", made=frozenset()):
    return {job.key: job.stem for job in plan([(Path(folder), list_pictures(folder))], output, made)}


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures.save(SCENE, "PNG"))


def test_the_tree_is_mirrored_and_suffixes_are_dropped(tmp_path):
    touch(tmp_path, "a.png", "b [1]/a.JPG", "b [1]/No. 5", "b [1]/No. 6", "c/notes.txt")
    assert stems(tmp_path) == {
        "a.png": "a",
        "b [1]/a.JPG": "b [1]/a",
        "b [1]/No. 5": "b [1]/No. 5",
        "b [1]/No. 6": "b [1]/No. 6",
        "c/notes.txt": "c/notes.txt",
    }


def test_inputs_that_share_a_stem_do_not_share_an_output(tmp_path):
    touch(tmp_path, "x.jpg", "x.png", "X.webp", "x_jpg.png", "y.png", "sub/x.png")
    found = stems(tmp_path)
    assert found["y.png"] == "y"
    assert found["sub/x.png"] == "sub/x"
    assert found["x.png"] == "x_png"
    assert found["X.webp"] == "X_webp"
    assert {found["x.jpg"], found["x_jpg.png"]} == {"x_jpg", "x_jpg_2"}
    assert len({stem.casefold() for stem in found.values()}) == 6


def test_no_output_takes_the_name_of_an_input(tmp_path):
    touch(tmp_path, "x.png", "x_recovered.png")
    assert stems(tmp_path, tmp_path) == {"x.png": "x_2", "x_recovered.png": "x_recovered"}
    assert stems(tmp_path, tmp_path.parent / "out") == {"x.png": "x", "x_recovered.png": "x_recovered"}


def test_outputs_of_earlier_runs_are_no_inputs(tmp_path):
    touch(tmp_path, "x.png", "x_recovered.png", "sub/y.png", "sub/y_recovered.png", "report.json")
    touch(tmp_path, "report.csv", "gallery.html", "contact_sheet_2.png", "gallery/0123456789ab_faces.png")
    made = frozenset({"x_recovered.png", "sub/y_recovered.png"})
    assert stems(tmp_path, tmp_path, made) == {"x.png": "x", "sub/y.png": "sub/y"}


def test_files_and_patterns_have_a_root_too(tmp_path, monkeypatch):
    touch(tmp_path, "in/a/x.png", "in/b/x.png", "in/b/y.jpg")
    assert stems(tmp_path / "in" / "b" / "x.png") == {"x.png": "x"}
    assert stems(tmp_path / "in" / "*" / "x.png") == {"a/x.png": "a/x", "b/x.png": "b/x"}
    monkeypatch.chdir(tmp_path)
    assert stems("in/**/*.jpg") == {"b/y.jpg": "b/y"}
    assert stems("*/b/*") == {"in/b/x.png": "in/b/x", "in/b/y.jpg": "in/b/y"}


@pytest.mark.parametrize("name", ["x_pasted.png", "x_pasted.jpg"])
def test_a_pasted_picture_takes_no_name_of_an_input(tmp_path, name):
    touch(tmp_path, "x.png", name)
    assert stems(tmp_path, tmp_path) == {"x.png": "x_2", name: "x_pasted"}


def test_pages_are_jobs_of_their_own_and_take_no_name_of_an_input(tmp_path):
    touch(tmp_path, "x.tif", "x_page2.png")
    found = [(tmp_path, list_pictures(tmp_path))]
    jobs = plan(found, "out", pages=lambda path: (2, 5) if path.suffix == ".tif" else (0,))
    assert [(job.key, job.stem, job.page) for job in jobs] == [
        ("x.tif#page2", "x_page2", 2), ("x.tif#page5", "x_page5", 5), ("x_page2.png", "x_page2_2", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["uncertainty", "answers", "crop"])
def test_what_is_made_beside_a_face_takes_no_name_of_an_input(tmp_path, kind):
    touch(tmp_path, "x.png", f"x_{kind}.png")
    assert stems(tmp_path, tmp_path) == {"x.png": "x_2", f"x_{kind}.png": f"x_{kind}"}


def test_what_the_files_of_faces_are_called():
    found, small, whole = (
        {"found_by": "mtcnn"},
        {"found_by": "mtcnn", "reason": "too_small"},
        {"found_by": "whole"},
    )
    assert bases("a/x", []) == bases("a/x", [whole]) == bases("a/x", [{"box": [0, 0, 3, 4]}]) == ["a/x"]
    assert bases("x", [found, small, found]) == ["x_face1", "", "x_face3"]
    assert bases("x", [whole], {"x_face1_recovered.png"}) == ["x_face1"]  # manifests of earlier versions
