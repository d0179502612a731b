"""Activations: TensorFlow's rectifiers, sigmoids and softmaxes; half precision is computed in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import activation, nn
from litecast.ops import (
    Elu,
    Gelu,
    LeakyRelu,
    Logistic,
    LogSoftmax,
    Softmax,
    Tanh,
)

Compute = Callable[[Builder, Any], Any]


def _one(op: Any) -> Compute:
    return lambda b, x: b(op, x)


ACTIVATIONS: dict[str, Compute] = {
    "Elu": _one(Elu()),
    "LogSoftmax": _one(LogSoftmax()),
    "Selu": nn.selu,
    "Sigmoid": _one(Logistic()),
    "Softmax": _one(Softmax(beta=1.0)),
    "Softplus": nn.softplus,
    "Softsign": nn.softsign,
    "Tanh": _one(Tanh()),
}
"""Activations of one float operand."""
GELUS = {"GeluApproximate": Gelu(approximate=True), "GeluExact": Gelu(approximate=False)}
"""Names that occur in `fused_ops` only."""


@tf(*ACTIVATIONS)
def apply(b: Builder, x: Value, *, op: str) -> Value:
    return nn.in_float32(b, lambda x: ACTIVATIONS[op](b, x), x)


RECTIFIERS = {"Relu": activation.relu, "Relu6": activation.relu6}


@tf(*RECTIFIERS)
def relu(b: Builder, x: Value, *, op: str) -> Value:
    result: Value = RECTIFIERS[op](b, x)
    return result


@tf("LeakyRelu")
def leaky_relu(b: Builder, x: Value, *, alpha: float = 0.2) -> Value:
    return nn.in_float32(b, lambda x: b(LeakyRelu(alpha=alpha), x), x)


def activate(b: Builder, x: Value, op: str, name: str, leakyrelu_alpha: float) -> Value:
    """Apply the activation that `op` names in its `fused_ops`."""
    if name in ACTIVATIONS:
        return apply(b, x, op=name)
    if name in RECTIFIERS:
        return relu(b, x, op=name)
    if name == "LeakyRelu":
        return leaky_relu(b, x, alpha=leakyrelu_alpha)
    if name in GELUS:
        return nn.in_float32(b, lambda x: b(GELUS[name], x), x)
    raise UnsupportedError(
        Unsupported(op, f"it fuses {name}", hint="save the model without grappler's remapping")
    )
