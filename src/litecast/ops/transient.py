"""Operations without a builtin that never reach a file: rules see idioms by them, legalization expands them.

They are the exception to "the operation set is the TFLite builtin set": what erf expands to hides a GELU.
"""

from __future__ import annotations

import math

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Op, operation
from litecast.ir.types import DType, TensorType

__all__ = ["Erf", "Erfc"]


class Transient(Op):
    """An elementwise function of float32 that the runtime lacks."""

    def infer(self, x: Value) -> Inferred:
        """Return the operand's type."""
        if x.dtype is not DType.FLOAT32:
            raise ValueError(f"{self.name} takes float32, not {x.dtype.name.lower()}")
        return TensorType(x.dtype, x.type.shape)


@operation
class Erf(Transient):
    """The error function."""

    def eval(self, x: Array) -> Array:
        """Compute in float64."""
        return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


@operation
class Erfc(Transient):
    """The complementary error function, 1 - erf(x) without its cancellation."""

    def eval(self, x: Array) -> Array:
        """Compute in float64."""
        return np.vectorize(math.erfc, otypes=[np.float64])(x).astype(x.dtype)
