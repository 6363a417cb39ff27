"""Faults 89-95: the command line, the terminal, where a tool is started, and how long it runs."""

import atexit
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from faults import NEGATIVE, Ended, Fault, bytes_of, launched, nobody, portrait, tool, write
from helpers import ROOT

from ifrp_tf.core import assets
from ifrp_tf.core.presets import preset
from ifrp_tf.pictures import images
from ifrp_tf.release import load
from ifrp_tf.styles import bank

TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py"))


def mistyped(_: Path) -> dict[tuple[str, ...], tuple[str, ...]]:
    """What is typed after `tools/train.py`, and what the answer must hold."""
    return {
        ("toyy",): ("Unknown preset 'toyy'", "Did you mean 'toy'"),
        ("toy", "train.lerning_rate=1"): ("Did you mean 'learning_rate'",),
        ("toy", "trian.learning_rate=1"): ("Did you mean 'train'",),
        ("toy", "train.learning_rate=abc"): ("train.learning_rate to be of type float", "'abc'"),
        ("toy", "train.learning_rate=7"): ("learning_rate between 1e-08 and 1", "Received: 7.0"),
        ("toy", "train.optimizer=sgd"): ("one of rmsprop, adam", "'sgd'"),
        ("toy", "train.learning_rate"): ("Expected section.key=value",),
    }


def usage_errors(made: dict[tuple[str, ...], tuple[str, ...]]) -> None:
    for (name, *changes), words in made.items():
        launched(lambda name=name, changes=changes: preset(name).override(changes)).says(2, *words)
    ended = tool("train", "--presett=toy", "--run_dir=x")
    assert (ended.code, "Traceback" in ended.err) == (2, False)
    assert "Did you mean: preset" in ended.err


def imported(ended: Ended) -> set[str]:
    """Packages that a tool under `-X importtime` imported; what it said itself is left out."""
    lines = [line for line in ended.err.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


def refused_before_tensorflow(commands: list[tuple[str, ...]]) -> None:
    for name, *given in commands:
        ended = tool(name, *given, python=("-X", "importtime"))
        assert ended.code == 2
        assert "Traceback" not in ended.err
        assert not imported(ended) & {"tensorflow", "keras", "jax"}, name


def short_and_quiet(names: list[str]) -> None:
    assert len(names) > 15
    for name in names:
        ended = tool(name, "--help", python=("-X", "importtime"))
        lines = [line for line in ended.err.splitlines() if not line.startswith("import time:")]
        assert (ended.code, lines) == (0, []), name
        assert len(ended.out) > 300
        assert not imported(ended) & {"tensorflow", "keras", "jax", "numpy", "PIL"}, (
            name
        )  # each takes its time


def no_traceback(_: Path) -> None:
    """`| head` that has seen enough, and an output that was closed from the start."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = tool("recover", "--help", stdout=writer)
    finally:
        os.close(writer)
    assert (ended.code, ended.err) == (0, "")
    closed = f"exec '{sys.executable}' '{ROOT / 'tools' / 'recover.py'}' --help >&-"
    done = subprocess.run(["sh", "-c", closed], stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def foreign_names(root: Path) -> Path:
    return write(root / "דיוקן 😀 é", {"back\\slash.png": portrait(), "C:\\é.png": portrait(1)})


def written_somehow(source: Path) -> None:
    output = source / "aus é"
    for encoding in ("ascii", "cp1252"):
        raw = io.BytesIO()
        out = io.TextIOWrapper(raw, encoding=encoding)

        def main() -> int:
            report = NEGATIVE.recover_folder(source, output)
            print(report.path)
            return report.exit_code

        assert launched(main, out=out).code == 0
        out.flush()
        assert b"report.json" in raw.getvalue()
    assert images.read(output / "C:\\é_recovered.png").pixels.shape == (32, 32, 3)
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    (source / "leer").mkdir()
    ended = tool("recover", f"--input={source / 'leer'}", f"--output={output}", env={**os.environ, **plain})
    ended.says(1, "0 pictures in")


def elsewhere(_: Path) -> Path:
    """A folder that anybody may write to, far from the package."""
    place = Path(tempfile.mkdtemp(prefix="ifrp_faults_"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    write(place / "in", {"x.png": portrait()}).chmod(0o755)
    place.chmod(0o777)
    return place


def found_from_anywhere(place: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        with nobody():  # who may not write to the package
            report = NEGATIVE.recover_folder("in", "out")
        assert (report.recovered, (place / "out" / "x_recovered.png").is_file()) == (1, True)
        launched(lambda: 0)
        assert load.load(assets.MODEL).side == 128
        assert len(bank.load().names) > 20
    assert {path.name for path in place.iterdir()} == {"in", "out"}


def many(root: Path) -> Path:
    source = write(root / "in", {"0.png": portrait()})
    for k in range(1, 300):
        os.link(source / "0.png", source / f"{k}.png")
    return source


def level(source: Path) -> None:
    samples: list[tuple[int, int]] = []

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    def sample(_: dict) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        samples.append((pages * os.sysconf("SC_PAGE_SIZE"), open_files()))

    before = open_files()
    NEGATIVE.recover_folder(source, source.parent / "out", progress=sample)
    early, late = np.array(samples[80:130]), np.array(samples[-50:])
    assert late[:, 0].max() < 1.05 * early[:, 0].max()
    assert late[:, 0].max() - early[:, 0].max() < 2**23  # sharper than 5 % of what the tests hold already
    # Threads that read and write have a few open at any moment; a leak of one a picture would be 170 here.
    assert late[:, 1].max() <= early[:, 1].max() + 8
    assert open_files() <= before


RECOVER = ("--input=x.png", "--output=out")
CONTRADICTIONS = [
    ("recover", *RECOVER, "--faces=whole", "--paste"),
    ("recover", *RECOVER, "--strength=0.5"),
    ("train", "--preset=toy", "--run_dir=x", "--set=model.stn=none"),
    ("export", "--output=1"),
]

ROWS = [
    Fault(89, "mistyped flags, presets and settings", mistyped, usage_errors),
    Fault(90, "contradictory flags", bytes_of(list, CONTRADICTIONS), refused_before_tensorflow),
    Fault(91, "--help", bytes_of(list, TOOLS), short_and_quiet),
    Fault(92, "stdout closed", lambda folder: folder, no_traceback),
    Fault(
        93,
        "locale without UTF-8, names of Windows",
        foreign_names,
        written_somehow,
        differs="Windows is not at hand; its names and encoding are. What an encoding lacks is escaped.",
    ),
    Fault(
        94,
        "another working directory, package read-only",
        elsewhere,
        found_from_anywhere,
        differs="The tools find the model that is shipped from anywhere; a relative --model is the caller's.",
    ),
    Fault(
        95,
        "many pictures",
        many,
        level,
        differs="300 pictures, not three hours of them; tools/soak.py is for hours of the server.",
    ),
]
