"""Element types, dimensions and tensor types; a dimension is an int or a `Sym`, never -1 or None."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from itertools import count
from operator import mul
from typing import TYPE_CHECKING, Any, TypeAlias

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from litecast.ir.graph import Value

__all__ = [
    "Blockwise",
    "DType",
    "Dim",
    "Quant",
    "Shape",
    "Sym",
    "TensorType",
    "broadcast",
    "fresh",
    "maximum_of",
    "product",
    "same_dim",
]


class DType(IntEnum):
    """Element type; names and values are those of `TensorType` in the TFLite schema."""

    FLOAT32 = 0
    FLOAT16 = 1
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    STRING = 5
    BOOL = 6
    INT16 = 7
    COMPLEX64 = 8
    INT8 = 9
    FLOAT64 = 10
    COMPLEX128 = 11
    UINT64 = 12
    RESOURCE = 13
    VARIANT = 14
    UINT32 = 15
    UINT16 = 16
    INT4 = 17
    BFLOAT16 = 18
    INT2 = 19
    UINT4 = 20
    FLOAT8_E4M3FN = 21
    FLOAT8_E5M2 = 22

    @classmethod
    def of(cls, dtype: Any) -> DType:
        """Return the element type of a numpy dtype (`object` is STRING); TypeError where there is none."""
        try:
            return _FROM_NUMPY[np.dtype(dtype)]
        except KeyError:
            kind = np.dtype(dtype)
            if kind.kind in "SU":
                return cls.STRING
            raise TypeError(f"TFLite has no element type for numpy dtype {kind}") from None

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of the values (STRING: object, of bytes); TypeError for RESOURCE and VARIANT."""
        try:
            return _TO_NUMPY[self]
        except KeyError:
            raise TypeError(f"{self.name} has no numpy dtype") from None

    @property
    def bits(self) -> int:
        """Bits of one element in the file; 0 for STRING, RESOURCE and VARIANT."""
        return _BITS.get(self, 0)

    @property
    def short(self) -> str:
        """The name that textual IR prints: f32, i8, bool, str ..."""
        return _SHORT[self]

    @property
    def is_float(self) -> bool:
        """Whether the values are real floating point numbers."""
        return self in _FLOATS

    @property
    def is_integer(self) -> bool:
        """Whether the values are integers (BOOL is not)."""
        return self in _INTEGERS

    @property
    def is_complex(self) -> bool:
        """Whether the values are complex numbers."""
        return self in (DType.COMPLEX64, DType.COMPLEX128)


_TABLE: tuple[tuple[DType, Any, int, str], ...] = (
    (DType.FLOAT32, np.float32, 32, "f32"),
    (DType.FLOAT16, np.float16, 16, "f16"),
    (DType.BFLOAT16, ml_dtypes.bfloat16, 16, "bf16"),
    (DType.FLOAT64, np.float64, 64, "f64"),
    (DType.FLOAT8_E4M3FN, ml_dtypes.float8_e4m3fn, 8, "f8e4m3fn"),
    (DType.FLOAT8_E5M2, ml_dtypes.float8_e5m2, 8, "f8e5m2"),
    (DType.INT64, np.int64, 64, "i64"),
    (DType.INT32, np.int32, 32, "i32"),
    (DType.INT16, np.int16, 16, "i16"),
    (DType.INT8, np.int8, 8, "i8"),
    (DType.INT4, ml_dtypes.int4, 4, "i4"),
    (DType.INT2, ml_dtypes.int2, 2, "i2"),
    (DType.UINT64, np.uint64, 64, "u64"),
    (DType.UINT32, np.uint32, 32, "u32"),
    (DType.UINT16, np.uint16, 16, "u16"),
    (DType.UINT8, np.uint8, 8, "u8"),
    (DType.UINT4, ml_dtypes.uint4, 4, "u4"),
    (DType.BOOL, np.bool_, 8, "bool"),
    (DType.COMPLEX64, np.complex64, 64, "c64"),
    (DType.COMPLEX128, np.complex128, 128, "c128"),
    (DType.STRING, np.object_, 0, "str"),
)
_TO_NUMPY: dict[DType, np.dtype[Any]] = {dtype: np.dtype(kind) for dtype, kind, _, _ in _TABLE}
_FROM_NUMPY = {kind: dtype for dtype, kind in _TO_NUMPY.items()}
_BITS = {dtype: bits for dtype, _, bits, _ in _TABLE}
_SHORT = {dtype: short for dtype, _, _, short in _TABLE} | {
    DType.RESOURCE: "resource",
    DType.VARIANT: "variant",
}
_FLOATS = frozenset(dtype for dtype, _, _, short in _TABLE if short[0] in "f" or short == "bf16")
_INTEGERS = frozenset(dtype for dtype, _, _, short in _TABLE if short[0] in "iu")


@dataclass(frozen=True)
class Sym:
    """An unknown dimension: an integer times a product of named unknowns; n*7 is the same Sym each time.

    That monomial is all the algebra there is; other arithmetic gives a fresh name made of its operands.
    """

    names: tuple[str, ...]
    scale: int = 1

    def __init__(self, *names: str, scale: int = 1) -> None:
        object.__setattr__(self, "names", tuple(sorted(names)))
        object.__setattr__(self, "scale", scale)

    def __str__(self) -> str:
        return "*".join(([str(self.scale)] if self.scale != 1 else []) + list(self.names))

    __repr__ = __str__

    def __mul__(self, other: Any) -> Dim:
        if isinstance(other, Sym):
            return Sym(*self.names, *other.names, scale=self.scale * other.scale)
        if isinstance(other, (int, np.integer)):
            return Sym(*self.names, scale=self.scale * int(other)) if other else 0
        return NotImplemented

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Dim:
        divisor = other if isinstance(other, Sym) else Sym(scale=int(other))
        rest = list(self.names)
        for name in divisor.names:
            if name not in rest:
                return _derived(self, "//", other)
            rest.remove(name)
        if divisor.scale == 0 or self.scale % divisor.scale:
            return _derived(self, "//", other)
        scale = self.scale // divisor.scale
        return Sym(*rest, scale=scale) if rest else scale

    def __rfloordiv__(self, other: Any) -> Dim:
        return _derived(other, "//", self)

    def __add__(self, other: Any) -> Dim:
        if isinstance(other, (int, np.integer)) and other == 0:
            return self
        if isinstance(other, Sym) and other.names == self.names:
            scale = self.scale + other.scale
            return Sym(*self.names, scale=scale) if scale else 0
        return _derived(self, "+", other)

    def __radd__(self, other: Any) -> Dim:
        return self.__add__(other)

    def __sub__(self, other: Any) -> Dim:
        if isinstance(other, (int, np.integer)) and other == 0:
            return self
        if isinstance(other, Sym) and other.names == self.names:
            scale = self.scale - other.scale
            return Sym(*self.names, scale=scale) if scale else 0
        return _derived(self, "-", other)

    def __rsub__(self, other: Any) -> Dim:
        return _derived(other, "-", self)

    def __neg__(self) -> Dim:
        return Sym(*self.names, scale=-self.scale)

    def __mod__(self, other: Any) -> Dim:
        if isinstance(other, (int, np.integer)) and other and self.scale % int(other) == 0:
            return 0
        return _derived(self, "%", other)


def _derived(left: Any, sign: str, right: Any) -> Sym:
    return Sym(f"({left}{sign}{right})")


_fresh = count(1)


def fresh(stem: str) -> Sym:
    """Return an unknown dimension that equals no other; `stem` says what it counts (`fresh("selected")`)."""
    return Sym(f"{stem}.{next(_fresh):06d}")  # of one width, so that names sort as they were made


Dim: TypeAlias = int | Sym
Shape: TypeAlias = tuple[Dim, ...]


def product(dims: Iterable[Dim]) -> Dim:
    """Multiply dimensions."""
    return reduce(mul, dims, 1)


def same_dim(left: Dim, right: Dim) -> bool | None:
    """Whether two dimensions are equal; None where that is not known."""
    if left == right:
        return True
    return False if isinstance(left, int) and isinstance(right, int) else None


def broadcast(*shapes: Sequence[Dim]) -> Shape:
    """Return the numpy broadcast of shapes; ValueError where they cannot broadcast.

    An unknown dimension beside a known one other than 1 becomes the known one; two different unknowns give
    a fresh unknown named after both.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(_broadcast_dim(dims, shapes) for dims in zip(*padded, strict=True))


def _broadcast_dim(dims: Sequence[Dim], shapes: Sequence[Sequence[Dim]]) -> Dim:
    known = {dim for dim in dims if isinstance(dim, int) and dim != 1}
    if len(known) > 1:
        raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
    if known:
        return known.pop()
    unknown = list(dict.fromkeys(dim for dim in dims if isinstance(dim, Sym)))
    if len(unknown) < 2:
        return unknown[0] if unknown else 1
    parts = {part for dim in unknown for part in maximum_of(dim) or (dim,)}
    return Sym(f"max({','.join(sorted(map(str, parts)))})")


def maximum_of(dim: Sym) -> list[Dim]:
    """Return the dimensions that an unknown is named as the largest of; none where it is named otherwise."""
    if (
        dim.scale != 1
        or len(dim.names) != 1
        or not (dim.names[0].startswith("max(") and dim.names[0][-1] == ")")
    ):
        return []
    return [_monomial(part) for part in _outermost(dim.names[0][4:-1], ",")]


def _monomial(text: str) -> Dim:
    factors = _outermost(text, "*")
    scale = int(factors.pop(0)) if factors[0].isdigit() else 1
    return Sym(*factors, scale=scale) if factors else scale


def _outermost(text: str, sign: str) -> list[str]:
    """Split at the signs that no parentheses enclose."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == sign and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@dataclass(frozen=True)
class Blockwise:
    """Blockwise quantization: scales and zero points are tensors of the graph."""

    scales: Value
    zero_points: Value | None
    block_size: int


@dataclass(frozen=True)
class Quant:
    """Quantization of a tensor: real = scale * (stored - zero_point), per tensor or along `axis`.

    `scales` and `zero_points` are of one length; `min` and `max` are carried through when the file has them;
    `details` holds the less common forms of the schema (blockwise, or an opaque one carried unchanged).
    """

    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    min: tuple[float, ...] = ()
    max: tuple[float, ...] = ()
    details: Any = None


@dataclass(frozen=True)
class TensorType:
    """Element type, shape (None: unknown rank) and quantization of a value."""

    dtype: DType
    shape: Shape | None
    quant: Quant | None = None

    @property
    def rank(self) -> int | None:
        """Number of dimensions, None where unknown."""
        return None if self.shape is None else len(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every dimension is a known integer."""
        return self.shape is not None and all(isinstance(dim, int) for dim in self.shape)

    @property
    def size(self) -> Dim:
        """Number of elements; ValueError where the rank is unknown."""
        if self.shape is None:
            raise ValueError("a tensor of unknown rank has no size")
        return product(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the stored values; ValueError where the shape is not static."""
        size = self.size
        if not isinstance(size, int):
            raise ValueError(f"the size of {self} is not known")
        return (size * self.dtype.bits + 7) // 8

    def __str__(self) -> str:
        dims = "*" if self.shape is None else ",".join(map(str, self.shape))
        return f"{self.dtype.short}[{dims}]" + ("" if self.quant is None else "q")
