"""Augmentation layers: what is left of them in inference, against Keras 3 and tf_keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import litecast
from litecast.errors import UnsupportedError
from litecast.frontend.keras.layers.augment import CONVERTING, PLAIN, SIZES
from tests.frontend.keras.harness import (
    KERAS,
    TF_KERAS,
    check,
    integers,
    keras,
    layer,
    layers,
    operations,
    spec,
    tf_keras,
    uniform,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomRotation": {"factor": 0.1},
    "RandomZoom": {"height_factor": 0.1},
    "RandomContrast": {"factor": 0.1},
    "RandomBrightness": {"factor": 0.1},
    "RandomHue": {"factor": 0.1},
    "RandomSaturation": {"factor": 0.1},
    "RandomSharpness": {"factor": 0.1},
    "RandomPosterization": {"factor": 4},
    "RandomColorDegeneration": {"factor": 0.1},
    "RandomColorJitter": {"brightness_factor": 0.1, "hue_factor": 0.1},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "RandomHeight": {"factor": 0.2},
    "RandomWidth": {"factor": 0.2},
}
NAMES = (*CONVERTING, *(name for name in PLAIN if name != "Equalization"), "MaxNumBoundingBoxes")
"""Layers of Keras 3; Equalization gives its own symbolic input, so that no functional model can have it."""
OLDER = tuple(name for name in (*CONVERTING, *PLAIN, *SIZES) if hasattr(tf_keras.layers, name))


def made(k: Any, name: str) -> Any:
    return getattr(k.layers, name)(**ARGUMENTS.get(name, {}))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
@pytest.mark.parametrize(
    ("framework", "names"), [("keras", NAMES), ("tf_keras", OLDER)], ids=["keras", "tf_keras"]
)
def test_identities(framework: str, names: tuple[str, ...], dtype: str) -> None:
    """Nothing but conversions is left, and everything that is left out is listed."""
    build = layers(lambda k: {name: made(k, name) for name in names}, spec((8, 10, 3), dtype))
    formats = ("keras",) if framework == "keras" else ("keras", "h5")  # Keras 3 saves few of them as HDF5
    converted = check(build, integers(256), frameworks=(framework,), formats=formats)
    assert set(operations(converted)) <= {"Cast"}
    notes = str(converted.report)
    assert all(name in notes for name in names if name != "MaxNumBoundingBoxes")


def test_every_random_layer_is_here() -> None:
    from litecast.frontend.keras.importer import keras as table
    from litecast.frontend.keras.layers import import_all

    import_all()
    for k, names in ((keras, NAMES), (tf_keras, OLDER)):
        there = {
            name for name in dir(k.layers) if name.startswith("Random") and name != "RandomFourierFeatures"
        }
        assert there - set(names) == {"RandomCrop"}
    assert all(table.find(name).training_only for name in (*CONVERTING, *PLAIN, *SIZES))


def test_random_crop_of_keras_3() -> None:
    """It leaves images as they are (the 5 x 6 of its output shape is only true in training)."""
    build = layer(lambda k: k.layers.RandomCrop(5, 6), (8, 10, 3))
    converted = check(build, frameworks=KERAS)
    assert operations(converted) == []
    assert "CenterCrop where 5 x 6 is wanted" in str(converted.report)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_random_crop_of_tf_keras(dtype: str) -> None:
    def make(k: Any) -> Any:
        return {f"{size}": k.layers.RandomCrop(*size) for size in ((5, 6), (4, 9), (9, 4), (20, 11), (8, 10))}

    check(layers(make, spec((8, 10, 3), dtype)), frameworks=TF_KERAS)
    check(layers(make, spec((None, None, 3), dtype)), frameworks=TF_KERAS, sizes=[(8, 10), (13, 4)])


@pytest.mark.parametrize("name", ["RandomFlip", "MixUp", "CutMix", "RandomErasing"])
def test_images_with_labels_and_masks(name: str) -> None:
    def build(k: Any) -> Any:
        inputs = {
            "images": k.Input((8, 10, 3), dtype="uint8", name="images"),
            "labels": k.Input((4,), name="labels"),
            "segmentation_masks": k.Input((8, 10, 1), dtype="int32", name="segmentation_masks"),
        }
        return k.Model(inputs, made(k, name)(dict(inputs)))

    check(build, integers(256), frameworks=KERAS, formats=("keras",))


def test_bounding_boxes_are_refused(tmp_path: Path) -> None:
    inputs = {
        "images": keras.Input((8, 8, 3), name="images"),
        "bounding_boxes": {
            "boxes": keras.Input((2, 4), name="boxes"),
            "labels": keras.Input((2,), name="names"),
        },
    }
    outputs = keras.layers.RandomFlip(bounding_box_format="xyxy")(dict(inputs))
    keras.Model(inputs, outputs["images"]).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedError, match=r"bounding boxes(?s:.*)leave them out"):
        litecast.convert(tmp_path / "model.keras")


def test_augmentation_in_front_of_a_model() -> None:
    def build(k: Any) -> Any:
        model = k.Sequential(
            [
                k.layers.Rescaling(1 / 255),
                k.layers.RandomFlip("horizontal"),
                k.layers.RandomRotation(0.1),
                k.layers.Conv2D(2, 3),
            ]
        )
        inputs = k.Input((8, 8, 3))
        return k.Model(inputs, k.layers.Dense(2)(k.layers.Flatten()(model(inputs))))

    check(build, uniform(0, 255))
