"""Checkpoints: hand-made bundles with every knob of the format, TensorFlow's own, and corrupt ones."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from litecast.errors import FormatError, UnsupportedError
from litecast.frontend.tensorflow.checkpoint import Checkpoint
from litecast.frontend.tensorflow.crc32c import crc32c, unmask
from litecast.frontend.tensorflow.proto import DataType
from litecast.frontend.tensorflow.snappy import decompress
from litecast.frontend.tensorflow.sstable import read_table
from tests.frontend.tensorflow.bundle_writer import (
    ENUM,
    BundleWriter,
    masked,
    plain_crc32c,
    snappy_literals,
    table,
    varint,
)

Elements = list[tuple[str, Any, int]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"123456789", 0xE3069283), (b"\0" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_crc32c_vectors(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected
    assert plain_crc32c(data) == expected
    assert unmask(masked(expected)) == expected


@given(st.binary(max_size=40), st.integers(0, 300), st.integers(0, 12000))
def test_crc32c_of_parts(seed: bytes, repeats: int, cut: int) -> None:
    data = b"".join(seed + bytes([index % 251]) for index in range(repeats))
    assert crc32c(data) == plain_crc32c(data)
    assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data)


def test_crc32c_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).bytes(20_011)
    monkeypatch.setattr("litecast.frontend.tensorflow.crc32c._CHUNK", 1 << 12)
    assert crc32c(data) == plain_crc32c(data)


@st.composite
def snappy_elements(draw: Callable[[Any], Any]) -> Elements:
    elements: Elements = [("literal", draw(st.binary(min_size=1, max_size=300)), 0)]
    size = len(elements[0][1])
    for _ in range(draw(st.integers(0, 12))):
        if draw(st.booleans()):
            elements.append(("literal", draw(st.binary(min_size=1, max_size=70)), 0))
            size += len(elements[-1][1])
        else:
            kind = draw(st.sampled_from(["copy1", "copy2", "copy4"]))
            offset = draw(st.integers(1, min(size, 2047 if kind == "copy1" else 65535)))
            length = draw(st.integers(4, 11) if kind == "copy1" else st.integers(1, 64))
            elements.append((kind, length, offset))
            size += length
    return elements


def snappy(elements: Elements) -> tuple[bytes, bytes]:
    """The compressed and the plain bytes, one byte at a time."""
    packed, output = b"", bytearray()
    for kind, content, offset in elements:
        if kind == "literal":
            length = len(content) - 1
            packed += bytes([length << 2]) if length < 60 else bytes([61 << 2]) + length.to_bytes(2, "little")
            packed += content
            output += content
            continue
        for _ in range(content):
            output.append(output[-offset])
        if kind == "copy1":
            packed += bytes([1 | content - 4 << 2 | offset >> 8 << 5, offset & 0xFF])
        else:
            width = int(kind[-1])
            packed += bytes([{2: 2, 4: 3}[width] | content - 1 << 2]) + offset.to_bytes(width, "little")
    return varint(len(output)) + packed, bytes(output)


@given(snappy_elements())
def test_snappy(elements: Elements) -> None:
    packed, plain = snappy(elements)
    assert decompress(packed, "here") == plain


@given(st.binary(max_size=200))
def test_snappy_of_anything(data: bytes) -> None:
    try:
        size = len(decompress(data, "here"))
    except FormatError:
        size = 0
    assert size <= 22 * len(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (varint(1 << 40) + b"\0a", "said to be compressed in"),
        (varint(4) + b"\x00a", "gives 1 bytes instead of 4"),
        (varint(4) + b"\x10a", "a literal is too long"),
        (varint(4) + b"\x00a\x01\x05", "a copy is out of range"),
        (varint(4) + b"\x00a\x01\x00", "a copy is out of range"),
        (varint(4) + b"\x00a\x02\x00", "ends within an element"),
        (b"", "ends within a number"),
    ],
)
def test_corrupt_snappy(data: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        decompress(data, "here")


def samples(dtype: np.dtype) -> np.ndarray:
    values = np.arange(12).reshape(3, 4)
    if dtype.kind == "O":
        return np.array([str(value).encode() * value for value in values.ravel()], object).reshape(3, 4)
    return (values % 2 if dtype.itemsize == 1 else values * 1021 % 509).astype(dtype)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("dtype", ENUM, ids=str)
def test_every_type_in_both_byte_orders(tmp_path: Path, dtype: np.dtype, order: str) -> None:
    writer = BundleWriter(tmp_path / "variables", order)
    writer.add("odd", np.array([1, 2, 3], np.uint8))  # what follows is not aligned
    writer.add("x", samples(dtype))
    writer.add("scalar", samples(dtype)[1, 1].reshape(()) if dtype.kind != "O" else np.array(b"abc", object))
    writer.add("none", samples(dtype)[:0])
    checkpoint = Checkpoint(writer.write())
    array = checkpoint.tensor("x")
    assert array.dtype == dtype
    assert array.tolist() == samples(dtype).tolist()
    assert not array.flags.writeable
    assert checkpoint.shape_dtype("x") == ((3, 4), dtype)
    assert checkpoint.tensor("scalar").shape == ()
    assert checkpoint.tensor("none").shape == (0, 4)
    for key in checkpoint:
        checkpoint.verify(key)


def test_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "variables")
    writer.add("x", np.zeros((1000, 1000), np.float32))
    checkpoint = Checkpoint(writer.write())
    assert np.shares_memory(checkpoint.tensor("x"), checkpoint.tensor("x"))
    assert not checkpoint.tensor("x").flags.owndata


@pytest.mark.parametrize(
    "options",
    [{}, {"per_block": 3}, {"compress": snappy_literals, "per_block": 7}],
    ids=["one block", "blocks of 3", "compressed"],
)
def test_many_keys_over_blocks_and_shards(tmp_path: Path, options: dict[str, Any]) -> None:
    writer = BundleWriter(tmp_path / "variables", shards=3)
    names = [f"layer_{index}/kernel/.ATTRIBUTES/VARIABLE_VALUE" for index in range(50)] + ["größe"]
    for index, name in enumerate(names):
        writer.add(name, np.full(index, index, np.int64), shard=index % 3)
    checkpoint = Checkpoint(writer.write(**options))
    assert sorted(checkpoint.keys()) == sorted(names)
    assert list(checkpoint) == list(checkpoint.keys())
    assert len(checkpoint) == len(names)
    for index, name in enumerate(names):
        assert name in checkpoint
        assert checkpoint.tensor(name).tolist() == [index] * index
    assert "layer_50" not in checkpoint
    assert "" not in checkpoint
    assert 3 not in checkpoint


def test_shards_are_opened_when_needed(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "variables", shards=2)
    writer.add("x", np.ones(2, np.float32))
    writer.add("y", np.ones(2, np.float32), shard=1)
    checkpoint = Checkpoint(writer.write())
    (tmp_path / "variables.data-00001-of-00002").unlink()
    assert checkpoint.tensor("x").tolist() == [1, 1]
    assert checkpoint.shape_dtype("y") == ((2,), np.float32)
    with pytest.raises(FormatError, match=r"variables\.data-00001-of-00002: the data file cannot be read"):
        checkpoint.tensor("y")


def test_a_missing_key_names_the_nearest(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "variables")
    writer.add("dense/kernel", np.ones(2, np.float32))
    with pytest.raises(FormatError, match=r"variables.index: has no tensor 'dense/kernal'.*'dense/kernel'"):
        Checkpoint(writer.write()).tensor("dense/kernal")


def partitioned(folder: Path, order: str = "little") -> tuple[BundleWriter, np.ndarray]:
    """A variable in three slices; their keys are written out here as TensorFlow writes them."""
    writer = BundleWriter(folder / "variables", order, shards=2)
    whole = np.arange(300 * 4, dtype=np.float32).reshape(300, 4)
    entry = writer.entry(whole.shape, DataType["DT_FLOAT"])
    # Signed codes: 0 is 80, 100 is C0 64, 200 is C0 C8; all of dimension 1 is start 0, length -1: 80, 7F.
    for number, start in enumerate((b"\x80", b"\xc0\x64", b"\xc0\xc8")):
        extents = entry.slices.add().extent
        extents.add(start=100 * number, length=100)
        extents.add()
        key = b"\0" + b"emb\0\1" + b"\1\2" + start + b"\xc0\x64" + b"\x80\x7f"
        writer.add(key, whole[100 * number : 100 * number + 100], shard=number % 2)
    writer.entries[b"emb"] = entry
    return writer, whole


@pytest.mark.parametrize("order", ["little", "big"])
def test_partitioned_variables_are_joined(tmp_path: Path, order: str) -> None:
    writer, whole = partitioned(tmp_path, order)
    checkpoint = Checkpoint(writer.write())
    assert list(checkpoint.keys()) == ["emb"]
    assert checkpoint.shape_dtype("emb") == ((300, 4), np.float32)
    np.testing.assert_array_equal(checkpoint.tensor("emb"), whole)
    checkpoint.verify("emb")


@pytest.mark.parametrize(
    ("description", "rows", "columns"),
    [
        ("", slice(0, 300), slice(0, 4)),
        ("300 4 100,100:-", slice(100, 200), slice(0, 4)),  # stored so
        ("300 4 150,100:1,2", slice(150, 250), slice(1, 3)),
        ("300 4 -:-", slice(0, 300), slice(0, 4)),
    ],
)
def test_parts_are_given_as_a_restore_asks(
    tmp_path: Path, description: str, rows: slice, columns: slice
) -> None:
    writer, whole = partitioned(tmp_path)
    part = Checkpoint(writer.write()).part("emb", description)
    np.testing.assert_array_equal(part, whole[rows, columns])


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("300 5 -:-", r"has the shape \(300, 4\), but the graph restores it as \(300, 5\)"),
        ("300 4 -", "has 1 dimensions, not 2"),
        ("300 4 250,100:-", "lies outside its shape"),
        ("300 4 1:-", "which is no slice"),
        ("x 4 -:-", "which is no slice"),
    ],
)
def test_wrong_parts(tmp_path: Path, description: str, reason: str) -> None:
    writer, _ = partitioned(tmp_path)
    with pytest.raises(FormatError, match=reason):
        Checkpoint(writer.write()).part("emb", description)


@pytest.mark.parametrize("description", ["", "300 4 100,100:-"])
def test_a_slice_of_another_type_is_named(tmp_path: Path, description: str) -> None:
    writer, whole = partitioned(tmp_path)
    second = [key for key in writer.entries if key.startswith(b"\0")][1]
    writer.add(second, whole[:100].astype(np.int32))
    with pytest.raises(FormatError, match="a slice of 'emb' is int32"):
        Checkpoint(writer.write()).part("emb", description)


def test_slices_cannot_share_their_data(tmp_path: Path) -> None:
    """Many slices at one place of a file would otherwise be a tensor of any size."""
    writer, _ = partitioned(tmp_path)
    slices = [entry for key, entry in writer.entries.items() if key.startswith(b"\0")]
    for entry in slices:
        entry.shard_id, entry.offset = slices[0].shard_id, slices[0].offset
    writer.data[0] = writer.data[0][: slices[0].size]
    with pytest.raises(FormatError, match="do not make up its shape"):
        Checkpoint(writer.write()).tensor("emb")


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    writer, _ = partitioned(tmp_path)
    del writer.entries[next(key for key in writer.entries if key.startswith(b"\0"))]
    with pytest.raises(FormatError, match="has no tensor 'emb'"):
        Checkpoint(writer.write()).tensor("emb")


def test_slices_must_make_up_the_whole(tmp_path: Path) -> None:
    writer, _ = partitioned(tmp_path)
    del writer.entries[b"emb"].slices[2]
    with pytest.raises(FormatError, match=r"the slices of 'emb' do not make up its shape \(300, 4\)"):
        Checkpoint(writer.write()).tensor("emb")


Change = Callable[[BundleWriter], Any]


def set_entry(**fields: int) -> Change:
    def change(writer: BundleWriter) -> None:
        for name, value in fields.items():
            setattr(writer.entries[b"x"], name, value)

    return change


def set_header(**fields: int) -> Change:
    def change(writer: BundleWriter) -> None:
        for name, value in fields.items():
            setattr(writer.header, name, value)

    return change


WRONG: dict[str, tuple[Change, str, str]] = {
    "offset beyond the end": (
        set_entry(offset=100),
        "data-00000-of-00001",
        "has 12 bytes, but 'x' is said to be",
    ),
    "negative offset": (set_entry(offset=-4), "data-00000-of-00001", "bytes -4 to 8"),
    "negative size": (set_entry(size=-4), "data-00000-of-00001", "bytes 0 to -4"),
    "huge size": (set_entry(size=1 << 62), "data-00000-of-00001", "has 12 bytes"),
    "size against shape": (
        set_entry(size=8),
        "variables.index",
        r"'x' float32 \(3,\) is said to have 8 bytes",
    ),
    "unknown type": (set_entry(dtype=77), "variables.index", "77 is no TensorFlow data type"),
    "shard out of range": (set_entry(shard_id=1), "variables.index", "data file 1 of 1"),
    "no shards": (set_header(num_shards=0), "variables.index", "said to have 0 data files"),
    "newer format": (lambda w: setattr(w.header.version, "min_consumer", 2), "variables.index", "version 2"),
    "unknown rank": (
        lambda w: setattr(w.entries[b"x"].shape, "unknown_rank", True),
        "variables.index",
        "unknown",
    ),
    "slice of another rank": (
        lambda w: w.entries[b"x"].slices.add(),
        "variables.index",
        "0 dimensions, not 1",
    ),
    "slice outside": (
        lambda w: w.entries[b"x"].slices.add().extent.add(start=2, length=5),
        "variables.index",
        "lies outside its shape",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_entries(tmp_path: Path, name: str) -> None:
    change, file, reason = WRONG[name]
    writer = BundleWriter(tmp_path / "variables")
    writer.add("x", np.ones(3, np.float32))
    change(writer)
    with pytest.raises(FormatError, match=reason) as caught:
        Checkpoint(writer.write()).tensor("x")
    assert file in str(caught.value)


def test_variants_are_unsupported(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "variables")
    writer.add("x", np.ones(3, np.uint8), dtype=DataType["DT_VARIANT"])
    with pytest.raises(UnsupportedError, match="DT_VARIANT"):
        Checkpoint(writer.write()).tensor("x")


TABLES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "truncated or no checkpoint index"),
    "no magic": (b"x" * 100, "truncated or no checkpoint index"),
    "no header": (table({b"x": b""}), "has no header"),
    "header is no message": (table({b"": b"\xff"}), "its header cannot be decoded"),
    "out of order": (table({b"b": b"", b"a": b""}, sort=False), "not in order"),
    "unknown compression": (table({b"": b""}, compress=lambda data: (9, data)), "unknown compression 9"),
    "compression of nothing": (table({b"": b""}, compress=lambda data: (1, b"")), "ends within a number"),
    "block too small": (
        table({b"": b""}, compress=lambda _: (0, b"ab")),
        "shorter than its list of restarts",
    ),
    "too many restarts": (table({b"": b""}, compress=lambda _: (0, b"\xff" * 8)), "shorter than its list"),
    "entry too long": (
        table({b"": b""}, compress=lambda _: (0, b"\0\x7f\0" + b"\0" * 4 + b"\1\0\0\0")),
        "does not fit its block",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_corrupt_tables(tmp_path: Path, name: str) -> None:
    data, reason = TABLES[name]
    (tmp_path / "variables.index").write_bytes(data)
    with pytest.raises(FormatError, match=reason) as caught:
        Checkpoint(tmp_path / "variables")
    assert "variables.index: " in str(caught.value)


def test_keys_cannot_blow_up(tmp_path: Path) -> None:
    """A key of 60 kB that thousands of entries share would take gigabytes."""
    entries = varint(0) + varint(60_000) + varint(0) + b"k" * 60_000
    entries += b"".join(
        varint(60_000) + varint(2) + varint(0) + index.to_bytes(2, "big") for index in range(30_000)
    )
    contents = entries + b"\0" * 4 + b"\1\0\0\0"
    path = tmp_path / "variables.index"
    blocks = iter([contents])  # only the first block; the index block follows
    path.write_bytes(table({b"": b""}, compress=lambda data: (0, next(blocks, data))))
    with pytest.raises(FormatError, match="an entry does not fit its block"):
        read_table(path)


def test_missing_index(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"variables.index: cannot be read \(No such file"):
        Checkpoint(tmp_path / "variables")


def test_a_changed_shard_is_found_by_verify(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path / "variables")
    writer.add("x", np.ones(3, np.float32))
    writer.add("s", np.array([b"abc"], object))
    writer.data[0] = b"\1" + writer.data[0][1:-1] + b"x"
    checkpoint = Checkpoint(writer.write())
    for look in (checkpoint.tensor, checkpoint.verify):
        with pytest.raises(FormatError, match="the checksum of 'x' is wrong"):
            look("x")
    with pytest.raises(FormatError, match="the checksum of the strings is wrong"):
        checkpoint.tensor("s")


@pytest.mark.parametrize("place", [None, 0, -1])
def test_long_data_is_checked_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int | None
) -> None:
    monkeypatch.setattr("litecast.frontend.tensorflow.checkpoint._READ", 100)
    monkeypatch.setattr("litecast.frontend.tensorflow.checkpoint._PIECE", 1000)
    writer = BundleWriter(tmp_path / "variables")
    writer.add("before", np.ones(3, np.float32))
    writer.add("x", np.arange(1101, dtype=np.float32))
    if place is not None:
        data = bytearray(writer.data[0])
        data[12 if place == 0 else -1] ^= 1
        writer.data[0] = bytes(data)
    checkpoint = Checkpoint(writer.write())
    checkpoint.verify("before")
    if place is None:
        checkpoint.verify("x")
    else:
        with pytest.raises(FormatError, match="the checksum of 'x' is wrong"):
            checkpoint.tensor("x")
        monkeypatch.setattr("litecast.frontend.tensorflow.checkpoint._CHECKED", 4000)
        assert Checkpoint(tmp_path / "variables").tensor("x").shape == (1101,)


def read_all(prefix: Path) -> None:
    checkpoint = Checkpoint(prefix)
    for key in checkpoint:
        checkpoint.shape_dtype(key)
        checkpoint.tensor(key)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, or change a few bytes."""
    if chance.random() < 0.25:
        return data[: chance.randrange(len(data) + 1)]
    octets = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        octets[chance.randrange(len(octets))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(octets)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files(tmp_path: Path, seed: int) -> None:
    """Bytes changed anywhere, under a wrong and under a right checksum: an error of ours or a value."""
    chance = random.Random(seed)
    writer, _ = partitioned(tmp_path)
    for index, dtype in enumerate(ENUM):
        writer.add(f"tensor_{index}", samples(dtype))
    prefix = writer.write(per_block=5)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    originals = {path: path.read_bytes() for path in files}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = 0
    for _ in range(150):
        for path, data in originals.items():
            path.write_bytes(data)
        kind = chance.choice(("file", "block", "record"))
        if kind == "file":
            path = chance.choice(files)
            path.write_bytes(damaged(originals[path], chance))
        elif kind == "block":
            writer.write(
                per_block=5, compress=lambda contents: (chance.choice((0, 0, 1)), damaged(contents, chance))
            )
        else:
            key = chance.choice(list(writer.entries))
            entry = writer.entries[key]
            writer.entries[key] = _Bytes(damaged(entry.SerializeToString(), chance))  # type: ignore[assignment]
            writer.write()
            writer.entries[key] = entry
        try:
            read_all(prefix)
            read += 1
        except (FormatError, UnsupportedError):
            pass
    assert 0 < read < 150
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


class _Bytes(bytes):
    def SerializeToString(self) -> bytes:  # as a message has it
        return bytes(self)


def test_partitioned_by_tensorflow(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    tf1 = tf.compat.v1
    whole = {}
    with tf.Graph().as_default(), tf1.Session() as session:
        for name, shape, axis in (("emb", (1000, 6), 0), ("both", (4, 200), 1)):
            with tf1.variable_scope("", partitioner=tf1.fixed_size_partitioner(3, axis=axis)):
                whole[name] = tf1.get_variable(name, shape, use_resource=False)
        session.run(tf1.global_variables_initializer())
        prefix = tf1.train.Saver(tf1.global_variables(), sharded=True).save(session, str(tmp_path / "model"))
        whole = {name: session.run(variable.as_tensor()) for name, variable in whole.items()}
    checkpoint = Checkpoint(prefix)
    reader = tf.train.load_checkpoint(prefix)
    assert sorted(checkpoint.keys()) == sorted(reader.get_variable_to_shape_map())
    for name, value in whole.items():
        np.testing.assert_array_equal(reader.get_tensor(name), value)
        np.testing.assert_array_equal(checkpoint.tensor(name), value)
        checkpoint.verify(name)


def test_types_and_strings_by_tensorflow(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    values = {
        "half": tf.constant([1.5, -2], tf.float16),
        "bfloat": tf.constant([1.5, -2], tf.bfloat16),
        "complex": tf.constant([1 + 2j], tf.complex64),
        "bool": tf.constant([[True], [False]]),
        "string": tf.constant([b"", b"x" * 300, b"\0\xff"]),
        "int4": tf.constant([1, -8, 7], tf.int8),
        "empty": tf.zeros((0, 3)),
        "scalar": tf.constant(7, tf.int64),
    }
    prefix = str(tmp_path / "model")
    values["int4"] = tf.cast(values["int4"], tf.dtypes.as_dtype("int4"))
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=list(values.values()),
    )
    checkpoint = Checkpoint(prefix)
    for name, value in values.items():
        array = checkpoint.tensor(name)
        checkpoint.verify(name)
        assert array.shape == tuple(value.shape)
        expected = ml_dtypes.int4 if name == "int4" else value.numpy().dtype
        assert array.dtype == expected
        assert array.tolist() == (value.numpy().astype(array.dtype)).tolist()
    assert checkpoint.object_graph() is None
