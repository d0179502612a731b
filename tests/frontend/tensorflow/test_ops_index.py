"""Gathers, scatters, searches and diagonals against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from tests.frontend.tensorflow.harness import check, f32, i32, spec, trace

tf = pytest.importorskip("tensorflow")
raw = tf.raw_ops

TYPES = ["float32", "int32", "int64", "int8", "uint8", "int16", "bool", "float16", "bfloat16", "uint16"]


@pytest.mark.parametrize(
    ("shape", "indices", "axis", "batch_dims"),
    [((5, 3), [1, 4, 0], 0, 0), ((None, 3), [[1, 0], [0, 1]], 0, 0), ((None, 5, 3), [1, 4], 1, 0),
    ((None, 5, 3), 2, -1, 0),
     ((2, 5, 3), [[1, 4], [0, 2]], 1, 1), ((2, 5, 3, 2), [[1, 2], [0, 2]], 2, 1),
     ((2, 3, 4), [[0, 1, 3], [2, 2, 0]], 2, 2),
     ((2, 3, 2, 2, 2, 3), [2, 0], 5, 0)],
)  # fmt: skip
def test_gather(shape, indices, axis, batch_dims):
    check(lambda x: tf.gather(x, indices, axis=axis, batch_dims=batch_dims), f32(*shape))
    check(
        lambda x: tf.gather(x, tf.constant(indices, tf.int64), axis=axis, batch_dims=batch_dims), f32(*shape)
    )


@pytest.mark.parametrize("dtype", TYPES)
def test_gather_types(dtype):
    check(
        lambda x: (tf.gather(x, [1, 0]), tf.gather(x, [0], axis=1), tf.gather_nd(x, [[1, 0]])),
        spec(dtype, 2, 3),
    )


def test_gather_by_computed_indices():
    data = np.arange(15, dtype=np.float32).reshape(5, 3)
    check(
        lambda x, n: (tf.gather(x, n), raw.Gather(params=x, indices=n)),
        f32(5, 3),
        i32(2),
        inputs=[data, np.array([4, 1], np.int32)],
    )
    table = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
    check(
        lambda n: tf.nn.embedding_lookup(table, n),
        i32(None, 3),
        inputs=lambda rng, shape, dtype: rng.integers(0, 9, shape).astype(dtype),
    )
    check(
        lambda x, n: tf.gather(x, n, batch_dims=1),
        f32(2, 3),
        i32(2, 2),
        inputs=[data[:2], np.array([[2, 0], [1, 1]], np.int32)],
    )


def test_gather_of_strings():
    check(lambda x: tf.gather(x, [2, 0]), spec("string", 4))


@pytest.mark.parametrize(
    ("shape", "indices"),
    [
        ((3, 4), [[0, 1], [2, 3]]),
        ((3, 4), [[2], [0]]),
        ((2, 3, 4), [[[0, 1]], [[1, 2]]]),
        ((3, 4), [1]),
        ((3,), [[1], [2], [0]]),
    ],
)
def test_gather_nd(shape, indices):
    check(lambda x: tf.gather_nd(x, indices), f32(*shape))
    check(lambda x: tf.gather_nd(x, tf.constant(indices, tf.int64)), spec("int64", *shape))


def test_gather_nd_with_batch():
    check(lambda x: tf.gather_nd(x, [[[1], [0]], [[2], [2]]], batch_dims=1), f32(2, 3, 4))


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "int8", "float16", "bool"])
def test_scatter_nd(dtype):
    indices = [[1], [3], [1]] if dtype != "bool" else [[1], [3], [0]]
    check(lambda x: tf.scatter_nd(indices, x, [5, 2]), spec(dtype, 3, 2))
    check(
        lambda x: tf.scatter_nd(tf.constant([[0, 1], [2, 2]], tf.int64), x, tf.constant([3, 4], tf.int64)),
        spec(dtype, 2),
    )


SCATTERS = [
    "TensorScatterUpdate",
    "TensorScatterAdd",
    "TensorScatterSub",
    "TensorScatterMax",
    "TensorScatterMin",
]


@pytest.mark.parametrize("name", SCATTERS)
@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
def test_tensor_scatter(name, dtype):
    operation = getattr(raw, name)

    def call(x, y, indices=((1,), (3,), (1,))):
        return operation(tensor=x, indices=np.array(indices, np.int32), updates=y)

    check(call, spec(dtype, 5, 2), spec(dtype, 3, 2), tolerance=1e-3 if dtype == "float16" else 1e-5)
    check(lambda x, y: call(x, y, [[0, 1], [2, 0]]), spec(dtype, 3, 2), spec(dtype, 2))
    check(lambda x, y: call(x, y, [[[0, 1]], [[2, 0]]]), spec(dtype, 3, 2, 2), spec(dtype, 2, 1, 2))
    computed = np.array([[1], [0], [1]], np.int32)
    data = np.arange(10).reshape(5, 2).astype(dtype)
    check(
        lambda x, y, n: operation(tensor=x, indices=n, updates=y),
        spec(dtype, 5, 2), spec(dtype, 3, 2), i32(3, 1),
        inputs=[data, data[2:] * np.asarray(2, dtype), computed],
    )  # fmt: skip


def test_tensor_scatter_update_keeps_what_it_does_not_write():
    data = np.array([1.0, np.inf, np.nan, 4.0], np.float32)
    updates = np.array([np.nan, 7.0, -np.inf], np.float32)
    check(
        lambda x, y: tf.tensor_scatter_nd_update(x, [[0], [3], [0]], y),
        f32(4),
        f32(3),
        inputs=[data, updates],
    )
    check(lambda x: tf.tensor_scatter_nd_update(x, [[1]], [[9.0, 9.0]]), f32(None, 2), sizes=(2, 4))
    check(lambda x, y: tf.tensor_scatter_nd_update(x, [[1]], y), spec("int64", 3, 2), spec("int64", 1, 2))
    check(lambda x, y: tf.tensor_scatter_nd_update(x, [[1]], y), spec("bool", 3, 2), spec("bool", 1, 2))


def test_dynamic_stitch():
    check(lambda x, y: tf.dynamic_stitch([[0, 2], [1, 3]], [x, y]), f32(2, 3), f32(2, 3))
    check(lambda x, y: tf.dynamic_stitch([[[0, 1]], [1, 2]], [x, y]), f32(1, 2, 3), f32(2, 3))
    check(lambda x: tf.dynamic_stitch([[0], [1, 2]], [x[:1], x[1:]]), f32(3, 2))


@pytest.mark.parametrize("side", ["left", "right"])
def test_search_sorted(side):
    numbers = np.array([[1, 3, 3, 5], [0, 2, 4, 6]], np.float32)
    wanted = np.array([[3, 0, 9], [2, 5, -1]], np.float32)
    for dtype in ("float32", "int32", "int64"):
        given = [numbers.astype(dtype), wanted.astype(dtype)]
        check(
            lambda x, y: tf.searchsorted(x, y, side=side), spec(dtype, 2, 4), spec(dtype, 2, 3), inputs=given
        )
    check(lambda y: tf.searchsorted(numbers, y, side=side, out_type=tf.int64), f32(2, 3), inputs=[wanted])


def test_unique_and_permutations():
    numbers = np.array([3, 1, 3, 2, 1], np.int32)
    for dtype in ("int32", "int64", "float32"):
        check(lambda x: tf.unique(x), spec(dtype, 5), inputs=[numbers.astype(dtype)])
    check(lambda x: tf.unique(x, tf.int64), i32(5), inputs=[numbers])
    permutation = np.array([2, 0, 3, 1], np.int32)
    check(lambda x: tf.math.invert_permutation(x), i32(4), inputs=[permutation])
    check(lambda x: tf.math.invert_permutation(x), spec("int64", 4), inputs=[permutation.astype(np.int64)])


# -- diagonals and bands --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "int8", "uint8", "bool", "float16"])
def test_diagonals(dtype):
    check(
        lambda x: (raw.MatrixDiag(diagonal=x), raw.MatrixDiagPart(input=raw.MatrixDiag(diagonal=x))),
        spec(dtype, None, 3),
    )
    check(lambda x: raw.MatrixDiagPart(input=x), spec(dtype, 2, 3, 4))
    check(lambda x, y: raw.MatrixSetDiag(input=x, diagonal=y), spec(dtype, 2, 3, 4), spec(dtype, 2, 3))


def test_diagonals_of_the_first_kind():
    check(lambda x: (raw.Diag(diagonal=x), raw.DiagPart(input=raw.Diag(diagonal=x))), f32(3))
    check(lambda x: (raw.Diag(diagonal=x), raw.DiagPart(input=raw.Diag(diagonal=x))), f32(2, 3))


ALIGNMENTS = ["LEFT_LEFT", "RIGHT_LEFT", "LEFT_RIGHT", "RIGHT_RIGHT"]


@pytest.mark.parametrize("align", ALIGNMENTS)
@pytest.mark.parametrize("k", [0, 1, -2, (-1, 1), (0, 2), (-2, -1)])
def test_bands_of_diagonals(align, k):
    check(lambda x: tf.linalg.diag_part(x, k=k, padding_value=9.0, align=align), f32(2, 3, 4))
    low, high = (k, k) if isinstance(k, int) else k
    longest = min(3 + min(high, 0), 4 - max(low, 0))
    shape = (2, longest) if low == high else (2, high - low + 1, longest)
    check(
        lambda x: tf.linalg.diag(x, k=k, num_rows=3, num_cols=4, padding_value=-1.0, align=align), f32(*shape)
    )
    check(lambda x, y: tf.linalg.set_diag(x, y, k=k, align=align), f32(2, 3, 4), f32(*shape))


def test_bands_of_diagonals_of_the_second_kind():
    check(lambda x: raw.MatrixDiagPartV2(input=x, k=[-1, 1], padding_value=7.0), f32(2, 3, 4))
    check(lambda x, y: raw.MatrixSetDiagV2(input=x, diagonal=y, k=[-1, 0]), f32(3, 4), f32(2, 3))
    check(lambda x: raw.ParallelDynamicStitch(indices=[[1, 0], [2]], data=[x[:2], x[2:]]), f32(3, 2))


def test_diagonals_of_inferred_size():
    check(lambda x: tf.linalg.diag(x, k=1), f32(2, 3))
    check(lambda x: tf.linalg.diag(x, k=-2), f32(3))
    check(lambda x: tf.linalg.diag(x, num_rows=5), f32(3))
    check(lambda x: raw.MatrixDiagV2(diagonal=x, k=0, num_rows=3, num_cols=5, padding_value=0.5), f32(3))


@pytest.mark.parametrize("lower", [-1, 0, 1, 2])
@pytest.mark.parametrize("upper", [-1, 0, 2])
def test_band_part(lower, upper):
    check(lambda x: tf.linalg.band_part(x, lower, upper), f32(None, 3, 4))
    check(lambda x: tf.linalg.band_part(x, lower, upper), spec("int64", None, None), sizes=((3, 4), (2, 2)))


def test_band_part_of_computed_width():
    data = np.ones((4, 4), np.float32)
    for width in (-1, 0, 1):
        check(lambda x, n: tf.linalg.band_part(x, n, 1), f32(4, 4), i32(), inputs=[data, np.int32(width)])
    check(lambda x: tf.linalg.band_part(x > 0.0, 0, 0), f32(3, 3))


def test_refused():
    with pytest.raises(UnsupportedError, match="strings"):
        trace(lambda x: tf.gather(x, [0]), spec("string", 2, 2))
    with pytest.raises(UnsupportedError, match="cover"):
        trace(lambda x: tf.dynamic_stitch([[0, 3]], [x]), f32(2))
    with pytest.raises(UnsupportedError, match="unknown size"):
        trace(lambda x: tf.linalg.diag_part(x, k=1), f32(None, None))
