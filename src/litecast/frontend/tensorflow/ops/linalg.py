"""Importers of TensorFlow's matrix products and Einstein sums."""

from __future__ import annotations

from typing import Any

from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder
from litecast.ir.types import DType
from litecast.lib import array, linalg
from litecast.lib import complex as complexes


@tf("MatMul", "SparseMatMul", harmless=("a_is_sparse", "b_is_sparse", "Ta", "Tb"))
def mat_mul(b: Builder, x: Any, y: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    return linalg.matmul(b, x, y, transpose_a, transpose_b)


@tf("BatchMatMul", "BatchMatMulV2", harmless=("grad_x", "grad_y"))
def batch_mat_mul(b: Builder, x: Any, y: Any, *, adj_x: bool = False, adj_y: bool = False) -> Any:
    """`adj` is the adjoint: complex operands are conjugated too."""
    left, right = _adjoint(b, x, adj_x), _adjoint(b, y, adj_y)
    return linalg.matmul(b, left, right, adj_x, adj_y)


def _adjoint(b: Builder, x: Any, adjoint: bool) -> Any:
    return complexes.conj(b, complexes.as_complex(b, x)) if adjoint and x.dtype.is_complex else x


@tf("BatchMatMulV3", harmless=("Ta", "Tb", "grad_x", "grad_y"))
def batch_mat_mul_v3(
    b: Builder, x: Any, y: Any, *, Tout: DType, adj_x: bool = False, adj_y: bool = False
) -> Any:
    """The operands' element types may differ from the result's, in which the products are summed."""
    return linalg.matmul(b, array.cast(b, x, Tout), array.cast(b, y, Tout), adj_x, adj_y)


@tf("Einsum")
def einsum(b: Builder, *xs: Any, equation: str) -> Any:
    return linalg.einsum(b, equation, xs)
