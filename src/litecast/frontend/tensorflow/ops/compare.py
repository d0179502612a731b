"""Importers of TensorFlow's comparisons, logic and selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Op
from litecast.ir.types import TensorType, same_dim
from litecast.lib import array, math
from litecast.ops.dims import merge_shapes

DIRECT: dict[str, Op] = {
    "Less": ops.Less(), "LessEqual": ops.LessEqual(), "Greater": ops.Greater(),
    "GreaterEqual": ops.GreaterEqual(),
    "LogicalAnd": ops.LogicalAnd(), "LogicalOr": ops.LogicalOr(), "LogicalNot": ops.LogicalNot(),
}  # fmt: skip
"""TensorFlow operations that are one elementwise operation of the same meaning."""


def _elementwise(operation: Op) -> Callable[..., Any]:
    return lambda b, *xs: math.apply(b, operation, *xs)


for _name, _operation in DIRECT.items():
    tf(_name)(_elementwise(_operation))


@tf("Equal", "NotEqual")
def equality(b: Builder, x: Any, y: Any, *, op: str, incompatible_shape_error: bool = True) -> Any:
    """Without `incompatible_shape_error`, shapes that cannot broadcast are unequal as a whole."""
    operation = ops.Equal() if op == "Equal" else ops.NotEqual()
    if not incompatible_shape_error and _incompatible(x, y):
        return b.const(np.bool_(op == "NotEqual"))
    return math.apply(b, operation, x, y)


def _incompatible(x: Any, y: Any) -> bool:
    """Whether the shapes are known not to broadcast."""
    if x.type.shape is None or y.type.shape is None:
        return False
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return any(same_dim(left, right) is False and 1 not in (left, right) for left, right in pairs)


@tf("ApproximateEqual")
def approximate_equal(b: Builder, x: Any, y: Any, *, tolerance: float = 1e-5) -> Any:
    return math.apply(b, ops.Less(), math.absolute(b, math.apply(b, ops.Sub(), x, y)), tolerance)


@tf("SelectV2")
def select_v2(b: Builder, condition: Any, x: Any, y: Any) -> Any:
    return math.select(b, condition, x, y)


@tf("Select")
def select(b: Builder, condition: Any, x: Any, y: Any) -> Any:
    """The first version: a vector chooses rows (the first axis), a scalar all."""
    if condition.rank == 1 and x.rank > 1:
        condition = array.reshape(b, condition, (condition.shape[0], *(1 for _ in range(x.rank - 1))))
    result = math.select(b, condition, x, y)
    if isinstance(result, Value) and not result.is_const:  # nothing broadcasts: all three have the same rows
        result.type = TensorType(result.dtype, merge_shapes((x.type.shape, y.type.shape), "the choices"))
    return result


@tf("Where")
def where(b: Builder, x: Any) -> Any:
    """The indices of what is true, or not zero."""
    return math.where(b, x)
