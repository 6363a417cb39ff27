"""Makes a portrait to try tools/recover.py on, from a public-domain photograph that comes with scikit-image.

python tools/sample_portrait.py --output=recovered/sample.png [--style=impasto] [--seed=1]

Exit code: 0 made, 1 it could not be written, 2 wrong usage.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `sample_portrait` is asked for.

    Attributes:
        output: PNG file to write.
        style: A style of ifrp_tf/styles/procedural.py.
        seed: Of the style's random numbers.
    """

    output: str
    style: str = "impasto"
    seed: int = option(1, low=0)


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.data import sample

    print(sample.run(request.output, style=request.style, seed=request.seed))
    return 0
