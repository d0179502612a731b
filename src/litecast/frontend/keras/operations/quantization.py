"""Fake quantization of Keras and TensorFlow: values rounded to the grid of an integer type, still floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.operations.promotion import F32, tensor
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array, math


def _limits(x: Any) -> Any:
    """Return the contents of a range's end; UnsupportedError where they are computed."""
    if isinstance(x, Value) and not x.is_const:
        raise array.unsupported("FakeQuantWithMinMaxVars", "its range is computed", "use a constant range")
    return np.asarray(x.array() if isinstance(x, Value) else x, np.float32)


def fake_quantize(
    b: Builder, x: Any, low: Any, high: Any, num_bits: int, narrow_range: bool, per_channel: bool = False
) -> Any:
    """Return x on the grid of `num_bits` between two ends, moved so that zero is on it.

    `per_channel`: one range for each element of the last axis (core/kernels/fake_quant_ops_functor.h).
    """
    value = array.cast(b, x, F32)
    first, last = _limits(low), _limits(high)
    if not per_channel:
        first, last = first.reshape(()), last.reshape(())
    if not narrow_range and not per_channel and first <= 0 <= last and first < last:
        kernel = ops.FakeQuant(min=float(first), max=float(last), num_bits=num_bits)
        return array.cast(b, b(kernel, value), x.dtype)
    least, most = np.float32(int(narrow_range)), np.float32((1 << num_bits) - 1)
    scale = (last - first) / (most - least)
    zero = np.floor(np.clip(least - first / scale, least, most) + np.float32(0.5))
    bottom, top = (least - zero) * scale, (most - zero) * scale
    inverse = np.float32(1) / scale
    shift = np.float32(0.5) - np.floor(-bottom * inverse + np.float32(0.5))
    clipped = math.apply(b, ops.Maximum(), math.apply(b, ops.Minimum(), value, b.const(top)), b.const(bottom))
    steps = math.apply(b, ops.Mul(), math.apply(b, ops.Sub(), clipped, b.const(bottom)), b.const(inverse))
    whole = math.apply(b, ops.Floor(), math.apply(b, ops.Add(), steps, b.const(shift)))
    return array.cast(b, math.apply(b, ops.Mul(), whole, b.const(scale)), x.dtype)


@keras("FakeQuantWithMinMaxVars", autocast=False)
def fake_quant(
    b: Builder,
    inputs: Any,
    min_vals: Any,
    max_vals: Any,
    *,
    num_bits: int = 8,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Any:
    """An Operation of keras.quantizers, which is not among keras.ops."""
    value = tensor(b, inputs)
    if axis is None:
        return fake_quantize(b, value, min_vals, max_vals, int(num_bits), narrow_range)
    order = list(range(value.rank))
    place = array.normalize_axis(axis, value.rank)
    order[place], order[-1] = order[-1], order[place]
    moved = array.transpose(b, value, order)
    result = fake_quantize(b, moved, min_vals, max_vals, int(num_bits), narrow_range, True)
    return array.transpose(b, result, order)
