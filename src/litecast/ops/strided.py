"""Strided slices, whose semantics are those of indexing in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Operands, Outputs, operation
from litecast.ir.types import Dim, Sym, TensorType, fresh
from litecast.ops.dims import contents_shape, integers, minimum
from litecast.ops.grids import ONE_SCALE
from litecast.ops.rules import Tracked, Versioned, by_type, per_tensor, rank_over

__all__ = ["StridedSlice"]


@operation
class StridedSlice(Tracked, Versioned, code=45, options="StridedSliceOptions"):
    """x[begin:end:strides], an entry per specification.

    Bit i of a mask speaks of entry i: begin or end as if absent, all dimensions that are left (ellipsis), a
    new dimension, or one that is indexed and goes. With `offset`, `end` counts from `begin`.

    LiteRT's default delegate takes an end of 0 for no end where all strides are 1 (FLOAT32 x[2:0] gives
    x[2:]; delegates/xnnpack/xnnpack_delegate.cc:6364): make an empty slice with another end, as x[2:2].
    """

    begin_mask: int = 0
    end_mask: int = 0
    ellipsis_mask: int = 0
    new_axis_mask: int = 0
    shrink_axis_mask: int = 0
    offset: bool = False
    symbolic = frozenset({0})
    movement = True
    versions = by_type(u32=7, str=5, bool=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, begin: Value, end: Value, strides: Value) -> Inferred:
        low, high = (contents_shape(value, what, "begin") for value, what in ((begin, "begin"), (end, "end")))
        steps = integers(strides, "strides")
        if steps is not None and 0 in steps:
            raise ValueError("a stride must not be 0")
        count = next((len(known) for known in (low, high, steps) if known is not None), None)
        if x.type.shape is None or count is None or steps is None:
            return TensorType(x.dtype, None, per_tensor(x))
        if low is None or high is None or not len(low) == len(high) == count:
            raise ValueError(f"begin {low}, end {high} and strides {steps} differ in length")
        dims: list[Dim] = []
        for axis, index in self._axes(count, x.rank):
            if axis is None:
                dims.append(1)
            elif index is None:
                dims.append(x.shape[axis])
            elif self.shrink_axis_mask >> index & 1:
                _check_index(low[index], x.shape[axis])
            else:
                dims.append(self._extent(x.shape[axis], index, low[index], high[index], steps[index]))
        return TensorType(x.dtype, tuple(dims), per_tensor(x))

    def _axes(self, count: int, rank: int) -> Iterator[tuple[int | None, int | None]]:
        """Yield, per entry and dimension left alone, the dimension (None: new) and the entry (or None)."""
        flags = [(self.ellipsis_mask >> index & 1, self.new_axis_mask >> index & 1) for index in range(count)]
        taken = sum(1 for ellipsis, new in flags if not ellipsis and not new)
        if taken > rank:
            raise ValueError(f"{taken} entries do not fit rank {rank}")
        if taken == rank and any(ellipsis for ellipsis, _ in flags):
            raise ValueError(
                "an ellipsis that stands for no dimension: the kernel takes one (strided_slice.cc:121)"
            )
        axis = 0
        for index, (ellipsis, new) in enumerate(flags):
            if ellipsis:
                for _ in range(rank - taken):
                    yield axis, None
                    axis += 1
            elif new:
                yield None, index
            else:
                yield axis, index
                axis += 1
        for rest in range(axis, rank):
            yield rest, None

    def _extent(self, dim: Dim, index: int, low: Dim, high: Dim, step: int) -> Dim:
        from_start, to_end = bool(self.begin_mask >> index & 1), bool(self.end_mask >> index & 1)
        if self.offset and not to_end:
            high = low + high
        start, stop = (None if from_start else low), (None if to_end else high)
        if isinstance(dim, int) and not isinstance(start, Sym) and not isinstance(stop, Sym):
            return len(range(*slice(start, stop, step).indices(dim)))
        if step != 1:
            whole = start is None and stop is None
            return (
                fresh("slice") if not whole else dim if step == -1 else (dim + (abs(step) - 1)) // abs(step)
            )
        return _span(dim, start, stop)

    def eval(self, x: Array, begin: Array, end: Array, strides: Array) -> Array:
        return x[self._indices(begin, end, strides)]

    def _indices(self, begin: Array, end: Array, strides: Array) -> tuple[Any, ...]:
        result: list[Any] = []
        for index, (low, high, step) in enumerate(
            zip(begin.tolist(), end.tolist(), strides.tolist(), strict=True)
        ):
            if self.ellipsis_mask >> index & 1:
                result.append(...)
            elif self.new_axis_mask >> index & 1:
                result.append(np.newaxis)
            elif self.shrink_axis_mask >> index & 1:
                result.append(low)
            else:
                start = None if self.begin_mask >> index & 1 else low
                stop = None if self.end_mask >> index & 1 else low + high if self.offset else high
                result.append(slice(start, stop, step))
        return tuple(result)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc, BuiltinOperator_STRIDED_SLICE; num_dims is the operand's rank (op_signature.cc)."""
        rules = (
            (8, self.offset),
            (6, self.ellipsis_mask or self.new_axis_mask),
            (4, rank_over(inputs[0], 4)),
        )
        return max(super().version(inputs, outputs), *(version for version, holds in rules if holds), 1)


def _check_index(index: Dim, dim: Dim) -> None:
    if isinstance(index, int) and isinstance(dim, int) and not -dim <= index < dim:
        raise ValueError(f"index {index} is out of range for {dim} elements")


def _span(dim: Dim, start: Dim | None, stop: Dim | None) -> Dim:
    """Return how many elements x[start:stop] has where one of the three numbers is unknown."""
    if start is None and stop is None:
        return dim
    if _made_up(start) or _made_up(stop):
        return fresh("slice")
    low = 0 if start is None else start
    if isinstance(low, int) and low < 0:
        return minimum(dim, -low) if stop is None else fresh("slice")
    if stop is None:
        return dim - low
    if isinstance(stop, int) and stop < 0:
        return dim - (-stop + low) if isinstance(low, int) else dim - low - -stop
    high = stop if stop == dim else minimum(dim, stop)
    return high - low


def _made_up(bound: Dim | None) -> bool:
    """Whether a bound was made up for unknown contents, which may be negative."""
    return isinstance(bound, Sym) and any(name.startswith("begin.") for name in bound.names)
