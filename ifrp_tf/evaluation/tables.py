"""The tables of a report as cells of text, whatever they are shown in."""

from __future__ import annotations

import dataclasses
from typing import Any

from ifrp_tf.evaluation.paper_figures import (
    COLUMNS,
    DIFFERENCES,
    PAPER,
    PAPER_FCR,
    STYLE_DIFFERENCES,
    nearest_column,
)
from ifrp_tf.evaluation.statistics import DISTANCES, METRICS
from ifrp_tf.pictures import sharpness
from ifrp_tf.styles import sets

HEADER = ("PSNR, dB", "SSIM", "FSIM", "FRR top 1, %", "FRR top 5, %", "FCR, %")
_WORDS = {
    "model": "the model",
    "input": "the portrait as it is",
    "mean_face": "the mean training face, always",
}
_WHERE = {"seen": "styles trained on", "unseen": "unseen styles", "sketches": "the unseen style Sketch"}
_NOTHING = "–"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table to show.

    Attributes:
        title: a few words.
        note: sentences below it; may be empty.
        header: of the columns.
        rows: of cells; as long as the header.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number(name: str, value: float | None) -> str:
    """A metric's value as text: dB with two digits, similarities with three, shares in per cent with one.

    Example:
        >>> number("frr_top1", 0.5)
        '50.0'
    """
    if value is None:
        return _NOTHING
    if name == "psnr":
        return f"{value:.2f}"
    return f"{100 * value:.1f}" if name.startswith(("frr", "fcr")) else f"{value:.3f}"


def with_interval(name: str, value: float | None, interval: list[float] | None) -> str:
    """A value with the ends of its interval behind, where there is one."""
    text = number(name, value)
    if value is None or interval is None:
        return text
    return f"{text} [{number(name, interval[0])}, {number(name, interval[1])}]"


def answers(result: dict[str, Any]) -> Table:
    """The means over styles of the model and of the trivial answers, with their intervals."""
    rows = []
    for answer, words in _WORDS.items():
        values, spread = result if answer == "model" else result[answer], result["confidence"][answer]
        cells = [with_interval(name, values["mean"][name], spread["mean"][name]) for name in METRICS]
        rows.append((words, *cells, with_interval("fcr", values["fcr"], spread["fcr"])))
    chance, photos = result["chance"], result["photos"]
    rows.append(("chance", *[_NOTHING] * 3, *(number(k, chance[k]) for k in ("frr_top1", "frr_top5", "fcr"))))
    ceiling = ["∞" if photos["psnr_infinite"] else _NOTHING]
    ceiling += [number(name, photos["mean"][name]) for name in METRICS[1:]]
    rows.append(("the photographs themselves", *ceiling, _NOTHING))
    mirrored = [number(name, photos["mirrored"][name]) for name in METRICS[3:]]
    rows.append(("the photographs mirrored", *[_NOTHING] * 3, *mirrored, _NOTHING))
    confidence, gallery = result["confidence"], result["gallery"]["size"]
    descriptor = (result["settings"]["descriptor"] or {"name": "none"})["name"]
    note = (
        f"Means over styles; in brackets {confidence['level']:.0%} intervals of a bootstrap over subjects "
        f"({confidence['resamples']:,} resamples). FRR: the recovered face retrieves the photograph of its "
        f"subject from {gallery:,} photographs (descriptor: {descriptor}). FCR: it retrieves its subject "
        "among the faces recovered from another style, top 5."
    )
    if result["settings"]["protocol"]["name"] == "sketches":
        note += " Its styles are here one sketch twice, as it is and misaligned: FCR is then easy."
    if descriptor in ("mobilefacenet", "facenet"):
        note += " Models trained with this network in their loss score too well by it."
    return Table("The model beside the trivial answers", note, ("answer", *HEADER), tuple(rows))


def styles(result: dict[str, Any]) -> Table:
    """The model, style by style, with what the two trivial answers reach."""
    rows = []
    detected = result.get("detected")
    for style, values in result["styles"].items():
        trivial = [
            number("psnr", result[answer]["styles"][style]["psnr"]) for answer in ("input", "mean_face")
        ]
        trivial += [
            number("ssim", result[answer]["styles"][style]["ssim"]) for answer in ("input", "mean_face")
        ]
        cells = [number(name, values[name]) for name in METRICS]
        faces = [number("frr", detected["styles"].get(style))] if detected else []
        rows.append((style, str(values["count"]), *cells, *trivial, *faces))
    header: tuple[str, ...] = (
        "style",
        "portraits",
        *HEADER[:-1],
        "PSNR portrait",
        "PSNR mean face",
        "SSIM portrait",
        "SSIM mean face",
    )
    note = ""
    if detected:
        header += ("face found, %",)
        raw = [share for share in detected["input"].values() if share is not None]
        found = number("frr", detected["photos"]), number("frr", sum(raw) / len(raw) if raw else None)
        note = (
            f"Face found: by mtcnn, in faces recovered from the first {detected['pictures']} portraits of "
            f"each style. It finds one in {found[0]} % of the photographs and {found[1]} % of the portraits, "
            f"and {'one' if detected['mean_face'] else 'none'} in the mean face."
        )
    return Table("By style", note, header, tuple(rows))


def gains(result: dict[str, Any]) -> Table:
    """What the model adds to each trivial answer, portrait by portrait."""
    rows = []
    for answer, words in (
        ("input", "over the portrait as it is"),
        ("mean_face", "over the mean training face"),
    ):
        gain = result["gain"][answer]
        rows.append((words, *(with_interval(k, gain[k]["value"], gain[k]["interval"]) for k in METRICS)))
    note = "Differences of the same portraits; where an interval holds 0, nothing is shown to be gained."
    return Table("Gain", note, ("gain of the model", *HEADER[:-1]), tuple(rows))


def detail(result: dict[str, Any]) -> Table:
    """How sharp the answers are, and how far from the photographs for networks, beside trivial ones."""
    rows = []
    for answer, words in _WORDS.items():
        mean = (result if answer == "model" else result[answer])["mean"]
        power = result["sharpness"][answer]["mean"]
        cells = [number("ssim", power[band]) for band in sharpness.BANDS]
        rows.append((words, *cells, *(number("ssim", mean[name]) for name in DISTANCES)))
    header = ("answer", *(f"power {band}" for band in sharpness.BANDS), "SqueezeNet", "VGG-19")
    note = (
        "Power of the luminance in bands of cycles a pixel, over that of the photographs: 1 is as sharp as "
        "they are, a blur of 1 pixel has .76, .36 and .04, and more than 1 is noise. Distances of network "
        "features, without learned weights: 0 is the photograph. A network in a model's loss scores it too "
        "well."
    )
    return Table("Detail", note, header, tuple(rows))


def angles(result: dict[str, Any]) -> Table | None:
    """PSNR and SSIM by the portrait's tilt; None where no tilt is known."""
    rows = [
        (
            f"{part['from']:.0f}° to {part['to']:.0f}°",
            str(part["count"]),
            *(number("psnr", part[answer]["psnr"]) for answer in _WORDS),
            number("ssim", part["model"]["ssim"]),
        )
        for part in result["by_angle"]
    ]
    header = ("tilt", "portraits", "PSNR model, dB", "PSNR portrait, dB", "PSNR mean face, dB", "SSIM model")
    return Table("By rotation angle", "", header, tuple(rows)) if rows else None


def paper(result: dict[str, Any]) -> Table:
    """The model beside the journal's figures, which were measured otherwise."""
    protocol = result["settings"]["protocol"]["name"]
    reserved = set(result["styles"]) <= set(sets.RESERVED)
    if protocol == "paper":
        groups, where = sets.paper_groups(result["styles"]), "the ten styles"
    else:
        groups = {nearest_column(protocol, reserved): tuple(result["styles"])}
        where = _WHERE[next(iter(groups))]
    rows = []
    for answer, words in _WORDS.items() if protocol == "paper" else [("model", _WORDS["model"])]:
        part = result if answer == "model" else result[answer]
        label = f"{words}, this protocol (FRR: top 5 of {result['gallery']['size']:,})"
        for column, names in groups.items():
            cells = []
            for metric in ("psnr", "ssim", "fsim", "frr_top5"):
                values = [part["styles"][name][metric] for name in names]
                known = [value for value in values if value is not None]
                cells.append(number(metric, sum(known) / len(known) if known else None))
            rows.append((label, _WHERE[column], *cells, number("fcr", part["fcr"])))
    for method, figures in reversed(PAPER.items()):
        for column in groups:
            psnr, ssim, fsim, frr = figures[COLUMNS.index(column)]
            shares = number("frr", frr), number("fcr", PAPER_FCR[method])
            cells = [f"{psnr:.2f}", f"{ssim:.2f}", f"{fsim:.2f}", *shares]
            rows.append((f"{method}, in the paper", _WHERE[column], *cells))
    header = ("method", "styles", "PSNR, dB", "SSIM", "FSIM", "FRR, %", "FCR, %")
    note = "The two were not measured alike, and must not be read as a ranking:"
    return Table(f"Beside the paper's figures for {where}", note, header, tuple(rows))


def differences(result: dict[str, Any]) -> list[str]:
    """Why the paper's figures and these are not comparable, a sentence or two each."""
    return [STYLE_DIFFERENCES[result["settings"]["protocol"]["name"]], *DIFFERENCES]


def description(result: dict[str, Any]) -> str:
    """One paragraph: which model was measured on what."""
    counts, protocol = result["counts"], result["settings"]["protocol"]
    words = {
        "procedural": "test photographs stylised by formulas or by the style bank",
        "paper": "test photographs in the paper's ten styles, painted by the style bank",
        "sketches": "sketches drawn by hand",
        "folders": "portraits and photographs from folders",
        "foreign": "test photographs painted and tilted by style networks that other people made",
    }[protocol["name"]]
    text = (
        f"Model “{result['model']['name']}” (SHA-256 {result['model']['sha256'][:12]}…), {words}: "
        f"{counts['measured']:,} portraits of {counts['subjects']:,} subjects in {len(result['styles'])} "
        f"{'style' if len(result['styles']) == 1 else 'styles'} ({', '.join(result['styles'])})"
    )
    if "max_angle" in protocol:
        turn = f"turned by up to ±{protocol['max_angle']:g}°"
        size, shift = (
            f"scaled by up to ±{protocol['max_scale']:.0%}",
            f"shifted by up to ±{protocol['max_shift']:g} pixels",
        )
        text += f", {turn}, {size}, {shift} (seed {protocol['seed']})"
    text += f", {protocol['side']} x {protocol['side']} pixels."
    if protocol["name"] == "foreign":
        text += " Never trained on: these networks, their styles and these photographs."
    if protocol["name"] in ("procedural", "paper"):
        unseen = [style for style in result["styles"] if style in sets.RESERVED]
        text += f" Never trained on: {', '.join(unseen) or 'none of the styles'}."
    if counts["failed"]:
        text += f" **{counts['failed']:,} portraits could not be measured.**"
    return text
