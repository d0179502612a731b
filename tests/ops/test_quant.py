"""What `QuantSpec` says of every operation, measured in LiteRT against the float operation.

Operands have unequal scales and zero points unless the spec wants one grid. The reference is the float
operation on the numbers that the quantized operands stand for: what remains is the kernel's own error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from litecast import ops
from litecast.ir.graph import Graph, Loc, Model, Node, Value
from litecast.ir.op import OPS, Op, QuantSpec
from litecast.ir.types import Blockwise, DType, Quant, TensorType
from litecast.ops.enums import Activation, Padding
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

INT8, INT16, FLOAT32 = DType.INT8, DType.INT16, DType.FLOAT32
TOP = {DType.INT8: 127, DType.INT4: 7, DType.INT2: 1}
DELEGATES = (True, False)


@dataclass(frozen=True)
class Numbers:
    """A FLOAT32 operand, uniform between two bounds."""

    shape: tuple[int, ...]
    low: float = -3.0
    high: float = 2.0
    constant: bool = False

    def array(self, seed: int) -> Any:
        return np.random.default_rng(seed).uniform(self.low, self.high, self.shape).astype(np.float32)


def some(*shape: int, low: float = -3.0, high: float = 2.0) -> Numbers:
    return Numbers(shape, low, high)


def fixed(*shape: int, low: float = -1.0, high: float = 1.5) -> Numbers:
    return Numbers(shape, low, high, True)


def state(*shape: int) -> Numbers:
    """Return a variable tensor that starts at zero."""
    return Numbers(shape, 0, 0)


def ints(contents: Any, dtype: Any = np.int32) -> Any:
    return np.asarray(contents, dtype)


@dataclass(frozen=True)
class Row:
    """An operation on operands; `steps` of INT8 and INT16 are the error that its kernels may add."""

    op: Op
    operands: tuple[Any, ...]
    steps: float = 0.75
    steps16: float = 1.25

    def __str__(self) -> str:
        return f"{self.op.name}-{len(self.operands)}"


def row(op: Op, *operands: Any, steps: float = 0.75, steps16: float = 1.25) -> Row:
    return Row(op, operands, steps, steps16)


X, V, PIXELS = some(2, 5, 6, 8), some(4, 7), some(1, 4, 6, 4)
OTHER, CHANNELS = some(2, 5, 6, 8, low=-1, high=1.5), fixed(8)
MASK = np.arange(28).reshape(4, 7) % 3 == 0
IMAGE, FILTER, BIAS = some(1, 9, 10, 8), fixed(12, 3, 3, 8), fixed(12, low=-3, high=2)
ROWS = [
    *(row(op, some(4, 20, low=-4, high=3)) for op in (
        ops.Relu(), ops.Relu6(), ops.ReluN1To1(), ops.Relu0To1(), ops.LeakyRelu(0.2), ops.Elu(),
        ops.HardSwish(), ops.LogSoftmax(), ops.L2Normalization(), ops.Abs(), ops.Neg(),
    )),
    *(row(op, some(4, 200, low=-8, high=7), steps16=2) for op in (ops.Gelu(), ops.Gelu(approximate=True))),
    # Tables of 512 steps with straight lines between them, and inputs rescaled to a power of two.
    *(row(op, some(4, 200, low=-8, high=7), steps16=20) for op in (ops.Logistic(), ops.Tanh())),
    row(ops.Softmax(), some(4, 200, low=-20, high=7), steps16=100),
    *(row(ops.Exp(), some(4, 200, low=low, high=high), steps16=8) for low, high in ((-3, 6), (-10, 2))),
    *(row(op, some(4, 200, low=0.1, high=5), steps=1) for op in (ops.Sqrt(), ops.Rsqrt(), ops.Log())),
    row(ops.Prelu(), X, fixed(1, 1, 8, low=-0.5, high=0.25)),
    *(row(op, X, y) for op in (ops.Add(), ops.Sub(), ops.Mul(), ops.Maximum(), ops.Minimum(),
                               ops.SquaredDifference()) for y in (OTHER, some(8, low=-1), CHANNELS)),
    *(row(kind(fused_activation_function=function), X, OTHER)
      for kind in (ops.Add, ops.Sub, ops.Mul) for function in (Activation.RELU, Activation.RELU6)),
    *(row(op, some(40, 70), some(40, 70, low=-2, high=3.5)) for op in (
        ops.Equal(), ops.NotEqual(), ops.Greater(), ops.GreaterEqual(), ops.Less(), ops.LessEqual())),
    row(ops.Select(), MASK, V, some(4, 7, low=-1)),
    row(ops.SelectV2(), MASK, V, some(7, low=-1)),
    *(row(op, some(2, 5, 6, 8), ints([1, 2])) for op in (
        ops.Sum(), ops.Mean(), ops.Mean(keep_dims=True), ops.ReduceMax(), ops.ReduceMin())),
    *(row(op, some(40, 70), ints([1])) for op in (ops.Mean(), ops.Sum(), ops.ArgMax(), ops.ArgMin())),
    row(ops.Transpose(), X, ints([0, 3, 1, 2])),
    row(ops.ReverseV2(), V, ints([1])),
    row(ops.ReverseSequence(1, 0), V, ints([1, 2, 3, 4])),
    row(ops.Tile(), V, ints([2, 1])),
    row(ops.Concatenation(axis=1), V, some(4, 3, low=-1, high=6), fixed(4, 3, low=0)),
    row(ops.Pack(2), V, some(4, 7, low=-1, high=6)),
    row(ops.Unpack(4), V),
    row(ops.Split(2), ints([0]), V),
    row(ops.SplitV(2), V, ints([3, 4]), ints(1)),
    row(ops.Slice(), V, ints([1, 2]), ints([2, 3])),
    row(ops.StridedSlice(), V, ints([0, 1]), ints([4, 7]), ints([2, 3])),
    row(ops.Reshape(), V, ints([7, 4])),
    row(ops.Squeeze(), some(1, 4, 1)),
    row(ops.ExpandDims(), V, ints(0)),
    row(ops.BroadcastTo(), V, ints([3, 4, 7])),
    row(ops.Fill(), ints([3, 4]), some(low=2, high=3)),
    row(ops.Pad(), X, ints([[0, 0], [1, 1], [1, 1], [0, 0]])),
    row(ops.PadV2(), X, ints([[0, 0], [1, 1], [1, 1], [0, 0]]), fixed(low=-1, high=-0.5)),
    row(ops.MirrorPad(), V, ints([[1, 1], [1, 1]])),
    row(ops.SpaceToDepth(2), PIXELS),
    row(ops.DepthToSpace(2), PIXELS),
    row(ops.SpaceToBatchND(), PIXELS, ints([2, 2]), ints([[0, 0], [0, 0]])),
    row(ops.BatchToSpaceND(), some(4, 4, 6, 3), ints([2, 2]), ints([[0, 0], [0, 0]])),
    row(ops.Dilate(), V, ints([2, 2]), some(low=-1, high=1)),
    row(ops.MatrixDiag(), V),
    row(ops.MatrixSetDiag(), some(4, 4), some(4, low=-1)),
    row(ops.DynamicUpdateSlice(), V, some(2, 3, low=-1, high=1), ints([1, 1])),
    row(ops.AveragePool2D(Padding.VALID, 2, 2, 3, 3), X),
    row(ops.MaxPool2D(Padding.SAME, 2, 2, 3, 3), X),
    row(ops.ResizeNearestNeighbor(), X, ints([9, 11])),
    *(row(op, X, ints([9, 11]), steps=1.25, steps16=256) for op in (
        ops.ResizeBilinear(), ops.ResizeBilinear(align_corners=True),
        ops.ResizeBilinear(half_pixel_centers=True))),
    row(ops.Gather(), V, ints([3, 1])),
    row(ops.GatherNd(), V, ints([[3, 1], [1, 1]])),
    row(ops.OneHot(), ints([1, 2, 0]), ints(4), some(low=2, high=2.5), some(low=-1, high=-0.5)),
    row(ops.TopKV2(), V, ints(3)),
    row(ops.Conv2D(Padding.SAME, 1, 1), IMAGE, FILTER, BIAS),
    row(ops.Conv2D(Padding.SAME, 1, 1, Activation.RELU6, 2, 2), IMAGE, FILTER, BIAS),
    row(ops.Conv2D(Padding.VALID, 2, 2), IMAGE, fixed(12, 3, 3, 4), BIAS),
    row(ops.DepthwiseConv2D(Padding.SAME, 1, 1, 1), IMAGE, fixed(1, 3, 3, 8), CHANNELS),
    row(ops.DepthwiseConv2D(Padding.SAME, 2, 2, 2), IMAGE, fixed(1, 3, 3, 16), fixed(16)),
    row(ops.TransposeConv(Padding.SAME, 2, 2), ints([1, 18, 20, 12]), FILTER, IMAGE, BIAS),
    row(ops.TransposeConv(Padding.VALID, 2, 2), ints([1, 19, 21, 12]), FILTER, IMAGE),
    row(ops.FullyConnected(), some(5, 64), fixed(12, 64), BIAS),
    row(ops.FullyConnected(keep_num_dims=True), some(2, 5, 64), fixed(12, 64)),
    row(ops.FullyConnected(), some(5, 64), some(12, 64, low=-1)),
    row(ops.BatchMatMul(), some(3, 5, 16), some(3, 16, 9, low=-1)),
    row(ops.BatchMatMul(adj_y=True), some(3, 5, 16), fixed(9, 16)),
    row(ops.BatchMatMul(), some(3, 5, 16), fixed(16, 9)),
]  # fmt: skip
SIMPLE = (fixed(8, 16), fixed(8, 8), CHANNELS, state(2, 8))
GATES = (*(fixed(8, 16),) * 4, *(fixed(8, 8),) * 4, *(CHANNELS,) * 7, None, None)
STATES = (state(2, 8), state(2, 8))
LAYERS = [
    *(item for item in ROWS if isinstance(item.op, (
        ops.Conv2D, ops.DepthwiseConv2D, ops.TransposeConv, ops.FullyConnected, ops.BatchMatMul))),
    row(ops.EmbeddingLookup(), ints([1, 5, 3]), fixed(40, 64)),
    row(ops.RNN(), some(2, 16), *SIMPLE),
    row(ops.UnidirectionalSequenceRNN(), some(2, 3, 16), *SIMPLE),
    row(ops.BidirectionalSequenceRNN(), some(2, 3, 16), *SIMPLE, *SIMPLE, None, None, None),
    row(ops.SVDF(rank=1), some(2, 16), fixed(8, 16), fixed(8, 4), CHANNELS, state(2, 32)),
    row(ops.LSTM(Activation.TANH), some(2, 16), *GATES, *STATES),
    row(ops.UnidirectionalSequenceLSTM(Activation.TANH), some(2, 3, 16), *GATES, *STATES),
    row(ops.BidirectionalSequenceLSTM(Activation.TANH), some(3, 2, 16), *GATES, *GATES, *STATES, *STATES,
        *(None,) * 9),
]  # fmt: skip
"""Operations with weights."""


def specs() -> list[type[Op]]:
    return [kind for kind in OPS.values() if kind.quantization is not None]


def test_every_spec_has_a_row() -> None:
    integer = {kind.__name__ for kind in specs() if kind.quantization and kind.quantization.activations}
    assert integer == {item.op.name for item in ROWS}
    hybrid = {kind.__name__ for kind in specs() if kind.quantization and kind.quantization.weights}
    assert hybrid == {item.op.name for item in LAYERS}


@dataclass
class Operand:
    """What an operand holds, its grid, and whether it is a constant of the model."""

    array: Any
    quant: Quant | None = None
    constant: bool = True
    variable: bool = False


def launch(
    op: Op, operands: Sequence[Operand | None], grids: Sequence[tuple[DType, Quant] | None], delegate: bool
) -> list[Any]:
    """Run an operation in LiteRT; `grids` are those of its results that were FLOAT32."""
    graph = Graph()
    feeds = []
    values: list[Value | None] = []
    for operand in operands:
        if operand is None:
            values.append(None)
            continue
        type = TensorType(DType.of(operand.array.dtype), operand.array.shape, operand.quant)
        value = Value(type, const=operand.array) if operand.constant else Value(type)
        if operand.variable:
            value.is_variable = True
        elif not operand.constant:
            value = graph.add_input(type, f"x{len(feeds)}")
            feeds.append(operand.array)
        values.append(value)
    inferred = op.infer(*values)
    types = list(inferred) if isinstance(inferred, tuple) else [inferred]
    for index, grid in enumerate(grids):
        if grid is not None:
            types[index] = TensorType(grid[0], types[index].shape, grid[1])
    outputs = [Value(type, f"y{index}") for index, type in enumerate(types)]
    graph.nodes.append(Node(op, values, outputs, Loc()))
    graph.set_outputs(outputs)
    content = write(Model(graphs=[graph]), conversion_metadata=False)
    return list(Runtime(content, delegate=delegate).run(feeds).values())


def grid(low: float, high: float, dtype: DType) -> Quant:
    low, high = min(low, 0.0), max(high, 0.0)
    if dtype is INT16:
        return Quant((float(np.float32(max(-low, high) / 32767)),), (0,))
    scale = (high - low) / 255
    return Quant((float(np.float32(scale)),), (round(-128 - low / scale),))


def store(array: Any, quant: Quant, dtype: DType) -> Any:
    limits = np.iinfo(dtype.numpy)
    stored = np.rint(array / np.float32(quant.scales[0])) + quant.zero_points[0]
    return np.clip(stored, limits.min, limits.max).astype(dtype.numpy)


def real(stored: Any, quant: Quant) -> Any:
    return ((stored.astype(np.float64) - quant.zero_points[0]) * quant.scales[0]).astype(np.float32)


def weigh(array: Any, dtype: DType, axis: int | None, repeat: int | None) -> tuple[Any, Any, Quant]:
    """Quantize a weight: the stored numbers, what they stand for, and the grid."""
    top = TOP[dtype]
    others = tuple(dim for dim in range(array.ndim) if dim != axis)
    size = np.abs(array).max(axis=None if axis is None else others, keepdims=True)
    scales = (size / top).astype(np.float32)
    stored = np.clip(np.rint(array / scales), -top, top)
    listed = tuple(map(float, np.ravel(scales)))
    if repeat is not None and axis is None:
        listed, axis = listed * array.shape[repeat], repeat
    quant = Quant(listed, (0,) * len(listed), axis or 0)
    return stored.astype(dtype.numpy), (stored * scales).astype(np.float32), quant


def cases() -> Iterator[Any]:
    for item in ROWS:
        spec = item.op.quantization
        assert spec is not None
        constant = [index for index in spec.weight if _is_constant(item, index)]
        for dtype in sorted(spec.activations):
            kinds = sorted(spec.weights[dtype]) if constant and spec.weights else [None]
            for kind in kinds:
                axes = {None} if kind is None else {spec.channel_axis, None}
                for axis in sorted(axes, key=str):
                    label = f"{item}-{dtype.short}-{kind.short if kind else 'any'}-{axis}"
                    yield pytest.param(item, dtype, kind, axis, id=label)


def _is_constant(item: Row, index: int) -> bool:
    operand = item.operands[index] if index < len(item.operands) else None
    return isinstance(operand, Numbers) and operand.constant


@pytest.mark.parametrize("delegate", DELEGATES, ids=("delegate", "plain"))
@pytest.mark.parametrize(("item", "dtype", "kind", "axis"), cases())
def test_the_integer_kernel_is_right(
    item: Row, dtype: DType, kind: DType | None, axis: int | None, delegate: bool
) -> None:
    spec = item.op.quantization
    assert spec is not None
    floats, stored, common = quantized(item, spec, dtype, kind, axis)
    expected = launch(item.op, floats, [], delegate)
    grids = [
        result_grid(spec, dtype, common, array) if array.dtype == np.float32 else None for array in expected
    ]
    actual = launch(item.op, stored, grids, delegate)
    steps = item.steps if dtype is INT8 else item.steps16
    for want, have, chosen in zip(expected, actual, grids, strict=True):
        if chosen is None:  # a comparison, or an index: quantized numbers may be equal that were not
            assert (want != have).mean() < 1e-3
            continue
        assert have.dtype == dtype.numpy
        assert want.size == 0 or error(want, have, chosen[1], dtype) <= steps


def error(want: Any, have: Any, quant: Quant, dtype: DType) -> float:
    """Return the largest difference in steps of the result's grid, which may not reach all numbers."""
    limits = np.iinfo(dtype.numpy)
    low, high = ((limit - quant.zero_points[0]) * quant.scales[0] for limit in (limits.min, limits.max))
    return float(np.abs(real(have, quant) - np.clip(want, low, high)).max() / quant.scales[0])


def result_grid(spec: QuantSpec, dtype: DType, common: Quant, array: Any) -> tuple[DType, Quant]:
    if dtype in spec.fixed:
        scale, zero = spec.fixed[dtype]
        return dtype, Quant((scale,), (zero,))
    if dtype in spec.same_scale:
        return dtype, common
    return dtype, grid(float(array.min()) * 1.1, float(array.max()) * 1.3, dtype)


def quantized(
    item: Row, spec: QuantSpec, dtype: DType, kind: DType | None, axis: int | None
) -> tuple[list[Operand | None], list[Operand | None], Quant]:
    """Return the float operands, the quantized ones that they equal, and the grid of them all."""
    numbers = {
        index: operand.array(index)
        for index, operand in enumerate(item.operands)
        if isinstance(operand, Numbers)
    }
    weights = [index for index in spec.weight if kind is not None and index in numbers]
    inner = [array for index, array in numbers.items() if index not in (*weights, spec.bias)]
    extremes = [float(limit) for array in inner for limit in (array.min(), array.max())] or [0.0, 1.0]
    common = grid(min(extremes), max(extremes), dtype)
    floats: list[Operand | None] = []
    stored: list[Operand | None] = []
    grids: dict[int, Quant] = {}
    for index, operand in enumerate(item.operands):
        if index not in numbers:
            both = Operand(operand)
            floats.append(both)
            stored.append(both)
            continue
        array = numbers[index]
        if index == spec.bias:
            continue
        if index in weights:
            assert kind is not None
            contents, means, grids[index] = weigh(array, kind, axis, None)
        else:
            own = grid(float(array.min()), float(array.max()), dtype)
            grids[index] = common if dtype in spec.same_scale else own
            contents = store(array, grids[index], dtype)
            means = real(contents, grids[index])
        floats.append(Operand(means, None, operand.constant))
        stored.append(Operand(contents, grids[index], operand.constant))
    if spec.bias in numbers:
        weight = grids.pop(spec.weight[0])
        scale = np.float32(next(iter(grids.values())).scales[0]) * np.array(weight.scales, np.float32)
        whole = np.rint(numbers[spec.bias] / scale)
        floats.append(Operand((whole * scale).astype(np.float32)))
        kept = whole.astype(np.int64 if dtype is INT16 else np.int32)
        listed = tuple(map(float, scale))
        stored.append(Operand(kept, Quant(listed, (0,) * len(listed))))
    return floats, stored, common


# -- weights with float activations ------------------------------------------------------------------------


def hybrids() -> Iterator[Any]:
    for item in LAYERS:
        spec = item.op.quantization
        assert spec is not None
        if not all(_is_constant(item, index) for index in spec.weight if _has(item, index)):
            continue
        for kind in sorted(spec.weights[FLOAT32]):
            for axis in sorted({spec.channel_axis, None}, key=str):
                yield pytest.param(item, kind, axis, id=f"{item}-{kind.short}-{axis}")


def _has(item: Row, index: int) -> bool:
    return index < len(item.operands) and item.operands[index] is not None


def weighed(item: Row, kind: DType, axis: int | None) -> tuple[list[Operand | None], list[Operand | None]]:
    spec = item.op.quantization
    assert spec is not None
    floats: list[Operand | None] = []
    stored: list[Operand | None] = []
    for index, operand in enumerate(item.operands):
        if not isinstance(operand, Numbers):
            floats.append(None if operand is None else Operand(operand))
            stored.append(floats[-1])
        elif index in spec.weight:
            repeat = spec.channel_axis if spec.scale_per_channel else None
            contents, means, quant = weigh(operand.array(index), kind, axis, repeat)
            floats.append(Operand(means))
            stored.append(Operand(contents, quant))
        else:
            both = Operand(operand.array(index), None, operand.constant, operand.high == operand.low == 0)
            floats.append(both)
            stored.append(both)
    return floats, stored


HYBRID_ERROR = 0.012
"""Of the largest result: the input is quantized to 8 bits when the kernel runs."""


@pytest.mark.parametrize("asymmetric", [False, True], ids=("symmetric", "asymmetric"))
@pytest.mark.parametrize("delegate", DELEGATES, ids=("delegate", "plain"))
@pytest.mark.parametrize(("item", "kind", "axis"), hybrids())
def test_the_hybrid_kernel_is_right(
    item: Row, kind: DType, axis: int | None, delegate: bool, asymmetric: bool
) -> None:
    if asymmetric and not hasattr(item.op, "asymmetric_quantize_inputs"):
        return
    floats, stored = weighed(item, kind, axis)
    op: Any = replace(item.op, asymmetric_quantize_inputs=True) if asymmetric else item.op  # type: ignore[call-arg]
    clipped = getattr(op, "fused_activation_function", Activation.NONE) is Activation.RELU6
    allowed = HYBRID_ERROR * (3 if clipped or op.effect == "write" else 1)  # gates are steep
    for want, have in zip(
        launch(item.op, floats, [], delegate), launch(op, stored, [], delegate), strict=True
    ):
        assert have.dtype == np.float32
        assert np.abs(want - have).max() <= allowed * np.abs(want).max()


def test_a_wrong_scale_is_noticed() -> None:
    """The tests above prove nothing if a kernel that ignores a scale passes."""
    item = row(ops.Maximum(), X, OTHER)
    spec = replace(ops.Add.quantization or QuantSpec())
    floats, stored, _ = quantized(item, spec, INT8, None, None)
    (want,) = launch(item.op, floats, [], False)
    chosen = grid(float(want.min()), float(want.max()), INT8)
    (have,) = launch(item.op, stored, [(INT8, chosen)], False)
    assert error(want, have, chosen, INT8) > 10


# -- storage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delegate", DELEGATES, ids=("delegate", "plain"))
@pytest.mark.parametrize("kind", [DType.INT8, DType.INT4, DType.INT2], ids=lambda kind: kind.short)
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_a_constant_is_dequantized_along_any_axis(kind: DType, axis: int | None, delegate: bool) -> None:
    contents, means, quant = weigh(fixed(4, 6, 10).array(0), kind, axis, None)
    graph = Graph()
    x = graph.add_input(TensorType(FLOAT32, (1,)), "x")  # XNNPACK fails on a model of constants alone
    weight = Value(TensorType(kind, contents.shape, quant), const=contents)
    real_weight = Value(TensorType(FLOAT32, contents.shape))
    total = Value(TensorType(FLOAT32, contents.shape))
    graph.nodes += [
        Node(ops.Dequantize(), [weight], [real_weight], Loc()),
        Node(ops.Add(), [real_weight, x], [total], Loc()),
    ]
    graph.set_outputs([total])
    runtime = Runtime(write(Model(graphs=[graph]), conversion_metadata=False), delegate=delegate)
    (have,) = runtime.run([np.zeros(1, np.float32)]).values()
    np.testing.assert_allclose(have, means, rtol=1e-6)


@pytest.mark.parametrize("delegate", DELEGATES, ids=("delegate", "plain"))
@pytest.mark.parametrize("kind", sorted((ops.Gather.quantization or QuantSpec()).moved))
def test_what_is_moved_stays_what_it_is(kind: DType, delegate: bool) -> None:
    contents, means, quant = weigh(fixed(10, 8).array(0), kind, None, None)
    (have,) = launch(
        ops.Gather(),
        [Operand(contents, quant), Operand(ints([3, 0]), None, False)],
        [(kind, quant)],
        delegate,
    )
    np.testing.assert_allclose(real(have, quant), means[[3, 0]], rtol=1e-6)


@pytest.mark.parametrize("delegate", DELEGATES, ids=("delegate", "plain"))
@pytest.mark.parametrize(("kind", "block"), [(DType.INT4, 32), (DType.INT4, 64), (DType.INT2, 32)])
@pytest.mark.parametrize("op", [ops.FullyConnected(), ops.EmbeddingLookup()], ids=lambda op: op.name)
def test_blocks_have_scales_of_their_own(op: Op, kind: DType, block: int, delegate: bool) -> None:
    assert op.quantization is not None
    if kind not in op.quantization.blockwise:
        return
    array = fixed(24, 128).array(0) * np.repeat(fixed(24, 128 // block, low=0.1).array(1), block, axis=1)
    parts = array.reshape(24, -1, block)
    scales = (np.abs(parts).max(2, keepdims=True) / TOP[kind]).astype(np.float16)
    stored = np.clip(np.rint(parts / scales.astype(np.float32)), -TOP[kind], TOP[kind])
    means = (stored * scales.astype(np.float32)).reshape(array.shape)
    held = Value(TensorType(DType.FLOAT16, (24, 128 // block)), "scales", scales.reshape(24, -1))
    quant = Quant(details=Blockwise(held, None, block))
    first = Operand(
        ints([1, 3]) if isinstance(op, ops.EmbeddingLookup) else some(5, 128).array(2), None, False
    )
    pair = [(Operand(means), Operand(stored.reshape(array.shape).astype(kind.numpy), quant))]
    for plain, blockwise in pair:
        order = [first, plain], [first, blockwise]
        (want,), (have,) = (launch(op, operands, [], delegate) for operands in order)
    assert np.abs(want - have).max() <= HYBRID_ERROR * np.abs(want).max()
