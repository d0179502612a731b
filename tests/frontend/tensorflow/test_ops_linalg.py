"""Matrix products and Einstein sums against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from tests.frontend.tensorflow.harness import check, f32, i32, operations, spec, trace

tf = pytest.importorskip("tensorflow")
raw = tf.raw_ops


def weights(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(dtype)


BOOLS = (False, True)


@pytest.mark.parametrize("transpose_a", BOOLS)
@pytest.mark.parametrize("transpose_b", BOOLS)
def test_mat_mul(transpose_a, transpose_b):
    flags = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    left, right = ((5, 3) if transpose_a else (3, 5)), ((4, 5) if transpose_b else (5, 4))
    check(lambda x, y: tf.matmul(x, y, **flags), f32(*left), f32(*right))
    check(lambda x: tf.matmul(x, weights(*right), **flags), f32(*left))
    check(lambda y: tf.matmul(weights(*left), y, **flags), f32(*right))
    check(lambda x, y: tf.matmul(x, y, **flags), i32(*left), i32(*right))
    check(lambda x, y: tf.matmul(x, y, **flags), f32(None, left[1]), f32(right[0], None), sizes=(5,))


PRODUCTS = [
    ((None, 3, 4), (None, 4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (3, 4, 2)),
    ((2, 3, 1, 2, 4), (1, 4, 3)), ((2, 1, 2, 1, 3, 4), (1, 2, 1, 2, 4, 2)),
    ((2, 2, 2, 2, 3, 4), (2, 2, 2, 2, 4, 2)),
    ((2, 3, 2, 2, 3, 4), (4, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), PRODUCTS)
@pytest.mark.parametrize(("adj_x", "adj_y"), [(False, False), (True, False), (False, True), (True, True)])
def test_batch_mat_mul(left, right, adj_x, adj_y):
    left = (*left[:-2], left[-1], left[-2]) if adj_x else left
    right = (*right[:-2], right[-1], right[-2]) if adj_y else right
    check(lambda x, y: raw.BatchMatMulV2(x=x, y=y, adj_x=adj_x, adj_y=adj_y), f32(*left), f32(*right))
    if None not in right:
        check(lambda x: raw.BatchMatMulV2(x=x, y=weights(*right), adj_x=adj_x, adj_y=adj_y), f32(*left))


def test_products_of_other_types():
    for dtype in ("int32", "int64"):
        check(lambda x, y: tf.matmul(x, y, transpose_b=True), spec(dtype, 2, 3, 4), spec(dtype, 2, 5, 4))
    check(lambda x, y: tf.matmul(x, y), spec("float16", 3, 4), spec("float16", 4, 2), tolerance=5e-3)
    check(lambda x, y: tf.matmul(x, y), spec("bfloat16", 3, 4), spec("bfloat16", 4, 2), tolerance=2e-2)
    check(
        lambda x, y: raw.BatchMatMulV3(x=x, y=y, Tout=tf.int32),
        spec("int8", 2, 3, 4),
        spec("int8", 2, 4, 5),
    )


def test_sparse_mat_mul():
    """TensorFlow 1 had it for operands with many zeros; the flags are hints."""
    check(lambda x, y: raw.SparseMatMul(a=x, b=y, a_is_sparse=True, transpose_b=True), f32(2, 3), f32(4, 3))


def test_complex_products():
    left, right = spec("complex64", 2, 3, 4), spec("complex64", 2, 4, 2)
    check(lambda x, y: tf.matmul(x, y), left, right)
    check(
        lambda x, y: tf.matmul(x, y, adjoint_a=True, transpose_b=True),
        spec("complex64", 2, 4, 3),
        spec("complex64", 2, 2, 4),
    )
    check(lambda x, y: tf.einsum("bij,bjk->bik", x, y), left, right)


def test_weights_become_fully_connected():
    assert operations(lambda x: tf.matmul(x, weights(4, 5)), f32(None, 4)) == ["FullyConnected"]
    assert operations(lambda x: tf.matmul(x, weights(4, 5)), f32(None, None, 4)) == ["FullyConnected"]
    assert operations(lambda x: tf.matmul(x, weights(5, 4), transpose_b=True), f32(2, 4)) == [
        "FullyConnected"
    ]


ONE = {
    "ij->ji": (None, 3), "ijk->kij": (2, 3, 4), "ij->i": (None, 3), "ij->": (2, 3), "ii->i": (3, 3),
    "ii->": (3, 3),
    "iji->ij": (3, 2, 3), "iij->j": (3, 3, 2), "...ij->...ji": (2, 3, 4), "...i->...": (None, 3),
    "ij": (2, 3),
    "ba": (2, 3), "ijk->ikj": (2, None, 4), "i...->...": (2, 3, 4), "ijkl->jl": (2, 3, 4, 5),
}  # fmt: skip
TWO = {
    "ij,jk->ik": ((None, 3), (3, 4)), "ij,kj->ik": ((2, 3), (4, 3)), "ij,jk->ki": ((2, 3), (3, 4)),
    "ij,jk": ((2, 3), (3, 4)),
    "ji,jk->ik": ((3, 2), (3, 4)), "bij,bjk->bik": ((None, 2, 3), (None, 3, 4)),
    "bij,bkj->bik": ((2, 2, 3), (2, 4, 3)),
    "abc,cd->abd": ((None, None, 3), (3, 4)), "abc,cde->abde": ((None, 3, 4), (4, 2, 5)),
    "abcd,cde->abe": ((None, 3, 4, 2), (4, 2, 5)),
    "BTNH,BSNH->BNTS": ((None, 3, 2, 4), (None, 5, 2, 4)),
    "BNTS,BSNH->BTNH": ((None, 2, 3, 5), (None, 5, 2, 4)),
    "aecd,abcd->acbe": ((2, 5, 2, 4), (2, 3, 2, 4)), "acbe,aecd->abcd": ((2, 2, 3, 5), (2, 5, 2, 4)),
    "i,j->ij": ((3,), (4,)), "i,i->": ((3,), (3,)), "i,i->i": ((3,), (3,)),
    "ij,ij->ij": ((None, 3), (None, 3)),
    "ij,ij->": ((2, 3), (2, 3)), "ij,i->ij": ((2, 3), (2,)), "ij,j->ji": ((2, 3), (3,)),
    "ij,kl->ijkl": ((2, 3), (2, 2)),
    "...ij,...jk->...ik": ((2, 1, 2, 3), (3, 3, 4)), "...ij,jk->...ik": ((None, 2, 2, 3), (3, 4)),
    "i...,i...->...": ((3, 2), (3, 2)),
    "...i,...i->...": ((2, 3, 4), (4,)), "ab...,b...->a...": ((2, 3, 4), (3, 4)),
    "...,...->...": ((2, 3), (3,)),
    "bhwc,hkc->bhwk": ((None, 3, 2, 4), (3, 5, 4)), "ijk,ilm->jklm": ((2, 3, 2), (2, 3, 2)),
    "ijk,jil->kl": ((2, 3, 4), (3, 2, 5)),
    "ij,kj->": ((2, 3), (4, 3)), "ijj,jk->ik": ((2, 3, 3), (3, 4)),
    "abcdef,fg->abcdeg": ((2, 1, 2, 1, 2, 3), (3, 4)),
    "abcdef,abcdfg->abcdeg": ((2, 1, 2, 2, 2, 3), (2, 1, 2, 2, 3, 4)), "ac,bc->abc": ((2, 3), (4, 3)),
    ",ij->ji": ((), (2, 3)),
    "bij,bjk->bki": ((2, 2, 3), (2, 3, 4)), "aij,bjk->abik": ((2, 2, 3), (4, 3, 2)),
}  # fmt: skip
MORE = {
    "ij,jk,kl->il": ((None, 3), (3, 4), (4, 2)), "i,j,k->ijk": ((2,), (3,), (4,)),
    "bi,bj,bk->bijk": ((2, 2), (2, 3), (2, 2)),
    "ij,ij,ij->i": ((2, 3), (2, 3), (2, 3)), "...i,ij,j->...": ((2, 2, 3), (3, 4), (4,)),
}  # fmt: skip


@pytest.mark.parametrize("equation", ONE)
def test_einsum_of_one(equation):
    check(
        lambda x: raw.Einsum(inputs=[x], equation=equation if "->" in equation else _explicit(equation)),
        f32(*ONE[equation]),
    )


def _explicit(equation: str) -> str:
    """TensorFlow's operation wants the result; its Python function adds it as numpy does."""
    labels = sorted(label for label in set(equation) if equation.count(label) == 1 and label.isalpha())
    return f"{equation}->{''.join(labels)}"


@pytest.mark.parametrize("equation", [*TWO, *MORE])
def test_einsum(equation):
    shapes = (TWO | MORE)[equation]
    full = equation if "->" in equation else _explicit(equation)
    check(lambda *xs: tf.einsum(full, *xs), *(f32(*shape) for shape in shapes))


@pytest.mark.parametrize("equation", TWO)
def test_einsum_with_weights(equation):
    """A constant on either side, as the layers of Keras have it."""
    left, right = TWO[equation]
    full = equation if "->" in equation else _explicit(equation)
    if None not in right:
        check(lambda x: tf.einsum(full, x, weights(*right)), f32(*left))
    if None not in left:
        check(lambda y: tf.einsum(full, weights(*left), y), f32(*right))


def test_einsum_of_two_unknown_dimensions():
    shapes = ((2, 3), (4, 1))
    check(lambda x: tf.einsum("abc,cde->abde", x, weights(4, 2, 5)), f32(None, None, 4), sizes=shapes)
    for size in ((2, 3, 2, 4), (1, 5, 1, 2)):
        check(
            lambda x, y: tf.einsum("BTNH,BSNH->BNTS", x, y),
            f32(None, None, 2, 4),
            f32(None, None, 2, 4),
            sizes=(size,),
        )


def test_einsum_is_one_product():
    dense = operations(lambda x: tf.einsum("abc,cd->abd", x, weights(4, 5)), f32(None, None, 4))
    assert dense == ["FullyConnected"]
    heads = operations(lambda x: tf.einsum("abc,cde->abde", x, weights(8, 2, 4)), f32(None, 6, 8))
    assert heads == ["FullyConnected", "Reshape"]
    joined = operations(lambda x: tf.einsum("abcd,cde->abe", x, weights(2, 4, 8)), f32(None, 6, 2, 4))
    assert joined == ["Reshape", "FullyConnected"]
    batched = operations(lambda x, y: tf.einsum("bij,bjk->bik", x, y), f32(None, 2, 3), f32(None, 3, 4))
    assert batched == ["BatchMatMul"]
    unknown = f32(None, None, 3, 2, 4)
    attention = operations(lambda x, y: tf.einsum("...qhd,...khd->...hqk", x, y), unknown, unknown)
    assert attention == ["Transpose", "Transpose", "BatchMatMul"]


def test_refused():
    with pytest.raises(UnsupportedError, match="float64"):
        trace(lambda x: tf.matmul(x, x), spec("float64", 3, 3))
