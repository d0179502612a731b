"""Dense, Identity, Lambda and the layers that only training knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast import ops
from tests.frontend.keras.harness import (
    BOTH,
    EVERY_FORMAT,
    KERAS,
    TF_KERAS,
    check,
    layer,
    layers,
    refused,
    spec,
)

# -- Dense -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6,), (3, 6), (None, 6), (2, None, 6), (2, 2, 2, 6)], ids=str)
def test_dense(shape: tuple[int | None, ...]) -> None:
    def make(k: Any) -> Any:
        return {
            "plain": k.layers.Dense(4),
            "no bias": k.layers.Dense(4, use_bias=False),
            "relu": k.layers.Dense(5, activation="relu"),
            "softmax": k.layers.Dense(5, "softmax"),
            "one": k.layers.Dense(1, activation="tanh"),
        }

    check(layers(make, shape))


def test_dense_from_every_source() -> None:
    def build(k: Any) -> Any:
        x = k.Input((6,))
        y = k.layers.Dense(5, activation="relu", name="first", kernel_regularizer="l2")(x)
        frozen = k.layers.Dense(4, name="second", trainable=False)
        return k.Model(x, k.layers.Dense(3, name="third", kernel_constraint="non_neg")(frozen(y)))

    check(build, formats=EVERY_FORMAT, ops=["FullyConnected"] * 3)


def test_dense_fuses_what_follows() -> None:
    for activation in ("relu", "relu6", "linear"):
        check(layer(lambda k, a=activation: k.layers.Dense(4, activation=a), (6,)), ops=["FullyConnected"])


def test_dense_of_integers() -> None:
    check(layer(lambda k: k.layers.Dense(4), spec((6,), "int32")))


def test_dense_in_half_precision() -> None:
    converted = check(layer(lambda k: k.layers.Dense(4, dtype="mixed_float16"), (6,)))
    assert any("mixed_float16" in note and "float32" in note for note in converted.report.notes)


def test_shared_dense() -> None:
    def build(k: Any) -> Any:
        first, second = k.Input((4,)), k.Input((4,))
        twice = k.layers.Dense(4)
        return k.Model([first, second], [twice(twice(first)), twice(second)])

    check(build)


def test_lora_is_merged() -> None:
    def build(k: Any) -> Any:
        x = k.Input((6,))
        model = k.Model(x, k.layers.Dense(3)(k.layers.Dense(5, name="tuned")(x)))
        model.get_layer("tuned").enable_lora(2, lora_alpha=3)
        return model

    check(build, frameworks=KERAS, formats=("keras", "h5", "memory"))


def test_random_fourier_features() -> None:
    def make(k: Any) -> Any:
        features = k.layers.experimental.RandomFourierFeatures
        return {
            "plain": features(5),
            "trained": features(5, kernel_initializer="laplacian", scale=3.0, trainable=True),
        }

    check(layers(make, (4,)), frameworks=TF_KERAS)


# -- identities --------------------------------------------------------------------------------------------


def training_only(k: Any) -> dict[str, Any]:
    return {
        "ActivityRegularization": k.layers.ActivityRegularization(l1=0.1, l2=0.2),
        "AlphaDropout": k.layers.AlphaDropout(0.3),
        "Dropout": k.layers.Dropout(0.5, noise_shape=(None, 1, 5), seed=1),
        "GaussianDropout": k.layers.GaussianDropout(0.3),
        "GaussianNoise": k.layers.GaussianNoise(0.3),
        "SpatialDropout1D": k.layers.SpatialDropout1D(0.4),
    }


def test_layers_for_training_are_left_out_and_listed() -> None:
    for names, shape in ((training_only, (4, 5)), (_spatial, (4, 5, 6)), (_volumes, (2, 3, 4, 5))):
        converted = check(layers(_with_sums(names), shape))
        (note,) = [note for note in converted.report.notes if "left out" in note]
        import keras

        assert all(f"{name.partition(' ')[0]} " in f"{note} " for name in names(keras))


def _spatial(k: Any) -> dict[str, Any]:
    return {
        "SpatialDropout2D": k.layers.SpatialDropout2D(0.4),
        "SpatialDropout2D first": k.layers.SpatialDropout2D(0.4, data_format="channels_first"),
    }


def _volumes(k: Any) -> dict[str, Any]:
    return {"SpatialDropout3D": k.layers.SpatialDropout3D(0.4)}


def _with_sums(names: Any) -> Any:
    """Sequential models around the layers, so that an output is not an input."""
    return lambda k: {
        name: k.Sequential([made, k.layers.Activation("relu")]) for name, made in names(k).items()
    }


def test_identity_of_structures() -> None:
    check(layer(lambda k: k.layers.Identity(), (4,)))
    check(layer(lambda k: k.layers.Identity(), (4,), (5,)))


def test_training_true_counts_in_keras_2() -> None:
    def build(k: Any) -> Any:
        x = k.Input((4,))
        return k.Model(x, k.layers.Dropout(0.5)(x, training=True))

    refused(build, "training=True", frameworks=TF_KERAS)
    assert "training=True, which Keras 3 overrides" in str(check(build, frameworks=KERAS).report)


# -- layers of other frameworks ------------------------------------------------------------------------------


def test_a_saved_model_inside_a_model_is_refused(tmp_path: Any) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.export(tmp_path / "inner", verbose=False)

    def build(k: Any) -> Any:
        x = k.Input((4,))
        return k.Model(x, k.layers.TFSMLayer(str(tmp_path / "inner"), call_endpoint="serve")(x))

    refused(
        build,
        "SavedModel that lies elsewhere",
        "convert that SavedModel",
        frameworks=KERAS,
        formats=("keras",),
    )


# -- Lambda ------------------------------------------------------------------------------------------------


def doubled(x: Any) -> Any:
    """A function that files only name."""
    return x * 2.0


def scaled(x: Any, factor: float) -> Any:
    """A function with arguments."""
    return x * factor


def test_lambda_is_never_run() -> None:
    build = layer(lambda k: k.layers.Lambda(lambda x: x * 2.0, name="code"), (4,))
    for frameworks in BOTH:
        refused(
            build,
            "code",
            "never run",
            "custom_objects",
            "keras.ops",
            r"model\.export",
            frameworks=[frameworks],
        )


def test_lambda_of_a_named_function_takes_the_users_lowering() -> None:
    build = layer(lambda k: k.layers.Lambda(doubled), (4,))
    refused(build, "'doubled'", "custom_objects", frameworks=KERAS)
    check(build, frameworks=KERAS, custom_objects={"doubled": lambda b, x: b(ops.Mul(), x, 2.0)})
    build = layer(lambda k: k.layers.Lambda(scaled, arguments={"factor": 3.0}), (4,))
    lowering = {"scaled": lambda b, x, factor: b(ops.Mul(), x, np.float32(factor))}
    check(build, frameworks=KERAS, custom_objects=lowering)


def test_lambda_of_an_activation() -> None:
    check(layer(lambda k: k.layers.Lambda(k.activations.gelu), (4,)), frameworks=KERAS)


# -- masks -------------------------------------------------------------------------------------------------


def test_which_layers_hand_masks_on() -> None:
    """The mean over steps that follows counts masked ones only where the mask is gone."""

    def build(k: Any) -> Any:
        x = k.Input((5, 5))
        masked = k.layers.Masking(0.0)(x)
        made = [
            k.layers.Dense(3),
            k.layers.Identity(),
            k.layers.Dropout(0.3),
            k.layers.SpatialDropout1D(0.3),
            k.layers.GaussianNoise(0.3),
            k.layers.ActivityRegularization(0.1),
            k.layers.Activation("sigmoid"),
            k.layers.ReLU(),
            k.layers.LeakyReLU(),
            k.layers.ELU(),
            k.layers.PReLU(),
            k.layers.Reshape((5, 5)),
            k.layers.Permute((1, 2)),
            k.layers.ZeroPadding1D(1),
            k.layers.Cropping1D(1),
            k.layers.UpSampling1D(2),
        ]
        mean = k.layers.GlobalAveragePooling1D()
        return k.Model(x, {item.name: mean(item(masked)) for item in made})

    check(build, _with_masked_steps, formats=("keras",))


def _with_masked_steps(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    values = rng.normal(size=shape).astype(dtype)
    values[:, 1::2] = 0
    return values
