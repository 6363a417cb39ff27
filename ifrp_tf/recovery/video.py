"""The faces of a video or an animated picture: followed, recovered, steadied in time, and pasted back.

First the whole clip is looked through (`look_through`): where a face was, it is looked for again in the next
frame, and every half second or after a cut everywhere. Then faces are recovered in batches and steadied
(`Film`), in segments. What is found and every finished segment is kept in a folder beside the output, so that
a killed run goes on from there; frames pass through one by one, so memory does not grow with the clip.
"""

from __future__ import annotations

import itertools
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ifrp_tf.core.errors import ImageError, ModelError
from ifrp_tf.core.files import JsonLines
from ifrp_tf.pictures import framing
from ifrp_tf.pictures.blending import paste
from ifrp_tf.pictures.clips import Clip, Frame
from ifrp_tf.pictures.geometry import SMALLEST_FACE, WHOLE, Face, Place, cut, overlap, suppress
from ifrp_tf.recovery import detection
from ifrp_tf.recovery.detectors import Detector, Mtcnn
from ifrp_tf.recovery.recoverer import (
    NO_FACE,
    Finder,
    Options,
    Recoverer,
    enlarged,
    may_be_whole,
    whole_unseen,
)
from ifrp_tf.release.load import BATCH

SEGMENT = 240
"""Frames of a segment: what a killed run loses at most."""

_EVERY = 12  # frames: so often a face is looked for everywhere
_SAME = 0.4  # overlap of a face's frames in one frame and the next
_STILL = 0.6  # score that a face must keep, 0 to 1
_GAP = 0.5  # seconds that a face may be out of sight
_CUT = 30.0  # levels by which small copies of two frames differ on average where a scene ends
_THUMBNAIL = (32, 18)
_BRIEF = 3  # frames: what is seen in fewer of a longer clip is no face
_NEAR = 8  # frames before and after that a face is steadied by, at most
_REACH = 2.0  # times `Options.smoothing`: what is further away in time does not count
_LOOKS = 16  # side of the small copies by which portraits are compared, pixels
_ALIKE = 12.0  # levels by which they may differ: what differs more has moved, and is not mixed
_HELD_PIXELS = 100_000_000  # of frames that wait for their faces
_MIDDLE = slice(3, 13)  # of 16 parts of a portrait's side: where flicker is measured

Say = Callable[[str], None]
Answers = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray | ModelError]]


class StoppedError(Exception):
    """The user asked to stop; what is finished is kept."""


@dataclass(frozen=True, eq=False)
class Track:
    """A face over time.

    Attributes:
        first: number of the frame that it appears in.
        rows: float64 [N, 4]: x, y, side and angle of its frame, as of `Place`, in each frame from then on,
            steadied.
        found: the face as it was found first; without a place where whole frames are the face.
    """

    first: int
    rows: np.ndarray
    found: Face

    @property
    def end(self) -> int:
        """The number of the frame after its last."""
        return self.first + len(self.rows)

    @property
    def too_small(self) -> bool:
        """Whether there is nothing in it to be seen."""
        return self.found.place is not None and float(np.median(self.rows[:, 2])) < SMALLEST_FACE

    def place(self, number: int) -> Place | None:
        """Where it is in the frame of that number, which must be one of its own."""
        return None if self.found.place is None else Place(*self.rows[number - self.first].tolist())


@dataclass
class Seen:
    """What is known of a clip once it was looked through.

    Attributes:
        times, durations: of each frame, seconds.
        cuts: numbers of the frames that begin a scene, without the first.
        tracks: its faces.
        notes: what the user should know.
    """

    times: np.ndarray
    durations: np.ndarray
    cuts: list[int]
    tracks: list[Track]
    notes: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether each frame is one face as a whole."""
        return any(track.found.place is None for track in self.tracks)


# ---- Looking through ----


def look_through(
    clip: Clip,
    recoverer: Recoverer,
    options: Options,
    lines: JsonLines,
    *,
    say: Say,
    check: Callable[[], None],
) -> Seen:
    """Finds the faces of every frame and follows them.

    Args:
        clip: the clip.
        recoverer: knows the detector.
        options: how faces are found, and over how many seconds their places are smoothed.
        lines: what was found before a run was stopped; the rest is added.
        say: is told of progress.
        check: called now and then; may raise.

    Raises:
        ImageError: the clip is damaged, or no face was found (`no_face`).
    """
    width, height = clip.size
    looking = options.faces == "auto" and not whole_unseen(height, width, options)
    if not any("end" in line for line in lines):
        _look_on(clip, recoverer if looking else None, options, lines, say, check)
    seen = _followed((line for line in lines if "time" in line), float(clip.time_base), options.smoothing)
    missing = len(seen.times) - len({n for track in seen.tracks for n in range(track.first, track.end)})
    if seen.tracks and missing:
        seen.notes.append(f"{missing:,} of {len(seen.times):,} frames without a face")
    if not seen.tracks:
        if looking and not may_be_whole(height, width, options):
            message = "no face was found. `fallback=whole` takes every frame for one all the same."
            raise ImageError("no_face", message)
        seen.notes += [NO_FACE] if looking else []
        bounds = [0, *seen.cuts, len(seen.times)]
        seen.tracks = [Track(a, np.zeros((b - a, 4)), WHOLE) for a, b in itertools.pairwise(bounds)]
    return seen


def _look_on(
    clip: Clip,
    recoverer: Recoverer | None,
    options: Options,
    lines: JsonLines,
    say: Say,
    check: Callable[[], None],
) -> None:
    done = 0
    last: dict[str, Any] = {}
    for done, last in enumerate(lines, 1):  # noqa: B007 - how many, and the last
        pass
    faces = [_face(values) for values in last["faces"]] if last else []
    start, before = max(0, done - 1), None
    fresh: list[dict[str, Any]] = []
    number = -1
    for number, frame in enumerate(clip.frames(start), start):
        check()
        thumbnail = np.asarray(
            Image.fromarray(frame.pixels).resize(_THUMBNAIL, Image.Resampling.BOX), np.float32
        )
        is_cut = before is not None and float(np.abs(thumbnail - before).mean()) > _CUT
        before = thumbnail
        if number < done:
            continue  # looked at again only for what it is like
        if recoverer is not None:
            everywhere = number % _EVERY == 0 or is_cut
            faces = _faces(frame.pixels, [] if is_cut else faces, recoverer, options, everywhere)
        values = [_values(face) for face in faces]
        fresh.append({"time": frame.time, "duration": frame.duration, "cut": is_cut, "faces": values})
        if len(fresh) == _EVERY:
            lines.append(fresh)
            fresh = []
            say(f"looked through {number + 1:,} of {max(clip.count, number + 1):,} frames")
    if number < 0:
        raise ImageError("empty", "there is no frame in it.")
    lines.append([*fresh, {"end": number + 1}])


def _values(face: Face) -> list[Any]:
    place = face.place or Place(0, 0, 1)
    return [place.x, place.y, place.side, place.angle, face.score, face.found_by]


def _face(values: Sequence[Any]) -> Face:
    return Face(Place(*values[:4]), None, values[4], values[5])


def _faces(
    pixels: np.ndarray, before: Sequence[Face], recoverer: Recoverer, options: Options, everywhere: bool
) -> list[Face]:
    """The faces of a frame: those of the frame before where they are now, and where asked, all others."""
    detector = recoverer.detector_for(options)
    if isinstance(detector, Finder):
        return list(detector.find(pixels, options))
    still = _again(pixels, before, detector)
    if not everywhere and len(still) == len(before):
        return still
    turn = None if options.turn == "auto" else int(options.turn)
    others = [face for face in detection.find(pixels, detector, turn) if not _among(face, still)]
    # All are placed in the same way, or they would jump where they are found anew.
    return still + [_closest(face, _again(pixels, [face], detector)) for face in others]


def _again(pixels: np.ndarray, faces: Sequence[Face], detector: Detector) -> list[Face]:
    places = [face.place for face in faces if face.place is not None]
    (first, *_) = getattr(detector, "steps", Mtcnn.steps)
    return suppress(detection.again(pixels, places, detector, first.name, _STILL))


def _among(face: Face, others: Sequence[Face]) -> bool:
    return any(face.place and one.place and overlap(face.place, one.place) > _SAME for one in others)


def _closest(face: Face, found: Sequence[Face]) -> Face:
    return next((one for one in found if _among(face, [one])), face)


# ---- Following ----


def _followed(lines: Iterator[dict[str, Any]], unit: float, seconds: float) -> Seen:
    """The faces of all frames as tracks; what is seen too briefly is none."""
    times, durations, cuts = array("d"), array("d"), []
    open_: list[_Line] = []
    closed: list[_Line] = []
    for number, line in enumerate(lines):
        times.append(unit * line["time"])
        durations.append(unit * line["duration"])
        if line["cut"] and number:
            cuts.append(number)
        ended = [one for one in open_ if cuts[-1:] == [number] or times[-1] - times[one.numbers[-1]] > _GAP]
        closed += ended
        open_ = [one for one in open_ if one not in ended]
        _take(open_, number, [_face(values) for values in line["faces"]])
    seen = Seen(np.array(times), np.array(durations), cuts, [])
    least = min(_BRIEF, len(times))
    lasting = [one for one in closed + open_ if len(one.numbers) >= least]
    seen.tracks = sorted((one.track(seen.times, seconds) for one in lasting), key=lambda one: one.first)
    return seen


class _Line:
    """What was found of one face: numbers of frames, and x, y, side and angle in each."""

    def __init__(self, number: int, face: Face) -> None:
        self.numbers, self.rows, self.found = array("q"), array("d"), face
        self.add(number, face)

    def add(self, number: int, face: Face) -> None:
        """Adds where it is in a frame."""
        self.numbers.append(number)
        self.last = face.place or Place(0, 0, 1)
        self.rows.extend((self.last.x, self.last.y, self.last.side, self.last.angle))

    def track(self, times: np.ndarray, seconds: float) -> Track:
        """Where it is in every frame, without jitter."""
        numbers, rows = np.array(self.numbers), np.array(self.rows).reshape(-1, 4)
        rows[:, 2] = np.log(rows[:, 2])
        rows[:, 3] = np.unwrap(rows[:, 3], period=360)
        first, end = int(numbers[0]), int(numbers[-1]) + 1
        at = times[first:end]
        every = np.stack([np.interp(at, times[numbers], row) for row in rows.T], axis=1)
        smooth = steadied(at, every, seconds)
        smooth[:, 2] = np.exp(smooth[:, 2])
        smooth[:, 3] = (smooth[:, 3] + 180) % 360 - 180
        return Track(first, smooth, self.found)


def _take(lines: list[_Line], number: int, faces: Sequence[Face]) -> None:
    """Adds each face of a frame to the line that it goes on, or begins one."""
    shared = [[overlap(one.last, face.place) for face in faces if face.place] for one in lines]
    pairs = sorted(((v, i, k) for i, row in enumerate(shared) for k, v in enumerate(row)), reverse=True)
    taken: tuple[set[int], set[int]] = (set(), set())
    for value, i, k in pairs:
        if value > _SAME and i not in taken[0] and k not in taken[1]:
            lines[i].add(number, faces[k])
            taken[0].add(i)
            taken[1].add(k)
    lines += [_Line(number, face) for k, face in enumerate(faces) if k not in taken[1]]


def steadied(times: np.ndarray, rows: np.ndarray, seconds: float) -> np.ndarray:
    """Numbers over time without their jitter: at each time the straight line that fits those around it best.

    What moves evenly stays where it is, which a running mean would hold back at the ends.

    Args:
        times: float64 [N], seconds, ascending.
        rows: float64 [N, M].
        seconds: standard deviation of the weights; 0 changes nothing.

    Returns:
        float64 [N, M].

    Example:
        >>> steadied(np.arange(3.0), np.array([[0.0], [1.0], [2.0]]), 0.5).round(6).ravel().tolist()
        [0.0, 1.0, 2.0]
    """
    if seconds <= 0 or len(times) < 3:
        return rows
    result = np.empty_like(rows)
    starts = np.searchsorted(times, times - 3 * seconds)
    ends = np.searchsorted(times, times + 3 * seconds, side="right")
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        apart = times[start:end] - times[k]
        weight = np.exp(-0.5 * (apart / seconds) ** 2)
        weight /= weight.sum()
        near = rows[start:end]
        middle, mean = weight @ apart, weight @ near
        spread = weight @ (apart - middle) ** 2
        slope = (weight * (apart - middle)) @ near / spread if spread > 1e-12 else 0.0
        result[k] = mean - slope * middle
    return result


# ---- Recovering ----


@dataclass(frozen=True, eq=False)
class _Shown:
    """A face in one frame: its portrait, a small copy of that, and the network's answer."""

    portrait: np.ndarray
    looks: np.ndarray
    answer: np.ndarray


MEASURED = ("input", "network", "steadied", "output")
"""What flicker is measured of: portraits, the network's answers, these steadied, and the output."""


class Film:
    """The recovering of a clip that was looked through, frame by frame.

    Args:
        clip: the clip.
        seen: what was found in it.
        side: of portraits, pixels.
        options: how faces are pasted, and over how many seconds they are smoothed.
        answers: uint8 [side, side, 3] portraits to as many recovered faces, or why there is none.
        check: called now and then; may raise.
    """

    def __init__(
        self, clip: Clip, seen: Seen, side: int, options: Options, answers: Answers, check: Callable[[], None]
    ) -> None:
        self._clip, self._seen, self._side, self._options = clip, seen, side, options
        self._answers, self._check = answers, check
        self._tracks = {k: track for k, track in enumerate(seen.tracks) if not track.too_small}
        self._faces: dict[int, dict[int, _Shown]] = {}
        self._last: dict[int, tuple[int, list[np.ndarray]]] = {}
        self.flicker: dict[int, np.ndarray] = {}
        width, height = clip.size
        self.size = (width, height)
        if seen.whole:
            self.size = (options.size or side, options.size or side)
        self._held = max(2, min(BATCH, _HELD_PIXELS // (width * height)))

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self._seen.times)

    def take_flicker(self) -> dict[str, list[float]]:
        """Sums of changes between frames since it was last asked, by track: of `MEASURED`, and how many."""
        taken, self.flicker = self.flicker, {}
        return {str(k): sums.tolist() for k, sums in taken.items()}

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames with their recovered faces, from number `start` on.

        Raises:
            ImageError: the clip is damaged.
            ModelError: an answer of the network cannot be used.
        """
        self._faces, self._last, self.flicker = {}, {}, {}
        begin = max(0, start - 1)  # the change from the frame before is measured, too
        first = self._near(begin)[0]
        waiting: deque[tuple[int, Frame]] = deque()
        asked: list[tuple[int, int, np.ndarray]] = []
        for number, frame in enumerate(self._clip.frames(first), first):
            self._check()
            if number >= self.count:
                break
            asked += [(number, k, self._portrait(frame.pixels, place)) for k, place in self._places(number)]
            if number >= begin:
                waiting.append((number, frame))
            if len(asked) >= BATCH or len(waiting) >= self._held or number == self.count - 1:
                self._ask(asked)
                asked = []
                while waiting and self._near(waiting[0][0])[1] <= number:
                    at, one = waiting.popleft()
                    made = self._made(at, one)
                    if at >= start:
                        yield made
                    else:
                        self.flicker = {}
        if waiting:
            raise ImageError("corrupt", "the clip changed while it was recovered: it is shorter now.")

    def _near(self, number: int) -> tuple[int, int]:
        """The first and the last frame that count for one."""
        times, reach = self._seen.times, _REACH * self._options.smoothing
        low, high = max(0, number - _NEAR), min(self.count - 1, number + _NEAR)
        start = low + int(np.searchsorted(times[low : number + 1], times[number] - reach))
        end = number + int(np.searchsorted(times[number : high + 1], times[number] + reach, side="right")) - 1
        return min(start, number), max(end, number)

    def _places(self, number: int) -> list[tuple[int, Place | None]]:
        return [
            (k, track.place(number)) for k, track in self._tracks.items() if track.first <= number < track.end
        ]

    def _portrait(self, pixels: np.ndarray, place: Place | None) -> np.ndarray:
        if place is not None:
            return cut(pixels, place, self._side)
        turn = 0 if self._options.turn == "auto" else int(self._options.turn)
        return framing.letterbox(np.rot90(pixels, turn // 90), self._side)

    def _ask(self, asked: Sequence[tuple[int, int, np.ndarray]]) -> None:
        answers = self._answers([portrait for _, _, portrait in asked]) if asked else []
        for (number, k, portrait), answer in zip(asked, answers, strict=True):
            if isinstance(answer, ModelError):
                raise answer
            small = Image.fromarray(portrait).resize((_LOOKS, _LOOKS), Image.Resampling.BOX)
            shown = _Shown(portrait, np.asarray(small, np.float32), answer)
            self._faces.setdefault(number, {})[k] = shown

    def _made(self, number: int, frame: Frame) -> Frame:
        for old in [each for each in self._faces if each < self._near(number)[0]]:
            del self._faces[old]
        placed = [(k, place, self._steady(number, k)) for k, place in self._places(number)]
        if self._seen.whole:
            ((_, _, face),) = placed
            pixels = enlarged(face, self._options.size)
        else:
            places, faces = [place for _, place, _ in placed if place], [face for _, _, face in placed]
            pixels = paste(frame.pixels, places, faces, strength=self._options.strength)
        for k, place, face in placed:
            output = face if place is None else cut(pixels, place, self._side)
            shown = self._faces[number][k]
            self._measure(number, k, [shown.portrait, shown.answer, face, output])
        return Frame(pixels, frame.time, frame.duration)

    def _steady(self, number: int, k: int) -> np.ndarray:
        """A face mixed with those of the same track close to it in time, where the portraits are alike."""
        own, times = self._faces[number][k], self._seen.times
        start, end = self._near(number)
        if start == end or self._options.smoothing <= 0:
            return own.answer
        total = np.zeros(own.answer.shape, np.float32)
        weights = np.zeros((*own.answer.shape[:2], 1), np.float32)
        for near in range(start, end + 1):
            if (other := self._faces.get(near, {}).get(k)) is None:
                continue
            apart = (times[near] - times[number]) / self._options.smoothing
            differ = np.abs(own.looks - other.looks).mean(2)
            weight = np.exp(-0.5 * apart**2 - (differ / _ALIKE) ** 2).astype(np.float32)
            weight = np.asarray(
                Image.fromarray(weight).resize(own.answer.shape[1::-1], Image.Resampling.BILINEAR)
            )
            total += weight[:, :, None] * other.answer
            weights += weight[:, :, None]
        return np.floor(total / weights + 0.5).astype(np.uint8)

    def _measure(self, number: int, k: int, pictures: list[np.ndarray]) -> None:
        part = slice(_MIDDLE.start * self._side // 16, _MIDDLE.stop * self._side // 16)
        now = [picture[part, part].astype(np.int16) for picture in pictures]
        before = self._last.get(k)
        if before is not None and before[0] == number - 1:
            change = [float(np.abs(a - b).mean()) for a, b in zip(now, before[1], strict=True)]
            self.flicker[k] = self.flicker.get(k, np.zeros(5)) + np.array([*change, 1.0])
        self._last[k] = (number, now)


def recover(
    clip: Clip,
    recoverer: Recoverer,
    options: Options,
    answers: Answers,
    folder: Path,
    *,
    say: Say = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Recovered:
    """Recovers the faces of a clip into segments; goes on where an earlier run was stopped.

    Args:
        clip: the clip.
        recoverer: the model.
        options: how faces are found, pasted and smoothed.
        answers: as of `Film`.
        folder: for what is found and made; the same for the same clip, model and options, and for no other.
        say: is told of progress.
        check: called for every frame; what it raises ends the run, to be gone on with.

    Raises:
        ImageError: the clip is damaged, or no face was found.
        ModelError: an answer of the network cannot be used.
        DataError: a segment cannot be written.
    """
    with JsonLines(folder / "found.jsonl") as lines:
        seen = look_through(clip, recoverer, options, lines, say=say, check=check)
    film = Film(clip, seen, recoverer.side, options, answers, check)
    sums = {k: np.zeros(5) for k in range(len(seen.tracks))}
    segments = [folder / f"{number:06d}.part" for number in range(-(-film.count // SEGMENT))]
    with JsonLines(folder / "segments.jsonl") as lines:
        done = list(lines)
        stream = film.frames(SEGMENT * len(done)) if len(done) < len(segments) else iter(())
        for number in range(len(done), len(segments)):
            start = SEGMENT * number
            clip.write(segments[number], itertools.islice(stream, SEGMENT), start)
            done.append({"segment": number, "flicker": film.take_flicker()})
            lines.append(done[-1:])
            say(f"recovered {min(start + SEGMENT, film.count):,} of {film.count:,} frames")
    for line in done:
        for k, values in line["flicker"].items():
            sums[int(k)] += values
    return Recovered(tuple(segments), film.size, seen, sums)


@dataclass(frozen=True, eq=False)
class Recovered:
    """A recovered clip in segments.

    Attributes:
        segments: to be joined by `Clip.join`.
        size: (width, height) of their frames, pixels.
        seen: what was found in the clip.
        sums: by track, float64 [5]: sums of changes from frame to frame of `MEASURED`, and how many they are.
    """

    segments: tuple[Path, ...]
    size: tuple[int, int]
    seen: Seen
    sums: dict[int, np.ndarray]

    def film(self) -> dict[str, Any]:
        """What the report says of the clip as a whole; flicker is in levels a frame."""
        times, durations = self.seen.times, self.seen.durations
        entry = {
            "frames": len(times),
            "seconds": round(float(times[-1] + durations[-1] - times[0]), 3),
            "cuts": len(self.seen.cuts),
        }
        return {**entry, **_flicker(sum(self.sums.values(), np.zeros(5)))}

    def entries(self, height: int, width: int) -> tuple[dict[str, Any], ...]:
        """What the report says of each face; its box is that in its first frame."""
        found = []
        for k, track in enumerate(self.seen.tracks):
            face = replace(track.found, place=track.place(track.first))
            entry = {**face.entry(height, width), "first_frame": track.first, "frames": len(track.rows)}
            found.append(
                {**entry, **({"reason": "too_small"} if track.too_small else _flicker(self.sums[k]))}
            )
        return tuple(found)


def _flicker(sums: np.ndarray) -> dict[str, Any]:
    if not sums[-1]:
        return {}
    means = dict(zip(MEASURED, (sums[:-1] / sums[-1]).round(2).tolist(), strict=True))
    return {"flicker": means}
