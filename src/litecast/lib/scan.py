"""Running sums, products and log-sum-exps along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder, Composite
from litecast.ir.types import DType
from litecast.lib import array, math, special
from litecast.lib.array import unsupported

__all__ = ["cumprod", "cumsum", "cumulative_logsumexp"]


def cumsum(b: Builder, x: Any, axis: int, exclusive: bool = False, reverse: bool = False) -> Any:
    """Return running sums; `exclusive` leaves the element itself out, `reverse` runs from the end."""
    op = ops.Cumsum(exclusive=exclusive, reverse=reverse)
    position = np.int32(array.normalize_axis(axis, x.rank))
    if isinstance(x, Composite) or x.is_const:
        return b(op, x, position)
    return array.cast(b, b(op, array.cast(b, x, math.computed_in(op, [x])), position), x.dtype)


def cumprod(b: Builder, x: Any, axis: int, exclusive: bool = False, reverse: bool = False) -> Any:
    """Return running products, in a logarithmic number of steps."""
    return _scan(b, x, axis, exclusive, reverse, 1, lambda left, right: math.apply(b, ops.Mul(), left, right))


def cumulative_logsumexp(
    b: Builder, x: Any, axis: int, exclusive: bool = False, reverse: bool = False
) -> Any:
    """Return running log(sum(exp(x))); an empty sum is -infinity."""

    def add(left: Any, right: Any) -> Any:
        high = math.apply(b, ops.Maximum(), left, right)
        gap = math.apply(b, ops.Sub(), math.apply(b, ops.Minimum(), left, right), high)
        gap = math.select(b, math.apply(b, ops.Equal(), left, right), 0.0, gap)  # also for two infinities
        return math.apply(b, ops.Add(), high, special.log1p(b, math.apply(b, ops.Exp(), gap)))

    wide = array.cast(b, x, DType.FLOAT32) if x.dtype in math.HALVES else x
    return array.cast(b, _scan(b, wide, axis, exclusive, reverse, -np.inf, add), x.dtype)


def _scan(
    b: Builder,
    x: Any,
    axis: int,
    exclusive: bool,
    reverse: bool,
    neutral: float,
    combine: Callable[[Any, Any], Any],
) -> Any:
    """Combine each element with all before it, doubling the reach in each step (Hillis and Steele)."""
    axis = array.normalize_axis(axis, x.rank)
    length = x.shape[axis]
    if not isinstance(length, int):
        raise unsupported(
            "Scan", f"the length {length} of the axis is not known", "fix that dimension of the input"
        )

    def shifted(y: Any, count: int) -> Any:
        begin, size = [0] * y.rank, [-1] * y.rank
        begin[axis], size[axis] = (count if reverse else 0), length - count
        pairs = [(0, 0)] * y.rank
        pairs[axis] = (0, count) if reverse else (count, 0)
        return array.pad(b, array.slice(b, y, begin, size), pairs, neutral)

    if exclusive and length:
        x = shifted(x, 1)
    reach = 1
    while reach < length:
        x = combine(x, shifted(x, reach))
        reach *= 2
    return x
