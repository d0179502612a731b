"""keras.ops of functional models against Keras: elementwise, reductions, movement, indexing, products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.frontend.keras.harness import KERAS, Spec, check, integers, spec, uniform

Expression = Callable[..., Any]


def expressions(table: dict[str, Expression], *specs: Spec) -> Callable[[Any], Any]:
    """Build one model with an output per expression of (keras.ops, *inputs)."""

    def build(k: Any) -> Any:
        inputs = [item.input(k) for item in specs]
        outputs = {}
        for name, expression in table.items():
            result = expression(k.ops, *inputs)
            parts = result if isinstance(result, (list, tuple)) else [result]
            outputs |= {f"{name}.{index}": part for index, part in enumerate(parts)}
        return k.Model(inputs if len(inputs) > 1 else inputs[0], outputs)

    return build


def compare(table: dict[str, Expression], specs: list[Spec], *inputs: Any, **options: Any) -> None:
    options = {"formats": ("keras",), "frameworks": KERAS, "tolerance": 2e-5, **options}
    check(expressions(table, *specs), *inputs, **options)


X = [spec((4, 6))]
PAIR = [spec((4, 6)), spec((1, 6))]

UNARY = {
    "arccos": (-1, 1), "arccosh": (1, 9), "arcsin": (-1, 1), "arcsinh": (-9, 9), "arctan": (-9, 9),
    "arctanh": (-0.9, 0.9), "ceil": (-9, 9), "cos": (-9, 9), "cosh": (-4, 4), "exp": (-4, 4),
    "exp2": (-4, 4), "expm1": (-2, 2), "fabs": (-9, 9), "floor": (-9, 9), "log": (0.1, 9),
    "log10": (0.1, 9), "log1p": (-0.5, 9), "log2": (0.1, 9), "sin": (-9, 9), "sinc": (-3, 3),
    "sinh": (-4, 4), "sqrt": (0, 9), "tan": (-1, 1), "tanh": (-4, 4), "cbrt": (-9, 9), "deg2rad": (-9, 9),
    "rad2deg": (-9, 9),
    "conj": (-9, 9), "copy": (-9, 9), "erf": (-3, 3), "erfc": (-2, 2), "erfinv": (-0.9, 0.9),
    "negative": (-9, 9), "reciprocal": (1, 9), "rsqrt": (1, 9), "sign": (-9, 9), "stop_gradient": (-9, 9),
    "absolute": (-9, 9), "abs": (-9, 9), "square": (-9, 9), "trunc": (-9, 9), "round": (-9, 9),
    "signbit": (-9, 9), "angle": (-9, 9), "real": (-9, 9), "imag": (-9, 9), "isfinite": (-9, 9),
    "isinf": (-9, 9), "isnan": (-9, 9), "isneginf": (-9, 9), "isposinf": (-9, 9), "isreal": (-9, 9),
    "nan_to_num": (-9, 9), "logical_not": (-9, 9), "i0": (-9, 9),
}  # fmt: skip


def _function(ops: Any, name: str) -> Any:
    return getattr(ops, name)


@pytest.mark.parametrize(("low", "high"), sorted(set(UNARY.values())))
def test_unary(low: float, high: float) -> None:
    names = [name for name, limits in UNARY.items() if limits == (low, high)]
    table = {name: lambda ops, x, name=name: _function(ops, name)(x) for name in names}
    compare(table, X, uniform(low, high))


INTEGER_UNARY = (
    "ceil", "floor", "cos", "exp", "exp2", "expm1", "fabs", "sqrt", "log1p", "tanh", "sinc", "negative",
    "sign",
    "absolute", "square", "trunc", "round", "signbit", "isfinite", "isnan", "logical_not", "bitwise_invert",
    "bitwise_not", "copy", "isreal",
)  # fmt: skip


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "uint8", "bool"])
def test_unary_of_integers(dtype: str) -> None:
    skipped = {"bool": {"negative", "sign", "round", "bitwise_invert", "bitwise_not"}, "uint8": {"negative"}}
    names = [name for name in INTEGER_UNARY if name not in skipped.get(dtype, ())]
    table = {name: lambda ops, x, name=name: _function(ops, name)(x) for name in names}
    compare(table, [spec((6,), dtype)], integers(2 if dtype == "bool" else 5))


BINARY = (
    "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "maximum", "minimum", "fmax",
    "fmin",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "arctan2", "logaddexp",
    "logaddexp2",
    "mod", "fmod", "logical_and", "logical_or", "logical_xor", "hypot", "heaviside", "divide_no_nan",
    "isclose",
)  # fmt: skip
INTEGER_BINARY = [
    *BINARY,
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "left_shift",
    "right_shift",
    "gcd",
    "lcm",
]


def test_binary() -> None:
    table = {name: lambda ops, x, y, name=name: _function(ops, name)(x, y) for name in BINARY}
    numbers = [name for name in BINARY if name not in ("hypot", "heaviside")]
    table |= {f"{name} 2.5": lambda ops, x, y, name=name: _function(ops, name)(x, 2.5) for name in numbers}
    table |= {f"3 {name}": lambda ops, x, y, name=name: _function(ops, name)(3, x) for name in numbers}
    table["power"] = lambda ops, x, y: ops.power(ops.abs(x), y)
    table["power 2"] = lambda ops, x, y: ops.power(x, 2)
    table["ldexp"] = lambda ops, x, y: ops.ldexp(x, ops.cast(y, "int32"))
    compare(table, PAIR)


@pytest.mark.parametrize(
    "pair", [("int32", "int32"), ("int32", "float32"), ("int64", "int32"), ("uint8", "int8")]
)
def test_binary_of_integers(pair: tuple[str, str]) -> None:
    names = BINARY if "float32" in pair else INTEGER_BINARY
    if "int64" in pair:
        names = [name for name in names if name != "right_shift"]  # no kernel, a named error
    table = {name: lambda ops, x, y, name=name: _function(ops, name)(x, y) for name in names}
    if "float32" not in pair:
        table["scaled"] = lambda ops, x, y: x * 0.5 + y
        table["counted"] = lambda ops, x, y: x + 1 - y * 2
        table["halved"] = lambda ops, x, y: x / 2
        table["power"] = lambda ops, x, y: ops.power(x, 2)
    compare(table, [spec((6,), pair[0]), spec((6,), pair[1])], integers(9, 1), integers(5, 1))


def test_conversions() -> None:
    dtypes = ("float16", "bfloat16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
    table = {f"cast {dtype}": lambda ops, x, dtype=dtype: ops.cast(ops.abs(x), dtype) for dtype in dtypes}
    table |= {
        f"saturate {dtype}": lambda ops, x, dtype=dtype: ops.saturate_cast(x * 100, dtype) for dtype in dtypes
    }
    table["view"] = lambda ops, x: ops.view(x, "int32")
    table["view 8"] = lambda ops, x: ops.view(x, "uint8")
    table["view 16"] = lambda ops, x: ops.cast(ops.view(x, "int16"), "int32")
    table["tensor"] = lambda ops, x: ops.convert_to_tensor(x, "int32")
    table["clip"] = lambda ops, x: ops.clip(x, -0.5, 1)
    table["clip integers"] = lambda ops, x: ops.clip(ops.cast(x, "int32"), 0, 1)
    table["where"] = lambda ops, x: ops.where(x > 0, x, 0)
    table["where scalars"] = lambda ops, x: ops.where(x > 0, 1.0, -1)
    table["where array"] = lambda ops, x: ops.where(x > 0, x, np.arange(6, dtype="float32"))
    table["select"] = lambda ops, x: ops.select([x > 1, x > 0], [x, x * 2], -1.0)
    table["decimals"] = lambda ops, x: ops.round(x, 2)
    table["tens"] = lambda ops, x: ops.round(ops.cast(x * 100, "int32"), -1)
    table["allclose"] = lambda ops, x: ops.allclose(x, x + 1e-7)
    table["isclose"] = lambda ops, x: ops.isclose(x, x * 1.01, rtol=0.1, equal_nan=True)
    compare(table, [spec((6,))], tolerance=1e-4)
    compare(
        {"nonzero": lambda ops, x: ops.nonzero(x), "where": lambda ops, x: ops.where(x)},
        [spec((6,), "int32")],
        integers(2),
    )


def test_nan_and_infinity() -> None:
    names = ("isfinite", "isinf", "isnan", "isneginf", "isposinf", "nan_to_num", "nansum", "nanprod",
             "nanmean",
             "nanmax", "nanmin", "nanvar", "nanstd", "nanargmax", "nanargmin", "nanmedian")  # fmt: skip
    table = {name: lambda ops, x, name=name: _function(ops, name)(x) for name in names if name[:3] != "nan"}
    table["nan_to_num"] = lambda ops, x: ops.nan_to_num(x, nan=2.0, posinf=9.0)
    table["fmax"] = lambda ops, x: ops.fmax(x, ops.flip(x, -1))
    compare(
        table,
        [spec((6,))],
        np.array([[1, np.nan, np.inf, -np.inf, 0, -2], [0, 1, 2, 3, 4, np.nan]], np.float32),
    )
    table = {}
    for name in names:
        if name.startswith("nan") and name != "nan_to_num":
            table |= {
                f"{name} {axis}": lambda ops, x, name=name, axis=axis: _function(ops, name)(
                    x, axis=axis, keepdims=True
                )
                for axis in (None, -1, 1)
                if not (name == "nanmedian" and axis is None)
            }
    table["nancumsum"] = lambda ops, x: ops.nancumsum(x, axis=1)
    table["nancumprod"] = lambda ops, x: ops.nancumprod(x, axis=1)
    table["nanquantile"] = lambda ops, x: ops.nanquantile(x, 0.3, axis=-1)
    table["nanpercentile"] = lambda ops, x: ops.nanpercentile(x, 60, axis=-1)
    rows = np.array([[1, np.nan, 5, -4, 0, -2], [0, 1, 2, 3, 4, np.nan], [np.nan] * 6], np.float32)
    compare(table, [spec((6,))], rows, batches=(3,))


REDUCTIONS = (
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "amax",
    "amin",
    "var",
    "std",
    "all",
    "any",
    "ptp",
    "logsumexp",
)


@pytest.mark.parametrize("axis", [None, 0, -1, (1, 2), (0, -1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(axis: Any, keepdims: bool) -> None:
    table = {
        name: lambda ops, x, name=name: _function(ops, name)(x, axis=axis, keepdims=keepdims)
        for name in REDUCTIONS
    }
    if not isinstance(axis, tuple):
        for name in ("argmax", "argmin"):
            table[name] = lambda ops, x, name=name: _function(ops, name)(x, axis=axis, keepdims=keepdims)
        table["cumsum"] = lambda ops, x: ops.cumsum(x, axis=axis)
    if not keepdims:
        table["count"] = lambda ops, x: ops.count_nonzero(x > 0, axis=axis)
        if not isinstance(axis, tuple):
            table["average"] = lambda ops, x: ops.average(x, axis=axis)
    if axis is not None and 0 not in np.ravel(axis):
        for method in ("linear", "lower", "higher", "nearest", "midpoint"):
            table[f"quantile {method}"] = lambda ops, x, method=method: ops.quantile(
                x, 0.3, axis=axis, method=method, keepdims=keepdims
            )
        table["quantiles"] = lambda ops, x: ops.quantile(
            x, np.array([0.2, 0.5], "float32"), axis=axis, keepdims=keepdims
        )
        table["percentile"] = lambda ops, x: ops.percentile(x, 30, axis=axis, keepdims=keepdims)
        table["median"] = lambda ops, x: ops.median(x, axis=axis, keepdims=keepdims)
    compare(table, [spec((5, 4))])


@pytest.mark.parametrize("dtype", ["int32", "int8", "uint8", "bool", "float16"])
def test_reductions_of_other_types(dtype: str) -> None:
    skipped = {
        "bool": {"ptp", "logsumexp"},
        "int32": {"logsumexp"},
        "int8": {"logsumexp"},
        "uint8": {"logsumexp"},
    }
    names = [
        name
        for name in (*REDUCTIONS, "argmax", "argmin", "cumsum", "cumprod")
        if name not in skipped.get(dtype, ())
    ]
    table = {name: lambda ops, x, name=name: _function(ops, name)(x, axis=-1) for name in names}
    table["initial"] = lambda ops, x: ops.max(x, axis=-1, initial=3)
    if dtype == "float16":
        table = {
            name: lambda ops, x, name=name: _function(ops, name)(x, axis=-1)
            for name in ("sum", "max", "argmax")
        }
    compare(table, [spec((6,), dtype)], integers(2 if dtype == "bool" else 4), tolerance=1e-4)


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
