"""Elementwise arithmetic, activations and casts; every operand of a binary operation has one element type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Op, Operands, Outputs
from litecast.ir.types import DType, TensorType, broadcast
from litecast.ops.enums import Activation

FLOAT = frozenset({DType.FLOAT32})


class Unary(Op):
    """An operation whose result has the type of its operand."""

    def infer(self, x: Value) -> Inferred:
        """Return the operand's type."""
        return TensorType(x.dtype, x.type.shape)


class Binary(Op):
    """An operation with numpy broadcasting on two operands of one element type."""

    same_dtype = True

    def infer(self, x: Value, y: Value) -> Inferred:
        """Return the broadcast type."""
        return TensorType(same_dtype(x, y), broadcast_types(x, y))


def same_dtype(*values: Value) -> DType:
    """Return the one element type of the operands; ValueError where they differ."""
    if len({value.dtype for value in values}) > 1:
        raise ValueError(f"operands of different element types {', '.join(value.dtype.name for value in values)}")
    return values[0].dtype


def broadcast_types(*values: Value) -> Any:
    """Return the broadcast shape of the operands, None where a rank is unknown."""
    shapes = [value.type.shape for value in values]
    return None if None in shapes else broadcast(*(shape for shape in shapes if shape is not None))


ACTIVATE: dict[Activation, Any] = {
    Activation.NONE: lambda x: x,
    Activation.RELU: lambda x: np.maximum(x, x.dtype.type(0)),
    Activation.RELU_N1_TO_1: lambda x: np.clip(x, x.dtype.type(-1), x.dtype.type(1)),
    Activation.RELU6: lambda x: np.clip(x, x.dtype.type(0), x.dtype.type(6)),
    Activation.TANH: np.tanh,
}
"""What a fused activation does to the result (kernel_util.h CalculateActivationRange)."""


@dataclass(frozen=True)
class Add(Binary, code=0, options="AddOptions"):
    """x + y."""

    fused_activation_function: Activation = Activation.NONE
    pot_scale_int16: bool = True
    tracked = True

    def eval(self, x: Array, y: Array) -> Array:
        """Add, then activate."""
        return ACTIVATE[self.fused_activation_function](np.add(x, y))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc, kTfLiteBuiltinAdd."""
        raise NotImplementedError
