"""Arithmetic on dimensions and on the contents of shape operands; unknown stays unknown, nothing is guessed.

Unknown sizes come from `ir.types.fresh`, which never gives the same name twice: a result whose size depends
on data equals nothing else, not even the same operation inferred again. Where the size follows from the
operands the name is made of theirs (`min(n,8)`): the same derivation gives the same dimension each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.ir.types import Dim, DType, Shape, Sym, fresh

__all__ = [
    "axis_of",
    "contents_shape",
    "floor_mod",
    "integers",
    "maximum",
    "merge",
    "merge_shapes",
    "minimum",
    "objects",
    "unknown_shape",
    "vector_length",
]


def objects(contents: Any, shape: Sequence[int] | None = None) -> Array:
    """Return contents as an object array of int and Sym."""
    array = np.asarray(contents, object)
    return array if shape is None else array.reshape(shape)


def _extreme(name: str, better: Any, left: Dim, right: Dim) -> Dim:
    if left == right:
        return left
    if isinstance(left, int) and isinstance(right, int):
        return int(better(left, right))
    if isinstance(left, Sym) and isinstance(right, Sym) and left.names == right.names:
        return left if better(left.scale, right.scale) == left.scale else right
    return Sym(f"{name}({','.join(sorted((str(left), str(right))))})")


def maximum(left: Dim, right: Dim) -> Dim:
    """Return the larger of two dimensions (max(n, 2*n) is 2*n, for dimensions are not negative)."""
    return _extreme("max", max, left, right)


def minimum(left: Dim, right: Dim) -> Dim:
    """Return the smaller of two dimensions."""
    return _extreme("min", min, left, right)


def floor_mod(left: Dim, right: Dim) -> Dim:
    """Return the remainder of two dimensions."""
    if left == right:
        return 0
    if isinstance(left, int) and isinstance(right, Sym):
        return Sym(f"({left}%{right})") if left else 0
    return left % right  # type: ignore[operator]


def merge(dims: Iterable[Dim], what: str) -> Dim:
    """Return what several dimensions that must be equal are; ValueError where two known ones differ."""
    distinct = list(dict.fromkeys(dims))
    known = [dim for dim in distinct if isinstance(dim, int)]
    if len(known) > 1:
        raise ValueError(f"{what} must agree, not {', '.join(map(str, known))}")
    return known[0] if known else distinct[0]


def merge_shapes(shapes: Iterable[Shape | None], what: str) -> Shape | None:
    """Return what shapes that must be equal are, None where none is known; ValueError where they differ."""
    given = [shape for shape in shapes if shape is not None]
    if not given:
        return None
    if len({len(shape) for shape in given}) > 1:
        raise ValueError(f"{what} must be of one rank, not {', '.join(map(str, given))}")
    return tuple(merge(dims, f"the dimensions of {what}") for dims in zip(*given, strict=True))


def axis_of(axis: int, rank: int, what: str = "axis") -> int:
    """Return an axis counted from the front; ValueError where it is out of range."""
    if not -rank <= axis < rank:
        raise ValueError(f"{what} {axis} is out of range for rank {rank}")
    return int(axis) % rank


def integers(value: Value, what: str) -> list[int] | None:
    """Return the contents of an integer operand as a flat list, None where any is unknown."""
    check_integer(value, what)
    if value.known is None:
        if not value.is_const:
            return None
        return [int(item) for item in np.ravel(value.array())]
    contents = np.ravel(value.known)
    return None if any(isinstance(item, Sym) for item in contents) else [int(item) for item in contents]


def check_integer(value: Value, what: str) -> None:
    """ValueError unless the elements are integers that an index operand may have."""
    if value.dtype not in (DType.INT32, DType.INT64, DType.INT16):
        raise ValueError(f"{what} must be INT32 or INT64, not {value.dtype.name}")


def vector_length(vector: Value, what: str) -> int | None:
    """Return how many elements a vector operand has, None where unknown; ValueError where it is no vector."""
    if vector.type.shape is None:
        return None
    if vector.rank != 1:
        raise ValueError(f"{what} must be a vector, not of shape {vector.shape}")
    length = vector.shape[0]
    return length if isinstance(length, int) else None


def contents_shape(vector: Value, what: str, stem: str = "size") -> Shape | None:
    """Return the shape that a vector holds: unknown elements are fresh, None where its length is unknown."""
    check_integer(vector, what)
    length = vector_length(vector, what)
    if vector.known is not None:
        return tuple(vector.known.tolist())
    if vector.is_const:
        return tuple(int(item) for item in vector.array())
    return None if length is None else unknown_shape(length, stem)


def unknown_shape(rank: int, stem: str = "size") -> Shape:
    """Return a shape of unknown dimensions."""
    return tuple(fresh(stem) for _ in range(rank))
