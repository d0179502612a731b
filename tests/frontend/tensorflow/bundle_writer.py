"""Write tensor bundles and SavedModels for the tests: every knob of the format, independent of the reader."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from litecast.frontend.tensorflow.crc32c import crc32c
from litecast.frontend.tensorflow.proto import BundleEntryProto, BundleHeaderProto, DataType, SavedModel
from litecast.frontend.tensorflow.proto.tensor import DTYPES

MAGIC = 0xDB4775248B80FB57
ENUM = {dtype: number for number, dtype in reversed(DTYPES.items()) if number < 100} | {
    np.dtype(np.int8): DataType["DT_INT8"],
    np.dtype(np.uint8): DataType["DT_UINT8"],
    np.dtype(np.int16): DataType["DT_INT16"],
    np.dtype(np.uint16): DataType["DT_UINT16"],
    np.dtype(np.int32): DataType["DT_INT32"],
}
Blocks = Callable[[bytes], tuple[int, bytes]]


def plain_crc32c(data: bytes) -> int:
    """The definition, bit by bit."""
    state = 0xFFFFFFFF
    for octet in data:
        state ^= octet
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number: int) -> bytes:
    octets = b""
    while number > 0x7F:
        octets += bytes([number & 0x7F | 0x80])
        number >>= 7
    return octets + bytes([number])


def uncompressed(contents: bytes) -> tuple[int, bytes]:
    return 0, contents


def snappy_literals(contents: bytes) -> tuple[int, bytes]:
    """Snappy without any copies: literals of at most 60 bytes."""
    pieces = [contents[start : start + 60] for start in range(0, len(contents), 60)]
    return 1, varint(len(contents)) + b"".join(bytes([len(piece) - 1 << 2]) + piece for piece in pieces)


def block(entries: Iterable[tuple[bytes, bytes]], restart_interval: int = 16) -> bytes:
    contents, restarts, last = b"", [], b""
    for index, (key, value) in enumerate(entries):
        shared = 0
        if index % restart_interval == 0:
            restarts.append(len(contents))
        else:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        contents += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return contents + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(
    entries: Mapping[bytes, bytes], per_block: int = 1000, compress: Blocks = uncompressed, sort: bool = True
) -> bytes:
    """An SSTable with `per_block` entries in a data block."""
    output = b""

    def append(contents: bytes) -> bytes:
        nonlocal output
        kind, stored = compress(contents)
        handle = varint(len(output)) + varint(len(stored))
        output += stored + bytes([kind]) + struct.pack("<I", masked(plain_crc32c(stored + bytes([kind]))))
        return handle

    items = sorted(entries.items()) if sort else list(entries.items())
    index = []
    for start in range(0, len(items), per_block):
        group = items[start : start + per_block]
        index.append((group[-1][0], append(block(group))))
    footer = append(block([])) + append(block(index, 1))
    return output + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def string_data(strings: Iterable[bytes], order: str) -> tuple[bytes, int]:
    """The bytes of a string tensor and their checksum."""
    items = list(strings)
    mark = "<" if order == "little" else ">"
    lengths = b"".join(struct.pack(f"{mark}I", len(item)) for item in items)
    check = struct.pack(f"{mark}I", masked(plain_crc32c(lengths)))
    body = check + b"".join(items)
    return b"".join(varint(len(item)) for item in items) + body, plain_crc32c(lengths + body)


class BundleWriter:
    """Collects tensors, then writes the index and the shards."""

    def __init__(self, prefix: Path, order: str = "little", shards: int = 1) -> None:
        self.prefix, self.order = prefix, order
        self.data = [b""] * shards
        self.header = BundleHeaderProto(num_shards=shards, endianness=int(order == "big"))
        self.header.version.producer = 1
        self.entries: dict[bytes, BundleEntryProto] = {}

    def entry(self, shape: Iterable[int], dtype: int) -> BundleEntryProto:
        entry = BundleEntryProto(dtype=dtype)
        for size in shape:
            entry.shape.dim.add(size=size)
        return entry

    def add(
        self, key: str | bytes, array: np.ndarray, shard: int = 0, dtype: int | None = None
    ) -> BundleEntryProto:
        entry = self.entry(array.shape, ENUM[array.dtype] if dtype is None else dtype)
        if array.dtype == object:
            data, crc = string_data(array.ravel().tolist(), self.order)
        else:
            data = array.tobytes()
            if self.order == "big" and array.dtype.itemsize > 1:
                part = array.dtype.itemsize // (2 if array.dtype.kind == "c" else 1)
                data = np.frombuffer(data, f"<u{part}").astype(f">u{part}").tobytes()
            crc = plain_crc32c(data) if len(data) < 1 << 16 else crc32c(data)
        entry.shard_id, entry.offset, entry.size = shard, len(self.data[shard]), len(data)
        entry.crc32c = masked(crc)
        self.data[shard] += data
        self.entries[key.encode() if isinstance(key, str) else key] = entry
        return entry

    def write(self, **options: object) -> Path:
        self.prefix.parent.mkdir(parents=True, exist_ok=True)
        records = {key: entry.SerializeToString() for key, entry in self.entries.items()}
        records[b""] = self.header.SerializeToString()
        index = self.prefix.with_name(self.prefix.name + ".index")
        index.write_bytes(table(records, **options))  # type: ignore[arg-type]
        for number, data in enumerate(self.data):
            name = f"{self.prefix.name}.data-{number:05d}-of-{len(self.data):05d}"
            self.prefix.with_name(name).write_bytes(data)
        return self.prefix


def graph_model(*tag_sets: tuple[str, ...]) -> SavedModel:
    """A SavedModel with one small graph for each set of tags: y = x + 1."""
    model = SavedModel(saved_model_schema_version=1)
    for tags in tag_sets:
        meta = model.meta_graphs.add()
        meta.meta_info_def.tags.extend(tags)
        meta.meta_info_def.tensorflow_version = "2.21.0"
        add = meta.meta_info_def.stripped_op_list.op.add(name="AddV2")
        add.input_arg.add(name="x", type_attr="T")
        add.input_arg.add(name="y", type_attr="T")
        add.output_arg.add(name="z", type_attr="T")
        graph = meta.graph_def
        graph.node.add(name="x", op="Placeholder").attr["dtype"].type = DataType["DT_FLOAT"]
        one = graph.node.add(name="one", op="Const").attr["value"].tensor
        one.dtype = DataType["DT_FLOAT"]
        one.float_val.append(1.0)
        graph.node.add(name="y", op="AddV2", input=["x", "one"]).attr["T"].type = DataType["DT_FLOAT"]
        signature = meta.signature_def["serving_default"]
        signature.method_name = "tensorflow/serving/predict"
        for name, info in (("x", signature.inputs["x"]), ("y", signature.outputs["y"])):
            info.name, info.dtype = f"{name}:0", DataType["DT_FLOAT"]
            info.tensor_shape.dim.add(size=-1)
    return model
