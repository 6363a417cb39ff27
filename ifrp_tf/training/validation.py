"""Fixed held-out portraits, and how well a network recovers them beside the two trivial answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from ifrp_tf.nn import metrics
from ifrp_tf.pictures import images
from ifrp_tf.systems.base import System

BATCH = 50


@dataclasses.dataclass(frozen=True)
class FixedPairs:
    """Portraits that never change with their photographs.

    Attributes:
        portraits: uint8 [N, S, S, 3].
        photos: uint8 [N, S, S, 3].
        mean_face: uint8 [S, S, 3], mean training photograph.
    """

    portraits: np.ndarray
    photos: np.ndarray
    mean_face: np.ndarray

    def trivial_scores(self) -> dict[str, dict[str, float]]:
        """PSNR and SSIM of the portraits as they are (`input`) and of the mean face (`mean_face`)."""
        constant = np.broadcast_to(self.mean_face, self.photos.shape)
        return {"input": score(self.portraits, self.photos), "mean_face": score(constant, self.photos)}


def recover(system: System, network: keras.Model, portraits: np.ndarray) -> np.ndarray:
    """The answers of a system, in batches of 50.

    Args:
        system: whose answers they are.
        network: its released network.
        portraits: uint8 [N, S, S, 3].

    Returns:
        Recovered faces, uint8 [N, S, S, 3].
    """
    answer = _answer(system, network)
    parts = [portraits[k : k + BATCH] for k in range(0, len(portraits), BATCH)]
    outputs = []
    for part in parts:
        # The last batch is padded so that every call has one shape: no retracing.
        padded = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
        recovered = answer(images.to_model_range(padded))
        outputs.append(images.to_uint8(np.asarray(recovered, dtype=np.float32))[: len(part)])
    return np.concatenate(outputs)


def _answer(system: System, network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """`system.recover` compiled once: Keras keeps the function of a model that is asked again."""
    if type(system).recover is System.recover:
        return network.predict_on_batch
    return lambda portraits: np.asarray(system.recover(network, portraits))


def scores(pictures: np.ndarray, photos: np.ndarray) -> dict[str, np.ndarray]:
    """PSNR in dB (capped at 100 for equal pictures) and SSIM of uint8 [N, S, S, 3] pairs: [N] each."""
    psnr, ssim = [], []
    for k in range(0, len(photos), BATCH):
        a, b = pictures[k : k + BATCH], photos[k : k + BATCH]
        psnr.append(np.minimum(np.asarray(metrics.psnr(a, b)), 100.0))
        ssim.append(np.asarray(metrics.ssim(a, b)))
    return {"psnr": np.concatenate(psnr), "ssim": np.concatenate(ssim)}


def score(pictures: np.ndarray, photos: np.ndarray) -> dict[str, float]:
    """The means of `scores`."""
    return {name: float(values.mean()) for name, values in scores(pictures, photos).items()}
