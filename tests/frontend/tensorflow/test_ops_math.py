"""Elementwise arithmetic against TensorFlow: element types, ranks, broadcasting, special values."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from tests.frontend.tensorflow.harness import check, f32, operations, positive, spec, trace

tf = pytest.importorskip("tensorflow")
raw = tf.raw_ops

BINARY = {
    "AddV2": "float32 int32 int64 int8 uint8 int16 uint16 uint32 float16 bfloat16",
    "Sub": "float32 int32 int64 int8 uint8 int16 uint32 float16 bfloat16",
    "Mul": "float32 int32 int64 int8 uint8 int16 uint16 float16 bfloat16",
    "Maximum": "float32 int32 int64 int8 uint8 int16 float16 bfloat16",
    "Minimum": "float32 int32 int64 int8 uint8 int16 float16 bfloat16",
    "SquaredDifference": "float32 int32 int64 float16",
    "RealDiv": "float32 float16 bfloat16",
    "BitwiseXor": "int32 int64 int8 uint8 int16 uint16 uint32",
    "BitwiseAnd": "int32 int64 int8 uint8 int16 uint16 uint32",
    "BitwiseOr": "int32 int64 int8 uint8 int16 uint16",
}
DIVIDED = {
    "FloorDiv": "float32 int32 int64 int8 uint8 int16 float16",
    "FloorMod": "float32 int32 int64 int8 uint8 int16",
    "TruncateDiv": "int32 int64 int8 uint8 int16",
    "TruncateMod": "float32 int32 int64",
    "Mod": "int32 int64 float32",
    "Div": "float32 int32 int8",
}
UNARY = {
    "Neg": "float32 int32 int64 int8 int16 float16 bfloat16",
    "Abs": "float32 int32 int64 int8 int16 float16 bfloat16",
    "Sign": "float32 int32 int64 int8 float16",
    "Square": "float32 int32 int64 int8 uint8 float16",
    "Exp": "float32 float16 bfloat16",
    "Expm1": "float32 float16",
    "Sin": "float32 float16", "Cos": "float32 float16", "Tan": "float32", "Atan": "float32 float16",
    "Sinh": "float32", "Cosh": "float32", "Asinh": "float32 float16", "Erf": "float32 float16 bfloat16",
    "Erfc": "float32", "Floor": "float32 float16 bfloat16", "Ceil": "float32 float16 bfloat16",
    "Round": "float32 float16", "Rint": "float32", "IsNan": "float32 float16", "IsInf": "float32",
    "IsFinite": "float32 bfloat16", "Invert": "int32 int64 int8 uint8 int16 uint16",
    "ZerosLike": "float32 int32 int64 bool int8 float16", "OnesLike": "float32 int32 int64 bool uint8",
}  # fmt: skip
POSITIVE = {
    "Sqrt": "float32 float16 bfloat16", "Rsqrt": "float32 float16", "Log": "float32 float16 bfloat16",
    "Log1p": "float32 float16", "Reciprocal": "float32 float16", "Inv": "float32", "Acosh": "float32",
}  # fmt: skip


def pairs(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, dtype) for name, dtypes in table.items() for dtype in dtypes.split()]


def tolerance(dtype: str) -> float:
    return {"float16": 2e-3, "bfloat16": 1e-2}.get(dtype, 1e-5)


def not_zero(rng, shape, dtype):
    values = rng.integers(1, 9, shape)
    signs = rng.choice([-1, 1], shape) if np.dtype(dtype).kind != "u" else 1
    return np.asarray(values * signs).astype(dtype)


@pytest.mark.parametrize(("name", "dtype"), pairs(BINARY))
def test_binary(name, dtype):
    operation = getattr(raw, name)
    check(lambda x, y: operation(x=x, y=y), spec(dtype, None, 3), spec(dtype, 3), tolerance=tolerance(dtype))


@pytest.mark.parametrize(("name", "dtype"), pairs(DIVIDED))
def test_divided(name, dtype):
    operation = getattr(raw, name)
    check(
        lambda x, y: operation(x=x, y=y),
        spec(dtype, 5, 7),
        spec(dtype, 5, 7),
        inputs=not_zero,
        tolerance=tolerance(dtype),
    )


@pytest.mark.parametrize(("name", "dtype"), pairs(UNARY))
def test_unary(name, dtype):
    operation = getattr(raw, name)
    call = (lambda x: operation(features=x)) if name == "Softsign" else (lambda x: operation(x=x))
    check(call, spec(dtype, None, 5), tolerance=tolerance(dtype))


@pytest.mark.parametrize(("name", "dtype"), pairs(POSITIVE))
def test_positive(name, dtype):
    operation = getattr(raw, name)
    check(lambda x: operation(x=x), spec(dtype, None, 5), inputs=positive, tolerance=tolerance(dtype))


@pytest.mark.parametrize(
    ("shape", "other"),
    [((), ()), ((3,), ()), ((2, 1, 3), (4, 1)), ((2, 3, 1, 4, 5), (3, 2, 1, 5)),
    ((2, 1, 3, 4, 1, 2), (3, 1, 1, 3, 2)),
     ((2, 3, 1, 1, 2, 1, 2), (1, 1, 2, 3, 2, 1, 1))],
)  # fmt: skip
@pytest.mark.parametrize("name", ["Add", "Pow", "FloorMod", "Maximum", "Atan2", "BitwiseXor", "RealDiv"])
def test_broadcast(name, shape, other):
    operation = getattr(raw, name)
    dtype = "int32" if name == "BitwiseXor" else "float32"
    call = (lambda x, y: operation(y=x, x=y)) if name == "Atan2" else (lambda x, y: operation(x=x, y=y))
    check(call, spec(dtype, *shape), spec(dtype, *other), inputs=positive)


SPECIAL = np.array([0.0, 1e-30, 1e-7, 3e-4, 0.1, 0.4999, 0.5, 0.9, 0.999999, 1.0, 2.5, 9.0, 80.0], np.float32)


@pytest.mark.parametrize(
    "name",
    ["Expm1", "Log1p", "Sinh", "Asinh", "Atan", "Erf"],
)
def test_relative_error_near_zero(name):
    """Every element alone, so that a small one counts as much as a large one."""
    operation = getattr(raw, name)
    for number in [*SPECIAL, *(-SPECIAL if name != "Log1p" else ())]:
        if number and abs(number) > 1e-30:
            check(lambda x: operation(x=x), f32(1), inputs=[np.array([number], np.float32)], tolerance=3e-6)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("Log1p", [-1.0, np.inf, np.nan, -2.0, 1e30, 0.0]),
        ("Expm1", [np.inf, -np.inf, 100.0, -200.0, 0.0]),
        ("Asinh", [np.inf, -np.inf, 1e30, -1e30, 0.0]),
        ("Acosh", [np.inf, 1.0, 1e30, 0.5]),
        ("Atanh", [1.0, -1.0, 0.0, 2.0]),
        ("Sinh", [np.inf, -np.inf, 0.0]),
        ("Erf", [np.inf, -np.inf, 0.0, 10.0]),
        ("Erfc", [np.inf, -np.inf, 0.0, 30.0]),
        ("Erfinv", [1.0, -1.0, 0.0]),
        ("Ndtri", [0.0, 1.0, 0.5]),
        ("Round", [0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 8388609.0]),
        ("Rint", [0.5, 1.5, 2.5, -0.5, -1.5]),
        ("IsNan", [np.nan, np.inf, -np.inf, 0.0]),
        ("IsInf", [np.nan, np.inf, -np.inf, 0.0]),
        ("IsFinite", [np.nan, np.inf, -np.inf, 0.0]),
    ],
)
def test_special_values(name, numbers):
    operation = getattr(raw, name)
    check(lambda x: operation(x=x), f32(len(numbers)), inputs=[np.array(numbers, np.float32)])


@pytest.mark.parametrize(
    ("name", "low", "high", "error"),
    [("Asin", -1, 1, 2e-6), ("Acos", -1, 1, 2e-6), ("Atanh", -0.9999, 0.9999, 5e-6), ("Acosh", 1, 5, 5e-6),
     ("Erf", -5, 5, 5e-7), ("Erfc", -5, 5, 5e-7), ("Erfinv", -0.99999, 0.99999, 5e-6),
     ("Ndtri", 1e-6, 0.99999, 5e-6),
     ("Tan", -1.5, 1.5, 1e-5), ("Sinh", -80, 80, 1e-5), ("Cosh", -80, 80, 1e-5), ("Expm1", -20, 20, 3e-6)],
)  # fmt: skip
def test_range(name, low, high, error):
    points = np.linspace(low, high, 4001).astype(np.float32)
    check(lambda x: getattr(raw, name)(x=x), f32(4001), inputs=[points], tolerance=error)


def test_floor_division_of_floats():
    """Rounded as float32 has it, and without an error where the divisor is zero."""
    numbers = [
        np.array([1.0, 0.9, -1.0, 0.0, 7.0], np.float32),
        np.array([0.1, 0.3, 0.0, 0.0, -2.0], np.float32),
    ]
    check(lambda x, y: x // y, f32(5), f32(5), inputs=numbers)


def test_erfc_tail_is_relatively_accurate():
    points = np.linspace(3, 8, 101).astype(np.float32)
    check(lambda x: tf.math.erfc(x) * tf.exp(x * x), f32(101), inputs=[points], tolerance=2e-5)


ZEROS = [np.array([0.0, 1.0, -2.0, 0.0], np.float32), np.array([0.0, 0.0, 3.0, np.nan], np.float32)]


@pytest.mark.parametrize("name", ["DivNoNan", "MulNoNan", "Xdivy", "Xlogy", "Xlog1py"])
def test_no_nan(name):
    operation = getattr(raw, name)
    check(lambda x, y: operation(x=x, y=y), f32(4), f32(4), inputs=ZEROS)
    check(lambda x, y: operation(x=x, y=y), f32(None, 3), f32(3), inputs=positive)


def test_add_n():
    check(lambda x, y, z: tf.add_n([x, y, z]), f32(None, 2), f32(None, 2), f32(None, 2))
    check(lambda x: raw.AddN(inputs=[x]), f32(2))


@pytest.mark.parametrize("divide", [raw.FloorDiv, raw.TruncateDiv])
def test_division_of_large_integers(divide):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.integers(-(2**62), 2**62, 500), rng.integers(-(2**35), 2**35, 500)])
    y = np.concatenate([rng.integers(1, 2**40, 250), rng.integers(-50, 0, 250)] * 2)
    check(lambda x, y: divide(x=x, y=y), spec("int64", 1000), spec("int64", 1000), inputs=[x, y])
    check(lambda x: tf.bitwise.right_shift(x, tf.constant(7, tf.int64)), spec("int64", 1000), inputs=[x])


def test_clip_by_value():
    check(lambda x: raw.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.5), f32(None, 4))
    check(lambda x, y: raw.ClipByValue(t=x, clip_value_min=y, clip_value_max=y + 1.0), f32(3, 4), f32(3, 4))
    check(lambda x: raw.ClipByValue(t=x, clip_value_min=1, clip_value_max=2), spec("int64", 9))


CAST = [
    "float32",
    "int32",
    "int64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "uint32",
    "float16",
    "bfloat16",
    "bool",
    "float64",
]


@pytest.mark.parametrize("source", CAST)
def test_cast(source):
    def every(x):
        return tuple(tf.cast(x, target) for target in CAST if target != source)

    def contents(rng, shape, dtype):
        values = rng.uniform(0, 120, shape) if np.dtype(dtype).kind != "b" else rng.integers(0, 2, shape)
        return np.asarray(values).astype(dtype)

    check(every, spec(source, 3, 4), inputs=contents)


def test_cast_truncates_negative_numbers():
    numbers = np.array([-1.7, -0.5, 0.5, 1.7, -100.9], np.float32)
    check(
        lambda x: (tf.cast(x, tf.int32), tf.cast(x, tf.int8), tf.cast(x, tf.bool)), f32(5), inputs=[numbers]
    )


def test_cast_wraps_integers():
    numbers = np.array([300, -1, 128, 65536, -129], np.int32)
    check(
        lambda x: (tf.cast(x, tf.uint8), tf.cast(x, tf.int8), tf.cast(x, tf.int16)),
        spec("int32", 5),
        inputs=[numbers],
    )


def test_shifts():
    numbers = np.array([1, -8, 77, 100], np.int32)
    places = np.array([0, 1, 3, 5], np.int32)
    for dtype in ("int32", "int8", "int16"):
        check(
            lambda x, y: (tf.bitwise.left_shift(x, y), tf.bitwise.right_shift(x, y)),
            spec(dtype, 4),
            spec(dtype, 4),
            inputs=[numbers.astype(dtype), places.astype(dtype)],
        )
    check(lambda x: tf.bitwise.left_shift(x, 3), spec("int64", 4))
    check(lambda x: tf.bitwise.right_shift(x, tf.constant([1, 2], tf.uint8)), spec("uint8", 3, 2))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5])
def test_power_of_integers(exponent):
    check(lambda x: x**exponent, spec("int64", 4))
    check(lambda x: x**exponent, spec("int32", 4))


def test_power_of_floats():
    check(lambda x: (x**2.0, x**0.5, x**-1.5, x**0.0), f32(None, 3), inputs=positive)
    check(lambda x: x**3.0, f32(7))


def test_rounded_integers_stay():
    """TensorFlow 2.21 gives zeros here, against its documentation ("rounds to the nearest integer")."""
    assert operations(lambda x: raw.Round(x=x) + 1, spec("int32", 3)) == ["Add"]


def test_bucketize():
    check(lambda x: raw.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.5]), f32(None, 5))
    check(lambda x: raw.Bucketize(input=x, boundaries=[-1.0, 2.0]), spec("int32", 9))
    check(lambda x: raw.Bucketize(input=x, boundaries=[-1.0, 2.0]), spec("int64", 9))


SCANS = [
    (axis, exclusive, reverse)
    for axis in (0, 1, -1)
    for exclusive in (False, True)
    for reverse in (False, True)
]


@pytest.mark.parametrize(("axis", "exclusive", "reverse"), SCANS)
def test_scans(axis, exclusive, reverse):
    check(
        lambda x: (
            raw.Cumsum(x=x, axis=axis, exclusive=exclusive, reverse=reverse),
            raw.Cumprod(x=x, axis=axis, exclusive=exclusive, reverse=reverse),
            raw.CumulativeLogsumexp(x=x, axis=axis, exclusive=exclusive, reverse=reverse),
        ),
        f32(5, 6, 3),
    )


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "float16"])
def test_cumsum_types(dtype):
    check(lambda x: tf.cumsum(x, axis=1), spec(dtype, None, 4), tolerance=tolerance(dtype))


def test_shape_arithmetic_of_64_bits_has_kernels():
    """Dimensions fit INT32, so that no 64-bit division is needed."""
    check(lambda x: tf.reshape(x, [tf.shape(x, tf.int64)[0] // 2, -1]), f32(None, 4), sizes=(2, 4))


def test_one_to_one_operations_are_one_operation():
    assert operations(lambda x, y: tf.maximum(tf.exp(x) * y, x - y), f32(2, 3), f32(3)) == [
        "Exp",
        "Mul",
        "Sub",
        "Maximum",
    ]


@pytest.mark.parametrize(
    ("function", "spec_of_input", "message"),
    [
        (lambda x: x % 3, spec("float64", 3), "float64"),
        (lambda x: raw.Cast(x=x, DstT=tf.bfloat16, Truncate=True), f32(3), "Truncate"),
        (lambda x: tf.cumsum(x), spec("float64", 3), "float64"),
        (lambda x: tf.math.cumprod(x), f32(None), "not known"),
    ],
)
def test_refused(function, spec_of_input, message):
    with pytest.raises(UnsupportedError, match=message):
        trace(function, spec_of_input)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_true_division_of_integers(dtype):
    """TensorFlow divides 32- and 64-bit integers in float64."""
    check(lambda x, y: x / y, spec(dtype, None, 3), spec(dtype, None, 3), inputs=_integers_but_zero)


def _integers_but_zero(rng, shape, dtype):
    return rng.integers(1, 100, shape).astype(dtype)


def test_half_of_a_size():
    def function(x):
        half = tf.cast(tf.shape(x)[1] / 2, tf.int32)
        return x[:, :half], tf.cast(tf.math.ceil(tf.shape(x)[1] / 3), tf.int32)

    check(function, f32(None, None), sizes=(2, 3, 7))


def test_float64_arithmetic():
    def function(x):
        wide = tf.cast(x, tf.float64)
        return tf.cast(tf.sqrt(wide * 2.5 + 1.0) / 3.0, tf.float32)

    check(function, f32(None, 4), inputs=[np.float32([[0, 1, 2, 3]])], ops=["Mul", "Add", "Sqrt", "Div"])
