"""The text that travels with every exported model: what it is, what made it, what it is not for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ifrp_tf.core.config import Config
from ifrp_tf.core.files import read_json_lines
from ifrp_tf.core.rendering import markdown_table, render
from ifrp_tf.systems.base import Term


@dataclass(frozen=True)
class RunRecord:
    """What a run's folder says of its training.

    Attributes:
        last: last row of `metrics.jsonl`; empty where there is none.
        environment: `environment.json`; empty where there is none.
    """

    last: dict[str, Any]
    environment: dict[str, Any]

    @classmethod
    def read(cls, run_dir: Path) -> RunRecord:
        """Reads a run's folder; a last line cut by a kill is passed over."""
        rows = read_json_lines(run_dir / "metrics.jsonl")
        return cls(rows[-1] if rows else {}, _parse(_text(run_dir / "environment.json")))


def write(
    *,
    name: str,
    config: Config,
    method: str,
    architecture: str,
    terms: Sequence[Term],
    parameters: int,
    run: RunRecord,
    difference: tuple[float, int],
    evaluation: str = "",
    weights: str = "",
    purpose: str = "",
    limits: Sequence[str] = ("Styles unlike the training styles give worse answers; see the tables above.",),
    attributes: Sequence[str] = (),
) -> str:
    """The model card, Markdown.

    Args:
        name: such as `ifrp/1`.
        config: the run's configuration.
        method: what kind of network it is and whose (`System.method`).
        architecture: of the network, in a line (`System.architecture`).
        terms: of the loss that the network was trained on.
        parameters: numbers in the network.
        run: the record of the training.
        difference: mean and largest change of the answers by float16 storage, levels of 0-255.
        evaluation: Markdown of an evaluation; may be empty.
        weights: name of the weights file in the version folder; empty where there is none.
        purpose: what it does, part of a sentence, where that is not recovering faces from portraits.
        limits: of this system, sentences.
        attributes: names of what the network is told beside a portrait.

    Example:
        >>> record = RunRecord({}, {})
        >>> card = write(name="ifrp/1", config=Config(), parameters=1, run=record, difference=(0.0, 0))
        >>> card.splitlines()[0]
        '# Model card: ifrp/1'
    """
    mean, largest = difference
    return render(
        "ifrp_tf.release",
        "card.md",
        name=name,
        side=config.data.side,
        angle=config.data.max_angle,
        method=method,
        architecture=architecture,
        parameters=parameters,
        difference=f"Rounding changes answers by {mean:.3f} levels of 255 on average, at most {largest}",
        fine_tuning=f"`{weights}` (float16); `tools/train.py --initial=FOLDER` starts from this folder"
        if weights
        else "not from this folder: the weights that it starts from were left out (`export --noweights`)",
        training=_training(config, terms, run, "" if purpose else f"Styles: {config.data.styles}. "),
        purpose=purpose,
        limits=limits,
        attributes=attributes,
        validation=_validation(run.last.get("validation", {})),
        evaluation=evaluation.strip() or "Not evaluated on the test photographs yet.",
    )


def _training(config: Config, terms: Sequence[Term], run: RunRecord, styles: str) -> str:
    train = config.train
    lines = []
    if run.last:
        lines.append(
            f"{run.last['step']:,} steps, {run.last['pictures']:,} pictures, {run.last['epoch']} epochs."
        )
    weighted = [f"{term.title or term.name} {float(term.weight_at(0)):g}" for term in terms]
    average = "a moving average" if train.ema else "those of the last step"
    lines.append(
        f"{train.optimizer}, learning rate {train.learning_rate:g} ({train.schedule} schedule), batches of "
        f"{train.batch_size}, {train.dtype}, seed {train.seed}. Loss: {', '.join(weighted)}. "
        f"{styles}The weights are {average}."
    )
    lines += _further_portraits(config)
    packages = run.environment.get("packages", {})
    if packages:
        versions = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
        lines.append(f"Made with {versions}; commit {run.environment.get('commit', 'unknown')}.")
    return "\n".join(lines)


def _further_portraits(config: Config) -> list[str]:
    """What was trained on besides photographs in styles, and what befell portraits; nothing if none."""
    data, parts = config.data, []
    if data.sketches and data.sketch_share:
        parts.append(f"hand-drawn sketches {data.sketch_share:.0%}")
    if data.foreign and data.foreign_share:
        parts.append(f"portraits by other people's style networks {data.foreign_share:.0%}")
    for name in ("augment", "backdrop", "restyle", "weak"):
        if value := getattr(data, name):
            parts.append(f"data.{name} {value:g}")
    return [f"Portraits besides: {', '.join(parts)}."] if parts else []


def _validation(scores: dict[str, dict[str, float]]) -> str:
    if not scores:
        return "The run recorded no validation."
    rows = [
        ("model", "the model"),
        ("input", "the unrecovered portrait"),
        ("mean_face", "the mean training face, for every portrait"),
        ("foreign", "the model, portraits by other people's networks of the same persons"),
    ]
    cells = [(words, *_scores(scores[key])) for key, words in rows if key in scores]
    table = markdown_table(("answer", "PSNR, dB", "SSIM"), cells)
    return f"Photographs held out of training, stylised and misaligned as in training:\n\n{table}"


def _scores(part: dict[str, float]) -> tuple[str, str]:
    return f"{part['psnr']:.2f}", f"{part['ssim']:.3f}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _parse(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
