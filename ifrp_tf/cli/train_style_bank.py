"""Trains the bank of learned styles, or adds a style of your own to it.

python tools/train_style_bank.py --styles=data/styles/extra --photos=data/faces/train --run_dir=runs/bank
python tools/train_style_bank.py --add --styles=mine.jpg --photos=data/faces/train --run_dir=runs/mine

A training that was stopped goes on when the same command is given again. With --add the network stays as it
is and only the style is trained: some minutes on a CPU. Exit code: 0 done, 1 data or training failed,
2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ifrp_tf.cli.command import option
from ifrp_tf.core import files
from ifrp_tf.core.presets import preset

if TYPE_CHECKING:
    from ifrp_tf.styles import bank


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `train_style_bank` is asked for.

    Attributes:
        styles: Style images, folders or patterns, by commas.
        photos: Folder of photographs of faces.
        output: Folder of the bank.
        run_dir: Folder of the checkpoint.
        add: Add the styles to the bank in --output.
        pictures: 0: 3000 a style, 1500 with --add.
        batch_size: Pictures a step.
        learning_rate: 0: 2e-3, 1e-2 with --add.
        style_weight: Of the Gram terms; content has 1.
        weights: Folder with the VGG-19 archive.
        save_seconds: Between two checkpoints.
        seed: Of everything random.
        insist: Take the photographs as they are, even if they are no crops of faces.
    """

    styles: tuple[str, ...]
    photos: str
    output: str = "saved_models/style_bank"
    run_dir: str
    add: bool = False
    pictures: int = option(0, low=0)
    batch_size: int = option(8, low=1)
    learning_rate: float = option(0.0, low=0.0)
    style_weight: float = option(2.0, low=0.0)
    weights: str = "data/weights"
    save_seconds: float = option(120.0, low=0.0)
    seed: int = option(1, low=0)
    insist: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime

    files.require(*request.styles, request.photos, request.output if request.add else "")
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.recovery import crops
        from ifrp_tf.systems.style_bank.files import read_styles
    if not request.insist:
        crops.check(request.photos, detector=crops.quick_detector())
    count = len(read_styles(request.styles))
    train_bank(
        request.styles,
        request.photos,
        request.output,
        request.run_dir,
        StyleTraining(
            pictures=request.pictures or (1500 if request.add else 3000) * count,
            batch_size=request.batch_size,
            learning_rate=request.learning_rate or (1e-2 if request.add else 2e-3),
            style_weight=request.style_weight,
            seed=request.seed,
        ),
        weights=request.weights,
        add=request.add,
        save_seconds=request.save_seconds,
    )
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleTraining:
    """Settings of one training of the bank.

    Attributes:
        pictures: photographs to pass; for a new bank about 3,000 a style, to add a style 2,000.
        batch_size: pictures a step, each in a style of its own.
        learning_rate: Adam's, falling to nothing along a cosine.
        style_weight: of the Gram terms; the content term has 1.
        seed: of everything random.
    """

    pictures: int = 50_000
    batch_size: int = 8
    learning_rate: float = 2e-3
    style_weight: float = 2.0
    seed: int = 1


def train_bank(
    styles: Sequence[str],
    data: str,
    output: str | Path,
    run_dir: str | Path,
    settings: StyleTraining,
    *,
    weights: str = "data/weights",
    add: bool = False,
    save_seconds: float = 120.0,
) -> bank.StyleBank:
    """Trains a new bank, or adds styles to one whose trunk stays as it is.

    Args:
        styles: pictures, folders or patterns of style images; a style is called like its file.
        data: folder of photographs of faces.
        output: folder of the bank: a new one, or with `add` the one to add to.
        run_dir: the run's folder, as for every training; the same folder resumes.
        settings: of the training.
        weights: folder with the VGG-19 archive.
        add: keep the trunk and train parameters of new styles only.
        save_seconds: time between two checkpoints; 0 = one after every step.

    Returns:
        The whole bank as it is now in `output`.

    Raises:
        ConfigError: if a reserved style is to train the trunk, or the run is one of other settings.
        DataError: if pictures, weights or the bank cannot be used.
        TrainingError: if the loss stops being finite.
    """
    from ifrp_tf.styles import bank  # late: these need NumPy and TensorFlow
    from ifrp_tf.systems.base import create
    from ifrp_tf.systems.style_bank.files import write_bank
    from ifrp_tf.training import run as training

    count = len(files.list_pictures(data))
    config = preset("style_bank").override(
        [
            f"model.styles={','.join(map(str, styles))}",
            f"model.start={output if add else ''}",
            f"loss.style={settings.style_weight}",
            f"data.validation_count={max(1, min(500, count // 2))}",
            f"train.pictures={settings.pictures}",
            f"train.batch_size={settings.batch_size}",
            f"train.learning_rate={settings.learning_rate}",
            f"train.seed={settings.seed}",
            f"train.checkpoint_minutes={save_seconds / 60}",
            f"train.checkpoint_steps={0 if save_seconds else 1}",
        ]
    )
    system = create(config)
    system.style_images  # type: ignore[attr-defined]  # noqa: B018  refused before anything is written
    training.run(config, data, run_dir, weights=weights)
    network = system.build_released()
    network.load_weights(Path(run_dir) / "model" / f"{system.released}.weights.h5")
    write_bank(system.result(network), Path(output), add=add)  # type: ignore[attr-defined]
    bank.load.cache_clear()
    return bank.load(str(output))
