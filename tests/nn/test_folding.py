import keras
import numpy as np
import pytest
import small_model

from ifrp_tf.core.config import Config
from ifrp_tf.nn.folding import fold_batch_norms
from ifrp_tf.systems.ifrp.settings import ModelConfig

PICTURES = np.random.default_rng(0).uniform(-1, 1, (2, 128, 128, 3)).astype(np.float32)


def norms(model):
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"stn": "input", "stn_bounded": True, "localisation": "light", "upsampling": "resize"}, 6),
        ({"stn": "none", "upsampling": "transposed", "skips": "unet", "skip_merge": "add"}, 0),
        ({"stn": "none", "normalization": "instance"}, 0),
    ],
    ids=["resize", "transposed", "instance"],
)
def test_folding_does_not_change_the_answer(options, left):
    srn = small_model.network(Config(model=ModelConfig(width=8, **options)))
    folded = fold_batch_norms(srn)
    expected, received = (np.asarray(model(PICTURES, training=False)) for model in (srn, folded))
    assert expected.std() > 0.1
    np.testing.assert_allclose(received, expected, atol=1e-4 * np.abs(expected).max())
    # What stays are the norms before the first convolution of a residual block: nothing linear precedes them.
    assert len(norms(folded)) == left
    assert all("_block" in name for name in norms(folded))


def test_a_norm_stays_where_something_else_reads_its_input_or_it_is_not_linear():
    picture = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(4, 3, name="shared")(picture)
    bent = keras.layers.Conv2D(4, 3, activation="relu", name="bent")(picture)
    bare = keras.layers.Conv2D(4, 3, use_bias=False, name="bare")(picture)
    parts = [
        keras.layers.BatchNormalization(name=f"norm_{x}")(y)
        for x, y in zip("sbu", (shared, bent, bare), strict=True)
    ]
    output = keras.layers.Add()([*parts, shared])
    model = keras.Model(picture, output)
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).uniform(0.5, 1.5, weight.shape))
    folded = fold_batch_norms(model)
    assert norms(folded) == norms(model)
    given = PICTURES[:, :8, :8]
    np.testing.assert_array_equal(folded(given, training=False), model(given, training=False))


def test_the_norm_before_the_output_is_folded_and_the_model_is_left_alone():
    picture = keras.Input((8, 8, 3))
    model = keras.Model(picture, keras.layers.BatchNormalization()(keras.layers.Dense(4)(picture)))
    for weight in model.weights:
        weight.assign(np.random.default_rng(2).uniform(0.5, 1.5, weight.shape))
    given = PICTURES[:, :8, :8]
    before = np.asarray(model(given, training=False))
    folded = fold_batch_norms(model)
    assert not norms(folded)
    np.testing.assert_allclose(folded(given, training=False), before, atol=1e-5)
    np.testing.assert_array_equal(model(given, training=False), before)
