"""The FlatBuffer writer: packs the metadata, streams the constants behind it and patches their places.

No constant is copied unless its encoding differs from its array, and one is held at a time.
"""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum
from hashlib import blake2b
from typing import Any, BinaryIO

import numpy as np

from litecast.errors import InternalError, Unsupported, UnsupportedError
from litecast.ir.graph import Graph, Loc, Model, Node, Value
from litecast.ir.op import Op
from litecast.ir.types import Blockwise, DType, Quant
from litecast.ops.custom import Builtin, Custom, Flex, Opaque
from litecast.tflite.buffers import encode, encoded_size
from litecast.tflite.flexbuffers import flex_options
from litecast.tflite.schema import camel, schema, table, union_of

__all__ = ["DESCRIPTION", "INLINE_LIMIT", "write", "write_to"]

DESCRIPTION = "Litecast Converted."
INLINE_LIMIT = (1 << 31) - (1 << 20)
"""Bytes above which constants lie outside the FlatBuffer, at Buffer.offset (FlatBuffers end at 2 GiB)."""
ALIGNMENT = 16
CALL_ONCE, CUSTOM = 129, 32
OUTSIDE = 1 << 62
"""Stands for an offset or size that is not known yet: it must not be 0, which FlatBuffers leave out."""


def write(model: Model, *, conversion_metadata: bool = True, inline_limit: int = INLINE_LIMIT) -> bytes:
    """Return the model as a `.tflite` FlatBuffer; see `write_to`."""
    file = io.BytesIO()
    write_to(model, file, conversion_metadata=conversion_metadata, inline_limit=inline_limit)
    return file.getvalue()


def write_to(
    model: Model, file: BinaryIO, *, conversion_metadata: bool = True, inline_limit: int = INLINE_LIMIT
) -> None:
    """Write the model as a `.tflite` FlatBuffer to a seekable file that is at its start.

    Raises UnsupportedError where the model holds operations that were not converted.
    """
    packer = Packer(model)
    outside = packer.constant_bytes() > inline_limit
    content = packer.pack(outside, conversion_metadata)
    file.write(content)
    places = _stream(packer.constants, file)
    _patch(content, places, outside)
    end = file.tell()
    file.seek(0)
    file.write(content)
    file.seek(end)


def _stream(constants: Iterable[Value], file: BinaryIO) -> list[tuple[int, int]]:
    """Write the constants, equal ones once, and return (offset, size) of each."""
    constants = list(constants)
    sizes = Counter(_size(value) for value in constants)
    written: dict[tuple[int, bytes], int] = {}
    places = []
    for value in constants:
        data = encode(value.array(), value.dtype)
        size = len(data)
        key = (size, blake2b(data, digest_size=16).digest() if sizes[size] > 1 and size else b"")
        if (size == 0 or sizes[size] > 1) and key in written:
            places.append((written[key], size))
            continue
        # The vector's length precedes its data, which is what is aligned.
        position = file.tell() + 4
        position += -position % ALIGNMENT
        file.write(bytes(position - 4 - file.tell()) + struct.pack("<I", size & 0xFFFFFFFF))
        file.write(data)
        written[key] = position
        places.append((position, size))
    file.write(bytes(-file.tell() % ALIGNMENT))
    return places


def _size(value: Value) -> int:
    if value.dtype is DType.STRING:
        return encoded_size(value.array(), DType.STRING)
    return encoded_size(value.const, value.dtype)


def _patch(content: bytearray, places: list[tuple[int, int]], outside: bool) -> None:
    """Let each constant's buffer refer to where its data is."""
    root = schema().Model.GetRootAs(content)
    for index, (position, size) in enumerate(places, start=1):
        entry = root.Buffers(index)._tab
        if outside:
            struct.pack_into("<Q", content, entry.Pos + entry.Offset(6), position)
            if size:
                struct.pack_into("<Q", content, entry.Pos + entry.Offset(8), size)
        else:
            field = entry.Pos + entry.Offset(4)
            struct.pack_into("<I", content, field, position - 4 - field)


@dataclass
class Encoding:
    """What an operation is in the file, without its operands."""

    code: int
    custom_code: str | None = None
    options: str | None = None
    items: tuple[tuple[str, Any], ...] = ()
    custom_options: bytes | None = None
    custom_options_format: int = 0


def encoding(op: Op) -> Encoding:
    """Return what an operation is in the file."""
    if isinstance(op, Builtin):
        return Encoding(op.builtin_code, options=op.table, items=op.items)
    if isinstance(op, Custom):
        return Encoding(
            CUSTOM, op.custom_code, custom_options=op.custom_options, custom_options_format=op.custom_options_format
        )
    if isinstance(op, Flex):
        return Encoding(CUSTOM, f"Flex{op.op_name}", custom_options=flex_options(op.op_name, op.node_def))
    if op.code < 0:
        raise InternalError(f"{op.name} is no operation of the file format")
    written = [field.name for field in fields(op) if field.metadata.get("option", True)]
    return Encoding(op.code, options=op.options, items=tuple((name, getattr(op, name)) for name in written))


class Placeholder:
    """A buffer whose data is written later: all of them share one vector until they are patched."""

    def __init__(self, outside: bool) -> None:
        self.outside = outside

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the name that the object API calls
        """Write the table (the object API's protocol)."""
        s = schema()
        if not self.outside and builder.shared_vector is None:
            builder.shared_vector = builder.CreateByteVector(b"\0")
        s.BufferStart(builder)
        if self.outside:
            s.BufferAddOffset(builder, OUTSIDE)
            s.BufferAddSize(builder, OUTSIDE)
        else:
            s.BufferAddData(builder, builder.shared_vector)
        return s.BufferEnd(builder)


class Packer:
    """Turns a model into the objects of the schema; `constants` are the values of buffers 1, 2, ... in order."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.entries = model.entries()
        self.graphs = list({id(graph): graph for graph in [*self.entries, *model.all_graphs()]}.values())
        self.numbers = {id(graph): index for index, graph in enumerate(self.graphs)}
        self.constants: list[Value] = []
        self.codes: dict[tuple[int, str | None, int], int] = {}
        self._buffers: dict[int, int] = {}
        self._refuse_opaque()
        self.subgraphs = [self._subgraph(graph) for graph in self.graphs]

    def constant_bytes(self) -> int:
        """Return the bytes of all constants, before equal ones are merged."""
        return sum(_size(value) for value in self.constants)

    def pack(self, outside: bool, conversion_metadata: bool) -> bytearray:
        """Return the FlatBuffer with placeholders for the constants."""
        from litecast.tflite.metadata import model_metadata

        buffers: list[Any] = [table("Buffer"), *(Placeholder(outside) for _ in self.constants)]
        entries = []
        for name, content in model_metadata(self.model, outside, conversion_metadata).items():
            entries.append(table("Metadata", name=name, buffer=len(buffers)))
            buffers.append(table("Buffer", data=np.frombuffer(content, np.uint8)))
        root = table(
            "Model",
            version=3,
            operatorCodes=[self._operator_code(*key) for key in self.codes],
            subgraphs=self.subgraphs,
            description=self.model.description or DESCRIPTION,
            buffers=buffers,
            metadata=entries,
            signatureDefs=self._signatures(),
        )
        builder = _aligned_builder()
        builder.Finish(root.Pack(builder), b"TFL3")
        return bytearray(builder.Output())

    def _refuse_opaque(self) -> None:
        nodes = [node for graph in self.graphs for node in graph.nodes if isinstance(node.op, Opaque)]
        if nodes:
            raise UnsupportedError(
                Unsupported(node.op.name.removeprefix("Opaque:"), "no importer", str(node.loc)) for node in nodes
            )

    # -- subgraphs ----------------------------------------------------------------------------------------------------

    def _subgraph(self, graph: Graph) -> Any:
        nodes = [*self._initialisation(graph), *graph.nodes]
        values = list(_tensors(graph))
        tensors = {id(value): index for index, value in enumerate(values)}
        names = _unique_names(graph, values)
        return table(
            "SubGraph",
            name=self._name(graph),
            tensors=[self._tensor(value, name, tensors) for value, name in zip(values, names, strict=True)],
            inputs=_indices(graph.inputs, tensors),
            outputs=_indices(graph.outputs, tensors),
            operators=[self._operator(node, tensors) for node in nodes],
        )

    def _name(self, graph: Graph) -> str:
        if len(self.entries) == 1 and graph is self.entries[0]:
            return "main"
        return next((key for key, signature in self.model.signatures.items() if signature.graph is graph), graph.name)

    def _initialisation(self, graph: Graph) -> list[Node]:
        """The CALL_ONCE of the init graph, for an entry graph that uses resources."""
        init = self.model.init
        if init is None or graph not in self.entries or not uses_resources(graph):
            return []
        return [Node(Builtin(CALL_ONCE, "CALL_ONCE", "CallOnceOptions", (("init_subgraph_index", init),)), [], [], Loc())]

    def _operator(self, node: Node, tensors: dict[int, int]) -> Any:
        known = encoding(node.op)
        version = node.op.version(node.inputs, node.outputs)
        opcode = self.codes.setdefault((known.code, known.custom_code, version), len(self.codes))
        operator = table(
            "Operator",
            opcodeIndex=opcode,
            inputs=_indices(node.inputs, tensors),
            outputs=_indices(node.outputs, tensors),
        )
        if known.options is not None:
            union, number = union_of(known.options)
            setattr(operator, f"{union}Type", number)
            setattr(operator, union, self._options(known))
        if known.custom_options is not None:
            operator.customOptions = np.frombuffer(known.custom_options, np.uint8)
            operator.customOptionsFormat = known.custom_options_format
        return operator

    def _options(self, known: Encoding) -> Any:
        assert known.options is not None
        options = table(known.options)
        for name, value in known.items:
            attribute = camel(name)
            if not hasattr(options, attribute):
                raise InternalError(f"{known.options} has no field {name}")
            setattr(options, attribute, self._field(value))
        return options

    def _field(self, value: Any) -> Any:
        if isinstance(value, Graph):
            return self.numbers[id(value)]
        if isinstance(value, IntEnum):
            return int(value)
        if isinstance(value, bytes):
            return np.frombuffer(value, np.uint8)
        if isinstance(value, (tuple, list)):
            return [self._field(part) for part in value]
        return value

    # -- tensors ------------------------------------------------------------------------------------------------------

    def _tensor(self, value: Value, name: str, tensors: dict[int, int]) -> Any:
        type = value.type
        dims = type.shape or ()
        tensor = table(
            "Tensor",
            name=name,
            type=int(type.dtype),
            shape=np.array([dim if isinstance(dim, int) else 1 for dim in dims], np.int32),
            hasRank=type.shape is not None,
            isVariable=value.is_variable,
            buffer=self._buffer(value),
        )
        if not type.is_static and type.shape is not None:
            tensor.shapeSignature = np.array([dim if isinstance(dim, int) else -1 for dim in dims], np.int32)
        if type.quant is not None:
            tensor.quantization = _quantization(type.quant, tensors)
        return tensor

    def _buffer(self, value: Value) -> int:
        if value.const is None:
            return 0
        key = id(value.const)
        if key not in self._buffers:
            self.constants.append(value)
            self._buffers[key] = len(self.constants)
        return self._buffers[key]

    # -- the model ----------------------------------------------------------------------------------------------------

    def _operator_code(self, code: int, custom_code: str | None, version: int) -> Any:
        return table(
            "OperatorCode",
            builtinCode=code,
            deprecatedBuiltinCode=min(code, 127),
            customCode=custom_code,
            version=version,
        )

    def _signatures(self) -> list[Any]:
        definitions = []
        for key, signature in self.model.signatures.items():
            tensors = {id(value): index for index, value in enumerate(_tensors(signature.graph))}
            definitions.append(
                table(
                    "SignatureDef",
                    signatureKey=key,
                    subgraphIndex=self.numbers[id(signature.graph)],
                    inputs=_tensor_maps(signature.inputs, signature.graph.inputs, tensors),
                    outputs=_tensor_maps(signature.outputs, signature.graph.outputs, tensors),
                )
            )
        return definitions


def _tensor_maps(names: list[str], values: Iterable[Value], tensors: dict[int, int]) -> list[Any]:
    return [
        table("TensorMap", name=name, tensorIndex=tensors[id(value)]) for name, value in zip(names, values, strict=True)
    ]


def uses_resources(graph: Graph) -> bool:
    """Whether the graph, or a subgraph of it, touches variables or tables."""
    from litecast.ir.graph import walk

    return any(value.dtype is DType.RESOURCE for part in walk(graph) for value in part.values())


def _tensors(graph: Graph) -> Iterable[Value]:
    """Yield every tensor of the graph once, those that only a quantization names behind the tensor that does."""
    seen: set[int] = set()
    for value in graph.values():
        details = None if value.type.quant is None else value.type.quant.details
        extra = [details.scales, details.zero_points] if isinstance(details, Blockwise) else []
        for tensor in [value, *extra]:
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor


def _indices(values: Iterable[Value | None], tensors: dict[int, int]) -> Any:
    return np.array([-1 if value is None else tensors[id(value)] for value in values], np.int32)


def _unique_names(graph: Graph, values: list[Value]) -> list[str]:
    """Names of the tensors, a number behind a repeated one; inputs and outputs keep theirs."""
    taken: Counter[str] = Counter()
    first = {id(value): value.name for value in [*graph.inputs, *graph.outputs] if value.name}
    reserved = {name: key for key, name in reversed(first.items())}
    used = set(reserved)
    names = []
    for value in values:
        name = value.name
        if name and reserved.get(name) != id(value):
            while name in used:
                taken[value.name] += 1
                name = f"{value.name}_{taken[value.name]}"
            used.add(name)
        names.append(name)
    return names


def _quantization(quant: Quant, tensors: dict[int, int]) -> Any:
    result = table("QuantizationParameters", quantizedDimension=quant.axis)
    if quant.scales:
        result.scale = np.array(quant.scales, np.float32)
        result.zeroPoint = np.array(quant.zero_points, np.int64)
    if quant.min:
        result.min = np.array(quant.min, np.float32)
    if quant.max:
        result.max = np.array(quant.max, np.float32)
    details = quant.details
    if isinstance(details, Blockwise):
        result.detailsType = schema().QuantizationDetails.BlockwiseQuantization
        result.details = table(
            "BlockwiseQuantization",
            scales=tensors[id(details.scales)],
            zeroPoints=-1 if details.zero_points is None else tensors[id(details.zero_points)],
            blockSize=details.block_size,
        )
    return result


def _aligned_builder() -> Any:
    from flatbuffers import Builder

    class AlignedBuilder(Builder):  # type: ignore[misc]
        """Honours `force_align` of the schema (16 for byte vectors, 4 for uint16 ones), which the library ignores."""

        shared_vector: Any = None

        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
            return super().StartVector(elemSize, numElems, {1: ALIGNMENT, 2: 4}.get(elemSize, alignment))

    return AlignedBuilder(4096)
