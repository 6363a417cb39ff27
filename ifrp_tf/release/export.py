"""From a training run to a version folder that TensorFlow Serving and `recover` load, whole or not at all."""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ifrp_tf.core.errors import ModelError
from ifrp_tf.core.files import missing_hint
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.folding import fold_batch_norms
from ifrp_tf.pictures import images
from ifrp_tf.release import card as model_card
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import in_graph, weights
from ifrp_tf.systems import base

MAX_BYTES = 45_000_000
"""The most that a version folder may hold."""

ATTRIBUTES = "recover_attributes"
"""The signature that takes attributes beside portraits."""

_TOLERANCE = 1.0
_FOLDED = 100 * 1024
_CHECKED, _WARM_UP = 8, "assets.extra/tf_serving_warmup_requests"


def run(run_dir: str | Path, output: str | Path, *, evaluation: str = "", with_weights: bool = True) -> Path:
    """Exports the released network of a run: stored as float16, computed in float32, two signatures.

    `serving_default` takes `portrait`, uint8 [N, side, side, 3], and gives `photo` of the same kind;
    `recover_bytes` takes `portrait_bytes`, PNG or JPEG files [N], and gives `photo_bytes`, PNG files [N]. A
    network that is told attributes has `recover_attributes` too, with `attributes`, float32 [N, A]. The
    version folder also gets `MODEL_CARD.md`, `config.json`, `mean_face.png`, warm-up requests, the weights
    for fine-tuning (`<network>.weights.h5`), and `SHA256SUMS`. It appears under its name when it is complete
    and checked.

    Args:
        run_dir: folder of a run that has finished at least one epoch.
        output: the version folder to make, such as `saved_models/ifrp/1`.
        evaluation: Markdown to put into the model card, such as a table of scores.
        with_weights: whether the weights for fine-tuning are beside the graph, which doubles its size.

    Returns:
        `output`.

    Raises:
        ConfigError: the last part of `output` is not a number.
        ModelError: the run has no sound model, the version exists, the export is too large, or its answers
            differ from those of the run's model by more than a level on average.

    Example:
        >>> run("runs/modern", "saved_models/ifrp/1")  # doctest: +SKIP
    """
    output = Path(os.path.normpath(output))
    model_folder.check_new(output)
    source = _run_model(Path(run_dir))
    config = model_folder.read_config(source)
    system, network = base.create(config), base.build_released(config)
    weights.load(network, source.path)
    for path in output.parent.glob(f".{output.name}.????????.tmp"):  # left by a killed process
        shutil.rmtree(path, ignore_errors=True)
    temporary = output.parent / f".{output.name}.{secrets.token_hex(4)}.tmp"
    try:
        temporary.mkdir(parents=True)
        _save(system, network, temporary)
        difference = _compare(system, network, temporary)
        (temporary / model_folder.CONFIG).write_text(json.dumps(config.to_dict(), indent=2), encoding="utf-8")
        shutil.copyfile(source.path.parent / model_folder.MEAN_FACE, temporary / model_folder.MEAN_FACE)
        _write_warm_up(temporary, output.parent.name, config.data.side, len(system.attributes))
        if with_weights:
            weights.write_half(source.path, temporary / source.path.name)
        card = model_card.write(
            name=f"{output.parent.name}/{output.name}",
            config=config,
            method=system.method,
            architecture=system.architecture(),
            terms=system.main.terms,
            parameters=network.count_params(),
            run=model_card.RunRecord.read(Path(run_dir)),
            difference=difference,
            evaluation=evaluation,
            weights=source.path.name if with_weights else "",
            attributes=system.attributes,
            **system.card,
        )
        (temporary / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        _check_size(temporary)
        model_folder.write_checksums(temporary)
        model_folder.verify(temporary)
        os.replace(temporary, output)
    except OSError as error:
        raise ModelError(f"{str(output)!r} could not be written: {error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return output


def signatures(network: keras.Model, system: base.System | None = None) -> dict[str, Any]:
    """The serving functions of a network, its weights held in them as float16 constants.

    Constants, not variables: they are cast to float32 once, when the graph is optimised, and not in every
    call.

    Args:
        network: float32 [N, S, S, 3] in [-1, 1] to the same, or of a list of it and of attributes [N, A];
            better folded first.
        system: whose network it is, where its answer is more than a call of the network (`System.recover`).

    Returns:
        `serving_default` and `recover_bytes`, `tf.function`s, and where the network is told attributes
        `recover_attributes`: the others tell it nothing then. They raise `InvalidArgumentError` for another
        height or width, for files that are not small PNG or JPEG pictures, and where the network's answer is
        not finite.

    Raises:
        ModelError: a weight does not fit float16.
    """
    side, told = int(network.inputs[0].shape[1]), bool(system and system.attributes)
    stored = [
        [_stored(variable) for variable in variables]
        for variables in (network.trainable_variables, network.non_trainable_variables)
    ]

    pixels = tf.TensorSpec((None, side, side, 3), tf.uint8, name="portrait")
    files = tf.TensorSpec((None,), tf.string, name="portrait_bytes")
    numbers = tf.TensorSpec((None, len(system.attributes) if system else 0), tf.float32, name="attributes")

    # One function inside all signatures, so that its constants are stored once.
    @tf.function(autograph=False, input_signature=[pixels, numbers] if told else [pixels])
    def answered(portrait: Tensor, *attributes: Tensor) -> Tensor:
        count = tf.shape(portrait)[0]
        # TensorFlow's fused convolutions refuse an empty batch: one picture too many, cut off again.
        padding = [0, tf.cast(count == 0, tf.int32)]
        portrait = tf.pad(portrait, [padding, [0, 0], [0, 0], [0, 0]])
        state = [[_to_single(value) for value in part] for part in stored]

        def answer(x: Any, training: bool = False) -> Tensor:
            return network.stateless_call(*state, x, training=training)[0]

        x = images.to_model_range(portrait)
        if system is None:
            recovered = answer(x)
        elif told:
            given = tf.pad(tf.clip_by_value(attributes[0], -1.0, 1.0), [padding, [0, 0]])
            recovered = system.recover_told(answer, x, given)
        else:
            recovered = system.recover(answer, x)
        # Checked here because NaN cast to uint8 is 0: a plausible black face.
        recovered = tf.debugging.assert_all_finite(recovered, "The network's answer is not finite.")
        return images.to_uint8(recovered)[:count]

    def recover(portrait: Tensor) -> Tensor:
        return (
            answered(portrait, tf.zeros((tf.shape(portrait)[0], numbers.shape[1])))
            if told
            else answered(portrait)
        )

    @tf.function(autograph=False, input_signature=[pixels])
    def serving_default(portrait: Tensor) -> dict[str, Tensor]:
        return {"photo": recover(tf.ensure_shape(portrait, (None, side, side, 3)))}

    @tf.function(autograph=False, input_signature=[files])
    def recover_bytes(portrait_bytes: Tensor) -> dict[str, Tensor]:
        portraits = tf.map_fn(
            lambda data: in_graph.decode_portrait(data, side),
            portrait_bytes,
            parallel_iterations=2,
            fn_output_signature=tf.TensorSpec((side, side, 3), tf.uint8),
        )
        # Of a photograph the search of level 6 saves 4 % more and takes almost three times as long.
        encode = functools.partial(tf.io.encode_png, compression=3)
        photos = tf.map_fn(encode, recover(portraits), fn_output_signature=tf.string)
        return {"photo_bytes": photos}

    if not told:
        return {"serving_default": serving_default, "recover_bytes": recover_bytes}

    @tf.function(autograph=False, input_signature=[pixels, numbers])
    def recover_attributes(portrait: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        return {"photo": answered(tf.ensure_shape(portrait, (None, side, side, 3)), attributes)}

    return {
        "serving_default": serving_default,
        "recover_bytes": recover_bytes,
        ATTRIBUTES: recover_attributes,
    }


def _stored(variable: keras.Variable) -> np.ndarray:
    """What is kept of a variable: floats as float16, others (the state of a dropout) whole."""
    value = keras.ops.convert_to_numpy(variable)
    return weights.to_half(value, variable.path) if value.dtype.kind == "f" else value


def _to_single(half: np.ndarray) -> Tensor:
    """A constant, cast in pieces: a cast to over 100 KiB is not folded when a graph is optimised.

    Such weights would be cast in every call, and oneDNN, which lays out again only what is constant, would
    read them up to three times more slowly. One constant all the same: `exported` reads them back.
    """
    if half.dtype.kind != "f":
        return tf.constant(half)
    count = -(-4 * half.size // _FOLDED)
    if count == 1:
        return tf.cast(tf.constant(half), tf.float32)
    sizes = [len(piece) for piece in np.array_split(half.ravel(), count)]
    pieces = tf.split(tf.reshape(tf.constant(half), (-1,)), sizes)
    return tf.reshape(tf.concat([tf.cast(piece, tf.float32) for piece in pieces], axis=0), half.shape)


def _run_model(run_dir: Path) -> model_folder.ModelFolder:
    model = run_dir / "model"
    wanted = [("*" + model_folder.WEIGHTS, model_folder.weights_in(model)), (model_folder.MEAN_FACE, None)]
    for name, found in wanted:
        path = found or model / name
        if not path.is_file():
            message = (
                f"Expected a run that has finished an epoch, with {str(path)!r}. Received: no such file."
            )
            raise ModelError(message, hint=missing_hint(path))
    return model_folder.locate(run_dir)


def _save(system: base.System, network: keras.Model, folder: Path) -> None:
    functions = signatures(fold_batch_norms(network), system)
    tf.saved_model.save(tf.Module(), str(folder), signatures=functions)


def _compare(system: base.System, network: keras.Model, folder: Path) -> tuple[float, int]:
    """Mean and largest difference in levels between the run's network and what was saved."""
    side = system.config.data.side
    noise = np.random.default_rng(0).integers(0, 256, (_CHECKED, 8, 8, 3)).astype(np.uint8)
    portraits = np.stack([images.resize(pixels, side) for pixels in noise])
    expected = images.to_uint8(
        keras.ops.convert_to_numpy(system.recover(network, images.to_model_range(portraits)))
    )
    served = tf.saved_model.load(str(folder)).signatures
    received = served["serving_default"](portrait=tf.constant(portraits))["photo"].numpy()
    difference = np.abs(received.astype(int) - expected.astype(int))
    if system.attributes:
        told = np.random.default_rng(1).uniform(-1, 1, (_CHECKED, len(system.attributes))).astype(np.float32)
        expected = system.recover_told(network, images.to_model_range(portraits), told)
        expected = images.to_uint8(keras.ops.convert_to_numpy(expected))
        given = {"portrait": tf.constant(portraits), "attributes": tf.constant(told)}
        received = served[ATTRIBUTES](**given)["photo"].numpy()
        difference = np.concatenate([difference, np.abs(received.astype(int) - expected.astype(int))])
    mean, largest = float(difference.mean()), int(difference.max())
    if mean > _TOLERANCE:
        raise ModelError(
            f"Expected float16 storage to change answers by at most {_TOLERANCE} levels on average. "
            f"Received: {mean:.2f}, at most {largest}.",
            hint="The network amplifies rounding errors: look at the sizes of its weights.",
        )
    return mean, largest


def _write_warm_up(folder: Path, name: str, side: int, attributes: int) -> None:
    # TensorFlow Serving replays these before it calls the version available: no slow first request.
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    grey = np.full((side, side, 3), 128, np.uint8)
    inputs: dict[str, dict[str, Any]] = {
        "serving_default": {"portrait": grey[None]},
        "recover_bytes": {"portrait_bytes": [images.encode_png(grey)]},
    }
    if attributes:
        inputs[ATTRIBUTES] = {
            "portrait": grey[None],
            "attributes": np.zeros((1, attributes), np.float32),
        }
    path = folder / _WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, given in inputs.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = name, signature
            for key, value in given.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString(deterministic=True))


def _check_size(folder: Path) -> None:
    if _size(folder) > MAX_BYTES:
        raise ModelError(
            f"Expected a version folder of at most {MAX_BYTES:,} bytes. Received: {_size(folder):,}.",
            hint="A smaller model.width, or model.localisation=light, makes a smaller network.",
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
