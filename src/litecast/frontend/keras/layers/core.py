"""Dense, Identity and Lambda, and the layers that only training knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, linalg, nn

__all__: list[str] = []


@keras("Dense", masking="pass")
def dense(
    b: Builder, inputs: Value, *, layer: Layer, units: int, activation: Any = None, use_bias: bool = True
) -> Any:
    kernel = layer.weight(b, "kernel", (inputs.shape[-1], units))
    result = linalg.matmul(b, array.cast(b, inputs, DType.FLOAT32), kernel)
    if use_bias:
        result = nn.add_channels(b, result, layer.weight(b, "bias", (units,)))
    return layer.activate(b, activation, result)


@keras("Identity", masking="pass")
def identity(b: Builder, inputs: Any) -> Any:
    return inputs


# -- training only -----------------------------------------------------------------------------------------

# Class -> config keys that say how it trains.
TRAINING_ONLY = {
    "ActivityRegularization": ("l1", "l2"),
    "AlphaDropout": ("rate", "noise_shape"),
    "Dropout": ("rate", "noise_shape"),
    "GaussianDropout": ("rate",),
    "GaussianNoise": ("stddev",),
    "SpatialDropout1D": ("rate", "noise_shape"),
    "SpatialDropout2D": ("rate", "noise_shape", "data_format"),
    "SpatialDropout3D": ("rate", "noise_shape", "data_format"),
}

for _name, _keys in TRAINING_ONLY.items():
    keras(_name, masking="pass", training_only=True, harmless=_keys)(identity)


# -- Lambda ------------------------------------------------------------------------------------------------

LAMBDA = "it runs Python code, which a file only names or pickles; pickled code is never run"
WAYS_OUT = (
    "use keras.ops functions or a layer of your own instead and save again, give the lowering of a named "
    "function, custom_objects={{{0!r}: function}} with function(b, inputs, **arguments), or export the model "
    "with `model.export(path)` and convert that SavedModel (docs/keras.md)"
)


@keras("Lambda", refused="Python code is not run; the user's lowering of a named function is")
def lambda_layer(b: Builder, *inputs: Any, layer: Layer, **config: Any) -> Any:
    name = function_name(config.get("function"))
    own = None if name is None else layer.tracer.custom.get(name)
    if own is None or config.get("mask") is not None:
        raise layer.unsupported(LAMBDA, WAYS_OUT.format(name or "name"))
    return own.function(b, *inputs, **(config.get("arguments") or {}))


def function_name(function: Any) -> str | None:
    """Return the name of a serialized function, None for pickled code."""
    if isinstance(function, Mapping) and function.get("class_name") == "function":
        function = function.get("config")
    return function if isinstance(function, str) else None
