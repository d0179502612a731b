"""Comparisons, logic and selection against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from tests.frontend.tensorflow.harness import check, f32, operations, spec, trace

tf = pytest.importorskip("tensorflow")
raw = tf.raw_ops

TYPES = ["float32", "int32", "int64", "int8", "uint8", "int16", "uint16", "uint32", "float16", "bfloat16"]


@pytest.mark.parametrize("dtype", TYPES)
def test_comparisons(dtype):
    check(
        lambda x, y: (x < y, x <= y, x > y, x >= y, raw.Equal(x=x, y=y), raw.NotEqual(x=x, y=y)),
        spec(dtype, None, 4),
        spec(dtype, 4),
    )


@pytest.mark.parametrize("dtype", ["bool", "string"])
def test_equality(dtype):
    check(
        lambda x, y: (raw.Equal(x=x, y=y), raw.NotEqual(x=x, y=y)), spec(dtype, None, 4), spec(dtype, None, 4)
    )
    check(lambda x, y: raw.Equal(x=x, y=y), spec(dtype, 3, 4), spec(dtype, 4))


@pytest.mark.parametrize(
    ("shape", "other"),
    [
        ((), (3,)),
        ((2, 1, 3), (4, 1)),
        ((2, 3, 1, 4, 2), (3, 2, 1, 2)),
        ((2, 3, 1, 1, 2, 2), (1, 1, 4, 2, 2, 2)),
    ],
)
def test_broadcast(shape, other):
    check(lambda x, y: (x < y, raw.Equal(x=x, y=y)), f32(*shape), f32(*other))
    check(
        lambda x, y: (
            tf.logical_and(x, y),
            tf.logical_or(x, y),
            tf.logical_not(x),
            tf.math.logical_xor(x, y),
        ),
        spec("bool", *shape),
        spec("bool", *other),
    )


def test_special_numbers():
    numbers = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32)
    check(
        lambda x: (raw.Equal(x=x, y=x), raw.NotEqual(x=x, y=x), x < x, x >= x, x > -x),
        f32(5),
        inputs=[numbers],
    )


def test_incompatible_shapes():
    def lenient(x, y):
        flags = {"x": x, "y": y, "incompatible_shape_error": False}
        return raw.Equal(**flags), raw.NotEqual(**flags)

    check(lenient, f32(2), f32(3))
    check(lenient, f32(2, 3), f32(3))


def test_approximate_equal():
    near = np.array([1.0, 1.0, 1.0], np.float32), np.array([1.0, 1.05, 1.2], np.float32)
    check(lambda x, y: raw.ApproximateEqual(x=x, y=y, tolerance=0.1), f32(3), f32(3), inputs=list(near))


@pytest.mark.parametrize("dtype", [*TYPES, "bool"])
def test_select(dtype):
    check(
        lambda c, x, y: tf.where(c, x, y), spec("bool", None, 3), spec(dtype, None, 3), spec(dtype, None, 3)
    )
    check(
        lambda c, x, y: raw.Select(condition=c, x=x, y=y),
        spec("bool", 2),
        spec(dtype, 2, 3),
        spec(dtype, 2, 3),
    )


@pytest.mark.parametrize(
    ("condition", "x", "y"),
    [((), (2, 3), (2, 3)), ((3,), (2, 3), ()), ((2, 1), (1, 3), (2, 3)), ((None, 1, 1), (None, 3, 2), (2,)),
     ((1, 1, 2, 1, 2), (3, 2, 1, 1, 2), (1,)), ((2, 1, 1, 1, 2, 2), (2, 1, 3, 1, 1, 2), ())],
)  # fmt: skip
def test_select_broadcasts(condition, x, y):
    check(lambda c, left, right: tf.where(c, left, right), spec("bool", *condition), f32(*x), f32(*y))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 2)])
def test_select_of_the_first_kind(shape):
    values = shape if shape else (2, 3)
    check(lambda c, x, y: raw.Select(condition=c, x=x, y=y), spec("bool", *shape), f32(*values), f32(*values))


@pytest.mark.parametrize("dtype", ["bool", "float32", "int32", "int64", "int8", "uint8", "int16"])
def test_where(dtype):
    check(lambda x: raw.Where(condition=x), spec(dtype, None, 4))
    check(lambda x: tf.gather_nd(x, tf.where(x != 0)), spec("int32", 5, 4))


def test_one_to_one():
    assert operations(lambda x: tf.where(x > 0.0, x, 2.0 * x), f32(2, 3)) == ["Greater", "Mul", "SelectV2"]


def test_refused():
    with pytest.raises(UnsupportedError, match="strings"):
        trace(lambda c, x: tf.where(c, x, x), spec("bool", 2), spec("string", 2))
    with pytest.raises(UnsupportedError, match="float64"):
        trace(lambda x: x < x, spec("float64", 2))
