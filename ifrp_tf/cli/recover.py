"""Recovers the faces behind portraits.

python tools/recover.py --input=portrait.jpg --output=recovered --side_by_side
python tools/recover.py --output=recovered portraits more/*.png       # folders; their trees are mirrored
python tools/recover.py --input='portraits/**/*.png' --output=recovered --overwrite
python tools/recover.py --input=scans --output=recovered --paste --gallery

Writes <stem>_recovered.png of a picture that one face fills, one <stem>_face<k>_recovered.png for every face
in others, report.json and report.csv; of a video or an animated GIF, WebP or PNG <stem>_recovered.mp4, .gif
and so on, with the faces pasted. Exit code: 0 all good, 1 some inputs failed (such as those without a
face) or none was found, 2 wrong usage, 3 model unusable, 130 interrupted (run it again to go on).
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ifrp_tf.cli.command import as_flags, flag_names, option
from ifrp_tf.core.assets import MODEL
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.runtime import Console

if TYPE_CHECKING:
    from ifrp_tf.recovery.recoverer import Options, Recoverer

_NAMED = 3  # files that a line of the summary names


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be made of every picture, of however many.

    Attributes:
        output: Folder for the results; made if missing.
        faces: auto: the faces in a picture are found, unless one fills it. whole: every picture is one face.
        detector: That finds faces: blazeface, or the slower mtcnn.
        turn: By how many degrees clockwise the pictures are turned. auto: each face is asked.
        paste: Also write <stem>_pasted: the faces in their picture, in its format.
        strength: Of the pasted faces: 0 (unseen) to 1.
        flip_average: Average with the mirrored portrait's answer.
        fallback: A picture without a face is taken for one as a whole: auto: if it is nearly square and of up
            to 512 pixels. whole: always. none: never.
        side_by_side: Also write <stem>_side_by_side.png: portrait | recovered | in its picture.
        uncertainty: Also write <stem>_uncertainty.png and a number a face; 16 times the work.
        answers: Also write <stem>_answers.png: 2 to 16 plausible answers in a row, for the face is a
            guess; 16 times the work.
        save_crops: Also write <stem>_crop.png: the portrait that the network saw.
        attributes: Of the sitter, for a model that is told them: such as male=1,smiling=1,beard=-1.
        detail: texture: of photographs (data/faces/webmorph), invented, the person guarded; some 20 CPU
            seconds a face.
        size: Side of <stem>_recovered.png: 256 or 512. Enlarged (Lanczos): no detail is added.
        smoothing: Of faces in videos and animations, seconds; 0: none.
        pages: Of TIFF and PDF: first, all, or such as 1,3-5. Outputs: <stem>_page<k>...
    """

    output: str
    faces: Literal["auto", "whole"] = "auto"
    detector: Literal["blazeface", "mtcnn"] = "blazeface"
    turn: Literal["auto", "0", "90", "180", "270"] = "auto"
    paste: bool = False
    strength: float = 1.0
    flip_average: bool = False
    fallback: Literal["auto", "whole", "none"] = "auto"
    side_by_side: bool = False
    uncertainty: bool = False
    answers: int = 0
    save_crops: bool = False
    attributes: str = ""
    detail: Literal["none", "texture"] = "none"
    size: int | None = None
    smoothing: float = 0.1
    pages: str = "first"

    def options(self, boxes: Sequence[tuple[float, float, float, float]] = ()) -> Options:
        """What the library is asked for.

        Args:
            boxes: of faces by hand.

        Raises:
            ConfigError: an option is out of range, or two contradict each other.
        """
        from ifrp_tf.recovery.recoverer import Options  # late: --help and wrong usage need no numpy

        names = {field.name for field in dataclasses.fields(Options)} - {"boxes", "faces"}
        given = {name: getattr(self, name) for name in names}
        return Options(faces="auto" if boxes else self.faces, boxes=tuple(boxes), **given)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted(Asked):
    """What is to be recovered, by whichever model.

    Attributes:
        input: A picture, a folder, or a pattern in quotes; given several times, or without the flag.
        box: A face by hand: x,y,width,height in pixels. One picture only.
        gallery: Also write gallery.html and contact sheets: portrait | face. Implies --side_by_side.
        overwrite: Replace existing outputs.
    """

    input: tuple[str, ...] = option((), repeated=True, argument="source", positional=True)
    box: tuple[str, ...] = option((), repeated=True, argument="boxes")
    gallery: bool = False
    overwrite: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(Wanted):
    """What `recover` is asked for.

    Attributes:
        model: A version, a folder of versions, or a run's folder.
        trust: Load a model whose checksums do not match: it is a program.
    """

    model: str = MODEL
    trust: bool = False


def run(request: Request) -> int:
    """Recovers: failures and progress go to the error stream, a summary to the output.

    Returns:
        Exit code: 0 all good, 1 some inputs failed, 130 interrupted.

    Raises:
        ConfigError: wrong usage; the output folder cannot be written to.
        DataError: no input was found, or another run writes to the output folder.
        ModelError: the model is unusable.
    """

    def load() -> Recoverer:
        from ifrp_tf.recovery import recoverer

        return recoverer.Recoverer.load(request.model, trust=request.trust)

    return carry_out(request, load)


def carry_out(request: Wanted, load: Callable[[], Recoverer]) -> int:
    """As `run`, with whatever model.

    Args:
        request: what is to be recovered.
        load: gives the model, once cheap mistakes are found.
    """
    from ifrp_tf.recovery import folder, gallery  # late: --help and wrong usage need no numpy
    from ifrp_tf.recovery.manifest import write_table

    side_by_side = request.side_by_side or request.gallery
    options = request.options(parse_boxes(request.box))
    with folder.opened(request.input, request.output, options, request.pages) as (manifest, jobs):
        recoverer = load()
        run = folder.Run(manifest, jobs, recoverer, options, side_by_side, request.overwrite)
        with Console(len(jobs)) as console:
            seen = Seen(console, flag_names(type(request)))
            report = run.process(seen.show, console.step)
        write_table(report.path)
        page = gallery.write_pages(report.path) if request.gallery else None
    print(f"{report.summary(len(jobs))}; model {recoverer.name}; {report.path}")
    print("".join(f"{line}\n" for line in seen.lines()), end="")
    if side_by_side and seen.first:
        print(f"side by side: {manifest.folder / (seen.first if len(jobs) == 1 else '*_side_by_side.png')}")
    if page is not None:
        print(f"gallery: {page}")
    return report.exit_code


class Seen:
    """What of a run is said on the terminal: failures and doubts as they come, in the end how many of what.

    Args:
        console: where.
        names: the flag of each argument of the library.
    """

    def __init__(self, console: Console, names: Mapping[str, str]) -> None:
        self._console, self._names = console, names
        self._notes: dict[str, list[str]] = {}
        self._wordings: dict[str, Counter[str]] = {}
        self.first = ""

    def show(self, entry: dict[str, Any]) -> None:
        """Shows one picture's entry of the report."""
        from ifrp_tf.recovery.recoverer import NO_FACE

        page = f" page {entry['page']}" if "page" in entry else ""
        self._console.show({**entry, "message": as_flags(entry["message"], self._names)})
        if NO_FACE in entry["notes"] and entry["status"] != "failed":
            self._console.say(f"{entry['input']!r}{page}: {NO_FACE}")
        notes = [entry["reason"]] if entry["status"] == "failed" else []
        for note in (*notes, *entry["notes"]):
            kind = re.sub(r"\d[\d.,]*", "#", note)
            name = Path(entry["input"]).name.encode("utf-8", "backslashreplace").decode()
            self._notes.setdefault(kind, []).append(name + page)
            self._wordings.setdefault(kind, Counter())[note] += 1
        self.first = self.first or next((face.get("side_by_side", "") for face in entry["faces"]), "")

    def lines(self) -> list[str]:
        """For every kind of failure and note how many pictures have it, and the first of them."""
        found = []
        for kind, files in self._notes.items():
            words = next(iter(self._wordings[kind])) if len(self._wordings[kind]) == 1 else kind
            more = ", ..." if len(files) > _NAMED else ""
            found.append(f"  {len(files)} x {words}: {', '.join(files[:_NAMED])}{more}")
        return found


def parse_boxes(texts: Sequence[str]) -> tuple[tuple[float, float, float, float], ...]:
    """Boxes as given on the command line.

    Args:
        texts: `x,y,width,height` each, pixels.

    Raises:
        ConfigError: a text is no box.

    Example:
        >>> parse_boxes(["10,20,128,150"])
        ((10.0, 20.0, 128.0, 150.0),)
    """
    boxes = []
    for text in texts:
        try:
            x, y, width, height = (float(part) for part in text.split(","))
        except ValueError:
            x = y = width = height = -1.0
        if not (0 < width < 1e6 and 0 < height < 1e6 and abs(x) < 1e6 and abs(y) < 1e6):
            raise ConfigError(
                f"Expected --box=x,y,width,height in pixels. Received: --box={text}.",
                hint="Such as --box=120,80,200,240, counted from the top left of the upright picture.",
            )
        boxes.append((x, y, width, height))
    return tuple(boxes)
