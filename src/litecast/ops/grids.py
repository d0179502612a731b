"""What the integer kernels of several operations share (see `QuantSpec`), as named specs."""

from __future__ import annotations

from litecast.ir.op import QuantSpec
from litecast.ir.types import DType

__all__ = [
    "ANY_SCALE",
    "ANY_SCALE_INT8",
    "COMPARISON",
    "CONVOLUTION",
    "HYBRID_ONLY",
    "ONE_SCALE",
    "ONE_SCALE_INT8",
    "ONE_SCALE_INT16",
    "PROBABILITY",
    "UNIT",
]

_INT8, _INT16 = frozenset({DType.INT8}), frozenset({DType.INT16})
_BOTH = _INT8 | _INT16

ANY_SCALE = QuantSpec(_BOTH)
"""The kernel rescales: every operand and result may have a grid of its own."""
ANY_SCALE_INT8 = QuantSpec(_INT8)
ONE_SCALE = QuantSpec(_BOTH, same_scale=_BOTH)
"""The kernel moves, compares or averages the stored numbers: one grid for all."""
ONE_SCALE_INT8 = QuantSpec(_INT8, same_scale=_INT8)
ONE_SCALE_INT16 = QuantSpec(_INT16, same_scale=_INT16)
"""As ONE_SCALE, but the kernel ignores the zero point, which only INT16 always has at 0."""
COMPARISON = QuantSpec(_BOTH, same_scale=_INT16)

PROBABILITY = {DType.INT8: (1 / 256, -128), DType.INT16: (1 / 32768, 0)}
"""The grid of results between 0 and 1."""
UNIT = {DType.INT8: (1 / 128, 0), DType.INT16: (1 / 32768, 0)}
"""The grid of results between -1 and 1."""

HYBRID_ONLY = {DType.FLOAT32: _INT8}
CONVOLUTION = {DType.FLOAT32: _INT8, DType.INT8: _INT8, DType.INT16: _INT8}
"""Element types of the activations -> those of a weight that goes with them."""
