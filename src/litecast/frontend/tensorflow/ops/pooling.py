"""Pooling: TensorFlow's average and maximum pools in every data format."""

from __future__ import annotations

from collections.abc import Sequence

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.layout import Layout
from litecast.frontend.tensorflow.tracer import as_constant
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, pool
from litecast.lib.windows import Spec


def _axes_to_last(at: Layout, values: Sequence[int], what: str) -> list[int]:
    """Return an attribute with an entry per axis in channels-last order; the batch entry must be 1."""
    values = [int(value) for value in values]
    if values[0] != 1:
        raise UnsupportedError(
            Unsupported(at.op, f"{what} {values} over the batch", hint="pool over spatial axes")
        )
    if at.channels_first:
        return [values[0], *values[2:], values[1]]
    return values


def _padding(at: Layout, padding: str, explicit: Sequence[int]) -> Spec:
    spatial = at.padding(padding, explicit)
    return spatial if isinstance(spatial, str) else [(0, 0), *spatial, (0, 0)]


@tf("MaxPool", "MaxPool3D")
def max_pool(
    b: Builder,
    x: Value,
    *,
    op: str,
    ksize: Sequence[int],
    strides: Sequence[int],
    padding: str,
    explicit_paddings: Sequence[int] = (),
    data_format: str = "",
) -> Value:
    at = Layout(op, data_format or ("NDHWC" if op == "MaxPool3D" else "NHWC"))
    window, steps = _axes_to_last(at, ksize, "ksize"), _axes_to_last(at, strides, "strides")
    return at.from_last(
        b, pool.maximum(b, at.to_last(b, x), window, steps, _padding(at, padding, explicit_paddings))
    )


@tf("MaxPoolV2")
def max_pool_v2(
    b: Builder, x: Value, ksize: Value, strides: Value, *, op: str, padding: str, data_format: str = "NHWC"
) -> Value:
    window, steps = (
        as_constant(value, what).tolist() for value, what in ((ksize, "ksize"), (strides, "strides"))
    )
    return max_pool(b, x, op=op, ksize=window, strides=steps, padding=padding, data_format=data_format)


@tf("AvgPool", "AvgPool3D")
def avg_pool(
    b: Builder,
    x: Value,
    *,
    op: str,
    ksize: Sequence[int],
    strides: Sequence[int],
    padding: str,
    data_format: str = "",
) -> Value:
    at = Layout(op, data_format or ("NDHWC" if op == "AvgPool3D" else "NHWC"))
    window, steps = _axes_to_last(at, ksize, "ksize"), _axes_to_last(at, strides, "strides")
    return at.from_last(b, pool.average(b, at.to_last(b, x), window, steps, padding))


@tf("MaxPoolWithArgmax")
def max_pool_with_argmax(
    b: Builder,
    x: Value,
    *,
    op: str,
    ksize: Sequence[int],
    strides: Sequence[int],
    padding: str,
    Targmax: DType = DType.INT64,
    include_batch_in_index: bool = False,
) -> tuple[Value, Value]:
    at = Layout(op, "NHWC")
    sizes = (at.spatial(ksize, "ksize"), at.spatial(strides, "strides"), padding)
    best, places = pool.argmax(b, x, *sizes, include_batch_in_index)
    return best, array.cast(b, places, Targmax)
