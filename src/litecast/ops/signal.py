"""Fourier transforms."""

from __future__ import annotations

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op, operation
from litecast.ir.types import DType, TensorType, fresh
from litecast.ops.conv import known_shape

__all__ = ["Rfft2d"]


@operation
class Rfft2d(Op, code=131, options="Rfft2dOptions"):
    """Real 2-D Fourier transform of the last two dimensions to `fft_length` (INT32 [2]), COMPLEX64 result.

    Both lengths must be powers of two (kernels/rfft2d.cc:120); rows may be 1, which is how a 1-D transform is
    done, columns not: the result is then wrong (measured). The input is cropped or padded with zeros to
    `fft_length` at the end of each dimension. The result is [..., rows, columns / 2 + 1].
    """

    kernels = frozenset({DType.FLOAT32})

    def infer(self, x: Value, fft_length: Value) -> Inferred:
        rows, columns = known_shape(fft_length, 2, "fft_length")
        if x.type.shape is None:
            return TensorType(DType.COMPLEX64, None)
        if x.rank < 2:
            raise ValueError(f"the input must have rank 2 or more, not {x.rank}")
        for length in (rows, columns):
            if isinstance(length, int) and (length < 1 or length & (length - 1)):
                raise ValueError(f"an FFT length must be a power of two, not {length}")
        if columns == 1:
            raise ValueError("the kernel gives wrong numbers for one column")
        height = fresh("rows") if rows is None else rows
        width = fresh("columns") if columns is None else columns // 2 + 1
        return TensorType(DType.COMPLEX64, (*x.shape[:-2], height, width))
