"""Whole evaluations: on drawn faces in process, and by the tool on folders as a user has them."""

import json

import numpy as np
import pytest
import small_model
from drawn_protocol import Drawn, PixelDescriptor, candidate, noisy, save, write_folders

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.evaluation import measure, retrieval
from ifrp_tf.evaluation import run as room
from ifrp_tf.evaluation.pairs import FolderPairs, Gallery
from ifrp_tf.evaluation.run import Request, evaluate
from ifrp_tf.pictures import images
from ifrp_tf.release import folder as model_folder

KEYS = {"psnr", "ssim", "fsim", "frr_top1", "frr_top5"}


def done(path, protocol=None, recover=lambda portraits: portraits, **options):
    chosen = {name: options.pop(name) for name in ("descriptor", "mean_face") if name in options}
    return evaluate(candidate(recover, **chosen), protocol or Drawn(6), path, resamples=20, **options)


def test_photographs_against_themselves(tmp_path):
    same = Drawn(6, styles={"a": lambda pixels, _: pixels, "b": lambda pixels, _: pixels})
    result = done(tmp_path / "r", same).result
    for style in ("a", "b"):
        values = result["styles"][style]
        assert values["psnr"] is None
        assert values["psnr_infinite"] == 6
        assert values["ssim"] == pytest.approx(1, abs=1e-6)
        assert values["fsim"] == pytest.approx(1, abs=1e-6)
        assert values["frr_top1"] == values["frr_top5"] == 1.0
    assert result["fcr"] == result["fcr_top1"] == 1.0
    assert result["mean"]["psnr"] is None


def test_the_result_has_what_the_contract_names(tmp_path):
    result = done(tmp_path / "r").result
    assert set(result["styles"]) == {"noisy", "dark"}
    for part in (result, result["input"], result["mean_face"]):
        assert set(part["mean"]) >= KEYS
        assert all(set(values) >= KEYS for values in part["styles"].values())
        assert 0 <= part["fcr"] <= 1
    assert result["model"] == {"name": "toy", "sha256": "f" * 64}
    assert result["counts"]["measured"] == 12
    assert result["mean"] == result["input"]["mean"], "the model here answers the portrait"
    assert result["mean_face"]["mean"]["frr_top1"] == result["chance"]["frr_top1"]
    assert [part["count"] for part in result["by_angle"]] == [2] * 2 + [4] + [2] * 2
    json.dumps(result, allow_nan=False)


def test_two_runs_give_the_same_digits_and_a_killed_one_too(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "BATCH", 4)
    protocol = Drawn(6)
    whole = done(tmp_path / "whole", protocol).result
    assert done(tmp_path / "again", protocol).result == whole
    left = 2

    def killed(portraits):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return portraits

    with pytest.raises(KeyboardInterrupt):
        done(tmp_path / "killed", protocol, killed)
    rows = (tmp_path / "killed").read_bytes()
    (tmp_path / "killed").write_bytes(rows[:-200])  # and the last line is cut
    calls = []

    def recover(portraits):
        calls.append(len(portraits))
        return portraits

    assert done(tmp_path / "killed", protocol, recover).result == whole
    assert calls == [2, 4, 2], "the cut batch and what followed, in the same batches as before"


def test_another_model_or_descriptor_is_measured_anew(tmp_path):
    first = done(tmp_path / "r").result
    dark = done(tmp_path / "r", recover=lambda portraits: portraits // 2)
    assert dark.result["mean"] == first["mean"], "the same fingerprint: the rows are believed"
    other = evaluate(
        room.Candidate(lambda portraits: portraits // 2, "other", "e" * 64, descriptor=PixelDescriptor()),
        Drawn(6), tmp_path / "r", resamples=20,
    )  # fmt: skip
    assert other.result["mean"]["psnr"] != first["mean"]["psnr"]
    bare = done(tmp_path / "r", descriptor=None).result
    assert bare["mean"]["frr_top1"] is None
    assert bare["settings"]["descriptor"] is None


def test_the_mean_face_is_the_models_or_that_of_the_photographs(tmp_path):
    protocol = Drawn(6)
    grey = np.full((32, 32, 3), 128, np.uint8)
    given = done(tmp_path / "a", protocol, mean_face=grey).result
    made = done(tmp_path / "b", protocol).result
    assert given["settings"]["mean_face"]["origin"] == "of the training photographs"
    assert "evaluated on" in made["settings"]["mean_face"]["origin"]
    assert made["mean_face"]["mean"]["psnr"] > given["mean_face"]["mean"]["psnr"]
    photos = protocol.read_photos(protocol.photos).pixels
    mean = np.round(photos.mean(axis=0))
    expected = np.mean([10 * np.log10(255**2 / np.mean((photo - mean) ** 2)) for photo in photos])
    assert made["mean_face"]["mean"]["psnr"] == pytest.approx(expected, abs=1e-3)


def test_a_gallery_is_searched_in_place_of_the_photographs(tmp_path):
    portraits, photos = write_folders(tmp_path, count=5)
    for k, path in enumerate(sorted(photos.iterdir())[:3]):
        pixels = noisy(images.read(path).pixels, 5, k)
        save(tmp_path / "gallery" / f"{path.stem}.png", pixels)
    save(tmp_path / "gallery" / "stranger.png", 255 - pixels)
    (tmp_path / "gallery" / "broken.jpg").write_bytes(b"x")
    gallery = Gallery(tmp_path / "gallery", side=32)
    found = done(tmp_path / "r", FolderPairs(portraits, photos, side=32), gallery=gallery)
    assert found.result["gallery"] == {"size": 6, "own_added": 2}
    assert found.result["chance"]["frr_top1"] == pytest.approx(1 / 6, abs=1e-6)
    assert found.result["photos"]["mean"]["frr_top1"] == 1.0
    assert found.result["photos"]["mean"]["distance"] > 0, "the gallery's pictures are not the same ones"
    assert [problem["reason"] for problem in found.result["problems"]] == ["not_an_image"]
    assert found.exit_code == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"portraits": "p"},
        {"photos": "q", "protocol": "sketches"},
        {"portraits": "p", "photos": "q", "protocol": "sketches"},
        {"protocol": "sketches", "limit": -1},
    ],
)
def test_contradictory_requests_are_refused(options):
    with pytest.raises(ConfigError, match="Expected `"):
        Request(model="m", json="r.json", **options)


def test_the_mean_face_beside_a_model(tmp_path):
    found = model_folder.locate(small_model.run_folder())
    assert (room.read_mean_face(found, 64) == 120).all()
    (tmp_path / "ifrp" / "1").mkdir(parents=True)
    (tmp_path / "ifrp" / "1" / "saved_model.pb").write_bytes(b"")
    images.write_png(tmp_path / "ifrp" / "1" / "mean_face.png", np.full((32, 32, 3), 7, np.uint8))
    assert (room.read_mean_face(model_folder.locate(tmp_path / "ifrp"), 32) == 7).all()
    run = small_model.write_run(tmp_path / "run", small_model.TINY)
    (run / "model" / "mean_face.png").unlink()
    assert room.read_mean_face(model_folder.locate(run), 32) is None


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The tool on folders, one of the files being corrupt and one without a partner."""
    folder = tmp_path_factory.mktemp("user")
    run = small_model.write_run(folder / "run", small_model.TINY)
    portraits, photos = write_folders(folder, count=5)
    next((portraits / "ink").glob("person 1.*")).write_bytes(b"\x89PNG\r\n\x1a\n broken")
    next((photos).glob("person 4.*")).unlink()
    flags = [
        f"--model={run}", f"--portraits={portraits}", f"--photos={photos}",
        f"--json={folder / 'out' / 'r.json'}", f"--report={folder / 'report'}", "--descriptor=none",
    ]  # fmt: skip
    return folder, flags, small_model.tool("evaluate", *flags)


def test_the_tool_measures_folders_and_reports_what_is_missing(evaluated):
    folder, _, finished = evaluated
    assert finished.returncode == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    assert "the mean training face" in finished.stdout
    result = json.loads((folder / "out" / "r.json").read_text())
    assert result["counts"]["styles"] == {
        "ink": {"portraits": 4, "measured": 3}, "oil": {"portraits": 4, "measured": 4}
    }  # fmt: skip
    assert result["counts"]["failed"] == 3
    reasons = sorted(problem["reason"] for problem in result["problems"])
    assert len(reasons) == 3
    assert reasons.count("no_photo") == 2
    assert result["mean"]["frr_top1"] is None
    assert 3 < result["mean"]["psnr"] < 40
    names = {path.name for path in (folder / "report").iterdir()}
    assert names == {"report.html", "evaluation.md", "rows.csv", "sheets"}
    assert (folder / "out" / "r.rows.jsonl").is_file()


def test_the_tool_again_gives_the_same_file(evaluated):
    folder, flags, _ = evaluated
    before = (folder / "out" / "r.json").read_bytes()
    small_model.called("evaluate", *flags[:-2], flags[-1])
    assert (folder / "out" / "r.json").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--protocol=paper", "--faces=/none"], 1, "/none"),
        ([], 2, "--portraits=DIR and --photos=DIR"),
        (["--protocol=sketches", "--model=/none"], 3, "/none"),
    ],
)
def test_usage_errors_are_one_line(evaluated, tmp_path, flags, code, words):
    given = [*evaluated[1][:1], f"--json={tmp_path / 'x.json'}", *flags]
    finished = small_model.called("evaluate", *given)
    assert finished.returncode == code, finished.stderr
    assert words in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x.json").exists()


def test_real_photographs_as_their_own_recoveries(data_dir, tmp_path):
    """The acceptance: SSIM = FSIM = 1, FRR = 100 %, by dlib's descriptor."""
    paths = sorted((data_dir / "faces/test/celeba").iterdir())[:6]
    for path in paths:
        save(tmp_path / "portraits" / "photo" / f"{path.stem}.png", images.read(path).pixels)
        save(tmp_path / "photos" / f"{path.stem}.png", images.read(path).pixels)
    protocol = FolderPairs(tmp_path / "portraits", tmp_path / "photos", side=128)
    descriptor = retrieval.load("dlib", data_dir / "weights")
    result = done(tmp_path / "r", protocol, descriptor=descriptor).result
    mean = result["mean"]
    assert (mean["psnr"], mean["frr_top1"], mean["frr_top5"]) == (None, 1.0, 1.0)
    assert (mean["ssim"], mean["fsim"]) == (pytest.approx(1, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert result["photos"]["mirrored"]["frr_top1"] == 1.0
