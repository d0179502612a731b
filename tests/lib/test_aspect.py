"""Cutting the middle out of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.lib import aspect
from tests.lib.running import run

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 11, 3)).astype(np.float32)


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize(
    ("size", "rows", "columns"), [((4, 4), 8, 8), ((2, 11), 2, 11), ((8, 1), 8, 1), ((1, 40), 1, 11)]
)
def test_crop_to_aspect(size: tuple[int, int], rows: int, columns: int, unknown: bool) -> None:
    (result,) = run(lambda b, x: aspect.crop_to_aspect(b, x, size), IMAGES, unknown=unknown)
    top, left = (8 - rows) // 2, (11 - columns) // 2
    np.testing.assert_array_equal(result, IMAGES[:, top : top + rows, left : left + columns])


@pytest.mark.parametrize("unknown", [False, True])
def test_pad_to_aspect(unknown: bool) -> None:
    (result,) = run(lambda b, x: aspect.pad_to_aspect(b, x, (4, 4), 0.5), IMAGES, unknown=unknown)
    np.testing.assert_array_equal(
        result, np.pad(IMAGES, [(0, 0), (1, 1), (0, 0), (0, 0)], constant_values=0.5)
    )


@pytest.mark.parametrize("unknown", [False, True])
def test_center_crop_of_what_is_large_enough(unknown: bool) -> None:
    (result,) = run(lambda b, x: aspect.center_crop(b, x, (5, 4), "bilinear"), IMAGES, unknown=unknown)
    np.testing.assert_array_equal(result, IMAGES[:, 1:6, 3:7])


def test_center_crop_of_what_is_not() -> None:
    def small(b: Any, x: Any) -> Any:
        return aspect.center_crop(b, x, (16, 8), "nearest")

    known, unknown = (run(small, IMAGES, unknown=unknown)[0] for unknown in (False, True))
    np.testing.assert_array_equal(known, unknown)
    np.testing.assert_array_equal(known, IMAGES[:, :, 3:7].repeat(2, 1).repeat(2, 2))


def test_double_precision_decides_about_a_pixel() -> None:
    """5001 * 5000 is no FLOAT32, and that loses what makes up a row."""
    images = np.zeros((1, 6000, 5001, 1), np.uint8)
    single, double = (
        run(lambda b, x, exact=exact: aspect.crop_to_aspect(b, x, (5000, 4999), exact), images)[0].shape
        for exact in (False, True)
    )
    assert double[1] == int(5001 * 5000 / 4999)
    assert abs(single[1] - double[1]) <= 1
