"""Keras files of every format and version, and what is wrong with broken ones."""

from __future__ import annotations

import io
import json
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

import litecast
from litecast.errors import FormatError
from litecast.frontend.keras.archive import KerasSource, is_keras, read_keras
from litecast.frontend.keras.weights import LayerKey
from tests.frontend.keras.archives import (
    BIAS,
    KERNEL,
    archive,
    dense,
    hdf5,
    legacy,
    sequential,
    tree,
)

LAYERS = [LayerKey("InputLayer", "x"), LayerKey("Dense", "dense")]
CONFIG = json.dumps(sequential(dense()))


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    """Write files; return the path of the first."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / next(iter(files))


def variables(source: KerasSource) -> tuple[np.ndarray, np.ndarray]:
    group = source.store.root(LAYERS).layers(LAYERS)[1]
    found = group.weight("kernel", (3, 2)), group.weight("bias", (2,))
    assert not source.store.unsettled
    return found


def sharded() -> dict[str, bytes | str]:
    """Weights over two files and the index that `save_weights(max_shard_size=...)` writes."""
    index = {"weight_map": {"/layers/dense/vars": ["m_0.weights.h5", "m_1.weights.h5"]}}
    return {
        "m.weights.json": json.dumps(index),
        "m_0.weights.h5": hdf5({"layers/dense/vars/0": KERNEL}),
        "m_1.weights.h5": hdf5({"layers/dense/vars/1": BIAS}),
    }


# What is written, the path to read within it, the weights to give, the version it says.
FORMATS: dict[str, tuple[dict[str, bytes | str], str, str | None, str]] = {
    "keras": ({"m.keras": archive()}, "m.keras", None, "3.15.0"),
    "packed": ({"m.keras": archive(compression=zipfile.ZIP_DEFLATED)}, "m.keras", None, "3.15.0"),
    "other-name": ({"m.bin": archive()}, "m.bin", None, "3.15.0"),
    "folder": ({"m/config.json": CONFIG, "m/model.weights.h5": tree()}, "m", None, "3"),
    "h5": ({"m.h5": legacy()}, "m.h5", None, "2.4.0"),
    "h5-of-keras-3": ({"m.h5": legacy("3.1.0")}, "m.h5", None, "3.1.0"),
    "config": ({"c.json": CONFIG, "w.weights.h5": tree()}, "c.json", "w.weights.h5", "3"),
    "legacy-weights": ({"c.json": CONFIG, "w.h5": legacy(prefix="")}, "c.json", "w.h5", "2.4.0"),
    "weights-of-a-model": ({"c.json": CONFIG, "w.h5": legacy()}, "c.json", "w.h5", "2.4.0"),
    "weights-of-an-archive": ({"c.json": CONFIG, "w.keras": archive()}, "c.json", "w.keras", "3.15.0"),
    "sharded": ({"c.json": CONFIG, **sharded()}, "c.json", "m.weights.json", "3"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_format(tmp_path: Path, name: str) -> None:
    files, path, weights, version = FORMATS[name]
    write(tmp_path, files)
    assert is_keras(tmp_path / path)
    source = read_keras(tmp_path / path, tmp_path / weights if weights else None)
    assert source.name == "model"
    assert source.keras_version == version
    assert source.config["class_name"] == "Sequential"
    kernel, bias = variables(source)
    np.testing.assert_array_equal(kernel, KERNEL)
    np.testing.assert_array_equal(bias, BIAS)


@pytest.mark.parametrize("name", FORMATS)
def test_format_converts(tmp_path: Path, name: str) -> None:
    files, path, weights, _ = FORMATS[name]
    write(tmp_path, files)
    inputs = np.arange(6, dtype=np.float32).reshape(2, 3)
    results = litecast.convert(tmp_path / path, weights=tmp_path / weights if weights else None)(inputs)
    np.testing.assert_allclose(*results.values(), inputs @ KERNEL + BIAS, rtol=1e-5)


def test_views_of_the_file(tmp_path: Path) -> None:
    """Nothing that is stored in one piece is copied, in an archive or out of one."""
    large = np.ones((3, 2), np.float32)
    for name, content in (("m.keras", archive({"model.weights.h5": tree(large)})), ("m.h5", legacy())):
        source = read_keras(write(tmp_path, {name: content}))
        kernel, _ = variables(source)
        base: Any = kernel
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(base, (memoryview, mmap.mmap)), type(base)
        assert not kernel.flags.writeable


NUMBERS = np.arange(-4, 8).reshape(3, 4)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool", ">f4", "bfloat16"]
)
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "shuffle": True}])
def test_dtypes(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    value = NUMBERS.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    path = write(tmp_path, {"m.keras": archive({"model.weights.h5": tree(value, **options)})})
    source = read_keras(path)
    found = source.store.root(LAYERS).layers(LAYERS)[1].weight("kernel", (3, 4))
    assert found.dtype == value.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, value)


def test_text_variable(tmp_path: Path) -> None:
    text = np.array([b"a", b"bc"], dtype=object)
    source = read_keras(write(tmp_path, {"m.keras": archive({"model.weights.h5": tree(bias=text)})}))
    group = source.store.root(LAYERS).layers(LAYERS)[1]
    group.weight("kernel", (3, 2))
    assert group.weight("bias", (2,)).tolist() == [b"a", b"bc"]


def test_optimizer_is_not_read(tmp_path: Path) -> None:
    weights = hdf5({"layers/dense/vars/0": KERNEL, "layers/dense/vars/1": BIAS, "optimizer/vars/0": b"x" * 9})
    source = read_keras(write(tmp_path, {"m.keras": archive({"model.weights.h5": weights})}))
    assert not any("optimizer" in path for path in source.store.paths)  # type: ignore[attr-defined]


def test_asset(tmp_path: Path) -> None:
    members = {"assets/layers/dense/vocabulary.txt": "a\nb"}
    folder = write(tmp_path, {f"m/{name}": text for name, text in members.items()}).parents[3]
    write(folder, {"config.json": CONFIG, "model.weights.h5": tree()})
    for path in (write(tmp_path, {"m.keras": archive(members)}), folder):
        group = read_keras(path).store.root(LAYERS).layers(LAYERS)[1]
        assert group.asset("vocabulary.txt") == b"a\nb"
        assert group.asset("other.txt") is None


def test_names_that_are_no_keras_files(tmp_path: Path) -> None:
    saved_model = write(tmp_path, {"s.keras/saved_model.pb": b"", "s.keras/keras_metadata.pb": b""}).parent
    for path in (
        saved_model,
        tmp_path / "absent.keras",
        write(tmp_path, {"a.tflite": b"\0\0\0\0TFL3"}),
        write(tmp_path, {"a.zip": _zipped({"x": b"y"})}),
    ):
        assert not is_keras(path)


# -- broken files --------------------------------------------------------------------------------------------


def _zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


def _redeclared(content: bytes, size: int) -> bytes:
    """Let the directory of a zip archive declare that config.json unpacks to `size` bytes."""
    start = content.rindex(b"config.json") - 46
    return content[: start + 24] + struct.pack("<I", size) + content[start + 28 :]


def _bomb() -> bytes:
    """A dataset that claims 8 TiB and stores nothing."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(1 << 20, 1 << 20), dtype="f8", chunks=(64, 64))
        file["layers/dense/vars/1"] = BIAS
    return content.getvalue()


def _linked(kind: str) -> bytes:
    """A kernel that lies in another file, or is a link to one."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        group = file.create_group("layers/dense/vars")
        if kind == "external":
            group.create_dataset("0", (3, 2), "f4", external=[("/etc/passwd", 0, 24)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3, 2), "f4")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 2))
            group.create_virtual_dataset("0", layout)
        else:
            group["0"] = h5py.ExternalLink("/etc/passwd", "x")
        group["1"] = BIAS
    return content.getvalue()


PACKED = archive(compression=zipfile.ZIP_DEFLATED)
DEEP = "[" * 100_000 + "]" * 100_000
NESTED = '{"class_name": "Sequential", "config": ' * 300 + "{}" + "}" * 300
BROKEN: dict[str, tuple[str, bytes | str, str]] = {
    "cut-zip": ("m.keras", archive()[:-30], "is no readable zip archive"),
    "cut-hdf5": ("m.h5", legacy()[:900], "is no readable HDF5 file"),
    "empty": ("m.keras", b"", "is cut short, or no Keras file"),
    "only-config": ("m.json", '{"name": "m", "layers": []}', "Write it with `model.to_json"),
    "lfs": ("m.keras", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    "short-hdf5": ("m.h5", b"\x89HDF", "is cut short, or no Keras file"),
    "no-config": ("m.keras", archive({"config.json": None}), "it has no config.json"),
    "no-weights": ("m.keras", archive({"model.weights.h5": None}), "has no model.weights.h5"),
    "pickles": ("m.keras", archive({"model.weights.h5": None, "model.weights.npz": "x"}), "pickles"),
    "escape": ("m.keras", archive({"../x": b"y"}), "leads out of the archive"),
    "absolute": ("m.keras", archive({"/etc/x": b"y"}), "leads out of the archive"),
    "drive": ("m.keras", archive({"assets/..\\..\\x": b"y"}), "leads out of the archive"),
    "declared-smaller": ("m.keras", _redeclared(PACKED, 30), "config.json"),
    "declared-huge": ("m.keras", _redeclared(PACKED, 0xFFFFFFF0), "claims 4294967280 bytes"),
    "stored-larger": ("m.keras", _redeclared(archive(), 1 << 20), "claims 1048576 bytes"),
    "empty-weights": ("m.keras", archive({"model.weights.h5": ""}), "no readable HDF5 file"),
    "empty-config": ("m.keras", archive({"config.json": ""}), "is no readable config"),
    "weights-are-text": ("m.keras", archive({"model.weights.h5": "x" * 99}), "does not begin as one"),
    "bad-json": ("m.keras", archive({"config.json": "{"}), "is no readable config"),
    "bad-text": ("m.keras", archive({"config.json": b"\xff\xfe{}"}), "is no readable config"),
    "deep-json": ("m.keras", archive({"config.json": DEEP}), "nests too deep|nests deeper"),
    "deep-config": ("m.keras", archive({"config.json": NESTED}), "nests deeper than 200 levels"),
    "no-model": ("m.keras", archive({"config.json": '{"a": 1}'}), "it has no class_name"),
    "shape-bomb": ("m.keras", archive({"model.weights.h5": _bomb()}), "claims 8796093022208 bytes"),
    "external-data": (
        "m.keras",
        archive({"model.weights.h5": _linked("external")}),
        "refers to another file",
    ),
    "virtual-data": ("m.keras", archive({"model.weights.h5": _linked("virtual")}), "refers to another file"),
    "external-link": ("m.keras", archive({"model.weights.h5": _linked("link")}), "dense needs kernel"),
    "keras-1": ("m.h5", legacy("1.2.2"), "was written by Keras 1.2.2"),
    "weights-alone": (
        "w.weights.h5",
        tree(),
        "without the model's config.*config.json --weights w.weights.h5",
    ),
    "legacy-alone": ("w.h5", legacy(prefix=""), "without the model's config"),
    "config-alone": ("c.json", CONFIG, "has no weights, and dense needs kernel.*--weights"),
    "misnamed": ("m.h5", b"hello, world", "neither a zip archive nor HDF5"),
    "shape": ("m.keras", archive({"model.weights.h5": tree(np.ones((4, 2)))}), r"\(3, 2\).*\(4, 2\)"),
    "listed": ("m.h5", legacy(**{"model_weights/dense@weight_names": [b"a"]}), "lists the variable"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(tmp_path: Path, name: str) -> None:
    file, content, message = BROKEN[name]
    path = write(tmp_path, {file: content})
    assert is_keras(path)
    with pytest.raises(FormatError, match=message):
        variables(read_keras(path))


@pytest.mark.parametrize("name", ["cut-zip", "escape", "deep-json", "shape-bomb", "config-alone", "shape"])
def test_broken_converts_to_status_2(tmp_path: Path, name: str) -> None:
    from click.testing import CliRunner

    from litecast.cli import main

    file, content, _ = BROKEN[name]
    path = write(tmp_path, {file: content})
    result = CliRunner().invoke(main, ["convert", str(path), "-o", str(tmp_path / "m.tflite")])
    assert result.exit_code == 2
    assert not (tmp_path / "m.tflite").exists()


def test_missing_weights_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"c.json": CONFIG})
    with pytest.raises(FormatError, match=r"absent\.h5: cannot be read"):
        read_keras(path, tmp_path / "absent.h5")


def test_shards_beside_the_index_only(tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"/layers/dense/vars": "../m.h5"}})
    path = write(tmp_path, {"c.json": CONFIG, "m.weights.json": index})
    with pytest.raises(FormatError, match="do not lie beside it"):
        read_keras(path, tmp_path / "m.weights.json")


def test_corrupt_weights_are_noticed(tmp_path: Path) -> None:
    """The checksum of the archive holds for weights that are only mapped."""
    content = bytearray(archive())
    content[content.index(KERNEL.tobytes()) + 2] ^= 1
    path = write(tmp_path, {"m.keras": bytes(content)})
    with pytest.raises(FormatError, match=r"the checksum of model\.weights\.h5 is wrong"):
        read_keras(path)
