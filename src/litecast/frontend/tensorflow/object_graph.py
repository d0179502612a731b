"""The object graph of a TensorFlow 2 SavedModel: which variables, constants and functions belong to what.

Nodes are named by their index; node 0 is the saved object itself. All indices are checked on construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from litecast.errors import FormatError
from litecast.frontend.tensorflow.proto import (
    SavedObject,
    SavedObjectGraph,
    StructuredValue,
    TrackableObjectGraph,
)
from litecast.frontend.tensorflow.proto.tensor import shape_from_proto, tensor_from_proto

__all__ = ["ConcreteFunction", "ObjectGraph", "SavedFunction", "TensorSpec", "TypeSpec", "structured"]

_VARIABLE = "VARIABLE_VALUE"


@dataclass(frozen=True)
class TensorSpec:
    """A tensor as the source describes it.

    `dtype` is a TensorFlow DataType, `shape` has -1 for unknown sizes and is None for an unknown rank. In a
    signature `name` is a tensor of the graph; a sparse, ragged or other composite argument has the names of
    its `components` instead.
    """

    name: str
    dtype: int
    shape: tuple[int, ...] | None
    components: tuple[str, ...] = ()


@dataclass(frozen=True)
class TypeSpec:
    """The description of an argument that is no plain tensor: its class and the state that makes it."""

    kind: str
    state: Any


@dataclass(frozen=True)
class ConcreteFunction:
    """A function of the library as the object graph knows it.

    The function's last arguments are the objects `bound_inputs` (node indices) in this order; `inputs` is the
    pair (positional, keyword) and `outputs` the structure of the arguments and results that Python saw.
    """

    name: str
    bound_inputs: tuple[int, ...]
    inputs: Any
    outputs: Any


@dataclass(frozen=True)
class SavedFunction:
    """A callable object: its node, the path of names that leads to it, and its traces."""

    node: int
    path: str
    concrete_functions: tuple[str, ...]


class ObjectGraph:
    """The objects of a SavedModel, by index, and how they hang together."""

    def __init__(self, proto: SavedObjectGraph, file: str | Path) -> None:
        self.file = str(file)
        self.nodes: list[SavedObject] = list(proto.nodes)
        self._concrete = proto.concrete_functions
        self._children = [{child.local_name: child.node_id for child in node.children} for node in self.nodes]
        indices = {index for children in self._children for index in children.values()}
        indices.update(*(function.bound_inputs for function in self._concrete.values()))
        if not self.nodes or not all(0 <= index < len(self.nodes) for index in indices):
            raise FormatError(self.file, "is corrupt: its object graph refers to an object that is not there")

    def kind(self, node: int) -> str | None:
        """Give what a node is: user_object, asset, function, variable, constant, resource, ..."""
        kind: str | None = self.nodes[node].WhichOneof("kind")
        return kind

    def children(self, node: int = 0) -> dict[str, int]:
        """Give the attributes of an object that are objects: name to node."""
        return self._children[node]

    def find(self, *names: str, start: int = 0) -> int | None:
        """Follow attribute names from `start`; give the node, or None where a name is missing."""
        node: int | None = start
        for name in names:
            node = None if node is None else self._children[node].get(name)
        return node

    @cached_property
    def _owners(self) -> dict[int, tuple[int, str]]:
        """Every node that can be reached from the root, nearest first, with its owner and its name there."""
        owners = {0: (0, "")}
        for node in (queue := [0]):
            for name, child in self._children[node].items():
                if child not in owners:
                    owners[child] = (node, name)
                    queue.append(child)
        return owners

    def path(self, node: int) -> str | None:
        """Give a shortest path of names from the root, joined by slashes; None where there is none."""
        if node not in self._owners:
            return None
        names = []
        while node:
            node, name = self._owners[node]
            names.append(name)
        return "/".join(reversed(names))

    def functions(self) -> Iterator[SavedFunction]:
        """Iterate over the functions that can be reached from the root, nearest first."""
        for node in self._owners:
            kind = self.kind(node)
            if kind == "function":
                names = tuple(self.nodes[node].function.concrete_functions)
            elif kind == "bare_concrete_function":
                names = (self.nodes[node].bare_concrete_function.concrete_function_name,)
            else:
                continue
            yield SavedFunction(node, self.path(node) or "", names)

    def concrete_function(self, name: str) -> ConcreteFunction:
        """Give the captured objects and the Python structure of a function of the library."""
        if name not in self._concrete:
            raise FormatError(self.file, f"has no concrete function {name!r} in its object graph")
        proto = self._concrete[name]
        return ConcreteFunction(
            name,
            tuple(proto.bound_inputs),
            structured(proto.canonicalized_input_signature),
            structured(proto.output_signature),
        )

    def concrete_functions(self) -> list[str]:
        """Give the names of all concrete functions, sorted."""
        return sorted(self._concrete)

    def checkpoint_keys(self, checkpoint: TrackableObjectGraph) -> dict[int, dict[str, str]]:
        """Give the tensors of each object in a checkpoint: node to attribute to key.

        Both graphs are walked from their roots along equal names, as a restore does
        (tensorflow/python/checkpoint/restore.py); their numbering need not agree.
        """
        keys: dict[int, dict[str, str]] = {}
        pairs = {0: 0}
        for node in (queue := [0]):
            if pairs[node] >= len(checkpoint.nodes):
                raise FormatError(
                    self.file, "the checkpoint's object graph refers to an object that is not there"
                )
            saved = checkpoint.nodes[pairs[node]]
            if saved.attributes:
                keys[node] = {item.name: item.checkpoint_key for item in saved.attributes}
            others = {child.local_name: child.node_id for child in saved.children}
            for name, child in self._children[node].items():
                if name in others and child not in pairs and others[name] >= 0:
                    pairs[child] = others[name]
                    queue.append(child)
        return keys

    def variable_keys(self, checkpoint: TrackableObjectGraph) -> dict[int, str]:
        """Give the checkpoint key of every variable: node to key."""
        found = self.checkpoint_keys(checkpoint).items()
        return {
            node: keys[_VARIABLE]
            for node, keys in found
            if self.kind(node) == "variable" and _VARIABLE in keys
        }


def structured(value: StructuredValue) -> Any:
    """Turn a StructuredValue into Python: lists, tuples, dicts (named tuples too), TensorSpecs, scalars."""
    kind = value.WhichOneof("kind")
    return None if kind is None else _STRUCTURED[kind](getattr(value, kind))


def _tensor_spec(proto: Any) -> TensorSpec:
    return TensorSpec(proto.name, proto.dtype, shape_from_proto(proto.shape))


def _type_spec(proto: Any) -> TypeSpec:
    return TypeSpec(proto.type_spec_class_name, structured(proto.type_state))


def _plain(value: Any) -> Any:
    return value


_STRUCTURED: dict[str, Callable[[Any], Any]] = {
    "none_value": lambda _: None,
    "float64_value": _plain,
    "int64_value": _plain,
    "string_value": _plain,
    "bool_value": _plain,
    "tensor_shape_value": shape_from_proto,
    "tensor_dtype_value": _plain,
    "tensor_spec_value": _tensor_spec,
    "bounded_tensor_spec_value": _tensor_spec,
    "type_spec_value": _type_spec,
    "list_value": lambda proto: [structured(item) for item in proto.values],
    "tuple_value": lambda proto: tuple(structured(item) for item in proto.values),
    "dict_value": lambda proto: {key: structured(proto.fields[key]) for key in sorted(proto.fields)},
    "named_tuple_value": lambda proto: {pair.key: structured(pair.value) for pair in proto.values},
    "tensor_value": tensor_from_proto,
    "numpy_value": tensor_from_proto,
}
