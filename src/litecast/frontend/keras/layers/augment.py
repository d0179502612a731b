"""Layers that change images in training only: what is left of them in inference is at most a conversion."""

from __future__ import annotations

from typing import Any

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.image import in_batches, transform
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array, aspect

CONVERTING = (
    "AugMix", "CutMix", "RandAugment", "RandomElasticTransform", "RandomErasing", "RandomFlip",
    "RandomGaussianBlur", "RandomPerspective", "RandomRotation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomZoom", "Solarization",
)  # fmt: skip
"""Keras 3 converts images to the layer's element type in these, also where nothing else is done."""
PLAIN = (
    "Equalization", "MixUp", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPosterization",
    "RandomSaturation",
)  # fmt: skip
"""Keras 3 gives what it gets in these."""
MASKS_TOO = frozenset({"CutMix", "RandomFlip"})
"""Segmentation masks are converted like images."""
SIZES = ("RandomHeight", "RandomWidth")
"""Only in tf_keras, where they give what they get; its other layers convert (`convert_inputs`)."""


@keras(*CONVERTING, *PLAIN, *SIZES, training_only=True)
def augmentation(b: Builder, data: Any, *, layer: Layer, **_config: Any) -> Any:
    """Nothing: no key of the config matters in inference."""
    name = layer.class_name
    converts = name not in SIZES if layer.is_legacy else name in CONVERTING

    def images(x: Value) -> Value:
        result: Value = array.cast(b, x, layer.dtype) if converts else x
        return result

    return transform(layer, data, images, images if name in MASKS_TOO else None)


@keras("MaxNumBoundingBoxes")
def max_num_bounding_boxes(b: Builder, data: Any, *, layer: Layer, **_config: Any) -> Any:
    """Nothing: it changes bounding boxes only, and those are refused."""
    return transform(layer, data, lambda x: x)


@keras("RandomCrop", harmless=("bounding_box_format", "data_format", "rng_type"))
def random_crop(b: Builder, data: Any, *, layer: Layer, height: int, width: int) -> Any:
    """tf_keras resizes the largest part of the wanted aspect ratio, Keras 3 leaves images as they are."""
    size = (height, width)
    if layer.is_legacy:

        def resized(x: Value) -> Value:
            return aspect.smart_resize(b, x, size, "bilinear")

        return array.cast(b, in_batches(b, array.cast(b, data, layer.dtype), None, resized), layer.dtype)
    layer.note(
        f"{layer.path} (RandomCrop) leaves images at their own size in inference, as Keras 3 does: use "
        f"CenterCrop where {height} x {width} is wanted"
    )

    def masks(x: Value) -> Value:
        raise layer.unsupported(
            "it is called with segmentation masks, which Keras crops though it leaves the images as they are",
            "leave the masks out",
        )

    return transform(layer, data, lambda x: x, masks)
