import json

import numpy as np
import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import pipeline_tf, prepare, shards, toy_faces
from ifrp_tf.data.prepare import Request
from ifrp_tf.data.shards import Prepared
from ifrp_tf.pictures import images
from ifrp_tf.training import run

COUNT = 26
CONFIG = Config().override(
    [
        "data.side=32", "data.styles=pencil,oil", "data.group=2", "data.validation_count=4",
        "data.degrade=0.0", "train.batch_size=4", "train.pictures=400", "train.epoch_pictures=40",
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("shards")
    for k, pixels in enumerate(toy_faces.draw(COUNT, side=32).pixels):
        images.write_png(root / "photos" / f"{k}.png", pixels)
    for name, portraits in (("plain", 0), ("rendered", 3)):
        asked = Request(
            source=str(root / "photos"),
            output=str(root / name),
            data=CONFIG.data,
            shards=4,
            portraits=portraits,
        )
        assert prepare.run(asked) == 0
    return root


def collect(folder, step, count, config=CONFIG):
    batches = Prepared.open(folder, config.data).batches(config, step=step)
    return list(batches.take(count).as_numpy_iterator())


@pytest.mark.slow
def test_elements_are_those_of_batches_on_the_fly(folders):
    rendered = Prepared.open(folders / "rendered", CONFIG.data)
    on_the_fly = pipeline_tf.batches(rendered.load("train"), CONFIG)
    for (portrait, photo, transform), theirs in zip(
        collect(folders / "rendered", 0, 1)[0:1], on_the_fly.take(1).as_numpy_iterator(), strict=True
    ):
        for mine, other in zip((portrait, photo, transform), theirs, strict=True):
            assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        assert np.abs(portrait).max() <= 1
        assert np.abs(portrait - photo).mean() > 0.05
    assert len(rendered) == COUNT - 4
    assert rendered.batches(CONFIG).element_spec[0].shape[1:] == (32, 32, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "rendered"])
def test_a_step_is_a_function_of_seed_and_step_alone(folders, name):
    whole = collect(folders / name, 0, 13)
    # 22 photographs: a pass ends within step 5. Stylising on the fly is traced anew every time.
    for step in (5,) if name == "plain" else (1, 5, 6, 11):
        for mine, other in zip(collect(folders / name, step, 2), whole[step:], strict=False):
            for a, b in zip(mine, other, strict=True):
                np.testing.assert_array_equal(a, b)
    other = collect(folders / name, 0, 1, CONFIG.override(["train.seed=2"]))
    assert not np.array_equal(other[0][1], whole[0][1])
    assert len(collect(folders / name, 10 * CONFIG.train.steps, 2)) == 2


def test_the_manifest_names_the_styles_of_what_is_rendered(folders):
    for name, styles in (("plain", []), ("rendered", ["pencil", "oil"])):
        assert json.loads((folders / name / "manifest.json").read_text())["styles"] == styles


def test_a_pass_shows_every_photograph_once_and_every_pass_other_portraits(folders):
    rendered = Prepared.open(folders / "rendered", CONFIG.data)
    photos = {}
    for k, pixels in enumerate(rendered.load("train").pixels):
        photos[pixels.tobytes()] = photos[pixels[:, ::-1].tobytes()] = k
    seen, portraits = [], {}
    for portrait, photo, _ in collect(folders / "rendered", 0, 33):  # 132 pictures: six passes
        for one, of in zip(images.to_uint8(portrait), images.to_uint8(photo), strict=True):
            seen.append(photos[of.tobytes()])
            portraits.setdefault(seen[-1], []).append(one.tobytes())
    passes = np.array(seen).reshape(6, 22)
    assert all(sorted(row) == list(range(22)) for row in passes)
    assert len({tuple(row) for row in passes}) == 6
    for shown in portraits.values():
        assert len(set(shown[:3])) == 3  # each of the three
        assert shown[3:] == shown[:3]


def test_transforms_undo_the_misalignment_of_mirrored_portraits_as_well(folders):
    """Portraits without style or degradation, put upright again, are their photographs."""
    from ifrp_tf.nn import layers

    found = collect(folders / "rendered", 0, 11)
    portrait, photo, transform = (np.concatenate(parts) for parts in zip(*found, strict=True))
    grid = layers.affine_grid(transform, 32, 32)
    upright = np.asarray(layers.bilinear_sample(portrait, grid))
    inner = (slice(None), slice(8, 24), slice(8, 24))

    def likeness(pictures):
        pairs = zip(pictures[inner].mean(axis=-1), photo[inner].mean(axis=-1), strict=True)
        return np.median([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])

    assert likeness(upright) > likeness(portrait) + 0.05
    assert likeness(upright) > likeness(upright[:, :, ::-1]) + 0.05


def test_parts_for_training(folders, tmp_path):
    training, held_out = run.load_photos(CONFIG, str(folders / "rendered"), None)
    assert isinstance(training, Prepared)
    assert (len(training), len(held_out)) == (COUNT - 4, 4)
    first = training.select(range(3))
    np.testing.assert_array_equal(first.pixels, training.load("train").pixels[:3])
    photographs, _ = run.load_photos(CONFIG, str(folders / "plain"), None)
    assert not set(photographs.names) & set(held_out.names)
    mean = photographs.pixels.astype(float).mean(axis=0)
    np.testing.assert_allclose(training.mean_face, mean, atol=0.51)
    np.testing.assert_array_equal(training.parts(rendered=False)[0].pixels, photographs.pixels)
    source = images.read(folders / "photos" / photographs.names[0]).pixels
    np.testing.assert_array_equal(photographs.pixels[0], source)


def test_what_does_not_fit_is_refused(folders, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.side=32, not 64"):
        Prepared.open(folders / "plain", CONFIG.override(["data.side=64"]).data)
    other = CONFIG.override(["data.max_angle=5.0"])
    assert Prepared.open(folders / "plain", other.data)
    with pytest.raises(ConfigError, match=r"data\.max_angle=30\.0, not 5\.0"):
        Prepared.open(folders / "rendered", other.data)
    with pytest.raises(DataError, match="batch_size=24 photographs. Received: 22"):
        collect(folders / "rendered", 0, 1, CONFIG.override(["train.batch_size=24"]))
    for path in (folders / "rendered").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert shards.is_prepared(tmp_path)
    shard = sorted(tmp_path.glob("train-*"))[0]
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(DataError, match=shard.name):
        Prepared.open(tmp_path, CONFIG.data)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(DataError, match="format 99"):
        Prepared.open(tmp_path, CONFIG.data)
    assert not shards.is_prepared(tmp_path / "none")
    assert not shards.is_prepared("")


def test_a_shard_is_written_whole_or_not_at_all(tmp_path):
    def failing():
        yield {
            "name": "a",
            "photo": np.zeros((8, 8, 3), np.uint8),
            "portraits": [],
            "transforms": [],
            "mirrored": [],
        }
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write_shard(tmp_path / "x.tfrecord", failing())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not be written"):
        shards.write_shard(tmp_path / "file" / "x.tfrecord", iter(()))


@pytest.mark.slow
def test_training_on_shards_learns_from_their_portraits(folders, tmp_path):
    config = CONFIG.override(
        [
            "model.width=8", "model.skips=none", "model.stn=none", "loss.identity_network=none",
            "loss.identity=0.0", "loss.adversarial=0.0", "train.pictures=8", "train.epoch_pictures=8",
        ]
    )  # fmt: skip
    last = run.run(config, str(folders / "rendered"), tmp_path / "run")
    assert last["step"] == 2
