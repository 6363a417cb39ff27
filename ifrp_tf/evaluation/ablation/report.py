"""A table of ablations as plain values and as Markdown, trivial answers and the paper's figures beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ifrp_tf import __version__
from ifrp_tf.core.rendering import markdown_table
from ifrp_tf.evaluation.ablation import row as ablate_row
from ifrp_tf.evaluation.ablation.row import GROUPS, Job
from ifrp_tf.evaluation.ablation.tables import Ablation
from ifrp_tf.evaluation.paper_figures import DIFFERENCES, STYLE_DIFFERENCES
from ifrp_tf.evaluation.statistics import METRICS
from ifrp_tf.evaluation.tables import HEADER, number, with_interval

_TITLES = {
    "unseen": "Unseen styles",
    "seen": "Styles trained on",
    "foreign": "Portraits by networks of other people",
}
_NOTHING = "–"
_INTERVALS = ("psnr", "frr_top5")


def collect(
    ablation: Ablation, jobs: Sequence[Job], failures: Mapping[str, str], *, command: str
) -> dict[str, Any]:
    """The content of the JSON file.

    Args:
        ablation: the table.
        jobs: its rows.
        failures: row name -> why it could not be had.
        command: that made it.
    """
    rows: dict[str, Any] = {}
    for job in jobs:
        rows[job.name] = {
            "changes": dict(job.row.changes),
            "paper": dict(job.row.paper),
            "commands": job.commands,
            "failed": failures.get(job.name),
            "result": ablate_row.result(job),
        }
    config = jobs[0].config
    return {
        "title": ablation.title,
        "version": __version__,
        "command": command,
        "pictures": config.train.pictures,
        "seed": config.train.seed,
        "side": config.data.side,
        "batch_size": config.train.batch_size,
        "notes": list(ablation.notes),
        "groups": list(ablation.groups),
        "rows": rows,
    }


def markdown(content: dict[str, Any]) -> str:
    """The table for people.

    Args:
        content: of `collect`.
    """
    parts = [f"# Ablation: {content['title'][0].lower()}{content['title'][1:]}", _description(content)]
    finished = {name: row["result"] for name, row in content["rows"].items() if row["result"]}
    if not finished:
        parts.append("No row is finished.")
    else:
        for group in content.get("groups", GROUPS[:2]):
            parts += [f"## {_TITLES[group]}", _group(content, finished, group), _note(finished, group)]
        parts += ["## Training", _training(content, finished)]
    parts += ["## How to read it", _reading(content)]
    parts += ["## Commands", f"All of it:\n\n```\n{content['command']}\n```", "Row by row:"]
    for name, row in content["rows"].items():
        lines = "\n".join(row["commands"])
        parts.append(f"{name}:\n\n```\n{lines}\n```")
    return "\n\n".join(part for part in parts if part)


def _description(content: dict[str, Any]) -> str:
    text = (
        f"Every row: {content['pictures']:,} training pictures of {content['side']} x {content['side']} "
        f"pixels, batches of {content['batch_size']}, seed {content['seed']}; one training each."
    )
    missing = [name for name, row in content["rows"].items() if not row["result"]]
    if missing:
        text += f" **Not there: {', '.join(missing)}.**"
    for name, row in content["rows"].items():
        if row["failed"]:
            text += f" {name} failed: {row['failed']}"
    return text


def _group(content: dict[str, Any], finished: Mapping[str, Any], group: str) -> str:
    """One row each for what was trained, then the trivial answers to the same portraits."""
    names = dict.fromkeys(key for row in content["rows"].values() for key in row["paper"])
    figures = [key for key in names if key.startswith(f"{group}_") or key == "unlabelled"]
    header = ["row", *HEADER[: len(METRICS)]]
    header += [f"paper: {key.removeprefix(f'{group}_').upper()}" for key in figures if key != "unlabelled"]
    header += ["paper: unlabelled"] * ("unlabelled" in figures)
    rows = []
    for name, row in content["rows"].items():
        paper = [f"{row['paper'][key]:.2f}" if key in row["paper"] else _NOTHING for key in figures]
        part = (row["result"] or {}).get(group)
        rows.append([name, *(_cells(part) if part else [_NOTHING] * len(METRICS)), *paper])
    for suffix, part in _trivial(finished, group):
        photos, chance = part["photos"]["mirrored"], part["chance"]
        lines = {
            "the portrait as it is": [number(k, part["input"]["mean"][k]) for k in METRICS],
            "the mean training face": [number(k, part["mean_face"]["mean"][k]) for k in METRICS],
            "chance": [number(k, chance.get(k)) for k in METRICS],
            "the photographs mirrored": [number(k, photos.get(k)) for k in METRICS],
        }
        rows += [[f"*{name}{suffix}*", *cells, *[_NOTHING] * len(figures)] for name, cells in lines.items()]
    return markdown_table(header, rows)


def _cells(part: dict[str, Any]) -> list[str]:
    spread = part["confidence"]["model"]["mean"]
    return [
        with_interval(name, part["mean"][name], spread[name] if name in _INTERVALS else None)
        for name in METRICS
    ]


def _trivial(finished: Mapping[str, Any], group: str) -> list[tuple[str, dict[str, Any]]]:
    """One part for each set of portraits that rows were tested on, and what to say behind its name."""
    parts: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
    for name, result in finished.items():
        parts.setdefault(tuple(result[group]["styles"]), (name, result[group]))
    several = len(parts) > 1
    return [(f", of {name}" if several else "", part) for name, part in parts.values()]


def _note(finished: Mapping[str, Any], group: str) -> str:
    sets = dict.fromkeys(", ".join(result[group]["styles"]) for result in finished.values())
    part = next(iter(finished.values()))[group]
    settings, confidence = part["settings"], part["confidence"]
    protocols = {
        tuple(result[group]["settings"]["protocol"][key] for key in ("photos", "limit", "side"))
        for result in finished.values()
    }
    text = (
        f"Styles: {'; '.join(sets)}. {part['counts']['subjects']:,} test photographs in each. In brackets "
        f"{confidence['level']:.0%} intervals over subjects."
    )
    if settings["descriptor"]:
        gallery, descriptor = part["gallery"]["size"], settings["descriptor"]["name"]
        text += f" FRR: among {gallery:,} photographs, descriptor: {descriptor}."
    if len(protocols) > 1:
        text += " **The rows were not tested on the same photographs: test them again (delete tested.json).**"
    return text


def _training(content: dict[str, Any], finished: Mapping[str, Any]) -> str:
    usual = _usual([row["changes"] for row in content["rows"].values()])
    rows = []
    for name, result in finished.items():
        changes = _listed(set(content["rows"][name]["changes"].items()) - set(usual.items()))
        part = result["training"]
        speed = f"{part['pictures_per_second']:.1f}"
        rows.append([name, changes, f"{part['parameters']:,}", f"{part['seconds']:,.0f}", speed])
    text = "Seconds are those of the whole training: start, validation, and restarts."
    if usual:
        text = f"Where a row says nothing else: {_listed(usual.items())}. {text}"
    header = ("row", "settings", "numbers in the SRN", "seconds", "pictures/s")
    return f"{markdown_table(header, rows, left=2)}\n\n{text}"


def _usual(changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Settings that every row makes, and more than half of all rows alike."""
    counts = Counter(setting for row in changes for setting in row.items())
    everywhere = set.intersection(*(set(row) for row in changes))
    return {
        key: value for (key, value), count in counts.items() if key in everywhere and 2 * count > len(changes)
    }


def _listed(settings: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(settings)) or _NOTHING


def _reading(content: dict[str, Any]) -> str:
    lines = [
        "One training a row: the intervals are those of the test faces, and say nothing of how much another "
        "seed would change. Small differences are not findings.",
        f"The budget is a small part of the paper's, at {content['side']} pixels (the paper: 128): compare "
        "the order of rows, not figures, with the paper.",
        *content["notes"],
        *(STYLE_DIFFERENCES[name] for name in _protocols(content)),
        *DIFFERENCES,
    ]
    if content["side"] != 128:
        side = content["side"]
        lines.append(
            f"PSNR, SSIM and FSIM are of pictures of {side} x {side} pixels; the descriptor and the identity "
            "network see them enlarged to 128."
        )
    return "\n".join(f"* {line}" for line in lines)


def _protocols(content: dict[str, Any]) -> list[str]:
    groups = content.get("groups", GROUPS[:2])
    return ["procedural"] * bool({"unseen", "seen"} & set(groups)) + ["foreign"] * ("foreign" in groups)
