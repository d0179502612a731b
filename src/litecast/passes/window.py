"""Explicit padding and space-to-batch around a convolution become its own padding and dilation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.rewrite import Arg, Const, Maybe, No, P, Rule, no, rule
from litecast.ir.types import Dim
from litecast.ops import BatchToSpaceND, Conv2D, DepthwiseConv2D, Pad, PadV2, Reshape, SpaceToBatchND
from litecast.ops.enums import Padding

__all__ = ["WINDOW"]

CONVS = (Conv2D, DepthwiseConv2D)


def same_padding(size: Dim, reach: int, stride: int) -> tuple[int, int] | None:
    """Return what SAME adds before and after a dimension (kernels/padding.h); None where it is not known.

    `reach` is the dilated window's size less one.
    """
    if stride == 1:
        total = reach
    elif isinstance(size, int):
        total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
    else:
        return None
    return total // 2, total - total // 2


def _reaches(op: Any, w: Value) -> tuple[int, int] | None:
    """Return the dilated window's rows and columns, less one."""
    rows, columns = w.shape[1:3]
    if not isinstance(rows, int) or not isinstance(columns, int):
        return None
    return (rows - 1) * op.dilation_h_factor, (columns - 1) * op.dilation_w_factor


# -- padding -------------------------------------------------------------------------------------------------


def _is_same(size: Dim, reach: int, stride: int, before: int, after: int) -> bool:
    """Whether VALID on a dimension padded by hand is SAME on the bare dimension."""
    wanted = same_padding(size, reach, stride)
    if wanted is None or wanted[0] != before:
        return False
    if wanted[1] == after:
        return True
    if not isinstance(size, int):
        return False
    return (size + before + after - reach - 1) // stride + 1 == -(-size // stride)


def _take_padding(b: Builder, root: Node, x: Value, paddings: Value) -> Value | No:
    op: Any = root.op
    w = root.inputs[1]
    if w is None or w.type.shape is None or x.type.shape is None or paddings.shape != (4, 2):
        return no("the shapes are not known")
    reaches = _reaches(op, w)
    amounts = np.asarray(paddings.array()).tolist()
    if reaches is None or any(amounts[0]) or any(amounts[3]):
        return no("more than rows and columns is padded")
    strides = (op.stride_h, op.stride_w)
    for axis, reach, stride in zip((1, 2), reaches, strides, strict=True):
        if not _is_same(x.shape[axis], reach, stride, *amounts[axis]):
            return no("the padding is not that of SAME")
    return b(replace(op, padding=Padding.SAME), x, *root.inputs[1:])  # type: ignore[no-any-return]


@rule(P(CONVS, P(Pad, Arg("x"), Const("paddings"), uses=1), padding=Padding.VALID))
def take_padding(b: Builder, root: Node, x: Value, paddings: Value) -> Value | No:
    """conv(pad(x)) {VALID} -> conv(x) {SAME}"""
    return _take_padding(b, root, x, paddings)


def _is_zero(value: Value) -> bool:
    return value.type.size == 1 and not value.array().any()


@rule(P(CONVS, P(PadV2, Arg("x"), Const("paddings"), Const("fill", _is_zero), uses=1), padding=Padding.VALID))
def take_zero_padding(b: Builder, root: Node, x: Value, paddings: Value, fill: Value) -> Value | No:
    """conv(pad(x, 0)) {VALID} -> conv(x) {SAME}"""
    return _take_padding(b, root, x, paddings)


# -- dilation ------------------------------------------------------------------------------------------------


def _dilated(
    b: Builder, conv: Node, x: Value, block: list[int], pads: list[list[int]], crops: list[list[int]]
) -> Value | No:
    """Return the dilated convolution of x [n, h, w, c] that space-to-batch around `conv` computes.

    Space-to-batch pads, the batch of phases convolves, batch-to-space interleaves and crops: a dilated VALID
    convolution of the padded input, cropped. A crop at the front is padding that was not needed.
    """
    op: Any = replace(conv.op, dilation_h_factor=block[0], dilation_w_factor=block[1])  # type: ignore[call-arg]
    w = conv.inputs[1]
    reaches = None if w is None or w.type.shape is None else _reaches(op, w)
    if reaches is None:
        return no("the window is not known")
    before = [pad[0] - crop[0] for pad, crop in zip(pads, crops, strict=True)]
    after = [pad[1] - crop[1] for pad, crop in zip(pads, crops, strict=True)]
    if min(before) < 0 or min(after) < 0:
        return no("the crops take away results")
    if not any(before) and not any(after):
        return b(op, x, *conv.inputs[1:])  # type: ignore[no-any-return]
    if all(
        same_padding(size, reach, 1) == (low, high)
        for size, reach, low, high in zip(x.shape[1:3], reaches, before, after, strict=True)
    ):
        return b(replace(op, padding=Padding.SAME), x, *conv.inputs[1:])  # type: ignore[no-any-return]
    amounts = np.array([[0, 0], *map(list, zip(before, after, strict=True)), [0, 0]], np.int32)
    return b(op, b(Pad(), x, amounts), *conv.inputs[1:])  # type: ignore[no-any-return]


def _ints(value: Value) -> Any:
    return np.asarray(value.array()).tolist()


PLAIN: dict[str, Any] = {
    **{"padding": Padding.VALID, "stride_w": 1, "stride_h": 1},
    **{"dilation_w_factor": 1, "dilation_h_factor": 1},
}
PHASES = P(SpaceToBatchND, Arg("x"), Const("block"), Const("pads"))
BACK = (Const("block_back"), Const("crops"))


@rule(P(BatchToSpaceND, P(CONVS, PHASES, name="conv", uses=1, **PLAIN), *BACK))
def dilate(
    b: Builder, root: Node, x: Value, block: Value, pads: Value, conv: Node, block_back: Value, crops: Value
) -> Value | No:
    """batch_to_space(conv(space_to_batch(x))) -> conv(x) {dilated}"""
    if block.shape != (2,) or _ints(block) != _ints(block_back):
        return no("the blocks differ")
    return _dilated(b, conv, x, _ints(block), _ints(pads), _ints(crops))


LIFTED = P(CONVS, P(Reshape, PHASES, Maybe(), name="lift"), name="conv", uses=1, **PLAIN)


@rule(P(BatchToSpaceND, P(Reshape, LIFTED, Maybe(), name="lower", uses=1), *BACK))
def dilate_lifted(
    b: Builder, root: Node, x: Value, block: Value, pads: Value, lift: Node, conv: Node, lower: Node,
    block_back: Value, crops: Value,
) -> Value | No:  # fmt: skip
    """batch_to_space(squeeze(conv(expand_dims(space_to_batch(x))))) -> squeeze(conv(expand_dims(x)))"""
    if block.shape != (1,) or _ints(block) != _ints(block_back) or x.type.shape is None or x.rank != 3:
        return no("the blocks differ")
    phases, lifted = lift.inputs[0], lift.output.shape
    if phases is None or lower.output.rank != 3:
        return no("the reshapes do more than lift")
    n, width, channels = phases.shape
    axis = 1 if lifted == (n, 1, width, channels) else 2
    if lifted != ((n, 1, width, channels), (n, width, 1, channels))[axis - 1] or conv.output.shape[axis] != 1:
        return no("the reshapes do more than lift")

    def both(along: Any, across: Any) -> list[Any]:
        return [across, along] if axis == 1 else [along, across]

    shape = [-1, *both(x.shape[1], 1), x.shape[2]]
    if not all(isinstance(dim, int) for dim in shape):
        return no("more than the batch is unknown")
    image = b(Reshape(), x, np.array(shape, np.int32))
    result = _dilated(
        b, conv, image, both(_ints(block)[0], 1), both(_ints(pads)[0], [0, 0]), both(_ints(crops)[0], [0, 0])
    )
    if isinstance(result, No):
        return result
    flat = [-1, *(dim for at, dim in enumerate(result.shape) if at not in (0, axis))]
    return b(Reshape(), result, np.array(flat, np.int32))  # type: ignore[no-any-return]


WINDOW: tuple[Rule, ...] = (take_padding, take_zero_padding, dilate, dilate_lifted)
