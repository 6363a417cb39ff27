"""Compares what two commits answer, train and write, file by file, and asks for equality to the bit.

    python hardening/compare_commits.py --before=a6c40d2 --after=HEAD [--only=recover,train_modern]

Each commit is checked out into a folder of its own and the same commands of `tools/` run in both, with the
same interpreter, on the same machine: recovery with the released model, two training steps of every preset
(checkpoints hold the moments of the optimizers, so equal files are equal gradients), a run that the first
commit began and the second goes on with, shards, an evaluation, an export, two steps of a style bank.
Standard library, NumPy, Pillow and h5py only: it must run whatever the package looks like.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
FACES = ROOT / "tests" / "conformance" / "faces.png"
# What legitimately differs between two runs of the same code: clocks, folders, the commit and its command.
VOLATILE = {
    "time", "seconds", "mtime_ns", "commit", "command", "created", "packages", "date", "when", "recovered_at",
    "environment.json", "elapsed", "pictures_per_second", "python", "versions",
}  # fmt: skip
_TRAIN = (
    "--set=train.pictures=16", "--set=train.batch_size=8", "--set=train.epoch_pictures=16",
    "--set=data.validation_count=4", "--set=train.deterministic=true", "--set=train.dtype=float32",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """One command, or several in a row, and the folder whose files are compared.

    Attributes:
        name: of the case; its files are below `<work>/<name>`.
        commands: arguments after the interpreter; `{out}` is the folder of the case, `{faces}` the drawn
            faces, `{sample}` the sample portrait, `{first}` what the *first* commit made.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]


def cases(weights: bool) -> list[Case]:
    """All cases; those that need the feature networks only where `data/weights` is there."""
    plain = ("--set=loss.identity_network=none", "--set=loss.identity=0", "--set=loss.identity_cosine=0")
    identity = () if weights else plain
    found = [
        Case("sample", (("tools/sample_portrait.py", "--output={out}/sample.png"),)),
        Case(
            "recover",
            (
                ("tools/recover.py", "--input={sample}", "--output={out}/sample", "--side_by_side"),
                ("tools/recover.py", "--input={faces}", "--output={out}/faces", "--faces=whole", "--gallery"),
                ("tools/recover.py", "--input={sample}", "--output={out}/auto", "--faces=auto", "--paste"),
            ),
        ),
    ]
    for preset in ("modern", "paper", "wacv", "fdnn"):
        start = ("tools/train.py", f"--preset={preset}", "--data={faces}", "--run_dir={out}/run")
        found.append(Case(f"train_{preset}", ((*start, *_TRAIN, *identity),)))
    toy = (
        "tools/train.py", "--preset=toy", "--set=train.deterministic=true", "--set=train.epoch_pictures=64",
        "--set=train.batch_size=16", "--set=train.checkpoint_steps=4", "--set=train.pictures=128",
    )  # fmt: skip
    found += [
        Case("toy", ((*toy, "--run_dir={out}/run"),)),
        Case("resume", (("COPY", "{first}/toy_half/run", "{out}/run"), (*toy, "--run_dir={out}/run"))),
        Case("export", (("tools/export.py", "--run={first}/toy/run", "--output={out}/toy/1"),)),
        Case(
            "shards",
            (
                (
                    "tools/prepare_faces.py", "--input={faces}", "--output={out}/shards", "--portraits=2",
                    "--set=data.validation_count=4", "--test=",
                ),
            ),
        ),  # fmt: skip
        Case(
            "evaluate",
            (
                (
                    "tools/evaluate.py", "--model=saved_models/ifrp",
                    "--portraits={first}/evaluation/portraits", "--photos={first}/evaluation/photos",
                    "--json={out}/evaluation.json",
                ),
            ),
        ),
    ]  # fmt: skip
    return found


def prepare(work: Path) -> None:
    """Writes the inputs that both commits share: 16 drawn faces, and portraits with their photographs."""
    sheet = np.asarray(Image.open(FACES).convert("RGB"))
    for k in range(16):
        y, x = divmod(k, 4)
        face = sheet[y * 128 : y * 128 + 128, x * 128 : x * 128 + 128]
        for folder in ("faces", "evaluation/portraits/drawn", "evaluation/photos"):
            target = work / folder / f"face_{k:02d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(face).save(target)


def run(checkout: Path, work: Path, first: Path, only: list[str]) -> dict[str, str]:
    """Runs the cases in `checkout`; returns what went wrong, by case."""
    problems = {}
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    for case in cases((checkout / "data" / "weights").is_dir()):
        if only and case.name not in only:
            continue
        out = work / case.name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        names = {
            "out": out,
            "faces": first / "faces",
            "sample": first / "sample" / "sample.png",
            "first": first,
        }
        for command in case.commands:
            words = [word.format(**names) for word in command]
            if words[0] == "COPY":
                shutil.copytree(words[1], words[2])
                continue
            done = subprocess.run(
                [sys.executable, *words],
                cwd=checkout,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            print(f"{checkout.name}: {case.name}: exit {done.returncode}", flush=True)
            (work / f"{case.name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
            if done.returncode:
                problems[case.name] = (done.stdout + done.stderr)[-600:]
                break
        if case.name == "toy":  # half of this run is what the other commit goes on with
            half = work / "toy_half"
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(out / "run", half / "run")
            for path in sorted((half / "run" / "checkpoints").iterdir())[1:]:
                shutil.rmtree(path)
    return problems


def contents(path: Path) -> dict[str, object]:
    """What a file says, by name, without what may differ between two runs of the same code."""
    if path.suffix == ".h5":
        found: dict[str, object] = {}
        with h5py.File(path) as archive:
            archive.visititems(lambda name, item: found.update(_dataset(name, item)))
        return found
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name].tobytes() for name in archive.files}
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return {"pixels": picture.tobytes(), "text": dict(getattr(picture, "text", {}))}
    if path.suffix in (".json", ".jsonl"):
        lines = (
            path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        )
        return {str(k): _steady(json.loads(line)) for k, line in enumerate(lines)}
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _dataset(name: str, item: object) -> dict[str, object]:
    return {name: item[()].tobytes()} if isinstance(item, h5py.Dataset) else {}


def _steady(value: object) -> object:
    if isinstance(value, dict):
        return {key: _steady(inner) for key, inner in value.items() if key not in VOLATILE}
    return [_steady(inner) for inner in value] if isinstance(value, list) else value


def compare(before: Path, after: Path, skipped: tuple[str, ...]) -> list[str]:
    """The files below two folders that do not say the same, each with the names that differ."""
    problems = []
    names = {str(p.relative_to(base)) for base in (before, after) for p in base.rglob("*") if p.is_file()}
    for name in sorted(names):
        if Path(name).name in VOLATILE or any(part in name for part in skipped):
            continue
        if not (before / name).exists() or not (after / name).exists():
            problems.append(f"{name}: only {'before' if (before / name).exists() else 'after'}")
            continue
        one, two = contents(before / name), contents(after / name)
        different = sorted(key for key in set(one) | set(two) if one.get(key) != two.get(key))
        if different:
            problems.append(f"{name}: {len(different)} of {len(one)} differ: {', '.join(different[:4])}")
    return problems


def main() -> int:
    """Runs both commits and prints a line a case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", required=True, help="commit that is right by definition")
    parser.add_argument("--after", default="HEAD")
    parser.add_argument("--work", default="/tmp/compare_commits", help="folder for checkouts and files")
    parser.add_argument("--only", default="", help="names of cases, separated by commas")
    parser.add_argument("--keep_before", action="store_true", help="do not run the first commit again")
    given = parser.parse_args()
    work, only = Path(given.work), [name for name in given.only.split(",") if name]
    folders = {}
    for role, commit in (("before", given.before), ("after", given.after)):
        checkout = work / f"{role}_checkout"
        if not (role == "before" and given.keep_before):
            shutil.rmtree(checkout, ignore_errors=True)
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
            subprocess.run(["git", "checkout", "--quiet", commit], cwd=checkout, check=True)
            if (ROOT / "data").is_dir():
                (checkout / "data").symlink_to((ROOT / "data").resolve())
        folders[role] = work / role
    prepare(folders["before"])
    failed = 0
    for role, folder in folders.items():
        if role == "before" and given.keep_before:
            continue
        for name, words in run(work / f"{role}_checkout", folder, folders["before"], only).items():
            failed += 1
            print(f"FAILED {role} {name}: {words}")
    # TensorBoard's events, logs and pages hold clocks; a program's fingerprint depends on its file names.
    skipped = (
        "tensorboard/",
        "log.txt",
        ".cache",
        "fingerprint.pb",
        "saved_model.pb",
        "checksums",
        ".html",
        "card",
    )
    for case in cases((ROOT / "data" / "weights").is_dir()):
        if only and case.name not in only:
            continue
        problems = compare(folders["before"] / case.name, folders["after"] / case.name, skipped)
        count = sum(path.is_file() for path in (folders["after"] / case.name).rglob("*"))
        print(f"{case.name}: {'equal' if not problems else 'DIFFERENT'} ({count} files)")
        for problem in problems:
            print(f"    {problem}")
        failed += bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
