"""Draws the figures of docs/method.md and docs/index.md into docs/figures: `make figures`.

The faces are drawn by a program, so the files may be committed; each is small. After a release they are drawn
again, because `recovered.webp` shows its answers.

Exit code: 0 drawn, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from ifrp_tf import Recoverer
from ifrp_tf.core.presets import preset
from ifrp_tf.data import misalign, toy_faces
from ifrp_tf.nn import layers, optimizers
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank, formulas, procedural, sets
from ifrp_tf.systems.ifrp.networks import build_srn

ROOT = Path(__file__).resolve().parent.parent
SIDE, GAP, LABEL = 128, 6, 16
_FACES = (0, 5, 7, 11, 13, 19)  # of the drawn ones: of many colours, with and without glasses
_TILTS = (12.0, -18.0, 8.0, -10.0, 22.0, -6.0)  # degrees
_SVG: Any = {"svg.hashsalt": "ifrp", "svg.fonttype": "none", "font.size": 9.0, "axes.spines.top": False,
        "axes.spines.right": False}  # fmt: skip


def faces(chosen: Sequence[int] = _FACES) -> np.ndarray:
    """Drawn faces, uint8 [N, SIDE, SIDE, 3]."""
    return toy_faces.draw(max(chosen) + 1, side=SIDE, seed=1).pixels[list(chosen)]


def painted(photos: np.ndarray, style: str, seed: int = 1) -> np.ndarray:
    """Photographs in a style, formula or learned; uint8 [N, SIDE, SIDE, 3] both."""
    aligned = images.to_model_range(photos)
    if style.startswith(bank.PREFIX):
        known = bank.load()
        portraits = bank.stylise(known.trunk, known.table((style,))[1:], aligned)
    else:
        random = np.random.default_rng((seed, formulas.NAMES.index(style)))
        parameters = random.random((len(aligned), procedural.PARAMS), np.float32)
        field = random.random(aligned.shape, np.float32)
        portraits = procedural.stylise(0, aligned, parameters, field, names=(style,))
    return images.to_uint8(keras.ops.convert_to_numpy(portraits))


def tilted(photos: np.ndarray, degrees: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Photographs turned and a little smaller, and what undoes it, float32 [N, 4]."""
    moves = np.array([[math.radians(angle), 0.95, 0.0, 0.0] for angle in degrees], np.float32)
    moved = misalign.misalign(images.to_model_range(photos), moves)
    undoing = keras.ops.convert_to_numpy(misalign.undoing_parameters(moves))
    return images.to_uint8(keras.ops.convert_to_numpy(moved)), undoing


def recovered(path: Path) -> None:
    """Drawn faces, portraits of them in the formulas that are never trained on, and the release's answers."""
    upright = faces()
    moved, _ = tilted(upright, _TILTS)
    styles = [formulas.RESERVED[k % 3] for k in range(len(moved))]
    portraits = np.concatenate([painted(moved[k : k + 1], style) for k, style in enumerate(styles)])
    answers = Recoverer.load().recover_batch(portraits)
    _write(path, images.grid([upright, portraits, answers]))


def styles(path: Path) -> None:
    """One drawn face in every style, with its name."""
    (face,), across = faces((7,)), 8
    names = [*formulas.NAMES, *bank.load().names]
    tiles = {"drawn": face, **{name: painted(face[None], name)[0] for name in names}}
    cell = SIDE * 3 // 4
    rows = math.ceil(len(tiles) / across)
    sheet = Image.new("RGB", (across * (cell + GAP) - GAP, rows * (cell + LABEL)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for k, (name, pixels) in enumerate(tiles.items()):
        left, top = k % across * (cell + GAP), k // across * (cell + LABEL)
        sheet.paste(Image.fromarray(pixels).resize((cell, cell), Image.Resampling.LANCZOS), (left, top))
        label = name.removeprefix(bank.PREFIX).replace("_", " ") + (" *" if name in sets.RESERVED else "")
        pen.text((left + 1, top + cell + 1), label, "black", font)
    _write(path, np.asarray(sheet))


def transformer(path: Path) -> None:
    """A tilted face read through the identity, the authors' start, and what undoes the tilt."""
    moved, undoing = tilted(faces((13,)), (25.0,))
    starts = np.array([[0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], undoing[0]], np.float32)
    portraits = np.repeat(images.to_model_range(moved), len(starts), axis=0)
    read = layers.bilinear_sample(portraits, layers.affine_grid(starts, SIDE, SIDE))
    _write(path, images.grid([np.concatenate([moved, images.to_uint8(keras.ops.convert_to_numpy(read))])]))


def network(path: Path) -> None:
    """The SRN of the preset `paper`: encoder on the left, decoder on the right, as Keras has built them."""
    model = build_srn(preset("paper").model)
    there = {layer.name: layer for layer in model.layers}
    shape = {name: " x ".join(str(n) for n in layer.output.shape[1:]) for name, layer in there.items()
             if not isinstance(layer.output, list)}  # fmt: skip
    parts = []
    width, height, step, left, right = 190, 40, 62, 10, 500

    def box(x: int, y: int, name: str, size: str, colour: str, wide: int = width) -> None:
        parts.append(
            f'<rect x="{x}" y="{y}" width="{wide}" height="{height}" rx="4" fill="{colour}" stroke="#444"/>'
            f'<text x="{x + wide / 2}" y="{y + 17}" font-weight="bold">{name}</text>'
            f'<text x="{x + wide / 2}" y="{y + 32}">{size}</text>'
        )

    def arrow(x: int, y: int, to_x: int, to_y: int, colour: str = "#444") -> None:
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="{colour}" stroke-width="1.5" '
            'marker-end="url(#tip)"/>'
        )

    box(left, 8, "portrait", shape[model.input.name], "#eee")
    box(right, 8, "recovered", shape["out_deconv"], "#eee")
    for level in range(1, 6):
        y = 8 + level * step
        box(left, y, f"e{level}: 4x4, stride 2", shape[f"e{level}_conv"], "#fde8c8")
        arrow(left + width // 2, y - step + height, left + width // 2, y - 2)
        inner = f"stn{level}"
        if level <= 2 and inner in there:
            box(left + width + 6, y, inner.upper(), shape[inner], "#cdeccd", 96)
        if level == 5:
            break
        box(right, y, f"d{level}: 4x4, doubled", shape[f"d{level}_deconv"], "#fde8c8")
        arrow(right + width // 2, y - 2, right + width // 2, y - step + height + 2)
        inner = {3: "stn3", 2: "stn4"}.get(level, "")
        if inner in there:
            box(right - 102, y, inner.upper(), shape[inner], "#cdeccd", 96)
        blocks = sum(name.startswith(f"skip{level}_block") and name.endswith("_add") for name in there)
        if blocks:
            start, end = left + width + 108, right - (108 if inner in there else 6)
            parts.append(f'<text x="{(start + end) / 2}" y="{y + 14}" fill="#1f5fa8">{blocks} blocks</text>')
            arrow(start, y + height // 2, end, y + height // 2, "#1f5fa8")
    y = 8 + 5 * step
    box((left + right) // 2, y, "bottleneck: 3x3", shape["bottleneck_conv"], "#fde8c8")
    arrow(left + width, y + height // 2, (left + right) // 2 - 2, y + height // 2)
    arrow((left + right) // 2 + width, y + height // 2, right + width // 2, y - step + height + 2)
    total = y + height + 8
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="700" height="{total}" viewBox="0 0 700 {total}" '
        'font-family="sans-serif" font-size="12" text-anchor="middle"><defs><marker id="tip" refX="6" '
        'refY="3" markerWidth="7" markerHeight="6" orient="auto"><path d="M0,0 L7,3 L0,6 z" fill="#444"/>'
        "</marker></defs>" + "".join(parts) + "</svg>\n",
        encoding="utf-8",
    )


def schedules(path: Path) -> None:
    """λ, η and the learning rate of the preset `paper` by epoch."""
    config = preset("paper")
    loss, train = config.loss, config.train
    epochs = np.arange(251)
    steps = epochs * train.epoch_steps + 100  # behind the warm-up of the first epoch

    def falls(weight: float, decay: float) -> np.ndarray:
        return keras.ops.convert_to_numpy(optimizers.decayed_weight(weight, decay, steps, train.epoch_steps))

    rate = optimizers.PaperSchedule(train.learning_rate, train.learning_rate_decay, train.epoch_steps)
    curves = {
        "λ, adversarial": falls(loss.adversarial, loss.adversarial_decay),
        "η, identity": falls(loss.identity, loss.identity_decay),
        "learning rate": keras.ops.convert_to_numpy(rate(steps)),
    }
    with matplotlib.rc_context(_SVG):
        figure = Figure((7.5, 2.2), layout="constrained")
        for axes, (name, values) in zip(figure.subplots(1, 3), curves.items(), strict=True):
            axes.plot(epochs, values, color="#00796b")
            axes.set(title=name, xlabel="epoch", ylim=(0, None))
        figure.savefig(path, metadata={"Date": None})


def ablations(path: Path) -> None:
    """SSIM on unseen styles in the tables of losses and of architectures, the paper's and ours."""
    with matplotlib.rc_context(_SVG):
        figure = Figure((7.5, 3.4), layout="constrained")
        for axes, name in zip(figure.subplots(1, 2, sharex=True), ("losses", "architecture"), strict=True):
            table = json.loads((ROOT / f"docs/ablations/{name}.json").read_text(encoding="utf-8"))
            rows = list(table["rows"].items())[::-1]
            places = np.arange(len(rows))
            ours = [row["result"]["unseen"]["mean"]["ssim"] for _, row in rows]
            axes.barh(places + 0.2, [row["paper"].get("unseen_ssim", 0.0) for _, row in rows], 0.38,
                      color="#b0bec5", label="the paper")  # fmt: skip
            axes.barh(places - 0.2, ours, 0.38, color="#00796b", label="here")
            axes.set_yticks(places, [title.replace(" + ", "\n+ ", 1) for title, _ in rows])
            axes.set(title=table["title"].split(" of ")[0], xlabel="SSIM, unseen styles")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        figure.savefig(path, metadata={"Date": None})


FIGURES = {
    "recovered.webp": recovered,
    "styles.webp": styles,
    "transformer.webp": transformer,
    "network.svg": network,
    "schedules.svg": schedules,
    "ablations.svg": ablations,
}
"""File -> what draws it."""


def _write(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path, quality=82, method=6)


def main() -> None:
    """Draws the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "figures", help="folder; made if missing"
    )
    parser.add_argument("--only", default="", help="names of files, separated by commas")
    given = parser.parse_args()
    chosen = given.only.split(",") if given.only else list(FIGURES)
    if unknown := set(chosen) - set(FIGURES):
        parser.error(f"no figures: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    given.output.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        FIGURES[name](given.output / name)


if __name__ == "__main__":
    main()
