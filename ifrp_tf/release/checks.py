"""Checks of a version against Keras with the same rounded weights, and its forms for other runtimes.

The served function answers in uint8, which hides small errors. So its graph is run up to the point where its
answer is still float32, and compared there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ifrp_tf.core import files
from ifrp_tf.core.errors import ModelError
from ifrp_tf.data import photos, toy_faces
from ifrp_tf.pictures import images
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import graph_weights, litert, onnx
from ifrp_tf.systems import base
from ifrp_tf.systems.base import System

BATCHES = (1, 7, 64)
TOLERANCE, LEVELS = 1e-4, 1
"""Largest difference of other runtimes before the conversion to uint8, in [-1, 1]; and of any after it."""

_FINITE = "CheckNumerics"


def verify(folder: str | Path, *, faces: str = "", batches: Sequence[int] = BATCHES) -> dict[str, Any]:
    """Compares both signatures of a version with its Keras network, on faces, at several batch sizes.

    Args:
        folder: a version folder.
        faces: pictures to compare on: a file, folder or pattern; empty = drawn ones.
        batches: numbers of pictures, 1 or more each.

    Returns:
        `pictures` (what they were), `float` (largest difference before uint8), `serving_default` and
        `recover_bytes` (largest difference in levels), by batch size.

    Raises:
        ModelError: they differ by more than the system's tolerance or `LEVELS`, or the folder is not whole.
        DataError: there is no picture in `faces`.

    Example:
        >>> verify("saved_models/ifrp/1")["float"]  # doctest: +SKIP
        {1: 1.2e-06, 7: 1.5e-06, 64: 1.7e-06}
    """
    folder = Path(folder)
    model_folder.verify(folder)
    srn, system = graph_weights.load_srn(folder), _system(folder)
    side = int(srn.inputs[0].shape[1])
    portraits = _faces(faces, max(batches), side)
    loaded = tf.saved_model.load(str(folder))
    before = _Unrounded(folder)
    result: dict[str, Any] = {
        "pictures": faces or "drawn faces",
        "float": {},
        "serving_default": {},
        "recover_bytes": {},
    }
    for batch in batches:
        pixels = portraits[:batch]
        levels = images.to_uint8(_answers(system, srn, pixels))
        told = [_attributes(batch, int(x.shape[1])) for x in srn.inputs[1:]]
        difference = before(pixels, *told) - _answers(system, srn, pixels, *told)
        result["float"][batch] = float(np.abs(difference).max())
        photos = loaded.signatures["serving_default"](portrait=tf.constant(pixels))["photo"].numpy()
        encoded = tf.constant([images.encode_png(one) for one in pixels])
        recovered = loaded.signatures["recover_bytes"](portrait_bytes=encoded)["photo_bytes"].numpy()
        decoded = np.stack([images.read(one).pixels for one in recovered])
        for name, received in (("serving_default", photos), ("recover_bytes", decoded)):
            result[name][batch] = _levels(received, levels)
    _judge(folder, result, system.tolerance)
    return result


def write_onnx(folder: str | Path, target: str | Path = "") -> tuple[Path, float]:
    """Writes a version's network as ONNX, after ONNX Runtime gave the answers that Keras gives.

    Args:
        folder: a version folder; nothing is added to it, for its files are listed in `SHA256SUMS`.
        target: the file to write; empty = beside the folder, as `<version>.onnx`.

    Returns:
        The file, and the largest difference before uint8.

    Raises:
        ConfigError: `onnx`, `tf2onnx` or `onnxruntime` is not installed.
        ModelError: the answers differ by more than `TOLERANCE`.
        DataError: the file cannot be written.

    Example:
        >>> write_onnx("saved_models/ifrp/1")  # doctest: +SKIP
        (PosixPath('saved_models/ifrp/1.onnx'), 2.1e-06)
    """
    srn = _verified(folder)
    model = onnx.build(srn)
    difference = _compared(srn, onnx.Session(model, threads=1), "ONNX Runtime")
    return _written(folder, target, ".onnx", model.SerializeToString()), difference


def write_litert(folder: str | Path, target: str | Path = "") -> tuple[Path, float]:
    """Writes a version's network for LiteRT, after its interpreter gave the answers that Keras gives.

    Args:
        folder, target: as of `write_onnx`; `<version>.tflite`.

    Returns:
        The file, and the largest difference before uint8.

    Raises:
        ModelError: the answers differ by more than `TOLERANCE`.
        DataError: the file cannot be written.
    """
    srn = _verified(folder)
    model = litert.build(srn)
    difference = _compared(srn, litert.Session(model), "LiteRT")
    return _written(folder, target, ".tflite", model), difference


def _verified(folder: str | Path) -> keras.Model:
    model_folder.verify(Path(folder))
    network = graph_weights.load_srn(Path(folder))
    if isinstance(network.output, dict):
        raise ModelError(
            f"Expected a network with one picture as its answer. Received: {sorted(network.output)}, which "
            f"{_system(folder).name} makes a picture of outside of it."
        )
    return network


def _system(folder: str | Path) -> System:
    return base.create(model_folder.read_config(model_folder.locate(folder)))


def _compared(srn: keras.Model, session: Callable[..., np.ndarray], name: str) -> float:
    difference = 0.0
    for batch in (1, 7):
        pixels = _faces("", batch, int(srn.inputs[0].shape[1]))
        told = [_attributes(batch, int(x.shape[1])) for x in srn.inputs[1:]]
        received = session(images.to_model_range(pixels), *told)
        difference = max(difference, float(np.abs(received - _network(srn, pixels, *told)).max()))
    if not difference <= TOLERANCE:
        message = f"Expected {name} to answer as Keras does, up to {TOLERANCE}. Received: {difference:.2g}."
        raise ModelError(message)
    return difference


def _written(folder: str | Path, target: str | Path, suffix: str, data: bytes) -> Path:
    path = Path(target) if target else Path(folder).with_name(f"{Path(folder).name}{suffix}")
    files.write_bytes_atomic(path, data)
    return path


class _Unrounded:
    """The function inside all signatures, up to its float32 answer."""

    def __init__(self, folder: Path) -> None:
        from tensorflow.core.protobuf import saved_model_pb2

        saved_model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        meta_graph = saved_model.meta_graphs[0]
        functions = meta_graph.graph_def.library.function
        found = [each for each in functions if any(node.op == _FINITE for node in each.node_def)]
        if len(found) != 1 or len(found[0].signature.input_arg) not in (1, 2):
            raise ModelError(f"Expected one function with a {_FINITE} in {str(folder)!r}: export it again.")
        finite = next(node.name for node in found[0].node_def if node.op == _FINITE)
        self._graph = tf.Graph()
        with self._graph.as_default():
            given = found[0].signature.input_arg
            self._inputs = [
                tf.compat.v1.placeholder(one.type, name=name)
                for one, name in zip(given, ("pixels", "told"), strict=False)
            ]
            (self._output,) = tf.graph_util.import_graph_def(
                _as_graph(found[0]),
                input_map={f"{one.name}:0": x for one, x in zip(given, self._inputs, strict=True)},
                return_elements=[f"{finite}:0"],
                name="",
            )

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        with tf.compat.v1.Session(graph=self._graph) as session:
            return np.asarray(session.run(self._output, dict(zip(self._inputs, inputs, strict=True))))


def _as_graph(function: Any) -> Any:
    """A function's body as a graph: there `node:output:0` is `node:0`, as each op here has one output."""
    graph = tf.compat.v1.GraphDef()
    for given in function.signature.input_arg:
        graph.node.add(name=given.name, op="Placeholder").attr["dtype"].type = given.type
    for node in function.node_def:
        copy = graph.node.add()
        copy.CopyFrom(node)
        del copy.input[:]
        copy.input.extend(re.sub(r"^([^^:]+):[^:]+:(\d+)$", r"\1:\2", each) for each in node.input)
    graph.versions.producer = tf.version.GRAPH_DEF_VERSION
    return graph


def _answers(system: System, network: keras.Model, pixels: np.ndarray, *told: np.ndarray) -> np.ndarray:
    """What a system makes of its network's outputs, float32 in about [-1, 1]."""
    x = images.to_model_range(pixels)
    answers = system.recover_told(network, x, *told) if told else system.recover(network, x)
    return np.asarray(keras.ops.convert_to_numpy(answers))


def _network(srn: keras.Model, pixels: np.ndarray, *told: np.ndarray) -> np.ndarray:
    """The answer of the network, which is told nothing unless it is said what."""
    x: Any = images.to_model_range(pixels)
    if len(srn.inputs) > 1:
        x = [x, *(told or [np.zeros((len(pixels), srn.inputs[1].shape[1]), np.float32)])]
    return np.asarray(keras.ops.convert_to_numpy(srn(x, training=False)))


def _attributes(count: int, kinds: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, kinds)).astype(np.float32)


def _levels(received: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(received.astype(int) - expected.astype(int)).max())


def _faces(source: str, count: int, side: int) -> np.ndarray:
    if not source:
        return np.asarray(toy_faces.draw(count, side=side).pixels)
    paths = files.list_pictures(source)[:count]
    pixels = np.stack([photos.read(path, side, rule="letterbox") for path in paths])
    return np.resize(pixels, (count, side, side, 3))  # from the start again where there are too few


def _judge(folder: Path, result: dict[str, Any], tolerance: float) -> None:
    for name, limit in (("float", tolerance), ("serving_default", LEVELS), ("recover_bytes", LEVELS)):
        for batch, difference in result[name].items():
            if not difference <= limit:
                raise ModelError(
                    f"{str(folder)!r}: expected {name} at batch {batch} to differ from Keras by at most "
                    f"{limit}. Received: {difference:.3g}.",
                    hint="Do not use this version: export it again.",
                )
