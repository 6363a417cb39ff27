import numpy as np
import pytest

pytest.importorskip("skimage")

from ifrp_tf.data import sample
from ifrp_tf.demo import examples
from ifrp_tf.pictures import images


def test_painted_portraits_and_a_whole_photograph_are_made(tmp_path):
    made = examples.make(tmp_path / "examples", whole=True, painted=True)
    assert [one.caption for one in made] == [
        "A whole photograph", "Impasto, tilted", "Charcoal, tilted", "Watercolour"
    ]  # fmt: skip
    whole, *portraits = (images.read(one.path).pixels for one in made)
    np.testing.assert_array_equal(whole, sample.whole())
    np.testing.assert_array_equal(portraits[0], sample.portrait("impasto"))
    assert all(one.shape == (128, 128, 3) for one in portraits)
    assert np.abs(portraits[1].astype(int) - sample.portrait("charcoal")).mean() > 10  # tilted elsewhere
    rules = examples.css(made)
    assert rules.count("data:image/png;base64,") == 4
    assert "#example_3 {" in rules
    assert "url(http" not in rules
