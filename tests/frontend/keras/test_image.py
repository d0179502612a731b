"""Image layers that inference keeps, against Keras 3 and tf_keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from tests.frontend.keras.harness import (
    BOTH,
    KERAS,
    TF_KERAS,
    check,
    integers,
    keras,
    layer,
    layers,
    refused,
    spec,
    tf_keras,
    uniform,
)

METHODS = {
    "keras": ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5"),
    "tf_keras": (
        "nearest",
        "bilinear",
        "bicubic",
        "area",
        "lanczos3",
        "lanczos5",
        "gaussian",
        "mitchellcubic",
    ),
}
SIZES = {"smaller": (4, 5), "larger": (13, 16), "same": (8, 10), "mixed": (5, 17)}


def named(k: Any) -> str:
    return "keras" if k is keras else "tf_keras"


# -- resizing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_resizing(size: str) -> None:
    def make(k: Any) -> Any:
        return {method: k.layers.Resizing(*SIZES[size], interpolation=method) for method in METHODS[named(k)]}

    check(layers(make, (8, 10, 3)), uniform(0, 255))


@pytest.mark.parametrize("size", SIZES)
def test_antialiased_resizing(size: str) -> None:
    def make(k: Any) -> Any:
        return {
            method: k.layers.Resizing(*SIZES[size], interpolation=method, antialias=True)
            for method in METHODS["keras"]
        }

    check(layers(make, (8, 10, 3)), uniform(0, 255), frameworks=KERAS)


def test_resizing_of_bytes() -> None:
    """Keras 3 gives bytes again, rounded and clipped; tf_keras gives floats."""

    def make(k: Any) -> Any:
        return {method: k.layers.Resizing(16, 20, interpolation=method) for method in ("nearest", "bicubic")}

    check(layers(make, spec((8, 10, 3), "uint8")), integers(256))


@pytest.mark.parametrize("dtype", ["int32", "int16", "float16"])
def test_resizing_of_other_types(dtype: str) -> None:
    check(layer(lambda k: k.layers.Resizing(16, 5), spec((8, 10, 3), dtype)), frameworks=KERAS)
    check(layer(lambda k: k.layers.Resizing(16, 5), spec((8, 10, 3), dtype)), frameworks=TF_KERAS)


ASPECTS = {"wide": (4, 9), "tall": (9, 4), "square": (7, 7), "odd": (5, 3)}


@pytest.mark.parametrize("shape", [(8, 10, 3), (11, 5, 1), (7, 7, 2)])
def test_aspect_ratio(shape: tuple[int, ...]) -> None:
    def make(k: Any) -> Any:
        found = {}
        for name, size in ASPECTS.items():
            for method in ("bilinear", "bicubic", "nearest"):
                found[f"crop {name} {method}"] = k.layers.Resizing(*size, method, crop_to_aspect_ratio=True)
                if k is keras:
                    found[f"pad {name} {method}"] = k.layers.Resizing(
                        *size, method, pad_to_aspect_ratio=True, fill_value=0.5
                    )
        return found

    check(layers(make, shape))


@pytest.mark.parametrize("k", [keras, tf_keras], ids=named)
def test_resizing_of_images_of_any_size(k: Any) -> None:
    def make(k: Any) -> Any:
        found = {}
        for method in ("nearest", "bilinear", "bicubic"):
            found[method] = k.layers.Resizing(7, 5, method)
            found[f"crop {method}"] = k.layers.Resizing(7, 5, method, crop_to_aspect_ratio=True)
            if k is keras:
                found[f"pad {method}"] = k.layers.Resizing(
                    7, 5, method, pad_to_aspect_ratio=True, fill_value=2
                )
        return found

    check(layers(make, (None, None, 3)), frameworks=(named(k),), sizes=[(8, 12), (13, 6)])


@pytest.mark.parametrize(("k", "method"), [(keras, "area"), (keras, "lanczos3"), (tf_keras, "gaussian")])
def test_constant_weights_need_the_size(k: Any, method: str) -> None:
    made = layer(lambda k: k.layers.Resizing(4, 4, method), (None, 8, 3))
    refused(made, f"{method} resizing", r"--shape", frameworks=(named(k),), formats=("keras",))


def test_antialias_needs_the_size() -> None:
    made = layer(lambda k: k.layers.Resizing(4, 4, antialias=True), (None, None, 3))
    refused(made, "bilinear resizing", frameworks=KERAS, formats=("keras",))


def test_single_images() -> None:
    def build(k: Any) -> Any:
        inputs = k.Input(batch_shape=(8, 10, 3))
        made = [
            k.layers.Resizing(5, 5),
            k.layers.CenterCrop(4, 3),
            k.layers.CenterCrop(9, 20),
            k.layers.RandomFlip(),
        ]
        return k.Model(inputs, [item(inputs) for item in made])

    check(build, batches=(8,))


def test_channels_first() -> None:
    def make(k: Any) -> Any:
        first = {"data_format": "channels_first"}
        return {
            "resized": k.layers.Resizing(5, 6, **first),
            "cropped": k.layers.Resizing(5, 9, crop_to_aspect_ratio=True, **first),
            "padded": k.layers.Resizing(5, 9, pad_to_aspect_ratio=True, **first),
            "center": k.layers.CenterCrop(5, 6, **first),
            "center of small": k.layers.CenterCrop(9, 6, **first),
            "clahe": k.layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 3), **first),
            "contrast": k.layers.AutoContrast(**first),
        }

    check(layers(make, (3, 8, 10)), uniform(0, 255), frameworks=KERAS)


# -- cropping --------------------------------------------------------------------------------------------

CROPS = [(4, 5), (8, 10), (5, 4), (9, 5), (5, 11), (20, 30), (12, 3)]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_center_crop(dtype: str) -> None:
    def make(k: Any) -> Any:
        return {f"{height} {width}": k.layers.CenterCrop(height, width) for height, width in CROPS}

    check(layers(make, spec((8, 10, 3), dtype)))


@pytest.mark.parametrize("k", [keras, tf_keras], ids=named)
def test_center_crop_of_images_of_any_size(k: Any) -> None:
    def make(k: Any) -> Any:
        return {f"{height} {width}": k.layers.CenterCrop(height, width) for height, width in CROPS}

    check(layers(make, (None, None, 3)), frameworks=(named(k),), sizes=[(8, 10), (11, 5)])
    check(layers(make, (8, None, 3)), frameworks=(named(k),), sizes=[10, 4])


# -- contrast --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_auto_contrast(dtype: str) -> None:
    images = np.random.default_rng(0).uniform(20, 200, (3, 6, 5, 4)).astype(dtype)
    images[1] = 7
    images[2, ..., 1] = 0

    def make(k: Any) -> Any:
        return {"byte": k.layers.AutoContrast(), "odd": k.layers.AutoContrast((250, -5))}

    check(layers(make, spec((6, 5, 4), dtype)), images, frameworks=KERAS)
    check(
        layer(lambda k: k.layers.AutoContrast((0.0, 1.0)), (6, 5, 4)),
        (images / 255).astype(np.float32),
        frameworks=KERAS,
    )


def equalization(k: Any, **options: Any) -> Any:
    return k.layers.ContrastLimitedAdaptiveHistogramEqualization(**options)


@pytest.mark.parametrize("shape", [(16, 24, 3), (13, 22, 1)])
def test_adaptive_equalization(shape: tuple[int, ...]) -> None:
    def make(k: Any) -> Any:
        return {
            "default": equalization(k),
            "grid": equalization(k, tile_grid_size=(2, 5)),
            "one": equalization(k, tile_grid_size=(1, 1), clip_limit=1.5),
            "unlimited": equalization(k, tile_grid_size=(3, 2), clip_limit=0),
        }

    check(layers(make, shape), uniform(-5, 260), frameworks=KERAS)
    check(layers(lambda k: {"unit": equalization(k, value_range=(0, 1))}, shape), uniform(), frameworks=KERAS)


def test_adaptive_equalization_of_bytes(tmp_path: Path) -> None:
    """The result is cut to bytes, where the last bit of a float may decide."""
    model = layer(equalization, spec((16, 24, 3), "uint8"))(keras)
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3)).astype(np.uint8)
    (got,) = litecast.convert(tmp_path / "model.keras")(images).values()
    want = np.asarray(model(images, training=False))
    assert got.dtype == want.dtype == np.uint8
    assert np.abs(got.astype(int) - want.astype(int)).max() <= 1
    assert (got != want).mean() < 0.01


def test_adaptive_equalization_needs_the_size() -> None:
    refused(layer(equalization, (None, 8, 3)), "tiles need the size", frameworks=KERAS, formats=("keras",))


# -- completeness ----------------------------------------------------------------------------------------


def test_every_preprocessing_layer_has_an_importer() -> None:
    from litecast.frontend.keras.importer import keras as table
    from litecast.frontend.keras.layers import import_all

    import_all()
    for name in BOTH:
        layers_of = {"keras": keras, "tf_keras": tf_keras}[name].layers
        found = [item for item in vars(layers_of).values() if isinstance(item, type)]
        missing = {
            item.__name__
            for item in found
            if ".preprocessing" in item.__module__ and table.find(item.__name__) is None
        }
        assert not missing, name
