import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pictures
import pytest

from ifrp_tf import images
from ifrp_tf.intake import Task, is_output, prepare
from ifrp_tf.ledger import Made
from ifrp_tf.naming import plan
from ifrp_tf.options import Options

SCENE = pictures.scene(60, 40)


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures.save(SCENE, "PNG"))


def job_of(path, output):
    (job,) = plan(path, [path], output)
    return job


def test_a_portrait_is_read_upright_and_letterboxed(tmp_path):
    path = tmp_path / "phone.png"
    path.write_bytes(pictures.with_exif("JPEG", 6, SCENE))
    intake = prepare(job_of(path, tmp_path / "out"), Task(tmp_path / "out", 32, "m", side_by_side=True), None)
    picture = images.read(path)
    np.testing.assert_array_equal(intake.portraits, images.letterbox(picture.pixels, 32)[None])
    assert intake.places == (None,)
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
        assert (intake.portraits is None) == (intake.status != "recovered")
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


def test_uncertainty_is_added_to_what_was_made_before(case):
    assert case.status(options=Options(uncertainty=True)) == ("recovered", "")


def test_the_numbers_of_uncertainty_stand_with_the_faces_that_have_a_picture_of_it(case):
    with_it = replace(case.made, outputs=("x_recovered.png", "x_uncertainty.png"), uncertainty=(7.25,))
    intake = prepare(job_of(case.path, case.output), Task(case.output, 32, "m"), with_it)
    assert intake.status == "skipped"
    (face,) = intake.entry()["faces"]
    assert (face["uncertainty"], face["uncertainty_value"]) == ("x_uncertainty.png", 7.25)
    faces = ({"found_by": "box"}, {"found_by": "box", "reason": "too_small"}, {"found_by": "box"})
    files = tuple(f"x_face{k}_{kind}.png" for k in (1, 3) for kind in ("recovered", "uncertainty"))
    intake.made = replace(with_it, faces=faces, outputs=files, uncertainty=(3.5, 9.0))
    assert [one.get("uncertainty_value") for one in intake.entry()["faces"]] == [3.5, None, 9.0]
    # A run that makes the face again keeps what is known of the same file, model and options.
    (case.output / "x_recovered.png").unlink()
    again = prepare(job_of(case.path, case.output), Task(case.output, 32, "m"), with_it)
    assert (again.status, again.made.uncertainty) == ("recovered", (7.25,))
    other = prepare(job_of(case.path, case.output), Task(case.output, 32, "other"), with_it)
    assert (other.status, other.made.uncertainty) == ("recovered", ())


def test_an_output_of_another_input_or_model_is_not_replaced_unasked(case):
    assert case.status(model="other") == ("failed", "output_exists")
    case.path.write_bytes(pictures.save(SCENE[::-1], "PNG"))
    assert case.status() == ("failed", "output_exists")
    assert case.status(overwrite=True) == ("recovered", "")


def test_other_options_ask_for_other_outputs(case):
    assert case.status(options=Options(flip_average=True)) == ("failed", "output_exists")
    assert case.status(options=Options(flip_average=True), overwrite=True) == ("recovered", "")


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
