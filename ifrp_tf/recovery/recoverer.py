"""From a portrait to the photorealistic face behind it: `Recoverer.load(model)(portrait)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ifrp_tf.core.assets import MODEL
from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.core.runtime import Console
from ifrp_tf.pictures import images
from ifrp_tf.pictures.batches import in_batches
from ifrp_tf.pictures.blending import paste
from ifrp_tf.pictures.decoding import describe_array
from ifrp_tf.recovery import folder, gallery
from ifrp_tf.recovery.detection import Detector, Mtcnn
from ifrp_tf.recovery.folder import Progress, Report, Task
from ifrp_tf.recovery.scene import Options, Recovered, look, pixels_of
from ifrp_tf.recovery.uncertainty import Uncertainty, estimate
from ifrp_tf.release import load as loaded
from ifrp_tf.release.load import Network

_WHOLE, _AUTO = Options(), Options(faces="auto")


class Recoverer:
    """A loaded model.

    Args:
        network: uint8 [N, side, side, 3] portraits to uint8 recovered faces of the same shape.
        side: of the pictures, pixels.
        name: of the model, for people.
        fingerprint: of the model, 64 hexadecimal digits.
        detector: finds faces in whole pictures; mtcnn, made when it is first needed, if None.

    Example:
        >>> recoverer = Recoverer.load("saved_models/ifrp")  # doctest: +SKIP
        >>> recoverer("portrait.jpg").shape  # doctest: +SKIP
        (128, 128, 3)
    """

    def __init__(
        self, network: Network, *, side: int, name: str, fingerprint: str, detector: Detector | None = None
    ) -> None:
        self._network, self._detector = network, detector
        self.side, self.name, self.fingerprint = side, name, fingerprint

    @classmethod
    def load(
        cls, model: str | Path = MODEL, *, trust: bool = False, detector: Detector | None = None
    ) -> Recoverer:
        """Loads a model that is whole and unaltered.

        Args:
            model: as in `release.load.load`; the released one by default.
            trust: load a version folder whose files do not match its `SHA256SUMS`. A SavedModel is a program.
            detector: finds faces in whole pictures, in place of mtcnn.

        Raises:
            ModelError: there is no model, it is damaged or altered, or it is not one of this package.
        """
        found = loaded.load(model, trust=trust)
        name, fingerprint = found.name, found.fingerprint
        return cls(found.network, side=found.side, name=name, fingerprint=fingerprint, detector=detector)

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
        return self.recover_batch(images.letterbox(pixels_of(source), self.side)[None])[0]

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
        if not len(portraits):
            return portraits.copy()
        return in_batches(self._network, portraits, fill=False)  # one portrait alone need not wait for 16

    def recover_faces(
        self, source: str | Path | bytes | Image.Image | np.ndarray, options: Options = _AUTO
    ) -> Recovered:
        """Finds the faces of a whole picture and recovers them.

        Args:
            source: a path, the bytes of a file, a Pillow image or an array uint8 [H, W, 3].
            options: how faces are found, whether they are pasted back, and their uncertainty.

        Raises:
            ImageError: the picture cannot be used.
            ConfigError: a box is outside the picture.
            ModelError: the network's answer is not finite.

        Example:
            >>> len(recoverer.recover_faces("group.jpg").recovered)  # doctest: +SKIP
            4
        """
        pixels = pixels_of(source)
        scene = look(pixels, options, self.detector if options.faces == "auto" else None, self.side)
        function = self._function(options)
        recovered = function(scene.portraits)
        spreads = tuple(estimate(function, one) for one in scene.portraits) if options.uncertainty else ()
        placed = [(place, face) for place, face in zip(scene.places, recovered, strict=True) if place]
        pasted = None
        if options.paste:
            places, faces = [place for place, _ in placed], [face for _, face in placed]
            pasted = paste(pixels, places, faces, strength=options.strength)
        return Recovered(scene, recovered, pasted, spreads)

    def uncertainty(self, source: str | Path | bytes | Image.Image | np.ndarray) -> Uncertainty:
        """Recovers the face of one portrait and says where the answer depends on what should not matter.

        Args:
            source: as in `__call__`, one portrait.

        Raises:
            ImageError: the portrait cannot be used.
            ModelError: the network's answer is not finite.
        """
        return estimate(self.recover_batch, images.letterbox(pixels_of(source), self.side))

    @property
    def detector(self) -> Detector:
        """What finds the faces in whole pictures."""
        if self._detector is None:
            self._detector = Mtcnn()
        return self._detector

    def recover_folder(
        self,
        source: str | Path,
        output: str | Path,
        *,
        side_by_side: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
        options: Options = _WHOLE,
    ) -> Report:
        """Recovers a file, a folder or a pattern into an output folder; finished ones are skipped.

        Args:
            source: a file, a folder (its tree is mirrored) or a pattern.
            output: gets `<stem>_recovered.png`, or one `<stem>_face<k>_recovered.png` a face, and
                `report.json`.
            side_by_side: also write `<stem>_side_by_side.png`.
            overwrite: replace existing outputs.
            progress: called with each picture's report entry.
            options: how faces are found, and what else is made.

        Raises:
            DataError: no input was found, the report cannot be written, or another run writes to `output`.
            ConfigError: `output` cannot be written to, or boxes are given for more than one picture.
        """
        with folder.opened(source, output) as work:
            return self._process(work, side_by_side, overwrite, progress, options)

    def _process(
        self,
        work: folder.Work,
        side_by_side: bool,
        overwrite: bool,
        progress: Progress | None,
        options: Options,
    ) -> Report:
        detector = self.detector if options.faces == "auto" else None
        task = Task(work.output, self.side, self.fingerprint, side_by_side, overwrite, options, detector)
        return folder.process(self._function(options), work, task, self.name, progress)

    def _function(self, options: Options) -> Network:
        return folder.flip_averaged(self.recover_batch) if options.flip_average else self.recover_batch


def run(
    source: str,
    output: str,
    *,
    model: str = MODEL,
    side_by_side: bool = False,
    overwrite: bool = False,
    trust: bool = False,
    pages: bool = False,
    **options: Any,
) -> int:
    """What `tools/recover.py` does: failures and progress to stderr, a summary line to stdout.

    Args:
        source: a file, a folder or a pattern.
        output: the output folder; gets `report.csv` beside `report.json`.
        model: as in `Recoverer.load`.
        side_by_side: also write the portrait beside the recovered face.
        overwrite: replace existing outputs.
        trust: load a model whose checksums do not match.
        pages: also make contact sheets and `gallery.html` of the whole report; implies `side_by_side`.
        **options: fields of `options.Options`.

    Returns:
        Exit code: 0 all good, 1 some inputs failed, 130 interrupted.

    Raises:
        ConfigError: wrong usage; the output folder cannot be written to.
        DataError: no input was found, or another run writes to the output folder.
        ModelError: the model is unusable.
    """
    chosen, side_by_side = Options(**options), side_by_side or pages
    with folder.opened(source, output) as work:
        if chosen.boxes and len(work.jobs) > 1:
            message = f"Expected one picture with --box. Received: {len(work.jobs)} in {source!r}."
            raise ConfigError(message, hint="A box is a place in one picture; name that picture.")
        recoverer = Recoverer.load(model, trust=trust)
        with Console(len(work.jobs)) as console:
            report = recoverer._process(work, side_by_side, overwrite, console.show, chosen)
        gallery.write_table(report.path)
        page = gallery.write_pages(report.path) if pages else None
    _summarise(report, work, recoverer.name, side_by_side and chosen.faces == "whole", page)
    return report.exit_code


def _summarise(report: Report, work: folder.Work, name: str, sheets: bool, page: Path | None) -> None:
    print(f"{report.summary(len(work.jobs))}; model {name}; {report.path}")  # noqa: T201
    if sheets and report.recovered + report.skipped:
        stem = work.jobs[0].stem if len(work.jobs) == 1 else "*"
        print(f"side by side: {work.output / f'{stem}_side_by_side.png'}")  # noqa: T201
    if page is not None:
        print(f"gallery: {page}")  # noqa: T201
