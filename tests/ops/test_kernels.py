"""Every class has a row, its options are the schema's, its kernels take the types it says and no others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from litecast import ops
from litecast.errors import ConvertError
from litecast.ir.op import OPS, Op
from litecast.ir.types import DType
from litecast.ops import enums
from litecast.tflite.runtime import Runtime
from litecast.tflite.schema import builtin_name, camel, schema
from litecast.tflite.writer import write
from tests.ops.cases import QUANTIZED, Built, Case, Operand, any_type, boolean, const

T = any_type
FAMILIES = (
    *("activation", "cast", "compare", "elementwise", "index", "movement"),
    *("reduce", "shape", "space", "strided", "unary"),
)
ROW_MODULES = ("elementwise", "compare", "reduce", "movement", "shape", "index")


def classes() -> list[type[Op]]:
    """Return the classes of the families that this folder's rows cover."""
    modules = {f"litecast.ops.{family}" for family in FAMILIES}
    return [kind for code, kind in sorted(OPS.items()) if kind.__module__ in modules]


def test_every_class_has_a_row() -> None:
    rows = [row for name in ROW_MODULES for row in import_module(f"tests.ops.test_{name}").ROWS]
    assert {kind.__name__ for kind in classes()} == {type(row.op).__name__ for row in rows}


def test_every_builtin_of_the_schema_has_a_class() -> None:
    missing = {
        name
        for name, code in vars(schema().BuiltinOperator).items()
        if isinstance(code, int) and code not in OPS and not name.startswith("STABLEHLO")
    }
    assert missing == {"CONCAT_EMBEDDINGS", "CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"}


def test_no_file_of_the_operation_set_is_long() -> None:
    folder = Path(inspect.getfile(ops)).parent
    assert [path.name for path in folder.glob("*.py") if len(path.read_text().splitlines()) >= 500] == []


OTHER_DEFAULTS = {
    ("Softmax", "beta"), ("Shape", "out_type"), ("ArgMax", "output_type"), ("ArgMin", "output_type"),
}  # fmt: skip
"""Fields whose default in the schema is a value that no kernel takes (each class says so)."""


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_the_options_are_the_schemas(kind: type[Op]) -> None:
    name = builtin_name(kind.code)
    assert name is not None
    assert name.replace("_", "").lower() == kind.__name__.lower()
    written = [field for field in fields(kind) if field.metadata.get("option", True)]
    table = vars(getattr(schema(), f"{kind.options}T")()) if kind.options else {}
    assert {camel(field.name) for field in written} == set(table)
    for field in written:
        if field.default is not MISSING and (kind.__name__, field.name) not in OTHER_DEFAULTS:
            assert (field.default or None) == (table[camel(field.name)] or None), field.name


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (enums.Activation, "ActivationFunctionType"),
        (enums.Padding, "Padding"),
        (enums.MirrorPadMode, "MirrorPadMode"),
        (enums.CombinerType, "CombinerType"),
        (enums.LSTMKernelType, "LSTMKernelType"),
        (enums.WeightsFormat, "FullyConnectedOptionsWeightsFormat"),
        (ops.LSHProjectionType, "LSHProjectionType"),
    ],
)
def test_the_enumerations_are_the_schemas(ours: Any, theirs: str) -> None:
    schemas = {
        name: number
        for name, number in vars(getattr(schema(), theirs)).items()
        if isinstance(number, int) and not name.startswith("__")  # Python 3.13 notes the first line
    }
    assert {member.name: member.value for member in ours} == schemas


# -- kernels ----------------------------------------------------------------------------------------------

PLAIN = T(2, 3).within(1, 3)
AXIS = const([1])
PROBES: dict[type[Op], tuple[Operand, ...]] = {
    **dict.fromkeys(
        (
            *(
                ops.Abs,
                ops.Neg,
                ops.Sign,
                ops.Floor,
                ops.Ceil,
                ops.Round,
                ops.Square,
                ops.Sqrt,
                ops.Rsqrt,
                ops.Exp,
            ),
            *(ops.Log, ops.Sin, ops.Cos, ops.ZerosLike, ops.Real, ops.Imag, ops.ComplexAbs, ops.LogicalNot),
            *(
                ops.Relu,
                ops.Relu6,
                ops.ReluN1To1,
                ops.Relu0To1,
                ops.LeakyRelu,
                ops.Elu,
                ops.Gelu,
                ops.HardSwish,
            ),
            *(ops.Where, ops.Bucketize),
        ),
        (PLAIN,),
    ),
    **dict.fromkeys(
        (
            *(
                ops.Add,
                ops.Sub,
                ops.Mul,
                ops.Div,
                ops.FloorDiv,
                ops.FloorMod,
                ops.Maximum,
                ops.Minimum,
                ops.Pow,
            ),
            *(
                ops.SquaredDifference,
                ops.Atan2,
                ops.BitwiseXor,
                ops.RightShift,
                ops.AddN,
                ops.Equal,
                ops.NotEqual,
            ),
            *(ops.Greater, ops.GreaterEqual, ops.Less, ops.LessEqual, ops.LogicalAnd, ops.LogicalOr),
            *(ops.StablehloAnd,),
        ),
        (PLAIN, PLAIN),
    ),
    **dict.fromkeys((ops.Sum, ops.Mean, ops.ReduceProd, ops.ReduceMax, ops.ReduceMin), (PLAIN, AXIS)),
    **dict.fromkeys((ops.ReduceAny, ops.ReduceAll, ops.ReverseV2), (PLAIN, AXIS)),
    **dict.fromkeys((ops.ArgMax, ops.ArgMin, ops.Cumsum), (PLAIN, const(1))),
    ops.SegmentSum: (PLAIN, const([0, 1])),
    **dict.fromkeys(
        (ops.UnsortedSegmentSum, ops.UnsortedSegmentProd, ops.UnsortedSegmentMax, ops.UnsortedSegmentMin),
        (PLAIN, const([0, 1]), const(2)),
    ),
    ops.LocalResponseNormalization: (T(1, 2, 2, 4),),
    ops.SpaceToDepth: (T(1, 2, 2, 4),),
    ops.DepthToSpace: (T(1, 2, 2, 4),),
    ops.Unique: (T(4),),
    ops.TopKV2: (PLAIN, const(2)),
    ops.Concatenation: (PLAIN, PLAIN),
    ops.Pack: (PLAIN, PLAIN),
    ops.Unpack: (PLAIN,),
    ops.SplitV: (PLAIN, const([1, 1]), const(0)),
    ops.ReverseSequence: (PLAIN, const([1, 2])),
    ops.Pad: (PLAIN, const([[1, 0], [0, 1]])),
    ops.PadV2: (PLAIN, const([[1, 0], [0, 1]]), T()),
    ops.Gather: (PLAIN, const([1])),
    ops.GatherNd: (PLAIN, const([[1]])),
}
INSTANCES: dict[type[Op], Op] = {
    ops.Bucketize: ops.Bucketize((0.0, 1.0)),
    ops.SpaceToDepth: ops.SpaceToDepth(2),
    ops.DepthToSpace: ops.DepthToSpace(2),
    ops.Pack: ops.Pack(2),
    ops.Unpack: ops.Unpack(2),
    ops.SplitV: ops.SplitV(2),
    ops.ReverseSequence: ops.ReverseSequence(1, 0),
}
UNFEEDABLE = frozenset(
    {DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2, DType.INT4, DType.UINT4, DType.INT2, DType.STRING}
    | {DType.RESOURCE, DType.VARIANT}
)
"""Types that the interpreter's Python binding takes no input of (strings have rows of their own)."""
FIXED_GRID = {
    (ops.Sqrt, DType.INT8),
    (ops.Rsqrt, DType.INT8),
    (ops.Sqrt, DType.INT16),
    (ops.Rsqrt, DType.INT16),
}
"""Kernels that want another quantization than the harness gives, which says nothing of their types."""


def probes() -> Iterator[Any]:
    """Yield each kernel with each type that can be fed."""
    for kind, operands in PROBES.items():
        for dtype in DType:
            if dtype not in UNFEEDABLE and (kind, dtype) not in FIXED_GRID:
                yield pytest.param(kind, operands, dtype, id=f"{kind.__name__}-{dtype.short}")


def takes(kind: type[Op], operands: tuple[Operand, ...], dtype: DType, quantized: bool) -> bool:
    """Whether the builtin kernel, without the default delegate, runs on an element type."""
    filled = tuple(
        replace(operand, dtype=dtype) if operand.dtype is None else operand for operand in operands
    )
    built = Built(Case(INSTANCES.get(kind) or kind(), filled, "", 0, 0.0, quantized))
    content = write(built.close(), conversion_metadata=False)
    try:
        Runtime(content, delegate=False).run(built.feeds)
    except ConvertError:
        return False
    return True


@pytest.mark.parametrize(("kind", "operands", "dtype"), list(probes()))
def test_kernels_take_the_types_stated_and_no_others(
    kind: type[Op], operands: tuple[Operand, ...], dtype: DType
) -> None:
    assert kind.kernels is not None
    stated = dtype in kind.kernels
    quantized = dtype in kind.quantized or (not stated and dtype in QUANTIZED)
    try:
        taken = takes(kind, operands, dtype, quantized)
    except ValueError:  # inference refuses what no kernel takes
        taken = False
    assert taken == stated


@pytest.mark.parametrize("rank", range(1, 9))
@pytest.mark.parametrize("kind", [ops.SelectV2, ops.Select], ids=lambda kind: kind.__name__)
def test_selection_takes_every_rank(kind: type[Op], rank: int) -> None:
    shape = (2, 1, 3, 2, 1, 2, 3, 2)[:rank]
    assert takes(kind, (boolean(*shape), T(*shape), T(*shape)), DType.FLOAT32, quantized=False)


LIMITED: dict[type[Op], Callable[[Operand], tuple[Operand, ...]]] = {
    **dict.fromkeys((ops.Sum, ops.Mean, ops.ReduceMax, ops.ReduceMin), lambda x: (x, AXIS)),
    ops.Concatenation: lambda x: (x, x),
    ops.Softmax: lambda x: (x,),
}


@pytest.mark.parametrize("kind", LIMITED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("rank", [6, 7])
def test_the_default_delegate_limits_the_rank(kind: type[Op], rank: int) -> None:
    assert kind.max_rank is not None
    operand = Operand((1, 2, 1, 2, 1, 2, 3)[-rank:], DType.FLOAT32)
    built = Built(Case(kind(), LIMITED[kind](operand), "", 0, 0.0, False))
    content = write(built.close(), conversion_metadata=False)
    if rank <= kind.max_rank:
        assert Runtime(content).run(built.feeds)
    else:
        with pytest.raises(ConvertError):
            Runtime(content).run(built.feeds)
