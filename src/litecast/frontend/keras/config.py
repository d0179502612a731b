"""Serialized Keras objects as data: one form for what Keras 2 and Keras 3 write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from litecast.errors import ConvertError
from litecast.ir.types import DType

__all__ = ["MODELS", "LayerConfig", "decode", "is_modern", "is_serialized", "parse", "policy_name"]

RENAMED: dict[str, dict[str, str]] = {
    "": {"batch_input_shape": "batch_shape"},
    "CategoryEncoding": {"max_tokens": "num_tokens"},
    "IntegerLookup": {"mask_value": "mask_token", "max_values": "max_tokens", "oov_value": "oov_token"},
    "LeakyReLU": {"alpha": "negative_slope"},
}
"""Class ("": all) -> config keys of older versions and what Keras 3 calls them."""

MODELS = frozenset({"Functional", "Model", "Sequential"})
"""Keras's own classes of models that are their layers."""
_SILENT = frozenset(
    {"Discretization", "HashedCrossing", "Pipeline", *(f"SpatialDropout{rank}D" for rank in (1, 2, 3))}
)
"""Layers of Keras 3 whose `get_config` does not say whether they are trainable."""
_HOLDERS = frozenset({"Pipeline"})
"""Layers that hold a list of layers and are no models."""
_WRAPPERS: dict[Any, Any] = {"__tuple__": tuple, "TensorShape": tuple, "ListWrapper": list}


@dataclass(frozen=True)
class LayerConfig:
    """A serialized layer: class, name, config under Keras 3's names (decoded), and its calls as written."""

    class_name: str
    name: str
    config: Mapping[str, Any]
    module: str = ""
    registered: str = ""
    nodes: list[Any] = field(default_factory=list)
    build: Mapping[str, Any] = field(default_factory=dict)
    shared: int | None = None

    @property
    def is_operation(self) -> bool:
        """Whether this is a call of a `keras.ops` function, not a layer.

        HDF5 files of Keras 3 leave modules out; but nearly every layer says whether it is trainable.
        """
        if self.module:
            return ".ops" in f".{self.module}"
        modern = any(map(is_modern, self.nodes))
        silent = "trainable" not in self.config and self.class_name not in _SILENT
        return modern and silent and not self.is_network

    @property
    def is_network(self) -> bool:
        """Whether this is a model of layers, Functional or Sequential, also by a class of the user's own."""
        return isinstance(self.config.get("layers"), list) and self.class_name not in _HOLDERS

    @property
    def trainable(self) -> bool:
        """Whether the layer's own flag is set."""
        return self.config.get("trainable") is not False

    @property
    def built_shape(self) -> Any:
        """The input shape that the layer was built for (None: the file does not say)."""
        return self.build.get("input_shape") or self.config.get("build_input_shape")


def parse(serialized: Any) -> LayerConfig:
    """Read a serialized layer; ConvertError where it is none."""
    if not isinstance(serialized, Mapping) or not isinstance(serialized.get("class_name"), str):
        raise ConvertError(f"the config has {_brief(serialized)} where it should have a serialized layer")
    config = serialized.get("config")
    if isinstance(config, list):  # Sequential models of Keras before 2.2.3
        config = {"layers": config}
    if not isinstance(config, Mapping):
        raise ConvertError(f"the config of {serialized['class_name']} is {_brief(config)}, not a dictionary")
    registered = serialized.get("registered_name") or ""
    class_name = serialized["class_name"]
    renamed = {**RENAMED[""], **({} if registered else RENAMED.get(class_name, {}))}
    nodes = serialized.get("inbound_nodes") or []
    return LayerConfig(
        class_name.rpartition(">")[2],
        str(serialized.get("name") or config.get("name") or class_name.lower()),
        {str(renamed.get(key, key)): decode(value) for key, value in config.items()},
        serialized.get("module") or "",
        registered or (class_name if ">" in class_name else ""),
        nodes if isinstance(nodes, list) else [],
        serialized.get("build_config") or {},
        serialized.get("shared_object_id"),
    )


def decode(value: Any) -> Any:
    """Return what a JSON value stands for: arrays, tuples, slices, ...; serialized objects stay."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind, inner = value.get("class_name"), value.get("config")
    if "items" in value and kind in _WRAPPERS:
        return _WRAPPERS[kind](decode(item) for item in value["items"])
    if kind in ("__numpy__", "__tensor__") and isinstance(inner, Mapping):
        return np.array(inner["value"], DType.of(np.dtype(_numpy_name(inner["dtype"]))).numpy)
    if kind == "__slice__" and isinstance(inner, Mapping):
        return slice(*(decode(inner[part]) for part in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__bytes__":
        text = inner["value"] if isinstance(inner, Mapping) else value["value"]
        return str(text).encode()
    if kind is not None:
        return value
    if value.get("type") == "ndarray" and "value" in value:
        return np.array(value["value"])
    return {key: decode(item) for key, item in value.items()}


def _numpy_name(name: str) -> Any:
    import ml_dtypes

    return getattr(ml_dtypes, name, name) if name.startswith(("bfloat16", "float8", "int4")) else name


def is_modern(node: Any) -> bool:
    """Whether Keras 3 wrote a node; a dict in Keras 2 has the arguments of a model by name."""
    return isinstance(node, Mapping) and isinstance(node.get("args"), list) and "kwargs" in node


def is_serialized(value: Any) -> bool:
    """Whether a config value is a serialized object."""
    return isinstance(value, Mapping) and isinstance(value.get("class_name"), str) and "config" in value


def policy_name(policy: Any) -> str:
    """Return the name of a dtype policy as any version writes it: a name, or a serialized policy."""
    if isinstance(policy, Mapping):
        inner = policy.get("config") or {}
        name = inner.get("name") or inner.get("default_policy")
        return policy_name(name) if name is not None else "float32"
    return str(policy) if policy else "float32"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
