"""A FlatBuffer that is not trusted: every vector is checked against the file before it is used."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from litecast.errors import FormatError
from litecast.ir.op import Array
from litecast.tflite.schema import slots

__all__ = ["Source", "open_source", "refusing"]

BROKEN = (
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)
"""What the FlatBuffer library and numpy raise on bytes that make no sense."""


@contextmanager
def refusing(label: str) -> Iterator[None]:
    """Turn what broken bytes provoke into a FormatError that names the file."""
    try:
        yield
    except BROKEN as error:
        beyond = isinstance(error, struct.error) or str(error).startswith(
            ("buffer is smaller", "offset must be")
        )
        reason = "it refers to bytes behind its end" if beyond else str(error)
        raise FormatError(label, f"this TFLite model is broken or cut short: {reason}") from error


class Source:
    """The bytes of a file, and how much of what was read from them may still be referred to again.

    In a sound file each vector is referred to once. What a broken or hostile one can make the reader allocate
    is bounded by counting the bytes of all vectors that were visited.
    """

    def __init__(self, data: Array, label: str) -> None:
        self.data = data
        self.label = label
        self.view = memoryview(data)
        self._credit = 4 * len(data) + (1 << 16)

    def spend(self, count: int, what: str) -> None:
        """Account for a vector of `count` bytes; ValueError where it cannot be."""
        if count < 0 or count > len(self.data):
            raise ValueError(f"{what} of {count} bytes in a file of {len(self.data)}")
        self._credit -= count
        if self._credit < 0:
            raise ValueError(f"{what} are referred to again and again")

    def each(self, owner: Any, field: str) -> Iterator[Any]:
        """Yield the tables of a vector of tables."""
        count = getattr(owner, f"{field}Length")()
        self.spend(4 * count, field)
        for index in range(count):
            item = getattr(owner, field)(index)
            if item is None:
                raise ValueError(f"entry {index} of {field} is missing")
            yield self.known(item)

    def known(self, item: Any, name: str | None = None) -> Any:
        """Return the table unless it holds fields that the schema does not know (ValueError)."""
        place = getattr(item, "_tab", item)
        name = name or type(item).__name__
        (distance,) = struct.unpack_from("<i", self.view, place.Pos)
        start = place.Pos - distance
        if start < 0:
            raise ValueError(f"{name} lies outside the file")
        (size,) = struct.unpack_from("<H", self.view, start)
        for slot in range(slots(name), (size - 4) // 2):
            if struct.unpack_from("<H", self.view, start + 4 + 2 * slot)[0]:
                raise ValueError(
                    f"field {slot} of {name} is newer than the schema of the installed ai-edge-litert"
                )
        return item

    def numbers(self, owner: Any, field: str) -> list[int]:
        """Return a vector of numbers (absent: none)."""
        vector = getattr(owner, f"{field}AsNumpy")()
        if isinstance(vector, int):
            return []
        self.spend(vector.nbytes, field)
        result: list[int] = vector.tolist()
        return result

    def text(self, content: bytes | None) -> str:
        """Return a string (absent: empty)."""
        if content is None:
            return ""
        self.spend(len(content), "strings")
        return content.decode("utf-8", "surrogateescape")

    def bytes_at(self, offset: int, size: int) -> Array:
        """Return the bytes that lie at an offset of the file; ValueError where they do not."""
        if offset + size > len(self.data):
            raise ValueError(f"{size} bytes at {offset} lie outside the file of {len(self.data)}")
        return self.data[offset : offset + size]


def open_source(model: str | PathLike[str] | bytes) -> Source:
    """Map a file, or wrap bytes; raises FormatError where there is no TFLite FlatBuffer."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        label, data = "the model", np.frombuffer(model, np.uint8)
    else:
        label, data = fspath(model), _map(Path(model))
    if len(data) < 8 or data[4:8].tobytes() != b"TFL3":
        raise FormatError(label, "this is no TFLite model: the identifier TFL3 is missing")
    return Source(data, label)


def _map(path: Path) -> Array:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise FormatError(path, "the file is empty")
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except OSError as error:
        raise FormatError(path, error.strerror or str(error)) from error
