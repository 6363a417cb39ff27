"""Whether a recovered face is still the same person: retrieval by a descriptor that training never saw.

FRR, the face retrieval ratio: a recovered face retrieves the photograph of its own subject from a gallery of
real faces within the top k. FCR, the face consistency ratio: a face recovered from one style retrieves the
same subject among the faces recovered from another style (method, section 7 "Evaluation" of the journal).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from scipy.spatial.distance import cdist

from ifrp_tf.core.config import nearest
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.pictures import images
from ifrp_tf.release.load import in_batches

TOP = (1, 5)
"""The k of FRR that are reported; FCR takes the last."""

BATCH = 32
_BLOCK = 256
_TIE = 1e-6
_ARCHIVES = {"dlib": "dlib_face_resnet.npz", "mobilefacenet": "mobilefacenet.npz"}

Metric = Literal["euclidean", "cosine"]


class Descriptor(Protocol):
    """What turns faces into vectors, and says how far apart two of them are."""

    @property
    def name(self) -> str:
        """For reports."""

    @property
    def fingerprint(self) -> str:
        """Of its weights: another one means other vectors."""

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Vectors float32 [N, D] of faces uint8 [N, 128, 128, 3] in the tight frame, RGB 0-255."""

    def distances(self, queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        """Distances float64 [N, M], at least 0, of vectors [N, D] and [M, D]."""


@dataclasses.dataclass(frozen=True)
class NetworkDescriptor:
    """A descriptor computed by a network.

    Attributes:
        name: for reports.
        network: float32 [n, side, side, 3] in [-1, 1] to vectors [n, D], n up to 32.
        metric: how vectors are compared.
        fingerprint: of the weights.
        side: of the pictures that the network takes, pixels; others are scaled to it.

    Example:
        >>> load("dlib", "data/weights").embed(photos).shape  # doctest: +SKIP
        (400, 128)
    """

    name: str
    network: Callable[[np.ndarray], np.ndarray]
    metric: Metric
    fingerprint: str = ""
    side: int = 128

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Vectors of faces, 32 at a time.

        Args:
            pictures: uint8 [N, S, S, 3], RGB 0-255, N at least 1.

        Returns:
            float32 [N, D].
        """

        def vectors(batch: np.ndarray) -> np.ndarray:
            sized = np.stack([images.resize(picture, self.side) for picture in batch])
            return np.asarray(self.network(images.to_model_range(sized)), np.float32)

        return in_batches(vectors, pictures, size=BATCH, fill=False)  # stored vectors were made so

    def distances(self, queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        """Distances of vectors: see `pairwise`."""
        return pairwise(queries, gallery, self.metric)


def load(name: str, weights: str | Path = "data/weights") -> NetworkDescriptor:
    """A descriptor by name.

    Args:
        name: `dlib` (Euclidean; independent of every loss), `mobilefacenet` or `facenet` (cosine; models
            trained to please it score too well).
        weights: folder with the archives of `features.py`; for `facenet`, see `facenet.locate`.

    Raises:
        ConfigError: if the name is unknown.
        DataError: if the weights are missing or damaged.
    """
    if name not in (names := [*_ARCHIVES, "facenet"]):
        raise ConfigError(f"Unknown descriptor {name!r}.", hint=nearest(name, names))
    from ifrp_tf.nn.features import facenet, networks
    from ifrp_tf.release import folder  # late: names are checked before Keras is loaded

    metric: Metric = "euclidean" if name == "dlib" else "cosine"
    path = facenet.locate(weights) if name == "facenet" else Path(weights) / _ARCHIVES[name]
    if name == "facenet":
        network = networks.facenet(path)
    else:
        network = networks.dlib_resnet(weights) if name == "dlib" else networks.mobilefacenet(weights)
    fingerprint = folder.sha256(path)
    return NetworkDescriptor(name, lambda batch: network(batch, training=False), metric, fingerprint)


def pairwise(queries: np.ndarray, gallery: np.ndarray, metric: Metric) -> np.ndarray:
    """Distances of every query to every gallery vector.

    Args:
        queries: [N, D].
        gallery: [M, D].
        metric: `euclidean`, or `cosine`: 1 minus the cosine, in [0, 2].

    Returns:
        float64 [N, M]: in this precision equal vectors are at nearly no distance.
    """
    a, b = queries.astype(np.float64), gallery.astype(np.float64)
    found = cdist(a, b, metric)
    if metric == "cosine":
        found = np.maximum(found, 0.0)
        found[~a.any(axis=1)] = 1.0  # a vector of zeros has no direction
        found[:, ~b.any(axis=1)] = 1.0
    return found


@dataclasses.dataclass(frozen=True)
class Placements:
    """Where each query's own picture is among the gallery, nearest first.

    Attributes:
        closer: int64 [N], gallery pictures that are nearer than its own.
        tied: int64 [N], gallery pictures as near as its own, itself included: at least 1.
        distance: float64 [N], to its own.
    """

    closer: np.ndarray
    tied: np.ndarray
    distance: np.ndarray

    def success(self, k: int) -> np.ndarray:
        """Probability that its own is among the first k, ties being broken at random: float64 [N] in [0, 1].

        A constant answer is as near to one query's picture as to the next, so it scores what chance does.
        """
        return np.clip((k - self.closer) / self.tied, 0.0, 1.0)


def place(descriptor: Descriptor, queries: np.ndarray, gallery: np.ndarray, own: Sequence[int]) -> Placements:
    """Looks every query up in a gallery, by the distances of a descriptor.

    Args:
        queries: vectors [N, D] of recovered faces.
        gallery: vectors [M, D] of the faces to search.
        own: for each query the index in the gallery of its own subject.

    Raises:
        DataError: if the numbers of queries and own pictures differ, or an index is outside the gallery.
    """
    indices = np.asarray(own, dtype=np.int64)
    if indices.shape != (len(queries),) or (
        len(indices) and not 0 <= indices.min() <= indices.max() < len(gallery)
    ):
        raise DataError(
            f"Expected an index below {len(gallery)} for each of {len(queries)} queries. Received: {indices}."
        )
    closer, tied = np.zeros(len(queries), np.int64), np.ones(len(queries), np.int64)
    distance = np.zeros(len(queries))
    for start in range(0, len(queries), _BLOCK):  # bounds memory: the whole matrix is never held
        block = slice(start, start + _BLOCK)
        found = descriptor.distances(queries[block], gallery)
        mine = found[np.arange(len(found)), indices[block]]
        margin = _TIE * (1.0 + mine[:, None])
        closer[block] = (found < mine[:, None] - margin).sum(axis=1)
        tied[block] = (np.abs(found - mine[:, None]) <= margin).sum(axis=1)
        distance[block] = mine
    return Placements(closer, tied, distance)


@dataclasses.dataclass(frozen=True)
class Crossing:
    """Faces recovered from one style, looked up among those recovered from another.

    Attributes:
        style: of the queries.
        other: of the gallery.
        subjects: those found in both styles, in the order of the placements.
        placements: of each subject.
        gallery_size: faces in the other style.
    """

    style: str
    other: str
    subjects: tuple[str, ...]
    placements: Placements
    gallery_size: int


def cross(descriptor: Descriptor, vectors: Mapping[str, Mapping[str, np.ndarray]]) -> list[Crossing]:
    """Looks every style up in every other one: the ordered pairs of styles that FCR averages over.

    Args:
        vectors: style -> subject -> vector [D] of the face recovered.

    Returns:
        One crossing for each ordered pair of styles that have a subject in common.
    """
    crossings = []
    for style, other in itertools.permutations(vectors, 2):
        subjects = tuple(name for name in vectors[style] if name in vectors[other])
        if subjects:
            index = {name: k for k, name in enumerate(vectors[other])}
            queries = np.stack([vectors[style][name] for name in subjects])
            gallery = np.stack(list(vectors[other].values()))
            found = place(descriptor, queries, gallery, [index[name] for name in subjects])
            crossings.append(Crossing(style, other, subjects, found, len(gallery)))
    return crossings


def fcr(crossings: Sequence[Crossing], k: int = TOP[-1]) -> float | None:
    """Face consistency ratio: the mean over ordered pairs of styles of the share found within the top k.

    Args:
        crossings: of `cross`; without any the ratio is None.
        k: at least 1.
    """
    shares = [float(crossing.placements.success(k).mean()) for crossing in crossings]
    return float(np.mean(shares)) if shares else None


def frr(placements: Placements, k: int) -> float | None:
    """Face retrieval ratio: the share of queries whose own subject is within the top k.

    Args:
        placements: of `place`, in a gallery of photographs; without any the ratio is None.
        k: at least 1.
    """
    return float(placements.success(k).mean()) if len(placements.closer) else None
