"""What looks wrong with calibration data although it fits the model: named warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np

from litecast.ir.op import Array

__all__ = ["ENOUGH", "DataWarning", "Lint"]

ENOUGH = 16
"""Samples of a signature below which ranges depend on which ones they are."""
SLACK = 0.1
"""The share of a declared range by which data may exceed it, and which it must cover at least."""

Declared = tuple[float, float]


@dataclass(frozen=True)
class DataWarning:
    """One finding: its kind, the signature, the input (empty: all of it), and what to know of it."""

    kind: str
    signature: str
    input: str
    text: str

    def __str__(self) -> str:
        place = f"input {self.input} of {self.signature}" if self.input else f"signature {self.signature}"
        return f"calibration data, {place}: {self.text} [{self.kind}]"


class _Seen:
    """What one input held over all samples."""

    def __init__(self, array: Array, index: int) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self.low, self.high = np.inf, -np.inf
        self.samples = 0
        self.infinite: int | None = None
        self.same = True
        self._first = _digest(array)
        self.add(array, index)

    def add(self, array: Array, index: int) -> None:
        self.samples += 1
        self.same = self.same and (self.samples == 1 or _digest(array) == self._first)
        if array.dtype.kind not in "biuf":
            return
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            self.infinite = index if self.infinite is None else self.infinite
            array = array[np.isfinite(array)]
        if array.size:
            self.low, self.high = min(self.low, float(array.min())), max(self.high, float(array.max()))

    def fits(self, declared: Declared) -> bool:
        """Whether the data lies in a range, but for the slack, and covers a part of it."""
        low, high = declared
        slack = SLACK * (high - low)
        return low - slack <= self.low and self.high <= high + slack and self.high - self.low >= slack

    @property
    def range(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"


def _digest(array: Array) -> bytes:
    content = repr(array.tolist()).encode() if array.dtype.kind == "O" else np.ascontiguousarray(array).data
    return blake2b(content, digest_size=8).digest()


class Lint:
    """Watches samples; `declared` are the ranges that inputs should have, by input name."""

    def __init__(self, signatures: Mapping[str, object], declared: Mapping[str, Declared]) -> None:
        self._signatures, self._declared = list(signatures), declared
        self._seen: dict[str, dict[str, _Seen]] = {}

    def see(self, signature: str, inputs: Mapping[str, Array], index: int) -> None:
        """Take note of a sample."""
        held = self._seen.setdefault(signature, {})
        for name, array in inputs.items():
            if name in held:
                held[name].add(array, index)
            else:
                held[name] = _Seen(array, index)

    def warnings(self) -> list[DataWarning]:
        """Return what was found."""
        found = []
        for signature in self._signatures:
            held = self._seen.get(signature, {})
            found += [DataWarning(kind, signature, "", text) for kind, text in _counted(signature, held)]
            for name, seen in held.items():
                found += [DataWarning(kind, signature, name, text) for kind, text in self._of(name, seen)]
            found += [DataWarning("order", signature, name, text) for name, text in self._orders(held)]
        return found if self._seen else []

    def _of(self, name: str, seen: _Seen) -> Iterator[tuple[str, str]]:
        if seen.infinite is not None:
            yield "infinite", f"sample {seen.infinite} is the first that holds infinities; they are left out"
        if seen.low == seen.high == 0:
            yield "all-zero", "all samples are zero"
        elif seen.low == seen.high:
            yield "constant", f"all elements of all samples are {seen.low:g}"
        declared = self._declared.get(name)
        if declared is not None and np.isfinite(seen.low) and not seen.fits(declared):
            yield (
                "range",
                f"the samples go from {seen.range}, the declared preprocessing gives {declared[0]:g} to "
                f"{declared[1]:g}",
            )

    def _orders(self, held: Mapping[str, _Seen]) -> Iterator[tuple[str, str]]:
        """Yield pairs of like inputs each of which lies in the other's declared range and not in its own."""
        known = {name: self._declared[name] for name in held if name in self._declared}
        for (one, first), (two, second) in combinations(known.items(), 2):
            left, right = held[one], held[two]
            alike = (left.shape, left.dtype) == (right.shape, right.dtype)
            if (
                alike
                and left.fits(second)
                and right.fits(first)
                and not (left.fits(first) or right.fits(second))
            ):
                yield one, f"it looks as if it were exchanged with {two}: {left.range} against {right.range}"


def _counted(signature: str, held: Mapping[str, _Seen]) -> Iterator[tuple[str, str]]:
    count = next((seen.samples for seen in held.values()), 0)
    if not count:
        yield "unseen-signature", "there is no sample of it"
    elif count < ENOUGH:
        yield "few-samples", f"there are only {count} samples; {ENOUGH} or more make ranges that hold"
    if count > 1 and all(seen.same for seen in held.values()):
        yield "same-samples", f"all {count} samples are the same"
