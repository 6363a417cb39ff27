"""From a portrait to the photorealistic face behind it: `Recoverer.load(model)(portrait)`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ifrp_tf import folder, images, model_folder, quiet
from ifrp_tf.colours import to_rgb
from ifrp_tf.errors import ConfigError, ImageError, ModelError
from ifrp_tf.folder import Progress, Report
from ifrp_tf.formats import check_size, describe_array
from ifrp_tf.intake import Task
from ifrp_tf.progress import Console

Network = Callable[[np.ndarray], np.ndarray]


class Recoverer:
    """A loaded model.

    Args:
        network: uint8 [N, side, side, 3] portraits to uint8 recovered faces of the same shape.
        side: of the pictures, pixels.
        name: of the model, for people.
        fingerprint: of the model, 64 hexadecimal digits.

    Example:
        >>> recoverer = Recoverer.load("saved_models/ifrp")  # doctest: +SKIP
        >>> recoverer("portrait.jpg").shape  # doctest: +SKIP
        (128, 128, 3)
    """

    def __init__(self, network: Network, *, side: int, name: str, fingerprint: str) -> None:
        self._network = network
        self.side, self.name, self.fingerprint = side, name, fingerprint

    @classmethod
    def load(cls, model: str | Path, *, trust: bool = False) -> Recoverer:
        """Loads a model that is whole and unaltered.

        Args:
            model: a version folder, a folder of numbered versions (the highest wins), a run folder or a
                `.weights.h5` file with its `config.json` (`model_folder.locate`).
            trust: load a version folder whose files do not match its `SHA256SUMS`. A SavedModel is a program.

        Raises:
            ModelError: there is no model, it is damaged or altered, or it is not one of this package.
        """
        found = model_folder.locate(model)
        if found.kind == "version":
            fingerprint = model_folder.verify(found.path, trust=trust)
            side = model_folder.read_config(found).data.side
            network = _load_version(found.path, side)
        else:
            fingerprint = model_folder.sha256(found.path)
            network, side = _load_weights(found)
        return cls(network, side=side, name=found.name, fingerprint=fingerprint)

    def __call__(self, source: str | Path | bytes | Image.Image | np.ndarray) -> np.ndarray:
        """Recovers the face of one portrait, or of a batch.

        Args:
            source: a path, the bytes of a file, a Pillow image, an array uint8 [H, W, 3], or a batch uint8
                [N, side, side, 3]. One portrait of any size is letterboxed (`images.letterbox`).

        Returns:
            uint8 [side, side, 3], or [N, side, side, 3] for a batch.

        Raises:
            ImageError: the portrait cannot be used.
            ModelError: the network's answer is not finite.
        """
        if isinstance(source, np.ndarray) and source.ndim == 4:
            return self.recover_batch(source)
        return self.recover_batch(images.letterbox(_pixels(source), self.side)[None])[0]

    def recover_batch(self, portraits: np.ndarray) -> np.ndarray:
        """Recovers faces, 16 at a time, so that memory does not grow with the batch.

        Args:
            portraits: uint8 [N, side, side, 3], 0-255; N may be 0.

        Returns:
            uint8 [N, side, side, 3].

        Raises:
            ImageError: with reason `bad_array`: another type or shape.
            ModelError: the network's answer is not finite.
        """
        shape = (self.side, self.side, 3)
        if portraits.dtype != np.uint8 or portraits.shape[1:] != shape:
            expected = f"expected a batch uint8 [N, {self.side}, {self.side}, 3]"
            raise ImageError("bad_array", f"{expected}, received {describe_array(portraits)}.")
        recovered = np.empty_like(portraits)
        for start in range(0, len(portraits), folder.BATCH):
            part = portraits[start : start + folder.BATCH]
            recovered[start : start + folder.BATCH] = self._network(part)
        return recovered

    def recover_folder(
        self,
        source: str | Path,
        output: str | Path,
        *,
        side_by_side: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Recovers a file, a folder or a pattern into an output folder; finished ones are skipped.

        Args:
            source: a file, a folder (its tree is mirrored) or a pattern.
            output: gets `<stem>_recovered.png` and `report.json`.
            side_by_side: also write `<stem>_side_by_side.png`.
            overwrite: replace existing outputs.
            progress: called with each picture's report entry.

        Raises:
            DataError: no input was found, the report cannot be written, or another run writes to `output`.
            ConfigError: `output` cannot be written to.
        """
        with folder.opened(source, output) as work:
            return self._process(work, side_by_side, overwrite, progress)

    def _process(
        self, work: folder.Work, side_by_side: bool, overwrite: bool, progress: Progress | None
    ) -> Report:
        task = Task(work.output, self.side, self.fingerprint, side_by_side, overwrite)
        return folder.process(self.recover_batch, work, task, self.name, progress)


def run(
    source: str,
    output: str,
    *,
    model: str = "saved_models/ifrp",
    faces: str = "whole",
    side_by_side: bool = False,
    overwrite: bool = False,
    trust: bool = False,
) -> int:
    """What `tools/recover.py` does: failures and progress to stderr, a summary line to stdout.

    Args:
        source: a file, a folder or a pattern.
        output: the output folder.
        model: as in `Recoverer.load`.
        faces: `whole`: every picture is one face.
        side_by_side: also write the portrait beside the recovered face.
        overwrite: replace existing outputs.
        trust: load a model whose checksums do not match.

    Returns:
        Exit code: 0 all good, 1 some inputs failed, 130 interrupted.

    Raises:
        ConfigError: wrong usage; the output folder cannot be written to.
        DataError: no input was found, or another run writes to the output folder.
        ModelError: the model is unusable.
    """
    if faces != "whole":
        message = f"Expected --faces=whole. Received: --faces={faces}."
        raise ConfigError(
            message, hint="Finding faces in whole pictures is not there yet: crop them yourself."
        )
    with folder.opened(source, output) as work:
        recoverer = Recoverer.load(model, trust=trust)
        with Console(len(work.jobs)) as console:
            report = recoverer._process(work, side_by_side, overwrite, console.show)
    words = f"{report.recovered} recovered, {report.skipped} skipped, {report.failed} failed"
    if report.interrupted:
        words += (
            f", interrupted before {len(work.jobs) - report.recovered - report.skipped - report.failed} more"
        )
    print(f"{words}; model {recoverer.name}; {report.path}")  # noqa: T201
    if side_by_side and report.recovered + report.skipped:
        stem = work.jobs[0].stem if len(work.jobs) == 1 else "*"
        print(f"side by side: {work.output / f'{stem}_side_by_side.png'}")  # noqa: T201
    return report.exit_code


def _pixels(source: str | Path | bytes | Image.Image | np.ndarray) -> np.ndarray:
    if isinstance(source, Image.Image):
        check_size(*source.size)
        upright = ImageOps.exif_transpose(source)
        return np.array(to_rgb(upright, images.WHITE, []))
    if isinstance(source, np.ndarray):
        return images.from_array(source)
    return images.read(source).pixels


def _load_version(path: Path, side: int) -> Network:
    with quiet.start_up():
        import tensorflow as tf
    try:
        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        spec = signature.structured_input_signature[1]["portrait"]
        expected = spec.dtype == tf.uint8 and spec.shape.as_list() == [None, side, side, 3]
    except Exception as error:  # whatever TensorFlow trips over in a damaged or foreign model
        raise ModelError(f"The model {str(path)!r} cannot be loaded: {error}") from error
    if not expected:
        message = f"Expected a signature of portrait uint8 [None, {side}, {side}, 3]. Received: {spec}."
        raise ModelError(message, hint="The folder's config.json and saved_model.pb do not belong together.")

    def network(portraits: np.ndarray) -> np.ndarray:
        try:
            return signature(portrait=tf.constant(portraits))["photo"].numpy()
        except tf.errors.InvalidArgumentError as error:
            raise ModelError(f"The model {str(path)!r} gave no usable answer: {error.message}") from error

    return network


def _load_weights(found: model_folder.ModelFolder) -> tuple[Network, int]:
    config = model_folder.read_config(found)
    with quiet.start_up():
        import keras

        from ifrp_tf import networks, weights
    srn = networks.build_srn(config.model, side=config.data.side)
    weights.load(srn, found.path)

    def network(portraits: np.ndarray) -> np.ndarray:
        recovered = keras.ops.convert_to_numpy(srn(images.to_model_range(portraits), training=False))
        try:
            return images.to_uint8(recovered)
        except ImageError as error:
            raise ModelError(f"The model {str(found.path)!r} gave no usable answer: {error}") from error

    return network, config.data.side
