"""NodeDef attributes as Python objects: numbers, str, DType, shape tuples, arrays, lists and functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.saved_model import tensor_from_proto
from litecast.ir.types import DType, Sym, TensorType

__all__ = ["Attributes", "FunctionRef", "arity", "defaults_of", "dtype_of", "fresh_types", "shape_of"]

_DTYPES = {
    1: DType.FLOAT32, 2: DType.FLOAT64, 3: DType.INT32, 4: DType.UINT8, 5: DType.INT16, 6: DType.INT8,
    7: DType.STRING, 8: DType.COMPLEX64, 9: DType.INT64, 10: DType.BOOL, 11: DType.INT8, 12: DType.UINT8,
    13: DType.INT32, 14: DType.BFLOAT16, 15: DType.INT16, 16: DType.UINT16, 17: DType.UINT16,
    18: DType.COMPLEX128, 19: DType.FLOAT16, 20: DType.RESOURCE, 21: DType.VARIANT, 22: DType.UINT32,
    23: DType.UINT64, 24: DType.FLOAT8_E5M2, 25: DType.FLOAT8_E4M3FN, 29: DType.INT4, 30: DType.UINT4,
    31: DType.INT2,
}  # fmt: skip
"""TensorFlow's DataType (types.proto) -> element type; a reference type is its value plus 100."""


def dtype_of(number: int) -> DType:
    """Return the element type of a TensorFlow DataType; UnsupportedError where TFLite has none."""
    try:
        return _DTYPES[number % 100]
    except KeyError:
        raise UnsupportedError(
            Unsupported(
                f"DataType {number}", "TFLite has no such element type", hint="cast to float32 or int32"
            )
        ) from None


def shape_of(proto: Any) -> tuple[int | None, ...] | None:
    """Return a TensorShapeProto as a tuple (None: unknown dimension), None for unknown rank."""
    if proto.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else int(dim.size) for dim in proto.dim)


def fresh_types(name: str, shape: Sequence[int | None] | None, dtype: DType) -> TensorType:
    """Return a type whose unknown dimensions (None) are Syms named after the tensor and the axis."""
    if shape is None:
        return TensorType(dtype, None)
    dims = tuple(Sym(f"{name}_{axis}") if dim is None else int(dim) for axis, dim in enumerate(shape))
    return TensorType(dtype, dims)


@dataclass(frozen=True)
class FunctionRef:
    """A function of the library and the attributes that it is instantiated with."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict, compare=False)


class Attributes(Mapping[str, Any]):
    """A node's attributes by name, still encoded, the operation's defaults filled in; `decode` reads one.

    `outer` holds the attributes of the function call that the node is in, which placeholders refer to.
    """

    def __init__(
        self, node: Any, definition: Any, defaults: Mapping[str, Any], outer: Mapping[str, Any], tracer: Any
    ) -> None:
        self._node, self._definition, self._outer, self._tracer = node, definition, outer, tracer
        self._encoded = {**defaults, **node.attr}

    def __getitem__(self, name: str) -> Any:
        return self._encoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)

    def items(self) -> Any:
        """Return names and encoded values."""
        return self._encoded.items()

    def value(self, name: str) -> Any:
        """Return one attribute, decoded."""
        return self.decode(self._encoded[name])

    def decode(self, value: Any) -> Any:
        """Return an AttrValue as a Python object; bytes become str where they are UTF-8."""
        kind = value.WhichOneof("value")
        if kind == "placeholder":
            return self.decode(self._outer[value.placeholder])
        if kind == "list":
            return self._decode_list(value.list)
        return None if kind is None else self._decode_one(kind, getattr(value, kind))

    def _decode_list(self, values: Any) -> list[Any]:
        for kind in ("s", "i", "f", "b", "type", "shape", "tensor", "func"):
            items = getattr(values, kind)
            if len(items):
                return [self._decode_one(kind, item) for item in items]
        return []

    def _decode_one(self, kind: str, item: Any) -> Any:
        if kind == "s":
            return _text(item)
        if kind == "type":
            return dtype_of(item)
        if kind == "shape":
            return shape_of(item)
        if kind == "tensor":
            return tensor_from_proto(item)
        if kind == "func":
            from litecast.frontend.tensorflow.tracer import Function

            return Function(self._tracer, FunctionRef(item.name, dict(item.attr)))
        return item

    def output_types(self) -> list[TensorType]:
        """Return the types that the node states for its outputs (`_output_shapes`, else unknown rank)."""
        shapes = self.value("_output_shapes") if "_output_shapes" in self else []
        if self._definition is None:
            dtypes = [DType.FLOAT32] * max(1, len(shapes))
        else:
            dtypes = [
                dtype for argument in self._definition.output_arg for dtype in self._argument_types(argument)
            ]
        return [
            fresh_types(f"{self._node.name}_{index}", shapes[index] if index < len(shapes) else None, dtype)
            for index, dtype in enumerate(dtypes)
        ]

    def _argument_types(self, argument: Any) -> list[DType]:
        if argument.type_list_attr:
            return list(self.value(argument.type_list_attr))
        dtype = dtype_of(argument.type) if argument.type else self.value(argument.type_attr)
        return [dtype] * (self.value(argument.number_attr) if argument.number_attr else 1)


def _text(item: Any) -> Any:
    try:
        return item.decode() if isinstance(item, bytes) else item
    except UnicodeDecodeError:
        return item


def defaults_of(definition: Any) -> dict[str, Any]:
    """Return the encoded default values that an operation's definition (None: unknown) states."""
    declared = [] if definition is None else definition.attr
    return {attr.name: attr.default_value for attr in declared if attr.HasField("default_value")}


def arity(argument: Any, attributes: Attributes) -> int:
    """Return the number of tensors of an output argument of an operation."""
    if argument.number_attr:
        return int(attributes.value(argument.number_attr))
    return len(attributes.value(argument.type_list_attr)) if argument.type_list_attr else 1
