"""Image resizing and box selection."""

from __future__ import annotations

from dataclasses import dataclass

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op
from litecast.ir.types import Dim, DType, TensorType, fresh, same_dim
from litecast.ops.conv import known_shape, shape_of

__all__ = ["NonMaxSuppressionV4", "NonMaxSuppressionV5", "ResizeBilinear", "ResizeNearestNeighbor"]


@dataclass(frozen=True)
class Resize(Op):
    """Resize NHWC images to `size` (INT32 [2]: rows, columns)."""

    align_corners: bool = False
    half_pixel_centers: bool = False

    def infer(self, x: Value, size: Value) -> Inferred:
        if self.align_corners and self.half_pixel_centers:
            raise ValueError("align_corners and half_pixel_centers exclude each other")
        rows, columns = known_shape(size, 2, "the size")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        n, _, _, channels = shape_of(x, 4, "the images")
        spatial = (fresh("rows") if rows is None else rows, fresh("columns") if columns is None else columns)
        return TensorType(x.dtype, (n, *spatial, channels))


class ResizeBilinear(Resize, code=23, options="ResizeBilinearOptions"):
    """Resize by bilinear interpolation."""


class ResizeNearestNeighbor(Resize, code=97, options="ResizeNearestNeighborOptions"):
    """Resize by taking the nearest pixel."""


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


@dataclass(frozen=True)
class NonMaxSuppressionV4(Op, code=120, options="NonMaxSuppressionV4Options"):
    """Greedy non-max suppression: padded indices of the selected boxes, and how many are valid."""

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


@dataclass(frozen=True)
class NonMaxSuppressionV5(Op, code=121, options="NonMaxSuppressionV5Options"):
    """Soft non-max suppression: padded indices, their scores, and how many are valid."""

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
