"""A Keras model as a Model: its config traced into one graph under the signature `serving_default`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from litecast.errors import ConvertError, UnsupportedError
from litecast.frontend.entry import check_names, check_sizes, input_type
from litecast.frontend.keras.archive import KerasSource
from litecast.frontend.keras.config import LayerConfig, parse, policy_name
from litecast.frontend.keras.importer import LayerImporter, Masked
from litecast.frontend.keras.layer import POLICY_DTYPES, Layer
from litecast.frontend.keras.layers import find_importer
from litecast.frontend.keras.network import Network, Ref, flatten
from litecast.frontend.keras.state import MODES, init_graph
from litecast.frontend.keras.tracer import Tracer
from litecast.frontend.keras.weights import Group, LayerKey
from litecast.ir import graph as ir
from litecast.ir.builder import Builder, Composite, Runner
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType

__all__ = ["SIGNATURE", "all_layers", "trace_keras"]

SIGNATURE = "serving_default"
REDUCED = ("float16", "bfloat16", "float64")


def trace_keras(
    source: KerasSource,
    *,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | None = None,
    run: Runner | None = None,
    custom: Mapping[str, LayerImporter] | None = None,
    states: str = "variables",
) -> ir.Model:
    """Trace a Keras model.

    `shapes` fixes inputs by name (None or -1: still unknown), `batch` every unknown dimension 0 of an input.
    `custom` has lowerings of the user's own layers by class; `states` says how state between calls is kept.
    Raises UnsupportedError listing all that cannot be converted.
    """
    if states not in MODES:
        raise ConvertError(f"states is {states!r}; it is one of {', '.join(MODES)}")
    check_sizes(shapes or {}, batch)
    try:
        info = parse(source.config)
        if not info.is_network:
            known = find_importer(info)
            if known is not None and known.refused:
                raise ConvertError(f"{source.url}: {info.class_name}: {known.refused}")
            raise ConvertError(
                f"{source.url}: {info.class_name} is a subclassed model, whose computation is Python code "
                "that no file holds. Export it with `model.export(path)` and convert that SavedModel, or "
                "convert the model in memory"
            )
        for _ in range(2):
            tracer = Tracer(is_legacy=_is_legacy(source), run=run, custom=custom, states=states)
            model = _trace(tracer, source, info, shapes or {}, batch)
            if not source.store.unsettled:
                break
            source.store.settle()
        model.notes += source.store.doubts()
    except RecursionError:
        raise ConvertError(f"{source.url}: the config nests too deep") from None
    return model


def all_layers(source: KerasSource) -> Iterator[Layer]:
    """Yield the layers of a model with their variables, those of the models in it too."""
    info = parse(source.config)
    if not info.is_network:
        raise ConvertError(
            f"{source.url}: {info.class_name} is a subclassed model, whose layers no file lists"
        )
    tracer = Tracer(is_legacy=_is_legacy(source))
    yield from tracer.walk(info, _root(source, tracer.network(info)))


def _root(source: KerasSource, network: Network) -> Group:
    held = [
        layer
        for layer in network.layers.values()
        if not layer.is_operation and layer.name not in network.made
    ]
    return source.store.root([LayerKey(layer.class_name, layer.name, layer.trainable) for layer in held])


def _is_legacy(source: KerasSource) -> bool:
    """Whether Keras 2 or tf_keras wrote the model: some activations and masks differ."""
    return source.keras_version.partition(".")[0] in ("1", "2")


def _trace(
    tracer: Tracer,
    source: KerasSource,
    info: LayerConfig,
    shapes: Mapping[str, Sequence[int | None]],
    batch: int | None,
) -> ir.Model:
    network = tracer.network(info)
    root = _root(source, network)
    names = _input_names(network)
    check_names(names.values(), shapes)
    b = Builder(Graph(SIGNATURE), tracer.run)
    values: dict[Ref, Value] = {}
    for ref, name in names.items():
        entry = network.layers[ref.layer]
        if entry.config.get("optional"):
            tracer.note(f"input {name} may be left out in Keras; here it must be given")
        own = _shape(entry, network, name in shapes)
        type = input_type(name, _dtype(entry), own, shapes.get(name), batch)
        values[ref] = b.add_input(type, f"{SIGNATURE}_{name}:0")
    inputs = [Masked(values[ref]) for ref in flatten(network.inputs)]
    results = tracer.evaluate(b, network, root, inputs)
    if tracer.missing:
        raise UnsupportedError(dict.fromkeys(tracer.missing))
    outputs = dict(zip(_output_names(network), (_output(b, leaf) for leaf in _walk(results)), strict=True))
    return _model(tracer, b, list(names.values()), outputs, info)


def _model(
    tracer: Tracer, b: Builder, inputs: list[str], outputs: dict[str, Value], info: LayerConfig
) -> ir.Model:
    kept = [state for state in tracer.states.values() if state.mode == "io"]
    names = [*outputs, *(state.name for state in kept)]
    b.graph.set_outputs([*outputs.values(), *(state.read(b) for state in kept)])
    signature = ir.Signature(b.graph, [*inputs, *(state.name for state in kept)], names)
    init = init_graph(list(tracer.states.values()), list(tracer.tables.values()), tracer.run)
    return ir.Model({SIGNATURE: signature}, init, notes=[*tracer.notes, *_notes(tracer, info)])


def _notes(tracer: Tracer, info: LayerConfig) -> Iterator[str]:
    """Say what is left out, and where numbers are not computed as the model says."""
    if tracer.dropped:
        counts = ", ".join(f"{name} {len(paths)}" for name, paths in sorted(tracer.dropped.items()))
        yield f"left out, for they only act in training: {counts}"
    reduced = sorted({name for name in _policies(info) if name.removeprefix("mixed_") in REDUCED})
    if reduced:
        yield f"layers of policy {', '.join(reduced)} are computed in float32"


def _policies(info: LayerConfig) -> Iterator[str]:
    stack: list[Any] = [dict(info.config)]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if "dtype" in item and "name" in item:
                yield policy_name(item["dtype"])
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


# -- inputs and outputs ----------------------------------------------------------------------------------


def _input_names(network: Network) -> dict[Ref, str]:
    """Return the inputs in the model's order, with the user's names: dict keys, else the input layers'."""
    return dict(zip(_walk(network.inputs), _names(network.inputs), strict=True))


def _output_names(network: Network) -> list[str]:
    """Return the names of the outputs: dict keys, else the output layers', numbered where one has several."""
    return list(_names(network.outputs))


def _names(structure: Any) -> Iterator[str]:
    stems = [key or ref.layer for key, ref in _keyed(structure, "")]
    taken: set[str] = set()
    for stem in stems:
        numbered = (f"{stem}_{count}" for count in itertools.count(1))
        name = stem if stem not in taken else next(one for one in numbered if one not in {*taken, *stems})
        taken.add(name)
        yield name


def _keyed(structure: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves with their dict keys (joined where dicts nest), in the user's order."""
    if isinstance(structure, Mapping):
        for name, item in structure.items():
            yield from _keyed(item, f"{key}_{name}" if key else str(name))
    elif isinstance(structure, list):
        for item in structure:
            yield from _keyed(item, key)
    else:
        yield key, structure


def _walk(structure: Any) -> Iterator[Any]:
    return (leaf for _, leaf in _keyed(structure, ""))


def _shape(entry: LayerConfig, network: Network, given: bool) -> list[int] | None:
    if entry.config.get("sparse") or entry.config.get("ragged"):
        raise ConvertError(f"input {entry.name} is sparse or ragged, which TFLite does not have")
    shape = entry.config.get("batch_shape")
    if shape is None:
        if entry.name in network.made and not given:
            raise ConvertError(
                f"model {network.name} was saved before it was built, so nothing says what shape its input "
                "has: build it (`model.build(shape)`, or call it once) and save it again"
            )
        return None
    if not isinstance(shape, (list, tuple)) or not all(dim is None or isinstance(dim, int) for dim in shape):
        raise ConvertError(f"input {entry.name} has the shape {shape!r} in the config, which is none")
    return [-1 if dim is None else dim for dim in shape]


def _dtype(entry: LayerConfig) -> DType:
    name = policy_name(entry.config.get("dtype")).removeprefix("mixed_")
    if name not in POLICY_DTYPES:
        raise ConvertError(f"input {entry.name} has the element type {name!r}, which TFLite does not have")
    return POLICY_DTYPES[name]


def _output(b: Builder, leaf: Any) -> Value:
    value = leaf.value if isinstance(leaf, Masked) else leaf
    if isinstance(value, Composite):
        raise ConvertError("an output of the model is complex: return its real and imaginary parts")
    if not isinstance(value, Value):
        value = b.const(value)
    return value
