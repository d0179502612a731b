"""Keras models in memory, against the framework that holds them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import ConvertError
from litecast.frontend.keras.live import backend_of, is_live, needs_backend, read_live
from litecast.frontend.keras.weights import LayerKey
from tests.frontend.keras.test_weights import MODELS, _randomised

pytestmark = pytest.mark.filterwarnings("ignore")
FRAMEWORKS = ["keras", "tf_keras"]


@pytest.fixture(params=FRAMEWORKS)
def k(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


@pytest.mark.parametrize("name", MODELS)
def test_against_the_framework(k: Any, name: str) -> None:
    model = _randomised(MODELS[name](k))
    assert is_live(model)
    assert needs_backend(model) == ""
    assert backend_of(model) == "tensorflow"
    inputs = np.random.default_rng(1).normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model(inputs, training=False))
    (result,) = litecast.convert(model)(inputs).values()
    np.testing.assert_allclose(result, expected, atol=1e-5 * np.abs(expected).max())


def test_vocabulary_and_statistics(k: Any) -> None:
    """What layers keep beside their variables: a vocabulary that was adapted, a mean that was computed."""
    lookup, scale = k.layers.IntegerLookup(), k.layers.Normalization()
    lookup.adapt(np.array([7, 9, 9, 11]))
    scale.adapt(np.arange(12, dtype=np.float32).reshape(4, 3))
    x, y = k.Input((3,), dtype="int64"), k.Input((3,))
    outputs = [lookup(x), scale(y)]
    model = k.Model([x, y], outputs)
    inputs = [np.array([[7, 9, 1], [11, 0, 9]]), np.arange(6, dtype=np.float32).reshape(2, 3)]
    expected = [np.asarray(value) for value in model(inputs)]
    results = list(litecast.convert(model)(*inputs).values())
    np.testing.assert_array_equal(results[0], expected[0])
    np.testing.assert_allclose(results[1], expected[1], rtol=1e-5)


def test_variables_are_not_copied_nor_writable(k: Any) -> None:
    model = k.Sequential([k.Input((3,)), k.layers.Dense(2, name="d")])
    keys = [LayerKey("Dense", "d")]
    (group,) = read_live(model).store.root(keys).layers(keys)
    kernel = group.weight("kernel", (3, 2))
    assert group.weight("kernel", (3, 2)) is kernel
    assert not kernel.flags.writeable
    np.testing.assert_array_equal(kernel, model.layers[-1].get_weights()[0])
    with pytest.raises(ConvertError, match=r"d: bias is \(5,\) in the config, and \(2,\) in the file"):
        group.weight("bias", (5,))
    with pytest.raises(ConvertError, match="d needs gamma"):
        group.weight("gamma", (2,))


def _subclassed(k: Any) -> Any:
    class Own(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = k.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    return Own()


def _custom(k: Any) -> Any:
    class Scale(k.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * 2

    return k.Sequential([k.Input((3,)), Scale(name="scale")])


def _custom_cell(k: Any) -> Any:
    class Cell(k.layers.GRUCell):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
            return super().call(inputs, states)

    return k.Sequential([k.Input((5, 3)), k.layers.RNN(Cell(2), name="rnn")])


def _own_train_step(k: Any) -> Any:
    class Trained(k.Model):  # type: ignore[misc, name-defined]
        def train_step(self, data: Any) -> Any:
            raise NotImplementedError

    x = k.Input((3,))
    return Trained(x, k.layers.Dense(2)(x))


REASONS = {
    "subclassed": (_subclassed, "Own is a subclassed model"),
    "custom": (_custom, "the layer scale is of the custom class Scale"),
    "cell": (_custom_cell, "the layer rnn holds the custom class Cell"),
    "lambda": (
        lambda k: k.Sequential([k.Input((3,)), k.layers.Lambda(lambda x: x + 1, name="f")]),
        "the layer f is a Lambda",
    ),
    "nested": (lambda k: k.Sequential([k.Input((3,)), _custom(k)]), "the layer scale is of the custom class"),
    "train-step": (_own_train_step, ""),
}


@pytest.mark.parametrize("name", REASONS)
def test_needs_backend(k: Any, name: str) -> None:
    build, reason = REASONS[name]
    model = build(k)
    assert is_live(model)
    assert needs_backend(model).startswith(reason)
    assert bool(needs_backend(model)) == bool(reason)
    assert needs_backend(_custom(k), known={"Scale"}) == ""


def test_own_train_step_converts(k: Any) -> None:
    model = _own_train_step(k)
    inputs = np.ones((2, 3), np.float32)
    (result,) = litecast.convert(model)(inputs).values()
    np.testing.assert_allclose(result, np.asarray(model(inputs)), rtol=1e-5)


def test_unbuilt(k: Any) -> None:
    model = k.Sequential([k.layers.Dense(2)], name="late")
    with pytest.raises(ConvertError, match="model late is not built"):
        read_live(model)


def test_other_objects_are_not_live() -> None:
    for item in (None, "m.keras", np.zeros(3), Path(), object()):
        assert not is_live(item)


def test_layers_are_no_models(k: Any) -> None:
    assert not is_live(k.layers.Dense(2))


BACKEND = """
import os, sys
os.environ["KERAS_BACKEND"] = sys.argv[1]
import keras, numpy, litecast
from litecast.frontend.keras.live import backend_of
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
inputs = numpy.ones((2, 4), "float32")
assert backend_of(model) == sys.argv[1]
(result,) = litecast.convert(model)(inputs).values()
expected = keras.ops.convert_to_numpy(model(inputs, training=False))
assert numpy.allclose(result, expected, rtol=1e-5), (result, expected)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backend(backend: str) -> None:
    pytest.importorskip("keras")
    pytest.importorskip(backend)
    done = subprocess.run([sys.executable, "-c", BACKEND, backend], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
