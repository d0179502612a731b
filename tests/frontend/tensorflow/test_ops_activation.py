"""Activations against TensorFlow: every element type, ranks 0 to 6, and numbers at the ends of the range."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
from litecast.errors import UnsupportedError  # noqa: E402
from tests.frontend.tensorflow import harness  # noqa: E402
from tests.frontend.tensorflow.harness import Spec, trace  # noqa: E402

raw = tf.raw_ops
check = partial(harness.check, delegates=(True, False))
UNARY = ["Elu", "Relu", "Relu6", "Selu", "Softplus", "Softsign"]
NAMED_X = ["Sigmoid", "Tanh"]
SOFTMAX = ["Softmax", "LogSoftmax"]
SHAPES = [(), (7,), (None, 3), (2, None, 4), (2, 3, None, 4), (1, 2, 3, 2, 2), (None, 2, 1, 3, 2, 2)]


def apply(op: str):
    argument = "x" if op in NAMED_X else "logits" if op in SOFTMAX else "features"
    return lambda x: getattr(raw, op)(**{argument: x})


def wide(rng, shape, dtype):
    return (rng.standard_normal(shape) * 12).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("op", UNARY + NAMED_X)
def test_of_every_rank(op, shape):
    check(apply(op), Spec(shape), inputs=wide)


@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
@pytest.mark.parametrize("op", SOFTMAX)
def test_softmax_of_every_rank(op, shape):
    check(apply(op), Spec(shape), inputs=wide)


@pytest.mark.parametrize("op", UNARY + NAMED_X)
def test_ends_of_the_range(op):
    """Not beyond 1e20: XNNPACK's sigmoid of 1e30 is not a number."""
    check(apply(op), Spec((10,)), inputs=[np.float32([-1e20, -200, -88, -1e-3, -1e-6, 0, 1e-6, 5, 88, 200])])


@pytest.mark.parametrize("op", SOFTMAX)
def test_softmax_of_large_logits(op):
    check(apply(op), Spec((2, 3)), inputs=[np.float32([[-1000, 0, 1000], [1e6, 1e6, 1e6]])])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("op", UNARY + NAMED_X + SOFTMAX)
def test_half_precision(op, dtype):
    check(apply(op), Spec((3, 5), dtype), tolerance=2e-3 if dtype == "float16" else 1.6e-2)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"])
@pytest.mark.parametrize("op", ["Relu", "Relu6"])
def test_integers(op, dtype):
    low = 0 if dtype.startswith("u") else -20
    check(
        apply(op),
        Spec((4, 5), dtype),
        inputs=lambda rng, shape, kind: rng.integers(low, 21, shape).astype(kind),
    )


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.5, -0.5])
def test_leaky_relu(alpha):
    check(lambda x: raw.LeakyRelu(features=x, alpha=alpha), Spec((None, 4)))


@pytest.mark.parametrize("op", ["Elu", "Softplus", "Softmax"])
def test_double_precision_is_refused(op):
    with pytest.raises(UnsupportedError, match="convert the model to float32"):
        trace(apply(op), Spec((3, 5), tf.float64))
