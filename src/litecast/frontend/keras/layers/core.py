"""Dense, Identity and Lambda, and the layers that only training knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litecast.frontend.keras.activations import ACTIVATIONS
from litecast.frontend.keras.importer import Masked, keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.quantized import weight_and_bias
from litecast.frontend.keras.network import map_leaves
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, linalg, nn
from litecast.ops import Cos, Div

__all__: list[str] = []


@keras("Dense", masking="pass", harmless=("quantization_config",))  # the dtype policy has what it says
def dense(
    b: Builder, inputs: Value, *, layer: Layer, units: int, activation: Any = None, use_bias: bool = True
) -> Any:
    shape = (inputs.shape[-1], units)
    kernel, bias = weight_and_bias(b, layer, shape, (units,) if use_bias else None)
    result = linalg.matmul(b, array.cast(b, inputs, DType.FLOAT32), kernel)
    return layer.activate(b, activation, result if bias is None else nn.add_channels(b, result, bias))


@keras("RandomFourierFeatures", harmless=("scale",))  # a variable has it
def random_fourier_features(b: Builder, inputs: Value, *, layer: Layer, output_dim: int) -> Any:
    scale = layer.weight(b, "kernel_scale", (1,))
    kernel = layer.weight(b, "unscaled_kernel", (inputs.shape[-1], output_dim), trainable=False)
    bias = layer.weight(b, "bias", (output_dim,), trainable=False)
    x = array.cast(b, inputs, DType.FLOAT32)
    return b(Cos(), nn.add_channels(b, linalg.matmul(b, x, b(Div(), kernel, scale)), bias))


@keras("Identity", masking="pass")
def identity(b: Builder, inputs: Any, *, layer: Layer) -> Any:
    """Return the inputs; in Keras 2 without their masks (tf_keras/src/layers/core/identity.py)."""
    return map_leaves(Masked, inputs) if layer.is_legacy else inputs


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


def _unchanged(b: Builder, inputs: Any) -> Any:
    return inputs


for _name, _keys in TRAINING_ONLY.items():
    keras(_name, masking="pass", training_only=True, harmless=_keys)(_unchanged)


# -- layers of other frameworks ------------------------------------------------------------------------------

EXPORT = "export the model with `model.export(path)` and convert that SavedModel"
FOREIGN = {
    "DenseFeatures": ("its feature columns are objects of TensorFlow", EXPORT),
    "DynamicEmbedding": ("its vocabulary changes while it runs", EXPORT),
    "DynamicLookup": ("its vocabulary changes while it runs", EXPORT),
    "FlaxLayer": ("it runs a Flax module, which no file holds", EXPORT),
    "JaxLayer": ("it runs a JAX function, which no file holds", EXPORT),
    "SequenceFeatures": ("its feature columns are objects of TensorFlow", EXPORT),
    "TFSMLayer": ("it runs a SavedModel that lies elsewhere", f"convert that SavedModel, or {EXPORT}"),
    "TorchModuleWrapper": ("it runs a PyTorch module, which is pickled code", "build that part in Keras"),
}
"""Layers that cannot be read without their framework: why, and what to try."""


def _refuse(reason: str, hint: str) -> Any:
    def refuse(b: Builder, *inputs: Any, layer: Layer, **config: Any) -> Any:
        raise layer.unsupported(reason, f"{hint}, or give a lowering in custom_objects (docs/keras.md)")

    return refuse


for _name, (_reason, _hint) in FOREIGN.items():
    keras(_name, refused=_reason)(_refuse(_reason, _hint))

# -- Lambda ------------------------------------------------------------------------------------------------

LAMBDA = "it runs Python code, which a file only names or pickles; pickled code is never run"
WAYS_OUT = (
    "use keras.ops functions or a layer of your own instead and save again, give the lowering of a named "
    "function, custom_objects={{{0!r}: function}} with function(b, inputs, **arguments), or export the model "
    "with `model.export(path)` and convert that SavedModel (docs/keras.md)"
)


@keras(
    "Lambda", refused="Python code is not run; activations and the user's lowerings of named functions are"
)
def lambda_layer(b: Builder, *inputs: Any, layer: Layer, **config: Any) -> Any:
    name, arguments = _function_name(config.get("function")), config.get("arguments") or {}
    own = layer.tracer.custom.get(name or "")
    if own is not None and config.get("mask") is None:
        return own.function(b, *inputs, **arguments)
    if name in ACTIVATIONS and not arguments and config.get("mask") is None:
        return layer.activate(b, name, *inputs)  # Keras, too, takes such a name for its own function
    raise layer.unsupported(LAMBDA, WAYS_OUT.format(name or "name"))


def _function_name(function: Any) -> str | None:
    """Return the name of a serialized function, None for pickled code."""
    if isinstance(function, Mapping) and function.get("class_name") == "function":
        function = function.get("config")
    return function if isinstance(function, str) else None
