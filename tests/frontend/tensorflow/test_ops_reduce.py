"""Reductions against TensorFlow: axes, element types, ranks, segments."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from tests.frontend.tensorflow.harness import check, f32, i32, operations, spec, trace

tf = pytest.importorskip("tensorflow")
raw = tf.raw_ops

AXES = [[], 0, 1, -1, [0, 1], [0, 2], [1, -1], [0, 1, 2], [2, 0]]
REDUCTIONS = [raw.Sum, raw.Mean, raw.Prod, raw.Max, raw.Min, raw.EuclideanNorm]


@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("keep_dims", [False, True])
def test_axes(axes, keep_dims):
    def every(x):
        return tuple(
            operation(input=x, axis=np.array(axes, np.int32), keep_dims=keep_dims) for operation in REDUCTIONS
        )

    check(every, f32(None, 3, 4))


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_booleans(axes):
    where = np.array(axes, np.int64)
    check(
        lambda x: (raw.Any(input=x, axis=where), raw.All(input=x, axis=where, keep_dims=True)),
        spec("bool", None, 3, 4),
    )


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "uint8", "int16", "float16", "bfloat16"])
def test_types(dtype):
    error = {"float16": 5e-3, "bfloat16": 5e-2}.get(dtype, 0)
    check(
        lambda x: (tf.reduce_sum(x, 1), tf.reduce_prod(x, 1), tf.reduce_max(x, 0), tf.reduce_min(x, [0, 1])),
        spec(dtype, None, 3),
        tolerance=error,
    )
    if dtype not in ("int8", "uint8", "int16"):  # TensorFlow sums these in 8 or 16 bits, so the mean wraps
        check(lambda x: tf.reduce_mean(x, 1), spec(dtype, None, 3), tolerance=error)


def test_ranks():
    check(lambda x: tf.reduce_sum(x, [0, 2, 4]), f32(2, 3, 2, 2, 3))
    check(lambda x: tf.reduce_max(x, [1, 3, 5], keepdims=True), f32(2, 3, 1, 2, 2, 3))
    check(lambda x: tf.reduce_mean(x, [1, 3, 5]), f32(2, 3, 1, 2, 2, 3))
    check(lambda x: tf.reduce_prod(x, 0), f32(5))
    check(lambda x: (tf.reduce_sum(x), tf.reduce_any(x > 0)), f32(2, 3))
    check(lambda x: (tf.reduce_sum(x), tf.reduce_mean(x)), f32())


def test_axes_of_one_are_dropped():
    check(lambda x: tf.reduce_sum(x, 1), f32(None, 1, 3))
    assert operations(lambda x: tf.reduce_max(x, 1), f32(None, 1, 3)) == ["Reshape"]
    assert operations(lambda x: tf.reduce_max(x, 1, keepdims=True), f32(None, 1, 3)) == []


def test_log_sum_exp():
    check(lambda x: tf.reduce_logsumexp(x, -1), f32(None, 5))
    check(lambda x: tf.math.reduce_std(x, 0), f32(4, 5))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "int8", "uint8", "int16", "float16"])
def test_arg_extremes(axis, dtype):
    check(
        lambda x: (
            tf.argmax(x, axis),
            tf.argmin(x, axis),
            tf.argmax(x, axis, tf.int32),
            tf.argmin(x, axis, tf.int32),
        ),
        spec(dtype, None, 7),
    )


def test_arg_extremes_of_other_kinds():
    check(
        lambda x: (raw.ArgMax(input=x, dimension=0, output_type=tf.int64), tf.argmin(x, 1)),
        spec("bool", 5, 4),
    )
    check(lambda x: raw.ArgMax(input=x, dimension=1, output_type=tf.int16), f32(5, 4))
    check(lambda x: tf.argmax(x, 3), f32(2, 3, 2, 4, 2))
    ties = np.array([[1, 3, 3, 0], [2, 2, 2, 2]], np.float32)
    check(lambda x: (tf.argmax(x, 1), tf.argmin(x, 1)), f32(2, 4), inputs=[ties])


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "int8", "uint8", "int16", "float16"])
def test_top_k(dtype):
    check(lambda x: raw.TopKV2(input=x, k=3, sorted=True), spec(dtype, None, 6))
    check(lambda x: tf.math.top_k(x, 2), spec(dtype, 2, 3, 6))


def test_top_k_of_other_kinds():
    ties = np.array([1, 3, 3, 0, 3], np.float32)
    check(lambda x: tf.math.top_k(x, 4), f32(5), inputs=[ties])
    check(lambda x: raw.TopKV2(input=x, k=3, sorted=True, index_type=tf.int64), f32(5))
    check(lambda x: tf.sort(raw.TopKV2(input=x, k=3, sorted=False)[0]), f32(5))  # in any order
    check(lambda x, k: tf.math.top_k(x, k), f32(5), i32(), inputs=[ties, np.int32(2)])


IDS = np.array([0, 2, 0, 3, 2], np.int32)
SORTED = np.array([0, 0, 2, 3, 3], np.int32)


@pytest.mark.parametrize("name", ["Sum", "Max", "Min", "Prod"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_unsorted_segments(name, dtype):
    operation = getattr(raw, f"UnsortedSegment{name}")
    data = np.random.default_rng(1).integers(-5, 5, (5, 3)).astype(dtype)
    check(
        lambda x, ids: operation(data=x, segment_ids=ids, num_segments=5),
        spec(dtype, 5, 3),
        i32(5),
        inputs=[data, IDS],
    )
    check(
        lambda x: operation(data=x, segment_ids=IDS.astype(np.int64), num_segments=4),
        spec(dtype, 5, 3),
        inputs=[data],
    )


def test_unsorted_segments_of_other_kinds():
    data = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    ids = np.array([[0, 1, -1], [1, 0, 3]], np.int32)
    check(lambda x: tf.math.unsorted_segment_sum(x, ids, 4), f32(2, 3, 2), inputs=[data])
    check(lambda x: tf.math.unsorted_segment_max(x, ids, 4), f32(2, 3, 2), inputs=[data])
    check(lambda x: tf.math.unsorted_segment_sum(x, IDS, 4), spec("int64", 5, 3))
    check(lambda x: tf.math.unsorted_segment_mean(x, IDS, 5), f32(5, 2))


@pytest.mark.parametrize("name", ["Sum", "Mean", "Prod", "Max", "Min"])
def test_sorted_segments(name):
    operation = getattr(raw, f"Segment{name}")
    data = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    check(lambda x: operation(data=x, segment_ids=SORTED), f32(5, 3), inputs=[data])
    check(lambda x, ids: operation(data=x, segment_ids=ids), f32(5, 3), i32(5), inputs=[data, SORTED])


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_bincount(binary, dtype):
    none = np.zeros(0, dtype)
    data = np.array([0, 3, 1, 3, 9, 4], np.int32)
    rows = data.reshape(2, 3)

    def weighted(x, weights):
        return raw.DenseBincount(input=x, size=5, weights=weights, binary_output=binary)

    def count(x):
        return weighted(x, none)

    check(count, i32(6), inputs=[data])
    check(count, i32(2, 3), inputs=[rows])
    check(count, spec("int64", 6), inputs=[data.astype(np.int64)])
    amounts = np.arange(6).astype(dtype)
    check(weighted, i32(6), spec(dtype, 6), inputs=[data, amounts])


def test_bincount_of_a_computed_size():
    def count(x, size):
        return raw.DenseBincount(input=x, size=size, weights=np.zeros(0, np.float32))

    data = np.array([0, 3, 1, 3, 9, 4], np.int32)
    for rows in (data, data.reshape(2, 3)):
        check(count, i32(*rows.shape), i32(), inputs=[rows, np.int32(5)])


def test_bincount_of_the_first_kind():
    data = np.array([0, 3, 1, 3], np.int32)
    check(lambda x: raw.Bincount(arr=x, size=5, weights=np.zeros(0, np.int32)), i32(4), inputs=[data])


def test_refused():
    with pytest.raises(UnsupportedError, match="float64"):
        trace(lambda x: tf.reduce_sum(x), spec("float64", 3))
    with pytest.raises(UnsupportedError, match="axes"):
        trace(lambda x, axis: tf.reduce_sum(x, axis), f32(3, 4), i32())
