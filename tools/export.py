"""Exports a run's network as a SavedModel that TensorFlow Serving and tools/recover.py load.

python tools/export.py --run=runs/modern --output=saved_models/ifrp/1 [--evaluation=table.md]

Exit code: 0 exported, 2 wrong usage, 3 the run has no usable model, or the version exists.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from launch import launch

_RUN = flags.DEFINE_string("run", None, "Folder of a training run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Version folder to make; ends in a number.", required=True)
_EVALUATION = flags.DEFINE_string(
    "evaluation", None, "Markdown file for the model card's evaluation section."
)


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf import quiet
    from ifrp_tf.errors import ConfigError

    evaluation = ""
    if _EVALUATION.value:
        try:
            evaluation = Path(_EVALUATION.value).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Expected a Markdown file as --evaluation. Received: {error}.") from error
    with quiet.start_up():
        from ifrp_tf import export

    print(export.run(_RUN.value, _OUTPUT.value, evaluation=evaluation))
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
