"""What is written of one input: the crops, what they are shown beside, and the picture with its faces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ifrp_tf import codec, framing, images
from ifrp_tf.errors import DataError, ImageError, ModelError
from ifrp_tf.files import read_bytes
from ifrp_tf.formats import MAX_FILE_BYTES
from ifrp_tf.intake import PROVENANCE, Intake, Task
from ifrp_tf.ledger import Manifest
from ifrp_tf.paste import in_place, paste
from ifrp_tf.uncertainty import Uncertainty, estimate

BATCH = 16
"""Portraits that the network sees at a time."""

Recover = Callable[[np.ndarray], np.ndarray]


Answer = np.ndarray | Uncertainty | ModelError


def answers(intakes: Sequence[Intake], recover: Recover, task: Task) -> list[list[Answer]]:
    """The network's answers for a few inputs.

    Args:
        intakes: of a few inputs; those that are not to be recovered have no portraits.
        recover: uint8 [16, side, side, 3] to the same.
        task: what is to be made.

    Returns:
        For each input, what the network makes of each of its portraits, or why there is nothing.
    """
    portraits = [one for intake in intakes if intake.portraits is not None for one in intake.portraits]
    found: Sequence[Answer]
    if task.options.uncertainty:
        found = [_estimated(recover, portrait) for portrait in portraits]
    else:
        found = answer(recover, portraits)
    following = iter(found)
    counts = [0 if intake.portraits is None else len(intake.portraits) for intake in intakes]
    return [[next(following) for _ in range(count)] for count in counts]


def write(intake: Intake, own: Sequence[Answer], manifest: Manifest, task: Task, name: str) -> Intake:
    """Writes what was recovered from one input; what goes wrong becomes its status. May run in any thread.

    Args:
        intake: of the input; changed where something fails.
        own: the answers to its portraits.
        manifest: of the output folder.
        task: what is to be made.
        name: of the model.

    Returns:
        `intake`.
    """
    try:
        faces, spreads = [], []
        for one in own:
            if isinstance(one, ModelError):
                raise one
            if isinstance(one, Uncertainty):
                spreads.append(one)
            faces.append(one.recovered if isinstance(one, Uncertainty) else one)
        _write(intake, faces, spreads, manifest, task, name)
    except (ModelError, DataError, ImageError, OSError, MemoryError) as error:
        intake.status, intake.message = "failed", str(error)
        intake.reason = "not_recovered" if isinstance(error, ModelError) else "not_written"
    return intake


def answer(recover: Recover, portraits: Sequence[np.ndarray]) -> list[np.ndarray | ModelError]:
    """The network's answers, or why there is none, one for each portrait.

    Batches are filled up to one size, since other sizes add numbers up in another order: so a picture's
    answer is the same to the bit, whatever its neighbours are.

    Args:
        recover: uint8 [16, side, side, 3] to the same.
        portraits: uint8 [side, side, 3] each, any number.
    """
    answers: list[np.ndarray | ModelError] = []
    for start in range(0, len(portraits), BATCH):
        part = list(portraits[start : start + BATCH])
        filled = part + part[-1:] * (BATCH - len(part))
        try:
            answers += list(recover(np.stack(filled)))[: len(part)]
        except ModelError as error:  # one must not spoil its neighbours
            answers += [error] if len(part) == 1 else [answer(recover, [one])[0] for one in part]
    return answers


def flip_averaged(recover: Recover) -> Recover:
    """A network that also sees every portrait mirrored, and answers the average of both.

    Args:
        recover: uint8 [N, side, side, 3] to the same.
    """

    def averaged(portraits: np.ndarray) -> np.ndarray:
        straight = recover(portraits).astype(np.uint16)
        mirrored = recover(np.ascontiguousarray(portraits[:, :, ::-1]))[:, :, ::-1]
        return ((straight + mirrored + 1) // 2).astype(np.uint8)

    return averaged


def _estimated(recover: Recover, portrait: np.ndarray) -> Uncertainty | ModelError:
    """Its batch is as long as those of `answer`, so the recovered face is the same to the bit."""
    try:
        return estimate(recover, portrait)
    except ModelError as error:
        return error


def provenance(name: str, fingerprint: str) -> dict[str, str]:
    """The text chunk of a PNG with a recovered face: that it is generated, and by which model.

    Args:
        name: of the model.
        fingerprint: of the model, 64 hexadecimal digits.
    """
    return {PROVENANCE: f"generated face, not evidence; model {name}; sha256 {fingerprint}"}


def _write(
    intake: Intake,
    faces: list[np.ndarray],
    spreads: list[Uncertainty],
    manifest: Manifest,
    task: Task,
    name: str,
) -> None:
    if intake.made is None or intake.portraits is None:
        return
    if spreads:
        intake.made = replace(intake.made, uncertainty=tuple(round(one.value, 4) for one in spreads))
    text = provenance(name, task.model)
    pasted = _pasted(intake, faces, task)
    outputs = [task.output / output for output in task.outputs(intake.job, intake.made.faces)]
    for path in outputs:  # an old output must never be taken for the one that the manifest names
        path.unlink(missing_ok=True)
    manifest.add(intake.job.key, intake.made)
    remaining = iter(outputs)
    for k, (portrait, face, place) in enumerate(zip(intake.portraits, faces, intake.places, strict=True)):
        images.write_png(next(remaining), face, text=text)
        if task.side_by_side:
            tiles = [portrait, face]
            if pasted is not None and place is not None:
                tiles.append(in_place(pasted, place, len(face)))
            images.write_png(next(remaining), framing.grid([np.stack(tiles)]), text=text)
        if spreads:
            images.write_png(next(remaining), spreads[k].picture, text=text)
    if pasted is not None:
        images.write_png(next(remaining), pasted, text=text)


def _pasted(intake: Intake, faces: list[np.ndarray], task: Task) -> np.ndarray | None:
    """The picture with its recovered faces. Read again: kept ones would fill the memory."""
    placed = [(place, face) for place, face in zip(intake.places, faces, strict=True) if place is not None]
    if not task.options.paste or not placed or intake.made is None:
        return None
    data = read_bytes(intake.job.path, MAX_FILE_BYTES)
    if hashlib.sha256(data).hexdigest() != intake.made.sha256:
        raise DataError("the input changed while it was recovered.", hint="Run it again.")
    pixels = codec.decode(data, images.WHITE).pixels
    places, chosen = zip(*placed, strict=True)
    return paste(pixels, places, chosen, strength=task.options.strength)
