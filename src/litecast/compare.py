"""Compare results with reference values: relative error means max|a-b| / max|reference|, everywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from litecast.errors import ConvertError, FormatError

if TYPE_CHECKING:
    from litecast.tflite.runtime import Runtime

__all__ = [
    "TOLERANCE",
    "OutputCheck",
    "Step",
    "Verification",
    "check",
    "check_arrays_file",
    "compare",
    "read_reference",
]

TOLERANCE = 1e-4
"""Relative error below which an output counts as equal."""
_ARRAY, _ARCHIVE = b"\x93NUMPY", b"PK"
_APART = (np.inf, np.inf, 0.0, False)
"""The figures of arrays that cannot be compared number by number."""


@dataclass(frozen=True)
class Step:
    """A call of a signature (None: the only one) and the outputs it must give. Steps run in order."""

    name: str
    signature: str | None
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


@dataclass(frozen=True)
class OutputCheck:
    """How one output compares with its reference; `note` says what makes the comparison impossible."""

    step: str
    signature: str | None
    output: str
    max_abs: float
    relative: float
    cosine: float
    ok: bool
    note: str = ""


@dataclass(frozen=True)
class Verification:
    """The checks of all outputs of all steps against one tolerance."""

    checks: tuple[OutputCheck, ...]
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether every output is within the tolerance."""
        return all(item.ok for item in self.checks)

    @property
    def worst(self) -> OutputCheck:
        """The check with the largest relative error."""
        return max(self.checks, key=lambda item: (not item.ok, np.nan_to_num(item.relative, nan=np.inf)))


def compare(
    actual: Any, reference: Any, tolerance: float = TOLERANCE
) -> tuple[float, float, float, bool, str]:
    """Return (max abs error, relative error, cosine, within tolerance, note) of two arrays.

    NaN equals NaN and an infinity itself. Strings and booleans must be equal. Where all of the reference is
    zero, the absolute error is the relative one.
    """
    actual, reference = np.asarray(actual), np.asarray(reference)
    if actual.shape != reference.shape:
        return *_APART, f"shape {list(actual.shape)}, the reference has {list(reference.shape)}"
    if actual.dtype.kind in "OSU" or reference.dtype.kind in "OSU":
        same = bool(np.array_equal(actual.astype(object), reference.astype(object)))
        return (0.0, 0.0, 1.0, True, "") if same else (*_APART, "strings differ")
    if reference.size == 0:
        return 0.0, 0.0, 1.0, True, ""
    kinds = actual.dtype.kind + reference.dtype.kind
    if set(kinds) <= set("biu") and ("b" in kinds or np.array_equal(actual, reference)):
        same = bool(np.array_equal(actual, reference))
        return (0.0, 0.0, 1.0, True, "") if same else (*_APART, "booleans differ")
    kind = np.complex128 if "c" in kinds else np.float64
    one, two = actual.astype(kind).ravel(), reference.astype(kind).ravel()
    finite = np.isfinite(one) & np.isfinite(two)
    alike = finite | (one == two) | (np.isnan(one) & np.isnan(two))
    if not alike.all():
        return *_APART, f"{int((~alike).sum())} of {one.size} values are not finite where the other's are"
    one, two = one[finite], two[finite]
    error = float(np.abs(one - two).max(initial=0.0))
    if set(kinds) <= set("iu"):
        error = max(error, 1.0)  # they differ, though float64 may not tell
    largest = float(np.abs(two).max(initial=0.0))
    relative = error / largest if largest else error
    norms = float(np.linalg.norm(one) * np.linalg.norm(two))
    cosine = float(np.vdot(two, one).real / norms) if norms else float(error == 0)
    return error, relative, cosine, relative <= tolerance, ""


def check(runtime: Runtime, steps: list[Step], tolerance: float = TOLERANCE) -> Verification:
    """Run the steps in order on one runtime and compare every output that a step names."""
    if not tolerance >= 0:
        raise ConvertError(f"the tolerance is {tolerance:g}: it must be a number from 0 on")
    checks = []
    for step in steps:
        results = runtime.run(step.inputs, signature=step.signature)
        missing = [name for name in step.outputs if name not in results]
        if missing:
            raise ConvertError(
                f"the reference names an output {missing[0]!r} that the model does not have; "
                f"it has: {', '.join(results)}"
            )
        for name, reference in step.outputs.items():
            max_abs, relative, cosine, ok, note = compare(results[name], reference, tolerance)
            checks.append(OutputCheck(step.name, step.signature, name, max_abs, relative, cosine, ok, note))
    if not checks:
        raise ConvertError("the reference holds no outputs to compare with")
    return Verification(tuple(checks), tolerance)


def check_arrays_file(path: str | PathLike[str], *kinds: bytes) -> None:
    """Raise FormatError where a file is missing or does not start as one of these kinds (default: both)."""
    names = {_ARRAY: ".npy", _ARCHIVE: ".npz"}
    kinds = kinds or tuple(names)
    try:
        with open(path, "rb") as file:
            start = file.read(max(map(len, names)))
    except FileNotFoundError:
        raise FormatError(path, "there is no such file") from None
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror})") from error
    if not start.startswith(kinds):
        raise FormatError(path, f"is no {' or '.join(names[kind] for kind in kinds)} file")


def read_reference(path: str | PathLike[str]) -> list[Step]:
    """Read the steps of an `.npz` from its keys.

    They are `STEP::SIGNATURE::in|out::NAME`, or `in::NAME` and `out::NAME` for a single step, and `meta`,
    which is free text. Steps run in the order of their names. Raises FormatError for a missing or broken file
    and for keys of another form.
    """
    check_arrays_file(path, _ARCHIVE)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files if key != "meta"}
    except Exception as error:  # numpy raises many kinds for a broken archive
        raise FormatError(path, f"cannot be read as an .npz ({error})") from error
    steps: dict[tuple[str, str | None], Step] = {}
    for key, array in arrays.items():
        place = _PLACE.fullmatch(key)
        if place is None:
            raise FormatError(path, f"key {key!r} has not the form STEP::SIGNATURE::in|out::NAME")
        call = (place["step"] or "0", place["signature"])
        step = steps.setdefault(call, Step(*call, {}, {}))
        (step.inputs if place["side"] == "in" else step.outputs)[place["name"]] = array
    return sorted(
        steps.values(),
        key=lambda step: (len(step.name), step.name) if step.name.isdigit() else (99, step.name),
    )


_PLACE = re.compile(r"(?:(?P<step>.+?)::(?P<signature>.+?)::)?(?P<side>in|out)::(?P<name>.+)")
