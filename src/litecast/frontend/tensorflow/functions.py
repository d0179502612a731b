"""The functions of an object graph as entry points, for SavedModels that have no signature to enter by.

Each becomes a call node in the main graph whose operands are placeholders, then the objects that the function
captured: from there on it is traced like a signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.attributes import dtype_of, shape_of
from litecast.frontend.tensorflow.object_graph import ConcreteFunction, ObjectGraph, TensorSpec
from litecast.frontend.tensorflow.proto import NodeDef
from litecast.frontend.tensorflow.saved_model import SavedModelSource, Signature
from litecast.frontend.tensorflow.tracer import Tracer

__all__ = ["Functions", "flatten"]

PREFIX = "litecast_function"
"""Begins the names of the nodes that are added."""


@dataclass
class Functions:
    """The callable objects of a model as signatures, by the path of attributes that leads to them."""

    source: SavedModelSource
    signatures: dict[str, Signature] = field(default_factory=dict)
    _variables: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, source: SavedModelSource) -> Functions:
        """Return the functions over tensors; the keys of one that was traced several times are numbered."""
        found, objects = cls(source), source.object_graph
        seen: set[str] = set()  # a trace is also an object of its own, below its function
        for function in [] if objects is None else objects.functions():
            if objects is None or function.path.startswith("signatures"):
                continue
            names = [name for name in function.concrete_functions if name not in seen]
            seen.update(names)
            traces = [objects.concrete_function(name) for name in names]
            for index, trace in enumerate(trace for trace in traces if found._is_plain(trace)):
                key = function.path if index == 0 else f"{function.path}_{index + 1}"
                found.signatures[key] = found._signature(objects, key, trace)
        return found

    def nearest(self) -> dict[str, Signature]:
        """Return the functions closest to the root: the model's own, not those of its layers."""
        depth = min((key.count("/") for key in self.signatures), default=0)
        return {key: item for key, item in self.signatures.items() if key.count("/") == depth}

    def further(self, named: Mapping[str, Any], wanted: str = "") -> str:
        """Return the end of a message: how many other functions there are, and which resemble the wanted."""
        from difflib import get_close_matches

        others = [key for key in self.signatures if key not in named]
        alike = get_close_matches(wanted, others, 3)
        like = f", among them {', '.join(alike)}" if alike else ""
        count = f"{len(others)} function{'s' * (len(others) > 1)}"
        return f"; {count} can be named too{like}" if others else ""

    def restore(self, tracer: Tracer) -> None:
        """Give the variables that the functions captured their values in the checkpoint."""
        for node, key in self._variables.items():
            proto = self.source.object_graph.nodes[node].variable  # type: ignore[union-attr]
            variable = tracer.variable(key, dtype_of(proto.dtype), shape_of(proto.shape))
            if node in self.source.variable_keys:
                variable.initial = self.source.checkpoint.tensor(self.source.variable_keys[node])

    def _is_plain(self, trace: ConcreteFunction) -> bool:
        """Whether all arguments are tensors (or Python values, which the trace holds)."""
        definition = self.source.functions.get(trace.name)
        count = len(flatten(trace.inputs)) + len(trace.bound_inputs)
        return definition is not None and len(definition.signature.input_arg) == count

    def _signature(self, objects: ObjectGraph, key: str, trace: ConcreteFunction) -> Signature:
        call = f"{PREFIX}/{key}"
        inputs = dict(_named(flatten(trace.inputs), f"{call}/"))
        operands = [spec.name for spec in inputs.values()]
        operands += [self._capture(objects, node) for node in trace.bound_inputs]
        node = NodeDef(name=call, op="StatefulPartitionedCall", input=operands)
        node.attr["f"].func.name = trace.name
        self.source.nodes[call] = node
        return Signature(key, "", inputs, dict(_results(trace.outputs, call)))

    def _capture(self, objects: ObjectGraph, node: int) -> str:
        """Return the node of the main graph that stands for a captured object."""
        kind, saved = objects.kind(node), objects.nodes[node]
        if kind == "constant":
            return str(saved.constant.operation)
        if kind != "variable":
            raise UnsupportedError(
                Unsupported(
                    "captured object",
                    f"a function uses {objects.path(node) or 'an object'}, which is a {kind}",
                    hint="save the model with signatures: tf.saved_model.save(model, path, signatures=...)",
                )
            )
        name = f"{PREFIX}/{objects.path(node) or node}"
        if node not in self._variables:
            self._variables[node] = name
            handle = NodeDef(name=name, op="VarHandleOp")
            handle.attr["dtype"].type = saved.variable.dtype
            handle.attr["shape"].shape.CopyFrom(saved.variable.shape)
            handle.attr["shared_name"].s = name.encode()
            self.source.nodes[name] = handle
        return name


def flatten(structure: Any) -> list[TensorSpec]:
    """Return the tensors of a structure of arguments, in order."""
    if isinstance(structure, TensorSpec):
        return [structure]
    if not isinstance(structure, (dict, list, tuple)):
        return []
    items = structure.values() if isinstance(structure, dict) else structure
    return [spec for item in items for spec in flatten(item)]


def _named(specs: list[TensorSpec], prefix: str) -> Iterator[tuple[str, TensorSpec]]:
    names = [spec.name for spec in specs]
    for index, spec in enumerate(specs):
        name = spec.name if spec.name and names.count(spec.name) == 1 else f"args_{index}"
        yield name, TensorSpec(f"{prefix}{name}", spec.dtype, spec.shape)


def _results(structure: Any, call: str) -> Iterator[tuple[str, TensorSpec]]:
    """Yield names and tensors of the results: the keys of a dictionary, else output_0, output_1 ..."""
    keys = list(structure) if isinstance(structure, dict) else []
    specs = flatten(structure)
    for index, spec in enumerate(specs):
        name = str(keys[index]) if len(keys) == len(specs) else f"output_{index}"
        yield name, TensorSpec(f"{call}:{index}", spec.dtype, spec.shape)
