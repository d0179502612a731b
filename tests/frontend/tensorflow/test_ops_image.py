"""Image operations against TensorFlow."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
from litecast.errors import UnsupportedError  # noqa: E402
from litecast.lib import resample  # noqa: E402
from litecast.tflite.runtime import Runtime  # noqa: E402
from litecast.tflite.writer import write  # noqa: E402
from tests.frontend.tensorflow import harness  # noqa: E402
from tests.frontend.tensorflow.harness import Spec, compare, trace  # noqa: E402

raw = tf.raw_ops
check = partial(harness.check, delegates=(True, False))
CENTERS = [{}, {"align_corners": True}, {"half_pixel_centers": True}]
SIZES = [(10, 9), (3, 4), (5, 6), (1, 1), (12, 3), (13, 7)]


def uniform(rng, shape, dtype):
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 200, shape).astype(dtype)
    return rng.random(shape).astype(dtype)


@pytest.mark.parametrize("centers", CENTERS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resize_bilinear(size, centers):
    check(lambda x: raw.ResizeBilinear(images=x, size=size, **centers), Spec((None, 5, 6, 3)))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "int64", "float16", "float64"]
)
def test_resize_bilinear_gives_float32(dtype):
    check(
        lambda x: raw.ResizeBilinear(images=x, size=(10, 9), half_pixel_centers=True),
        Spec((2, 5, 6, 3), dtype),
        inputs=lambda rng, shape, kind: rng.integers(0, 100, shape).astype(kind),
    )


@pytest.mark.parametrize("op", ["ResizeBilinear", "ResizeNearestNeighbor"])
def test_resize_to_a_computed_size(op):
    check(
        lambda x: getattr(raw, op)(images=x, size=tf.shape(x)[1:3] * 2, half_pixel_centers=True),
        Spec((1, None, None, 3)),
        sizes=(4, 7),
    )


@pytest.mark.parametrize("centers", CENTERS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resize_nearest(size, centers):
    check(lambda x: raw.ResizeNearestNeighbor(images=x, size=size, **centers), Spec((None, 5, 6, 3)))


@pytest.mark.parametrize("centers", CENTERS, ids=str)
@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "int32", "int64", "float16", "float64", "bfloat16"]
)
def test_resize_nearest_keeps_the_element_type(dtype, centers):
    check(
        lambda x: raw.ResizeNearestNeighbor(images=x, size=(11, 7), **centers),
        Spec((2, 5, None, 3), dtype),
        sizes=(6, 9),
    )


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("sizes", [(8, 82), (82, 8), (512, 244), (512, 910), (17, 23), (23, 17)])
def test_resize_nearest_picks_the_same_pixels(sizes, dtype):
    """The 8-bit kernel would not, in these sizes: its steps are fixed-point numbers."""
    size, out = sizes
    check(
        lambda x: raw.ResizeNearestNeighbor(images=x, size=(out, 2)),
        Spec((1, size, 3, 1), dtype),
        inputs=lambda rng, shape, kind: rng.integers(-128, 127, shape).astype(kind),
    )


@pytest.mark.parametrize("centers", CENTERS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resize_bicubic(size, centers):
    check(lambda x: raw.ResizeBicubic(images=x, size=size, **centers), Spec((None, 5, 6, 3)), inputs=uniform)


@pytest.mark.parametrize("centers", CENTERS, ids=str)
def test_resize_bicubic_of_unknown_sizes(centers):
    for size in (SIZES[0], SIZES[1], SIZES[3]):
        check(
            lambda x, size=size: raw.ResizeBicubic(images=x, size=size, **centers),
            Spec((None, None, None, 3)),
            sizes=((1, 5, 6), (2, 9, 4)),
            inputs=uniform,
        )
    check(
        lambda x, like: raw.ResizeBicubic(images=x, size=tf.shape(like)[1:3], **centers),
        Spec((2, 5, None, 3), tf.uint8),
        Spec((1, None, None, 1)),
        sizes=((6, 12, 3), (7, 1, 11)),
        inputs=uniform,
    )


@pytest.mark.parametrize("centers", CENTERS[:2], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_resize_area(size, centers):
    check(lambda x: raw.ResizeArea(images=x, size=size, **centers), Spec((None, 5, 6, 3)), inputs=uniform)


def test_resampling_of_bytes():
    for op in (raw.ResizeBicubic, raw.ResizeArea):
        check(lambda x, op=op: op(images=x, size=(7, 4)), Spec((1, 5, 6, 2), tf.uint8), inputs=uniform)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("kernel", list(resample.KERNELS))
def test_scale_and_translate(kernel, antialias):
    for scale, translation in (
        ((2.1, 0.4), (0.0, 0.0)),
        ((0.5, 1.0), (1.5, -2.25)),
        ((1.0, 3.0), (-4.0, 20.0)),
    ):
        check(
            lambda x, scale=scale, translation=translation: raw.ScaleAndTranslate(
                images=x,
                size=(9, 5),
                scale=scale,
                translation=translation,
                kernel_type=kernel,
                antialias=antialias,
            ),
            Spec((None, 7, 8, 3)),
            inputs=uniform,
            tolerance=2e-5,
        )


@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic", "area", "lanczos3", "gaussian"])
@pytest.mark.parametrize("antialias", [False, True])
def test_tf_image_resize(method, antialias):
    check(
        lambda x: tf.image.resize(x, (5, 12), method, antialias=antialias),
        Spec((None, 8, 9, 3)),
        inputs=uniform,
    )


def test_resampling_of_unknown_sizes_is_refused():
    with pytest.raises(UnsupportedError, match="the size of its images is not known"):
        trace(lambda x: raw.ResizeArea(images=x, size=(7, 4)), Spec((1, None, 6, 2)))


# -- blocks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "float64", "uint8", "int16", "int32", "int64", "bool"]
)
def test_depth_to_space(dtype):
    check(lambda x: raw.DepthToSpace(input=x, block_size=2), Spec((None, 3, None, 12), dtype))
    check(lambda x: raw.SpaceToDepth(input=x, block_size=3), Spec((None, 6, None, 2), dtype), sizes=(3, 6))


def test_depth_to_space_of_channels_first():
    """TensorFlow has it on the CPU through XLA only."""
    for function, shape in (
        (lambda x: raw.DepthToSpace(input=x, block_size=2, data_format="NCHW"), (2, 12, 3, 4)),
        (lambda x: raw.SpaceToDepth(input=x, block_size=2, data_format="NCHW"), (2, 3, 6, 4)),
    ):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        model, _ = trace(function, Spec(shape))
        (ours,) = Runtime(write(model)).run([x]).values()
        compare(ours, tf.function(function, jit_compile=True)(x).numpy(), 0, "")


BLOCKS = [
    # shape, block, paddings
    ((2, 4, 6, 3), (2, 3), ((0, 0), (0, 0))),
    ((2, 5, 4, 3), (2, 3), ((1, 0), (0, 2))),
    ((None, 5, 4), (2,), ((1, 2),)),
    ((None, 5), (3,), ((1, 0),)),
    ((2, 5, 4, 3, 2), (2, 3), ((1, 0), (1, 1))),
    ((2, 5, 4), (2, 2), ((1, 0), (1, 1))),
    ((2, 3, 4, 5, 2), (2, 2, 3), ((1, 0), (1, 1), (1, 0))),
    ((1, 3, 4, 5, 2, 2), (3, 2, 1, 2), ((0, 0), (1, 1), (1, 0), (2, 0))),
    ((1, None, None, 2), (2, 2), ((1, 1), (0, 2))),
    ((2, 4, 3), (1,), ((0, 0),)),
]


@pytest.mark.parametrize("row", BLOCKS, ids=str)
def test_space_to_batch(row):
    shape, block, paddings = row
    check(
        lambda x: raw.SpaceToBatchND(input=x, block_shape=block, paddings=paddings), Spec(shape), sizes=(4, 6)
    )


@pytest.mark.parametrize("row", BLOCKS, ids=str)
def test_batch_to_space(row):
    shape, block, crops = row
    shape = (shape[0] if shape[0] is None else shape[0] * int(np.prod(block)), *shape[1:])
    sizes = (int(np.prod(block)), 2 * int(np.prod(block)))
    check(lambda x: raw.BatchToSpaceND(input=x, block_shape=block, crops=crops), Spec(shape), sizes=sizes)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float16"])
def test_blocks_of_every_type(dtype):
    check(
        lambda x: raw.SpaceToBatchND(input=x, block_shape=(2, 2), paddings=((1, 1), (0, 0))),
        Spec((2, 4, 6, 3), dtype),
    )
    check(
        lambda x: raw.BatchToSpaceND(input=x, block_shape=(2, 2), crops=((1, 1), (0, 0))),
        Spec((4, 4, 6, 3), dtype),
    )


def test_older_blocks():
    check(lambda x: raw.SpaceToBatch(input=x, paddings=((1, 1), (0, 0)), block_size=2), Spec((2, 4, 6, 3)))
    check(lambda x: raw.BatchToSpace(input=x, crops=((1, 0), (0, 1)), block_size=2), Spec((4, 4, 6, 3)))


def test_blocks_with_computed_padding():
    """The dilated convolution of tf.nn on images of unknown size pads by what the size asks for."""

    def blocks(x):
        rest = tf.math.floormod(-tf.shape(x)[1], 3)
        return raw.SpaceToBatchND(input=x, block_shape=[3], paddings=[[0, rest]])

    check(blocks, Spec((2, None, 3)), sizes=(4, 6))


# -- windows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_extract_image_patches(padding, dtype):
    for window, strides, rates in (
        ((3, 2), (1, 2), (1, 1)),
        ((2, 2), (3, 1), (2, 1)),
        ((1, 1), (2, 2), (1, 1)),
    ):
        check(
            lambda x, window=window, strides=strides, rates=rates: raw.ExtractImagePatches(
                images=x,
                ksizes=[1, *window, 1],
                strides=[1, *strides, 1],
                rates=[1, *rates, 1],
                padding=padding,
            ),
            Spec((2, None, 7, 3), dtype),
            sizes=(6, 9),
        )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_extract_volume_patches(padding):
    check(
        lambda x: raw.ExtractVolumePatches(
            input=x, ksizes=[1, 2, 2, 3, 1], strides=[1, 1, 2, 2, 1], padding=padding
        ),
        Spec((None, 4, 5, 6, 2)),
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_dilation2d(padding):
    w = np.random.default_rng(0).standard_normal((3, 2, 3)).astype(np.float32)
    check(
        lambda x: raw.Dilation2D(
            input=x, filter=w, strides=[1, 2, 1, 1], rates=[1, 2, 1, 1], padding=padding
        ),
        Spec((None, 8, 9, 3)),
    )


# -- crops and boxes ---------------------------------------------------------------------------------------

CORNERS = np.float32([[0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], [0.9, 0.8, 0.1, 0.3], [-0.5, 0.2, 1.4, 0.6]])


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(5, 4), (1, 3), (7, 1)])
def test_crop_and_resize(method, size):
    def crop(x, boxes, indices):
        return raw.CropAndResize(
            image=x, boxes=boxes, box_ind=indices, crop_size=size, method=method, extrapolation_value=-1.5
        )

    images = np.random.default_rng(0).standard_normal((2, 6, 8, 3)).astype(np.float32)
    arrays = [images, CORNERS, np.int32([0, 1, 1, 0])]
    check(crop, Spec((2, 6, 8, 3)), Spec((4, 4)), Spec((4,), tf.int32), inputs=arrays)
    check(crop, Spec((2, None, None, 3)), Spec((None, 4)), Spec((None,), tf.int32), inputs=arrays)


def test_crop_and_resize_of_bytes():
    arrays = [
        np.random.default_rng(0).integers(0, 255, (2, 6, 8, 3), np.uint8),
        CORNERS,
        np.int32([0, 1, 1, 0]),
    ]
    check(
        lambda x, boxes, indices: raw.CropAndResize(image=x, boxes=boxes, box_ind=indices, crop_size=(3, 5)),
        Spec((2, 6, 8, 3), tf.uint8),
        Spec((4, 4)),
        Spec((4,), tf.int32),
        inputs=arrays,
    )


def boxes(count: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    low = rng.random((count, 2))
    return np.concatenate([low, low + rng.random((count, 2)) * 0.6], 1).astype(np.float32)


SUPPRESSIONS = {
    "NonMaxSuppression": {"iou_threshold": 0.4},
    "NonMaxSuppressionV2": {"iou_threshold": 0.4},
    "NonMaxSuppressionV3": {"iou_threshold": 0.4, "score_threshold": 0.3},
    "NonMaxSuppressionV4": {"iou_threshold": 0.4, "score_threshold": 0.3},
    "NonMaxSuppressionV5": {"iou_threshold": 0.4, "score_threshold": 0.3, "soft_nms_sigma": 0.0},
}


@pytest.mark.parametrize("limit", [3, 50])
@pytest.mark.parametrize("op", SUPPRESSIONS)
def test_non_max_suppression(op, limit):
    scores = np.random.default_rng(6).random(20).astype(np.float32)

    def select(boxes, scores):
        found = getattr(raw, op)(boxes=boxes, scores=scores, max_output_size=limit, **SUPPRESSIONS[op])
        return list(found) if isinstance(found, tuple) else found

    check(select, Spec((20, 4)), Spec((20,)), inputs=[boxes(20), scores])


@pytest.mark.parametrize("op", ["NonMaxSuppressionV4", "NonMaxSuppressionV5"])
def test_padded_non_max_suppression(op):
    scores = np.random.default_rng(6).random(20).astype(np.float32)
    rest = SUPPRESSIONS[op] | ({"soft_nms_sigma": 0.5} if op == "NonMaxSuppressionV5" else {})

    def select(boxes, scores):
        kernel = getattr(raw, op)
        return list(
            kernel(boxes=boxes, scores=scores, max_output_size=25, pad_to_max_output_size=True, **rest)
        )

    check(select, Spec((20, 4)), Spec((20,)), inputs=[boxes(20), scores])


@pytest.mark.parametrize("op", ["NonMaxSuppressionV3", "NonMaxSuppressionV4", "NonMaxSuppressionV5"])
@pytest.mark.parametrize("iou", [0.0, 0.5])
def test_overlaps_at_the_threshold(op, iou):
    """TensorFlow suppresses above the threshold, LiteRT's kernel from it on."""
    rest = {"score_threshold": 0.0} | ({"soft_nms_sigma": 0.0} if op == "NonMaxSuppressionV5" else {})
    corners = np.float32([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [0, 0, 1, 2]])

    def select(boxes, scores, iou):
        kernel = getattr(raw, op)
        found = kernel(boxes=boxes, scores=scores, max_output_size=4, iou_threshold=iou, **rest)
        return found if op == "NonMaxSuppressionV3" else found.selected_indices

    inputs = [corners, np.float32([0.9, 0.8, 0.7, 0.6])]
    check(lambda x, y: select(x, y, iou), Spec((4, 4)), Spec((4,)), inputs=inputs)
    check(select, Spec((4, 4)), Spec((4,)), Spec(()), inputs=[*inputs, np.float32(iou)])


def test_suppressing_nothing_is_refused():
    with pytest.raises(UnsupportedError, match=r"use tf\.math\.top_k"):
        trace(
            lambda x, y: raw.NonMaxSuppressionV2(boxes=x, scores=y, max_output_size=4, iou_threshold=1.0),
            Spec((4, 4)),
            Spec((4,)),
        )


@pytest.mark.parametrize("sizes", [(5, 12), (10, 100), (3, 4)])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("rest", [{}, {"pad_per_class": True}, {"clip_boxes": False}], ids=str)
def test_combined_non_max_suppression(sizes, shared, rest):
    classes = 3
    rng = np.random.default_rng(6)
    corners = np.stack([boxes(16 * (1 if shared else classes)).reshape(16, -1, 4) * 1.2 for _ in range(2)])

    def select(boxes, scores):
        return list(
            raw.CombinedNonMaxSuppression(
                boxes=boxes,
                scores=scores,
                max_output_size_per_class=sizes[0],
                max_total_size=sizes[1],
                iou_threshold=0.3,
                score_threshold=0.4,
                **rest,
            )
        )

    scores = rng.random((2, 16, classes)).astype(np.float32)
    check(select, Spec(corners.shape), Spec(scores.shape), inputs=[corners, scores])
    unknown = [(None, *array.shape[1:]) for array in (corners, scores)]
    check(select, *map(Spec, unknown), inputs=[corners, scores])


# -- colours -----------------------------------------------------------------------------------------------


def colours(rng, shape, dtype):
    picture = rng.random(shape)
    picture.reshape(-1, shape[-1])[:3] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.2]]
    return picture.astype(dtype)


@pytest.mark.parametrize("shape", [(4, 3), (None, 4, 5, 3), (None, 2, 3, 4, 5, 3)], ids=str)
@pytest.mark.parametrize("op", ["RGBToHSV", "HSVToRGB"])
def test_colour_spaces(op, shape):
    check(lambda x: getattr(raw, op)(images=x), Spec(shape), inputs=colours)


def test_adjust_colours():
    picture = Spec((None, 4, 5, 3))
    check(lambda x: raw.AdjustContrastv2(images=x, contrast_factor=1.7), picture, inputs=colours)
    check(lambda x: raw.AdjustSaturation(images=x, scale=1.7), picture, inputs=colours)
    check(lambda x: raw.AdjustHue(images=x, delta=-0.3), picture, inputs=colours, tolerance=2e-5)
    check(lambda x: raw.AdjustHue(images=x, delta=0.8), picture, inputs=colours, tolerance=2e-5)
