"""The public functions: load a source, convert it, save it, run it and verify it."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litecast.compare import TOLERANCE, Step, Verification, check, read_reference
from litecast.errors import ConvertError, FormatError, VerificationError
from litecast.files import replacing
from litecast.ir.graph import Model
from litecast.report import Report, SignatureInfo, describe, op_counts, weight_bytes

if TYPE_CHECKING:
    from litecast.tflite.runtime import Runtime

__all__ = ["Converted", "convert", "load", "save", "verify"]

Source = str | PathLike[str]
Progress = Callable[[str], None]


class Converted:
    """A converted model: a `.tflite` in a temporary file that lives as long as this object, and the report.

    Calling it runs it in LiteRT: `converted(image)` or `converted(image=image)` for a single signature, else with
    `signature=`. It returns the outputs by name. One interpreter serves all calls, so variables keep their state.
    """

    def __init__(self, path: Path, report: Report) -> None:
        self.path = path
        self.report = report
        self._runtime: Runtime | None = None

    @property
    def content(self) -> bytes:
        """The bytes of the `.tflite`."""
        return self.path.read_bytes()

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """Inputs and outputs of every signature, in the model's order."""
        return self.report.signatures

    @property
    def runtime(self) -> Runtime:
        """The interpreter that calls run on."""
        if self._runtime is None:
            from litecast.tflite.runtime import Runtime

            self._runtime = Runtime(self.path)
        return self._runtime

    def save(model: Model, path: Source, *, conversion_metadata: bool = True) -> Path:
    """Write a Model as a `.tflite`, whole or not at all, and return the path."""
    from litecast.tflite.writer import write_to

    with replacing(path) as temporary, open(temporary, "w+b") as file:
        write_to(model, file, conversion_metadata=conversion_metadata)
    return Path(path)


def verify(
    model: Source | bytes | Converted, reference: Source | Sequence[Step], *, tolerance: float = TOLERANCE
) -> Verification:
    """Run a `.tflite` (path, bytes or Converted) on the steps of a reference and compare all outputs named there."""
    from litecast.tflite.runtime import Runtime

    steps = read_reference(reference) if isinstance(reference, (str, os.PathLike)) else list(reference)
    runtime = Runtime(model.path if isinstance(model, Converted) else model)
    return check(runtime, steps, tolerance)


def _is_tflite(source: Source) -> bool:
    """Whether a path is a `.tflite`: by the file identifier, or by its name where it is too short to have one."""
    path = Path(fspath(source))
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror})") from error
    return start[4:] == b"TFL3" or path.suffix == ".tflite"


def _temporary_path() -> Path:
    handle, name = tempfile.mkstemp(suffix=".tflite", prefix="litecast-")
    os.close(handle)
    return Path(name)
