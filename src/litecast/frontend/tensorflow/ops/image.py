"""Images: TensorFlow's resizing, block movement, patches, crops, colours and box selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.layout import Layout
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array, cubic, image, resample
from litecast.lib.boxes import combined_suppression, suppress, suppress_softly
from litecast.lib.nn import in_float32
from litecast.ops import Add, Floor, Maximum, Minimum, Mul, Sub

# -- resizing --------------------------------------------------------------------------------------------

RESIZES = {"ResizeBilinear": image.resize_bilinear, "ResizeNearestNeighbor": image.resize_nearest}


@tf(*RESIZES)
def resize(
    b: Builder,
    x: Value,
    size: Value,
    *,
    op: str,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Value:
    return RESIZES[op](b, x, size, align_corners, half_pixel_centers)


def _static(op: str, value: Value, what: str) -> list[Any]:
    if not value.is_const:
        raise UnsupportedError(
            Unsupported(op, f"{what} is not constant", hint=f"make {what} and the input's shape static")
        )
    return list(np.ravel(value.array()).tolist())


def _sizes(op: str, x: Value, size: Value) -> list[tuple[int, int]]:
    """Return (input, output) rows and columns, which must be known: the weights are constants."""
    wanted = _static(op, size, "its size")
    sizes = [(dim, int(out)) for dim, out in zip(x.shape[1:3], wanted, strict=True) if isinstance(dim, int)]
    if len(sizes) < 2:
        raise UnsupportedError(
            Unsupported(
                op, "the size of its images is not known", hint="fix it (--shape), or use bilinear resizing"
            )
        )
    return sizes


@tf("ResizeBicubic")
def resize_bicubic(
    b: Builder,
    x: Value,
    size: Value,
    *,
    op: str,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Value:
    if not size.is_const or not all(isinstance(dim, int) for dim in x.shape[1:3]):
        return cubic.resize(b, x, size, align_corners, half_pixel_centers)
    sizes = _sizes(op, x, size)
    return image.resample(
        b, x, *(resample.bicubic(*axis, align_corners, half_pixel_centers) for axis in sizes)
    )


@tf("ResizeArea")
def resize_area(b: Builder, x: Value, size: Value, *, op: str, align_corners: bool = False) -> Value:
    return image.resample(b, x, *(resample.area(*axis, align_corners) for axis in _sizes(op, x, size)))


@tf("ScaleAndTranslate")
def scale_and_translate(
    b: Builder,
    x: Value,
    size: Value,
    scale: Value,
    translation: Value,
    *,
    op: str,
    kernel_type: str = "lanczos3",
    antialias: bool = True,
) -> Value:
    axes = zip(
        _sizes(op, x, size),
        _static(op, scale, "its scale"),
        _static(op, translation, "its translation"),
        strict=True,
    )
    weights = [
        resample.kernel_weights(*sizes, factor, shift, kernel_type, antialias)
        for sizes, factor, shift in axes
    ]
    return image.resample(b, x, *weights)


# -- blocks and windows ----------------------------------------------------------------------------------

BLOCKS = {"DepthToSpace": image.depth_to_space, "SpaceToDepth": image.space_to_depth}


@tf(*BLOCKS)
def move_blocks(b: Builder, x: Value, *, op: str, block_size: int, data_format: str = "NHWC") -> Value:
    at = Layout(op, data_format)
    return at.from_last(b, BLOCKS[op](b, at.to_last(b, x), block_size))


@tf("SpaceToBatchND")
def space_to_batch_nd(b: Builder, x: Value, block_shape: Value, paddings: Value) -> Value:
    return image.space_to_batch(b, x, block_shape, paddings)


@tf("BatchToSpaceND")
def batch_to_space_nd(b: Builder, x: Value, block_shape: Value, crops: Value) -> Value:
    return image.batch_to_space(b, x, block_shape, crops)


@tf("SpaceToBatch")
def space_to_batch(b: Builder, x: Value, paddings: Value, *, block_size: int) -> Value:
    return image.space_to_batch(b, x, b.const([block_size] * 2), paddings)


@tf("BatchToSpace")
def batch_to_space(b: Builder, x: Value, crops: Value, *, block_size: int) -> Value:
    return image.batch_to_space(b, x, b.const([block_size] * 2), crops)


@tf("ExtractImagePatches", "ExtractVolumePatches")
def extract_patches(
    b: Builder,
    x: Value,
    *,
    op: str,
    ksizes: Sequence[int],
    strides: Sequence[int],
    padding: str,
    rates: Sequence[int] = (1, 1, 1, 1, 1),
) -> Value:
    at = Layout(op, "NHWC" if op == "ExtractImagePatches" else "NDHWC")
    window, steps = at.spatial(ksizes, "ksizes"), at.spatial(strides, "strides")
    return image.extract_patches(b, x, window, steps, at.spatial(rates, "rates"), padding)


@tf("Dilation2D")
def dilation2d(
    b: Builder, x: Value, w: Value, *, op: str, strides: Sequence[int], rates: Sequence[int], padding: str
) -> Value:
    at = Layout(op, "NHWC")
    return image.dilation(b, x, w, at.spatial(strides, "strides"), at.spatial(rates, "rates"), padding)


@tf("CropAndResize")
def crop_and_resize(
    b: Builder,
    x: Value,
    boxes: Value,
    box_ind: Value,
    crop_size: Value,
    *,
    op: str,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Value:
    rows, columns = _static(op, crop_size, "its crop_size")
    return image.crop_and_resize(
        b, x, boxes, box_ind, (rows, columns), method == "nearest", extrapolation_value
    )


# -- colours ---------------------------------------------------------------------------------------------

COLOURS = {"RGBToHSV": image.rgb_to_hsv, "HSVToRGB": image.hsv_to_rgb}


@tf(*COLOURS)
def convert_colours(b: Builder, x: Value, *, op: str) -> Value:
    return in_float32(b, lambda x: COLOURS[op](b, x), x)


@tf("AdjustContrastv2")
def adjust_contrastv2(b: Builder, x: Value, factor: Value) -> Value:
    return in_float32(b, lambda x: image.adjust_contrast(b, x, factor), x)


@tf("AdjustSaturation")
def adjust_saturation(b: Builder, x: Value, scale: Value) -> Value:
    def scaled(saturation: Value) -> Any:
        return b(Minimum(), b(Maximum(), b(Mul(), saturation, scale), 0.0), 1.0)

    return _in_hsv(b, x, 1, scaled)


@tf("AdjustHue")
def adjust_hue(b: Builder, x: Value, delta: Value) -> Value:
    def turned(hue: Value) -> Any:
        moved = b(Add(), hue, delta)
        return b(Sub(), moved, b(Floor(), moved))

    return _in_hsv(b, x, 0, turned)


def _in_hsv(b: Builder, x: Value, channel: int, change: Any) -> Value:
    """Change one of hue, saturation and value."""

    def compute(x: Value) -> Value:
        parts = list(array.split(b, image.rgb_to_hsv(b, x), 3, -1))
        parts[channel] = change(parts[channel])
        return image.hsv_to_rgb(b, array.concat(b, parts, -1))

    return in_float32(b, compute, x)


# -- boxes -----------------------------------------------------------------------------------------------


def _first(b: Builder, values: Value, count: Value) -> Value:
    part: Value = array.slice(b, values, [0], array.reshape(b, count, (1,)))
    return part


@tf("NonMaxSuppression")
def non_max_suppression(
    b: Builder, boxes: Value, scores: Value, count: Value, *, iou_threshold: float = 0.5
) -> Value:
    return non_max_suppression_v3(b, boxes, scores, count, b.const(np.float32(iou_threshold)))


@tf("NonMaxSuppressionV2", "NonMaxSuppressionV3", harmless=("T_threshold",))
def non_max_suppression_v3(
    b: Builder, boxes: Value, scores: Value, count: Value, iou: Value, threshold: Value | None = None
) -> Value:
    least = b.const(np.float32(-np.inf)) if threshold is None else threshold
    return _first(b, *suppress(b, boxes, scores, count, iou, least))


@tf("NonMaxSuppressionV4", harmless=("T_threshold",))
def non_max_suppression_v4(
    b: Builder,
    boxes: Value,
    scores: Value,
    count: Value,
    iou: Value,
    threshold: Value,
    *,
    pad_to_max_output_size: bool = False,
) -> tuple[Value, Value]:
    indices, valid = suppress(b, boxes, scores, count, iou, threshold)
    return (indices if pad_to_max_output_size else _first(b, indices, valid)), valid


@tf("NonMaxSuppressionV5")
def non_max_suppression_v5(
    b: Builder,
    boxes: Value,
    scores: Value,
    count: Value,
    iou: Value,
    threshold: Value,
    sigma: Value,
    *,
    pad_to_max_output_size: bool = False,
) -> tuple[Value, ...]:
    *selected, valid = suppress_softly(b, boxes, scores, count, iou, threshold, sigma)
    if not pad_to_max_output_size:
        selected = [_first(b, values, valid) for values in selected]
    return (*selected, valid)


@tf("CombinedNonMaxSuppression")
def combined_non_max_suppression(
    b: Builder,
    boxes: Value,
    scores: Value,
    per_class: Value,
    total: Value,
    iou: Value,
    threshold: Value,
    *,
    op: str,
    pad_per_class: bool = False,
    clip_boxes: bool = True,
) -> tuple[Value, ...]:
    (limit,), (size,) = (_static(op, value, "its output size") for value in (per_class, total))
    return combined_suppression(b, boxes, scores, limit, size, iou, threshold, pad_per_class, clip_boxes)
