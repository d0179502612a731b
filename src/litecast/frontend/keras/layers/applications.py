"""Layers that the networks of `keras.applications` define for themselves."""

from __future__ import annotations

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ops import Add, Mul


@keras("LayerScale", harmless=("init_values",))
def layer_scale(b: Builder, x: Value, *, layer: Layer, projection_dim: int) -> Value:
    """Of ConvNeXt (keras/src/applications/convnext.py): every channel times a weight of its own."""
    result: Value = b(Mul(), x, layer.weight(b, "gamma", (projection_dim,)))
    return result


@keras("StochasticDepth", training_only=True, harmless=("drop_path_rate",))
def stochastic_depth(b: Builder, x: Value) -> Value:
    """Of ConvNeXt: whole paths are dropped in training only."""
    return x


@keras("CustomScaleLayer")
def custom_scale_layer(b: Builder, inputs: list[Value], *, scale: float) -> Value:
    """Of InceptionResNetV2: `inputs[0] + inputs[1] * scale`."""
    main, residual = inputs
    result: Value = b(Add(), main, b(Mul(), residual, b.const(scale, dtype=residual.dtype)))
    return result
