"""The text that travels with every exported model: what it is, what made it, what it is not for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ifrp_tf.core.config import Config
from ifrp_tf.systems.base import Term

_CARD = """\
# Model card: {name}

Recovers a photorealistic, upright face of {side} x {side} pixels from an unaligned artistic portrait
(painting, sketch, stylised picture): the style removal network (SRN) of `ifrp_tf`, after the IFRP method of
Shiri, Yu, Porikli, Hartley and Koniusz.

**The answer is a plausible face, not evidence.** The network fills in what the portrait does not show from
the faces that it was trained on. Its output must not be used to identify, accuse, verify or track anyone.

| | |
|---|---|
| architecture | {architecture} |
| parameters | {parameters:,} |
| storage | float16; computed in float32. {difference} |
| fine-tuning | {fine_tuning} |

## Input and output
* `serving_default`: `portrait` uint8 [N, {side}, {side}, 3], RGB 0-255, one face, roughly centred, turned by
  at most about {angle:.0f} degrees -> `photo` uint8 [N, {side}, {side}, 3].
* `recover_bytes`: `portrait_bytes`, PNG or JPEG files of at most 2 MB and 16 megapixels, scaled to the square
  without stretching, edges repeated -> `photo_bytes`, PNG files. EXIF orientation and colour profiles are
  ignored.
* Another height or width, another kind of file, or an answer that is not finite is an `INVALID_ARGUMENT`
  error.
* Frame: eyes at x 0.326 and 0.674 and y 0.34 of the side, hairline to chin.

## Data and licence
Released models are trained on tight crops of photographs of CelebA, LFW and AAF, stylised on the fly. CelebA
is licensed for **non-commercial research only, and so are these weights**; the persons in the photographs did
not consent to this use. A model trained on other photographs is bound by their terms.

## Training
{training}

## Validation
{validation}

## Evaluation
{evaluation}

## Limits
* Invention: hair, age, skin and expression may be made up; errors look as real as what is right.
* Bias: the training photographs show mostly celebrities and public figures, unevenly distributed over skin
  colour, age and gender; faces that are rare there are recovered worse, and pulled towards the average.
* Outside its domain (profiles, several faces, full figures, no face at all) it still answers with a face.
* Styles unlike the training styles give worse answers; see the tables above.

## Misuse
Not for identification, surveillance, forensics or legal proceedings; not for passing an output off as a
photograph of a person; not for making pictures of real people without their consent. Outputs written by
`ifrp_tf` carry a text chunk that says that they were generated, and by which model.
"""


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
        last: dict[str, Any] = {}
        for line in _text(run_dir / "metrics.jsonl").splitlines():
            last = _parse(line) or last
        return cls(last, _parse(_text(run_dir / "environment.json")))


def write(
    *,
    name: str,
    config: Config,
    architecture: str,
    terms: Sequence[Term],
    parameters: int,
    run: RunRecord,
    difference: tuple[float, int],
    evaluation: str = "",
    weights: str = "",
) -> str:
    """The model card, Markdown.

    Args:
        name: such as `ifrp/1`.
        config: the run's configuration.
        architecture: of the network, in a line (`System.architecture`).
        terms: of the loss that the network was trained on.
        parameters: numbers in the network.
        run: the record of the training.
        difference: mean and largest change of the answers by float16 storage, levels of 0-255.
        evaluation: Markdown of an evaluation; may be empty.
        weights: name of the weights file in the version folder; empty where there is none.

    Example:
        >>> record = RunRecord({}, {})
        >>> card = write(name="ifrp/1", config=Config(), parameters=1, run=record, difference=(0.0, 0))
        >>> card.splitlines()[0]
        '# Model card: ifrp/1'
    """
    mean, largest = difference
    return _CARD.format(
        name=name,
        side=config.data.side,
        angle=config.data.max_angle,
        architecture=architecture,
        parameters=parameters,
        difference=f"Rounding changes answers by {mean:.3f} levels of 255 on average, at most {largest}",
        fine_tuning=f"`{weights}` (float16); `tools/train.py --initial=FOLDER` starts from this folder"
        if weights
        else "`tools/train.py --initial=FOLDER` starts from this folder: its batch norms are put back",
        training=_training(config, terms, run),
        validation=_validation(run.last.get("validation", {})),
        evaluation=evaluation.strip() or "Not evaluated on the test photographs yet.",
    )


def _training(config: Config, terms: Sequence[Term], run: RunRecord) -> str:
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
        f"Styles: {config.data.styles}. The weights are {average}."
    )
    packages = run.environment.get("packages", {})
    if packages:
        versions = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
        lines.append(f"Made with {versions}; commit {run.environment.get('commit', 'unknown')}.")
    return "\n".join(lines)


def _validation(scores: dict[str, dict[str, float]]) -> str:
    if not scores:
        return "The run recorded no validation."
    rows = [
        ("model", "the model"),
        ("input", "the unrecovered portrait"),
        ("mean_face", "the mean training face, for every portrait"),
    ]
    table = ["| answer | PSNR, dB | SSIM |", "|---|---|---|"]
    for key, words in rows:
        if key in scores:
            table.append(f"| {words} | {scores[key]['psnr']:.2f} | {scores[key]['ssim']:.3f} |")
    intro = "Photographs held out of training, stylised and misaligned as in training:\n\n"
    return intro + "\n".join(table)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _parse(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
