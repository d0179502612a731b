"""The structure of HDF5 files as h5py writes them by default, without the library, which broken files crash.

After the HDF5 file format specification 3.0: superblock 0 and 1 (II.A), groups as symbol tables (III.A to
III.D), object headers 1 (IV.A.1), global heaps (III.E). `Unusual` is raised for what newer libraries write on
request; every address is checked against the file, and everything is visited once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

__all__ = ["MAGIC", "Broken", "Entry", "Structure", "Unusual"]

MAGIC = b"\x89HDF\r\n\x1a\n"
UNDEFINED = (1 << 64) - 1
SPACE, LINK_INFO, TYPE, EXTERNAL, LINK, LAYOUT = 0x01, 0x02, 0x03, 0x07, 0x06, 0x08
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOLS, ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x15
_SHARED = 0x02
_FLOATS: dict[tuple[int, ...], Any] = {
    (2, 10, 5, 0, 10, 15): np.float16,
    (2, 7, 8, 0, 7, 127): ml_dtypes.bfloat16,
    (4, 23, 8, 0, 23, 127): np.float32,
    (8, 52, 11, 0, 52, 1023): np.float64,
}
"""IEEE types by size, place and size of the exponent, place and size of the mantissa, bias."""
_LARGEST_RANK, _LARGEST_SIZE = 32, 1 << 40
_NAME = 128
"""Bytes that most names fit in."""


class Broken(Exception):
    """The file contradicts itself."""


class Unusual(Exception):
    """The file is laid out in a way that only the library reads."""


@dataclass(frozen=True)
class Kind:
    """An element type: its size in the file, what numpy calls it (None: text of any length)."""

    size: int
    dtype: Any


@dataclass(frozen=True)
class Entry:
    """A dataset: shape, type, and where its bytes are (None: in chunks, filtered, or nowhere)."""

    shape: tuple[int, ...]
    kind: Kind
    offset: int | None
    external: bool


class Structure:
    """The objects of a file by path: `groups` with the addresses of their headers, and `datasets`."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data.data
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self._links = 0
        self.groups: dict[str, int] = {}
        self.datasets: dict[str, int] = {}
        root = self._superblock()
        pending, seen = [("", root)], set()
        while pending:
            path, address = pending.pop()
            if address in seen:
                continue
            messages = self._messages(address)
            tables = [offset for kind, offset, _ in messages if kind == SYMBOLS]
            if not tables:
                self._add_dataset(path, address, messages)
                continue
            seen.add(address)
            self.groups[path] = address
            found = [(f"{path}/{name}" if path else name, child) for name, child in self._members(tables[0])]
            pending.extend(reversed(found))
        if "" not in self.groups:
            raise Broken("has no root group")

    def entry(self, path: str) -> Entry:
        """Describe a dataset."""
        parts: dict[int, tuple[int, int]] = {}
        for kind, offset, size in self._messages(self.datasets[path]):
            parts[kind] = (offset, size)
        if not {SPACE, TYPE, LAYOUT} <= parts.keys():
            raise Broken("a dataset without a shape, a type or a layout")
        shape = self._shape(*parts[SPACE])
        element = self._kind(*parts[TYPE])
        filtered = FILTERS in parts
        return Entry(shape, element, None if filtered else self._place(*parts[LAYOUT]), EXTERNAL in parts)

    def attributes(self, path: str) -> dict[str, Any]:
        """Read the attributes of a group or dataset: text, lists of text, numbers and arrays of numbers."""
        address = self.groups[path] if path in self.groups else self.datasets[path]
        found = {}
        for kind, offset, size in self._messages(address):
            if kind == ATTRIBUTE_INFO:
                raise Unusual
            if kind == ATTRIBUTE:
                name, value = self._attribute(offset, size)
                found[name] = value
        return found

    # -- bytes -----------------------------------------------------------------------------------------------

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(layout, self._data, offset)
        except (struct.error, OverflowError):
            raise Broken(f"refers to {offset}, after its end") from None

    def _bytes(self, offset: int, size: int) -> bytes:
        if offset + size > len(self._data):
            raise Broken(f"refers to {offset + size}, after its end")
        return bytes(self._data[offset : offset + size])

    def _expect(self, offset: int, magic: bytes) -> None:
        if self._bytes(offset, len(magic)) != magic:
            raise Broken(f"has no {magic.decode()} where it should")

    def _text(self, offset: int, end: int) -> str:
        """Decode text that ends with a zero or at `end`."""
        pieces, limit = [], min(end, len(self._data))
        step = _NAME
        while offset < limit:
            piece, zero, _ = bytes(self._data[offset : min(offset + step, limit)]).partition(b"\0")
            pieces.append(piece)
            offset += step
            step *= 4
            if zero:
                break
        return b"".join(pieces).decode("utf-8", "surrogateescape")

    # -- objects ---------------------------------------------------------------------------------------------

    def _superblock(self) -> int:
        if self._bytes(0, len(MAGIC)) != MAGIC:
            raise Broken("does not begin as one")
        version, _, _, _, _, offsets, lengths = self._unpack("<7B", 8)
        if version > 1 or (offsets, lengths) != (8, 8):
            raise Unusual
        start = 24 + 4 * version
        base, _, end, _ = self._unpack("<4Q", start)
        if base:
            raise Unusual
        if end > len(self._data):
            raise Broken(f"is cut short: it has {len(self._data)} of {end} bytes")
        return self._unpack("<Q", start + 40)[0]

    def _messages(self, address: int) -> list[tuple[int, int, int]]:
        """Return type, place and size of the messages of an object header."""
        if self._bytes(address, 4) == b"OHDR":
            raise Unusual
        version, _, count, _, size = self._unpack("<BBHII", address)
        if version != 1:
            raise Broken(f"has an object header of version {version}")
        found: list[tuple[int, int, int]] = []
        blocks, seen = [(address + 16, size)], {address}
        while blocks and len(found) < count:
            start, size = blocks.pop(0)
            end = start + size
            while start + 8 <= end and len(found) < count:
                kind, length, flags = self._unpack("<HHB", start)
                place = start + 8
                if kind in (LINK_INFO, LINK) or (flags & _SHARED and kind in (SPACE, TYPE, ATTRIBUTE)):
                    raise Unusual
                if kind == CONTINUATION:
                    target, more = self._unpack("<QQ", place)
                    if target in seen:
                        raise Broken("has an object header that continues in itself")
                    seen.add(target)
                    blocks.append((target, more))
                if place + length > len(self._data):
                    raise Broken("has a message after its end")
                found.append((kind, place, length))
                start = place + length
        return found

    def _add_dataset(self, path: str, address: int, messages: list[tuple[int, int, int]]) -> None:
        if any(kind == LAYOUT for kind, _, _ in messages):
            self.datasets[path] = address

    def _members(self, place: int) -> Iterator[tuple[str, int]]:
        """Iterate over the hard links of a group, by its B-tree and the heap of its names."""
        tree, heap = self._unpack("<QQ", place)
        self._expect(heap, b"HEAP")
        size, _, names = self._unpack("<QQQ", heap + 8)
        for node in self._leaves(tree):
            self._expect(node, b"SNOD")
            (count,) = self._unpack("<H", node + 6)
            self._links += count
            if self._links * 40 > len(self._data):
                raise Broken("has more links than bytes for them")
            for index in range(count):
                entry = node + 8 + 40 * index
                name, header, cached = self._unpack("<QQI", entry)
                if cached != 2 and header != UNDEFINED:
                    yield self._text(names + name, names + size), header

    def _leaves(self, tree: int) -> Iterator[int]:
        pending, seen, levels = [tree], {tree}, {tree: -1}
        while pending:
            node = pending.pop()
            self._expect(node, b"TREE")
            kind, level, count = self._unpack("<BBH", node + 4)
            if kind or levels[node] not in (-1, level):
                raise Broken("has a B-tree of another kind where names should be")
            children = [self._unpack("<Q", node + 32 + 16 * index)[0] for index in range(count)]
            if level == 0:
                yield from children
                continue
            for child in reversed(children):
                if child in seen:
                    raise Broken("has a B-tree that contains itself")
                seen.add(child)
                levels[child] = level - 1
                pending.append(child)

    # -- messages --------------------------------------------------------------------------------------------

    def _shape(self, place: int, size: int) -> tuple[int, ...]:
        version, rank, _, kind = self._unpack("<4B", place)
        if version not in (1, 2) or rank > _LARGEST_RANK:
            raise Broken(f"has a shape of version {version} and rank {rank}")
        if version == 2 and kind == 2:
            raise Unusual
        shape = self._unpack(f"<{rank}Q", place + (8 if version == 1 else 4))
        if any(length > _LARGEST_SIZE for length in shape):
            raise Broken(f"has a shape of {max(shape)}")
        return shape

    def _kind(self, place: int, size: int) -> Kind:
        """Read a datatype message: numbers, text, and opaque bytes."""
        head, bits, _, _, width = self._unpack("<4BI", place)
        order = ">" if bits & 1 else "<"
        family = head & 0x0F
        if family == 0:
            offset, precision = self._unpack("<HH", place + 8)
            if offset or precision != 8 * width or width not in (1, 2, 4, 8):
                raise Unusual
            return Kind(width, np.dtype(f"{order}{'i' if bits & 8 else 'u'}{width}"))
        if family == 1:
            fields = self._unpack("<HHBBBBI", place + 8)
            dtype = _FLOATS.get((width, *fields[2:]))
            if fields[0] or fields[1] != 8 * width or dtype is None or bits & 0x40:
                raise Unusual
            if bits & 1 and dtype is ml_dtypes.bfloat16:
                raise Unusual
            return Kind(width, np.dtype(dtype).newbyteorder(order) if width > 1 else np.dtype(dtype))
        if family == 3:
            return Kind(width, np.dtype(f"S{width}")) if width else Kind(0, np.dtype("S1"))
        if family == 5:
            return Kind(width, np.dtype(f"V{width}"))
        if family == 8:
            base = self._kind(place + 8, size - 8)
            members = self._bytes(place + 8, max(size - 8, 0))
            is_bool = base.size == 1 and b"FALSE\0" in members and b"TRUE\0" in members
            return Kind(1, np.dtype(bool)) if is_bool else base
        if family == 9 and bits & 0x0F == 1:
            return Kind(16, None)
        raise Broken(f"has a type of class {family}")

    def _place(self, place: int, size: int) -> int | None:
        """Return where a dataset is stored in one piece, None where it is not."""
        version, kind = self._unpack("<BB", place)
        if version == 3:
            if kind == 0:
                return place + 4
            if kind == 1:
                (address,) = self._unpack("<Q", place + 2)
                return None if address == UNDEFINED else address
            if kind == 2:
                return None
        if version in (1, 2, 4):
            raise Unusual
        raise Broken(f"has a dataset layout of version {version} and class {kind}")

    def _attribute(self, place: int, size: int) -> tuple[str, Any]:
        version, flags, name, kind, space = self._unpack("<BBHHH", place)
        if version not in (1, 2, 3) or (version > 1 and flags):
            raise Unusual if version in (2, 3) else Broken(f"has an attribute of version {version}")
        start = place + (9 if version == 3 else 8)
        sizes = [(length + 7) // 8 * 8 if version == 1 else length for length in (name, kind, space)]
        label = self._text(start, start + name)
        element = self._kind(start + sizes[0], kind)
        shape = self._shape(start + sizes[0] + sizes[1], space)
        data = start + sum(sizes)
        count = 1
        for length in shape:
            count *= length
        if data + count * element.size > place + size:
            raise Broken(f"has an attribute {label!r} that is longer than its message")
        return label, self._values(element, shape, data, count)

    def _values(self, element: Kind, shape: tuple[int, ...], place: int, count: int) -> Any:
        if element.dtype is None:
            texts = [self._heap_text(place + 16 * index) for index in range(count)]
        elif element.dtype.kind == "S":
            ends = [
                (place + element.size * index, place + element.size * (index + 1)) for index in range(count)
            ]
            texts = [self._text(start, end) for start, end in ends]
        else:
            array = np.frombuffer(self._bytes(place, count * element.size), element.dtype)
            return array.reshape(shape).tolist() if shape else array[0].item()
        return texts if shape else texts[0]

    def _heap_text(self, place: int) -> str:
        """Follow a reference to text in a global heap."""
        length, address, index = self._unpack("<IQI", place)
        if not length:
            return ""
        if address not in self._heaps:
            self._heaps[address] = dict(self._collection(address))
        if index not in self._heaps[address]:
            raise Broken("refers to text that is not there")
        start, size = self._heaps[address][index]
        return self._text(start, start + min(length, size))

    def _collection(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        self._expect(address, b"GCOL")
        (total,) = self._unpack("<Q", address + 8)
        place, end = address + 16, address + total
        if end > len(self._data):
            raise Broken("has a heap after its end")
        while place + 16 <= end:
            index, _, _, size = self._unpack("<HHIQ", place)
            if index == 0:
                return
            if place + 16 + size > end:
                raise Broken("has text after the end of its heap")
            yield index, (place + 16, size)
            place += 16 + (size + 7) // 8 * 8
