"""Importers of TensorFlow's shape, movement and construction operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.errors import InferenceError
from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder, Composite
from litecast.ir.graph import Value
from litecast.ir.types import DType, Sym
from litecast.lib import array, index, math
from litecast.lib import complex as complexes
from litecast.lib.array import unsupported
from litecast.ops.enums import MirrorPadMode


def integers(x: Value, what: str, op: str) -> list[int]:
    """Return the contents of a constant integer operand as a flat list; UnsupportedError where it is
    computed.
    """
    known = x.known if x.known is not None else x.array() if x.is_const else None
    if known is None or any(isinstance(item, Sym) for item in np.ravel(known)):
        raise unsupported(op, f"its {what} is not constant", f"compute the {what} from constants")
    return [int(item) for item in np.ravel(known)]


# -- shape ----------------------------------------------------------------------------------------------


@tf("Reshape")
def reshape(b: Builder, x: Any, shape: Value) -> Any:
    return array.reshape_to(b, x, shape)


@tf("Squeeze")
def squeeze(b: Builder, x: Any, *, squeeze_dims: list[int] | tuple[int, ...] = ()) -> Any:
    return array.squeeze(b, x, squeeze_dims)


@tf("ExpandDims")
def expand_dims(b: Builder, x: Any, dim: Value) -> Any:
    return array.expand_dims(b, x, integers(dim, "axis", "ExpandDims")[0])


@tf("Shape")
def shape(b: Builder, x: Any, *, out_type: DType = DType.INT32) -> Value:
    return array.shape(b, x, out_type)


@tf("ShapeN")
def shape_n(b: Builder, *xs: Any, out_type: DType = DType.INT32) -> list[Value]:
    return [array.shape(b, x, out_type) for x in xs]


@tf("Size")
def size(b: Builder, x: Any, *, out_type: DType = DType.INT32) -> Any:
    if x.type.shape is not None and x.type.is_static:
        return b.const(np.asarray(x.type.size, out_type.numpy))
    dims = array.shape(b, x)
    return array.cast(b, b(ops.ReduceProd(), dims, np.array([0], np.int32)), out_type)


@tf("Rank")
def rank(b: Builder, x: Any) -> Any:
    return b.const(np.int32(x.rank)) if x.type.shape is not None else b(ops.Rank(), x)


@tf("EnsureShape")
def ensure_shape(b: Builder, x: Any, *, shape: tuple[int | None, ...] | None = None) -> Any:
    """Check what is known now; what is not is the model's own promise, as the official converter takes it."""
    if shape is None or x.type.shape is None:
        return x
    if len(shape) != x.rank or any(
        want is not None and isinstance(dim, int) and dim != want
        for want, dim in zip(shape, x.shape, strict=True)
    ):
        raise InferenceError(f"shape {x.shape} is not {shape}")
    return x


@tf("BroadcastArgs")
def broadcast_args(b: Builder, left: Value, right: Value) -> Any:
    return b(ops.BroadcastArgs(), left, right)


# -- movement -------------------------------------------------------------------------------------------


@tf("Transpose")
def transpose(b: Builder, x: Any, perm: Value) -> Any:
    return array.transpose(b, x, integers(perm, "permutation", "Transpose"))


@tf("Concat")
def concat(b: Builder, axis: Value, *xs: Any) -> Any:
    return array.concat(b, xs, integers(axis, "axis", "Concat")[0])


@tf("ConcatV2")
def concat_v2(b: Builder, *operands: Any) -> Any:
    return array.concat(b, operands[:-1], integers(operands[-1], "axis", "ConcatV2")[0])


@tf("Pack")
def pack(b: Builder, *xs: Any, axis: int = 0) -> Any:
    return array.pack(b, xs, axis)


@tf("Unpack")
def unpack(b: Builder, x: Any, *, num: int, axis: int = 0) -> Any:
    position = array.normalize_axis(axis, x.rank)
    if not isinstance(x.shape[position], int):  # TensorFlow promises the number of parts
        x = array.reshape(b, x, (*x.shape[:position], num, *x.shape[position + 1 :]))
    return array.unpack(b, x, axis)


@tf("Split")
def split(b: Builder, axis: Value, x: Any, *, num_split: int) -> Any:
    return array.split(b, x, num_split, integers(axis, "axis", "Split")[0])


@tf("SplitV")
def split_v(b: Builder, x: Any, sizes: Value, axis: Value, *, num_split: int) -> Any:
    return array.split(b, x, integers(sizes, "sizes", "SplitV"), integers(axis, "axis", "SplitV")[0])


@tf("Slice")
def slice_(b: Builder, x: Any, begin: Value, size: Value) -> Any:
    return array.slice(b, x, begin, size)


@tf("StridedSlice")
def strided_slice(
    b: Builder,
    x: Any,
    begin: Value,
    end: Value,
    strides: Value,
    *,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Any:
    masks = index.Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return index.strided_slice(b, x, begin, end, strides, masks)


@tf("Pad")
def pad(b: Builder, x: Any, paddings: Value) -> Any:
    return array.pad(b, x, paddings)


@tf("PadV2")
def pad_v2(b: Builder, x: Any, paddings: Value, value: Value) -> Any:
    constant = isinstance(value, Value) and value.is_const and x.dtype.numpy.kind in "biuf"
    return array.pad(b, x, paddings, value.array().item() if constant else value)


@tf("Tile")
def tile(b: Builder, x: Any, multiples: Value) -> Any:
    known = multiples.known
    if known is not None and all(isinstance(count, int) and count == 1 for count in known):
        return x
    return b(ops.Tile(), x, array.cast(b, multiples, DType.INT32))


@tf("BroadcastTo")
def broadcast_to(b: Builder, x: Any, shape: Value) -> Any:
    known = shape.known
    if known is not None and tuple(known) == tuple(x.shape):
        return x
    return math.broadcast_to(b, x, array.cast(b, shape, DType.INT32))


@tf("Reverse")
def reverse(b: Builder, x: Any, dims: Value) -> Any:
    """The first version has one flag per axis."""
    if not dims.is_const:
        raise unsupported("Reverse", "its axes are not constant", "use constant axes")
    return array.reverse(b, x, [axis for axis, chosen in enumerate(dims.array()) if chosen])


@tf("ReverseV2")
def reverse_v2(b: Builder, x: Any, axes: Value) -> Any:
    return array.reverse(b, x, integers(axes, "axes", "ReverseV2"))


@tf("ConjugateTranspose")
def conjugate_transpose(b: Builder, x: Any, perm: Value) -> Any:
    moved = array.transpose(b, x, integers(perm, "permutation", "ConjugateTranspose"))
    return complexes.conj(b, complexes.as_complex(b, moved)) if moved.dtype.is_complex else moved


@tf("MirrorPad")
def mirror_pad(b: Builder, x: Any, paddings: Value, *, mode: str) -> Any:
    operation = ops.MirrorPad(mode=MirrorPadMode[mode])
    return array.moved(b, ops.MirrorPad, x, lambda y: b(operation, y, paddings))


@tf("ReverseSequence")
def reverse_sequence(b: Builder, x: Any, lengths: Value, *, seq_dim: int, batch_dim: int = 0) -> Any:
    operation = ops.ReverseSequence(seq_dim=seq_dim % x.rank, batch_dim=batch_dim % x.rank)
    return array.moved(b, ops.ReverseSequence, x, lambda y: b(operation, y, lengths))


@tf("Roll", harmless=("Tshift",))
def roll(b: Builder, x: Any, shift: Value, axis: Value) -> Any:
    axes = integers(axis, "axis", "Roll")
    if shift.is_const:
        return array.roll(b, x, integers(shift, "shift", "Roll"), axes)
    shifts = array.unpack(b, shift, 0) if shift.rank else (shift,)
    return array.roll(b, x, [array.cast(b, part, DType.INT32) for part in shifts], axes)


@tf("Bitcast")
def bitcast(b: Builder, x: Any, *, type: DType) -> Any:
    return x if x.dtype is type else b(ops.Bitcast(type), x)


@tf("ConcatOffset")
def concat_offset(b: Builder, axis: Value, *shapes: Value) -> list[Any]:
    """Where each part of a concatenation starts: the sizes before it on the axis, 0 elsewhere."""
    on_axis = np.zeros(int(shapes[0].type.size), shapes[0].dtype.numpy)  # type: ignore[arg-type]
    on_axis[integers(axis, "axis", "ConcatOffset")[0]] = 1
    starts: list[Any] = [b.const(np.zeros_like(on_axis))]
    for shape in shapes[:-1]:
        starts.append(b(ops.Add(), starts[-1], b(ops.Mul(), shape, b.const(on_axis))))
    return starts


# -- construction ---------------------------------------------------------------------------------------


@tf("Fill")
def fill(b: Builder, dims: Value, value: Any) -> Any:
    if isinstance(value, Composite):
        return b(ops.Fill(), dims, value)
    return array.full(b, dims, value, value.dtype)


@tf("Range")
def range_(b: Builder, start: Value, limit: Value, delta: Value) -> Any:
    return array.arange(b, start, limit, delta)


@tf("ZerosLike", "OnesLike")
def filled_like(b: Builder, x: Any, *, op: str) -> Any:
    number = 1 if op == "OnesLike" else 0
    if x.dtype.is_complex:
        return complexes.as_complex(b, array.full(b, b.dims(x.shape), number, DType.FLOAT32))
    return array.full(b, b.dims(x.shape), number, x.dtype)


@tf("LinSpace")
def lin_space(b: Builder, start: Value, stop: Value, num: Value) -> Any:
    """Evenly spaced numbers of which the last is `stop` itself (core/kernels/sequence_ops.cc)."""
    count = integers(num, "number of points", "LinSpace")[0]
    if count == 1:
        return array.reshape(b, start, (1,))
    step = math.apply(b, ops.Div(), math.apply(b, ops.Sub(), stop, start), count - 1)
    steps = b.const(np.arange(count - 1).astype(start.dtype.numpy))
    points = math.apply(b, ops.Add(), start, math.apply(b, ops.Mul(), step, steps))
    return array.concat(b, [points, array.reshape(b, stop, (1,))], 0)
