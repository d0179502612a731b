"""Activations that are layers. Early versions of Keras 2 write their numbers as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litecast.frontend.keras import activations
from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import activation, array, math
from litecast.ops import Add, Greater, Mul, Sub

__all__: list[str] = []

MASKED_LOGIT = -1e9
"""What Keras makes of masked places (keras/src/layers/activations/softmax.py), in half precision as well:
its exponential is 0 either way.
"""


@keras("Activation", masking="pass")
def activation_layer(b: Builder, inputs: Value, *, layer: Layer, activation: Any) -> Any:
    return layer.activate(b, activation, inputs)


@keras("ReLU", masking="pass")
def relu(
    b: Builder,
    inputs: Value,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
) -> Any:
    limit = None if max_value is None else float(max_value)
    return activations.rectify(b, inputs, float(negative_slope), limit, float(threshold))


@keras("LeakyReLU", masking="pass")
def leaky_relu(b: Builder, inputs: Value, *, negative_slope: float = 0.3) -> Any:
    return activation.leaky_relu(b, _real(b, inputs), float(negative_slope))


@keras("PReLU", masking="pass")
def prelu(b: Builder, inputs: Value, *, layer: Layer, shared_axes: Sequence[int] | int | None = None) -> Any:
    shape = list(inputs.shape[1:])
    for axis in [shared_axes] if isinstance(shared_axes, int) else shared_axes or ():
        shape[axis - 1] = 1
    return activation.prelu(b, _real(b, inputs), layer.weight(b, "alpha", shape))


@keras("ELU", masking="pass")
def elu(b: Builder, inputs: Value, *, alpha: float = 1.0) -> Any:
    return activation.elu(b, _real(b, inputs), float(alpha))


@keras("ThresholdedReLU", masking="pass")
def thresholded_relu(b: Builder, inputs: Value, *, theta: float = 1.0) -> Any:
    return activation.threshold(b, _real(b, inputs), float(theta), 0.0)


@keras("Softmax", masking="pass")
def softmax(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    mask: Any = None,
    axis: int | Sequence[int] = -1,
    robust_masking: bool = False,
) -> Any:
    x = _real(b, inputs)
    if mask is None:
        return activation.softmax(b, x, axis)
    if layer.is_legacy and not robust_masking:
        hidden = math.apply(b, Sub(), b.const(1.0), array.cast(b, mask, DType.FLOAT32))
        return activation.softmax(b, math.apply(b, Add(), x, b(Mul(), hidden, MASKED_LOGIT)), axis)
    seen = mask if mask.dtype is DType.BOOL else b(Greater(), mask, 0.5)
    result = activation.softmax(b, math.select(b, seen, x, MASKED_LOGIT), axis)
    return result if layer.is_legacy else math.select(b, seen, result, 0.0)


def _real(b: Builder, x: Value) -> Any:
    return array.cast(b, x, DType.FLOAT32) if x.dtype.is_integer else x
