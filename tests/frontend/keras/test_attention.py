"""Attention layers against Keras 3 and tf_keras: options, masks of every kind, unknown batch and lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.frontend.keras.harness import BOTH, KERAS, TF_KERAS, Spec, check, integers, layer, operations, spec

DENSE = {
    "dot": ("Attention", {}, {}),
    "dot_scale": ("Attention", {"use_scale": True}, {}),
    "dot_causal": ("Attention", {"dropout": 0.5}, {"use_causal_mask": True}),
    "dot_scores": ("Attention", {}, {"return_attention_scores": True}),
    "concat": ("Attention", {"score_mode": "concat"}, {}),
    "concat_scale": ("Attention", {"score_mode": "concat", "use_scale": True}, {"use_causal_mask": True}),
    "additive": ("AdditiveAttention", {}, {}),
    "additive_plain": ("AdditiveAttention", {"use_scale": False}, {"return_attention_scores": True}),
    "additive_causal": ("AdditiveAttention", {}, {"use_causal_mask": True}),
}


def each(rows: dict[str, Any], *specs: Spec, arguments: Callable[[list[Any]], Any]) -> Any:
    """A model of every layer of a table, called on `arguments` of the inputs."""

    def build(k: Any) -> Any:
        inputs = [item.input(k) for item in specs]
        outputs = []
        for name, (kind, options, call) in rows.items():
            item = getattr(k.layers, kind)(**options, name=name)
            args = arguments(inputs)
            outputs.append(item(*args, **call) if isinstance(args, tuple) else item(args, **call))
        return k.Model(inputs, outputs)

    return build


def test_attention() -> None:
    two = each(DENSE, spec((5, 4)), spec((3, 4)), arguments=lambda inputs: list(inputs))
    check(two)
    three = each(DENSE, spec((5, 4)), spec((3, 6)), spec((3, 4)), arguments=lambda inputs: list(inputs))
    check(three, frameworks=KERAS)


def test_attention_of_unknown_lengths() -> None:
    check(
        each(DENSE, spec((None, 4)), spec((None, 4)), arguments=lambda inputs: list(inputs)),
        sizes=((5, 3), (2, 7)),
    )


def test_attention_of_rank_4() -> None:
    rows = {name: row for name, row in DENSE.items() if "concat" not in name}
    check(each(rows, spec((2, 5, 4)), spec((2, 3, 4)), arguments=lambda inputs: list(inputs)))


IDS = np.array([[1, 2, 3, 0, 0], [4, 0, 5, 6, 1], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize("length", [5, None])
def test_masks_of_attention(length: int | None) -> None:
    """Masks of query and value, rows that are masked throughout, and the mask of the result."""

    def build(k: Any) -> Any:
        ids = k.Input((length,), dtype="int32")
        values = k.layers.Embedding(9, 4, mask_zero=True)(ids)
        queries = k.layers.Masking()(k.layers.Embedding(9, 4)(ids))
        outputs = []
        for kind, options, call in DENSE.values():
            result = getattr(k.layers, kind)(**options)([queries, values], **call)
            outputs += list(result) if isinstance(result, (list, tuple)) else [result]
        return k.Model(ids, [*outputs, k.layers.GlobalAveragePooling1D()(outputs[0])])

    check(build, IDS.astype(np.int32))


def test_explicit_masks_of_attention() -> None:
    def build(k: Any) -> Any:
        query, value = k.Input((5, 4)), k.Input((3, 4))
        masks = [k.Input((5,), dtype="bool"), k.Input((3,), dtype="bool")]
        item = k.layers.Attention()
        return k.Model([query, value, *masks], item([query, value], mask=masks))

    check(build)


# -- several heads -----------------------------------------------------------------------------------------

HEADS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "no_bias": ({"use_bias": False}, {}),
    "value_dim": ({"value_dim": 5}, {}),
    "output": ({"output_shape": 7}, {}),
    "outputs": ({"output_shape": (2, 3)}, {}),
    "dropout": ({"dropout": 0.3}, {}),
    "causal": ({}, {"use_causal_mask": True}),
    "scores": ({}, {"return_attention_scores": True}),
    "causal_scores": ({"value_dim": 2}, {"return_attention_scores": True, "use_causal_mask": True}),
}
HEADS_3: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gate": ({"use_gate": True}, {}),
    "gate_value_dim": ({"use_gate": True, "value_dim": 5}, {"use_causal_mask": True}),
    "window": ({"sliding_window": 2}, {}),
    "window_causal": ({"sliding_window": 2, "dropout": 0.1}, {"use_causal_mask": True}),
}


def mha(rows: dict[str, Any], *specs: Spec, arguments: Callable[[list[Any]], Any] = tuple) -> Any:
    table = {
        name: ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, **options}, call)
        for name, (options, call) in rows.items()
    }
    return each(table, *specs, arguments=arguments)


@pytest.mark.parametrize(("rows", "frameworks"), [(HEADS, BOTH), (HEADS_3, KERAS)], ids=["both", "keras"])
def test_multi_head_attention(rows: dict[str, Any], frameworks: Any) -> None:
    check(mha(rows, spec((5, 4)), spec((3, 6))), frameworks=frameworks)
    check(mha(rows, spec((5, 4)), spec((3, 6)), spec((3, 2))), frameworks=frameworks)


@pytest.mark.parametrize(("rows", "frameworks"), [(HEADS, BOTH), (HEADS_3, KERAS)], ids=["both", "keras"])
def test_multi_head_attention_of_unknown_lengths(rows: dict[str, Any], frameworks: Any) -> None:
    build = mha(rows, spec((None, 4)), spec((None, 6)))
    check(build, frameworks=frameworks, sizes=((5, 3), (2, 7)))


def test_causal_self_attention_of_unknown_length() -> None:
    build = mha({"causal": HEADS["causal"]}, spec((None, 32)), arguments=lambda x: (x[0], x[0]))
    converted = check(build)
    assert "Range" in operations(converted)


AXES = {
    "default": None,
    "first": (1,),
    "second": (2,),
    "both": (1, 2),
    "number": 2,
}


@pytest.mark.parametrize("scores", [False, True])
def test_attention_axes(scores: bool) -> None:
    rows = {
        name: ({"attention_axes": axes}, {"return_attention_scores": scores}) for name, axes in AXES.items()
    }
    if scores:
        rows = {name: row for name, row in rows.items() if name != "number"}
    check(mha(rows, spec((2, 3, 4)), arguments=lambda x: (x[0], x[0])))
    check(
        mha({"deep": ({"attention_axes": (1, 3)}, {})}, spec((2, 3, 4, 5)), arguments=lambda x: (x[0], x[0]))
    )


def test_negative_attention_axes() -> None:
    """Keras 2 counts them with the axis of the heads, which is one more."""
    legacy = {"first": ({"attention_axes": (-3,)}, {}), "both": ({"attention_axes": (-4, -3)}, {})}
    check(mha(legacy, spec((2, 3, 4)), arguments=lambda x: (x[0], x[0])), frameworks=TF_KERAS)
    rows = {"last": ({"attention_axes": (-2,)}, {}), "both": ({"attention_axes": (-3, -2)}, {})}
    check(mha(rows, spec((2, 3, 4)), arguments=lambda x: (x[0], x[0])), frameworks=KERAS)


ATTENTION_MASK = np.array(
    [
        [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 1]],
        [[0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 1, 0]],
        [[1, 1, 1], [1, 1, 1], [1, 0, 0], [1, 0, 0], [0, 0, 1]],
    ]
)


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_attention_mask(dtype: str) -> None:
    """Of boolean or other type; rows that are masked throughout are weighted as each version does."""

    def build(k: Any) -> Any:
        query, value, mask = k.Input((5, 4)), k.Input((3, 6)), k.Input((5, 3), dtype=dtype)
        outputs = []
        for options, call in ({**HEADS, **HEADS_3} if k.__name__ == "keras" else HEADS).values():
            item = k.layers.MultiHeadAttention(2, 3, **options)
            result = item(query, value, attention_mask=mask, **call)
            outputs += list(result) if isinstance(result, (list, tuple)) else [result]
        return k.Model([query, value, mask], outputs)

    check(build, None, None, ATTENTION_MASK.astype(dtype))


def test_attention_mask_by_head() -> None:
    mask = np.stack([ATTENTION_MASK, 1 - ATTENTION_MASK], 1).astype(bool)

    def build(k: Any) -> Any:
        query, value, inputs = k.Input((5, 4)), k.Input((3, 6)), k.Input((2, 5, 3), dtype="bool")
        return k.Model(
            [query, value, inputs], k.layers.MultiHeadAttention(2, 3)(query, value, attention_mask=inputs)
        )

    check(build, None, None, mask)


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention"])
def test_explicit_masks_of_heads(kind: str) -> None:
    """What a call gives as `query_mask` MultiHeadAttention overwrites with what the tensor has: nothing."""

    def build(k: Any) -> Any:
        query, value = k.Input((5, 4)), k.Input((3, 4))
        masks = [k.Input((size,), dtype="bool") for size in (5, 3, 3)]
        named = dict(zip(("query_mask", "value_mask", "key_mask"), masks, strict=True))
        item = getattr(k.layers, kind)(2, 3) if kind[0] == "M" else k.layers.GroupQueryAttention(3, 4, 2)
        return k.Model([query, value, *masks], item(query, value, value, **named))

    check(build, frameworks=KERAS)


def test_robust_masking() -> None:
    def build(k: Any) -> Any:
        query, value, mask = k.Input((5, 4)), k.Input((3, 6)), k.Input((5, 3), dtype="bool")
        item = k.layers.MultiHeadAttention(2, 3, softmax_robust_masking=True)
        return k.Model([query, value, mask], item(query, value, attention_mask=mask, use_causal_mask=True))

    check(build, None, None, ATTENTION_MASK.astype(bool), frameworks=TF_KERAS)


@pytest.mark.parametrize("length", [5, None])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.2}], ids=["fused", "softmax"])
def test_masks_of_heads(length: int | None, options: dict[str, Any]) -> None:
    """Masks of query and value, with an explicit one, and that of the result."""

    def build(k: Any) -> Any:
        ids = k.Input((length,), dtype="int32")
        masked = k.layers.Embedding(9, 4, mask_zero=True)(ids)
        result = k.layers.MultiHeadAttention(2, 3, **options)(masked, masked, use_causal_mask=True)
        return k.Model(ids, [result, k.layers.GlobalAveragePooling1D()(result)])

    check(build, IDS.astype(np.int32))


def _residual(k: Any) -> Any:
    """The layer takes the mask off its arguments, so that the sum around it has none, nor what follows."""
    ids = k.Input((5,), dtype="int32")
    x = k.layers.Embedding(9, 4, mask_zero=True)(ids)
    for _ in range(2):
        x = k.layers.LayerNormalization()(k.layers.Add()([x, k.layers.MultiHeadAttention(2, 3)(x, x)]))
    return k.Model(ids, [x, k.layers.GlobalAveragePooling1D()(x)])


def _twice(k: Any) -> Any:
    """Of two layers on one tensor, the one that runs first sees the mask."""
    ids = k.Input((5,), dtype="int32")
    x = k.layers.Embedding(9, 4, mask_zero=True)(ids)
    recurrent = k.layers.LSTM(3, return_sequences=True)(x)
    heads = [k.layers.MultiHeadAttention(2, 3)(x, x) for _ in range(3)]
    return k.Model(ids, [heads[0], k.layers.Dense(2)(heads[1]), heads[2], recurrent])


def _decoder(k: Any) -> Any:
    """Only the first layer of a decoder sees the mask of the encoder."""
    ids = k.Input((5,), dtype="int32")
    encoded = k.layers.Dropout(0.5)(k.layers.Embedding(9, 4, mask_zero=True)(ids))
    x = k.layers.Embedding(9, 4)(ids)
    for _ in range(2):
        x = k.layers.MultiHeadAttention(2, 3)(x, encoded)
    return k.Model(ids, x)


def _nested(k: Any) -> Any:
    """The same tensor inside and outside a model."""
    inner = k.Input((5, 4))
    block = k.Model(inner, k.layers.MultiHeadAttention(2, 3)(inner, inner))
    ids = k.Input((5,), dtype="int32")
    x = k.layers.Embedding(9, 4, mask_zero=True)(ids)
    y = k.layers.Add()([x, block(x)])
    return k.Model(ids, k.layers.MultiHeadAttention(2, 3)(y, x))


@pytest.mark.parametrize("build", [_residual, _twice, _decoder, _nested])
def test_masks_are_taken_off_in_keras_3(build: Any) -> None:
    check(build, IDS.astype(np.int32))


GROUPS = {
    "plain": ({}, {}),
    "no_bias": ({"use_bias": False}, {}),
    "dropout": ({"dropout": 0.3}, {}),
    "causal": ({}, {"use_causal_mask": True}),
    "scores": ({}, {"return_attention_scores": True}),
    "gate": ({"use_gate": True}, {}),
    "window": ({"sliding_window": 2}, {"use_causal_mask": True}),
}


def gqa(heads: int, kept: int, *specs: Spec) -> Any:
    base = {"head_dim": 3, "num_query_heads": heads, "num_key_value_heads": kept}
    rows = {
        name: ("GroupQueryAttention", {**base, **options}, call) for name, (options, call) in GROUPS.items()
    }
    return each(rows, *specs, arguments=tuple)


@pytest.mark.parametrize(("heads", "kept"), [(4, 2), (3, 1), (2, 2)])
def test_grouped_query_attention(heads: int, kept: int) -> None:
    check(gqa(heads, kept, spec((5, 4)), spec((3, 4))), frameworks=KERAS)


def test_grouped_query_attention_of_unknown_lengths() -> None:
    check(gqa(4, 2, spec((None, 4)), spec((None, 4))), frameworks=KERAS, sizes=((5, 3), (2, 7)))


def test_masks_of_grouped_heads() -> None:
    def build(k: Any) -> Any:
        ids, mask = k.Input((5,), dtype="int32"), k.Input((5, 5), dtype="bool")
        masked = k.layers.Embedding(9, 4, mask_zero=True)(ids)
        item = k.layers.GroupQueryAttention(3, 4, 2)
        result, scores = item(masked, masked, attention_mask=mask, return_attention_scores=True)
        plain = k.layers.GroupQueryAttention(3, 4, 2)(masked, masked, attention_mask=mask)
        by_head = k.Input((4, 5, 5), dtype="bool")
        bare = k.layers.Embedding(9, 4)(ids)
        other = k.layers.GroupQueryAttention(3, 4, 2)(bare, bare, attention_mask=by_head)
        mean = k.layers.GlobalAveragePooling1D()(plain)
        return k.Model([ids, mask, by_head], [result, scores, plain, mean, other])

    check(build, IDS.astype(np.int32), frameworks=KERAS)


def test_self_attention_is_what_is_written_by_hand() -> None:
    build = layer(lambda k: k.layers.MultiHeadAttention(2, 4), (6, 8), call=lambda item, x: item(x, x))
    converted = check(build, batches=(1, 3))
    names = operations(converted)
    assert names.count("FullyConnected") == 4
    assert names.count("BatchMatMul") == 2
    assert names.count("Softmax") == 1
    assert set(names) <= {"FullyConnected", "BatchMatMul", "Softmax", "Reshape", "Transpose"}
    assert len(names) <= 16


def test_embedded_attention() -> None:
    """A transformer block: what is learnt of the layers works in a row of them."""

    def build(k: Any) -> Any:
        ids = k.Input((None,), dtype="int32")
        x = k.layers.Embedding(20, 8)(ids)
        for _ in range(2):
            attended = k.layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
            x = k.layers.LayerNormalization()(k.layers.Add()([x, attended]))
            hidden = k.layers.Dense(16, "gelu")(x)
            x = k.layers.LayerNormalization()(k.layers.Add()([x, k.layers.Dense(8)(hidden)]))
        return k.Model(ids, k.layers.Dense(20)(x))

    check(build, integers(20))
