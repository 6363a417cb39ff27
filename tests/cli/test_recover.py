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

from ifrp_tf.cli import recover
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer
from ifrp_tf.release import folder as model_folder

SCENE = pictures.scene(150, 125)


def run(source, output, **flags):
    return recover.run(recover.Request(input=(str(source),), output=str(output), **flags))


def test_boxes_are_four_numbers():
    assert recover.parse_boxes(["1,2,3,4", " -1.5, 2, 30 ,4e1"]) == ((1, 2, 3, 4), (-1.5, 2, 30, 40))
    for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "nan,1,2,3", "1,2,inf,4"):
        with pytest.raises(ConfigError, match="--box"):
            recover.parse_boxes([text])


@pytest.fixture
def copy(tmp_path):
    """A version folder that may be damaged, without a network in it: loading must not get that far."""
    folder = tmp_path / "ifrp" / "4"
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "config.json", "variables/variables.index"):
        (folder / name).write_bytes((small_model.exported() / name).read_bytes())
    model_folder.write_checksums(folder)
    return folder


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
        "cut.jpg": ("truncated", pictures.save(SCENE, "JPEG")[:800]),
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
    flags = {"model": str(small_model.exported().parent), "gallery": True}
    for done in ("5 recovered, 0 skipped", "0 recovered, 5 skipped"):
        assert run(str(folder), str(tmp_path), **flags) == 1
        out, err = capsys.readouterr()
        assert out.startswith(f"{done}, 4 failed; model small/7; ")
        sheets = f"side by side: {tmp_path / '*_side_by_side.png'}"  # the gallery shows them
        *known, side_by_side, gallery = out.splitlines()[1:]
        assert [side_by_side, gallery] == [sheets, f"gallery: {tmp_path / 'gallery.html'}"]
        assert "  1 x exif orientation 6 applied: sideways phone.jpg" in known
        assert {line.split()[2].strip(":") for line in known} >= set(bad.values())
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


def test_strangers_folders_are_said_all_about_and_a_second_run_in_them_finds_nothing_new(tmp_path, capsys):
    """A name that is no UTF-8, a blank page, what no face is found in, a link out of the folder, sidecars."""
    model = Recoverer(
        lambda portraits: 255 - portraits, side=32, name="negative/1", fingerprint="0" * 64,
        detector=lambda pictures, relaxed=False: [[] for _ in pictures],
    )  # fmt: skip
    folder = tmp_path / "in"
    folder.mkdir()
    latin = os.fsdecode(b"portr\xe4t.png")
    for name, data in {
        latin: pictures.with_exif("PNG", 6, SCENE),
        "blank.png": pictures.save(np.full((300, 400, 3), 255, np.uint8), "PNG"),
        "print.png": pictures.save(pictures.scene(400, 400), "PNG"),
        "sea.png": pictures.save(pictures.scene(300, 700), "PNG"),
        "notes.txt": b"letter",
    }.items():
        (folder / name).write_bytes(data)
    (tmp_path / "far.png").write_bytes(pictures.save(SCENE, "PNG"))
    (folder / "link.png").symlink_to(tmp_path / "far.png")
    for counts in ("2 recovered, 1 skipped, 2 failed", "0 recovered, 3 skipped, 2 failed"):
        request = recover.Request(input=(str(folder),), output=str(folder), gallery=True)
        assert recover.carry_out(request, lambda: model) == 1
        out, err = capsys.readouterr()
        assert out.startswith(f"{counts}; model negative/1; ")
        assert "  1 x flat: blank.png\n" in out
        assert "  1 x no_face: sea.png\n" in out
        assert "  1 x no face was found: the picture as a whole was taken for one: print.png\n" in out
        assert "exif orientation 6 applied: portr" in out
        assert "sea.png': no_face: no face was found. --fallback=whole takes" in err
        assert "print.png': no face was found" in err
    page = (folder / "gallery.html").read_text()
    assert 'href="portr%E4t.png"' in page
    assert "only the 4 with something to know of" in page
    assert len(list(folder.glob("*_recovered.png"))) == 2


def test_links_that_are_not_followed_are_named(tmp_path, caplog):
    (tmp_path / "far").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "far" / "x.png").write_bytes(pictures.save(SCENE, "PNG"))
    (tmp_path / "in" / "x.png").symlink_to(tmp_path / "far" / "x.png")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "far")
    with pytest.raises(DataError, match="Name what the links lead to"):
        run(tmp_path / "in", tmp_path / "out", model="no/model")
    assert "2 links in" in caplog.text


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--input=a.png"], 2, "--output"),
        (["--input=a.png", "--output=out", "--faces=whole", "--paste"], 2, "--faces=auto"),
        (["--output=out"], 2, "--input"),
        (["--input=a.png", "--output=out", "--size=300"], 2, "--size to be 256 or 512"),
        (["--input=a.png", "--output=out", "--strength=2"], 2, "--strength"),
        (["--input=a.png", "--output=out", "--box=1,2"], 2, "--box=x,y,width,height"),
        (["--input=a.png", "--output=out", "--side_by_sid"], 2, "side_by_side"),
        (["--input=a.png", "--output=out", "b.png"], 1, "b.png"),
        (["--input=a.png", "--output=out", "--box=1,2,3,4", "a.png", "c.png"], 1, "c.png"),
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
