"""Exports a run's network as a SavedModel that TensorFlow Serving and tools/recover.py load.

python tools/export.py --run=runs/modern --output=saved_models/ifrp/1 [--evaluation=table.md]
python tools/export.py --output=saved_models/ifrp/1 --verify --onnx        # of a version that is there

--verify compares the version with its Keras network: before uint8 and after, both signatures, batches of 1, 7
and 64. --onnx writes <version>.onnx beside it, checked against Keras.

Exit code: 0 exported, 2 wrong usage, 3 the run has no usable model, the version exists,
or it does not answer as Keras does.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from launch import launch

_RUN = flags.DEFINE_string("run", "", "Folder of a training run. Empty: --output is there already.")
_OUTPUT = flags.DEFINE_string("output", None, "Version folder to make; ends in a number.", required=True)
_VERIFY = flags.DEFINE_boolean("verify", False, "Compare the version with Keras.")
_FACES = flags.DEFINE_string("faces", "", "Pictures to compare on. Empty: drawn faces.")
_ONNX = flags.DEFINE_boolean("onnx", False, "Also write <version>.onnx.")
_EVALUATION = flags.DEFINE_string(
    "evaluation", None, "Markdown file for the model card's evaluation section."
)


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.core.errors import ConfigError
    from ifrp_tf.release import folder

    if not _RUN.value and not (_VERIFY.value or _ONNX.value):
        raise ConfigError("Expected --run, or --verify or --onnx of a version that is there.")
    evaluation = ""
    if _EVALUATION.value:
        try:
            evaluation = Path(_EVALUATION.value).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Expected a Markdown file as --evaluation. Received: {error}.") from error
    if _RUN.value:
        folder.check_new(_OUTPUT.value)
    source = Path(_RUN.value or _OUTPUT.value)
    if not source.exists():
        folder.locate(source)  # says so
    with runtime.start_up():  # late: wrong usage need not wait for TensorFlow
        from ifrp_tf.release import checks, export

    if _RUN.value:
        print(export.run(_RUN.value, _OUTPUT.value, evaluation=evaluation))
    if _VERIFY.value:
        for name, found in checks.verify(_OUTPUT.value, faces=_FACES.value).items():
            print(f"{name}: {found}")
    if _ONNX.value:
        path, difference = checks.write_onnx(_OUTPUT.value)
        print(f"{path}: differs from Keras by at most {difference:.2g}")
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
