"""The image classifiers of `keras.applications`, with random weights and batch-norm statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import applications, layers

from .saving import export, image_batch, randomize, settle, spread_logits


def _classifier(
    folder: Path, architecture: Callable[..., keras.Model], size: int, low: float = -1.0, high: float = 1.0
) -> None:
    """Build at the usual input size, with inputs between `low` and `high` as its preprocessing gives them."""
    keras.utils.set_random_seed(7)
    _save(folder, architecture(weights=None, input_shape=(size, size, 3)), size, low, high)


def _save(folder: Path, model: keras.Model, size: int, low: float, high: float) -> None:
    rng = np.random.default_rng(8)
    images = image_batch(rng, 4, size, low, high)
    for layer in model.layers:
        if isinstance(layer, layers.Normalization) and layer.input_mean is None:
            layer.adapt_mean.assign(rng.uniform(0.4, 0.5, (3,)))
            layer.adapt_variance.assign(rng.uniform(0.04, 0.09, (3,)))
            layer.finalize_state()
    randomize(model)
    settle(model, images)
    spread_logits(model, images)
    # Steps take images that the statistics fit: far from them a deep random model magnifies rounding.
    export(model, folder, [{model.input.name: step} for step in (images[:1], images[1:3])])


def mobilenet_v2(folder: Path) -> None:
    """MobileNetV2 at 224."""
    _classifier(folder, applications.MobileNetV2, 224)


def mobilenet_v3_small(folder: Path) -> None:
    """MobileNetV3Small at 224, which rescales pixels itself."""
    _classifier(folder, applications.MobileNetV3Small, 224, 0, 255)


def efficientnet_b0(folder: Path) -> None:
    """EfficientNetB0 at 224, with its own pixel normalisation."""
    _classifier(folder, applications.EfficientNetB0, 224, 0, 255)


def efficientnet_v2_b0(folder: Path) -> None:
    """EfficientNetV2B0 at 224, with its own pixel normalisation."""
    _classifier(folder, applications.EfficientNetV2B0, 224, 0, 255)


def resnet50(folder: Path) -> None:
    """ResNet50 at 224."""
    _classifier(folder, applications.ResNet50, 224)


def densenet121(folder: Path) -> None:
    """DenseNet121 at 224."""
    _classifier(folder, applications.DenseNet121, 224)


def inception_v3(folder: Path) -> None:
    """InceptionV3 at 299."""
    _classifier(folder, applications.InceptionV3, 299)


def xception(folder: Path) -> None:
    """Xception at 299."""
    _classifier(folder, applications.Xception, 299)


def nasnet_mobile(folder: Path) -> None:
    """NASNetMobile at 224."""
    _classifier(folder, applications.NASNetMobile, 224)


def convnext_tiny(folder: Path) -> None:
    """ConvNeXtTiny at 224, with its own pixel normalisation; its layer scales are random too."""
    _classifier(folder, applications.ConvNeXtTiny, 224, 0, 255)


def vgg16(folder: Path) -> None:
    """VGG16's convolutions at 96 with a 512-wide head: the usual one is 490 MB, and adds no operation."""
    keras.utils.set_random_seed(7)
    body = applications.VGG16(weights=None, include_top=False, input_shape=(96, 96, 3))
    for layer in body.layers:
        if isinstance(layer, layers.Conv2D):  # no batch norm here: keep the signal as strong as it came
            layer.kernel.assign(np.sqrt(2) * np.array(layer.kernel))
    x = layers.Flatten(name="flatten")(body.output)
    x = layers.Dense(512, "relu", name="fc1")(x)
    x = layers.Dense(512, "relu", name="fc2")(x)
    head = layers.Dense(100, "softmax", name="predictions")(x)
    _save(folder, keras.Model(body.input, head), 96, -1, 1)
