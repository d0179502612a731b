"""`keras.ops` that change the element type: casts, saturating casts and views of the bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.promotion import BOOL, dtype_named, tensor
from litecast.ir.builder import Builder
from litecast.ir.types import DType
from litecast.lib import array, math


@operations("Cast")
def cast(b: Builder, x: Any, *, dtype: Any) -> Any:
    return tensor(b, x, dtype_named(dtype))


@operations("ConvertToTensor", "Array")
def convert_to_tensor(
    b: Builder, x: Any, *, dtype: Any = None, sparse: Any = None, ragged: Any = None
) -> Any:
    if sparse or ragged:
        raise array.unsupported("ConvertToTensor", "sparse and ragged tensors", "use dense tensors")
    value = tensor(b, x)
    return value if dtype is None else array.cast(b, value, dtype_named(dtype))


@operations("SaturateCast")
def saturate_cast(b: Builder, x: Any, *, dtype: Any) -> Any:
    """Clip to what both types hold, rounded inwards where the old one has no such number (ops/core.py)."""
    value, wanted = tensor(b, x), dtype_named(dtype)
    kind = value.dtype.numpy.type
    own, new = limits_of(value.dtype), limits_of(wanted)
    low, high = kind(max(own[0], new[0])), kind(min(own[1], new[1]))
    if value.dtype.is_float:
        low = np.nextafter(low, kind(0)) if float(low) < new[0] else low
        high = np.nextafter(high, kind(0)) if float(high) > new[1] else high
    if value.dtype is BOOL:
        return array.cast(b, value, wanted)
    clipped = math.apply(b, ops.Minimum(), value, high)
    return array.cast(b, math.apply(b, ops.Maximum(), clipped, low), wanted)


def limits_of(dtype: DType) -> tuple[Any, Any]:
    """Return the lowest and the highest number of an element type."""
    import ml_dtypes

    if dtype is BOOL:
        return 0, 1
    if dtype.is_integer:
        information = np.iinfo(dtype.numpy)
        return int(information.min), int(information.max)
    limits: Any = ml_dtypes.finfo(dtype.numpy)  # type: ignore[no-untyped-call]
    return float(limits.min), float(limits.max)


@operations("View")
def view(b: Builder, x: Any, *, dtype: Any = None) -> Any:
    """Reinterpret the bits; the last axis grows or shrinks with the size of an element."""
    wanted = dtype_named(dtype, x.dtype)
    if wanted is x.dtype:
        return x
    if wanted.bits == x.dtype.bits:
        return b(ops.Bitcast(wanted), x)
    lead, last = x.shape[:-1], x.shape[-1]
    if wanted.bits < x.dtype.bits:
        return array.reshape(b, b(ops.Bitcast(wanted), x), (*lead, last * (x.dtype.bits // wanted.bits)))
    ratio = wanted.bits // x.dtype.bits
    return b(ops.Bitcast(wanted), array.reshape(b, x, (*lead, last // ratio, ratio)))
