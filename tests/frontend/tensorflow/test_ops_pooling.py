"""Pooling against TensorFlow: windows, paddings, data formats, ranks and element types."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
from litecast.errors import UnsupportedError  # noqa: E402
from litecast.tflite.runtime import Runtime  # noqa: E402
from litecast.tflite.writer import write  # noqa: E402
from tests.frontend.tensorflow import harness  # noqa: E402
from tests.frontend.tensorflow.harness import Spec, compare, trace  # noqa: E402

raw = tf.raw_ops
check = partial(harness.check, delegates=(True, False))

POOLS = [
    # shape, window, strides, padding
    ((None, 8, 9, 3), (2, 2), (2, 2), "SAME"),
    ((2, 8, 9, 3), (3, 2), (2, 3), "VALID"),
    ((2, 8, 9, 3), (3, 3), (1, 1), "SAME"),
    ((1, None, None, 3), (3, 3), (2, 2), "SAME"),
    ((1, None, 7, 3), (1, 3), (1, 2), "VALID"),
    ((2, 8, 9, 3), (8, 9), (1, 1), "VALID"),
    ((2, 8, 9, 3), (1, 1), (2, 2), "VALID"),
    ((2, 8, 9, 3), (1, 1), (1, 1), "SAME"),
]
VOLUMES = [
    ((None, 6, 5, 7, 3), (2, 2, 2), (2, 2, 2), "SAME"),
    ((2, 6, 5, 7, 3), (3, 1, 2), (2, 1, 3), "VALID"),
    ((1, None, None, None, 3), (3, 3, 3), (1, 2, 2), "SAME"),
    ((2, 6, 5, 7, 3), (1, 3, 1), (1, 2, 1), "SAME"),
    ((2, 6, 5, 7, 3), (2, 1, 3), (1, 1, 1), "SAME"),
]


def per_axis(values):
    return [1, *values, 1]


def rising(rng, shape, dtype):
    return rng.integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("row", POOLS, ids=str)
@pytest.mark.parametrize("op", ["MaxPool", "AvgPool"])
def test_pool(op, row):
    shape, window, strides, padding = row
    kernel = raw.MaxPool if op == "MaxPool" else raw.AvgPool
    argument = "input" if op == "MaxPool" else "value"
    attributes = {"ksize": per_axis(window), "strides": per_axis(strides), "padding": padding}
    check(lambda x: kernel(**{argument: x}, **attributes), Spec(shape), sizes=(6, 9))


@pytest.mark.parametrize("row", VOLUMES, ids=str)
@pytest.mark.parametrize("op", ["MaxPool3D", "AvgPool3D"])
def test_pool3d(op, row):
    shape, window, strides, padding = row
    attributes = {"ksize": per_axis(window), "strides": per_axis(strides), "padding": padding}
    check(lambda x: getattr(raw, op)(input=x, **attributes), Spec(shape), sizes=(6, 9))


@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 2, 1, 0)])
def test_explicit_padding(pads):
    check(
        lambda x: raw.MaxPool(
            input=x,
            ksize=[1, 3, 3, 1],
            strides=[1, 2, 2, 1],
            padding="EXPLICIT",
            explicit_paddings=[0, 0, *pads, 0, 0],
        ),
        Spec((None, 8, 9, 3)),
    )


def test_pool_over_channels():
    check(
        lambda x: raw.MaxPool(input=x, ksize=[1, 1, 1, 3], strides=[1, 1, 1, 3], padding="VALID"),
        Spec((None, 4, 5, 6)),
    )


def test_pool_with_constant_operands():
    check(
        lambda x: raw.MaxPoolV2(input=x, ksize=[1, 2, 3, 1], strides=[1, 2, 1, 1], padding="SAME"),
        Spec((None, 8, 9, 3)),
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "int16", "int8", "uint8", "uint16"])
def test_integers(dtype, padding):
    check(
        lambda x: raw.MaxPool(input=x, ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding=padding),
        Spec((2, 8, 9, 3), dtype),
        inputs=rising,
    )


def test_integers_of_unknown_size():
    check(
        lambda x: raw.MaxPool(input=x, ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding="SAME"),
        Spec((1, None, None, 3), tf.int32),
        sizes=(6, 9),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    attributes = {"ksize": [1, 3, 3, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
    check(lambda x: raw.MaxPool(input=x, **attributes), Spec((1, 8, 8, 2), dtype))
    check(lambda x: raw.AvgPool(value=x, **attributes), Spec((1, 8, 8, 2), dtype), tolerance=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("with_batch", [False, True])
def test_argmax(dtype, padding, with_batch):
    def pool(x):
        results = raw.MaxPoolWithArgmax(
            input=x,
            ksize=[1, 3, 2, 1],
            strides=[1, 2, 2, 1],
            padding=padding,
            include_batch_in_index=with_batch,
        )
        return [results.output, results.argmax]

    check(pool, Spec((2, 7, 8, 3), dtype))
    check(pool, Spec((1, None, None, 2), dtype), sizes=(6, 9))


@pytest.mark.parametrize("op", ["MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D"])
def test_channels_first(op):
    """TensorFlow pools channels-first tensors on the CPU through XLA only."""
    spatial = 3 if op.endswith("3D") else 2
    data_format = "NCDHW" if spatial == 3 else "NCHW"
    attributes = {"ksize": [1, 1, 3, 2, 2][: spatial + 2], "strides": [1, 1, 2, 1, 2][: spatial + 2]}
    argument = "value" if op == "AvgPool" else "input"

    def pool(x):
        return getattr(raw, op)(**{argument: x}, padding="SAME", data_format=data_format, **attributes)

    x = np.random.default_rng(0).standard_normal((2, 3, 7, 8, 6)[: spatial + 2]).astype(np.float32)
    model, _ = trace(pool, Spec(x.shape))
    (ours,) = Runtime(write(model)).run([x]).values()
    compare(ours, tf.function(pool, jit_compile=True)(x).numpy(), 1e-5, op)


def test_pool_over_the_batch_is_refused():
    with pytest.raises((UnsupportedError, tf.errors.UnimplementedError, ValueError)):
        trace(
            lambda x: raw.MaxPool(input=x, ksize=[2, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID"),
            Spec((2, 4, 4, 1)),
        )
