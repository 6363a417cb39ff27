"""Makes a portrait to try tools/recover.py on, from a public-domain photograph that comes with scikit-image.

python tools/sample_portrait.py --output=recovered/sample.png [--style=impasto] [--seed=1]

Exit code: 0 made, 1 it could not be written, 2 wrong usage.
"""

from __future__ import annotations

from absl import flags
from launch import launch

_OUTPUT = flags.DEFINE_string("output", None, "PNG file to write.", required=True)
_STYLE = flags.DEFINE_string("style", "impasto", "A style of ifrp_tf/styles/procedural.py.")
_SEED = flags.DEFINE_integer("seed", 1, "Of the style's random numbers.", lower_bound=0)


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.cli import sample

    print(sample.run(_OUTPUT.value, style=_STYLE.value, seed=_SEED.value))
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
