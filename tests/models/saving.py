"""What every builder shares: random weights that keep activations sane, and the record of outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras

Array = np.ndarray
Step = tuple[str, Mapping[str, Array]]

SMALLEST_SPREAD = 1e-2  # of an output's values, relative to its largest

RANDOM_BY_NAME: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "bias": lambda rng, shape: rng.normal(0, 0.1, shape),
    "beta": lambda rng, shape: rng.normal(0, 0.3, shape),
    "gamma": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
    "moving_mean": lambda rng, shape: rng.normal(0, 0.3, shape),
    "moving_variance": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
}


def randomize(model: Any, seed: int = 1) -> None:
    """Give biases, scales and statistics random values; kernels keep their (seeded) initial ones."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        draw = RANDOM_BY_NAME.get(weight.name.split("/")[-1].split(":")[0])
        if draw is not None:
            weight.assign(draw(rng, tuple(weight.shape)).astype(np.float32))


def settle(model: Any, inputs: Array, seed: int = 2) -> None:
    """Set each batch norm's statistics near those of `inputs`, so that deep activations stay in range."""
    rng = np.random.default_rng(seed)
    norms = [layer for layer in model._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(inputs, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
        norm.moving_mean.assign(mean + rng.normal(0, 0.3, mean.shape) * np.sqrt(variance))
        norm.moving_variance.assign(variance * rng.uniform(0.6, 1.6, variance.shape) + 1e-3)


def spread_logits(model: Any, inputs: Array, wanted: float = 1.0) -> None:
    """Scale the last layer with a kernel so that its logits have the deviation `wanted`: no flat softmax."""
    head = next(layer for layer in reversed(model.layers) if hasattr(layer, "kernel"))
    network = keras.Model if isinstance(model, keras.Model) else tf_keras.Model
    features = network(model.input, head.input)(inputs, training=False)
    activation, head.activation = head.activation, lambda x: x
    logits = np.asarray(head(features))
    head.activation = activation
    head.kernel.assign(np.asarray(head.kernel) * (wanted / logits.std()))


def image_batch(rng: np.random.Generator, count: int, size: int, low: float, high: float) -> Array:
    """Noise over a smooth gradient, different in every image: deep features differ between the images."""
    ramp = np.linspace(0, 1, size)
    corner = rng.uniform(0, 1, (4, count, 1, 1, 3))
    rows, columns = ramp[None, :, None, None], ramp[None, None, :, None]
    smooth = (corner[0] * (1 - rows) + corner[1] * rows) * (corner[2] * (1 - columns) + corner[3] * columns)
    image = np.clip(0.7 * smooth + 0.3 * rng.uniform(0, 1, (count, size, size, 3)), 0, 1)
    return (low + (high - low) * image).astype(np.float32)


def export(model: keras.Model, folder: Path, steps: Sequence[Mapping[str, Array]]) -> None:
    """`model.export`, the record of `steps` on its `serving_default`, and the model as `model.keras`."""
    model.export(folder / "saved_model", verbose=False)
    model.save(folder / "model.keras")
    record(folder, [("serving_default", step) for step in steps])
    keras.utils.clear_session()


def save(module: tf.Module, folder: Path, signatures: Mapping[str, object], steps: Sequence[Step]) -> None:
    """`tf.saved_model.save` with signatures, and the record of `steps`."""
    tf.saved_model.save(module, str(folder / "saved_model"), signatures=dict(signatures))
    record(folder, steps)


def record(folder: Path, steps: Sequence[Step]) -> None:
    """Run `steps` in order in TensorFlow and write `io.npz`; refuse outputs that prove nothing."""
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    meta = {"tensorflow": tf.__version__, "keras": keras.__version__, "steps": len(steps)}
    arrays: dict[str, Array] = {"meta": np.array(json.dumps(meta))}
    for index, (signature, inputs) in enumerate(steps):
        outputs = loaded.signatures[signature](**{name: tf.constant(x) for name, x in inputs.items()})
        for name, x in inputs.items():
            arrays[f"{index:03d}::{signature}::in::{name}"] = np.asarray(x)
        for name, value in outputs.items():
            array = np.asarray(value.numpy())
            _check_spread(f"step {index}, output {name}", array)
            arrays[f"{index:03d}::{signature}::out::{name}"] = array
    np.savez(folder / "io.npz", **arrays)


def record_outputs(folder: Path, model: Any, batches: Sequence[Array]) -> None:
    """Run a model of one input and one output on each batch and write `io.npz`, under the model's names."""
    arrays: dict[str, Array] = {"meta": np.array(json.dumps({"steps": len(batches)}))}
    names = (model.inputs[0].name.split(":")[0], model.layers[-1].name)
    for index, batch in enumerate(batches):
        output = np.asarray(model(batch, training=False))
        _check_spread(f"step {index}", output)
        for side, name, array in zip(("in", "out"), names, (batch, output), strict=True):
            arrays[f"{index:03d}::serving_default::{side}::{name}"] = array
    np.savez(folder / "io.npz", **arrays)


def _check_spread(place: str, array: Array) -> None:
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{place} is not finite")
    if array.size > 1 and values.std() < SMALLEST_SPREAD * np.abs(values).max():
        raise ValueError(f"{place} is nearly constant: {values.std():.3g} around {values.mean():.3g}")
    if array.ndim > 1 and len(array) > 1 and np.ptp(values, axis=0).max() < 1e-3 * np.abs(values).max():
        raise ValueError(f"{place} is nearly the same for every sample")
