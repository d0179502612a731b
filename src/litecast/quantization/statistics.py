"""What tensors held over many runs, in memory that does not grow: extremes, moments and a histogram of each.

The bins of a histogram are a power of two wide and lie around zero, so that histograms of different runs
merge exactly: the same counts come out whatever the order and the grouping of what was seen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from os import PathLike, fspath
from typing import Any

import numpy as np

from litecast.errors import FormatError, QuantizationError
from litecast.ir.graph import Graph, Model, Value
from litecast.ir.op import Array
from litecast.ir.types import DType

__all__ = ["HALF", "Key", "Statistics", "TensorStatistics", "tensor_keys"]

HALF = 2048
"""Bins on either side of zero. The one at zero, number HALF - 1, reaches to both sides."""
CHUNK, ROW = 1 << 16, 1 << 9
"""Elements that are counted at a time (they and what is made of them stay in the cache), and that are summed
in float32, which leaves an error near 1e-8; the rest is float64."""
LARGE = 1e15
"""Magnitude above which squares are float64, for they would leave the range of float32."""
SMALLEST = -116
"""The least exponent of a range: the reciprocal of its bins' width is still a float32."""
FORMAT = 1

Key = tuple[str, str]
"""A graph's name and a tensor's name in it, see `tensor_keys`."""


class TensorStatistics:
    """What one tensor held: NaN and infinities are counted apart, all else is of the finite elements.

    Bin `HALF - 1 + i` counts the elements `x` with `trunc(x / width) == i`. The range of the histogram, which
    is `HALF * width = 2 ** exponent`, is the smallest power of two above all magnitudes.
    """

    __slots__ = (
        *("bins", "count", "exponent", "infinities", "maximum", "minimum", "nans", "squares"),
        *("sum_of_maxima", "sum_of_minima", "total", "updates"),
    )
    INTEGERS = ("count", "updates", "nans", "infinities", "exponent")
    REALS = ("minimum", "maximum", "sum_of_minima", "sum_of_maxima", "total", "squares")

    def __init__(self) -> None:
        self.count = self.updates = self.nans = self.infinities = 0
        self.minimum, self.maximum = np.inf, -np.inf
        self.sum_of_minima = self.sum_of_maxima = self.total = self.squares = 0.0
        self.exponent = SMALLEST
        self.bins = np.zeros(2 * HALF - 1, np.int64)

    # -- feeding ---------------------------------------------------------------------------------------------

    def update(self, array: Array) -> None:
        """Add what the tensor held in one run. An array without finite elements only counts those it has."""
        flat = np.ascontiguousarray(array, np.float32).ravel()
        if not flat.size:
            return
        with np.errstate(invalid="ignore"):
            low, high = float(flat.min()), float(flat.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            flat = self._finite(flat)
            if not flat.size:
                return
            low, high = float(flat.min()), float(flat.max())
        self.updates += 1
        self.count += flat.size
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        self.sum_of_minima += low
        self.sum_of_maxima += high
        largest = max(-low, high)
        self._grow(int(np.frexp(largest)[1]) if largest else SMALLEST)
        self._add(flat, low)

    def _finite(self, flat: Array) -> Array:
        nans = int(np.isnan(flat).sum())
        finite = flat[np.isfinite(flat)]
        self.nans += nans
        self.infinities += flat.size - finite.size - nans
        return finite

    def _add(self, flat: Array, low: float) -> None:
        scale = np.float32(1 / self.width)
        first = int(np.float32(low) * scale)
        bins = self.bins[HALF - 1 + first :]
        for start in range(0, flat.size, CHUNK):
            part = flat[start : start + CHUNK]
            numbers = (part * scale).astype(np.int32)
            numbers -= first
            counts = np.bincount(numbers)
            bins[: len(counts)] += counts
            total, squares = _moments(part, self.width * HALF > LARGE)
            self.total += total
            self.squares += squares

    def _grow(self, exponent: int) -> None:
        """Double the width of the bins until the range is 2 ** exponent."""
        # Twelve times, and all is in the bin at zero.
        for _ in range(min(exponent - self.exponent, HALF.bit_length())):
            self.bins = _halved(self.bins)
        self.exponent = max(exponent, self.exponent)

    def merge(self, other: TensorStatistics) -> None:
        """Add what was seen elsewhere, as if it had been seen here."""
        self._grow(other.exponent)
        bins = other.bins
        for _ in range(min(self.exponent - other.exponent, HALF.bit_length())):
            bins = _halved(bins)
        self.bins = self.bins + bins
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        added = ("count", "updates", "nans", "infinities", "total", "squares")
        for name in (*added, "sum_of_minima", "sum_of_maxima"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    # -- what is known ---------------------------------------------------------------------------------------

    @property
    def width(self) -> float:
        """The width of a bin (the one at zero reaches as far to either side)."""
        return float(2.0**self.exponent / HALF)

    @property
    def mean(self) -> float:
        """Mean of the elements; 0 where there are none."""
        return self.total / self.count if self.count else 0.0

    @property
    def std(self) -> float:
        """Standard deviation of the elements."""
        return float(np.sqrt(max(self.squares / self.count - self.mean**2, 0.0))) if self.count else 0.0

    @property
    def average_minimum(self) -> float:
        """Mean of the minima of the runs."""
        return self.sum_of_minima / self.updates if self.updates else 0.0

    @property
    def average_maximum(self) -> float:
        """Mean of the maxima of the runs."""
        return self.sum_of_maxima / self.updates if self.updates else 0.0

    def histogram(self) -> tuple[Array, Array, Array]:
        """Return (lower edges, upper edges, counts) of the bins that hold anything, cut to [min, max]."""
        filled = np.flatnonzero(self.bins)
        number = filled - (HALF - 1)
        lower = np.where(number > 0, number, number - 1) * self.width
        upper = np.where(number < 0, number, number + 1) * self.width
        counts = self.bins[filled]
        return np.maximum(lower, self.minimum), np.minimum(upper, self.maximum), counts


def _moments(part: Array, large: bool) -> tuple[float, float]:
    """Return the sum and the sum of squares."""
    if large or part.size % ROW:
        wide = part.astype(np.float64)
        return float(wide.sum()), float((wide * wide).sum())
    rows = part.reshape(-1, ROW)
    squares = np.einsum("ij,ij->i", rows, rows)
    return float(rows.sum(axis=1).sum(dtype=np.float64)), float(squares.sum(dtype=np.float64))


def _halved(bins: Array) -> Array:
    """Return the counts in bins of twice the width."""
    center = HALF - 1
    result = np.zeros_like(bins)
    result[center] = bins[center]
    for side in (slice(center, None), slice(center, None, -1)):
        pairs = bins[side].copy()
        pairs[0] = 0
        result[side][: HALF // 2] += pairs.reshape(-1, 2).sum(axis=1)
    return result


# -- all tensors of a model --------------------------------------------------------------------------------


class Statistics:
    """Statistics by tensor, and how many samples of each signature they are of."""

    def __init__(self) -> None:
        self.tensors: dict[Key, TensorStatistics] = {}
        self.samples: dict[str, int] = {}

    def __getitem__(self, key: Key) -> TensorStatistics:
        """Return the statistics of a tensor, new ones where nothing was seen of it."""
        return self.tensors.setdefault(key, TensorStatistics())

    def merge(self, other: Statistics) -> None:
        """Add what was seen in other runs of the same model."""
        for key, tensor in other.tensors.items():
            self[key].merge(tensor)
        for signature, count in other.samples.items():
            self.samples[signature] = self.samples.get(signature, 0) + count

    def of(self, model: Model) -> dict[Value, TensorStatistics]:
        """Return the statistics by value of a model; what never ran (a branch not taken) is not in it.

        Raises QuantizationError where they are of tensors that the model does not have.
        """
        keys = tensor_keys(model)
        unknown = self.tensors.keys() - set(keys.values())
        if unknown:
            graph, name = min(unknown)
            raise QuantizationError(
                f"the calibration statistics are of another model: {len(unknown)} of their "
                f"{len(self.tensors)} tensors are not in this one, such as {name} in graph {graph}"
            )
        return {value: self.tensors[key] for value, key in keys.items() if key in self.tensors}

    def save(self, path: str | PathLike[str]) -> None:
        """Write an `.npz`, whole or not at all."""
        temporary = f"{fspath(path)}.{os.getpid()}.tmp"
        try:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **self._arrays())
            os.replace(temporary, path)
        except OSError as error:
            raise FormatError(path, f"cannot be written ({error.strerror})") from error
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)

    def _arrays(self) -> dict[str, Any]:
        keys = sorted(self.tensors)
        held = [self.tensors[key] for key in keys]
        filled = [np.flatnonzero(tensor.bins) for tensor in held]
        counts = [tensor.bins[places] for tensor, places in zip(held, filled, strict=True)]
        empty = [np.zeros(0, np.int64)]
        head = {"format": FORMAT, "half": HALF, "keys": keys, "samples": self.samples}
        return {
            "head": np.frombuffer(json.dumps(head, sort_keys=True).encode(), np.uint8),
            "integers": _rows(held, TensorStatistics.INTEGERS, np.int64),
            "reals": _rows(held, TensorStatistics.REALS, np.float64),
            "filled": np.array([len(places) for places in filled], np.int64),
            "places": np.concatenate(empty + filled),
            "counts": np.concatenate(empty + counts),
        }

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Statistics:
        """Read what `save` wrote; FormatError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise FormatError(path, "there is no such file") from None
        except Exception as error:  # numpy raises many kinds for a broken archive
            raise FormatError(path, f"cannot be read as calibration statistics ({error})") from error
        try:
            return cls._parsed(arrays)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise FormatError(path, f"holds no calibration statistics ({error})") from error

    @classmethod
    def _parsed(cls, arrays: Mapping[str, Array]) -> Statistics:
        head = json.loads(arrays["head"].tobytes())
        if (head["format"], head["half"]) != (FORMAT, HALF):
            raise ValueError(f"they are of format {head['format']} with {head['half']} bins")
        result = cls()
        result.samples = {str(key): int(count) for key, count in head["samples"].items()}
        ends = np.cumsum(arrays["filled"])
        rows = zip(head["keys"], arrays["integers"], arrays["reals"], arrays["filled"], ends, strict=True)
        for (graph, name), integers, reals, filled, end in rows:
            tensor = result[graph, name]
            for field, number in zip(TensorStatistics.INTEGERS, integers, strict=True):
                setattr(tensor, field, int(number))
            for field, number in zip(TensorStatistics.REALS, reals, strict=True):
                setattr(tensor, field, float(number))
            tensor.bins[arrays["places"][end - filled : end]] = arrays["counts"][end - filled : end]
            if tensor.bins.sum() != tensor.count:
                raise ValueError(f"the histogram of {name} does not add up")
        return result


def _rows(held: list[TensorStatistics], fields: tuple[str, ...], dtype: Any) -> Array:
    rows = [[getattr(tensor, field) for field in fields] for tensor in held]
    return np.array(rows, dtype).reshape(len(held), len(fields))


def tensor_keys(model: Model) -> dict[Value, Key]:
    """Return the key of every FLOAT32 tensor that is no constant: its graph's name and its own.

    The second of a name is `name#1`, the third `name#2`: by the order of the graphs in the model and of the
    values in their graph, which a file keeps.
    """
    keys: dict[Value, Key] = {}
    names = _Names()
    for graph in model.all_graphs():
        name, inner = names.unique(graph.name), _Names()
        keys.update((value, (name, inner.unique(value.name))) for value in _floats(graph))
    return keys


def _floats(graph: Graph) -> Iterator[Value]:
    for value in graph.values():
        if value.dtype is DType.FLOAT32 and value.const is None:
            yield value


class _Names:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def unique(self, name: str) -> str:
        count = self.counts[name] = self.counts.get(name, -1) + 1
        return f"{name}#{count}" if count else name
