"""Colours for the procedural styles: random palettes, gradients and statistics, in `keras.ops`.

Everything here is in `[0, 1]` RGB; `unit` and `signed` cross to and from the `[-1, 1]` of the networks.
"""

from __future__ import annotations

from keras import ops

from ifrp_tf.core.types import Tensor
from ifrp_tf.styles.filters import amount, chance, draws, luminance


def unit(picture: Tensor) -> Tensor:
    """Takes `[-1, 1]` to `[0, 1]`."""
    return picture * 0.5 + 0.5


def signed(picture: Tensor) -> Tensor:
    """Takes `[0, 1]` to `[-1, 1]`, clipping what is outside."""
    return ops.clip(picture, 0.0, 1.0) * 2.0 - 1.0


def paint(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Makes RGB `[..., 3]` from hue (in turns, any value), saturation and value (both `[0, 1]`)."""
    shift = ops.convert_to_tensor([0.0, -1.0 / 3.0, 1.0 / 3.0], dtype="float32")
    turn = hue[..., None] + shift
    turn = turn - ops.floor(turn)
    pure = ops.clip(ops.abs(6.0 * turn - 3.0) - 1.0, 0.0, 1.0)
    return value[..., None] * (1.0 + saturation[..., None] * (pure - 1.0))


def bend(picture: Tensor, strength: Tensor) -> Tensor:
    """Bends tones as a power law does, for less: `strength` above 1 brightens, below 1 darkens."""
    return picture * strength / (1.0 + picture * (strength - 1.0))


def gradient_map(tone: Tensor, stops: Tensor) -> Tensor:
    """Colours tones by a ramp of evenly spaced colours.

    Args:
        tone: Map `[N, H, W]` in `[0, 1]`.
        stops: Colours `[N, K, 3]` in `[0, 1]`, from dark tones to light ones.

    Output shape: `[N, H, W, 3]`.
    """
    count = stops.shape[1]
    place = ops.arange(count, dtype="float32")
    weight = ops.relu(1.0 - ops.abs(ops.clip(tone, 0.0, 1.0)[..., None] * (count - 1.0) - place))
    return ops.matmul(weight, stops[:, None])


def ramp(params: Tensor, field: Tensor, which: int, count: int = 6) -> Tensor:
    """Draws a ramp of `count` saturated colours, from dark to light. Output: `[N, count, 3]`."""
    free = draws(field, 0, count)
    place = ops.arange(count, dtype="float32")[None, :] / (count - 1.0)
    hue = (
        params[:, which, None] + (params[:, which + 1, None] * 1.6 - 0.8) * place + 0.5 * (free[..., 0] - 0.5)
    )
    saturation = ops.clip(0.55 + 0.75 * free[..., 1], 0.0, 1.0) * (1.0 - 0.2 * place)
    value = 0.08 + 0.9 * place + 0.16 * (free[..., 2] - 0.5)
    colours = paint(hue, saturation, ops.clip(value, 0.0, 1.0))
    # A pure blue of value 1 is darker than a yellow of one half: set the luminance, then keep it in range.
    own = luminance(colours)[..., None] + 1e-3
    aim = ops.clip(0.7 * value[..., None] + 0.3 * own, 0.04, 0.96)
    dark = colours * ops.minimum(aim / own, 1.0)
    light = 1.0 - (1.0 - colours) * ops.minimum((1.0 - aim) / (1.0 - own + 2e-3), 1.0)
    return ops.where(own > aim, dark, light)


def retone(picture: Tensor, params: Tensor, which: int) -> Tensor:
    """Moves colours to the statistics of an imaginary painting, by three columns of `params` from `which` on.

    Luminance and the two opponent colours are standardised, then given a new mean and spread; the opponents
    are turned together and pulled along with luminance (dark blue to light yellow, say). Light stays light.
    """
    light = luminance(picture)
    opponents = [picture[..., 0] - light, picture[..., 2] - light]

    def standard(plane: Tensor) -> Tensor:
        mean = ops.mean(plane, axis=(1, 2), keepdims=True)
        spread = ops.sqrt(ops.mean(ops.square(plane - mean), axis=(1, 2), keepdims=True) + 1e-6)
        # Faces on flat backgrounds have hardly any spread in colour: do not blow up their noise.
        return (plane - mean) / ops.maximum(spread, 0.02)

    tone, red, blue = standard(light), standard(opponents[0]), standard(opponents[1])
    turn, pull = 6.2832 * params[:, which], 6.2832 * params[:, which + 1]
    turn, pull = turn[:, None, None], pull[:, None, None]
    wild = amount(params, which + 2, 0.03, 0.13)
    new_red = wild * (red * ops.cos(turn) - blue * ops.sin(turn) + 1.1 * tone * ops.cos(pull))
    new_blue = wild * (red * ops.sin(turn) + blue * ops.cos(turn) + 1.1 * tone * ops.sin(pull))
    new_red = new_red + 1.3 * wild * ops.sin(3.0 * turn + pull)
    new_blue = new_blue + 1.3 * wild * ops.cos(2.0 * pull - turn)
    new_light = 0.46 + 0.1 * ops.cos(5.0 * turn) + tone * (0.25 + 0.05 * ops.sin(4.0 * pull))
    new_green = -(0.2989 * new_red + 0.1140 * new_blue) / 0.5870
    return ops.clip(new_light[..., None] + ops.stack([new_red, new_green, new_blue], axis=-1), 0.0, 1.0)


def dress(picture: Tensor, params: Tensor, field: Tensor, which: int = 12) -> Tensor:
    """Gives a picture more or less the colours of a random painting, by four columns of `params`.

    About two pictures in five keep their colours (somewhat more saturated), two get other statistics, one a
    ramp.
    """
    choice = params[:, which, None, None, None]
    light = luminance(picture)[..., None]
    vivid = light + (picture - light) * (0.7 + 1.3 * params[:, which + 1, None, None, None])
    far = retone(picture, params, which + 1)
    ramped = gradient_map(light[..., 0], ramp(params, field, which + 2))
    # Within its share of the choice, a picture is changed by a random part of the way.
    part = ops.clip((choice - 0.4) / 0.3, 0.0, 1.0)
    mixed = vivid + (far - vivid) * (0.35 + 0.65 * part) * ops.cast(choice >= 0.4, "float32")
    part = 0.5 + 0.5 * ops.clip((choice - 0.8) / 0.2, 0.0, 1.0)
    mixed = mixed + (ramped - mixed) * part * ops.cast(choice >= 0.8, "float32")
    return ops.clip(mixed, 0.0, 1.0)


def paper(params: Tensor, which: int) -> Tensor:
    """Draws a paper colour `[N, 1, 1, 3]`: near white, cream, grey or pale blue, sometimes a mid tone."""
    hue = params[:, which] * 0.6
    saturation = 0.3 * params[:, which + 1] ** 3
    value = 1.0 - 0.35 * (params[:, which] * 7.0 - ops.floor(params[:, which] * 7.0)) ** 3
    return paint(hue, saturation, value)[:, None, None, :]


def ink(params: Tensor, which: int) -> Tensor:
    """Draws an ink colour `[N, 1, 1, 3]`: mostly black or grey, in a third of the pictures coloured."""
    hue = params[:, which] * 5.0
    coloured = chance(params, which, 0.35)[:, 0, 0]
    saturation = coloured * (0.3 + 0.6 * params[:, which + 1])
    value = 0.02 + 0.22 * params[:, which + 1] + 0.12 * coloured
    return paint(hue, saturation, value)[:, None, None, :]


def lay(ground: Tensor, colour: Tensor, cover: Tensor) -> Tensor:
    """Lays a colour over a ground where `cover` `[N, H, W]` is 1."""
    return ground + (colour - ground) * cover[..., None]
