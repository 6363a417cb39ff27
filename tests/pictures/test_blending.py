import tracemalloc

import numpy as np
import pytest
from composed import border_ratio, ring
from PIL import Image, ImageFilter
from skimage.data import astronaut

from ifrp_tf.core.errors import ConfigError, ImageError
from ifrp_tf.pictures.blending import in_place, mask, match_colours, paste, texture_of
from ifrp_tf.pictures.geometry import Place, cut

FACE = Place(224.5, 121, 118, 12)
PLACES = [FACE, Place(100, 400, 200, -30), Place(400, 350, 90, 160)]


def test_a_face_cut_out_and_pasted_is_where_it_was():
    faces = [cut(astronaut(), place, 512) for place in PLACES]
    pasted = paste(astronaut(), PLACES, faces)
    assert np.abs(pasted.astype(int) - astronaut()).mean() < 0.5
    off = paste(astronaut(), [Place(p.x + 4, p.y, p.side, p.angle) for p in PLACES], faces)
    assert np.abs(off.astype(int) - astronaut()).mean() > 1


@pytest.mark.parametrize("place", PLACES)
def test_the_border_of_a_paste_does_not_show(place):
    other = np.random.default_rng(1).integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    for face in (other, np.full_like(other, 255), 255 - other):
        pasted = paste(astronaut(), [place], [face])
        assert border_ratio(astronaut(), pasted, place) < 1.5
        edge = np.abs(pasted.astype(int) - astronaut())
        assert edge[ring(pasted.shape, place, 0.98, 1.02)].max() <= 3
        assert edge[ring(pasted.shape, place, 0, 0.5)].mean() > 5


def test_a_face_is_blended_band_by_band_without_a_seam(monkeypatch):
    faces = [np.random.default_rng(k).integers(0, 256, (64, 64, 3)).astype(np.uint8) for k in range(3)]
    whole = paste(astronaut(), PLACES, faces)
    monkeypatch.setattr("ifrp_tf.pictures.blending._BAND", 1000)  # a few rows
    assert np.abs(paste(astronaut(), PLACES, faces).astype(int) - whole).max() <= 1


def test_the_memory_of_a_face_that_fills_a_large_picture_is_bounded():
    picture = np.zeros((3000, 2400, 3), np.uint8)
    tracemalloc.start()
    paste(picture, [Place(1200, 1500, 2800, 5)], [np.full((128, 128, 3), 9, np.uint8)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < picture.nbytes + 150 * 2**20


def test_pixels_outside_are_not_touched_and_neither_is_the_input():
    before = astronaut()
    pasted = paste(before, [FACE], [np.zeros((128, 128, 3), np.uint8)])
    np.testing.assert_array_equal(before, astronaut())
    np.testing.assert_array_equal(
        pasted[ring(before.shape, FACE, 1.02, 99)], before[ring(before.shape, FACE, 1.02, 99)]
    )


def test_strength_blends():
    face = cut(astronaut()[:, ::-1], Place(288, 121, 118), 128)
    whole, half, none = (paste(astronaut(), [FACE], [face], strength=s).astype(int) for s in (1, 0.5, 0))
    np.testing.assert_array_equal(none, astronaut())
    assert np.abs(half - (whole + astronaut()) / 2).max() <= 1


def test_faces_that_overlap_share_their_pixels_whatever_their_order():
    ground = np.full((200, 300, 3), 128, np.uint8)
    ground[::2] = 100
    places = [Place(120, 100, 120, 5), Place(170, 100, 100, -10), Place(140, 120, 60)]
    faces = [np.random.default_rng(k).integers(0, 256, (64, 64, 3)).astype(np.uint8) for k in range(3)]
    one, other = paste(ground, places, faces), paste(ground, places[::-1], faces[::-1])
    assert np.abs(one.astype(int) - other).max() <= 2
    assert 40 < one.mean() < 200


def test_places_over_the_border_and_outside():
    face = np.full((32, 32, 3), 50, np.uint8)
    places = [Place(0, 0, 100), Place(511, 300, 64, 45), Place(-500, 0, 90), Place(100, 100, 0.5)]
    assert paste(astronaut(), places, [face] * 4).shape == (512, 512, 3)
    np.testing.assert_array_equal(paste(astronaut(), [places[2]], [face]), astronaut())


def test_colours_are_matched():
    random = np.random.default_rng(0)
    face = random.normal(200, 10, (50, 50, 3)).astype(np.float32)
    picture = (random.normal(0, 14, (50, 50, 3)) + [100, 60, 20]).astype(np.float32)
    weight = np.ones((50, 50), np.float32)
    parts = [slice(0, 20), slice(20, 50)]
    gain, shift = match_colours((face[part], picture[part], weight[part]) for part in parts)
    matched = face * gain + shift
    np.testing.assert_allclose(matched.mean((0, 1)), picture.mean((0, 1)), atol=0.1)
    np.testing.assert_allclose(matched.std(), picture.std(), rtol=0.3)
    gain, shift = match_colours([(face, picture, 0 * weight)])
    np.testing.assert_array_equal(face * gain + shift, face)


def test_the_mask_is_whole_inside_and_gone_at_the_border():
    levels = mask(FACE, (150, 40, 300, 200))
    assert levels.max() == 1
    assert levels.min() == 0
    assert np.abs(np.diff(levels, axis=1)).max() < 0.1  # soft, at this size
    assert levels[81, 74] == 1


def test_the_face_in_its_picture_is_upright_as_the_picture_is():
    np.testing.assert_array_equal(
        in_place(astronaut(), FACE, 64), cut(astronaut(), Place(224.5, 121, 1.6 * 118), 64)
    )


def test_what_does_not_fit_together_is_refused():
    face = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ConfigError, match="strength"):
        paste(astronaut(), [FACE], [face], strength=2)
    with pytest.raises(ConfigError, match="as many"):
        paste(astronaut(), [FACE], [])
    with pytest.raises(ImageError):
        paste(astronaut(), [FACE], [face.astype(float)])


def tinted(grey, dark, light):
    """A picture of one colour for every lightness: uint8 [H, W, 3]."""
    return (dark + np.array(grey / 255.0)[..., None] * (np.array(light) - dark) + 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    "ends", [((0, 0, 0), (255, 255, 255)), ((30, 15, 5), (250, 238, 210)), ((60, 40, 90),) * 2]
)
def test_a_face_in_a_picture_of_one_hue_gets_its_tones(ends):
    grey = astronaut() @ np.array([0.299, 0.587, 0.114])
    picture = tinted(grey, *map(np.array, ends))
    face = cut(astronaut(), FACE, 128)
    pasted = paste(picture, [FACE], [face])
    near, wanted = (
        pasted.reshape(-1, 3).astype(float),
        tinted(np.arange(256), *map(np.array, ends)).astype(float),
    )
    if ends[0] != ends[1]:
        off = [np.abs(wanted - colour).max(1).min() for colour in np.unique(near[::7], axis=0)]
        assert max(off) <= 3
    coloured = paste(astronaut(), [FACE], [face])
    inside = mask(FACE, (0, 0, 512, 512)) > 0.5
    assert np.ptp(coloured[inside].astype(int), axis=1).mean() > 20  # where there are colours they stay


def test_a_smooth_face_gets_the_grain_of_its_picture_and_a_sharp_one_its_blur():
    luma, inside = np.array([0.299, 0.587, 0.114], np.float32), mask(FACE, (0, 0, 512, 512)) > 0.5

    def texture(pixels):
        return texture_of(pixels.astype(np.float32) @ luma, inside)

    soft = np.array(Image.fromarray(astronaut()).filter(ImageFilter.GaussianBlur(3)))
    random = np.random.default_rng(0)
    grainy = np.clip(soft + random.normal(0, 8, soft.shape[:2])[..., None], 0, 255).astype(np.uint8)
    smooth, sharp = (
        cut(soft, FACE, 128),
        cut(random.integers(0, 256, astronaut().shape).astype(np.uint8), FACE, 128),
    )
    np.testing.assert_allclose(texture(paste(grainy, [FACE], [smooth])), texture(grainy), rtol=0.3)
    assert texture(paste(soft, [FACE], [smooth]))[0] < 0.7  # none is added where there is none
    alone = texture_of(sharp.astype(np.float32) @ luma, np.ones((128, 128), bool))
    assert texture(paste(soft, [FACE], [sharp]))[0] < 0.5 * alone[0]
    np.testing.assert_array_equal(paste(grainy, [FACE], [smooth]), paste(grainy, [FACE], [smooth]))
