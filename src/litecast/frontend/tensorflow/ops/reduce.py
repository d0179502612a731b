"""Importers of TensorFlow's reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.array import integers
from litecast.ir.builder import Builder
from litecast.ir.types import DType
from litecast.lib import reduce
from litecast.lib.array import unsupported

REDUCTIONS: dict[str, Callable[..., Any]] = {
    "Sum": reduce.total, "Mean": reduce.mean, "Prod": reduce.product, "Max": reduce.maximum,
    "Min": reduce.minimum,
    "Any": reduce.any_, "All": reduce.all_, "EuclideanNorm": reduce.euclidean_norm,
}  # fmt: skip
SEGMENTS = {
    "UnsortedSegmentSum": reduce.segment_sum, "UnsortedSegmentProd": reduce.segment_product,
    "UnsortedSegmentMax": reduce.segment_maximum, "UnsortedSegmentMin": reduce.segment_minimum,
}  # fmt: skip
SORTED_SEGMENTS = {
    "SegmentSum": reduce.segment_sum, "SegmentProd": reduce.segment_product,
    "SegmentMax": reduce.segment_maximum,
    "SegmentMin": reduce.segment_minimum, "SegmentMean": reduce.segment_mean,
}  # fmt: skip


def _reduction(macro: Callable[..., Any], name: str) -> Callable[..., Any]:
    def importer(b: Builder, x: Any, axes: Any, *, keep_dims: bool = False) -> Any:
        return macro(b, x, integers(axes, "axes", name), keep_dims)

    return importer


for _name, _macro in REDUCTIONS.items():
    tf(_name)(_reduction(_macro, _name))


@tf("ArgMax", "ArgMin", harmless=("Tidx",))
def arg_reduction(b: Builder, x: Any, dimension: Any, *, op: str, output_type: DType = DType.INT64) -> Any:
    axis = integers(dimension, "axis", op)[0]
    return reduce.arg_extreme(b, x, axis, output_type, smallest=op == "ArgMin")


@tf("TopKV2", harmless=("Tk",))
def top_k_v2(b: Builder, x: Any, k: Any, *, sorted: bool = True, index_type: DType = DType.INT32) -> Any:
    """The kernel always sorts, which the unsorted form allows."""
    return reduce.top_k(b, x, k, index_type)


@tf(*SEGMENTS, harmless=("Tindices", "Tnumsegments"))
def unsorted_segment(b: Builder, x: Any, ids: Any, count: Any, *, op: str) -> Any:
    return SEGMENTS[op](b, x, ids, count)


@tf(*SORTED_SEGMENTS, harmless=("Tindices",))
def segment(b: Builder, x: Any, ids: Any, *, op: str) -> Any:
    """As many segments as the largest number says: one more than the last id, for ids are sorted."""
    count = reduce.segment_count(b, ids)
    result = SORTED_SEGMENTS[op](b, x, ids, count)
    return reduce.clear_empty(b, result, ids, count) if op in ("SegmentMax", "SegmentMin") else result


@tf("Bincount", "DenseBincount", harmless=("Tidx",))
def bincount(b: Builder, x: Any, size: Any, weights: Any, *, T: DType, binary_output: bool = False) -> Any:
    if x.rank > 2:
        raise unsupported("Bincount", f"values of rank {x.rank}", "use rank 1 or 2")
    return reduce.bincount(b, x, size, weights, T, binary_output)
