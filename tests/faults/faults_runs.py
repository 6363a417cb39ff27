"""Faults 45-51: full disks, kills, other programs at work in the same folders, and archives."""

import io
import os
import resource
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pictures
import pytest
from faults import NEGATIVE, SIDE, Fault, launched, little_memory, negative_of, portrait, tool, write
from faults_folders import answers, entries, some
from helpers import ROOT

from ifrp_tf.cli import recover
from ifrp_tf.core import archives
from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.data import photos
from ifrp_tf.pictures import images
from ifrp_tf.recovery import folder
from ifrp_tf.recovery.recoverer import Recoverer


def noisy(root: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    return write(root / "in", {"0.png": portrait(), "noise.png": images.encode_png(noise)})


def whole_or_not_at_all(source: Path) -> None:
    output, (soft, hard) = source.parent / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    model = Recoverer(lambda given: given, side=SIDE, name="same/1", fingerprint="1" * 64)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, hard))  # as full as a disk for whoever writes more
    try:
        report = model.recover_folder(source, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (entries(output, source)["noise.png"], report.exit_code) == (("failed", "not_written"), 1)
    names = {path.name for path in output.iterdir()}
    assert names == {"0_recovered.png", "report.json", ".ifrp_manifest.jsonl"}
    # Killed by the system in the middle of a write: SIGXFSZ, which Python ignores unless told.
    code = (
        "import signal, sys; from resource import *;"
        "from ifrp_tf.core.files import write_bytes_atomic as write;"
        "setrlimit(RLIMIT_FSIZE, (2500, 2500)); setrlimit(RLIMIT_CORE, (0, 0));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL); write(sys.argv[1], bytes(9999))"
    )
    path = output / "0_recovered.png"
    before = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGXFSZ
    assert path.read_bytes() == before
    (rest,) = output.glob(".*.tmp")
    assert rest.stat().st_size == 2500  # hidden, and no picture for anybody


def refused_before_the_model(source: Path) -> None:
    read_only = source.parent / "in" / "0.png" / "out"  # a file is no folder, for root too
    for output in (Path("/proc/out"), read_only, source.parent / ("x" * 300)):
        ended = launched(
            lambda output=output: recover.run(
                recover.Request(input=(str(source),), output=str(output), model="no/model")
            )
        )
        ended.says(2, "Expected `output` to be a folder that can be written to", str(output)[:200])


def gone_meanwhile(source: Path) -> None:
    cut = write(source.parent / "cut", {"78.png": portrait(78)[:150]}) / "78.png"

    def network(portraits: np.ndarray) -> np.ndarray:
        (source / "79.png").unlink(missing_ok=True)
        if cut.exists():
            os.replace(cut, source / "78.png")  # at once: pictures ahead are read while this runs
        return 255 - portraits

    model = Recoverer(network, side=SIDE, name="slow/1", fingerprint="2" * 64)
    report = model.recover_folder(source, source.parent / "out")
    found = entries(source.parent / "out", source)
    assert (report.recovered, report.failed) == (78, 2)
    assert (found["79.png"], found["78.png"]) == (("failed", "missing"), ("failed", "truncated"))


def bad_among_many(root: Path) -> Path:
    source = write(root / "in", {"0.png": portrait(0), "1.png": portrait(1)})
    for k in range(2, 200):
        os.link(source / f"{k % 2}.png", source / f"{k}.png")
    (source / "137.png").unlink()
    return write(source, {"137.png": b"text"})


def costs_itself_only(source: Path) -> None:
    seen = []
    report = NEGATIVE.recover_folder(source, source.parent / "out", progress=seen.append)
    assert (report.recovered, report.failed, report.exit_code) == (199, 1, 1)
    assert [Path(one["input"]).name for one in seen if one["status"] == "failed"] == ["137.png"]
    expected = [negative_of(portrait(k)) for k in (0, 1)]
    for name, answer in answers(source.parent / "out").items():  # none is paired with another
        np.testing.assert_array_equal(answer, expected[int(name) % 2])


def finishes_its_batch(source: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        output = source.parent / f"out{number}"
        calls = []

        def network(portraits: np.ndarray, number: int = number, calls: list = calls) -> np.ndarray:
            if not calls:
                os.kill(os.getpid(), number)
            calls.append(len(portraits))
            return 255 - portraits

        model = Recoverer(network, side=SIDE, name="slow/1", fingerprint="2" * 64)
        report = model.recover_folder(source, output)
        assert (report.interrupted, report.exit_code) == (True, 130)
        assert 16 <= report.recovered < 80
        assert len(answers(output)) == report.recovered
        again = model.recover_folder(source, output)
        assert (again.recovered, again.skipped) == (80 - report.recovered, report.recovered)


def second_run_is_refused(source: Path) -> None:
    output = source.parent / "out"
    with folder.opened(source, output):
        tool("recover", f"--input={source}", f"--output={output}").says(1, "another run is at work there")


def hostile_archives(root: Path) -> Path:
    """A zip and a tar that climb out of their folder, and weights that unpack to far more."""
    source = root / "in"
    source.mkdir()
    with zipfile.ZipFile(source / "faces.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("../../evil.png", portrait())
        packed.writestr("zeros.png", bytes(2**24))
    with tarfile.open(source / "faces.tar", "w") as packed:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        packed.addfile(link)
        packed.addfile(tarfile.TarInfo("../../evil.png"), io.BytesIO())
    np.savez_compressed(root / "bomb.npz", **{"a/kernel": np.zeros(2**24, np.float32), "a/bias": np.zeros(2)})
    data = (root / "bomb.npz").read_bytes()
    claim = pictures.patched(data, data.index(b"PK\1\2") + 24, (2**31).to_bytes(4, "little"))
    (root / "claim.npz").write_bytes(claim)
    return source


def never_unpacked(source: Path) -> None:
    root = source.parent
    report = NEGATIVE.recover_folder(source, root / "out")
    refused = ("failed", "not_an_image")
    assert entries(root / "out", source) == {"faces.zip": refused, "faces.tar": refused}
    assert report.exit_code == 1
    for given in (source, source / "faces.zip"):
        with pytest.raises(DataError, match="none of them a usable picture"):
            photos.load(given, DataConfig(side=SIDE))
    assert {path.name for path in root.iterdir()} == {"in", "out", "bomb.npz", "claim.npz"}
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a")])
    assert (root / "bomb.npz").stat().st_size < 2**17
    with little_memory(2**23):
        with pytest.raises(DataError, match=r"'a/kernel' as floats of shape \(3, 2\)"):
            archives.load_arrays(root / "bomb.npz", network)
        with pytest.raises(DataError, match="bytes when unpacked"):
            archives.read_arrays(root / "claim.npz")


ROWS = [
    Fault(
        45,
        "disk full, killed while writing",
        noisy,
        whole_or_not_at_all,
        differs="What a kill leaves is a hidden file that nothing reads, never a part of an output.",
    ),
    Fault(46, "output folder that cannot be", some(1), refused_before_the_model),
    Fault(47, "input deleted or changed meanwhile", some(80), gone_meanwhile),
    Fault(
        48,
        "one bad picture among many",
        bad_among_many,
        costs_itself_only,
        differs="200 pictures stand for 10,000: the next one is treated as the last one was.",
    ),
    Fault(49, "Ctrl-C and SIGTERM", some(80), finishes_its_batch),
    Fault(50, "two runs into one folder", some(1), second_run_is_refused),
    Fault(
        51,
        "archives that climb, link or explode",
        hostile_archives,
        never_unpacked,
        differs="No archive of pictures is ever unpacked. Weight archives hold plain arrays, and none is "
        "unpacked before it says that it has the shape that is wanted.",
    ),
]
