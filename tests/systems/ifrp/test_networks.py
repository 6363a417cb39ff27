import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import pairwise

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.systems.ifrp.networks import ALIGNMENT_LAYER, build_discriminator, build_srn
from ifrp_tf.systems.ifrp.settings import ModelConfig

IDENTITY = np.array([0.0, 1.0, 0.0, 0.0], "float32")
# Bounded transformers have no authors' start, so the two options are one here.
OPTIONS = {
    "skips": ["top2_residual", "none", "unet", "top2"],
    "skip_merge": ["concat", "add"],
    "stn": ["paper", "input", "none"],
    "localisation": ["full", "light"],
    "start": ["identity", "authors", "bounded"],
    "upsampling": ["transposed", "resize"],
    "output": ["linear", "tanh"],
    "bottleneck": ["conv", "dense"],
    "normalization": ["batch", "instance", "group", "none"],
}
COMBINATIONS = pairwise(OPTIONS)


def configured(start="identity", **options):
    if start == "bounded":
        return ModelConfig(width=8, stn_bounded=True, **options)
    return ModelConfig(width=8, stn_start=start, **options)


def pictures(count=2, side=64):
    return np.random.default_rng(count).uniform(-1, 1, (count, side, side, 3)).astype("float32")


def trainable(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def named(network, prefix):
    """Parameters of the layers whose name begins with `prefix`."""
    return sum(layer.count_params() for layer in network.layers if layer.name.startswith(prefix))


def transforms(network):
    """A model from the portrait to what every localisation network predicts."""
    outputs = {layer.name: layer.output for layer in network.layers if layer.name.endswith("_transform")}
    return keras.Model(network.input, outputs)


def gradients(network, x):
    with tf.GradientTape() as tape:
        y = network(x, training=True)
        # Not a plain sum: normalisations would cancel its gradient.
        loss = tf.reduce_mean(tf.square(y - 0.3 * tf.cos(7.0 * y)))
    return tape.gradient(loss, network.trainable_variables)


# The published networks.


@pytest.fixture(scope="module")
def journal():
    return build_srn()


@pytest.fixture(scope="module")
def conference():
    return build_srn(ModelConfig(srn="wacv"))


def test_journal_has_the_parameters_of_the_reconstruction(journal):
    assert (trainable(journal), journal.count_params()) == (9_788_255, 9_793_375)


def test_localisation_networks_have_the_papers_parameters(journal, conference):
    assert [named(journal, f"stn{k}_") for k in (1, 2, 3, 4)] == [438_944, 420_448, 346_592, 453_756]
    assert [named(conference, f"stn{k}_") for k in (1, 2, "3_wacv")] == [438_944, 420_448, 28_384]


def test_conference_networks_have_the_parameters_of_the_code(conference):
    assert trainable(conference) == 8_364_451
    assert trainable(build_srn(ModelConfig(srn="fdnn", stn="none"))) == 7_476_675
    assert trainable(build_srn(ModelConfig(srn="wacv", stn="none"))) == 7_476_675


def test_discriminator_has_the_parameters_of_the_code():
    assert trainable(build_discriminator()) == 6_663_457


def test_journal_has_the_papers_sizes(journal):
    sizes = {
        name: journal.get_layer(name).output.shape[1:]
        for name in (
            "stn1",
            "stn2",
            "stn3",
            "stn4",
            "e5_conv",
            "bottleneck_conv",
            "skip2_concat",
            "skip1_concat",
        )
    }
    assert sizes == {
        "stn1": (64, 64, 32),
        "stn2": (32, 32, 64),
        "stn3": (16, 16, 128),
        "stn4": (32, 32, 64),
        "e5_conv": (4, 4, 512),
        "bottleneck_conv": (4, 4, 512),
        "skip2_concat": (32, 32, 128),
        "skip1_concat": (64, 64, 64),
    }
    blocks = [layer.name for layer in journal.layers if "block" in layer.name and layer.name.endswith("_add")]
    assert sorted(blocks) == [f"skip{level}_block{k}_add" for level in (1, 2) for k in (1, 2, 3)]
    assert journal.output_shape == (None, 128, 128, 3)


def test_conference_decoder_convolves_before_it_doubles(conference):
    """The code: 512 -> 256 at 2x2, each doubling after its ReLU, the third transformer at 8x8."""
    sizes = [conference.get_layer(f"d{k}_conv").output.shape[1:] for k in range(1, 8)]
    sides, channels = [2, 4, 8, 16, 32, 64, 128], [256, 128, 64, 512, 256, 128, 64]
    assert sizes == [(side, side, width) for side, width in zip(sides, channels, strict=True)]
    assert conference.get_layer("stn3_wacv").output.shape[1:] == (8, 8, 128)
    assert [conference.get_layer(f"stn{k}").output.shape[1:] for k in (1, 2)] == [(64, 64, 32), (32, 32, 64)]


def test_discriminator_pools_normalises_then_activates():
    network = build_discriminator()
    kinds = [type(layer).__name__ for layer in network.layers[1:]]
    stage = ["Conv2D", "MaxPooling2D", "BatchNormalization", "LeakyReLU"]
    assert kinds == [*(stage * 4), "Flatten", "Dense", "LeakyReLU", "Dense"]
    kernels = [network.get_layer(f"d{k}_conv").kernel.shape for k in range(1, 5)]
    assert kernels == [(5, 5, 3, 32), (5, 5, 32, 64), (5, 5, 64, 128), (3, 3, 128, 96)]
    assert network.get_layer("flatten").output.shape == (None, 6144)
    assert network.get_layer("d1_leaky").negative_slope == pytest.approx(0.2)


# Every option.


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda options: "-".join(options.values()))
def test_every_option_builds_learns_and_survives_a_file(options, tmp_path):
    """Any two options together: shape, finite output, gradients everywhere, `.keras` round trip."""
    config = configured(**options)
    needs_full_side = config.stn == "paper" and config.localisation == "full"
    side = 128 if needs_full_side else 64
    network, x = build_srn(config, side=side), pictures(2, side)
    y = network(x)
    assert y.shape == (2, side, side, 3)
    assert y.dtype == tf.float32
    assert np.isfinite(y).all()
    assert config.output == "linear" or np.abs(y).max() <= 1.0

    # The last layer of a localisation network starts at zero, and what lies before it then gets a gradient
    # of exactly zero: the first update changes that, and so does this.
    for variable in network.trainable_variables:
        if "transform/kernel" in variable.path or "free/kernel" in variable.path:
            variable.assign(0.02 * np.random.normal(size=variable.shape))
    for variable, gradient in zip(network.trainable_variables, gradients(network, x), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
        # A bias before a normalisation over its own channel is taken out again: nothing to learn there.
        if not (config.normalization != "none" and variable.path.endswith("conv/bias")):
            assert np.abs(gradient).max() > 0.0, variable.path

    network.save(tmp_path / "srn.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "srn.keras")(x), network(x))


def test_combinations_hold_every_pair():
    for a in OPTIONS:
        for b in OPTIONS:
            if a != b:
                met = {(row[a], row[b]) for row in COMBINATIONS}
                assert len(met) == len(OPTIONS[a]) * len(OPTIONS[b])


@pytest.mark.parametrize("normalization", ["batch", "group"])
def test_conference_networks_run_and_learn(normalization):
    network = build_srn(ModelConfig(srn="wacv", localisation="light", normalization=normalization))
    x = pictures(2, 128)
    assert network(x).shape == (2, 128, 128, 3)
    assert all(gradient is not None for gradient in gradients(network, x))


@pytest.mark.parametrize("normalization", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("side", [32, 128])
def test_discriminator_builds_for_every_normalisation(normalization, side, tmp_path):
    network = build_discriminator(
        ModelConfig(discriminator_width=8, discriminator_normalization=normalization), side=side
    )
    x = pictures(3, side)
    logits = network(x)
    assert logits.shape == (3, 1)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()
    for variable, gradient in zip(network.trainable_variables, gradients(network, x), strict=True):
        assert gradient is not None, variable.path
        assert variable.path.endswith("conv/bias") or np.abs(gradient).max() > 0.0, variable.path
    network.save(tmp_path / "dn.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "dn.keras")(x), network(x))


# The transformers.


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"stn": "paper"}, IDENTITY),
        ({"stn": "paper", "start": "bounded"}, IDENTITY),
        ({"stn": "input", "localisation": "light"}, IDENTITY),
        ({"stn": "input", "start": "bounded"}, IDENTITY),
        ({"stn": "paper", "start": "authors", "localisation": "light"}, [1.0, 1.0, 0.0, 0.0]),
        ({"stn": "input", "start": "authors"}, [1.0, 1.0, 0.0, 0.0]),
    ],
)
def test_transformers_start_where_they_should_for_any_input(options, start):
    predicted = transforms(build_srn(configured(**options), side=128))(100.0 * pictures(2, 128))
    assert len(predicted) == (4 if options["stn"] == "paper" else 1)
    for name, value in predicted.items():
        np.testing.assert_array_equal(value, [start, start], err_msg=name)


def test_at_the_start_an_input_transformer_changes_nothing():
    config = ModelConfig(width=8, stn="input")
    network = build_srn(config, side=64)
    seen = keras.Model(network.input, network.get_layer("stn0").output)
    x = pictures()
    np.testing.assert_allclose(seen(x), x, atol=1e-4)
    assert network.get_layer(ALIGNMENT_LAYER).output.shape == (None, 4)


def test_networks_without_transformers_have_none():
    for config in (ModelConfig(width=8, stn="none"), ModelConfig(srn="fdnn")):
        assert not [layer.name for layer in build_srn(config).layers if "stn" in layer.name]


# Using them.


def test_one_picture_gives_what_it_gives_within_a_batch():
    network = build_srn(configured(stn="input", localisation="light"), side=64)
    network(pictures(4), training=True)  # statistics that are not those of the start
    x = pictures(3)
    np.testing.assert_allclose(network(x[1:2])[0], network(x)[1], atol=1e-5)


def test_sides_other_than_128():
    for side in (32, 96, 160):
        assert build_srn(ModelConfig(width=8, stn="input"), side=side).output_shape == (None, side, side, 3)
    assert build_srn(ModelConfig(width=8, localisation="light"), side=32).output_shape == (None, 32, 32, 3)
    assert build_srn(ModelConfig(width=8), side=256).output_shape == (None, 256, 256, 3)


@pytest.mark.parametrize(
    ("config", "side", "message"),
    [
        (ModelConfig(), 100, r"multiple of 32 .*Received: 100"),
        (ModelConfig(srn="wacv"), 64, r"128 for wacv, fdnn\)\. Received: 64"),
        (
            ModelConfig(),
            64,
            r"side of 128 or more for stn=paper .*Received: 64\. .*choose localisation=light",
        ),
        (
            ModelConfig(width=12, normalization="group", stn="none"),
            64,
            r"multiple of 8 channels for group norm",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(config, side, message):
    with pytest.raises(ConfigError, match=message):
        build_srn(config, side=side)


def test_mixed_precision_keeps_variables_and_output_in_float32(bfloat16):
    config = ModelConfig(width=8, localisation="light")
    network = build_srn(config, side=64)
    x = pictures()
    half = network(x)
    assert half.dtype == tf.float32
    assert {variable.dtype for variable in network.variables} <= {"float32", "uint32"}
    assert network.get_layer("e1_conv").output.dtype == "bfloat16"
    assert network.get_layer("stn1_transform").output.dtype == "float32"
    keras.config.set_dtype_policy("float32")
    single = build_srn(config, side=64)
    single.set_weights(network.get_weights())
    error = np.abs(np.asarray(half) - np.asarray(single(x)))
    assert error.mean() < 0.03 * np.abs(single(x)).mean()


def test_works_within_a_graph_and_a_data_pipeline():
    network = build_srn(configured(stn="input", localisation="light"), side=32)
    x = pictures(2, 32)
    expected = np.asarray(network(x))
    np.testing.assert_allclose(tf.function(network)(x), expected, atol=1e-5)
    (mapped,) = tf.data.Dataset.from_tensors(x).map(lambda batch: network(batch, training=False))
    np.testing.assert_allclose(mapped, expected, atol=1e-5)


def test_options_change_the_network():
    """No option is silently ignored: each one alone changes the layers, the start or the output."""

    def traits(config):
        network = build_srn(config, side=128)
        layers = [(layer.name, type(layer).__name__) for layer in network.layers]
        final = [
            v.numpy().tolist() for v in network.weights if v.path.endswith(("transform/bias", "free/bias"))
        ]
        return layers, final, network.count_params(), network.layers[-1].get_config().get("activation")

    base = traits(ModelConfig(width=8))
    for field in dataclasses.fields(ModelConfig):
        if field.name in ("discriminator_width", "discriminator_normalization", "align_side"):
            continue
        other = {"width": 16, "stn_bounded": True, "skip_blocks": 1, "deep_blocks": 1}.get(field.name)
        if other is None:
            other = next(value for value in _choices(field.name) if value != field.default)
        assert traits(ModelConfig(**{"width": 8, field.name: other})) != base, field.name


def test_with_a_side_for_alignment_the_same_weights_serve_two_sizes():
    config = ModelConfig(width=8, stn="input", localisation="cascade", align_side=32, deep_blocks=1)
    small, large = build_srn(config, side=32), build_srn(config, side=64)
    large.set_weights(small.get_weights())
    shrunk = large.get_layer("stn0_shrink").output.shape
    assert shrunk == (None, 32, 32, 3) == small.get_layer("stn0_shrink").output.shape
    x = np.repeat(np.repeat(np.asarray(pictures(2, 32)), 2, axis=1), 2, axis=2)
    ends = [keras.Model(one.input, one.get_layer(ALIGNMENT_LAYER).output) for one in (small, large)]
    np.testing.assert_allclose(ends[1](x), ends[0](x[:, ::2, ::2]), atol=1e-5)


def test_blocks_are_where_they_are_asked_for():
    network = build_srn(ModelConfig(width=8, stn="input", skip_blocks=1, deep_blocks=2), side=64)
    names = {layer.name.partition("_conv")[0] for layer in network.layers if "_block" in layer.name}
    names = {"_".join(name.split("_")[:2]) for name in names}
    skips = {"skip1_block1", "skip2_block1"}
    assert names == skips | {f"deep{k}_block{block}" for k in (4, 3) for block in (1, 2)}


def _choices(name):
    return {"srn": ["ijcv", "wacv"], "stn_start": ["identity", "authors"], **OPTIONS}[name]


def test_jax_agrees(two_backends):
    expected, received = two_backends
    for name in ("srn_paper", "srn_input", "dn"):
        assert np.std(expected[f"networks/{name}"]) > 1e-3
        np.testing.assert_allclose(
            received[f"networks/{name}"], expected[f"networks/{name}"], rtol=1e-4, atol=1e-4, err_msg=name
        )
