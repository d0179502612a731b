"""Activations: TensorFlow's rectifiers, sigmoids and softmaxes; half precision is computed in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, nn
from litecast.ops import (
    Elu,
    Gelu,
    LeakyRelu,
    Logistic,
    LogSoftmax,
    Maximum,
    Minimum,
    Relu,
    Relu6,
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
def activation(b: Builder, x: Value, *, op: str) -> Value:
    return nn.in_float32(b, lambda x: ACTIVATIONS[op](b, x), x)


@tf("Relu", "Relu6")
def relu(b: Builder, x: Value, *, op: str) -> Value:
    if x.dtype.is_integer:
        return _integer_relu(b, x, 6 if op == "Relu6" else None)
    kernel = Relu6() if op == "Relu6" else Relu()
    return nn.in_float32(b, lambda x: b(kernel, x), x)


def _integer_relu(b: Builder, x: Value, bound: int | None) -> Value:
    """Clip in INT32 or INT64: the kernels take floats and quantized numbers only (activations.cc)."""
    wide = DType.INT64 if x.dtype.bits > 32 or x.dtype is DType.UINT32 else DType.INT32
    y = b(Maximum(), array.cast(b, x, wide), 0)
    result: Value = array.cast(b, y if bound is None else b(Minimum(), y, bound), x.dtype)
    return result


@tf("LeakyRelu")
def leaky_relu(b: Builder, x: Value, *, alpha: float = 0.2) -> Value:
    return nn.in_float32(b, lambda x: b(LeakyRelu(alpha=alpha), x), x)


def activate(b: Builder, x: Value, op: str, name: str, leakyrelu_alpha: float) -> Value:
    """Apply the activation that `op` names in its `fused_ops`."""
    if name in ACTIVATIONS:
        return activation(b, x, op=name)
    if name in ("Relu", "Relu6"):
        return relu(b, x, op=name)
    if name == "LeakyRelu":
        return leaky_relu(b, x, alpha=leakyrelu_alpha)
    if name in GELUS:
        return nn.in_float32(b, lambda x: b(GELUS[name], x), x)
    raise UnsupportedError(
        Unsupported(op, f"it fuses {name}", hint="save the model without grappler's remapping")
    )
