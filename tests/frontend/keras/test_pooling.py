"""Pooling layers against both frameworks, every option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontend.keras.harness import (
    EVERY_FORMAT,
    KERAS,
    TF_KERAS,
    check,
    integers,
    layer,
    layers,
    operations,
    refused,
    spec,
)

SPATIAL = {1: (None,), 2: (None, 7), 3: (6, None, 5)}
"""Spatial sizes per rank: of unknown and of known size."""
WINDOWS: dict[str, dict[str, Any]] = {
    "default": {},
    "size": {"pool_size": 3},
    "same": {"pool_size": 3, "padding": "same"},
    "overlap": {"pool_size": 3, "strides": 1},
    "same_overlap": {"pool_size": 3, "strides": 2, "padding": "same"},
    "gaps": {"pool_size": 1, "strides": 2},
}


def _shape(rank: int, data_format: str) -> tuple[Any, ...]:
    return (4, *SPATIAL[rank]) if data_format == "channels_first" else (*SPATIAL[rank], 4)


def _rows(rank: int, kind: str) -> dict[str, dict[str, Any]]:
    """Options: in one dimension Keras 3 has no default size for the mean."""
    rows = dict(WINDOWS)
    if kind == "AveragePooling":
        rows["default"] = {"pool_size": 2}
    if rank == 2:
        rows["uneven"] = {"pool_size": (3, 2), "strides": (1, 2)}
    if rank == 3:
        rows["uneven"] = {"pool_size": (1, 3, 2), "strides": (2, 1, 1), "padding": "same"}
    return rows


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("kind", ["MaxPooling", "AveragePooling"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_windows(rank: int, kind: str, data_format: str) -> None:
    def make(k: Any) -> dict[str, Any]:
        pool = getattr(k.layers, f"{kind}{rank}D")
        return {name: pool(data_format=data_format, **row) for name, row in _rows(rank, kind).items()}

    only_last = data_format == "channels_first" and rank == 2  # TensorFlow has no such kernel for tf_keras
    frameworks = KERAS if only_last else ("keras", "tf_keras")
    check(layers(make, _shape(rank, data_format)), sizes=(9, 12), frameworks=frameworks)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global(rank: int, data_format: str) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {
            f"{kind}_{keepdims}": getattr(k.layers, f"Global{kind}Pooling{rank}D")(
                data_format=data_format, keepdims=keepdims
            )
            for kind in ("Max", "Average")
            for keepdims in (False, True)
        }

    check(layers(make, _shape(rank, data_format)), sizes=(9, 12))


@pytest.mark.parametrize("mask_from", ["embedding", "argument"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_masked_mean(mask_from: str, data_format: str, keepdims: bool) -> None:
    """Only steps that the mask keeps count."""

    def build(k: Any) -> Any:
        pool = k.layers.GlobalAveragePooling1D(data_format=data_format, keepdims=keepdims)
        ids = k.Input((6,), dtype="int32", name="ids")
        if mask_from == "argument":
            mask = k.Input((6,), dtype="bool", name="mask")
            return k.Model([ids, mask], pool(k.layers.Embedding(7, 6)(ids), mask=mask))
        x = k.layers.Embedding(7, 6, mask_zero=True)(ids)
        return k.Model(ids, pool(x))

    ids = np.array([[1, 2, 0, 0, 3, 0], [1, 0, 0, 0, 0, 0], [3, 2, 1, 4, 6, 5]], np.int32)
    check(build, ids, *([ids != 0] if mask_from == "argument" else []))


def test_no_mask_comes_out_of_pooling() -> None:
    def build(k: Any) -> Any:
        ids = k.Input((6,), dtype="int32")
        x = k.layers.Embedding(7, 4, mask_zero=True)(ids)
        x = k.layers.GlobalAveragePooling1D(keepdims=True)(x)
        return k.Model(ids, k.layers.GlobalAveragePooling1D()(x))

    check(build, np.array([[1, 2, 0, 0, 3, 0], [1, 0, 0, 0, 0, 0]], np.int32))


def test_infinite_steps_behind_the_mask() -> None:
    """Keras 3 leaves them out, Keras 2 multiplies them by zero."""

    def build(k: Any) -> Any:
        x, mask = k.Input((4, 2)), k.Input((4,), dtype="bool")
        return k.Model([x, mask], k.layers.GlobalAveragePooling1D()(x, mask=mask))

    rows = np.ones((2, 4, 2), np.float32)
    rows[0, 1] = np.inf
    check(build, rows, np.array([[1, 0, 1, 0], [1, 1, 1, 0]], bool))


def test_integers() -> None:
    check(layer(lambda k: k.layers.MaxPooling2D(2), spec((6, 6, 3), "int32")), integers(99, -99))
    check(layer(lambda k: k.layers.GlobalMaxPooling2D(), spec((6, 6, 3), "int32")), integers(99, -99))
    check(layer(lambda k: k.layers.GlobalAveragePooling2D(), spec((6, 6, 3), "int32")), integers(99))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive(rank: int, kind: str, data_format: str) -> None:
    """Sizes that divide those of the input, that do not, and that are larger."""
    sizes = {1: ((12,), (3, 5, 1, 20)), 2: ((12, 7), (4, (5, 7), (1, 3), 9)), 3: ((6, 7, 5), (3, (2, 3, 5)))}
    spatial, wanted = sizes[rank]

    def make(k: Any) -> dict[str, Any]:
        pool = getattr(k.layers, f"Adaptive{kind}Pooling{rank}D")
        return {f"size{index}": pool(size, data_format=data_format) for index, size in enumerate(wanted)}

    shape = (4, *spatial) if data_format == "channels_first" else (*spatial, 4)
    check(layers(make, shape), frameworks=KERAS)


def test_adaptive_windows_that_are_alike_are_one_pool() -> None:
    for kind, op in (("Max", "MaxPool2D"), ("Average", "AveragePool2D")):
        build = layer(lambda k, kind=kind: getattr(k.layers, f"Adaptive{kind}Pooling2D")(4), (8, 12, 3))
        check(build, frameworks=KERAS, ops=[op])


def test_adaptive_needs_a_size() -> None:
    build = layer(lambda k: k.layers.AdaptiveAveragePooling2D(4), (None, 12, 3))
    refused(build, "AdaptiveAveragePooling2D", "size", frameworks=KERAS)


def test_every_format() -> None:
    def build(k: Any) -> Any:
        x = inputs = k.Input((9, 8, 4))
        x = k.layers.AveragePooling2D(2)(k.layers.MaxPooling2D(3, 1)(x))
        return k.Model(inputs, k.layers.GlobalAveragePooling2D(keepdims=True)(x))

    converted = check(build, formats=EVERY_FORMAT, frameworks=TF_KERAS)
    assert operations(converted) == ["MaxPool2D", "AveragePool2D", "Mean"]
    check(build, formats=EVERY_FORMAT, frameworks=KERAS)
