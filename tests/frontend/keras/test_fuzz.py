"""Broken Keras files give a FormatError, and quickly, whatever is broken: no crash, no other exception."""

from __future__ import annotations

import random
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from litecast.errors import FormatError
from litecast.frontend.keras.archive import read_keras
from litecast.frontend.keras.hdf5 import Hdf5
from litecast.frontend.keras.weights import LayerKey
from tests.frontend.keras.archives import BIAS, KERNEL, archive, hdf5, legacy, tree

LAYERS = [LayerKey("InputLayer", "x"), LayerKey("Dense", "dense")]
SECONDS = 2.0
"""What one file may take, on a busy machine."""

MANY = hdf5({f"layers/dense_{n}/vars/0": BIAS for n in range(300)})
TEXT = {f"layers/dense/vars@{name}": value for name, value in {"name": "dense", "list": ["a", "b"]}.items()}
TREE = hdf5({"layers/dense/vars/0": KERNEL, "layers/dense/vars/1": BIAS}, TEXT)


def attempt(path: Path, content: bytes) -> bool:
    """Read all there is of a file; return whether it could be read."""
    path.write_bytes(content)
    started = time.perf_counter()
    try:
        store = read_keras(path).store
        group = store.root(LAYERS).layers(LAYERS)[1]
        group.weight("kernel", (3, 2))
        group.weight("bias", (2,))
        group.asset("vocabulary.txt")
        store.settle()
    except FormatError:
        return False
    finally:
        assert time.perf_counter() - started < SECONDS
    return True


def attempt_hdf5(content: bytes) -> bool:
    """Read every attribute and dataset of an HDF5 file."""
    started = time.perf_counter()
    try:
        file = Hdf5(np.frombuffer(content, np.uint8), "m.h5")
        file.all_attributes(["", *file.groups])
        for stored in file.datasets(file.names).values():
            assert stored.array.shape == stored.shape
    except FormatError:
        return False
    finally:
        assert time.perf_counter() - started < SECONDS
    return True


def mutations(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Change one to thirty bytes, often to what is special, often at the start; or cut."""
    rng = random.Random(seed)
    for _ in range(count):
        changed = bytearray(content)
        if rng.random() < 0.15:
            yield bytes(changed[: rng.randrange(len(changed))])
            continue
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 4096)
        for _ in range(rng.choice([1, 1, 4, 30])):
            changed[rng.randrange(reach)] = rng.choice([0, 1, 255, rng.randrange(256)])
        yield bytes(changed)


@pytest.mark.parametrize("name", ["tree", "legacy", "legacy-3", "many"])
def test_hdf5(name: str) -> None:
    content = {"tree": TREE, "legacy": legacy(), "legacy-3": legacy("3.2.0"), "many": MANY}[name]
    assert attempt_hdf5(content)
    results = [attempt_hdf5(changed) for changed in mutations(content, 300, seed=len(name))]
    assert any(results)
    assert not all(results)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archive(tmp_path: Path, compression: int) -> None:
    content = archive({"assets/layers/dense/vocabulary.txt": "a"}, compression)
    assert attempt(tmp_path / "m.keras", content)
    results = [
        attempt(tmp_path / "m.keras", changed) for changed in mutations(content, 300, seed=compression)
    ]
    assert not all(results)


def test_archive_behind_its_checksums(tmp_path: Path) -> None:
    """Members that are broken but whose checksums are right, as an attacker would make them."""
    for changed in mutations(TREE, 150, seed=5):
        attempt(tmp_path / "m.keras", archive({"model.weights.h5": changed}))


def test_whole_models(tmp_path: Path) -> None:
    content = legacy()
    assert attempt(tmp_path / "m.h5", content)
    for changed in mutations(content, 300, seed=9):
        attempt(tmp_path / "m.h5", changed)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_cut_everywhere(tmp_path: Path, name: str) -> None:
    content = archive() if name == "m.keras" else legacy()
    for size in range(0, len(content), 37):
        assert not attempt(tmp_path / name, content[:size])


def test_directory_of_a_zip(tmp_path: Path) -> None:
    """Sizes and places in the directory of an archive, each set to what it cannot be."""
    content = archive()
    start = content.index(b"PK\x01\x02")
    for offset in range(start, len(content) - 4):
        for value in (0, 0xFFFFFFFF, 0x7FFFFFFF):
            changed = content[:offset] + struct.pack("<I", value) + content[offset + 4 :]
            attempt(tmp_path / "m.keras", changed)


def test_a_packed_bomb(tmp_path: Path) -> None:
    """4 GiB of zeros that the directory declares truthfully are not unpacked for a config."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(4)) + packer.flush()
    content = _with_member("config.json", packed, (1 << 32) - 2)
    assert not attempt(tmp_path / "m.keras", content)


def _with_member(name: str, packed: bytes, size: int) -> bytes:
    """An archive of one deflated member that declares a size."""
    fields = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0, 0, len(packed), size)
    local = b"PK\x03\x04" + fields + struct.pack("<HH", len(name), 0) + name.encode() + packed
    central = b"PK\x01\x02" + struct.pack("<H", 20) + fields
    central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name.encode()
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def test_tree_is_whole() -> None:
    """What the mutations start from can be read."""
    assert attempt_hdf5(tree())
