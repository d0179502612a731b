"""The metadata that the writer makes."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from litecast import __version__
from litecast.ir.graph import Graph, Model
from litecast.ir.types import DType, TensorType
from litecast.ops.custom import Builtin, Custom, Flex
from litecast.tflite.metadata import Conversion, _order, _release, _table, min_runtime
from litecast.tflite.reader import read
from litecast.tflite.schema import builtin_name
from litecast.tflite.writer import write
from tests.tflite.graphs import append, dense_model, f32
from tests.tflite.test_writer import unpacked


def model_of(*ops: object) -> Model:
    graph = Graph()
    value = graph.add_input(f32(2), "x")
    for op in ops:
        value = append(graph, op, [value], f32(2))
    graph.set_outputs([value])
    return Model(graphs=[graph])


def builtin(code: int, version: int) -> Builtin:
    return Builtin(code, str(code), builtin_version=version)


@pytest.mark.parametrize(
    ("ops", "release"),
    [
        ([], ""),
        ([(0, 1)], "1.5.0"),
        ([(0, 1), (0, 4)], "2.6.0"),
        ([(3, 8), (0, 4)], "2.15.0"),
        ([(6, 1), (3, 3)], "1.14.0"),
        ([(130, 1)], "2.5.0"),
        ([(16, 4)], "2.3.0"),
        ([(16, 5)], ""),
        ([(44, 5), (0, 1)], ""),
        ([(9999, 1)], ""),
    ],
)
def test_min_runtime(ops: list[tuple[int, int]], release: str):
    model = model_of(*[builtin(*op) for op in ops])
    assert min_runtime(model) == release
    entry = read(write(model)).metadata["min_runtime_version"]
    assert entry == release.encode().ljust(16, b"\0")


def test_custom_operations_do_not_count():
    assert min_runtime(model_of(Custom("Mine"), Flex("Erfc", b""), builtin(0, 1))) == "1.5.0"


def test_table_names_builtins_and_releases():
    table = _table()
    assert len(table) > 160
    for code, versions in table.items():
        assert builtin_name(code)
        releases = [tuple(map(int, versions[version].split("."))) for version in sorted(versions)]
        assert len(releases[0]) == 3
        assert max(releases) < (2, 30, 0)


def fields(content: bytes) -> tuple[bytes, int, int, list[int], list[bool]]:
    """Read conversion_metadata.fbs by hand: version, api, model type, modes, the three flags."""
    encode, N = flatbuffers.encode, flatbuffers.number_types
    table = flatbuffers.table.Table(content, encode.Get(N.UOffsetTFlags.packer_type, content, 0))

    def inner(slot: int) -> flatbuffers.table.Table:
        return flatbuffers.table.Table(content, table.Indirect(table.Pos + table.Offset(4 + 2 * slot)))

    def scalar(owner: flatbuffers.table.Table, slot: int, flags: type) -> int:
        place = owner.Offset(4 + 2 * slot)
        return owner.Get(flags, owner.Pos + place) if place else 0

    environment, options = inner(0), inner(1)
    version = environment.String(environment.Pos + environment.Offset(4))
    modes = options.GetVectorAsNumpy(N.Int32Flags, options.Offset(4)).tolist()
    flags = [bool(scalar(options, slot, N.BoolFlags)) for slot in (1, 2, 3)]
    numbers = scalar(environment, 1, N.Uint32Flags), scalar(environment, 2, N.Int32Flags)
    return version, *numbers, modes, flags


def test_conversion_metadata():
    content = read(write(model_of(Custom("Mine"), builtin(0, 1)))).metadata["CONVERSION_METADATA"]
    assert fields(content) == (f"Litecast {__version__}".encode(), 2, 0, [], [True, False, False])
    stated = Conversion(model_type=2, modes=(1003, 2000), force_select_tf_ops=True)
    content = read(write(model_of(Flex("Erfc", b"")), conversion_metadata=stated)).metadata[
        "CONVERSION_METADATA"
    ]
    assert fields(content)[1:] == (2, 2, [1003, 2000], [False, True, True])


def test_conversion_metadata_can_be_left_out_and_is_kept():
    assert "CONVERSION_METADATA" not in read(write(dense_model(), conversion_metadata=False)).metadata
    model = dense_model()
    model.metadata["CONVERSION_METADATA"] = b"theirs"
    assert read(write(model)).metadata["CONVERSION_METADATA"] == b"theirs"
    assert "CONVERSION_METADATA" not in read(write(model, conversion_metadata=False)).metadata
    assert read(write(model, conversion_metadata=Conversion())).metadata["CONVERSION_METADATA"] != b"theirs"


def test_runtime_version_is_renewed():
    model = model_of(builtin(0, 4))
    model.metadata["min_runtime_version"] = b"9.9.9".ljust(16, b"\0")
    assert read(write(model)).metadata["min_runtime_version"].rstrip(b"\0") == b"2.6.0"


def test_buffer_location_only_where_it_is_so():
    model = dense_model()
    outside = read(write(model, inline_limit=0))
    assert outside.metadata["buffer_location"] == b"outside flatbuffers"
    assert "buffer_location" not in read(write(outside)).metadata


def test_real_files_name_a_release(shared: Path):
    """Versions are minimal per instance, so the release is at most that of the versions that the file states.

    (What the files of 2020 state themselves, 1.5.0 for int8 kernels, was computed before quantization.)
    """
    for path in (shared / "models").rglob("*.tflite"):
        codes = unpacked(path.read_bytes()).operatorCodes
        stated = max(
            _order(_release(code.builtinCode or code.deprecatedBuiltinCode, code.version)) for code in codes
        )
        assert (1, 5, 0) <= _order(min_runtime(read(path))) <= stated, path


def test_element_type_counts():
    """A node's own operands decide on its version."""
    from litecast.ops import Add

    graph = Graph()
    x = graph.add_input(TensorType(DType.INT8, (2,)), "x")
    graph.set_outputs([append(graph, Add(), [x, x], x.type)])
    assert min_runtime(Model(graphs=[graph])) == "1.14.0"
    assert np.dtype(np.int8) == x.dtype.numpy
