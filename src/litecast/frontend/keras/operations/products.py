"""`keras.ops` that multiply and sum: matrix products, einsum, outer products, correlations and norms.

Integers are multiplied in float32 and converted back, as Keras's TensorFlow backend does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.movement import move_axis
from litecast.frontend.keras.operations.promotion import (
    F32,
    F64,
    I32,
    I64,
    axes_of,
    dynamic,
    floating,
    kind_of,
    promoted,
    result_type,
    tensor,
)
from litecast.frontend.keras.operations.reductions import over
from litecast.ir.builder import Builder
from litecast.ir.types import DType, product
from litecast.lib import array, linalg, math, nn, reduce


def _floats(b: Builder, *xs: Any) -> tuple[list[Any], DType]:
    """Return the operands in a float type, and the type of the result."""
    values = promoted(b, *xs, weak=False)
    dtype = values[0].dtype
    return [array.cast(b, value, floating(dtype)) for value in values], dtype


def tensordot(b: Builder, x: Any, y: Any, left: list[int], right: list[int]) -> Any:
    """Return the sum of products over pairs of axes, which may be negative."""
    first = [array.normalize_axis(axis, x.rank) for axis in left]
    second = [array.normalize_axis(axis, y.rank) for axis in right]
    return linalg.dot_general(b, x, y, (first, second))


@operations("Matmul")
def matmul(b: Builder, x1: Any, x2: Any) -> Any:
    """Vectors are a row on the left, a column on the right; two INT8 matrices give INT32."""
    values, dtype = _floats(b, x1, x2)
    if dtype is DType.INT8 and all(value.rank > 1 for value in values):
        dtype = I32
    left, right = values
    if right.rank == 1:
        result = tensordot(b, left, right, [-1], [0])
    elif left.rank == 1:
        result = tensordot(b, left, right, [0], [-2])
    else:
        result = linalg.matmul(b, left, right)
    return array.cast(b, result, dtype)


@operations("Dot")
def dot(b: Builder, x1: Any, x2: Any) -> Any:
    (left, right), dtype = _floats(b, x1, x2)
    if left.rank == 0 or right.rank == 0:
        result = math.apply(b, ops.Mul(), left, right)
    else:
        result = tensordot(b, left, right, [-1], [-1 if right.rank == 1 else -2])
    return array.cast(b, result, dtype)


@operations("Inner")
def inner(b: Builder, x1: Any, x2: Any) -> Any:
    (left, right), dtype = _floats(b, x1, x2)
    if left.rank == 0 or right.rank == 0:
        return array.cast(b, math.apply(b, ops.Mul(), left, right), dtype)
    return array.cast(b, tensordot(b, left, right, [-1], [-1]), dtype)


@operations("Vdot")
def vdot(b: Builder, x1: Any, x2: Any) -> Any:
    (left, right), dtype = _floats(b, x1, x2)
    return array.cast(b, tensordot(b, array.flatten(b, left), array.flatten(b, right), [0], [0]), dtype)


@operations("Tensordot")
def tensordot_node(b: Builder, x1: Any, x2: Any, *, axes: Any = 2) -> Any:
    (left, right), dtype = _floats(b, x1, x2)
    if isinstance(axes, (int, np.integer)):
        count = int(axes)
        first, second = list(range(left.rank - count, left.rank)), list(range(count))
    else:
        first, second = (np.ravel(part).tolist() for part in axes)
    if not first:
        return array.cast(b, outer_product(b, left, right), dtype)
    return array.cast(b, tensordot(b, left, right, first, second), dtype)


def outer_product(b: Builder, x: Any, y: Any) -> Any:
    """Return every product of an element of x with one of y, x's axes first."""
    return math.apply(b, ops.Mul(), array.reshape(b, x, (*x.shape, *(1 for _ in range(y.rank)))), y)


@operations("Outer")
def outer(b: Builder, x1: Any, x2: Any) -> Any:
    left, right = promoted(b, x1, x2, weak=False)
    return outer_product(b, array.flatten(b, left), array.flatten(b, right))


@operations("Einsum")
def einsum(b: Builder, *operands: Any, subscripts: str, optimize: Any = None) -> Any:
    """`optimize` chooses an order of products, not the result; INT8 operands give INT32."""
    kinds = {kind_of(operand, weak=False) for operand in operands}
    dtype = result_type(*kinds)
    values = [tensor(b, operand, dtype if dtype.is_float else F32) for operand in operands]
    return array.cast(b, linalg.einsum(b, subscripts, values), I32 if kinds == {DType.INT8} else dtype)


@operations("Kron")
def kron(b: Builder, x1: Any, x2: Any) -> Any:
    """Every element of x1 times x2, in blocks."""
    left, right = promoted(b, x1, x2, weak=False)
    rank = max(left.rank, right.rank)
    left, right = (
        array.reshape(b, value, (*(1 for _ in range(rank - value.rank)), *value.shape))
        for value in (left, right)
    )
    blocks = array.reshape(b, left, [item for dim in left.shape for item in (dim, 1)])
    parts = array.reshape(b, right, [item for dim in right.shape for item in (1, dim)])
    result = math.apply(b, ops.Mul(), blocks, parts)
    return array.reshape(b, result, [m * n for m, n in zip(left.shape, right.shape, strict=True)])


@operations("Cross")
def cross(
    b: Builder, x1: Any, x2: Any, *, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    """Vectors of 2 have a third component of 0; two of them give that component alone."""
    values = promoted(b, x1, x2, weak=False)
    places = (axisa, axisb) if axis is None else (axis, axis)
    moved = [move_axis(b, value, place, -1) for value, place in zip(values, places, strict=True)]
    sizes = [value.shape[-1] for value in moved]
    if not all(size in (2, 3) for size in sizes):
        raise dynamic("Cross", f"the number of components {sizes}")
    padded = [array.pad(b, x, [(0, 0)] * (x.rank - 1) + [(0, 3 - x.shape[-1])]) for x in moved]
    parts = [array.unpack(b, x, -1) for x in math.broadcast_values(b, padded)]

    def component(first: int, second: int) -> Any:
        plus = math.apply(b, ops.Mul(), parts[0][first], parts[1][second])
        minus = math.apply(b, ops.Mul(), parts[0][second], parts[1][first])
        return math.apply(b, ops.Sub(), plus, minus)

    if sizes == [2, 2]:
        return component(0, 1)
    result = array.pack(b, [component(1, 2), component(2, 0), component(0, 1)], -1)
    return move_axis(b, result, -1, axisc if axis is None else axis)


@operations("Correlate")
def correlate(b: Builder, x1: Any, x2: Any, *, mode: str = "valid") -> Any:
    """A convolution of vectors whose filter is not turned; "full" and "same" pad with zeros."""
    values = promoted(b, x1, x2)
    dtype = F64 if values[0].dtype is I64 else values[0].dtype if values[0].dtype.is_float else F32
    signal, filters = (array.cast(b, value, F32) for value in values)
    size, taps = signal.shape[0], filters.shape[0]
    if mode != "valid":
        if not isinstance(taps, int):
            raise dynamic("Correlate", "the length of the second operand")
        signal = array.pad(b, signal, [(taps - 1, taps - 1)])
    image = array.reshape(b, signal, (1, 1, product(signal.shape), 1))
    kernel = array.reshape(b, filters, (1, taps, 1, 1))
    result = array.cast(b, array.flatten(b, nn.conv(b, image, kernel)), dtype)
    if mode != "same":
        return result
    if not isinstance(size, int) or not isinstance(taps, int):
        raise dynamic("Correlate", "the length of the operands")
    length = max(size, taps)
    return array.slice(b, result, [(size + taps - 1 - length) // 2], [length])


@operations("Vander")
def vander(b: Builder, x: Any, *, N: Any = None, increasing: bool = False) -> Any:
    """Powers of x in rows, computed in floats; falling unless `increasing`."""
    value = tensor(b, x)
    count = value.shape[0] if N is None else int(N)
    if not isinstance(count, int):
        raise dynamic("Vander", "the number of powers")
    powers = np.arange(count) if increasing else np.arange(count)[::-1]
    dtype = result_type(value.dtype, F32)
    column = array.expand_dims(b, array.cast(b, value, dtype), -1)
    return array.cast(b, math.power(b, column, b.const(powers.astype(dtype.numpy))), value.dtype)


@operations("MatrixPower")
def matrix_power(b: Builder, x: Any, *, n: int) -> Any:
    """By squaring."""
    size = x.shape[-1]
    if n < 0:
        raise array.unsupported("MatrixPower", "a negative power inverts the matrix", "compute it outside")
    if n == 0:
        if not isinstance(size, int):
            raise dynamic("MatrixPower", "the size of the matrix")
        return math.broadcast_to(b, b.const(np.eye(size).astype(x.dtype.numpy)), x.shape)
    result, base = None, x
    while n > 0:
        if n % 2:
            result = base if result is None else linalg.matmul(b, result, base)
        n //= 2
        base = linalg.matmul(b, base, base) if n else base
    return result


# -- norms, distances ------------------------------------------------------------------------------------


def _plain_norm(b: Builder, x: Any, axes: list[int], keepdims: bool) -> Any:
    return math.apply(b, ops.Sqrt(), reduce.total(b, math.square(b, x), axes, keepdims))


def _vector_norm(b: Builder, x: Any, order: Any, axes: list[int], keepdims: bool) -> Any:
    if order is None or order == 2:
        return _plain_norm(b, x, axes, keepdims)
    if order == 0:
        return reduce.total(b, array.cast(b, math.apply(b, ops.NotEqual(), x, 0), x.dtype), axes, keepdims)
    size = math.absolute(b, x)
    if order in (np.inf, -np.inf):
        return (reduce.maximum if order > 0 else reduce.minimum)(b, size, axes, keepdims)
    if order == 1:
        return reduce.total(b, size, axes, keepdims)
    total = reduce.total(b, math.power(b, size, tensor(b, float(order), x.dtype)), axes, keepdims)
    return math.power(b, total, tensor(b, 1.0 / float(order), x.dtype))


def _matrix_norm(b: Builder, x: Any, order: Any, axes: list[int], keepdims: bool) -> Any:
    """The largest (smallest) sum of absolute columns for order 1 (-1), of rows for an infinite one."""
    if order is None or order == "fro":
        return _plain_norm(b, x, axes, keepdims)
    if order not in (1, -1, np.inf, -np.inf):
        raise array.unsupported("Norm", f"order {order!r} needs singular values", "use 'fro', 1 or inf")
    summed, compared = axes if abs(order) == 1 else axes[::-1]
    sums = reduce.total(b, math.absolute(b, x), [summed], True)
    result = (reduce.maximum if order > 0 else reduce.minimum)(b, sums, [compared], True)
    return result if keepdims else array.squeeze(b, result, axes)


def norm_of(b: Builder, x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    """Return the norm of vectors (one axis) or matrices (two), in floats (numpy.linalg.norm)."""
    value = tensor(b, x)
    value = array.cast(b, value, floating(value.dtype))
    axes = axes_of(axis, value.rank)
    if isinstance(order, str) and order in ("inf", "-inf"):
        order = float(order)
    if len(axes) == 1:
        return _vector_norm(b, value, order, axes, keepdims)
    if len(axes) != 2:
        raise array.unsupported("Norm", f"it is of {len(axes)} axes", "name one or two axes")
    return _matrix_norm(b, value, order, axes, keepdims)


@operations("Norm")
def norm(b: Builder, x: Any, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return norm_of(b, x, ord, axis, keepdims)


@operations("Normalize")
def normalize(b: Builder, x: Any, *, axis: Any = -1, order: int = 2, epsilon: Any = None) -> Any:
    """Divide by the norm, which is at least epsilon (ops/nn.py `_normalize`)."""
    value = tensor(b, x)
    value = array.reshape(b, value, (1,)) if value.rank == 0 else value
    least = 1e-7 if epsilon is None else float(epsilon)
    if order == 2:
        squares = over(reduce.total, b, math.square(b, value), axis, True)
        scale = math.apply(b, ops.Rsqrt(), math.apply(b, ops.Maximum(), squares, least * least))
        return math.apply(b, ops.Mul(), value, scale)
    size = math.apply(b, ops.Maximum(), norm_of(b, value, order, axis, True), least)
    return math.apply(b, ops.Div(), array.cast(b, value, size.dtype), size)


@operations("CDist")
def cdist(b: Builder, x: Any, y: Any) -> Any:
    """Euclidean distances of every row of x from every row of y."""
    left, right = promoted(b, x, y, weak=False, also=(float,))
    difference = math.apply(
        b,
        ops.Sub(),
        array.expand_dims(b, left, left.rank - 1),
        array.expand_dims(b, right, right.rank - 2),
    )
    return _plain_norm(b, difference, [difference.rank - 1], False)
