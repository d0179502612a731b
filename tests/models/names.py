"""A model whose inputs and outputs have names in no alphabetical order, each of another width."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from .saving import export, randomize

INPUTS = {"zeta": 3, "alpha": 5, "mid": 2}
OUTPUTS = {"zulu": 4, "bravo": 6, "mike": 2, "echo": 3}


def unordered_names(folder: Path) -> None:
    """Three inputs, four outputs; every output depends on every input, each in its own way."""
    keras.utils.set_random_seed(24)
    inputs = [keras.Input((width,), name=name) for name, width in INPUTS.items()]
    x = layers.Concatenate()([layers.Dense(6, "tanh")(value) for value in inputs])
    outputs = {name: layers.Dense(width, name=name)(x) for name, width in OUTPUTS.items()}
    model = keras.Model(inputs, outputs)
    randomize(model)
    rng = np.random.default_rng(25)
    steps = [
        {name: rng.normal(0, 1, (batch, width)).astype(np.float32) for name, width in INPUTS.items()}
        for batch in (1, 4)
    ]
    export(model, folder, steps)
