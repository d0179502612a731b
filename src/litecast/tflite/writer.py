"""The FlatBuffer writer: packs the metadata, streams the constants behind it and patches their places.

No constant is copied unless its encoding differs from its array, and one is held at a time.
"""

from __future__ import annotations

import io
import os
import struct
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, BinaryIO

from litecast.errors import InternalError
from litecast.ir.graph import Model, Value
from litecast.ir.types import DType
from litecast.tflite.buffers import encode, encoded_size
from litecast.tflite.metadata import Conversion
from litecast.tflite.packer import Packer
from litecast.tflite.quantization import Sparsity
from litecast.tflite.schema import schema
from litecast.tflite.tail import place_tail

__all__ = ["INLINE_LIMIT", "write", "write_to"]

INLINE_LIMIT = (1 << 31) - 1
"""Bytes above which constants lie outside the FlatBuffer, at Buffer.offset: FlatBuffers end below 2 GiB."""
ALIGNMENT = 16
HEAD, CHUNK = 1 << 12, 1 << 20
"""Bytes that tell most constants of one size apart; bytes that are compared at a time where they do not."""


def write(
    model: Model, *, conversion_metadata: Conversion | bool = True, inline_limit: int = INLINE_LIMIT
) -> bytes:
    """Return the model as a `.tflite` FlatBuffer; see `write_to`."""
    file = io.BytesIO()
    write_to(model, file, conversion_metadata=conversion_metadata, inline_limit=inline_limit)
    return file.getvalue()


def write_to(
    model: Model,
    file: BinaryIO,
    *,
    conversion_metadata: Conversion | bool = True,
    inline_limit: int = INLINE_LIMIT,
) -> None:
    """Write the model as a `.tflite` FlatBuffer to a seekable, readable file that is at its start.

    Raises UnsupportedError where the model holds operations that were not converted.
    """
    packer = Packer(model)
    sizes = [_size(value) for value in packer.constants]
    # Each constant may be preceded by its length and padding.
    total = sum(sizes) + 2 * ALIGNMENT * len(sizes)
    content = packer.pack(False, conversion_metadata)
    outside = len(content) + total > inline_limit
    if outside:
        content = packer.pack(True, conversion_metadata)
    file.write(content)
    places = _stream(packer.constants, sizes, file)
    options = [_append(file, options) for options in packer.outside_options]
    end = file.tell()
    file.write(place_tail(model.tail, end) if model.tail else b"")
    _patch_buffers(content, places, outside)
    _patch_options(content, options)
    file.seek(0)
    file.write(content)
    file.seek(0, os.SEEK_END)


def _size(value: Value) -> int:
    if isinstance(value.sparsity, Sparsity):
        return len(value.sparsity.data)
    return encoded_size(value.array() if value.dtype is DType.STRING else value.const, value.dtype)


def _data(value: Value) -> Any:
    return (
        value.sparsity.data.data
        if isinstance(value.sparsity, Sparsity)
        else encode(value.array(), value.dtype)
    )


def _stream(constants: Sequence[Value], sizes: Sequence[int], file: BinaryIO) -> list[tuple[int, int]]:
    """Write the constants, equal ones once, and return (offset, size) of each."""
    frequency = Counter(sizes)
    written: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
    places = []
    for value, size in zip(constants, sizes, strict=True):
        data = _data(value)
        if len(data) != size:
            raise InternalError(f"constant {value.name} takes {len(data)} bytes where its type takes {size}")
        alike: list[tuple[int, int]] = []
        if frequency[size] > 1:
            digest = blake2b(data[:HEAD], digest_size=16).digest()
            alike = written.setdefault((size, digest), alike)
        place = next((place for place in alike if _holds(file, place, data)), None)
        if place is None:
            place = _append(file, data)
            alike.append(place)
        places.append(place)
    file.write(bytes(-file.tell() % ALIGNMENT))
    return places


def _holds(file: BinaryIO, place: tuple[int, int], data: Any) -> bool:
    """Whether the file holds the data at a place; the file is left at its end."""
    position, size = place
    file.seek(position)
    same = all(file.read(len(part)) == part for part in (data[i : i + CHUNK] for i in range(0, size, CHUNK)))
    file.seek(0, os.SEEK_END)
    return same


def _append(file: BinaryIO, data: Any) -> tuple[int, int]:
    """Write a vector (its length, then its aligned data) and return offset and size of the data."""
    start = file.tell()
    position = start + 4 + -(start + 4) % ALIGNMENT
    file.write(bytes(position - 4 - start) + struct.pack("<I", len(data) & 0xFFFFFFFF))
    file.write(data)
    return position, len(data)


def _patch_buffers(content: bytearray, places: Sequence[tuple[int, int]], outside: bool) -> None:
    """Let each constant's buffer refer to where its data is."""
    root = schema().Model.GetRootAs(content)
    for index, (position, size) in enumerate(places, start=1):
        entry = root.Buffers(index)._tab
        if outside:
            struct.pack_into("<Q", content, entry.Pos + entry.Offset(6), position)
            struct.pack_into("<Q", content, entry.Pos + entry.Offset(8), size)
        else:
            field = entry.Pos + entry.Offset(4)
            struct.pack_into("<I", content, field, position - 4 - field)


def _patch_options(content: bytearray, places: Sequence[tuple[int, int]]) -> None:
    """Let the operators with large custom options, in file order, refer to where those are."""
    if not places:
        return
    root = schema().Model.GetRootAs(content)
    rest = iter(places)
    for graph in map(root.Subgraphs, range(root.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            if operator.LargeCustomOptionsOffset():
                position, size = next(rest)
                entry = operator._tab
                struct.pack_into("<Q", content, entry.Pos + entry.Offset(22), position)
                struct.pack_into("<Q", content, entry.Pos + entry.Offset(24), size)
