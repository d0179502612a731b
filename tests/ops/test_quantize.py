"""Conversions between real and quantized tensors: rows, and LiteRT against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.graph import Graph, Loc, Model, Node, Value
from litecast.ir.types import DType, Quant, TensorType
from litecast.ops import Densify, Dequantize, FakeQuant, Quantize
from litecast.tflite.quantization import Sparsity
from litecast.tflite.runtime import Runtime
from litecast.tflite.schema import table
from litecast.tflite.writer import write
from tests.ops.cases import (
    QUANT,
    Built,
    case,
    check,
    check_file,
    check_text,
    f16,
    f32,
    i8,
    i16,
    run,
    u8,
)

SHIFTED = Quant((0.25,), (3,))

ROWS = [
    case(Quantize(DType.INT8, QUANT), f32("n", 5), out="i8[n,5]q", quantized=True),
    case(Quantize(DType.UINT8, SHIFTED), f32("n", 5), out="u8[n,5]q"),
    case(Quantize(DType.INT16, QUANT), f32("n", 5), out="i16[n,5]q", version=2, quantized=True),
    case(Dequantize(), i8("n", 5).within(-90, 90), out="f32[n,5]", version=2, quantized=True),
    case(Dequantize(), u8("n", 5), out="f32[n,5]", quantized=True),
    case(Dequantize(), i16("n", 5), out="f32[n,5]", version=3, quantized=True),
    case(Dequantize(), f16("n", 5), out="f32[n,5]", version=3),
    case(FakeQuant(-1.0, 2.0, 8), f32("n", 5), out="f32[n,5]"),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Any) -> None:
    check(row)
    check_text(row)
    check_file(row)


def converted(op: Any, array: Any, quant: Quant | None = None) -> Any:
    """Run an operation of one operand, an input of the model with a quantization."""
    graph = Graph()
    x = graph.add_input(TensorType(DType.of(array.dtype), array.shape, quant), "x")
    result = Value(op.infer(x), "y")
    graph.nodes.append(Node(op, [x], [result], Loc()))
    graph.set_outputs([result])
    (actual,) = Runtime(write(Model(graphs=[graph]))).run([array]).values()
    return actual


GRIDS = [(DType.INT8, 0.25, 3), (DType.UINT8, 0.125, 100), (DType.INT16, 0.001, 0)]


@pytest.mark.parametrize(("dtype", "scale", "zero"), GRIDS)
def test_real_numbers_go_to_the_nearest_step(dtype: DType, scale: float, zero: int) -> None:
    x = np.random.default_rng(1).uniform(-60, 60, (4, 50)).astype(np.float32)
    limits = np.iinfo(dtype.numpy)
    stored = converted(Quantize(dtype, Quant((scale,), (zero,))), x)
    expected = np.clip(np.round(x / np.float32(scale)) + zero, limits.min, limits.max)
    assert stored.dtype == dtype.numpy
    assert np.abs(stored.astype(int) - expected).max() <= (dtype is DType.INT16)
    back = converted(Dequantize(), stored, Quant((scale,), (zero,)))
    np.testing.assert_allclose(back, (stored.astype(np.float32) - zero) * np.float32(scale), rtol=1e-6)


REQUANTIZED = [
    (DType.INT8, (0.5, 2), DType.INT8, (0.3, -7)),
    (DType.UINT8, (0.5, 120), DType.INT8, (0.5, -8)),
    (DType.INT16, (0.01, 0), DType.INT8, (0.3, 5)),
    (DType.INT8, (0.5, 2), DType.INT16, (0.01, 0)),
]


@pytest.mark.parametrize(("dtype", "grid", "target", "goal"), REQUANTIZED)
def test_quantized_numbers_change_their_grid(dtype: DType, grid: Any, target: DType, goal: Any) -> None:
    limits = np.iinfo(dtype.numpy)
    x = np.random.default_rng(1).integers(limits.min, limits.max, (4, 50), dtype.numpy)
    op = Quantize(target, Quant((goal[0],), (goal[1],)))
    stored = converted(op, x, Quant((grid[0],), (grid[1],)))
    bounds = np.iinfo(target.numpy)
    real = (x.astype(np.float64) - grid[1]) * grid[0]
    expected = np.clip(np.round(real / goal[0]) + goal[1], bounds.min, bounds.max)
    assert np.abs(stored - expected).max() <= 1


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (0.0, 6.0), (-3.0, 0.0)])
def test_fake_quantization_nudges_zero_onto_the_grid(low: float, high: float, bits: int) -> None:
    row = case(FakeQuant(low, high, bits), f32(4, 50).within(-4, 7), out="")
    x = Built(row).feeds[0]
    steps = 2**bits - 1
    scale = (high - low) / steps
    zero = int(np.clip(np.floor(-low / scale + 0.5), 0, steps))
    nudged = np.clip(x, -zero * scale, (steps - zero) * scale)
    expected = np.floor((nudged + zero * scale) / scale + 0.5) * scale - zero * scale
    np.testing.assert_allclose(run(row)[0], expected, atol=1e-5)


def value(*shape: Any, dtype: DType = DType.FLOAT32, quant: Quant | None = None) -> Value:
    return Value(TensorType(dtype, shape, quant))


def vector(*contents: int) -> Any:
    return table("Int32Vector", values=np.array(contents, np.int32))


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_dense_form_of_a_sparse_constant(dtype: Any) -> None:
    dense = np.array([[1, 0, 0, 2], [0, 0, 3, 0], [0, 0, 0, 0]], dtype)
    rows = table("DimensionMetadata", format=0, denseSize=3)
    columns = table(
        "DimensionMetadata",
        format=1,
        arraySegmentsType=1,
        arraySegments=vector(0, 2, 3, 3),
        arrayIndicesType=1,
        arrayIndices=vector(0, 3, 2),
    )
    order = np.array([0, 1], np.int32)
    parameters = table("SparsityParameters", traversalOrder=order, dimMetadata=[rows, columns])
    x = Value(TensorType(DType.of(dense.dtype), dense.shape), const=dense)
    x.sparsity = Sparsity(parameters, np.array([1, 2, 3], dtype).view(np.uint8))
    graph = Graph()
    result = Value(Densify().infer(x), "y")
    graph.nodes.append(Node(Densify(), [x], [result], Loc()))
    graph.set_outputs([result])
    content = write(Model(graphs=[graph]))
    (actual,) = Runtime(content, delegate=False).run([]).values()
    np.testing.assert_array_equal(actual, dense)
    assert result.type == x.type


MANY = Quant((0.1, 0.2), (0, 0))
VERSIONS = [
    (Quantize(DType.INT8, MANY), value(2, 3), 3),
    (Quantize(DType.INT4, QUANT), value(2, 3), 4),
    (Quantize(DType.UINT4, QUANT), value(2, 3), 5),
    (Dequantize(), value(2, 3, dtype=DType.INT8, quant=MANY), 5),
    (Dequantize(), value(2, 3, dtype=DType.INT4, quant=QUANT), 6),
    (Dequantize(), value(2, 3, dtype=DType.INT2, quant=QUANT), 7),
    (Dequantize(), value(2, 3, dtype=DType.UINT4, quant=QUANT), 8),
    (Dequantize(), value(2, 3, dtype=DType.FLOAT8_E5M2), 9),
    (FakeQuant(-1, 1, 8, True), value(2, 3), 2),
]


@pytest.mark.parametrize(("op", "operand", "version"), VERSIONS)
def test_versions(op: Any, operand: Value, version: int) -> None:
    assert op.version([operand], [Value(op.infer(operand))]) == version


WRONG = [
    (Quantize(), (value(2),), "needs the quantization"),
    (Quantize(DType.INT32, QUANT), (value(2),), "no conversion of FLOAT32 to INT32"),
    (
        Quantize(DType.INT4, QUANT),
        (value(2, dtype=DType.INT8, quant=QUANT),),
        "no conversion of INT8 to INT4",
    ),
    (FakeQuant(), (value(2),), "no grid"),
    (FakeQuant(1.0, 2.0, 8), (value(2),), "no grid around zero"),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)
