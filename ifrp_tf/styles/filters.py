"""Filters for the procedural styles: blurs, slopes, flow, tiles and noise, in `keras.ops`.

Pictures are `[N, H, W, 3]`, maps are `[N, H, W]`, a number per picture is `[N, 1, 1]`. H and W are known.
Lengths are in **pixels of a side of 128**, so that a look does not change with the size of the picture.

A blur is a product with two Gaussian matrices: at these sizes that is faster on a CPU than a convolution of
three channels, it costs the same for every width, and each picture of a batch may have its own width.
"""

from __future__ import annotations

from keras import ops

from ifrp_tf.core.types import Tensor

LUMINANCE = (0.2989, 0.5870, 0.1140)
GRID = 44  # tiles along a side for which seeds are held: enough for cells of 3 pixels and a margin


def amount(params: Tensor, which: int, low: float, high: float) -> Tensor:
    """Turns column `which` of uniform numbers `[N, 16]` into a number in `[low, high)` per picture.

    Output shape: `[N, 1, 1]`.
    """
    return (low + (high - low) * params[:, which])[:, None, None]


def chance(params: Tensor, which: int, probability: float) -> Tensor:
    """Gives 1.0 for a part `probability` of the pictures, 0.0 for the others. Output: `[N, 1, 1]`."""
    return ops.cast(params[:, which] < probability, "float32")[:, None, None]


def draws(field: Tensor, row: int, count: int) -> Tensor:
    """Takes `count` triples of uniform numbers from one row of the field `[N, H, W, 3]`.

    Output shape: `[N, count, 3]`, in `[0, 1)`.
    """
    return field[:, row, :count, :]


def luminance(picture: Tensor) -> Tensor:
    """Weighs RGB `[N, H, W, 3]` to one map `[N, H, W]` in the range of the input."""
    return ops.sum(picture * ops.convert_to_tensor(LUMINANCE, dtype="float32"), axis=-1)


def step(value: Tensor, softness: Tensor | float) -> Tensor:
    """Rises from 0 to 1 around zero; `softness` is the half width of the straight ramp."""
    return ops.clip(0.5 + 0.5 * value / softness, 0.0, 1.0)


def coordinates(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Gives the pixel positions `(y [1, H, 1], x [1, 1, W])` in pixels of a side of 128."""
    height, width = picture.shape[1], picture.shape[2]
    unit = 128.0 / width
    return (
        ops.arange(height, dtype="float32")[None, :, None] * unit,
        ops.arange(width, dtype="float32")[None, None, :] * unit,
    )


def _kernel(size: int, sigma: Tensor, offset: Tensor | float = 0.0, slope: bool = False) -> Tensor:
    """Builds `[N or 1, size, size]`: each row a Gaussian, or its derivative, about its own (moved) pixel."""
    place = ops.arange(size, dtype="float32")
    distance = place[None, None, :] - place[None, :, None] - offset
    weight = ops.exp(-0.5 * ops.square(distance / sigma))
    weight = weight / ops.sum(weight, axis=-1, keepdims=True)
    if not slope:
        return weight
    rise = weight * distance / ops.square(sigma)
    # The cut rows at the border would answer to a flat picture: take out what they answer.
    return rise - weight * ops.sum(rise, axis=-1, keepdims=True)


def _spread(value: Tensor | float) -> Tensor:
    value = ops.convert_to_tensor(value, dtype="float32")
    return value if len(value.shape) else ops.reshape(value, (1, 1, 1))


def _apply(picture: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Multiplies maps `[N, H, W]` or pictures `[N, H, W, C]` with a matrix from either side."""
    columns = ops.swapaxes(columns, 1, 2)
    if len(picture.shape) == 3:
        return ops.matmul(ops.matmul(rows, picture), columns)
    planes = ops.transpose(picture, (0, 3, 1, 2))
    planes = ops.matmul(ops.matmul(rows[:, None], planes), columns[:, None])
    return ops.transpose(planes, (0, 2, 3, 1))


def smooth(
    picture: Tensor,
    sigma: Tensor | float,
    sigma_x: Tensor | float | None = None,
    move_y: Tensor | float = 0.0,
    move_x: Tensor | float = 0.0,
) -> Tensor:
    """Blurs with a Gaussian, if asked of different widths along y and x, about a place beside each pixel.

    Args:
        picture: Map `[N, H, W]` or picture `[N, H, W, C]`.
        sigma: Standard deviation along y in pixels of a side of 128, a number or `[N, 1, 1]`, at least 0.2.
        sigma_x: The same along x; None for that along y.
        move_y: Where the Gaussian's centre is relative to the pixel, along y, in the same unit.
        move_x: The same along x.

    Output shape: that of `picture`.
    """
    height, width = picture.shape[1], picture.shape[2]
    unit = width / 128.0
    down = _spread(sigma) * unit
    across = down if sigma_x is None else _spread(sigma_x) * unit
    rows = _kernel(height, down, _spread(move_y) * unit)
    columns = _kernel(width, across, _spread(move_x) * unit)
    return _apply(picture, rows, columns)


def gradient(plane: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
    """Slopes of a map `[N, H, W]` along y and x, per pixel of a side of 128, after a blur of `sigma`."""
    height, width = plane.shape[1], plane.shape[2]
    unit = width / 128.0
    width_px = _spread(sigma) * unit
    rows, columns = _kernel(height, width_px), _kernel(width, width_px)
    up = _kernel(height, width_px, slope=True) * unit
    along = _kernel(width, width_px, slope=True) * unit
    return _apply(plane, up, columns), _apply(plane, rows, along)


def detail(picture: Tensor, part: Tensor) -> Tensor:
    """A part of a picture's fine lightness, `[N, H, W, 1]`: it saves eyes and lips from broad strokes."""
    light = luminance(picture)
    return (part * (smooth(light, 0.6) - smooth(light, 3.5)))[..., None]


def grain(plane: Tensor, sigma: Tensor | float, sigma_x: Tensor | float | None = None) -> Tensor:
    """Turns a map of uniform noise into smooth noise of mean 0 and spread 1 (inside the border)."""
    unit = plane.shape[2] / 128.0
    spread = smooth(plane - 0.5, sigma, sigma_x)
    down = _spread(sigma)
    across = down if sigma_x is None else _spread(sigma_x)
    # White noise of variance 1/12 keeps 1 / (4 pi sigma sigma_x) of it, for Gaussians wider than a pixel.
    return spread * (3.5449 / 0.288675 * unit) * ops.sqrt(ops.maximum(down, 0.45) * ops.maximum(across, 0.45))


def sample(picture: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Takes the nearest pixel at places `[N, H, W]` in pixels of a side of 128; the border is clamped."""
    height, width = picture.shape[1], picture.shape[2]
    unit = width / 128.0
    row = ops.cast(ops.clip(ops.round(y * unit), 0, height - 1), "int32")
    column = ops.cast(ops.clip(ops.round(x * unit), 0, width - 1), "int32")
    number = ops.shape(picture)[0]
    first = ops.arange(number, dtype="int32")[:, None, None] * (height * width)
    places = ops.reshape(first + row * width + column, (-1,))
    tail = tuple(picture.shape[3:])
    flat = ops.reshape(picture, (-1, *tail))
    return ops.reshape(ops.take(flat, places, axis=0), (number, height, width, *tail))


def smear(picture: Tensor, flow_y: Tensor, flow_x: Tensor, length: Tensor | float, rounds: int = 3) -> Tensor:
    """Averages along the lines of a flow: line integral convolution in strides of 1, 3, 9 ... of a tap.

    Every round averages three taps, each itself the average of the round before, so the line follows the
    flow's bends and `3 ** rounds` taps cost `2 * rounds` look-ups.

    Args:
        picture: Map `[N, H, W]` or picture `[N, H, W, C]`.
        flow_y: Unit directions along y, `[N, H, W]`.
        flow_x: The same along x.
        length: Reach either way in pixels of a side of 128, a number or `[N, 1, 1]`.
        rounds: Number of rounds, at least 1.
    """
    y, x = coordinates(picture)
    tap = length / sum(3**k for k in range(rounds))
    for k in range(rounds):
        stride_y, stride_x = flow_y * (tap * 3**k), flow_x * (tap * 3**k)
        ahead = sample(picture, y + stride_y, x + stride_x)
        behind = sample(picture, y - stride_y, x - stride_x)
        picture = (picture + ahead + behind) / 3.0
    return picture


def flow(
    plane: Tensor, twist: Tensor, follow: Tensor | float, sigma: Tensor | float = 2.5
) -> tuple[Tensor, Tensor]:
    """Directions along the edges of a map, and along a free field where there are no edges.

    Args:
        plane: Luminance `[N, H, W]`, in `[0, 1]`.
        twist: Angle of the free field `[N, H, W]` in radians, any value.
        follow: How far the edges win over the free field, at least 0; about 1 follows every clear edge.
        sigma: Blur of the edge tensor in pixels of a side of 128.

    Returns:
        Unit directions `(y, x)`, each `[N, H, W]`; a direction and its opposite mean the same.
    """
    down, across = gradient(plane, 1.0)
    tensor = ops.stack([down * down - across * across, -2.0 * down * across], axis=-1)
    tensor = smooth(tensor, sigma) * (_spread(follow) * 400.0)[..., None]
    # Twice the angle: a direction and its opposite then agree, so that averaging them is sound.
    double_x = tensor[..., 0] + ops.cos(2.0 * twist)
    double_y = tensor[..., 1] + ops.sin(2.0 * twist)
    size = ops.sqrt(double_x * double_x + double_y * double_y + 1e-12)
    cos = ops.sqrt(ops.clip(0.5 + 0.5 * double_x / size, 0.0, 1.0))
    sin = ops.sqrt(ops.clip(0.5 - 0.5 * double_x / size, 0.0, 1.0))
    return ops.where(double_y < 0.0, -sin, sin), cos


def tiles(field: Tensor, cell: Tensor, disorder: Tensor | float = 0.8) -> tuple[Tensor, Tensor, Tensor]:
    """Voronoi tiles about the seeds of a jittered grid.

    Args:
        field: Uniform noise `[N, H, W, 3]`, `[0, 1)`; two channels of its top left corner place the seeds.
        cell: Side of a grid cell in pixels of a side of 128, `[N, 1, 1]`, at least 3.
        disorder: How far seeds leave the cell's centre, 0 (a square lattice) to 1 (anywhere in the cell).

    Returns:
        `(seed_y, seed_x, border)`, each `[N, H, W]`: the place of the pixel's own seed, and the distance to
        the tile's border, all in pixels of a side of 128.
    """
    y, x = coordinates(field)
    # A side of fewer than 45 pixels has no room for all seeds: the tiles without one are not jittered.
    rows, columns = (min(GRID, side - 1) for side in field.shape[1:3])
    down_number = ops.arange(rows, dtype="float32")[None, None, :]
    across_number = ops.arange(columns, dtype="float32")[None, None, :]
    row, column = ops.floor(y / cell), ops.floor(x / cell)
    jitter = (field[:, 1 : rows + 1, 1 : columns + 1, :2] - 0.5) * _spread(disorder)[..., None]
    first = second = None
    seed_y = seed_x = row
    for down in (-1.0, 0.0, 1.0):
        for across in (-1.0, 0.0, 1.0):
            # One-hot products look up the jitter of each pixel's cell: cheaper than gathering, and exact.
            pick_y = ops.cast(ops.equal(row + (down + 1.0), down_number), "float32")
            beside = ops.swapaxes(column, 1, 2) + (across + 1.0)
            pick_x = ops.swapaxes(ops.cast(ops.equal(beside, across_number), "float32"), 1, 2)
            at_y = (row + (down + 0.5) + ops.matmul(ops.matmul(pick_y, jitter[..., 0]), pick_x)) * cell
            at_x = (column + (across + 0.5) + ops.matmul(ops.matmul(pick_y, jitter[..., 1]), pick_x)) * cell
            distance = ops.square(at_y - y) + ops.square(at_x - x)
            if first is None:
                first, second, seed_y, seed_x = distance, distance + 1e6, at_y, at_x
                continue
            nearer = distance < first
            second = ops.minimum(second, ops.maximum(first, distance))
            first = ops.minimum(first, distance)
            seed_y, seed_x = ops.where(nearer, at_y, seed_y), ops.where(nearer, at_x, seed_x)
    return seed_y, seed_x, 0.5 * (ops.sqrt(second) - ops.sqrt(first))
