"""Tests of `recovery/folder`."""

import importlib.util
import json
import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pictures
import pytest
import strangers
from PIL import Image
from skimage.data import astronaut

from ifrp_tf.core.errors import ConfigError, DataError, ModelError
from ifrp_tf.pictures import images
from ifrp_tf.pictures.encoding import KEPT, encode_like
from ifrp_tf.recovery import folder
from ifrp_tf.recovery.blazeface import BlazeFace
from ifrp_tf.recovery.folder import Run, answer, is_output
from ifrp_tf.recovery.manifest import Made, Manifest, plan, provenance, write_table
from ifrp_tf.recovery.recoverer import NO_FACE, Options, Recoverer
from ifrp_tf.release.load import BATCH

SCENE = pictures.scene(60, 48)


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures.save(SCENE, "PNG"))


def model_of(network=lambda portraits: 255 - portraits, *, model="m", detector=None):
    return Recoverer(network, side=SIDE, name="ifrp/1", fingerprint=model, detector=detector)


def job_of(path, output):
    (job,) = plan([(path, [path])], output)
    return job


def prepared(path, output, before=None, **task):
    """What a run makes of one input before the network is asked."""
    job, model = job_of(path, output), model_of(model=task.pop("model", "m"))
    with Manifest(output) as manifest:
        if before is not None:
            manifest.add(job.key, before)
        return Run(manifest, [job], model, **task).read(job)


def test_a_portrait_is_read_upright_and_letterboxed(tmp_path):
    path = tmp_path / "phone.png"
    path.write_bytes(pictures.with_exif("JPEG", 6, SCENE))
    intake = prepared(path, tmp_path / "out", side_by_side=True, options=Options(faces="whole"))
    picture = images.read(path)
    np.testing.assert_array_equal(intake.scene.portraits, images.letterbox(picture.pixels, 32)[None])
    assert intake.scene.places == (None,)
    assert intake.entry() == {
        "input": str(path),
        "status": "recovered",
        "reason": "",
        "message": "",
        "notes": ["JPEG data in a .png file", "exif orientation 6 applied"],
        "faces": [
            {
                "box": [0, 0, 60, 48],
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
    if data is None:
        path.unlink()
    entry = prepared(path, tmp_path / "out").entry()
    assert (entry["status"], entry["reason"], entry["faces"]) == ("failed", reason, [])
    assert entry["message"]


class Case:
    """An input whose output was made before."""

    def __init__(self, folder):
        self.output = folder / "out"
        touch(folder, "x.png")
        touch(self.output, "x_recovered.png")
        self.path = folder / "x.png"
        made = prepared(self.path, self.output, overwrite=True).made
        assert isinstance(made, Made)
        self.made = made

    def status(self, *, model="m", **options):
        intake = prepared(self.path, self.output, self.made, model=model, **options)
        assert (intake.scene is None) == (intake.status != "recovered")
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
    intake = prepared(case.path, case.output, with_it)
    assert intake.status == "skipped"
    (face,) = intake.entry()["faces"]
    assert (face["uncertainty"], face["uncertainty_value"]) == ("x_uncertainty.png", 7.25)
    faces = ({"found_by": "box"}, {"found_by": "box", "reason": "too_small"}, {"found_by": "box"})
    files = tuple(f"x_face{k}_{kind}.png" for k in (1, 3) for kind in ("recovered", "uncertainty"))
    intake.made = replace(with_it, faces=faces, outputs=files, uncertainty=(3.5, 9.0))
    assert [one.get("uncertainty_value") for one in intake.entry()["faces"]] == [3.5, None, 9.0]
    # A run that makes the face again keeps what is known of the same file, model and options.
    (case.output / "x_recovered.png").unlink()
    again = prepared(case.path, case.output, with_it)
    assert (again.status, again.made.uncertainty) == ("recovered", (7.25,))
    other = prepared(case.path, case.output, with_it, model="other")
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
    for format in KEPT:
        source = pictures.save(SCENE, format)
        assert is_output(encode_like(SCENE, source, provenance("ifrp/1", "m"))[0])
        assert not is_output(source)
    intake = prepared(path, tmp_path)
    assert (intake.status, intake.reason) == ("skipped", "generated")
    assert prepared(path, tmp_path / "out").status == "recovered"
    assert Path(intake.entry()["input"]) == path


# ---- What is written of whole pictures; of single faces see `test_folder` ----

SIDE = 32


@pytest.fixture(scope="module")
def detector():
    return BlazeFace()


@pytest.fixture
def given(tmp_path):
    """A pair, a face that is too small, and a picture without any."""
    one = astronaut()[20:276, 96:352]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "pair.png").write_bytes(pictures.save(np.hstack([one, one[:, ::-1]]), "PNG"))
    tiny = astronaut().reshape(128, 4, 128, 4, 3).mean((1, 3)).astype(np.uint8)
    (tmp_path / "in" / "tiny.png").write_bytes(pictures.save(tiny, "PNG"))
    (tmp_path / "in" / "zero.png").write_bytes(pictures.save(pictures.scene(90, 90), "PNG"))
    return tmp_path / "in"


def recover(given, output, detector, network=lambda portraits: 255 - portraits, **options):
    task = {name: options.pop(name) for name in ("side_by_side", "overwrite") if name in options}
    chosen = Options(faces="auto", **options)
    with folder.opened(given, output, chosen) as (manifest, jobs):
        report = Run(manifest, jobs, model_of(network, detector=detector), chosen, **task).process()
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
        "zero_recovered.png", "zero_side_by_side.png",
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
    assert (zero["faces"][0]["found_by"], zero["notes"]) == ("whole", [NO_FACE])
    assert [note[:18] for note in pair["notes"]] == [
        "face 1 is enlarged",
        "face 2 is enlarged",
    ]  # from 32 pixels
    assert tiny["notes"] == ["1 of 1 faces too small to recover: below 32 pixels"]
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

    (output / "zero_recovered.png").unlink()
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
    for name, level in (("dark", 0), ("light", 170)):
        levels = np.repeat(np.linspace(level, level + 60, 1600).reshape(40, 40, 1), 3, axis=2)
        data = pictures.save(levels.astype(np.uint8), "PNG")
        (tmp_path / "in" / f"{name}.png").write_bytes(data)

    def network(portraits):
        if portraits[0].min() >= 160 and len(np.unique(portraits, axis=0)) > 2:
            raise ModelError("not finite")
        return 255 - portraits

    def run(**options):
        with folder.opened(tmp_path / "in", tmp_path / "out") as (manifest, jobs):
            return Run(manifest, jobs, model_of(network), **options).process()

    assert run().recovered == 2
    report = run(options=Options(uncertainty=True))
    assert (report.recovered, report.skipped, report.failed) == (1, 0, 1)
    dark, light = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    assert dark["faces"][0]["uncertainty"] == "dark_uncertainty.png"
    assert (light["status"], light["reason"]) == ("failed", "not_recovered")
    assert run().skipped == 2


def test_larger_faces_several_answers_and_what_the_network_saw(given, tmp_path, detector):
    source, output = given / "zero.png", tmp_path / "out"
    options = {"size": 256, "answers": 4, "save_crops": True}
    _, (entry,) = recover(source, output, detector, **options)
    (face,) = entry["faces"]
    for kind in ("recovered", "answers", "crop"):
        assert face[kind] == f"zero_{kind}.png"
        assert is_output((output / face[kind]).read_bytes())
    assert entry["notes"] == ["faces of 32 pixels enlarged to 256 (Lanczos): no detail is added"]
    portrait = images.letterbox(images.read(source).pixels, SIDE)
    larger = np.array(Image.fromarray(255 - portrait).resize((256, 256), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(images.read(output / "zero_recovered.png").pixels, larger)
    np.testing.assert_array_equal(images.read(output / "zero_crop.png").pixels, portrait)
    with Image.open(output / "zero_crop.png") as image:
        assert "not generated" in image.info["ifrp_tf"]
    strip = images.read(output / "zero_answers.png").pixels
    assert strip.shape == (36, 4 * 34 + 2, 3)
    np.testing.assert_array_equal(strip[2:34, 2:34], 255 - portrait)

    assert recover(source, output, detector, **options)[0].skipped == 1
    assert recover(source, output, detector, size=256)[0].skipped == 1
    assert recover(source, output, detector, **{**options, "answers": 5})[0].recovered == 1  # our own, anew
    assert images.read(output / "zero_answers.png").pixels.shape == (36, 5 * 34 + 2, 3)
    for size in (512, None):
        assert recover(source, output, detector, size=size)[1][0]["reason"] == "output_exists"


def test_other_options_replace_only_when_asked(given, tmp_path, detector):
    source, output = given / "pair.png", tmp_path / "out"
    recover(source, output, detector)
    report, (entry,) = recover(source, output, detector, paste=True, strength=0.5)
    assert (report.failed, entry["reason"]) == (1, "output_exists")
    report, _ = recover(source, output, detector, paste=True, strength=0.5, overwrite=True)
    assert report.recovered == 1


def test_a_pasted_picture_keeps_the_format_and_what_its_source_says_and_a_second_run_skips(given, tmp_path):
    pair, box = Image.open(given / "pair.png"), {"boxes": ((90.0, 50.0, 130.0, 150.0),), "paste": True}
    profile, output = pictures.icc(b"RGB ", strangers.SRGB, 1.8, "of a scanner"), given / "sub"
    pair.save(given / "scan.jpg", dpi=(300, 300), icc_profile=profile)
    pair.save(given / "old.gif")
    for name, suffix in (("scan.jpg", "jpg"), ("old.gif", "png")):
        report, (entry,) = recover(given / name, output, nobody, **box)
        assert entry["pasted"] == f"{name[:-4]}_pasted.{suffix}"
        assert recover(given / name, output, nobody, **box)[0].skipped == 1
    with Image.open(output / "scan_pasted.jpg") as made:
        assert (made.format, made.info["dpi"], made.info["icc_profile"]) == ("JPEG", (300, 300), profile)
    pasted = images.read(output / "scan_pasted.jpg").pixels
    changed = np.abs(pasted.astype(int) - images.read(given / "scan.jpg").pixels).mean(-1)
    assert changed[60:190, 100:210].mean() > 10 > 3 > changed[:, 300:].mean()
    (output / "scan_pasted.jpg").unlink()
    assert recover(given / "scan.jpg", output, nobody, **box)[0].recovered == 1

    # Of a folder that an earlier version made, in which everything was a PNG.
    before = Manifest(output).get("scan.jpg")
    (output / "scan_pasted.jpg").rename(output / "scan_pasted.png")
    old = tuple(name.replace("pasted.jpg", "pasted.png") for name in before.outputs)
    with Manifest(output) as manifest:
        manifest.add("scan.jpg", replace(before, outputs=old))
    report, (entry,) = recover(given / "scan.jpg", output, nobody, **box)
    assert (report.skipped, entry["pasted"]) == (1, "scan_pasted.png")
    (output / "scan_face1_recovered.png").unlink()
    report, (entry,) = recover(given / "scan.jpg", output, nobody, **box)
    assert (report.recovered, entry["pasted"]) == (1, "scan_pasted.jpg")
    assert recover(given / "scan.jpg", output, nobody, **box)[1][0]["pasted"] == "scan_pasted.jpg"


def test_pages_are_pictures_of_their_own(tmp_path):
    scenes = [np.roll(pictures.scene(60, 60), 9 * k, axis=1) for k in range(3)]
    first, *rest = [Image.fromarray(one) for one in scenes]
    first.save(tmp_path / "x.tif", save_all=True, append_images=rest)
    first.save(tmp_path / "y.png")

    def run(pages, output):
        with folder.opened([tmp_path / "x.tif", tmp_path / "y.png"], output, pages=pages) as (manifest, jobs):
            report = Run(manifest, jobs, model_of()).process()
        write_table(report.path)
        return report, json.loads(report.path.read_text())["pictures"]

    report, entries = run("all", tmp_path / "out")
    names = [f"x_page{k}_recovered.png" for k in (1, 2, 3)]
    assert [one["faces"][0]["recovered"] for one in entries] == [*names, "y_recovered.png"]
    assert [one.get("page") for one in entries] == [1, 2, 3, None]
    for name, pixels in zip(names, scenes, strict=True):
        expected = 255 - images.letterbox(pixels, SIDE)
        np.testing.assert_array_equal(images.read(tmp_path / "out" / name).pixels, expected)
    assert "page 3 of 3,3\n" in (tmp_path / "out" / "report.csv").read_text()
    assert run("all", tmp_path / "out")[0].skipped == 4
    report, entries = run("2,5-9", tmp_path / "chosen")
    assert [(one["status"], one.get("page")) for one in entries] == [
        ("recovered", 2), ("failed", 5), ("recovered", None),
    ]  # fmt: skip
    assert entries[1]["reason"] == "no_page"
    assert entries[1]["message"].startswith("page 5: ")
    first.save(tmp_path / "x.pdf", save_all=True, append_images=rest, resolution=72, quality=100)
    with folder.opened(tmp_path / "x.pdf", tmp_path / "book", pages="2-3") as (manifest, jobs):
        report = Run(manifest, jobs, model_of()).process()
    if importlib.util.find_spec("pypdfium2"):
        assert report.recovered == 2
        for k in (2, 3):
            answer = images.read(tmp_path / "book" / f"x_page{k}_recovered.png").pixels
            assert np.abs(answer.astype(int) - (255 - images.letterbox(scenes[k - 1], SIDE))).mean() < 6
    else:
        assert "ifrp_tf[pdf]" in report.path.read_text()
    report, entries = run("first", tmp_path / "one")
    assert [one["faces"][0]["recovered"] for one in entries] == ["x_recovered.png", "y_recovered.png"]
    for wrong in ("", "last", "0", "3-1", "1,,2"):
        with pytest.raises(ConfigError, match="`pages`"):
            run(wrong, tmp_path / "never")
    one_box = Options(boxes=((1.0, 1.0, 30.0, 30.0),))
    with (
        pytest.raises(ConfigError, match="one picture"),
        folder.opened(tmp_path / "x.tif", tmp_path / "out", one_box, "all"),
    ):
        pass
    assert not (tmp_path / "never").exists()


def test_boxes_take_the_place_of_finding(given, tmp_path, detector):
    box = (10.0, 10.0, 64.0, 64.0)
    report, (entry,) = recover(given / "zero.png", tmp_path / "out", detector, boxes=(box,), paste=True)
    assert (report.recovered, entry["faces"][0]["found_by"], entry["pasted"]) == (1, "box", "zero_pasted.png")
    report, (entry,) = recover(
        given / "zero.png", tmp_path / "far", detector, boxes=((100.0, 0.0, 9.0, 9.0),)
    )
    assert (report.failed, entry["reason"]) == (1, "box_outside")


def test_no_face_and_no_fallback_is_a_failure(given, tmp_path, detector):
    report, (entry,) = recover(given / "zero.png", tmp_path / "out", detector, fallback="none")
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
    def averaged(network, portraits):
        return model_of(network).averaged(portraits)

    ramp = np.arange(SIDE, dtype=np.uint8).reshape(1, 1, SIDE, 1).repeat(SIDE, 1).repeat(3, 3)
    symmetric = averaged(lambda portraits: portraits, ramp)
    np.testing.assert_array_equal(symmetric, ramp)  # a network that mirrors with its input gives one answer
    shifted = averaged(lambda portraits: np.roll(portraits, 1, axis=2), ramp)
    np.testing.assert_array_equal(shifted[0, 0, 1:-1, 0], ramp[0, 0, 1:-1, 0])
    assert averaged(lambda p: np.full_like(p, 255), ramp).min() == 255


def negative(portraits):
    """A network of a kind: quick, and wrong answers show."""
    assert portraits.shape == (BATCH, SIDE, SIDE, 3)
    assert portraits.dtype == np.uint8
    return 255 - portraits


def fill(path, count):
    path.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        (path / f"{k}.png").write_bytes(pictures.save(np.roll(pictures.scene(40, 40), k, axis=1), "PNG"))


def recover_of_folder(
    given_of_folder, output, network=negative, *, model="m", progress=None, detector=None, **options
):
    with folder.opened(given_of_folder, output) as (manifest, jobs):
        return Run(manifest, jobs, model_of(network, model=model, detector=detector), **options).process(
            progress
        )


def report_of(output):
    return json.loads((output / "report.json").read_text())


def visible_of_folder(output):
    return sorted(path.name for path in output.rglob("*") if path.is_file() and path.name[0] != ".")


@pytest.fixture
def given_of_folder(tmp_path):
    fill(tmp_path / "in", 3)
    return tmp_path / "in"


@pytest.mark.parametrize(("counts", "words"), [((3, 2, 1), ""), ((1, 0, 0), ", interrupted before 5 more")])
def test_a_report_in_words(tmp_path, counts, words):
    report = folder.Report(tmp_path, *counts, interrupted=bool(words))
    assert report.summary(6) == "{} recovered, {} skipped, {} failed".format(*counts) + words


def test_every_picture_gets_its_own_answer_in_order(tmp_path):
    fill(tmp_path / "in", 37)
    seen = []
    report = recover_of_folder(tmp_path / "in", tmp_path / "out", progress=seen.append)
    assert (report.recovered, report.skipped, report.failed, report.interrupted) == (37, 0, 0, False)
    assert report.exit_code == 0
    assert seen == report_of(tmp_path / "out")["pictures"]
    assert [os.path.basename(entry["input"]) for entry in seen] == [f"{k}.png" for k in range(37)]
    for k in (0, 15, 16, 36):
        portrait = images.letterbox(images.read(tmp_path / "in" / f"{k}.png").pixels, SIDE)
        answer = images.read(tmp_path / "out" / f"{k}_recovered.png").pixels
        np.testing.assert_array_equal(answer, 255 - portrait)


def test_what_a_killed_run_was_writing_goes(given_of_folder, tmp_path):
    fill(given_of_folder / "sub", 1)
    mine = [".0123456789abcdef.tmp", "sub/.0123456789abcdef.tmp", ".report.json.01234567.tmp"]
    others = [".notes.tmp", "0123456789abcdef.tmp", "elsewhere/.0123456789abcdef.tmp"]
    for name in [*mine, *others]:
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    recover_of_folder(given_of_folder, tmp_path / "out")
    left = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.tmp")}
    assert left == set(others)


def test_bad_files_cost_themselves_only(given_of_folder, tmp_path):
    (given_of_folder / "1.png").write_bytes(b"text")
    (given_of_folder / "sub").mkdir()
    (given_of_folder / "sub" / "4.png").write_bytes(b"")
    report = recover_of_folder(given_of_folder, tmp_path / "out", side_by_side=True)
    assert (report.recovered, report.failed, report.exit_code) == (2, 2, 1)
    status = {
        os.path.basename(e["input"]): (e["status"], e["reason"])
        for e in report_of(tmp_path / "out")["pictures"]
    }
    assert status == {
        "0.png": ("recovered", ""),
        "1.png": ("failed", "not_an_image"),
        "2.png": ("recovered", ""),
        "4.png": ("failed", "empty"),
    }
    assert visible_of_folder(tmp_path / "out") == [
        "0_recovered.png", "0_side_by_side.png", "2_recovered.png", "2_side_by_side.png", "report.json",
    ]  # fmt: skip
    assert report_of(tmp_path / "out")["counts"] == {"recovered": 2, "skipped": 0, "failed": 2}


def test_outputs_carry_where_they_come_from_and_nothing_else(given_of_folder, tmp_path):
    recover_of_folder(given_of_folder, tmp_path / "out", side_by_side=True)
    for name in ("0_recovered.png", "0_side_by_side.png"):
        with Image.open(tmp_path / "out" / name) as image:
            assert dict(image.info) == {"ifrp_tf": "generated face, not evidence; model ifrp/1; sha256 m"}


def test_a_second_run_skips_and_a_third_makes_what_is_missing(given_of_folder, tmp_path):
    output = tmp_path / "out"
    recover_of_folder(given_of_folder, output)
    before = (output / "1_recovered.png").stat().st_mtime_ns
    report = recover_of_folder(given_of_folder, output)
    assert (report.recovered, report.skipped, report.exit_code) == (0, 3, 0)
    assert report_of(output)["pictures"][1]["faces"] == [
        {
            "box": [0, 0, 40, 40],
            "landmarks": None,
            "score": None,
            "found_by": "whole",
            "recovered": "1_recovered.png",
        }  # fmt: skip
    ]
    (output / "2_recovered.png").unlink()
    report = recover_of_folder(given_of_folder, output)
    assert (report.recovered, report.skipped) == (1, 2)
    assert (output / "1_recovered.png").stat().st_mtime_ns == before


def test_another_model_replaces_only_when_asked(given_of_folder, tmp_path):
    output = tmp_path / "out"
    recover_of_folder(given_of_folder, output)
    report = recover_of_folder(given_of_folder, output, lambda portraits: portraits, model="m2")
    assert (report.failed, report.exit_code) == (3, 1)
    report = recover_of_folder(
        given_of_folder, output, lambda portraits: portraits, model="m2", overwrite=True
    )
    assert report.recovered == 3
    portrait = images.letterbox(images.read(given_of_folder / "0.png").pixels, SIDE)
    np.testing.assert_array_equal(images.read(output / "0_recovered.png").pixels, portrait)
    assert recover_of_folder(given_of_folder, output, lambda portraits: portraits, model="m2").skipped == 3


@pytest.mark.parametrize("place", [".", "out"])
def test_outputs_among_the_inputs_are_never_recovered(given_of_folder, place):
    output = given_of_folder / place
    for expected in ((3, 0), (0, 3), (0, 3)):
        report = recover_of_folder(given_of_folder, output, side_by_side=True)
        assert (report.recovered, report.skipped, report.failed) == (*expected, 0)
    assert len(list(given_of_folder.rglob("*.png"))) == 3 + 6


def test_a_picture_that_the_network_cannot_answer_does_not_spoil_its_neighbours(given_of_folder, tmp_path):
    bad = images.letterbox(images.read(given_of_folder / "1.png").pixels, SIDE)

    def network(portraits):
        if (portraits == bad).all(axis=(1, 2, 3)).any():
            raise ModelError("not finite")
        return negative(portraits)

    report = recover_of_folder(given_of_folder, tmp_path / "out", network)
    assert (report.recovered, report.failed) == (2, 1)
    assert report_of(tmp_path / "out")["pictures"][1]["reason"] == "not_recovered"


def test_an_output_that_cannot_be_written_is_a_failure_of_its_input(given_of_folder, tmp_path):
    (tmp_path / "out" / "1_recovered.png").mkdir(parents=True)
    report = recover_of_folder(given_of_folder, tmp_path / "out", overwrite=True)
    assert (report.recovered, report.failed) == (2, 1)
    entry = report_of(tmp_path / "out")["pictures"][1]
    assert (entry["status"], entry["reason"], entry["faces"]) == ("failed", "not_written", [])
    assert entry["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_finishes_its_batch_and_can_be_resumed(tmp_path, number):
    fill(tmp_path / "in", 120)
    before = signal.getsignal(number)
    output = tmp_path / "out"

    def network(portraits):
        if not (output / "interrupted").exists():
            (output / "interrupted").touch()
            os.kill(os.getpid(), number)
        return negative(portraits)

    report = recover_of_folder(tmp_path / "in", output, network)
    assert report.interrupted
    assert report.exit_code == 130
    assert 16 <= report.recovered <= 64
    assert signal.getsignal(number) is before
    recovered = [entry["faces"][0]["recovered"] for entry in report_of(output)["pictures"]]
    assert len(recovered) == report.recovered
    assert all((output / name).is_file() for name in recovered)
    assert report_of(output)["interrupted"] is True
    again = recover_of_folder(tmp_path / "in", output, network)
    assert (again.recovered, again.skipped) == (120 - report.recovered, report.recovered)


def test_it_works_outside_the_main_thread(given_of_folder, tmp_path):
    reports = []
    thread = threading.Thread(
        target=lambda: reports.append(recover_of_folder(given_of_folder, tmp_path / "out"))
    )
    thread.start()
    thread.join()
    assert reports[0].recovered == 3


def test_nothing_waits_unbounded(tmp_path):
    """Of a long folder only so many pictures are read ahead of the network."""
    fill(tmp_path / "in", 100)
    read, ahead = [], []
    original = Run.read

    def counting(run, job):
        read.append(job.key)
        return original(run, job)

    def network(portraits):
        ahead.append(len(read))
        return negative(portraits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "read", counting)
        recover_of_folder(tmp_path / "in", tmp_path / "out", network)
    assert all(count <= 16 * (k + 1) + 32 for k, count in enumerate(ahead))
    assert len(read) == 100


def test_a_batch_is_written_while_the_network_sees_the_next(tmp_path, monkeypatch):
    fill(tmp_path / "in", 32)
    calls, second, met = [], threading.Event(), []
    original = Run.write

    def network(portraits):
        calls.append(len(portraits))
        if len(calls) == 2:
            second.set()
        return negative(portraits)

    def patient(*given_of_folder):
        met.append(second.wait(20))
        return original(*given_of_folder)

    monkeypatch.setattr(Run, "write", patient)
    assert recover_of_folder(tmp_path / "in", tmp_path / "out", network).recovered == 32
    assert met == [True] * 32


def test_a_mistyped_input_leaves_no_folder_behind(tmp_path):
    with pytest.raises(DataError, match="does not exist"), folder.opened(tmp_path / "im", tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_and_one_of_outputs_hold_no_portraits(given_of_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="0 pictures"), folder.opened(tmp_path / "empty", tmp_path / "out"):
        pass
    recover_of_folder(given_of_folder, given_of_folder)
    for k in range(3):
        (given_of_folder / f"{k}.png").unlink()
    with pytest.raises(DataError, match="only outputs"), folder.opened(given_of_folder, given_of_folder):
        pass


def test_an_output_folder_that_is_a_file_is_wrong_usage(given_of_folder, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="folder that can be written to"):
        recover_of_folder(given_of_folder, tmp_path / "out")


def nobody(pictures, *, relaxed=False):
    """A detector that finds nothing."""
    return [[] for _ in pictures]


def test_what_was_taken_as_a_whole_stays_only_where_looking_says_so_too(tmp_path):
    """Folders of the time when nothing was looked for: small portraits are done, large pictures are not."""
    fill(tmp_path / "in", 2)
    images.write_png(tmp_path / "in" / "scene.png", pictures.scene(700, 400))
    output, whole = tmp_path / "out", Options(faces="whole")
    assert recover_of_folder(tmp_path / "in", output, options=whole).recovered == 3
    again = recover_of_folder(tmp_path / "in", output, detector=nobody)
    assert (again.recovered, again.skipped, again.failed) == (0, 2, 1)
    assert report_of(output)["pictures"][2]["reason"] == "no_face"
    assert Manifest(output).get("0.png").settings == "auto"  # the next run need not read it
    assert recover_of_folder(tmp_path / "in", output, options=whole).skipped == 3


@pytest.mark.parametrize(
    ("size", "fallback", "reason"),
    [((700, 400), "auto", "no_face"), ((500, 300), "auto", "no_face"), ((900, 900), "auto", "no_face"),
     ((900, 900), "whole", ""), ((500, 450), "auto", ""), ((100, 100), "none", "no_face")],
)  # fmt: skip
def test_a_picture_without_a_face_is_one_only_where_it_may_be(tmp_path, size, fallback, reason):
    images.write_png(tmp_path / "x.png", pictures.scene(*size))
    options = Options(fallback=fallback)
    report = recover_of_folder(tmp_path / "x.png", tmp_path / "out", options=options, detector=nobody)
    (entry,) = report_of(tmp_path / "out")["pictures"]
    assert (report.failed, entry["reason"]) == (int(bool(reason)), reason)
    assert entry["notes"] == ([] if reason else [NO_FACE])


def test_what_lies_beside_pictures_is_skipped_unless_it_is_a_picture(tmp_path):
    fill(tmp_path / "in", 1)
    data = (tmp_path / "in" / "0.png").read_bytes()
    for name, content in (("0.xmp", b"<x/>"), ("notes.txt", b""), ("really.txt", data), ("bad.png", b"text")):
        (tmp_path / "in" / name).write_bytes(content)
    report = recover_of_folder(tmp_path / "in", tmp_path / "out")
    assert (report.recovered, report.skipped, report.failed) == (2, 2, 1)
    alone = recover_of_folder(tmp_path / "in" / "notes.txt", tmp_path / "one")
    assert alone.failed == 1  # whoever names it means it


def test_several_inputs_are_mirrored_below_what_holds_them_all(tmp_path):
    for name in ("a", "b/c"):
        fill(tmp_path / "in" / name, 2)
    given = [tmp_path / "in" / "a", tmp_path / "in" / "b" / "c" / "0.png", tmp_path / "in" / "a" / "1.png"]
    assert recover_of_folder(given, tmp_path / "out").recovered == 3
    assert [name for name in visible_of_folder(tmp_path / "out") if "png" in name] == [
        "0_recovered.png"
    ] * 2 + ["1_recovered.png"]
    assert (tmp_path / "out" / "b" / "c" / "0_recovered.png").is_file()
    with pytest.raises(ConfigError, match="`source`"):
        recover_of_folder([], tmp_path / "out")
