"""The harness of operation rows: a row is an operation with operands, checked seven ways.

Checks of a row: inferred types equal the runtime's, symbolic inference agrees with concrete inference, text
and file round-trip, LiteRT equals `eval`, the version is as stated, folding gives what the runtime gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Loc, Model, Node, Value
from litecast.ir.op import Op
from litecast.ir.types import Dim, DType, Quant, Sym, TensorType
from litecast.tflite.runtime import Runtime, evaluate
from litecast.tflite.writer import write

SIZES = {"n": 2, "m": 5, "k": 3, "one": 1}
"""What the named dimensions are when a row runs."""

QUANT = Quant(scales=(0.5,), zero_points=(0,))
QUANTIZED = frozenset({DType.INT8, DType.UINT8, DType.INT16})


@dataclass(frozen=True)
class Operand:
    """An operand of a row: random of a type, or with given contents; constant or an input of the model."""

    shape: tuple[int | str, ...]
    dtype: DType | None = None
    values: Any = None
    constant: bool = False
    low: float = -3.0
    high: float = 3.0

    def within(self, low: float, high: float) -> Operand:
        """Return the operand with its random numbers between two bounds."""
        return replace(self, low=low, high=high)

    def array(self, seed: int) -> Any:
        """Return the contents at the sizes of `SIZES`."""
        if self.values is not None:
            return self.values
        assert self.dtype is not None
        shape = [SIZES[dim] if isinstance(dim, str) else dim for dim in self.shape]
        random = np.random.default_rng(seed).uniform(self.low, self.high, shape)
        if self.dtype is DType.BOOL:
            return random > 0
        if self.dtype.is_integer:
            low = max(self.low, {DType.INT4: -8, DType.INT2: -2}.get(self.dtype, self.low))
            random = np.floor(np.abs(random) if "U" in self.dtype.name else np.maximum(random, low))
        if self.dtype.is_complex:
            random = random + 1j * np.random.default_rng(seed + 1).uniform(self.low, self.high, shape)
        return random.astype(self.dtype.numpy)

    @property
    def symbolic(self) -> tuple[Dim, ...]:
        """The shape with its names as unknown dimensions."""
        if self.values is not None:
            return tuple(self.values.shape)
        return tuple(Sym(dim) if isinstance(dim, str) else dim for dim in self.shape)


def typed(dtype: DType | None) -> Callable[..., Operand]:
    """Return a maker of random operands of an element type."""
    return lambda *shape: Operand(shape, dtype)


f32, i32, i64 = typed(DType.FLOAT32), typed(DType.INT32), typed(DType.INT64)
i8, i16, u8 = typed(DType.INT8), typed(DType.INT16), typed(DType.UINT8)
boolean, c64, f16 = typed(DType.BOOL), typed(DType.COMPLEX64), typed(DType.FLOAT16)
any_type = typed(None)


def const(contents: Any, dtype: Any = None) -> Operand:
    """Return a constant operand; Python integers become INT32, floats FLOAT32."""
    array = _array(contents, dtype)
    return Operand(array.shape, DType.of(array.dtype), array, constant=True)


def given(contents: Any, dtype: Any = None) -> Operand:
    """Return an input of the model that is run with these contents."""
    array = _array(contents, dtype)
    return Operand(array.shape, DType.of(array.dtype), array)


def _array(contents: Any, dtype: Any) -> Any:
    array = np.asarray(contents) if dtype is None else np.asarray(contents, dtype)
    if dtype is None and not isinstance(contents, (np.ndarray, np.generic)):
        array = array.astype({"i": np.int32, "f": np.float32}.get(array.dtype.kind, array.dtype))
    return array


@dataclass(frozen=True)
class Case:
    """A row."""

    op: Op
    operands: tuple[Operand | None, ...]
    out: str
    version: int
    tolerance: float
    quantized: bool

    def __str__(self) -> str:
        parts = ["-" if operand is None else _spell(operand) for operand in self.operands]
        options = ",".join(
            f"{field.name}={getattr(self.op, field.name)}"
            for field in fields(self.op)
            if getattr(self.op, field.name) != field.default
        )
        return f"{self.op.name}({options})-{'-'.join(parts)}"


def _spell(operand: Operand) -> str:
    kind = "T" if operand.dtype is None else operand.dtype.short
    return f"{'=' if operand.constant else ''}{kind}[{','.join(map(str, operand.shape))}]"


def case(
    op: Op,
    *operands: Operand | None,
    out: str,
    version: int = 1,
    tolerance: float = 0.0,
    quantized: bool = False,
) -> Case:
    """Return a row: `out` is the inferred types, spaces between; `tolerance` is relative to the largest."""
    return Case(op, operands, out, version, tolerance, quantized)


def sweep(op: Op, *operands: Operand | None, names: str, tolerance: float = 0.0) -> Iterator[Case]:
    """Yield a row per type of `names` for operands made with `any_type`; output and version are free."""
    by_short = {dtype.short: dtype for dtype in DType}
    for name in names.split():
        filled = [
            replace(operand, dtype=by_short[name])
            if operand is not None and operand.dtype is None
            else operand
            for operand in operands
        ]
        yield Case(op, tuple(filled), "", 0, tolerance, False)


class Built:
    """A row as a graph of one node, with the arrays to run it on."""

    def __init__(self, row: Case, *, symbolic: bool = False) -> None:
        self.row = row
        self.graph = Graph("main")
        self.feeds: list[Any] = []
        self.arrays = [
            None if operand is None else operand.array(seed) for seed, operand in enumerate(row.operands)
        ]
        self.operands = [
            self._operand(*pair, symbolic) for pair in zip(row.operands, self.arrays, strict=True)
        ]
        inferred = row.op.infer(*self.operands)
        self.types = inferred if isinstance(inferred, tuple) else (inferred,)

    def _operand(self, operand: Operand | None, array: Any, symbolic: bool) -> Value | None:
        if operand is None:
            return None
        dtype = DType.of(array.dtype)
        quant = QUANT if self.row.quantized and dtype in QUANTIZED else None
        shape = operand.symbolic if symbolic else array.shape
        type = TensorType(dtype, shape, quant)
        if operand.constant:
            return Value(type, const=array)
        self.feeds.append(array)
        return self.graph.add_input(type, f"arg{len(self.feeds) - 1}")

    def close(self) -> Model:
        """Append the node and return the model."""
        types = [
            replace(type, quant=QUANT) if self.row.quantized and type.dtype in QUANTIZED else type
            for type in self.types
        ]
        outputs = [Value(type, f"out{index}") for index, type in enumerate(types)]
        self.graph.nodes.append(Node(self.row.op, self.operands, outputs, Loc("row")))
        self.graph.set_outputs(outputs)
        return Model(graphs=[self.graph])


def run(row: Case, *, symbolic: bool = False) -> list[Any]:
    """Return what LiteRT gives for a row."""
    built = Built(row, symbolic=symbolic)
    content = write(built.close(), conversion_metadata=False)
    return list(Runtime(content).run(built.feeds).values())


def check(row: Case) -> None:
    """Check a row all ways that do not need the reader or the textual IR."""
    concrete, symbolic = Built(row), Built(row, symbolic=True)
    results = run(row)
    check_types(concrete.types, results)
    check_symbolic(symbolic.types, concrete.types, results)
    if any(isinstance(dim, Sym) for value in symbolic.graph.inputs for dim in value.shape):
        assert_close(run(row, symbolic=True), results, 0.0)
    if row.out:
        assert spelled(symbolic.types) == row.out
    if row.version:
        assert version(row) == row.version
    if row.op.eval is not None and not row.quantized:
        expected = row.op.eval(*concrete.arrays)
        assert_close(list(expected) if isinstance(expected, tuple) else [expected], results, row.tolerance)
    check_folding(row, results)


def spelled(types: Sequence[TensorType]) -> str:
    """Return inferred types as rows state them: without the number that makes a fresh name unique."""
    return " ".join(re.sub(r"\.\d+", "", str(type)) for type in types)


def version(row: Case) -> int:
    """Return the version of the row's operation."""
    built = Built(row)
    model = built.close()
    return row.op.version(built.operands, model.graphs[0].nodes[0].outputs)


def check_types(types: Sequence[TensorType], results: Sequence[Any]) -> None:
    """Compare inferred types with arrays."""
    assert len(types) == len(results)
    for type, result in zip(types, results, strict=True):
        assert type.dtype.numpy == result.dtype
        assert type.shape is not None
        assert len(type.shape) == result.ndim
        for dim, size in zip(type.shape, result.shape, strict=True):
            assert isinstance(dim, Sym) or dim == size, (type, result.shape)


def check_symbolic(
    types: Sequence[TensorType], concrete: Sequence[TensorType], results: Sequence[Any]
) -> None:
    """Compare inferred dimensions, computed from the sizes of the named ones, with those of arrays."""
    for type, fixed, result in zip(types, concrete, results, strict=True):
        assert type.dtype is fixed.dtype
        for dim, size in zip(type.shape or (), result.shape, strict=type.shape is not None):
            computed = size_of(dim)
            assert computed is None or computed == size, (type, result.shape)


def size_of(dim: Dim) -> int | None:
    """Return a dimension at `SIZES`; None where its name depends on data."""
    if isinstance(dim, int):
        return dim
    if not set(re.findall(r"[A-Za-z_][\w.]*", str(dim))) <= {"min", "max", *SIZES}:
        return None
    return int(eval(str(dim), {"min": min, "max": max, **SIZES}))


def check_folding(row: Case, results: Sequence[Any]) -> None:
    """Build the row on constants alone and compare what it folds to."""
    built = Built(row)
    builder = Builder(Graph("folded"), run=evaluate)
    constants = [
        None if value is None else Value(value.type, const=array)
        for value, array in zip(built.operands, built.arrays, strict=True)
    ]
    outputs = builder(row.op, *constants)
    folded = outputs if isinstance(outputs, tuple) else (outputs,)
    if all(output.is_const for output in folded):
        assert_close([output.array() for output in folded], results, row.tolerance)
    else:
        unscaled = row.quantized and any(
            type.quant is None and type.dtype in QUANTIZED for type in built.types
        )
        assert unscaled or row.op.effect != "pure" or not all(type.is_static for type in built.types)


def check_text(row: Case) -> None:
    """Print the row and parse it back."""
    text = pytest.importorskip("litecast.ir.text")
    parser = pytest.importorskip("litecast.ir.parser")
    built = Built(row, symbolic=True)
    built.close()
    constants: dict[str, Any] = {}
    printed = text.print_graph(built.graph, constants)
    parsed = parser.parse_graph(printed, constants)
    assert [node.op for node in parsed.nodes] == [row.op], printed
    assert text.print_graph(parsed, {}) == printed


def check_file(row: Case) -> None:
    """Write the row and read it back."""
    reader = pytest.importorskip("litecast.tflite.reader")
    built = Built(row)
    content = write(built.close(), conversion_metadata=False)
    (graph,) = reader.read(content).graphs
    assert [node.op for node in graph.nodes] == [row.op]
    for output, original in zip(graph.outputs, built.graph.outputs, strict=True):
        assert output.dtype is original.dtype
        assert [size_of(dim) for dim in output.shape] == [size_of(dim) for dim in original.shape]


def assert_close(actual: Sequence[Any], expected: Sequence[Any], tolerance: float) -> None:
    """Compare arrays: exactly, or within `tolerance` times the largest magnitude; NaN equals NaN."""
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape
        if not tolerance:
            np.testing.assert_array_equal(one, other)
            continue
        scale = float(np.max(np.abs(other), initial=0.0)) or 1.0
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)
