"""Embedding, ReversibleEmbedding, Masking and EinsumDense against Keras 3 and tf_keras."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontend.keras.harness import KERAS, Build, Spec, check, integers, layer, layers, spec

EQUATIONS = {
    "plain": ("ab,bc->ac", 5, "c", (4,)),
    "no_bias": ("ab,bc->ac", 5, None, (4,)),
    "rows": ("abc,cd->abd", (None, 6), "d", (3, 4)),
    "row_bias": ("abc,cd->abd", (3, 6), "bd", (3, 4)),
    "heads": ("abc,cde->abde", (None, 2, 3), "de", (3, 4)),
    "first_bias": ("abc,cde->abde", (None, 2, 3), "d", (3, 4)),
    "joined": ("abcd,cde->abe", (None, 5), "e", (3, 2, 4)),
    "batched": ("abc,bcd->abd", (3, 5), "bd", (3, 4)),
    "middle": ("abc,bd->adc", (6, 4), "d", (3, 4)),
    "ellipsis_left": ("...x,xy->...y", 5, "y", (3, 4)),
    "ellipsis_flat": ("...x,xy->...y", 5, "y", (4,)),
    "ellipsis_deep": ("...x,xyz->...yz", (2, 3), "yz", (3, 2, 4)),
    "ellipsis_right": ("ab...,bc->ac...", 5, "c", (4, 3)),
    "nothing_elided": ("ab...,bc->ac...", 5, "c", (4,)),
    "swapped": ("abc,cd->adb", (5, 3), "d", (3, 4)),
    "scaled": ("abc,c->abc", (3, 4), "c", (3, 4)),
}


@pytest.mark.parametrize("shape", sorted({row[3] for row in EQUATIONS.values()}))
def test_einsum_dense(shape: tuple[int, ...]) -> None:
    rows = {name: row for name, row in EQUATIONS.items() if row[3] == shape}
    check(
        layers(
            lambda k: {
                name: k.layers.EinsumDense(equation, size, bias_axes=bias, activation="relu")
                for name, (equation, size, bias, _) in rows.items()
            },
            shape,
        )
    )


def test_einsum_dense_of_unknown_length() -> None:
    check(
        layers(
            lambda k: {
                "rows": k.layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", activation="tanh"),
                "heads": k.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
                "ellipsis": k.layers.EinsumDense("...x,xy->...y", 5, bias_axes="y"),
            },
            (None, 4),
        )
    )


def test_a_plain_equation_is_one_operation() -> None:
    build = layer(lambda k: k.layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d"), (3, 4))
    check(build, ops=("FullyConnected",))


INDICES = {"int32": "int32", "int64": "int64", "uint8": "uint8", "float": "float32", "int16": "int16"}


@pytest.mark.parametrize("dtype", INDICES.values(), ids=INDICES)
def test_embedding(dtype: str) -> None:
    check(layer(lambda k: k.layers.Embedding(9, 4), spec((6,), dtype)), integers(9))


def test_embedding_of_any_rank() -> None:
    check(layer(lambda k: k.layers.Embedding(9, 4), spec((), "int32")), integers(9))
    check(layer(lambda k: k.layers.Embedding(9, 4), spec((2, None, 3), "int32")), integers(9))


def test_embedding_is_one_operation() -> None:
    check(layer(lambda k: k.layers.Embedding(9, 4), spec((6,), "int32")), integers(9), ops=("Gather",))


def masked(make: Build, inputs: Spec, rows: np.ndarray) -> None:
    """Check a layer and its mask, which the mean after it uses."""

    def build(k):
        x = inputs.input(k)
        y = make(k)(x)
        return k.Model(x, [y, k.layers.GlobalAveragePooling1D()(y)])

    check(build, rows)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_embedding_masks_zero(dtype: str) -> None:
    ids = np.array([[1, 2, 0, 0, 3], [4, 0, 0, 0, 0], [1, 1, 1, 1, 1]], dtype)
    masked(lambda k: k.layers.Embedding(9, 4, mask_zero=True), spec((5,), dtype), ids)


def test_masking() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 5, 2)).astype("float32")
    rows[0, 2], rows[1, 3:], rows[1, 0, 1] = 0, 0, 0
    masked(lambda k: k.layers.Masking(), spec((5, 2)), rows)
    masked(lambda k: k.layers.Masking(-1.0), spec((None, 2)), np.where(rows == 0, -1, rows))


@pytest.mark.parametrize("value", [0, 2, 1.5])
def test_masking_of_integers(value: float) -> None:
    build = layer(lambda k: k.layers.Masking(value), spec((4, 2), "int32"))
    check(build, np.array([[[2, 2], [0, 0], [1, 2], [0, 2]]] * 3, "int32"), frameworks=KERAS)


def reversed_after(k, item, ids):
    return k.layers.Activation("tanh")(item(ids)), item(k.layers.Activation("tanh")(item(ids)), reverse=True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tie_weights": False},
        {"logit_soft_cap": 0.5},
        {"tie_weights": False, "logit_soft_cap": 2.0, "mask_zero": True},
        {"reverse_dtype": "float32"},
    ],
    ids=lambda options: "-".join(options) or "default",
)
def test_reversible_embedding(options: dict) -> None:
    import keras

    check(
        layer(
            lambda k: k.layers.ReversibleEmbedding(9, 4, **options),
            spec((6,), "int32"),
            call=lambda item, ids: reversed_after(keras, item, ids),
        ),
        integers(9),
        frameworks=KERAS,
    )


def test_tied_weights_are_stored_once() -> None:
    def build(k):
        ids = k.Input((6,), dtype="int32")
        item = k.layers.ReversibleEmbedding(1000, 64)
        return k.Model(ids, item(item(ids), reverse=True))

    converted = check(build, integers(1000), frameworks=KERAS, formats=("keras",))
    assert len(converted.content) < 1.1 * 4 * 64_000
