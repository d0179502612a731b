"""ConvLSTM1D to 3D: geometry, layouts, options, masks and states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import litecast
from tests.frontend.keras.harness import KERAS, built, check, keras, layer, layers, operations, spec

SHAPES = {1: (7, 2), 2: (6, 5, 2), 3: (4, 3, 3, 2)}


def sequence(rank: int, first: bool = False, steps: int | None = None) -> tuple[int | None, ...]:
    """Shape of a sequence of frames."""
    *spatial, channels = SHAPES[rank]
    return (steps, channels, *spatial) if first else (steps, *spatial, channels)


@pytest.mark.parametrize("rank", SHAPES)
def test_geometry(rank: int) -> None:
    def build(k: Any) -> Any:
        of = getattr(k.layers, f"ConvLSTM{rank}D")
        return {
            "valid": of(3, 2),
            "same": of(3, 3, padding="same", return_sequences=True),
            "strides": of(3, 2, strides=2, padding="same"),
            "window": of(2, tuple(range(1, rank + 1)), padding="valid"),
            "one": of(1, 1),
        }

    check(layers(build, sequence(rank)), sizes=(1, 3))


@pytest.mark.parametrize("rank", [1, 2])
def test_dilation(rank: int) -> None:
    def build(k: Any) -> Any:
        of = getattr(k.layers, f"ConvLSTM{rank}D")
        return {"valid": of(3, 2, dilation_rate=2), "same": of(2, 2, dilation_rate=2, padding="same")}

    check(layers(build, sequence(rank)), sizes=(3,))


OPTIONS: dict[str, dict[str, Any]] = {
    "no bias": {"use_bias": False, "unit_forget_bias": False},
    "activations": {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "states": {"return_state": True, "dropout": 0.2, "recurrent_dropout": 0.1},
}


def test_options() -> None:
    def build(k: Any) -> Any:
        return {name: k.layers.ConvLSTM2D(3, 2, padding="same", **more) for name, more in OPTIONS.items()}

    check(layers(build, sequence(2)), sizes=(3,))


def test_unrolled() -> None:
    converted = check(
        layer(lambda k: k.layers.ConvLSTM1D(3, 2, unroll=True), sequence(1, steps=3)), frameworks=KERAS
    )
    assert "While" not in operations(converted)


@pytest.mark.parametrize("rank", SHAPES)
def test_channels_first(rank: int) -> None:
    """Neither framework computes it on the CPU: compared with the same weights, channels last."""

    of = getattr(keras.layers, f"ConvLSTM{rank}D")
    options = {"padding": "same", "return_sequences": True, "return_state": True}

    def model(first: bool) -> Any:
        x = keras.Input(sequence(rank, first))
        data_format = "channels_first" if first else "channels_last"
        return keras.Model(x, of(3, 2, data_format=data_format, **options)(x))

    last = built("keras", lambda k: model(False))
    x = np.random.default_rng(0).standard_normal((2, *sequence(rank, steps=3))).astype(np.float32)
    expected = [np.asarray(value) for value in last(x, training=False)]
    first = model(True)
    first.set_weights(last.get_weights())
    axes = (0, 1, x.ndim - 1, *range(2, x.ndim - 1))
    outputs = list(litecast.convert(first)(x.transpose(axes)).values())
    for value, wanted in zip(outputs, expected, strict=True):
        before = value.ndim - rank - 1
        moved = np.moveaxis(value, before, -1)
        np.testing.assert_allclose(moved, wanted, rtol=1e-4, atol=1e-5)


def test_masks() -> None:
    def masks(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
        return rng.random(shape) < 0.6

    def build(k: Any) -> Any:
        return {
            "sequences": k.layers.ConvLSTM2D(3, 2, return_sequences=True),
            "last": k.layers.ConvLSTM2D(3, 2, return_state=True),
            "zeros": k.layers.ConvLSTM2D(3, 2, zero_output_for_mask=True, return_sequences=True),
        }

    model = layers(build, sequence(2), spec((None,), "bool"), call=lambda made, x, mask: made(x, mask=mask))
    check(model, None, masks)


def test_initial_state() -> None:
    def build(k: Any) -> Any:
        x = k.Input(sequence(2))
        _, *states = k.layers.ConvLSTM2D(3, 2, padding="same", return_state=True)(x)
        return k.Model(x, k.layers.ConvLSTM2D(3, 2, padding="same")(x, initial_state=states))

    check(build)


@pytest.mark.parametrize("states", ["variables", "io"])
def test_stateful(states: str) -> None:
    model = layer(lambda k: k.layers.ConvLSTM1D(3, 2, stateful=True), spec(sequence(1, steps=3), batch=2))
    check(model, states=states, calls=3)
