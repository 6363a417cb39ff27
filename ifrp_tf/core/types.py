"""The type alias that every package uses."""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A backend tensor, a symbolic Keras tensor or a NumPy array: what `keras.ops` takes and returns."""
