"""Functions of `tf.keras` itself that its models keep as nodes: losses and `batch_flatten`."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.functions.table import function, same_type
from litecast.frontend.keras.operations import normalization
from litecast.frontend.keras.operations.promotion import tensor
from litecast.ir.builder import Builder
from litecast.ir.types import product
from litecast.lib import activation, array, math, reduce

EPSILON = normalization.EPSILON


def _op(b: Builder, op: Any, *xs: Any) -> Any:
    return math.apply(b, op, *same_type(b, *xs))


@function("keras.backend.batch_flatten")
def batch_flatten(b: Builder, x: Any) -> Any:
    return array.reshape(b, x, (x.shape[0], product(x.shape[1:])))


@function("keras.backend.binary_crossentropy")
def binary_crossentropy(b: Builder, target: Any, output: Any, from_logits: bool = False) -> Any:
    """Keras 2 adds its epsilon to what it takes logarithms of (backend.py)."""
    wanted, found = same_type(b, target, output)
    if from_logits:
        return normalization.binary_crossentropy(b, wanted, found, from_logits=True)
    low, high = float(np.float32(EPSILON)), float(np.float32(1 - EPSILON))
    probability = activation.clip(b, found, low, high)
    hit = _op(b, ops.Log(), _op(b, ops.Add(), probability, EPSILON))
    rest = _op(b, ops.Sub(), 1.0, probability)
    miss = _op(b, ops.Log(), _op(b, ops.Add(), rest, EPSILON))
    left = _op(b, ops.Mul(), wanted, hit)
    right = _op(b, ops.Mul(), _op(b, ops.Sub(), 1.0, wanted), miss)
    return _op(b, ops.Neg(), _op(b, ops.Add(), left, right))


@function("keras.backend.categorical_crossentropy")
def categorical_crossentropy(
    b: Builder, target: Any, output: Any, from_logits: bool = False, axis: Any = -1
) -> Any:
    wanted, found = same_type(b, target, output)
    return normalization.categorical_crossentropy(b, wanted, found, from_logits=from_logits, axis=int(axis))


@function("keras.backend.sparse_categorical_crossentropy")
def sparse_categorical_crossentropy(
    b: Builder, target: Any, output: Any, from_logits: bool = False, axis: Any = -1
) -> Any:
    """Labels of another rank than the classes leave are flattened, and the classes with them."""
    labels, found = tensor(b, target), tensor(b, output)
    place = array.normalize_axis(int(axis), found.rank)
    order = [other for other in range(found.rank) if other != place] + [place]
    found = array.transpose(b, found, order)
    if labels.rank != found.rank - 1:
        labels = array.flatten(b, labels)
        found = array.reshape(b, found, (product(found.shape[:-1]), found.shape[-1]))
    return normalization.sparse_categorical_crossentropy(b, labels, found, from_logits=from_logits)


# -- hinge losses ----------------------------------------------------------------------------------------


def _signs(b: Builder, labels: Any) -> Any:
    """Return labels as -1 and 1 where all of them are 0 or 1 (losses.py)."""
    binary = _op(b, ops.LogicalOr(), *(_op(b, ops.Equal(), labels, number) for number in (0.0, 1.0)))
    every = reduce.all_(b, binary, list(range(labels.rank)))
    turned = _op(b, ops.Sub(), _op(b, ops.Mul(), labels, 2.0), 1.0)
    return math.select(b, every, turned, labels)


@function("keras.metrics.hinge", "keras.losses.hinge")
def hinge(b: Builder, y_true: Any, y_pred: Any) -> Any:
    return reduce.mean(b, _margin(b, y_true, y_pred), [-1])


@function("keras.metrics.squared_hinge", "keras.losses.squared_hinge")
def squared_hinge(b: Builder, y_true: Any, y_pred: Any) -> Any:
    return reduce.mean(b, math.square(b, _margin(b, y_true, y_pred)), [-1])


def _margin(b: Builder, y_true: Any, y_pred: Any) -> Any:
    signs = _signs(b, tensor(b, y_true, y_pred.dtype))
    return activation.relu(b, _op(b, ops.Sub(), 1.0, _op(b, ops.Mul(), signs, y_pred)))
