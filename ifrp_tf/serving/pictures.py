"""Pictures of strangers in Python, for what a graph cannot do: whole pictures, and files of every kind.

`recover_picture` finds the faces of a picture, recovers each and blends them back. `recover_bytes` of a model
takes small PNG and JPEG files alone, and those of releases up to 4 ignore EXIF orientation and lay
transparency on white: files that a graph refuses, or may read otherwise than `images.read` does, are decoded
here first.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from ifrp_tf.client.wire import FILES, PICTURE, PIXELS, TOLD
from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.pictures.decoding import Picture, decode, encode_png
from ifrp_tf.pictures.encoding import encode_like
from ifrp_tf.pictures.framing import letterbox
from ifrp_tf.pictures.geometry import Place
from ifrp_tf.release import in_graph
from ifrp_tf.serving.signature import Arrays, Refusal, Signature, refusal

MAX_PIXELS = 40_000_000
"""The most pixels of a picture that is sent."""

MAX_BOXES = 64
"""The most faces that may be pointed at."""

_NOT_HERE = ("uncertainty", "answers", "save_crops")  # 16 times the load of a picture; of folders
_TURNED_OR_COLOURED = {
    "JPEG": (b"Exif\0\0", b"tiff:Orientation", b"ICC_PROFILE\0"),
    "PNG": (b"eXIf", b"Raw profile type ", b"tiff:Orientation", b"iCCP", b"gAMA", b"tRNS"),
}


class FileSignature(Signature):
    """`recover_bytes` of a model, which is shown files as `images.read` reads them.

    Args:
        definition: of the model's signature.
        function: of the model.
        side: of its pictures, pixels.
    """

    def __init__(self, definition: Any, function: Any, side: int) -> None:
        super().__init__(FILES[0], definition, function)
        self._side = side

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """See `Signature.run`."""
        ((name, files),) = inputs.items()
        plain = _filled([data if _is_plain(data) else self._upright(data) for data in files])
        try:
            return super().run({name: plain})
        except Refusal as error:
            if error.code != "INVALID_ARGUMENT":
                raise
        # What is wrong with the file is said better here, if it is the file at all.
        return super().run({name: _filled([self._upright(data) for data in files])})

    def _upright(self, data: bytes) -> bytes:
        return encode_png(letterbox(_decode(data, FILES[1]).pixels, self._side))


def _is_plain(data: bytes) -> bool:
    """Whether a graph of any release reads a file as we do."""
    if len(data) > in_graph.MAX_BYTES:
        return False
    if data.startswith(b"\xff\xd8\xff"):
        marks = _TURNED_OR_COLOURED["JPEG"]
    elif data.startswith(b"\x89PNG") and data[24:26] in (b"\x08\0", b"\x08\2", b"\x08\3"):
        marks = _TURNED_OR_COLOURED["PNG"]
    else:
        return False
    return not any(mark in data for mark in marks)


def _filled(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _decode(data: bytes, name: str) -> Picture:
    def admit(width: int, height: int) -> None:
        if width * height > MAX_PIXELS:
            expected = f"expected at most {MAX_PIXELS:,} pixels"
            raise ImageError("too_large", f"{expected}, received {width:,} x {height:,}.")

    try:
        return decode(data, admit=admit)
    except ImageError as error:
        raise Refusal("INVALID_ARGUMENT", f"{name}: {error.message}", hint=error.hint) from error


class PictureSignature(Signature):
    """`recover_picture`: one whole picture with any number of faces, on top of a model's `serving_default`.

    Inputs: `picture_bytes`, a file of any kind that `images.read` reads, of `MAX_PIXELS` at most; and where
    wanted `options`, a JSON object of fields of `recovery.recoverer.Options`, such as `{"paste": true}`;
    `faces` is `auto` unless given.

    Outputs, of N faces from the left to the right: `photo_bytes` [N], PNG files, empty where `reason` [N]
    says why; `box` float32 [N, 4], x, y, width, height in pixels of the upright picture; `place` float32
    [N, 4], x and y of the middle, side and angle of the frame that was recovered (`geometry.Place`), with a
    side of 0 where that is the picture as a whole; `score` float32 [N], 0 where no detector was asked;
    `found_by` [N]; `pasted_bytes`, a file of the whole picture, empty where it was not asked for or no face
    has a place; `notes` [M].

    Args:
        portraits: the model's `serving_default`.
        model: its name and version, for the text in every picture that it is generated.
        fingerprint: of the model.
        told: the model's `recover_attributes`, if it has one: then `options` may hold `attributes`.
    """

    is_single = True

    def __init__(
        self, portraits: Signature, model: str, fingerprint: str, told: Signature | None = None
    ) -> None:
        super().__init__(PICTURE[0], definition(), None, optional=(PICTURE[2],))
        self._portraits, self._model, self._fingerprint = portraits, model, fingerprint
        self._told = told
        self._lock = threading.Lock()
        self._recoverer: Any = None

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """See `Signature.run`."""
        data, options = (_one(name, inputs.get(name)) for name in PICTURE[1:])
        picture = _decode(data, PICTURE[1])
        try:
            return self._recover(picture, data, options)
        except (ImageError, ConfigError, TypeError) as error:
            words, hint = getattr(error, "message", str(error)), getattr(error, "hint", "")
            raise Refusal("INVALID_ARGUMENT", words, hint=hint) from error
        except Exception as error:  # whatever it is, the caller gets an answer and the server goes on
            raise refusal(error) from error

    def _recover(self, picture: Picture, data: bytes, options: bytes) -> Arrays:
        from ifrp_tf.recovery.manifest import provenance

        asked = _options(options)
        recovered = self._loaded().recover_faces(picture.pixels, asked)
        text, scene = provenance(self._model, self._fingerprint, asked.attributes), recovered.scene
        photos = dict(
            zip(scene.chosen, (encode_png(face, text) for face in recovered.recovered), strict=True)
        )
        entries, pasted = scene.entries, recovered.pasted
        places = [_numbers(face.place) for face in scene.faces]
        has_place = pasted is not None and any(place is not None for place in scene.places)
        shown = encode_like(pasted, data, text)[0] if has_place else b""
        return {
            "photo_bytes": _filled([photos.get(index, b"") for index in range(len(entries))]),
            "place": np.array(places, np.float32).reshape(-1, 4),
            "box": np.array([entry["box"] for entry in entries], np.float32).reshape(-1, 4),
            "score": np.array([entry["score"] or 0.0 for entry in entries], np.float32),
            "found_by": _filled([entry["found_by"].encode() for entry in entries]),
            "reason": _filled([entry.get("reason", "").encode() for entry in entries]),
            "pasted_bytes": np.array(shown, object),
            "notes": _filled([note.encode() for note in (*picture.notes, *recovered.notes)]),
        }

    def _loaded(self) -> Any:
        from ifrp_tf.recovery.recoverer import Recoverer  # late: most servers see portraits alone

        def network(portraits: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
            if self._told is not None and attributes is not None:
                return self._told.run({TOLD[1]: portraits, TOLD[2]: attributes})[TOLD[3]]
            return self._portraits.run({PIXELS[1]: portraits})[PIXELS[2]]

        with self._lock:
            if self._recoverer is None:
                side = side_of(self._portraits)
                self._recoverer = Recoverer(
                    network,
                    side=side,
                    name=self._model,
                    fingerprint=self._fingerprint,
                    attributes=NAMES if self._told is not None else (),
                )
            return self._recoverer


def _numbers(place: Place | None) -> tuple[float, float, float, float]:
    return (0.0, 0.0, 0.0, 0.0) if place is None else (place.x, place.y, place.side, place.angle)


def side_of(portraits: Signature | None) -> int:
    """The side of a model's portraits, pixels; 0 where it is no model of this package.

    Args:
        portraits: its `serving_default`, if it has one.
    """
    spec = portraits.inputs.get(PIXELS[1]) if portraits is not None else None
    if spec is None or spec.dtype != np.uint8 or not spec.shape or len(spec.shape) != 4:
        return 0
    return int(spec.shape[1] or 0)


def definition() -> Any:
    """What `recover_picture` takes and gives, as models say it of their signatures."""
    made = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    words: tuple[tf.DType, list[int | None] | None] = (tf.string, [None])
    frames: tuple[tf.DType, list[int | None] | None] = (tf.float32, [None, 4])
    shapes: dict[str, tuple[tf.DType, list[int | None] | None]] = {
        "photo_bytes": words, "place": frames, "box": frames, "score": (tf.float32, [None]),
        "found_by": words, "reason": words, "pasted_bytes": (tf.string, []), "notes": words,
    }  # fmt: skip
    for tensors, specs in (
        (made.inputs, dict.fromkeys(PICTURE[1:], (tf.string, None))),
        (made.outputs, shapes),
    ):
        for name, (dtype, shape) in specs.items():
            tensors[name].name, tensors[name].dtype = f"{name}:0", dtype.as_datatype_enum
            tensors[name].tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return made


def _one(name: str, given: np.ndarray | None) -> bytes:
    if given is None:
        return b""
    if given.size != 1:
        hint = "Send each picture in a request of its own."
        raise Refusal("INVALID_ARGUMENT", f"{name}: expected one. Received: {given.size}.", hint=hint)
    value = given.reshape(-1)[0]
    return value if isinstance(value, bytes) else str(value).encode()


def _options(text: bytes) -> Any:
    from ifrp_tf.recovery.recoverer import Options

    known = {field.name for field in dataclasses.fields(Options)} - set(_NOT_HERE)
    try:
        given = json.loads(text or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"options: expected a JSON object. Received: {str(error)[:200]}.") from error
    if not isinstance(given, dict) or not set(given) <= known:
        received = sorted(set(given) - known)[:8] if isinstance(given, dict) else type(given).__name__
        raise ConfigError(f"options: expected a JSON object of {sorted(known)}. Received: {received}.")
    boxes = given.pop("boxes", [])
    try:
        placed = tuple(tuple(float(value) for value in box) for box in boxes)
        assert len(placed) <= MAX_BOXES
        assert all(len(box) == 4 and all(abs(value) < 1e6 for value in box) for box in placed)
    except (TypeError, ValueError, AssertionError, OverflowError) as error:
        words = f"options: expected at most {MAX_BOXES} boxes [x, y, width, height] in pixels."
        raise ConfigError(f"{words} Received: {str(boxes)[:100]}.") from error
    return Options(**{"faces": "auto", "boxes": placed, **given})


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
