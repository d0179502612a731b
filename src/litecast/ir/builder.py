"""The Builder: the only door into a graph. It infers, folds, tracks shape vectors and stamps locations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any

import numpy as np

from litecast.errors import ConvertError, InferenceError
from litecast.ir.graph import Graph, Lazy, Loc, Node, Value, constant
from litecast.ir.op import Array, Op
from litecast.ir.types import Dim, DType, Sym, TensorType, maximum_of

__all__ = ["FOLD_LIMIT", "Builder", "Composite", "Runner"]

FOLD_LIMIT = 1 << 20
"""Bytes that a folded result may have although its operands are smaller."""

Runner = Callable[[Op, Sequence[Value | None], Sequence[TensorType]], Sequence[Array]]


class Composite(ABC):
    """Several values that stand for one tensor (a complex pair), and lower what is applied to it themselves.

    It has the `dtype`, `shape` and `rank` of the tensor that it stands for.
    """

    @property
    @abstractmethod
    def type(self) -> TensorType:
        """The type of that tensor."""

    @abstractmethod
    def apply(self, b: Builder, op: Op, operands: Sequence[Any]) -> Any:
        """Apply `op` to operands, one at least a Composite; UnsupportedError where that has no lowering."""


class Builder:
    """Appends operations to a graph: `b(op, x, w)` returns the output (a tuple where the op has several).

    Operands may be values, None, numpy arrays, or Python scalars and sequences. A Python scalar takes the
    element type of the other operands where the op wants one type for all; otherwise int and bool sequences
    become INT32 and BOOL, float ones FLOAT32. `run` evaluates one operation in the runtime, for folding
    what numpy does not express.
    """

    def __init__(self, graph: Graph, run: Runner | None = None, nodes: list[Node] | None = None) -> None:
        self.graph = graph
        self.run = run
        self.nodes = graph.nodes if nodes is None else nodes
        self.loc = Loc()
        self._carriers: dict[Sym, tuple[Value, int]] = {}
        for value in graph.inputs:
            self._carry(value)

    def add_input(self, type: TensorType, name: str = "") -> Value:
        """Append an input to the graph and return it."""
        value = self.graph.add_input(type, name)
        self._carry(value)
        return value

    # -- operations ------------------------------------------------------------------------------------------

    def __call__(self, op: Op, *operands: Any, name: str = "") -> Any:
        """Append `op` and return its output or outputs; InferenceError where the operands do not fit."""
        for operand in operands:
            if isinstance(operand, Composite):
                return operand.apply(self, op, operands)
        inputs = self._operands(op, operands)
        try:
            inferred = op.infer(*inputs)
            known = op.known(*inputs)
        except ConvertError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise self._misfit(op, inputs, error) from error
        types = inferred if isinstance(inferred, tuple) else (inferred,)
        parts = known if isinstance(known, tuple) else () if known is None else (known,)
        outputs = self._fold(op, inputs, types, parts) or self._append(op, inputs, types)
        if parts and not outputs[0].is_const:
            outputs = tuple(map(_note, outputs, types, parts))
        for output in outputs:
            output.name = output.name or name or self.loc.name
        return outputs if isinstance(inferred, tuple) else outputs[0]

    def _append(
        self, op: Op, inputs: Sequence[Value | None], types: Sequence[TensorType]
    ) -> tuple[Value, ...]:
        outputs = tuple(Value(type) for type in types)
        self.nodes.append(Node(op, inputs, outputs, self.loc))
        for output in outputs:
            self._carry(output)
        return outputs

    def _operands(self, op: Op, operands: Sequence[Any]) -> list[Value | None]:
        scalar_type = None
        if op.same_dtype:
            scalar_type = next((x.dtype for x in operands if isinstance(x, Value)), None)
        return [
            x if x is None or isinstance(x, Value) else self.const(x, dtype=scalar_type) for x in operands
        ]

    def _misfit(self, op: Op, inputs: Sequence[Value | None], error: Exception) -> InferenceError:
        return InferenceError(f"{op.name}({', '.join(map(_brief, inputs))}): {error}", loc=self.loc)

    # -- folding ---------------------------------------------------------------------------------------------

    def _fold(
        self, op: Op, inputs: Sequence[Value | None], types: Sequence[TensorType], known: Sequence[Array]
    ) -> tuple[Value, ...] | None:
        if known and all(map(_is_settled, known)):
            return tuple(
                constant(np.asarray(part).astype(type.dtype.numpy))
                for part, type in zip(known, types, strict=True)
            )
        if (
            op.effect != "pure"
            or any(x is not None and not x.is_const for x in inputs)
            or next(op.graphs(), None)
        ):
            return None
        later = _moved_later(op, inputs, types)
        if later is not None:
            return (constant(later),)
        if not any(x is not None for x in inputs) or not self._worth_folding(op, inputs, types):
            return None
        arrays = self._evaluate(op, inputs, types)
        if arrays is None:
            return None
        return tuple(
            constant(np.asarray(array, type.dtype.numpy), quant=type.quant)
            for array, type in zip(arrays, types, strict=True)
        )

    def _worth_folding(self, op: Op, inputs: Sequence[Value | None], types: Sequence[TensorType]) -> bool:
        if op.heavy(inputs) or any(isinstance(x.const, Lazy) for x in inputs if x is not None):
            return False
        if any(_is_grid(x.type) and x.type.quant is not None for x in inputs if x is not None) and any(
            _is_grid(type) and type.quant is None for type in types
        ):
            return False  # the grid of a quantized result is chosen later
        if op.movement or not all(type.is_static for type in types):
            return op.movement
        limit = max(FOLD_LIMIT, sum(x.type.nbytes for x in inputs if x is not None))
        return sum(type.nbytes for type in types) <= limit

    def _evaluate(
        self, op: Op, inputs: Sequence[Value | None], types: Sequence[TensorType]
    ) -> Sequence[Array] | None:
        quantized = any(x.type.quant is not None for x in inputs if x is not None)
        if op.eval is not None and (op.movement or not quantized):
            try:
                with np.errstate(all="ignore"):
                    result = op.eval(*(None if x is None else x.array() for x in inputs))
            except (ValueError, IndexError) as error:
                raise self._misfit(op, inputs, error) from error
            return result if isinstance(result, (tuple, list)) else (result,)
        if not quantized and any(x.dtype in op.quantized for x in inputs if x is not None):
            return None  # without scales the kernel may end the process
        return None if self.run is None else self.run(op, inputs, types)

    # -- constants and shapes --------------------------------------------------------------------------------

    def const(self, contents: Any, name: str = "", dtype: DType | None = None) -> Value:
        """Return a constant. Arrays keep their element type; `dtype` is for Python scalars and sequences."""
        if isinstance(contents, (np.ndarray, np.generic, Lazy)):
            return constant(contents, name)
        array = np.asarray(contents)
        if dtype is not None and array.dtype.kind in "biufc":
            array = _convert_scalar(contents, dtype)
        elif array.dtype.kind in "iu" or (array.dtype.kind == "f" and array.size == 0):
            array = array.astype(np.int32)
        elif array.dtype.kind in "fc":
            array = array.astype(np.float32 if array.dtype.kind == "f" else np.complex64)
        return constant(array, name)

    def dims(self, shape: Sequence[Dim], dtype: DType = DType.INT32) -> Value:
        """Return a vector holding `shape`: a constant, or computed from values that carry what is unknown.

        Raises InferenceError where no value of this graph carries one of the unknown dimensions.
        """
        from litecast.ops import Cast, Pack

        if all(isinstance(dim, int) for dim in shape):
            return self.const(np.array(shape, dtype.numpy))
        parts = [self.dim(dim) for dim in shape]
        vector: Value = self(Pack(values_count=len(parts), axis=0), *parts)
        return vector if dtype is DType.INT32 else self(Cast(DType.INT32, dtype), vector)

    def dim(self, dim: Dim) -> Value:
        """Return one dimension as an INT32 scalar: a constant, or computed from a value that carries it."""
        from litecast.ops import Gather, Maximum, Mul, Shape

        if isinstance(dim, int):
            return self.const(np.int32(dim))
        carrier = self._carriers.get(dim)
        if carrier is not None:
            value, axis = carrier
            result: Value = self(Gather(), self(Shape(), value), np.int32(axis))
            return result
        if dim.scale == 1 and len(dim.names) == 1:
            largest = maximum_of(dim)
            if largest:
                return reduce(lambda left, right: self(Maximum(), left, right), map(self.dim, largest))
            raise InferenceError(
                f"nothing in graph {self.graph.name} carries the unknown dimension {dim}", loc=self.loc
            )
        factors: list[Dim] = [Sym(name) for name in dim.names]
        if dim.scale != 1:
            factors.insert(0, dim.scale)
        product = self.dim(factors[0])
        for factor in factors[1:]:
            product = self(Mul(), product, self.dim(factor))
        return product

    def _carry(self, value: Value) -> None:
        for axis, dim in enumerate(value.type.shape or ()):
            if isinstance(dim, Sym) and dim not in self._carriers:
                self._carriers[dim] = (value, axis)

    # -- places ----------------------------------------------------------------------------------------------

    @contextmanager
    def at(self, loc: Loc) -> Iterator[None]:
        """Stamp `loc` on all that is appended inside the `with` block."""
        before, self.loc = self.loc, loc
        try:
            yield
        finally:
            self.loc = before

    def probe(self) -> Builder:
        """Return a Builder of a graph that is thrown away, which may use the values of this one."""
        inner = self.subgraph("probe", [])
        inner._carriers = dict(self._carriers)
        return inner

    def subgraph(self, name: str, types: Sequence[TensorType]) -> Builder:
        """Return a Builder of a new graph with inputs of the given types, sharing location and runner."""
        graph = Graph(name)
        for index, type in enumerate(types):
            graph.add_input(type, f"arg{index}")
        inner = Builder(graph, self.run)
        inner.loc = self.loc
        return inner


def _convert_scalar(contents: Any, dtype: DType) -> Array:
    array = np.asarray(contents)
    result = array.astype(dtype.numpy)
    if dtype.is_integer and not np.array_equal(result.astype(np.float64), array.astype(np.float64)):
        raise InferenceError(f"the constant {contents} does not fit element type {dtype.name}")
    return result


def _is_settled(contents: Array) -> bool:
    return not any(isinstance(dim, Sym) for dim in np.ravel(contents))


def _moved_later(op: Op, inputs: Sequence[Value | None], types: Sequence[TensorType]) -> Lazy | None:
    """Return a constant that is moved when it is written; None where more is done than to rearrange one."""
    source, *rest = inputs or [None]
    const = None if source is None else source.const
    if source is None or type(const) is not Lazy or not op.movement or op.eval is None or len(types) != 1:
        return None
    shape = types[0].shape
    moves_all = types[0].is_static and types[0].size == source.type.size and source.type.quant is None
    if shape is None or not moves_all or any(x is not None and isinstance(x.const, Lazy) for x in rest):
        return None
    evaluate, others = op.eval, [None if x is None else x.array() for x in rest]
    sizes = tuple(int(str(dim)) for dim in shape)
    return Lazy(types[0].dtype, sizes, lambda: np.asarray(evaluate(const.thunk(), *others)))


def _note(output: Value, type: TensorType, contents: Array) -> Value:
    """Record what is known of an output; one of several that is known whole is a constant."""
    if _is_settled(contents):
        return constant(np.asarray(contents).astype(type.dtype.numpy))
    output.known = contents
    return output


def _is_grid(type: TensorType) -> bool:
    return type.dtype.is_integer and type.dtype.bits <= 16


def _brief(value: Value | None) -> str:
    return "-" if value is None else str(value.type)
