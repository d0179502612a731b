"""Diagonals and bands of matrices in the last two axes: movements by constant index maps, exact in any type.

`k` is one diagonal or the lowest and highest of a band, 0 the main one, positive above it. `align` says how
diagonals shorter than the longest are stored (tensorflow/core/kernels/linalg/matrix_diag_op.cc).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder
from litecast.ir.types import Dim, DType, product
from litecast.lib import array, linalg, math
from litecast.lib.operands import CARRIERS, unsupported

__all__ = [
    "band_part",
    "diagonal_matrix",
    "diagonal_part",
    "diagonals_of_matrix",
    "diagonals_to_matrix",
    "product",
    "set_diagonals",
]

_DIAGONAL_TYPES = (DType.FLOAT32, DType.INT32, DType.INT64, DType.INT16, DType.INT8, DType.UINT8)


def diagonal_matrix(b: Builder, x: Any) -> Any:
    """Return square matrices with x on their main diagonals."""
    if x.dtype in _DIAGONAL_TYPES:
        return b(ops.MatrixDiag(), x)
    return array.cast(b, b(ops.MatrixDiag(), array.cast(b, x, CARRIERS[x.dtype])), x.dtype)


def diagonal_part(b: Builder, x: Any) -> Any:
    """Return the main diagonals of matrices, square or not."""
    if x.shape[-1] == x.shape[-2]:
        return linalg.diagonal(b, x)
    return diagonals_of_matrix(b, x, [0], b.const(np.zeros((), x.dtype.numpy)), "LEFT_LEFT")


def _sizes(x: Any, what: str) -> tuple[int, int]:
    rows, columns = x.shape[-2:]
    if not (isinstance(rows, int) and isinstance(columns, int)):
        raise unsupported(what, "matrices of unknown size", "fix the last two dimensions")
    return rows, columns


def _places(k: Sequence[int], rows: int, columns: int, align: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield row, column, and the diagonal (from the highest) and place in it where that element is stored."""
    low, high = k[0], k[-1]
    above, below = align.split("_")
    longest = min(rows + min(high, 0), columns - max(low, 0))
    for number, offset in enumerate(range(high, low - 1, -1)):
        length = min(rows + min(offset, 0), columns - max(offset, 0))
        left = (offset >= 0 and above == "LEFT") or (offset <= 0 and below == "LEFT")
        for step in range(length):
            yield (
                step - min(offset, 0),
                step + max(offset, 0),
                number,
                step + (0 if left else longest - length),
            )


def _flat(b: Builder, x: Any, axes: int) -> Any:
    return array.reshape(b, x, (*x.shape[: x.rank - axes], product(x.shape[x.rank - axes :])))


def _extended(b: Builder, flat: Any, padding: Any) -> Any:
    """Append one element, the padding, to the last axis."""
    value = padding.array().item() if padding.is_const and flat.dtype.numpy.kind in "biuf" else padding
    return array.pad(b, flat, [(0, 0)] * (flat.rank - 1) + [(0, 1)], value)


def _gather_map(b: Builder, flat: Any, places: Any) -> Any:
    return array.gather(b, flat, places.astype(np.int32), flat.rank - 1)


def diagonals_of_matrix(b: Builder, x: Any, k: Sequence[int], padding: Any, align: str) -> Any:
    """Return the diagonals of matrices as rows (one diagonal: without that axis), short ones padded."""
    rows, columns = _sizes(x, "MatrixDiagPart")
    longest = min(rows + min(k[-1], 0), columns - max(k[0], 0))
    places = np.full((k[-1] - k[0] + 1, longest), rows * columns)
    for row, column, number, step in _places(k, rows, columns, align):
        places[number, step] = row * columns + column
    flat = _flat(b, x, 2)
    if (places == rows * columns).any():
        flat = _extended(b, flat, padding)
    return _gather_map(b, flat, places[0] if k[0] == k[-1] else places)


def diagonals_to_matrix(
    b: Builder, x: Any, k: Sequence[int], rows: int, columns: int, padding: Any, align: str
) -> Any:
    """Return matrices with the given diagonals, the padding elsewhere; -1 rows or columns: as few as fit."""
    axes = 1 if k[0] == k[-1] else 2
    longest = x.shape[-1]
    if not isinstance(longest, int):
        raise unsupported("MatrixDiag", "diagonals of unknown length", "fix the last dimension")
    least_rows, least_columns = longest - min(k[-1], 0), longest + max(k[0], 0)
    if rows == columns == -1:
        rows = columns = max(least_rows, least_columns)
    rows, columns = (least_rows if rows == -1 else rows), (least_columns if columns == -1 else columns)
    size = longest * (k[-1] - k[0] + 1)
    places = np.full((rows, columns), size)
    for row, column, number, step in _places(k, rows, columns, align):
        places[row, column] = number * longest + step
    flat = _flat(b, x, axes)
    return _gather_map(b, _extended(b, flat, padding) if (places == size).any() else flat, places)


def set_diagonals(b: Builder, x: Any, diagonals: Any, k: Sequence[int], align: str) -> Any:
    """Return matrices with some diagonals replaced."""
    rows, columns = _sizes(x, "MatrixSetDiag")
    longest = min(rows + min(k[-1], 0), columns - max(k[0], 0))
    places = np.arange(rows * columns).reshape(rows, columns)
    for row, column, number, step in _places(k, rows, columns, align):
        places[row, column] = rows * columns + number * longest + step
    both = array.concat(b, [_flat(b, x, 2), _flat(b, diagonals, 1 if k[0] == k[-1] else 2)], x.rank - 2)
    return _gather_map(b, both, places)


def band_part(b: Builder, x: Any, lower: Any, upper: Any) -> Any:
    """Return matrices with zeros outside a band; a negative number of diagonals keeps that whole side."""
    rows, columns = (_positions(b, dim) for dim in x.shape[-2:])
    below = b(ops.Sub(), array.expand_dims(b, rows, 1), array.expand_dims(b, columns, 0))
    inside = None
    for distance, limit in ((below, lower), (b(ops.Neg(), below), upper)):
        count = array.cast(b, limit, DType.INT32)
        if count.is_const and int(count.array()) < 0:
            continue
        kept = b(ops.LessEqual(), distance, count)
        if not count.is_const:
            kept = b(ops.LogicalOr(), kept, b(ops.Less(), count, 0))
        inside = kept if inside is None else b(ops.LogicalAnd(), inside, kept)
    return x if inside is None else math.select(b, inside, x, 0)


def _positions(b: Builder, dim: Dim) -> Any:
    return array.arange(b, b.const(np.int32(0)), b.dim(dim), b.const(np.int32(1)))
