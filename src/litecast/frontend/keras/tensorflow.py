"""Layers that hold one call of TensorFlow: TFOpLambda and its kin of Keras 2, TensorFlowOpLayer before 2.4.

Functions are found by the name in the config (functions/); operations by the importers of SavedModels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from litecast.errors import ConvertError, Unsupported, UnsupportedError
from litecast.frontend.keras.config import decode
from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.operations.promotion import tensor
from litecast.ir.builder import Builder

RAGGED = "ragged and sparse tensors have no form in TensorFlow Lite"
DENSE = "convert them to dense tensors before the model"


@keras("TFOpLambda", "SlicingOpLambda", autocast=False)
def op_lambda(b: Builder, /, *args: Any, layer: Any, function: str, mask: Any, **kwargs: Any) -> Any:
    """Call the function that the config names, as `tf.` + name would be.

    An argument `mask` (of tf.boolean_mask) comes as the layer's mask.
    """
    from litecast.frontend.keras.functions.table import call, takes

    if mask is not None and takes(function, "mask"):
        kwargs["mask"] = mask
    return call(b, function, args, kwargs)


def _refuse(b: Builder, /, *args: Any, layer: Any, **kwargs: Any) -> Any:
    raise layer.unsupported(RAGGED, DENSE)


keras("ClassMethod", "InstanceMethod", "InstanceProperty", autocast=False, refused=RAGGED)(_refuse)


# -- operations of TensorFlow 2.0 to 2.3 -----------------------------------------------------------------


@keras("TensorFlowOpLayer", autocast=False)
def tensorflow_op(b: Builder, inputs: Any, *, layer: Any, node_def: Any, constants: Any = None) -> Any:
    """Run one node of a graph; `constants` are operands by position."""
    import litecast.frontend.tensorflow.ops  # noqa: F401  (fills the table)
    from litecast.frontend.tensorflow.attributes import Attributes
    from litecast.frontend.tensorflow.importer import tf

    node = node_of(node_def)
    importer = tf.find(node.op)
    if importer is None:
        raise UnsupportedError(
            Unsupported(node.op, "Litecast has no importer for this TensorFlow operation", layer.path)
        )
    operands = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    for index, value in sorted((constants or {}).items(), key=lambda item: int(item[0])):
        operands.insert(int(index), decode(value) if isinstance(value, Mapping) else value)
    attributes = Attributes(node, None, {}, {}, None)
    context = {"op": node.op, "tracer": None, "frame": None, "node": node}
    values = [tensor(b, x) for x in operands]
    return importer(b, values, attributes, attributes.decode, context)


def node_of(node_def: Any) -> Any:
    """Return the node: a message as JSON, or serialized in a string; ConvertError where it is none."""
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    from litecast.frontend.tensorflow.proto import NodeDef

    node: Any = NodeDef()
    try:
        if isinstance(node_def, str) and node_def.lstrip().startswith("{"):
            node_def = json.loads(node_def)
        if isinstance(node_def, Mapping):
            json_format.ParseDict(_numbered(node_def), node, ignore_unknown_fields=True)
        else:
            node.ParseFromString(node_def.encode() if isinstance(node_def, str) else bytes(node_def))
    except (json_format.ParseError, DecodeError, ValueError, TypeError) as error:
        raise ConvertError(f"a TensorFlowOpLayer holds no node of a graph: {error}") from None
    return node


def _numbered(value: Any, key: str = "") -> Any:
    """Return JSON with TensorFlow's names of element types as their numbers."""
    if isinstance(value, Mapping):
        return {name: _numbered(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, key) for item in value]
    if key in ("type", "dtype") and isinstance(value, str) and value.startswith("DT_"):
        return _DATA_TYPES[value]
    return value


_DATA_TYPES = {
    "DT_FLOAT": 1, "DT_DOUBLE": 2, "DT_INT32": 3, "DT_UINT8": 4, "DT_INT16": 5, "DT_INT8": 6, "DT_STRING": 7,
    "DT_COMPLEX64": 8, "DT_INT64": 9, "DT_BOOL": 10, "DT_BFLOAT16": 14, "DT_UINT16": 17, "DT_COMPLEX128": 18,
    "DT_HALF": 19, "DT_UINT32": 22, "DT_UINT64": 23,
}  # fmt: skip
"""types.proto."""
