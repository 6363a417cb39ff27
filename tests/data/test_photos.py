import numpy as np
import pytest
from PIL import Image

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import DataError
from ifrp_tf.data import photos
from ifrp_tf.data.photos import PhotoSet


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for name in (
        "celeba/1.jpg",
        "celeba/2.jpg",
        "lfw/Ann Lee/1.jpg",
        "lfw/Ann Lee/2.jpg",
        "lfw/Bo [x]/1.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (40, 40, 3), np.uint8)).save(path)
    (tmp_path / "celeba" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    return tmp_path


def test_load_reads_everything_and_names_what_it_drops(folder):
    found = photos.load(folder, DataConfig(side=32))
    assert found.pixels.shape == (5, 32, 32, 3)
    assert found.pixels.dtype == np.uint8
    assert len(found.names) == 5
    assert [name for name, _ in found.dropped] == ["celeba/broken.jpg"]
    assert found.dropped[0][1]


def test_crop_takes_the_centre(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:48, 16:48] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert photos.load(tmp_path, DataConfig(side=32, crop=32)).pixels.min() == 200
    assert photos.load(tmp_path, DataConfig(side=32, crop=0)).pixels.min() == 0


def test_cache_gives_the_same_and_notices_changes(folder, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    config = DataConfig(side=32)
    first = photos.load(folder, config, cache=cache)
    again = photos.load(folder, config, cache=cache)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.names, first.dropped) == (again.names, again.dropped)
    (folder / "celeba" / "1.jpg").unlink()
    assert len(photos.load(folder, config, cache=cache)) == 4


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(DataError, match=r"Expected photographs in .* Received 1 files"):
        photos.load(tmp_path, DataConfig())


def test_persons_come_from_folders_below_the_first_level():
    assert photos.person_of("lfw/Ann Lee/1.jpg") == "lfw/Ann Lee"
    assert photos.person_of("aaf/17.jpg") == "aaf/17.jpg"
    assert photos.person_of("17.jpg") == "17.jpg"


def test_split_keeps_persons_apart_and_does_not_depend_on_order():
    names = tuple(f"lfw/p{k // 3}/{k}.jpg" for k in range(30)) + tuple(f"celeba/{k}.jpg" for k in range(30))
    pixels = np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)
    everything = PhotoSet(pixels, names)
    training, held = photos.split(everything, 10)
    assert len(held) == 10
    assert not set(training.persons) & set(held.persons)
    for part in (training, held):
        for name, picture in zip(part.names, part.pixels, strict=True):
            assert picture[0, 0, 0] == names.index(name)
    order = np.random.default_rng(1).permutation(60)
    _, shuffled = photos.split(everything.select(order), 10)
    assert set(shuffled.persons) == set(held.persons)


def test_split_needs_something_to_train_on():
    with pytest.raises(DataError, match="validation_count=4"):
        photos.split(PhotoSet(np.zeros((4, 2, 2, 3), np.uint8), ("a", "b", "c", "d")), 4)


def test_mean_face_is_the_mean():
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (2050, 4, 4, 3), np.uint8)
    mean = photos.mean_face(PhotoSet(pixels, tuple(str(k) for k in range(2050))))
    np.testing.assert_allclose(mean, pixels.astype(float).mean(axis=0), atol=0.5001)
