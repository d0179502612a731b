"""The families of `keras.applications` as files: `.keras` and `.h5` of Keras 3 and of tf_keras, with Keras's
outputs and SavedModels of the same models.

Heavy networks are thinned (every width divided) so that topology and layers are the family's own.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tf_keras

from .saving import image_batch, randomize, record_outputs, settle, spread_logits

ELSEWHERE = {
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3", "MobileNetV2",
    "MobileNetV3Small", "NASNetMobile", "ResNet50", "VGG16", "Xception",
}  # fmt: skip
"""Families that applications.py exports at full size; exporting takes half the time here."""
WIDTHS = ("filters", "units", "projection_dim", "groups")
CLASSES = 10


@dataclass(frozen=True)
class Family:
    """How one member is built: the size of its input, the range of its pixels, what its widths are divided
    by, and which frameworks have it.
    """

    size: int = 64
    high: float = 1.0  # pixels are between -high and high, or 0 and high where that is 255
    thin: int = 1
    keras: bool = True
    tf_keras: bool = True
    module: str = ""  # of the applications, where the name does not tell
    function: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


NARROW = {"depths": [3, 3, 9, 3], "projection_dims": [24, 48, 96, 192]}  # a quarter of ConvNeXtTiny

FAMILIES = {
    "ConvNeXtTiny": Family(high=255, module="convnext", function="ConvNeXt", arguments=NARROW),
    "DenseNet121": Family(module="densenet"),
    "EfficientNetB0": Family(size=96, high=255, module="efficientnet"),
    "EfficientNetV2B0": Family(size=96, high=255, module="efficientnet_v2"),
    "InceptionResNetV2": Family(size=80, thin=4, module="inception_resnet_v2"),
    "InceptionV3": Family(size=80, thin=4, module="inception_v3"),
    "MobileNet": Family(),
    "MobileNetV2": Family(module="mobilenet_v2"),
    "MobileNetV3Small": Family(high=255, module="mobilenet_v3"),
    "NASNetMobile": Family(module="nasnet"),
    "RegNetX002": Family(high=255, keras=False, module="regnet"),
    "RegNetY002": Family(high=255, keras=False, module="regnet"),
    "ResNet50": Family(thin=4, module="resnet"),
    "ResNet50V2": Family(thin=4, module="resnet_v2"),
    "ResNetRS50": Family(size=96, high=255, thin=4, keras=False, module="resnet_rs"),
    "VGG16": Family(thin=8),
    "VGG19": Family(thin=8),
    "Xception": Family(size=72, thin=4),
}


def application(folder: Path, name: str) -> None:
    """Write `keras.keras`, `keras.h5`, `tf_keras.keras`, `tf_keras.h5` (where the framework has the family),
    `io.npz` and, unless another builder does it, `saved_model/`.
    """
    family = FAMILIES[name]
    main = keras if family.keras else tf_keras
    main.utils.set_random_seed(7)
    model = thinned(main, architecture(main, name, family), family.thin)
    images = image_batch(
        np.random.default_rng(8), 12, family.size, 0 if family.high == 255 else -1, family.high
    )
    _give_statistics(main, model)
    if not any("normalization" in type(layer).__name__.lower() for layer in model.layers):
        _keep_signal(model)
    randomize(model)
    settle(model, images)
    spread_logits(model, images)
    if name not in ELSEWHERE:
        model.export(str(folder / "saved_model"), **({"verbose": False} if family.keras else {}))
    record_outputs(folder, model, [images[:1], images[1:3]])
    _save(model, folder, main.__name__)
    if family.keras and family.tf_keras:
        twin = thinned(tf_keras, architecture(tf_keras, name, family), family.thin)
        copy_weights(model, twin)
        _save(twin, folder, "tf_keras")
    keras.utils.clear_session()
    tf_keras.backend.clear_session()


def architecture(k: Any, name: str, family: Family) -> Any:
    """The member as the framework builds it, with random weights."""
    module = importlib.import_module(f"{k.__name__}.src.applications.{family.module or name.lower()}")
    build = getattr(module, family.function or name)
    return build(weights=None, input_shape=(family.size, family.size, 3), classes=CLASSES, **family.arguments)


def thinned(k: Any, model: Any, divisor: int) -> Any:
    """The same network with every width divided, but for the number of classes."""
    if divisor == 1:
        return model

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if config.get("units") != CLASSES:
            for key in WIDTHS:
                if isinstance(config.get(key), int) and config[key] > 1:
                    config[key] //= divisor
            if type(layer).__name__ == "Reshape":
                *rest, width = config["target_shape"]
                config["target_shape"] = (*rest, width // divisor)
        return type(layer).from_config(config)

    return k.models.clone_model(model, clone_function=clone)


def copy_weights(source: Any, target: Any) -> None:
    """Give `target` the weights of `source`, layer by layer in the order in which both have them."""
    there = [layer for layer in source.layers if layer.weights]
    here = [layer for layer in target.layers if layer.weights]
    for layer, twin in zip(there, here, strict=True):
        twin.set_weights(layer.get_weights())


def _give_statistics(k: Any, model: Any) -> None:
    rng = np.random.default_rng(9)
    for layer in model.layers:
        if isinstance(layer, k.layers.Normalization) and layer.input_mean is None:
            layer.adapt_mean.assign(rng.uniform(0.4, 0.5, (3,)))
            layer.adapt_variance.assign(rng.uniform(0.04, 0.09, (3,)))
            layer.finalize_state()


def _keep_signal(model: Any) -> None:
    """Make kernels keep the strength of what comes, half of which ReLU takes away."""
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(np.sqrt(2) * np.asarray(layer.kernel))


def _save(model: Any, folder: Path, framework: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that HDF5 is legacy
        for form in ("keras", "h5"):
            model.save(folder / f"{framework}.{form}")
