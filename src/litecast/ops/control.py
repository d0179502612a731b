"""Control flow: operations that hold graphs; a graph sees only its inputs, and each has its own values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from litecast.ir.graph import Graph, Value
from litecast.ir.op import Effect, Inferred, Op
from litecast.ir.types import Dim, DType, TensorType, fresh, same_dim

__all__ = ["Call", "CallOnce", "If", "While", "join_types"]

_STRENGTH: tuple[Effect, ...] = ("pure", "read", "write")


class Control(Op):
    """An operation that runs graphs: it has the strongest effect of the operations in them."""

    @property
    def effect(self) -> Effect:  # type: ignore[override]
        """The strongest effect found in the graphs."""
        found = [node.op.effect for _, graph in self.graphs() for node in graph.nodes]
        return max(found, key=_STRENGTH.index, default="pure")


def join_types(left: TensorType, right: TensorType) -> TensorType:
    """Return the type that covers both: what differs is unknown; ValueError for two element types."""
    if left.dtype is not right.dtype:
        raise ValueError(f"element types {left.dtype.name} and {right.dtype.name} do not join")
    quant = left.quant if left.quant == right.quant else None
    if left.shape is None or right.shape is None or len(left.shape) != len(right.shape):
        return TensorType(left.dtype, None, quant)
    return TensorType(left.dtype, tuple(map(_join, left.shape, right.shape)), quant)


def _join(left: Dim, right: Dim) -> Dim:
    return left if left == right else fresh("joined")


def _check_arguments(what: str, graph: Graph, operands: Sequence[Value]) -> None:
    if len(graph.inputs) != len(operands):
        raise ValueError(f"{what} {graph.name} takes {len(graph.inputs)} inputs, not {len(operands)}")
    for index, (inner, outer) in enumerate(zip(graph.inputs, operands, strict=True)):
        if not _fits(inner.type, outer.type):
            raise ValueError(f"{what} {graph.name}: input {index} is {inner.type}, the operand {outer.type}")


def _fits(left: TensorType, right: TensorType) -> bool:
    if left.dtype is not right.dtype:
        return False
    if left.shape is None or right.shape is None:
        return True
    if len(left.shape) != len(right.shape):
        return False
    return all(same_dim(one, other) is not False for one, other in zip(left.shape, right.shape, strict=True))


@dataclass(frozen=True)
class If(Control, code=118, options="IfOptions"):
    """Run one of two graphs on the operands behind the BOOL predicate; both give as many results.

    The predicate has one element (kernels/if.cc:68). A dimension that differs between the branches, or that
    either computes, makes all results of the operation dynamic at run time (:107).
    """

    then_subgraph_index: Graph
    else_subgraph_index: Graph
    kernels = frozenset({DType.BOOL})

    def infer(self, predicate: Value, *operands: Value) -> Inferred:
        if predicate.dtype is not DType.BOOL:
            raise ValueError(f"the predicate must be BOOL, not {predicate.dtype.name}")
        if predicate.type.shape is not None and same_dim(predicate.type.size, 1) is False:
            raise ValueError(f"the predicate must have one element, not {predicate.type.size}")
        then, other = self.then_subgraph_index, self.else_subgraph_index
        _check_arguments("the then branch", then, operands)
        _check_arguments("the else branch", other, operands)
        if len(then.outputs) != len(other.outputs):
            raise ValueError(f"the branches give {len(then.outputs)} and {len(other.outputs)} results")
        return tuple(join_types(x.type, y.type) for x, y in zip(then.outputs, other.outputs, strict=True))


@dataclass(frozen=True)
class While(Control, code=119, options="WhileOptions"):
    """Run the body on its own results while the condition holds.

    Operands, results, and the inputs of both graphs are one list (kernels/while.cc:80-99); both graphs must
    be different ones, and the condition gives one BOOL. A dimension that the body changes is dynamic at run
    time. An operand that the body returns unchanged and nothing reads behind the loop is not copied (:139).
    """

    cond_subgraph_index: Graph
    body_subgraph_index: Graph

    def infer(self, *operands: Value) -> Inferred:
        cond, body = self.cond_subgraph_index, self.body_subgraph_index
        if cond is body:
            raise ValueError("condition and body are the same graph")
        _check_arguments("the condition", cond, operands)
        _check_arguments("the body", body, operands)
        if len(cond.outputs) != 1 or cond.outputs[0].dtype is not DType.BOOL:
            raise ValueError(f"the condition {cond.name} must give one BOOL")
        if len(body.outputs) != len(operands):
            raise ValueError(
                f"the body {body.name} gives {len(body.outputs)} results for {len(operands)} operands"
            )
        return tuple(join_types(x.type, y.type) for x, y in zip(operands, body.outputs, strict=True))


@dataclass(frozen=True)
class Call(Control, code=31, options="CallOptions"):
    """Run a graph on the operands. LiteRT has no kernel for it (core/kernels/register.cc): inline it."""

    subgraph: Graph

    def infer(self, *operands: Value) -> Inferred:
        _check_arguments("the graph", self.subgraph, operands)
        return tuple(value.type for value in self.subgraph.outputs)


@dataclass(frozen=True)
class CallOnce(Op, code=129, options="CallOnceOptions"):
    """Run a graph without inputs or results the first time only: it initialises variables and tables.

    The runtime counts per graph: all CALL_ONCE of one graph run it once in the life of an interpreter
    (kernels/call_once.cc, Eval).
    """

    init_subgraph_index: Graph
    effect = "write"

    def infer(self) -> Inferred:
        graph = self.init_subgraph_index
        if graph.inputs or graph.outputs:
            raise ValueError(f"the graph {graph.name} must have neither inputs nor outputs")
        return ()
