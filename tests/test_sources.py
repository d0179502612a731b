"""What a source is, and which options it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import ConvertError
from litecast.sources import DEFAULTS, FUNCTION, KERAS, LIVE, SAVED_MODEL, TFLITE, kind_of, name_of

EXAMPLES = Path(__file__).parents[1] / "examples" / "digits"
GIVEN: dict[str, Any] = {
    "signatures": "serve",
    "tags": "serve",
    "shapes": {"image": [1, 8, 8, 1]},
    "batch": 1,
    "weights": "w.h5",
    "custom_objects": {"Mine": print},
    "states": "io",
    "example_inputs": [np.zeros((1, 8, 8, 1), np.float32)],
    "input_signature": [None],
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("digits.keras", KERAS),
        ("digits.h5", KERAS),
        ("digits_saved_model", SAVED_MODEL),
        ("none", SAVED_MODEL),
    ],
)
def test_paths(name: str, kind: Any) -> None:
    assert kind_of(EXAMPLES / name) is kind
    assert kind_of(str(EXAMPLES / name)) is kind


def test_a_tflite_file(tmp_path: Path) -> None:
    path = litecast.convert(EXAMPLES / "digits.keras", output=tmp_path / "d").path
    assert kind_of(path) is TFLITE
    assert litecast.convert(path).report.ops == litecast.convert(EXAMPLES / "digits.h5").report.ops


@pytest.mark.parametrize("thing", [3, b"TFL3", np.zeros(3), object()])
def test_what_is_no_model(thing: Any) -> None:
    with pytest.raises(ConvertError, match="is no model: give the path of a SavedModel"):
        litecast.convert(thing)


@pytest.mark.parametrize("option", DEFAULTS)
@pytest.mark.parametrize(
    ("name", "kind"), [("digits.keras", KERAS), ("digits_saved_model", SAVED_MODEL), ("d.tflite", TFLITE)]
)
def test_an_option_that_a_kind_does_not_have_is_an_error(
    tmp_path: Path, name: str, kind: Any, option: str
) -> None:
    path = EXAMPLES / name
    if kind is TFLITE:
        path = litecast.convert(EXAMPLES / "digits.keras", output=tmp_path / name).path
    if option not in kind.options:
        with pytest.raises(ConvertError, match=f"^{option} does not apply to {kind.described}: "):
            litecast.load(path, **{option: GIVEN[option]})
    assert litecast.load(path, **{option: DEFAULTS[option]}).signatures


def test_models_in_memory() -> None:
    keras = pytest.importorskip("keras")
    tensorflow = pytest.importorskip("tensorflow")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="small")
    assert kind_of(model) is LIVE
    assert name_of(model) == "small"
    x = np.ones((2, 3), np.float32)
    expected = np.asarray(model(x))
    np.testing.assert_allclose(next(iter(litecast.convert(model)(x).values())), expected, atol=1e-6)
    with pytest.raises(ConvertError, match="example_inputs has no use: the model is built"):
        litecast.convert(model, example_inputs=[x])
    function = tensorflow.function(lambda x: model(x))
    assert kind_of(function) is FUNCTION
    (found,) = litecast.convert(function, example_inputs=[x])(x).values()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_models_of_code_in_memory() -> None:
    keras = pytest.importorskip("keras")

    class Mine(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="mine")
            self.inner = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs) * 2

    x = np.ones((2, 3), np.float32)
    model = Mine()
    with pytest.raises(ConvertError, match="example_inputs"):
        litecast.convert(model)
    (found,) = litecast.convert(model, example_inputs=[x])(x).values()
    np.testing.assert_allclose(found, np.asarray(model(x)), atol=1e-6)
    with pytest.raises(ConvertError, match="states='io' needs a model that is read by its config"):
        litecast.convert(model, states="io")
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    (found,) = litecast.convert(unbuilt, example_inputs=[x])(x).values()
    np.testing.assert_allclose(found, np.asarray(unbuilt(x)), atol=1e-6)
