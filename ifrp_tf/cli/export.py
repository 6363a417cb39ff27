"""Exports a run's network as a SavedModel that TensorFlow Serving and tools/recover.py load.

python tools/export.py --run=runs/modern --output=saved_models/ifrp/1 [--evaluation=table.md]
python tools/export.py --output=saved_models/ifrp/1 --verify --onnx --litert    # of a version that is there

--verify compares the version with its Keras network: before uint8 and after, both signatures, batches of 1, 7
and 64. --onnx and --litert write <version>.onnx and .tflite beside it, checked against Keras.

Exit code: 0 exported, 2 wrong usage, 3 the run has no usable model, the version exists,
or it does not answer as Keras does.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `export` is asked for.

    Attributes:
        run: Folder of a training run. Empty: --output is there already.
        output: Version folder to make; ends in a number.
        verify: Compare the version with Keras.
        faces: Pictures to compare on. Empty: drawn faces.
        onnx: Also write <version>.onnx.
        litert: Also write <version>.tflite, for phones.
        evaluation: Markdown file for the model card's evaluation section.
        weights: Also keep the weights that fine-tuning starts from, as large as the graph.
    """

    run: str = ""
    output: str
    verify: bool = False
    faces: str = ""
    onnx: bool = False
    litert: bool = False
    evaluation: str | None = None
    weights: bool = True


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.core.errors import ConfigError
    from ifrp_tf.release import folder

    if not (request.run or request.verify or request.onnx or request.litert):
        raise ConfigError("Expected --run, or --verify, --onnx or --litert of a version that is there.")
    evaluation = ""
    if request.evaluation:
        try:
            evaluation = Path(request.evaluation).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Expected a Markdown file as --evaluation. Received: {error}.") from error
    if request.run:
        folder.check_new(request.output)
    source = Path(request.run or request.output)
    if not source.exists():
        folder.locate(source)  # says so
    with runtime.start_up():  # late: wrong usage need not wait for TensorFlow
        from ifrp_tf.release import checks, export

    if request.run:
        print(export.run(request.run, request.output, evaluation=evaluation, with_weights=request.weights))
    if request.verify:
        for name, found in checks.verify(request.output, faces=request.faces).items():
            print(f"{name}: {found}")
    for wanted, write in ((request.onnx, checks.write_onnx), (request.litert, checks.write_litert)):
        if wanted:
            path, difference = write(request.output)
            print(f"{path}: differs from Keras by at most {difference:.2g}")
    return 0
