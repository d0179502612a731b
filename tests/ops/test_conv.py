"""Convolutions: rows, and LiteRT against sums over windows written out in numpy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType, Quant, Sym, TensorType
from litecast.ops import Conv2D, Conv3D, Conv3DTranspose, DepthwiseConv2D, TransposeConv
from litecast.ops.enums import Activation, Padding
from litecast.tflite.runtime import Runtime, evaluate
from litecast.tflite.writer import write
from tests.ops.cases import Built, case, check, check_file, check_text, const, f32, run
from tests.ops.windows import conv_reference, spread_reference

SAME, VALID = Padding.SAME, Padding.VALID


def weights(*shape: int, seed: int = 7) -> Any:
    return const(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


ROWS = [
    case(
        Conv2D(SAME), f32("n", 5, 6, 3), weights(4, 3, 2, 3), weights(4), out="f32[n,5,6,4]", tolerance=1e-6
    ),
    case(
        Conv2D(SAME, stride_w=2, stride_h=3),
        f32(2, 7, "m", 3),
        weights(4, 3, 3, 3),
        weights(4),
        out="f32[2,3,((m+1)//2),4]",
        tolerance=1e-6,
    ),
    case(
        Conv2D(VALID, dilation_w_factor=2, fused_activation_function=Activation.RELU6),
        f32(1, "m", 8, 2),
        weights(3, 2, 3, 2),
        weights(3),
        out="f32[1,(m-1),4,3]",
        tolerance=1e-6,
    ),
    case(
        Conv2D(VALID),
        f32(1, 4, 4, 6),
        weights(4, 3, 3, 3),
        weights(4),
        out="f32[1,2,2,4]",
        version=6,
        tolerance=1e-6,
    ),
    case(
        DepthwiseConv2D(SAME, depth_multiplier=2),
        f32("n", 5, 6, 3),
        weights(1, 3, 2, 6),
        weights(6),
        out="f32[n,5,6,6]",
        tolerance=1e-6,
    ),
    case(
        DepthwiseConv2D(VALID, 1, 2, 1, dilation_h_factor=2),
        f32("n", 9, 6, 3),
        weights(1, 3, 2, 3),
        weights(3),
        out="f32[n,3,5,3]",
        version=2,
        tolerance=1e-6,
    ),
    case(
        TransposeConv(SAME, 2, 2),
        const([2, 8, 10, 4]),
        weights(4, 3, 3, 2),
        f32(2, 4, 5, 2),
        out="f32[2,8,10,4]",
        tolerance=1e-6,
    ),
    case(
        TransposeConv(VALID, 2, 3, fused_activation_function=Activation.RELU),
        const([1, 14, 11, 4]),
        weights(4, 4, 3, 2),
        f32(1, 4, 5, 2),
        weights(4),
        out="f32[1,14,11,4]",
        version=4,
        tolerance=1e-6,
    ),
    case(
        TransposeConv(SAME),
        const([1, 4, 5, 2]),
        weights(2, 3, 3, 3),
        f32(1, 4, 5, 3),
        weights(2),
        out="f32[1,4,5,2]",
        version=3,
        tolerance=1e-6,
    ),
    case(
        Conv3D(SAME, stride_d=2),
        f32("n", 5, 4, 6, 2),
        weights(3, 2, 3, 2, 4),
        weights(4),
        out="f32[n,3,4,6,4]",
        tolerance=1e-6,
    ),
    case(
        Conv3D(VALID), f32(1, 5, 4, "m", 2), weights(3, 2, 3, 2, 4), out="f32[1,3,3,(m-2),4]", tolerance=1e-6
    ),
    case(
        Conv3DTranspose(SAME, 2, 1, 2),
        const([1, 6, 8, 5, 4]),
        weights(3, 2, 2, 4, 3),
        f32(1, 3, 4, 5, 3),
        weights(4),
        out="f32[1,6,8,5,4]",
        tolerance=1e-6,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Any) -> None:
    check(row)
    check_text(row)
    check_file(row)


# -- against numpy --------------------------------------------------------------------------------------


def close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(
    ("stride", "dilation", "groups"),
    list(itertools.product([(1, 1), (2, 2), (3, 1)], [(1, 1), (2, 1), (2, 3)], [1, 2, 4])),
)
def test_conv_2d_is_the_sum_over_windows(padding: Padding, stride: Any, dilation: Any, groups: int) -> None:
    op = Conv2D(padding, stride[1], stride[0], Activation.NONE, dilation[1], dilation[0])
    w, bias = weights(8, 3, 2, 4 // groups), weights(8, seed=8)
    row = case(op, f32(2, 9, 10, 4), w, bias, out="")
    x = Built(row).feeds[0]
    close(run(row)[0], conv_reference(x, w.values, bias.values, stride, dilation, padding))


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize(
    ("stride", "dilation"),
    list(itertools.product([(1, 1), (2, 2), (1, 3)], [(1, 1), (2, 2)])),
)
def test_depthwise_conv_reads_one_channel_each(
    padding: Padding, multiplier: int, stride: Any, dilation: Any
) -> None:
    op = DepthwiseConv2D(padding, stride[1], stride[0], multiplier, Activation.NONE, dilation[1], dilation[0])
    w, bias = weights(1, 3, 3, 4 * multiplier), weights(4 * multiplier, seed=8)
    row = case(op, f32(2, 9, 10, 4), w, bias, out="")
    grouped = np.moveaxis(w.values, -1, 0)[..., 0, :, :, None]
    close(run(row)[0], conv_reference(Built(row).feeds[0], grouped, bias.values, stride, dilation, padding))


TRANSPOSED = [
    (SAME, (1, 1), (3, 3), (4, 5)),
    (SAME, (2, 2), (3, 3), (8, 10)),
    (SAME, (2, 2), (3, 3), (7, 9)),
    (SAME, (2, 3), (2, 5), (8, 13)),
    (SAME, (3, 3), (2, 2), (12, 15)),
    (VALID, (1, 1), (3, 3), (6, 7)),
    (VALID, (2, 2), (3, 2), (9, 10)),
    (VALID, (2, 2), (3, 2), (10, 11)),
    (VALID, (3, 3), (2, 2), (11, 14)),
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("padding", "stride", "window", "size"), TRANSPOSED)
def test_transpose_conv_spreads_filters(
    padding: Padding, stride: Any, window: Any, size: Any, bias: bool
) -> None:
    w, offset = weights(3, *window, 2), weights(3, seed=8)
    operands = [const([2, *size, 3]), w, f32(2, 4, 5, 2), *[offset] * bias]
    row = case(TransposeConv(padding, stride[1], stride[0]), *operands, out="")
    expected = spread_reference(Built(row).feeds[0], w.values, size, stride, padding) + bias * offset.values
    close(run(row)[0], expected)


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(
    ("stride", "dilation"), [((1, 1, 1), (1, 1, 1)), ((2, 1, 2), (1, 1, 1)), ((1, 1, 1), (2, 1, 2))]
)
def test_conv_3d_is_the_sum_over_windows(padding: Padding, stride: Any, dilation: Any) -> None:
    op = Conv3D(
        padding, stride[0], stride[2], stride[1], Activation.NONE, dilation[0], dilation[2], dilation[1]
    )
    w, bias = weights(2, 3, 2, 3, 4), weights(4, seed=8)
    row = case(op, f32(2, 5, 6, 7, 3), w, bias, out="")
    ordered = np.moveaxis(w.values, -1, 0)
    close(run(row)[0], conv_reference(Built(row).feeds[0], ordered, bias.values, stride, dilation, padding))


@pytest.mark.parametrize(
    ("padding", "stride", "size"),
    [(SAME, (2, 1, 2), (6, 4, 10)), (SAME, (2, 1, 2), (5, 4, 9)), (VALID, (2, 1, 2), (6, 5, 11))],
)
def test_conv_3d_transpose_spreads_filters(padding: Padding, stride: Any, size: Any) -> None:
    w, bias = weights(2, 2, 3, 4, 3), weights(4, seed=8)
    op = Conv3DTranspose(padding, stride[0], stride[2], stride[1])
    row = case(op, const([1, *size, 4]), w, f32(1, 3, 4, 5, 3), bias, out="")
    ordered = np.moveaxis(w.values, -2, 0)
    close(run(row)[0], spread_reference(Built(row).feeds[0], ordered, size, stride, padding) + bias.values)


def test_quantized_conv_is_the_real_one_rounded() -> None:
    random = np.random.default_rng(3)
    x, w = random.integers(-128, 128, (1, 6, 6, 4)), random.integers(-127, 128, (5, 3, 3, 4))
    scales = tuple(float(np.float32(scale)) for scale in random.uniform(0.01, 0.02, 5))
    bias = random.integers(-1000, 1000, 5)
    row = case(Conv2D(SAME), f32(1, 6, 6, 4), weights(5, 3, 3, 4), weights(5), out="")
    built = Built(row)
    types = [
        TensorType(DType.INT8, x.shape, Quant((0.05,), (3,))),
        TensorType(DType.INT8, w.shape, Quant(scales, (0,) * 5)),
        TensorType(DType.INT32, bias.shape, Quant(tuple(0.05 * scale for scale in scales), (0,) * 5)),
    ]
    arrays = [x.astype(np.int8), w.astype(np.int8), bias.astype(np.int32)]
    given = built.graph.inputs[0]
    given.type = types[0]
    built.operands = [
        given,
        *(Value(type, const=array) for type, array in zip(types[1:], arrays[1:], strict=True)),
    ]
    out = Quant((0.5,), (-4,))
    built.types = (TensorType(DType.INT8, (1, 6, 6, 5), out),)
    model = built.close()
    (actual,) = Runtime(write(model)).run([arrays[0]]).values()
    real = conv_reference((x - 3) * 0.05, w, 0, (1, 1), (1, 1), SAME) * scales + bias * 0.05 * np.array(
        scales
    )
    expected = np.clip(np.round(real / 0.5) - 4, -128, 127)
    assert np.abs(actual - expected).max() <= 1
    assert model.graphs[0].nodes[0].op.version(built.operands, model.graphs[0].outputs) == 3


# -- what does not fit ----------------------------------------------------------------------------------


def value(*shape: Any, dtype: DType = DType.FLOAT32, const: Any = None) -> Value:
    return Value(TensorType(dtype, shape), const=const)


WRONG = [
    (Conv2D(), (value(1, 4, 4), value(2, 3, 3, 1), value(2)), "the input must have rank 4"),
    (Conv2D(), (value(1, 4, 4, 3), value(2, 3, 3, 2), value(2)), "form no groups"),
    (Conv2D(), (value(1, 4, 4, 4), value(3, 3, 3, 2), value(3)), "form no groups"),
    (Conv2D(stride_w=0), (value(1, 4, 4, 3), value(2, 3, 3, 3), value(2)), "at least 1"),
    (Conv2D(VALID), (value(1, 2, 2, 3), value(2, 5, 5, 3), value(2)), "larger than the input"),
    (Conv2D(), (value(1, 4, 4, 3), value(2, 3, 3, 3), value(3)), "does not fit 2 output channels"),
    (
        Conv2D(fused_activation_function=Activation.TANH),
        (value(1, 4, 4, 3), value(2, 3, 3, 3), value(2)),
        "TANH",
    ),
    (DepthwiseConv2D(), (value(1, 4, 4, 3), value(2, 3, 3, 3), value(3)), "must be 1"),
    (DepthwiseConv2D(), (value(1, 4, 4, 3), value(1, 3, 3, 4), value(4)), "no multiple"),
    (
        DepthwiseConv2D(depth_multiplier=1),
        (value(1, 4, 4, 3), value(1, 3, 3, 6), value(6)),
        "depth_multiplier=1",
    ),
    (Conv3D(), (value(1, 4, 4, 4, 3), value(3, 3, 3, 2, 4)), "do not fit a filter of 2"),
    (
        TransposeConv(SAME, 2, 2),
        (
            value(4, dtype=DType.INT32, const=np.array([1, 5, 8, 2], np.int32)),
            value(2, 3, 3, 3),
            value(1, 4, 4, 3),
        ),
        "an output size of 5 belongs to an input size of 3, not 4",
    ),
    (
        TransposeConv(),
        (value(3, dtype=DType.INT32), value(2, 3, 3, 3), value(1, 4, 4, 3)),
        "must have 4 elements",
    ),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)


def test_unknown_rank_and_output_shape() -> None:
    unknown = Value(TensorType(DType.FLOAT32, None))
    assert Conv2D().infer(unknown, value(2, 3, 3, 3), value(2)).shape is None
    n = Sym("n")
    inferred = TransposeConv(SAME, 2, 2).infer(
        value(4, dtype=DType.INT32), value(2, 3, 3, 3), value(n, 4, 4, 3)
    )
    assert inferred.shape[0] == n
    assert inferred.shape[3] == 2
    assert isinstance(inferred.shape[1], Sym)
    assert isinstance(inferred.shape[2], Sym)


MACS = [
    (Conv2D(), (value(1, 8, 8, 3), value(4, 3, 3, 3), value(4)), 8 * 8 * 4 * 27),
    (Conv2D(), (value(Sym("n"), 8, 8, 3), value(4, 3, 3, 3), value(4)), None),
    (DepthwiseConv2D(), (value(1, 8, 8, 3), value(1, 3, 3, 6), value(6)), 8 * 8 * 6 * 9),
    (Conv3D(), (value(1, 2, 8, 8, 3), value(3, 3, 3, 3, 4)), 2 * 8 * 8 * 4 * 81),
    (TransposeConv(), (value(4, dtype=DType.INT32), value(4, 3, 3, 3), value(1, 8, 8, 3)), 8 * 8 * 3 * 36),
]


@pytest.mark.parametrize(("op", "operands", "count"), MACS)
def test_multiply_accumulates(op: Any, operands: Any, count: int | None) -> None:
    assert op.macs(operands, [Value(op.infer(*operands))]) == count
    assert op.heavy(operands) == (count is None)
    assert Conv2D().heavy((value(1, 224, 224, 3), value(32, 3, 3, 3), value(32)))


HYBRID = Quant((0.1, 0.2, 0.3, 0.4), (0,) * 4)
VERSIONS = [
    (Conv2D(), "f32 f32 f32", None, 1),
    (Conv2D(), "f32 i8 f32", Quant((0.1,), (0,)), 2),
    (Conv2D(), "f32 i8 f32", HYBRID, 5),
    (Conv2D(), "i8 i8 i8", HYBRID, 3),
    (Conv2D(), "i8 i4 i8", HYBRID, 7),
    (Conv2D(quantized_bias_type=DType.INT64), "i16 i8 i16", HYBRID, 8),
    (DepthwiseConv2D(), "f32 i8 f32", Quant((0.1,), (0,)), 4),
    (DepthwiseConv2D(), "i8 i8 i8", HYBRID, 3),
    (DepthwiseConv2D(), "i8 i4 i8", HYBRID, 7),
]


@pytest.mark.parametrize(("op", "types", "quant", "version"), VERSIONS)
def test_versions_of_quantized_forms(op: Any, types: str, quant: Quant | None, version: int) -> None:
    by_short = {dtype.short: dtype for dtype in DType}
    x, w, y = (by_short[name] for name in types.split())
    filters = Value(TensorType(w, (4, 3, 3, 4) if isinstance(op, Conv2D) else (1, 3, 3, 4), quant))
    assert op.version([value(1, 8, 8, 4, dtype=x), filters], [value(1, 8, 8, 4, dtype=y)]) == version


def test_quantized_constants_do_not_fold_before_the_result_has_a_grid() -> None:
    one = Quant((0.1,), (0,))
    builder = Builder(Graph("folded"), run=evaluate)
    x = Value(TensorType(DType.INT8, (1, 4, 4, 2), one), const=np.ones((1, 4, 4, 2), np.int8))
    w = Value(TensorType(DType.INT8, (2, 3, 3, 2), one), const=np.ones((2, 3, 3, 2), np.int8))
    assert not builder(Conv2D(), x, w, np.zeros(2, np.int32)).is_const
