import keras
import numpy as np
import pytest
from test_onnx_layers import check, in_onnx, numbers

from ifrp_tf.layers import BoundTransform, SpatialTransformer
from ifrp_tf.localisation import ComposeTransforms

TRANSFORMS = np.array(
    [[0.0, 1.0, 0.0, 0.0], [0.5, 1.3, 0.3, -0.2], [-1.2, 0.6, 0.0, 0.5], [0.3, 3.0, -0.7, 0.9]], "float32"
)


@pytest.mark.parametrize("fill", ["zero", "edge"])
@pytest.mark.parametrize("shape", [(16, 16), (9, 14)])
def test_the_spatial_transformer_turns_scales_and_shifts_the_same_way(fill, shape):
    warped = check_transformer(SpatialTransformer(fill), numbers(len(TRANSFORMS), *shape, 2), TRANSFORMS)
    # The transforms reach outside, so that the two ways to fill differ.
    assert (np.abs(warped).sum(axis=-1) == 0).any() == (fill == "zero")


def check_transformer(layer, *inputs):
    layer([keras.Input(array.shape[1:]) for array in inputs])
    expected = keras.ops.convert_to_numpy(layer(list(inputs)))
    np.testing.assert_allclose(in_onnx(layer, *inputs), expected, atol=1e-4)
    return expected


def test_bounded_transforms():
    bounded = check(BoundTransform(max_angle=0.7, max_scale=1.3, max_shift=0.2), 2 * numbers(5, 4))
    assert np.ptp(bounded, axis=0).min() > 0.1


def test_composed_transforms():
    other = TRANSFORMS[::-1].copy()
    composed = check_transformer(ComposeTransforms(), TRANSFORMS, other)
    assert np.abs(composed - TRANSFORMS).max() > 0.1
