"""Attention, AdditiveAttention, MultiHeadAttention and GroupedQueryAttention.

What a mask does to the scores differs by layer and by version of Keras. It shows in rows that are masked
throughout, such as the padding of a batch.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import Masked, keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers import quantized
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, product
from litecast.lib import activation, array, linalg, math, reduce

__all__: list[str] = []

Weigh = Callable[[Builder, Value, Any, tuple[int, ...]], Any]
"""Scores, their mask and the axes of keys -> weights."""
DOT_PRODUCT = 3.38953e38 * -0.7
"""Score of what is masked in `dot_product_attention` (keras/src/backend/tensorflow/nn.py)."""
SOFTMAX = -1e9
"""Score of what is masked in a Softmax layer, and what is added to it in Keras 2 and in Attention."""
# `flash_attention` is a way to compute the same; tf_keras stores the shapes that a layer was built for.
HARMLESS = ("flash_attention", "query_shape", "key_shape", "value_shape")


# -- masks -------------------------------------------------------------------------------------------------


def _both(b: Builder, *masks: Any) -> Any:
    """Return where every mask that is not None holds; None where all are."""
    result = None
    for mask in masks:
        if mask is not None:
            result = mask if result is None else math.apply(b, ops.LogicalAnd(), result, mask)
    return result


def _as_bool(b: Builder, mask: Any) -> Any:
    """Return a mask, where a number other than 0 is true."""
    if mask is None:
        return None
    value = mask if isinstance(mask, Value) else b.const(np.asarray(mask))
    return value if value.dtype is DType.BOOL else math.apply(b, ops.NotEqual(), value, 0)


def _expanded(b: Builder, mask: Any, axis: int) -> Any:
    return None if mask is None else array.expand_dims(b, _as_bool(b, mask), axis)


def _positions(b: Builder, dim: Dim, axis: int) -> Value:
    """Return 0, 1, ... of a dimension as a (dim, 1) or (1, dim) matrix."""
    steps = array.arange(b, b.const(np.int32(0)), b.dim(dim), b.const(np.int32(1)))
    result: Value = array.expand_dims(b, steps, axis)
    return result


def _causal(b: Builder, rows: Dim, columns: Dim) -> Any:
    """Return the (rows, columns) mask of what is not after each row."""
    return b(ops.GreaterEqual(), _positions(b, rows, 1), _positions(b, columns, 0))


def _window(b: Builder, rows: Dim, columns: Dim, size: int) -> Any:
    """Return the (rows, columns) mask of what is less than `size` away from each row."""
    distance = b(ops.Abs(), b(ops.Sub(), _positions(b, rows, 1), _positions(b, columns, 0)))
    return b(ops.Less(), distance, np.int32(size))


def _lowered(b: Builder, scores: Value, mask: Any) -> Any:
    """Return the scores less 1e9 where the mask does not hold; numbers are how much of a score is kept."""
    if mask is None:
        return scores
    kept = array.cast(b, mask, DType.FLOAT32)
    return math.apply(b, ops.Add(), scores, b(ops.Mul(), b(ops.Sub(), b.const(np.float32(1)), kept), SOFTMAX))


# -- Attention and AdditiveAttention -----------------------------------------------------------------------


@keras("Attention", harmless=("dropout",))  # which is for training
def attention(
    b: Builder,
    inputs: Any,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    *,
    layer: Layer,
    use_scale: bool = False,
    score_mode: str = "dot",
    causal: bool = False,
    mask: Any = None,
) -> Any:
    query, value, key = _inputs(inputs)
    scale = layer.weight(b, "scale", ()) if use_scale else None
    if score_mode == "dot":
        scores = linalg.matmul(b, query, key, adj_y=True)
        scores = scores if scale is None else b(ops.Mul(), scores, scale)
    else:
        weight = layer.weight(b, "concat_score_weight", ())
        sums = _pairs(b, query, key)
        sums = sums if scale is None else b(ops.Mul(), sums, scale)
        scores = b(ops.Mul(), reduce.total(b, b(ops.Tanh(), sums), [-1]), weight)
    return _attended(b, scores, value, mask, causal or use_causal_mask, return_attention_scores)


@keras("AdditiveAttention", harmless=("dropout",))  # which is for training
def additive_attention(
    b: Builder,
    inputs: Any,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    *,
    layer: Layer,
    use_scale: bool = True,
    causal: bool = False,
    mask: Any = None,
) -> Any:
    query, value, key = _inputs(inputs)
    sums = b(ops.Tanh(), _pairs(b, query, key))
    if use_scale:
        scale = layer.weight(b, "scale", (query.shape[-1],))
        scores = array.squeeze(b, linalg.matmul(b, sums, array.expand_dims(b, scale, 1)), [-1])
    else:
        scores = reduce.total(b, sums, [-1])
    return _attended(b, scores, value, mask, causal or use_causal_mask, return_attention_scores)


def _inputs(inputs: Sequence[Value]) -> tuple[Value, Value, Value]:
    """Return query, value and key, which is the value where there are two."""
    query, value, *rest = inputs
    return query, value, rest[0] if rest else value


def _pairs(b: Builder, query: Value, key: Value) -> Any:
    """Return query + key of every pair of positions: (..., queries, keys, features)."""
    return math.apply(b, ops.Add(), array.expand_dims(b, query, -2), array.expand_dims(b, key, -3))


def _attended(b: Builder, scores: Value, value: Value, masks: Any, causal: bool, with_scores: bool) -> Any:
    query_mask, value_mask = list(masks)[:2] if isinstance(masks, (list, tuple)) else (None, None)
    before = _causal(b, scores.shape[-2], scores.shape[-1]) if causal else None
    scores = _lowered(b, scores, _both(b, _expanded(b, value_mask, -2), before))
    weights = activation.softmax(b, scores)
    result = linalg.matmul(b, weights, value)
    if query_mask is not None:
        result = math.select(b, _expanded(b, query_mask, -1), result, 0)
    result = Masked(result, query_mask)
    return (result, weights) if with_scores else result


# -- MultiHeadAttention ------------------------------------------------------------------------------------


@keras("MultiHeadAttention", harmless=HARMLESS, takes_masks=True)
def multi_head_attention(
    b: Builder,
    query: Value,
    value: Value,
    key: Value | None = None,
    attention_mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    *,
    layer: Layer,
    num_heads: int,
    key_dim: int,
    value_dim: int | None = None,
    dropout: float = 0.0,
    use_bias: bool = True,
    use_gate: bool = False,
    output_shape: Any = None,
    attention_axes: Any = None,
    sliding_window: int | None = None,
    softmax_robust_masking: bool = False,
    query_mask: Any = None,
    value_mask: Any = None,
    key_mask: Any = None,
) -> Any:
    key, value_dim = value if key is None else key, value_dim or key_dim
    queries = _split(b, layer, "query_dense", query, num_heads, key_dim, use_bias, 1 / sqrt(key_dim))
    keys = _split(b, layer, "key_dense", key, num_heads, key_dim, use_bias)
    gate = _split(b, layer, "gate_dense", query, num_heads, value_dim, use_bias) if use_gate else None
    values = _split(b, layer, "value_dense", value, num_heads, value_dim, use_bias)
    masks, lengths = (query_mask, value_mask, key_mask), (query.shape[1], value.shape[1])
    mask = _merged(b, masks, attention_mask, lengths, use_causal_mask, sliding_window, layer.is_legacy)
    axes, score, combine = _equations(attention_axes, query.rank, layer.is_legacy)
    scores = linalg.einsum(b, score, [queries, keys])
    apart = bool(dropout) or return_attention_scores or query.rank != 3
    weigh = _way(layer.is_legacy, not apart, softmax_robust_masking)
    weights = weigh(b, scores, _widened(b, mask, scores.rank, 2 * len(axes)), tuple(range(-len(axes), 0)))
    result = _gated(b, linalg.einsum(b, combine, [weights, values]), gate)
    sizes = np.atleast_1d(output_shape).tolist() if output_shape else [query.shape[-1]]
    result = Masked(_join(b, layer, "output_dense", result, sizes, use_bias), query_mask)
    return (result, weights) if return_attention_scores else result


@keras("GroupedQueryAttention", "GroupQueryAttention", harmless=HARMLESS[:1])
def grouped_query_attention(
    b: Builder,
    query: Value,
    value: Value,
    key: Value | None = None,
    attention_mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    *,
    layer: Layer,
    head_dim: int,
    num_query_heads: int,
    num_key_value_heads: int,
    dropout: float = 0.0,
    use_bias: bool = True,
    use_gate: bool = False,
    sliding_window: int | None = None,
    query_mask: Any = None,
    value_mask: Any = None,
    key_mask: Any = None,
) -> Any:
    heads, kept = num_query_heads, num_key_value_heads
    queries = _split(b, layer, "query_dense", query, heads, head_dim, use_bias, 1 / sqrt(head_dim))
    keys = _split(b, layer, "key_dense", value if key is None else key, kept, head_dim, use_bias)
    gate = _split(b, layer, "gate_dense", query, heads, head_dim, use_bias) if use_gate else None
    values = _split(b, layer, "value_dense", value, kept, head_dim, use_bias)
    masks, lengths = (query_mask, value_mask, key_mask), (query.shape[1], value.shape[1])
    mask = _merged(b, masks, attention_mask, lengths, use_causal_mask, sliding_window, False)
    weigh = _way(False, not dropout and not return_attention_scores)
    result, weights = _in_groups(b, queries, keys, values, mask, weigh)
    sizes = [query.shape[-1]]
    result = Masked(_join(b, layer, "output_dense", _gated(b, result, gate), sizes, use_bias), query_mask)
    by_head = (query.shape[0], heads, *lengths)
    return (result, array.reshape(b, weights, by_head)) if return_attention_scores else result


def _in_groups(b: Builder, queries: Any, keys: Any, values: Any, mask: Any, weigh: Weigh) -> tuple[Any, Any]:
    """Attend with several query heads to each key head, which broadcasts; weights are by group and head."""
    batch, length, heads, size = queries.shape
    shared = (keys.shape[2], heads // keys.shape[2])
    parts = array.reshape(b, queries, (batch, length, *shared, size))
    parts = array.transpose(b, parts, (0, 2, 3, 1, 4))
    scores = linalg.matmul(b, parts, _for_groups(b, keys), adj_y=True)
    weights = weigh(b, scores, _grouped(b, mask, shared), (-1,))
    result = linalg.matmul(b, weights, _for_groups(b, values))
    result = array.transpose(b, result, (0, 3, 1, 2, 4))
    return array.reshape(b, result, (batch, length, heads, size)), weights


def _for_groups(b: Builder, x: Any) -> Any:
    """Return (batch, positions, groups, size) as (batch, groups, 1, positions, size)."""
    return array.transpose(b, array.reshape(b, x, (*x.shape[:3], 1, x.shape[3])), (0, 2, 3, 1, 4))


def _grouped(b: Builder, mask: Any, shared: tuple[int, int]) -> Any:
    """Return a mask of (batch, heads, queries, keys) or fewer axes for heads in groups."""
    if mask is not None and mask.rank == 4 and mask.shape[1] != 1:
        return array.reshape(b, mask, (mask.shape[0], *shared, *mask.shape[2:]))
    return _widened(b, mask, 5, 2)


def _split(
    b: Builder,
    layer: Layer,
    attribute: str,
    x: Value,
    heads: int,
    size: int,
    use_bias: bool,
    scale: float = 1.0,
) -> Any:
    """Project x to (..., heads, size), by the EinsumDense that the layer keeps under an attribute."""
    labels = ("mnh", "." * (x.rank - 1) + "nh")
    shape = (x.shape[-1], heads, size)
    bias_shape = (heads, size) if use_bias else None
    kernel, bias = quantized.weight_and_bias(b, layer.scope(attribute), shape, bias_shape, labels)
    result = linalg.matmul(b, x, array.reshape(b, kernel, (x.shape[-1], heads * size)))
    if bias is not None:
        result = b(ops.Add(), result, array.reshape(b, bias, (heads * size,)))
    if scale != 1:
        result = b(ops.Mul(), result, scale)
    return array.reshape(b, result, (*x.shape[:-1], heads, size))


def _join(b: Builder, layer: Layer, attribute: str, x: Value, sizes: Sequence[Dim], use_bias: bool) -> Any:
    """Project (..., heads, size) to (..., *sizes)."""
    outer = string.ascii_uppercase[: len(sizes)]
    labels = ("nh" + outer, "." * (x.rank - 2) + outer)
    shape = (*x.shape[-2:], *sizes)
    kernel, bias = quantized.weight_and_bias(
        b, layer.scope(attribute), shape, sizes if use_bias else None, labels
    )
    rows, columns = product(x.shape[-2:]), product(sizes)
    merged = array.reshape(b, x, (*x.shape[:-2], rows))
    result = linalg.matmul(b, merged, array.reshape(b, kernel, (rows, columns)))
    if bias is not None:
        result = b(ops.Add(), result, array.reshape(b, bias, (columns,)))
    return array.reshape(b, result, (*x.shape[:-2], *sizes))


def _gated(b: Builder, x: Any, gate: Any) -> Any:
    return x if gate is None else b(ops.Mul(), x, b(ops.Logistic(), gate))


def _equations(axes: Any, rank: int, is_legacy: bool) -> tuple[tuple[int, ...], str, str]:
    """Return the attention axes and the equations of query, key -> scores and of weights, value -> result.

    Keras 2 counts axes from the end with that of the heads. Scores have the batch axes, the heads, the
    attention axes of the queries, then those of the keys.
    """
    if axes is None:
        axes = range(1, rank - 1)
    chosen = tuple(axis % (rank + is_legacy) for axis in np.atleast_1d(axes).tolist())
    query = string.ascii_lowercase[: rank + 1]
    key = "".join(label.upper() if axis in chosen else label for axis, label in enumerate(query))
    batch = "".join(query[axis] for axis in range(rank) if axis not in chosen)
    scores = batch + "".join(labels[axis] for labels in (query, key) for axis in chosen)
    return chosen, f"{query},{key}->{scores}", f"{scores},{key}->{query}"


# -- masks of heads ----------------------------------------------------------------------------------------


def _merged(
    b: Builder,
    masks: Sequence[Any],
    attention_mask: Any,
    lengths: tuple[Dim, Dim],
    causal: bool,
    window: int | None,
    is_legacy: bool,
) -> Any:
    """Return the masks of query, value and key, of positions, and the layer's own argument as one mask.

    Alone in Keras 2, the argument is used as it is: it may be a number for how much of a score is kept.
    """
    inputs = (_expanded(b, mask, axis) for mask, axis in zip(masks, (-1, -2, -2), strict=True))
    positions = (
        _causal(b, *lengths) if causal else None,
        _window(b, *lengths, window) if window is not None else None,
    )
    mask = _both(b, *inputs, *positions)
    if mask is None and attention_mask is not None and is_legacy:
        return attention_mask if isinstance(attention_mask, Value) else b.const(np.asarray(attention_mask))
    return _both(b, _as_bool(b, attention_mask), mask)


def _widened(b: Builder, mask: Any, rank: int, inner: int) -> Any:
    """Return a mask with the rank of the scores, if it has more than the `inner` axes that they end with."""
    while mask is not None and inner < mask.rank < rank:
        mask = array.expand_dims(b, mask, mask.rank - inner)
    return mask


def _way(is_legacy: bool, fused: bool, robust: bool = False) -> Weigh:
    """Return how scores and a mask become weights."""
    if is_legacy:
        return _robust if robust else _added
    return _fused if fused else _zeroed


def _fused(b: Builder, scores: Value, mask: Any, axes: tuple[int, ...]) -> Any:
    """`dot_product_attention`: rows that are masked throughout attend to everything."""
    kept = scores if mask is None else math.select(b, mask, scores, DOT_PRODUCT)
    return activation.softmax(b, kept, axes)


def _zeroed(b: Builder, scores: Value, mask: Any, axes: tuple[int, ...]) -> Any:
    """The Softmax layer of Keras 3: rows that are masked throughout have weights of zero."""
    if mask is None:
        return activation.softmax(b, scores, axes)
    weights = activation.softmax(b, math.select(b, mask, scores, SOFTMAX), axes)
    return math.select(b, mask, weights, 0)


def _robust(b: Builder, scores: Value, mask: Any, axes: tuple[int, ...]) -> Any:
    """The Softmax layer of tf_keras with `robust_masking`."""
    if mask is not None:
        kept = mask if mask.dtype is DType.BOOL else math.apply(b, ops.Greater(), mask, 0.5)
        scores = math.select(b, kept, scores, SOFTMAX)
    return activation.softmax(b, scores, axes)


def _added(b: Builder, scores: Value, mask: Any, axes: tuple[int, ...]) -> Any:
    """The Softmax layer of Keras 2."""
    return activation.softmax(b, _lowered(b, scores, mask), axes)
