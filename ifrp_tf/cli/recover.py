"""Recovers the faces behind portraits.

python tools/recover.py --input=portrait.jpg --output=recovered --side_by_side
python tools/recover.py --input=portraits --output=recovered          # a folder; its tree is mirrored
python tools/recover.py --input='portraits/**/*.png' --output=recovered --overwrite
python tools/recover.py --input=scans --output=recovered --faces=auto --paste --gallery

Writes <stem>_recovered.png (with --faces=auto one <stem>_face<k>_recovered.png a face), report.json and
report.csv. Exit code: 0 all good, 1 some inputs failed or none was found, 2 wrong usage, 3 model unusable,
130 interrupted (run it again to go on).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from ifrp_tf.cli.command import option
from ifrp_tf.core.assets import MODEL
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.runtime import Console


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `recover` is asked for.

    Attributes:
        input: A picture, a folder, or a pattern in quotes.
        output: Folder for the results; made if missing.
        model: A version, a folder of versions, or a run's folder.
        faces: whole: every picture is one face. auto: faces are found in it.
        detector: That finds faces: blazeface, or the slower mtcnn.
        turn: By how many degrees clockwise the pictures are turned. auto: each face is asked.
        box: A face by hand: x,y,width,height in pixels. One picture only.
        paste: Also write <stem>_pasted.png: the faces in their picture.
        strength: Of the pasted faces: 0 (unseen) to 1.
        flip_average: Average with the mirrored portrait's answer.
        fallback: Take a picture without a face for one as a whole.
        gallery: Also write gallery.html and contact sheets: portrait | face. Implies --side_by_side.
        side_by_side: Also write <stem>_side_by_side.png: portrait | recovered | in its picture.
        uncertainty: Also write <stem>_uncertainty.png and a number a face; 16 times the work.
        overwrite: Replace existing outputs.
        trust: Load a model whose checksums do not match: it is a program.
    """

    input: str = option(argument="source")
    output: str
    model: str = MODEL
    faces: Literal["whole", "auto"] = "whole"
    detector: Literal["blazeface", "mtcnn"] = "blazeface"
    turn: Literal["auto", "0", "90", "180", "270"] = "auto"
    box: tuple[str, ...] = option((), repeated=True, argument="boxes")
    paste: bool = False
    strength: float = 1.0
    flip_average: bool = False
    fallback: bool = True
    gallery: bool = False
    side_by_side: bool = False
    uncertainty: bool = False
    overwrite: bool = False
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
    from ifrp_tf.recovery import folder, gallery  # late: --help and wrong usage need no numpy
    from ifrp_tf.recovery.manifest import write_table
    from ifrp_tf.recovery.recoverer import Options, Recoverer

    boxes, side_by_side = parse_boxes(request.box), request.side_by_side or request.gallery
    options = Options(
        faces="auto" if boxes else request.faces,
        boxes=boxes,
        paste=request.paste,
        strength=request.strength,
        flip_average=request.flip_average,
        fallback=request.fallback,
        detector=request.detector,
        turn=request.turn,
        uncertainty=request.uncertainty,
    )
    with folder.opened(request.input, request.output, options) as (manifest, jobs):
        recoverer = Recoverer.load(request.model, trust=request.trust)
        run = folder.Run(manifest, jobs, recoverer, options, side_by_side, request.overwrite)
        with Console(len(jobs)) as console:
            report = run.process(console.show)
        write_table(report.path)
        page = gallery.write_pages(report.path) if request.gallery else None
    print(f"{report.summary(len(jobs))}; model {recoverer.name}; {report.path}")
    if side_by_side and options.faces == "whole" and report.recovered + report.skipped:
        stem = jobs[0].stem if len(jobs) == 1 else "*"
        print(f"side by side: {manifest.folder / f'{stem}_side_by_side.png'}")
    if page is not None:
        print(f"gallery: {page}")
    return report.exit_code


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
