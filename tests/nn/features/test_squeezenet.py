import numpy as np
import pytest
from PIL import Image, ImageFilter

from ifrp_tf.core.errors import DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.nn.features import squeezenet
from ifrp_tf.pictures import images


def test_form_of_the_maps_and_nothing_to_train():
    network = squeezenet.squeezenet(None, outputs=("conv1", "fire3", "fire5", "fire9"))
    maps = network(np.zeros((2, 128, 128, 3), "float32"))
    assert {name: tuple(x.shape[1:]) for name, x in maps.items()} == {
        "conv1": (63, 63, 64), "fire3": (31, 31, 128), "fire5": (15, 15, 256), "fire9": (7, 7, 512)
    }  # fmt: skip
    assert not network.trainable_variables
    assert sum(int(np.prod(w.shape)) for w in network.weights) == 722_496


def test_the_distance_is_of_directions_not_of_lengths():
    maps = {"a": np.random.default_rng(0).random((3, 5, 5, 8)).astype("float32")}
    same = {"a": maps["a"] * 7}
    turned = {"a": maps["a"][..., ::-1]}
    np.testing.assert_allclose(squeezenet.perceptual_distance(maps, same), 0, atol=1e-5)
    found = np.asarray(squeezenet.perceptual_distance(maps, turned))
    assert found.shape == (3,)
    assert (found > 0.1).all()
    twice = squeezenet.perceptual_distance({**maps, "b": maps["a"]}, {**turned, "b": turned["a"]})
    np.testing.assert_allclose(twice, 2 * found, rtol=1e-5)


def test_another_archive_is_refused(tmp_path):
    np.savez(tmp_path / squeezenet.ARCHIVE, **{"conv1/kernel": np.zeros((3, 3, 3, 8), "float32")})
    with pytest.raises(DataError, match="SqueezeNet"):
        squeezenet.squeezenet(tmp_path)


def test_the_weights_see_blur_and_hardly_brightness(data_dir):
    network = squeezenet.squeezenet(data_dir / "weights")
    photos = toy_faces.draw(4, side=128, seed=1).pixels
    blurred = np.stack([np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(1))) for p in photos])
    lighter = np.clip(photos * 1.05, 0, 255).astype(np.uint8)
    truth, soft, light = (network(images.to_model_range(x)) for x in (photos, blurred, lighter))
    blur, light = (np.asarray(squeezenet.perceptual_distance(x, truth)).mean() for x in (soft, light))
    assert blur > 3 * light > 0
