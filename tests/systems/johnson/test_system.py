import numpy as np
import pytest

from ifrp_tf.core.presets import preset
from ifrp_tf.systems import base
from ifrp_tf.systems.base import Step
from ifrp_tf.systems.johnson.networks import build_transformer
from ifrp_tf.systems.johnson.settings import ModelConfig
from ifrp_tf.systems.johnson.system import CONTENT_LAYER, STYLE_LAYERS

TOY = preset("johnson_toy").override(["model.blocks=1"])


def pictures(count, seed=0, side=32):
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3)).astype("float32")


def test_the_parameters_are_those_of_the_papers_network():
    network = build_transformer(ModelConfig())
    norms = sum(layer.count_params() for layer in network.layers if "norm" in layer.name)
    assert network.count_params() - norms == 1_676_035
    assert network.output_shape == (None, 128, 128, 3)


def test_the_margin_may_be_wider_than_the_picture():
    assert build_transformer(ModelConfig(width=4), side=32).output_shape == (None, 32, 32, 3)


def gram(maps):
    x = np.asarray(maps).reshape(maps.shape[0], -1, maps.shape[-1])
    return np.einsum("nia,nib->nab", x, x) / x.shape[1]


def test_the_losses_are_the_papers():
    system = base.create(TOY)
    system.load_frozen("")
    batch = {"portraits": pictures(3), "photos": pictures(3, seed=1)}
    recovered = 0.5 * pictures(3, seed=2)
    total, values = system.main.loss(Step(batch, {"recovered": recovered}, {}, 0, None))
    made, content, photos = (system.vgg(x) for x in (recovered, batch["portraits"], batch["photos"]))
    expected = np.square(np.asarray(made[CONTENT_LAYER]) - content[CONTENT_LAYER]).mean()
    assert float(values["content"]) == pytest.approx(expected, rel=1e-4)
    style = 0.0
    for layer in STYLE_LAYERS:
        own, channels = gram(photos[layer]), made[layer].shape[-1]
        for k in range(3):  # the mean of the other two
            target = own[[j for j in range(3) if j != k]].mean(axis=0)
            style += np.square((gram(made[layer])[k] - target) / channels).sum() / 3
    assert float(values["style"]) == pytest.approx(style, rel=1e-3)
    steps = np.diff(recovered, axis=1), np.diff(recovered, axis=2)
    variation = sum(np.square(step).sum() for step in steps) / 3
    assert float(values["variation"]) == pytest.approx(variation, rel=1e-4)
    assert float(total) == pytest.approx(expected + 5 * style + 1e-6 * variation, rel=1e-3)
