"""Complex tensors as pairs of real ones, because LiteRT computes next to nothing on complex element types.

A pair lowers the operations applied to it itself, so importers and macros written for real tensors serve it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder, Composite
from litecast.ir.graph import Value
from litecast.ir.op import Op
from litecast.ir.types import DType, Shape, TensorType

__all__ = ["Complex", "as_complex", "conj", "to_tensor"]


class Complex(Composite):
    """A COMPLEX64 tensor held as two FLOAT32 tensors of one shape."""

    def __init__(self, re: Value, im: Value) -> None:
        self.re, self.im = re, im

    @property
    def dtype(self) -> DType:
        """COMPLEX64."""
        return DType.COMPLEX64

    @property
    def type(self) -> TensorType:
        """The type of the tensor that the pair stands for."""
        return TensorType(DType.COMPLEX64, self.re.type.shape)

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return self.re.shape

    @property
    def rank(self) -> int:
        """Its rank."""
        return self.re.rank

    @property
    def is_const(self) -> bool:
        """Whether both parts are constants."""
        return self.re.is_const and self.im.is_const

    const = None
    known = None

    def array(self) -> Any:
        """Return the contents of a constant pair."""
        return self.re.array() + np.complex64(1j) * self.im.array()

    def leaves(self) -> tuple[Value, ...]:
        """Return both parts."""
        return (self.re, self.im)

    def rebuild(self, leaves: Sequence[Value]) -> Complex:
        """Return a pair of other parts."""
        return Complex(leaves[0], leaves[1])

    def apply(self, b: Builder, op: Op, operands: Sequence[Any]) -> Any:
        """Lower an operation on complex operands; UnsupportedError where that has no lowering."""
        if type(op) in _SHAPE_ONLY:
            return b(op, *(x.re if isinstance(x, Complex) else x for x in operands))
        if type(op) in _PARTWISE or op.movement:
            return _partwise(b, op, operands)
        lowering = _LOWERINGS.get(type(op))
        if lowering is None:
            raise UnsupportedError(
                Unsupported(f"{op.name} of complex64", "it has no lowering to real operations", hint="compute with real and imaginary parts")
            )
        return lowering(b, *(as_complex(b, x) for x in operands))


def as_complex(b: Builder, x: Any) -> Complex:
    """Return a value of any numeric type as a pair."""
    if isinstance(x, Complex):
        return x
    value = x if isinstance(x, Value) else b.const(x)
    if value.dtype.is_complex:
        if value.is_const:
            contents = value.array()
            return Complex(b.const(np.real(contents).astype(np.float32)), b.const(np.imag(contents).astype(np.float32)))
        return Complex(b(ops.Real(), value), b(ops.Imag(), value))
    real = value if value.dtype is DType.FLOAT32 else b(ops.Cast(value.dtype, DType.FLOAT32), value)
    return Complex(real, b(ops.Mul(), real, 0.0) if not real.is_const else b.const(np.zeros_like(real.array())))


def to_tensor(b: Builder, x: Complex) -> Value:
    """Return a pair as one COMPLEX64 tensor (interleaved parts, reinterpreted)."""
    if x.is_const:
        return b.const(x.array().astype(np.complex64))
    parts = b(ops.Pack(values_count=2, axis=x.rank), x.re, x.im)
    result: Value = b(ops.Bitcast(DType.COMPLEX64), parts)
    return result


def conj(b: Builder, x: Complex) -> Complex:
    """Return the complex conjugate."""
    return Complex(x.re, b(ops.Neg(), x.im))


def _partwise(b: Builder, op: Op, operands: Sequence[Any]) -> Any:
    """Apply a linear or data movement operation to both parts; operands that are not complex go to both."""
    pairs = [as_complex(b, x) if getattr(x, "dtype", None) is DType.COMPLEX64 else x for x in operands]
    re = b(op, *(x.re if isinstance(x, Complex) else x for x in pairs))
    im = b(op, *(x.im if isinstance(x, Complex) else x for x in pairs))
    if isinstance(re, tuple):
        return tuple(Complex(real, imaginary) for real, imaginary in zip(re, im, strict=True))
    return Complex(re, im)


def _mul(b: Builder, x: Complex, y: Complex) -> Complex:
    re = b(ops.Sub(), b(ops.Mul(), x.re, y.re), b(ops.Mul(), x.im, y.im))
    return Complex(re, b(ops.Add(), b(ops.Mul(), x.re, y.im), b(ops.Mul(), x.im, y.re)))


def _div(b: Builder, x: Complex, y: Complex) -> Complex:
    norm = b(ops.Add(), b(ops.Mul(), y.re, y.re), b(ops.Mul(), y.im, y.im))
    above = _mul(b, x, conj(b, y))
    return Complex(b(ops.Div(), above.re, norm), b(ops.Div(), above.im, norm))


def _exp(b: Builder, x: Complex) -> Complex:
    size = b(ops.Exp(), x.re)
    quarter = b(ops.Sub(), np.float32(np.pi / 2), x.im)
    return Complex(b(ops.Mul(), size, b(ops.Sin(), quarter)), b(ops.Mul(), size, b(ops.Sin(), x.im)))


def _abs(b: Builder, x: Complex) -> Value:
    squares = b(ops.Add(), b(ops.Mul(), x.re, x.re), b(ops.Mul(), x.im, x.im))
    result: Value = b(ops.Sqrt(), squares)
    return result


def _log(b: Builder, x: Complex) -> Complex:
    return Complex(b(ops.Log(), _abs(b, x)), b(ops.Atan2(), x.im, x.re))


def _equal(b: Builder, x: Complex, y: Complex) -> Value:
    result: Value = b(ops.LogicalAnd(), b(ops.Equal(), x.re, y.re), b(ops.Equal(), x.im, y.im))
    return result


_SHAPE_ONLY = frozenset({ops.Shape, ops.Rank})
_PARTWISE = frozenset({
    ops.Add, ops.Sub, ops.AddN, ops.Neg, ops.Sum, ops.Mean, ops.Cumsum, ops.ZerosLike, ops.SelectV2, ops.Fill,
    ops.Pad, ops.PadV2, ops.MirrorPad, ops.Tile, ops.BroadcastTo, ops.Concatenation, ops.Pack, ops.Unpack,
    ops.Gather, ops.GatherNd, ops.ScatterNd, ops.ReverseV2, ops.DynamicUpdateSlice, ops.Split, ops.SplitV,
})  # fmt: skip
"""Operations that are the same on the real and on the imaginary part (none of them with a fused activation)."""
_LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    ops.Mul: _mul,
    ops.Div: _div,
    ops.Exp: _exp,
    ops.Log: _log,
    ops.Abs: _abs,
    ops.ComplexAbs: _abs,
    ops.Square: lambda b, x: _mul(b, x, x),
    ops.Equal: _equal,
    ops.NotEqual: lambda b, x, y: b(ops.LogicalNot(), _equal(b, x, y)),
    ops.Real: lambda b, x: x.re,
    ops.Imag: lambda b, x: x.im,
}
