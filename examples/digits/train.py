"""Train the bundled example: scikit-learn's 8x8 digits, saved in every form Litecast reads.

    pip install tensorflow scikit-learn
    python train.py [FOLDER]

Writes `digits.keras`, `digits.h5`, `digits_saved_model/`, `digits_test.npz` (the held-out images under the
name of the model's input, and their labels) and `digits.json` (the accuracy Litecast's result must reach).
Only this script needs TensorFlow; converting what it writes does not.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 7
EPOCHS = 60
HELD_OUT = 360


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images, held-out images (float32, values 0 to 16, shape (n, 8, 8, 1)) and their labels."""
    digits = load_digits()
    images = digits.images.astype(np.float32)[..., None]
    return train_test_split(
        images, digits.target.astype(np.int64), test_size=HELD_OUT, random_state=SEED, stratify=digits.target
    )


def classifier() -> keras.Model:
    """A convolution, a strided depthwise one and a dense layer, with batch norm and dropout between them."""
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16, name="scale")(image)
    x = layers.Conv2D(20, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="conv_norm")(x)
    x = layers.ReLU(name="conv_relu")(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_norm")(x)
    x = layers.ReLU(6.0, name="depthwise_relu")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="probabilities")(x), name="digits")


def export(model: keras.Model, folder: Path) -> None:
    """Write the SavedModel: one signature with named input and output, no debug tables.

    `model.export(folder)` gives the same function, at twice the size: it stores every variable twice.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 1), tf.float32, "image")])
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(image, training=False)}

    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    options = tf.saved_model.SaveOptions(experimental_debug_stripper=True)
    tf.saved_model.save(module, str(folder), signatures=serve, options=options)


def main(folder: Path) -> None:
    """Train, save every form, and record the accuracy on the held-out images."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    train_images, test_images, train_labels, test_labels = data()
    model = classifier()
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train_images, train_labels, batch_size=64, epochs=EPOCHS, verbose=0)
    probabilities = model.predict(test_images, verbose=0)
    correct = int((probabilities.argmax(axis=1) == test_labels).sum())

    trained, model = model, classifier()  # without the optimizer's state, which no file needs
    model.set_weights(trained.get_weights())
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "digits.keras")
    model.save(folder / "digits.h5")
    export(model, folder / "digits_saved_model")
    np.savez_compressed(folder / "digits_test.npz", image=test_images, labels=test_labels)
    record = {
        "accuracy": correct / HELD_OUT,
        "correct": correct,
        "images": HELD_OUT,
        "parameters": model.count_params(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    (folder / "digits.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
