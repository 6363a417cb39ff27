"""How the layers of Spatial Transformers look in ONNX: writers for `onnx_layers.add`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ifrp_tf.onnx_graph import Graph


def bound_transform(graph: Graph, layer: Any, value: str) -> str:
    """`layers.BoundTransform`: `value` is [N, 4]; returns the name of the transforms, [N, 4]."""
    factors = [layer.max_angle, math.log(layer.max_scale), layer.max_shift, layer.max_shift]
    value = graph.node("Mul", [graph.node("Tanh", [value]), graph.constant([factors])])
    angle, scale, shift = graph.split(value, [1, 1, 2])
    return graph.node("Concat", [angle, graph.node("Exp", [scale]), shift], axis=1)


def spatial_transformer(graph: Graph, layer: Any, features: str, parameters: str) -> str:
    """`layers.SpatialTransformer`: `features` NCHW, `parameters` [N, 4]; returns the name of its output.

    `affine_grid` in normalised coordinates and with (x, y) last, and `bilinear_sample`.
    """
    height, width = layer.input[0].shape[1:3]
    angle, scale, shift_y, shift_x = (graph.reshape(p, 0, 1, 1) for p in graph.split(parameters, [1] * 4))
    y = graph.node("Add", [graph.constant(np.linspace(-1, 1, height).reshape(1, -1, 1)), shift_y])
    x = graph.node("Add", [graph.constant(np.linspace(-1, 1, width).reshape(1, 1, -1)), shift_x])
    cos = graph.node("Mul", [scale, graph.node("Cos", [angle])])
    sin = graph.node("Mul", [scale, graph.node("Sin", [angle])])
    rows = graph.node("Sub", [graph.node("Mul", [cos, y]), graph.node("Mul", [sin, x])])
    columns = graph.node("Add", [graph.node("Mul", [sin, y]), graph.node("Mul", [cos, x])])
    last = graph.constant(np.array([-1], np.int64))
    positions = [graph.node("Unsqueeze", [value, last]) for value in (columns, rows)]
    inputs = [features, graph.node("Concat", positions, axis=-1)]
    padding = {"zero": "zeros", "edge": "border"}[layer.fill]
    return graph.node("GridSample", inputs, mode="bilinear", padding_mode=padding, align_corners=1)


def compose_transforms(graph: Graph, layer: Any, first: str, second: str) -> str:
    """`localisation.ComposeTransforms`: both [N, 4]; returns the name of the composed transforms."""
    angle1, scale1, y1, x1 = graph.split(first, [1] * 4)
    angle2, scale2, y2, x2 = graph.split(second, [1] * 4)

    def node(op: str, *inputs: str) -> str:
        return graph.node(op, list(inputs))

    cos = node("Div", node("Cos", angle2), scale2)
    sin = node("Div", node("Sin", angle2), scale2)
    y = node("Sum", y2, node("Mul", cos, y1), node("Mul", sin, x1))
    x = node("Sub", node("Add", x2, node("Mul", cos, x1)), node("Mul", sin, y1))
    return graph.node("Concat", [node("Add", angle1, angle2), node("Mul", scale1, scale2), y, x], axis=1)
