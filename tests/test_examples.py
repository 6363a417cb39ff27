import numpy as np
import pytest
from drawn_protocol import Drawn, pair

from ifrp_tf import examples
from ifrp_tf.examples import choose, error_map


def rows(count):
    """PSNR falls with the number of the face, but for the first, which is perfect."""
    return [pair("dark", f"face/{k}", 30.0 - k if k else np.inf, 0.0) for k in range(count)]


def kinds(count):
    return [
        (found.kind, int(found.row.name[5:])) for found in choose("dark", rows(count), Drawn(12), lambda p: p)
    ]


def test_the_best_the_middle_and_the_worst():
    expected = [("best", 0), ("best", 1), ("best", 2), ("median", 4), ("median", 5), ("median", 6)]
    assert kinds(12) == [*expected, ("worst", 9), ("worst", 10), ("worst", 11)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_few_portraits_are_shown_once_each(count):
    found = kinds(count)
    assert len({k for _, k in found}) == len(found) <= count
    assert found[0] == ("best", 0)
    if count > 1:
        assert found[-1] == ("worst", count - 1)


def test_a_strip_is_portrait_recovered_photograph_and_error():
    protocol = Drawn(3)
    (found,) = choose("dark", rows(1), protocol, lambda portraits: 255 - portraits)
    photo = protocol.pixels["face/0"]
    np.testing.assert_array_equal(found.strip[0], photo // 2)
    np.testing.assert_array_equal(found.strip[1], 255 - photo // 2)
    np.testing.assert_array_equal(found.strip[2], photo)
    np.testing.assert_array_equal(found.strip[3], error_map(found.strip[1][None], photo[None])[0])


def test_errors_are_black_to_white_by_their_size():
    black = np.zeros((3, 4, 4, 3), np.uint8)
    other = np.stack([black[0], black[0] + examples.ERROR_SCALE // 2, black[0] + 2 * examples.ERROR_SCALE])
    means = error_map(black, other).mean(axis=(1, 2, 3))
    assert means[0] < 5 < 80 < means[1] < 150 < 200 < means[2]
    np.testing.assert_array_equal(error_map(black, other), error_map(other, black))
