"""The range that a quantized tensor shall cover, from its statistics alone, by one of several methods.

A range never leaves what was seen, [min, max]; making it contain zero and fall on a grid is the grid's part.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from litecast.errors import QuantizationError
from litecast.ir.op import Array
from litecast.quantization.statistics import HALF, TensorStatistics

__all__ = ["METHODS", "Grid", "Method", "Range", "squared_error", "tensor_range"]

Range = tuple[float, float]
CANDIDATES = 128
"""Thresholds that are tried per side."""
PERCENTILE = 99.99


@dataclass(frozen=True)
class Grid:
    """What will represent the range: integers of so many bits, around zero where symmetric."""

    bits: int = 8
    symmetric: bool = False

    def span(self, low: Array, high: Array) -> Array:
        """Return how far the grid of a range reaches, from end to end: it always contains zero."""
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        return 2 * np.maximum(-low, high) if self.symmetric else high - low


Method = Callable[[TensorStatistics, Grid, float], Range]
"""`(statistics, grid, parameter) -> (min, max)`."""


def tensor_range(tensor: TensorStatistics, method: str = "minmax", grid: Grid | None = None) -> Range:
    """Return the range of a tensor by a method of METHODS, such as `mse` or `percentile:99.9`.

    Without statistics of finite elements it is (0, 0). Raises QuantizationError for an unknown method.
    """
    function, parameter = _method(method)
    if not tensor.count:
        return 0.0, 0.0
    low, high = function(tensor, grid or Grid(), parameter)
    low = min(max(low, tensor.minimum), tensor.maximum)
    return low, max(low, min(high, tensor.maximum))


def _method(text: str) -> tuple[Method, float]:
    name, _, parameter = text.partition(":")
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise QuantizationError(f"there is no range method {name!r}, there are {', '.join(METHODS)}{hint}")
    if not parameter:
        return METHODS[name], PERCENTILE
    try:
        number = float(parameter) if name == "percentile" else np.nan
    except ValueError:
        number = np.nan
    if not 50 < number <= 100:
        takes = "a number above 50 and up to 100" if name == "percentile" else "no parameter"
        raise QuantizationError(f"range method {text!r}: {name} takes {takes}")
    return METHODS[name], number


def _minmax(tensor: TensorStatistics, grid: Grid, parameter: float) -> Range:
    """All that was seen."""
    return tensor.minimum, tensor.maximum


def _moving_average(tensor: TensorStatistics, grid: Grid, parameter: float) -> Range:
    """The mean, over the runs, of their minima and of their maxima: all runs weigh the same."""
    return tensor.average_minimum, tensor.average_maximum


def _percentile(tensor: TensorStatistics, grid: Grid, parameter: float) -> Range:
    """Leave out (100 - parameter) % of the elements at either end; of their magnitudes where symmetric."""
    lower, upper, counts = tensor.histogram()
    if grid.symmetric:
        near = np.where(lower * upper < 0, 0.0, np.minimum(np.abs(lower), np.abs(upper)))
        far = np.maximum(np.abs(lower), np.abs(upper))
        order = np.argsort(far, kind="stable")
        limit = _quantile(near[order], far[order], counts[order], parameter / 100)
        return max(tensor.minimum, -limit), min(tensor.maximum, limit)
    ends = (1 - parameter / 100, parameter / 100)
    low, high = (_quantile(lower, upper, counts, share) for share in ends)
    return low, high


def _quantile(lower: Array, upper: Array, counts: Array, share: float) -> float:
    """Return below which value a share of the elements lies, taking them as evenly spread in their bin."""
    sums = np.cumsum(counts)
    wanted = share * float(sums[-1])
    place = min(int(np.searchsorted(sums, wanted)), len(sums) - 1)
    within = (wanted - float(sums[place] - counts[place])) / float(counts[place])
    return float(lower[place] + (upper[place] - lower[place]) * min(max(within, 0.0), 1.0))


# -- squared error -----------------------------------------------------------------------------------------


def squared_error(tensor: TensorStatistics, low: float, high: float, grid: Grid) -> float:
    """Return the mean squared error of quantizing the histogram with a range.

    Inside, a step causes the variance of an even spread, step^2 / 12 (Widrow); outside, an element of a bin
    is as far off as its bin's centre.
    """
    bins = _Bins(tensor)
    error = bins.error(np.array([low]), np.array([high]), grid)
    return float(error[0, 0]) / max(tensor.count, 1)


class _Bins:
    """The filled bins as points, and what is lost by cutting them off at thresholds."""

    def __init__(self, tensor: TensorStatistics) -> None:
        lower, upper, counts = tensor.histogram()
        self.points, self.counts = (lower + upper) / 2, counts.astype(np.float64)

    def error(self, lows: Array, highs: Array, grid: Grid) -> Array:
        """Return the summed squared error of every pair of a lower and an upper end."""
        step = grid.span(lows[:, None], highs[None, :]) / (2**grid.bits - 1)
        below, lost_below = self._cut(-lows, -1)
        above, lost_above = self._cut(highs, 1)
        inside = np.maximum(self.counts.sum() - below[:, None] - above[None, :], 0.0)
        return inside * step**2 / 12 + lost_below[:, None] + lost_above[None, :]

    def _cut(self, limits: Array, sign: int) -> tuple[Array, Array]:
        """Return how many elements lie beyond each limit, and the sum of their squared distances to it."""
        beyond = np.maximum(sign * self.points[None, :] - limits[:, None], 0.0)
        return (beyond > 0) @ self.counts, beyond**2 @ self.counts


def _candidates(tensor: TensorStatistics, grid: Grid) -> tuple[Array, Array]:
    """Return the lower and the upper ends to try, the whole range last: both shrink towards zero."""
    shares = np.arange(1, CANDIDATES + 1) / CANDIDATES
    low, high = min(tensor.minimum, 0.0), max(tensor.maximum, 0.0)
    if grid.symmetric:
        limits = shares * max(-low, high)
        return np.maximum(-limits, tensor.minimum), np.minimum(limits, tensor.maximum)
    return (
        np.minimum(np.maximum(shares * low, tensor.minimum), tensor.maximum),
        np.maximum(np.minimum(shares * high, tensor.maximum), tensor.minimum),
    )


def _mse(tensor: TensorStatistics, grid: Grid, parameter: float) -> Range:
    """The ends with the least `squared_error`, of all pairs of candidates; the widest of equal ones."""
    lows, highs = _candidates(tensor, grid)
    errors = _Bins(tensor).error(lows, highs, grid)
    if grid.symmetric:
        best = int(np.argmin(np.diagonal(errors)[::-1]))
        place = (CANDIDATES - 1 - best,) * 2
    else:
        best = int(np.argmin(errors[::-1, ::-1]))
        place = (CANDIDATES - 1 - best // CANDIDATES, CANDIDATES - 1 - best % CANDIDATES)
    return float(lows[place[0]]), float(highs[place[1]])


# -- entropy -----------------------------------------------------------------------------------------------


def _entropy(tensor: TensorStatistics, grid: Grid, parameter: float) -> Range:
    """The ends whose quantized histogram tells least apart from the real one (Kullback-Leibler, TensorRT's).

    Where the grid is not symmetric, the upper end is chosen first, then the lower.
    """
    lows, highs = _candidates(tensor, grid)
    if grid.symmetric:
        spread = np.concatenate(([tensor.bins[HALF - 1]], tensor.bins[HALF:] + tensor.bins[: HALF - 1][::-1]))
        limits = np.maximum(-lows, highs)
        place = _least([_divergence(spread, 0, _number(limit, tensor), grid.bits - 1) for limit in limits])
        return float(lows[place]), float(highs[place])
    first, last = _number(lows[-1], tensor), _number(highs[-1], tensor)
    bins, center = tensor.bins, HALF - 1
    ends = [_number(high, tensor) for high in highs]
    above = _least([_divergence(bins, center + first, center + end, grid.bits) for end in ends])
    last = ends[above]
    starts = [_number(low, tensor) for low in lows]
    below = _least([_divergence(bins, center + start, center + last, grid.bits) for start in starts])
    return float(lows[below]), float(highs[above])


def _number(limit: float, tensor: TensorStatistics) -> int:
    """Return the number of the bin that holds a limit; zero always lies inside."""
    return int(np.trunc(limit / tensor.width))


def _least(values: list[float]) -> int:
    """Return the place of the least value, the last of equal ones: the widest range."""
    return len(values) - 1 - int(np.argmin(values[::-1]))


def _divergence(bins: Array, first: int, last: int, bits: int) -> float:
    """Return KL(P || Q) of the bins first..last: P holds what is cut off at its ends, Q is of 2^bits levels.

    Q spreads what falls to a level evenly over its filled bins. Fewer bins than levels are not compared: a
    histogram that coarse says nothing of the grid.
    """
    levels, size = 2**bits, last - first + 1
    kept = bins[first : last + 1].astype(np.float64)
    total = float(bins.sum())
    if size < levels and kept.sum() < total:
        return np.inf
    real = kept.copy()
    real[0] += bins[:first].sum()
    real[-1] += bins[last + 1 :].sum()
    level = np.arange(size) * levels // size
    filled = kept > 0
    sums = np.bincount(level, kept, minlength=1)
    spread = np.bincount(level, filled.astype(np.float64), minlength=1)
    quantized = np.where(filled, (sums / np.maximum(spread, 1.0))[level], 0.0)
    present = real > 0
    share = np.maximum(quantized[present] / max(float(kept.sum()), 1.0), 1e-12)
    chance = real[present] / total
    return float((chance * np.log(chance / share)).sum())


METHODS: dict[str, Method] = {
    "minmax": _minmax,
    "moving_average": _moving_average,
    "percentile": _percentile,
    "mse": _mse,
    "entropy": _entropy,
}
"""The methods by name; `percentile` takes a parameter behind a colon, 99.99 where there is none."""
