"""Resampling weights: what they must be, whatever the image."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.lib import resample


def test_area_shares_pixels() -> None:
    assert resample.area(4, 2, False).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_allclose(resample.area(3, 2, False), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-6)


@pytest.mark.parametrize("centers", [(False, False), (True, False), (False, True)])
def test_bicubic_of_the_same_size_changes_nothing(centers: tuple[bool, bool]) -> None:
    np.testing.assert_array_equal(resample.bicubic(6, 6, *centers), np.eye(6))


@pytest.mark.parametrize("kernel", resample.KERNELS)
@pytest.mark.parametrize(("size", "out"), [(7, 12), (12, 5)])
def test_weights_of_an_output_sum_to_one(kernel: str, size: int, out: int) -> None:
    weights = resample.kernel_weights(size, out, out / size, 0, kernel, True)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


def test_what_samples_outside_is_zero() -> None:
    weights = resample.kernel_weights(4, 6, 1, 2, "triangle", False)
    assert weights[:2].tolist() == [[0] * 4] * 2
    np.testing.assert_array_equal(weights[2:], np.eye(4))
