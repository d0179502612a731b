"""TensorFlow's messages as classes of the installed protobuf, made from `schema.SCHEMA` at import.

They live in a descriptor pool and a package of their own, so that TensorFlow's classes of the same names can
be loaded in the same process, and no generated code ties Litecast to one version of protobuf.
"""

from __future__ import annotations

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from litecast.frontend.tensorflow.proto.compile import compile_schema
from litecast.frontend.tensorflow.proto.schema import SCHEMA

__all__ = [
    "AssetFileDef",
    "AttrValue",
    "BundleEntryProto",
    "BundleHeaderProto",
    "DataType",
    "DecodeError",
    "FunctionDef",
    "GraphDef",
    "Message",
    "MetaGraphDef",
    "NameAttrList",
    "NodeDef",
    "OpDef",
    "SavedModel",
    "SavedObject",
    "SavedObjectGraph",
    "SignatureDef",
    "StructuredValue",
    "TensorInfo",
    "TensorProto",
    "TensorShapeProto",
    "TensorSliceProto",
    "TrackableObjectGraph",
]

PACKAGE = "litecast.tf"

_pool = DescriptorPool()
_pool.AddSerializedFile(compile_schema(SCHEMA, "litecast/tf.proto", PACKAGE).SerializeToString())


def _message(name: str) -> type[Message]:
    return GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


AssetFileDef = _message("AssetFileDef")
AttrValue = _message("AttrValue")
BundleEntryProto = _message("BundleEntryProto")
BundleHeaderProto = _message("BundleHeaderProto")
FunctionDef = _message("FunctionDef")
GraphDef = _message("GraphDef")
MetaGraphDef = _message("MetaGraphDef")
NameAttrList = _message("NameAttrList")
NodeDef = _message("NodeDef")
OpDef = _message("OpDef")
SavedModel = _message("SavedModel")
SavedObject = _message("SavedObject")
SavedObjectGraph = _message("SavedObjectGraph")
SignatureDef = _message("SignatureDef")
StructuredValue = _message("StructuredValue")
TensorInfo = _message("TensorInfo")
TensorProto = _message("TensorProto")
TensorShapeProto = _message("TensorShapeProto")
TensorSliceProto = _message("TensorSliceProto")
TrackableObjectGraph = _message("TrackableObjectGraph")

DataType: dict[str, int] = {
    value.name: value.number for value in _pool.FindEnumTypeByName(f"{PACKAGE}.DataType").values
}
