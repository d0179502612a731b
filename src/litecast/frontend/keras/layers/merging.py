"""Layers that merge several tensors, and what they make of their masks.

Keras 3 and Keras 2 differ: Keras 3 computes with the masks of Multiply, Maximum and Minimum, and a place of a
result counts if it counts in any input (in Keras 2: in all).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from litecast.frontend.keras.importer import Masked, keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.types import DType
from litecast.lib import array, linalg, math
from litecast.lib import reduce as reductions
from litecast.ops import Add, LogicalAnd, LogicalOr, Maximum, Minimum, Mul, Rsqrt, Sub

__all__: list[str] = []

SUMS = {"Add": Add(), "Average": Add(), "Subtract": Sub()}
EXTREMES = {"Maximum": Maximum(), "Minimum": Minimum()}
EPSILON, LEGACY_EPSILON = 1e-14, 1e-12
"""The least sum of squares in Dot's normalisation: keras.config.epsilon() squared (keras/src/ops/nn.py,
`_normalize`); the default of tf.linalg.l2_normalize.
"""


@keras(*SUMS)
def add(b: Builder, inputs: Sequence[Any], *, op: str, layer: Layer, mask: Any = None) -> Any:
    values = _aligned(b, inputs)
    if op == "Average":
        values = [array.cast(b, x, DType.FLOAT32) for x in values]
    result = reduce(lambda x, y: math.apply(b, SUMS[op], x, y), values)
    if op == "Average":
        result = b(Mul(), result, 1 / len(values))
    return Masked(result, _merged(b, mask, layer.is_legacy))


@keras("Multiply")
def multiply(b: Builder, inputs: Sequence[Any], *, layer: Layer, mask: Any = None) -> Any:
    values = _aligned(b, inputs)
    spread = [None] * len(values) if layer.is_legacy else _spread(b, inputs, values, mask)
    counted = [
        x if seen is None else math.select(b, seen, x, 1) for x, seen in zip(values, spread, strict=True)
    ]
    result = reduce(lambda x, y: math.apply(b, Mul(), x, y), counted)
    if all(seen is not None for seen in spread):
        result = math.select(b, reduce(lambda x, y: b(LogicalOr(), x, y), spread), result, 0)
    return Masked(result, _merged(b, mask, layer.is_legacy))


@keras(*EXTREMES)
def extreme(b: Builder, inputs: Sequence[Any], *, op: str, layer: Layer, mask: Any = None) -> Any:
    values = _aligned(b, inputs)
    spread = [None] * len(values) if layer.is_legacy else _spread(b, inputs, values, mask)
    result, known = values[0], spread[0]
    for x, seen in zip(values[1:], spread[1:], strict=True):
        other = x if seen is None else math.select(b, seen, x, result)
        result = result if known is None else math.select(b, known, result, other)
        known = None if known is None or seen is None else b(LogicalOr(), known, seen)
        result = math.apply(b, EXTREMES[op], result, other)
    return Masked(result, _merged(b, mask, layer.is_legacy))


def _aligned(b: Builder, inputs: Sequence[Any]) -> list[Any]:
    """Return values of one element type and rank: new axes stand behind the batch."""
    dtype = _common_type([x.dtype for x in inputs])
    rank = max(x.rank for x in inputs)
    values = []
    for x in inputs:
        x = array.cast(b, x, dtype)
        while x.rank < rank:
            x = array.expand_dims(b, x, 1)
        values.append(x)
    return values


def _common_type(dtypes: Sequence[DType]) -> DType:
    """Return the type in which Keras computes several."""
    if len(set(dtypes)) == 1:
        return dtypes[0]
    from litecast.frontend.keras.operations.promotion import result_type  # with all operations: costs time

    return result_type(*dtypes)


# -- masks -------------------------------------------------------------------------------------------------


def _spread(b: Builder, inputs: Sequence[Any], values: Sequence[Any], mask: Any) -> list[Any]:
    """Return each mask with a last axis of 1; Keras loses those of inputs that it gives new axes."""
    masks = [None] * len(inputs) if mask is None else list(mask)
    return [
        None if one is None or x.rank != value.rank else array.expand_dims(b, one, one.rank)
        for one, x, value in zip(masks, inputs, values, strict=True)
    ]


def _merged(b: Builder, mask: Any, is_legacy: bool) -> Any:
    """Return the mask of an elementwise result (`compute_mask` of both base_merge.py)."""
    masks = [] if mask is None else list(mask)
    there = [one for one in masks if one is not None]
    if not there or (len(there) < len(masks) and not is_legacy):
        return None
    op = LogicalAnd() if is_legacy else LogicalOr()
    return reduce(lambda x, y: b(op, x, y), there)


# -- concatenation -----------------------------------------------------------------------------------------


@keras("Concatenate")
def concatenate(b: Builder, inputs: Sequence[Any], *, layer: Layer, mask: Any = None, axis: int = -1) -> Any:
    dtype = _common_type([x.dtype for x in inputs])
    result = array.concat(b, [array.cast(b, x, dtype) for x in inputs], axis)
    masks = [] if mask is None else list(mask)
    if all(one is None for one in masks):
        return result
    return Masked(result, _joined_mask(b, inputs, masks, axis, layer))


def _joined_mask(b: Builder, inputs: Sequence[Any], masks: Sequence[Any], axis: int, layer: Layer) -> Any:
    """Return the mask of a concatenation: any (Keras 2: all) along the last axis of the joined masks."""
    over, op = (reductions.all_, LogicalAnd()) if layer.is_legacy else (reductions.any_, LogicalOr())
    rows = []
    for x, one in zip(inputs, masks, strict=True):
        if one is None:
            rows.append(array.full(b, x.shape[:-1], True, DType.BOOL))
        elif one.rank == x.rank:
            rows.append(over(b, one, (-1,)))
        elif one.rank == x.rank - 1:
            rows.append(math.broadcast_to(b, one, x.shape[:-1]))
        else:
            raise layer.unsupported(f"a mask of rank {one.rank} for an input of rank {x.rank}")
    if array.normalize_axis(axis, inputs[0].rank) == inputs[0].rank - 1:
        return reduce(lambda x, y: b(op, x, y), rows)
    return array.concat(b, rows, array.normalize_axis(axis, inputs[0].rank))


# -- Dot ---------------------------------------------------------------------------------------------------


@keras("Dot")
def dot(
    b: Builder,
    inputs: Sequence[Any],
    *,
    layer: Layer,
    axes: int | Sequence[int],
    normalize: bool = False,
) -> Any:
    values = [array.cast(b, x, _common_type([one.dtype for one in inputs])) for x in inputs]
    chosen = [axes, axes] if isinstance(axes, int) else list(axes)
    places = [array.normalize_axis(axis, x.rank) for axis, x in zip(chosen, values, strict=True)]
    if normalize:
        values = [_normalized(b, x, axis, layer) for x, axis in zip(values, places, strict=True)]
    x, y = values
    result = linalg.dot_general(b, x, y, ([places[0]], [places[1]]), ([0], [0]))
    return array.expand_dims(b, result, 1) if result.rank == 1 else result


def _normalized(b: Builder, x: Any, axis: int, layer: Layer) -> Any:
    least = LEGACY_EPSILON if layer.is_legacy else EPSILON
    squares = reductions.total(b, math.square(b, x), (axis,), True)
    return b(Mul(), x, b(Rsqrt(), b(Maximum(), squares, least)))
