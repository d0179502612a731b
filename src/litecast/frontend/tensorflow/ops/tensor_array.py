"""Importers of TensorFlow 1 TensorArrays: the elements are a `TensorList` that travels as the array's flow.

Every operation on a TensorArray takes the flow that the one before it gave (TensorArrayV3's definition), so
the flow can hold what TensorFlow keeps in the resource: a loop then carries the list as its state, and the
handle says only what the array was made with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.lists import tensor_list_concat, tensor_list_split
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, TensorType
from litecast.lib.lists import TensorList
from litecast.ops import ReduceMax


@dataclass(frozen=True)
class Handle:
    """What a TensorArray was made with: its element type, and whether writing behind its end extends it."""

    dtype: DType
    dynamic_size: bool


@tf("TensorArrayV3", harmless=("clear_after_read", "identical_element_shapes", "tensor_array_name"))
def tensor_array_v3(
    b: Builder, size: Value, *, dtype: DType, element_shape: Any = None, dynamic_size: bool = False
) -> tuple[Handle, TensorList]:
    """An array of elements that are not written yet: its handle and its flow."""
    return Handle(dtype, dynamic_size), TensorList.reserve(dtype, element_shape, size)


@tf("TensorArrayReadV3", harmless=("dtype",))
def tensor_array_read_v3(b: Builder, handle: Handle, index: Value, flow: Any) -> Value:
    """One element."""
    return _list(flow).get(b, index)


@tf("TensorArrayWriteV3")
def tensor_array_write_v3(b: Builder, handle: Handle, index: Value, item: Value, flow: Any) -> TensorList:
    """The array with one element written."""
    xs = _list(flow).seen(item.type)
    return (xs.extended(b, index) if handle.dynamic_size else xs).set(b, index, item)


@tf("TensorArrayScatterV3")
def tensor_array_scatter_v3(
    b: Builder, handle: Handle, indices: Value, items: Value, flow: Any
) -> TensorList:
    """The array with `items[i]` written at `indices[i]`; TensorFlow writes no element twice."""
    xs = _list(flow)
    if xs.empty and _counts_up(indices, items.shape[0]) and _length(xs) in (items.shape[0], 0):
        return TensorList.of(items)
    xs = xs.seen(TensorType(items.dtype, items.shape[1:]))
    if handle.dynamic_size and indices.type.size != 0:
        xs = xs.extended(b, b(ReduceMax(), indices, (0,)))
    return xs.scatter(b, indices, items)


@tf("TensorArrayGatherV3", harmless=("dtype", "element_shape"))
def tensor_array_gather_v3(b: Builder, handle: Handle, indices: Value, flow: Any) -> Value:
    """Some elements, stacked."""
    xs = _list(flow)
    return xs.stack(b) if _counts_up(indices, _length(xs)) else xs.gather(b, indices)


@tf("TensorArraySizeV3")
def tensor_array_size_v3(b: Builder, handle: Handle, flow: Any) -> Value:
    """The number of elements."""
    return _list(flow).size(b)


@tf("TensorArraySplitV3")
def tensor_array_split_v3(b: Builder, handle: Handle, x: Value, lengths: Value, flow: Any) -> TensorList:
    """The pieces of a tensor along axis 0 as elements."""
    if not _list(flow).empty:
        raise UnsupportedError(Unsupported("TensorArraySplitV3", "the array has been written before"))
    return tensor_list_split(b, x, lengths, lengths)


@tf("TensorArrayConcatV3", harmless=("dtype", "element_shape_except0"))
def tensor_array_concat_v3(b: Builder, handle: Handle, flow: Any) -> tuple[Value, Value]:
    """The elements along their axis 0, and the length of each."""
    return tensor_list_concat(b, _list(flow))


@tf("TensorArrayCloseV3")
def tensor_array_close_v3(b: Builder, handle: Handle) -> None:
    """Release the memory: nothing to do."""


def _list(flow: Any) -> TensorList:
    if not isinstance(flow, TensorList):
        raise UnsupportedError(
            Unsupported(
                "TensorArray", "its flow comes from no operation on a TensorArray", hint="report this model"
            )
        )
    return flow


def _length(xs: TensorList) -> Any:
    """Return the number of elements, None where only the runtime knows it."""
    if xs.items is not None:
        return len(xs.items)
    return None if xs.stacked is None else xs.stacked.shape[0]


def _counts_up(indices: Value, length: Any) -> bool:
    """Whether indices are 0, 1 ... length - 1."""
    return isinstance(length, int) and indices.is_const and np.array_equal(indices.array(), np.arange(length))
