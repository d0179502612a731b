"""TensorLists: Python objects of elements; one stacked tensor where a loop or a branch needs a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from litecast.errors import InferenceError, Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, TensorType
from litecast.lib import array
from litecast.ops import Add, DynamicUpdateSlice, Fill, Gather, Maximum, Range, ScatterNd, SelectV2, Sub

__all__ = ["TensorList"]


@dataclass(frozen=True)
class TensorList:
    """An immutable list of tensors of one element type.

    It is in one of three states: `items` (a Python tuple; None: an element not written yet, which reads as
    zeros), `stacked` (a value [length, *element]), or reserved: neither, a `length` that only the runtime
    knows. `declared` is the element shape that the source states (None: unknown dimension), `element` the one
    seen in use.
    """

    dtype: DType
    declared: tuple[int | None, ...] | None = None
    items: tuple[Value | None, ...] | None = None
    stacked: Value | None = None
    length: Value | None = None
    element: TensorType | None = None

    # -- making ----------------------------------------------------------------------------------------------

    @classmethod
    def reserve(cls, dtype: DType, declared: tuple[int | None, ...] | None, length: Value) -> TensorList:
        """Return a list of `length` elements (INT32 scalar) none of which is written."""
        if length.is_const:
            return cls(dtype, declared, (None,) * int(length.array()))
        return cls(dtype, declared, length=length)

    @classmethod
    def of(cls, stacked: Value) -> TensorList:
        """Return the list of the slices of a tensor along axis 0."""
        return cls(stacked.dtype, stacked=stacked, element=TensorType(stacked.dtype, stacked.shape[1:]))

    # -- using -----------------------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """Whether no element is written."""
        return self.stacked is None and not any(item is not None for item in self.items or ())

    @property
    def is_shaped(self) -> bool:
        """Whether the shape of the elements is known, so that the list can be a tensor."""
        if self.stacked is not None or (self.element is not None and self.element.shape is not None):
            return True
        return self.declared is not None and None not in self.declared

    def size(self, b: Builder) -> Value:
        """Return the number of elements, INT32 scalar."""
        if self.stacked is not None:
            return b.dim(self.stacked.shape[0])
        return self.length if self.length is not None else b.const(np.int32(len(self.items or ())))

    def get(self, b: Builder, index: Value) -> Value:
        """Return the element at `index` (INT32 scalar)."""
        if self.items is not None and index.is_const:
            item = self.items[int(index.array())]
            return self._zero(b) if item is None else item
        if self.empty:
            return self._zero(b)
        result: Value = b(Gather(axis=0), self.stack(b), index)
        return result

    def set(self, b: Builder, index: Value, item: Value) -> TensorList:
        """Return the list with the element at `index` (INT32 scalar) replaced."""
        if self.items is not None and index.is_const:
            position = int(index.array())
            items = (*self.items[:position], item, *self.items[position + 1 :])
            return replace(self, items=items, element=item.type)
        stacked = self.seen(item.type).stack(b)
        start = array.pack(b, [index, *[b.const(np.int32(0))] * item.rank], 0)
        update = array.expand_dims(b, item, 0)
        return TensorList.of(b(DynamicUpdateSlice(), stacked, update, start))

    def extended(self, b: Builder, index: Value) -> TensorList:
        """Return the list with at least an element `index` (INT32 scalar); new ones are not written."""
        if self.items is not None and index.is_const:
            missing = int(index.array()) + 1 - len(self.items)
            return replace(self, items=(*self.items, *[None] * missing))
        stacked = self.stack(b)
        missing_rows = b(Maximum(), b(Sub(), b(Add(), index, 1), b.dim(stacked.shape[0])), 0)
        shape = array.concat(b, [array.expand_dims(b, missing_rows, 0), b.dims(stacked.shape[1:])], 0)
        return TensorList.of(array.concat(b, [stacked, b(Fill(), shape, self._scalar(b))], 0))

    def push(self, b: Builder, item: Value) -> TensorList:
        """Return the list with an element appended."""
        if self.items is not None:
            return replace(self, items=(*self.items, item), element=item.type)
        return TensorList.of(array.concat(b, [self.stack(b), array.expand_dims(b, item, 0)], 0))

    def pop(self, b: Builder) -> tuple[TensorList, Value]:
        """Return the list without its last element, and that element."""
        if self.items is not None:
            last = self.items[-1]
            return replace(self, items=self.items[:-1]), self._zero(b) if last is None else last
        stacked = self.stack(b)
        last_index = b(Sub(), b.dim(stacked.shape[0]), np.int32(1))
        rest = array.gather(b, stacked, b(Range(), np.int32(0), last_index, np.int32(1)), 0)
        return TensorList.of(rest), b(Gather(axis=0), stacked, last_index)

    def stack(self, b: Builder) -> Value:
        """Return the elements stacked along a new axis 0; elements not written are zeros."""
        if self.stacked is not None:
            return self.stacked
        if self.items is not None and self.empty:
            return self._zeros(b, [len(self.items), *self._element_dims()])
        if self.items is not None:
            packed: Value = array.pack(b, self._elements(b, self.items), 0)
            return packed
        return self._typed(b(Fill(), self._shape(b), self._scalar(b)))

    def concat(self, b: Builder) -> Value:
        """Return the elements concatenated along their axis 0."""
        if self.items is not None:
            joined: Value = array.concat(b, self._elements(b, self.items), 0)
            return joined
        stacked = self.stack(b)
        result: Value = array.reshape(b, stacked, (-1, *stacked.shape[2:]))
        return result

    def gather(self, b: Builder, indices: Value) -> Value:
        """Return the elements at `indices` (INT32 vector), stacked."""
        result: Value = array.gather(b, self.stack(b), indices, 0)
        return result

    def scatter(self, b: Builder, indices: Value, items: Value) -> TensorList:
        """Return the list with `items[i]` written at `indices[i]` (unique INT32 indices)."""
        known = self.seen(TensorType(items.dtype, items.shape[1:]))
        where = array.expand_dims(b, indices, 1)
        if self.empty:
            return TensorList.of(known._typed(b(ScatterNd(), where, items, known._shape(b))))
        stacked = known.stack(b)
        shape = b.dims(stacked.shape)
        written = b(ScatterNd(), where, items, shape)
        ones = array.full(b, items.shape, 1, DType.INT32)
        mask = b(ScatterNd(), where, ones, shape)
        return TensorList.of(b(SelectV2(), array.cast(b, mask, DType.BOOL), written, stacked))

    def resize(self, b: Builder, length: Value) -> TensorList:
        """Return the list cut or extended with elements not written; UnsupportedError for unknown sizes."""
        if self.items is None or not length.is_const:
            raise UnsupportedError(
                Unsupported("TensorListResize", "the list or its new size is only known at run time")
            )
        size = int(length.array())
        return replace(self, items=(*self.items[:size], *[None] * (size - len(self.items))))

    def seen(self, element: TensorType) -> TensorList:
        """Return the list knowing the type of its elements."""
        return self if self.element is not None else replace(self, element=element)

    def expecting(self, declared: tuple[int | None, ...] | None) -> TensorList:
        """Return the list knowing an element shape that a reader states, where nothing better is known."""
        if (
            declared is None
            or self.element is not None
            or (self.declared is not None and None not in self.declared)
        ):
            return self
        return replace(self, declared=declared)

    # -- as values -------------------------------------------------------------------------------------------

    def leaves(self) -> tuple[Value, ...]:
        """Return what holds the list: its tensor, or the length (if any) of one that nothing wrote."""
        held = self.stacked if self.stacked is not None else self.length
        return () if held is None else (held,)

    def rebuild(self, leaves: Sequence[Value]) -> TensorList:
        """Return the same list held by other values."""
        if self.stacked is not None:
            return TensorList.of(leaves[0])
        return replace(self, length=leaves[0]) if leaves else self

    # -- zeros -----------------------------------------------------------------------------------------------

    def _element_dims(self) -> Sequence[Dim]:
        if self.element is not None and self.element.shape is not None:
            return self.element.shape
        if self.declared is None or None in self.declared:
            raise InferenceError("an element of a TensorList is read before its shape is known")
        return [dim for dim in self.declared if dim is not None]

    def _shape(self, b: Builder) -> Value:
        result: Value = array.pack(b, [self.size(b), *(b.dim(dim) for dim in self._element_dims())], 0)
        return result

    def _typed(self, stacked: Value) -> Value:
        """Return a tensor of the elements with the shape that is known of them; its length may be any."""
        if not stacked.is_const:
            stacked.type = TensorType(self.dtype, (stacked.shape[0], *self._element_dims()))
        return stacked

    def _scalar(self, b: Builder) -> Value:
        return b.const(np.zeros((), self.dtype.numpy))

    def _elements(self, b: Builder, items: Sequence[Value | None]) -> list[Value]:
        return [self._zero(b) if item is None else item for item in items]

    def _zero(self, b: Builder) -> Value:
        return self._zeros(b, self._element_dims())

    def _zeros(self, b: Builder, dims: Sequence[Dim]) -> Value:
        result: Value = b(Fill(), b.dims(dims), self._scalar(b))
        return result
