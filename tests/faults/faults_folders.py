"""Faults 36-44: names, folders, and what lies in them."""

import atexit
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faults import NEGATIVE, SIDE, Fault, launched, negative_of, nobody, portrait, write

from ifrp_tf.cli import recover
from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer

NAMES = [
    "a[1]*.png", "st?r.png", "two words.png", "line\nbreak.png", "😀.png", "דיוקן.png", "~.png", "-flag.png",
    "back\\slash.png", os.fsdecode(b"bad\xff.png"),
]  # fmt: skip


def entries(output: Path, source: Path) -> dict[str, tuple[str, str]]:
    """What the report says of each input: status and reason."""
    listed = json.loads((output / "report.json").read_text())["pictures"]
    return {os.path.relpath(one["input"], source): (one["status"], one["reason"]) for one in listed}


def answers(output: Path) -> dict[str, np.ndarray]:
    """The recovered faces by name, of a folder and those in it."""
    suffix = "_recovered.png"
    found = [path for path in output.rglob(f"*{suffix}") if not path.name.startswith(".")]
    return {path.relative_to(output).as_posix()[: -len(suffix)]: images.read(path).pixels for path in found}


def some(count: int) -> Callable[[Path], Path]:
    """A factory of a folder `in` of pictures, each another one."""
    return lambda root: write(root / "in", {f"{k}.png": portrait(k) for k in range(count)})


def named_with_its_neighbour(source: Path) -> None:
    with pytest.raises(ImageError) as caught:
        images.read(source / "00.png")
    assert caught.value.reason == "missing"
    assert "the nearest name is '0.png'" in str(caught.value)
    assert os.getcwd() in str(caught.value)
    with pytest.raises(ImageError, match="received a folder") as caught:
        images.read(source)
    assert caught.value.reason == "not_a_file"


def nothing_found(source: Path) -> None:
    for given, words in ((source, "looked for every file"), (source / "*.jpg", "looked for '*.jpg'")):
        ended = launched(
            lambda given=given: recover.run(
                recover.Request(input=(str(given),), output=str(source / "out"), model="no/model")
            )
        )
        ended.says(1, f"0 pictures in '{source}'", words)
    assert not list(source.iterdir())


def every_name_is_literal(source: Path) -> None:
    report = NEGATIVE.recover_folder(source, source.parent / "out")
    assert (report.recovered, report.failed) == (len(NAMES), 0)
    made = answers(source.parent / "out")
    for k, name in enumerate(NAMES):
        np.testing.assert_array_equal(made[name[:-4]], negative_of(portrait(k)))
        np.testing.assert_array_equal(NEGATIVE(source / name), made[name[:-4]])


def no_regular_files(_: Path) -> Path:
    """A picture, a locked one, a pipe, a socket and a link to a device, in a folder open to everybody."""
    source = Path(tempfile.mkdtemp(prefix="ifrp_faults_"))
    atexit.register(shutil.rmtree, source, ignore_errors=True)
    write(source, {"good.png": portrait(), "locked.png": portrait()}).chmod(0o777)
    (source / "locked.png").chmod(0)
    os.mkfifo(source / "pipe.png")
    (source / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(source / "socket.png"))
    return source


def passed_over_without_blocking(source: Path) -> None:
    reasons = {}

    def work() -> None:
        NEGATIVE.recover_folder(source, source / "out")
        for name in ("pipe", "device", "socket"):
            with pytest.raises(ImageError) as caught:
                images.read(source / f"{name}.png")
            reasons[name] = caught.value.reason

    with nobody():
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(60)
    assert reasons == dict.fromkeys(("pipe", "device", "socket"), "not_a_file")
    found = entries(source / "out", source)
    assert found == {"good.png": ("recovered", ""), "locked.png": ("failed", "unreadable")}


def linked(root: Path) -> Path:
    write(root / "elsewhere", {"secret.png": portrait(9)})
    source = write(root / "in", {"x.png": portrait(), "sub/y.png": portrait(1)})
    (source / "secret.png").symlink_to(root / "elsewhere" / "secret.png")
    (source / "elsewhere").symlink_to(root / "elsewhere")
    (source / "sub" / "loop").symlink_to(source)
    (source / "self.png").symlink_to(source / "self.png")
    return source


def only(*names: str) -> Callable[[Path], None]:
    """The report holds these inputs, all recovered."""

    def check(source: Path) -> None:
        NEGATIVE.recover_folder(source, source.parent / "out")
        assert entries(source.parent / "out", source) == dict.fromkeys(names, ("recovered", ""))

    return check


LEFT_BEHIND = ("Thumbs.db", "desktop.ini", ".DS_Store", "._x.png", ".hidden/y.png")
SAME_STEM = ("x.jpg", "x.png", "X.png", "a/x.png", "b/x.png", "x_png.png")


def each_has_its_own(source: Path) -> None:
    report = NEGATIVE.recover_folder(source, source.parent / "out")
    assert report.recovered == len(SAME_STEM)
    listed = json.loads(report.path.read_text())["pictures"]
    made = {os.path.relpath(one["input"], source): one["faces"][0]["recovered"] for one in listed}
    assert len({name.casefold() for name in made.values()}) == len(SAME_STEM)
    assert made["a/x.png"] == "a/x_recovered.png"
    for k, name in enumerate(SAME_STEM):
        answer = images.read(source.parent / "out" / made[name]).pixels
        np.testing.assert_array_equal(answer, negative_of(portrait(k)))


def own_outputs_are_no_inputs(source: Path) -> None:
    for output in (source, source / "out"):
        for expected in ((3, 0), (0, 3)):
            report = NEGATIVE.recover_folder(source, output, side_by_side=True)
            assert (report.recovered, report.skipped, report.failed) == (*expected, 0)
        for path in [*source.glob("*_*.png"), source / "report.json", source / ".ifrp_manifest.jsonl"]:
            path.unlink(missing_ok=True)


def foreign_output(root: Path) -> Path:
    write(root / "out", {"0_recovered.png": b"somebody's own"})
    return some(2)(root)


def skipped_only_when_known(source: Path) -> None:
    output = source.parent / "out"

    def run(model: Recoverer = NEGATIVE, **options: bool) -> list[tuple[str, str]]:
        model.recover_folder(source, output, **options)
        return list(entries(output, source).values())

    exists, done = ("failed", "output_exists"), ("skipped", "up_to_date")
    assert run() == [exists, ("recovered", "")]
    assert (output / "0_recovered.png").read_bytes() == b"somebody's own"
    assert run() == [exists, done]
    assert run(overwrite=True) == [("recovered", "")] * 2
    assert run() == [done] * 2
    (source / "1.png").write_bytes(portrait(7))
    assert run() == [done, exists]
    other = Recoverer(lambda given: given, side=SIDE, name="same/1", fingerprint="1" * 64)
    assert run(other) == [exists] * 2


ROWS = [
    Fault(36, "missing file, folder for a file", some(1), named_with_its_neighbour),
    Fault(37, "empty folder, pattern without a match", lambda root: write(root / "in", {}), nothing_found),
    Fault(
        38,
        "brackets, stars, spaces, emoji, Hebrew in names",
        lambda root: write(root / "in", {name: portrait(k) for k, name in enumerate(NAMES)}),
        every_name_is_literal,
    ),
    Fault(
        39,
        "unreadable file, pipe, device, socket",
        no_regular_files,
        passed_over_without_blocking,
        differs="In a folder only files are listed: a pipe, device or socket there costs no line of the "
        "report. Named itself it is refused.",
    ),
    Fault(
        40,
        "links in a circle and out of the folder",
        linked,
        only("x.png", "sub/y.png"),
        differs="There is no --follow_links: whoever wants a linked folder names it as the input.",
    ),
    Fault(
        41,
        "what desktops leave behind",
        lambda root: write(root / "in", dict.fromkeys(("x.png", *LEFT_BEHIND), portrait())),
        only("x.png"),
        differs="They are ignored without a count: nobody chose to put them there.",
    ),
    Fault(
        42,
        "one stem, two files",
        lambda root: write(root / "in", {name: portrait(k) for k, name in enumerate(SAME_STEM)}),
        each_has_its_own,
    ),
    Fault(43, "output among the input, run again", some(3), own_outputs_are_no_inputs),
    Fault(44, "output that exists", foreign_output, skipped_only_when_known),
]
