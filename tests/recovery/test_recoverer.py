import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pictures
import pytest
import small_model
from PIL import Image

from ifrp_tf.core.errors import ConfigError, DataError, ImageError
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer, run
from ifrp_tf.release import folder as model_folder

SCENE = pictures.scene(300, 200)


@pytest.fixture(scope="module")
def recoverer():
    return Recoverer.load(small_model.exported())


@pytest.fixture
def copy(tmp_path):
    """A version folder that may be damaged, without a network in it: loading must not get that far."""
    folder = tmp_path / "ifrp" / "4"
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "config.json", "variables/variables.index"):
        (folder / name).write_bytes((small_model.exported() / name).read_bytes())
    model_folder.write_checksums(folder)
    return folder


def test_a_path_bytes_an_image_an_array_and_a_batch_are_one_portrait(recoverer, tmp_path):
    data = pictures.save(SCENE, "PNG")
    (tmp_path / "portrait.png").write_bytes(data)
    expected = recoverer(SCENE)
    assert expected.shape == (128, 128, 3)
    assert expected.dtype == np.uint8
    assert expected.std() > 20
    for source in (tmp_path / "portrait.png", str(tmp_path / "portrait.png"), data, Image.fromarray(SCENE)):
        np.testing.assert_array_equal(recoverer(source), expected)
    batch = recoverer(images.letterbox(SCENE)[None])
    np.testing.assert_array_equal(batch[0], expected)


def test_pillow_images_are_taken_as_their_files_are(recoverer):
    for data in (
        pictures.with_exif("PNG", 6, SCENE),
        pictures.save(np.dstack([SCENE, SCENE[..., 0]]), "PNG"),
    ):
        np.testing.assert_array_equal(recoverer(Image.open(io.BytesIO(data))), recoverer(data))


def test_a_batch_of_any_length_is_worked_through_in_pieces(recoverer):
    portraits = np.random.default_rng(0).integers(0, 256, (19, 128, 128, 3)).astype(np.uint8)
    recovered = recoverer.recover_batch(portraits)
    assert recovered.shape == portraits.shape
    for k in (0, 15, 16, 18):
        assert np.abs(recoverer(portraits[k]).astype(int) - recovered[k]).max() <= 1
    assert recoverer.recover_batch(portraits[:0]).shape == (0, 128, 128, 3)


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((2, 64, 64, 3), np.uint8),
        np.zeros((2, 128, 128, 3), np.float32),
        np.zeros((5, 5, 3), np.uint8),
        np.full((128, 128, 3), np.nan),
        b"text",
        "/no/such/file.png",
        Image.new("RGB", (4, 4)),
    ],
    ids=["small batch", "float batch", "tiny", "nan", "text", "missing", "tiny image"],
)
def test_what_is_no_portrait_is_refused(recoverer, source):
    with pytest.raises(ImageError):
        recoverer(source)


def test_a_run_and_its_weights_answer_as_their_export_does(recoverer):
    half = Recoverer.load(small_model.exported() / "srn.weights.h5")
    assert np.abs(half(SCENE).astype(int) - recoverer(SCENE)).mean() < 0.5
    whole = Recoverer.load(small_model.run_folder())
    assert (whole.name, whole.side, len(whole.fingerprint)) == ("small", 128, 64)
    assert whole.fingerprint != half.fingerprint


def test_a_picture_is_recovered_alike_alone_and_among_others(recoverer, tmp_path):
    (tmp_path / "in").mkdir()
    for k in range(3):
        (tmp_path / "in" / f"{k}.png").write_bytes(pictures.save(np.roll(SCENE, 50 * k, axis=0), "PNG"))
    recoverer.recover_folder(tmp_path / "in", tmp_path / "all")
    recoverer.recover_folder(tmp_path / "in" / "2.png", tmp_path / "one")
    one, all_ = (tmp_path / name / "2_recovered.png" for name in ("one", "all"))
    assert one.read_bytes() == all_.read_bytes()


def test_cheap_mistakes_are_found_before_the_model_is_loaded(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        run(str(tmp_path / "in"), str(tmp_path / "out"), model="no/model")
    (tmp_path / "in.png").write_bytes(b"")
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(ConfigError, match="can be written to"):
        run(str(tmp_path / "in.png"), str(tmp_path / "out"), model="no/model")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """What people have in their folders."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "sub [1]").mkdir()
    good = {
        "portrait.jpg": pictures.save(SCENE, "JPEG"),
        "portrait.png": pictures.save(SCENE, "PNG"),
        "sideways phone.jpg": pictures.with_exif("JPEG", 6, SCENE),
        "transparent.png": pictures.save(np.dstack([SCENE, SCENE[..., 1]]), "PNG"),
        "sub [1]/emoji 🎨 & (brackets) {a}*.webp": pictures.save(SCENE, "WEBP"),
    }
    bad = {
        "cut.jpg": ("truncated", pictures.save(SCENE, "JPEG")[:2000]),
        "text.png": ("not_an_image", b"this is a letter, not a picture\n"),
        "empty.jpg": ("empty", b""),
        "bomb.png": ("too_large", pictures.png_bomb()),
    }
    for name, data in {**good, **{name: data for name, (_, data) in bad.items()}}.items():
        (folder / name).write_bytes(data)
    return folder, set(good), {name: reason for name, (reason, _) in bad.items()}


PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


def statuses(folder, output):
    report = json.loads((output / "report.json").read_text())
    return {os.path.relpath(e["input"], folder): (e["status"], e["reason"]) for e in report["pictures"]}


def test_the_tool_recovers_what_is_good_and_names_what_is_not(mixed, tmp_path):
    folder, good, bad = mixed
    output = tmp_path / "out"
    flags = [
        f"--input={folder}",
        f"--output={output}",
        f"--model={small_model.exported().parent}",
        "--side_by_side",
    ]
    # By way of a small process: Linux counts as a child's peak also what its parent held when it was made.
    measure = [sys.executable, "-c", PEAK, str(tmp_path / "peak")]
    done = subprocess.run(
        measure + small_model.command("recover", *flags),
        env=small_model.environment(),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    out, err = done.stdout, done.stderr
    assert done.returncode == 1, err
    assert 2**17 < int((tmp_path / "peak").read_text()) < 2 * 2**20  # kibibytes
    found = statuses(folder, output)
    assert found == dict.fromkeys(good, ("recovered", "")) | {n: ("failed", r) for n, r in bad.items()}
    lines = err.splitlines()
    assert len(lines) == len(bad)  # nothing else: no chatter, no traceback
    for name, reason in bad.items():
        assert any(name in line and reason in line for line in lines)
    assert out.startswith("5 recovered, 0 skipped, 4 failed; model small/7; ")
    assert (
        len(list(output.rglob("*_recovered.png")))
        == len(list(output.rglob("*_side_by_side.png")))
        == len(good)
    )


def test_a_second_run_of_the_tool_skips_what_is_done_and_names_the_rest_again(mixed, tmp_path, capsys):
    folder, good, bad = mixed
    flags = {"model": str(small_model.exported().parent), "pages": True}
    for done in ("5 recovered, 0 skipped", "0 recovered, 5 skipped"):
        assert run(str(folder), str(tmp_path), **flags) == 1
        out, err = capsys.readouterr()
        assert out.startswith(f"{done}, 4 failed; model small/7; ")
        sheets = f"side by side: {tmp_path / '*_side_by_side.png'}"  # the gallery shows them
        assert out.splitlines()[1:] == [sheets, f"gallery: {tmp_path / 'gallery.html'}"]
        assert (tmp_path / "gallery.html").read_text().count("_side_by_side.png") == len(good)
        assert len(err.splitlines()) == len(bad)
    found = {name: status for name, (status, _) in statuses(folder, tmp_path).items()}
    assert found == dict.fromkeys(good, "skipped") | dict.fromkeys(bad, "failed")


def test_the_tool_can_be_interrupted(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(pictures.save(SCENE, "PNG"))
    for k in range(1, 400):
        os.link(tmp_path / "in" / "0.png", tmp_path / "in" / f"{k}.png")
    manifest = tmp_path / "out" / ".ifrp_manifest.jsonl"
    flags = [
        f"--input={tmp_path / 'in'}",
        f"--output={tmp_path / 'out'}",
        f"--model={small_model.exported()}",
    ]
    with subprocess.Popen(
        small_model.command("recover", *flags),
        env=small_model.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        deadline = time.monotonic() + 120
        while not (manifest.exists() and manifest.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "interrupted before" in out
    assert err == ""
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["interrupted"] is True
    assert 0 < report["counts"]["recovered"] < 400
    for entry in report["pictures"]:
        assert images.read(tmp_path / "out" / entry["faces"][0]["recovered"]).pixels.shape == (128, 128, 3)
    assert not list((tmp_path / "out").glob(".*.tmp"))


def test_the_tool_exits_3_for_an_unusable_model_and_names_the_file(copy, tmp_path):
    (tmp_path / "x.png").write_bytes(pictures.save(SCENE, "PNG"))
    (copy / "config.json").write_text("{}")
    flags = [f"--input={tmp_path / 'x.png'}", f"--output={tmp_path / 'out'}"]
    done = small_model.tool("recover", *flags, f"--model={copy}")
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "config.json" in done.stderr
    assert "expected SHA-256" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--input=a.png"], 2, "--output"),
        (["--input=a.png", "--output=out", "--paste"], 2, "faces=auto"),
        (["--input=a.png", "--output=out", "--box=1,2"], 2, "--box=x,y,width,height"),
        (["--input=a.png", "--output=out", "--side_by_sid"], 2, "side_by_side"),
        (["--input=a.png", "--output=out", "b.png"], 2, "b.png"),
        (["--input=missing.png", "--output=out"], 1, "missing.png"),
        (["--input=a.png", "--output=out", "--model=missing"], 3, "missing"),
    ],
)
def test_wrong_usage_of_the_tool_costs_one_line_and_no_time(tmp_path, flags, code, words):
    (tmp_path / "a.png").write_bytes(pictures.save(SCENE, "PNG"))
    done = small_model.tool("recover", *flags, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr


def test_help_needs_no_tensorflow():
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = small_model.tool("recover", "--help")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1
    assert done.returncode == 0
    assert "--[no]side_by_side" in done.stdout
    assert done.stderr == ""
