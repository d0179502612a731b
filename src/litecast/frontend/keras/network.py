"""A model's config as a graph of calls: Functional and Sequential, as Keras 2 and Keras 3 write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from litecast.errors import ConvertError
from litecast.frontend.keras.config import LayerConfig, decode, is_modern, parse

__all__ = ["Call", "Network", "Ref", "contains", "flatten", "keras_order", "map_leaves"]

KEEPS_STRUCTURE = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"}
)
"""Classes for which a list of one tensor is not the tensor (tf_keras layers/core/tf_op_layer.py)."""
CONSTANT = "_CONSTANT_VALUE"


class Ref(NamedTuple):
    """A tensor by its history: output `tensor` (flattened) of call `node` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """One call of a layer, whose arguments have Refs for tensors."""

    layer: str
    node: int
    args: list[Any]
    kwargs: Mapping[str, Any]


@dataclass
class Network:
    """The layers of a model, their calls, and the structures of its inputs and outputs (Refs)."""

    name: str
    layers: dict[str, LayerConfig]
    calls: list[Call] = field(default_factory=list)
    inputs: Any = None
    outputs: Any = None
    made: frozenset[str] = frozenset()
    """Input layers that the config implies and does not list."""

    @classmethod
    def of(cls, info: LayerConfig) -> Network:
        """Read the config of a Functional or Sequential model; ConvertError where it contradicts itself."""
        infos = [parse(serialized) for serialized in info.config["layers"]]
        layers = {layer.name: layer for layer in infos}
        if len(layers) != len(infos):
            raise ConvertError(f"model {info.name} has two layers of one name")
        try:
            return _functional(info, layers) if "input_layers" in info.config else _sequential(info, infos)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ConvertError(
                f"the config of model {info.name} is not one that Keras writes ({reason})"
            ) from error


def _sequential(info: LayerConfig, infos: list[LayerConfig]) -> Network:
    made: frozenset[str] = frozenset()
    if not infos or infos[0].class_name != "InputLayer":
        entry = _implied_input(info, infos)
        infos, made = [entry, *infos], frozenset({entry.name})
    calls, before = [], Ref(infos[0].name, 0, 0)
    for layer in infos[1:]:
        calls.append(Call(layer.name, 0, [before], {}))
        before = Ref(layer.name, 0, 0)
    return Network(info.name, {layer.name: layer for layer in infos}, calls, infos_input(infos), before, made)


def infos_input(infos: list[LayerConfig]) -> Ref:
    """Return the tensor that a Sequential model starts with."""
    return Ref(infos[0].name, 0, 0)


def _implied_input(info: LayerConfig, infos: list[LayerConfig]) -> LayerConfig:
    """Return the input layer of a Sequential model that lists none: its first layer may know the shape."""
    first: Mapping[str, Any] = infos[0].config if infos else {}
    nested = infos[0] if infos and infos[0].is_network else None
    if nested is not None and nested.config["layers"]:
        first = parse(nested.config["layers"][0]).config
    shape = first.get("batch_shape") or info.built_shape or (infos[0].built_shape if infos else None)
    stem = infos[0].name if infos else info.name
    dtype = first.get("dtype") if isinstance(first.get("dtype"), str) else None
    config = {"batch_shape": shape, "dtype": dtype if nested is not None else None}
    return LayerConfig("InputLayer", f"{stem}_input", config)


# -- functional models -----------------------------------------------------------------------------------


def _functional(info: LayerConfig, layers: dict[str, LayerConfig]) -> Network:
    network = Network(info.name, layers)
    for layer in layers.values():
        for index, node in enumerate(layer.nodes):
            if node:
                args, kwargs = _arguments(layer, node, layers)
                network.calls.append(Call(layer.name, index, args, kwargs))
    network.inputs = _structure(info.config["input_layers"], layers)
    network.outputs = _structure(info.config["output_layers"], layers)
    _check_refs(network)
    return _from_zero(network)


def _check_refs(network: Network) -> None:
    """Raise ConvertError for a reference to what the model does not have."""
    calls = [[call.args, call.kwargs] for call in network.calls]
    for ref in flatten([calls, network.inputs, network.outputs]):
        if isinstance(ref, Ref):
            numbers = all(isinstance(number, int) and number >= 0 for number in ref[1:])
            if ref.layer not in network.layers or not numbers:
                raise ConvertError(
                    f"the config of model {network.name} refers to {list(ref)}, which it lacks"
                )


def _arguments(
    layer: LayerConfig, node: Any, layers: Mapping[str, Any]
) -> tuple[list[Any], Mapping[str, Any]]:
    if is_modern(node):
        return _revived(node["args"]), _revived(node.get("kwargs") or {})
    found: dict[str, Any] = {}

    def leaf(item: list[Any]) -> Any:
        if len(item) == 4 and isinstance(item[3], Mapping):
            found.update(item[3])
        return decode(item[2]) if item[0] == CONSTANT else Ref(item[0], item[1], item[2])

    first = _legacy(node, layers, leaf)
    leaves = list(flatten(first))
    if not isinstance(first, dict) and len(leaves) == 1 and layer.class_name not in KEEPS_STRUCTURE:
        first = leaves[0]
    kwargs = {key: _legacy(value, layers, lambda item: Ref(*item[:3])) for key, value in found.items()}
    return [first], kwargs


def _revived(value: Any) -> Any:
    """Return arguments as Keras 3 writes them, tensors as Refs."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            history = value["config"].get("keras_history")
            if not isinstance(history, list) or len(history) != 3:
                raise ConvertError("a tensor in the config has no history")
            return Ref(*history)
        if "class_name" in value:
            return decode(value)
        return {key: _revived(item) for key, item in value.items()}
    return [_revived(item) for item in value] if isinstance(value, list) else value


def _legacy(value: Any, layers: Mapping[str, Any], leaf: Any) -> Any:
    """Return arguments as Keras 2 writes them: a tensor is [layer, node, tensor] or has keywords as well."""
    if isinstance(value, list):
        if (
            len(value) in (3, 4)
            and isinstance(value[0], str)
            and (value[0] in layers or value[0] == CONSTANT)
            and isinstance(value[1], int)
        ):
            return leaf(value)
        return [_legacy(item, layers, leaf) for item in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _legacy(item, layers, leaf) for key, item in value.items()}
    return decode(value)


def _structure(value: Any, layers: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping) and "class_name" in value:
        value = decode(value)
    if isinstance(value, Mapping):
        return {key: _structure(item, layers) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
            return Ref(*value)
        return [_structure(item, layers) for item in value]
    raise ConvertError(f"the config lists {value!r} among the inputs and outputs of a model")


def _from_zero(network: Network) -> Network:
    """Count the calls of every layer from 0.

    A nested model's own graph is its first node, so that references to its calls may start at 1: always in
    Keras 2, only among the outputs in Keras 3 (models/functional.py, get_config).
    """
    counts = {layer.name: len(layer.nodes) for layer in network.layers.values()}
    called = [ref for call in network.calls for ref in flatten([call.args, call.kwargs])]
    inner = _offsets([ref for ref in called if isinstance(ref, Ref)], counts)
    results = list(flatten(network.outputs))
    if any(is_modern(node) for layer in network.layers.values() for node in layer.nodes):
        nested = {name for name, layer in network.layers.items() if "input_layers" in layer.config}
        outer = dict.fromkeys(nested, 1)
    else:
        inner = outer = _offsets([*(ref for ref in called if isinstance(ref, Ref)), *results], counts)

    def moved(offsets: Mapping[str, int]) -> Any:
        return lambda ref: (
            Ref(ref.layer, max(ref.node - offsets.get(ref.layer, 0), 0), ref.tensor)
            if isinstance(ref, Ref)
            else ref
        )

    calls = [
        Call(
            call.layer, call.node, map_leaves(moved(inner), call.args), map_leaves(moved(inner), call.kwargs)
        )
        for call in network.calls
    ]
    return Network(
        network.name, network.layers, calls, network.inputs, map_leaves(moved(outer), network.outputs)
    )


def _offsets(refs: list[Ref], counts: Mapping[str, int]) -> dict[str, int]:
    """Return per layer what its node numbers start at, by the highest one that is referred to."""
    highest: dict[str, int] = {}
    for ref in refs:
        highest[ref.layer] = max(ref.node, highest.get(ref.layer, 0))
    return {name: 1 for name, node in highest.items() if 0 < counts.get(name, 0) <= node}


# -- order of calls --------------------------------------------------------------------------------------


def keras_order(network: Network) -> list[Call]:
    """Return the calls in the order in which Keras 3 runs them, those that no output needs last.

    By the longest way to an output, then by a search from there (`map_graph`, keras/src/ops/function.py).
    """
    calls = {(call.layer, call.node): call for call in network.calls}
    parents = {
        place: [ref[:2] for ref in flatten([call.args, call.kwargs]) if isinstance(ref, Ref)]
        for place, call in calls.items()
    }
    depths: dict[tuple[str, int], int] = {}
    layers: dict[str, int] = {}
    for place in reversed(_from_inputs(parents, [ref[:2] for ref in flatten(network.outputs)])):
        depth = max(depths.setdefault(place, 0), layers.get(place[0], 0))
        depths[place] = layers[place[0]] = depth
        for parent in parents.get(place, ()):
            depths[parent] = max(depth + 1, depths.get(parent, 0))
    order = sorted(depths, key=lambda place: -depths[place])
    return [calls[place] for place in dict.fromkeys([*order, *calls]) if place in calls]


def _from_inputs(
    parents: Mapping[tuple[str, int], list[tuple[str, int]]], places: list[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Return all that leads to some places, each behind its parents, depth first."""
    done: dict[tuple[str, int], None] = {}
    seen: set[tuple[str, int]] = set()
    stack = places[::-1]
    while stack:
        place = stack.pop()
        if place in seen:
            done.setdefault(place)
            continue
        seen.add(place)
        stack += [place, *(parent for parent in parents.get(place, ())[::-1] if parent not in seen)]
    return list(done)


def contains(info: LayerConfig, class_name: str) -> bool:
    """Whether a model has a layer of a class, at any depth."""
    stack: list[Any] = [info.config]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if item.get("class_name") == class_name:
                return True
            stack += item.values()
        elif isinstance(item, list):
            stack += item
    return False


# -- structures ------------------------------------------------------------------------------------------


def flatten(structure: Any) -> Iterator[Any]:
    """Yield the leaves of lists, tuples and dicts, in Keras's order: dicts by sorted key."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from flatten(structure[key])
    elif isinstance(structure, (list, tuple)) and not isinstance(structure, Ref):
        for item in structure:
            yield from flatten(item)
    else:
        yield structure


def map_leaves(function: Any, structure: Any) -> Any:
    """Return a structure with `function` applied to each leaf."""
    if isinstance(structure, Mapping):
        return {key: map_leaves(function, item) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)) and not isinstance(structure, Ref):
        return [map_leaves(function, item) for item in structure]
    return function(structure)
