"""What macros do with their operands: exact carrier types, casts, axes, and index vectors of mixed
contents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast import ops
from litecast.errors import InferenceError, Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, Sym

__all__ = [
    "CARRIERS",
    "Element",
    "cast",
    "elements",
    "kernel_types",
    "moved",
    "normalize_axis",
    "unsupported",
    "vector",
]

_F32_I = frozenset({DType.FLOAT32, DType.INT32, DType.INT64, DType.INT16, DType.INT8, DType.UINT8})
_UNSTATED: dict[type, frozenset[DType]] = {
    ops.Split: _F32_I,
    ops.MirrorPad: _F32_I,
}
"""Element types of movement kernels whose first operand is not what they move (split.cc, mirror_pad.cc)."""
CARRIERS = {
    DType.BOOL: DType.INT8, DType.UINT8: DType.INT32, DType.INT8: DType.INT32, DType.INT16: DType.INT32,
    DType.UINT16: DType.INT32, DType.UINT32: DType.INT64, DType.FLOAT16: DType.FLOAT32, DType.BFLOAT16:
    DType.FLOAT32,
}  # fmt: skip
"""A wider element type that holds every value of the key exactly."""


def unsupported(op: str, reason: str, hint: str = "") -> UnsupportedError:
    """Return the error for one thing that cannot be lowered."""
    return UnsupportedError(Unsupported(op, reason, hint=hint))


def moved(b: Builder, op: type, x: Any, apply: Any) -> Any:
    """Return `apply(x)` of a pure movement, carried by a wider element type where the kernel lacks x's."""
    kernels = kernel_types(op)
    if not isinstance(x, Value) or x.is_const or x.dtype in kernels or x.dtype.is_complex:
        return apply(x)
    carrier = x.dtype
    while carrier not in kernels:
        if carrier not in CARRIERS:
            raise unsupported(
                op.__name__,
                f"its kernel does not take {x.dtype.name}",
                "convert the values to float32 or int32 first",
            )
        carrier = CARRIERS[carrier]
    moved_value = apply(cast(b, x, carrier))
    if isinstance(moved_value, (tuple, list)):
        return tuple(cast(b, part, x.dtype) for part in moved_value)
    return cast(b, moved_value, x.dtype)


def kernel_types(op: Any) -> frozenset[DType]:
    """Return the element types that a movement kernel takes."""
    kernels: frozenset[DType] = _UNSTATED.get(op, op.kernels)
    return kernels


def normalize_axis(axis: int, rank: int) -> int:
    """Return an axis counted from the front; InferenceError where it is out of range."""
    if not -rank <= axis < rank:
        raise InferenceError(f"axis {axis} is out of range for rank {rank}")
    return axis % rank if rank else 0


def cast(b: Builder, x: Any, dtype: DType) -> Any:
    """Return x converted to `dtype` (C++ conversion: floats truncate, integers wrap, non-zero is true)."""
    if x.dtype == dtype:
        return x
    if isinstance(x, Value) and not x.is_const:
        missing = [kind.name for kind in (x.dtype, dtype) if kind not in kernel_types(ops.Cast)]
        if missing:
            raise unsupported("Cast", f"its kernel does not take {missing[0]}", "use a 32-bit element type")
    return b(ops.Cast(x.dtype, dtype), x)


@dataclass(frozen=True)
class Element:
    """An element of a vector that is computed at run time; `known` is what tracking knows of it: a Sym or
    None.
    """

    vector: Value
    position: int
    known: Sym | None

    def scalar(self, b: Builder) -> Value:
        """Return it as an INT32 scalar."""
        result: Value = cast(b, b(ops.Gather(), self.vector, np.int32(self.position)), DType.INT32)
        return result


def elements(contents: Value, op: str) -> list[Any]:
    """Return the contents of an integer vector: ints, and an Element for each that is not known."""
    known = contents.known
    if known is None and contents.is_const:
        known = contents.array().astype(object)
    if known is None:
        (length,) = contents.shape
        if not isinstance(length, int):
            raise unsupported(op, "the number of indices is not known", "use a fixed number of indices")
        known = [None] * length
    return [
        int(item) if isinstance(item, (int, np.integer)) else Element(contents, position, item)
        for position, item in enumerate(known)
    ]


def vector(b: Builder, items: Sequence[Any]) -> Value:
    """Return an INT32 vector of ints, Syms, Elements and scalar values (None: any number).

    The elements of one vector, in their order, are that vector.
    """
    found = next((item for item in items if isinstance(item, Element)), None)
    if found is not None and _agree(items, elements(found.vector, "")):
        whole: Value = cast(b, found.vector, DType.INT32)
        return whole
    items = [0 if item is None else item for item in items]
    parts = [item.scalar(b) if isinstance(item, Element) else item for item in items]
    if all(not isinstance(part, Value) or part.is_const for part in parts):
        return b.dims([int(part.array()) if isinstance(part, Value) else part for part in parts])
    scalars = [cast(b, part, DType.INT32) if isinstance(part, Value) else b.dim(part) for part in parts]
    result: Value = b(ops.Pack(values_count=len(scalars), axis=0), *scalars)
    return result


def _agree(items: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two lists of contents are the same, where None is any number."""
    return len(items) == len(others) and all(
        left is None or (type(left) is type(right) and left == right)
        for left, right in zip(items, others, strict=True)
    )
