"""keras.ops of functional models against Keras: movement, indexing, sorting, products and creation."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.keras.harness import integers, spec
from tests.frontend.keras.test_operations_numpy import Expression, compare

MOVEMENT: dict[str, Expression] = {
    "reshape": lambda ops, x: ops.reshape(x, (-1, 3, 8)),
    "reshape batch": lambda ops, x: ops.reshape(x, (-1, 2)),
    "method": lambda ops, x: x.reshape((-1, 12)),
    "ravel": lambda ops, x: ops.ravel(x),
    "expand": lambda ops, x: ops.expand_dims(x, -1),
    "expand two": lambda ops, x: ops.expand_dims(x, (1, -1)),
    "squeeze": lambda ops, x: ops.squeeze(ops.expand_dims(x, 2), 2),
    "transpose": lambda ops, x: ops.transpose(x),
    "permute": lambda ops, x: ops.transpose(x, (0, 2, 1)),
    "moveaxis": lambda ops, x: ops.moveaxis(x, (0, 1), (-1, 0)),
    "swapaxes": lambda ops, x: ops.swapaxes(x, 1, -1),
    "flip": lambda ops, x: ops.flip(x),
    "flip axis": lambda ops, x: ops.flip(x, axis=(1, -1)),
    "fliplr": lambda ops, x: ops.fliplr(x),
    "flipud": lambda ops, x: ops.flipud(x),
    "roll": lambda ops, x: ops.roll(x, 2, axis=1),
    "roll back": lambda ops, x: ops.roll(x, (1, -2), axis=(1, 2)),
    "roll flat": lambda ops, x: ops.roll(x, 3),
    "concatenate": lambda ops, x: ops.concatenate([x, ops.cast(x, "int32"), x], axis=1),
    "append": lambda ops, x: ops.append(x, x, axis=1),
    "append flat": lambda ops, x: ops.append(x, x),
    "stack": lambda ops, x: ops.stack([x, x * 2], axis=-1),
    "hstack": lambda ops, x: ops.hstack([x, x]),
    "vstack": lambda ops, x: ops.vstack([x, x]),
    "dstack": lambda ops, x: ops.dstack([x, x]),
    "split": lambda ops, x: ops.split(x, 2, axis=1),
    "split at": lambda ops, x: ops.split(x, [1, 3], axis=-1),
    "array_split": lambda ops, x: ops.array_split(x, 4, axis=2),
    "hsplit": lambda ops, x: ops.hsplit(x, 2),
    "dsplit": lambda ops, x: ops.dsplit(x, [1, 2]),
    "unstack": lambda ops, x: ops.unstack(x, axis=1),
    "tile": lambda ops, x: ops.tile(x, (1, 2, 3)),
    "tile more": lambda ops, x: ops.tile(x, (2, 1, 1, 1)),
    "tile less": lambda ops, x: ops.tile(x, 2),
    "repeat": lambda ops, x: ops.repeat(x, 3, axis=1),
    "repeat batch": lambda ops, x: ops.repeat(x, 2, axis=0),
    "repeat each": lambda ops, x: ops.repeat(x, [1, 0, 2, 1], axis=1),
    "repeat flat": lambda ops, x: ops.repeat(x, 2),
    "pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1))),
    "pad value": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=2.5),
    "pad reflect": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), mode="reflect"),
    "pad symmetric": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), mode="symmetric"),
    "slice": lambda ops, x: ops.slice(x, (0, 1, 2), (1, 2, 3)),
    "slice_update": lambda ops, x: ops.slice_update(x, (0, 1, 2), np.ones((1, 2, 3), "float32")),
    "vsplit": lambda ops, x: ops.vsplit(ops.transpose(x, (1, 0, 2)), 2),
    "empty_like": lambda ops, x: ops.zeros_like(ops.empty_like(x)),
    "array": lambda ops, x: ops.array(x, dtype="int32"),
    "zeros_like": lambda ops, x: ops.zeros_like(x),
    "ones_like": lambda ops, x: ops.ones_like(x, dtype="int32"),
    "full_like": lambda ops, x: ops.full_like(x, 2.5),
    "broadcast": lambda ops, x: ops.broadcast_to(ops.mean(x), (2, 3)),
    "size": lambda ops, x: ops.size(x) + 0,
    "meshgrid": lambda ops, x: ops.meshgrid(ops.ravel(x[:1, 0]), ops.ravel(x[:1, :, 0])),
    "meshgrid ij": lambda ops, x: ops.meshgrid(ops.ravel(x[:1, 0]), ops.ravel(x[:1, :, 0]), indexing="ij"),
}


def test_movement() -> None:
    compare(MOVEMENT, [spec((4, 6))])


def test_shapes_that_depend_on_the_batch() -> None:
    table = {
        "rearrange": lambda ops, x: ops.rearrange(x, "b (h k) c -> b h (c k)", k=2),
        "merged": lambda ops, x: ops.rearrange(x, "b h c -> (b h) c"),
        "squeeze": lambda ops, x: ops.squeeze(ops.expand_dims(x, (2, 3))),
    }
    compare(table, [spec((4, 6), batch=2)])


def test_rotations() -> None:
    """Keras 3.15.1 itself turns only squares by half a circle."""
    square = {
        f"{k} {axes}": lambda ops, x, k=k, axes=axes: ops.rot90(x, k, axes)
        for k in (-1, 1, 2, 3, 4)
        for axes in ((1, 2), (2, 1))
    }
    compare(square, [spec((4, 4))])
    quarter = {f"{k}": lambda ops, x, k=k: ops.rot90(x, k, (0, 2)) for k in (-1, 1, 4)}
    compare(quarter, [spec((3, 4))])


ITEMS: dict[str, Expression] = {
    "number": lambda ops, x: x[:, 1],
    "last": lambda ops, x: x[:, -1],
    "range": lambda ops, x: x[:, 1:3],
    "step": lambda ops, x: x[:, ::2],
    "back": lambda ops, x: x[:, ::-1],
    "ellipsis": lambda ops, x: x[..., 0],
    "both": lambda ops, x: x[:, 1:, ..., -2],
    "new axis": lambda ops, x: x[:, None, :, 1:],
    "new last axis": lambda ops, x: x[..., None],
    "first": lambda ops, x: x[0],
    "before the end": lambda ops, x: x[:, :-1, 1:-1],
    "take": lambda ops, x: ops.take(x, [0, -1, 2], axis=1),
    "take one": lambda ops, x: ops.take(x, -1, axis=1),
    "take flat": lambda ops, x: ops.take(x, np.array([[0, 3], [1, -1]])),
    "take_along_axis": lambda ops, x: ops.take_along_axis(
        x,
        np.array(
            [
                [[0, -1, 2, 1]],
            ]
        ),
        axis=-1,
    ),
    "argsort along": lambda ops, x: ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1),
    "sort": lambda ops, x: ops.sort(x, axis=1),
    "sort last": lambda ops, x: ops.sort(x),
    "sort flat": lambda ops, x: ops.sort(x, axis=None),
    "argsort": lambda ops, x: ops.argsort(x),
    "argpartition": lambda ops, x: ops.argpartition(ops.cast(x[0, 0] * 9, "int32"), 1)[..., :2],
    "top_k": lambda ops, x: ops.top_k(x, 3),
    "searchsorted": lambda ops, x: ops.searchsorted(
        np.array([-1.0, 0.0, 1.0], "float32"), x[0, 0], side="right"
    ),
    "digitize": lambda ops, x: ops.digitize(x, np.array([-1.0, 0.0, 1.0])),
    "isin": lambda ops, x: ops.isin(ops.cast(x, "int32"), np.array([0, 2], "int32")),
    "diagonal": lambda ops, x: ops.diagonal(x, axis1=1, axis2=2),
    "diagonal above": lambda ops, x: ops.diagonal(x, offset=1, axis1=2, axis2=1),
    "diag": lambda ops, x: ops.diag(x[0, 0]),
    "diag below": lambda ops, x: ops.diag(x[0, 0], k=-1),
    "diag part": lambda ops, x: ops.diag(x[0], k=1),
    "diagflat": lambda ops, x: ops.diagflat(x[0, :2]),
    "trace": lambda ops, x: ops.trace(x, axis1=1, axis2=2),
    "tril": lambda ops, x: ops.tril(x),
    "tril above": lambda ops, x: ops.tril(x, k=1),
    "tril below": lambda ops, x: ops.tril(x, k=-1),
    "triu": lambda ops, x: ops.triu(x, k=1),
    "triu below": lambda ops, x: ops.triu(x, k=-1),
    "one_hot": lambda ops, x: ops.one_hot(ops.cast(x, "int32"), 3),
    "one_hot axis": lambda ops, x: ops.one_hot(ops.cast(x, "int32"), 3, axis=1, dtype="int32"),
    "multi_hot": lambda ops, x: ops.multi_hot(ops.cast(x, "int32"), 3),
    "scatter_update": lambda ops, x: ops.scatter_update(x, [[0, 1], [0, 2]], np.ones((2, 4), "float32")),
    "diff": lambda ops, x: ops.diff(x, n=2, axis=1),
    "trapezoid": lambda ops, x: ops.trapezoid(x, dx=0.5, axis=1),
    "unravel": lambda ops, x: ops.unravel_index(ops.cast(ops.abs(x[0, 0]) * 3, "int32"), (2, 9)),
}


def test_indexing() -> None:
    compare(ITEMS, [spec((3, 4))])


@pytest.mark.parametrize("reduction", ["add", "max", "min", "mul"])
def test_scatter_update(reduction: str) -> None:
    table = {
        "update": lambda ops, x: ops.scatter_update(
            x, [[0, 1], [0, 2], [0, 1]], np.full((3, 4), 2, "float32"), reduction=reduction
        ),
        "scatter": lambda ops, x: ops.scatter([[0], [3], [0]], x[0], (5, 4)),
    }
    compare(table, [spec((3, 4))])


def test_integers() -> None:
    table = {
        "bincount": lambda ops, x: ops.bincount(x, minlength=6),
        "unique": lambda ops, x: ops.unique(x),
        "left": lambda ops, x: ops.bitwise_left_shift(x, 2),
        "right": lambda ops, x: ops.bitwise_right_shift(x, 1),
        "scatter": lambda ops, x: ops.scatter(ops.reshape(x, (6, 1)), np.ones(6, "float32"), (9,)),
        "sort": lambda ops, x: ops.sort(x, axis=-1),
        "argsort": lambda ops, x: ops.argsort(x, axis=-1),
        "segment_sum": lambda ops, x: ops.segment_sum(
            ops.cast(x, "float32"), np.array([0, 1, 0, 2, 1, 0]), num_segments=3
        ),
        "segment_max": lambda ops, x: ops.segment_max(x * 1.0, np.array([0, 1, 0, 2, 1, 0]), num_segments=3),
        "segment_min": lambda ops, x: ops.segment_min(x * 1.0, np.array([0, 1, 0, 2, 1, 0]), num_segments=3),
        "segment_prod": lambda ops, x: ops.segment_prod(
            x * 1.0, np.array([0, 1, 0, 2, 1, 0]), num_segments=3
        ),
        "sorted": lambda ops, x: ops.segment_sum(x * 1.0, np.array([0, 0, 1, 1, 1, 2]), sorted=True),
    }
    flat = {
        name: lambda ops, x, function=function: function(ops, ops.reshape(x, (6,)))
        for name, function in table.items()
        if name != "bincount"
    }
    compare(
        {**flat, "bincount": table["bincount"]},
        [spec((6,), "int32", batch=1)],
        integers(6),
        batches=(1,),
        static=False,
    )
    compare(
        {"in_top_k": lambda ops, x: ops.in_top_k(x[:, 0], ops.cast(x, "float32") + np.arange(6), k=2)},
        [spec((6,), "int32")],
    )


PRODUCTS: dict[str, Expression] = {
    "matmul": lambda ops, x, y: ops.matmul(x, y),
    "operator": lambda ops, x, y: x @ y,
    "weights": lambda ops, x, y: ops.matmul(x, np.linspace(-1, 1, 12).reshape(4, 3).astype("float32")),
    "column": lambda ops, x, y: ops.matmul(x, np.arange(4, dtype="float32")),
    "row": lambda ops, x, y: ops.matmul(np.arange(3, dtype="float32"), x),
    "dot": lambda ops, x, y: ops.dot(x, np.ones((4, 2), "float32")),
    "inner": lambda ops, x, y: ops.inner(x, np.ones((5, 4), "float32")),
    "vdot": lambda ops, x, y: ops.vdot(x, x),
    "tensordot": lambda ops, x, y: ops.tensordot(x, np.ones((3, 4, 2), "float32"), axes=2),
    "tensordot axes": lambda ops, x, y: ops.tensordot(x, np.ones((4, 2), "float32"), axes=[[2], [0]]),
    "outer": lambda ops, x, y: ops.outer(x, np.arange(3, dtype="float32")),
    "einsum": lambda ops, x, y: ops.einsum("bij,bjk->bki", x, y),
    "einsum dots": lambda ops, x, y: ops.einsum("...ij,jk->...ik", x, np.ones((4, 2), "float32")),
    "kron": lambda ops, x, y: ops.kron(x, np.array([[1.0, 2.0]], "float32")),
    "cross": lambda ops, x, y: ops.cross(x[..., :3], np.array([1.0, 2.0, 3.0], "float32")),
    "cross axis": lambda ops, x, y: ops.cross(x, x * x, axis=1),
    "cross 2": lambda ops, x, y: ops.cross(x[..., :2], x[..., 1:3]),
    "cross 2 and 3": lambda ops, x, y: ops.cross(x[..., :2], x[..., 1:]),
    "norm": lambda ops, x, y: ops.norm(x, axis=-1),
    "norm 1": lambda ops, x, y: ops.norm(x, ord=1, axis=1, keepdims=True),
    "norm 3": lambda ops, x, y: ops.norm(x, ord=3, axis=1),
    "norm 0": lambda ops, x, y: ops.norm(x, ord=0, axis=1),
    "norm inf": lambda ops, x, y: ops.norm(x, ord=np.inf, axis=1),
    "frobenius": lambda ops, x, y: ops.norm(x, ord="fro", axis=(1, 2)),
    "matrix 1": lambda ops, x, y: ops.norm(x, ord=1, axis=(1, 2)),
    "matrix -inf": lambda ops, x, y: ops.norm(x, ord=-np.inf, axis=(2, 1), keepdims=True),
    "normalize": lambda ops, x, y: ops.normalize(x),
    "normalize 1": lambda ops, x, y: ops.normalize(x, axis=1, order=1),
    "cdist": lambda ops, x, y: ops.cdist(x, ops.transpose(y, (0, 2, 1))),
    "corrcoef": lambda ops, x, y: ops.corrcoef(x[0]),
    "correlate": lambda ops, x, y: ops.correlate(x[0, 0], np.array([1.0, 2.0], "float32")),
    "correlate same": lambda ops, x, y: ops.correlate(x[0, 0], np.array([1.0, 2.0], "float32"), mode="same"),
    "correlate full": lambda ops, x, y: ops.correlate(x[0, 0], np.array([1.0, 2.0], "float32"), mode="full"),
    "vander": lambda ops, x, y: ops.vander(x[0, 0], 3),
    "average": lambda ops, x, y: ops.average(x, axis=1, weights=np.array([1.0, 2.0, 3.0], "float32")),
}


def test_products() -> None:
    compare(PRODUCTS, [spec((3, 4)), spec((4, 3))], tolerance=1e-4)


def test_products_of_integers() -> None:
    table = {name: PRODUCTS[name] for name in ("matmul", "operator", "einsum", "tensordot", "outer")}
    compare(table, [spec((3, 4), "int32"), spec((4, 3), "int32")])
    compare(
        {"matmul": PRODUCTS["matmul"], "einsum": PRODUCTS["einsum"]},
        [spec((3, 4), "int8"), spec((4, 3), "int8")],
    )


def test_creation() -> None:
    table = {
        "linspace": lambda ops, x: ops.linspace(x, x + 1, 5),
        "linspace axis": lambda ops, x: ops.linspace(x, 2.0, 4, axis=1),
        "linspace open": lambda ops, x: ops.linspace(x, x + 1, 5, endpoint=False),
        "logspace": lambda ops, x: ops.logspace(x, x + 1, 3),
        "geomspace": lambda ops, x: ops.geomspace(ops.abs(x) + 1, ops.abs(x) + 2, 3),
        "full": lambda ops, x: ops.full((2, 3), x[0, 0]),
    }
    compare(table, [spec((3,))])
