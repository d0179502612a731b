"""Selection of boxes: non-max suppression with TensorFlow's meaning of its thresholds, one class or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, control
from litecast.ops import (
    Add,
    Bitcast,
    DynamicUpdateSlice,
    Greater,
    Less,
    Maximum,
    Minimum,
    NonMaxSuppressionV4,
    NonMaxSuppressionV5,
    SelectV2,
    Sum,
    TopKV2,
)

__all__ = ["combined_suppression", "suppress", "suppress_softly"]

TINY = np.finfo(np.float32).tiny
LOWEST = np.finfo(np.float32).min


def suppress(b: Builder, boxes: Value, scores: Value, limit: Value, iou: Value, threshold: Value) -> Any:
    """Return `limit` indices of boxes [n, 4] (zeros at the end) and how many of them count."""
    return b(NonMaxSuppressionV4(), boxes, scores, limit, _above(b, iou), threshold)


def suppress_softly(
    b: Builder, boxes: Value, scores: Value, limit: Value, iou: Value, threshold: Value, sigma: Value
) -> Any:
    """Return what `suppress` does and, after the indices, the scores that overlaps have lowered."""
    return b(NonMaxSuppressionV5(), boxes, scores, limit, _above(b, iou), threshold, sigma)


def _above(b: Builder, iou: Value) -> Value:
    """Return the next larger number: TensorFlow suppresses above the threshold, LiteRT from it on.

    See non_max_suppression_op.cc there, reference/non_max_suppression.h here. LiteRT 2.3 gives no index for a
    threshold above 1, so a computed threshold of 1 suppresses equal boxes, which TensorFlow keeps.
    """
    if iou.is_const:
        larger = np.nextafter(iou.array().astype(np.float32), np.float32(np.inf))
        if larger > 1:
            reason = "an IoU threshold of 1 suppresses nothing, LiteRT suppresses equal boxes"
            raise UnsupportedError(Unsupported(b.loc.op, reason, hint="use tf.math.top_k"))
        return b.const(np.maximum(larger, TINY))
    bits = b(Add(), b(Bitcast(DType.INT32), iou), 1)
    result: Value = b(Minimum(), b(Maximum(), b(Bitcast(DType.FLOAT32), bits), TINY), np.float32(1))
    return result


def combined_suppression(
    b: Builder,
    boxes: Value,
    scores: Value,
    per_class: int,
    total: int,
    iou: Value,
    threshold: Value,
    pad_per_class: bool = False,
    clip: bool = True,
) -> tuple[Value, ...]:
    """Suppress each class of each image by itself; return the `total` best boxes, scores, classes, counts.

    Boxes are [images, n, 1 or classes, 4], scores [images, n, classes]; the number of classes must be known.
    What is beyond the count is zero. `pad_per_class` returns at most `per_class * classes`.
    """
    images, classes = boxes.shape[0], scores.shape[2]
    if not isinstance(classes, int):
        raise UnsupportedError(Unsupported(b.loc.op, "the number of classes is not known", hint="fix it"))
    size = min(total, per_class * classes) if pad_per_class else total
    owners = np.repeat(np.arange(classes, dtype=np.float32), per_class)

    def select(
        inner: Builder, boxes: Value, scores: Value, iou: Value, threshold: Value
    ) -> tuple[Value, ...]:
        picks = _per_class(inner, boxes, scores, per_class, iou, threshold)
        return _best(inner, *picks, inner.const(owners), size, clip)

    if not isinstance(images, int):
        return _image_by_image(b, select, size, boxes, scores, iou, threshold)
    pairs = zip(array.unpack(b, boxes, 0), array.unpack(b, scores, 0), strict=True)
    results = [select(b, *pair, iou, threshold) for pair in pairs]
    return tuple(array.pack(b, parts, 0) for parts in zip(*results, strict=True))


def _image_by_image(
    b: Builder, select: Callable[..., tuple[Value, ...]], size: int, *operands: Value
) -> tuple[Value, ...]:
    """Return what `select` makes of each image, in a loop over as many as there are."""
    images = operands[0].shape[0]
    shapes = ((size, 4), (size,), (size,), ())
    dtypes = (DType.FLOAT32, DType.FLOAT32, DType.FLOAT32, DType.INT32)
    results = [
        array.full(b, b.dims((images, *shape)), 0, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)
    ]

    def more(inner: Builder, index: Value, count: Value, *_: Value) -> list[Value]:
        return [inner(Less(), index, count)]

    def step(inner: Builder, index: Value, count: Value, *state: Value) -> list[Value]:
        boxes, scores, iou, threshold, *filled = state
        one = [array.gather(inner, whole, index, 0) for whole in (boxes, scores)]
        parts = [array.expand_dims(inner, part, 0) for part in select(inner, *one, iou, threshold)]
        starts = [array.vector(inner, [index, *[0] * (part.rank - 1)]) for part in parts]
        changes = zip(filled, parts, starts, strict=True)
        written = [inner(DynamicUpdateSlice(), whole, part, start) for whole, part, start in changes]
        return [inner(Add(), index, 1), count, boxes, scores, iou, threshold, *written]

    start = [b.const(np.int32(0)), b.dim(images), *operands, *results]
    return tuple(control.while_loop(b, start, more, step)[-len(results) :])


def _per_class(
    b: Builder, boxes: Value, scores: Value, per_class: int, iou: Value, threshold: Value
) -> tuple[Value, Value]:
    """Return the boxes and scores that each class keeps; unused places have the lowest score."""
    chosen_boxes, chosen_scores = [], []
    by_class = array.unpack(b, scores, 1)
    own_boxes = array.unpack(b, boxes, 1)
    places = b.const(np.arange(per_class, dtype=np.int32))
    for index, class_scores in enumerate(by_class):
        class_boxes = own_boxes[index if len(own_boxes) > 1 else 0]
        kept, count = suppress(b, class_boxes, class_scores, b.const(np.int32(per_class)), iou, threshold)
        chosen_boxes.append(array.gather(b, class_boxes, kept, 0))
        found = array.gather(b, class_scores, kept, 0)
        chosen_scores.append(b(SelectV2(), b(Less(), places, count), found, LOWEST))
    return array.concat(b, chosen_boxes, 0), array.concat(b, chosen_scores, 0)


def _best(
    b: Builder, boxes: Value, scores: Value, owners: Value, size: int, clip: bool
) -> tuple[Value, Value, Value, Value]:
    """Return the `size` best of all classes, zeros where there are fewer, and how many there are."""
    count = min(size, int(owners.array().size))
    top, index = b(TopKV2(), scores, np.int32(count))
    valid = b(Greater(), top, LOWEST)
    picked = array.gather(b, boxes, index, 0)
    if clip:
        picked = b(Minimum(), b(Maximum(), picked, 0.0), 1.0)
    columns = array.expand_dims(b, valid, 1)
    found = [(columns, picked), (valid, top), (valid, array.gather(b, owners, index, 0))]
    kept = [b(SelectV2(), where, value, np.float32(0)) for where, value in found]
    beyond = [(0, size - count), (0, 0)]
    padded = [array.pad(b, value, beyond[: value.rank]) for value in kept]
    total = b(Sum(keep_dims=False), array.cast(b, valid, DType.INT32), np.array([0], np.int32))
    return padded[0], padded[1], padded[2], total
