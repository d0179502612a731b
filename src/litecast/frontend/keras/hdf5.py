"""HDF5 files as read-only arrays: whatever is stored in one piece is a view of the mapped bytes.

The library is only opened for what `hdf5_structure` does not read (chunks, filters, newer layouts), and
closed again before anything else happens. Names come from hard links, so that nothing leads out of the file.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from litecast.errors import FormatError
from litecast.frontend.keras.hdf5_structure import MAGIC, Broken, Structure, Unusual

__all__ = ["MAGIC", "Hdf5", "Stored", "Window"]

_FLOOR = 1 << 26
"""Bytes up to which a dataset may be as much larger than what is stored of it as it likes."""
_EXPANSION = 1000
"""How often larger than its stored bytes a dataset may be (deflate reaches 1032 to 1 on zeros)."""
_UNUSUAL = object()


@dataclass(eq=False)
class Stored:
    """One dataset: its name, shape and type are known, its contents are read when asked for."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    load: Callable[[], np.ndarray] = field(repr=False)
    _array: np.ndarray | None = field(default=None, repr=False)

    @property
    def array(self) -> np.ndarray:
        """The contents, the same array every time."""
        if self._array is None:
            self._array = self.load()
        return self._array


class Hdf5:
    """The structure and the datasets of one HDF5 file that lies in `data` as a whole.

    `url` names it in errors. Raises FormatError for what is broken.
    """

    def __init__(self, data: np.ndarray, url: str) -> None:
        self.url = url
        self._data = data
        self._names: dict[str, bytes] = {}
        self._structure: Structure | None = None
        try:
            self._structure = Structure(data)
        except Unusual:
            with self._open() as file:
                self._visit(file)
        except Broken as error:
            raise self._broken(error) from error
        else:
            for name in (*self._structure.groups, *self._structure.datasets):
                if name:
                    self._names[name.replace("\\", "/")] = name.encode("utf-8", "surrogateescape")

    @property
    def names(self) -> Iterable[str]:
        """Paths of all groups and datasets, `/` between the parts."""
        return self._names.keys()

    @property
    def groups(self) -> Iterable[str]:
        """Paths of all groups."""
        datasets = self.datasets(self.names)
        return [name for name in self.names if name not in datasets]

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def attributes(self, group: str = "") -> dict[str, Any]:
        """Return the attributes of a group: text as `str`, arrays of text as lists of `str`."""
        return next(iter(self.all_attributes([group]).values()))

    def all_attributes(self, groups: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the attributes of several groups, those of types that Keras does not write left out."""
        return self._each(groups, self._plain_attributes, self._library_attributes)

    def _library_attributes(self, groups: Iterable[str]) -> dict[str, dict[str, Any]]:
        import h5py

        found = {}
        with self._open() as file:
            for group in groups:
                item = h5py.h5o.open(file.id, self._names[group] if group else b"/")
                held = h5py.Dataset if isinstance(item, h5py.h5d.DatasetID) else h5py.Group
                attributes = held(item).attrs
                found[group] = {
                    key: _text(attributes[key])
                    for key in attributes
                    if _is_simple(attributes.get_id(key).get_type())
                }
        return found

    def datasets(self, names: Iterable[str]) -> dict[str, Stored]:
        """Describe those of the names that are datasets."""
        found = self._each(names, self._plain_dataset, self._library_datasets)
        return {name: stored for name, stored in found.items() if stored is not None}

    def _each(
        self,
        names: Iterable[str],
        plain: Callable[[str], Any],
        library: Callable[[list[str]], Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Describe everything without the library, and with it what is left."""
        found, left = {}, []
        try:
            for name in names:
                item = self._usual(plain, name)
                if item is _UNUSUAL:
                    left.append(name)
                else:
                    found[name] = item
        except Broken as error:
            raise self._broken(error) from error
        return {**found, **(library(left) if left else {})}

    def _usual(self, plain: Callable[[str], Any], name: str) -> Any:
        try:
            return plain(name)
        except Unusual:
            return _UNUSUAL

    def _plain_attributes(self, group: str) -> dict[str, Any]:
        return self._plain().attributes(self._original(group))

    def _plain(self) -> Structure:
        if self._structure is None:
            raise Unusual
        return self._structure

    def _original(self, name: str) -> str:
        return self._names[name].decode("utf-8", "surrogateescape") if name else ""

    def _broken(self, error: Broken) -> FormatError:
        return FormatError(self.url, f"is no readable HDF5 file: it {error}")

    def _plain_dataset(self, name: str) -> Stored | None:
        """Describe a dataset that is stored in one piece, None where the name is a group."""
        structure, original = self._plain(), self._original(name)
        if original not in structure.datasets:
            return None
        entry = structure.entry(original)
        dtype, shape, offset = entry.kind.dtype, entry.shape, entry.offset
        if offset is None or entry.external or dtype is None or dtype.kind not in "fiuVb":
            raise Unusual
        if dtype.kind == "V" and dtype != ml_dtypes.bfloat16:
            dtype = self._opaque(None, name, dtype)
        size = math.prod(shape) * dtype.itemsize
        if offset + size > self._data.size:
            raise FormatError(self.url, f"is cut short: {name} ends after the end of the file")
        native = dtype.newbyteorder("=") if dtype.kind in "fiu" else dtype
        return Stored(name, shape, native, lambda: self._view(offset, shape, dtype))

    def _library_datasets(self, names: Iterable[str]) -> dict[str, Stored]:
        import h5py

        found = {}
        with self._open() as file:
            for name in names:
                item = h5py.h5o.open(file.id, self._names[name])
                if isinstance(item, h5py.h5d.DatasetID):
                    found[name] = self._describe(item, name, bool(file.userblock_size))
        return found

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import h5py

        try:
            with h5py.File(Window(self._data), "r") as file:
                yield file
        except FormatError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
            raise FormatError(self.url, f"is no readable HDF5 file ({_first_line(error)})") from error

    def _visit(self, file: Any) -> None:
        import h5py

        def note(name: bytes) -> None:
            self._names[name.decode("utf-8", "surrogateescape").replace("\\", "/")] = name

        h5py.h5o.visit(file.id, note)

    def _describe(self, item: Any, name: str, displaced: bool) -> Stored:
        if not _is_simple(item.get_type()):
            raise FormatError(self.url, f"{name} is of a type that Keras has no variables of")
        shape, dtype, offset = item.shape, item.dtype, item.get_offset()
        size = math.prod(shape) * dtype.itemsize
        self._check_size(item, name, size)
        plain = dtype.kind in "fiu" and dtype.isnative and dtype.metadata is None
        if dtype.kind == "V":
            plain, dtype = True, self._opaque(item, name, dtype)
        if offset is None or displaced or not plain:
            return Stored(name, shape, dtype, lambda: self._read(name, dtype))
        if offset + size > self._data.size:
            raise FormatError(self.url, f"is cut short: {name} ends after the end of the file")
        return Stored(name, shape, dtype, lambda: self._view(offset, shape, dtype))

    def _check_size(self, item: Any, name: str, size: int) -> None:
        """Refuse what lies in another file, and what claims to be far larger than all that is stored."""
        import h5py

        properties = item.get_create_plist()
        if properties.get_external_count() or properties.get_layout() == h5py.h5d.VIRTUAL:
            raise FormatError(self.url, f"{name} refers to another file, which is not read")
        if size > max(_FLOOR, _EXPANSION * item.get_storage_size()):
            raise FormatError(self.url, f"{name} claims {size} bytes, more than the file can hold")

    def _opaque(self, item: Any, name: str, dtype: Any) -> Any:
        """Give the type of what HDF5 has no type for: Keras writes bfloat16 as 2 opaque bytes.

        `H5IOStore.__setitem__` in keras/src/saving/saving_lib.py; legacy files do not even name the type.
        """
        if dtype.itemsize == 2 and dtype.names is None and dtype.subdtype is None:
            return np.dtype(ml_dtypes.bfloat16)
        raise FormatError(self.url, f"{name} is of the type {dtype}, which Keras has no variables of")

    def _view(self, offset: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        array = np.frombuffer(self._data, dtype, math.prod(shape), offset).reshape(shape)
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def _read(self, name: str, dtype: Any) -> np.ndarray:
        """Read what is compressed, in chunks, or of a type that is not stored as numpy has it."""
        with self._open() as file:
            array = np.asarray(file[self._names[name]][()])
        if array.dtype.kind == "V":
            array = array.view(dtype)
        elif not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        array.flags.writeable = False
        return array


class Window:
    """Bytes in memory as the file object that h5py reads; what is mapped is not copied."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self._position = data.data, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place."""
        self._position = (0, self._position, len(self._data))[whence] + offset
        return self._position

    def tell(self) -> int:
        """Say where it is."""
        return self._position

    def readinto(self, target: memoryview) -> int:
        """Fill a buffer, zeros behind the end."""
        piece = self._data[self._position : self._position + len(target)]
        target[: len(piece)] = piece
        target[len(piece) :] = bytes(len(target) - len(piece))
        self._position += len(piece)
        return len(piece)

    def read(self, size: int = sys.maxsize) -> bytes:
        """Return the next bytes."""
        piece = bytes(self._data[self._position : self._position + size])
        self._position += len(piece)
        return piece


def _is_simple(kind: Any) -> bool:
    """Whether a type is text, a number, or opaque: broken files have others, on which the library crashes."""
    import h5py

    simple = (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.OPAQUE)
    return kind.get_class() in simple


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [_text(item) for item in value.tolist()]
    return value


def _first_line(error: BaseException) -> str:
    return str(error).strip("'\"").split("\n")[0]
