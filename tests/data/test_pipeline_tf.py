import dataclasses

import foreign_table
import helpers
import numpy as np
import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import DataError
from ifrp_tf.data import photos as photos_room
from ifrp_tf.data import pipeline_tf, toy_faces
from ifrp_tf.styles import formulas

ASSIGN = [
    "data.side=64", "train.batch_size=8", "train.epoch_pictures=40", "train.pictures=100", "data.group=4",
]  # fmt: skip


@pytest.fixture(scope="module")
def photos():
    return toy_faces.draw(48, side=64, seed=1)


@pytest.fixture(scope="module")
def config():
    return Config().override(ASSIGN)


def collect(photos, config, step, count=5, styles=formulas.TRAIN[:2]):
    """The first `count` batches from `step` on; five are an epoch of 40 pictures."""
    return list(pipeline_tf.batches(photos, config, step=step, styles=styles).take(count).as_numpy_iterator())


def test_batches_have_the_documented_form(photos, config):
    batches = collect(photos, config, 0)
    portraits, targets, transforms = batches[0]
    assert portraits.shape == targets.shape == (8, 64, 64, 3)
    assert portraits.dtype == targets.dtype == transforms.dtype == np.float32
    assert transforms.shape == (8, 4)
    for part in (portraits, targets):
        assert np.isfinite(part).all()
        assert part.min() >= -1
        assert part.max() <= 1
    known = {picture.tobytes() for picture in photos.pixels}
    known |= {np.ascontiguousarray(picture[:, ::-1]).tobytes() for picture in photos.pixels}
    for target in targets:
        assert np.round((target + 1) * 255 / 2).astype(np.uint8).tobytes() in known


def test_a_step_is_a_function_of_seed_and_step_alone(photos, config):
    whole = collect(photos, config, 0)
    resumed = collect(photos, config, 3, count=2)
    for a, b in zip(whole[3:], resumed, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    other = collect(photos, config.override(["train.seed=2"]), 0)
    assert not np.array_equal(whole[0][0], other[0][0])


def test_there_is_no_end(photos, config):
    """A training step that met the end of its data would fail half done."""
    beyond = 10 * config.train.steps
    assert len(collect(photos, config, beyond, count=2)) == 2


def test_every_pass_shows_every_photograph_once(config):
    pixels = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    photos = toy_faces.draw(1).__class__(pixels, tuple(str(k) for k in range(40)))
    passes = [
        np.concatenate([batch[1][:, 0, 0, 0] for batch in collect(photos, config, step)]) for step in (0, 5)
    ]
    for seen in passes:
        assert len(np.unique(seen.round(4))) == 40
    assert not np.array_equal(passes[0], passes[1])


def test_fixed_portraits_never_change_and_take_styles_in_turn(photos, config):
    dataset = pipeline_tf.fixed_portraits(photos.select(range(6)), config.data, styles=formulas.TRAIN[:3])
    first, again = (list(dataset.as_numpy_iterator()) for _ in range(2))
    assert len(first) == 6
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_allclose((first[2][1] + 1) * 255 / 2, photos.pixels[2], atol=0.51)


def test_too_few_photographs_is_an_error(photos, config):
    with pytest.raises(DataError, match="batch_size=8 photographs. Received: 4"):
        pipeline_tf.batches(photos.select(range(4)), config)


@pytest.mark.parametrize(("tones", "levels"), [(0.0, {101, 102}), (1.0, {10})])
def test_some_groups_are_hand_drawn(tmp_path, tones, levels):
    helpers.write_drawings(tmp_path, {1: 101, 2: 102})
    chosen = [f"data.sketches={tmp_path}", "data.sketch_share=0.5", f"data.sketch_tones={tones}"]
    config = Config().override([*ASSIGN, *chosen, "data.degrade=0.0"])
    level = np.full((16, 64, 64, 3), 10, np.uint8)
    others = dataclasses.replace(toy_faces.draw(16, side=64), pixels=level)
    batches = collect(others, config, 0, count=8)
    photo = np.concatenate([batch[1] for batch in batches]).reshape(16, 4, 64, 64, 3)
    portrait = np.concatenate([batch[0] for batch in batches]).reshape(16, 4, 64, 64, 3)
    drawn = [k for k in range(16) if np.abs(portrait[k] - (2 * 1.5 / 255 - 1)).max() < 0.01]  # levels 1 and 2
    assert 3 <= len(drawn) <= 13
    assert {round(float(x + 1) * 127.5) for x in photo[drawn].mean((2, 3, 4)).ravel()} == levels


def test_some_groups_are_foreign_and_never_of_photographs_held_out(tmp_path):
    """Photographs have one level each, portraits another: which was taken for which can be read off."""
    known = [f"set/{k}.jpg" for k in range(20)]
    rows = [(str(k), f"train/{name}", 100 + k, 0.0) for k, name in enumerate(known)]
    foreign_table.write(tmp_path, rows)
    level = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    training = photos_room.PhotoSet(level[:16], tuple(known[:16]))  # 16 to 19 are held out
    config = Config().override(
        [*ASSIGN, f"data.foreign={tmp_path}", "data.foreign_share=0.5", "data.degrade=0.0"]
    )
    batches = collect(training, config, 0, count=12, styles=("tonal",))
    portrait = np.concatenate([batch[0] for batch in batches]).reshape(24, 4, 64, 64, 3)
    photo = np.concatenate([batch[1] for batch in batches]).reshape(24, 4, 64, 64, 3)
    transform = np.concatenate([batch[2] for batch in batches]).reshape(24, 4, 4)
    levels = np.round((portrait[:, :, 32, 32, 0] + 1) * 127.5).astype(int)
    own = np.round((photo[:, :, 32, 32, 0] + 1) * 127.5).astype(int)
    foreign = [
        k for k in range(24) if (portrait[k] == portrait[k][:, :1, :1]).all() and levels[k].min() >= 100
    ]
    assert 6 <= len(foreign) <= 18
    np.testing.assert_array_equal(levels[foreign], own[foreign] + 100)
    assert own.max() < 16
    assert np.ptp(transform[foreign][..., 0]) > 0.1  # turned a little further
    again = collect(training, config, 7, count=2, styles=("tonal",))
    for a, b in zip(batches[7:9], again, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_streams_of_later_numbers_are_not_met(photos):
    """Streams from 16 on would be those of the next group, were the seed not another."""
    noise = pipeline_tf._noise(2, np.int64(3), 5)
    following = pipeline_tf._noise(2, np.int64(4), 5)
    assert not np.array_equal(noise(16, 4), following(0, 4))
    assert not np.array_equal(noise(16, 4), noise(32, 4))
    np.testing.assert_array_equal(noise(15, 4), pipeline_tf._noise(2, np.int64(3), 5)(15, 4))
