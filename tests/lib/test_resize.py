"""Resizing by method against `tf.image.resize`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph
from litecast.ir.types import DType, Sym, TensorType
from litecast.lib import resize
from tests.lib.running import run

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 5, 7, 3)).astype(np.float32)
SIZES = [(9, 4), (10, 21), (5, 7), (1, 2)]


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", resize.METHODS)
def test_methods(method: str, antialias: bool) -> None:
    tf = pytest.importorskip("tensorflow")
    for size in SIZES:
        (result,) = run(lambda b, x, size=size: resize.resize(b, x, size, method, antialias), IMAGES)
        want = tf.image.resize(IMAGES, size, method, antialias=antialias).numpy()
        np.testing.assert_allclose(result, want, atol=2e-6, err_msg=str(size))


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_images_of_unknown_size(method: str) -> None:
    def twice(b: Builder, x: Any) -> Any:
        return resize.resize(b, x, (x.shape[1] * 2, x.shape[2] * 3), method)

    known, unknown = (run(twice, IMAGES, unknown=unknown)[0] for unknown in (False, True))
    np.testing.assert_allclose(unknown, known, atol=2e-6)


@pytest.mark.parametrize("factor", [1, 3, 7, 11, 49])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int32])
def test_repeated_pixels_are_exact(factor: int, dtype: Any) -> None:
    x = (np.random.default_rng(0).normal(size=(1, 13, 3, 2)) * 99).astype(dtype)
    (result,) = run(lambda b, x: resize.repeat_pixels(b, x, factor, 2), x)
    np.testing.assert_array_equal(result, x.repeat(factor, 1).repeat(2, 2))


@pytest.mark.parametrize("method", ["lanczos3", "area", "gaussian"])
def test_constant_weights_need_sizes(method: str) -> None:
    b = Builder(Graph("main"))
    x = b.add_input(TensorType(DType.FLOAT32, (1, Sym("h"), 4, 3)))
    with pytest.raises(UnsupportedError, match=f"weights of {method} .* known rows and columns"):
        resize.resize(b, x, (8, 8), method)


def test_an_unknown_method_is_named() -> None:
    b = Builder(Graph("main"))
    with pytest.raises(UnsupportedError, match="'cubic'"):
        resize.resize(b, b.add_input(TensorType(DType.FLOAT32, (1, 4, 4, 3))), (8, 8), "cubic")
