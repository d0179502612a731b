"""Preprocessing of numbers against Keras 3 and tf_keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import UnsupportedError
from tests.frontend.keras.harness import (
    BOTH,
    EVERY_FORMAT,
    KERAS,
    TF_KERAS,
    check,
    integers,
    layer,
    layers,
    refused,
    spec,
    tf_keras,
)

EDGES = np.array([[-1.0, 0.0, 0.5], [0.49999, 3.0, np.inf], [-np.inf, 7.0, np.nan]], np.float32)


def test_rescaling() -> None:
    def make(k: Any) -> Any:
        return {
            "scale": k.layers.Rescaling(1 / 255),
            "offset": k.layers.Rescaling(1 / 127.5, offset=-1),
            "lists": k.layers.Rescaling([0.5, 1.0, 2.0], [1.0, 0.0, -1.0]),
            "integer": k.layers.Rescaling(2, 1),
        }

    check(layers(make, (None, 4, 3)))
    check(layers(make, spec((4, 3), "uint8")), integers(256))


def test_rescaling_of_integers() -> None:
    check(layer(lambda k: k.layers.Rescaling(3, 1, dtype="int32"), spec((4,), "int32")))


def test_rescaling_keeps_arrays_and_masks() -> None:
    def build(k: Any) -> Any:
        inputs = k.Input((5, 3))
        x = k.layers.Masking()(inputs)
        x = k.layers.Rescaling(np.array([1.0, 2.0, 3.0]), offset=np.float32(0.5))(x)
        return k.Model(inputs, k.layers.GlobalAveragePooling1D()(x))

    x = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    x[:, 3:] = 0
    check(build, x, frameworks=KERAS)


@pytest.mark.parametrize("invert", [False, True])
def test_scaling_and_masks(invert: bool) -> None:
    """They go on in Keras 3, and are lost in Keras 2."""

    def build(k: Any) -> Any:
        tokens = k.Input((6,), dtype="int32")
        x = k.layers.Embedding(7, 4, mask_zero=True)(tokens)
        normal = k.layers.Normalization(mean=0.1, variance=2.0, invert=invert)(x)
        pooled = [k.layers.GlobalAveragePooling1D()(item) for item in (k.layers.Rescaling(0.5)(x), normal)]
        return k.Model(tokens, pooled)

    check(build, integers(7))


@pytest.mark.parametrize("invert", [False, True])
def test_normalization(invert: bool) -> None:
    def make(k: Any) -> Any:
        return {
            "last": k.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.25, 0.0], invert=invert),
            "scalar": k.layers.Normalization(axis=None, mean=1.0, variance=2.0, invert=invert),
            "spread": k.layers.Normalization(mean=1.0, variance=2.0, invert=invert),
            "two": k.layers.Normalization(
                axis=(1, -1),
                mean=np.arange(12.0).reshape(4, 3),
                variance=np.arange(1.0, 13).reshape(4, 3),
                invert=invert,
            ),
            "order": k.layers.Normalization(
                axis=(-1, 1), mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0], invert=invert
            ),
        }

    check(layers(make, (4, 3)))
    check(layers(make, spec((4, 3), "int32")))


@pytest.mark.parametrize("axis", [-1, None, (1, 2), 1])
def test_adapted_normalization(axis: Any) -> None:
    def build(k: Any) -> Any:
        inputs = k.Input((4, 3))
        normalization = k.layers.Normalization(axis=axis)
        outputs = k.layers.Dense(2)(normalization(inputs))
        normalization.adapt(np.random.default_rng(0).normal(3, 2, (64, 4, 3)).astype(np.float32))
        return k.Model(inputs, outputs)

    check(build, formats=EVERY_FORMAT)


def test_normalization_of_an_unknown_length() -> None:
    normalization = layer(lambda k: k.layers.Normalization(axis=None, mean=1.0, variance=4.0), (None, 3))
    check(normalization)


MODES = ("int", "one_hot", "multi_hot", "count")


@pytest.mark.parametrize("size", [1, 3])
def test_discretization(size: int) -> None:
    def make(k: Any) -> Any:
        modes = MODES if k.__name__ == "keras" or size == 1 else ("int", "multi_hot", "count")
        return {
            mode: k.layers.Discretization(bin_boundaries=[0.0, 0.5, 3.0, 7.0], output_mode=mode)
            for mode in modes
        }

    check(layers(make, (size,)), EDGES[:, :size])
    check(layers(make, spec((size,), "int32")), integers(9, -2))
    check(layers(make, spec((size,), "int64")), integers(9, -2))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "bool", "float16"])
def test_discretization_of_narrow_types(dtype: str) -> None:
    check(layer(lambda k: k.layers.Discretization([0.0, 1.0, 3.0]), spec((6,), dtype)), frameworks=KERAS)


def test_discretization_of_higher_ranks() -> None:
    def make(k: Any) -> Any:
        return {mode: k.layers.Discretization([0.0, 1.0], output_mode=mode) for mode in MODES}

    check(layers(make, (4, 3)), frameworks=KERAS)
    check(layers(make, (4, 1)), frameworks=KERAS)


@pytest.mark.parametrize("mode", MODES)
def test_adapted_discretization(mode: str) -> None:
    def build(k: Any) -> Any:
        bins = k.layers.Discretization(num_bins=6, output_mode=mode)
        inputs = k.Input((1,))
        outputs = bins(inputs)
        bins.adapt(np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32))
        return k.Model(inputs, bins(inputs) if k.__name__ == "tf_keras" else outputs)

    check(build, formats=("keras", "memory"), random=False)


def test_discretization_that_nobody_adapted(tmp_path: Path) -> None:
    model = layer(lambda k: k.layers.Discretization(num_bins=4), (1,))(tf_keras)
    model.save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedError, match="never adapted"):
        litecast.convert(tmp_path / "model.keras")


def test_discretization_without_boundaries() -> None:
    check(layer(lambda k: k.layers.Discretization([]), (3,)), frameworks=TF_KERAS)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_category_encoding(size: int, dtype: str) -> None:
    def make(k: Any) -> Any:
        modes = MODES[1:] if k.__name__ == "keras" or size == 1 else MODES[2:]
        return {mode: k.layers.CategoryEncoding(5, output_mode=mode) for mode in modes}

    check(layers(make, spec((size,), dtype)), integers(5))


def test_category_encoding_of_higher_ranks() -> None:
    def make(k: Any) -> Any:
        return {mode: k.layers.CategoryEncoding(5, output_mode=mode) for mode in MODES[1:]}

    check(layers(make, spec((4, 3), "int32")), integers(5), frameworks=KERAS)


def test_category_encoding_of_single_ids() -> None:
    check(
        layer(lambda k: k.layers.CategoryEncoding(5, output_mode="one_hot"), spec((), "int32")),
        integers(5),
        batches=(2, 3),
    )


@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_weighted_counts(shape: tuple[int, ...]) -> None:
    def build(k: Any) -> Any:
        inputs = k.Input(shape, dtype="int32"), k.Input(shape)
        encoding = k.layers.CategoryEncoding(5, output_mode="count")
        return k.Model(inputs, encoding(inputs[0], count_weights=inputs[1]))

    check(build, integers(5), frameworks=BOTH if len(shape) == 1 else KERAS)


def test_category_encoding_in_integers() -> None:
    check(
        layer(lambda k: k.layers.CategoryEncoding(5, output_mode="count", dtype="int32"), spec((3,), "int32"))
    )


@pytest.mark.parametrize(
    ("make", "old", "new"),
    [
        (lambda k: k.layers.Discretization([0.0, 1.0]), "bins", "bin_boundaries"),
        (lambda k: k.layers.CategoryEncoding(5, output_mode="binary"), "max_tokens", "num_tokens"),
        (
            lambda k: k.layers.IntegerLookup(vocabulary=[1, 3], mask_token=0, max_tokens=9),
            "max_values",
            "max_tokens",
        ),
        (lambda k: k.layers.IntegerLookup(vocabulary=[1, 3], mask_token=4), "mask_value", "mask_token"),
    ],
)
def test_old_names_of_options(make: Any, old: str, new: str, tmp_path: Path) -> None:
    model = layer(make, spec((1,), "int64"))(tf_keras)
    text = model.to_json()
    assert f'"{new}"' in text
    (tmp_path / "model.json").write_text(text.replace(f'"{new}"', f'"{old}"'))
    x = np.array([[0], [1], [3], [4]])
    (got,) = litecast.convert(tmp_path / "model.json")(x).values()
    np.testing.assert_array_equal(got, model(x))


def test_sparse_results_are_refused() -> None:
    def make(k: Any) -> Any:
        return k.layers.Discretization([0.0, 1.0], output_mode="multi_hot", sparse=True)

    refused(layer(make, (3,)), "sparse tensor", frameworks=KERAS)


def test_pipeline() -> None:
    def build(k: Any) -> Any:
        inner = [
            k.layers.Rescaling(2.0), k.layers.Dense(4), k.layers.RandomRotation(0.1), k.layers.Dense(3),
            k.layers.Rescaling(0.5, 1.0),
        ]  # fmt: skip
        inputs = k.Input((5,))
        return k.Model(inputs, k.layers.Dense(2)(k.layers.Pipeline(inner[:2] + inner[3:])(inputs)))

    check(build, frameworks=KERAS, formats=("keras", "directory", "json", "memory"))


def test_pipeline_of_images() -> None:
    def build(k: Any) -> Any:
        inner = [
            k.layers.Resizing(5, 6),
            k.layers.RandomFlip(),
            k.layers.Rescaling(0.5),
            k.layers.CenterCrop(3, 4),
        ]
        return k.Model(inputs := k.Input((8, 8, 3)), k.layers.Pipeline(inner)(inputs))

    assert "RandomFlip" in str(check(build, frameworks=KERAS).report.to_json())
