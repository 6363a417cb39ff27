"""Answers of systems that train nothing: each is found by minimising the system's objective."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras
import numpy as np
from scipy import optimize

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import TrainingError
from ifrp_tf.core.types import Tensor
from ifrp_tf.training.loop import is_jax

MEMORY = 20
"""Pairs of steps and gradients that L-BFGS remembers."""


class Recovering(Protocol):
    """A `Solved` system whose answers need nothing but the portrait, such as `systems.gatys`."""

    config: Config

    def targets(self, portraits: Any, photos: Any | None = None) -> Mapping[str, Tensor]:
        """What the answers to portraits are to agree with."""

    def objective(self, answers: Tensor, targets: Mapping[str, Any]) -> Tensor:
        """The loss of answers."""


def recover(
    system: Recovering,
    portraits: np.ndarray,
    photos: np.ndarray | None = None,
    *,
    seen: Callable[[int], object] | None = None,
) -> np.ndarray:
    """The answers of a system, one optimisation for each portrait.

    Args:
        system: its frozen networks loaded, fitted to photographs.
        portraits: float32 [N, S, S, 3] in [-1, 1]; where an answer begins.
        photos: the true photographs, for objectives that cheat.
        seen: called with the number of answers that are done.

    Returns:
        Float32 [N, S, S, 3] in [-1, 1].

    Raises:
        TrainingError: the objective is not finite.
    """
    answers, slope = np.empty_like(portraits), value_and_slope(system.objective)
    for k in range(len(portraits)):
        one = slice(k, k + 1)
        targets = system.targets(portraits[one], None if photos is None else photos[one])
        answers[one], _ = minimise(slope, portraits[one], targets, iterations=system.config.model.iterations)
        if seen is not None:
            seen(k + 1)
    return answers


def minimise(
    slope: Callable[[Any, Any], tuple[Tensor, Tensor]],
    start: np.ndarray,
    targets: Any,
    *,
    iterations: int,
    seconds: float = float("inf"),
    low: float = -1.0,
    high: float = 1.0,
) -> tuple[np.ndarray, list[float]]:
    """Minimises a scalar function of an array by L-BFGS-B.

    Args:
        slope: of `value_and_slope`.
        start: float32.
        targets: its second argument.
        iterations: at most.
        seconds: no iteration is begun after so many.
        low, high: bounds of every value.

    Returns:
        The array with the least value found, float32; the values at the start and after each iteration.

    Raises:
        TrainingError: a value or a slope is not finite.
    """

    def flat(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = (np.asarray(part) for part in slope(x.reshape(start.shape), targets))
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise TrainingError("Expected finite values of the objective. Received: one that is not.")
        return float(value), gradient.astype(np.float64).ravel()

    begun = time.monotonic()

    def heard(intermediate_result: optimize.OptimizeResult) -> None:
        values.append(float(intermediate_result.fun))
        if time.monotonic() - begun > seconds:
            raise StopIteration

    first = np.clip(start, low, high).astype(np.float64).ravel()
    values = [flat(first)[0]]
    found = optimize.minimize(
        flat,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=[(low, high)] * first.size,
        callback=heard,
        options={
            "maxiter": iterations,
            "maxfun": 2 * iterations + 10,
            "maxcor": MEMORY,
            "ftol": 0,
            "gtol": 0,
        },
    )
    return found.x.reshape(start.shape).astype(np.float32), values


def value_and_slope(function: Callable[[Tensor, Any], Tensor]) -> Callable[[Any, Any], tuple[Tensor, Tensor]]:
    """A compiled function of (x, targets) to a scalar and its gradient with respect to x, in float32.

    Args:
        function: of (x, targets), in `keras.ops`; `targets` may be a tensor or a dictionary of them.
    """
    if is_jax():
        import jax

        compiled = jax.jit(jax.value_and_grad(function))
    else:
        import tensorflow as tf

        @tf.function(reduce_retracing=True)
        def compiled(x: Tensor, targets: Any) -> tuple[Tensor, Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(x, targets)
            return value, tape.gradient(value, x)

    return lambda x, targets: compiled(
        keras.ops.convert_to_tensor(x, "float32"),
        keras.tree.map_structure(keras.ops.convert_to_tensor, targets),
    )
