"""Activation macros against their definitions in numpy."""

from __future__ import annotations

from collections.abc import Callable
from math import erf
from typing import Any

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph
from litecast.lib import activation
from litecast.tflite.runtime import evaluate
from tests.lib.running import run

Array = np.ndarray
X = np.concatenate([[-90, -20, -1, -0.5, 0, 0.5, 1, 20, 90], np.linspace(-5, 5, 87)]).astype(np.float32)


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def softmax(x: Array, axis: Any) -> Array:
    power = np.exp(x - x.max(axis, keepdims=True))
    return power / power.sum(axis, keepdims=True)


def normal(x: Array) -> Array:
    return 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


ROWS: dict[str, tuple[Callable[..., Any], Callable[[Array], Array]]] = {
    "relu": (activation.relu, lambda x: np.maximum(x, 0)),
    "relu6": (activation.relu6, lambda x: np.clip(x, 0, 6)),
    "leaky_relu": (lambda b, x: activation.leaky_relu(b, x, 0.1), lambda x: np.where(x < 0, 0.1 * x, x)),
    "elu": (activation.elu, lambda x: np.where(x < 0, np.expm1(x), x)),
    "elu, alpha": (lambda b, x: activation.elu(b, x, 1.5), lambda x: np.where(x < 0, 1.5 * np.expm1(x), x)),
    "elu, negative": (
        lambda b, x: activation.elu(b, x, -0.5),
        lambda x: np.where(x < 0, -0.5 * np.expm1(x), x),
    ),
    "celu": (lambda b, x: activation.celu(b, x, 2.0), lambda x: np.where(x < 0, 2 * np.expm1(x / 2), x)),
    "celu, negative": (
        lambda b, x: activation.celu(b, x, -20.0),
        lambda x: np.maximum(x, 0) - 20 * np.expm1(np.minimum(x, 0) / -20),
    ),
    "threshold": (lambda b, x: activation.threshold(b, x, 0.5, 9), lambda x: np.where(x > 0.5, x, 9)),
    "silu": (activation.silu, lambda x: x * sigmoid(x)),
    "gelu": (lambda b, x: activation.gelu(b, x, False), lambda x: x * normal(x)),
    "gelu, approximate": (
        lambda b, x: activation.gelu(b, x, True),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "mish": (activation.mish, lambda x: x * np.tanh(softplus(x))),
    "log_sigmoid": (activation.log_sigmoid, lambda x: -softplus(-x)),
    "squareplus": (activation.squareplus, lambda x: (x + np.sqrt(x * x + 4)) / 2),
    "tanh_shrink": (activation.tanh_shrink, lambda x: x - np.tanh(x)),
    "hard_sigmoid": (activation.hard_sigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hard_sigmoid, slope": (
        lambda b, x: activation.hard_sigmoid(b, x, 0.2),
        lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    ),
    "hard_silu": (activation.hard_silu, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hard_tanh": (activation.hard_tanh, lambda x: np.clip(x, -1, 1)),
    "soft_shrink": (activation.soft_shrink, lambda x: x - np.clip(x, -0.5, 0.5)),
    "hard_shrink": (activation.hard_shrink, lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    "sparse_plus": (
        activation.sparse_plus,
        lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    ),
    "sparse_sigmoid": (activation.sparse_sigmoid, lambda x: np.clip((x + 1) / 2, 0, 1)),
    "clip, high": (lambda b, x: activation.clip(b, x, None, 2), lambda x: np.minimum(x, 2)),
}


@pytest.mark.parametrize("row", ROWS)
def test_elementwise(row: str) -> None:
    build, reference = ROWS[row]
    (result,) = run(build, X)
    np.testing.assert_allclose(result, reference(X.astype(np.float64)), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("macro", [activation.relu, activation.relu6])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.int8])
def test_rectifiers_of_integers(macro: Any, dtype: Any) -> None:
    (result,) = run(macro, np.arange(-3, 10, dtype=dtype))
    high = 6 if macro is activation.relu6 else 9
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.arange(-3, 10).clip(0, high))


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5), (2, 1, 3, 2, 2, 2, 3)])
@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 1), (0, -1), None])
def test_softmax_along_axes(shape: tuple[int, ...], axis: Any, unknown: bool) -> None:
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    axes = tuple(range(x.ndim)) if axis is None else axis
    want = softmax(x, axes)
    (plain,) = run(lambda b, x: activation.softmax(b, x, axis), x, unknown=unknown)
    (logged,) = run(lambda b, x: activation.log_softmax(b, x, axis), x, unknown=unknown)
    np.testing.assert_allclose(plain, want, atol=1e-6)
    np.testing.assert_allclose(logged, np.log(want), atol=1e-5)


@pytest.mark.parametrize("axis", [1, -1])
def test_glu_and_sparsemax(axis: int) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 6)).astype(np.float32)
    left, right = np.split(x, 2, axis)
    (gated,) = run(lambda b, x: activation.glu(b, x, axis), x)
    np.testing.assert_allclose(gated, left * sigmoid(right), atol=1e-6)
    for unknown in (False, True):
        (sparse,) = run(lambda b, x: activation.sparsemax(b, x, axis), x, unknown=unknown)
        np.testing.assert_allclose(sparse, np.apply_along_axis(_sparsemax, axis, x), atol=1e-6)


def test_glu_beyond_the_rank_of_the_kernels() -> None:
    x = np.random.default_rng(2).normal(size=(2, 1, 3, 4, 1, 2, 2)).astype(np.float32)
    left, right = np.split(x, 2, 3)
    (gated,) = run(lambda b, x: activation.glu(b, x, 3), x)
    np.testing.assert_allclose(gated, left * sigmoid(right), atol=1e-6)


def _sparsemax(row: Array) -> Array:
    ranked = np.sort(row)[::-1]
    sums = np.cumsum(ranked)
    inside = ranked - (sums - 1) / np.arange(1, len(row) + 1) > 0
    return np.maximum(row - (sums[inside].sum() - 1) / inside.sum(), 0)


def test_prelu_has_a_slope_per_place() -> None:
    x = np.random.default_rng(3).normal(size=(2, 3, 4)).astype(np.float32)
    alpha = np.random.default_rng(4).normal(size=(3, 4)).astype(np.float32)
    (result,) = run(lambda b, x: activation.prelu(b, x, b.const(alpha)), x)
    np.testing.assert_allclose(result, np.where(x < 0, alpha * x, x), atol=1e-7)


def test_a_negative_shrinkage_is_refused() -> None:
    b = Builder(Graph("main"), evaluate)
    with pytest.raises(UnsupportedError, match="negative threshold"):
        activation.soft_shrink(b, b.const(X), -1)
