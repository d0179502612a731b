"""Operands of `keras.ops`: tensors from Python numbers, and the element types that Keras promotes them to.

The rules are Keras's own lattice (keras/src/backend/common/dtypes.py) with the exceptions of its TensorFlow
backend (64-bit integers stay); `int` and `float` are Python numbers, whose type gives way to that of tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from litecast.errors import InferenceError
from litecast.ir.builder import Builder, Composite
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array

__all__ = [
    "BOOL",
    "F32",
    "F64",
    "I32",
    "I64",
    "Kind",
    "axes_of",
    "channels_first",
    "dtype_named",
    "dynamic",
    "floating",
    "is_tensor",
    "kind_of",
    "promoted",
    "result_type",
    "rows_of",
    "scalar_of",
    "tensor",
]

F32, F64, I32, I64, BOOL = DType.FLOAT32, DType.FLOAT64, DType.INT32, DType.INT64, DType.BOOL
Kind: TypeAlias = "DType | type"
_ABOVE: dict[Kind, tuple[Kind, ...]] = {
    DType.BOOL: (int,),
    DType.UINT8: (DType.INT16, DType.UINT16),
    DType.UINT16: (DType.INT32, DType.UINT32),
    DType.UINT32: (DType.INT64, DType.UINT64),
    DType.UINT64: (float,),
    int: (DType.UINT8, DType.INT8, DType.COMPLEX64),
    DType.INT8: (DType.INT16,),
    DType.INT16: (DType.INT32,),
    DType.INT32: (DType.INT64,),
    DType.INT64: (float,),
    float: (DType.BFLOAT16, DType.FLOAT16),
    DType.BFLOAT16: (DType.FLOAT32,),
    DType.FLOAT16: (DType.FLOAT32,),
    DType.FLOAT32: (DType.FLOAT64, DType.COMPLEX64),
    DType.FLOAT64: (DType.COMPLEX128,),
    DType.COMPLEX64: (DType.COMPLEX128,),
    DType.COMPLEX128: (),
}
"""Type -> the types directly above it: the promotion lattice."""
_SETTLED: dict[Kind, DType] = {int: I32, float: F32}
"""What a result of Python numbers alone becomes."""
_NARROWED = {DType.UINT64: DType.UINT32, DType.COMPLEX128: DType.COMPLEX64}
"""Results that Keras narrows on every backend."""


@cache
def _bounds(kind: Kind) -> frozenset[Kind]:
    above: set[Kind] = {kind}
    for higher in _ABOVE[kind]:
        above |= _bounds(higher)
    return frozenset(above)


def result_type(*kinds: Kind) -> DType:
    """Return the element type in which Keras computes operands of these kinds; or raise InferenceError."""
    distinct = set(kinds)
    wrong = distinct - _ABOVE.keys()
    if wrong:
        raise InferenceError(f"Keras promotes no {', '.join(map(str, wrong))}")
    common = frozenset.intersection(*map(_bounds, distinct))
    lowest = (common & distinct) or {kind for kind in common if common <= _bounds(kind)}
    if len(lowest) != 1:
        raise InferenceError(f"Keras has no common type for {', '.join(map(str, kinds))}")
    (found,) = lowest
    dtype = found if isinstance(found, DType) else _SETTLED[found]
    return _NARROWED.get(dtype, dtype)


def floating(dtype: DType) -> DType:
    """Return the type in which functions that give floats compute an operand of this one."""
    return result_type(dtype, float)


def dtype_named(name: Any, otherwise: DType = F32) -> DType:
    """Return the element type of Keras's name for it (None: `otherwise`)."""
    if name is None:
        return otherwise
    if isinstance(name, DType):
        return name
    text = str(name).rpartition(".")[2]
    try:
        return {"int": I64, "float": F32}[text] if text in ("int", "float") else DType[text.upper()]
    except KeyError:
        raise array.unsupported(
            "Cast", f"TFLite has no element type {name}", "use float32 or int32"
        ) from None


def is_tensor(x: Any) -> bool:
    """Whether this is a tensor of the graph, not a number or an array."""
    return isinstance(x, (Value, Composite))


def kind_of(x: Any, weak: bool = True) -> Kind:
    """Return the kind of an operand; where `weak`, Python numbers give way to the other operands."""
    if is_tensor(x):
        dtype: DType = x.dtype
        return dtype
    if weak and type(x) in (int, float):
        return type(x)
    contents = np.asarray(x)
    if isinstance(x, (np.ndarray, np.generic)):
        return DType.of(contents.dtype)
    return {"b": BOOL, "i": I32, "u": I32, "f": F32, "c": DType.COMPLEX64}.get(contents.dtype.kind, I32)


def tensor(b: Builder, x: Any, dtype: DType | None = None) -> Any:
    """Return x as a tensor (Python numbers INT32 or FLOAT32, arrays as they are), converted to `dtype`."""
    if not is_tensor(x):
        if isinstance(x, (list, tuple)) and any(is_tensor(item) for item in x):
            x = array.pack(b, promoted(b, *x), 0)
        else:
            kind = kind_of(x, weak=False)
            contents = np.asarray(x)
            wanted = dtype if dtype is not None else kind
            assert isinstance(wanted, DType)
            return b.const(contents.astype(wanted.numpy))
    return x if dtype is None else array.cast(b, x, dtype)


def promoted(b: Builder, *xs: Any, weak: bool = True, also: Sequence[Kind] = ()) -> list[Any]:
    """Return the operands as tensors of their common type (and that of the kinds in `also`)."""
    dtype = result_type(*(kind_of(x, weak) for x in xs), *also)
    return [tensor(b, x, dtype) for x in xs]


def axes_of(axis: Any, rank: int) -> list[int]:
    """Return the axes that an `axis` argument means: all for None, none for an empty tuple."""
    if axis is None:
        return list(range(rank))
    chosen = axis if isinstance(axis, (list, tuple)) else np.ravel(axis)
    return [array.normalize_axis(int(item), rank) for item in chosen]


def scalar_of(x: Any, what: str, op: str) -> Any:
    """Return the Python number of a constant; UnsupportedError where it is computed."""
    if isinstance(x, Value):
        if not x.is_const or x.type.size != 1:
            raise array.unsupported(op, f"its {what} is computed", f"use a constant {what}")
        return x.array().item()
    return np.asarray(x).item() if isinstance(x, (np.ndarray, np.generic)) else x


def rows_of(b: Builder, x: Any, axis: int) -> tuple[Any, Any]:
    """Return x with `axis` moved to the end, and the function that moves the last axis back."""
    position = array.normalize_axis(axis, x.rank)
    order = [place for place in range(x.rank) if place != position] + [position]
    back = [order.index(place) for place in range(x.rank)]
    return array.transpose(b, x, order), lambda result: array.transpose(b, result, back)


def dynamic(op: str, what: str) -> Exception:
    """Return the error for an operation that needs a size which is not known."""
    return array.unsupported(op, f"{what} is not known", "fix that dimension of the input (--shape)")


def channels_first(data_format: Any) -> bool:
    """Whether a `data_format` argument says channels_first (None: channels_last, Keras's default)."""
    return bool(data_format == "channels_first")
