"""What many operations share: unary and binary inference, version tables, tracking of shape vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from litecast.ir.graph import KNOWN_LIMIT, Value
from litecast.ir.op import Array, Inferred, Op, Operands, Outputs
from litecast.ir.types import DType, Quant, Shape, Sym, TensorType, broadcast
from litecast.ops.dims import objects

__all__ = [
    "FLOAT8",
    "Binary",
    "Tracked",
    "Unary",
    "Versioned",
    "broadcast_types",
    "by_type",
    "per_tensor",
    "rank_over",
    "same_dtype",
    "types",
]

_BY_SHORT = {dtype.short: dtype for dtype in DType}
FLOAT8 = "f8e4m3fn f8e5m2"


def types(names: str) -> frozenset[DType]:
    """Return the element types of short names: `types("f32 i8")`."""
    return frozenset(_BY_SHORT[name] for name in names.split())


def by_type(**versions: int) -> Mapping[DType, int]:
    """Return a version table by short names: `by_type(i8=2, i16=3)`; `f8` stands for both 8-bit floats."""
    table = dict.fromkeys(types(FLOAT8), versions["f8"]) if "f8" in versions else {}
    return table | {_BY_SHORT[name]: version for name, version in versions.items() if name != "f8"}


def rank_over(value: Value | None, rank: int) -> bool:
    """Whether a value is known to have more dimensions than `rank`."""
    return value is not None and value.type.shape is not None and len(value.type.shape) > rank


class Versioned(Op):
    """An operation whose version depends on the element type of its operand number `keyed` (op_version.cc).

    All version rules there are monotone: the first that fires is the highest, so `version` takes the maximum.
    """

    versions: ClassVar[Mapping[DType, int]] = {}
    keyed: ClassVar[int] = 0

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        operand = inputs[self.keyed] if self.keyed < len(inputs) else None
        return 1 if operand is None else self.versions.get(operand.dtype, 1)


class Tracked(Op):
    """An operation on shape vectors: `track` gets object arrays of int and Sym, and returns one per output.

    `symbolic` numbers the operands that may hold a Sym, None: all of them. Contents that leave the range of
    INT32 are not known: what the operation then does is up to the folding or to the runtime.
    """

    tracked = True
    symbolic: ClassVar[frozenset[int] | None] = None

    def known(self, *inputs: Any) -> Any:
        contents = [self._contents(index, x) for index, x in enumerate(inputs)]
        if not contents or any(
            x is not None and part is None for x, part in zip(inputs, contents, strict=True)
        ):
            return None
        result = self.track(*contents)
        parts = result if isinstance(result, tuple) else (result,)
        return result if all(part is not None and _fits(part) for part in parts) else None

    def _contents(self, index: int, x: Any) -> Array | None:
        """Return what is known of an operand: all of it where it may not hold a Sym."""
        if x is None or self.symbolic is None or index in self.symbolic:
            return None if x is None else x.known
        if x.is_const and x.dtype.is_integer and x.type.size <= KNOWN_LIMIT:
            return x.array().astype(object)
        return None if x.known is None or _has_sym(x.known) else x.known

    def track(self, *contents: Any) -> Any:
        """Return the contents of the output from those of the operands, None where not known."""
        result = self.eval(*contents)
        return tuple(map(objects, result)) if isinstance(result, tuple) else objects(result)


def _has_sym(contents: Array) -> bool:
    return any(isinstance(item, Sym) for item in np.ravel(contents))


def _fits(contents: Array) -> bool:
    return all(isinstance(item, Sym) or -(2**31) <= int(item) < 2**31 for item in np.ravel(contents))


class Unary(Versioned):
    """An operation whose result has the type of its operand."""

    def infer(self, x: Value) -> Inferred:
        return TensorType(x.dtype, x.type.shape)


class Binary(Versioned):
    """An operation with numpy broadcasting on two operands of one element type.

    `max_broadcast_rank` is the highest rank at which the kernel broadcasts, None where it has no limit
    (measured with LiteRT 2.3 up to rank 8; operands of one shape have none). `broadcast_version` is the
    version that it takes over rank 4: older runtimes broadcast up to that rank.
    """

    same_dtype = True
    max_broadcast_rank: ClassVar[int | None] = None
    broadcast_version: ClassVar[int] = 1

    def infer(self, x: Value, y: Value) -> Inferred:
        return TensorType(same_dtype(x, y), broadcast_types(x, y))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x, y = inputs[:2]
        version = super().version(inputs, outputs)
        differ = x is None or y is None or x.type.shape != y.type.shape
        if differ and (rank_over(x, 4) or rank_over(y, 4)):
            return max(version, self.broadcast_version)
        return version


def same_dtype(*values: Value) -> DType:
    """Return the one element type of the operands; ValueError where they differ."""
    if len({value.dtype for value in values}) > 1:
        raise ValueError(
            f"operands of different element types {', '.join(value.dtype.name for value in values)}"
        )
    return values[0].dtype


def broadcast_types(*values: Value) -> Shape | None:
    """Return the broadcast shape of the operands, None where a rank is unknown."""
    shapes = [value.type.shape for value in values]
    known = [shape for shape in shapes if shape is not None]
    return None if len(known) < len(shapes) else broadcast(*known)


def per_tensor(x: Value) -> Quant | None:
    """Return the quantization of a value whose elements only move; per-axis ones do not carry over."""
    quant = x.type.quant
    return None if quant is not None and len(quant.scales) > 1 else quant
