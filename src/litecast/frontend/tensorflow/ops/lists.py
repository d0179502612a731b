"""Importers of TensorList operations: all of them act on `lib.lists.TensorList` objects."""

from __future__ import annotations

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, Sym
from litecast.lib import array
from litecast.lib.lists import TensorList


def _declared(shape: Value) -> tuple[int | None, ...] | None:
    """Return an element shape operand: None for an unknown rank (a scalar -1) or an unknown dimension."""
    if shape.known is None or shape.known.ndim == 0:
        return None
    return tuple(None if isinstance(dim, Sym) or dim < 0 else int(dim) for dim in shape.known)


@tf("TensorListReserve", "EmptyTensorList")
def tensor_list_reserve(
    b: Builder, element_shape: Value, length: Value, *, op: str, element_dtype: DType
) -> TensorList:
    """A list of elements not written yet; the length given to EmptyTensorList is only a bound."""
    size = b.const(np.int32(0)) if op == "EmptyTensorList" else length
    return TensorList.reserve(element_dtype, _declared(element_shape), size)


@tf("TensorListFromTensor", harmless=("element_dtype",))
def tensor_list_from_tensor(b: Builder, x: Value, element_shape: Value) -> TensorList:
    """The slices of a tensor along axis 0."""
    return TensorList.of(x)


@tf("TensorListGetItem", harmless=("element_dtype",))
def tensor_list_get_item(b: Builder, xs: TensorList, index: Value, element_shape: Value) -> Value:
    """One element."""
    return xs.expecting(_declared(element_shape)).get(b, index)


@tf("TensorListSetItem", harmless=("element_dtype",))
def tensor_list_set_item(
    b: Builder, xs: TensorList, index: Value, item: Value, *, resize_if_index_out_of_bounds: bool = False
) -> TensorList:
    """The list with one element replaced, extended where the index is behind its end and that is allowed."""
    xs = xs.seen(item.type)
    return (xs.extended(b, index) if resize_if_index_out_of_bounds else xs).set(b, index, item)


@tf("TensorListStack", harmless=("element_dtype", "num_elements"))
def tensor_list_stack(b: Builder, xs: TensorList, element_shape: Value) -> Value:
    """The elements along a new axis 0."""
    return xs.expecting(_declared(element_shape)).stack(b)


@tf("TensorListLength")
def tensor_list_length(b: Builder, xs: TensorList) -> Value:
    """The number of elements."""
    return xs.size(b)


@tf("TensorListElementShape")
def tensor_list_element_shape(b: Builder, xs: TensorList, *, shape_type: DType) -> Value:
    """The shape of the elements."""
    return b.dims(xs.stack(b).shape[1:], shape_type)


@tf("TensorListPushBack", harmless=("element_dtype",))
def tensor_list_push_back(b: Builder, xs: TensorList, item: Value) -> TensorList:
    """The list with an element appended."""
    return xs.push(b, item)


@tf("TensorListPopBack", harmless=("element_dtype",))
def tensor_list_pop_back(b: Builder, xs: TensorList, element_shape: Value) -> tuple[TensorList, Value]:
    """The list without its last element, and that element."""
    return xs.expecting(_declared(element_shape)).pop(b)


@tf("TensorListConcat", "TensorListConcatV2", harmless=("element_dtype", "element_shape"))
def tensor_list_concat(
    b: Builder, xs: TensorList, element_shape: Value | None = None, leading_dims: Value | None = None
) -> tuple[Value, Value]:
    """The elements along their axis 0, and the length of each."""
    if leading_dims is not None and leading_dims.shape != (0,):
        raise UnsupportedError(Unsupported("TensorListConcatV2", "it gives lengths to elements not written"))
    if element_shape is not None:
        xs = xs.expecting(_declared(element_shape))
    result = xs.concat(b)
    if xs.items is not None and all(item is not None for item in xs.items):
        lengths = array.pack(b, [b.dim(item.shape[0]) for item in xs.items if item is not None], 0)
    else:
        stacked = xs.stack(b)
        lengths = array.full(b, stacked.shape[:1], b.dim(stacked.shape[1]), DType.INT32)
    return result, array.cast(b, lengths, DType.INT64)


@tf("TensorListConcatLists", harmless=("element_dtype",))
def tensor_list_concat_lists(b: Builder, xs: TensorList, ys: TensorList) -> TensorList:
    """Two lists one after the other."""
    if xs.items is not None and ys.items is not None:
        return TensorList(xs.dtype, xs.declared, xs.items + ys.items, element=xs.element or ys.element)
    return TensorList.of(array.concat(b, [xs.stack(b), ys.stack(b)], 0))


@tf("TensorListSplit", harmless=("element_dtype",))
def tensor_list_split(b: Builder, x: Value, element_shape: Value, lengths: Value) -> TensorList:
    """Pieces of a tensor along axis 0 with the given lengths."""
    if not lengths.is_const:
        raise UnsupportedError(Unsupported("TensorListSplit", "its lengths are only known at run time"))
    items, start = [], 0
    for length in map(int, lengths.array()):
        begin, size = [start, *[0] * (x.rank - 1)], [length, *[-1] * (x.rank - 1)]
        items.append(array.slice(b, x, begin, size))
        start += length
    return TensorList(x.dtype, items=tuple(items), element=items[0].type if items else None)


@tf("TensorListGather", harmless=("element_dtype",))
def tensor_list_gather(b: Builder, xs: TensorList, indices: Value, element_shape: Value) -> Value:
    """Some elements, stacked."""
    return xs.expecting(_declared(element_shape)).gather(b, indices)


@tf("TensorListScatter", "TensorListScatterV2", harmless=("element_dtype",))
def tensor_list_scatter(
    b: Builder, x: Value, indices: Value, element_shape: Value, *length: Value
) -> TensorList:
    """A list whose element `indices[i]` is `x[i]`; its length is given, or the largest index plus one."""
    size = length[0] if length and not (length[0].is_const and int(length[0].array()) < 0) else None
    if size is None:
        if not indices.is_const:
            raise UnsupportedError(
                Unsupported("TensorListScatter", "its length depends on indices known at run time")
            )
        size = b.const(np.int32(indices.array().max(initial=-1) + 1))
    return TensorList.reserve(x.dtype, _declared(element_shape), size).scatter(b, indices, x)


@tf("TensorListScatterIntoExistingList", harmless=("element_dtype",))
def tensor_list_scatter_into(b: Builder, xs: TensorList, x: Value, indices: Value) -> TensorList:
    """The list with some elements replaced."""
    return xs.scatter(b, indices, x)


@tf("TensorListResize")
def tensor_list_resize(b: Builder, xs: TensorList, size: Value) -> TensorList:
    """The list cut or extended."""
    return xs.resize(b, size)
