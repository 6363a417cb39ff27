"""The mathematics of texture inference; on random features, so that no weights are needed."""

import numpy as np
import pytest

from ifrp_tf.core.presets import preset
from ifrp_tf.nn.metrics import luminance
from ifrp_tf.systems.texture_inference import fit, gram
from ifrp_tf.systems.texture_inference.system import LAYERS, TextureInference
from ifrp_tf.training import solve

SIDE = 32


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def pictures(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, SIDE, SIDE, 3)).astype("float32")


@pytest.fixture(scope="module")
def system():
    made = TextureInference(preset("texture_inference"))
    made.load_frozen("")
    return made


def test_without_a_mask_it_is_the_ordinary_gram_matrix():
    maps = numbers(2, 5, 6, 3)
    found = np.asarray(gram.masked_grams(maps, np.ones((5, 6, 1), "float32")))[:, 0]
    x = maps.reshape(2, 30, 3)
    np.testing.assert_allclose(found, np.einsum("nia,nib->nab", x, x) / 30, rtol=1e-4, atol=1e-5)


def test_hidden_positions_do_not_matter_and_their_order_neither():
    maps, mask = numbers(1, 6, 6, 3), np.zeros((6, 6, 1), "float32")
    mask[:, :3] = 1
    expected = np.asarray(gram.masked_grams(maps, mask))
    other = maps.copy()
    other[:, :, 3:] = 100 * numbers(1, 6, 3, 3, seed=1)
    other[:, :, :3] = maps[:, ::-1, [2, 0, 1]]
    np.testing.assert_allclose(gram.masked_grams(other, mask), expected, rtol=1e-4, atol=1e-5)


def test_bands_part_the_inner_picture_and_survive_being_reduced():
    masks = gram.band_masks(np.ones((128, 128)))
    inner = np.zeros((128, 128))
    inner[4:124, 4:124] = 1
    np.testing.assert_array_equal(masks.sum(axis=2), inner)
    small = gram.reduced(masks, 4, margin=8)
    assert small.shape == (36, 36, 4)
    assert small.sum() == pytest.approx(masks.sum() / 16)


def test_rows_have_the_distances_of_the_matrices():
    a, b = (
        {"x": np.einsum("nrab,nrcb->nrac", m, m)} for m in (numbers(1, 2, 4, 4), numbers(1, 2, 4, 4, seed=1))
    )
    rows = [gram.flattened(grams, ["x"]) for grams in (a, b)]
    assert rows[0].shape == (1, 2 * 10)
    expected = np.linalg.norm(a["x"] - b["x"])
    assert np.linalg.norm(rows[0] - rows[1]) == pytest.approx(expected, rel=1e-5)


def test_the_projection_onto_the_simplex_is_the_nearest_point():
    generator = np.random.default_rng(1)
    for _ in range(20):
        v = generator.normal(size=6)
        found = fit.simplex(v)
        assert found.min() >= 0
        assert found.sum() == pytest.approx(1)
        others = generator.dirichlet(np.ones(6), 200)
        assert (np.linalg.norm(others - v, axis=1) >= np.linalg.norm(found - v) - 1e-9).all()


@pytest.mark.parametrize("solver", ["nnls", "fista"])
def test_a_known_mixture_is_found(solver):
    database = np.random.default_rng(2).normal(size=(8, 200))
    truth = np.array([0.5, 0.0, 0.3, 0.0, 0.2, 0.0, 0.0, 0.0])
    found = fit.weights(database, truth @ database, solver=solver)
    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert found.min() >= 0
    np.testing.assert_allclose(found, truth, atol=3e-3)
    assert fit.error(database, found, truth @ database) < 1e-2


def test_the_solvers_agree_where_nothing_fits():
    database, observed = (
        np.random.default_rng(3).normal(size=(12, 40)),
        np.random.default_rng(4).normal(size=40),
    )
    a, b = (fit.weights(database, observed, solver=solver) for solver in ("nnls", "fista"))
    np.testing.assert_allclose(a, b, atol=1e-3)
    uniform = np.full(12, 1 / 12)
    assert fit.error(database, a, observed) <= fit.error(database, uniform, observed)


def asked(system, start, wanted_of, free, region=None):
    region = free if region is None else region
    wanted = system.grams(wanted_of, region)
    scales = {layer: gram.norms(wanted[layer]) for layer in LAYERS}
    return system.towards(start, {layer: wanted[layer][0] for layer in LAYERS}, scales, free, region)


def test_the_loss_of_what_is_wanted_is_nothing(system):
    one = pictures(1)
    targets = asked(system, one, one, np.ones((SIDE, SIDE)))
    assert float(system.objective(one, targets)) == pytest.approx(0, abs=1e-5)
    assert float(system.objective(pictures(1, seed=5), targets)) > 0.5


def test_the_loss_falls_and_what_is_not_free_stays_to_the_bit(system):
    start, free = 0.2 * pictures(1), np.zeros((SIDE, SIDE))
    free[8:24, 8:24] = 1
    targets = asked(system, start, pictures(3, seed=1), free)
    slope = solve.value_and_slope(system.objective)
    found, losses = solve.minimise(slope, start, targets, iterations=12)
    assert all(b <= a for a, b in zip(losses, losses[1:], strict=False))
    assert losses[-1] < 0.9 * losses[0]
    answer = np.asarray(system.composed(found, targets))
    np.testing.assert_array_equal(answer[0][free == 0], start[0][free == 0])
    assert np.abs(answer - start).max() > 0.05


def test_what_lies_far_from_a_hole_does_not_matter_to_it(system):
    """Else a few pixels would make up, in noise, for all that is unlike the wanted faces elsewhere."""
    free, region = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    free[10:14, 10:14] = region[8:16, 8:16] = 1
    one, other = 0.2 * pictures(1), 0.2 * pictures(1)
    other[:, 28:] = 0.9
    losses = [
        float(system.objective(start, asked(system, start, pictures(3, seed=1), free, region)))
        for start in (one, other)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_changes_are_no_dots_and_no_confetti(system):
    start = np.zeros((1, SIDE, SIDE, 3), np.float32)
    targets = {"start": start, "free": np.ones((1, SIDE, SIDE, 1), np.float32), "detail": np.float32(0)}
    dots = 0.5 * (-1.0) ** np.add.outer(np.arange(SIDE), np.arange(SIDE))
    grey = np.repeat(dots[None, :, :, None], 3, axis=3).astype(np.float32)
    assert np.abs(np.asarray(system.composed(grey, targets))[:, 2:-2, 2:-2]).max() < 1e-6
    waves = 0.5 * np.sin(np.arange(SIDE) * np.pi / 2)  # of four pixels: detail in light, not in colour
    stripes = np.repeat(np.tile(waves, (SIDE, 1))[None, :, :, None], 3, axis=3).astype(np.float32)
    assert np.abs(np.asarray(system.composed(stripes, targets))).max() > 0.2
    colours = stripes * np.float32([1.0, -0.5, 0.5])
    colours -= np.asarray(luminance(colours))[..., None]
    assert np.abs(np.asarray(system.composed(colours, targets))[:, 8:-8, 8:-8]).max() < 0.05


def test_detail_keeps_light_and_colours(system):
    start = 0.2 * pictures(1)
    targets = {"start": start, "free": np.ones((1, SIDE, SIDE, 1), np.float32), "detail": np.float32(1)}
    brighter = np.asarray(system.composed(start + 0.5, targets))
    np.testing.assert_allclose(brighter, start, atol=1e-5)
    waves = 0.5 * np.sin(np.arange(SIDE) * np.pi / 2)
    stripes = np.repeat(np.tile(waves, (SIDE, 1))[None, :, :, None], 3, axis=3).astype(np.float32)
    change = np.asarray(system.composed(start + stripes * np.float32([1.0, 0.0, 0.0]), targets)) - start
    assert np.abs(change).max() > 0.03
    np.testing.assert_allclose(change[..., 0], change[..., 2], atol=1e-6)


def test_the_person_counts_where_only_detail_is_asked_for(system):
    random = np.random.default_rng(4)
    start, other = (random.uniform(-1, 1, (1, 128, 128, 3)).astype("float32") for _ in range(2))
    everything = np.ones((128, 128), np.float32)
    wanted = system.grams(start, everything)
    scales = {layer: gram.norms(wanted[layer]) for layer in LAYERS}
    wanted = {layer: found[0] for layer, found in wanted.items()}
    assert "person" not in system.towards(start, wanted, scales, everything, everything)
    targets = system.towards(start, wanted, scales, everything, everything, detail=True)
    assert float(system.objective(start, targets)) == pytest.approx(0, abs=1e-4)
    free = {key: value for key, value in targets.items() if key != "person"}
    term = float(system.objective(other, targets)) - float(system.objective(other, free))
    a, b = (
        np.asarray(system.recogniser(x, training=False))[0] for x in (system.composed(other, targets), start)
    )
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert term == pytest.approx(system.config.loss.identity * (1 - cosine), abs=1e-3)
    assert term > 1e-3


def test_the_search_ends_in_time(system):
    start = 0.2 * pictures(1)
    targets = asked(system, start, pictures(1, seed=1), np.ones((SIDE, SIDE)))
    slope = solve.value_and_slope(system.objective)
    _, losses = solve.minimise(slope, start, targets, iterations=500, seconds=0.0)
    assert len(losses) == 2
