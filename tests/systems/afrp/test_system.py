import dataclasses
import json

import foreign_table
import keras
import numpy as np
import pytest
import small_model
import tensorflow as tf

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.presets import preset
from ifrp_tf.data import attributes, pipeline_tf, toy_faces
from ifrp_tf.data.attributes import NAMES
from ifrp_tf.nn import losses
from ifrp_tf.nn.folding import fold_batch_norms
from ifrp_tf.pictures import images
from ifrp_tf.release import checks, export, load
from ifrp_tf.systems import base
from ifrp_tf.systems.afrp.networks import agreement, build_critic, wrong_attributes
from ifrp_tf.systems.afrp.reader import Cells, Reader
from ifrp_tf.systems.base import Step
from ifrp_tf.systems.ifrp.networks import build_srn
from ifrp_tf.training import initial, run

SMALL = [
    "train.batch_size=8",
    "data.side=32",
    "data.styles=sketch",
    "model.stn=none",
    "model.skips=none",
    "loss.alignment=0",
]
TOY = preset("afrp_toy").override(SMALL)
MOUTH, SMILING, GLASSES = (NAMES.index(name) for name in ("Mouth_Slightly_Open", "Smiling", "Eyeglasses"))
random = np.random.default_rng(0)
PORTRAITS = random.uniform(-1, 1, (3, 32, 32, 3)).astype("float32")
VECTORS = random.uniform(-1, 1, (3, len(NAMES))).astype("float32")


def answers(network, *inputs):
    return keras.ops.convert_to_numpy(
        network(inputs[0] if len(inputs) == 1 else list(inputs), training=False)
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The network of a run, begun from a portrait-only network, and that one."""
    folder = tmp_path_factory.mktemp("begun")
    config = preset("toy").override(SMALL)
    plain = base.create(config).build_released()
    for norm in (layer for layer in plain.layers if isinstance(layer, keras.layers.BatchNormalization)):
        shape = norm.moving_mean.shape
        norm.moving_mean.assign(random.normal(size=shape) * 0.1)
        norm.moving_variance.assign(random.uniform(0.5, 1.5, shape))
    (folder / "model").mkdir()
    plain.save_weights(folder / "model" / "srn.weights.h5")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    network = base.create(TOY).build_released()
    initial.start_from(network, [str(folder)])
    return network, plain


def test_it_begins_as_the_network_that_it_is_begun_from_to_the_bit(told):
    network, plain = told
    expected = answers(plain, PORTRAITS)
    np.testing.assert_array_equal(answers(network, PORTRAITS, np.zeros_like(VECTORS)), expected)
    np.testing.assert_array_equal(answers(network, PORTRAITS, VECTORS), expected)
    system = base.create(TOY)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(system.recover(network, PORTRAITS)), expected)


def test_trained_it_follows_the_vector_and_at_zeros_still_answers_as_before(told):
    network = base.create(TOY).build_released()
    network.set_weights(told[0].get_weights())
    for level in (4, 3):
        dense = network.get_layer(f"attributes{level}_dense")
        dense.kernel.assign(random.normal(size=dense.kernel.shape) * 0.1)
    plain = answers(told[1], PORTRAITS)
    np.testing.assert_array_equal(answers(network, PORTRAITS, np.zeros_like(VECTORS)), plain)
    moved = answers(network, PORTRAITS, VECTORS)
    assert np.abs(moved - plain).max() > 0.01
    order = [2, 0, 1]  # each vector belongs to its own portrait
    np.testing.assert_allclose(answers(network, PORTRAITS[order], VECTORS[order]), moved[order], atol=1e-5)
    folded = fold_batch_norms(network)
    assert len(folded.layers) < len(network.layers)
    np.testing.assert_allclose(answers(folded, PORTRAITS, VECTORS), moved, atol=1e-5)


def test_what_it_takes_over_is_kept_unless_asked_otherwise():
    kept = base.create(TOY.override(["model.keep=true"])).build_released()
    assert {v.path.split("/")[0] for v in kept.trainable_variables} == {
        f"attributes{level}_dense" for level in (4, 3)
    }
    norm = next(layer for layer in kept.layers if isinstance(layer, keras.layers.BatchNormalization))
    before = norm.moving_mean.numpy()
    kept([PORTRAITS, VECTORS], training=True)  # statistics of faces that contradict their portraits
    np.testing.assert_array_equal(norm.moving_mean.numpy(), before)
    assert len(base.create(TOY).build_released().trainable_variables) > 20
    assert preset("afrp").model.keep


def test_the_other_networks_cannot_be_told():
    for name, hint in (("wacv", "srn=ijcv"), ("fdnn", "srn=ijcv")):
        with pytest.raises(ConfigError, match=hint):
            TOY.override([f"model.srn={name}", "model.stn=none", "loss.alignment=0"])
    with pytest.raises(ConfigError, match="srn=ijcv"):
        build_srn(preset("fdnn").model, attributes=3)
    with pytest.raises(ConfigError, match="hinge"):
        TOY.override(["loss.adversarial_kind=bce"])


def test_what_is_unknown_has_no_part_in_the_critics_losses():
    a = np.array([[1, -1, 0], [0, 0, 0]], "float32")
    projection = np.array([[2.0, 3.0, 9.0], [5.0, 5.0, 5.0]], "float32")
    verdict = agreement(np.array([[0.5], [0.25]], "float32"), projection, a)
    np.testing.assert_allclose(verdict, [0.5 + 2 - 3, 0.25])
    logits = np.array([[2.0, 1.0, 7.0], [7.0, 7.0, 7.0]], "float32")
    expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2
    assert float(losses.attribute_loss(logits, a)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.attribute_loss(logits, np.zeros_like(a))) == 0.0
    found = losses.matching_losses([0.5, 2.0], [-2.0, 0.0], [0.5, 9.0], np.array([1.0, 0.0], "float32"))
    assert [float(value) for value in found] == [0.25, 0.5, 1.5]
    nothing = losses.matching_losses([0.0], [0.0], [9.0], np.zeros(1, "float32"))
    assert float(nothing[2]) == 0.0


def test_wrong_attributes_differ_in_something_known_and_in_nothing_unknown():
    a = np.array([[1, -1, 0], [1, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, -1]], "float32")
    wrong, is_wrong = (keras.ops.convert_to_numpy(x) for x in wrong_attributes(a, np.int64(0)))
    np.testing.assert_array_equal(is_wrong, [1, 1, 1, 0, 1])
    np.testing.assert_array_equal(wrong[0], [1, 1, 0])  # its neighbour knows only the third: one is turned
    np.testing.assert_array_equal(wrong[1], [1, -1, 1])  # the neighbour's
    np.testing.assert_array_equal(wrong[2], [1, 0, -1])  # the neighbour's are the same: one is turned
    np.testing.assert_array_equal(wrong[3:], [[0, 0, 0], [0, 0, 1]])
    turned = {
        tuple(keras.ops.convert_to_numpy(wrong_attributes(a[1:2], np.int64(k))[0])[0]) for k in range(3)
    }
    assert turned == {(-1, 1, 1), (1, -1, 1), (1, 1, -1)}  # another one every step


def test_the_terms_are_weighted_as_the_settings_say_and_ask_for_what_was_shown():
    system = base.create(TOY.override(["loss.warm_up=10", "loss.contradict=1"]))
    critic, srn = system.players
    assert [term.name for term in srn.terms][-2:] == ["adversarial", "auxiliary"]
    weights = {term.name: [float(term.weight_at(np.int64(k))) for k in (0, 5, 50)] for term in srn.terms[-2:]}
    np.testing.assert_allclose(weights["adversarial"], [0, 0.0015, 0.003], rtol=1e-5)
    np.testing.assert_allclose(weights["auxiliary"], [0.3] * 3, rtol=1e-5)
    assert [term.weight for term in critic.terms] == [0.5, 0.5, 0.25]
    system.load_frozen("")
    photos = random.integers(0, 256, (6, 32, 32, 3), np.uint8)
    system.reader.fit(photos, np.where(np.arange(6)[:, None] % 2, 1, -1) * np.ones(len(NAMES), int))
    dn = build_critic(8, len(NAMES), side=32)
    known, shown = np.zeros((2, 2, len(NAMES)), "float32")
    known[:, SMILING], known[0, GLASSES] = 1, -1
    shown[0, SMILING] = -1  # turned around; the glasses are hidden
    asked = known.copy()
    asked[0, SMILING] = -1
    recovered = random.uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    batch = {"attributes": known, "shown": shown, "photos": -recovered}
    step = Step(batch, {"recovered": recovered}, {"dn": dn}, np.int64(3), None)
    realism, projection = (keras.ops.convert_to_numpy(x) for x in dn(recovered))
    logits = system.reader(recovered)
    verdict = realism[:, 0] + (projection * asked).sum(1)
    named = {term.name: float(term.value(step)) for term in srn.terms[-2:]}
    assert named["adversarial"] == pytest.approx(-verdict.mean(), rel=1e-4)
    assert named["auxiliary"] == pytest.approx(float(losses.attribute_loss(logits, asked)), rel=1e-5)
    values = {term.name: float(term.value(step)) for term in critic.terms}
    assert values["fake"] == pytest.approx(np.maximum(1 + verdict, 0).mean(), rel=1e-4)


def test_the_critic_can_take_answers_that_were_told_nothing_for_real(told):
    system = base.create(TOY.override(["loss.real=untold", "model.keep=true"]))
    network, plain = base.create(TOY).build_released(), told[1]
    network.set_weights(told[0].get_weights())
    for level in (4, 3):
        dense = network.get_layer(f"attributes{level}_dense")
        dense.kernel.assign(random.normal(size=dense.kernel.shape) * 0.1)
    given = {"portraits": PORTRAITS, "shown": VECTORS, "attributes": np.sign(VECTORS), "photos": PORTRAITS}
    batch = {name: tf.constant(value) for name, value in given.items()}
    outputs = system.forward({"srn": lambda inputs, training: (network(inputs, training=False), None)}, batch)
    np.testing.assert_array_equal(outputs["untold"], answers(plain, PORTRAITS))
    assert np.abs(outputs["recovered"] - outputs["untold"]).max() > 0.01
    dn = build_critic(8, len(NAMES), side=32)
    step = Step(batch, outputs, {"dn": dn}, np.int64(3), None)
    realism, projection = dn(outputs["untold"])
    verdict = keras.ops.convert_to_numpy(agreement(realism, projection, batch["attributes"]))
    values = {term.name: float(term.value(step)) for term in system.players[0].terms}
    assert values["real"] == pytest.approx(np.maximum(1 - verdict, 0).mean(), rel=1e-4)


def test_the_reader_learns_attributes_from_photographs_and_says_nothing_where_none_are_known():
    photos = toy_faces.draw(64, side=32, seed=1)
    drawn = toy_faces.attributes(64, seed=1)
    vectors = np.array([[drawn[name].get(one, 0) for one in NAMES] for name in photos.names], np.int8)
    vectors[:8] = 0  # of these nothing is known: they are not learned from
    reader = Reader("pixels", len(NAMES), side=32)
    assert not keras.ops.convert_to_numpy(reader(images.to_model_range(photos.pixels))).any()
    reader.fit(photos.pixels, vectors)
    mirrored = images.to_model_range(photos.pixels[:, :, ::-1])
    logits = keras.ops.convert_to_numpy(reader(mirrored))
    known = [SMILING, GLASSES]
    right = (logits[8:, known] > 0) == (vectors[8:, known] > 0)
    assert right.mean() > 0.9
    assert not np.delete(logits, known, axis=1).any()


def test_maps_are_averaged_over_cells_as_equal_as_can_be():
    maps = random.normal(size=(2, 15, 15, 3)).astype("float32")
    cells = keras.ops.convert_to_numpy(Cells(4)(maps)).reshape(2, 4, 4, 3)
    np.testing.assert_allclose(cells[:, 0, 3], maps[:, :4, 12:].mean((1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(cells[:, 3, 1], maps[:, 12:, 4:8].mean((1, 2)), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def labelled():
    photos = toy_faces.draw(24, side=32, seed=3)
    vectors = random.integers(-1, 2, (24, len(NAMES))).astype(np.int8)
    return photos, attributes.Labels(vectors, hide_all=0.3, hide_one=0.2, contradict=0.25)


def taken(photos, config, labels, step=0, count=4):
    rows = list(pipeline_tf.batches(photos, config, step=step, labels=labels).take(count).as_numpy_iterator())
    return [np.stack(part) for part in zip(*rows, strict=True)]


def test_batches_carry_what_is_known_and_what_is_shown_and_change_in_nothing_else(labelled):
    photos, labels = labelled
    config = TOY.override(["data.flip=false", "train.batch_size=24"])
    portraits, seen, _, known, shown = taken(photos, config, labels)
    plain = taken(photos, config, None)
    np.testing.assert_array_equal(portraits, plain[0])
    flat = images.to_model_range(photos.pixels).reshape(24, -1)
    for pictures, vectors in zip(seen, known, strict=True):
        places = [int(np.abs(flat - one.ravel()).sum(1).argmin()) for one in pictures]
        np.testing.assert_array_equal(vectors, labels.vectors[places])
    hidden = np.abs(known) > np.abs(shown)
    assert np.all(shown[known == 0] == 0)
    some = np.abs(known).sum(-1) > 0
    nothing = (np.abs(shown).sum(-1) == 0)[some].mean()
    assert 0.15 < nothing < 0.5
    turned = (shown == -known) & (shown != 0)
    assert turned.sum(-1).max() == 1
    told = np.abs(shown).sum(-1) > 0
    assert 0.1 < turned.any(-1)[told].mean() < 0.45
    assert 0.1 < hidden[told][known[told] != 0].mean() < 0.35
    again = taken(photos, config, labels, step=2, count=1)  # resuming is setting the step
    np.testing.assert_array_equal(again[4][0], shown[2])
    np.testing.assert_array_equal(again[3][0], known[2])


def test_foreign_portraits_have_the_attributes_of_their_photographs_and_sketches_none(labelled, tmp_path):
    photos, labels = labelled
    foreign_table.write(tmp_path, [("a", "train/toy/00003.png", 10, 0.1)])
    for kind, level in (("sketch", 240), ("photo", 250)):
        (tmp_path / kind).mkdir()
        images.write_png(tmp_path / kind / "1.png", np.full((32, 32, 3), level, np.uint8))
    where = [f"data.foreign={tmp_path}", "data.foreign_share=0.4", f"data.sketches={tmp_path}"]
    config = TOY.override([*where, "data.sketch_share=0.4", "data.flip=false", "train.batch_size=24"])
    _, seen, _, known, shown = (part.reshape(-1, *part.shape[2:]) for part in taken(photos, config, labels))
    drawn = np.isclose(seen, images.to_model_range(np.uint8([250])), atol=1e-5).all((1, 2, 3))
    painted = np.isclose(seen, images.to_model_range(photos.pixels[3]), atol=1e-5).all((1, 2, 3))
    assert 0.2 < drawn.mean() < 0.6
    assert 0.2 < painted.mean() < 0.7
    assert not known[drawn].any()
    assert not shown[drawn].any()
    np.testing.assert_array_equal(known[painted], np.tile(labels.vectors[3], (painted.sum(), 1)))


def test_drawn_faces_have_their_own_attributes_and_others_must_be_known(tmp_path):
    system = base.create(TOY)
    photos = toy_faces.draw(16, side=32, seed=TOY.train.seed)
    batch = next(iter(system.batches(photos, 0).as_numpy_iterator()))
    assert [part.shape[0] for part in batch] == [8] * 5
    assert set(np.flatnonzero(np.abs(batch[3]).sum(0))) == {SMILING, GLASSES}
    renamed = dataclasses.replace(photos, names=tuple(f"strange/{k}.jpg" for k in range(16)))
    with pytest.raises(DataError, match="Received: none"):
        system.batches(renamed, 0)


@pytest.mark.slow
def test_it_trains_in_mixed_precision_and_its_log_names_the_new_terms(tmp_path):
    config = TOY.override(
        [
            "train.pictures=32",
            "train.epoch_pictures=32",
            "data.validation_count=8",
            "loss.warm_up=2",
            "train.dtype=bfloat16",
        ]
    )
    run.run(config, "", tmp_path / "run")
    logged = (tmp_path / "run" / "metrics.jsonl").read_text()
    for name in ("auxiliary", "adversarial", "dn_wrong", "dn_real"):
        assert f'"{name}"' in logged, logged
    found = load.load(tmp_path / "run")
    assert found.attributes == NAMES
    assert (
        found.network(images.to_uint8(PORTRAITS), VECTORS) != found.network(images.to_uint8(PORTRAITS))
    ).any()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run's folder as training leaves it, and its export."""
    folder = tmp_path_factory.mktemp("exported")
    small_model.write_run(folder / "run", small_model.TOLD)
    return folder / "run", export.run(folder / "run", folder / "afrp" / "1")


def test_an_export_takes_attributes_and_answers_without_them(exported):
    of_run, version = load.load(exported[0]), exported[1]
    assert max(checks.verify(version, batches=(1, 3))["float"].values()) < 1e-4
    loaded = load.load(version)
    assert loaded.attributes == of_run.attributes == NAMES
    pixels = images.to_uint8(PORTRAITS)
    for told in ((), (VECTORS,), (10 * np.ones_like(VECTORS),)):
        near = [np.minimum(each, 1) for each in told]  # beyond 1 is cut off
        expected = of_run.network(pixels, *near)
        assert np.abs(loaded.network(pixels, *told).astype(int) - expected).max() <= 2
    zeros = loaded.network(pixels, np.zeros_like(VECTORS))
    np.testing.assert_array_equal(zeros, loaded.network(pixels))
    assert (loaded.network(pixels, VECTORS) != zeros).any()
    signatures = tf.saved_model.load(str(version)).signatures
    assert sorted(signatures) == ["recover_attributes", "recover_bytes", "serving_default"]
    told = signatures["recover_attributes"]
    empty = told(portrait=tf.zeros((0, 32, 32, 3), tf.uint8), attributes=tf.zeros((0, len(NAMES))))
    assert empty["photo"].shape == (0, 32, 32, 3)
    bad = tf.constant(np.full_like(VECTORS, np.nan))
    with pytest.raises(tf.errors.InvalidArgumentError):
        told(portrait=tf.constant(pixels), attributes=bad)
    card = (version / "MODEL_CARD.md").read_text()
    assert "told 14 attributes" in card
    assert "`attributes` float32 [N, 14]" in card
    assert "no evidence for it" in card


def test_its_onnx_form_has_two_inputs(exported):
    pytest.importorskip("tf2onnx")
    path, difference = checks.write_onnx(exported[1])
    assert path.is_file()
    assert difference < 1e-4
