"""From a model to the objects of the schema, with placeholders where the writer will put constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from litecast.errors import InternalError, Unsupported, UnsupportedError
from litecast.ir.graph import Graph, Loc, Model, Node, Value, walk
from litecast.ir.op import Array
from litecast.ir.types import DType, TensorType
from litecast.ops.custom import Builtin, Opaque
from litecast.tflite.external import External
from litecast.tflite.metadata import METADATA_BUFFER, Conversion, model_metadata
from litecast.tflite.options import encode_op, pack_options
from litecast.tflite.quantization import Sparsity, pack_quant, quant_values
from litecast.tflite.schema import schema, table, union_of

__all__ = ["DESCRIPTION", "Packer", "file_order"]

DESCRIPTION = "Litecast Converted."
CALL_ONCE = 129
OUTSIDE = 1 << 62
"""Stands for an offset or size that is not known yet: it must not be 0, which FlatBuffers leave out."""
OPTIONS_LIMIT = 1 << 16
"""Bytes of custom options that stay in the FlatBuffer of a model whose constants do not."""


class Packer:
    """A model as objects of the schema.

    `constants` are the values of buffers 1, 2, ... in order; `outside_options` the custom options that the
    writer appends, in the order of their operators.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.entries = model.entries()
        self.init = _init(model)
        self.graphs = file_order(model)
        self.numbers = {graph: index for index, graph in enumerate(self.graphs)}
        self.scopes = [_Scope(self, graph) for graph in self.graphs]
        self.constants: list[Value] = []
        self.externals: dict[External, int] = {}
        self.codes: dict[tuple[int, str | None, int], int] = {}
        self.outside_options: list[bytes] = []
        self._buffers: dict[int, int] = {}
        self._refuse_opaque()
        for scope in self.scopes:
            scope.number_constants()

    def pack(self, outside: bool, conversion_metadata: Conversion | bool) -> bytearray:
        """Return the FlatBuffer; `outside`: constants will lie behind it, at Buffer.offset."""
        subgraphs = [scope.subgraph(outside) for scope in self.scopes]
        buffers: list[Any] = [table("Buffer"), *(_Placeholder(outside) for _ in self.constants)]
        root = table(
            "Model",
            version=3,
            operatorCodes=[_operator_code(*key) for key in self.codes],
            subgraphs=subgraphs,
            description=text(self.model.description or DESCRIPTION),
            buffers=buffers,
            signatureDefs=self._signatures(),
        )
        self._metadata(root, outside, conversion_metadata)
        self._external_buffers(root)
        builder = _aligned_builder()
        builder.Finish(root.Pack(builder), b"TFL3")
        return bytearray(builder.Output())

    def buffer(self, value: Value) -> int:
        """Return the number of a constant's buffer; the same array has one buffer."""
        key = id(value.const)
        if key not in self._buffers:
            self.constants.append(value)
            self._buffers[key] = len(self.constants)
        return self._buffers[key]

    def external(self, constant: External) -> int:
        """Return the id of an external buffer."""
        return self.externals.setdefault(constant, len(self.externals) + 1)

    def _refuse_opaque(self) -> None:
        nodes = [node for graph in self.graphs for node in graph.nodes if isinstance(node.op, Opaque)]
        if nodes:
            raise UnsupportedError(
                Unsupported(node.op.name.partition(":")[2], "Litecast has no importer for it", str(node.loc))
                for node in nodes
            )

    def _metadata(self, root: Any, outside: bool, conversion_metadata: Conversion | bool) -> None:
        root.metadata, numbered = [], []
        for name, content in model_metadata(self.model, self.graphs, outside, conversion_metadata).items():
            if name.startswith(METADATA_BUFFER):
                numbered.append(len(root.buffers))
            else:
                root.metadata.append(table("Metadata", name=text(name), buffer=len(root.buffers)))
            root.buffers.append(table("Buffer", data=np.frombuffer(content, np.uint8)))
        root.metadataBuffer = np.array(numbered, np.int32) if numbered else None

    def _external_buffers(self, root: Any) -> None:
        if not self.externals:
            return
        groups = list(dict.fromkeys(constant.group for constant in self.externals))
        root.externalBufferGroups = [table("ExternalBufferGroup", name=text(group)) for group in groups]
        root.externalBuffers = [
            table(
                "ExternalBuffer",
                id=number,
                group=groups.index(constant.group),
                offset=constant.offset,
                length=constant.length,
                packing=text(constant.packing) if constant.packing else None,
            )
            for constant, number in self.externals.items()
        ]

    def name(self, graph: Graph) -> str:
        """Return the name of a subgraph: main for a single entry, the signature's key for one of several."""
        if len(self.entries) == 1 and graph is self.entries[0]:
            return "main"
        signatures = self.model.signatures.items()
        return next((key for key, signature in signatures if signature.graph is graph), graph.name)

    def _signatures(self) -> list[Any]:
        definitions = []
        for key, signature in self.model.signatures.items():
            number = self.numbers[signature.graph]
            maps = self.scopes[number].tensor_maps
            definitions.append(
                table(
                    "SignatureDef",
                    signatureKey=text(key),
                    subgraphIndex=number,
                    inputs=maps(signature.inputs, signature.graph.inputs),
                    outputs=maps(signature.outputs, signature.graph.outputs),
                )
            )
        return definitions


class _Scope:
    """One graph: its tensors are numbered inputs first, then where they are first read or written."""

    def __init__(self, packer: Packer, graph: Graph) -> None:
        self.packer, self.graph = packer, graph
        self.values = list(_tensors(graph))
        self.tensors: dict[Value | None, int] = {value: index for index, value in enumerate(self.values)}
        self.tensors[None] = -1
        self._check_defined()

    def _check_defined(self) -> None:
        made = {*self.graph.inputs, *(output for node in self.graph.nodes for output in node.outputs)}
        made.update(value for node in self.graph.nodes if node.extra for value in node.extra.intermediates)
        for value in self.values:
            if value not in made and not value.is_const and not value.is_variable:
                raise InternalError(f"{value!r} of graph {self.graph.name} is read, but nothing makes it")

    def number_constants(self) -> None:
        """Give every constant a buffer."""
        for value in self.values:
            if isinstance(value.const, External):
                self.packer.external(value.const)
            elif value.const is not None:
                self.packer.buffer(value)

    def subgraph(self, outside: bool) -> Any:
        """Return the SubGraph object."""
        nodes = [*self._initialisation(), *self.graph.nodes]
        names = _unique_names(self.graph, self.values)
        return table(
            "SubGraph",
            name=text(self.packer.name(self.graph)),
            tensors=list(map(self._tensor, self.values, names)),
            inputs=self._numbers(self.graph.inputs),
            outputs=self._numbers(self.graph.outputs),
            operators=[self._operator(node, outside) for node in nodes],
            debugMetadataIndex=self.graph.debug_index,
        )

    def _initialisation(self) -> list[Node]:
        """The CALL_ONCE of the init graph, for an entry graph that uses resources."""
        init = self.packer.init
        if init is None or self.graph not in self.packer.entries or not uses_resources(self.graph):
            return []
        call = Builtin(CALL_ONCE, "CALL_ONCE", "CallOnceOptions", (("init_subgraph_index", init),))
        return [Node(call, [], [], Loc())]

    def tensor_maps(self, names: Sequence[str], values: Sequence[Value]) -> list[Any]:
        """Return the TensorMaps of a signature, in its own order; what it does not name is no part of it."""
        pairs = [(name, value) for name, value in zip(names, values, strict=True) if name]
        return [table("TensorMap", name=text(name), tensorIndex=self.tensors[value]) for name, value in pairs]

    def _numbers(self, values: Iterable[Value | None]) -> Array:
        return np.array([self.tensors[value] for value in values], np.int32)

    def _operator(self, node: Node, outside: bool) -> Any:
        known = encode_op(node.op)
        key = (known.code, known.custom_code, node.op.version(node.inputs, node.outputs))
        operator = table(
            "Operator",
            opcodeIndex=self.packer.codes.setdefault(key, len(self.packer.codes)),
            inputs=self._numbers(node.inputs),
            outputs=self._numbers(node.outputs),
        )
        if known.options is not None:
            union, number = union_of(known.options)
            setattr(operator, f"{union}Type", number)
            setattr(operator, union, pack_options(known, self.packer.numbers.__getitem__))
        if known.custom_options:
            self._custom_options(operator, known.custom_options, outside)
            operator.customOptionsFormat = known.custom_options_format
        if node.extra is not None:
            operator.debugMetadataIndex = node.extra.debug_index
            operator.mutatingVariableInputs = (
                np.array(node.extra.mutating, np.bool_) if node.extra.mutating else None
            )
            intermediates = node.extra.intermediates
            operator.intermediates = self._numbers(intermediates) if intermediates else None
        return operator

    def _custom_options(self, operator: Any, options: bytes, outside: bool) -> None:
        if outside and len(options) > OPTIONS_LIMIT:
            operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = OUTSIDE
            self.packer.outside_options.append(options)
        else:
            operator.customOptions = np.frombuffer(options, np.uint8)

    def _tensor(self, value: Value, name: str) -> Any:
        type = value.type
        dims = type.shape or ()
        tensor = table(
            "Tensor",
            name=text(name),
            type=int(type.dtype),
            shape=np.array([dim if isinstance(dim, int) else 1 for dim in dims], np.int32),
            hasRank=type.shape is not None,
            isVariable=value.is_variable,
        )
        if type.shape is not None and not type.is_static:
            tensor.shapeSignature = np.array([dim if isinstance(dim, int) else -1 for dim in dims], np.int32)
        if type.quant is not None:
            tensor.quantization = pack_quant(type.quant, self.tensors.__getitem__)
        if value.variant:
            tensor.variantTensors = list(map(_variant, value.variant))
        if isinstance(value.const, External):
            tensor.externalBuffer = self.packer.external(value.const)
        elif value.const is not None:
            tensor.buffer = self.packer.buffer(value)
        if isinstance(value.sparsity, Sparsity):
            tensor.sparsity = value.sparsity.parameters
        return tensor


def file_order(model: Model) -> list[Graph]:
    """Return the graphs in the order in which a file has them: entries, the init graph, all others."""
    init = _init(model)
    first = [*model.entries(), *([] if init is None else [init])]
    return list(dict.fromkeys([*first, *(inner for graph in first for inner in walk(graph))]))


def _init(model: Model) -> Graph | None:
    return model.init if any(map(uses_resources, model.entries())) else None


def text(content: str) -> bytes:
    """Return a string as the file holds it (names of a file that are no UTF-8 stay as they are)."""
    return content.encode("utf-8", "surrogateescape")


def uses_resources(graph: Graph) -> bool:
    """Whether the graph, or a subgraph of it, touches variables or tables."""
    return any(value.dtype is DType.RESOURCE for part in walk(graph) for value in part.values())


def _variant(type: TensorType) -> Any:
    dims = [dim if isinstance(dim, int) else 1 for dim in type.shape or ()]
    return table("VariantSubType", type=int(type.dtype), shape=dims, hasRank=type.shape is not None)


def _operator_code(code: int, custom_code: str | None, version: int) -> Any:
    return table(
        "OperatorCode",
        builtinCode=code,
        deprecatedBuiltinCode=min(code, 127),
        customCode=None if custom_code is None else text(custom_code),
        version=version,
    )


def _tensors(graph: Graph) -> Iterator[Value]:
    """Yield every tensor of the graph once: also those that only a quantization or a kernel knows of."""
    seen: set[Value] = set()
    intermediates = (value for node in graph.nodes if node.extra for value in node.extra.intermediates)
    for value in [*graph.values(), *intermediates]:
        for tensor in [value, *quant_values(value.type.quant)]:
            if tensor not in seen:
                seen.add(tensor)
                yield tensor


def _unique_names(graph: Graph, values: Sequence[Value]) -> list[str]:
    """Names of the tensors, with a number behind one that is taken; inputs and outputs keep theirs."""
    owners: dict[str, Value] = {}
    for value in [*graph.inputs, *graph.outputs, *values]:
        owners.setdefault(value.name, value)
    used = set(owners)
    repeated: Counter[str] = Counter()
    names = []
    for value in values:
        name = value.name
        if name and owners[name] is not value:
            while name in used:
                repeated[value.name] += 1
                name = f"{value.name}_{repeated[value.name]}"
            used.add(name)
        names.append(name)
    return names


class _Placeholder:
    """A buffer whose data is written later: all of them share one vector until they are patched."""

    def __init__(self, outside: bool) -> None:
        self.outside = outside

    def Pack(self, builder: Any) -> Any:
        """Write the table (the object API's protocol)."""
        if not self.outside and builder.shared_vector is None:
            builder.shared_vector = builder.CreateNumpyVector(np.zeros(1, np.uint8))
        schema().BufferStart(builder)
        if self.outside:
            schema().BufferAddOffset(builder, OUTSIDE)
            schema().BufferAddSize(builder, OUTSIDE)
        else:
            schema().BufferAddData(builder, builder.shared_vector)
        return schema().BufferEnd(builder)


def _aligned_builder() -> Any:
    from flatbuffers import Builder

    class AlignedBuilder(Builder):  # type: ignore[misc]
        """Honours the schema's `force_align`, which the library ignores: 16 for bytes, 4 for uint16."""

        shared_vector: Any = None

        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
            return super().StartVector(elemSize, numElems, {1: 16, 2: 4}.get(elemSize, alignment))

    return AlignedBuilder(1 << 16)
