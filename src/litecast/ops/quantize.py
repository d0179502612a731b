"""Conversions between real and quantized tensors, and of sparse constants to dense ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from litecast.ir.graph import Value
from litecast.ir.op import UNWRITTEN, Inferred, Op
from litecast.ir.types import DType, Quant, TensorType

__all__ = ["Densify", "Dequantize", "FakeQuant", "Quantize"]


@dataclass(frozen=True)
class Quantize(Op, code=114, options="QuantizeOptions"):
    """Quantize, or requantize, to an element type and quantization (a file has them on the output only)."""

    dtype: DType = field(default=DType.INT8, metadata=UNWRITTEN)
    quant: Quant | None = field(default=None, metadata=UNWRITTEN)

    def infer(self, x: Value) -> Inferred:
        return TensorType(self.dtype, x.type.shape, self.quant)


@dataclass(frozen=True)
class Dequantize(Op, code=6, options="DequantizeOptions"):
    """The real numbers of a quantized tensor; FLOAT16 and 8-bit floats are widened."""

    def infer(self, x: Value) -> Inferred:
        return TensorType(DType.FLOAT32, x.type.shape)


@dataclass(frozen=True)
class FakeQuant(Op, code=80, options="FakeQuantOptions"):
    """Round to the grid of `num_bits` between `min` and `max`, staying FLOAT32."""

    min: float = 0.0
    max: float = 0.0
    num_bits: int = 0
    narrow_range: bool = False

    def infer(self, x: Value) -> Inferred:
        return TensorType(x.dtype, x.type.shape)


@dataclass(frozen=True)
class Densify(Op, code=124, options="DensifyOptions"):
    """The dense form of a constant whose tensor says how it is sparse."""

    def infer(self, x: Value) -> Inferred:
        return TensorType(x.dtype, x.type.shape, x.type.quant)
