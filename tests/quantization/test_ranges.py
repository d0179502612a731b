"""Ranges by every method: inside what was seen, never worse than all of it where that is the aim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from litecast.errors import QuantizationError
from litecast.quantization.ranges import METHODS, Grid, squared_error, tensor_range
from litecast.quantization.statistics import TensorStatistics

GRIDS = [Grid(bits, symmetric) for bits in (4, 8, 16) for symmetric in (False, True)]
seen = st.lists(
    arrays.arrays(
        np.float32,
        st.integers(1, 30),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(-4, 4, width=32),
    ),
    min_size=1,
    max_size=3,
)


def gathered(*held: np.ndarray) -> TensorStatistics:
    tensor = TensorStatistics()
    for array in held:
        tensor.update(np.asarray(array, np.float32))
    return tensor


@settings(max_examples=40, deadline=None)
@given(seen, st.sampled_from(GRIDS))
def test_a_range_never_leaves_what_was_seen(held: list[np.ndarray], grid: Grid) -> None:
    tensor = gathered(*held)
    for method in METHODS:
        low, high = tensor_range(tensor, method, grid)
        assert tensor.minimum <= low <= high <= tensor.maximum, method


@settings(max_examples=40, deadline=None)
@given(seen, st.sampled_from(GRIDS))
def test_mse_is_never_worse_than_minmax(held: list[np.ndarray], grid: Grid) -> None:
    tensor = gathered(*held)
    best, whole = [
        squared_error(tensor, *tensor_range(tensor, name, grid), grid) for name in ("mse", "minmax")
    ]
    assert best <= whole * (1 + 1e-9)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "held", [np.zeros(5), np.full(7, 3.25), np.full(7, -3.25), np.array([1e-45]), np.array([0.0, 2.0])]
)
def test_degenerate_tensors_keep_their_range(held: np.ndarray, method: str, grid: Grid) -> None:
    tensor = gathered(held)
    low, high = tensor_range(tensor, "percentile:100" if method == "percentile" else method, grid)
    slack = 2 / 128  # one threshold further in, where the model of an even spread says so
    assert low == pytest.approx(tensor.minimum)
    assert high == pytest.approx(tensor.maximum, abs=slack if method == "mse" and held[0] == 0 else 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", [1, -1])
def test_tensors_of_one_sign_stay_so(method: str, sign: int) -> None:
    held = sign * np.abs(np.random.default_rng(0).normal(size=4000))
    low, high = tensor_range(gathered(held), method)
    assert 0 <= low < high if sign > 0 else low < high <= 0


def test_nothing_seen_is_no_range() -> None:
    assert tensor_range(TensorStatistics(), "mse") == (0.0, 0.0)


@pytest.mark.parametrize(("share", "grid"), [(99.0, Grid()), (99.9, Grid()), (99.0, Grid(8, True))])
def test_percentiles_are_numpys(share: float, grid: Grid) -> None:
    held = np.random.default_rng(1).normal(0.3, 1, 200_000).astype(np.float32)
    tensor = gathered(held)
    low, high = tensor_range(tensor, f"percentile:{share}", grid)
    if grid.symmetric:
        limit = np.percentile(np.abs(held), share)
        expected = [-limit, limit]
    else:
        expected = np.percentile(held, [100 - share, share])
    np.testing.assert_allclose([low, high], expected, atol=2 * tensor.width)


def test_the_average_is_of_the_runs() -> None:
    assert tensor_range(gathered([-1, 2], [-3, 6]), "moving_average") == (-2, 4)


def quantized(held: np.ndarray, low: float, high: float, grid: Grid) -> np.ndarray:
    step = float(grid.span(np.array(low), np.array(high))) / (2**grid.bits - 1)
    start = -max(-low, high) if grid.symmetric else min(low, 0)
    return np.clip(np.round((held - start) / step), 0, 2**grid.bits - 1) * step + start


@pytest.mark.parametrize("grid", [Grid(4), Grid(4, True), Grid(8), Grid(8, True)])
@pytest.mark.parametrize("method", ["mse", "entropy"])
def test_outliers_are_cut_where_that_is_better(method: str, grid: Grid) -> None:
    held = np.random.default_rng(2).standard_t(3, 100_000).astype(np.float32)
    tensor = gathered(held)
    low, high = tensor_range(tensor, method, grid)
    assert max(-low, high) < 0.9 * np.abs(held).max()
    errors = [
        np.square(quantized(held, *tensor_range(tensor, name, grid), grid) - held).mean()
        for name in (method, "minmax")
    ]
    if method == "mse":
        assert errors[0] < errors[1]


def test_the_estimated_error_is_the_real_one() -> None:
    held = np.random.default_rng(3).normal(0, 1, 300_000).astype(np.float32)
    tensor = gathered(held)
    for ends in ((-4.0, 4.0), (-1.0, 2.0), (-3.0, 0.5)):
        real = np.square(quantized(held, *ends, Grid()) - held).mean()
        assert squared_error(tensor, *ends, Grid()) == pytest.approx(real, rel=0.02)


def test_entropy_keeps_an_even_spread_whole() -> None:
    held = np.random.default_rng(4).uniform(-1, 1, 100_000)
    low, high = tensor_range(gathered(held), "entropy", Grid())
    assert low < -0.97
    assert high > 0.97


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("mean", "there is no range method 'mean', there are minmax, .*"),
        ("minmx", "did you mean minmax"),
        ("percentile:x", "takes a number above 50"),
        ("percentile:20", "takes a number above 50"),
        ("mse:3", "mse takes no parameter"),
    ],
)
def test_an_unknown_method_is_an_error(method: str, says: str) -> None:
    with pytest.raises(QuantizationError, match=says):
        tensor_range(gathered([1.0]), method)
