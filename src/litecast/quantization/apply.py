"""Applying a plan: an interpreter that copies every graph of a model through the Builder.

Constants are replaced by `Lazy` ones, so that they are computed when they are written, one at a time; what
several operations share is stored once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from litecast.errors import QuantizationError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Node, Signature, Value
from litecast.ir.op import Op
from litecast.ir.rewrite import refine
from litecast.ir.types import Blockwise, DType, Quant, TensorType
from litecast.ops import Cast, Concatenation, Dequantize, EmbeddingLookup, Reshape, Shape
from litecast.ops.custom import Builtin
from litecast.quantization.grid import (
    block_scales,
    count_beyond_half,
    on_blocks,
    on_grid,
    on_half,
    weight_grid,
)
from litecast.quantization.plan import Decision, Form, Plan, Storage

__all__ = ["apply"]

ASYMMETRIC = "asymmetric_quantize_inputs"
"""The option that a hybrid kernel quantizes its input with a zero point (the official converter sets it)."""
ACCUMULATION = "reduced_precision_support"
"""The metadata entry that says in what precision float16 sums may be kept (reduced_precision_metadata.h)."""


def apply(model: Model, plan: Plan) -> Model:
    """Return the model that a plan makes of another, which is not changed (it shares its arrays).

    What the user should know of the numbers is among the new model's notes. Raises QuantizationError for
    weights that are not finite.
    """
    copier = _Copier(plan)
    copied = Model(
        signatures={
            key: Signature(copier.graph(old.graph), list(old.inputs), list(old.outputs))
            for key, old in model.signatures.items()
        },
        init=None if model.init is None else copier.graph(model.init),
        metadata=dict(model.metadata),
        graphs=[copier.graph(graph) for graph in model.graphs],
        description=model.description,
        tail=model.tail,
        notes=[*model.notes, *copier.notes],
    )
    if any(decision.scheme.weights is DType.FLOAT16 for decision in plan.nodes.values()):
        copied.metadata[ACCUMULATION] = f"fp16acc{plan.recipe.accumulation}".encode()
    return copied


@dataclass
class _Copier:
    """Copies graphs, each once; `stored` are the constants made so far, by what they are made of."""

    plan: Plan
    notes: list[str] = field(default_factory=list)
    graphs: dict[Graph, Graph] = field(default_factory=dict)
    stored: dict[tuple[int, Storage], tuple[Any, Quant | None]] = field(default_factory=dict)

    def graph(self, old: Graph) -> Graph:
        """Return the copy of a graph."""
        if old not in self.graphs:
            self.graphs[old] = _Scope(self, old).copy()
        return self.graphs[old]

    def store(self, source: Value, storage: Storage) -> Value:
        """Return the constant that another becomes."""
        key = (id(source.const), storage)
        if key not in self.stored:
            try:
                self.stored[key] = self._compute(source, storage)
            except QuantizationError as error:
                raise QuantizationError(f"{source.name or 'a constant'}: {error}") from error
        const, quant = self.stored[key]
        return Value(TensorType(storage.dtype, source.type.shape, quant), source.name, const)

    def _compute(self, source: Value, storage: Storage) -> tuple[Any, Quant | None]:
        array = source.array()
        if storage.dtype is DType.FLOAT16:
            clamped = count_beyond_half(array)
            if clamped:
                self.notes.append(
                    f"{source.name or 'a constant'}: {clamped} numbers beyond 65504 are clamped to it, "
                    "the largest of float16"
                )
            return on_half(source), None
        if storage.block:
            scales = block_scales(array, storage.dtype, storage.block)
            held = Value(TensorType(DType.FLOAT16, scales.shape), f"{source.name}/scales", scales)
            quant = Quant(details=Blockwise(held, None, storage.block))
            return on_blocks(source, storage.dtype, scales, storage.block), quant
        quant = weight_grid(array, storage.dtype, storage.axis, storage.spread)
        return on_grid(source, storage.dtype, quant), quant


class _Scope:
    """The copy of one graph while it is made."""

    def __init__(self, copier: _Copier, old: Graph) -> None:
        self.copier, self.old = copier, old
        self.new = Graph(old.name)
        self.new.debug_index = old.debug_index
        self.values: dict[Value, Value] = {}
        self.constants: dict[tuple[int, Storage], Value] = {}
        self.dequantized: dict[tuple[int, Storage], Value] = {}
        for value in old.inputs:
            copied = self.new.add_input(self.type_of(value), value.name)
            copied.known, copied.variant = value.known, value.variant
            copied.is_variable = value.is_variable
            self.values[value] = copied
        self.builder = Builder(self.new)

    def copy(self) -> Graph:
        """Copy the nodes and the results."""
        for node in self.old.nodes:
            with self.builder.at(node.loc):
                self.node(node)
        self.new.set_outputs([self.value(value) for value in self.old.outputs])
        return self.new

    def type_of(self, value: Value) -> TensorType:
        return self.copier.plan.types.get(value, value.type)

    def value(self, old: Value) -> Value:
        """Return the copy of a value; constants, and variable tensors that nothing makes, are copied here."""
        if old not in self.values:
            copied = Value(old.type, old.name, old.const)
            copied.is_variable, copied.sparsity, copied.variant = old.is_variable, old.sparsity, old.variant
            self.values[old] = copied
        return self.values[old]

    def node(self, node: Node) -> None:
        """Copy one node, with what the plan says of it."""
        decision = self.copier.plan.nodes.get(node)
        inputs: list[Value | None] = []
        for index, value in enumerate(node.inputs):
            storage = decision.constants.get(index) if decision is not None else None
            if value is None or decision is None or storage is None:
                inputs.append(None if value is None else self.value(value))
            else:
                inputs.append(self.constant(value, storage, decision.form))
        if decision is not None and decision.form is Form.LOOKUP:
            self.finish(node, [self.lookup(node, inputs)])
            return
        made = self.builder(self.operation(node.op, decision), *inputs)
        outputs = list(made) if isinstance(made, tuple) else [made]
        last = self.new.nodes[-1] if self.new.nodes else None
        if last is not None and any(output.producer is last for output in outputs):
            last.extra = node.extra
        if decision is not None and decision.form is Form.MOVED:
            outputs = [self.builder(Dequantize(), output) for output in outputs]
        self.finish(node, outputs)

    def constant(self, value: Value, storage: Storage, form: Form) -> Value:
        """Return what an operation reads in place of a constant: the same for all that read it so."""
        key = (id(value.const), storage)
        if key not in self.constants:
            self.constants[key] = self.copier.store(value, storage)
        if form is not Form.DEQUANTIZED:
            return self.constants[key]
        if key not in self.dequantized:
            self.dequantized[key] = self.builder(Dequantize(), self.constants[key], name=value.name)
        return self.dequantized[key]

    def operation(self, op: Op, decision: Decision | None) -> Op:
        """Return the operation with its graphs copied, and its hybrid kernel more exact."""
        changes: dict[str, Any] = {}
        if decision is not None and decision.form is Form.DIRECT:
            changes |= {"asymmetric_quantize_inputs": True} if hasattr(op, ASYMMETRIC) else {}
        if isinstance(op, Builtin):
            items = tuple((name, self.replaced(value)) for name, value in op.items)
            return replace(op, items=items)
        changes |= {name: self.copier.graph(graph) for name, graph in op.graphs()}
        return replace(op, **changes) if changes else op

    def replaced(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self.replaced, value))
        return self.copier.graph(value) if isinstance(value, Graph) else value

    def lookup(self, node: Node, inputs: Sequence[Value | None]) -> Value:
        """GATHER(table, indices) -> EMBEDDING_LOOKUP(indices as a vector of INT32, table), in shape."""
        table, indices = inputs
        assert table is not None
        assert indices is not None
        b = self.builder
        places = indices if indices.dtype is DType.INT32 else b(Cast(indices.dtype, DType.INT32), indices)
        flat = places if indices.rank == 1 else b(Reshape(), places, [-1])
        rows: Value = b(EmbeddingLookup(), flat, table)
        if indices.rank == 1:
            return rows
        shape = [dim if isinstance(dim, int) else -1 for dim in (*indices.shape, table.shape[1])]
        wanted: Any = shape
        if shape.count(-1) > 1:
            wanted = b(Concatenation(), b(Shape(), indices), np.array(table.shape[1:], np.int32))
        result: Value = b(Reshape(), rows, wanted)
        return result

    def finish(self, node: Node, outputs: Sequence[Value]) -> None:
        """Let the results have the types and names of the old ones."""
        for old, new in zip(node.outputs, outputs, strict=True):
            type = self.type_of(old)
            if not new.is_const:
                if new.dtype is type.dtype:
                    new.type = type
                refine(old, new)
                new.variant = old.variant
            new.name = old.name
            self.values[old] = new
