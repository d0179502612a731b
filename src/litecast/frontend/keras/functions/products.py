"""TensorFlow's functions on vectors and matrices: products, norms, diagonals and bands."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.functions.table import function, positions, same_type
from litecast.frontend.keras.operations import products, reductions
from litecast.frontend.keras.operations.promotion import axes_of, dtype_named
from litecast.frontend.keras.operations.promotion import tensor as tensor_of
from litecast.ir.builder import Builder
from litecast.lib import array, linalg, math, matrix, reduce

# -- products --------------------------------------------------------------------------------------------


@function("matmul")
def matmul(
    b: Builder,
    a: Any,
    b_: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    output_type: Any = None,
) -> Any:
    """The adjoint of real matrices is the transpose."""
    left, right = same_type(b, a, b_)
    if left.dtype.is_complex and (adjoint_a or adjoint_b):
        raise array.unsupported(
            "tf.linalg.matmul", "adjoints of complex matrices", "transpose and conjugate them"
        )
    if output_type is not None:
        left, right = (array.cast(b, x, dtype_named(output_type)) for x in (left, right))
    return linalg.matmul(b, left, right, transpose_a or adjoint_a, transpose_b or adjoint_b)


@function("matvec")
def matvec(b: Builder, a: Any, b_: Any, transpose_a: bool = False, adjoint_a: bool = False) -> Any:
    left, right = same_type(b, a, b_)
    column = array.expand_dims(b, right, right.rank)
    result = linalg.matmul(b, left, column, transpose_a or adjoint_a)
    return array.squeeze(b, result, [result.rank - 1])


@function("einsum")
def einsum(b: Builder, equation: str, *inputs: Any) -> Any:
    if not inputs:
        raise array.unsupported(
            "tf.einsum", "tf_keras does not save its operands", "use layers.EinsumDense or tf.linalg.matmul"
        )
    return linalg.einsum(b, equation, same_type(b, *inputs))


@function("tensordot")
def tensordot(b: Builder, a: Any, b_: Any, axes: Any) -> Any:
    left, right = same_type(b, a, b_)
    if isinstance(axes, int):
        first, second = list(range(left.rank - axes, left.rank)), list(range(axes))
    else:
        first, second = (np.ravel(part).tolist() for part in axes)
    if not first:
        return products.outer_product(b, left, right)
    return products.tensordot(b, left, right, first, second)


@function("cross")
def cross(b: Builder, a: Any, b_: Any) -> Any:
    return products.cross(b, *same_type(b, a, b_))


def _norm(b: Builder, x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    """Without axes: of all elements; two axes: of matrices (linalg_ops.py norm)."""
    value = tensor_of(b, x)
    axes = axes_of(axis, value.rank)
    if order in ("euclidean", "fro") or (axis is None and order == 2):
        return reduce.euclidean_norm(b, value, axes, keepdims)
    if axis is not None and len(axes) == 2:
        return products.norm_of(b, value, order, axes, keepdims)
    shape = [1] * value.rank
    flat = array.flatten(b, value) if axis is None else value
    result = products.norm_of(b, flat, order, -1 if axis is None else axes, keepdims and axis is not None)
    return array.reshape(b, result, shape) if axis is None and keepdims else result


@function("norm")
def norm(b: Builder, tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = False) -> Any:
    return _norm(b, tensor, ord, axis, bool(keepdims))


@function("normalize")
def normalize(b: Builder, tensor: Any, ord: Any = "euclidean", axis: Any = None) -> list[Any]:
    size = _norm(b, tensor, ord, axis, True)
    return [math.apply(b, ops.Div(), tensor, size), size]


@function("l2_normalize")
def l2_normalize(b: Builder, x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    """x * rsqrt(max(sum of squares, epsilon)) (nn_impl.py)."""
    squares = reductions.over(reduce.total, b, math.square(b, x), axis, True)
    return math.apply(
        b, ops.Mul(), x, math.apply(b, ops.Rsqrt(), math.apply(b, ops.Maximum(), squares, epsilon))
    )


@function("l2_loss")
def l2_loss(b: Builder, t: Any) -> Any:
    total = reductions.over(reduce.total, b, math.square(b, t), None, False)
    return math.apply(b, ops.Mul(), total, 0.5)


# -- matrices --------------------------------------------------------------------------------------------


@function("matrix_transpose", "adjoint")
def matrix_transpose(b: Builder, a: Any, conjugate: bool = False) -> Any:
    if a.dtype.is_complex:
        raise array.unsupported("tf.linalg.matrix_transpose", "complex matrices", "transpose the parts")
    order = [*range(a.rank - 2), a.rank - 1, a.rank - 2]
    return array.transpose(b, a, order)


@function("band_part")
def band_part(b: Builder, input: Any, num_lower: Any, num_upper: Any) -> Any:
    return matrix.band_part(b, tensor_of(b, input), positions(b, num_lower), positions(b, num_upper))


@function("diag")
def diag(
    b: Builder,
    diagonal: Any,
    k: Any = 0,
    num_rows: int = -1,
    num_cols: int = -1,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Any:
    value = tensor_of(b, diagonal)
    padding = tensor_of(b, padding_value, value.dtype)
    return matrix.diagonals_to_matrix(b, value, np.ravel(k).tolist(), num_rows, num_cols, padding, align)


@function("diag_part")
def diag_part(b: Builder, input: Any, k: Any = 0, padding_value: Any = 0, align: str = "RIGHT_LEFT") -> Any:
    offsets = np.ravel(k).tolist()
    if offsets == [0]:
        return matrix.diagonal_part(b, input)
    return matrix.diagonals_of_matrix(b, input, offsets, tensor_of(b, padding_value, input.dtype), align)


@function("set_diag")
def set_diag(b: Builder, input: Any, diagonal: Any, k: Any = 0, align: str = "RIGHT_LEFT") -> Any:
    return matrix.set_diagonals(b, input, tensor_of(b, diagonal, input.dtype), np.ravel(k).tolist(), align)


@function("trace")
def trace(b: Builder, x: Any) -> Any:
    return reduce.total(b, matrix.diagonal_part(b, x), [-1])
