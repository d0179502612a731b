"""Keras files: `.keras` archives and folders, whole-model HDF5, and a config with a file of weights.

Nothing is unpacked to disk, nothing of a file is executed, and the optimizer's state is not read.
"""

from __future__ import annotations

import json
import mmap
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from litecast.errors import FormatError
from litecast.files import start_of
from litecast.frontend.keras.flat import FlatWeights, attribute_list
from litecast.frontend.keras.hdf5 import MAGIC, Hdf5, Window
from litecast.frontend.keras.weights import NoWeights, TreeWeights, Weights

__all__ = ["KerasSource", "is_keras", "read_keras"]

CONFIG, METADATA, WEIGHTS, PICKLED = "config.json", "metadata.json", "model.weights.h5", "model.weights.npz"
_ZIP = b"PK\x03\x04"
_POINTER = b"version "
_SUFFIXES = (".keras", ".h5", ".hdf5")
_TEXT_LIMIT = 1 << 28
"""Bytes that a config may have."""
_DEPTH = 200
"""How deep a config may nest: a model in a model takes four levels."""
_EXPANSION = 1032
"""How often larger than its packed bytes a member can be, by the limits of deflate."""
_PIECE = 1 << 20


@dataclass
class KerasSource:
    """A model as Keras has saved it: its serialized config, and its variables."""

    url: str
    config: dict[str, Any]
    store: Weights
    keras_version: str
    name: str


def is_keras(path: str | PathLike[str]) -> bool:
    """Whether a path is a Keras file: by its first bytes or, as when it is cut short, by its name."""
    path = Path(path)
    if path.is_dir():
        return (path / CONFIG).is_file() and not (path / "saved_model.pb").exists()
    if not path.is_file():
        return False
    start = start_of(path)
    if start.startswith(MAGIC) or path.suffix in _SUFFIXES:
        return True
    if start.startswith(_ZIP):
        return _holds_config(path)
    return path.suffix == ".json"


def read_keras(path: str | PathLike[str], weights: str | PathLike[str] | None = None) -> KerasSource:
    """Read a Keras file, or a config (`config.json`, `model.to_json()`) and the file of its weights.

    Raises FormatError for what is missing, broken, or of a version that nothing reads any more.
    """
    file, url = Path(path), fspath(path)
    if not file.exists():
        raise FormatError(url, "does not exist")
    opened = _open(file)
    if opened.config is None:
        raise FormatError(
            url,
            "holds weights without the model's config",
            f"Give the config too: litecast convert config.json --weights {file.name}",
        )
    config = _serialized(opened.config, url)
    store, version = opened.store, opened.version or _version(config)
    if weights is not None:
        given = _open(Path(weights), version)
        if given.store is None:
            raise FormatError(weights, "has no weights")
        store, version = given.store, given.version or version
    if isinstance(store, TreeWeights):
        store.plan(config)
    inner = config["config"]
    name = inner.get("name") if isinstance(inner, dict) else None
    return KerasSource(url, config, store or NoWeights(url), version, str(name or file.stem))


@dataclass
class _Opened:
    """What a file holds, None for what it does not."""

    config: Any
    store: Weights | None
    version: str


def _open(path: Path, version: str = "") -> _Opened:
    url = str(path)
    if path.is_dir():
        return _folder(path)
    data = _mapped(path)
    start = data[:8].tobytes()
    if start == MAGIC:
        return _hdf5(Hdf5(data, url), url, version)
    if start.startswith(b"PK"):
        return _archive(path, data)
    if start == _POINTER:
        raise FormatError(url, "is a pointer of Git LFS, not the file itself", "Fetch it with `git lfs pull`")
    if path.suffix in _SUFFIXES or (start and start[:1] not in b"{[ \t\r\n\xef"):
        reason = "is cut short, or no Keras file: it is neither a zip archive nor HDF5"
        raise FormatError(url, reason, "Fetch or save it again")
    return _text(path, data, version)


def _text(path: Path, data: np.ndarray, version: str) -> _Opened:
    """Read a config, or the index of weights that are split over several files (`ShardedH5IOStore`)."""
    content = parse_json(data.tobytes() if data.size <= _TEXT_LIMIT else None, str(path))
    if isinstance(content, dict) and "weight_map" in content:
        files = [Hdf5(_mapped(shard), str(shard)) for shard in _shards(path, content["weight_map"])]
        return _Opened(None, TreeWeights(files, str(path), renumbered=_renumbered(version)), version)
    return _Opened(content, None, "")


def _shards(path: Path, weight_map: Any) -> list[Path]:
    """Return the files that an index names; all lie beside it."""
    entries = weight_map.values() if isinstance(weight_map, dict) else ()
    names = [name for entry in entries for name in (entry if isinstance(entry, list) else [entry])]
    if not names or not all(isinstance(name, str) and name and Path(name).name == name for name in names):
        raise FormatError(path, "names files of weights that do not lie beside it")
    return [path.with_name(name) for name in dict.fromkeys(names)]


def _folder(path: Path) -> _Opened:
    """Read what `save_model(..., zipped=False)` writes."""
    present = {name: path / name for name in (CONFIG, METADATA, WEIGHTS) if (path / name).is_file()}
    if CONFIG not in present:
        raise FormatError(path, f"is no Keras model: it has no {CONFIG}")
    text = {name: _mapped(file).tobytes() for name, file in present.items() if name != WEIGHTS}
    config, version = _described(text, str(path))
    if WEIGHTS not in present:
        raise _no_weights(str(path), (path / PICKLED).exists())
    store = TreeWeights(
        [Hdf5(_mapped(present[WEIGHTS]), str(present[WEIGHTS]))],
        str(path),
        renumbered=_renumbered(version),
        asset=lambda name: _file_asset(path / "assets", name),
    )
    return _Opened(config, store, version)


def _file_asset(folder: Path, name: str) -> bytes | None:
    file = folder / name
    return _mapped(file).tobytes() if ".." not in Path(name).parts and file.is_file() else None


def _archive(path: Path, data: np.ndarray) -> _Opened:
    url = str(path)
    archive = _Archive(data, url)
    if CONFIG not in archive.members:
        raise FormatError(url, f"is a zip archive, but no Keras model: it has no {CONFIG}")
    text = {name: archive.read(name) for name in (CONFIG, METADATA) if name in archive.members}
    config, version = _described(text, url)
    if WEIGHTS not in archive.members:
        raise _no_weights(url, PICKLED in archive.members)
    store = TreeWeights(
        [Hdf5(archive.data(WEIGHTS), f"{url}: {WEIGHTS}")],
        url,
        renumbered=_renumbered(version),
        asset=lambda name: archive.read(f"assets/{name}") if f"assets/{name}" in archive.members else None,
    )
    return _Opened(config, store, version)


def _described(text: dict[str, bytes], url: str) -> tuple[Any, str]:
    metadata = parse_json(text[METADATA], f"{url}: {METADATA}") if METADATA in text else {}
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return parse_json(text[CONFIG], f"{url}: {CONFIG}"), str(version or "")


def _no_weights(url: str, pickled: bool) -> FormatError:
    if pickled:
        return FormatError(
            url,
            f"keeps its weights as Python pickles ({PICKLED}), which are code and never read",
            "Load it where it was made and save it again with weights_format='h5'",
        )
    return FormatError(url, f"has no {WEIGHTS}", "Save the model again, or give the file with --weights")


def _renumbered(version: str) -> bool:
    """Whether layers that were saved before do not count in names: tf_keras does that."""
    return version.startswith("2")


def _hdf5(file: Hdf5, url: str, version: str) -> _Opened:
    """Read a whole model, legacy weights, or weights in the layout of `.keras`."""
    attributes = file.attributes()
    prefix = "model_weights" if "model_weights" in file else ""
    inner = file.attributes(prefix) if prefix else attributes
    config = attributes.get("model_config")
    if config is None and not attribute_list(inner, "layer_names"):
        return _Opened(None, TreeWeights([file], url, renumbered=_renumbered(version)), "")
    written = str(attributes.get("keras_version") or inner.get("keras_version") or "1")
    if written.startswith("1"):
        raise FormatError(
            url,
            f"was written by Keras {written}, whose configs and weights nothing reads any more",
            "Load it with Keras 2.2 (`keras.models.load_model`) and save it again",
        )
    content = None if config is None else parse_json(str(config).encode("utf-8", "surrogateescape"), url)
    return _Opened(content, FlatWeights(file, prefix, url, written), written)


class _Archive:
    """The members of a zip archive in memory: what is stored is a view, what is packed is unpacked."""

    def __init__(self, data: np.ndarray, url: str) -> None:
        self.url, self._data = url, data
        try:
            with zipfile.ZipFile(cast(IO[bytes], Window(data))) as archive:
                infos = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError) as error:
            raise FormatError(url, f"is no readable zip archive ({error})", "Is it cut short?") from error
        self.members = {info.filename: info for info in infos}
        for info in infos:
            self._check(info)

    def read(self, name: str) -> bytes:
        """Return the contents of a small member."""
        if self.members[name].file_size > _TEXT_LIMIT:
            raise FormatError(self.url, f"{name} is too large: {self.members[name].file_size} bytes")
        return self.data(name).tobytes()

    def data(self, name: str) -> np.ndarray:
        """Return the bytes of a member, a view where they are not packed; the checksum is right."""
        info = self.members[name]
        packed = self._packed(info)
        if info.compress_type == zipfile.ZIP_STORED:
            contents = packed
        else:
            contents = np.frombuffer(self._unpacked(info, packed), np.uint8)
        crc = 0
        for start in range(0, contents.size, _PIECE):
            crc = zlib.crc32(contents[start : start + _PIECE].data, crc)
        if crc != info.CRC:
            raise FormatError(self.url, f"is corrupt: the checksum of {name} is wrong")
        return contents

    def _check(self, info: zipfile.ZipInfo) -> None:
        """Refuse names that lead out of the archive, and sizes that cannot be."""
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise FormatError(self.url, f"has the member {info.filename!r}, which leads out of the archive")
        if info.flag_bits & 1:
            raise FormatError(self.url, f"has the member {name}, which is encrypted")
        stored = info.compress_type == zipfile.ZIP_STORED
        if info.file_size > info.compress_size * (1 if stored else _EXPANSION) or (
            stored and info.file_size < info.compress_size
        ):
            sizes = f"{info.file_size} bytes, of which {info.compress_size} are there"
            raise FormatError(self.url, f"has the member {name}, which claims {sizes}")

    def _packed(self, info: zipfile.ZipInfo) -> np.ndarray:
        """Return a member as it is in the archive, behind its local header (APPNOTE 4.3.7)."""
        head = self._data[info.header_offset : info.header_offset + 30].tobytes()
        if len(head) < 30 or not head.startswith(_ZIP):
            raise FormatError(self.url, f"is no readable zip archive: {info.filename} is misplaced")
        lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        start = info.header_offset + 30 + lengths
        if start + info.compress_size > self._data.size:
            raise FormatError(self.url, f"is cut short: {info.filename} ends after the end of the file")
        return self._data[start : start + info.compress_size]

    def _unpacked(self, info: zipfile.ZipInfo, packed: np.ndarray) -> bytes:
        """Unpack a member into memory, no further than its declared size."""
        if info.compress_type != zipfile.ZIP_DEFLATED:
            raise FormatError(self.url, f"{info.filename} is packed by another method than deflate")
        try:
            contents = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed.data, info.file_size + 1)
        except zlib.error as error:
            raise FormatError(self.url, f"cannot be unpacked: {info.filename} ({error})") from error
        if len(contents) != info.file_size:
            raise FormatError(
                self.url, f"{info.filename} does not unpack to the {info.file_size} bytes it declares"
            )
        return contents


def parse_json(text: bytes | None, url: str) -> Any:
    """Parse a config; FormatError where it is broken, too long, or nests too deep to be one."""
    if text is None:
        raise FormatError(url, f"is too large for a config: more than {_TEXT_LIMIT} bytes")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nests too deep" if isinstance(error, RecursionError) else str(error)
        raise FormatError(url, f"is no readable config ({reason})") from error
    level, depth = [content], 0
    while level:
        if depth > _DEPTH:
            raise FormatError(url, f"is no readable config (it nests deeper than {_DEPTH} levels)")
        depth += 1
        level = [
            item
            for holder in level
            if isinstance(holder, (dict, list))
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return content


def _serialized(content: Any, url: str) -> dict[str, Any]:
    """Check that a config is a serialized object; what `model.get_config()` gives does not say its class."""
    if isinstance(content, dict) and isinstance(content.get("class_name"), str) and "config" in content:
        return content
    raise FormatError(
        url,
        "is no config of a Keras model: it has no class_name",
        "Write it with `model.to_json()`",
    )


def _version(config: Mapping[str, Any]) -> str:
    """Return the version that wrote a config; at least its first number where the config does not say."""
    if config.get("keras_version"):
        return str(config["keras_version"])
    module = str(config.get("module") or "")
    if ".engine." in module or module.startswith("tf_keras") or "registered_name" not in config:
        return "2"
    return "3"


def _holds_config(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return CONFIG in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return False


def _mapped(path: Path) -> np.ndarray:
    """Map a file into memory, read-only."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror or error})") from error
    return np.frombuffer(content, np.uint8)
