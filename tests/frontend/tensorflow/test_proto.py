"""The messages agree with TensorFlow's, and TensorProto decodes to the arrays that TensorFlow sees."""

from __future__ import annotations

import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from litecast.errors import FormatError, UnsupportedError
from litecast.frontend.tensorflow import proto
from litecast.frontend.tensorflow.proto import DataType, TensorProto, TensorShapeProto
from litecast.frontend.tensorflow.proto.compile import compile_schema
from litecast.frontend.tensorflow.proto.schema import SCHEMA
from litecast.frontend.tensorflow.proto.tensor import (
    DTYPES,
    dtype_from_enum,
    shape_from_proto,
    tensor_from_proto,
)
from tests.frontend.tensorflow.bundle_writer import ENUM, varint

# Where a flat name of the schema is nested or in another package in TensorFlow.
NESTED = {
    "Any": "google.protobuf.Any",
    "AnyList": "CollectionDef.AnyList",
    "ArgAttrs": "FunctionDef.ArgAttrs",
    "ArgDef": "OpDef.ArgDef",
    "AttrDef": "OpDef.AttrDef",
    "AttrListValue": "AttrValue.ListValue",
    "BytesList": "CollectionDef.BytesList",
    "CheckpointFormatVersion": "SaverDef.CheckpointFormatVersion",
    "CompositeTensor": "TensorInfo.CompositeTensor",
    "CooSparse": "TensorInfo.CooSparse",
    "Dim": "TensorShapeProto.Dim",
    "DtypeAndShape": "ResourceHandleProto.DtypeAndShape",
    "ExperimentalDebugInfo": "NodeDef.ExperimentalDebugInfo",
    "Extent": "TensorSliceProto.Extent",
    "FloatList": "CollectionDef.FloatList",
    "Int64List": "CollectionDef.Int64List",
    "MetaInfoDef": "MetaGraphDef.MetaInfoDef",
    "NodeList": "CollectionDef.NodeList",
    "ObjectReference": "TrackableObjectGraph.TrackableObject.ObjectReference",
    "SerializedTensor": "TrackableObjectGraph.TrackableObject.SerializedTensor",
    "TrackableObject": "TrackableObjectGraph.TrackableObject",
    "TypeSpecClass": "TypeSpecProto.TypeSpecClass",
}
# An enum that only says which byte order, of which we read the number.
NUMBERS = {("BundleHeaderProto", "endianness")}


# Types of the format for which TensorFlow's Python has no conversion from and to numpy.
UNKNOWN_TO_TENSORFLOW = {"float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"}


def tensorflow_name(flat: str) -> str:
    name = NESTED.get(flat, flat)
    return name if name.startswith("google.") else f"tensorflow.{name}"


def test_every_field_is_tensorflow_s() -> None:
    pytest.importorskip("tensorflow")
    from google.protobuf import descriptor_pb2
    from google.protobuf.descriptor_pool import Default
    from tensorflow.core.protobuf import saved_model_pb2, tensor_bundle_pb2, trackable_object_graph_pb2

    assert saved_model_pb2
    assert tensor_bundle_pb2
    assert trackable_object_graph_pb2
    ours = compile_schema(SCHEMA, "check.proto", "litecast.tf")
    for message in ours.message_type:
        theirs = descriptor_pb2.DescriptorProto()
        Default().FindMessageTypeByName(tensorflow_name(message.name)).CopyToProto(theirs)
        fields = {field.name: field for field in theirs.field}
        entries = {entry.name for entry in message.nested_type}
        for field in message.field:
            other = fields[field.name]
            assert (field.number, field.label) == (other.number, other.label), (message.name, field.name)
            if (message.name, field.name) in NUMBERS:
                continue
            assert field.type == other.type, (message.name, field.name)
            assert field.HasField("oneof_index") == other.HasField("oneof_index"), (message.name, field.name)
            kind = field.type_name.rpartition(".")[2]
            if kind and kind not in entries:
                assert other.type_name == f".{tensorflow_name(kind)}", (message.name, field.name)
        map_values = {
            (entry.name, part.name, part.type, part.type_name.rpartition(".")[2])
            for entry in theirs.nested_type
            for part in entry.field
        }
        for entry in message.nested_type:
            for part in entry.field:
                kind = (
                    tensorflow_name(part.type_name.rpartition(".")[2]).rpartition(".")[2]
                    if part.type_name
                    else ""
                )
                assert (entry.name, part.name, part.type, kind) in map_values
    for enum in ours.enum_type:
        values = Default().FindEnumTypeByName(tensorflow_name(enum.name)).values_by_name
        assert {value.name: value.number for value in enum.value} == {
            name: value.number for name, value in values.items()
        }


def test_both_sets_of_classes_live_in_one_process() -> None:
    pytest.importorskip("tensorflow")
    from tensorflow.core.framework import node_def_pb2

    theirs = node_def_pb2.NodeDef(name="n", op="Conv2D", input=["x", "^y"])
    theirs.attr["strides"].list.i.extend([1, 2, 2, 1])
    theirs.attr["padding"].s = b"SAME"
    ours = proto.NodeDef()
    ours.ParseFromString(theirs.SerializeToString())
    assert list(ours.attr["strides"].list.i) == [1, 2, 2, 1]
    assert ours.attr["padding"].WhichOneof("value") == "s"
    assert node_def_pb2.NodeDef.FromString(ours.SerializeToString()) == theirs


def test_an_unclosed_message_does_not_compile() -> None:
    with pytest.raises(ValueError, match="not closed"):
        compile_schema("message A { int32 x = 1;", "a.proto", "a")


def test_unknown_fields_are_kept() -> None:
    data = proto.NodeDef(name="n").SerializeToString() + bytes([15 << 3 | 2, 2]) + b"xy"
    node = proto.NodeDef()
    node.ParseFromString(data)
    assert node.name == "n"
    assert node.SerializeToString() == data


@pytest.mark.parametrize(
    ("shape", "expected"), [((), ()), ((2, -1), (2, -1)), ((0,), (0,)), (None, None)], ids=str
)
def test_shapes(shape: tuple[int, ...] | None, expected: tuple[int, ...] | None) -> None:
    message = TensorShapeProto(unknown_rank=shape is None)
    for size in shape or ():
        message.dim.add(size=size)
    assert shape_from_proto(message) == expected


def message_of(dtype: Any, shape: tuple[int, ...], **fields: Any) -> TensorProto:
    number = dtype if isinstance(dtype, int) else ENUM[np.dtype(dtype)]
    message = TensorProto(dtype=number, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize("dtype", [kind for kind in ENUM if kind.kind != "O"], ids=str)
def test_content_is_viewed(dtype: np.dtype) -> None:
    values = np.arange(6).reshape(2, 3) % 2
    array = tensor_from_proto(message_of(dtype, (2, 3), tensor_content=values.astype(dtype).tobytes()))
    assert array.dtype == dtype
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, values.astype(dtype))


REPEATED = [
    (np.float32, {"float_val": [1.5, -2]}, [1.5, -2]),
    (np.float64, {"double_val": [1.5, -2]}, [1.5, -2]),
    (np.int32, {"int_val": [1, -2]}, [1, -2]),
    (np.int8, {"int_val": [1, -2]}, [1, -2]),
    (np.uint8, {"int_val": [1, 255]}, [1, 255]),
    (np.uint16, {"int_val": [1, 65535]}, [1, 65535]),
    (np.int64, {"int64_val": [1, -(1 << 60)]}, [1, -(1 << 60)]),
    (np.uint32, {"uint32_val": [1, 1 << 31]}, [1, 1 << 31]),
    (np.uint64, {"uint64_val": [1, 1 << 63]}, [1, 1 << 63]),
    (np.bool_, {"bool_val": [True, False]}, [True, False]),
    (np.float16, {"half_val": [0x3E00, 0xC000]}, [1.5, -2]),
    (ml_dtypes.bfloat16, {"half_val": [0x3FC0, 0xC000]}, [1.5, -2]),
    (np.complex64, {"scomplex_val": [1, 2, 3, -4]}, [1 + 2j, 3 - 4j]),
    (np.complex128, {"dcomplex_val": [1, 2, 3, -4]}, [1 + 2j, 3 - 4j]),
    (ml_dtypes.int4, {"int_val": [7, -8]}, [7, -8]),
    (ml_dtypes.uint4, {"int_val": [7, 15]}, [7, 15]),
    (ml_dtypes.float8_e5m2, {"float8_val": bytes([0x3E, 0xC0])}, [1.5, -2]),
    (np.object_, {"string_val": [b"a", b"\xff\0"]}, [b"a", b"\xff\0"]),
]


@pytest.mark.parametrize(
    ("dtype", "fields", "values"), REPEATED, ids=[str(np.dtype(row[0])) for row in REPEATED]
)
def test_repeated_values(dtype: Any, fields: dict[str, Any], values: list[Any]) -> None:
    expected = np.array(values, dtype)
    array = tensor_from_proto(message_of(dtype, (2, 1), **fields))
    assert array.dtype == expected.dtype
    assert array.shape == (2, 1)
    assert array.ravel().tolist() == expected.tolist()
    filled = tensor_from_proto(message_of(dtype, (3, 2), **fields))
    assert filled.ravel().tolist() == [*expected.tolist(), *[expected.tolist()[-1]] * 4]
    first = tensor_from_proto(message_of(dtype, (), **fields))
    assert first.shape == ()
    assert first.item() == expected.tolist()[0]
    nothing = tensor_from_proto(message_of(dtype, (2,)))
    assert nothing.tolist() == [b"", b""] if dtype is np.object_ else not nothing.astype(bool).any()


def test_string_content() -> None:
    content = varint(200) + varint(0) + b"x" * 200
    assert tensor_from_proto(message_of(object, (2,), tensor_content=content)).tolist() == [b"x" * 200, b""]


def test_a_splat_costs_nothing() -> None:
    tracemalloc.start()
    try:
        array = tensor_from_proto(message_of(np.float32, (1 << 40, 3), float_val=[2.0]))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert array.shape == (1 << 40, 3)
    assert array[-1, -1] == 2.0


HUGE = 1 << 40
BAD = {
    "content too short": (
        np.float32,
        (3,),
        {"tensor_content": b"\0" * 8},
        "needs 12 bytes of content, there are 8",
    ),
    "content too long": (np.float32, (), {"tensor_content": b"\0" * 8}, "needs 4 bytes"),
    "two values for a tebibyte": (np.float32, (HUGE,), {"float_val": [1, 2]}, "2 values cannot fill"),
    "more elements than addresses": (np.float32, (HUGE, HUGE), {"float_val": [1]}, "impossible shape"),
    "zero times too many": (np.float32, (0, HUGE, HUGE), {}, "impossible shape"),
    "negative size": (np.float32, (-1,), {"float_val": [1]}, r"shape \(-1,\)"),
    "rank 33": (np.float32, (1,) * 33, {"float_val": [1]}, "impossible shape"),
    "no type": (0, (), {}, "0 is no TensorFlow data type"),
    "unknown type": (99, (), {}, "99 is no TensorFlow data type"),
    "strings beyond the end": (object, (2,), {"tensor_content": b"\x05\x05abc"}, "strings of 10 bytes"),
    "more strings than bytes": (
        object,
        (HUGE,),
        {"tensor_content": b"\x05\x05abc"},
        "strings are said to be",
    ),
    "endless number": (object, (1,), {"tensor_content": b"\xff" * 11}, "more than 64 bits"),
    "cut number": (object, (1,), {"tensor_content": b"\xff" * 2}, "ends within a number"),
}


@pytest.mark.parametrize("name", BAD)
def test_contradictions_are_format_errors(name: str) -> None:
    dtype, shape, fields, reason = BAD[name]
    with pytest.raises(FormatError, match=reason) as caught:
        tensor_from_proto(message_of(dtype, shape, **fields), "model.pb: node")
    assert str(caught.value).startswith("model.pb: node: ")


def test_unknown_rank_is_a_format_error() -> None:
    message = message_of(np.float32, (), float_val=[1])
    message.tensor_shape.unknown_rank = True
    with pytest.raises(FormatError, match="unknown"):
        tensor_from_proto(message)


@pytest.mark.parametrize("name", ["DT_RESOURCE", "DT_VARIANT", "DT_RESOURCE_REF"])
def test_handles_are_unsupported(name: str) -> None:
    with pytest.raises(UnsupportedError, match=name):
        tensor_from_proto(message_of(DataType[name], ()))


def test_reference_types_are_their_types() -> None:
    for number, dtype in DTYPES.items():
        assert dtype_from_enum(number % 100) == dtype
    assert dtype_from_enum(DataType["DT_FLOAT_REF"]) == np.float32


def test_types_are_tensorflow_s() -> None:
    tf = pytest.importorskip("tensorflow")
    quantized = {DataType[f"DT_{name}"] for name in ("QINT8", "QUINT8", "QINT16", "QUINT16", "QINT32")}
    for number, dtype in DTYPES.items():
        if number % 100 not in quantized:  # for these TensorFlow has structured types of its own
            assert np.dtype(tf.dtypes.as_dtype(number).as_numpy_dtype) == dtype


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 2)], ids=str)
@pytest.mark.parametrize("dtype", [kind for kind in ENUM if kind.name not in UNKNOWN_TO_TENSORFLOW], ids=str)
def test_against_tensorflow(dtype: np.dtype, shape: tuple[int, ...]) -> None:
    tf = pytest.importorskip("tensorflow")
    values = np.random.default_rng(1).integers(0, 4, shape)
    array = np.array(values.astype("S"), object) if dtype.kind == "O" else values.astype(dtype)
    theirs = tf.make_tensor_proto(array, ENUM[dtype], shape)
    message = TensorProto()
    message.ParseFromString(theirs.SerializeToString())
    ours = tensor_from_proto(message)
    expected = tf.make_ndarray(theirs)
    assert ours.dtype == dtype
    assert ours.shape == expected.shape
    assert ours.ravel().tolist() == expected.ravel().tolist()
