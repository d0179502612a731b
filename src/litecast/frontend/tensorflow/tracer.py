"""The GraphDef interpreter: runs nodes on an environment of Python objects, emits operations by the Builder.

The environment holds Values, but also variables, tables, TensorLists, complex pairs and functions; only
Values reach the graph. Nodes run on demand from the outputs and the side effects of a function, in the order
of its control edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.errors import ConvertError, InternalError, Unsupported, UnsupportedError
from litecast.frontend.places import explained, name_results
from litecast.frontend.tensorflow.attributes import Attributes, FunctionRef, arity, defaults_of
from litecast.frontend.tensorflow.frame import DROPPED, OBSERVERS, Frame, needed_inputs, node_name
from litecast.frontend.tensorflow.functionalize import JOINS, flow_of, guard, outermost
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.state import Variable
from litecast.ir.builder import Builder, Composite, Runner
from litecast.ir.graph import Loc, Node, Value
from litecast.ir.types import DType
from litecast.ops.custom import Opaque

__all__ = ["DROPPED", "Frame", "Function", "Tracer", "as_constant", "as_list", "node_name"]

TAKES_REFERENCE = (
    frozenset({"Assign", "AssignAdd", "AssignSub", "IsVariableInitialized", "RefIdentity"})
    | {f"Ref{name}" for name in ("Switch", "Enter", "NextIteration")}
    | JOINS
)
"""TensorFlow 1 operations on the variable itself; any other one reads the variable that it is given."""
EXPORT_V2 = "export the model with TensorFlow 2 control flow (tf.compat.v1.enable_control_flow_v2())"


class Tracer:
    """Traces GraphDef functions for one model, whose variables and list of what is missing it owns."""

    def __init__(
        self,
        functions: Mapping[str, Any],
        op_defs: Mapping[str, Any],
        run: Runner | None = None,
        checkpoint: Any = None,
    ) -> None:
        self.functions = functions
        self.op_defs = op_defs
        self.run = run
        self.checkpoint = checkpoint
        self.variables: dict[str, Variable] = {}
        self.missing: list[Unsupported] = []
        self.initialising = False
        self.retrace = False
        self.speculative = False
        self.writes = 0
        self._bodies: dict[str, Mapping[str, Any]] = {}
        self.dropped: dict[str, set[str]] = {}
        self._tainted: dict[int, Any] = {}
        self._defaults: dict[str, dict[str, Any]] = {}

    # -- running nodes ---------------------------------------------------------------------------------------

    def evaluate(
        self, b: Builder, frame: Frame, references: Sequence[str], effects: Iterable[str] = ()
    ) -> list[Any]:
        """Run what the side effects and the referenced tensors need, and return the tensors."""
        targets = [
            *outermost(frame, references, effects),
            *(node_name(reference) for reference in references),
        ]
        frame.targets = [name for name in targets if name not in frame.arguments]
        self._run(b, frame, frame.targets)
        return [self.lookup(frame, reference) for reference in references]

    def lookup(self, frame: Frame, reference: str) -> Any:
        """Return a tensor by reference: `node`, `node:2` (graph) or `node:output_arg:0` (function)."""
        name = node_name(reference)
        if name in frame.arguments and name not in frame.results:
            return frame.arguments[name]
        outputs, position = frame.results[name], self.position(frame, reference)
        if position >= len(outputs):
            raise InternalError(
                f"{reference}: the importer of {frame.nodes[name].op} gave {len(outputs)} outputs"
            )
        return outputs[position]

    def position(self, frame: Frame, reference: str) -> int:
        """Return which output of its node a reference means."""
        name, _, rest = reference.partition(":")
        argument, _, index = rest.rpartition(":")
        return (self._offset(frame.nodes[name], argument, frame) if argument else 0) + int(index or 0)

    def attributes(self, frame: Frame, node: Any) -> Attributes:
        """Return the attributes of a node."""
        definition = self.op_defs.get(node.op)
        if node.op not in self._defaults:
            self._defaults[node.op] = defaults_of(definition)
        return Attributes(node, definition, self._defaults[node.op], frame.attributes, self)

    def _offset(self, node: Any, argument: str, frame: Frame) -> int:
        definition = self.op_defs.get(node.op)
        if definition is None:
            function = self.functions.get(node.op)
            if function is None:
                return 0
            definition = function.signature
        offset, attributes = 0, self.attributes(frame, node)
        for output in definition.output_arg:
            if output.name == argument:
                return offset
            offset += arity(output, attributes)
        raise InternalError(f"{node.name}: {node.op} has no output named {argument}")

    def _run(self, b: Builder, frame: Frame, targets: Sequence[str]) -> None:
        stack = list(reversed(targets))
        asked: dict[str, set[str]] = {}
        while stack:
            name = stack[-1]
            if name in frame.results:
                stack.pop()
                continue
            node = frame.nodes.get(name)
            if node is None:
                raise ConvertError(f"the graph refers to a node {name!r} that it does not have")
            pending = [dependency for dependency in self._needs(frame, node) if not frame.has(dependency)]
            if not pending:
                stack.pop()
                frame.results[name] = (
                    self._dropped(node) if node.op in DROPPED else self._node(b, frame, node)
                )
            elif asked.get(name, set()).issuperset(pending):
                raise UnsupportedError(_cycle(node, frame))
            else:
                asked.setdefault(name, set()).update(pending)
                stack.extend(reversed(pending))

    def _dropped(self, node: Any) -> list[Any]:
        """Leave a node out, and remember that."""
        if not self.initialising:
            self.dropped.setdefault(node.op, set()).add(node.name)
        return []

    def _needs(self, frame: Frame, node: Any) -> list[str]:
        if node.op in JOINS:
            return flow_of(self, frame).needs(node)
        return [node_name(reference) for reference in needed_inputs(node)]

    def _operands(self, frame: Frame, node: Any) -> list[Any]:
        if node.op in JOINS:
            return flow_of(self, frame).operands(node)
        needed = [reference for reference in needed_inputs(node) if not reference.startswith("^")]
        return [self.lookup(frame, reference) for reference in needed]

    def _node(self, b: Builder, frame: Frame, node: Any) -> list[Any]:
        inside = node.name.startswith(frame.prefix)  # a loop's body repeats the whole path
        loc = Loc(node.name if inside else frame.prefix + node.name, node.op, frame.parents)
        inputs = self._operands(frame, node)
        attributes = self.attributes(frame, node)
        start, known = len(b.nodes), len(self.missing)
        follows = any(id(x) in self._tainted for x in inputs)
        with b.at(loc), guard(self, frame, node):
            try:
                results = self._import(b, frame, node, inputs, attributes)
            except UnsupportedError as error:
                if tf.find(node.op) is None or not (follows or len(self.missing) > known):
                    self.missing += [_placed(item, loc) for item in error.items]
                results = self._opaque(b, node, inputs, attributes)
            except Exception as error:
                if not self.missing:
                    raise explained(error, loc) from error
                # What stands in for a missing operation does not fit.
                results = self._opaque(b, node, inputs, attributes)
            else:
                _check_shapes(results, node, loc)
        if follows or len(self.missing) > known:
            self._tainted.update({id(result): result for result in results})
        name_results(results, loc, b.nodes[start:])
        return results

    def _import(
        self, b: Builder, frame: Frame, node: Any, inputs: Sequence[Any], attributes: Attributes
    ) -> list[Any]:
        if node.op in OBSERVERS:
            return list(inputs)
        importer = tf.find(node.op)
        if node.op not in TAKES_REFERENCE:
            inputs = [x.read(b) if isinstance(x, Variable) and x.reference else x for x in inputs]
        if importer is not None:
            context = {"tracer": self, "frame": frame, "node": node, "op": node.op}
            return as_list(importer(b, inputs, attributes, attributes.decode, context))
        if node.op in self.functions:
            return list(Function(self, FunctionRef(node.op, dict(node.attr)))(b, *inputs))
        raise UnsupportedError(
            Unsupported(
                node.op,
                "Litecast has no importer for this TensorFlow operation",
                hint="express it with operations that have one (docs/operations.md lists them)",
            )
        )

    def _opaque(self, b: Builder, node: Any, inputs: Sequence[Any], attributes: Attributes) -> list[Any]:
        """Stand in for a node that cannot be imported, so that tracing finds all that is missing."""
        values = [x for x in inputs if isinstance(x, Value)]
        outputs = [Value(type) for type in attributes.output_types()]
        b.nodes.append(Node(Opaque(node.op, node.SerializeToString()), values, outputs, b.loc))
        return [*outputs]

    # -- functions -------------------------------------------------------------------------------------------

    def call(self, b: Builder, reference: FunctionRef, arguments: Sequence[Any]) -> list[Any]:
        """Trace a library function inline on arguments and return its results."""
        definition = self.functions.get(reference.name)
        if definition is None:
            raise ConvertError(
                f"the graph calls a function {reference.name!r} that its library does not have"
            )
        names = [argument.name for argument in definition.signature.input_arg]
        if len(names) != len(arguments):
            raise ConvertError(
                f"function {reference.name} takes {len(names)} arguments, {len(arguments)} were given"
            )
        frame = Frame(
            self._body(reference.name),
            dict(zip(names, arguments, strict=True)),
            reference.attributes,
            _call_prefix(b.loc),
            b.loc.parents if _is_generated(b.loc) else (b.loc,),
        )
        effects = list(definition.control_ret.values())
        references = [definition.ret[argument.name] for argument in definition.signature.output_arg]
        return self.evaluate(b, frame, references, sorted(effects))

    def _body(self, name: str) -> Mapping[str, Any]:
        if name not in self._bodies:
            self._bodies[name] = {node.name: node for node in self.functions[name].node_def}
        return self._bodies[name]

    def handed_on(self, name: str) -> list[int]:
        """Return the positions at which a library function returns its argument or its identity."""
        definition, nodes = self.functions.get(name), self._body(name) if name in self.functions else {}
        if definition is None:
            return []
        found = []
        pairs = zip(definition.signature.input_arg, definition.signature.output_arg, strict=False)
        for position, (argument, output) in enumerate(pairs):
            source = node_name(definition.ret[output.name])
            while source in nodes and nodes[source].op == "Identity":
                source = node_name(nodes[source].input[0])
            if source == argument.name:
                found.append(position)
        return found

    def note_write(self, variable: Variable) -> None:
        """Count a write; UnsupportedError where it would run whatever a TensorFlow 1 decision says."""
        if self.speculative:
            raise UnsupportedError(
                Unsupported(
                    "Switch",
                    f"variable {variable.name} is written under a decision that nothing merges, "
                    "so it cannot be ordered",
                    hint=EXPORT_V2,
                )
            )
        self.writes += 1

    def variable(self, key: str, dtype: DType, shape: tuple[int | None, ...] | None) -> Variable:
        """Return the variable of that key (made on first use)."""
        if key not in self.variables:
            self.variables[key] = Variable(self, key, dtype, shape)
        return self.variables[key]


@dataclass(frozen=True)
class Function:
    """A function attribute: calling it traces the function inline."""

    tracer: Tracer
    reference: FunctionRef

    def __call__(self, b: Builder, *arguments: Any) -> list[Any]:
        """Trace the function on arguments and return its results."""
        return self.tracer.call(b, self.reference, arguments)

    def handed_on(self) -> list[int]:
        """Return the positions of the arguments that the function returns unchanged at the same position."""
        return self.tracer.handed_on(self.reference.name)

    @property
    def name(self) -> str:
        """The name in the function library."""
        return self.reference.name


def as_list(results: Any) -> list[Any]:
    """Return an importer's result as the list of outputs (None: none)."""
    if results is None:
        return []
    return list(results) if isinstance(results, (tuple, list)) else [results]


def _call_prefix(loc: Loc) -> str:
    """Return the layer path that a call stands for: its name without the generated last part."""
    path = loc.name.rpartition("/")[0] if _is_generated(loc) else loc.name
    return f"{path}/" if path else ""


def _is_generated(loc: Loc) -> bool:
    """Whether a call has a name that says nothing."""
    return loc.name.rpartition("/")[2].rstrip("0123456789_") in ("PartitionedCall", "StatefulPartitionedCall")


def _check_shapes(results: Sequence[Any], node: Any, loc: Loc) -> None:
    """Compare what was inferred with the shapes that the source states for a node (`_output_shapes`)."""
    if "_output_shapes" not in node.attr:
        return
    for result, stated in zip(results, node.attr["_output_shapes"].list.shape, strict=False):
        found = result.type.shape if isinstance(result, (Value, Composite)) else None
        if found is None or stated.unknown_rank:
            continue
        sizes = [dim.size for dim in stated.dim]
        if len(sizes) != len(found) or any(
            size >= 0 and isinstance(dim, int) and size != dim for size, dim in zip(sizes, found, strict=True)
        ):
            # Nothing is inferred for a constant: there the model contradicts itself.
            kind = ConvertError if node.op == "Const" else InternalError
            raise kind(f"{loc}: the inferred shape {list(found)} is not the model's own {sizes}")


def _placed(item: Unsupported, loc: Loc) -> Unsupported:
    return item if item.place else Unsupported(item.op, item.reason, str(loc), item.hint)


def _cycle(node: Any, frame: Frame) -> Unsupported:
    return Unsupported(
        node.op,
        "the graph has a cycle that is no TensorFlow 1 loop as tf.while_loop makes it",
        frame.prefix + node.name,
        EXPORT_V2,
    )


def as_constant(value: Any, what: str) -> Any:
    """Return the array of a constant Value; ConvertError naming `what` for anything else."""
    if not isinstance(value, Value) or not value.is_const:
        raise ConvertError(f"{what} does not depend on constants only")
    return np.asarray(value.array())
