"""The interpreter of Keras configs: calls layers on values, in the order of the model's graph.

A layer that cannot be converted gives MISSING, so that one error lists them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from litecast.errors import ConvertError, Unsupported, UnsupportedError
from litecast.frontend.keras.config import MODELS, LayerConfig
from litecast.frontend.keras.importer import LayerImporter, Masked
from litecast.frontend.keras.layer import Layer, values_of
from litecast.frontend.keras.layers import find_importer
from litecast.frontend.keras.network import Network, Ref, contains, flatten, keras_order, map_leaves
from litecast.frontend.keras.state import State, Table
from litecast.frontend.keras.weights import LayerKey
from litecast.frontend.places import explained, name_results
from litecast.ir.builder import Builder, Runner
from litecast.ir.graph import Loc, Value
from litecast.ir.types import DType
from litecast.lib import array
from litecast.ops import Cast

__all__ = ["MISSING", "Tracer"]

MISSING = object()
"""What a layer gives that cannot be converted."""
WAYS_OUT = (
    'give its lowering, by litecast.keras.register("{0}") or custom_objects={{"{0}": function}} '
    "(docs/keras.md), or export the model with `model.export(path)` and convert that SavedModel"
)


class Tracer:
    """Traces one model, whose states, notes and list of what is missing it owns."""

    def __init__(
        self,
        *,
        is_legacy: bool,
        run: Runner | None = None,
        custom: Mapping[str, LayerImporter] | None = None,
        states: str = "variables",
    ) -> None:
        self.is_legacy, self.run = is_legacy, run
        self.custom = custom or {}
        self.mode = states
        self.states: dict[str, State] = {}
        self.tables: dict[str, Table] = {}
        self.notes: dict[str, None] = {}
        self.dropped: dict[str, set[str]] = {}
        self.missing: list[Unsupported] = []
        self.shared: dict[int, Any] = {}
        self._unmasked: dict[int, Any] = {}
        self._networks: dict[int, Network] = {}

    def note(self, text: str) -> None:
        """Tell the user something, once."""
        self.notes[text] = None

    def state(self, name: str, initial: Any) -> State:
        """Return the state of that name (made on first use)."""
        if name not in self.states:
            self.states[name] = State(name, initial, self.mode)
        return self.states[name]

    def table(self, name: str, keys: Sequence[bytes], values: Sequence[int]) -> Table:
        """Return the hash table of that name (made on first use)."""
        if name not in self.tables:
            held = np.array(keys, object), np.array(values, np.int64)
            self.tables[name] = Table(len(self.tables), *held)
        return self.tables[name]

    def layer(self, info: LayerConfig, group: Any, parent: str) -> Layer:
        """Return a layer on its variables; one object that stands in several places has them in the first."""
        if info.shared is not None:
            group = self.shared.setdefault(info.shared, group)
        return Layer(self, info, group, parent)

    # -- calls of layers -------------------------------------------------------------------------------------

    def call(self, b: Builder, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a layer on arguments (values, Masked values, constants); return its results, each Masked.

        Raises UnsupportedError, with no items where only an earlier one is the reason.
        """
        loc = Loc(layer.path, layer.class_name)
        start = len(b.nodes)
        with b.at(loc):
            try:
                if layer.info.is_network and self.own(layer.info) is None:
                    results = self._nested(b, layer, args, kwargs)
                else:
                    results = self._layer(b, layer, args, kwargs)
            except (ConvertError, RecursionError) as error:
                raise explained(error, loc) from error
            except Exception as error:
                raise ConvertError(
                    f"{loc}: its config or its call is not one that Keras writes "
                    f"({type(error).__name__}: {error}). "
                    "If Keras loads this model, this is a defect of Litecast: please report it"
                ) from error
        flat = list(flatten(results))
        if any(result is MISSING for result in flat):
            raise UnsupportedError(())
        name_results([result.value for result in flat], loc, b.nodes[start:])
        return results

    def _layer(self, b: Builder, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        importer = self.importer(layer)
        kwargs = dict(kwargs)
        if _is_true(kwargs.pop("training", None)):
            _judge_training(layer, importer)
        bound = importer.bind(args, kwargs, layer.class_name)
        if importer.autocast and layer.config.get("autocast") is not False:
            bound = {name: map_leaves(lambda x: _autocast(b, x, layer.dtype), x) for name, x in bound.items()}
        masks = _Masks(bound, importer, self.is_legacy)
        context = {"layer": layer, "op": layer.class_name, **masks.context}
        options = importer.options(layer.config, context, layer.class_name)
        asked = {name: context[name] for name in importer.contract.keywords & context.keys()}
        named = {name: values_of(value) for name, value in bound.items() if name not in masks.context}
        positional = [named.pop(name) for name in list(named) if name.isdigit()]
        if positional:
            positional = [named.pop(name) for name in importer.contract.inputs if name in named] + positional
        results = importer.function(b, *positional, **named, **options, **asked)
        if importer.takes_masks and not self.is_legacy:
            self._unmasked.update((id(x.value), x.value) for x in flatten(bound) if isinstance(x, Masked))
        if importer.training_only:
            self.dropped.setdefault(layer.class_name, set()).add(layer.path)
        return masks.attach(results)

    def importer(self, layer: Layer) -> LayerImporter:
        """Return the importer of a layer; UnsupportedError where there is none."""
        info = layer.info
        importer = self.own(info) or find_importer(info)
        if importer is None:
            kind = "keras.ops function" if info.is_operation else "layer"
            reason = f"Litecast does not know this {kind}"
            raise UnsupportedError(
                Unsupported(info.class_name, reason, layer.path, WAYS_OUT.format(info.class_name))
            )
        return importer

    def own(self, info: LayerConfig) -> LayerImporter | None:
        """Return the user's lowering of a class, by registered name or its own; None where there is none."""
        return self.custom.get(info.registered) or self.custom.get(info.class_name)

    # -- models ----------------------------------------------------------------------------------------------

    def network(self, info: LayerConfig) -> Network:
        """Return the graph of a model's config, read once."""
        if id(info) not in self._networks:
            if info.class_name not in MODELS:
                self.note(
                    f"model {info.name} of class {info.class_name} is converted by its graph of layers: "
                    "a `call` of its own is not seen"
                )
            network = Network.of(info)
            if not self.is_legacy and contains(info, "MultiHeadAttention"):
                network.calls = keras_order(network)  # the first of two takes the masks
            self._networks[id(info)] = network
        return self._networks[id(info)]

    def _nested(self, b: Builder, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        network = self.network(layer.info)
        kwargs = dict(kwargs)
        if _is_true(kwargs.pop("training", None)) and self.is_legacy:
            raise layer.unsupported("the model calls it with training=True", "call it without `training`")
        mask = kwargs.pop("mask", None)
        given = [*args, *kwargs.values()]
        values = _match(network, given[0] if len(given) == 1 else given, layer.path)
        if mask is not None:
            masks = list(flatten(mask))
            values = [
                Masked(value.value, m) if m is not None else value
                for value, m in zip(values, masks, strict=True)
            ]
        refs = list(flatten(network.inputs))
        conformed = [
            Masked(conform(b, value.value, network.layers[ref.layer]), _value_or_none(value.mask))
            for value, ref in zip(values, refs, strict=True)
        ]
        return self.evaluate(b, network, layer.group, conformed, layer.path)

    def evaluate(
        self, b: Builder, network: Network, group: Any, inputs: Sequence[Masked], path: str = ""
    ) -> Any:
        """Run a model's graph on its inputs (in flattened order); return its outputs in their structure."""
        layers = self._layers(network, group, path)
        env: dict[tuple[str, int], list[Any]] = {}
        for ref, value in zip(flatten(network.inputs), inputs, strict=True):
            env[ref.layer, ref.node] = [value]
        pending = [call for call in network.calls if (call.layer, call.node) not in env]
        while pending:
            waiting = []
            for call in pending:
                if all(
                    (ref.layer, ref.node) in env for ref in flatten([call.args, call.kwargs]) if _is_ref(ref)
                ):
                    env[call.layer, call.node] = self._node(b, layers[call.layer], call, env)
                else:
                    waiting.append(call)
            if len(waiting) == len(pending):
                names = ", ".join(sorted({call.layer for call in waiting})[:5])
                raise ConvertError(
                    f"the config of model {network.name} has loops or loose ends: nothing leads to the "
                    f"inputs of {names}"
                )
            pending = waiting
        return map_leaves(lambda ref: _lookup(env, ref), network.outputs)

    def walk(self, info: LayerConfig, group: Any, path: str = "") -> Iterator[Layer]:
        """Yield the layers of a model, and those of the models in it."""
        for layer in self._layers(self.network(info), group, path).values():
            yield layer
            if layer.info.is_network:
                yield from self.walk(layer.info, layer.group, layer.path)

    def _layers(self, network: Network, group: Any, path: str) -> dict[str, Layer]:
        held = [
            info
            for info in network.layers.values()
            if not info.is_operation and info.name not in network.made
        ]
        groups = group.layers([LayerKey(info.class_name, info.name, info.trainable) for info in held])
        found = {info.name: self.layer(info, inner, path) for info, inner in zip(held, groups, strict=True)}
        for name, info in network.layers.items():
            if name not in found:
                found[name] = Layer(self, info, group, path)
        return found

    def _node(self, b: Builder, layer: Layer, call: Any, env: Mapping[tuple[str, int], Any]) -> list[Any]:
        """Run one call; what cannot be converted is kept in `missing`."""
        args = map_leaves(lambda leaf: self._current(_lookup(env, leaf)), call.args)
        kwargs = map_leaves(lambda leaf: self._current(_lookup(env, leaf)), call.kwargs)
        try:
            if any(leaf is MISSING for leaf in flatten([args, kwargs])):
                self._find_unknown(layer)
                return []
            return list(flatten(self.call(b, layer, args, kwargs)))
        except UnsupportedError as error:
            self.missing += [
                item if item.place else Unsupported(item.op, item.reason, layer.path, item.hint)
                for item in error.items
            ]
            return []

    def _current(self, leaf: Any) -> Any:
        """Return a tensor without the mask that a layer has taken off it."""
        return Masked(leaf.value) if isinstance(leaf, Masked) and id(leaf.value) in self._unmasked else leaf

    def _find_unknown(self, layer: Layer) -> None:
        """Raise UnsupportedError for layers that nobody knows, where a call cannot be traced."""
        if not layer.info.is_network:
            refused = "" if layer.class_name == "InputLayer" else self.importer(layer).refused
            if refused:
                raise layer.unsupported(refused, WAYS_OUT.format(layer.class_name))
            return
        items: list[Unsupported] = []
        for info in self.network(layer.info).layers.values():
            try:
                self._find_unknown(Layer(self, info, None, layer.path))
            except UnsupportedError as error:  # noqa: PERF203 (one error for all of them)
                items += error.items
        if items:
            raise UnsupportedError(items)


class _Masks:
    """The masks of one call, as Keras finds them (layers/layer.py, `__call__`), and those of its results."""

    def __init__(self, bound: dict[str, Any], importer: LayerImporter, is_legacy: bool) -> None:
        names = importer.contract.inputs
        self.importer = importer
        explicit = _value_or_none(bound.pop("mask", None)) if "mask" not in names else None
        first = bound.get(names[0] if names else "0")
        attached = map_leaves(_mask_of, first)
        self.previous = attached if explicit is None else explicit
        several = sum(any(isinstance(leaf, Masked) for leaf in flatten(x)) for x in bound.values()) > 1
        hidden = several and explicit is None and not is_legacy
        self.context: dict[str, Any] = {"mask": None if hidden else self.previous}
        for name in importer.contract.keywords:
            if name.endswith("_mask") and name.removesuffix("_mask") in names:
                given = _value_or_none(bound.pop(name, None))
                if importer.takes_masks and name == f"{names[0]}_mask" and not is_legacy:
                    given = None  # its call asks the tensor
                source = bound.get(name.removesuffix("_mask"))
                filled = map_leaves(_mask_of, source) if several or is_legacy else None
                self.context[name] = filled if given is None else given

    def attach(self, results: Any) -> Any:
        """Return the results of the importer, each Masked."""
        masks = list(flatten(self.previous)) if self.importer.masking == "pass" else []
        position = iter(range(len(list(flatten(results)))))

        def masked(result: Any) -> Masked:
            index = next(position)
            if isinstance(result, Masked):
                return result
            return Masked(result, masks[index] if index < len(masks) else None)

        return map_leaves(masked, results)


def _mask_of(x: Any) -> Any:
    return x.mask if isinstance(x, Masked) else None


def _value_or_none(x: Any) -> Any:
    return None if x is None else map_leaves(lambda leaf: leaf.value if isinstance(leaf, Masked) else leaf, x)


def _is_ref(leaf: Any) -> bool:
    return isinstance(leaf, Ref)


def _lookup(env: Mapping[tuple[str, int], Any], ref: Any) -> Any:
    """Return the tensor of a Ref, any other leaf as it is."""
    if not isinstance(ref, Ref):
        return ref
    results = env.get((ref.layer, ref.node))
    if results is None:
        raise ConvertError(f"the config refers to call {ref.node} of {ref.layer}, which it does not have")
    if not results:
        return MISSING
    if ref.tensor >= len(results):
        raise ConvertError(
            f"the config refers to output {ref.tensor} of {ref.layer}, which has {len(results)}"
        )
    return results[ref.tensor]


def _is_true(training: Any) -> bool:
    return isinstance(training, (bool, int, float, np.bool_)) and bool(training)


def _judge_training(layer: Layer, importer: LayerImporter) -> None:
    """Raise UnsupportedError where `training=True`, recorded with a call, changes the result.

    It does in Keras 2 only. Keras 3 also records what is only the default of `call`, and overrides what is
    recorded in a model called with training=False (keras/src/models/functional.py, `operation_fn`).
    """
    drops = any(layer.config.get(key) for key in ("dropout", "recurrent_dropout", "rate"))
    matters = drops or "BatchNorm" in layer.class_name
    if layer.is_legacy and (importer.training_only or matters):
        raise layer.unsupported(
            "the model calls it with training=True, so its result is random or depends on the batch",
            "build the model without `training=True`",
        )
    if matters:
        layer.note(f"{layer.path} is called with training=True, which Keras 3 overrides in inference")


def _autocast(b: Builder, x: Any, dtype: DType) -> Any:
    """Convert floats to what the layer computes in, as Keras does; leave all else."""
    value = x.value if isinstance(x, Masked) else x
    if not isinstance(value, Value) or not dtype.is_float or not value.dtype.is_float:
        return x
    if value.dtype is dtype:
        return x
    cast = b(Cast(value.dtype, dtype), value)
    return Masked(cast, x.mask) if isinstance(x, Masked) else cast


def _match(network: Network, given: Any, path: str) -> list[Masked]:
    """Return what a nested model is called with, in the order of its own inputs."""
    wanted = list(flatten(network.inputs))
    if isinstance(given, Mapping) and not isinstance(network.inputs, Mapping):
        names = [ref.layer for ref in wanted]
        if not set(names) <= set(given):
            raise ConvertError(f"model {path} is called with inputs {sorted(given)}, its inputs are {names}")
        given = [given[name] for name in names]
    elif isinstance(given, Mapping):
        given = {key: given[key] for key in network.inputs if key in given}
    flat = list(flatten(given))
    if len(flat) != len(wanted):
        raise ConvertError(f"model {path} has {len(wanted)} inputs and is called with {len(flat)}")
    return [x if isinstance(x, Masked) else Masked(x) for x in flat]


def conform(b: Builder, x: Any, entry: LayerConfig) -> Any:
    """Return a value with the rank and element type that an input layer asks for.

    A last axis of size 1 is dropped or added (Keras models/functional.py, `_adjust_input_rank`).
    """
    shape = entry.config.get("batch_shape")
    if not isinstance(x, Value):
        x = b.const(x)
    if shape is not None and x.type.shape is not None:
        if x.type.rank == len(shape) + 1 and x.type.shape[-1] == 1:
            x = array.squeeze(b, x, [-1])
        elif x.type.rank == len(shape) - 1 and shape[-1] == 1:
            x = array.expand_dims(b, x, -1)
    name = entry.config.get("dtype")
    dtype = DType.of(np.dtype(name)) if isinstance(name, str) and name in _PLAIN else x.dtype
    return x if x.dtype is dtype else b(Cast(x.dtype, dtype), x)


_PLAIN = frozenset({"float32", "int32", "int64", "uint8", "int8", "int16", "bool"})
