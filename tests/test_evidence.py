import numpy as np
import pytest
from drawn_protocol import PixelDescriptor, pair, photo, vector

from ifrp_tf import evidence, retrieval
from ifrp_tf.evidence import Evidence, Gallery
from ifrp_tf.rows import GalleryRow


@pytest.fixture
def found():
    """Photographs on a line; of three, two have portraits. The second recovery of b looks like c."""
    return Evidence(
        styles={
            "ink": [pair("ink", "a", 20.0, 0.1), pair("ink", "b", 16.0, 1.1)],
            "oil": [pair("oil", "b", 18.0, 1.9)],
        },
        photos={row.name: row for row in (photo("a", 0.0), photo("b", 1.0), photo("c", 2.0))},
        mean_face=vector(1.2),
        descriptor=PixelDescriptor(),
    )


def test_subjects_are_those_with_portraits(found):
    assert found.subjects == ["a", "b"]


def test_the_photographs_are_the_gallery_unless_there_is_one(found):
    assert Gallery(found).index == {"a": 0, "b": 1, "c": 2}
    assert Gallery(found).own_added == 0
    own = Evidence(**{**vars(found), "gallery": [GalleryRow("b", vector(7.0)), GalleryRow("z", vector(8.0))]})
    searched = Gallery(own)
    assert searched.index == {"b": 0, "z": 1, "a": 2}, "c is looked for by nobody"
    assert searched.own_added == 1
    np.testing.assert_array_equal(searched.vectors[:, 0], [7.0, 8.0, 0.0])


def test_chance_is_k_of_the_gallery(found):
    assert Gallery(found).chance(1) == pytest.approx(1 / 3)
    assert Gallery(found).chance(5) == 1.0


def test_samples_hold_one_number_a_subject(found):
    samples = evidence.samples(found, "model", {"a": 0, "b": 1}, Gallery(found))
    np.testing.assert_array_equal(samples["ink"]["psnr"].values, [20.0, 16.0])
    np.testing.assert_array_equal(samples["oil"]["psnr"].subjects, [1])
    np.testing.assert_array_equal(samples["ink"]["frr_top1"].values, [1.0, 1.0])
    np.testing.assert_array_equal(samples["oil"]["frr_top1"].values, [0.0])
    np.testing.assert_allclose(samples["oil"]["distance"].values, [0.9], rtol=1e-5)
    raw = evidence.samples(found, "input", {"a": 0, "b": 1}, Gallery(found))
    np.testing.assert_array_equal(raw["ink"]["psnr"].values, [10.0, 10.0])
    np.testing.assert_array_equal(raw["ink"]["frr_top1"].values, [0.0, 0.0])
    constant = evidence.samples(found, "mean_face", {"a": 0, "b": 1}, Gallery(found))
    np.testing.assert_array_equal(constant["ink"]["psnr"].values, [13.0, 13.0])
    np.testing.assert_array_equal(constant["ink"]["frr_top1"].values, [0.0, 1.0])


def test_crossings_of_each_answer(found):
    crossed = evidence.crossings(found, "model")
    assert {(part.style, part.other, part.subjects) for part in crossed} == {
        ("ink", "oil", ("b",)), ("oil", "ink", ("b",))
    }  # fmt: skip
    # from the mean face both subjects in ink are as far: chance
    assert retrieval.fcr(evidence.crossings(found, "mean_face"), 1) == pytest.approx((1 + 1 / 2) / 2)


def test_without_a_descriptor_there_is_no_retrieval(found):
    bare = Evidence(styles=found.styles, photos=found.photos)
    gallery = Gallery(bare)
    assert gallery.chance(1) is None
    samples = evidence.samples(bare, "model", {"a": 0, "b": 1}, gallery)
    assert np.isnan(samples["ink"]["frr_top1"].values).all()
    assert evidence.crossings(bare, "model") == []
