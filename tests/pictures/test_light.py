import numpy as np
import pytest

from ifrp_tf.pictures import light


def test_levels_survive_the_way_to_linear_light_and_back():
    levels = np.arange(256)
    np.testing.assert_array_equal(light.to_srgb(light.to_linear(levels)), levels)
    assert light.to_linear(188) == pytest.approx(0.5, abs=0.005)
    assert (light.to_srgb(np.array([-1.0, 2.0])) == [0, 255]).all()


def test_a_gain_is_of_linear_light():
    grey = np.full((2, 2, 3), 188, np.uint8)
    assert (light.balanced(grey, np.array([1.0, 0.5, 2.0]))[0, 0] == [188, 137, 255]).all()


def test_lamps_are_red_and_the_sky_is_blue():
    assert light.daylight(2500)[0] > 1.5 > 1 > light.daylight(2500)[2]
    assert light.daylight(10000)[2] > 1
    np.testing.assert_allclose(light.daylight(6500), 1, atol=0.06)


@pytest.mark.parametrize("kelvin", [2700, 4000, 6500, 10000])
def test_usual_light_stays_and_a_tint_is_mostly_taken_for_an_error(kelvin):
    true = light.daylight(kelvin)
    np.testing.assert_allclose(light.near_daylight(true, 0.0), true, rtol=0.08)
    np.testing.assert_allclose(light.near_daylight(true, 1.0), true, rtol=1e-9)
    guess = true * np.array([1.0, 1.3, 1.0])
    errors = []
    for across in (0.0, light.ACROSS, 1.0):
        moved = light.near_daylight(guess, across)
        assert np.prod(moved) == pytest.approx(np.prod(guess))  # as bright
        error = np.log(moved / true)
        errors.append(np.abs(error - error.mean()).max())
    assert errors[0] < errors[1] < 0.5 * errors[2]


def test_lights_are_moved_each_by_itself():
    lights = np.array([light.daylight(3000), [1.0, 1.4, 0.8]])
    together = light.near_daylight(lights)
    np.testing.assert_allclose(together, [light.near_daylight(one) for one in lights])
