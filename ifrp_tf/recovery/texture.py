"""Photographic detail for soft faces, and what is under damage: texture inference with a database of faces.

`Textures.refine` gives a soft face, such as an answer of the SRN, the detail of photographs;
`Textures.complete` fills what a mask hides. Both invent: what they add is plausible, not true
(`systems/texture_inference`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ifrp_tf.core import files
from ifrp_tf.core.errors import DataError, ImageError
from ifrp_tf.core.presets import preset
from ifrp_tf.data.photos import read as read_photo
from ifrp_tf.nn.features import networks
from ifrp_tf.pictures import framing, images
from ifrp_tf.pictures.decoding import describe_array
from ifrp_tf.pictures.membrane import Region
from ifrp_tf.pictures.sharpness import band_powers
from ifrp_tf.systems.texture_inference import fit, gram
from ifrp_tf.systems.texture_inference.system import LAYERS, TextureInference
from ifrp_tf.training import solve

SIDE = 128
SIGMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
"""Blurs that the database is tried with, pixels: the one whose sharpness is the picture's is taken."""

FARTHEST = 0.35
"""Distance of dlib's descriptors that a refined face may have to its start; same persons are at 0.45."""

_AROUND = 4
"""Pixels around what is hidden whose features see it."""

COMPONENTS, SMALL = 60, 64
"""Principal components of the faces of the database, at so many pixels a side."""


@dataclasses.dataclass(frozen=True)
class Texture:
    """An answer.

    Attributes:
        picture: uint8 [128, 128, 3].
        report: plain values: seconds, iterations, the loss before and after, the fit, sharpness, identity.
        others: trivial answers to the same picture by name, uint8 [128, 128, 3] each.
    """

    picture: np.ndarray
    report: Mapping[str, Any]
    others: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class Textures:
    """A database of faces and the search for textures like theirs. Not for several threads at once.

    Args:
        faces: folder of sharp, aligned photographs of faces.
        weights: folder of VGG-19's and dlib's weights.
        iterations: of L-BFGS.
        count: faces of the database, at most, spread over the folder.
        cache: folder for the Gram matrices of the database; None: they are computed each time.
        soften: makes faces of the database, uint8 [N, 128, 128, 3], as soft as the pictures to refine are,
            such as the model that made these; by default faces are blurred.

    Raises:
        DataError: there are no faces, or weights are missing.

    Example:
        >>> Textures("data/faces/webmorph").refine(answer).picture  # doctest: +SKIP
    """

    def __init__(
        self,
        faces: str | Path,
        weights: str | Path = "data/weights",
        *,
        iterations: int = 80,
        count: int = 160,
        cache: str | Path | None = None,
        soften: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self._config = preset("texture_inference").override([f"model.iterations={iterations}"])
        self._system = TextureInference(self._config)
        self._system.load_frozen(str(weights))
        self._dlib = networks.dlib_resnet(weights)
        paths = files.list_pictures(faces)
        paths = [paths[k] for k in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]
        self.faces = _read_all(paths)
        self._key = files.fingerprint(paths, start=f"{self._config.to_dict()} 1")
        self._cache = Path(cache) if cache else None
        self._slope = solve.value_and_slope(self._system.objective)
        self._soften = soften
        self._known: dict[float | None, dict[str, np.ndarray]] = {}

    def refine(self, picture: np.ndarray, *, seconds: float = float("inf")) -> Texture:
        """Gives a soft face the detail of photographs, as far as it stays the same person.

        Args:
            picture: uint8 [128, 128, 3], aligned.
            seconds: the search ends after so many.

        Raises:
            ImageError: the picture is not of that shape.
        """
        _check(picture)
        begun = time.monotonic()
        everything = np.ones((SIDE, SIDE), np.float32)
        sharp = self._grams(0.0)
        sigma = None if self._soften else self._blur_of(picture)
        soft = self._grams(sigma)
        start = images.to_model_range(picture[None])
        chosen, fitted = self._explain(soft, self._system.grams(start, everything))
        targets = self._towards(start, chosen, sharp, everything, everything, detail=True)
        answer, losses = self._search(start, targets, seconds)
        kept, step, distance = self._same_person(picture, images.to_uint8(answer)[0])
        powers = band_powers(np.stack([picture, kept]))
        report = {
            "blur": sigma,
            **fitted,
            **_course(losses, begun),
            "step": step,
            "dlib_distance": round(distance, 4),
            "power_before_and_after": [[float(f"{value:.4g}") for value in row] for row in powers],
        }
        return Texture(kept, report)

    @property
    def settings(self) -> str:
        """What answers depend on, as text: equal where they are."""
        return f"{self._key[:16]}{' softened' if self._soften else ''}"

    def explain(self, picture: np.ndarray) -> Mapping[str, Any]:
        """How well a combination of the faces explains the textures of a sharp photograph.

        Args:
            picture: uint8 [128, 128, 3], aligned.

        Returns:
            `fit_error`, `nearest_error`, `uniform_error` and `effective_faces`.
        """
        _check(picture)
        own = self._system.grams(images.to_model_range(picture[None]), np.ones((SIDE, SIDE), np.float32))
        return self._explain(self._grams(0.0), own)[1]

    def refined(self, network: Callable[[np.ndarray], np.ndarray]) -> Refined:
        """A network whose answers are refined."""
        return Refined(network, self)

    def complete(self, picture: np.ndarray, hidden: np.ndarray, *, seconds: float = float("inf")) -> Texture:
        """Fills what a mask hides; every visible pixel stays as it is.

        Args:
            picture: uint8 [128, 128, 3], aligned.
            hidden: bool [128, 128], True where the picture is damaged or covered.
            seconds: the search ends after so many.

        Raises:
            ImageError: picture or mask do not fit, or nothing is visible or hidden.
        """
        _check(picture)
        if hidden.shape != (SIDE, SIDE):
            raise ImageError("shape", f"Expected a mask of {SIDE} x {SIDE}. Received: {hidden.shape}.")
        if not hidden.any() or hidden.mean() > 0.9:
            share = f"{hidden.mean():.0%}"
            raise ImageError("mask", f"Expected a mask that hides a part, at most 90 %. Received: {share}.")
        begun = time.monotonic()
        others = self._fillings(picture, hidden)
        best = others["mirror" if "mirror" in others else "principal_components"]
        start = images.to_model_range(best[None])
        region = ndimage.binary_dilation(hidden, iterations=_AROUND).astype(np.float32)
        visible = 1.0 - region
        database = self._system.grams(images.to_model_range(self.faces), visible)
        chosen, fitted = self._explain(database, self._system.grams(start, visible))
        complete = self._system.grams(images.to_model_range(self.faces), region)
        targets = self._towards(start, chosen, complete, hidden.astype(np.float32), region)
        answer, losses = self._search(start, targets, seconds)
        filled = np.where(hidden[..., None], images.to_uint8(answer)[0], picture)
        start_name = "mirror" if "mirror" in others else "principal_components"
        return Texture(filled, {"start": start_name, **fitted, **_course(losses, begun)}, others)

    def _grams(self, sigma: float | None) -> dict[str, np.ndarray]:
        """Of the database, blurred or (None) softened: kept in memory, the sharp ones on disk too."""
        if sigma in self._known:
            return self._known[sigma]
        path = self._cache / f"textures-{self._key[:16]}.npz" if self._cache and sigma == 0 else None
        if path is not None and path.is_file():
            with np.load(path) as archive:
                found = {layer: archive[layer].astype(np.float32) for layer in LAYERS}
        else:
            everything = np.ones((SIDE, SIDE), np.float32)
            soften = self._soften if sigma is None else None
            faces = soften(self.faces) if soften else _blurred(self.faces, sigma or 0.0)
            found = self._system.grams(images.to_model_range(faces), everything)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                with files.atomic(path) as temporary, open(temporary, "wb") as file:
                    np.savez(file, **found)  # type: ignore[arg-type]
        self._known[sigma] = found
        return found

    def _blur_of(self, picture: np.ndarray) -> float:
        """The blur whose database has the sharpness of the picture: nearest in log power over the bands."""
        own = np.log(band_powers(picture[None])[0] + 1.0)
        means = [np.log(band_powers(_blurred(self.faces, s)).mean(axis=0) + 1.0) for s in SIGMAS]
        return SIGMAS[int(np.argmin([np.abs(own - mean).sum() for mean in means]))]

    def _explain(
        self, database: Mapping[str, np.ndarray], observed: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """The weights of the faces, and how well they explain what is observed."""
        scaled = []
        for grams in (database, observed):
            parts = {
                layer: grams[layer] / gram.norms(database[layer])[None, :, None, None] for layer in LAYERS
            }
            scaled.append(gram.flattened(parts, LAYERS))
        rows, seen = scaled[0], scaled[1][0]
        chosen = fit.weights(rows, seen)
        nearest = np.eye(len(rows))[np.argmin(np.square(rows - seen).sum(axis=1))]
        report = {
            "fit_error": round(fit.error(rows, chosen, seen), 4),
            "nearest_error": round(fit.error(rows, nearest, seen), 4),
            "uniform_error": round(fit.error(rows, np.full(len(rows), 1 / len(rows)), seen), 4),
            "effective_faces": round(float(1 / np.square(chosen).sum()), 1),
        }
        return chosen, report

    def _towards(
        self,
        start: np.ndarray,
        chosen: np.ndarray,
        complete: Mapping[str, np.ndarray],
        free: np.ndarray,
        region: np.ndarray,
        *,
        detail: bool = False,
    ) -> dict[str, Any]:
        """What the search is to find: the chosen combination of complete textures."""
        weights = chosen.astype(np.float32)
        wanted = {layer: np.tensordot(weights, complete[layer], axes=1) for layer in LAYERS}
        scales = {layer: gram.norms(complete[layer]) for layer in LAYERS}
        return self._system.towards(start, wanted, scales, free, region, detail=detail)

    def _search(
        self, start: np.ndarray, targets: dict[str, Any], seconds: float
    ) -> tuple[np.ndarray, list[float]]:
        iterations = self._config.model.iterations
        found, losses = solve.minimise(self._slope, start, targets, iterations=iterations, seconds=seconds)
        return np.asarray(TextureInference.composed(found, targets)), losses

    def _same_person(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, float, float]:
        """The refined face, blended back towards the start until it is near enough to it."""
        for step in (1.0, 0.75, 0.5, 0.25):
            mixed = np.round(before + step * (after.astype(np.float64) - before)).astype(np.uint8)
            pair = images.to_model_range(np.stack([before, mixed]))
            own, other = np.asarray(self._dlib(pair, training=False))
            distance = float(np.linalg.norm(own - other))
            if distance <= FARTHEST:
                return mixed, step, distance
        return before, 0.0, 0.0

    def _fillings(self, picture: np.ndarray, hidden: np.ndarray) -> dict[str, np.ndarray]:
        """The answers that need no texture: mirror (where it is visible), components, nearest face, mean."""
        region, target = Region(hidden), picture.astype(np.float64)
        found = {"mean_face": self.faces.mean(axis=0)}
        found["principal_components"] = self._components(picture, hidden)
        visible = ~hidden
        distances = np.square(self.faces[:, visible].astype(np.float32) - picture[visible]).mean(axis=(1, 2))
        found["nearest_face"] = self.faces[int(np.argmin(distances))]
        if not (hidden & hidden[:, ::-1]).any():
            found["mirror"] = picture[:, ::-1]
        return {
            name: np.clip(np.round(region.composite(target, source.astype(np.float64))), 0, 255).astype(
                np.uint8
            )
            for name, source in found.items()
        }

    def _components(self, picture: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Principal components of the database fitted to the visible pixels, with a ridge."""
        small = np.stack([images.resize(face, SMALL) for face in self.faces]).reshape(len(self.faces), -1)
        mean = small.mean(axis=0)
        _, scales, axes = np.linalg.svd(small - mean, full_matrices=False)
        count = min(COMPONENTS, len(self.faces) - 1)
        axes, variances = axes[:count], np.square(scales[:count]) / len(self.faces)
        reduced = hidden.reshape(SMALL, 2, SMALL, 2).any(axis=(1, 3))
        seen = np.repeat(~reduced.ravel(), 3)
        own = images.resize(picture, SMALL).reshape(-1).astype(np.float64)
        b = axes[:, seen]
        noise = 10.0**2
        c = np.linalg.solve(b @ b.T + noise * np.diag(1 / variances), b @ (own[seen] - mean[seen]))
        estimate = np.clip(np.round(mean + c @ axes), 0, 255).astype(np.uint8).reshape(SMALL, SMALL, 3)
        return images.resize(estimate, SIDE)


class Refined:
    """A network whose answers are refined, each once, and what became of each.

    Args:
        network: uint8 [N, 128, 128, 3] to the same.
        textures: what refines.
    """

    def __init__(self, network: Callable[[np.ndarray], np.ndarray], textures: Textures) -> None:
        self._network, self._textures = network, textures
        self._done: dict[bytes, Texture] = {}  # batches are filled up with copies of their last picture
        self._reports: dict[bytes, Mapping[str, Any]] = {}

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        """Refined answers, uint8 [N, 128, 128, 3]."""
        return np.stack([self._refine(answer) for answer in self._network(portraits)])

    def note(self, answer: np.ndarray) -> str:
        """What a report says of a refined answer."""
        report = self._reports[answer.tobytes()]
        if report["step"] == 1:
            return "the detail is invented (texture inference)"
        return f"the detail is invented; {report['step']:.0%} of it were taken, for the person's sake"

    def _refine(self, answer: np.ndarray) -> np.ndarray:
        key = answer.tobytes()
        if key not in self._done:
            self._done[key] = self._textures.refine(answer)
        done = self._done[key]
        self._reports[done.picture.tobytes()] = done.report
        return done.picture


def squared(pixels: np.ndarray) -> np.ndarray:
    """A picture of any size in the frame of the networks: uint8 [128, 128, 3]."""
    return framing.letterbox(pixels, SIDE)


def mask_of(mask: str | Path, picture: Path, source: str | Path) -> Path:
    """Where the mask of a picture is.

    Args:
        mask: a picture, or a folder that mirrors the tree of the pictures: `<stem>.png` for each.
        picture: path of the picture.
        source: the folder in which pictures are looked for, or a file or pattern.
    """
    if not Path(mask).is_dir():
        return Path(mask)
    inner = picture.relative_to(source) if Path(source).is_dir() else Path(picture.name)
    return Path(mask) / inner.with_suffix(".png")


def hidden_by(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """What a mask hides of a picture, in the frame of the networks.

    Args:
        path: of the mask, white where the picture is hidden.
        shape: height and width of the picture, pixels; the mask has the same.

    Returns:
        Bool [128, 128].

    Raises:
        ImageError: there is no such mask, or it has another size.
    """
    if not path.is_file():
        raise ImageError("no_mask", f"Expected the mask {str(path)!r}. Received: no such file.")
    levels = images.read(path).pixels
    if levels.shape[:2] != tuple(shape):
        expected, received = (f"{width} x {height}" for height, width in (shape, levels.shape[:2]))
        raise ImageError(
            "mask_size", f"Expected a mask of {expected} pixels, as the picture has. Received: {received}."
        )
    return framing.letterbox(levels, SIDE, fill=(0, 0, 0)).mean(axis=2) > 127.5


def _read_all(paths: list[Path]) -> np.ndarray:
    faces = []
    for path in paths:
        try:
            faces.append(read_photo(path, SIDE))
        except ImageError:  # one bad file is no reason to do without the others
            continue
    if len(faces) < 2:
        raise DataError(f"Expected at least 2 photographs of faces. Received: {len(faces)}.")
    return np.stack(faces)


def _check(picture: np.ndarray) -> None:
    if not (
        isinstance(picture, np.ndarray) and picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
    ):
        raise ImageError("shape", f"Expected uint8 [{SIDE}, {SIDE}, 3]. Received: {describe_array(picture)}.")


def _blurred(faces: np.ndarray, sigma: float) -> np.ndarray:
    if not sigma:
        return faces
    soft = ndimage.gaussian_filter(faces.astype(np.float32), (0, sigma, sigma, 0), mode="reflect")
    return np.round(soft).astype(np.uint8)


def _course(losses: list[float], begun: float) -> dict[str, Any]:
    return {
        "iterations": len(losses) - 1,
        "loss_before": round(losses[0], 4),
        "loss_after": round(losses[-1], 4),
        "seconds": round(time.monotonic() - begun, 2),
    }
