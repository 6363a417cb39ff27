"""Shared by the tests of the evaluation: drawn faces as a protocol, a descriptor without weights, folders."""

import hashlib

import numpy as np
from PIL import Image

from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation import retrieval
from ifrp_tf.evaluation.measure import Candidate
from ifrp_tf.evaluation.pairs import Pictures, Protocol
from ifrp_tf.evaluation.store import PairRow, PhotoRow, Scores


class PixelDescriptor:
    """A picture of 8 x 8 means as a vector: knows two different drawn faces apart."""

    name, fingerprint = "pixels", "8"

    def embed(self, pictures):
        count, side = pictures.shape[:2]
        blocks = pictures.reshape(count, 8, side // 8, 8, side // 8, 3)
        return (blocks.mean(axis=(2, 4)) / 255).reshape(count, -1).astype(np.float32)

    def distances(self, queries, gallery):
        return retrieval.pairwise(queries, gallery, "euclidean")


def noisy(pixels, amount, seed):
    noise = np.random.default_rng(seed).integers(-amount, amount + 1, pixels.shape)
    return np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)


class Drawn(Protocol):
    """Drawn faces; a style is a function of (pixels [S, S, 3], name)."""

    name = "folders"

    def __init__(self, count=6, side=32, styles=None, seed=0):
        faces = toy_faces.draw(count, side=side, seed=seed)
        self.side, self.photos = side, tuple(f"face/{k}" for k in range(count))
        self.pixels = dict(zip(self.photos, faces.pixels, strict=True))
        self.makers = styles or {"noisy": noise_of_name(60), "dark": lambda pixels, name: pixels // 2}
        self.styles = dict.fromkeys(self.makers, self.photos)
        self.settings = {"count": count, "side": side, "seed": seed}

    def read_photos(self, names):
        pixels = [self.pixels[name] for name in names] or np.zeros((0, self.side, self.side, 3), np.uint8)
        return Pictures(tuple(names), np.stack(pixels) if len(pixels) else pixels)

    def read_portraits(self, style, names):
        made = [self.makers[style](self.pixels[name], name) for name in names]
        angles = tuple(float(30 - 10 * self.photos.index(name)) for name in names)
        return Pictures(tuple(names), np.stack(made), angles=angles)


def noise_of_name(amount):
    def make(pixels, name):
        return noisy(pixels, amount, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))

    return make


def candidate(recover=lambda portraits: portraits, **options):
    """The portrait as it is for an answer, unless told otherwise."""
    options = {"descriptor": PixelDescriptor(), **options}
    return Candidate(recover=recover, name="toy", fingerprint="f" * 64, **options)


def write_folders(root, count=5, side=32, styles=("ink", "oil")):
    """`portraits/<style>/<name>` and `photos/<name>`, PNG and JPEG mixed; returns both folders."""
    faces = toy_faces.draw(count, side=side, seed=3).pixels
    for k, face in enumerate(faces):
        name = f"person {k}"
        save(root / "photos" / f"{name}{'.png' if k % 2 else '.jpg'}", face)
        for s, style in enumerate(styles):
            portrait = noisy(face, 40, 10 * k + s)
            save(root / "portraits" / style / f"{name}{'.jpeg' if (k + s) % 2 else '.PNG'}", portrait)
    return root / "portraits", root / "photos"


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95, subsampling=0)


SAME, MEAN = Scores(np.inf, 1.0, 1.0), Scores(13.0, 0.4, 0.6)


def vector(*values):
    return np.array(values, np.float32)


def photo(name, *values):
    return PhotoRow(name, SAME, MEAN, vector(*values), vector(*values))


def pair(style, name, psnr, answer, raw=9.0, angle=None):
    return PairRow(
        style, name, angle, Scores(psnr, 0.5, 0.7), Scores(10.0, 0.2, 0.5), vector(answer), vector(raw)
    )
