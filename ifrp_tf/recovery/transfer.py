"""One attribute of a face changed, the person kept: answers of the system `diat`."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from ifrp_tf.core import assets
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.data import attributes
from ifrp_tf.pictures import images
from ifrp_tf.recovery.each import Made, each
from ifrp_tf.recovery.one_face import one_face
from ifrp_tf.recovery.recoverer import Late, Recoverer
from ifrp_tf.release import folder
from ifrp_tf.release.load import in_batches, load_network

SYSTEM = "diat"


@dataclasses.dataclass(frozen=True, eq=False)
class Changed:
    """Changed faces.

    Attributes:
        pictures: uint8 [N, S, S, 3], RGB 0-255.
        masks: float32 [N, S, S], 0 to 1: where they were changed; at 0 they are the photographs.
    """

    pictures: np.ndarray
    masks: np.ndarray


class Transfer:
    """A loaded model that changes one attribute.

    Args:
        network: the released network of the system.
        attribute: what its answers have, such as `mouth=1`.
        side: of the pictures, pixels.
        name: for reports.
        fingerprint: of the model, 64 hexadecimal digits.

    Example:
        >>> transfer = Transfer.load("runs/diat_mouth")  # doctest: +SKIP
        >>> transfer.change(faces).pictures.shape  # doctest: +SKIP
        (3, 128, 128, 3)
    """

    def __init__(self, network: keras.Model, attribute: str, side: int, name: str, fingerprint: str) -> None:
        self.attribute, self.side, self.name, self.fingerprint = attribute, side, name, fingerprint
        self._network = network

    @classmethod
    def load(cls, model: str | Path) -> Transfer:
        """Loads a model that is whole and unaltered.

        Args:
            model: a version folder, a folder of versions (the highest wins) or a run folder.

        Raises:
            ModelError: there is no model, it is damaged, or it is of another system.
        """
        network, config, name, fingerprint = load_network(model, SYSTEM)
        return cls(network, config.model.attribute, config.data.side, name, fingerprint)

    def change(self, photos: np.ndarray) -> Changed:
        """Faces with the attribute.

        Args:
            photos: uint8 [N, S, S, 3], the tight frame, S pixels of a side.

        Raises:
            ModelError: the answer is not finite.
        """

        def asked(part: np.ndarray) -> np.ndarray:
            found = self._network(images.to_model_range(part), training=False)
            both = [keras.ops.convert_to_numpy(found[name]) for name in ("picture", "mask")]
            return np.concatenate(both, axis=-1)

        made = in_batches(asked, photos)
        if not np.isfinite(made).all():
            raise ModelError(f"The model {self.name} gave no usable answer: it is not finite.")
        return Changed(images.to_uint8(made[..., :3]), made[..., 3])


def word(attribute: str) -> str:
    """An attribute as a part of file names: `mouth` for `mouth=1`, `glasses_off` for `glasses=-1`."""
    name, _, value = attribute.replace(" ", "").partition("=")
    return name.lower() + ("_off" if value.startswith("-") else "")


def find(attribute: str, model: str = "") -> str:
    """The model that gives an attribute.

    Args:
        attribute: such as `smile` (it is to be there), `glasses=-1`; empty: whatever `model` gives.
        model: a model; empty: the released one for the attribute.

    Returns:
        Path of the model.

    Raises:
        ConfigError: the attribute is unknown, neither is given, or the model gives another attribute.
        ModelError: there is no such model.
    """
    if not (attribute or model):
        raise ConfigError("Expected an `attribute` or a `model`. Received: neither.")
    if not attribute:
        return model
    asked = attributes.parse(attribute if "=" in attribute else f"{attribute}=1")
    if not model:
        return str(assets.folder() / f"{SYSTEM}_{word(attribute)}")
    given = folder.read_config(folder.locate(model))
    if given.system == SYSTEM and not np.array_equal(attributes.parse(given.model.attribute), asked):
        raise ConfigError(
            f"Expected a model that gives {attributes.words(asked)}. "
            f"Received: {model}, which gives {given.model.attribute}."
        )
    return model


def transfer_all(
    source: str | Path,
    output: str | Path,
    model: Transfer,
    *,
    restore: Recoverer | None = None,
    face: int = 0,
    settings: str = "",
    overwrite: bool = False,
    say: Callable[[str], object] = logging.info,
) -> int:
    """Changes the face in every picture of a file, a folder or a pattern (`each.each`).

    Args:
        source: a file, a folder or a pattern.
        output: gets `<stem>_<attribute>.png`, `<stem>_<attribute>_sheet.png` (before | after) and
            `report.json`.
        model: that changes them.
        restore: makes photographs of portraits first.
        face: which face of a picture, from 1 from the left; 0: there must be only one.
        settings: what, if changed, makes other answers.
        overwrite: make everything again.
        say: gets the summary.

    Returns:
        Exit code: 0 all good, 1 some pictures failed.

    Raises:
        DataError: there are no pictures.
        ConfigError: the output folder cannot be written to.
    """
    detector, name = Late(), word(model.attribute)

    def make(pixels: np.ndarray, path: Path) -> Made:
        found = one_face(pixels, detector, face=face, side=model.side)
        before = restore.recover_batch(found.crop[None])[0] if restore else found.crop
        changed = model.change(before[None])
        after = changed.pictures[0]
        report = {
            "face": found.entry,
            "model": model.name,
            "attribute": model.attribute,
            "mask": round(float(changed.masks.mean()), 4),
            "changed": round(float(np.abs(after - before.astype(float)).mean() / 255), 4),
        }
        return {name: after, f"{name}_sheet": np.concatenate([before, after], axis=1)}, report

    method = f"{model.attribute} by {model.name}"
    return each(source, output, make, settings=settings, method=method, overwrite=overwrite, say=say)
