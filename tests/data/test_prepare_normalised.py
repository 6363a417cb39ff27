import json

import numpy as np
import pytest

from ifrp_tf.core import files
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import landmarks, prepare_normalised, toy_faces
from ifrp_tf.data.normalised import KINDS, Faces, drawn
from ifrp_tf.pictures import images


@pytest.fixture(scope="module")
def workshop():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare_normalised, "_BATCH", 8)
        yield prepare_normalised.Workshop("")


@pytest.fixture(scope="module")
def pool():
    return drawn(24, 5)


def test_light_from_one_side_is_evened_out_and_colours_move_half_way():
    flat = np.full((128, 128, 3), (150.0, 110.0, 90.0))
    slope = np.linspace(-40, 40, 128)[None, :, None]
    aim = np.array([150.0, 110.0, 90.0])
    inner = prepare_normalised.inner_face()
    made = prepare_normalised.even(flat + slope, aim)
    assert np.abs(made - flat)[inner].max() < 8  # 30 and more before
    red = prepare_normalised.even(flat * [1.1, 1, 1], aim)
    np.testing.assert_allclose(red[inner].mean(axis=0), [150 * 1.1**0.5, 110, 90], rtol=1e-3)
    dark = prepare_normalised.even(flat * 0.3, aim)
    np.testing.assert_allclose(dark[inner].mean(axis=0), 0.3 * 1.15 * aim, rtol=1e-3)
    texture = toy_faces.draw(1, side=128, seed=1).pixels[0].astype(float)
    small = texture - prepare_normalised.even(texture, texture[inner].mean(axis=0))
    assert np.abs(np.diff(small, axis=1)).max() < 6  # what is fine stays as it is


def test_pictures_count_by_how_frontal_they_are():
    quality = np.array([[1, 0, 0, 0.5], [1, 10, 0, 0.5], [1, -10, 0.1, 0.5]])
    weights = prepare_normalised.weights_of(quality)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights[0] / weights[1:], [np.e, np.e**2])


def test_a_morph_of_a_face_with_itself_is_that_face(workshop, pool):
    one = Faces(("a", "b"), np.array([2, 2]), *(np.repeat(part[:1], 2, axis=0) for part in (
        pool.textures, pool.landmarks, pool.embeddings, pool.features)), np.arange(2))  # fmt: skip
    made = prepare_normalised.morphs(one, np.array([[1], [0]]), 2, np.random.default_rng(0), workshop)
    assert np.abs(made.textures.astype(int) - one.textures).max() <= 1
    np.testing.assert_allclose(made.landmarks, one.landmarks, atol=1e-6)
    assert made.features.shape == (2, 512)
    assert set(made.kinds) == {KINDS.index("morph")}


def test_shape_and_texture_of_a_morph_are_between_two_and_apart(workshop, pool):
    near = prepare_normalised.neighbours(pool)
    assert near.shape == (24, 2)
    assert all(k not in row for k, row in enumerate(near))
    made = prepare_normalised.morphs(pool, near, 6, np.random.default_rng(2), workshop)
    for k, name in enumerate(made.names):
        a, b = (pool.names.index(part) for part in name.split())
        assert b in near[a]
        low, high = np.minimum(*pool.landmarks[[a, b]]), np.maximum(*pool.landmarks[[a, b]])
        assert ((made.landmarks[k] >= low - 1e-6) & (made.landmarks[k] <= high + 1e-6)).all()
    again = prepare_normalised.morphs(pool, near, 6, np.random.default_rng(2), workshop)
    np.testing.assert_array_equal(made.textures, again.textures)


def test_held_out_persons_are_whole_and_those_of_every_training():
    names = [f"lfw/p{k:03}/{j}.jpg" for k in range(120) for j in range(4)] + [
        f"aaf/{k}.jpg" for k in range(40)
    ]
    held = prepare_normalised.held_out(names, 40)
    persons = {name.rsplit("/", 1)[0] for name in held if name.startswith("lfw")}
    assert all(name in held for name in names if name.rsplit("/", 1)[0] in persons)
    everything = prepare_normalised.photos.PhotoSet(np.empty((len(names), 0), np.uint8), tuple(names))
    _, validation = prepare_normalised.photos.split(everything, 40)
    assert set(validation.names) <= held
    assert 12 < len(persons) < 40


@pytest.fixture
def folders(tmp_path):
    """Six persons with three or four pictures, eight with one; their landmarks; a studio without faces."""
    names = [f"lfw/p{k}/{j}.png" for k in range(6) for j in range(3 + k % 2)]
    names += [f"aaf/{k}.png" for k in range(8)]
    for name, picture in zip(names, toy_faces.draw(len(names), side=128, seed=9).pixels, strict=True):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        images.write_png(tmp_path / "faces" / name, picture)
    (tmp_path / "labels").mkdir()
    quality = np.tile(np.float16([1, 2, 0.02, 0.5]), (len(names), 1))
    points = np.tile(landmarks.mean_shape().astype(np.float16), (len(names), 1, 1))
    np.savez(
        tmp_path / "labels" / "landmarks.npz", train_names=names, train_points=points, train_quality=quality
    )
    return tmp_path


def test_the_shards_hold_whom_they_may_and_an_interrupted_run_goes_on(folders, monkeypatch, workshop):
    monkeypatch.setattr(prepare_normalised, "Workshop", lambda weights: workshop)
    monkeypatch.setattr(prepare_normalised, "SHARD", 5)
    request = prepare_normalised.Request(
        faces=str(folders / "faces"), labels=str(folders / "labels"), studio="", test="",
        output=str(folders / "shards"), weights="", morphs=7, validation=3,
    )  # fmt: skip
    real, calls = prepare_normalised.morphs, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(prepare_normalised, "morphs", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_normalised.run(request, say=lambda _: None)
    with pytest.raises(DataError, match=r"prepare_normalised\.py"):
        Faces.open(folders / "shards")
    lines = []
    prepare_normalised.run(request, say=lines.append)
    assert [line.split(":")[0] for line in lines[:-1]] == ["morphs-00001.npz"]
    manifest = json.loads((folders / "shards" / "manifest.json").read_text())
    faces = Faces.open(folders / "shards")
    assert sum(faces.kinds == 3) == 7
    assert len(faces.owners) == manifest["pictures"]
    held = set(manifest["held"])
    persons = {name.rsplit("/", 1)[0] for name in held}
    pool = [name for name, kind in zip(faces.names, faces.kinds, strict=True) if kind < 3]
    assert pool
    assert not any(name in held or name in persons for name in pool)
    assert faces.mean_face.shape == (128, 128, 3)
    for k, kind in enumerate(faces.kinds):  # every picture of a person belongs to the average
        assert (faces.owners == k).sum() == (3 + int(faces.names[k][-1]) % 2 if kind == 0 else 1)
    with files.locked(folders / "shards" / ".lock"), pytest.raises(ConfigError, match="another process"):
        prepare_normalised.run(request)
    with pytest.raises(ConfigError, match="holds another"):
        prepare_normalised.run(prepare_normalised.dataclasses.replace(request, seed=2))
    shard = folders / "shards" / "morphs-00000.npz"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="morphs-00000"):
        Faces.open(folders / "shards")


def test_labels_of_other_photographs_are_named(folders):
    request = prepare_normalised.Request(
        faces=str(folders / "faces" / "aaf"), labels=str(folders / "labels"), studio="", test="",
        output=str(folders / "other"), weights="",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"landmarks\.npz"):
        prepare_normalised.run(request)
