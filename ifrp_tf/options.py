"""What a user may ask of a recovery beyond its input and output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ifrp_tf.errors import ConfigError

FACES = ("whole", "auto")
"""`whole`: every picture is one face; `auto`: the faces in it are found."""


@dataclass(frozen=True)
class Options:
    """How faces are found and what is made of them.

    Attributes:
        faces: one of `FACES`.
        boxes: x, y, width, height of faces by hand, pixels of the upright picture; with `auto` instead of
            finding them.
        paste: whether the recovered faces are also blended into their picture.
        strength: of that blend, 0 to 1.
        flip_average: whether the network also sees the mirrored portrait, and the two answers are averaged.
        fallback: whether a picture in which no face is found is taken for one face as a whole.
        uncertainty: whether a picture and a number of how far the answers to slightly changed portraits
            spread are made of every face, too (`uncertainty.estimate`).

    Raises:
        ConfigError: an option is out of range, or two contradict each other.

    Example:
        >>> Options(faces="auto", paste=True, strength=0.8).settings()
        'auto paste 0.8'
    """

    faces: str = "whole"
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    paste: bool = False
    strength: float = 1.0
    flip_average: bool = False
    fallback: bool = True
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.faces not in FACES:
            raise ConfigError(f"Expected faces to be one of {', '.join(FACES)}. Received: {self.faces!r}.")
        if not 0.0 <= self.strength <= 1.0:
            raise ConfigError(f"Expected a strength from 0 to 1. Received: {self.strength!r}.")
        if self.faces == "whole" and (self.paste or self.boxes):
            what = "--paste" if self.paste else "--box"
            raise ConfigError(
                f"Expected --faces=auto with {what}. Received: --faces=whole.",
                hint="Of a picture that is one face as a whole no place in it is known.",
            )
        if self.strength != 1.0 and not self.paste:
            raise ConfigError(
                f"Expected --paste with --strength. Received: --strength={self.strength:g} alone.",
                hint="The strength blends the recovered face into the picture; the crop is always whole.",
            )

    def settings(self) -> str:
        """What makes other outputs of the same picture and model; empty for the defaults.

        The uncertainty is not among it: it adds an output and changes none.
        """
        words = ["auto"] if self.faces == "auto" else []
        words += ["box " + ",".join(f"{value:g}" for value in box) for box in self.boxes]
        if self.paste:
            words.append(f"paste {self.strength:g}")
        if self.flip_average:
            words.append("flip_average")
        if self.faces == "auto" and not self.fallback:
            words.append("nofallback")
        return " ".join(words)


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
