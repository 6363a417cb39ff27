"""What is linear, in closed form: a projection onto what tells persons apart, and the best linear decoder.

The paper compares its decoder with a linear one. Here the linear one is the start: it takes seconds, and what
is trained adds to it what is not linear.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ifrp_tf.core.errors import DataError
from ifrp_tf.data.normalised import KINDS, Faces
from ifrp_tf.pictures import images

SMALL = 64
"""Side of the linear textures, pixels: what is finer cannot be told linearly."""

FLOOR = 1e-3
"""Least variance between persons, of features whose variance is 1."""

RIDGE = 0.1
"""Added to the variance of the features, which is 1: best of .03 and .1 on 350 faces that were left out."""


@dataclasses.dataclass(frozen=True, eq=False)
class Linear:
    """A decoder of standardised features x.

    Attributes:
        shape: float32 [512, 136]; landmarks are `x shape + shape_bias`.
        shape_bias: float32 [136].
        inner: float32 [512, rank]; textures in [-1, 1] are `x inner outer + texture_bias`.
        outer: float32 [rank, SMALL * SMALL * 3].
        texture_bias: float32 [SMALL * SMALL * 3].
    """

    shape: np.ndarray
    shape_bias: np.ndarray
    inner: np.ndarray
    outer: np.ndarray
    texture_bias: np.ndarray


def person_map(faces: Faces, standard: np.ndarray, within: float) -> np.ndarray:
    """A map of features to what they tell of the person: it takes out what changes from picture to picture.

    The posterior mean of a person's own features, given those of one picture, where both the persons and a
    person's pictures are normally distributed (probabilistic linear discriminant analysis, Ioffe 2006). A
    decoder alone learns it badly: hardly any person has many pictures.

    Args:
        faces: some of them with several pictures of the person, morphs aside.
        standard: float [M, 512], the features of their pictures, standardised.
        within: weight of the variance within persons; 1: as measured, 0: nothing is taken out.

    Returns:
        Float32 [512, 512], for features `x @ map`.

    Raises:
        DataError: no person has several pictures.
    """
    kinds = faces.kinds[faces.owners]
    real = kinds != KINDS.index("morph")
    x, owners = standard[real].astype(np.float64), faces.owners[real]
    _, owners, counts = np.unique(owners, return_inverse=True, return_counts=True)
    several = counts[owners] > 1
    if not several.any():
        raise DataError("Expected persons with several pictures for model.within. Received: none.")
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, owners, x / counts[owners][:, None])
    rest = (x - means[owners])[several]
    inner = rest.T @ rest / (several.sum() - (counts > 1).sum())
    values, vectors = np.linalg.eigh(np.cov(x.T) - inner)
    between = (vectors * np.maximum(values, FLOOR)) @ vectors.T
    found: np.ndarray = np.linalg.solve(between + within * inner + FLOOR * np.eye(len(inner)), between)
    return found.astype(np.float32)


def fit(faces: Faces, standard: np.ndarray, weights: np.ndarray, rank: int) -> Linear:
    """The decoder of the least weighted squared error, with a ridge.

    Args:
        faces: N of them, with M pictures.
        standard: float [M, 512], their features, standardised or mapped.
        weights: float [M], of the pictures, at least 0.
        rank: of the textures' map (reduced-rank regression).
    """
    share = weights / weights.sum()
    x = standard.astype(np.float64)
    middle = share @ x
    x = x - middle
    cross = np.zeros((x.shape[1], len(faces)))  # sums over the pictures of each face
    np.add.at(cross.T, faces.owners, share[:, None] * x)
    count = np.bincount(faces.owners, share, minlength=len(faces))
    gram = (x * share[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
    lower = np.linalg.cholesky(gram)
    points = faces.landmarks.reshape(len(faces), -1)
    shape_mean = count @ points
    shape = np.linalg.solve(gram, cross @ (points - shape_mean))
    small = np.stack([images.resize(texture, SMALL) for texture in faces.textures]).reshape(len(faces), -1)
    texture_mean = count.astype(np.float32) @ small.astype(np.float32)
    products = np.zeros((x.shape[1], small.shape[1]))
    for start in range(0, len(small), 512):  # bounds memory
        part = slice(start, start + 512)
        products += cross[:, part].astype(np.float32) @ (small[part] - texture_mean)
    whitened = np.linalg.solve(lower, products)
    _, vectors = np.linalg.eigh(whitened @ whitened.T)
    first = vectors[:, ::-1][:, :rank]
    inner = np.linalg.solve(lower.T, first)
    outer = first.T @ whitened / 127.5
    return Linear(
        *(
            part.astype(np.float32)
            for part in (
                shape,
                shape_mean - middle @ shape,
                inner,
                outer,
                texture_mean / 127.5 - 1 - middle @ inner @ outer,
            )
        )
    )
