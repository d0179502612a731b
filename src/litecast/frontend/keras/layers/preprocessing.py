"""Preprocessing of numbers: rescaling, normalization, bins, vectors of categories, pipelines of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast.frontend.keras.importer import Masked, keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.weights import snake_case
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.ir.types import Dim, DType
from litecast.lib import array, index, math, reduce
from litecast.ops import Add, Bucketize, Div, Mul, Sub

EPSILON = 1e-7
"""`keras.config.epsilon()`, which no file keeps."""
MODES = ("one_hot", "multi_hot", "count")
MODE_NAMES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
"""Old names of output modes (category_encoding.py, index_lookup.py)."""


# -- scaling ---------------------------------------------------------------------------------------------


def _scaled(layer: Layer, result: Value) -> Any:
    """Return the result; in Keras 2 without a mask (tf_keras has no `supports_masking` in these layers)."""
    return Masked(result) if layer.is_legacy else result


@keras("Rescaling", masking="pass")
def rescaling(b: Builder, inputs: Value, *, layer: Layer, scale: Any, offset: Any = 0.0) -> Any:
    """x * scale + offset; vectors go along the last axis, as `image_data_format()` is not in the file."""
    x = array.cast(b, inputs, layer.dtype)
    factor, shift = (np.asarray(number, layer.dtype.numpy) for number in (scale, offset))
    scaled: Value = math.apply(b, Mul(), x, factor)
    return _scaled(layer, math.apply(b, Add(), scaled, shift) if shift.any() else scaled)


@keras("Normalization", masking="pass")
def normalization(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    invert: bool = False,
) -> Any:
    """(x - mean) / max(sqrt(variance), epsilon), or back; adapted ones have variables."""
    rank = inputs.rank
    axes = () if axis is None else (axis,) if isinstance(axis, int) else axis
    kept = sorted(array.normalize_axis(position, rank) for position in axes)
    sizes = [_known(layer, inputs.shape[position]) for position in kept]
    if mean is None:
        center, spread = (layer.weight(b, name, sizes, trainable=False) for name in ("mean", "variance"))
        layer.weight(b, "count", (), trainable=False)
    else:
        center, spread = (b.const(_broadcast(number, sizes)) for number in (mean, variance))
    shape = [inputs.shape[position] if position in kept else 1 for position in range(rank)]
    deviation = np.maximum(np.sqrt(spread.array()), np.float32(EPSILON)).reshape(shape)
    x, middle = array.cast(b, inputs, DType.FLOAT32), center.array().reshape(shape)
    if invert:
        return _scaled(layer, math.apply(b, Add(), math.apply(b, Mul(), x, deviation), middle))
    return _scaled(layer, math.apply(b, Div(), math.apply(b, Sub(), x, middle), deviation))


def _broadcast(number: Any, sizes: Sequence[int]) -> Array:
    return np.broadcast_to(np.asarray(number, np.float32), sizes)


def _known(layer: Layer, dim: Dim) -> int:
    if not isinstance(dim, int):
        raise layer.unsupported(
            "the size of the axis that it normalizes is not known", "fix it: --shape NAME=..."
        )
    return dim


# -- bins ------------------------------------------------------------------------------------------------

BUCKETED = {
    DType.BOOL: DType.INT32, DType.INT8: DType.INT32, DType.INT16: DType.INT32, DType.UINT8: DType.INT32,
    DType.UINT16: DType.INT32, DType.UINT32: DType.INT64, DType.FLOAT16: DType.FLOAT32,
    DType.BFLOAT16: DType.FLOAT32,
}  # fmt: skip
"""Element types that neither TensorFlow nor LiteRT puts into bins as they are."""


@keras("Discretization", harmless=("epsilon",))  # epsilon: how exact adapting is
def discretization(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    bin_boundaries: Sequence[float] | None = None,
    num_bins: int | None = None,
    output_mode: str = "int",
    sparse: bool = False,
    bins: Any = None,
) -> Value:
    """How many boundaries are at most x, as a number or encoded; `bins` was once the name of both options."""
    refuse_sparse(layer, sparse)
    if isinstance(bins, int):
        num_bins = bins
    elif bins is not None:
        bin_boundaries = bins
    boundaries = _adapted(layer, num_bins) if bin_boundaries is None else bin_boundaries
    x = array.cast(b, inputs, BUCKETED.get(inputs.dtype, inputs.dtype))
    if len(boundaries):
        places = b(Bucketize(boundaries=tuple(float(np.float32(number)) for number in boundaries)), x)
    else:
        places = math.apply(b, Mul(), array.cast(b, x, DType.INT32), 0)
    if output_mode == "int":
        own = layer.dtype if layer.dtype.is_integer else DType.INT64
        integer: Value = array.cast(b, places, own if layer.is_legacy else DType.INT32)
        return integer
    return encode(b, places, output_mode, len(boundaries) + 1, layer.dtype, layer.is_legacy)


def _adapted(layer: Layer, num_bins: int | None) -> Array:
    """Return the boundaries of a layer that tf_keras adapted: quantiles of the summary that it has kept.

    tf_keras/src/layers/preprocessing/discretization.py, `get_bin_boundaries`.
    """
    summary = layer.stored("0")
    summary = layer.stored("summary") if summary is None else summary
    if summary is None or summary.shape[-1] == 0 or not num_bins:
        raise layer.unsupported("it was never adapted", "call `adapt` before saving the model")
    layer.group.weight("summary", summary.shape, trainable=False)
    share = 1.0 / num_bins
    if summary.shape[1] * share < 1:
        return summary[0, :-1]
    percents = share + np.arange(0.0, 1.0, share)
    weights = summary[1].cumsum()
    return np.interp(percents, weights / weights[-1], summary[0]).astype(np.float32)[:-1]


# -- categories ------------------------------------------------------------------------------------------


@keras("CategoryEncoding")
def category_encoding(
    b: Builder,
    inputs: Value,
    count_weights: Value | None = None,
    *,
    layer: Layer,
    num_tokens: int,
    output_mode: str = "multi_hot",
    sparse: bool = False,
) -> Value:
    """Ids as vectors: one per id, or one per sample with its ids marked or counted."""
    refuse_sparse(layer, sparse)
    mode = MODE_NAMES.get(output_mode, output_mode)
    if count_weights is not None and mode != "count":
        raise layer.unsupported(f"it has count_weights in output mode {mode}", 'use output_mode="count"')
    return encode(b, inputs, mode, num_tokens, layer.dtype, layer.is_legacy, count_weights)


def refuse_sparse(layer: Layer, sparse: bool) -> None:
    """Raise UnsupportedError for layers that give sparse tensors."""
    if sparse:
        raise layer.unsupported("it gives a sparse tensor, which TFLite does not have", "use sparse=False")


def encode(
    b: Builder,
    ids: Value,
    mode: str,
    depth: int,
    dtype: DType,
    is_legacy: bool = False,
    weights: Value | None = None,
) -> Value:
    """Return ids as one-hot, multi-hot or count vectors; ids of `depth` and more are left out.

    keras/src/utils/numerical_utils.py and tf_utils.py, `encode_categorical_inputs`: beyond rank 2 samples lie
    along axis 1. `weights` says how much each id counts.
    """
    ids = array.cast(b, ids, DType.INT32)
    if ids.rank == 0:
        ids = array.expand_dims(b, ids, 0)
    single = ids.shape[-1] == 1 and (ids.rank > 1 or is_legacy)
    if mode == "one_hot":
        ids = array.squeeze(b, ids, [-1]) if single else ids
        return _one_hot(b, ids, depth, dtype)
    if ids.rank <= 2:
        amounts = b.const(np.zeros(0, np.float32)) if weights is None else weights
        counts: Value = reduce.bincount(b, ids, b.const(np.int32(depth)), amounts, dtype, mode == "multi_hot")
        return counts
    hot = _one_hot(b, ids, depth, dtype)
    if mode == "multi_hot":
        marked: Value = reduce.maximum(b, hot, (1,))
        return marked
    if weights is not None:
        hot = math.apply(b, Mul(), hot, array.expand_dims(b, array.cast(b, weights, dtype), weights.rank))
    total: Value = reduce.total(b, hot, (1,))
    return total


def _one_hot(b: Builder, ids: Value, depth: int, dtype: DType) -> Value:
    on, off = (b.const(np.asarray(number, np.float32)) for number in (1, 0))
    result: Value = array.cast(b, index.one_hot(b, ids, b.const(np.int32(depth)), on, off, -1), dtype)
    return result


# -- pipelines -------------------------------------------------------------------------------------------


@keras("Pipeline")
def pipeline(b: Builder, inputs: Any, *, layer: Layer, layers: Sequence[Any], mask: Any = None) -> Any:
    """Layers one after the other; each sees the mask of the one before."""
    counts: dict[str, int] = {}
    x = Masked(inputs, mask) if isinstance(inputs, Value) else inputs
    for serialized in layers:
        kind = snake_case(serialized["class_name"].rpartition(">")[2])
        counts[kind] = counts.get(kind, 0) + 1
        name = kind if counts[kind] == 1 else f"{kind}_{counts[kind] - 1}"
        x = layer.child(f"layers/{name}", serialized).masked(b, x)
    return x
