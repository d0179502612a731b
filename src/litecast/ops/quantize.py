"""Conversions between real and quantized tensors, and of sparse constants to dense ones."""

from __future__ import annotations

from dataclasses import field

from litecast.ir.graph import Value
from litecast.ir.op import UNWRITTEN, Inferred, Op, Operands, Outputs, operation
from litecast.ir.types import DType, Quant, TensorType

__all__ = ["Densify", "Dequantize", "FakeQuant", "Quantize"]


_QUANTIZED = {
    DType.FLOAT32: {DType.UINT8, DType.INT8, DType.INT16, DType.INT4, DType.UINT4},
    DType.INT16: {DType.INT8, DType.INT16, DType.INT32},
    DType.INT32: {DType.INT8, DType.INT16},
    DType.INT8: {DType.UINT8, DType.INT8, DType.INT16},
    DType.UINT8: {DType.UINT8, DType.INT8, DType.INT16},
}
"""Element types that each operand of QUANTIZE converts to (kernels/quantize.cc:77)."""


@operation
class Quantize(Op, code=114, options="QuantizeOptions"):
    """Quantize, or requantize, to an element type and quantization (a file has them on the output only)."""

    dtype: DType = field(default=DType.INT8, metadata=UNWRITTEN)
    quant: Quant | None = field(default=None, metadata=UNWRITTEN)
    kernels = frozenset({DType.FLOAT32, DType.INT8, DType.UINT8, DType.INT16, DType.INT32})  # quantize.cc:75

    def infer(self, x: Value) -> Inferred:
        if self.quant is None:
            raise ValueError("Quantize needs the quantization of its result")
        if self.dtype not in _QUANTIZED.get(x.dtype, _QUANTIZED[DType.FLOAT32]):
            raise ValueError(f"there is no conversion of {x.dtype.name} to {self.dtype.name}")
        return TensorType(self.dtype, x.type.shape, self.quant)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:582, QUANTIZE."""
        types = {None if inputs[0] is None else inputs[0].dtype, outputs[0].dtype}
        if DType.UINT4 in types:
            return 5
        if DType.INT4 in types:
            return 4
        if _is_per_channel(outputs[0]):
            return 3
        return 2 if outputs[0].dtype is DType.INT16 else 1


@operation
class Dequantize(Op, code=6, options="DequantizeOptions"):
    """The real numbers of a quantized tensor; FLOAT16 is widened. A constant is converted once."""

    # dequantize.cc:70 (8-bit floats only in a runtime built with TFLITE_ENABLE_EXTRA_REFERENCE_KERNELS)
    kernels = frozenset(
        {DType.INT2, DType.INT4, DType.UINT4, DType.UINT8, DType.INT8, DType.INT16, DType.FLOAT16}
    )

    def infer(self, x: Value) -> Inferred:
        return TensorType(DType.FLOAT32, x.type.shape)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:556, DEQUANTIZE."""
        x = inputs[0]
        if x is not None and x.dtype is DType.INT8:
            return 5 if _is_per_channel(x) else 2
        return _DEQUANTIZE_VERSIONS.get(None if x is None else x.dtype, 1)


_DEQUANTIZE_VERSIONS: dict[DType | None, int] = {
    DType.FLOAT8_E4M3FN: 9,
    DType.FLOAT8_E5M2: 9,
    DType.UINT4: 8,
    DType.INT2: 7,
    DType.INT4: 6,
    DType.INT16: 3,
    DType.FLOAT16: 3,
}


def _is_per_channel(x: Value) -> bool:
    """Whether a tensor has a scale per index of its quantized dimension (op_signature.cc)."""
    quant = x.type.quant
    if quant is None or x.type.shape is None or not x.type.shape:
        return False
    return len(quant.scales) > 1 and len(quant.scales) == x.type.shape[quant.axis]


@operation
class FakeQuant(Op, code=80, options="FakeQuantOptions"):
    """Round to the grid of `num_bits` between `min` and `max`, staying FLOAT32.

    The range is nudged so that zero is on the grid. The kernel rejects `narrow_range`
    (kernels/fake_quant.cc:63).
    """

    min: float = 0.0
    max: float = 0.0
    num_bits: int = 0
    narrow_range: bool = False
    kernels = frozenset({DType.FLOAT32})

    def infer(self, x: Value) -> Inferred:
        if not 2 <= self.num_bits <= 16 or not self.min <= 0 <= self.max or self.min == self.max:
            raise ValueError(
                f"{self.num_bits} bits between {self.min} and {self.max} are no grid around zero"
            )
        return TensorType(x.dtype, x.type.shape)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:162, FAKE_QUANT."""
        return 2 if self.narrow_range else 1


@operation
class Densify(Op, code=124, options="DensifyOptions"):
    """The dense form of a constant whose tensor says how it is sparse."""

    kernels = frozenset({DType.FLOAT32, DType.FLOAT16, DType.INT8})  # densify.cc, Eval

    def infer(self, x: Value) -> Inferred:
        return TensorType(x.dtype, x.type.shape, x.type.quant)
