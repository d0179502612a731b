"""Complex tensors as pairs of real ones, because LiteRT computes next to nothing on complex element types.

A pair lowers the operations applied to it, so importers and macros written for real tensors serve it too.
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
from litecast.ir.types import DType, Shape, TensorType, broadcast
from litecast.lib import math

__all__ = ["Complex", "as_complex", "conj", "pair", "to_tensor"]


class Complex(Composite):
    """A COMPLEX64 tensor held as two FLOAT32 tensors of one shape; a part that is None is zero throughout."""

    def __init__(self, re: Value | None, im: Value | None) -> None:
        if re is None and im is None:
            raise ValueError("a complex pair needs one part at least")
        self._re, self._im = re, im

    @property
    def dtype(self) -> DType:
        """COMPLEX64."""
        return DType.COMPLEX64

    @property
    def type(self) -> TensorType:
        """The type of the tensor that the pair stands for."""
        return TensorType(DType.COMPLEX64, self.part.type.shape)

    @property
    def part(self) -> Value:
        """One of the parts that are there."""
        part = self._im if self._re is None else self._re
        assert part is not None
        return part

    @property
    def is_real(self) -> bool:
        """Whether the imaginary part is zero throughout."""
        return self._im is None

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return self.part.shape

    @property
    def rank(self) -> int:
        """Its rank."""
        return self.part.rank

    @property
    def is_const(self) -> bool:
        """Whether both parts are constants."""
        return all(part is None or part.is_const for part in (self._re, self._im))

    const = None
    known = None

    def re(self, b: Builder) -> Value:
        """Return the real part."""
        return _zeros_like(b, self.part) if self._re is None else self._re

    def im(self, b: Builder) -> Value:
        """Return the imaginary part."""
        return _zeros_like(b, self.part) if self._im is None else self._im

    def array(self) -> Any:
        """Return the contents of a constant pair."""
        re = 0 if self._re is None else self._re.array()
        return np.asarray(re + (0 if self._im is None else np.complex64(1j) * self._im.array()), np.complex64)

    def leaves(self) -> tuple[Value, ...]:
        """Return the parts that are there."""
        return tuple(part for part in (self._re, self._im) if part is not None)

    def rebuild(self, leaves: Sequence[Value]) -> Complex:
        """Return a pair of other parts, zero where this one is."""
        rest = list(leaves)
        return Complex(None if self._re is None else rest.pop(0), None if self._im is None else rest.pop(0))

    def apply(self, b: Builder, op: Op, operands: Sequence[Any]) -> Any:
        """Lower an operation on complex operands; UnsupportedError where that has no lowering."""
        if type(op) in _SHAPE_ONLY:
            return b(op, *(x.part if isinstance(x, Complex) else x for x in operands))
        if type(op) in _PARTWISE or op.movement:
            return _partwise(b, op, operands)
        lowering = _LOWERINGS.get(type(op))
        if lowering is None:
            raise UnsupportedError(
                Unsupported(
                    f"{op.name} of complex64",
                    "it has no lowering to real operations",
                    hint="compute with real and imaginary parts",
                )
            )
        return lowering(b, *(as_complex(b, x) for x in operands))


def _zeros_like(b: Builder, x: Value) -> Value:
    if x.type.is_static:
        return b.const(np.zeros(x.shape, np.float32))
    result: Value = b(ops.ZerosLike(), x)
    return result


def pair(b: Builder, re: Value, im: Value) -> Complex:
    """Return the pair of two real tensors that broadcast against each other; a constant zero part is None."""
    shape = broadcast(re.shape, im.shape)
    parts = [_spread(b, part, shape) for part in (re, im)]
    if all(part is None for part in parts):
        parts[0] = b.const(np.zeros(shape, np.float32))
    return Complex(*parts)


def _spread(b: Builder, part: Value, shape: Shape) -> Value | None:
    if part.shape == shape:
        return part
    if part.is_const and not np.any(part.array()):
        return None
    result: Value = math.broadcast_to(b, part, b.dims(shape))
    return result


def as_complex(b: Builder, x: Any) -> Complex:
    """Return a value of any numeric type as a pair; parts of constants that are zero throughout are None."""
    if isinstance(x, Complex):
        return x
    value = x if isinstance(x, Value) else b.const(x)
    if value.dtype is DType.COMPLEX128:
        raise UnsupportedError(
            Unsupported("complex128", "LiteRT computes with float32 only", hint="use complex64")
        )
    if not value.dtype.is_complex:
        real = value if value.dtype is DType.FLOAT32 else b(ops.Cast(value.dtype, DType.FLOAT32), value)
        return Complex(real, None)
    if not value.is_const:
        return Complex(b(ops.Real(), value), b(ops.Imag(), value))
    re, im = (part(value.array()).astype(np.float32) for part in (np.real, np.imag))
    imaginary = b.const(im) if im.any() else None
    return Complex(b.const(re) if re.any() or imaginary is None else None, imaginary)


def to_tensor(b: Builder, x: Complex) -> Value:
    """Return a pair as one COMPLEX64 tensor (interleaved parts, reinterpreted)."""
    if x.is_const:
        return b.const(x.array())
    parts = b(ops.Pack(values_count=2, axis=x.rank), x.re(b), x.im(b))
    result: Value = b(ops.Bitcast(DType.COMPLEX64), parts)
    return result


def conj(b: Builder, x: Complex) -> Complex:
    """Return the complex conjugate."""
    return Complex(x._re, _neg(b, x._im))


def _neg(b: Builder, x: Value | None) -> Value | None:
    return None if x is None else b(ops.Neg(), x)


def _partwise(b: Builder, op: Op, operands: Sequence[Any]) -> Any:
    """Apply a linear or data movement operation to both parts; operands that are not complex go to both."""
    pairs = [as_complex(b, x) if getattr(x, "dtype", None) is DType.COMPLEX64 else x for x in operands]
    given = [x for x in pairs if isinstance(x, Complex)]
    re: Any = None
    im: Any = None
    if any(x._re is not None for x in given):
        re = b(op, *(x.re(b) if isinstance(x, Complex) else x for x in pairs))
    if any(x._im is not None for x in given):
        im = b(op, *(x.im(b) if isinstance(x, Complex) else x for x in pairs))
    if not isinstance(re, tuple) and not isinstance(im, tuple):
        return Complex(re, im)
    count = len(im if re is None else re)
    return tuple(map(Complex, re or (None,) * count, im or (None,) * count))


def _sum(b: Builder, op: Op, x: Value | None, y: Value | None) -> Value | None:
    """Return x + y or x - y where None is zero."""
    if x is None or y is None:
        return x if y is None else y if isinstance(op, ops.Add) else _neg(b, y)
    result: Value = b(op, x, y)
    return result


def _times(b: Builder, x: Value | None, y: Value | None) -> Value | None:
    return None if x is None or y is None else b(ops.Mul(), x, y)


def _add(b: Builder, op: Op, x: Complex, y: Complex) -> Complex:
    if x.shape != y.shape:  # a part that is missing on one side must still be broadcast
        return _partwise(b, op, (Complex(x.re(b), x.im(b)), Complex(y.re(b), y.im(b))))  # type: ignore[no-any-return]
    return Complex(_sum(b, op, x._re, y._re), _sum(b, op, x._im, y._im))


def _mul(b: Builder, x: Complex, y: Complex) -> Complex:
    re = _sum(b, ops.Sub(), _times(b, x._re, y._re), _times(b, x._im, y._im))
    im = _sum(b, ops.Add(), _times(b, x._re, y._im), _times(b, x._im, y._re))
    return Complex(re, im)


def _div(b: Builder, x: Complex, y: Complex) -> Complex:
    if y._im is None:
        return Complex(*(None if part is None else b(ops.Div(), part, y._re) for part in (x._re, x._im)))
    above, norm = _mul(b, x, conj(b, y)), _norm(b, y)
    return Complex(*(None if part is None else b(ops.Div(), part, norm) for part in (above._re, above._im)))


def _norm(b: Builder, x: Complex) -> Value:
    result = _sum(b, ops.Add(), _times(b, x._re, x._re), _times(b, x._im, x._im))
    assert result is not None
    return result


def _exp(b: Builder, x: Complex) -> Complex:
    size = None if x._re is None else b(ops.Exp(), x._re)
    if x._im is None:
        return Complex(size, None)
    cosine, sine = b(ops.Cos(), x._im), b(ops.Sin(), x._im)
    return (
        Complex(cosine, sine)
        if size is None
        else Complex(b(ops.Mul(), size, cosine), b(ops.Mul(), size, sine))
    )


def _abs(b: Builder, x: Complex) -> Value:
    result: Value = b(ops.Abs(), x.part) if len(x.leaves()) == 1 else b(ops.Sqrt(), _norm(b, x))
    return result


def _log(b: Builder, x: Complex) -> Complex:
    return Complex(b(ops.Log(), _abs(b, x)), b(ops.Atan2(), x.im(b), x.re(b)))


def _equal(b: Builder, x: Complex, y: Complex) -> Value:
    pairs = [b(ops.Equal(), x.re(b), y.re(b)), b(ops.Equal(), x.im(b), y.im(b))]
    result: Value = b(ops.LogicalAnd(), *pairs)
    return result


_SHAPE_ONLY = frozenset({ops.Shape, ops.Rank})
_PARTWISE = frozenset({
    ops.AddN, ops.Neg, ops.Sum, ops.Mean, ops.Cumsum, ops.ZerosLike, ops.SelectV2, ops.Fill,
    ops.Pad, ops.PadV2, ops.MirrorPad, ops.Tile, ops.BroadcastTo, ops.Concatenation, ops.Pack, ops.Unpack,
    ops.Gather, ops.GatherNd, ops.ScatterNd, ops.ReverseV2, ops.DynamicUpdateSlice, ops.Split, ops.SplitV,
})  # fmt: skip
"""Operations that are the same on the real and on the imaginary part (without a fused activation)."""
_LOWERINGS: dict[type[Op], Callable[..., Any]] = {
    ops.Add: lambda b, x, y: _add(b, ops.Add(), x, y),
    ops.Sub: lambda b, x, y: _add(b, ops.Sub(), x, y),
    ops.Mul: _mul,
    ops.Div: _div,
    ops.Exp: _exp,
    ops.Log: _log,
    ops.Abs: _abs,
    ops.ComplexAbs: _abs,
    ops.Square: lambda b, x: _mul(b, x, x),
    ops.Equal: _equal,
    ops.NotEqual: lambda b, x, y: b(ops.LogicalNot(), _equal(b, x, y)),
    ops.Real: lambda b, x: x.re(b),
    ops.Imag: lambda b, x: x.im(b),
}
