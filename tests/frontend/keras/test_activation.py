"""Activations: every function by name in both Kerases, serialized ones, and the layers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import litecast
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
    tf,
)

IMAGES = (4, 5, 6)
WIDE = np.concatenate([np.linspace(-8, 8, 118), [0, 0.5]]).reshape(1, 4, 5, 6).astype(np.float32)
"""Contents that reach every piece of an activation, and the edges of some."""
SHARED = (
    "elu exponential gelu hard_sigmoid leaky_relu linear log_softmax mish relu relu6 selu sigmoid silu "
    "softmax softplus softsign swish tanh"
)
KERAS_3 = (
    "celu glu hard_shrink hard_silu hard_swish hard_tanh log_sigmoid soft_shrink sparse_plus sparse_sigmoid "
    "sparsemax squareplus tanh_shrink"
)


@pytest.mark.parametrize("frameworks", [KERAS, TF_KERAS], ids=lambda names: names[0])
def test_every_activation_by_name(frameworks: Any) -> None:
    names = f"{SHARED} {KERAS_3 * (frameworks == KERAS)}".split()

    def make(k: Any) -> Any:
        return {name: k.layers.Activation(name) for name in names}

    check(layers(make, IMAGES), WIDE, frameworks=frameworks)


def test_the_table_of_names_is_complete() -> None:
    import keras

    from litecast.frontend.keras.activations import ACTIVATIONS

    public = set(vars(keras.activations)) - {"deserialize", "get", "serialize", "threshold"}
    assert {name for name in public if not name.startswith("_")} == set(ACTIVATIONS)


def test_hard_sigmoid_is_that_of_the_version_that_wrote_it() -> None:
    check(layer(lambda k: k.layers.Activation("hard_sigmoid"), IMAGES), WIDE, formats=EVERY_FORMAT)


def test_activations_at_unknown_sizes() -> None:
    names = ("softmax", "log_softmax", "glu", "sparsemax", "mish")

    def make(k: Any) -> Any:
        return {name: k.layers.Activation(name) for name in names}

    check(layers(make, (None, None, 6)), frameworks=KERAS)


# -- other ways to write them ----------------------------------------------------------------------------


def functions(k: Any) -> dict[str, Any]:
    """Activations as functions: of Keras, and of TensorFlow."""
    return {
        "keras": k.activations.gelu,
        "softmax": tf.nn.softmax,
        "log_softmax": tf.nn.log_softmax,
        "silu": tf.nn.silu,
        "leaky_relu": tf.nn.leaky_relu,
        "exp": tf.exp,
        "sin": tf.sin,
        "cos": tf.cos,
        "erf": tf.math.erf,
        "abs": tf.abs,
        "square": tf.square,
        "identity": tf.identity,
    }


def test_functions_by_name() -> None:
    def make(k: Any) -> Any:
        return {name: k.layers.Activation(function) for name, function in functions(k).items()}

    converted = check(layers(make, IMAGES), WIDE)
    assert any("called sin, taken for that of TensorFlow" in note for note in converted.report.notes)


def test_functions_of_keras_ops() -> None:
    import keras

    def make(k: Any) -> Any:
        return {
            name: k.layers.Activation(getattr(keras.ops, name))
            for name in ("sin", "absolute", "relu", "silu")
        }

    check(layers(make, IMAGES), WIDE, frameworks=KERAS)


def test_layers_as_activations() -> None:
    def make(k: Any) -> Any:
        slope = {"negative_slope": 0.3} if k.__name__ == "keras" else {"alpha": 0.3}
        return {
            "layer": k.layers.Dense(4, activation=k.layers.LeakyReLU(**slope)),
            "activation": k.layers.Activation(k.layers.ReLU(max_value=2.0)),
        }

    check(layers(make, (7,)))


def test_a_layer_with_weights_as_activation() -> None:
    """Keras 3 does not save those weights."""
    check(layer(lambda k: k.layers.Dense(4, activation=k.layers.PReLU()), (7,)), frameworks=TF_KERAS)


@pytest.mark.parametrize(
    ("layer_class", "config"),
    [
        ("LeakyReLU", {"alpha": {"type": "ndarray", "value": 0.25}}),
        (
            "ReLU",
            {
                "max_value": {"type": "ndarray", "value": 0.75},
                "negative_slope": {"type": "ndarray", "value": 0.0},
            },
        ),
        ("ELU", {"alpha": {"type": "ndarray", "value": 1.0}}),
        ("Activation", {"activation": "tf.nn.relu6"}),
    ],
)
def test_configs_of_early_keras_2(layer_class: str, config: Any, tmp_path: Any) -> None:
    path = tmp_path / "model.json"
    first = {"class_name": layer_class, "config": {"name": "first", "batch_input_shape": [None, 3], **config}}
    path.write_text(json.dumps({"class_name": "Sequential", "config": [first], "keras_version": "2.1.6"}))
    want = {"LeakyReLU": [-0.25, 0.5, 8], "ReLU": [0, 0.5, 0.75], "ELU": [np.expm1(-1), 0.5, 8]}
    (result,) = litecast.convert(path)(np.array([[-1, 0.5, 8]], np.float32)).values()
    np.testing.assert_allclose(result[0], want.get(layer_class, [0, 0.5, 6]), atol=1e-6)


def test_a_function_of_ones_own_needs_a_lowering() -> None:
    from litecast import ops

    def twice(x: Any) -> Any:
        return x * 2.0

    build = layer(lambda k: k.layers.Activation(twice), (5,))
    refused(build, "activation 'twice'", 'custom_objects={"twice": function}', r"model\.export")
    check(build, custom_objects={"twice": lambda b, x: b(ops.Mul(), x, 2.0)})


def test_a_lambda_is_never_run() -> None:
    build = layer(lambda k: k.layers.Dense(3, activation=lambda x: x * 2), (5,))
    refused(build, "Python lambda", "never run")


# -- layers ----------------------------------------------------------------------------------------------

RELUS = {
    "plain": {},
    "max": {"max_value": 2.0},
    "max 6": {"max_value": 6.0},
    "max 0": {"max_value": 0.0},
    "slope": {"negative_slope": 0.2},
    "threshold": {"threshold": 1.5},
    "max, threshold": {"max_value": 3.0, "threshold": 1.5},
    "slope, threshold": {"negative_slope": 0.2, "threshold": 1.5},
    "max, slope": {"max_value": 2.0, "negative_slope": 0.2},
    "all": {"max_value": 3.0, "negative_slope": 0.3, "threshold": 0.5},
}


def test_relu() -> None:
    def make(k: Any) -> Any:
        return {name: k.layers.ReLU(**options) for name, options in RELUS.items()}

    check(layers(make, IMAGES), WIDE)


def test_relu_of_integers() -> None:
    options = {
        "plain": {},
        "max 6": {"max_value": 6},
        "max": {"max_value": 2.5},
        "threshold": {"threshold": 1.5},
    }

    def make(k: Any) -> Any:
        return {name: k.layers.ReLU(**arguments) for name, arguments in options.items()}

    numbers = np.arange(-4, 8, dtype=np.int32)[None]
    check(layers(make, spec((12,), "int32")), numbers, frameworks=KERAS)


def test_leaky_and_exponential_relu() -> None:
    def make(k: Any) -> Any:
        slope = "negative_slope" if k.__name__ == "keras" else "alpha"
        return {
            "leaky": k.layers.LeakyReLU(),
            "leaky, slope": k.layers.LeakyReLU(**{slope: 0.01}),
            "leaky, 0": k.layers.LeakyReLU(**{slope: 0.0}),
            "elu": k.layers.ELU(),
            "elu, alpha": k.layers.ELU(alpha=0.3),
        }

    check(layers(make, IMAGES), WIDE)


def test_thresholded_relu() -> None:
    def make(k: Any) -> Any:
        return {"plain": k.layers.ThresholdedReLU(), "theta": k.layers.ThresholdedReLU(theta=0.25)}

    check(layers(make, IMAGES), WIDE, frameworks=TF_KERAS)


@pytest.mark.parametrize("shape", [(6,), (5, 6), IMAGES, (2, 3, 4, 5)], ids=str)
def test_prelu(shape: tuple[int, ...]) -> None:
    rank = len(shape)
    shared: dict[str, Any] = {"none": None, "first": [1], "all": list(range(1, rank + 1))}
    if rank > 1:
        shared.update({"but last": list(range(1, rank)), "last": [rank]})

    def make(k: Any) -> Any:
        return {name: k.layers.PReLU(shared_axes=axes) for name, axes in shared.items()}

    check(layers(make, shape))


def test_prelu_shared_over_unknown_sizes() -> None:
    check(layer(lambda k: k.layers.PReLU(shared_axes=[1, 2]), (None, None, 6)))


def test_softmax_axes() -> None:
    def make(k: Any) -> Any:
        axes: dict[str, Any] = {"last": -1, "first": 1, "list": [2], "several": [1, 2], "ends": (1, -1)}
        return {name: k.layers.Softmax(axis=axis) for name, axis in axes.items()}

    check(layers(make, IMAGES))


@pytest.mark.parametrize("axis", [-1, [-1], [-2, -1]], ids=str)
def test_softmax_with_an_explicit_mask(axis: Any) -> None:
    def masked(made: Any, x: Any, mask: Any) -> Any:
        return made(x, mask=mask)

    make = layer(lambda k: k.layers.Softmax(axis=axis), (4, 6), spec((4, 6), "bool"), call=masked)
    check(make, None, np.array([[[1, 0, 1, 1, 0, 0], [0] * 6, [1] * 6, [0, 0, 0, 1, 0, 0]]], bool))


def test_softmax_masks_that_are_numbers_or_broadcast() -> None:
    def masked(made: Any, x: Any, mask: Any) -> Any:
        return made(x, mask=mask)

    def build(k: Any) -> Any:
        return k.layers.Softmax()

    check(layer(build, (4, 6), spec((4, 6)), call=masked), None, np.eye(4, 6, dtype=np.float32)[None])
    check(layer(build, (4, 6), spec((1, 6), "bool"), call=masked), frameworks=BOTH)


def test_robust_masking() -> None:
    def masked(made: Any, x: Any, mask: Any) -> Any:
        return made(x, mask=mask)

    build = layer(lambda k: k.layers.Softmax(robust_masking=True), (6,), spec((6,), "bool"), call=masked)
    check(build, frameworks=TF_KERAS)
