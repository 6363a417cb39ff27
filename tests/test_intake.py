import os
import shutil
from pathlib import Path

import numpy as np
import pictures
import pytest

from ifrp_tf import images
from ifrp_tf.files import list_pictures
from ifrp_tf.intake import Task, is_output, plan, prepare
from ifrp_tf.ledger import Made

SCENE = pictures.scene(60, 40)


def stems(folder, output="out", made=frozenset()):
    return {job.key: job.stem for job in plan(folder, list_pictures(folder), output, made)}


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures.save(SCENE, "PNG"))


def job_of(path, output):
    (job,) = plan(path, [path], output)
    return job


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
    made = frozenset({"x_recovered.png", "sub/y_recovered.png"})
    assert stems(tmp_path, tmp_path, made) == {"x.png": "x", "sub/y.png": "sub/y"}


def test_files_and_patterns_have_a_root_too(tmp_path, monkeypatch):
    touch(tmp_path, "in/a/x.png", "in/b/x.png", "in/b/y.jpg")
    assert stems(tmp_path / "in" / "b" / "x.png") == {"x.png": "x"}
    assert stems(tmp_path / "in" / "*" / "x.png") == {"a/x.png": "a/x", "b/x.png": "b/x"}
    monkeypatch.chdir(tmp_path)
    assert stems("in/**/*.jpg") == {"b/y.jpg": "b/y"}
    assert stems("*/b/*") == {"in/b/x.png": "in/b/x", "in/b/y.jpg": "in/b/y"}


def test_a_portrait_is_read_upright_and_letterboxed(tmp_path):
    path = tmp_path / "phone.png"
    path.write_bytes(pictures.with_exif("JPEG", 6, SCENE))
    intake = prepare(job_of(path, tmp_path / "out"), Task(tmp_path / "out", 32, "m", side_by_side=True), None)
    picture = images.read(path)
    np.testing.assert_array_equal(intake.portrait, images.letterbox(picture.pixels, 32))
    assert intake.entry() == {
        "input": str(path),
        "status": "recovered",
        "reason": "",
        "message": "",
        "notes": ["JPEG data in a .png file", "exif orientation 6 applied"],
        "faces": [
            {
                "box": [0, 0, 60, 40],
                "recovered": "phone_recovered.png",
                "side_by_side": "phone_side_by_side.png",
            }
        ],
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just text", "not_an_image"),
        (pictures.save(SCENE, "JPEG")[:400], "truncated"),
        (pictures.png_bomb(), "too_large"),
        (pictures.save(SCENE[:9], "PNG"), "too_small"),
        (None, "missing"),
    ],
)
def test_a_bad_file_becomes_an_entry(tmp_path, data, reason):
    path = tmp_path / "bad.jpg"
    path.write_bytes(data or b"")
    job = job_of(path, tmp_path / "out")
    if data is None:
        path.unlink()
    entry = prepare(job, Task(tmp_path / "out", 32, "m"), None).entry()
    assert (entry["status"], entry["reason"], entry["faces"]) == ("failed", reason, [])
    assert entry["message"]


class Case:
    """An input whose output was made before."""

    def __init__(self, folder):
        self.output = folder / "out"
        touch(folder, "x.png")
        touch(self.output, "x_recovered.png")
        self.path = folder / "x.png"
        made = prepare(job_of(self.path, self.output), Task(self.output, 32, "m", overwrite=True), None).made
        assert isinstance(made, Made)
        self.made = made

    def status(self, *, model="m", **options):
        intake = prepare(job_of(self.path, self.output), Task(self.output, 32, model, **options), self.made)
        assert (intake.portrait is None) == (intake.status != "recovered")
        return intake.status, intake.reason


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def test_what_was_made_before_is_skipped(case):
    assert case.status() == ("skipped", "up_to_date")


def test_what_was_touched_or_copied_but_not_changed_is_skipped(case):
    os.utime(case.path, (1, 1))
    assert case.status() == ("skipped", "up_to_date")


def test_overwriting_makes_everything_anew(case):
    assert case.status(overwrite=True) == ("recovered", "")


def test_a_missing_output_is_made_again(case):
    (case.output / "x_recovered.png").unlink()
    assert case.status() == ("recovered", "")


def test_another_kind_of_output_is_added(case):
    assert case.status(side_by_side=True) == ("recovered", "")


def test_an_output_of_another_input_or_model_is_not_replaced_unasked(case):
    assert case.status(model="other") == ("failed", "output_exists")
    case.path.write_bytes(pictures.save(SCENE[::-1], "PNG"))
    assert case.status() == ("failed", "output_exists")
    assert case.status(overwrite=True) == ("recovered", "")


def test_a_file_that_this_package_did_not_make_is_not_replaced_unasked(case):
    shutil.copy(case.path, case.output / "x_side_by_side.png")
    assert case.status(side_by_side=True) == ("failed", "output_exists")


def test_an_output_among_the_inputs_is_recognised_without_a_manifest(tmp_path):
    path = tmp_path / "x_recovered.png"
    images.write_png(path, SCENE, text={"ifrp_tf": "generated"})
    assert is_output(path.read_bytes())
    assert not is_output(pictures.save(SCENE, "PNG"))
    intake = prepare(job_of(path, tmp_path), Task(tmp_path, 32, "m"), None)
    assert (intake.status, intake.reason) == ("skipped", "generated")
    assert (
        prepare(job_of(path, tmp_path / "out"), Task(tmp_path / "out", 32, "m"), None).status == "recovered"
    )
    assert Path(intake.entry()["input"]) == path
