"""Activation functions of one value, named as `jax.nn` names them; all but the rectifiers compute FLOAT32.

Where a closed form is exact it is used instead of a selection, so that kernels fuse it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder
from litecast.ir.types import DType, product
from litecast.lib import array, math, nn, reduce, special
from litecast.lib.array import unsupported

__all__ = [
    "celu",
    "clip",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "silu",
    "soft_shrink",
    "softmax",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh_shrink",
    "threshold",
]


# -- rectifiers ------------------------------------------------------------------------------------------


def clip(b: Builder, x: Any, low: Any = None, high: Any = None) -> Any:
    """Return x, at least `low` and at most `high` (numbers or values; None: no bound)."""
    if low is not None:
        x = math.apply(b, ops.Maximum(), x, low)
    return x if high is None else math.apply(b, ops.Minimum(), x, high)


def relu(b: Builder, x: Any) -> Any:
    """Return max(x, 0); integers too, which the kernel takes only quantized (activations.cc)."""
    if x.dtype.is_integer:
        return clip(b, x, 0)
    return nn.in_float32(b, lambda x: b(ops.Relu(), x), x)


def relu6(b: Builder, x: Any) -> Any:
    """Return x clipped to 0 .. 6, of any number type."""
    if x.dtype.is_integer:
        return clip(b, x, 0, 6)
    return nn.in_float32(b, lambda x: b(ops.Relu6(), x), x)


def leaky_relu(b: Builder, x: Any, negative_slope: float) -> Any:
    """Return x, times the slope where it is negative."""
    return b(ops.LeakyRelu(alpha=negative_slope), x)


def prelu(b: Builder, x: Any, alpha: Any) -> Any:
    """Return x, times alpha where it is negative; alpha broadcasts to x and lacks its first axis at least.

    XNNPACK takes one slope per channel only; the CPU kernel any.
    """
    return b(ops.Prelu(), x, alpha)


def elu(b: Builder, x: Any, alpha: float = 1.0) -> Any:
    """Return x, or alpha * (exp(x) - 1) where it is negative."""
    result = b(ops.Elu(), x)
    if alpha == 1:
        return result
    if alpha >= 0:
        return b(ops.LeakyRelu(alpha=alpha), result)
    return math.select(b, b(ops.Greater(), x, 0.0), x, b(ops.Mul(), result, alpha))


def celu(b: Builder, x: Any, alpha: float = 1.0) -> Any:
    """Return max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)."""
    scaled = b(ops.Mul(), b(ops.Minimum(), x, 0.0), 1.0 / alpha)
    tail = b(ops.Elu(), scaled) if alpha > 0 else special.expm1(b, scaled)
    return b(ops.Add(), b(ops.Relu(), x), b(ops.Mul(), tail, float(alpha)))


def threshold(b: Builder, x: Any, limit: float, default: float) -> Any:
    """Return x where it is above the limit, else the default."""
    return math.select(b, b(ops.Greater(), x, float(limit)), x, float(default))


# -- smooth functions ------------------------------------------------------------------------------------


def silu(b: Builder, x: Any) -> Any:
    """Return x * sigmoid(x)."""
    return b(ops.Mul(), x, b(ops.Logistic(), x))


def gelu(b: Builder, x: Any, approximate: bool) -> Any:
    """Return x times the normal distribution function, or its approximation by tanh."""
    return b(ops.Gelu(approximate=approximate), x)


def mish(b: Builder, x: Any) -> Any:
    """Return x * tanh(log(1 + exp(x)))."""
    return b(ops.Mul(), x, b(ops.Tanh(), nn.softplus(b, x)))


def log_sigmoid(b: Builder, x: Any) -> Any:
    """Return log(sigmoid(x)) as min(x, 0) + log(sigmoid(|x|)), which overflows for no x."""
    tail = b(ops.Log(), b(ops.Logistic(), b(ops.Abs(), x)))
    return b(ops.Add(), b(ops.Minimum(), x, 0.0), tail)


def squareplus(b: Builder, x: Any, smoothness: float = 4.0) -> Any:
    """Return (x + sqrt(x * x + smoothness)) / 2."""
    root = b(ops.Sqrt(), b(ops.Add(), b(ops.Mul(), x, x), float(smoothness)))
    return b(ops.Mul(), b(ops.Add(), x, root), 0.5)


def tanh_shrink(b: Builder, x: Any) -> Any:
    """Return x - tanh(x)."""
    return b(ops.Sub(), x, b(ops.Tanh(), x))


def glu(b: Builder, x: Any, axis: int = -1) -> Any:
    """Return one half of x along an axis, times the sigmoid of the other."""
    value, gate = array.split(b, x, 2, axis)
    return b(ops.Mul(), value, b(ops.Logistic(), gate))


# -- pieces of lines -------------------------------------------------------------------------------------


def hard_sigmoid(b: Builder, x: Any, slope: float = 1 / 6) -> Any:
    """Return slope * x + 0.5 clipped to 0 .. 1, as relu6(6 * slope * x + 3) / 6."""
    steep = x if slope == 1 / 6 else b(ops.Mul(), x, 6 * slope)
    return b(ops.Mul(), b(ops.Relu6(), b(ops.Add(), steep, 3.0)), 1 / 6)


def hard_silu(b: Builder, x: Any) -> Any:
    """Return x * relu6(x + 3) / 6."""
    return b(ops.HardSwish(), x)


def hard_tanh(b: Builder, x: Any) -> Any:
    """Return x clipped to -1 .. 1."""
    return b(ops.ReluN1To1(), x)


def soft_shrink(b: Builder, x: Any, limit: float = 0.5) -> Any:
    """Return x moved towards 0 by the limit, 0 where it would pass it."""
    if limit < 0:
        raise unsupported("soft_shrink", f"a negative threshold ({limit})", "use a positive one")
    return b(ops.Sub(), x, clip(b, x, -float(limit), float(limit)))


def hard_shrink(b: Builder, x: Any, limit: float = 0.5) -> Any:
    """Return x where its absolute value is above the limit, else 0."""
    return math.select(b, b(ops.Greater(), b(ops.Abs(), x), float(limit)), x, 0.0)


def sparse_plus(b: Builder, x: Any) -> Any:
    """Return 0 up to -1, x from 1 on, (x + 1)^2 / 4 between them."""
    ramp = b(ops.Add(), hard_tanh(b, x), 1.0)
    bend = b(ops.Mul(), b(ops.Mul(), ramp, ramp), 0.25)
    return b(ops.Add(), bend, b(ops.Relu(), b(ops.Sub(), x, 1.0)))


def sparse_sigmoid(b: Builder, x: Any) -> Any:
    """Return (x + 1) / 2 clipped to 0 .. 1."""
    return b(ops.Mul(), b(ops.Add(), hard_tanh(b, x), 1.0), 0.5)


# -- along axes ------------------------------------------------------------------------------------------


def softmax(b: Builder, x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return exp(x) over its sum along an axis, several axes together, or all of them (None)."""
    return _along(b, ops.Softmax(), x, axis)


def log_softmax(b: Builder, x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return the logarithm of the softmax."""
    return _along(b, ops.LogSoftmax(), x, axis)


def _along(b: Builder, op: Any, x: Any, axis: int | Sequence[int] | None) -> Any:
    """Apply an operation of the last axis along others, which are moved there and joined."""
    chosen = range(x.rank) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = sorted({array.normalize_axis(place, x.rank) for place in chosen})
    kept = [place for place in range(x.rank) if place not in axes]
    moved = array.transpose(b, x, [*kept, *axes])
    if len(axes) == 1 and x.rank <= (op.max_rank or x.rank):
        result = b(op, moved)
    else:
        rows, row = (product(x.shape[place] for place in places) for places in (kept, axes))
        result = array.reshape(b, b(op, array.reshape(b, moved, (rows, row))), moved.shape)
    return array.transpose(b, result, np.argsort([*kept, *axes]).tolist())


def sparsemax(b: Builder, x: Any, axis: int = -1) -> Any:
    """Return sparsemax as Keras computes it (keras/src/backend/tensorflow/nn.py).

    Its threshold takes the sum of all running sums inside the support, not the last of them as
    Martins and Astudillo 2016 do.
    """
    axis = array.normalize_axis(axis, x.rank)
    order = [place for place in range(x.rank) if place != axis] + [axis]
    logits = array.transpose(b, x, order)
    ranked, _ = reduce.top_k(b, logits, b.dim(x.shape[axis]), DType.INT32)
    sums = b(ops.Cumsum(), ranked, np.int32(x.rank - 1))
    one = b.const(np.int32(1))
    last = b(ops.Add(), b.dim(x.shape[axis]), one)
    places = array.cast(b, array.arange(b, one, last, one), DType.FLOAT32)
    margin = b(ops.Sub(), ranked, b(ops.Div(), b(ops.Sub(), sums, 1.0), places))
    inside = array.cast(b, b(ops.Greater(), margin, 0.0), DType.FLOAT32)
    count = reduce.total(b, inside, (-1,), True)
    total = reduce.total(b, b(ops.Mul(), sums, inside), (-1,), True)
    limit = b(ops.Div(), b(ops.Sub(), total, 1.0), count)
    result = b(ops.Relu(), b(ops.Sub(), logits, limit))
    return array.transpose(b, result, np.argsort(order).tolist())
