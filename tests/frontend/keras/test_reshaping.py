"""Layers that move, repeat, cut and pad, at known and unknown sizes, in both data formats."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.keras.harness import KERAS, TF_KERAS, check, integers, layer, layers, refused, spec

FORMATS = ("channels_last", "channels_first")

# -- movements ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "targets"),
    [
        ((12,), [(3, 4), (-1, 2), (12,), (1, 12, 1), (-1,)]),
        ((3, 4), [(12,), (4, 3), (-1,), (2, -1, 3)]),
        ((None, 4), [(-1, 2), (-1,), (2, -1), (-1, 1, 4)]),
        ((None, 3, 2), [(-1, 6), (3, -1), (-1, 2, 3)]),
        ((None, None, 2), [(-1, 2), (-1,)]),
    ],
    ids=str,
)
def test_reshape(shape: Any, targets: Any) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {f"to{number}": k.layers.Reshape(target) for number, target in enumerate(targets)}

    check(layers(make, shape), sizes=(6, 4))


@pytest.mark.parametrize(
    "shape", [(), (4,), (2, 3), (2, 3, 4), (None, 3), (None, None, 3), (2, 3, 4, 5)], ids=str
)
def test_flatten(shape: Any) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {name: k.layers.Flatten(data_format=name) for name in FORMATS}

    check(layers(make, shape))


@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8"])
def test_movements_of_other_types(dtype: str) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {
            "flatten": k.layers.Flatten(),
            "reshape": k.layers.Reshape((3, -1)),
            "permute": k.layers.Permute((2, 1)),
        }

    check(layers(make, spec((4, 6), dtype)))


@pytest.mark.parametrize(
    ("shape", "orders"),
    [
        ((3, 4), [(2, 1), (1, 2)]),
        ((None, 4), [(2, 1)]),
        ((2, 3, 4), [(3, 1, 2), (1, 3, 2), (3, 2, 1)]),
        ((None, 3, None, 4), [(4, 3, 2, 1), (2, 1, 4, 3)]),
    ],
    ids=str,
)
def test_permute(shape: Any, orders: Any) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {f"to{number}": k.layers.Permute(order) for number, order in enumerate(orders)}

    check(layers(make, shape))


def test_repeat_vector() -> None:
    def make(k: Any) -> dict[str, Any]:
        return {"three": k.layers.RepeatVector(3), "one": k.layers.RepeatVector(1)}

    check(layers(make, (4,)))
    check(layers(make, (None,)))
    check(layers(make, spec((4,), "bool")))
    check(layers(make, spec((4,), "int32")))
    check(layer(lambda k: k.layers.RepeatVector(3), (4,)), ops=["Reshape", "Tile"])


# -- margins -----------------------------------------------------------------------------------------------

SEQUENCES = {"one": 1, "pair": (0, 2), "before": (2, 0), "none": 0}
IMAGES = {"one": 1, "two": (1, 2), "pairs": ((1, 0), (0, 2)), "mixed": ((0, 0), (2, 1))}
VOLUMES = {"one": 1, "three": (1, 0, 1), "pairs": ((0, 1), (1, 0), (0, 0)), "mixed": ((1, 1), (0, 0), (1, 0))}


def sweep(
    k: Any, name: str, rows: dict[str, Any], key: str, formats: tuple[str, ...] = FORMATS
) -> dict[str, Any]:
    """A layer for every row, in every data format."""
    make = getattr(k.layers, name)
    return {
        f"{row} {form}": make(**{key: value}, data_format=form)
        for row, value in rows.items()
        for form in formats
    }


@pytest.mark.parametrize("shape", [(6, 5), (None, 5)], ids=str)
def test_margins_of_sequences(shape: Any) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {
            **{f"pad {row}": k.layers.ZeroPadding1D(value) for row, value in SEQUENCES.items()},
            **{f"crop {row}": k.layers.Cropping1D(value) for row, value in SEQUENCES.items()},
        }

    check(layers(make, shape))


def test_padding_of_sequences_channels_first() -> None:
    check(layers(lambda k: sweep(k, "ZeroPadding1D", SEQUENCES, "padding"), (6, 5)), frameworks=KERAS)


@pytest.mark.parametrize("shape", [(6, 5, 7), (None, None, None)], ids=str)
@pytest.mark.parametrize(("name", "key"), [("ZeroPadding2D", "padding"), ("Cropping2D", "cropping")])
def test_margins_of_images(name: str, key: str, shape: Any) -> None:
    check(layers(lambda k: sweep(k, name, IMAGES, key), shape))


@pytest.mark.parametrize("shape", [(4, 5, 4, 3), (None, 5, None, 3)], ids=str)
@pytest.mark.parametrize(("name", "key"), [("ZeroPadding3D", "padding"), ("Cropping3D", "cropping")])
def test_margins_of_volumes(name: str, key: str, shape: Any) -> None:
    check(layers(lambda k: sweep(k, name, VOLUMES, key), shape))


def test_margins_of_integers() -> None:
    def make(k: Any) -> dict[str, Any]:
        return {"pad": k.layers.ZeroPadding2D(1), "crop": k.layers.Cropping2D(1)}

    check(layers(make, spec((4, 5, 3), "int32")))


def test_default_margins() -> None:
    check(layers(lambda k: {"pad": k.layers.ZeroPadding1D(), "crop": k.layers.Cropping1D()}, (6, 5)))
    check(layers(lambda k: {"pad": k.layers.ZeroPadding2D(), "crop": k.layers.Cropping2D()}, (6, 5, 3)))
    check(layers(lambda k: {"pad": k.layers.ZeroPadding3D(), "crop": k.layers.Cropping3D()}, (4, 4, 4, 3)))


# -- larger images -----------------------------------------------------------------------------------------

METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")
OLD_METHODS = ("gaussian", "mitchellcubic")


@pytest.mark.parametrize("shape", [(6, 5), (None, 5)], ids=str)
def test_up_sampling_of_sequences(shape: Any) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {f"size {size}": k.layers.UpSampling1D(size) for size in (1, 2, 7)}

    check(layers(make, shape))


@pytest.mark.parametrize("size", [2, (3, 2), (1, 7), (1, 1)], ids=str)
@pytest.mark.parametrize("frameworks", [KERAS, TF_KERAS], ids=lambda names: names[0])
def test_up_sampling_of_images(size: Any, frameworks: Any) -> None:
    names = METHODS + OLD_METHODS * (frameworks == TF_KERAS)

    def make(k: Any) -> dict[str, Any]:
        return {
            f"{name} {form}": k.layers.UpSampling2D(size, interpolation=name, data_format=form)
            for name in names
            for form in FORMATS
        }

    check(layers(make, (4, 5, 3)), frameworks=frameworks, formats=("keras",))


def test_up_sampling_of_images_of_unknown_size() -> None:
    def make(k: Any) -> dict[str, Any]:
        return {
            f"{name} {form}": k.layers.UpSampling2D((2, 3), interpolation=name, data_format=form)
            for name in ("nearest", "bilinear", "bicubic")
            for form in FORMATS
        }

    check(layers(make, (None, None, None)), sizes=((4, 5, 3), (7, 2, 4)))


@pytest.mark.parametrize("method", ["lanczos3", "lanczos5", "area"])
def test_methods_of_constant_weights_need_a_size(method: str) -> None:
    build = layer(lambda k: k.layers.UpSampling2D(2, interpolation=method), (None, None, 3))
    refused(build, f"weights of {method}", "--shape")


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_up_sampling_of_integers(dtype: str) -> None:
    """Keras 3 rounds and clips to the element type, Keras 2 gives floats."""

    def make(k: Any) -> dict[str, Any]:
        names = ("nearest", "bilinear", "bicubic")
        return {name: k.layers.UpSampling2D(2, interpolation=name) for name in names}

    check(layers(make, spec((4, 5, 3), dtype)), integers(256))


@pytest.mark.parametrize("shape", [(2, 3, 4, 3), (None, 3, None, 3)], ids=str)
def test_up_sampling_of_volumes(shape: Any) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {
            f"{size} {form}".replace("(", "").replace(",", ""): k.layers.UpSampling3D(size, data_format=form)
            for size in (2, (1, 2, 3), (3, 1, 1))
            for form in FORMATS
        }

    check(layers(make, shape))


def test_up_sampling_is_one_operation() -> None:
    check(layer(lambda k: k.layers.UpSampling2D(2), (4, 5, 3)), ops=["ResizeNearestNeighbor"])
