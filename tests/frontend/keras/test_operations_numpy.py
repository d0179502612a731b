"""keras.ops of functional models against Keras: elementwise operations and reductions, of every type."""

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
