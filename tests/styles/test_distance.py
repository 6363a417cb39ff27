import numpy as np
import pytest

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.nn.features import networks
from ifrp_tf.pictures import images
from ifrp_tf.styles import distance


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def moments(generator, size=12, rank=40):
    """A Gram matrix as features would give it."""
    mixing = generator.normal(size=(size, size))
    return distance.gram(generator.normal(size=(2, rank // 2, 1, size)) @ mixing)


def measured(matrix, name="a", epsilon=1e-9):
    return distance.Style(name, (distance.logarithm(distance.regularised(matrix, epsilon)),), 0.0, 1)


def between(one, other):
    return float(distance.distances([measured(one)], [measured(other)])[0, 0])


def test_gram_matrix_is_the_mean_outer_product(generator):
    features = generator.normal(size=(2, 3, 4, 5)).astype("float32")
    flat = features.astype("float64").reshape(-1, 5)
    expected = np.mean([np.outer(row, row) for row in flat], axis=0)
    found = distance.gram(features)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(DataError, match="finite features"):
        distance.gram(np.full((1, 2, 2, 3), np.nan))


def test_distances_equal_those_of_an_independent_implementation(generator):
    pytest.importorskip("pyriemann")
    from pyriemann.utils.distance import distance_logeuclid, pairwise_distance

    grams = [moments(generator) for _ in range(5)]
    made = [distance.regularised(matrix) for matrix in grams]
    expected = pairwise_distance(np.stack(made), metric="logeuclid")
    found = distance.distances([measured(matrix, epsilon=distance.EPSILON) for matrix in grams])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    # A rank of 3 in 12 dimensions: only the regulariser makes it positive definite.
    thin = distance.gram(generator.normal(size=(1, 3, 1, 12)))
    found = distance.distances([measured(thin, epsilon=1e-4)], [measured(grams[0], epsilon=1e-4)])
    other = distance_logeuclid(distance.regularised(thin), distance.regularised(grams[0]))
    np.testing.assert_allclose(found, other, rtol=1e-7)


def test_it_is_a_metric_and_has_the_invariances_of_its_kind(generator):
    a, b, c = (moments(generator) for _ in range(3))
    assert between(a, a) == 0
    assert between(a, b) == between(b, a) > 0
    assert between(a, c) <= between(a, b) + between(b, c)
    np.testing.assert_allclose(between(np.linalg.inv(a), np.linalg.inv(b)), between(a, b), rtol=1e-5)
    np.testing.assert_allclose(between(7 * a, 7 * b), between(a, b), rtol=1e-9)
    turn, _ = np.linalg.qr(generator.normal(size=a.shape))
    np.testing.assert_allclose(between(turn @ a @ turn.T, turn @ b @ turn.T), between(a, b), rtol=1e-9)
    # Known in closed form: factors e² on the diagonal are distances of 2.
    np.testing.assert_allclose(between(np.eye(4), np.exp(2) * np.eye(4)), 4.0, rtol=1e-9)


def test_what_has_no_logarithm_is_refused():
    with pytest.raises(DataError, match="positive trace"):
        distance.regularised(np.zeros((3, 3)))
    with pytest.raises(ConfigError, match="epsilon"):
        distance.regularised(np.eye(3), 0.0)
    with pytest.raises(DataError, match="positive definite"):
        distance.logarithm(np.diag([1.0, -1.0]))


@pytest.mark.parametrize(("height", "width", "count"), [(60, 60, 4), (300, 500, 8), (512, 512, 4)])
def test_tiles_cover_the_picture_without_stretching_it(height, width, count):
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * rows / height, 255 * columns / width, 0 * rows], axis=-1).astype(np.uint8)
    found = distance.tiles(pixels)
    assert found.shape == (count, 128, 128, 3)
    for channel, length in ((0, height), (1, width)):
        assert found[..., channel].min() < 8
        assert found[..., channel].max() > 246
        # Levels a pixel: the same share of the side whatever its length.
        slope = np.ptp(found[0, :, :, channel].astype(float)) / 127
        np.testing.assert_allclose(slope, 255 / (length * 256 / min(height, width)), rtol=0.1)
    with pytest.raises(ConfigError, match="128"):
        distance.tiles(pixels, 100)


def test_the_first_half_of_the_tiles_is_one_colour_of_the_checkerboard():
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[:128, :128] = pixels[128:, 128:] = 255
    assert distance.tiles(pixels).mean(axis=(1, 2, 3)).tolist() == [255, 255, 0, 0]


def test_measuring_is_averaging_over_pictures_however_they_are_batched(generator):
    pictures = generator.integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)

    def network(batch):
        coarse = np.asarray(batch).reshape(len(batch), 16, 8, 16, 8, 3).mean(axis=(2, 4))
        return {"one": coarse, "two": coarse**2}

    style = distance.measure("noise", pictures, network, batch=2)
    assert (style.name, style.pictures, len(style.logs)) == ("noise", 5, 2)
    values = network(images.to_model_range(pictures))
    for log, name in zip(style.logs, values, strict=True):
        expected = distance.logarithm(distance.regularised(distance.gram(values[name])))
        np.testing.assert_allclose(log, expected, rtol=1e-6, atol=1e-6)
    halves = [distance.measure("half", pictures[part], network) for part in (slice(3), slice(3, 5))]
    np.testing.assert_allclose(style.noise_floor, distance.distances(*[[half] for half in halves])[0, 0])
    squares = [np.sum((a - b) ** 2) for a, b in zip(halves[0].logs, halves[1].logs, strict=True)]
    np.testing.assert_allclose(style.noise_floor, np.sqrt(np.mean(squares)))
    assert np.isnan(distance.measure("one", pictures[:1], network).noise_floor)
    with pytest.raises(DataError, match="'none'"):
        distance.measure("none", pictures[:0], network)


def line(*places):
    return np.abs(np.subtract.outer(places, places)).astype(float)


def test_the_most_distinct_are_chosen_and_ties_go_to_the_first_names():
    assert distance.select(line(0, 1, 5, 10), ["d", "c", "b", "a"], 3) == ["a", "b", "d"]
    assert distance.select(line(0, 1, 9, 10), list("abcd"), 2, aim="sum") == ["a", "d"]
    assert distance.select(np.ones((4, 4)) - np.eye(4), list("dbca"), 2) == ["a", "b"]
    assert distance.select(line(0, 1, 2), list("abc"), 3) == ["a", "b", "c"]
    # Far from the anchor too: `a` lies on it.
    anchor = np.array([0.0, 4.0, 10.0])
    assert distance.select(line(0, 4, 10), list("abc"), 2, anchor=anchor) == ["b", "c"]
    for count, aim in ((0, "min"), (4, "min"), (1, "mean")):
        with pytest.raises(ConfigError, match="Expected"):
            distance.select(line(0, 1, 2), list("abc"), count, aim=aim)


def test_beyond_what_can_be_tried_it_is_greedy(generator, monkeypatch):
    points = generator.normal(size=(9, 4))
    matrix = np.linalg.norm(points[:, None] - points[None], axis=-1)
    names = list("abcdefghi")
    best = distance.select(matrix, names, 3)
    monkeypatch.setattr(distance, "MAX_SUBSETS", 1)
    greedy = distance.select(matrix, names, 3)
    assert len(set(greedy)) == 3
    assert names[int(matrix.sum(axis=1).argmax())] in greedy

    def least(chosen):
        index = [names.index(name) for name in chosen]
        return min(matrix[a, b] for a in index for b in index if a != b)

    assert least(best) >= least(greedy) > np.median(matrix[matrix > 0])


def test_the_plane_keeps_plane_distances(generator):
    points = generator.normal(size=(6, 2))
    matrix = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found, share = distance.embedding(matrix)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found[None], axis=-1), matrix, atol=1e-9)
    assert share == pytest.approx(1.0)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    assert distance.embedding(np.zeros((1, 1)))[0].shape == (1, 2)
    assert distance.embedding(1 - np.eye(5))[1] == pytest.approx(0.5)


def test_styles_of_the_real_network_lie_beyond_their_noise_floor(data_dir):
    network = networks.vgg19(data_dir / "weights")
    faces = distance.measure("faces", toy_faces.draw(4, side=128).pixels, network)
    found = [
        distance.measure(
            name, distance.tiles(images.read(data_dir / "styles/paper" / f"{name}.jpg").pixels), network
        )
        for name in ("mosaic", "scream")
    ]
    matrix = distance.distances([*found, faces])
    assert matrix.dtype == np.float64
    assert matrix[0, 1] > 1.5 * max(style.noise_floor for style in found) > 0
    assert (matrix[:2, 2] > faces.noise_floor).all()
