"""From a picture to the photorealistic faces behind it: `Recoverer.load(model)(portrait)`."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
from PIL import Image

from ifrp_tf.core.assets import MODEL
from ifrp_tf.core.errors import ConfigError, ImageError, ModelError
from ifrp_tf.data import attributes
from ifrp_tf.pictures import framing, images
from ifrp_tf.pictures.blending import paste
from ifrp_tf.pictures.colours import is_flat
from ifrp_tf.pictures.decoding import describe_array
from ifrp_tf.pictures.geometry import SMALLEST_FACE, WHOLE, Face, Place, cut
from ifrp_tf.pictures.images import Source
from ifrp_tf.recovery import detection
from ifrp_tf.recovery.detectors import Candidate, Detector
from ifrp_tf.recovery.uncertainty import CHANGES, Uncertainty, estimate
from ifrp_tf.release import load as loaded
from ifrp_tf.release.load import Network, in_batches

if TYPE_CHECKING:
    from ifrp_tf.recovery.folder import Progress, Report
    from ifrp_tf.recovery.texture import Textures

FACES = ("whole", "auto")
"""`whole`: every picture is one face; `auto`: the faces in it are found."""

FALLBACKS = ("auto", "whole", "none")
"""A picture without a face: `whole` takes it for one all the same, `none` never, and `auto` where it is
nearly square and of up to 512 pixels, for there detectors often miss a print or a drawing."""

_SQUARE = 1.35  # longer side by the shorter one, of pictures that may be one face as a whole
# Longest sides, pixels: of those that are not looked at, of those where a glance is enough, of the fallback.
_TIGHT, _GLANCE, _SMALL = 150, 256, 512
_ENLARGED = 2.0  # times that a pasted face may be larger than the network makes it, without a note
# What the network is trained to align: of 12 foreign portraits so tight, tilted up to 27 degrees, the whole
# gave 15.4 dB and the cut out face 15.35, of 18 upright photographs 19.4 and 19.7.
_FILLS, _TILTED, _APART = 0.8, 30.0, 0.15  # of the longest side; degrees; of the side, from the middle

NO_FACE = "no face was found: the picture as a whole was taken for one"
"""The note on what may be invented out of nothing."""

SIZES = (256, 512)
"""Sides to which `Options.size` enlarges recovered faces, pixels."""

ENLARGED = "no detail is added"
"""What the note on that ends in."""

MOST_ANSWERS = 1 + len(CHANGES)
"""The most that `Options.answers` may be: those from which the uncertainty is computed."""


DETAILS = ("none", "texture")

TURNS = ("auto", *(str(way) for way in detection.WAYS))


@dataclass(frozen=True)
class Options:
    """How faces are found and what is made of them.

    Attributes:
        faces: one of `FACES`. With `auto` a picture that one face fills is taken as a whole, and so is,
            without looking, a nearly square one of up to 150 pixels; with `paste`, which needs their places,
            and with `fallback="none"` faces are always looked for.
        boxes: x, y, width, height of faces by hand, pixels of the upright picture; with `auto` instead of
            finding them.
        paste: whether the recovered faces are also blended into their picture.
        strength: of that blend, 0 to 1.
        flip_average: whether the network also sees the mirrored portrait, and the two answers are averaged.
        fallback: what becomes of a picture in which no face is found: one of `FALLBACKS`.
        detector: one of `detection.DETECTORS`, for `auto`; a `Recoverer` may have been given another.
        turn: by how many degrees clockwise the pictures are turned: "0", "90", "180" or "270"; with "auto"
            every face that is found is asked which way up it is.
        uncertainty: whether a picture and a number of how far the answers to slightly changed portraits
            spread are made of every face, too (`uncertainty.estimate`).
        size: of `SIZES`, to which recovered faces are enlarged (`enlarged`): smoother pixels, no more detail.
            Pasted faces are not, they are laid into their picture as they come from the network.
        answers: how many plausible answers are shown side by side, 2 to `MOST_ANSWERS`: those to slightly
            changed portraits that differ most (`Uncertainty.several`); 0 for none.
        save_crops: whether a folder also gets the portraits that the network saw.
        smoothing: seconds over which the places and the looks of faces in a video are smoothed; 0 for none.
        attributes: of the sitter, such as `male=1,smiling=1,beard=-1` (`data.attributes.parse`), for a model
            that can be told them; kept in the spelling of `data.attributes.words`.
        detail: one of `DETAILS`: `texture` gives recovered faces the detail of photographs
            (`Recoverer.with_detail`), invented and slow: some 20 CPU seconds a face.

    Raises:
        ConfigError: an option is out of range, or two contradict each other.

    Example:
        >>> Options(faces="auto", paste=True, strength=0.8).settings()
        'auto paste 0.8'
    """

    faces: str = "auto"
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    paste: bool = False
    strength: float = 1.0
    flip_average: bool = False
    fallback: str = "auto"
    detector: str = detection.DETECTOR
    turn: str = "auto"
    uncertainty: bool = False
    size: int | None = None
    answers: int = 0
    save_crops: bool = False
    smoothing: float = 0.1
    attributes: str = ""
    detail: str = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", attributes.words(attributes.parse(self.attributes)))
        if self.faces not in FACES:
            raise ConfigError(f"Expected `faces` to be one of {', '.join(FACES)}. Received: {self.faces!r}.")
        for name, known in (
            ("fallback", FALLBACKS),
            ("detector", tuple(detection.DETECTORS)),
            ("turn", TURNS),
            ("detail", DETAILS),
        ):
            if getattr(self, name) not in known:
                received = repr(getattr(self, name))
                raise ConfigError(f"Expected `{name}` to be one of {', '.join(known)}. Received: {received}.")
        self._check_outputs()
        if not 0.0 <= self.strength <= 1.0:
            raise ConfigError(f"Expected `strength` from 0 to 1. Received: {self.strength!r}.")
        if not 0.0 <= self.smoothing <= 2.0:
            raise ConfigError(f"Expected `smoothing` from 0 to 2 seconds. Received: {self.smoothing!r}.")
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

    def _check_outputs(self) -> None:
        if self.detail != "none" and self.spreads:
            raise ConfigError(
                f"Expected `detail=none` with `uncertainty` and `answers`. Received: `detail={self.detail}`.",
                hint="They ask for the network's answers; detail of a photograph's kind is invented.",
            )
        if self.size is not None and self.size not in SIZES:
            raise ConfigError(
                f"Expected `size` to be {' or '.join(map(str, SIZES))} pixels. Received: {self.size!r}.",
                hint="Without it faces have the size that the network makes.",
            )
        if self.answers not in (0, *range(2, MOST_ANSWERS + 1)):
            raise ConfigError(
                f"Expected `answers` from 2 to {MOST_ANSWERS}, or 0. Received: {self.answers!r}."
            )

    @property
    def spreads(self) -> bool:
        """Whether the answers to changed portraits are needed: 16 times the work."""
        return self.uncertainty or self.answers > 0

    def settings(self) -> str:
        """What makes other outputs of the same picture and model; empty for pictures as a whole without more.

        Uncertainty, answers and crops are not among it: they add an output and change none.
        """
        words = ["auto"] if self.faces == "auto" else []
        words += ["box " + ",".join(f"{value:g}" for value in box) for box in self.boxes]
        if self.paste:
            words.append(f"paste {self.strength:g}")
        if self.flip_average:
            words.append("flip_average")
        if self.faces == "auto" and self.fallback != "auto":
            words.append("nofallback" if self.fallback == "none" else "insist")
        if self.faces == "auto" and self.detector != detection.DETECTOR:
            words.append(self.detector)
        if self.turn != "auto":
            words.append(f"turn {self.turn}")
        if self.size:
            words.append(f"size {self.size}")
        if self.smoothing != 0.1:
            words.append(f"smoothing {self.smoothing:g}")
        if self.attributes:
            words.append(f"attributes {self.attributes}")
        if self.detail != "none":
            words.append(f"detail {self.detail}")
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
        notes: what the user should know: that no face was found, that some are too small or much enlarged.
    """

    faces: tuple[Face, ...]
    entries: tuple[dict[str, Any], ...]
    chosen: tuple[int, ...]
    portraits: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[Place | None, ...]:
        """The frames of the portraits; None for a picture taken as a whole."""
        return tuple(self.faces[index].place for index in self.chosen)


@dataclass(frozen=True, eq=False)
class Recovered:
    """What was recovered from a whole picture.

    Attributes:
        scene: the faces, and the portraits that were laid out for the network.
        recovered: uint8 [len(scene.chosen), side, side, 3], or of `Options.size`.
        pasted: uint8 [H, W, 3]: the picture with the recovered faces, if that was asked for.
        uncertainty: of each recovered face, if that was asked for.
        notes: what was done to read the picture, and those of the scene.
        answers: of each face uint8 [`Options.answers`, side, side, 3], if they were asked for.
    """

    scene: Scene
    recovered: np.ndarray
    pasted: np.ndarray | None
    uncertainty: tuple[Uncertainty, ...] = ()
    notes: tuple[str, ...] = ()
    answers: tuple[np.ndarray, ...] = ()


def enlarged(face: np.ndarray, size: int | None) -> np.ndarray:
    """A recovered face with more pixels, by a Lanczos filter of three lobes (Pillow's). It adds no detail.

    Args:
        face: uint8 [S, S, 3], RGB, 0-255.
        size: of the result, pixels; None, or S, leaves it as it is.

    Returns:
        uint8 [size, size, 3].
    """
    if size is None or size == len(face):
        return face
    return np.array(Image.fromarray(face).resize((size, size), Image.Resampling.LANCZOS))


def look(pixels: np.ndarray, options: Options, detector: Detector | Finder | None, side: int) -> Scene:
    """Finds the faces of a picture and lays each into the frame of the networks.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        options: how faces are found.
        detector: not needed for `faces="whole"`, nor for small, nearly square pictures.
        side: of the portraits, pixels.

    Raises:
        ImageError: with reason `flat`: there is nothing in the picture.
        ConfigError: a box is outside the picture; a detector is missing.

    Example:
        >>> look(pixels, Options(), Mtcnn(), 128).portraits.shape  # doctest: +SKIP
        (4, 128, 128, 3)
    """
    _refuse_flat(pixels)
    turn = None if options.turn == "auto" else int(options.turn)
    found, notes = _found(pixels, options, detector, turn)
    height, width = pixels.shape[:2]
    entries, chosen, portraits, small = [], [], [], 0
    for index, face in enumerate(found):
        if face.place is None:
            entry = {"box": [0, 0, width, height], "landmarks": None, "score": None, "found_by": "whole"}
            portraits.append(framing.letterbox(np.rot90(pixels, (turn or 0) // 90), side))
        else:
            entry = face.entry(height, width)
            if face.place.side < SMALLEST_FACE:
                entries.append({**entry, "reason": "too_small"})
                small += 1
                continue
            if options.paste and face.place.side > _ENLARGED * side:
                times = face.place.side / side
                notes.append(f"face {index + 1} is enlarged {times:.1f} times in the pasted picture")
            portraits.append(cut(pixels, face.place, side))
        entries.append(entry)
        chosen.append(index)
    if small:
        notes.append(f"{small} of {len(found)} faces too small to recover: below {SMALLEST_FACE} pixels")
    if portraits and (options.size or side) > side:
        notes.append(f"faces of {side} pixels enlarged to {options.size} (Lanczos): {ENLARGED}")
    stacked = np.stack(portraits) if portraits else np.zeros((0, side, side, 3), np.uint8)
    return Scene(tuple(found), tuple(entries), tuple(chosen), stacked, tuple(notes))


def _refuse_flat(pixels: np.ndarray) -> None:
    if is_flat(pixels):
        raise ImageError("flat", "there is nothing to be seen: the picture is of one colour, or nearly.")


@runtime_checkable
class Finder(Protocol):
    """What finds the faces of whole pictures by itself, such as a server, in place of a detector."""

    def find(self, pixels: np.ndarray, options: Options) -> list[Face]:
        """The faces of a picture uint8 [H, W, 3], in the boxes of the options if there are any."""


def _found(
    pixels: np.ndarray, options: Options, detector: Detector | Finder | None, turn: int | None
) -> tuple[Sequence[Face], list[str]]:
    height, width = pixels.shape[:2]
    longer = max(height, width)
    whole = _nearly_square(height, width) and not (
        options.paste or options.boxes or options.fallback == "none"
    )
    if whole_unseen(height, width, options):
        return [WHOLE], []
    if detector is None:
        raise ConfigError("Expected a detector with faces='auto'. Received: none.")
    if isinstance(detector, Finder):
        found = detector.find(pixels, options)
    elif whole and longer <= _GLANCE and _filled(detection.glance(pixels, detector), pixels):
        return [WHOLE], []
    elif options.boxes:
        found = [detection.find_in_box(pixels, box, detector, turn) for box in options.boxes]
    else:
        found = detection.find(pixels, detector, turn)
    if whole and _filled(found, pixels):
        return [WHOLE], []
    return (found, []) if found or not may_be_whole(height, width, options) else ([WHOLE], [NO_FACE])


def _nearly_square(height: int, width: int) -> bool:
    return max(height, width) <= _SQUARE * min(height, width)


def whole_unseen(height: int, width: int, options: Options) -> bool:
    """Whether a picture of a size is taken for one face as a whole without looking."""
    if options.faces == "whole":
        return True
    elsewhere = options.paste or options.boxes or options.fallback == "none"
    return _nearly_square(height, width) and not elsewhere and max(height, width) <= _TIGHT


def may_be_whole(height: int, width: int, options: Options) -> bool:
    """Whether a picture of a size in which no face was found is taken for one as a whole."""
    small = _nearly_square(height, width) and max(height, width) <= _SMALL
    return options.fallback == "whole" or (options.fallback == "auto" and small)


def _filled(found: Sequence[Face], pixels: np.ndarray) -> bool:
    return any(_fills(face.place, pixels) for face in found if face.place is not None)


def _fills(place: Place, pixels: np.ndarray) -> bool:
    height, width = pixels.shape[:2]
    apart = max(abs(place.x - width / 2), abs(place.y - height / 2))
    large = place.side >= _FILLS * max(height, width) and apart <= _APART * place.side
    return large and abs(place.angle) <= _TILTED


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
                try:
                    self._made = detection.DETECTORS[self._name]()
                except ImportError as error:
                    message = f"Expected TensorFlow, to find faces. Received: {error}."
                    hint = "Of tight portraits `faces=whole` needs none."
                    raise ModelError(message, hint=hint) from error
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
        attributes: names of what the model can be told; then `network` takes them, float32 [N, 14], as a
            second argument.

    Attributes:
        vector: what the model is told, float32 [14], or None (`with_attributes`).

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
        attributes: tuple[str, ...] = (),
    ) -> None:
        self.network, self.detector = network, detector or Late()
        self._others = {} if detector else {name: Late(name) for name in detection.DETECTORS}
        self.side, self.name, self.fingerprint = side, name, fingerprint
        self.attributes = attributes
        self.vector: np.ndarray | None = None
        self._textures: Textures | None = None

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
        return cls(
            found.network,
            side=found.side,
            name=found.name,
            fingerprint=found.fingerprint,
            detector=detector,
            attributes=found.attributes,
        )

    def with_attributes(self, told: np.ndarray | str) -> Recoverer:
        """The same model, told attributes of the sitter.

        Args:
            told: [14] from -1 (absent) to 1 (there), 0 says nothing, in the order of `data.attributes.NAMES`;
                or words such as `male=1,smiling=1,beard=-1`.

        Raises:
            ConfigError: the model cannot be told any, a name is unknown, or a value is out of range.

        Example:
            >>> recoverer.with_attributes("smiling=1")("portrait.jpg")  # doctest: +SKIP
        """
        vector = attributes.parse(told) if isinstance(told, str) else np.asarray(told, np.float32)
        if not self.attributes:
            raise ConfigError(
                f"Expected a model that can be told `attributes`. Received: {self.name}, which cannot.",
                hint="Models of the system afrp can: train one with --preset=afrp.",
            )
        count = len(self.attributes)
        if vector.shape != (count,) or not (np.abs(vector) <= 1).all():
            raise ConfigError(
                f"Expected `attributes` as {count} numbers from -1 to 1. Received: {vector.tolist()!s:.200}."
            )
        other = copy.copy(self)
        other.vector = vector
        return other

    def with_detail(self, textures: Textures) -> Recoverer:
        """The same model; what `Options.detail` adds comes from these faces.

        Args:
            textures: a database of sharp photographs; without it that in `data/faces/webmorph`.
        """
        other = copy.copy(self)
        other._textures = textures
        return other

    def asked(self, options: Options) -> Options:
        """Options that say what the model is told, if they do not say otherwise.

        Args:
            options: of a call.
        """
        if self.vector is None or options.attributes:
            return options
        return replace(options, attributes=attributes.words(self.vector))

    def __call__(self, source: Source | Sequence[Source]) -> np.ndarray:
        """Recovers the face of one portrait as a whole, or of each of several.

        Args:
            source: a path, the bytes of a file, an open file, a Pillow image or an array uint8 [H, W, 3]; a
                list of these; or a batch uint8 [N, side, side, 3]. Portraits of any size are letterboxed
                (`images.letterbox`). Faces in larger pictures are found by `recover_faces`.

        Returns:
            uint8 [side, side, 3], or [N, side, side, 3] for several.

        Raises:
            ImageError: a portrait cannot be used, or is of one colour; for a list the message says which.
            ModelError: the network's answer is not finite.
        """
        if isinstance(source, np.ndarray) and source.ndim == 4:
            return self.recover_batch(source)
        if not isinstance(source, list | tuple):
            return self.recover_batch(self._portrait(cast(Source, source))[None])[0]
        portraits = np.zeros((len(source), self.side, self.side, 3), np.uint8)
        for index, one in enumerate(source):
            try:
                portraits[index] = self._portrait(one)
            except ImageError as error:
                message = f"Picture {index}: {error.message}"
                raise ImageError(error.reason, message, hint=error.hint) from error
        return self.recover_batch(portraits)

    def _portrait(self, source: Source) -> np.ndarray:
        pixels = images.take(source).pixels
        _refuse_flat(pixels)
        return framing.letterbox(pixels, self.side)

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
        return in_batches(self._answer, portraits, fill=False)  # one portrait alone need not wait for 16

    def _answer(self, portraits: np.ndarray) -> np.ndarray:
        if self.vector is None:
            return self.network(portraits)
        return self.network(portraits, np.tile(self.vector, (len(portraits), 1)))

    def averaged(self, portraits: np.ndarray) -> np.ndarray:
        """As `recover_batch`, but averaged with what the mirrored portraits give."""
        straight = self.recover_batch(portraits).astype(np.uint16)
        mirrored = self.recover_batch(np.ascontiguousarray(portraits[:, :, ::-1]))[:, :, ::-1]
        return ((straight + mirrored + 1) // 2).astype(np.uint8)

    def function(self, options: Options) -> Network:
        """What answers portraits as the options ask.

        Raises:
            ConfigError: attributes are asked for of a model that cannot be told any, or detail of one whose
                faces are not of 128 pixels.
            DataError: there are no faces to take detail from, or weights are missing.
        """
        if options.attributes:
            return self.with_attributes(options.attributes).function(replace(options, attributes=""))
        plain = self.averaged if options.flip_average else self.recover_batch
        if options.detail == "none":
            return plain
        if self.side != 128:
            raise ConfigError(
                f"Expected a model of 128 pixels with `detail=texture`. Received: {self.name} of {self.side}."
            )
        if self._textures is None:
            from ifrp_tf.recovery.texture import Textures  # late: needs TensorFlow

            self._textures = Textures("data/faces/webmorph", iterations=40, soften=self.recover_batch)
        return self._textures.refined(plain)

    def recover_faces(self, source: Source, options: Options = AS_USUAL) -> Recovered:
        """Finds the faces of a whole picture and recovers them.

        Args:
            source: one picture, as in `__call__`.
            options: how faces are found, whether they are pasted back, and their uncertainty.

        Raises:
            ImageError: the picture cannot be used, or is of one colour.
            ConfigError: a box is outside the picture.
            ModelError: the network's answer is not finite.

        Example:
            >>> len(recoverer.recover_faces("group.jpg").recovered)  # doctest: +SKIP
            4
        """
        picture = images.take(source)
        scene = self.look(picture.pixels, options)
        function = self.function(options)
        recovered = function(scene.portraits)
        spreads = tuple(estimate(function, one) for one in scene.portraits) if options.spreads else ()
        placed = [(place, face) for place, face in zip(scene.places, recovered, strict=True) if place]
        pasted = None
        if options.paste:
            places, faces = [place for place, _ in placed], [face for _, face in placed]
            pasted = paste(picture.pixels, places, faces, strength=options.strength)
        if len(recovered):
            recovered = np.stack([enlarged(face, options.size) for face in recovered])
        return Recovered(
            scene,
            recovered,
            pasted,
            spreads if options.uncertainty else (),
            (*picture.notes, *scene.notes),
            tuple(one.several(options.answers) for one in spreads) if options.answers else (),
        )

    def look(self, pixels: np.ndarray, options: Options) -> Scene:
        """Finds the faces of a picture with the detector that the options name; see `look`."""
        return look(pixels, options, self.detector_for(options), self.side)

    def detector_for(self, options: Options) -> Detector | Finder:
        """The detector that the options name, or that which was given."""
        if options.detector == detection.DETECTOR:
            return self.detector
        return self._others.get(options.detector, self.detector)

    def uncertainty(self, source: Source) -> Uncertainty:
        """Recovers the face of one portrait and says where the answer depends on what should not matter.

        Args:
            source: as in `__call__`, one portrait.

        Raises:
            ImageError: the portrait cannot be used, or is of one colour.
            ModelError: the network's answer is not finite.
        """
        return estimate(self.recover_batch, self._portrait(source))

    def recover_folder(
        self,
        source: str | Path | Sequence[str | Path],
        output: str | Path,
        *,
        side_by_side: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
        options: Options = AS_USUAL,
        pages: str = "first",
    ) -> Report:
        """Recovers files, folders or patterns into an output folder; finished ones are skipped.

        Args:
            source: a file, a folder (its tree is mirrored) or a pattern; or several of these.
            output: gets `<stem>_recovered.png`, or one `<stem>_face<k>_recovered.png` a face, and
                `report.json`.
            side_by_side: also write `<stem>_side_by_side.png`.
            overwrite: replace existing outputs.
            progress: called with each picture's report entry.
            options: how faces are found, and what else is made.
            pages: of TIFF and PDF files: `first`, `all` or numbers such as `1,3-5`.

        Raises:
            DataError: no input was found, the report cannot be written, or another run writes to `output`.
            ConfigError: `output` cannot be written to, or boxes are given for more than one picture.
        """
        from ifrp_tf.recovery import folder  # it is above: many pictures, each of them through here

        with folder.opened(source, output, options, pages) as (manifest, jobs):
            return folder.Run(manifest, jobs, self, options, side_by_side, overwrite).process(progress)
