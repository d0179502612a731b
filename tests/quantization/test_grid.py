"""Scales and stored numbers: properties that hold for all ranges and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from litecast.errors import QuantizationError
from litecast.ir.graph import Lazy, Value, constant
from litecast.ir.types import DType
from litecast.quantization import grid

BOUND = st.floats(-1e6, 1e6, width=32)
WEIGHTS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=1, max_dims=4, max_side=6),
    elements=st.floats(-1e4, 1e4, width=32),
)
KINDS = st.sampled_from(sorted(grid.TOP))


@given(BOUND, BOUND, st.sampled_from([DType.INT8, DType.UINT8, DType.INT16]))
def test_an_activation_grid_reaches_its_range_and_holds_zero(one: float, other: float, dtype: DType) -> None:
    low, high = sorted((one, other))
    quant = grid.activation_grid(low, high, dtype)
    (scale,), (zero,) = quant.scales, quant.zero_points
    limits = np.iinfo(dtype.numpy)
    assert scale > 0
    assert limits.min <= zero <= limits.max
    if dtype is DType.INT16:
        assert zero == 0
    least, most = ((limit - zero) * scale for limit in (limits.min, limits.max))
    assert least <= low + scale
    assert most >= high - scale


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_a_range_that_is_none_has_no_grid(low: float, high: float) -> None:
    with pytest.raises(QuantizationError, match="has no grid"):
        grid.activation_grid(low, high, DType.INT8)


@given(WEIGHTS, KINDS, st.data())
def test_a_weight_is_within_half_a_step(array: Any, dtype: DType, data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from([None, *range(array.ndim)]))
    quant = grid.weight_grid(array, dtype, axis)
    stored = grid.on_grid(constant(array), dtype, quant)
    assert isinstance(stored, Lazy)
    numbers = stored.thunk()
    assert (numbers.dtype, numbers.shape) == (dtype.numpy, array.shape)
    whole = numbers.astype(np.int64)
    assert np.abs(whole).max(initial=0) <= grid.TOP[dtype]
    back = grid.dequantize(whole, quant)
    step = np.array(quant.scales, np.float64)
    if axis is not None and len(step) > 1:
        step = step.reshape([-1 if dim == axis else 1 for dim in range(array.ndim)])
    assert (np.abs(back.astype(np.float64) - array) <= step * (0.5 + 1e-3)).all()


@given(WEIGHTS, KINDS)
def test_the_largest_weight_is_the_largest_number(array: Any, dtype: DType) -> None:
    quant = grid.weight_grid(array, dtype, None)
    numbers = grid.on_grid(constant(array), dtype, quant).thunk().astype(np.int64)
    if np.abs(array).max(initial=0) > 1e-30:
        assert np.abs(numbers).max() == grid.TOP[dtype]


def test_weights_that_are_all_zero_have_a_scale() -> None:
    array = np.zeros((2, 3), np.float32)
    array[1] = [1, -2, 0.5]
    quant = grid.weight_grid(array, DType.INT8, 0)
    assert quant.scales == (1.0, float(np.float32(2 / 127)))
    assert quant.zero_points == (0, 0)


def test_one_scale_is_spread_over_channels() -> None:
    array = np.array([[1, 2], [3, -4]], np.float32)
    quant = grid.weight_grid(array, DType.INT8, None, spread=1)
    assert quant.scales == (float(np.float32(4 / 127)),) * 2
    assert quant.axis == 1


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_weights_that_are_not_finite_are_refused(wrong: float) -> None:
    array = np.array([[1, wrong]], np.float32)
    for make in (
        lambda: grid.weight_grid(array, DType.INT8, 0),
        lambda: grid.block_scales(array, DType.INT4, 2),
    ):
        with pytest.raises(QuantizationError, match="infinite or no numbers"):
            make()


@given(st.integers(1, 5), st.integers(1, 4), st.sampled_from([2, 4, 8]), st.integers(0, 99))
def test_a_block_is_within_half_a_step(rows: int, blocks: int, block: int, seed: int) -> None:
    array = np.random.default_rng(seed).standard_normal((rows, blocks * block)).astype(np.float32)
    scales = grid.block_scales(array, DType.INT4, block)
    assert scales.dtype == np.float16
    assert (scales >= grid.HALF_NORMAL).all()
    stored = grid.on_blocks(constant(array), DType.INT4, scales, block).thunk().astype(np.float32)
    step = np.repeat(scales.astype(np.float32), block, axis=1)
    # The scale is rounded to float16, so the largest weights may lie a little beyond the grid.
    assert (np.abs(stored * step - array) <= step * 0.5 + np.abs(array) * 2e-3).all()


def test_scales_of_blocks_are_normal_numbers() -> None:
    assert grid.block_scales(np.zeros((1, 4), np.float32), DType.INT4, 4) == np.float16(grid.HALF_NORMAL)


def test_float16_clamps_finite_numbers_only() -> None:
    array = np.array([1e6, -1e6, np.inf, -np.inf, np.nan, 0.1], np.float32)
    half = grid.on_half(constant(array)).thunk()
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, np.float16([65504, -65504, np.inf, -np.inf, np.nan, 0.1]))
    assert grid.count_beyond_half(array) == 2
    assert grid.count_beyond_half(array[5:]) == 0


def test_large_weights_are_computed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).standard_normal((13, 5, 3)).astype(np.float32)
    for axis in (0, 2, None):
        quant = grid.weight_grid(array, DType.INT8, axis)
        whole = grid.on_grid(constant(array), DType.INT8, quant).thunk()
        monkeypatch.setattr(grid, "CHUNK", 31)
        parts = grid.on_grid(constant(array), DType.INT8, quant).thunk()
        monkeypatch.undo()
        np.testing.assert_array_equal(whole, parts)


@settings(max_examples=20)
@given(st.sampled_from([DType.INT8, DType.FLOAT16]))
def test_a_scalar_is_a_weight_too(dtype: DType) -> None:
    value: Value = constant(np.float32(3.0))
    if dtype is DType.FLOAT16:
        assert grid.on_half(value).thunk().shape == ()
        return
    stored = grid.on_grid(value, dtype, grid.weight_grid(value.array(), dtype, None)).thunk()
    assert (stored.shape, int(stored)) == ((), 127)
