"""Windows, pools and blocks against a plain NumPy reading of their definition, at known and unknown sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph
from litecast.lib import image, nn, pool, windows
from tests.lib.running import run


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_same_padding_fits_the_windows(size: int, window: int, stride: int) -> None:
    before, after = windows.same_pads(Builder(Graph("main")), size, window, stride)
    count = -(-size // stride)
    assert 0 <= after - before <= 1
    assert (size + before + after - window) // stride + 1 == count or before + after == 0


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 1), (4, 1), (1, 2), (3, 2), (5, 3), (2, 4)])
def test_same_padding_of_an_unknown_size(window: int, stride: int) -> None:
    for size in range(1, 12):
        x = np.ones(size, np.float32)
        known = run(lambda b, x: _padded(b, x, window, stride), x)
        assert [
            part.tolist() for part in run(lambda b, x: _padded(b, x, window, stride), x, unknown=True)
        ] == [part.tolist() for part in known]


def _padded(b: Builder, x: Any, window: int, stride: int) -> Any:
    return windows.pad(b, x, [windows.same_pads(b, x.shape[0], window, stride)], -1)


def slide(
    x: np.ndarray, window: Sequence[int], strides: Sequence[int], padding: str, reduce: Any
) -> np.ndarray:
    """Reduce each window of `x` in float64, elements outside left out."""
    pads = [
        windows.same_pads(Builder(Graph("main")), *axis) if padding == "SAME" else (0, 0)
        for axis in zip(x.shape, window, strides, strict=True)
    ]
    padded = np.pad(x.astype(np.float64), pads, constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(padded, window)
    views = views[tuple(slice(None, None, stride) for stride in strides)]
    return reduce(views, axis=tuple(range(x.ndim, 2 * x.ndim)))


@st.composite
def pools(draw: Any) -> tuple[Any, ...]:
    rank = draw(st.integers(1, 5))
    shape = draw(st.lists(st.integers(2, 6), min_size=rank, max_size=rank))
    window = [draw(st.integers(1, size)) for size in shape]
    strides = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    return shape, window, strides, draw(st.sampled_from(["SAME", "VALID"]))


@given(pools(), st.sampled_from(["float32", "int32", "int64", "uint8"]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_maximum_over_any_axes(case: Any, dtype: str, unknown: bool) -> None:
    shape, *window = case
    x = np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype(dtype)
    unknown = unknown and dtype != "float32"
    (ours,) = run(lambda b, x: pool.maximum(b, x, *window), x, unknown=unknown)
    np.testing.assert_array_equal(ours, slide(x, *window, np.nanmax).astype(dtype))


@given(pools())
@settings(max_examples=40, deadline=None)
def test_average_over_any_axes(case: Any) -> None:
    shape, *window = case
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (ours,) = run(lambda b, x: pool.average(b, x, *window), x)
    np.testing.assert_allclose(ours, slide(x, *window, np.nanmean), atol=1e-6)


def test_softplus_selu_and_softsign() -> None:
    x = np.linspace(-90, 90, 181).astype(np.float32)
    ours = run(lambda b, x: (nn.softplus(b, x), nn.selu(b, x), nn.softsign(b, x)), x)
    wide = x.astype(np.float64)
    selu = nn.SELU_SCALE * np.where(wide > 0, wide, nn.SELU_ALPHA * np.expm1(wide))
    for result, wanted in zip(ours, (np.logaddexp(0, wide), selu, wide / (1 + abs(wide))), strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_blocks_in_the_batch_come_back(rows: int, columns: int, layers: int) -> None:
    """Space to batch and back is the identity, whatever the number of block axes."""
    x = np.arange(2 * 3 * 4 * 5 * 2, dtype=np.float32).reshape(2, 3, 4, 5, 2)
    block = [rows, columns, layers]
    margins = [[0, -size % each] for size, each in zip(x.shape[1:], block, strict=False)]

    def around(b: Builder, x: Any) -> Any:
        block_value, margin_value = b.const(block), b.const(margins)
        return image.batch_to_space(
            b, image.space_to_batch(b, x, block_value, margin_value), block_value, margin_value
        )

    (ours,) = run(around, x)
    np.testing.assert_array_equal(ours, x)
