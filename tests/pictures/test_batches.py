import numpy as np
import pytest

from ifrp_tf.pictures.batches import in_batches


@pytest.mark.parametrize("count", [1, 4, 5, 8, 11])
def test_every_batch_is_full_and_every_row_is_answered(count):
    seen = []

    def function(a, b):
        seen.append(len(a))
        return a + b

    rows = np.arange(2 * count).reshape(count, 2)
    np.testing.assert_array_equal(in_batches(function, rows, 10 * rows, size=4), 11 * rows)
    assert seen == [4] * -(-count // 4)


def test_without_filling_the_last_batch_is_short():
    seen = []
    in_batches(lambda rows: seen.append(len(rows)) or rows, np.arange(5), size=4, fill=False)
    assert seen == [4, 1]
