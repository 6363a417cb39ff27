"""Finding the faces of a picture: the search over sizes and turns, and which way up a face is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures.geometry import Face, Place, align, cut, overlap, suppress
from ifrp_tf.recovery.blazeface import BlazeFace
from ifrp_tf.recovery.detectors import SMALLEST, SURROUND, Candidate, Detector, Mtcnn, Step

_BATCH = 16
_LEVELS = (96, 192, 416, 864)  # longest sides that are searched, pixels: mtcnn sees faces of 20 to 80 best
_WORTH = 0.7  # of the longest side is enough to see the smallest faces that are recovered
_PADDING = ((100, 0.5), (300, 0.25))  # of levels up to so many pixels: a tight face has no surround
_CANVAS = 128  # in which a candidate is found again: the face is 64 pixels high
_OTHER = 88  # in which what was found with lowered thresholds must be found once more
_MOST = 64  # candidates of a picture that are looked at again
_WORST_FIT = 0.2
_TILTED = 75.0  # degrees from upright at which a face in its frame is none, or another way up


DETECTORS: dict[str, type[BlazeFace] | type[Mtcnn]] = {"blazeface": BlazeFace, "mtcnn": Mtcnn}
"""By name; docs/field.md says how often each is right, and what it costs. The first is the default."""

DETECTOR = next(iter(DETECTORS))

WAYS = (0, 90, 180, 270)
"""By how many degrees clockwise a scan may be turned."""

_UPRIGHT = WAYS[:1]
_CLOSER = ((0, -30, 30), (0,))  # the mesh places best what is upright and in the middle


def search(pixels: np.ndarray, detector: Detector, step: Step, ways: Sequence[int] = _UPRIGHT) -> list[Face]:
    """What one step finds, each found again in its frame; some may overlap.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        detector: finds upright faces.
        step: how to look.
        ways: of `WAYS`, which a step of `every_way` asks for.
    """
    image = Image.fromarray(pixels)
    guesses = [
        face
        for size in _sizes(max(image.size), step.work)
        for angle in step.angles
        for face in _look(image, size, angle, detector, step)
    ]
    looks = [ways, *_CLOSER] if step.every_way else [_UPRIGHT] * (2 if step.relaxed else 1)
    found = _looked_at(guesses, pixels, detector, step, looks[0])
    # Upright, what is turned is placed better: more looks, except by what sees no turned faces at all.
    for tilts in looks[1:]:
        found = _looked_at(found, pixels, detector, step, tilts) or found
    return found


def glance(pixels: np.ndarray, detector: Detector) -> list[Face]:
    """What a detector is sure of at once in a small copy: milliseconds, and not confirmed as by `find`.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        detector: finds upright faces.
    """
    (first, *_) = getattr(detector, "steps", Mtcnn.steps)
    return _look(Image.fromarray(pixels), _LEVELS[0], 0.0, detector, replace(first, relaxed=False))


def _looked_at(
    faces: Sequence[Face], pixels: np.ndarray, detector: Detector, step: Step, ways: Sequence[int]
) -> list[Face]:
    places = [face.place for face in suppress(faces, 0.7)[:_MOST] if face.place is not None]
    return again(pixels, places, detector, step.name, step.least, step.treatment, ways)


def _sizes(longest: int, most: int) -> list[int]:
    """The longest sides to search in; small pictures are enlarged to the first level."""
    sizes = [level for level in _LEVELS if level <= min(longest, most)] or [_LEVELS[0]]
    last = min(round(_WORTH * longest), most)
    return [*sizes, last] if last > 1.5 * sizes[-1] else sizes


def _look(image: Image.Image, size: int, angle: float, detector: Detector, step: Step) -> list[Face]:
    """Candidates in a picture of a longest side of `size` pixels, turned by `angle` clockwise."""
    scale = size / max(image.size)
    small = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BICUBIC
    )
    view = _treated(np.array(small), step.treatment)
    pad = next((round(part * size) for most, part in _PADDING if size <= most), 0)
    view = np.pad(view, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    # A face that is turned clockwise by the angle is upright after turning the other way.
    turned = Image.fromarray(view).rotate(
        angle, Image.Resampling.BILINEAR, expand=True, fillcolor=tuple(int(v) for v in view.mean((0, 1)))
    )
    canvas = np.array(turned)
    if min(canvas.shape[:2]) < SMALLEST:
        return []
    (candidates,) = detector([canvas], relaxed=step.relaxed)
    turn = Place(view.shape[1] / 2, view.shape[0] / 2, 1.0, angle)
    middle = np.array([canvas.shape[1], canvas.shape[0]]) / 2
    faces = []
    for candidate in candidates:
        points = (turn.to_picture(candidate.landmarks - middle + 0.5) - pad) / scale
        faces += _face(Candidate(points, candidate.score), step.name)
    return faces


def _face(candidate: Candidate, name: str) -> list[Face]:
    place, left_over = align(candidate.landmarks)
    if left_over > _WORST_FIT or place.side < 8:
        return []
    return [Face(place, candidate.landmarks, candidate.score, name)]


def again(
    pixels: np.ndarray,
    places: Sequence[Place],
    detector: Detector,
    name: str,
    least: float,
    treatment: str = "",
    ways: Sequence[int] = _UPRIGHT,
    side: int = _CANVAS,
) -> list[Face]:
    """Looks into frames, laid upright, for the face that each may hold.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        places: frames that may hold a face.
        detector: finds upright faces.
        name: for `Face.found_by`.
        least: score that counts, 0 to 1.
        treatment: as in `Step`.
        ways: by how many degrees further each frame may be turned. The best answer wins, over one that is
            upright in the picture only by the detector's margin: most pictures are.
        side: of what the detector sees of each, pixels; the face is half as high.

    Returns:
        The faces, their places made exact; at most as many as places.
    """
    found: list[Face] = []
    margin = getattr(detector, "margin", 0.05)
    step = max(1, _BATCH // len(ways))
    for start in range(0, len(places), step):
        frames = [place.widened(SURROUND) for place in places[start : start + step]]
        views = [
            cut(pixels, replace(frame, angle=frame.angle + way), side) for frame in frames for way in ways
        ]
        canvases = np.stack([_treated(view, treatment) for view in views])
        answers = iter(_confirmed(canvases, detector))
        for frame in frames:
            faces = []
            for way in ways:
                candidate = next(answers)
                if candidate is not None and candidate.score >= least:
                    points = replace(frame, angle=frame.angle + way).to_picture(candidate.landmarks / side)
                    faces += _face(Candidate(points, candidate.score), name)
            if faces:
                found.append(max(faces, key=lambda face: _score(face) + margin * _is_upright(face)))
    return found


def _confirmed(canvases: np.ndarray, detector: Detector) -> list[Candidate | None]:
    """The upright face in the middle of each canvas, half as high as that; None where there is none."""
    confirm = getattr(detector, "confirm", None)
    if confirm is not None:
        answers: Sequence[Sequence[Candidate]] = [[one] if one else [] for one in confirm(canvases)]
    else:
        answers = detector(list(canvases), relaxed=True)
    side = canvases.shape[1]
    expected = Place(side / 2, side / 2, side / SURROUND)
    confirmed: list[Candidate | None] = []
    for candidates in answers:
        same = [one for one in candidates if _same(align(one.landmarks)[0], expected)]
        confirmed.append(max(same, key=lambda one: one.score) if same else None)
    return confirmed


def _score(face: Face) -> float:
    return face.score or 0.0


def _is_upright(face: Face) -> bool:
    return face.place is not None and abs(face.place.angle) <= 45


def _same(found: Place, guess: Place) -> bool:
    ratio = found.side / guess.side
    apart = np.hypot(found.x - guess.x, found.y - guess.y) / guess.side
    return bool(0.5 < ratio < 2.0 and apart < 0.5 and abs(found.angle - guess.angle) < _TILTED)


def _treated(view: np.ndarray, treatment: str) -> np.ndarray:
    """A view with more contrast, or without brush strokes and hatching."""
    if treatment == "contrast":
        grey = ImageOps.equalize(Image.fromarray(view).convert("L"))
        return np.repeat(np.array(grey)[:, :, None], 3, axis=2)
    if treatment == "smoothed":
        image = Image.fromarray(view).filter(ImageFilter.MedianFilter(3))
        return np.array(ImageOps.autocontrast(image.filter(ImageFilter.GaussianBlur(1)), cutoff=1))
    return view


_ALONE = 0.4  # a face as high as this part of a picture leaves no room for others


def find(pixels: np.ndarray, detector: Detector, turn: int | None = None) -> list[Face]:
    """Finds the faces of a picture, and which way up each is.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        detector: such as `BlazeFace()`.
        turn: of `WAYS`, by how much the picture is known to be turned; None: every face is asked.

    Returns:
        Faces from the left to the right, also those below `SMALLEST_FACE`; none overlap much. Empty where
        no step finds any.

    Example:
        >>> [face.found_by for face in find(painting, Mtcnn())]  # doctest: +SKIP
        ['mtcnn', 'turned']
    """
    if turn:
        upright = np.ascontiguousarray(np.rot90(pixels, turn // 90))
        return _by_column([_turned_back(face, upright, pixels, turn) for face in find(upright, detector, 0)])
    ways = WAYS if turn is None else _UPRIGHT
    found: list[Face] = []
    for step in getattr(detector, "steps", Mtcnn.steps):
        if not any(face.place.side > _ALONE * max(pixels.shape[:2]) for face in found if face.place):
            seen = _asked(pixels, search(pixels, detector, step, ways), detector, step, ways)
            found += _seen_again(seen, pixels, detector, step)
    for step in getattr(detector, "retries", Mtcnn.retries):
        if found:
            break
        seen = [face for face in search(pixels, detector, step, ways) if _prominent(face, pixels)]
        found = _seen_again(_asked(pixels, seen, detector, step, ways), pixels, detector, step)
    return _by_column(suppress(found))


def _by_column(faces: Sequence[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: face.place.x if face.place else 0.0)


def _asked(
    pixels: np.ndarray, found: Sequence[Face], detector: Detector, step: Step, ways: Sequence[int]
) -> list[Face]:
    """The faces that a step found, the right way up."""
    if step.every_way or len(ways) == 1:
        return list(found)
    upright = []
    for face in suppress(found):
        places = [face.place] if face.place is not None else []
        upright += again(pixels, places, detector, step.name, step.least, step.treatment, ways) or [face]
    return upright


def _seen_again(found: Sequence[Face], pixels: np.ndarray, detector: Detector, step: Step) -> list[Face]:
    """Of what lowered thresholds find, the faces that are there at a second size, too: strokes are not."""
    if not step.relaxed or step.every_way:
        return list(found)
    return [
        face
        for face in found
        if face.place is not None
        and again(pixels, [face.place], detector, step.name, step.least, step.treatment, side=_OTHER)
    ]


def _turned_back(face: Face, upright: np.ndarray, pixels: np.ndarray, turn: int) -> Face:
    """A face of the upright picture in the picture as it is, which is turned clockwise."""
    if face.place is None:
        return face
    middles = [np.array([one.shape[1], one.shape[0]]) / 2 for one in (upright, pixels)]
    about = Place(float(middles[1][0]), float(middles[1][1]), 1.0, turn)
    points = np.array([[face.place.x, face.place.y], *(() if face.landmarks is None else face.landmarks)])
    (x, y), *landmarks = about.to_picture(points - middles[0] + 0.5)
    angle = (face.place.angle + turn + 180) % 360 - 180
    place = Place(x, y, face.place.side, angle)
    return replace(face, place=place, landmarks=np.array(landmarks) if len(landmarks) else None)


def _prominent(face: Face, pixels: np.ndarray) -> bool:
    """Whether a face is large enough to believe lowered thresholds: strokes make many small faces."""
    shorter = min(pixels.shape[:2])
    return face.place is not None and face.place.side >= max(0.1 * shorter, min(0.3 * shorter, 96))


def find_in_box(
    pixels: np.ndarray, box: Sequence[float], detector: Detector, turn: int | None = None
) -> Face:
    """A face whose place is given by hand; the detector is asked how it is turned.

    Args:
        pixels: uint8 [H, W, 3], RGB, 0-255.
        box: x, y, width, height in pixels of the upright picture, from the hairline to the chin.
        detector: such as `Mtcnn()`.
        turn: as of `find`.

    Raises:
        ConfigError: the box is outside the picture, or is empty.
    """
    height, width = pixels.shape[:2]
    x, y, w, h = box
    if not (w > 0 and h > 0 and x < width and y < height and x + w > 0 and y + h > 0):
        raise ConfigError(
            f"Expected a box x,y,width,height within {width} x {height} pixels. Received: {list(box)}.",
            hint="Pixels are counted from the top left of the upright picture.",
        )
    given = Place(x + w / 2, y + h / 2, max(w, h), 0.0)
    ways = WAYS if turn is None else (turn,)
    frames = [Place(given.x, given.y, SURROUND * given.side, way) for way in ways]
    answers = detector([cut(pixels, frame, _CANVAS) for frame in frames], relaxed=True)
    guesses = [
        align(frame.to_picture(candidate.landmarks / _CANVAS))[0]
        for frame, candidates in zip(frames, answers, strict=True)
        for candidate in candidates
    ] or [replace(given, angle=angle) for angle in (0.0, -35.0, 35.0)]
    near = again(pixels, guesses, detector, "box+", 0.6, "", ways)
    near = [face for face in near if face.place and overlap(face.place, given) > 0.4]
    if not near:
        return Face(given, None, None, "box")
    best = max(near, key=_score)
    for tilts in _CLOSER:
        places = [best.place] if best.place else []
        best = next(iter(again(pixels, places, detector, "box+", 0.6, "", tilts)), best)
    return best
