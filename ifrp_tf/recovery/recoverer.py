"""From a picture to the photorealistic faces behind it: `Recoverer.load(model)(portrait)`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image, ImageOps

from ifrp_tf.core.assets import MODEL
from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures import framing, images
from ifrp_tf.pictures.blending import paste
from ifrp_tf.pictures.decoding import check_size, describe_array, to_rgb
from ifrp_tf.pictures.geometry import SMALLEST_FACE, WHOLE, Face, Place, cut
from ifrp_tf.recovery import detection
from ifrp_tf.recovery.detectors import Candidate, Detector
from ifrp_tf.recovery.uncertainty import Uncertainty, estimate
from ifrp_tf.release import load as loaded
from ifrp_tf.release.load import Network, in_batches

if TYPE_CHECKING:
    from ifrp_tf.recovery.folder import Progress, Report

FACES = ("whole", "auto")
"""`whole`: every picture is one face; `auto`: the faces in it are found."""


TURNS = ("auto", *(str(way) for way in detection.WAYS))


@dataclass(frozen=True)
class Options:
    """How faces are found and what is made of them.

    Attributes:
        faces: one of `FACES`.
        boxes: x, y, width, height of faces by hand, pixels of the upright picture; with `auto` instead of
            finding them.
        paste: whether the recovered faces are also blended into their picture.
        strength: of that blend, 0 to 1.
        flip_average: whether the network also sees the mirrored portrait, and the two answers are averaged.
        fallback: whether a picture in which no face is found is taken for one face as a whole.
        detector: one of `detection.DETECTORS`, for `auto`; a `Recoverer` may have been given another.
        turn: by how many degrees clockwise the pictures are turned: "0", "90", "180" or "270"; with "auto"
            every face that is found is asked which way up it is.
        uncertainty: whether a picture and a number of how far the answers to slightly changed portraits
            spread are made of every face, too (`uncertainty.estimate`).

    Raises:
        ConfigError: an option is out of range, or two contradict each other.

    Example:
        >>> Options(faces="auto", paste=True, strength=0.8).settings()
        'auto paste 0.8'
    """

    faces: str = "whole"
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    paste: bool = False
    strength: float = 1.0
    flip_average: bool = False
    fallback: bool = True
    detector: str = detection.DETECTOR
    turn: str = "auto"
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.faces not in FACES:
            raise ConfigError(f"Expected `faces` to be one of {', '.join(FACES)}. Received: {self.faces!r}.")
        for name, known in (("detector", tuple(detection.DETECTORS)), ("turn", TURNS)):
            if getattr(self, name) not in known:
                received = repr(getattr(self, name))
                raise ConfigError(f"Expected `{name}` to be one of {', '.join(known)}. Received: {received}.")
        if not 0.0 <= self.strength <= 1.0:
            raise ConfigError(f"Expected `strength` from 0 to 1. Received: {self.strength!r}.")
        if self.faces == "whole" and (self.paste or self.boxes):
            what = "paste" if self.paste else "boxes"
            raise ConfigError(
                f"Expected `faces=auto` with `{what}`. Received: `faces=whole`.",
                hint="Of a picture that is one face as a whole no place in it is known.",
            )
        if self.strength != 1.0 and not self.paste:
            raise ConfigError(
                f"Expected `paste` with `strength`. Received: `strength={self.strength:g}` alone.",
                hint="The strength blends the recovered face into the picture; the crop is always whole.",
            )

    def settings(self) -> str:
        """What makes other outputs of the same picture and model; empty for whole pictures without more.

        The uncertainty is not among it: it adds an output and changes none.
        """
        words = ["auto"] if self.faces == "auto" else []
        words += ["box " + ",".join(f"{value:g}" for value in box) for box in self.boxes]
        if self.paste:
            words.append(f"paste {self.strength:g}")
        if self.flip_average:
            words.append("flip_average")
        if self.faces == "auto" and not self.fallback:
            words.append("nofallback")
        if self.faces == "auto" and self.detector != detection.DETECTOR:
            words.append(self.detector)
        if self.turn != "auto":
            words.append(f"turn {self.turn}")
        return " ".join(words)


AS_USUAL = Options()
"""What nobody asked for otherwise."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The faces of a picture, and those of them that can be recovered as portraits.

    Attributes:
        faces: all, from the left to the right.
        entries: what `report.json` says of each; `reason` is `too_small` for those that are not recovered.
        chosen: indices in `faces` of the portraits.
        portraits: uint8 [len(chosen), side, side, 3], aligned to the networks' frame.
    """

    faces: tuple[Face, ...]
    entries: tuple[dict[str, Any], ...]
    chosen: tuple[int, ...]
    portraits: np.ndarray

    @property
    def places(self) -> tuple[Place | None, ...]:
        """The frames of the portraits; None for a picture taken as a whole."""
        return tuple(self.faces[index].place for index in self.chosen)


@dataclass(frozen=True, eq=False)
class Recovered:
    """What was recovered from a whole picture.

    Attributes:
        scene: the faces, and the portraits that were laid out for the network.
        recovered: uint8 [len(scene.chosen), side, side, 3].
        pasted: uint8 [H, W, 3]: the picture with the recovered faces, if that was asked for.
        uncertainty: of each recovered face, if that was asked for.
    """

    scene: Scene
    recovered: np.ndarray
    pasted: np.ndarray | None
    uncertainty: tuple[Uncertainty, ...] = ()


def pixels_of(source: str | Path | bytes | Image.Image | np.ndarray) -> np.ndarray:
    """A picture in any form as upright pixels: uint8 [H, W, 3].

    Args:
        source: a path, the bytes of a file, a Pillow image or an array uint8 [H, W, 3].

    Raises:
        ImageError: the picture cannot be used.
    """
    if isinstance(source, Image.Image):
        check_size(*source.size)
        upright = ImageOps.exif_transpose(source)
        return np.array(to_rgb(upright, None, []))
    if isinstance(source, np.ndarray):
        return images.from_array(source)
    return images.read(source).pixels


def look(pixels: np.ndarray, options: Options, detector: Detector | Finder | None, side: int) -> Scene:
    """Finds the faces of a picture and lays each into the frame of the networks.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        options: how faces are found.
        detector: not needed for `faces="whole"`.
        side: of the portraits, pixels.

    Raises:
        ConfigError: a box is outside the picture; a detector is missing.

    Example:
        >>> look(pixels, Options(faces="auto"), Mtcnn(), 128).portraits.shape  # doctest: +SKIP
        (4, 128, 128, 3)
    """
    turn = None if options.turn == "auto" else int(options.turn)
    found = _found(pixels, options, detector, turn)
    height, width = pixels.shape[:2]
    entries, chosen, portraits = [], [], []
    for index, face in enumerate(found):
        if face.place is None:
            entry = {"box": [0, 0, width, height], "landmarks": None, "score": None, "found_by": "whole"}
            portraits.append(framing.letterbox(np.rot90(pixels, (turn or 0) // 90), side))
        else:
            entry = face.entry(height, width)
            if face.place.side < SMALLEST_FACE:
                entries.append({**entry, "reason": "too_small"})
                continue
            portraits.append(cut(pixels, face.place, side))
        entries.append(entry)
        chosen.append(index)
    stacked = np.stack(portraits) if portraits else np.zeros((0, side, side, 3), np.uint8)
    return Scene(tuple(found), tuple(entries), tuple(chosen), stacked)


@runtime_checkable
class Finder(Protocol):
    """What finds the faces of whole pictures by itself, such as a server, in place of a detector."""

    def find(self, pixels: np.ndarray, options: Options) -> list[Face]:
        """The faces of a picture uint8 [H, W, 3], as the options ask."""


def _found(
    pixels: np.ndarray, options: Options, detector: Detector | Finder | None, turn: int | None
) -> list[Face]:
    if options.faces == "whole":
        return [WHOLE]
    if isinstance(detector, Finder):
        return detector.find(pixels, options)
    if detector is None:
        raise ConfigError("Expected a detector with faces='auto'. Received: none.")
    if options.boxes:
        return [detection.find_in_box(pixels, box, detector, turn) for box in options.boxes]
    found = detection.find(pixels, detector, turn)
    return found or ([WHOLE] if options.fallback else [])


class Late:
    """A detector, made when it is first asked: many pictures need none. Any thread may ask.

    Args:
        name: of `detection.DETECTORS`.
    """

    def __init__(self, name: str = detection.DETECTOR) -> None:
        self._name = name
        self._made: Detector | None = None
        self._lock = threading.Lock()

    def __call__(self, pictures: Sequence[np.ndarray], *, relaxed: bool = False) -> list[list[Candidate]]:
        """The faces in each picture; see `Detector`."""
        return self._detector()(pictures, relaxed=relaxed)

    def __getattr__(self, name: str) -> Any:
        """What else the detector has: how it looks, and how it confirms what it sees."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._detector(), name)

    def _detector(self) -> Detector:
        with self._lock:
            if self._made is None:
                self._made = detection.DETECTORS[self._name]()
        return self._made


class Recoverer:
    """A loaded model.

    Args:
        network: uint8 [N, side, side, 3] portraits to uint8 recovered faces of the same shape.
        side: of the pictures, pixels.
        name: of the model, for people.
        fingerprint: of the model, 64 hexadecimal digits.
        detector: finds faces in whole pictures, by itself if it is a `Finder`; if None that which
            `Options.detector` names, made when it is first needed.

    Example:
        >>> recoverer = Recoverer.load("saved_models/ifrp")  # doctest: +SKIP
        >>> recoverer("portrait.jpg").shape  # doctest: +SKIP
        (128, 128, 3)
    """

    def __init__(
        self,
        network: Network,
        *,
        side: int,
        name: str,
        fingerprint: str,
        detector: Detector | Finder | None = None,
    ) -> None:
        self.network, self.detector = network, detector or Late()
        self._others = {} if detector else {name: Late(name) for name in detection.DETECTORS}
        self.side, self.name, self.fingerprint = side, name, fingerprint

    @classmethod
    def load(
        cls, model: str | Path = MODEL, *, trust: bool = False, detector: Detector | None = None
    ) -> Recoverer:
        """Loads a model that is whole and unaltered.

        Args:
            model: as in `release.load.load`; the released one by default.
            trust: load a version folder whose files do not match its `SHA256SUMS`. A SavedModel is a program.
            detector: finds faces in whole pictures, in place of that which `Options.detector` names.

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
        return self.recover_batch(framing.letterbox(pixels_of(source), self.side)[None])[0]

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
        return in_batches(self.network, portraits, fill=False)  # one portrait alone need not wait for 16

    def averaged(self, portraits: np.ndarray) -> np.ndarray:
        """As `recover_batch`, but averaged with what the mirrored portraits give."""
        straight = self.recover_batch(portraits).astype(np.uint16)
        mirrored = self.recover_batch(np.ascontiguousarray(portraits[:, :, ::-1]))[:, :, ::-1]
        return ((straight + mirrored + 1) // 2).astype(np.uint8)

    def function(self, options: Options) -> Network:
        """What answers portraits as the options ask."""
        return self.averaged if options.flip_average else self.recover_batch

    def recover_faces(
        self, source: str | Path | bytes | Image.Image | np.ndarray, options: Options = Options(faces="auto")
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
        scene = self.look(pixels, options)
        function = self.function(options)
        recovered = function(scene.portraits)
        spreads = tuple(estimate(function, one) for one in scene.portraits) if options.uncertainty else ()
        placed = [(place, face) for place, face in zip(scene.places, recovered, strict=True) if place]
        pasted = None
        if options.paste:
            places, faces = [place for place, _ in placed], [face for _, face in placed]
            pasted = paste(pixels, places, faces, strength=options.strength)
        return Recovered(scene, recovered, pasted, spreads)

    def look(self, pixels: np.ndarray, options: Options) -> Scene:
        """Finds the faces of a picture with the detector that the options name; see `look`."""
        detector = self.detector
        if options.detector != detection.DETECTOR:
            detector = self._others.get(options.detector, detector)
        return look(pixels, options, detector, self.side)

    def uncertainty(self, source: str | Path | bytes | Image.Image | np.ndarray) -> Uncertainty:
        """Recovers the face of one portrait and says where the answer depends on what should not matter.

        Args:
            source: as in `__call__`, one portrait.

        Raises:
            ImageError: the portrait cannot be used.
            ModelError: the network's answer is not finite.
        """
        return estimate(self.recover_batch, framing.letterbox(pixels_of(source), self.side))

    def recover_folder(
        self,
        source: str | Path,
        output: str | Path,
        *,
        side_by_side: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
        options: Options = AS_USUAL,
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
        from ifrp_tf.recovery import folder  # it is above: many pictures, each of them through here

        with folder.opened(source, output, options) as (manifest, jobs):
            return folder.Run(manifest, jobs, self, options, side_by_side, overwrite).process(progress)
