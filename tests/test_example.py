"""The bundled example: its files agree with each other, and its conversion keeps the accuracy."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import litecast
from tests.reference import operators, relative_error

LARGEST = 200_000  # bytes of the folder
MAIN = "import sys; from litecast.cli import main; sys.exit(main())"


def _test_set(digits: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Held-out images, their classes, and how many of them the source model gets right."""
    with np.load(digits / "digits_test.npz") as file:
        images, labels = file["image"], file["labels"]
    return images, labels, json.loads((digits / "digits.json").read_text())["correct"]


def test_the_example_is_small(digits: Path) -> None:
    sizes = [
        path.stat().st_size
        for path in digits.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert 0 < sum(sizes) < LARGEST


def test_conversion_keeps_the_accuracy(digits: Path) -> None:
    images, labels, correct = _test_set(digits)
    converted = litecast.convert(digits / "digits_saved_model")
    (signature,) = converted.signatures.values()
    assert [tensor.name for tensor in (*signature.inputs, *signature.outputs)] == ["image", "probabilities"]
    assert signature.inputs[0].shape == (None, 8, 8, 1)
    probabilities = converted(image=images)["probabilities"]
    assert (probabilities.argmax(axis=1) == labels).sum() == correct


def test_conversion_fuses_what_the_layers_are(digits: Path) -> None:
    """Batch norms and activations go into the convolutions; flatten is one reshape at most; no dropout."""
    converted = litecast.convert(digits / "digits_saved_model")
    layers = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SOFTMAX"}
    scale_and_flatten = {"MUL", "RESHAPE"}
    assert operators(converted.content) - scale_and_flatten == layers
    assert sum(converted.report.ops.values()) <= len(layers | scale_and_flatten)


def test_run_prints_the_accuracy(digits: Path, tmp_path: Path) -> None:
    images, _, correct = _test_set(digits)
    model, test = tmp_path / "digits.tflite", digits / "digits_test.npz"
    convert = ["convert", str(digits / "digits_saved_model"), "-o", str(model)]
    run = ["run", str(model), "--input", f"image={test}", "--labels", f"labels={test}", "--json"]
    subprocess.run([sys.executable, "-c", MAIN, *convert], check=True)
    done = subprocess.run([sys.executable, "-c", MAIN, *run], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(correct / len(images))


@pytest.mark.parametrize("seed", ["1", "12345"])
def test_the_bytes_do_not_depend_on_the_hash_seed(digits: Path, tmp_path: Path, seed: str) -> None:
    wanted = hashlib.sha256(litecast.convert(digits / "digits_saved_model").content).hexdigest()
    command = [
        sys.executable,
        "-c",
        MAIN,
        "convert",
        str(digits / "digits_saved_model"),
        "-o",
        "seeded.tflite",
    ]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": seed})
    assert hashlib.sha256((tmp_path / "seeded.tflite").read_bytes()).hexdigest() == wanted


def test_every_form_is_the_same_model(digits: Path) -> None:
    """The recorded accuracy is TensorFlow's own, and the Keras files hold the SavedModel's weights."""
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    images, labels, correct = _test_set(digits)
    serve = tf.saved_model.load(str(digits / "digits_saved_model")).signatures["serving_default"]
    probabilities = serve(image=tf.constant(images))["probabilities"].numpy()
    assert (probabilities.argmax(axis=1) == labels).sum() == correct
    for name in ("digits.keras", "digits.h5"):
        model = keras.models.load_model(digits / name)
        assert relative_error(model.predict(images, verbose=0), probabilities) < 1e-5
