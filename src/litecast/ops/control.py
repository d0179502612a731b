"""Control flow: operations that hold graphs; a graph sees only its inputs, and each has its own values."""

from __future__ import annotations

from collections.abc import Sequence

from litecast.ir.graph import Graph, Value
from litecast.ir.op import Effect, Inferred, Op, operation
from litecast.ir.types import Dim, DType, Sym, TensorType, fresh, same_dim

__all__ = ["Call", "CallOnce", "If", "While", "join_types", "overwritten"]

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


def _outward(graph: Graph, operands: Sequence[Value]) -> list[TensorType]:
    """Return the types of a branch's results, its inputs' unknown dimensions replaced by those of the
    operands."""
    outer: dict[Dim, Dim] = {}
    for inner, operand in zip(graph.inputs, operands, strict=True):
        if inner.type.shape is not None and operand.type.shape is not None:
            pairs = zip(inner.type.shape, operand.type.shape, strict=True)
            outer.update({dim: known for dim, known in pairs if isinstance(dim, Sym) and dim not in outer})
    return [_replaced(value.type, outer) for value in graph.outputs]


def _replaced(type: TensorType, outer: dict[Dim, Dim]) -> TensorType:
    shape = None if type.shape is None else tuple(outer.get(dim, dim) for dim in type.shape)
    return TensorType(type.dtype, shape, type.quant)


def _unchanged(operand: Value, before: Value, after: Value) -> TensorType:
    """Return the type of a loop variable's next value: a dimension that the body keeps is the operand's."""
    type = after.type
    if type.shape is None or before.type.shape is None or operand.type.shape is None:
        return type
    if not len(type.shape) == len(before.type.shape) == len(operand.type.shape):
        return type
    dims = zip(operand.type.shape, before.type.shape, type.shape, strict=True)
    return TensorType(
        type.dtype, tuple(outer if inner == new else new for outer, inner, new in dims), type.quant
    )


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


@operation
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
        sides = (_outward(then, operands), _outward(other, operands))
        return tuple(join_types(x, y) for x, y in zip(*sides, strict=True))


@operation
class While(Control, code=119, options="WhileOptions"):
    """Run the body on its own results while the condition holds.

    Operands, results, and the inputs of both graphs are one list (kernels/while.cc:80-99); both graphs must
    be different ones, and the condition gives one BOOL. A dimension that the body changes is dynamic at run
    time. An operand that the body returns unchanged and nothing reads behind the loop is not copied (:139).
    The runtime copies the results of a turn over its inputs one after the other (:439), so the body must not
    hand an input on at a later place: see `overwritten`.
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
        types = [_unchanged(*values) for values in zip(operands, body.inputs, body.outputs, strict=True)]
        return tuple(join_types(x.type, type) for x, type in zip(operands, types, strict=True))


def overwritten(body: Graph) -> list[int]:
    """Return the places of a loop's results that the runtime gets wrong: a result is an input of an earlier
    place.

    By then that input holds its next value. Whatever copies the input in the body (a RESHAPE to its shape) is
    right.
    """
    wrong = []
    for place, result in enumerate(body.outputs):
        source = next((index for index, value in enumerate(body.inputs) if value is result), place)
        if source < place and body.outputs[source] is not result:
            wrong.append(place)
    return wrong


@operation
class Call(Control, code=31, options="CallOptions"):
    """Run a graph on the operands. LiteRT has no kernel for it (core/kernels/register.cc): inline it."""

    subgraph: Graph

    def infer(self, *operands: Value) -> Inferred:
        _check_arguments("the graph", self.subgraph, operands)
        return tuple(_outward(self.subgraph, operands))


@operation
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
