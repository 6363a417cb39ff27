"""Where fine-tuning starts: a run, a released model, or a weights file, taken over layer by layer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import keras

from ifrp_tf.core.errors import ModelError
from ifrp_tf.release import folder, weights
from ifrp_tf.systems import base


def start_from(network: keras.Model, sources: Sequence[str]) -> None:
    """Gives a network the weights of others, layer by layer where name and shapes agree.

    Later sources win. So a network may take its transformer from one run and all else from a released
    model; what nothing fits stays as it was, and the log says how much that is.

    Args:
        network: built; changed in place.
        sources: each a `.weights.h5` of exactly this network, the folder of a run, or a version folder
            such as `saved_models/ifrp/6` (or a folder of versions: the newest).

    Raises:
        ModelError: if a source cannot be used, or has no layer that fits.

    Example:
        >>> start_from(network, ["saved_models/ifrp", "runs/aligner"])  # doctest: +SKIP
    """
    for source in sources:
        path = Path(source)
        if not path.is_dir():
            weights.load(network, path)
            logging.info("starting from all of %s", path)
            continue
        found = _read(source)
        taken = [layer.name for layer in network.layers if layer.weights and _take(layer, found)]
        if not taken:
            raise ModelError(
                f"Expected layers of {source!r} that fit the network. Received: none that do.",
                hint="Its configuration is another: see config.json in it.",
            )
        left = [layer.name for layer in network.layers if layer.weights and layer.name not in taken]
        logging.info("starting from %s: %d layers taken, %d not there", source, len(taken), len(left))


def _take(layer: keras.layers.Layer, source: keras.Model) -> bool:
    other = next((found for found in source.layers if found.name == layer.name), None)
    if other is None or [w.shape for w in other.weights] != [w.shape for w in layer.weights]:
        return False
    layer.set_weights(other.get_weights())
    return True


def _read(source: str) -> keras.Model:
    place = folder.locate(source)
    path = place.path if place.kind == "weights" else folder.weights_in(place.path)
    if path is None:
        raise ModelError(
            f"Expected a version with its weights. Received: {source!r}, a graph alone.",
            hint="Releases up to 4 of ifrp, and versions exported without weights, cannot be trained on.",
        )
    network = base.build_released(folder.read_config(place))
    weights.load(network, path)
    return network
