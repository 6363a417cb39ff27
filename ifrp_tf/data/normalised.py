"""Normalised faces on disk: textures and landmarks with the features of the pictures that they belong to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ifrp_tf.core import files
from ifrp_tf.core.archives import read_arrays
from ifrp_tf.core.errors import DataError
from ifrp_tf.data import landmarks, toy_faces
from ifrp_tf.pictures import images

KINDS = ("average", "studio", "single", "morph")
"""Of faces: the mean of several pictures of one person, studio photographs, frontal photographs, morphs."""

MANIFEST, FORMAT = "manifest.json", "normalised_faces 1"


@dataclasses.dataclass(frozen=True, eq=False)
class Faces:
    """Normalised faces, each with one or several pictures of the person.

    Attributes:
        names: where each comes from.
        kinds: int [N], indices of `KINDS`.
        textures: uint8 [N, 128, 128, 3], in the frame of the mean shape.
        landmarks: float32 [N, 68, 2], fractions of the side.
        embeddings: float32 [N, 128], of MobileFaceNet, mean over the pictures.
        features: float32 [M, 512], of the pictures, M at least N: each of them shows the face.
        owners: int [M], ascending: which face that is.
    """

    names: tuple[str, ...]
    kinds: np.ndarray
    textures: np.ndarray
    landmarks: np.ndarray
    embeddings: np.ndarray
    features: np.ndarray
    owners: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def mean_face(self) -> np.ndarray:
        """The mean texture, uint8 [128, 128, 3]: the constant answer to beat."""
        return np.round(self.textures.mean(axis=0, dtype=np.float64)).astype(np.uint8)

    @classmethod
    def joined(cls, parts: Sequence[Faces]) -> Faces:
        """Several sets as one."""
        starts = np.cumsum([0, *(len(part) for part in parts)])
        arrays = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in dataclasses.fields(cls)
            if field.name not in ("names", "owners")
        }
        owners = np.concatenate([part.owners + start for part, start in zip(parts, starts, strict=False)])
        return cls(names=tuple(name for part in parts for name in part.names), owners=owners, **arrays)

    @classmethod
    def read(cls, path: Path) -> Faces:
        """One shard, as `arrays` wrote it.

        Raises:
            DataError: it is missing or damaged.
        """
        found = read_arrays(path)
        try:
            return cls(
                names=tuple(map(str, found["names"])),
                kinds=found["kinds"].astype(np.int32),
                textures=found["textures"],
                landmarks=found["landmarks"].astype(np.float32),
                embeddings=found["embeddings"].astype(np.float32),
                features=found["features"].astype(np.float32),
                owners=found["owners"].astype(np.int32),
            )
        except KeyError as error:
            raise DataError(
                f"Expected a shard of normalised faces in {path}. Received: no {error}."
            ) from error

    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored: features and embeddings as float16."""
        half = {name: getattr(self, name).astype(np.float16) for name in ("features", "embeddings")}
        return {
            "names": np.array(self.names),
            "kinds": self.kinds.astype(np.uint8),
            "textures": self.textures,
            "landmarks": self.landmarks.astype(np.float32),
            "owners": self.owners.astype(np.int32),
            **half,
        }

    @classmethod
    def open(cls, folder: str | Path) -> Faces:
        """All shards of a folder in memory, after checking that it is whole.

        Args:
            folder: that `tools/prepare_normalised.py` made.

        Raises:
            DataError: it is none, or is not whole.
        """
        root = Path(folder)
        hint = "tools/prepare_normalised.py makes such a folder."
        try:
            manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise ValueError(f"the format {manifest['format']!r}")
            for entry in manifest["shards"]:
                if files.sha256(root / entry["file"]) != entry["sha256"]:
                    raise ValueError(f"{entry['file']}, which was changed")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"Expected shards of normalised faces in {root}. Received: {error}.", hint=hint
            ) from error
        return cls.joined([cls.read(root / entry["file"]) for entry in manifest["shards"]])


def drawn(count: int, seed: int) -> Faces:
    """Drawn faces in place of photographs: their features are random projections of their pixels.

    Args:
        count: how many.
        seed: same seed, same faces.
    """
    random = np.random.default_rng([seed, 17])
    textures = toy_faces.draw(count, side=128, seed=seed).pixels
    small = np.stack([images.resize(texture, 12) for texture in textures]).reshape(count, -1) / 127.5 - 1
    features = small @ random.normal(0, small.shape[1] ** -0.5, (small.shape[1], 512))
    moved = features[:, :136].reshape(count, 68, 2) * 0.01
    return Faces(
        names=tuple(f"toy/{k}" for k in range(count)),
        kinds=np.arange(count) % len(KINDS),
        textures=textures,
        landmarks=(landmarks.mean_shape() + moved).astype(np.float32),
        embeddings=features[:, :128].astype(np.float32),
        features=features.astype(np.float32),
        owners=np.arange(count),
    )
