"""Image resizing and box selection."""

from __future__ import annotations

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op, Operands, Outputs, operation
from litecast.ir.types import Dim, DType, TensorType, fresh, same_dim
from litecast.ops.conv import FIXED_POINT, known_shape, shape_of
from litecast.ops.grids import ONE_SCALE
from litecast.ops.rules import per_tensor

__all__ = ["NonMaxSuppressionV4", "NonMaxSuppressionV5", "ResizeBilinear", "ResizeNearestNeighbor"]


@operation
class Resize(Op):
    """Resize NHWC images to `size` (INT32 [2]: rows, columns)."""

    align_corners: bool = False
    half_pixel_centers: bool = False
    # bilinear: weights of 10 bits (internal/reference/resize_bilinear.h), also for INT16
    quantization = ONE_SCALE

    def infer(self, x: Value, size: Value) -> Inferred:
        rows, columns = known_shape(size, 2, "the size")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        n, _, _, channels = shape_of(x, 4, "the images")
        spatial = (fresh("rows") if rows is None else rows, fresh("columns") if columns is None else columns)
        return TensorType(x.dtype, (n, *spatial, channels), per_tensor(x))


class ResizeBilinear(Resize, code=23, options="ResizeBilinearOptions"):
    """Resize by bilinear interpolation, without antialiasing.

    Row i of the result reads row i * in / out; with `align_corners` i * (in - 1) / (out - 1) (where out > 1);
    with `half_pixel_centers` (i + 0.5) * in / out - 0.5, and rows outside are the edge rows. The flags
    exclude each other (kernels/resize_bilinear.cc:92, internal/reference/resize_bilinear.h:29).
    """

    kernels = FIXED_POINT  # resize_bilinear.cc:123

    def infer(self, x: Value, size: Value) -> Inferred:
        if self.align_corners and self.half_pixel_centers:
            raise ValueError("align_corners and half_pixel_centers exclude each other")
        return super().infer(x, size)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:685, RESIZE_BILINEAR."""
        return _version(inputs, self.half_pixel_centers)


class ResizeNearestNeighbor(Resize, code=97, options="ResizeNearestNeighborOptions"):
    """Resize by taking the nearest pixel.

    Row i of the result is row floor(i * in / out); with `align_corners` round(i * (in - 1) / (out - 1)) with
    halves away from zero; with `half_pixel_centers` i + 0.5 takes the place of i. The flags combine. All rows
    are at most in - 1 (internal/reference/resize_nearest_neighbor.h:28).
    """

    # any type of 8, 16 or 32 bits is copied (resize_nearest_neighbor.cc:110)
    kernels = FIXED_POINT | {
        DType.FLOAT16,
        DType.BFLOAT16,
        DType.INT32,
        DType.UINT32,
        DType.UINT16,
        DType.BOOL,
    }

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:699, RESIZE_NEAREST_NEIGHBOR."""
        return _version(inputs, self.half_pixel_centers or self.align_corners)


def _version(inputs: Operands, flagged: bool) -> int:
    dtype = None if inputs[0] is None else inputs[0].dtype
    if dtype is DType.INT16:
        return 4
    if flagged:
        return 3
    return 2 if dtype is DType.INT8 else 1


def _selected(boxes: Value, scores: Value, max_output_size: Value) -> Dim:
    for name, value, rank in (("boxes", boxes, 2), ("scores", scores, 1)):
        if value.dtype is not DType.FLOAT32:
            raise ValueError(f"{name} must be FLOAT32, not {value.dtype.name}")
        if value.type.shape is not None and value.rank != rank:
            raise ValueError(f"{name} must have rank {rank}, not {value.rank}")
    if boxes.type.shape is not None and same_dim(boxes.shape[1], 4) is False:
        raise ValueError(f"boxes must have 4 columns, not {boxes.shape[1]}")
    if max_output_size.dtype is not DType.INT32:
        raise ValueError(f"the output size must be INT32, not {max_output_size.dtype.name}")
    known = max_output_size.known
    return fresh("selected") if known is None else known.item()


@operation
class NonMaxSuppressionV4(Op, code=120, options="NonMaxSuppressionV4Options"):
    """Greedy non-max suppression: padded indices of the selected boxes, and how many are valid.

    Boxes [n, 4] are two opposite corners (y, x, y, x), scores [n]; the other operands are scalars. Indices
    are in order of falling score and filled up with 0 to the output size (kernels/non_max_suppression.cc,
    Eval).
    """

    kernels = frozenset({DType.FLOAT32})

    def infer(
        self,
        boxes: Value,
        scores: Value,
        max_output_size: Value,
        iou_threshold: Value,
        score_threshold: Value,
    ) -> Inferred:
        size = _selected(boxes, scores, max_output_size)
        return TensorType(DType.INT32, (size,)), TensorType(DType.INT32, ())


@operation
class NonMaxSuppressionV5(Op, code=121, options="NonMaxSuppressionV5Options"):
    """Soft non-max suppression: padded indices, their scores (filled up with 0), and how many are valid.

    Scores of overlapping boxes fall by exp(-iou^2 / (2 sigma)); sigma 0 is hard suppression. Else as version
    4.
    """

    kernels = frozenset({DType.FLOAT32})

    def infer(
        self,
        boxes: Value,
        scores: Value,
        max_output_size: Value,
        iou_threshold: Value,
        score_threshold: Value,
        soft_nms_sigma: Value,
    ) -> Inferred:
        size = _selected(boxes, scores, max_output_size)
        return (
            TensorType(DType.INT32, (size,)),
            TensorType(DType.FLOAT32, (size,)),
            TensorType(DType.INT32, ()),
        )
