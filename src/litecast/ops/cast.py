"""Changes of the element type, and the parts of complex numbers."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import UNWRITTEN, Array, Inferred, Operands, Outputs, operation
from litecast.ir.types import DType, TensorType
from litecast.ops.rules import Tracked, Versioned, by_type, types

__all__ = [
    "Bitcast",
    "Cast",
    "ComplexAbs",
    "Imag",
    "Real",
]


@operation
class Cast(Tracked, code=53, options="CastOptions"):
    """The operand in another element type; floats truncate towards zero."""

    in_data_type: DType
    out_data_type: DType
    kernels = types("i64 i32 u32 u16 i16 u8 i8 f16 bf16 f8e4m3fn f8e5m2 f32 f64 bool c64 i4 i2 u4")  # cast.cc

    def infer(self, x: Value) -> Inferred:
        if x.dtype is not self.in_data_type:
            raise ValueError(f"the operand is {x.dtype.name}, the cast is from {self.in_data_type.name}")
        return TensorType(self.out_data_type, x.type.shape)

    def track(self, x: Array) -> Array | None:
        return x if self.out_data_type in (DType.INT32, DType.INT64) else None

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc, BuiltinOperator_CAST: either side counts, INT4 only as a source of FLOAT32."""
        if (self.in_data_type, self.out_data_type) == (DType.INT4, DType.FLOAT32):
            return 6
        return max(_CAST_VERSIONS.get(dtype, 1) for dtype in (self.in_data_type, self.out_data_type))


_CAST_VERSIONS = by_type(f8=9, i2=8, u4=8, bf16=7, f64=5, f16=5, u16=4, i8=3, u32=2)


@operation
class Bitcast(Versioned, code=159, options="BitcastOptions"):
    """The same bytes as another type: a wider one takes up, a narrower one adds, the last dimension."""

    dtype: DType = field(default=DType.FLOAT32, metadata=UNWRITTEN)
    movement = True

    def infer(self, x: Value) -> Inferred:
        have, want = x.dtype.bits, self.dtype.bits
        if not have or not want:
            raise ValueError(f"{x.dtype.name} has no bytes that {self.dtype.name} could have")
        if x.type.shape is None:
            return TensorType(self.dtype, None)
        if have > want:
            return TensorType(self.dtype, (*x.shape, have // want))
        if have == want:
            return TensorType(self.dtype, x.shape)
        if not x.rank or (isinstance(x.shape[-1], int) and x.shape[-1] != want // have):
            raise ValueError(f"the last dimension of {x.type} must be {want // have}")
        return TensorType(self.dtype, x.shape[:-1])

    def eval(self, x: Array) -> Array:
        have, want, kind = x.dtype.itemsize, self.dtype.numpy.itemsize, self.dtype.numpy
        packed = np.ascontiguousarray(x).reshape(x.shape)
        if have < want:
            return packed.view(kind).reshape(x.shape[:-1])
        return packed.reshape(-1).view(kind).reshape(*x.shape, *((have // want,) if have > want else ()))


@operation
class ComplexPart(Versioned):
    """A real number per complex one."""

    kernels = types("c64 c128")  # complex_support.cc

    def infer(self, x: Value) -> Inferred:
        if not x.dtype.is_complex:
            raise ValueError(f"a complex operand is wanted, not {x.dtype.name}")
        return TensorType(DType.FLOAT32 if x.dtype is DType.COMPLEX64 else DType.FLOAT64, x.type.shape)


@operation
class Real(ComplexPart, code=134):
    """The real part."""

    movement = True

    def eval(self, x: Array) -> Array:
        return np.real(x)


@operation
class Imag(ComplexPart, code=133):
    """The imaginary part."""

    movement = True

    def eval(self, x: Array) -> Array:
        return np.imag(x)


@operation
class ComplexAbs(ComplexPart, code=135):
    """The absolute value."""
