import dataclasses

import keras
import numpy as np
import pytest

from ifrp_tf.core.errors import ConfigError, DataError, ModelError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import normalised
from ifrp_tf.data.landmarks import mean_shape
from ifrp_tf.pictures import images
from ifrp_tf.recovery.normalised import Normaliser
from ifrp_tf.release import checks, export, load
from ifrp_tf.systems import base
from ifrp_tf.systems.base import Step
from ifrp_tf.systems.normalised_face import data, linear
from ifrp_tf.systems.normalised_face.networks import build_decoder, build_normaliser
from ifrp_tf.systems.normalised_face.settings import ModelConfig
from ifrp_tf.training import run

TOY = preset("normalised_face_toy")


@pytest.fixture(scope="module")
def system(data_dir):
    made = base.create(TOY.override(["loss.identity=0.5", "train.batch_size=4"]))
    made.load_frozen(str(data_dir / "weights"))
    return made


@pytest.fixture(scope="module")
def faces():
    return normalised.drawn(16, 3)


def test_the_decoder_begins_with_the_mean_shape_and_is_small_enough_to_ship():
    decoder = build_decoder(preset("normalised_face").model)
    assert decoder.count_params() < 4_000_000
    found = decoder(np.random.default_rng(0).normal(size=(2, 512)).astype("float32"))
    assert np.abs(np.asarray(found["landmarks"]) - mean_shape()).max() < 0.05
    assert found["texture"].shape == (2, 128, 128, 3)


def test_the_linear_decoder_is_found_and_the_networks_answer_is_added_to_it(faces, monkeypatch):
    monkeypatch.setattr(linear, "RIDGE", 1e-4)
    config = TOY.override(["model.rank=15"])
    system = base.create(config)
    network = system.build()["normaliser"]  # its encoder is random and not asked
    system.batches(faces, 0)
    found = network.get_layer("decoder")(faces.features)
    np.testing.assert_allclose(found["landmarks"], faces.landmarks, atol=2e-3)
    small = np.stack([images.resize(texture, 64) for texture in faces.textures])
    made = np.asarray(found["texture"]).reshape(16, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    inside = np.asarray(system._mask[0, ::2, ::2] > 1)
    error = np.abs(made - np.asarray(images.to_model_range(small))) * inside
    assert error.mean() < 0.03  # rank 15 of 16 faces is exact but for what enlarging smooths
    weights = data.weights_of(faces, config)
    assert weights.sum() == pytest.approx(1)
    assert weights[faces.kinds == 3].sum() == pytest.approx(0.5)
    poorer = linear.fit(faces, faces.features, weights, 2)
    assert poorer.inner.shape == (512, 2)


def test_what_changes_from_picture_to_picture_is_taken_out(faces):
    random = np.random.default_rng(2)
    owners = np.repeat(np.arange(80), 4)
    spread = np.full(512, 0.1)
    persons = random.normal(size=(80, 512)) * np.where(np.arange(512) < 20, 1.0, spread)
    pictures = random.normal(size=(320, 512)) * np.where(
        (np.arange(512) >= 20) & (np.arange(512) < 40), 1.0, 0.1
    )
    features = persons[owners] + pictures
    many = dataclasses.replace(
        faces, names=("a",) * 80, kinds=np.zeros(80, np.int32), owners=owners, features=features
    )
    kept = features @ linear.person_map(many, features, 1.0)
    assert np.abs(kept[:, :20] - features[:, :20]).mean() < 0.2 * np.abs(features[:, :20]).mean()
    assert np.abs(kept[:, 20:40]).mean() < 0.35 * np.abs(features[:, 20:40]).mean()
    with pytest.raises(DataError, match="several pictures"):
        linear.person_map(faces, faces.features, 1.0)


def test_the_decoder_takes_features_by_way_of_the_map(faces):
    """Of what tells the two pictures of every person apart the answer says less than without."""
    random = np.random.default_rng(3)
    change = random.normal(size=512).astype(np.float32)
    signs = np.float32([1, -1] * len(faces))[:, None]
    features = np.repeat(faces.features, 2, axis=0) + signs * change
    pairs = dataclasses.replace(
        faces, kinds=np.zeros(len(faces), np.int32), features=features, owners=np.repeat(np.arange(16), 2)
    )
    answers = []
    for within in (0.0, 4.0):
        made = base.create(TOY.override([f"model.within={within}", "model.rank=8"]))
        network = made.build()["normaliser"]
        made.batches(pairs, 0)
        shown = np.stack([faces.features[3] + change, faces.features[3] - change])
        answers.append(np.asarray(network.get_layer("decoder")(shown)["texture"]))
    plain, mapped = (np.abs(texture[0] - texture[1]).mean() for texture in answers)
    assert mapped < 0.7 * plain


def test_a_face_and_its_mirror_image_have_the_same_answer():
    network = build_normaliser(ModelConfig(hidden=16, width=16), None)
    photo = np.random.default_rng(1).uniform(-1, 1, (1, 128, 128, 3)).astype("float32")
    a, b = (network(x)["texture"] for x in (photo, photo[:, :, ::-1]))
    np.testing.assert_allclose(a, b, atol=1e-5)
    encoder = network.get_layer("encoder")
    assert not encoder.trainable_variables
    assert len(network.trainable_variables) == len(network.get_layer("decoder").trainable_variables)


def test_the_terms_are_the_papers_and_the_identity_sees_the_rendered_face(system, faces):
    (player,) = system.players
    assert [term.name for term in player.terms] == ["landmarks", "texture", "identity"]
    textures = images.to_model_range(faces.textures[:4])
    batch = {"landmarks": faces.landmarks[:4], "textures": textures}
    moved, other = faces.landmarks[:4] + np.float32(0.01), np.asarray(textures) * np.float32(0.5)
    rendered = system.warp.render(other[:2], moved[:2])
    batch["embeddings"] = np.concatenate([np.asarray(system.recogniser(rendered))] * 2)
    outputs = {"landmarks": moved, "texture": other}
    total, values = player.loss(Step(batch, outputs, {}, 0, None))
    assert float(values["landmarks"]) == pytest.approx(1e-4, rel=1e-3)
    weight = system._mask[0, ..., 0]
    assert weight[64, 64] == pytest.approx(1.2, abs=1e-3)
    assert weight[0, 0] == pytest.approx(0.2, abs=1e-3)
    expected = (weight[None, ..., None] * np.abs(0.5 * np.asarray(textures))).mean()
    assert float(values["texture"]) == pytest.approx(expected, rel=1e-4)
    assert float(values["identity"]) == pytest.approx(0.0, abs=1e-5)  # half of the batch is looked at
    weighted = 1000 * values["landmarks"] + values["texture"] + 0.5 * values["identity"]
    assert float(total) == pytest.approx(float(weighted), rel=1e-5)


def test_the_identity_term_reaches_shape_and_texture_through_the_warp(system, faces):
    """Slopes along one direction against finite differences of the term itself."""
    tf = pytest.importorskip("tensorflow")
    random = np.random.default_rng(4)
    start = {
        "landmarks": faces.landmarks[:2].astype("float32"),
        "texture": np.asarray(images.to_model_range(faces.textures[:2])),
    }
    batch = {"embeddings": random.normal(size=(2, 128)).astype("float32")}

    def term(values):
        return system._identity(Step(batch, values, {}, 0, None))

    for name, size in (("landmarks", 2e-3), ("texture", 2e-2)):
        with tf.GradientTape() as tape:
            value = {key: tf.convert_to_tensor(x) for key, x in start.items()}
            tape.watch(value[name])
            loss = term(value)
        slope = tape.gradient(loss, value[name]).numpy()
        along = slope / np.linalg.norm(slope)
        ends = [float(term({**start, name: start[name] + sign * size * along})) for sign in (1, -1)]
        assert (ends[0] - ends[1]) / (2 * size) == pytest.approx(np.linalg.norm(slope), rel=0.1), name


def test_batches_are_a_function_of_the_step_and_mix_the_sources(faces):
    config = TOY.override(["train.pictures=80"])
    first = [[np.asarray(part) for part in batch] for batch in data.batches(faces, config, 0)]
    later = [[np.asarray(part) for part in batch] for batch in data.batches(faces, config, 4)]
    assert len(first) == 10
    for a, b in zip(first[4:], later, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    shapes = np.concatenate([batch[1] for batch in first])
    kinds = [faces.kinds[np.abs(faces.landmarks - shape).sum(axis=(1, 2)).argmin()] for shape in shapes]
    assert np.bincount(kinds).tolist() == pytest.approx([10, 10, 20, 40], abs=10)
    only = data.batches(faces, config.override(["model.sources=averages"]), 0)
    shape = next(iter(only))[1].numpy()[0]
    assert faces.kinds[np.abs(faces.landmarks - shape).sum(axis=(1, 2)).argmin()] in (0, 1)
    arrays = ("textures", "landmarks", "embeddings", "features")
    kept = {name: getattr(faces, name)[3::4] for name in arrays}
    bare = normalised.Faces(faces.names[3::4], faces.kinds[3::4], owners=np.arange(4), **kept)
    with pytest.raises(DataError, match="averages"):
        data.batches(bare, config.override(["model.sources=averages"]), 0)


def test_the_pictures_must_be_of_the_recognisers_side():
    with pytest.raises(ConfigError, match="data.side=128"):
        TOY.override(["data.side=64"])


@pytest.mark.slow
def test_drawn_faces_are_learned_and_the_run_becomes_a_release(tmp_path, system):
    config = TOY.override(["train.pictures=3200", "train.epoch_pictures=1600", "model.hidden=128"])
    row = run.run(config, "", tmp_path / "run", weights="")
    faces = normalised.drawn(64, config.train.seed)
    textures = np.asarray(images.to_model_range(faces.textures))
    constant = (system._mask * np.abs(textures - textures.mean(axis=0))).mean()
    assert row["train"]["texture"] < 0.5 * constant  # the mean of an epoch
    assert row["train"]["landmarks"] < 0.5 * np.square(faces.landmarks - mean_shape()).mean()
    version = export.run(tmp_path / "run", tmp_path / "normalised_face" / "1", with_weights=False)
    loaded = load.load(version)
    photos = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    served = loaded.network(photos)
    made = Normaliser.load(version)  # from the graph, for the weights were left out
    assert np.abs(served.astype(int) - made.decode(made.features(photos)).faces).max() <= 1
    assert max(checks.verify(version, batches=(1, 3))["float"].values()) <= system.tolerance
    with pytest.raises(ModelError, match="one picture as its answer"):
        checks.write_onnx(version)
    # The second stage starts from the first.
    second = config.override(["train.pictures=8", "train.epoch_pictures=8", "loss.identity=0.1"])
    after = run.run(second, "", tmp_path / "second", weights="", initial=str(tmp_path / "run"))
    assert after["train"]["texture"] < 0.6 * constant
    keras.config.set_dtype_policy("float32")
