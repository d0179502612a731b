"""`keras.ops` that move elements: shapes, axes, joins, splits, repetitions and borders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.promotion import (
    axes_of,
    dynamic,
    is_tensor,
    promoted,
    scalar_of,
    tensor,
)
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, product
from litecast.lib import array, math
from litecast.ops.enums import MirrorPadMode

# -- shapes ----------------------------------------------------------------------------------------------


def dims_of(b: Builder, shape: Any) -> Any:
    """Return a `shape` argument as dimensions, or as a vector where some of it is a tensor."""
    if isinstance(shape, Value):
        return shape
    items = list(shape) if isinstance(shape, (list, tuple)) else np.ravel(shape).tolist()
    if any(is_tensor(item) for item in items):
        return array.vector(b, [item if is_tensor(item) else int(item) for item in items])
    return [-1 if item is None else int(item) for item in items]


def reshaped(b: Builder, x: Any, shape: Any) -> Any:
    """Return x with the shape of an argument (-1 and None: what is left)."""
    dims = dims_of(b, shape)
    return array.reshape_to(b, x, dims) if isinstance(dims, Value) else array.reshape(b, x, dims)


@operations("Reshape")
def reshape(b: Builder, x: Any, *, newshape: Any) -> Any:
    return reshaped(b, tensor(b, x), newshape)


@operations("Ravel")
def ravel(b: Builder, x: Any) -> Any:
    return array.flatten(b, tensor(b, x))


@operations("Squeeze")
def squeeze(b: Builder, x: Any, *, axis: Any = None) -> Any:
    """Without an axis: all dimensions that are known to be 1."""
    axes = [place for place, dim in enumerate(x.shape) if dim == 1] if axis is None else axes_of(axis, x.rank)
    return array.squeeze(b, x, axes) if axes else x


@operations("ExpandDims")
def expand_dims(b: Builder, x: Any, *, axis: Any) -> Any:
    value = tensor(b, x)
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    rank = value.rank + len(axes)
    for place in sorted(array.normalize_axis(int(item), rank) for item in axes):
        value = array.expand_dims(b, value, place)
    return value


@operations("BroadcastTo")
def broadcast_to(b: Builder, x: Any, *, shape: Any) -> Any:
    return math.broadcast_to(b, tensor(b, x), dims_of(b, shape))


@operations("Size")
def size(b: Builder, x: Any) -> Any:
    count = product(x.shape)
    return b.const(np.int32(count)) if isinstance(count, int) else b.dim(count)


@operations("Ndim")
def ndim(b: Builder, x: Any) -> Any:
    return b.const(np.int32(x.rank))


@operations("Meshgrid")
def meshgrid(b: Builder, *x: Any, indexing: str = "xy") -> list[Any]:
    """One tensor per axis, the first two axes swapped for "xy"."""
    values = promoted(b, *x)
    count = len(values)
    order = list(range(count))
    if indexing == "xy" and count > 1:
        order[:2] = [1, 0]
    vectors = [
        array.reshape(
            b, value, [product(value.shape) if axis == order[place] else 1 for axis in range(count)]
        )
        for place, value in enumerate(values)
    ]
    return math.broadcast_values(b, vectors)


# -- axes ------------------------------------------------------------------------------------------------


@operations("Transpose")
def transpose(b: Builder, x: Any, *, axes: Any = None) -> Any:
    """Without axes (or with none in the list): reversed."""
    order = [int(axis) for axis in axes] if axes else list(range(x.rank))[::-1]
    return array.transpose(b, x, order)


def move_axis(b: Builder, x: Any, source: Any, destination: Any) -> Any:
    """Return x with axes moved to other places, the rest in order (numpy.moveaxis)."""
    sources, targets = axes_of(source, x.rank), axes_of(destination, x.rank)
    order = [axis for axis in range(x.rank) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return array.transpose(b, x, order)


@operations("Moveaxis")
def moveaxis(b: Builder, x: Any, *, source: Any, destination: Any) -> Any:
    return move_axis(b, tensor(b, x), source, destination)


@operations("Swapaxes")
def swapaxes(b: Builder, x: Any, *, axis1: int, axis2: int) -> Any:
    order = list(range(x.rank))
    first, second = (array.normalize_axis(axis, x.rank) for axis in (axis1, axis2))
    order[first], order[second] = second, first
    return array.transpose(b, x, order)


@operations("Flip")
def flip(b: Builder, x: Any, *, axis: Any = None) -> Any:
    return array.reverse(b, x, axes_of(axis, x.rank))


@operations("Fliplr")
def fliplr(b: Builder, x: Any) -> Any:
    return array.reverse(b, x, [1])


@operations("Flipud")
def flipud(b: Builder, x: Any) -> Any:
    return array.reverse(b, x, [0])


@operations("Rot90")
def rot90(b: Builder, array_: Any, *, k: int = 1, axes: Any = (0, 1)) -> Any:
    """A quarter turn from the first of the axes to the second, k times."""
    first, second = (array.normalize_axis(int(axis), array_.rank) for axis in axes)
    turns = k % 4
    order = list(range(array_.rank))
    order[first], order[second] = second, first
    if turns == 0:
        return array_
    if turns == 2:
        return array.reverse(b, array_, [first, second])
    if turns == 1:
        return array.transpose(b, array.reverse(b, array_, [second]), order)
    return array.transpose(b, array.reverse(b, array_, [first]), order)


@operations("Roll")
def roll(b: Builder, x: Any, *, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return array.reshape(b, array.roll(b, array.flatten(b, x), [int(shift)], [0]), x.shape)
    axes = np.ravel(axis).tolist()
    shifts = np.ravel(shift).tolist()
    count = max(len(axes), len(shifts))
    axes, shifts = (part * count if len(part) == 1 else part for part in (axes, shifts))
    return array.roll(b, x, shifts, axes)


# -- joins and splits ------------------------------------------------------------------------------------


@operations("Concatenate")
def concatenate(b: Builder, xs: Any, *, axis: int = 0) -> Any:
    return array.concat(b, promoted(b, *xs, weak=False), axis)


@operations("Append")
def append(b: Builder, x1: Any, x2: Any, *, axis: Any = None) -> Any:
    values = promoted(b, x1, x2, weak=False)
    if axis is None:
        return array.concat(b, [array.flatten(b, value) for value in values], 0)
    return array.concat(b, values, axis)


@operations("Stack")
def stack(b: Builder, x: Any, *, axis: int = 0) -> Any:
    return array.pack(b, promoted(b, *x), axis)


@operations("Hstack")
def hstack(b: Builder, xs: Any) -> Any:
    values = promoted(b, *xs)
    return array.concat(b, values, 0 if values[0].rank == 1 else 1)


@operations("Vstack")
def vstack(b: Builder, xs: Any) -> Any:
    return array.concat(b, promoted(b, *xs), 0)


@operations("Dstack")
def dstack(b: Builder, xs: Any) -> Any:
    """Vectors are rows, and what has no third axis gets one."""
    values = []
    for value in promoted(b, *xs, weak=False):
        if value.rank < 2:
            value = array.reshape(b, value, (1, *(value.shape or (1,))))
        values.append(array.expand_dims(b, value, 2) if value.rank == 2 else value)
    return array.concat(b, values, 2)


@operations("ColumnStack")
def column_stack(b: Builder, xs: Any) -> Any:
    values = promoted(b, *xs, weak=False)
    return array.concat(b, [array.expand_dims(b, x, -1) if x.rank == 1 else x for x in values], 1)


def split_at(b: Builder, x: Any, parts: Any, axis: int) -> list[Any]:
    """Return x in `parts` equal parts, or cut at the places in a list."""
    if isinstance(parts, (int, np.integer)):
        return list(array.split(b, x, int(parts), axis))
    places = [int(place) for place in np.ravel(parts).tolist()]
    total = x.shape[axis]
    if isinstance(total, int):
        edges = [0, *places, total]
        return list(array.split(b, x, [high - low for low, high in pairwise(edges)], axis))
    return list(array.split(b, x, [high - low for low, high in pairwise([0, *places])] + [-1], axis))


@operations("Split")
def split(b: Builder, x: Any, *, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return split_at(b, x, indices_or_sections, axis)


def _split_along(axis: int) -> Callable[..., Any]:
    return lambda b, x, *, indices_or_sections: split_at(b, x, indices_or_sections, axis)


for _name, _axis in (("Vsplit", 0), ("Dsplit", 2)):
    operations(_name)(_split_along(_axis))


@operations("Hsplit")
def hsplit(b: Builder, x: Any, *, indices_or_sections: Any) -> list[Any]:
    return split_at(b, x, indices_or_sections, 0 if x.rank == 1 else 1)


@operations("ArraySplit")
def array_split(b: Builder, x: Any, *, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """The first parts are one longer where the size does not divide."""
    total = x.shape[axis]
    if not isinstance(indices_or_sections, (int, np.integer)):
        return split_at(b, x, indices_or_sections, axis)
    if not isinstance(total, int):
        raise dynamic("ArraySplit", "the size of the axis")
    least, longer = divmod(total, int(indices_or_sections))
    sizes = [least + 1] * longer + [least] * (int(indices_or_sections) - longer)
    return list(array.split(b, x, sizes, axis))


@operations("Unstack")
def unstack(b: Builder, x: Any, *, num: Any = None, axis: int = 0) -> list[Any]:
    """`num` says how many parts there are where the shape does not."""
    place = array.normalize_axis(axis, x.rank)
    if num is not None and not isinstance(x.shape[place], int):
        x = array.reshape(b, x, (*x.shape[:place], int(num), *x.shape[place + 1 :]))
    return list(array.unpack(b, x, place))


# -- repetition ------------------------------------------------------------------------------------------


def tiled(b: Builder, x: Any, repeats: Sequence[Any]) -> Any:
    """Return x repeated along its axes; more counts than axes give new leading ones."""
    counts = [1] * (x.rank - len(repeats)) + list(repeats)
    if len(counts) > x.rank:
        x = array.reshape(b, x, (*(1 for _ in range(len(counts) - x.rank)), *x.shape))
    if all(not is_tensor(count) and count == 1 for count in counts):
        return x
    multiples = array.vector(b, [count if is_tensor(count) else int(count) for count in counts])
    return b(ops.Tile(), x, multiples)


@operations("Tile")
def tile(b: Builder, x: Any, *, repeats: Any) -> Any:
    counts = list(repeats) if isinstance(repeats, (list, tuple)) else np.ravel(repeats).tolist()
    return tiled(b, tensor(b, x), counts)


def repeated(b: Builder, x: Any, repeats: Any, axis: Any) -> Any:
    """Return x with each element along an axis (None: of the flattened tensor) repeated (numpy.repeat)."""
    if axis is None:
        x, axis = array.flatten(b, x), 0
    place = array.normalize_axis(axis, x.rank)
    counts = np.ravel(repeats.array() if isinstance(repeats, Value) and repeats.is_const else repeats)
    if counts.dtype == object:
        raise array.unsupported("Repeat", "its counts are computed", "use constant counts")
    length = x.shape[place]
    if counts.size > 1 or counts.size == 0:
        if not isinstance(length, int):
            raise dynamic("Repeat", "the size of the axis")
        return array.gather(b, x, np.repeat(np.arange(length, dtype=np.int32), counts), place)
    count = int(counts[0])
    spread = array.expand_dims(b, x, place + 1)
    wide = tiled(b, spread, [count if axis == place + 1 else 1 for axis in range(spread.rank)])
    return array.reshape(b, wide, (*x.shape[:place], length * count, *x.shape[place + 1 :]))


@operations("Repeat")
def repeat(b: Builder, x: Any, *, repeats: Any, axis: Any = None) -> Any:
    return repeated(b, tensor(b, x), repeats, axis)


# -- borders ---------------------------------------------------------------------------------------------


def _pairs(pad_width: Any, rank: int) -> list[list[int]]:
    """Return (before, after) for each axis: one number or pair stands for all (numpy.py Pad)."""
    widths = pad_width.array() if isinstance(pad_width, Value) else pad_width
    if isinstance(widths, (int, np.integer)):
        widths = [[widths, widths]]
    elif np.ndim(widths[0]) == 0:
        widths = [widths]
    pairs = [[int(item) for item in np.ravel(pair)] for pair in widths]
    pairs = [pair * 2 if len(pair) == 1 else pair for pair in pairs]
    return pairs * rank if len(pairs) == 1 else pairs


@operations("Pad")
def pad(b: Builder, x: Any, constant_values: Any = None, *, pad_width: Any, mode: str = "constant") -> Any:
    pairs = _pairs(pad_width, x.rank)
    if mode.lower() == "constant":
        if isinstance(constant_values, Value):
            return array.pad(b, x, pairs, array.cast(b, constant_values, x.dtype))
        return array.pad(b, x, pairs, scalar_of(constant_values or 0, "padding value", "Pad"))
    return mirrored(b, x, pairs, mode)


def mirrored(b: Builder, x: Any, pairs: Any, mode: str) -> Any:
    """Return x with its own elements as borders: "reflect" without the edge, "symmetric" with it."""
    modes = {"REFLECT": MirrorPadMode.REFLECT, "SYMMETRIC": MirrorPadMode.SYMMETRIC}
    if mode.upper() not in modes:
        raise array.unsupported("Pad", f"mode {mode!r}", "use constant, reflect or symmetric")
    if not np.any(pairs):
        return x
    op = ops.MirrorPad(mode=modes[mode.upper()])
    paddings = b.const(np.asarray(pairs, np.int32))
    return array.moved(b, ops.MirrorPad, x, lambda y: b(op, y, paddings))


# -- parts at places -------------------------------------------------------------------------------------


@operations("Slice")
def slice_(b: Builder, inputs: Any, start_indices: Any, *, shape: Any) -> Any:
    """Where the part ends is the model's promise (tf.slice fails beyond the tensor)."""
    return array.slice(b, inputs, dims_of(b, start_indices), [int(dim) for dim in shape])


@operations("SliceUpdate")
def slice_update(b: Builder, inputs: Any, start_indices: Any, updates: Any) -> Any:
    start = dims_of(b, start_indices)
    places = array.cast(b, start, DType.INT32) if isinstance(start, Value) else array.vector(b, start)
    return b(ops.DynamicUpdateSlice(), inputs, tensor(b, updates, inputs.dtype), places)


# -- einops ----------------------------------------------------------------------------------------------


def _groups(pattern: str) -> list[list[str]]:
    """Split one side of a pattern into axes, those in parentheses together."""
    groups: list[list[str]] = []
    inside = False
    for word in pattern.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            inside = True
            groups.append([])
        elif word == ")":
            inside = False
        elif inside:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _known_sizes(x: Any, groups: list[list[str]], lengths: dict[str, int]) -> dict[str, Dim]:
    """Return the size of every named axis; one of each group follows from the others."""
    sizes: dict[str, Dim] = dict(lengths)
    for group, dim in zip(groups, x.shape, strict=True):
        open_names = [name for name in group if name not in lengths]
        if len(open_names) > 1:
            raise array.unsupported("Rearrange", f"the sizes of {open_names} are not given", "give them")
        rest = product(sizes[name] for name in group if name in lengths)
        if open_names:
            sizes[open_names[0]] = dim // rest if rest != 1 else dim
    return sizes


@operations("Rearrange")
def rearrange(b: Builder, tensor_: Any, pattern: str, *, layer: Any, **axes_lengths: Any) -> Any:
    """Reshape to single axes, transpose, reshape to the groups of the result (ops/einops.py)."""
    left, _, right = pattern.partition("->")
    before, after = _groups(left), _groups(right)
    lengths = {name: int(size) for name, size in axes_lengths.items()}
    sizes = _known_sizes(tensor_, before, lengths)
    names = [name for group in before for name in group]
    single = array.reshape(b, tensor_, [sizes[name] for name in names])
    moved = array.transpose(b, single, [names.index(name) for group in after for name in group])
    return array.reshape(b, moved, [product(sizes[name] for name in group) for group in after])
