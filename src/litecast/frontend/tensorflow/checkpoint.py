"""Read a TensorFlow checkpoint (tensor bundle V2): `PREFIX.index` and its memory-mapped data shards.

Tensors are read-only views into the shards, at any alignment; only strings and those that are byte-swapped or
partitioned are copied. The format is that of tensorflow/core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from litecast.errors import FormatError
from litecast.frontend.tensorflow.crc32c import crc32c, unmask
from litecast.frontend.tensorflow.proto import (
    BundleEntryProto,
    BundleHeaderProto,
    DecodeError,
    Message,
    TrackableObjectGraph,
)
from litecast.frontend.tensorflow.proto.tensor import constant_shape, dtype_from_enum
from litecast.frontend.tensorflow.proto.wire import read_varints, split_strings
from litecast.frontend.tensorflow.sstable import read_table

__all__ = ["Checkpoint"]

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VERSION = 1
_BIG = 1
_READ = 1 << 12  # bytes up to which data is checked where it is mapped
# Longer data is read in such pieces.
_PIECE = 1 << 20
_CHECKED = 1 << 25  # bytes of shards that are checked in passing: 0.1 s
_SEARCHED = 1000  # names, and characters of a name, among which the nearest to a wrong one are looked for


class Checkpoint:
    """The tensors of a checkpoint by name; the shards are opened when first needed and stay mapped."""

    def __init__(self, prefix: str | os.PathLike[str]) -> None:
        self.prefix = Path(prefix)
        self.path = self.prefix.with_name(self.prefix.name + ".index")
        self._table = read_table(self.path)
        self._entries: dict[bytes, BundleEntryProto] = {}
        self._shards: dict[int, np.ndarray] = {}
        self._checked: set[str] = set()
        header = BundleHeaderProto()
        if b"" not in self._table:
            raise FormatError(self.path, "has no header: it is no checkpoint index")
        self._parse(header, self._table[b""], "its header")
        if header.version.min_consumer > _VERSION:
            raise FormatError(self.path, f"needs a reader of version {header.version.min_consumer}")
        if header.num_shards < 1:
            raise FormatError(self.path, f"is said to have {header.num_shards} data files")
        self.shards: int = header.num_shards
        self.byteorder: Literal["big", "little"] = "big" if header.endianness == _BIG else "little"

    def keys(self) -> Iterator[str]:
        """Iterate over the names of the tensors, in the index's order."""
        return (_text(key) for key in self._table if key and not key.startswith(b"\0"))

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __len__(self) -> int:
        return sum(1 for _ in self.keys())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(key) and _name(key) in self._table

    def shape_dtype(self, key: str) -> tuple[tuple[int, ...], np.dtype]:
        """Give the shape and numpy type of a tensor without touching its data."""
        return self._described(self._entry(_name(key)), key)

    def tensor(self, key: str) -> np.ndarray:
        """Give the contents of a tensor, read-only; strings are objects holding `bytes`.

        The checksums of a checkpoint that is not very long are compared; `verify` does so for any.
        """
        entry = self._entry(_name(key))
        tensor = self._assembled(entry, key) if entry.slices else self._whole(entry, key)
        self._check_in_passing(key)
        return tensor

    def part(self, key: str, shape_and_slice: str) -> np.ndarray:
        """Give the part of a tensor that an input `shape_and_slices` of RestoreV2 describes; all for "".

        The description is the whole shape, then `start,length` or `-` for each dimension: "20 8 10,10:-"
        (`ParseShapeAndSlice` in tensorflow/core/util/saved_tensor_slice_util.cc).
        """
        if not shape_and_slice:
            return self.tensor(key)
        shape, _ = self.shape_dtype(key)
        wanted, extents = self._parsed(shape_and_slice, key)
        if wanted != shape:
            raise FormatError(
                self.path, f"{key!r} has the shape {shape}, but the graph restores it as {wanted}"
            )
        region = self._region(extents, shape, key)
        stored = _slice_name(_name(key), extents)
        self._check_in_passing(key)
        return self._stored(stored, region, key) if stored in self._table else self.tensor(key)[region]

    def verify(self, key: str) -> None:
        """Compare the data of a tensor with its checksum; raise FormatError where they differ."""
        entry = self._entry(_name(key))
        shape, dtype = self._described(entry, key)
        if entry.slices:
            for name, region in self._slices(entry, shape, key):
                self._check(self._entry(name, key), f"{key} {region}")
        elif dtype.kind != "O":
            self._check(entry, key)
        else:
            self._whole(entry, key)

    def object_graph(self) -> TrackableObjectGraph | None:
        """Give the graph of the objects that own the tensors; None in a checkpoint of TensorFlow 1."""
        if OBJECT_GRAPH_KEY not in self:
            return None
        graph = TrackableObjectGraph()
        self._parse(graph, self.tensor(OBJECT_GRAPH_KEY).item(), "its object graph")
        return graph

    @cached_property
    def _is_short(self) -> bool:
        paths = map(self._shard_path, range(min(self.shards, _SEARCHED)))
        return sum(path.stat().st_size for path in paths if path.is_file()) <= _CHECKED

    def _check_in_passing(self, key: str) -> None:
        if self._is_short and key not in self._checked:
            self.verify(key)
            self._checked.add(key)

    def _parse(self, message: Message, data: bytes, what: str) -> None:
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise FormatError(self.path, f"is corrupt: {what} cannot be decoded") from error

    def _entry(self, name: bytes, key: str | None = None) -> BundleEntryProto:
        entry = self._entries.get(name)
        if entry is None:
            if not name or name not in self._table:
                raise FormatError(
                    self.path, f"has no tensor {key or _text(name)!r}", self._nearest(key or _text(name))
                )
            entry = BundleEntryProto()
            self._parse(entry, self._table[name], f"the entry of {key or _text(name)!r}")
            self._entries[name] = entry
        return entry

    def _nearest(self, key: str) -> str:
        import difflib

        names = [name for name in islice(self.keys(), _SEARCHED) if len(name) < _SEARCHED]
        found = difflib.get_close_matches(key[:_SEARCHED], names, 3)
        return f"The nearest are {', '.join(map(repr, found))}" if found else f"It has {len(self)} tensors"

    def _described(self, entry: BundleEntryProto, key: str) -> tuple[tuple[int, ...], np.dtype]:
        place = f"{self.path}: {key}"
        dtype = dtype_from_enum(entry.dtype, place)
        return constant_shape(entry.shape, dtype, place), dtype

    def _whole(self, entry: BundleEntryProto, key: str) -> np.ndarray:
        shape, dtype = self._described(entry, key)
        count = math.prod(shape)
        data = self._data(entry, key)
        if dtype.kind == "O":
            return self._strings(data, count, entry, key).reshape(shape)
        if data.size != count * dtype.itemsize:
            raise FormatError(self.path, f"{key!r} {dtype} {shape} is said to have {data.size} bytes")
        if self.byteorder != sys.byteorder and dtype.itemsize > 1:
            part = dtype.itemsize // (2 if dtype.kind == "c" else 1)
            data = data.view(f"u{part}").byteswap().view(np.uint8)
            data.flags.writeable = False
        return data.view(dtype).reshape(shape)

    def _data(self, entry: BundleEntryProto, key: str) -> np.ndarray:
        """Give the bytes of an entry as a view into its shard."""
        shard = self._shard(entry.shard_id)
        end = entry.offset + entry.size
        if entry.offset < 0 or entry.size < 0 or end > shard.size:
            place = self._shard_path(entry.shard_id)
            raise FormatError(
                place,
                f"has {shard.size} bytes, but {key!r} is said to be at bytes {entry.offset} to {end}",
                "The file is truncated or belongs to another checkpoint",
            )
        return shard[entry.offset : end]

    def _shard_path(self, index: int) -> Path:
        return self.prefix.with_name(f"{self.prefix.name}.data-{index:05d}-of-{self.shards:05d}")

    def _shard(self, index: int) -> np.ndarray:
        if index in self._shards:
            return self._shards[index]
        if not 0 <= index < self.shards:
            raise FormatError(self.path, f"refers to data file {index} of {self.shards}")
        path = self._shard_path(index)
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError as error:
            hint = "" if path.exists() else "Copy the whole directory, all data files included"
            raise FormatError(path, f"the data file cannot be read ({error.strerror})", hint) from error
        self._shards[index] = np.frombuffer(mapped, np.uint8)
        return self._shards[index]

    def _strings(self, data: np.ndarray, count: int, entry: BundleEntryProto, key: str) -> np.ndarray:
        """Decode varint lengths, the checksum of the lengths as 32-bit (else 64-bit) numbers, the strings."""
        place = f"{self._shard_path(entry.shard_id)}: {key}"
        octets = data.tobytes()
        if not octets and not count:
            return np.empty(0, object)
        sizes, position = read_varints(octets, 0, count, place)
        raw = b"".join(size.to_bytes(4 if size < 1 << 32 else 8, self.byteorder) for size in sizes)
        stored = octets[position : position + 4]
        if crc32c(raw) != unmask(int.from_bytes(stored, self.byteorder)):
            raise FormatError(place, "is corrupt: the checksum of the string lengths is wrong")
        strings = split_strings(octets[position + 4 :], sizes, place)
        if crc32c(raw + octets[position:]) != unmask(entry.crc32c):
            raise FormatError(place, "is corrupt: the checksum of the strings is wrong")
        strings.flags.writeable = False
        return strings

    def _check(self, entry: BundleEntryProto, key: str) -> None:
        """Compare the checksum; what is long is read, for mapped pages would all stay in memory."""
        data = self._data(entry, key)
        path = self._shard_path(entry.shard_id)
        crc = 0
        if data.size <= _READ:
            crc = crc32c(data)
        else:
            with path.open("rb") as file:
                file.seek(entry.offset)
                for start in range(0, data.size, _PIECE):
                    crc = crc32c(file.read(min(_PIECE, data.size - start)), crc)
        if crc != unmask(entry.crc32c):
            raise FormatError(path, f"is corrupt: the checksum of {key!r} is wrong")

    def _stored(self, name: bytes, region: tuple[slice, ...], key: str) -> np.ndarray:
        """Give the slice of a partitioned variable that stands under `name`, a view."""
        part = self._whole(self._entry(name, key), key)
        _, dtype = self.shape_dtype(key)
        shape = tuple(extent.stop - extent.start for extent in region)
        if part.shape != shape or part.dtype != dtype:
            raise FormatError(
                self.path, f"a slice of {key!r} is {part.dtype} {part.shape}, not {dtype} {shape}"
            )
        return part

    def _assembled(self, entry: BundleEntryProto, key: str) -> np.ndarray:
        """Join the slices of a partitioned variable; all are found before memory is taken."""
        shape, dtype = self._described(entry, key)
        parts = []
        for name, region in self._slices(entry, shape, key):
            parts.append((region, self._stored(name, region, key)))
        size = math.prod(shape)
        available = sum(shard.size for shard in self._shards.values())
        if sum(part.size for _, part in parts) != size or size * dtype.itemsize > available:
            raise FormatError(self.path, f"the slices of {key!r} do not make up its shape {shape}")
        if len(parts) == 1:
            return parts[0][1]
        tensor = np.zeros(shape, dtype)
        for region, part in parts:
            tensor[region] = part
        tensor.flags.writeable = False
        return tensor

    def _slices(
        self, entry: BundleEntryProto, shape: tuple[int, ...], key: str
    ) -> Iterator[tuple[bytes, tuple[slice, ...]]]:
        """Iterate over the names under which the slices stand in the index, and the regions they cover."""
        for proto in entry.slices:
            extents = [(item.start, item.length if item.HasField("length") else -1) for item in proto.extent]
            yield _slice_name(_name(key), extents), self._region(extents, shape, key)

    def _region(
        self, extents: Sequence[tuple[int, int]], shape: tuple[int, ...], key: str
    ) -> tuple[slice, ...]:
        if len(extents) != len(shape):
            dimensions = f"{len(extents)} dimensions, not {len(shape)}"
            raise FormatError(self.path, f"a slice of {key!r} has {dimensions}")
        region = []
        for (start, length), size in zip(extents, shape, strict=True):
            stop = size if length < 0 else start + length
            if not 0 <= start <= stop <= size:
                raise FormatError(self.path, f"a slice of {key!r} lies outside its shape {shape}")
            region.append(slice(start, stop))
        return tuple(region)

    def _parsed(self, text: str, key: str) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
        """Split a description into the whole shape and the (start, length or -1) of each dimension."""
        *sizes, slices = text.split(" ")
        pairs = ["0,-1" if item == "-" else item for item in slices.split(":")]
        try:
            extents = [(int(start), int(length)) for start, length in (pair.split(",") for pair in pairs)]
            return tuple(map(int, sizes)), extents
        except ValueError as error:
            raise FormatError(self.path, f"{key!r} is restored as {text!r}, which is no slice") from error


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _name(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _slice_name(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """Give the key of a slice: 0, the name, the rank and (start, length or -1) of each dimension.

    The codes keep the order (`EncodeTensorNameSlice` in tensorflow/core/util/saved_tensor_slice_util.cc, and
    core/lib/strings/ordered_code.cc).
    """
    escaped = re.sub(rb"\x00|\xff", lambda match: match[0] + bytes([match[0][0] ^ 0xFF]), name)
    signed = b"".join(_signed(number) for extent in extents for number in extent)
    return _unsigned(0) + escaped + b"\0\1" + _unsigned(len(extents)) + signed


def _unsigned(number: int) -> bytes:
    length = math.ceil(number.bit_length() / 8)
    return bytes([length]) + number.to_bytes(length, "big")


def _signed(number: int) -> bytes:
    """Code a signed number in the n bytes that leave it 7 n bits; the n leading bits invert the sign."""
    length = (~number if number < 0 else number).bit_length() // 7 + 1
    leading = ((1 << length) - 1) << (7 * length)
    return ((number ^ leading) & ((1 << 8 * length) - 1)).to_bytes(length, "big")
