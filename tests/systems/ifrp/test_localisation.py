import numpy as np
import pytest

from benchmarks import arithmetic
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.nn.layers import affine_grid, bilinear_sample
from ifrp_tf.systems.ifrp.localisation import ALIGNMENT_LAYER, ComposeTransforms
from ifrp_tf.systems.ifrp.networks import build_srn
from ifrp_tf.systems.ifrp.settings import ModelConfig

FIRST = np.array([[0.4, 1.2, 0.1, -0.2], [0.0, 1.0, 0.0, 0.0], [-0.3, 0.9, 0.0, 0.2]], "float32")
SECOND = np.array([[-0.2, 0.9, 0.05, 0.1], [0.5, 1.1, 0.2, -0.1], [0.0, 1.0, 0.0, 0.0]], "float32")


def points(parameters):
    """The 3x3 matrices of transforms, as products of their factors (appendix A)."""
    matrices = []
    for angle, scale, y, x in np.asarray(parameters, np.float64):
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        matrices.append(turn @ np.diag([scale, scale, 1]) @ np.array([[1, 0, y], [0, 1, x], [0, 0, 1]]))
    return np.stack(matrices)


def test_composition_is_the_product_of_the_matrices():
    composed = ComposeTransforms()([FIRST, SECOND])
    np.testing.assert_allclose(points(composed), points(FIRST) @ points(SECOND), atol=1e-6)


def test_composition_reads_what_two_readings_read():
    y, x = np.meshgrid(np.linspace(-1, 1, 65), np.linspace(-1, 1, 65), indexing="ij")
    picture = np.stack([np.sin(2 * x + y), np.cos(2 * y)], -1)[None].repeat(3, 0).astype("float32")
    twice = bilinear_sample(bilinear_sample(picture, affine_grid(FIRST, 65, 65)), affine_grid(SECOND, 65, 65))
    once = bilinear_sample(picture, affine_grid(ComposeTransforms()([FIRST, SECOND]), 65, 65))
    inner = slice(24, 41)
    np.testing.assert_allclose(
        np.asarray(once)[:, inner, inner], np.asarray(twice)[:, inner, inner], atol=5e-3
    )


@pytest.mark.parametrize("bounded", [True, False])
def test_a_cascade_starts_at_the_identity_and_has_two_stages(bounded):
    config = ModelConfig(srn="aligner", stn="input", localisation="cascade", stn_bounded=bounded)
    aligner = build_srn(config, side=64)
    picture = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(aligner(picture)), picture, atol=1e-4)
    assert aligner.get_layer(ALIGNMENT_LAYER).output.shape == (None, 4)
    names = {layer.name.split("_")[0] for layer in aligner.layers if layer.weights}
    assert names == {"align1", "align2"}
    assert arithmetic.multiply_adds(aligner) > 10**6


def test_the_second_stage_sees_what_the_first_aligned():
    config = ModelConfig(srn="aligner", stn="input", localisation="cascade", stn_bounded=True)
    aligner = build_srn(config, side=64)
    free = aligner.get_layer("align1_free")
    free.bias.assign([0.4, 0.0, 0.0, 0.0])
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype("float32")
    assert np.abs(np.asarray(aligner(picture)) - picture).mean() > 0.1
    assert aligner.get_layer("align2_conv1").input is aligner.get_layer("align1").output


@pytest.mark.parametrize("options", [{"srn": "aligner"}, {"localisation": "cascade"}])
def test_both_need_the_input_transformer(options):
    with pytest.raises(ConfigError, match="stn=input"):
        ModelConfig(**options)
