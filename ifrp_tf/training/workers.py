"""Training on several TensorFlow workers: each takes its rows of every batch, and every mean is that of all.

The workers are those of `tf.distribute.MultiWorkerMirroredStrategy`: one process each, told of the others by
TF_CONFIG. It starts their servers and connects them. Its variables and its replica context are not used, for
they allow no collective operation inside a condition, where critics are trained: every worker holds all
variables, and as all start from the same numbers and apply the same means of gradients they stay equal.
A worker computes on one device.

So losses are those of one worker where they are means over pictures: to 1e-5 for `toy` with critic and gates,
to 5e-7 for `pix2pix` without its dropout, to 1e-7 for `normalised_face` (largest relative difference of a
mean over four steps, two workers, float32). What looks at more than one picture looks at a worker's own rows:
ratios of sums over a batch (DIAT's content term 4 %, AFRP's known attributes), a batch's other photographs
(Johnson's style term 2 %), neighbours (AFRP's wrong attributes .2 %), pools of earlier answers (CycleGAN's
critics 12 %, its other terms 4e-5), masks of a dropout (pix2pix 2 %). MGAN's first steps make differences of
rounding grow: 8e-5 after four steps, 4e-3 after eight.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor

_GROUP, _FIRST_INSTANCE = 20_000, 1_000_000  # keys that the strategy's own, which count from 1, never reach


def in_environment() -> int:
    """How many workers TF_CONFIG names; 1 without it.

    Raises:
        ConfigError: it names something else than workers.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        content = json.loads(text or "{}")
        cluster, task = content.get("cluster", {}), content.get("task", {})
        count = len(cluster.get("worker", ()))
        usable = not cluster or (set(cluster) == {"worker"} and 0 <= int(task["index"]) < count)
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise ConfigError(
            f"Expected TF_CONFIG with a cluster of workers and a task. Received: {text:.200}.",
            hint='Such as {"cluster": {"worker": ["a:22", "b:22"]}, "task": {"type": "worker", "index": 0}}.',
        )
    return max(1, count)


@functools.cache  # the command starts them before the run does
def start() -> Workers | None:
    """Connects the workers that TF_CONFIG names, once all are there; None where there is one alone.

    Raises:
        ConfigError: TF_CONFIG names something else than workers, or TensorFlow was used before.
    """
    return Workers() if in_environment() > 1 else None


class Workers:
    """The workers of a run, seen from one of them.

    Attributes:
        count: how many there are.
        index: which of them this one is; the first writes the run's folder.

    Raises:
        ConfigError: TensorFlow was used before.
    """

    def __init__(self) -> None:
        options = tf.distribute.experimental.CommunicationOptions(
            implementation=tf.distribute.experimental.CommunicationImplementation.RING
        )
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        except RuntimeError as error:
            raise ConfigError(f"Expected workers to be started first of all. Received: {error}") from error
        self._strategy = strategy  # while it lives, it watches over the others
        self.count = int(strategy.num_replicas_in_sync)
        self.index = int(strategy.cluster_resolver.task_id)
        if self.count != in_environment():
            raise ConfigError(
                f"Expected one device a worker. Received: {self.count} on {in_environment()} workers.",
                hint="Start a worker for every GPU, with CUDA_VISIBLE_DEVICES.",
            )
        self._instances = itertools.count(_FIRST_INSTANCE)

    @property
    def chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    def rows(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """This worker's rows of batches.

        Args:
            batches: of tuples of tensors [B, ...], B a multiple of `count`.
        """

        def own(*parts: Tensor) -> tuple[Tensor, ...]:
            size = tf.shape(parts[0])[0] // self.count
            return tuple(part[self.index * size : (self.index + 1) * size] for part in parts)

        return batches.map(own, num_parallel_calls=1, deterministic=True)

    def mean(self, values: Any) -> Any:
        """The means over the workers, of a structure of float tensors; gradients go through it.

        All workers must call it in the same order.
        """
        flat = [tf.convert_to_tensor(value) for value in tf.nest.flatten(values)]
        joined = tf.concat([tf.reshape(tf.cast(value, tf.float32), [-1]) for value in flat], 0)
        parts = tf.split(self._mean(joined), [tf.size(value) for value in flat], num=len(flat))
        shaped = [
            tf.ensure_shape(tf.cast(tf.reshape(part, tf.shape(value)), value.dtype), value.shape)
            for part, value in zip(parts, flat, strict=True)
        ]
        return tf.nest.pack_sequence_as(values, shaped)

    def _mean(self, values: Tensor) -> Tensor:
        @tf.custom_gradient
        def mean(x: Tensor) -> tuple[Tensor, Any]:
            return self._reduce(x, "Div"), self._mean

        return mean(values)

    def _reduce(self, values: Tensor, final: str) -> Tensor:
        with tf.device("CPU:0"):
            return tf.raw_ops.CollectiveReduceV2(
                input=values,
                group_size=self.count,
                group_key=_GROUP,
                instance_key=next(self._instances),
                ordering_token=[],
                merge_op="Add",
                final_op=final,
                communication_hint="ring",
            )

    def spread(self, variables: Sequence[Any]) -> None:
        """Gives all workers the first one's values.

        Args:
            variables: Keras variables, in the same order everywhere.
        """
        for variable in variables:
            value = tf.convert_to_tensor(variable.value)
            wide = value if value.dtype in (tf.float32, tf.int64) else tf.cast(value, tf.int64)
            total = self._reduce(wide if self.chief else tf.zeros_like(wide), "Id")
            variable.assign(tf.cast(total, value.dtype))

    def join_norms(self, networks: Sequence[keras.Model]) -> None:
        """Has batch norms take the mean and variance of the batches of all workers.

        Args:
            networks: those that are trained.
        """
        for network in networks:
            for layer in network._flatten_layers():
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer._moments = functools.partial(self._moments, layer)

    def _moments(self, layer: keras.layers.BatchNormalization, x: Tensor, mask: Tensor | None) -> Any:
        own, variance = tf.nn.moments(x, layer._reduction_axes)
        # Everybody's means, each in a row: a mean of squares less the square of the mean would lose what
        # small variances are made of.
        row = self.count * tf.one_hot(self.index, self.count, dtype=own.dtype)[:, None]
        means, within = self.mean([row * own, variance])
        return tf.reduce_mean(means, axis=0), within + tf.math.reduce_variance(means, axis=0)
