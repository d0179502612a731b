"""TensorFlow's functions on images and signals: resizing, crops, colours, patches and Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.functions.table import function, positions, raw
from litecast.frontend.keras.operations import casting, movement
from litecast.frontend.keras.operations.promotion import F32, dtype_named, is_tensor, tensor
from litecast.ir.builder import Builder
from litecast.ir.types import product
from litecast.lib import array, math, reduce, signal

# -- resizing --------------------------------------------------------------------------------------------

METHODS: dict[Any, str] = {
    "bilinear": "ResizeBilinear", "nearest": "ResizeNearestNeighbor", "bicubic": "ResizeBicubic",
    "area": "ResizeArea", 0: "ResizeBilinear", 1: "ResizeNearestNeighbor", 2: "ResizeBicubic",
    3: "ResizeArea",
}  # fmt: skip
KERNELS = {
    "bilinear": "triangle", "bicubic": "keyscubic", "gaussian": "gaussian", "lanczos3": "lanczos3",
    "lanczos5": "lanczos5", "mitchellcubic": "mitchellcubic",
}  # fmt: skip
"""Methods that TensorFlow 2 computes with an antialiasing kernel (image_ops_impl.py resize_images_v2)."""


def _batched(b: Builder, x: Any, compute: Callable[[Any], Any]) -> Any:
    """Apply a function of batches of images to a batch, or to one image."""
    if x.rank == 4:
        return compute(x)
    result = compute(array.expand_dims(b, x, 0))
    return array.squeeze(b, result, [0])


def _size(b: Builder, size: Any) -> Any:
    return positions(b, movement.dims_of(b, size))


def _antialiased(b: Builder, x: Any, size: Any, method: str, antialias: bool) -> Any:
    """Resize with constant weights: both sizes must be known."""
    known = [x.shape[1], x.shape[2]]
    wanted = size.array().tolist() if size.is_const else []
    if not wanted or not all(isinstance(dim, int) for dim in known):
        raise array.unsupported(
            "tf.image.resize", f"{method} resizing of images of unknown size", "fix the size (--shape)"
        )
    scale = np.asarray(wanted, np.float32) / np.asarray(known, np.float32)
    zeros = np.zeros(2, np.float32)
    attributes = {"kernel_type": KERNELS[method], "antialias": antialias}
    return raw(b, "ScaleAndTranslate", array.cast(b, x, F32), size, scale, zeros, **attributes)


@function("image.resize", "image.resize_v2")
def resize(
    b: Builder,
    images: Any,
    size: Any,
    method: Any = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    """TensorFlow 2: pixel centres at halves. Nearest keeps the element type, all else gives FLOAT32."""
    if preserve_aspect_ratio:
        raise array.unsupported("tf.image.resize", "preserve_aspect_ratio=True", "give the size that results")
    wanted = _size(b, size)

    def compute(x: Any) -> Any:
        if method in KERNELS and (antialias or method not in METHODS):
            return _antialiased(b, x, wanted, method, antialias)
        if method == "area":
            return raw(b, "ResizeArea", x, wanted)
        if method not in METHODS:
            raise array.unsupported("tf.image.resize", f"method {method!r}", "use bilinear or nearest")
        return raw(b, METHODS[method], x, wanted, half_pixel_centers=True)

    return _batched(b, images, compute)


def _same_size(x: Any, size: Any) -> bool:
    """Whether images have the wanted size already, which is no resizing then."""
    sizes = list(x.shape[-3:-1])
    return bool(
        size.is_const and all(isinstance(dim, int) for dim in sizes) and size.array().tolist() == sizes
    )


@function("image.resize_images", "compat.v1.image.resize", "compat.v1.image.resize_images")
def resize_images(
    b: Builder,
    images: Any,
    size: Any,
    method: Any = 0,
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
) -> Any:
    """TensorFlow 1: pixel centres at whole numbers."""
    if preserve_aspect_ratio or method not in METHODS:
        raise array.unsupported("tf.compat.v1.image.resize", f"method {method!r}", "use a Resizing layer")
    wanted = _size(b, size)
    if _same_size(images, wanted):
        return images
    return _batched(b, images, lambda x: raw(b, METHODS[method], x, wanted, align_corners=align_corners))


def _resize_v1(op: str) -> Callable[..., Any]:
    def resized(
        b: Builder, images: Any, size: Any, align_corners: bool = False, half_pixel_centers: bool = False
    ) -> Any:
        attributes = {"align_corners": align_corners}
        if op != "ResizeArea":
            attributes["half_pixel_centers"] = half_pixel_centers
        return raw(b, op, images, _size(b, size), **attributes)

    return resized


for _name, _op in (
    ("resize_bilinear", "ResizeBilinear"), ("resize_nearest_neighbor", "ResizeNearestNeighbor"),
    ("resize_bicubic", "ResizeBicubic"), ("resize_area", "ResizeArea"),
):  # fmt: skip
    function(f"image.{_name}")(_resize_v1(_op))


# -- crops and borders -----------------------------------------------------------------------------------


def _cropped(b: Builder, x: Any, top: int, left: int, height: int, width: int) -> Any:
    lead = [0] * (x.rank - 3)
    return array.slice(b, x, [*lead, top, left, 0], [*([-1] * len(lead)), height, width, -1])


def _bordered(b: Builder, x: Any, top: int, left: int, height: int, width: int) -> Any:
    rows, columns = _known_size(x, "tf.image.pad_to_bounding_box")
    pairs = [(0, 0)] * (x.rank - 3) + [(top, height - top - rows), (left, width - left - columns), (0, 0)]
    return array.pad(b, x, pairs)


def _known_size(x: Any, op: str) -> tuple[int, int]:
    rows, columns = x.shape[-3:-1]
    if not (isinstance(rows, int) and isinstance(columns, int)):
        raise array.unsupported(op, "images of unknown size", "fix the size (--shape)")
    return rows, columns


@function("image.crop_to_bounding_box")
def crop_to_bounding_box(
    b: Builder, image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    box = [int(item) for item in (offset_height, offset_width, target_height, target_width)]
    return _cropped(b, image, *box)


@function("image.pad_to_bounding_box")
def pad_to_bounding_box(
    b: Builder, image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    box = [int(item) for item in (offset_height, offset_width, target_height, target_width)]
    return _bordered(b, image, *box)


@function("image.resize_with_crop_or_pad", "image.resize_image_with_crop_or_pad")
def resize_with_crop_or_pad(b: Builder, image: Any, target_height: Any, target_width: Any) -> Any:
    """The middle of the image, in the middle of zeros (image_ops_impl.py)."""
    rows, columns = _known_size(image, "tf.image.resize_with_crop_or_pad")
    height, width = int(target_height), int(target_width)
    top, left = max((rows - height) // 2, 0), max((columns - width) // 2, 0)
    cut = _cropped(b, image, top, left, min(rows, height), min(columns, width))
    above, before = max((height - rows) // 2, 0), max((width - columns) // 2, 0)
    return _bordered(b, cut, above, before, height, width)


@function("image.central_crop")
def central_crop(b: Builder, image: Any, central_fraction: Any) -> Any:
    rows, columns = _known_size(image, "tf.image.central_crop")
    top = int((rows - rows * float(central_fraction)) / 2)
    left = int((columns - columns * float(central_fraction)) / 2)
    return _cropped(b, image, top, left, rows - 2 * top, columns - 2 * left)


@function("image.flip_left_right")
def flip_left_right(b: Builder, image: Any) -> Any:
    return array.reverse(b, image, [-2])


@function("image.flip_up_down")
def flip_up_down(b: Builder, image: Any) -> Any:
    return array.reverse(b, image, [-3])


@function("image.transpose")
def transpose(b: Builder, image: Any) -> Any:
    order = list(range(image.rank))
    order[-3], order[-2] = order[-2], order[-3]
    return array.transpose(b, image, order)


@function("image.rot90")
def rot90(b: Builder, image: Any, k: Any = 1) -> Any:
    return movement.rot90(b, image, k=int(k), axes=(-3, -2))


@function("image.crop_and_resize")
def crop_and_resize(
    b: Builder,
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: Any = 0.0,
) -> Any:
    attributes = {"method": method, "extrapolation_value": float(extrapolation_value)}
    return raw(b, "CropAndResize", image, boxes, positions(b, box_indices), _size(b, crop_size), **attributes)


@function("image.extract_patches", "image.extract_image_patches")
def extract_patches(
    b: Builder,
    images: Any,
    sizes: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: str = "VALID",
    ksizes: Any = None,
) -> Any:
    windows = [int(item) for item in (sizes if ksizes is None else ksizes)]
    attributes = {"strides": [int(item) for item in strides], "rates": [int(item) for item in rates]}
    return raw(b, "ExtractImagePatches", images, ksizes=windows, padding=padding, **attributes)


# -- colours ---------------------------------------------------------------------------------------------


def _floats(b: Builder, x: Any) -> Any:
    """Return images as floats of at most 1 (tf.image.convert_image_dtype)."""
    return x if x.dtype.is_float else convert_image_dtype(b, x, "float32")


@function("image.convert_image_dtype")
def convert_image_dtype(b: Builder, image: Any, dtype: Any, saturate: bool = False) -> Any:
    """Integers span their whole range, floats 0 to 1."""
    value, wanted = tensor(b, image), dtype_named(dtype)
    if value.dtype is wanted:
        return value
    if value.dtype.is_float and wanted.is_float:
        return array.cast(b, value, wanted)
    if wanted.is_float:
        highest = float(np.iinfo(value.dtype.numpy).max)
        return math.apply(b, ops.Mul(), array.cast(b, value, wanted), 1.0 / highest)
    if value.dtype.is_float:
        scaled = math.apply(b, ops.Mul(), value, np.iinfo(wanted.numpy).max + 0.5)
        return casting.saturate_cast(b, scaled, dtype=wanted) if saturate else array.cast(b, scaled, wanted)
    raise array.unsupported("tf.image.convert_image_dtype", "between integers", "go through float32")


def _weighted(b: Builder, x: Any, kernel: Any) -> Any:
    from litecast.lib import linalg

    return linalg.matmul(b, x, b.const(np.asarray(kernel, np.float32)))


@function("image.rgb_to_grayscale")
def rgb_to_grayscale(b: Builder, images: Any) -> Any:
    gray = _weighted(b, _floats(b, images), [[0.2989], [0.5870], [0.1140]])
    return convert_image_dtype(b, gray, images.dtype)


@function("image.grayscale_to_rgb")
def grayscale_to_rgb(b: Builder, images: Any) -> Any:
    return movement.tiled(b, images, [3])


COLOURS = {
    "rgb_to_yiq": (
        (0.299, 0.59590059, 0.2115), (0.587, -0.27455667, -0.52273617), (0.114, -0.32134392, 0.31119955),
    ),
    "yiq_to_rgb": ((1, 1, 1), (0.95598634, -0.27201283, -1.10674021), (0.6208248, -0.64720424, 1.70423049)),
    "rgb_to_yuv": (
        (0.299, -0.14714119, 0.61497538), (0.587, -0.28886916, -0.51496512), (0.114, 0.43601035, -0.10001026),
    ),
    "yuv_to_rgb": ((1, 1, 1), (0, -0.394642334, 2.03206185), (1.13988303, -0.58062185, 0)),
}  # fmt: skip
"""Matrices [from, to] of colour spaces (image_ops_impl.py)."""


def _recoloured(kernel: Any) -> Callable[..., Any]:
    return lambda b, images: _weighted(b, images, kernel)


for _name, _kernel in COLOURS.items():
    function(f"image.{_name}")(_recoloured(_kernel))
for _name, _op in (("rgb_to_hsv", "RGBToHSV"), ("hsv_to_rgb", "HSVToRGB")):
    function(f"image.{_name}")(lambda b, images, op=_op: raw(b, op, images))


@function("image.adjust_brightness")
def adjust_brightness(b: Builder, image: Any, delta: Any) -> Any:
    brighter = math.apply(b, ops.Add(), _floats(b, image), tensor(b, delta, F32))
    return convert_image_dtype(b, brighter, image.dtype, saturate=True)


@function("image.adjust_contrast")
def adjust_contrast(b: Builder, images: Any, contrast_factor: Any) -> Any:
    adjusted = raw(b, "AdjustContrastv2", _floats(b, images), tensor(b, contrast_factor, F32))
    return convert_image_dtype(b, adjusted, images.dtype, saturate=True)


def _adjusted(op: str) -> Callable[..., Any]:
    def adjusted(b: Builder, image: Any, amount: Any) -> Any:
        result = raw(b, op, _floats(b, image), tensor(b, amount, F32))
        return convert_image_dtype(b, result, image.dtype, saturate=True)

    return adjusted


@function("image.adjust_saturation")
def adjust_saturation(b: Builder, image: Any, saturation_factor: Any) -> Any:
    return _adjusted("AdjustSaturation")(b, image, saturation_factor)


@function("image.adjust_hue")
def adjust_hue(b: Builder, image: Any, delta: Any) -> Any:
    return _adjusted("AdjustHue")(b, image, delta)


@function("image.adjust_gamma")
def adjust_gamma(b: Builder, image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    raised = math.power(b, _floats(b, image), tensor(b, gamma, F32))
    return convert_image_dtype(b, math.apply(b, ops.Mul(), raised, tensor(b, gain, F32)), image.dtype, True)


@function("image.per_image_standardization")
def per_image_standardization(b: Builder, image: Any) -> Any:
    """(x - mean) / max(deviation, 1 / sqrt(elements of an image))."""
    value = array.cast(b, image, F32)
    axes = [-1, -2, -3]
    centred = math.apply(b, ops.Sub(), value, reduce.mean(b, value, axes, True))
    deviation = math.apply(b, ops.Sqrt(), reduce.mean(b, math.square(b, centred), axes, True))
    count = array.cast(b, b.dim(product(image.shape[-3:])), F32)
    least = math.apply(b, ops.Rsqrt(), count)
    return math.apply(b, ops.Div(), centred, math.apply(b, ops.Maximum(), deviation, least))


# -- boxes -----------------------------------------------------------------------------------------------


@function("image.non_max_suppression")
def non_max_suppression(
    b: Builder,
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
) -> Any:
    limits = [tensor(b, item, F32) for item in (iou_threshold, score_threshold)]
    return raw(b, "NonMaxSuppressionV3", boxes, scores, positions(b, max_output_size), *limits)


@function("image.combined_non_max_suppression")
def combined_non_max_suppression(
    b: Builder,
    boxes: Any,
    scores: Any,
    max_output_size_per_class: Any,
    max_total_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    pad_per_class: bool = False,
    clip_boxes: bool = True,
) -> Any:
    counts = [positions(b, item) for item in (max_output_size_per_class, max_total_size)]
    limits = [tensor(b, item, F32) for item in (iou_threshold, score_threshold)]
    attributes = {"pad_per_class": pad_per_class, "clip_boxes": clip_boxes}
    return raw(b, "CombinedNonMaxSuppression", boxes, scores, *counts, *limits, **attributes)


# -- Fourier transforms ----------------------------------------------------------------------------------


@function("signal.rfft")
def rfft(b: Builder, input_tensor: Any, fft_length: Any = None) -> Any:
    length = [int(input_tensor.shape[-1])] if fft_length is None else fft_length
    return raw(b, "RFFT", input_tensor, positions(b, _plain(length)))


@function("signal.irfft")
def irfft(b: Builder, input_tensor: Any, fft_length: Any = None) -> Any:
    length = [2 * (int(input_tensor.shape[-1]) - 1)] if fft_length is None else fft_length
    return raw(b, "IRFFT", input_tensor, positions(b, _plain(length)))


def _plain(x: Any) -> Any:
    return x if is_tensor(x) else np.asarray(x, np.int32)


@function("signal.fft")
def fft(b: Builder, input: Any) -> Any:
    return raw(b, "FFT", input)


@function("signal.ifft")
def ifft(b: Builder, input: Any) -> Any:
    return raw(b, "IFFT", input)


@function("signal.frame")
def frame(
    b: Builder,
    signal_: Any,
    frame_length: Any,
    frame_step: Any,
    pad_end: bool = False,
    pad_value: Any = 0,
    axis: Any = -1,
) -> Any:
    """`pad_end` gives as many frames as there are steps (shape_ops.py)."""
    if array.normalize_axis(int(axis), signal_.rank) != signal_.rank - 1:
        raise array.unsupported("tf.signal.frame", f"axis {axis}", "frame the last axis")
    length, step = int(frame_length), int(frame_step)
    value = tensor(b, signal_)
    if pad_end:
        size = value.shape[-1]
        if not isinstance(size, int):
            raise array.unsupported("tf.signal.frame", "pad_end of signals of unknown length", "fix it")
        missing = max(length + step * (-(-size // step) - 1) - size, 0)
        value = array.pad(b, value, [(0, 0)] * (value.rank - 1) + [(0, missing)], pad_value)
    return signal.frame(b, value, length, step)


@function("signal.stft")
def stft(
    b: Builder,
    signals: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    pad_end: bool = False,
) -> Any:
    """The window is TensorFlow's default, a periodic Hann window: no other can be saved."""
    length = int(frame_length)
    size = 1 << (length - 1).bit_length() if fft_length is None else int(fft_length)
    frames = frame(b, signals, length, frame_step, pad_end)
    turns = np.arange(length, dtype=np.float32) / np.float32(max(length - length % 2, 1))
    taps = 0.5 - 0.5 * np.cos(np.float32(2 * np.pi) * turns) if length > 1 else np.ones(1)
    windowed = math.apply(b, ops.Mul(), frames, b.const(taps.astype(np.float32)))
    return signal.rfft(b, windowed, size)
