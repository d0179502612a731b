"""Importers of TensorFlow's gathers, scatters, searches and diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.array import integers
from litecast.ir.builder import Builder
from litecast.ir.types import DType
from litecast.lib import array, index, matrix, scatter
from litecast.lib.array import unsupported


def check_policy(op: str, policy: str) -> None:
    """Refuse any policy for indices out of range but the defaults, which leave it open or fail."""
    if policy not in ("", "DEFAULT", "ERROR"):
        raise unsupported(op, f"bad_indices_policy {policy}", "use indices that are in range")


# -- gather, scatter ------------------------------------------------------------------------------------


@tf("Gather")
def gather(b: Builder, x: Any, indices: Any) -> Any:
    return array.gather(b, x, indices)


@tf("GatherV2")
def gather_v2(b: Builder, x: Any, indices: Any, axis: Any, *, batch_dims: int = 0) -> Any:
    batch_dims += indices.rank if batch_dims < 0 else 0
    return array.gather(b, x, indices, integers(axis, "axis", "GatherV2")[0], batch_dims)


@tf("GatherNd", harmless=("Tindices", "Tparams"))
def gather_nd(b: Builder, x: Any, indices: Any, *, bad_indices_policy: str = "") -> Any:
    check_policy("GatherNd", bad_indices_policy)
    return index.gather_nd(b, x, indices)


@tf("ScatterNd")
def scatter_nd(b: Builder, indices: Any, updates: Any, shape: Any, *, bad_indices_policy: str = "") -> Any:
    check_policy("ScatterNd", bad_indices_policy)
    return scatter.scatter_nd(b, indices, updates, shape)


@tf(*scatter.COMBINE)
def tensor_scatter(
    b: Builder, x: Any, indices: Any, updates: Any, *, op: str, bad_indices_policy: str = ""
) -> Any:
    check_policy(op, bad_indices_policy)
    return scatter.COMBINE[op](b, x, indices, updates)


@tf("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(b: Builder, *operands: Any, op: str) -> Any:
    """Constant indices: a gather from all parts, the last writer of a place counts."""
    half = len(operands) // 2
    places = [integers(indices, "indices", op) for indices in operands[:half]]
    parts = [
        array.reshape(b, part, (len(place), *part.shape[indices.rank :]))
        for indices, place, part in zip(operands[:half], places, operands[half:], strict=True)
    ]
    flat = [place for group in places for place in group]
    writer = {place: source for source, place in enumerate(flat)}
    if sorted(writer) != list(range(len(writer))):
        raise unsupported(op, "places that nothing writes", "let the indices cover the result")
    order = np.array([writer[place] for place in range(len(writer))], np.int32)
    joined = array.concat(b, parts, 0)
    return joined if order.tolist() == list(range(len(flat))) else array.gather(b, joined, order)


@tf("LowerBound", "UpperBound")
def search_sorted(b: Builder, x: Any, values: Any, *, op: str, out_type: DType = DType.INT32) -> Any:
    return index.search_sorted(b, x, values, out_type, right=op == "UpperBound")


@tf("Unique")
def unique(b: Builder, x: Any, *, out_idx: DType = DType.INT32) -> Any:
    return b(ops.Unique(idx_out_type=out_idx), x)


@tf("InvertPermutation")
def invert_permutation(b: Builder, x: Any) -> Any:
    """Scatter the positions to where the permutation points; a permutation has no duplicates."""
    return scatter.invert_permutation(b, x)


@tf("OneHot")
def one_hot(b: Builder, indices: Any, depth: Any, on_value: Any, off_value: Any, *, axis: int = -1) -> Any:
    return index.one_hot(b, indices, depth, on_value, off_value, axis)


# -- diagonals and bands --------------------------------------------------------------------------------


@tf("Diag")
def diag(b: Builder, x: Any) -> Any:
    """A tensor of twice the rank with x on the diagonal."""
    size = x.type.size
    result = matrix.diagonal_matrix(b, array.reshape(b, x, (size,)))
    return array.reshape(b, result, (*x.shape, *x.shape))


@tf("DiagPart")
def diag_part(b: Builder, x: Any) -> Any:
    half = x.shape[: x.rank // 2]
    size = matrix.product(half)
    return array.reshape(b, matrix.diagonal_part(b, array.reshape(b, x, (size, size))), half)


@tf("MatrixDiag")
def matrix_diag(b: Builder, x: Any) -> Any:
    return matrix.diagonal_matrix(b, x)


@tf("MatrixDiagV2", "MatrixDiagV3")
def matrix_diag_v2(
    b: Builder, x: Any, k: Any, rows: Any, columns: Any, padding: Any, *, op: str, align: str = "LEFT_LEFT"
) -> Any:
    numbers = [
        integers(operand, what, op) for operand, what in ((k, "k"), (rows, "rows"), (columns, "columns"))
    ]
    return matrix.diagonals_to_matrix(b, x, numbers[0], numbers[1][0], numbers[2][0], padding, align)


@tf("MatrixDiagPart")
def matrix_diag_part(b: Builder, x: Any) -> Any:
    return matrix.diagonal_part(b, x)


@tf("MatrixDiagPartV2", "MatrixDiagPartV3")
def matrix_diag_part_v2(
    b: Builder, x: Any, k: Any, padding: Any, *, op: str, align: str = "LEFT_LEFT"
) -> Any:
    return matrix.diagonals_of_matrix(b, x, integers(k, "k", op), padding, align)


@tf("MatrixSetDiag")
def matrix_set_diag(b: Builder, x: Any, diagonal: Any) -> Any:
    return matrix.set_diagonals(b, x, diagonal, [0], "LEFT_LEFT")


@tf("MatrixSetDiagV2", "MatrixSetDiagV3")
def matrix_set_diag_v2(
    b: Builder, x: Any, diagonal: Any, k: Any, *, op: str, align: str = "LEFT_LEFT"
) -> Any:
    return matrix.set_diagonals(b, x, diagonal, integers(k, "k", op), align)


@tf("MatrixBandPart", harmless=("Tindex",))
def matrix_band_part(b: Builder, x: Any, lower: Any, upper: Any) -> Any:
    return matrix.band_part(b, x, lower, upper)
