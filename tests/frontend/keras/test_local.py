"""Locally connected layers, which Keras 2 alone has: every implementation, padding and layout."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.keras.harness import EVERY_FORMAT, TF_KERAS, check, layer, layers

Rows = dict[str, dict[str, Any]]
SHAPES = {1: (7, 3), 2: (7, 6, 3)}
WINDOWS: Rows = {
    "plain": {},
    "strides": {"strides": 2},
    "relu": {"use_bias": False, "activation": "relu"},
}
SAME: Rows = {"same": {"padding": "same"}, "same_strides": {"padding": "same", "strides": 2}}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("implementation", [1, 2, 3])
@pytest.mark.parametrize("rank", [1, 2])
def test_local(rank: int, implementation: int, data_format: str) -> None:
    rows = WINDOWS if implementation == 1 else {**WINDOWS, **SAME}
    shape = SHAPES[rank]

    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"LocallyConnected{rank}D")
        shared = {"kernel_size": 3 if rank == 1 else (3, 2), "data_format": data_format}
        return {name: kind(4, implementation=implementation, **shared, **row) for name, row in rows.items()}

    first = data_format == "channels_first"
    check(layers(make, (shape[-1], *shape[:-1]) if first else shape), frameworks=TF_KERAS)


@pytest.mark.parametrize("implementation", [2, 3])
def test_window_of_even_size(implementation: int) -> None:
    def make(k: Any) -> dict[str, Any]:
        kind = k.layers.LocallyConnected2D
        options = {"padding": "same", "implementation": implementation}
        return {"even": kind(4, (4, 2), **options), "wide": kind(2, 6, strides=(3, 2), **options)}

    check(layers(make, SHAPES[2]), frameworks=TF_KERAS)


def test_every_format() -> None:
    build = layer(lambda k: k.layers.LocallyConnected1D(4, 3, activation="tanh"), SHAPES[1])
    check(build, frameworks=TF_KERAS, formats=EVERY_FORMAT)
