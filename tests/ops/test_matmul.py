"""Matrix products: rows, and LiteRT against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.graph import Value
from litecast.ir.types import DType, Quant, Sym, TensorType
from litecast.ops import BatchMatMul, FullyConnected
from litecast.ops.enums import Activation, WeightsFormat
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write
from tests.ops.cases import Built, case, check, check_file, check_text, const, f32, run


def weights(*shape: int, seed: int = 7) -> Any:
    return const(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


ROWS = [
    case(FullyConnected(), f32("n", 3), weights(4, 3), weights(4), out="f32[n,4]", tolerance=1e-6),
    case(FullyConnected(), f32("n", 3), weights(4, 3), out="f32[n,4]", version=6, tolerance=1e-6),
    case(FullyConnected(), f32("n", 3), weights(4, 3), None, out="f32[n,4]", version=1, tolerance=1e-6),
    case(FullyConnected(), f32("n", 2, 3), weights(4, 6), weights(4), out="f32[n,4]", tolerance=1e-6),
    case(FullyConnected(), f32("n", 5, 3), weights(4, 3), weights(4), out="f32[5*n,4]", tolerance=1e-6),
    case(
        FullyConnected(Activation.RELU6, keep_num_dims=True),
        f32("n", 2, 3),
        weights(4, 3),
        weights(4),
        out="f32[n,2,4]",
        version=5,
        tolerance=1e-6,
    ),
    case(BatchMatMul(), f32("n", 4, 3), f32("n", 3, 5), out="f32[n,4,5]", tolerance=1e-6),
    case(BatchMatMul(adj_x=True), f32(2, 3, "m"), f32(3, 5), out="f32[2,m,5]", tolerance=1e-6),
    case(BatchMatMul(adj_y=True), f32(2, 1, 4, 3), f32("k", 5, 3), out="f32[2,k,4,5]", tolerance=1e-6),
    case(BatchMatMul(), f32(4, "k"), weights(3, 5), out="f32[4,5]", tolerance=1e-6),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Any) -> None:
    check(row)
    check_text(row)
    check_file(row)


SHAPES = [
    ((4, 3), (3, 5)),
    ((2, 4, 3), (2, 3, 5)),
    ((2, 4, 3), (1, 3, 5)),
    ((1, 4, 3), (2, 3, 5)),
    ((4, 3), (2, 3, 5)),
    ((2, 4, 3), (3, 5)),
    ((2, 1, 4, 3), (1, 3, 3, 5)),
    ((2, 3, 4, 3), (2, 1, 3, 5)),
    ((2, 1, 3, 4, 3), (1, 2, 1, 3, 5)),
    ((2, 4, 1), (2, 1, 5)),
]


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("delegate", [False, True])
@pytest.mark.parametrize(("adj_x", "adj_y"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_batch_matmul_is_numpy(
    left: Any, right: Any, adj_x: bool, adj_y: bool, delegate: bool, constant: bool
) -> None:
    stored_left = (*left[:-2], left[-1], left[-2]) if adj_x else left
    stored_right = (*right[:-2], right[-1], right[-2]) if adj_y else right
    second = weights(*stored_right) if constant else f32(*stored_right)
    built = Built(case(BatchMatMul(adj_x, adj_y), f32(*stored_left), second, out=""))
    model = built.close()
    (actual,) = Runtime(write(model), delegate=delegate).run(built.feeds).values()
    x, y = built.arrays
    x = np.swapaxes(x, -1, -2) if adj_x else x
    y = np.swapaxes(y, -1, -2) if adj_y else y
    np.testing.assert_allclose(actual, x @ y, rtol=1e-5, atol=1e-5)
    assert built.types[0].shape == actual.shape


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(6,), (2, 6), (2, 3, 6), (2, 3, 4, 6)])
def test_fully_connected_is_numpy(shape: Any, bias: bool, keep: bool) -> None:
    w, offset = weights(5, 6), weights(5, seed=8)
    row = case(FullyConnected(keep_num_dims=keep), f32(*shape), w, *[offset] * bias, out="")
    built = Built(row)
    expected = built.feeds[0] @ w.values.T + (offset.values if bias else 0)
    expected = expected if keep else expected.reshape(-1, 5)
    np.testing.assert_allclose(run(row)[0], expected, rtol=1e-5, atol=1e-5)
    assert built.types[0].shape == expected.shape


def value(*shape: Any, dtype: DType = DType.FLOAT32, quant: Quant | None = None) -> Value:
    return Value(TensorType(dtype, shape, quant))


WRONG = [
    (FullyConnected(), (value(2, 3), value(4, 3, 1)), "rank 2"),
    (FullyConnected(), (value(2, 4), value(4, 3)), "does not divide into rows of 3"),
    (FullyConnected(keep_num_dims=True), (value(2, 6), value(4, 3)), "does not end in the 3 columns"),
    (FullyConnected(), (value(2, 3), value(4, 3), value(3)), "4 output channels"),
    (FullyConnected(Activation.TANH), (value(2, 3), value(4, 3)), "TANH"),
    (BatchMatMul(), (value(3), value(3, 4)), "2 to 5"),
    (BatchMatMul(), (value(1, 1, 1, 1, 2, 3), value(3, 4)), "2 to 5"),
    (BatchMatMul(), (value(2, 3), value(4, 3)), "3 and 4 elements to contract"),
    (BatchMatMul(), (value(2, 2, 3), value(3, 3, 4)), "do not broadcast"),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)


def test_unknown_rank_and_symbols() -> None:
    unknown = Value(TensorType(DType.FLOAT32, None))
    assert BatchMatMul().infer(unknown, value(3, 4)).shape is None
    assert FullyConnected().infer(unknown, value(3, 4)).shape is None
    n, m = Sym("n"), Sym("m")
    assert BatchMatMul().infer(value(n, 4, m), value(n, m, 2)).shape == (n, 4, 2)
    assert FullyConnected().infer(value(n, m, 4), value(3, 4)).shape == (n * m, 3)
    assert (
        BatchMatMul().infer(value(2, 3, dtype=DType.INT8), value(3, 4, dtype=DType.INT8)).dtype is DType.INT32
    )
    shuffled = FullyConnected(weights_format=WeightsFormat.SHUFFLED4x16INT8)
    results = shuffled.infer(value(2, 16, dtype=DType.UINT8), value(4, 16, dtype=DType.UINT8))
    assert [str(type) for type in results] == ["i16[2,4]", "u8[2,16]"]


def test_multiply_accumulates() -> None:
    x, w = value(10, 64), value(32, 64)
    assert FullyConnected().macs([x, w], [Value(FullyConnected().infer(x, w))]) == 10 * 64 * 32
    x, y = value(8, 10, 64), value(64, 32)
    assert BatchMatMul().macs([x, y], [Value(BatchMatMul().infer(x, y))]) == 8 * 10 * 64 * 32
    assert not BatchMatMul().heavy([x, y])
    assert BatchMatMul().heavy([value(1024, 1024), value(1024, 1024)])
    assert BatchMatMul().heavy([value(Sym("n"), 2), value(2, 2)])


ONE, MANY = Quant((0.1,), (0,)), Quant((0.1, 0.2), (0, 0))
VERSIONS = [
    (FullyConnected(), "f32 f32 f32", None, 3, 1),
    (FullyConnected(), "f32 i8 f32", ONE, 3, 3),
    (FullyConnected(), "f32 i8 f32", ONE, 2, 6),
    (FullyConnected(asymmetric_quantize_inputs=True), "f32 i8 f32", ONE, 3, 9),
    (FullyConnected(), "f32 i8 f32", MANY, 3, 12),
    (FullyConnected(), "i8 i8 i8", ONE, 3, 4),
    (FullyConnected(), "i8 i4 i8", ONE, 3, 10),
    (FullyConnected(), "i16 i4 i16", ONE, 3, 13),
    (FullyConnected(), "f32 i2 f32", ONE, 3, 14),
    (FullyConnected(quantized_bias_type=DType.INT32), "i16 i8 i16", ONE, 3, 11),
    (FullyConnected(keep_num_dims=True), "i8 i8 i8", ONE, 3, 5),
    (BatchMatMul(), "i16 i16 i16", ONE, 2, 3),
    (BatchMatMul(), "i8 i8 i8", ONE, 2, 2),
    (BatchMatMul(asymmetric_quantize_inputs=True), "f32 i8 f32", ONE, 2, 4),
]


@pytest.mark.parametrize(("op", "types", "quant", "count", "version"), VERSIONS)
def test_versions_of_quantized_forms(
    op: Any, types: str, quant: Quant | None, count: int, version: int
) -> None:
    by_short = {dtype.short: dtype for dtype in DType}
    x, w, y = (by_short[name] for name in types.split())
    inputs = [value(3, 4, dtype=x), value(2, 4, dtype=w, quant=quant), *[value(2)] * (count - 2)]
    assert op.version(inputs, [value(3, 2, dtype=y)]) == version
