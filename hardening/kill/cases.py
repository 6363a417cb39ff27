"""What is killed: a training, the recovery of a folder, an export and the training of a style bank.

Each is the real tool on small work; `killing` starts, kills and resumes it.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hardening.kill import intact
from hardening.kill import run as killing
from hardening.kill.intact import compare
from hardening.kill.run import Case, Outcome
from ifrp_tf.core.errors import ConfigError, TrainingError
from ifrp_tf.data import toy_faces
from ifrp_tf.pictures import images

WHAT = ("training", "recovery", "export", "bank")

# An epoch ends before the first checkpoint is due, so that a kill may meet a row without a checkpoint.
_TOY = (
    "--preset=toy", "--set=train.batch_size=8", "--set=train.epoch_pictures=32", "--set=train.pictures=160",
    "--set=data.validation_count=8", "--set=train.deterministic=true", "--set=train.checkpoint_steps=3",
    "--set=data.styles=pencil,oil", "--set=loss.adversarial_start=6",
)  # fmt: skip
_ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_DETERMINISTIC_OPS": "1"}
_TOOLS = Path(__file__).resolve().parents[2] / "tools"


def run(what: Sequence[str], kills: int, seed: int, run_dir: str | Path, *, weights: str) -> int:
    """What `tools/kill_loop.py` does: kills one case after the other, prints and keeps what came of it.

    Args:
        what: out of `WHAT`.
        kills: of each, 1 or more.
        seed: of the moments.
        run_dir: a folder for the work; gets `<what>.json`. What is in it from earlier is overwritten.
        weights: folder with the VGG-19 archive, for the bank.

    Returns:
        0 if nothing was damaged, lost or different, else 1.

    Raises:
        ConfigError: a case is unknown, or the number of kills is.
        TrainingError: a tool fails without being killed.
    """
    if not what or set(what) - set(WHAT) or kills < 1:
        raise ConfigError(
            f"Expected some of {', '.join(WHAT)} and a kill or more. Received: {what}, {kills}."
        )
    sound = True
    for name in what:
        root = Path(run_dir).resolve() / name
        outcome = killing.run(make(name, root, weights), root, kills=kills, seed=seed)
        sound = sound and not outcome.faults
        images.write_bytes_atomic(
            Path(run_dir) / f"{name}.json", json.dumps(dataclasses.asdict(outcome), indent=2).encode()
        )
        print("\n".join(_words(outcome)), flush=True)  # noqa: T201
    return 0 if sound else 1


def make(name: str, root: Path, weights: str = "data/weights") -> Case:
    """One case on its smallest work; its inputs are drawn below `root / "given"`.

    Args:
        name: out of `WHAT`.
        root: a folder of its own.
        weights: folder with the VGG-19 archive.

    Raises:
        TrainingError: the training that the export needs fails.
    """
    given = root / "given"
    if name == "training":
        return training()
    if name == "recovery":
        draw(given / "portraits", 64)
        (given / "portraits" / "not_a_picture.png").write_bytes(b"text")
        return recovery(given / "portraits", Path("saved_models/ifrp").resolve())
    if name == "export":
        draw(given / "portraits", 8)
        if not (given / "run" / "model" / "mean_face.png").exists():
            _finish(_tool("train", *_TOY, f"--run_dir={given / 'run'}"))
        return export(given / "run", given / "portraits")
    draw(given / "photos", 6)
    draw(given / "styles", 2)
    return bank(given / "styles", given / "photos", weights)


def training() -> Case:
    """A toy training of five epochs with four steps each."""

    def lasting(work: Path) -> dict[str, int | str]:
        steps = [int(path.name[5:]) for path in (work / "run" / "checkpoints").glob("step_*")]
        step = max(steps, default=0)
        rows = sum(row <= step for row in _steps(work / "run"))
        made = {name: 1 for name in ("config.json", "model/srn.weights.h5") if (work / "run" / name).exists()}
        return {"checkpoint": step, "rows up to it": rows, **made}

    def differences(whole: Path, work: Path) -> tuple[list[str], bool]:
        faults, exact = compare(whole, work, levels=1)
        if (rows := _steps(work / "run")) != (expected := _steps(whole / "run")):
            faults.append(f"metrics.jsonl: expected rows of steps {expected}, received {rows}")
        return faults, exact

    return Case(
        "training", lambda work: _tool("train", *_TOY, f"--run_dir={work / 'run'}"), lasting, differences
    )


def recovery(portraits: Path, model: Path) -> Case:
    """The recovery of a folder, with sheets and a gallery.

    Args:
        portraits: the input folder.
        model: as for `tools/recover.py`.
    """

    def command(work: Path) -> list[str]:
        flags = ("--side_by_side", "--gallery", f"--input={portraits}", f"--model={model}")
        return _tool("recover", *flags, f"--output={work / 'out'}")

    def differences(whole: Path, work: Path) -> tuple[list[str], bool]:
        # One more life each: it finds everything done, and so both reports say the same.
        for folder in (whole, work):
            if folder == work or not (whole / "again.txt").exists():
                killing.live(case, folder, folder / "again.txt")
        return compare(whole, work)

    def lasting(work: Path) -> dict[str, int | str]:
        done = intact.digests(work / "out").items()
        return {
            name: digest for name, digest in done if name.endswith(("_recovered.png", "_side_by_side.png"))
        }

    case = Case("recovery", command, lasting, differences)
    return case


def export(run_dir: Path, portraits: Path) -> Case:
    """The export of a run; compared by the answers of what was exported.

    Args:
        run_dir: a run that has finished an epoch.
        portraits: pictures to ask it about.
    """

    def answers(work: Path) -> Path:
        output = work / "answers"
        if not (output / "report.json").exists():
            flags = (f"--input={portraits}", f"--output={output}", f"--model={work / 'toy' / '1'}")
            _finish(_tool("recover", *flags))
        return output

    def differences(whole: Path, work: Path) -> tuple[list[str], bool]:
        faults, _ = compare(answers(whole), answers(work), only="_recovered.png", levels=0)
        return faults, compare(whole / "toy", work / "toy")[1]

    return Case(
        "export",
        lambda work: _tool("export", f"--run={run_dir}", f"--output={work / 'toy' / '1'}"),
        lambda work: dict(intact.digests(work / "toy")),
        differences,
        finished=lambda work: (work / "toy" / "1").is_dir(),
    )


def bank(styles: Path, photos: Path, weights: str) -> Case:
    """A bank of two styles, twelve steps, a checkpoint after each.

    Args:
        styles: folder of style images.
        photos: folder of photographs.
        weights: folder with the VGG-19 archive.
    """

    def command(work: Path) -> list[str]:
        flags = ("--pictures=24", "--batch_size=2", "--save_seconds=0", f"--weights={weights}")
        given = (f"--styles={styles}", f"--photos={photos}")
        return _tool(
            "train_style_bank", *flags, *given, f"--output={work / 'bank'}", f"--run_dir={work / 'run'}"
        )

    def lasting(work: Path) -> dict[str, int | str]:
        path = work / "run" / "checkpoint.npz"
        step = int(intact.arrays(path)["step"]) if path.exists() else 0
        return {"step": step, **intact.digests(work / "bank")}

    def differences(whole: Path, work: Path) -> tuple[list[str], bool]:
        return compare(whole, work)

    return Case("bank", command, lasting, differences, environment=_ONE_THREAD)


def draw(folder: Path, count: int) -> None:
    """Writes drawn faces of 128 x 128 pixels.

    Args:
        folder: gets `<k>.png`.
        count: how many.
    """
    for k, pixels in enumerate(toy_faces.draw(count, side=128, seed=7).pixels):
        if not (folder / f"{k}.png").exists():  # the same time stamps when the loop is started again
            images.write_png(folder / f"{k}.png", pixels)


def _steps(run_dir: Path) -> list[int]:
    path = run_dir / "metrics.jsonl"
    return [json.loads(line)["step"] for line in path.read_text().splitlines()] if path.exists() else []


def _tool(name: str, *flags: str) -> list[str]:
    return [sys.executable, str(_TOOLS / f"{name}.py"), *flags]


def _finish(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrainingError(f"Expected {' '.join(command)} to succeed. Received: {done.stderr[-1500:]}")


def _words(outcome: Outcome) -> list[str]:
    return [
        f"{outcome.name}: {outcome.kills} kills, {outcome.writing} of them after its first write, "
        f"{outcome.rounds} times brought to its end, {outcome.exact} times equal to the bit, "
        f"{len(outcome.faults)} faults, {outcome.left} temporary files left, {outcome.seconds:.0f} s",
        *(f"FAULT: {fault}" for fault in outcome.faults),
    ]
