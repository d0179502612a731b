"""Build `gate.keras`, a small model with a layer of its own, and what Keras computes with it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent


@keras.saving.register_keras_serializable("examples")
class Gate(keras.layers.Layer):
    """A linear unit behind a gate: `(x @ value) * sigmoid(x @ gate)`."""

    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Add the two kernels."""
        shape = (input_shape[-1], self.units)
        self.value = self.add_weight(shape=shape, name="value")
        self.gate = self.add_weight(shape=shape, name="gate")

    def call(self, x: object) -> object:
        """Return the gated units."""
        return keras.ops.matmul(x, self.value) * keras.ops.sigmoid(keras.ops.matmul(x, self.gate))

    def get_config(self) -> dict[str, object]:
        """Return the config, with the number of units."""
        return {**super().get_config(), "units": self.units}


def main() -> None:
    """Write the model, and outputs for four inputs."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((8,), name="x"), Gate(6, name="gate"), keras.layers.Dense(3, name="scores")]
    )
    model.save(HERE / "gate.keras")
    x = np.random.default_rng(1).standard_normal((4, 8)).astype(np.float32)
    np.savez(HERE / "gate_io.npz", **{"in::x": x, "out::scores": np.asarray(model(x))})


if __name__ == "__main__":
    main()
