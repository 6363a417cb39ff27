"""What is written of whole pictures; of single faces see `test_folder`."""

import json

import numpy as np
import pictures
import pytest
from PIL import Image
from skimage.data import astronaut

from ifrp_tf import folder, images
from ifrp_tf.errors import ModelError
from ifrp_tf.face_detector import Mtcnn
from ifrp_tf.intake import Task
from ifrp_tf.options import Options
from ifrp_tf.outputs import answer, flip_averaged

SIDE = 32


@pytest.fixture(scope="module")
def detector():
    return Mtcnn()


@pytest.fixture
def given(tmp_path):
    """A pair, a face that is too small, and a picture without any."""
    one = astronaut()[20:276, 96:352]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "pair.png").write_bytes(pictures.save(np.hstack([one, one[:, ::-1]]), "PNG"))
    tiny = astronaut().reshape(128, 4, 128, 4, 3).mean((1, 3)).astype(np.uint8)
    (tmp_path / "in" / "tiny.png").write_bytes(pictures.save(tiny, "PNG"))
    (tmp_path / "in" / "zero.png").write_bytes(pictures.save(np.full((90, 90, 3), 90, np.uint8), "PNG"))
    return tmp_path / "in"


def recover(given, output, detector, network=lambda portraits: 255 - portraits, **options):
    task = {name: options.pop(name) for name in ("side_by_side", "overwrite") if name in options}
    chosen = Options(faces="auto", **options)
    with folder.opened(given, output) as work:
        job = Task(output, SIDE, "m", options=chosen, detector=detector, **task)
        report = folder.process(network, work, job, "ifrp/1")
    return report, json.loads((output / "report.json").read_text())["pictures"]


def visible(output):
    return sorted(path.name for path in output.iterdir() if path.name[0] != ".")


def test_every_face_is_written_and_pasted_and_a_second_run_skips(given, tmp_path, detector):
    output = tmp_path / "out"
    report, (pair, tiny, zero) = recover(given, output, detector, paste=True, side_by_side=True)
    assert (report.recovered, report.failed) == (2, 1)
    assert visible(output) == [
        "pair_face1_recovered.png", "pair_face1_side_by_side.png", "pair_face2_recovered.png",
        "pair_face2_side_by_side.png", "pair_pasted.png", "report.json",
        "zero_face1_recovered.png", "zero_face1_side_by_side.png",
    ]  # fmt: skip
    assert [one["recovered"] for one in pair["faces"]] == [
        "pair_face1_recovered.png",
        "pair_face2_recovered.png",
    ]
    assert pair["faces"][0]["box"][0] < 256 < pair["faces"][1]["box"][0]
    assert all({"box", "landmarks", "score", "found_by", "recovered"} <= set(one) for one in pair["faces"])
    assert pair["pasted"] == "pair_pasted.png"
    assert (tiny["status"], tiny["reason"]) == ("failed", "too_small")
    assert tiny["faces"][0]["recovered"] is None
    assert zero["faces"][0]["found_by"] == "whole"
    assert "pasted" not in zero
    assert images.read(output / "pair_face1_side_by_side.png").pixels.shape == (36, 3 * 34 + 2, 3)
    for name in visible(output):
        if name.endswith(".png"):
            with Image.open(output / name) as image:
                assert image.info == {"ifrp_tf": "generated face, not evidence; model ifrp/1; sha256 m"}
    before = images.read(given / "pair.png").pixels
    pasted = images.read(output / "pair_pasted.png").pixels
    assert pasted.shape == before.shape
    assert np.abs(pasted.astype(int) - before).max() > 20
    np.testing.assert_array_equal(pasted[-8:], before[-8:])

    (output / "zero_face1_recovered.png").unlink()
    again, entries = recover(given, output, detector, paste=True, side_by_side=True)
    assert (again.recovered, again.skipped, again.failed) == (1, 1, 1)
    assert entries[0]["faces"] == pair["faces"]
    assert entries[0]["pasted"] == "pair_pasted.png"


def test_uncertainty_is_written_of_every_face_and_changes_no_other_output(given, tmp_path, detector):
    source, plain, output = given / "pair.png", tmp_path / "plain", tmp_path / "out"
    boxes = ((90.0, 50.0, 130.0, 150.0), (300.0, 50.0, 130.0, 150.0), (5.0, 5.0, 9.0, 9.0))
    options = {"boxes": boxes, "paste": True, "side_by_side": True}
    recover(source, plain, detector, **options)
    report, (pair,) = recover(source, output, detector, uncertainty=True, **options)
    assert (report.recovered, report.failed) == (1, 0)
    for path in plain.glob("*.png"):
        assert (output / path.name).read_bytes() == path.read_bytes()
    assert sorted(set(visible(output)) - set(visible(plain))) == [
        "pair_face1_uncertainty.png", "pair_face2_uncertainty.png",
    ]  # fmt: skip
    numbers = [one.get("uncertainty_value") for one in pair["faces"]]
    assert numbers[2] is None  # too small
    assert all(0.05 < number < 1 for number in numbers[:2])  # a network that does not align the face
    assert pair["faces"][1]["uncertainty"] == "pair_face2_uncertainty.png"
    with Image.open(output / "pair_face1_uncertainty.png") as image:
        assert image.size == (SIDE, SIDE)
        assert image.info["ifrp_tf"].startswith("generated face, not evidence")
    again, (entry,) = recover(source, output, detector, uncertainty=True, **options)
    assert (again.recovered, again.skipped) == (0, 1)
    assert entry["faces"] == pair["faces"]


def test_uncertainty_is_added_to_a_finished_folder_and_a_face_without_an_answer_fails_alone(tmp_path):
    (tmp_path / "in").mkdir()
    for name, level in (("dark", 0), ("light", 200)):
        data = pictures.save(np.full((40, 40, 3), level, np.uint8), "PNG")
        (tmp_path / "in" / f"{name}.png").write_bytes(data)

    def network(portraits):
        if (portraits == 200).all(axis=(1, 2, 3)).any() and len(np.unique(portraits, axis=0)) > 2:
            raise ModelError("not finite")
        return 255 - portraits

    def run(**options):
        with folder.opened(tmp_path / "in", tmp_path / "out") as work:
            return folder.process(network, work, Task(tmp_path / "out", SIDE, "m", **options), "ifrp/1")

    assert run().recovered == 2
    report = run(options=Options(uncertainty=True))
    assert (report.recovered, report.skipped, report.failed) == (1, 0, 1)
    dark, light = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    assert dark["faces"][0]["uncertainty"] == "dark_uncertainty.png"
    assert (light["status"], light["reason"]) == ("failed", "not_recovered")
    assert run().skipped == 2


def test_other_options_replace_only_when_asked(given, tmp_path, detector):
    source, output = given / "pair.png", tmp_path / "out"
    recover(source, output, detector)
    report, (entry,) = recover(source, output, detector, paste=True, strength=0.5)
    assert (report.failed, entry["reason"]) == (1, "output_exists")
    report, _ = recover(source, output, detector, paste=True, strength=0.5, overwrite=True)
    assert report.recovered == 1


def test_boxes_take_the_place_of_finding(given, tmp_path, detector):
    box = (10.0, 10.0, 64.0, 64.0)
    report, (entry,) = recover(given / "zero.png", tmp_path / "out", detector, boxes=(box,), paste=True)
    assert (report.recovered, entry["faces"][0]["found_by"], entry["pasted"]) == (1, "box", "zero_pasted.png")
    report, (entry,) = recover(
        given / "zero.png", tmp_path / "far", detector, boxes=((100.0, 0.0, 9.0, 9.0),)
    )
    assert (report.failed, entry["reason"]) == (1, "box_outside")


def test_no_face_and_no_fallback_is_a_failure(given, tmp_path, detector):
    report, (entry,) = recover(given / "zero.png", tmp_path / "out", detector, fallback=False)
    assert (report.failed, entry["reason"], report.exit_code) == (1, "no_face", 1)


def test_an_input_that_changes_meanwhile_is_not_pasted_into(given, tmp_path, detector):
    def network(portraits):
        (given / "pair.png").write_bytes(pictures.save(astronaut(), "PNG"))
        return portraits

    report, (entry,) = recover(given / "pair.png", tmp_path / "out", detector, network, paste=True)
    assert (report.failed, entry["reason"]) == (1, "not_written")
    assert "changed" in entry["message"]
    assert visible(tmp_path / "out") == ["report.json"]


def test_answers_come_in_full_batches():
    shapes = []

    def network(portraits):
        shapes.append(portraits.shape)
        if (portraits == 7).all(axis=(1, 2, 3)).any():
            raise ModelError("not finite")
        return 255 - portraits

    portraits = [np.full((4, 4, 3), k, np.uint8) for k in range(20)]
    answers = answer(network, portraits)
    assert [k for k, one in enumerate(answers) if isinstance(one, ModelError)] == [7]
    assert [255 - one[0, 0, 0] for one in answers if not isinstance(one, ModelError)] == [
        k for k in range(20) if k != 7
    ]
    assert set(shapes) == {(16, 4, 4, 3)}
    assert answer(network, []) == []


def test_the_average_with_the_mirrored_answer():
    ramp = np.arange(16, dtype=np.uint8).reshape(1, 1, 16, 1).repeat(4, 1).repeat(3, 3)
    symmetric = flip_averaged(lambda portraits: portraits)(ramp)
    np.testing.assert_array_equal(symmetric, ramp)  # a network that mirrors with its input gives one answer
    shifted = flip_averaged(lambda portraits: np.roll(portraits, 1, axis=2))(ramp)
    np.testing.assert_array_equal(shifted[0, 0, 1:-1, 0], ramp[0, 0, 1:-1, 0])
    assert flip_averaged(lambda p: np.full_like(p, 255))(ramp).min() == 255
