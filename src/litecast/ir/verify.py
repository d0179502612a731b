"""The verifier: what every pass may rely on holds, else the defect is named with the text of its place.

A defect of structure is Litecast's own (`InternalError`). Element types that LiteRT's kernels do not take,
and reads of variables that nothing initialises, are the model's: all of them in one `UnsupportedError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from litecast.errors import ConvertError, InternalError, Unsupported, UnsupportedError
from litecast.ir.graph import Graph, Model, Node, Signature, Value, walk
from litecast.ir.op import Op
from litecast.ir.text import print_place
from litecast.ir.types import TensorType, same_dim

__all__ = ["verify"]


def verify(target: Model | Graph) -> None:
    """Check a model or a graph with its subgraphs; return nothing where all is well.

    Raises InternalError where uses, order, types, constants or signatures are not what they should be, and
    UnsupportedError, which lists everything found, for element types without a kernel and for variables that
    are read but that neither the init graph nor an earlier node assigns.
    """
    entries = target.entries() if isinstance(target, Model) else [target]
    init = target.init if isinstance(target, Model) else None
    distinct = {id(graph): graph for entry in [*entries, *_present(init)] for graph in walk(entry)}
    graphs = list(distinct.values())
    for graph in graphs:
        _Checker(graph).check()
    _check_uses(graphs, exact=isinstance(target, Model))
    if isinstance(target, Model):
        for key, signature in target.signatures.items():
            _check_signature(key, signature)
    found = [*_kernel_gaps(graphs), *_unassigned_reads(entries, init)]
    if found:
        raise UnsupportedError(found)


def _present(graph: Graph | None) -> list[Graph]:
    return [] if graph is None else [graph]


class _Checker:
    """Checks one graph: its order, its types and its constants."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.defined: set[Value] = set()

    def fail(self, reason: str, node: Node | None = None) -> InternalError:
        return InternalError(f"graph {self.graph.name}: {reason}\n{print_place(self.graph, node)}")

    def check(self) -> None:
        for value in self.graph.inputs:
            if value.producer is not None or value.is_const or value in self.defined:
                raise self.fail(f"input {value!r} is not an input alone")
            self.defined.add(value)
        for node in self.graph.nodes:
            self.check_node(node)
        for value in self.graph.outputs:
            self.check_defined(value, None)

    def check_node(self, node: Node) -> None:
        for value in node.inputs:
            if value is not None:
                self.check_defined(value, node)
        for index, output in enumerate(node.outputs):
            own = output.producer is node and output.index == index and not output.is_const
            if not own or output in self.defined:
                raise self.fail(f"output {index} of {node!r} is not this node's alone", node)
            self.defined.add(output)
        self.check_types(node)

    def check_defined(self, value: Value, node: Node | None) -> None:
        if value.is_const:
            self.check_constant(value, node)
        elif value not in self.defined and not value.is_variable:
            raise self.fail(f"{value!r} is read before it is defined", node)

    def check_constant(self, value: Value, node: Node | None) -> None:
        contents: Any = value.const
        shape = tuple(contents.shape)
        dtype = getattr(contents.dtype, "numpy", contents.dtype)
        if value.producer is not None or shape != value.type.shape or dtype != value.dtype.numpy:
            raise self.fail(f"{value!r} holds {dtype}{list(shape)}", node)

    def check_types(self, node: Node) -> None:
        try:
            inferred = node.op.infer(*node.inputs)
        except (ConvertError, ValueError, TypeError, IndexError) as error:
            raise self.fail(f"{node!r}: {error}", node) from error
        types = inferred if isinstance(inferred, tuple) else (inferred,)
        if len(types) != len(node.outputs):
            raise self.fail(f"{node!r} has {len(node.outputs)} outputs, not {len(types)}", node)
        for type, output in zip(types, node.outputs, strict=True):
            if not _agree(type, output.type):
                raise self.fail(f"{node!r} gives {type}, recorded is {output.type}", node)


def _agree(inferred: TensorType, recorded: TensorType) -> bool:
    if inferred.dtype is not recorded.dtype:
        return False
    if inferred.shape is None or recorded.shape is None:
        return True
    return len(inferred.shape) == len(recorded.shape) and all(
        same_dim(*dims) is not False for dims in zip(inferred.shape, recorded.shape, strict=True)
    )


def _check_uses(graphs: Sequence[Graph], *, exact: bool) -> None:
    """Compare recorded and real uses; a constant may be used by graphs that are not looked at."""
    expected: dict[Value, Counter[Node | Graph]] = {}
    for graph in graphs:
        for value in graph.values():
            expected.setdefault(value, Counter())
        for node in graph.nodes:
            for operand in node.inputs:
                if operand is not None:
                    expected[operand][node] += 1
        for value in graph.outputs:
            expected[value][graph] += 1
    for value, uses in expected.items():
        recorded = Counter(value.uses)
        if recorded != uses and (exact or not value.is_const or uses - recorded):
            users = ", ".join(map(repr, (recorded - uses) + (uses - recorded)))
            raise InternalError(f"the uses of {value!r} are not what is recorded: {users}")


def _check_signature(key: str, signature: Signature) -> None:
    graph = signature.graph
    for what, names, values in (
        ("inputs", signature.inputs, graph.inputs),
        ("outputs", signature.outputs, graph.outputs),
    ):
        if len(names) != len(values):
            raise InternalError(
                f"signature {key} names {len(names)} {what} of the {len(values)} of {graph!r}"
            )
        repeated = [name for name, count in Counter(names).items() if name and count > 1]
        if repeated:
            raise InternalError(f"signature {key} names two of its {what} {', '.join(repeated)}")


def _kernel_gaps(graphs: Sequence[Graph]) -> Iterator[Unsupported]:
    for graph in graphs:
        for node in graph.nodes:
            kernels = node.op.kernels
            first = node.inputs[0] if node.inputs else None
            if kernels is not None and first is not None and first.dtype not in kernels:
                names = ", ".join(sorted(dtype.name for dtype in kernels))
                reason = f"LiteRT has no kernel for {first.dtype.name}"
                yield Unsupported(node.op.name, reason, str(node.loc), f"one of the types it has: {names}")


# -- variables -----------------------------------------------------------------------------------------------

Variable = tuple[Any, Any]


def _unassigned_reads(entries: Sequence[Graph], init: Graph | None) -> Iterator[Unsupported]:
    """Yield reads of variables without contents: READ_VARIABLE then gives garbage silently."""
    assigned: set[Variable] = set()
    if init is not None:
        yield from _follow(init, {}, assigned)
    for entry in entries:
        yield from _follow(entry, {}, set(assigned))


def _follow(graph: Graph, handles: dict[Value, Variable], assigned: set[Variable]) -> Iterator[Unsupported]:
    """Walk a graph in execution order; `handles` says which variables its inputs are, `assigned` grows."""
    from litecast.ops.state import AssignVariable, ReadVariable, VarHandle

    for node in graph.nodes:
        op = node.op
        if isinstance(op, VarHandle):
            handles[node.output] = (op.container, op.shared_name)
            continue
        variable = handles.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
        if isinstance(op, AssignVariable) and variable is not None:
            assigned.add(variable)
        elif isinstance(op, ReadVariable) and variable is not None and variable not in assigned:
            reason = f"the variable {variable[1]} is read, but nothing gives it a value first"
            yield Unsupported(op.name, reason, str(node.loc), "give it an initial value before saving")
        yield from _follow_subgraphs(node, handles, assigned)


def _follow_subgraphs(
    node: Node, handles: dict[Value, Variable], assigned: set[Variable]
) -> Iterator[Unsupported]:
    """Walk the graphs of a node; what only a branch or a loop body assigns is not sure to be assigned.

    The last operands of a control flow operation are the inputs of its graphs, in order.
    """
    for _, inner in node.op.graphs():
        operands = node.inputs[len(node.inputs) - len(inner.inputs) :] if inner.inputs else []
        inside = {
            value: handles[operand]
            for value, operand in zip(inner.inputs, operands, strict=False)
            if operand is not None and operand in handles
        }
        yield from _follow(inner, inside, assigned if _runs_once(node.op) else set(assigned))


def _runs_once(op: Op) -> bool:
    from litecast.ops.control import Call, CallOnce

    return isinstance(op, (Call, CallOnce))
