"""Padding, and moves between space, depth and batch."""

from __future__ import annotations

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Op, Operands, Outputs, operation
from litecast.ir.types import Dim, DType, Shape, TensorType, product, same_dim
from litecast.ops.dims import check_integer, contents_shape, integers, minimum, unknown_shape
from litecast.ops.enums import MirrorPadMode
from litecast.ops.grids import ONE_SCALE, ONE_SCALE_INT8, ONE_SCALE_INT16
from litecast.ops.rules import Tracked, Versioned, by_type, per_tensor, rank_over, same_dtype, types

__all__ = [
    "BatchToSpaceND",
    "DepthToSpace",
    "Dilate",
    "DynamicUpdateSlice",
    "MatrixDiag",
    "MatrixSetDiag",
    "MirrorPad",
    "Pad",
    "PadV2",
    "SpaceToBatchND",
    "SpaceToDepth",
]


def _pairs(paddings: Value, rank: int | None) -> list[tuple[int, int]] | None:
    """Return [before, after] per dimension, None where not constant; ValueError where they do not fit."""
    check_integer(paddings, "the paddings")
    shape = paddings.type.shape
    if shape is not None:
        fits = len(shape) == 2 and same_dim(shape[1], 2) is not False
        if not fits or (rank is not None and same_dim(shape[0], rank) is False):
            raise ValueError(f"paddings of shape {shape} do not fit rank {rank}")
    if not paddings.is_const:
        return None
    pairs = [(int(before), int(after)) for before, after in paddings.array()]
    if any(side < 0 for pair in pairs for side in pair):
        raise ValueError(f"paddings must not be negative: {pairs}")
    return pairs


def _padded(x: Value, paddings: Value) -> Shape | None:
    pairs = _pairs(paddings, x.type.rank)
    if x.type.shape is None:
        return None if pairs is None else unknown_shape(len(pairs), "padded")
    if pairs is None:
        return unknown_shape(x.rank, "padded")
    return tuple(dim + (before + after) for dim, (before, after) in zip(x.shape, pairs, strict=True))


class Padding(Versioned):
    """Rows and columns added on each side of each dimension."""

    kernels = types("f32 f16 bf16 f8e4m3fn f8e5m2 u8 i8 i16 i32 i64 bool")  # pad.cc
    max_rank = 5
    versions = by_type(f8=6, bool=5, i16=3, i8=2)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        return max(super().version(inputs, outputs), 4 if rank_over(inputs[0], 4) else 1)


@operation
class Pad(Padding, code=34, options="PadOptions"):
    """The operand with zeros (quantized: its zero point) around it, as operand 1 [rank, 2] says."""

    quantization = ONE_SCALE

    def infer(self, x: Value, paddings: Value) -> Inferred:
        return TensorType(x.dtype, _padded(x, paddings), per_tensor(x))

    def eval(self, x: Array, paddings: Array) -> Array:
        return np.pad(x, [(int(before), int(after)) for before, after in paddings])


@operation
class PadV2(Padding, code=60, options="PadV2Options"):
    """The operand with operand 2, a scalar, around it, as operand 1 [rank, 2] says."""

    quantization = ONE_SCALE

    def infer(self, x: Value, paddings: Value, value: Value) -> Inferred:
        if value.type.shape is not None and same_dim(product(value.shape), 1) is False:
            raise ValueError(f"the value must be a scalar, not {value.type}")
        return TensorType(same_dtype(x, value), _padded(x, paddings), per_tensor(x))

    def eval(self, x: Array, paddings: Array, value: Array) -> Array:
        pairs = [(int(before), int(after)) for before, after in paddings]
        return np.pad(x, pairs, constant_values=np.ravel(value)[0])


@operation
class MirrorPad(Versioned, code=100, options="MirrorPadOptions"):
    """The operand mirrored on its borders; REFLECT does not repeat the border itself."""

    mode: MirrorPadMode = MirrorPadMode.REFLECT
    versions = by_type(i16=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, paddings: Value) -> Inferred:
        pairs = _pairs(paddings, x.type.rank)
        border = 1 if self.mode is MirrorPadMode.REFLECT else 0
        for dim, pair in zip(x.type.shape or (), pairs or (), strict=False):
            if isinstance(dim, int) and max(pair) > max(dim - border, 0):
                raise ValueError(f"paddings {pair} are more than {dim} elements can mirror")
        return TensorType(x.dtype, _padded(x, paddings), per_tensor(x))

    def eval(self, x: Array, paddings: Array) -> Array:
        pairs = [(int(before), int(after)) for before, after in paddings]
        return np.pad(x, pairs, "reflect" if self.mode is MirrorPadMode.REFLECT else "symmetric")


@operation
class BlockMove(Versioned):
    """A move of square blocks between the two middle dimensions and the last one of rank 4."""

    block_size: int
    kernels = types("f32 u8 i8 i32 i64")  # space_to_depth.cc and depth_to_space.cc
    versions = by_type(i8=2)
    quantization = ONE_SCALE_INT8

    def _nhwc(self, x: Value) -> Shape | None:
        if self.block_size < 1:
            raise ValueError(f"block_size must be at least 1, not {self.block_size}")
        if x.type.shape is not None and x.rank != 4:
            raise ValueError(f"rank 4 is wanted, not {x.type}")
        return x.type.shape


def _exactly(dim: Dim, divisor: Dim, what: str) -> Dim:
    if isinstance(dim, int) and isinstance(divisor, int) and (divisor == 0 or dim % divisor):
        raise ValueError(f"{what} {dim} is no multiple of {divisor}")
    return dim // divisor


@operation
class SpaceToDepth(BlockMove, code=26, options="SpaceToDepthOptions"):
    """Each block of the image becomes one pixel."""

    def infer(self, x: Value) -> Inferred:
        shape, size = self._nhwc(x), self.block_size
        if shape is None:
            return TensorType(x.dtype, None, per_tensor(x))
        rows, columns = (_exactly(dim, size, "a side of") for dim in shape[1:3])
        return TensorType(x.dtype, (shape[0], rows, columns, shape[3] * size * size), per_tensor(x))

    def eval(self, x: Array) -> Array:
        n, h, w, c = x.shape
        size = self.block_size
        blocks = x.reshape(n, h // size, size, w // size, size, c).transpose(0, 1, 3, 2, 4, 5)
        return blocks.reshape(n, h // size, w // size, size * size * c)


@operation
class DepthToSpace(BlockMove, code=5, options="DepthToSpaceOptions"):
    """Each pixel becomes one block of the image."""

    def infer(self, x: Value) -> Inferred:
        shape, size = self._nhwc(x), self.block_size
        if shape is None:
            return TensorType(x.dtype, None, per_tensor(x))
        depth = _exactly(shape[3], size * size, "the depth")
        return TensorType(x.dtype, (shape[0], shape[1] * size, shape[2] * size, depth), per_tensor(x))

    def eval(self, x: Array) -> Array:
        n, h, w, c = x.shape
        size = self.block_size
        depth = c // (size * size)
        blocks = x.reshape(n, h, w, size, size, depth).transpose(0, 1, 3, 2, 4, 5)
        return blocks.reshape(n, h * size, w * size, depth)


class BatchMove(Versioned):
    """A move of blocks between spatial dimensions and batch; operands: x, block shape, paddings or crops."""

    versions = by_type(i16=4, i8=2)
    quantization = ONE_SCALE

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x = inputs[0]
        other_rank = x is not None and x.type.shape is not None and x.rank != 4
        return max(super().version(inputs, outputs), 3 if other_rank else 1)


def _blocks(x: Value, block: Value, borders: Value) -> tuple[list[int], list[tuple[int, int]]] | None:
    sizes = integers(block, "the block shape")
    pairs = _pairs(borders, None if sizes is None else len(sizes))
    if sizes is None or pairs is None:
        return None
    if min(sizes, default=1) < 1:
        raise ValueError(f"block sizes must be at least 1, not {sizes}")
    if x.type.shape is not None and (x.rank not in (3, 4) or len(sizes) != x.rank - 2):
        raise ValueError(
            f"the kernel takes 1 block size at rank 3, 2 at rank 4, not {len(sizes)} for {x.type}"
        )
    return sizes, pairs


def _unknown_like(x: Value, stem: str) -> TensorType:
    return TensorType(x.dtype, None if x.type.shape is None else unknown_shape(x.rank, stem), per_tensor(x))


@operation
class SpaceToBatchND(BatchMove, code=38, options="SpaceToBatchNDOptions"):
    """Pad the spatial dimensions, then move their blocks into the batch."""

    def infer(self, x: Value, block: Value, paddings: Value) -> Inferred:
        known = _blocks(x, block, paddings)
        if x.type.shape is None or known is None:
            return _unknown_like(x, "space")
        sizes, pairs = known
        spatial = [
            _exactly(dim + (before + after), size, "the padded side")
            for dim, size, (before, after) in zip(x.shape[1:], sizes, pairs, strict=False)
        ]
        batch = x.shape[0] * product(sizes)
        return TensorType(x.dtype, (batch, *spatial, *x.shape[len(sizes) + 1 :]), per_tensor(x))

    def eval(self, x: Array, block: Array, paddings: Array) -> Array:
        count = len(block)
        rest = x.ndim - count - 1
        padded = np.pad(x, [(0, 0), *((int(low), int(high)) for low, high in paddings), *[(0, 0)] * rest])
        split = [padded.shape[0]]
        for dim, size in zip(padded.shape[1 : count + 1], block.tolist(), strict=True):
            split += [dim // size, size]
        order = [2 * i + 2 for i in range(count)] + [0] + [2 * i + 1 for i in range(count)]
        order += range(2 * count + 1, 2 * count + 1 + rest)
        moved = padded.reshape(*split, *padded.shape[count + 1 :]).transpose(order)
        spatial = [dim // size for dim, size in zip(padded.shape[1:], block.tolist(), strict=False)]
        return moved.reshape(x.shape[0] * int(np.prod(block)), *spatial, *x.shape[count + 1 :])


@operation
class BatchToSpaceND(BatchMove, code=37, options="BatchToSpaceNDOptions"):
    """Move the batch into blocks of the spatial dimensions, then crop them."""

    def infer(self, x: Value, block: Value, crops: Value) -> Inferred:
        known = _blocks(x, block, crops)
        if x.type.shape is None or known is None:
            return _unknown_like(x, "space")
        sizes, pairs = known
        spatial = [
            dim * size - (before + after)
            for dim, size, (before, after) in zip(x.shape[1:], sizes, pairs, strict=False)
        ]
        if any(isinstance(dim, int) and dim < 0 for dim in spatial):
            raise ValueError(f"the crops {pairs} leave nothing of {x.type}")
        batch = _exactly(x.shape[0], product(sizes), "the batch")
        return TensorType(x.dtype, (batch, *spatial, *x.shape[len(sizes) + 1 :]), per_tensor(x))

    def eval(self, x: Array, block: Array, crops: Array) -> Array:
        count = len(block)
        sizes = [int(size) for size in block]
        batch = x.shape[0] // int(np.prod(sizes))
        blocks = x.reshape(*sizes, batch, *x.shape[1:])
        order = [count]
        for axis in range(count):
            order += [count + 1 + axis, axis]
        order += range(2 * count + 1, blocks.ndim)
        spatial = [dim * size for dim, size in zip(x.shape[1:], sizes, strict=False)]
        whole = blocks.transpose(order).reshape(batch, *spatial, *x.shape[count + 1 :])
        kept = [slice(int(low), dim - int(high)) for dim, (low, high) in zip(spatial, crops, strict=True)]
        box = (slice(None), *kept)
        return whole[box]


@operation
class Dilate(Op, code=203, options="DilateOptions"):
    """The operand with dilations[i] - 1 times operand 2, a scalar, between neighbours along dimension i."""

    quantization = ONE_SCALE

    def infer(self, x: Value, dilations: Value, value: Value) -> Inferred:
        dtype = same_dtype(x, value)
        factors = contents_shape(dilations, "the dilations", "dilation")
        if x.type.shape is None:
            return TensorType(dtype, None, per_tensor(x))
        if factors is None:
            return TensorType(dtype, unknown_shape(x.rank, "dilated"), per_tensor(x))
        if len(factors) != x.rank:
            raise ValueError(f"{len(factors)} dilations do not fit {x.type}")
        dims = (
            dim if factor == 1 else (dim - 1) * factor + 1
            for dim, factor in zip(x.shape, factors, strict=True)
        )
        return TensorType(dtype, tuple(dims), per_tensor(x))

    def eval(self, x: Array, dilations: Array, value: Array) -> Array:
        factors = [int(factor) for factor in dilations]
        shape = [(dim - 1) * factor + 1 for dim, factor in zip(x.shape, factors, strict=True)]
        result = np.full(shape, np.ravel(value)[0], x.dtype)
        result[tuple(slice(None, None, factor) for factor in factors)] = x
        return result


@operation
class MatrixDiag(Op, code=113, options="MatrixDiagOptions"):
    """Square matrices with the operand's last dimension on their diagonals, zeros elsewhere.

    The kernel copies every type that is not an integer as FLOAT32, whatever its size (matrix_diag.cc, Eval).
    """

    kernels = types("f32 i64 i32 i16 i8 u8")  # matrix_diag.cc
    quantization = ONE_SCALE_INT16  # the rest is the stored number 0 (matrix_diag.cc)

    def infer(self, x: Value) -> Inferred:
        if x.type.shape is None:
            return TensorType(x.dtype, None, per_tensor(x))
        if not x.rank:
            raise ValueError("a scalar has no diagonal")
        return TensorType(x.dtype, (*x.shape, x.shape[-1]), per_tensor(x))

    def eval(self, x: Array) -> Array:
        result = np.zeros((*x.shape, x.shape[-1]), x.dtype)
        places = np.arange(x.shape[-1])
        result[..., places, places] = x
        return result


@operation
class MatrixSetDiag(Op, code=115, options="MatrixSetDiagOptions"):
    """The matrices of operand 0 with the diagonals of operand 1 (for its types see `MatrixDiag`)."""

    kernels = types("f32 i64 i32 i16 i8 u8")  # matrix_set_diag.cc
    quantization = ONE_SCALE

    def infer(self, x: Value, diagonal: Value) -> Inferred:
        dtype = same_dtype(x, diagonal)
        if x.type.shape is None:
            return TensorType(dtype, None, per_tensor(x))
        if x.rank < 2:
            raise ValueError(f"matrices are wanted, not {x.type}")
        want = (*x.shape[:-2], minimum(*x.shape[-2:]))
        have = diagonal.type.shape
        if have is not None and (
            len(have) != len(want) or any(same_dim(*dims) is False for dims in zip(have, want, strict=True))
        ):
            raise ValueError(f"a diagonal of shape {have} does not fit {x.type}")
        return TensorType(dtype, x.shape, per_tensor(x))

    def eval(self, x: Array, diagonal: Array) -> Array:
        result = x.copy()
        places = np.arange(min(x.shape[-2:]))
        result[..., places, places] = diagonal
        return result


@operation
class DynamicUpdateSlice(Tracked, Versioned, code=151, options="DynamicUpdateSliceOptions"):
    """Operand 0 with operand 1 written at the place in operand 2, which is clamped so that it fits."""

    symbolic = frozenset({0, 1})
    quantization = ONE_SCALE

    def infer(self, x: Value, update: Value, start: Value) -> Inferred:
        dtype = same_dtype(x, update)
        check_integer(start, "the start")
        if x.type.shape is not None and update.type.shape is not None:
            if x.rank != update.rank:
                raise ValueError(f"an update of rank {update.rank} does not fit {x.type}")
            if any(
                isinstance(a, int) and isinstance(b, int) and a > b
                for a, b in zip(update.shape, x.shape, strict=True)
            ):
                raise ValueError(f"an update of {update.type} does not fit into {x.type}")
            if start.type.shape is not None and (
                start.rank != 1 or same_dim(start.shape[0], x.rank) is False
            ):
                raise ValueError(
                    f"the start must have an element per dimension of {x.type}, not {start.type}"
                )
        return TensorType(dtype, x.type.shape, per_tensor(x))

    def eval(self, x: Array, update: Array, start: Array) -> Array:
        result = x.copy()
        bounds = zip(start, update.shape, x.shape, strict=True)
        lows = [(min(max(int(low), 0), whole - part), part) for low, part, whole in bounds]
        result[tuple(slice(low, low + part) for low, part in lows)] = update
        return result

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        start = inputs[2] if len(inputs) > 2 else None
        return max(
            super().version(inputs, outputs), 2 if start is not None and start.dtype is DType.INT64 else 1
        )

    versions = by_type(bf16=6, i4=5, i16=4, f16=3)
