"""HDF5 files read without the library, against the library."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from litecast.errors import FormatError
from litecast.frontend.keras.hdf5 import Hdf5

RNG = np.random.default_rng(4)
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32"]
DTYPES += ["float64", "bool", ">f4", ">i2"]


def write(fill: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w", **options) as file:
        fill(file)
    return content.getvalue()


def opened(content: bytes) -> Hdf5:
    return Hdf5(np.frombuffer(content, np.uint8), "m.h5")


def check(content: bytes) -> Hdf5:
    """Compare everything with what the library says."""
    file, names = opened(content), {}
    with h5py.File(io.BytesIO(content)) as library:
        library.visititems(lambda name, item: names.__setitem__(name, item))
        assert set(file.names) == set(names)
        found = file.datasets(file.names)
        for name, item in names.items():
            if isinstance(item, h5py.Dataset):
                assert found[name].shape == item.shape
                np.testing.assert_array_equal(found[name].array, item[()])
            expected = {key: _plain(value) for key, value in item.attrs.items()}
            assert file.attributes(name) == expected
    return file


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    return value.decode() if isinstance(value, bytes) else value


def _everything(file: h5py.File) -> None:
    for dtype in DTYPES:
        for shape in [(), (0,), (3,), (2, 3, 1, 2)]:
            value = RNG.integers(0, 2, shape).astype(dtype)
            file[f"numbers/{dtype.replace('>', 'big_')}/{len(shape)}_{value.size}"] = value
    group = file.create_group("group with blanks/\u00fc")
    group.attrs["text"], group.attrs["bytes"] = "caf\u00e9", b"abc"
    group.attrs["list"], group.attrs["names"] = ["a", "", "ccc"], [b"a", b"bcd"]
    group.attrs["number"], group.attrs["numbers"] = 3, np.arange(4.0)
    group.attrs["none"], group.attrs["long"] = np.zeros(0), "x" * 30_000
    for index in range(40):
        group.attrs[f"attribute {index}"] = index


def test_everything() -> None:
    check(write(_everything))


@pytest.mark.parametrize("version", ["earliest", "v108", "v110", "latest"])
def test_layouts_of_newer_libraries(version: str) -> None:
    check(write(_everything, libver=version))


@pytest.mark.parametrize("count", [1, 9, 200, 5000])
def test_many_links(count: int) -> None:
    """B-trees of one to three levels."""
    check(write(lambda file: [file.create_group(f"g{index}/{index}") for index in range(count)]))


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (3, 4)},
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
        {"scaleoffset": 2},
        {"maxshape": (None, 9)},
    ],
)
def test_chunks_and_filters(options: dict[str, Any]) -> None:
    value = np.round(RNG.normal(size=(7, 9)), 2)
    check(write(lambda file: file.create_dataset("a/b", data=value, **options)))


def test_bfloat16() -> None:
    value = RNG.normal(size=(3, 5)).astype(ml_dtypes.bfloat16)
    for options in ({}, {"chunks": (2, 5)}):
        content = write(lambda file, options=options: file.create_dataset("x", data=value, **options))
        (stored,) = opened(content).datasets(["x"]).values()
        assert stored.dtype == value.dtype
        np.testing.assert_array_equal(stored.array, value)


def test_other_opaque_types_are_refused() -> None:
    content = write(lambda file: file.create_dataset("x", data=np.zeros(3, ml_dtypes.float8_e4m3fn)))
    with pytest.raises(FormatError, match="which Keras has no variables of"):
        opened(content).datasets(["x"])


@pytest.mark.parametrize("kind", ["compound", "reference", "sequence"])
def test_other_types_are_refused(kind: str) -> None:
    dtype: Any = {
        "compound": np.dtype([("a", "f4"), ("b", "i4")]),
        "reference": h5py.ref_dtype,
        "sequence": h5py.vlen_dtype(np.int32),
    }[kind]
    content = write(lambda file: file.create_dataset("x", (3,), dtype))
    with pytest.raises(FormatError, match="type"):
        opened(content).datasets(["x"])


def test_text() -> None:
    def fill(file: h5py.File) -> None:
        file["fixed"] = np.array([b"ab", b"c"])
        file["any"] = np.array(["ab", "\u00fc"], dtype=h5py.string_dtype())

    found = opened(write(fill)).datasets(["fixed", "any"])
    assert found["fixed"].array.tolist() == [b"ab", b"c"]
    assert found["any"].array.tolist() == [b"ab", "\u00fc".encode()]


def test_hard_links_are_followed_and_others_are_not() -> None:
    def fill(file: h5py.File) -> None:
        file["a/x"] = np.ones(2)
        file["soft"], file["outside"] = h5py.SoftLink("/a/x"), h5py.ExternalLink("other.h5", "/x")
        file["a/loop"] = file["/"]

    assert {"a", "a/x"} <= set(opened(write(fill)).names)
    assert not {"soft", "outside"} & set(opened(write(fill)).names)


def test_user_block() -> None:
    """The library places a file behind a block of the user's own; Keras does not."""
    content = write(lambda file: file.create_dataset("x", data=np.ones(3)), userblock_size=512)
    with pytest.raises(FormatError, match="no readable HDF5 file"):
        opened(b"\x89HDF\r\n\x1a\n" + bytes(504) + content[512:])


def test_plain_files_need_no_library(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "m.h5").write_bytes(write(lambda file: file.create_dataset("x", data=np.ones(3))))
    code = (
        "import sys, numpy; from litecast.frontend.keras.hdf5 import Hdf5;"
        "file = Hdf5(numpy.fromfile(sys.argv[1], 'uint8'), 'm.h5');"
        "assert file.datasets(['x'])['x'].array.sum() == 3;"
        "assert 'h5py' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "m.h5")], check=True)
