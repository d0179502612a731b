"""Activations as configs give them: names, serialized functions and layers, and functions of `tf.nn`.

Keras 2 and Keras 3 define `hard_sigmoid` differently (tf_keras/src/backend.py,
keras/src/backend/tensorflow/nn.py): who wrote the model decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from litecast import ops
from litecast.errors import UnsupportedError
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import activation, array, math, nn
from litecast.ops.transient import Erf

__all__ = ["ACTIVATIONS", "activate", "find", "rectify"]

Activation = Callable[[Builder, Any], Any]


def _one(op: Any) -> Activation:
    return lambda b, x: b(op, x)


def _linear(b: Builder, x: Any) -> Any:
    return x


ACTIVATIONS: dict[str, Activation] = {
    "celu": activation.celu,
    "elu": activation.elu,
    "exponential": _one(ops.Exp()),
    "gelu": partial(activation.gelu, approximate=False),
    "glu": activation.glu,
    "hard_shrink": activation.hard_shrink,
    "hard_sigmoid": activation.hard_sigmoid,
    "hard_silu": activation.hard_silu,
    "hard_swish": activation.hard_silu,
    "hard_tanh": activation.hard_tanh,
    "leaky_relu": partial(activation.leaky_relu, negative_slope=0.2),
    "linear": _linear,
    "log_sigmoid": activation.log_sigmoid,
    "log_softmax": activation.log_softmax,
    "mish": activation.mish,
    "relu": activation.relu,
    "relu6": activation.relu6,
    "selu": nn.selu,
    "sigmoid": _one(ops.Logistic()),
    "silu": activation.silu,
    "soft_shrink": activation.soft_shrink,
    "softmax": activation.softmax,
    "softplus": nn.softplus,
    "softsign": nn.softsign,
    "sparse_plus": activation.sparse_plus,
    "sparse_sigmoid": activation.sparse_sigmoid,
    "sparsemax": activation.sparsemax,
    "squareplus": activation.squareplus,
    "swish": activation.silu,
    "tanh": _one(ops.Tanh()),
    "tanh_shrink": activation.tanh_shrink,
}
"""`keras.activations` by name, with its defaults (keras/src/activations/activations.py)."""
LEGACY: dict[str, Activation] = {"hard_sigmoid": partial(activation.hard_sigmoid, slope=0.2)}
"""What Keras 2 computes otherwise."""
FUNCTIONS: dict[str, Activation] = {
    "abs": math.absolute,
    "absolute": math.absolute,
    "cos": _one(ops.Cos()),
    "erf": _one(Erf()),
    "exp": _one(ops.Exp()),
    "identity": _linear,
    "log_softmax_v2": activation.log_softmax,
    "sin": _one(ops.Sin()),
    "softmax_v2": activation.softmax,
    "sqrt": _one(ops.Sqrt()),
    "square": math.square,
}
"""Functions of TensorFlow and `keras.ops` that models use as activations, by their own names."""
ANY_NUMBER = frozenset({"abs", "absolute", "identity", "linear", "relu", "relu6", "square"})
"""Activations that integers may have too."""
PICKLED = "<lambda>"
"""The name of a Python lambda, whose code Keras pickles."""
WAYS_OUT = (
    'give its lowering, custom_objects={{"{0}": function}} with function(b, x) (docs/keras.md), or '
    "export the model with `model.export(path)` and convert that SavedModel"
)


def activate(b: Builder, spec: Any, x: Value, layer: Layer) -> Any:
    """Return x after an activation; UnsupportedError where it is code, or a function of the user's own."""
    if spec is None:
        return x
    name = _name(spec)
    if name is None:
        return layer.child("activation", spec)(b, x)
    own = layer.tracer.custom.get(name) or layer.tracer.custom.get(name.rpartition(">")[2])
    if own is not None:
        return own.function(b, x)
    found = find(name, layer.is_legacy)
    if found is None:
        raise _unknown(name, layer)
    if name in FUNCTIONS:
        layer.note(f"its activation is a function called {name}, taken for that of TensorFlow or keras.ops")
    if name in ANY_NUMBER:
        return found(b, x)
    return nn.in_float32(b, partial(found, b), x)


def find(name: str, is_legacy: bool = False) -> Activation | None:
    """Return the function of an activation's name (`tf.nn.relu` is relu), None where there is none."""
    name = name.rpartition(".")[2] if name.startswith("tf.") else name
    if is_legacy and name in LEGACY:
        return LEGACY[name]
    return ACTIVATIONS.get(name) or FUNCTIONS.get(name)


def _name(spec: Any) -> str | None:
    """Return the name of a function, PICKLED for code; None for a serialized layer."""
    if isinstance(spec, Mapping):
        kind, inner = spec.get("class_name"), spec.get("config")
        if kind in ("__lambda__", None):
            return PICKLED
        return inner if kind == "function" and isinstance(inner, str) else None
    return spec if isinstance(spec, str) else repr(spec)


def _unknown(name: str, layer: Layer) -> UnsupportedError:
    if name == PICKLED:
        return layer.unsupported(
            "its activation is a Python lambda: pickled code is never run",
            "build the model with an activation of keras.activations, or export it with "
            "`model.export(path)` and convert that SavedModel",
        )
    return layer.unsupported(f"Litecast does not know its activation {name!r}", WAYS_OUT.format(name))


def rectify(
    b: Builder, x: Value, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """Return `keras.activations.relu` with all its options (keras/src/activations/activations.py, `ReLU`)."""
    if x.dtype.is_integer and negative_slope:
        x = array.cast(b, x, DType.FLOAT32)
    elif x.dtype.is_integer:  # Keras casts the limits to the element type
        threshold, max_value = int(threshold), None if max_value is None else int(max_value)
    if negative_slope and max_value is None and not threshold:
        return activation.leaky_relu(b, x, negative_slope)
    if threshold:
        result = activation.threshold(b, x, threshold, 0)
        result = result if max_value is None else activation.clip(b, result, 0, max_value)
    elif max_value == 6:
        result = activation.relu6(b, x)
    else:
        result = activation.clip(b, activation.relu(b, x), high=max_value)
    if negative_slope:
        below = activation.relu(b, math.apply(b, ops.Sub(), b.const(threshold, dtype=x.dtype), x))
        result = math.apply(b, ops.Sub(), result, math.apply(b, ops.Mul(), below, negative_slope))
    return result
