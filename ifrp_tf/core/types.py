"""The one type alias that every room shares."""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A backend tensor, a symbolic Keras tensor or a NumPy array: what `keras.ops` takes and returns."""
