"""Keras models in memory, of Keras 3 (any backend) and tf_keras, read through the objects' own attributes.

Nothing is imported: what is needed of a framework is reached through the modules that define the model.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litecast.errors import ConvertError, FormatError
from litecast.frontend.keras.archive import KerasSource
from litecast.frontend.keras.hdf5 import Stored
from litecast.frontend.keras.weights import Group, LayerKey, Weights, check_shape, joined, listed, snake_case

__all__ = ["LiveWeights", "backend_of", "is_live", "needs_backend", "read_live"]

_ROOTS = frozenset({"keras", "tf_keras"})
_READABLE = frozenset({"Functional", "Sequential"})
_OPAQUE = frozenset({"Lambda", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFSMLayer"})
"""Layers of Keras that only their framework can read."""
_CODE = frozenset({"call", "__call__"})


def is_live(model: Any) -> bool:
    """Whether an object is a Keras model in memory."""
    return _model_class(model) is not None


def backend_of(model: Any) -> str:
    """Return the name of the framework that a model computes with."""
    if _root(model) == "tf_keras":
        return "tensorflow"
    module = sys.modules.get("keras.src.backend.config") or sys.modules.get("keras.backend")
    return str(module.backend()) if module is not None else "tensorflow"


def needs_backend(model: Any, known: Collection[str] = ()) -> str:
    """Say why a model cannot be read through its config, "" where it can.

    `known` are the classes of the user's own layers that have a lowering.
    """
    kind = _graph_class(model)
    if kind is None:
        return f"{type(model).__name__} is a subclassed model, whose computation is Python code"
    for layer in _layers_of(model):
        name = type(layer).__name__
        if name in known or name == "InputLayer":
            continue
        if is_live(layer):
            reason = needs_backend(layer, known)
        elif name in _OPAQUE:
            reason = f"the layer {layer.name} is a {name}, which only its framework can read"
        elif type(layer).__module__.partition(".")[0] not in _ROOTS:
            reason = f"the layer {layer.name} is of the custom class {name}"
        else:
            reason = _held_reason(layer, known)
        if reason:
            return reason
    return ""


def read_live(model: Any) -> KerasSource:
    """Read a functional or sequential model in memory: its config, and views of its variables.

    Raises ConvertError for a model that is not built or whose config cannot be had.
    """
    name = str(model.name)
    if not getattr(model, "built", True):
        raise ConvertError(
            f"model {name} is not built, so that nothing says what shape its input has: call it once, or "
            "`model.build(shape)`"
        )
    try:
        config = json.loads(_serialized(model))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ConvertError(f"model {name} has no config: {str(error).strip().splitlines()[0]}") from error
    version = getattr(sys.modules[_root(model)], "__version__", "2" if _root(model) == "tf_keras" else "3")
    return KerasSource(f"model {name}", config, LiveWeights(model), str(version), name)


class LiveWeights(Weights):
    """The variables of a model in memory."""

    def __init__(self, model: Any) -> None:
        self.url = f"model {model.name}"
        self._root = LiveGroup(self, model, "")

    def root(self, layers: Sequence[LayerKey]) -> Group:
        """Give the group of the model itself."""
        return self._root


class LiveGroup(Group):
    """A layer object, or None where the model holds none of that name."""

    def __init__(self, weights: LiveWeights, layer: Any, path: str) -> None:
        self._weights, self._layer, self.path = weights, layer, path
        self._order: dict[str, int] = {}
        self._children: dict[str, LiveGroup] = {}
        self._variables: dict[str, Stored] | None = None

    def weight(self, name: str, shape: tuple[int, ...], trainable: bool = True) -> np.ndarray:
        """Give the variable `name`: the n-th distinct name asked for is the n-th variable."""
        index = self._order.setdefault(name, len(self._order))
        own = self._own()
        found = own.get(str(index), own.get(name))
        if found is None:
            there = listed(own.values()) or "no variables"
            place = self.path or "the model"
            raise FormatError(self._weights.url, f"{place} needs {name} {tuple(shape)}; it has {there}")
        check_shape(self._weights.url, self.path, name, shape, found)
        return found.array

    def child(self, attribute: str, trainable: bool = True) -> Group:
        """Give the group of the sublayer held under an attribute."""
        if attribute not in self._children:
            layer = _held(self._layer, attribute.split("/"))
            self._children[attribute] = LiveGroup(self._weights, layer, joined(self.path, attribute))
        return self._children[attribute]

    def layers(self, layers: Sequence[LayerKey]) -> list[Group]:
        """Give the groups of the layers of a model, found by name."""
        named = {layer.name: layer for layer in _layers_of(self._layer)}
        for key in layers:
            if key.name not in self._children:
                layer = named.get(key.name)
                self._children[key.name] = LiveGroup(self._weights, layer, joined(self.path, key.name))
        return [self._children[key.name] for key in layers]

    def asset(self, filename: str) -> bytes | None:
        """Give a file that the layer would save beside its variables."""
        if not hasattr(self._layer, "save_assets"):
            return None
        with tempfile.TemporaryDirectory() as folder:
            self._layer.save_assets(folder)
            file = Path(folder) / filename
            return file.read_bytes() if file.is_file() else None

    def stored(self, key: str) -> np.ndarray | None:
        """Give a variable by the key that the layer saves it under."""
        found = self._own().get(key)
        return None if found is None else found.array

    def _own(self) -> dict[str, Stored]:
        """List the layer's variables as it saves them (`save_own_variables`), or as its call has them."""
        if self._variables is None:
            saved: dict[str, Any] = {}
            if _keeps_more(self._layer):
                saved = _as_called(self._layer)
            elif self._layer is not None:
                self._layer.save_own_variables(saved)
            self._variables = {key: _stored(joined(self.path, key), item) for key, item in saved.items()}
        return self._variables


def _keeps_more(layer: Any) -> bool:
    """Whether saving a Keras 3 layer merges or leaves out variables: adapted or quantized ones."""
    adapted = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    return bool(adapted) and hasattr(layer, "variable_serialization_spec")


def _as_called(layer: Any) -> dict[str, Any]:
    """List the variables in the order of a file, and those of LoRA by their names."""
    attributes = {"kernel": "_kernel", "embeddings": "_embeddings"}
    names = layer.variable_serialization_spec[layer.quantization_mode]
    found = [getattr(layer, attributes.get(name, name), None) for name in names]
    numbered = {str(index): item for index, item in enumerate(item for item in found if item is not None)}
    adapters = [f"lora_{name}_{half}" for name in attributes for half in "ab"]
    return {**numbered, **{name: getattr(layer, name) for name in adapters if hasattr(layer, name)}}


def _stored(name: str, variable: Any) -> Stored:
    shape = tuple(int(size) for size in variable.shape)
    return Stored(str(getattr(variable, "path", name)), shape, variable.dtype, lambda: _numpy(variable))


def _numpy(variable: Any) -> np.ndarray:
    """Return a variable's contents, on the CPU, of its own memory where its framework allows that."""
    value = getattr(variable, "value", variable)
    value = value() if callable(value) else value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            return np.asarray(variable)
    array: np.ndarray = np.asarray(value).view()
    array.flags.writeable = False
    return array


def _model_class(model: Any) -> Any:
    """Return the class Model of the framework that a model is of, None for other objects."""
    for kind in type(model).__mro__:
        if kind.__name__ == "Model" and kind.__module__.partition(".")[0] in _ROOTS:
            return kind
    return None


def _root(model: Any) -> str:
    return str(_model_class(model).__module__.partition(".")[0])


def _graph_class(model: Any) -> Any:
    """Return the class Functional or Sequential whose `call` a model has, None where it has its own.

    A model built from inputs and outputs is functional whatever its class, unless it has a `call` of its own.
    """
    for kind in type(model).__mro__:
        if kind.__name__ in _READABLE and kind.__module__.partition(".")[0] in _ROOTS:
            return kind
        if _CODE & kind.__dict__.keys():
            return None
    return None


def _layers_of(model: Any) -> list[Any]:
    """Return a model's layers, the input of a Sequential model included (`layers` leaves it out)."""
    if model is None:
        return []
    found = {id(layer): layer for layer in model.layers}
    held = getattr(model, "_layers", None) or ()
    found.update((id(layer), layer) for layer in held if hasattr(layer, "save_own_variables"))
    return list(found.values())


def _held_reason(layer: Any, known: Collection[str]) -> str:
    """Say which layer inside one of Keras's is a custom one: a cell, or what a wrapper wraps."""
    for inner in layer._flatten_layers(recursive=False, include_self=False):
        name = type(inner).__name__
        if is_live(inner):
            reason = needs_backend(inner, known)
        elif name in known or type(inner).__module__.partition(".")[0] in _ROOTS:
            reason = _held_reason(inner, known)
        else:
            reason = f"the layer {layer.name} holds the custom class {name}"
        if reason:
            return reason
    return ""


def _held(layer: Any, parts: Sequence[str]) -> Any:
    """Follow a path as Keras saves it: attributes, and class names numbered within lists."""
    for part in parts:
        if layer is None:
            return None
        if isinstance(layer, (list, tuple, Mapping)):
            layer = dict(_numbered(layer)).get(part)
        else:
            bare = part.lstrip("_")
            names = (name for name in (part, f"_{bare}", bare) if getattr(layer, name, None) is not None)
            layer = getattr(layer, next(names, part), None)
    return layer


def _numbered(container: Any) -> Iterator[tuple[str, Any]]:
    counts: dict[str, int] = {}
    for item in container.values() if isinstance(container, Mapping) else container:
        kind = snake_case(type(item).__name__)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        yield (f"{kind}_{number}" if number else kind), item


def _serialized(model: Any) -> str:
    """Serialize a model as saving it does, shared layers marked; `to_json` in versions before that."""
    library = sys.modules.get(f"{_root(model)}.src.saving.serialization_lib")
    if library is None:
        return str(model.to_json())
    with library.ObjectSharingScope():
        return json.dumps(library.serialize_keras_object(model))
