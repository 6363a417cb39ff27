"""Makes what the decoder of normalised faces is trained on (Cole et al. 2017, sections 3.4 and 3.5).

Person averages, studio photographs and frontal photographs are brought into the frame of the mean shape and
evened out in light; morphs take the shape and the texture between two similar ones, each at a point of its
own, and what surrounds the face from a third, without a seam.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ifrp_tf.core import files
from ifrp_tf.core.archives import write_arrays
from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError, ImageError
from ifrp_tf.data import landmarks, photos, screening
from ifrp_tf.data.mesh import FaceMesh
from ifrp_tf.data.normalised import FORMAT, KINDS, MANIFEST, Faces
from ifrp_tf.pictures import images
from ifrp_tf.pictures.membrane import Soft

SHARD = 512
"""Faces of a shard."""

FEWEST = 3
"""Pictures of a person that are averaged, at least; they must count as two or more."""

_PROGRESS = "progress.json"
_SIDE = 128
_YAW, _PRESENCE = 15.0, 0.9  # of pictures that are averaged: degrees at most, at least
_TURNED, _OPEN = 10.0, 0.1  # yaw in degrees and opening of the mouth at which a picture counts a third
_LARGEST = 1.15  # gain of a channel, or its inverse, that evens out colours
_BROAD = 10.0  # pixels: what is broader and differs between left and right is taken for light
_SAMPLE = 384  # faces whose mean colour is the aim
_NEIGHBOURS = 200
_SHAPE = 10.0  # how much shapes count over textures in what is similar, each scaled to a median of 1
_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        faces: folder of photographs in the tight frame.
        labels: folder with `landmarks.npz`.
        studio: folders of frontal, neutral studio photographs in the tight frame, separated by commas.
        test: folder of photographs to keep apart from; empty: none.
        output: folder for the shards.
        weights: folder with MobileFaceNet's archive.
        singles: frontal photographs of further persons, at most.
        morphs: how many.
        validation: photographs whose persons are held out, as `data.validation_count` of other trainings.
        seed: of the morphs.
    """

    faces: str
    labels: str
    studio: str
    test: str
    output: str
    weights: str
    singles: int = 3000
    morphs: int = 4000
    validation: int = 500
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """Who is used.

    Attributes:
        persons: person -> pictures, to be averaged.
        singles: frontal photographs of other persons.
        studio: studio photographs.
        held: names of the photographs of persons who are held out.
        dropped: (name, reason).
    """

    persons: dict[str, list[str]]
    singles: list[str]
    studio: list[str]
    held: list[str]
    dropped: list[tuple[str, str]]


class Workshop:
    """The networks and operators that make faces: one for a whole run.

    Args:
        weights: folder with MobileFaceNet's archive; empty: random weights, for tests.
    """

    def __init__(self, weights: str) -> None:
        from ifrp_tf.nn.features.networks import mobilefacenet
        from ifrp_tf.nn.spline import Warp

        self._network = mobilefacenet(weights or None, outputs=("conv_6dw7_7", "embedding"))
        self.warp = Warp(landmarks.mean_shape(), _SIDE)
        self.soft = Soft(landmarks.face_mask(_SIDE))
        self._mesh: FaceMesh | None = None

    def mesh(self, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `FaceMesh`, which is made when it is first needed."""
        if self._mesh is None:
            self._mesh = FaceMesh()
        return self._mesh(face)

    def look(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features [N, 512] and embeddings [N, 128] of uint8 [N, 128, 128, 3], mean with the mirrored."""
        rows = []
        for start in range(0, len(pictures), _BATCH):
            part = pictures[start : start + _BATCH]
            missing = _BATCH - len(part)  # one shape: no retracing
            whole = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            both = [
                self._network.predict_on_batch(images.to_model_range(np.ascontiguousarray(turned)))
                for turned in (whole, whole[:, :, ::-1])
            ]
            rows.append(
                [
                    np.mean([one[name].reshape(_BATCH, -1) for one in both], axis=0)[: len(part)]
                    for name in ("conv_6dw7_7", "embedding")
                ]
            )
        features, embeddings = (np.concatenate(column) for column in zip(*rows, strict=True))
        return features, embeddings

    def textures(self, pictures: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Textures of pictures, float32 [N, 128, 128, 3], levels 0 to 255."""
        return np.asarray(self.warp.normalise(pictures.astype(np.float32), points))

    def rendered(self, textures: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Pictures uint8 [N, 128, 128, 3] of textures in levels 0 to 255."""
        parts = [
            np.asarray(self.warp.render(textures[k : k + _BATCH].astype(np.float32), points[k : k + _BATCH]))
            for k in range(0, len(textures), _BATCH)
        ]
        return levels(np.concatenate(parts))


def run(request: Request, *, say: Callable[[str], object] = logging.info) -> None:
    """Makes the shards and their manifest; a run that was interrupted goes on where it was.

    Args:
        request: what to make.
        say: gets a line a shard, and a summary.

    Raises:
        ConfigError: the output folder holds something else, or another process is at work in it.
        DataError: there are no photographs, landmarks or weights, or too few persons.
    """
    try:
        with files.locked(Path(request.output) / ".lock"):
            _run(request, say)
    except BlockingIOError as error:
        raise ConfigError(
            f"Expected a folder of its own as `output`. Received: {request.output}, in which another process "
            "is at work."
        ) from error


def _run(request: Request, say: Callable[[str], object]) -> None:
    output = Path(request.output)
    key = _key(request)
    known = _known(output, key)
    if known and known.get("format") == FORMAT:
        say(f"{output} is prepared already")
        return
    plan = Plan(**known["plan"]) if known else choose(request)
    progress: dict[str, Any] = known or {"key": key, "plan": dataclasses.asdict(plan), "done": {}}
    if not known:
        _save(output / _PROGRESS, progress)
        counts = f"{len(plan.persons)} persons to average, {len(plan.studio)} studio faces, "
        say(f"{counts}{len(plan.singles)} singles; {len(plan.held)} held out, {len(plan.dropped)} dropped")
    workshop = Workshop(request.weights)
    known_points = landmarks.load("train", request.labels)
    jobs = _jobs(plan)
    if "aim" not in progress:
        progress["aim"] = _aim(request, jobs, workshop, known_points).tolist()
        _save(output / _PROGRESS, progress)
    aim, shards = np.array(progress["aim"]), []

    def shard(name: str, make: Callable[[], Faces]) -> None:
        path = output / name
        if not (path.is_file() and files.sha256(path) == progress["done"].get(name)):
            made = make()
            write_arrays(path, made.arrays())
            progress["done"][name] = files.sha256(path)
            _save(output / _PROGRESS, progress)
            say(f"{name}: {len(made)} faces")
        shards.append({"file": name, "sha256": progress["done"][name]})

    for number, start in enumerate(range(0, len(jobs), SHARD)):
        part = jobs[start : start + SHARD]
        shard(
            f"faces-{number:05}.npz",
            lambda part=part: _faces(request, part, workshop, known_points, aim),  # type: ignore[misc]
        )
    pool = Faces.joined([Faces.read(output / entry["file"]) for entry in shards])
    if request.morphs:
        near = neighbours(pool)
        for number, start in enumerate(range(0, request.morphs, SHARD)):
            count = min(SHARD, request.morphs - start)
            random = np.random.default_rng([request.seed, number])
            shard(
                f"morphs-{number:05}.npz",
                lambda count=count, random=random: morphs(pool, near, count, random, workshop),  # type: ignore[misc]
            )
    images.write_png(output / "mean_face.png", pool.mean_face)
    kinds = np.bincount(pool.kinds, minlength=len(KINDS))
    manifest = {
        "format": FORMAT,
        "key": key,
        "request": dataclasses.asdict(request),
        "shards": shards,
        "counts": {**dict(zip(KINDS, map(int, kinds), strict=True)), "morph": request.morphs},
        "pictures": len(pool.owners) + request.morphs,
        "aim": progress["aim"],
        "held": plan.held,
        "dropped": plan.dropped,
    }
    _save(output / MANIFEST, manifest)  # the last: with it the folder is whole
    (output / _PROGRESS).unlink(missing_ok=True)
    say(f"{manifest['counts']}, {manifest['pictures']} pictures; {output}")


def held_out(names: Sequence[str], validation: int) -> set[str]:
    """Names of the photographs of persons who are never trained on.

    Those of the validation of every training (`photos.split`), and every tenth person with several pictures,
    by the hash of the name: how much a person's pictures differ can be measured on them only.

    Args:
        names: of all photographs, relative to their folder.
        validation: photographs to hold out in `photos.split`.
    """
    everything = photos.PhotoSet(np.empty((len(names), 0), np.uint8), tuple(names))
    training, _ = photos.split(everything, validation)
    kept = set(training.names)
    counts: dict[str, int] = {}
    for name in names:
        counts[photos.person_of(name)] = counts.get(photos.person_of(name), 0) + 1
    return {
        name
        for name in names
        if name not in kept
        or (counts[photos.person_of(name)] >= FEWEST and _digest(photos.person_of(name)) % 10 == 0)
    }


def choose(request: Request) -> Plan:
    """Decides about every photograph."""
    found = images.list_pictures(request.faces)
    known = landmarks.load("train", request.labels)
    every = [path.relative_to(request.faces).as_posix() for path in found]
    held = held_out(every, min(request.validation, len(every) // 2))
    quality = known.quality
    names = [name for name in every if name in quality and name not in held]
    persons: dict[str, list[str]] = {}
    for name in names:
        presence, yaw, _, _ = quality[name]
        if presence > _PRESENCE and abs(yaw) < _YAW:
            persons.setdefault(photos.person_of(name), []).append(name)
    persons = {
        person: own
        for person, own in persons.items()
        if len(own) >= FEWEST and _effective(weights_of(np.stack([quality[name] for name in own]))) >= 2
    }
    frontal = set(known.frontal())
    singles = [name for name in names if name in frontal and photos.person_of(name) not in persons]
    singles = sorted(singles, key=_digest)[: request.singles]
    wanted = {name for own in persons.values() for name in own} | set(singles)
    tested = images.list_pictures(request.test) if request.test else []
    kept, dropped = screening.choose(
        request.faces,
        [path for path, name in zip(found, every, strict=True) if name in wanted],
        request.test,
        tested,
        DataConfig(),
    )
    usable = set(kept)
    persons = {person: [name for name in own if name in usable] for person, own in persons.items()}
    persons = {person: own for person, own in persons.items() if len(own) >= FEWEST}
    studio = [
        str(path)
        for folder in filter(None, request.studio.split(","))
        for path in files.list_pictures(folder)
    ]
    plan = Plan(persons, [name for name in singles if name in usable], studio, sorted(held), dropped)
    if len(plan.persons) + len(plan.studio) + len(plan.singles) < 4:
        raise DataError(
            f"Expected persons with {FEWEST} pictures, frontal or studio photographs. "
            f"Received: {len(plan.persons)}, {len(plan.singles)} and {len(plan.studio)}.",
            hint=f"Are the names in {request.labels}/{landmarks.FILE} those below {request.faces}?",
        )
    return plan


def weights_of(quality: np.ndarray) -> np.ndarray:
    """How much pictures count in an average: frontal ones with a closed mouth the most.

    Args:
        quality: float [N, 4], of `landmarks.Landmarks`.

    Returns:
        Float [N], above 0, their sum 1.
    """
    weights = np.exp(-np.abs(quality[:, 1]) / _TURNED - quality[:, 2] / _OPEN).astype(np.float64)
    return weights / weights.sum()


def even(texture: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """A texture with light that comes from no side, its colour half-way to the usual one.

    What differs broadly between the left and the right half is taken for light and halved between them. The
    gain of each channel is the square root of what would give the mean colour `aim`, within 15 %.

    Args:
        texture: float [128, 128, 3], levels 0 to 255.
        aim: float [3], the mean colour of faces.

    Returns:
        Float [128, 128, 3].
    """
    broad = ndimage.gaussian_filter(texture, (_BROAD, _BROAD, 0), mode="nearest", truncate=2.5)
    both = texture - 0.5 * (broad - broad[:, ::-1])
    mean = np.maximum(both[inner_face()].mean(axis=0), 1.0)
    return both * np.clip(np.sqrt(aim / mean), 1 / _LARGEST, _LARGEST)


@functools.cache
def inner_face() -> np.ndarray:
    """The pixels within the landmarks of the mean shape: bool [128, 128]."""
    return landmarks.inside(landmarks.mean_shape(), _SIDE)


def neighbours(pool: Faces) -> np.ndarray:
    """The faces that are similar to each in shape and texture: int [N, k], the nearest first."""
    from scipy.spatial.distance import cdist

    small = np.stack([images.resize(texture, 16) for texture in pool.textures]).reshape(len(pool), -1)
    shapes = pool.landmarks.reshape(len(pool), -1)
    distance = np.zeros((len(pool), len(pool)), np.float32)
    for rows, weight in ((shapes, _SHAPE), (small, 1.0)):
        own = cdist(rows.astype(np.float32), rows.astype(np.float32)).astype(np.float32)
        distance += weight * own / max(float(np.median(own)), 1e-6)
    np.fill_diagonal(distance, np.inf)
    count = max(1, min(_NEIGHBOURS, len(pool) // 10))
    return np.argsort(distance, axis=1)[:, :count]


def morphs(
    pool: Faces, near: np.ndarray, count: int, random: np.random.Generator, workshop: Workshop
) -> Faces:
    """Faces between two similar ones, shape and texture each at a point of its own.

    Args:
        pool: faces to draw from.
        near: of `neighbours`.
        count: how many.
        random: draws the pairs, the points and the surroundings.
        workshop: composites, renders and looks at them.
    """
    first = random.integers(0, len(pool), count)
    second = near[first, random.integers(0, near.shape[1], count)]
    behind = near[first, random.integers(0, near.shape[1], count)]
    a, b = random.random((2, count, 1, 1)).astype(np.float32)
    points = pool.landmarks[first] * (1 - a) + pool.landmarks[second] * a
    textures = []
    for k in range(count):
        mixed = mix(pool.textures[first[k]], pool.textures[second[k]], float(b[k, 0, 0]))
        textures.append(workshop.soft.composite(pool.textures[behind[k]], mixed))
    made = levels(np.stack(textures))
    features, embeddings = workshop.look(workshop.rendered(made, points))
    return Faces(
        names=tuple(f"{pool.names[i]} {pool.names[j]}" for i, j in zip(first, second, strict=True)),
        kinds=np.full(count, KINDS.index("morph")),
        textures=made,
        landmarks=points,
        embeddings=embeddings,
        features=features,
        owners=np.arange(count),
    )


def mix(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """The texture between two, in levels: `a` where `share` is 0, `b` where it is 1."""
    return a * (1.0 - share) + b * np.float64(share)


def levels(values: np.ndarray) -> np.ndarray:
    """Floats as uint8, rounded and clipped."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class _Job:
    kind: str
    name: str
    pictures: list[str]


def _jobs(plan: Plan) -> list[_Job]:
    jobs = [_Job("average", person, own) for person, own in sorted(plan.persons.items())]
    jobs += [_Job("studio", name, [name]) for name in plan.studio]
    jobs += [_Job("single", name, [name]) for name in plan.singles]
    return sorted(jobs, key=lambda job: _digest(job.name))  # shards are alike


@dataclasses.dataclass(frozen=True, eq=False)
class _Raw:
    """Faces before their light is evened out; `owners` says which face each picture shows."""

    jobs: list[_Job]
    pictures: np.ndarray
    owners: np.ndarray
    points: np.ndarray
    textures: np.ndarray


def _raw(request: Request, jobs: Sequence[_Job], workshop: Workshop, known: landmarks.Landmarks) -> _Raw:
    usable: list[_Job] = []
    pictures, points, weights, owners = [], [], [], []
    for job in jobs:
        if job.kind == "studio":
            (picture,) = _pictures([Path(job.name)])
            found, quality = workshop.mesh(picture)
            if quality[0] < _PRESENCE:
                logging.warning("no face is seen in %s", job.name)
                continue
            pictures.append(picture)
            points.append(found[:, :2])
            weights.append(1.0)
        else:
            pictures += list(_pictures([Path(request.faces) / name for name in job.pictures]))
            points += [known.points[name] for name in job.pictures]
            weights += list(weights_of(np.stack([known.quality[name] for name in job.pictures])))
        owners += [len(usable)] * len(job.pictures)
        usable.append(job)
    shown, places = np.stack(pictures), np.stack(points)
    mean_points = np.zeros((len(usable), *places.shape[1:]))
    mean_textures = np.zeros((len(usable), _SIDE, _SIDE, 3), np.float32)
    for start in range(0, len(shown), _BATCH):
        part = slice(start, start + _BATCH)
        textures = workshop.textures(shown[part], places[part])
        for owner, weight, point, texture in zip(
            owners[part], weights[part], places[part], textures, strict=True
        ):
            mean_points[owner] += weight * point
            mean_textures[owner] += np.float32(weight) * texture
    mean_points = 0.5 * (mean_points + landmarks.mirrored(mean_points))
    return _Raw(usable, shown, np.array(owners), mean_points.astype(np.float32), mean_textures)


def _aim(
    request: Request, jobs: Sequence[_Job], workshop: Workshop, known: landmarks.Landmarks
) -> np.ndarray:
    textures = _raw(request, jobs[:_SAMPLE], workshop, known).textures
    mean: np.ndarray = textures[:, inner_face()].mean(axis=(0, 1), dtype=np.float64)
    return mean


def _faces(
    request: Request,
    jobs: Sequence[_Job],
    workshop: Workshop,
    known: landmarks.Landmarks,
    aim: np.ndarray,
) -> Faces:
    raw = _raw(request, jobs, workshop, known)
    features, embeddings = workshop.look(raw.pictures)
    return Faces(
        names=tuple(job.name for job in raw.jobs),
        kinds=np.array([KINDS.index(job.kind) for job in raw.jobs]),
        textures=np.stack([levels(even(texture, aim)) for texture in raw.textures]),
        landmarks=raw.points,
        embeddings=np.stack([embeddings[raw.owners == k].mean(axis=0) for k in range(len(raw.jobs))]),
        features=features,
        owners=raw.owners,
    )


def _pictures(paths: Sequence[Path]) -> np.ndarray:
    try:
        return np.stack([photos.read(path, _SIDE) for path in paths])
    except ImageError as error:
        raise DataError(f"A photograph cannot be read any more: {error}", hint="Start again.") from error


def _effective(weights: np.ndarray) -> float:
    return float(weights.sum() ** 2 / np.square(weights).sum())


def _digest(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


def _key(request: Request) -> str:
    settings = {**dataclasses.asdict(request), "output": ""}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _known(output: Path, key: str) -> dict[str, Any] | None:
    for name in (MANIFEST, _PROGRESS):
        if (output / name).is_file():
            found: dict[str, Any] = json.loads((output / name).read_text(encoding="utf-8"))
            if found.get("key") == key:
                return found
            break
    else:
        if not any(path.name != ".lock" for path in output.iterdir()):
            return None
    raise ConfigError(
        f"Expected an empty folder, or one of the same request. Received: {output} holds another.",
        hint="Choose another `output`, or delete that folder.",
    )


def _save(path: Path, values: dict[str, Any]) -> None:
    files.write_bytes_atomic(path, json.dumps(values, indent=1).encode())
