"""Models whose inputs and outputs have an order that sorting their names would lose."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from .saving import export, randomize

INPUTS = {"zeta": 3, "alpha": 5, "mid": 2}
OUTPUTS = {"zulu": 4, "bravo": 6, "mike": 2, "echo": 3}


def _steps() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(25)
    return [
        {name: rng.normal(0, 1, (batch, width)).astype(np.float32) for name, width in INPUTS.items()}
        for batch in (1, 4)
    ]


def _trunk() -> tuple[list[keras.KerasTensor], keras.KerasTensor]:
    keras.utils.set_random_seed(24)
    inputs = [keras.Input((width,), name=name) for name, width in INPUTS.items()]
    return inputs, layers.Concatenate()([layers.Dense(6, "tanh")(value) for value in inputs])


def unordered_names(folder: Path) -> None:
    """Three inputs and a dict of four outputs, each of another width and dependent on every input."""
    inputs, x = _trunk()
    model = keras.Model(inputs, {name: layers.Dense(width, name=name)(x) for name, width in OUTPUTS.items()})
    randomize(model)
    export(model, folder, _steps())


def listed_outputs(folder: Path) -> None:
    """Twelve outputs in a list, `output_0` to `output_11`: sorted by name, 10 and 11 come before 2."""
    inputs, x = _trunk()
    model = keras.Model(inputs, [layers.Dense(index + 2, name=f"head_{index}")(x) for index in range(12)])
    randomize(model)
    export(model, folder, _steps())
