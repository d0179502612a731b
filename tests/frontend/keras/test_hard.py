"""Models that users report as hard: half floats, images of unknown size, legacy files, augmentation, text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from tests.frontend.keras.harness import (
    BOTH,
    FRAMEWORKS,
    KERAS,
    TF_KERAS,
    built,
    check,
    integers,
    operations,
    refused,
    save,
    spec,
)

HALF = ("mixed_float16", "mixed_bfloat16")


# -- half floats -----------------------------------------------------------------------------------------


def mixed(policy: str) -> Any:
    """Convolution, normalisation and a dense head under a policy, set for all layers or for one."""

    def build(k: Any) -> Any:
        L = k.layers
        k.mixed_precision.set_global_policy(policy)
        try:
            return k.Sequential(
                [
                    k.Input((8, 8, 3)),
                    L.Conv2D(4, 3),
                    L.BatchNormalization(),
                    L.ReLU(),
                    L.Flatten(),
                    L.Dense(3),
                    L.Activation("softmax", dtype="float32"),
                ]
            )
        finally:
            k.mixed_precision.set_global_policy("float32")

    return build


@pytest.mark.parametrize("policy", HALF)
@pytest.mark.parametrize("framework", BOTH)
def test_half_floats_are_computed_in_float32(framework: str, policy: str, tmp_path: Path) -> None:
    """As the same weights give without the policy; Keras's own half floats are that much less exact."""
    model = built(framework, mixed(policy))
    plain = built(framework, mixed("float32"), random=False)
    plain.set_weights(model.get_weights())
    source, _ = save(FRAMEWORKS[framework], model, "keras", tmp_path)
    converted = litecast.convert(source)
    assert {"Cast", "Dequantize"}.isdisjoint(converted.report.ops)
    assert [note for note in converted.report.notes if policy in note and "float32" in note]
    images = np.random.default_rng(3).standard_normal((3, 8, 8, 3)).astype(np.float32)
    (scores,) = converted(images).values()
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.asarray(plain(images, training=False)), atol=1e-6)
    limit = 2e-3 if policy == "mixed_float16" else 2e-2
    np.testing.assert_allclose(scores, np.asarray(model(images, training=False)), atol=limit)


@pytest.mark.parametrize("framework", BOTH)
def test_one_layer_in_half_floats(framework: str) -> None:
    def build(k: Any) -> Any:
        x = k.Input((6,))
        y = k.layers.Dense(5, dtype="mixed_float16", activation="tanh")(x)
        return k.Model(x, [y, k.layers.Dense(2, dtype="float64")(x)])

    converted = check(build, frameworks=(framework,), tolerance=1e-4)
    assert any("mixed_float16" in note for note in converted.report.notes)


# -- images of unknown size ------------------------------------------------------------------------------


def unet(k: Any, interpolation: str = "bilinear", transposed: bool = False) -> Any:
    L = k.layers

    def block(x: Any, width: int) -> Any:
        for _ in range(2):
            x = L.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = L.ReLU()(L.BatchNormalization()(x))
        return x

    image = k.Input((None, None, 3), name="image")
    one = block(image, 4)
    two = block(L.MaxPooling2D(2, padding="same")(one), 8)
    if transposed:
        up = L.Conv2DTranspose(8, 2, strides=2)(two)
    else:
        up = L.UpSampling2D(2, interpolation=interpolation)(two)
    out = block(L.Concatenate()([one, up]), 4)
    return k.Model(image, L.Conv2D(2, 1, activation="sigmoid", name="mask")(out))


@pytest.mark.parametrize("framework", BOTH)
@pytest.mark.parametrize("up", ["nearest", "bilinear", "transposed"])
def test_unet_of_any_image_size(framework: str, up: str) -> None:
    """Keras 3 cannot even export this one with bilinear interpolation."""
    check(
        lambda k: unet(k, "nearest" if up == "transposed" else up, up == "transposed"),
        frameworks=(framework,),
        batches=(2, 1, 1),
        sizes=((96, 64), (32, 48), (2, 2)),
        static=False,
    )


def test_pyramid_of_any_image_size() -> None:
    """Pooling to one pixel, and a head that is slid over the image."""

    def build(k: Any) -> Any:
        L = k.layers
        image = k.Input((None, None, 3))
        features = L.SeparableConv2D(6, 3, strides=2, padding="same", activation="silu")(image)
        weights = L.Dense(6, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(features))
        scaled = L.Multiply()([features, weights])
        return k.Model(image, [L.Conv2D(2, 3, dilation_rate=2)(scaled), L.GlobalMaxPooling2D()(scaled)])

    check(build, batches=(1, 2), sizes=((33, 47), (20, 18)))


# -- legacy files that Keras 3 does not load -------------------------------------------------------------


def legacy(k: Any) -> Any:
    """What Keras 3 stumbles over: `groups` of a depthwise convolution, `alpha`, TensorFlow's functions."""
    L = k.layers
    image = k.Input((12, 10, 3))
    x = L.DepthwiseConv2D(3, depth_multiplier=2)(image)
    x = L.LeakyReLU(alpha=0.2)(x)
    x = L.SeparableConv2D(6, 3, activation="relu6")(x)
    x = L.BatchNormalization()(x)
    x = L.ReLU(6.0, negative_slope=0.1, threshold=0.3)(x)
    x = L.ThresholdedReLU(theta=0.4)(x)
    return k.Model(image, L.GlobalMaxPooling2D()((x + 1.0) * 0.5))


def test_legacy_layers_and_options() -> None:
    check(legacy, frameworks=TF_KERAS, formats=("keras", "h5", "json", "legacy"))


@pytest.mark.parametrize("framework", BOTH)
@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_lambda_is_named_and_never_run(framework: str, form: str) -> None:
    def build(k: Any) -> Any:
        return k.Sequential(
            [k.Input((3,)), k.layers.Lambda(lambda x: x * 2.0, name="double"), k.layers.Dense(2)]
        )

    refused(build, "Lambda", "double", "register|custom_objects", frameworks=(framework,), formats=(form,))


# -- layers of training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", BOTH)
def test_training_layers_are_left_out_and_listed(framework: str) -> None:
    def build(k: Any) -> Any:
        L = k.layers
        return k.Sequential(
            [
                k.Input((16, 16, 3)),
                L.RandomFlip("horizontal"),
                L.RandomRotation(0.2),
                L.RandomZoom(0.2),
                L.RandomContrast(0.3),
                L.Conv2D(4, 3),
                L.SpatialDropout2D(0.3),
                L.GaussianNoise(0.4),
                L.Flatten(),
                L.Dropout(0.5),
                L.Dense(2),
            ]
        )

    formats = ("keras",) if framework == "keras" else ("keras", "h5")
    converted = check(build, frameworks=(framework,), formats=formats)
    (note,) = (note for note in converted.report.notes if "training" in note)
    for name in ("RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "GaussianNoise", "Dropout"):
        assert name in note
    assert operations(converted) in (["Conv2D", "Reshape", "FullyConnected"], ["Conv2D", "FullyConnected"])


# -- words and numbers -----------------------------------------------------------------------------------

WORDS = ["ant", "bee", "cat", "dog"]


def test_text_vectorization_says_to_convert_from_ids() -> None:
    def build(k: Any) -> Any:
        L = k.layers
        text = k.Input((), dtype="string")
        ids = L.TextVectorization(vocabulary=WORDS, output_sequence_length=5, name="words")(text)
        return k.Model(text, L.GlobalAveragePooling1D()(L.Embedding(7, 3)(ids)))

    refused(build, "TextVectorization", "words", "ids", formats=("keras",))


def test_words_to_embeddings() -> None:
    def build(k: Any) -> Any:
        L = k.layers
        words = k.Input((4,), dtype="string")
        return k.Model(words, L.Flatten()(L.Embedding(7, 3)(L.StringLookup(vocabulary=WORDS)(words))))

    def some_words(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
        return rng.choice([*WORDS, "emu"], shape).astype(object)

    check(build, some_words, formats=("keras",))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_numbers_to_embeddings(dtype: str) -> None:
    """No hash table: the places are compared, or searched."""

    def build(k: Any) -> Any:
        L = k.layers
        numbers = k.Input((4,), dtype=dtype)
        ids = L.IntegerLookup(vocabulary=[12, 7, 43, 5])(numbers)
        return k.Model(numbers, L.Flatten()(L.Embedding(7, 3)(ids)))

    def some_numbers(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
        return rng.choice([12, 7, 43, 5, 6], shape).astype(dtype)

    converted = check(build, some_numbers, formats=("keras",))
    assert not {name for name in converted.report.ops if "Hashtable" in name}


# -- attention and recommenders --------------------------------------------------------------------------


def test_causal_attention_of_any_length() -> None:
    def build(k: Any) -> Any:
        L = k.layers
        tokens = k.Input((None,), dtype="int32")
        x = L.Embedding(13, 8)(tokens)
        y = L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
        x = L.LayerNormalization()(L.Add()([x, y]))
        return k.Model(tokens, L.Dense(13)(x))

    check(build, integers(13))


def test_scalars_as_inputs() -> None:
    def build(k: Any) -> Any:
        L = k.layers
        user, item = (k.Input((), dtype="int64", name=name) for name in ("user", "item"))
        pair = [L.Embedding(9, 4)(user), L.Embedding(9, 4)(item)]
        features = L.Concatenate()([*pair, L.Multiply()(pair)])
        return k.Model({"user": user, "item": item}, {"score": L.Dense(1, activation="sigmoid")(features)})

    check(build, integers(9), integers(9))


def test_only_batch_one_is_asked_for() -> None:
    """A fixed batch in the model stays."""

    def build(k: Any) -> Any:
        x = spec((5, 3), batch=2).input(k)
        return k.Model(x, k.layers.Flatten()(k.layers.GRU(4, return_sequences=True)(x)))

    converted = check(build, frameworks=KERAS)
    (found,) = converted.signatures.values()
    assert found.inputs[0].shape == (2, 5, 3)
