"""Layers, losses, metrics and frozen networks in `keras.ops`: runs in `tf.data`, in a step, under JAX."""
