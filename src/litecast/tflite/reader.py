"""The FlatBuffer reader: rebuilds what the file records, infers nothing; constants are views of the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from litecast.ir.graph import Extra, Graph, Lazy, Loc, Model, Node, Signature, Value
from litecast.ir.op import Array
from litecast.ir.types import Dim, DType, Sym, TensorType
from litecast.tflite.buffers import decode
from litecast.tflite.external import External
from litecast.tflite.metadata import drop_numbered
from litecast.tflite.options import CUSTOM, Encoding, decode_op
from litecast.tflite.packer import file_order
from litecast.tflite.quantization import Sparsity, densify, unpack_quant
from litecast.tflite.schema import builtin_name, schema, union_member
from litecast.tflite.source import Source, open_source, refusing
from litecast.tflite.tail import split_tail

__all__ = ["read"]

Named = list[tuple[Value, str]]
DEPTH_LIMIT = 64
"""Levels of nested control flow; deeper nesting is taken for a broken file."""


def read(model: str | PathLike[str] | bytes) -> Model:
    """Return the model of a `.tflite` file (mapped into memory) or of its bytes.

    Raises FormatError where the file is broken, or says something that the installed schema does not know.
    """
    source = open_source(model)
    with refusing(source.label):
        return _Reader(source).model()


class _Reader:
    def __init__(self, source: Source) -> None:
        self.tail, data = split_tail(source.data)
        self.source = source
        if len(data) != len(source.data):
            self.source = Source(data, source.label)
        self.root = self.source.known(schema().Model.GetRootAs(self.source.view), "Model")
        if self.root.Version() != 3:
            raise ValueError(f"schema version {self.root.Version()}, only 3 is known")
        self.buffers = list(self.source.each(self.root, "Buffers"))
        self.codes = list(self.source.each(self.root, "OperatorCodes"))
        self.ranks_are_recorded = False
        subgraphs = list(self.source.each(self.root, "Subgraphs"))
        self.graphs = [Graph(self.source.text(subgraph.Name())) for subgraph in subgraphs]
        self.externals = self._externals()
        self.scopes = [_Scope(self, index, subgraph) for index, subgraph in enumerate(subgraphs)]
        self.ranks_are_recorded = any(tensor.HasRank() for scope in self.scopes for tensor in scope.tensors)

    def model(self) -> Model:
        """Read everything."""
        for scope in self.scopes:
            scope.read()
        _check_nesting(self.graphs)
        model = Model(description=self.source.text(self.root.Description()), tail=self.tail)
        for entry in self.source.each(self.root, "Metadata"):
            name, content = self.source.text(entry.Name()), self.buffer(entry.Buffer())
            model.metadata[name] = b"" if content is None else content.tobytes()
        for number, index in enumerate(self.source.numbers(self.root, "MetadataBuffer")):
            content = self.buffer(index)
            model.metadata[f"metadata_buffer:{number}"] = b"" if content is None else content.tobytes()
        model.signatures = self._signatures()
        self._entries(model)
        _take_initialisation(model)
        if file_order(model) != self.graphs:
            drop_numbered(model)
        return model

    def _entries(self, model: Model) -> None:
        """Name the entry graphs that no signature names, in file order."""
        inner = {id(graph) for outer in self.graphs for node in outer.nodes for _, graph in node.op.graphs()}
        signed = [signature.graph for signature in model.signatures.values()]
        entries = [g for i, g in enumerate(self.graphs) if i == 0 or g in signed or id(g) not in inner]
        if entries != list(dict.fromkeys(signed)):
            model.graphs = entries

    def _signatures(self) -> dict[str, Signature]:
        # Several may name outputs of one graph: it has them all before any is described.
        found = list(map(self._signature, self.source.each(self.root, "SignatureDefs")))
        return {
            key: Signature(graph, _in_order(graph.inputs, inputs), _in_order(graph.outputs, outputs))
            for key, graph, inputs, outputs in found
        }

    def _signature(self, entry: Any) -> tuple[str, Graph, Named, Named]:
        key = self.source.text(entry.SignatureKey())
        if not 0 <= entry.SubgraphIndex() < len(self.graphs):
            raise ValueError(f"signature {key} names subgraph {entry.SubgraphIndex()}, which does not exist")
        scope = self.scopes[entry.SubgraphIndex()]
        graph = self.graphs[entry.SubgraphIndex()]
        inputs = self._names(scope, self.source.each(entry, "Inputs"))
        outputs = self._names(scope, self.source.each(entry, "Outputs"))
        if Counter(value for value, _ in inputs) - Counter(graph.inputs):
            raise ValueError(f"signature {key} names an input that the subgraph does not have, or one twice")
        more = Counter(value for value, _ in outputs) - Counter(graph.outputs)
        graph.set_outputs([*graph.outputs, *more.elements()])
        return key, graph, inputs, outputs

    def _names(self, scope: _Scope, maps: Iterable[Any]) -> Named:
        return [(scope.value(entry.TensorIndex()), self.source.text(entry.Name())) for entry in maps]

    # -- buffers -----------------------------------------------------------------------------------

    def buffer(self, index: int) -> Array | None:
        """Return the bytes of a buffer as a view, None where it holds none."""
        if not 0 <= index < len(self.buffers):
            raise ValueError(f"buffer {index} does not exist")
        entry = self.buffers[index]
        if not entry.DataIsNone():
            return np.asarray(entry.DataAsNumpy())
        # interpreter_builder.cc: an offset is valid above 1.
        return self.source.bytes_at(entry.Offset(), entry.Size()) if entry.Offset() > 1 else None

    def _externals(self) -> dict[int, Callable[[DType, tuple[int, ...]], External]]:
        groups = [
            self.source.text(group.Name()) for group in self.source.each(self.root, "ExternalBufferGroups")
        ]
        made: dict[int, Callable[[DType, tuple[int, ...]], External]] = {}
        for entry in self.source.each(self.root, "ExternalBuffers"):
            if entry.Group() >= len(groups):
                raise ValueError(
                    f"external buffer {entry.Id()} names group {entry.Group()}, which does not exist"
                )
            made[entry.Id()] = partial(
                External,
                self.source.label,
                groups[entry.Group()],
                entry.Offset(),
                entry.Length(),
                self.source.text(entry.Packing()),
            )
        return made


class _Scope:
    """One subgraph: its tensors become values when something refers to them."""

    def __init__(self, reader: _Reader, index: int, subgraph: Any) -> None:
        self.reader, self.source, self.index, self.subgraph = reader, reader.source, index, subgraph
        self.graph = reader.graphs[index]
        self.tensors = list(self.source.each(subgraph, "Tensors"))
        self.values: dict[int, Value] = {}
        self.inputs = self.source.numbers(subgraph, "Inputs")

    def read(self) -> None:
        """Fill the graph."""
        operators = [
            (operator, self.source.numbers(operator, "Outputs"))
            for operator in self.source.each(self.subgraph, "Operators")
        ]
        self.computed = {*self.inputs, *(index for _, outputs in operators for index in outputs)}
        self.graph.debug_index = self.subgraph.DebugMetadataIndex()
        if len(set(self.inputs)) != len(self.inputs):
            raise ValueError(f"subgraph {self.index} names an input twice")
        self.graph.inputs = [self.value(index) for index in self.inputs]
        ready = set(self.inputs)
        for number, (operator, outputs) in enumerate(operators):
            self._node(f"operator {number} of subgraph {self.index}", operator, outputs, ready)
        results = self.source.numbers(self.subgraph, "Outputs")
        self._check_ready(f"the results of subgraph {self.index}", results, ready)
        self.graph.set_outputs(self.value(index) for index in results)

    # -- operators ---------------------------------------------------------------------------------

    def _node(self, what: str, operator: Any, outputs: list[int], ready: set[int]) -> None:
        inputs = self.source.numbers(operator, "Inputs")
        self._check_ready(what, [index for index in inputs if index != -1], ready)
        if len(set(outputs)) != len(outputs) or ready & set(outputs):
            raise ValueError(f"{what} writes a tensor that has its contents already")
        ready.update(outputs)
        results = [self.value(index) for index in outputs]
        known = self._encoding(what, operator)
        options = self._options(what, operator, known)
        op = decode_op(known, options, [value.type for value in results], self._graph)
        operands = [self.optional(index) for index in inputs]
        node = Node(op, operands, results, Loc(results[0].name if results else ""))
        node.extra = self._extra(operator)
        self.graph.nodes.append(node)

    def _check_ready(self, what: str, indices: Iterable[int], ready: set[int]) -> None:
        for index in indices:
            value = self.value(index)
            if index not in ready and value.const is None and not value.is_variable:
                raise ValueError(f"{what} read tensor {index} ({value.name}) before anything writes it")

    def _encoding(self, what: str, operator: Any) -> Encoding:
        index = operator.OpcodeIndex()
        if index >= len(self.reader.codes):
            raise ValueError(f"{what} has operator code {index}, which does not exist")
        entry = self.reader.codes[index]
        # schema_utils.cc, GetBuiltinCode: the greater one counts.
        code = max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode())
        known = Encoding(code, version=entry.Version())
        if code == CUSTOM:
            known.custom_code = self.source.text(entry.CustomCode())
            known.custom_options = self._custom_options(operator)
            known.custom_options_format = operator.CustomOptionsFormat()
        elif not operator.CustomOptionsIsNone() or operator.LargeCustomOptionsOffset() > 1:
            raise ValueError(f"{what} is a builtin with custom options")
        return known

    def _custom_options(self, operator: Any) -> bytes:
        if not operator.CustomOptionsIsNone():
            content = np.asarray(operator.CustomOptionsAsNumpy())
        elif operator.LargeCustomOptionsOffset() > 1:
            content = self.source.bytes_at(
                operator.LargeCustomOptionsOffset(), operator.LargeCustomOptionsSize()
            )
        else:
            return b""
        self.source.spend(len(content), "custom options")
        return content.tobytes()

    def _options(self, what: str, operator: Any, known: Encoding) -> Any:
        """Return the options object of the operator and note which table it is."""
        found = None
        for union in ("BuiltinOptions", "BuiltinOptions2"):
            number = getattr(operator, f"{union}Type")()
            place = getattr(operator, union)()
            if not number and place is None:
                continue
            name = union_member(union, number)
            label = builtin_name(known.code) or str(known.code)
            if name is None:
                raise ValueError(
                    f"{what} ({label}) has options of type {number} of {union}, newer than the schema of the "
                    "installed ai-edge-litert"
                )
            if found is not None:
                raise ValueError(f"{what} ({label}) has options of both kinds")
            if place is None:
                continue
            self.source.known(place, name)
            known.options, found = name, getattr(schema(), f"{name}T").InitFromBuf(place.Bytes, place.Pos)
            self._account(found)
        return found

    def _account(self, options: Any) -> None:
        for value in vars(options).values():
            if isinstance(value, (bytes, np.ndarray)):
                self.source.spend(len(value), "options")

    def _graph(self, index: int) -> Graph:
        if not 0 <= index < len(self.reader.graphs):
            raise ValueError(f"subgraph {index} does not exist")
        return self.reader.graphs[index]

    def _extra(self, operator: Any) -> Extra | None:
        extra = Extra(
            tuple(self.value(index) for index in self.source.numbers(operator, "Intermediates")),
            tuple(map(bool, self.source.numbers(operator, "MutatingVariableInputs"))),
            operator.DebugMetadataIndex(),
        )
        return None if extra == Extra() else extra

    # -- tensors -----------------------------------------------------------------------------------

    def optional(self, index: int) -> Value | None:
        """Return the value of a tensor, None for -1."""
        return None if index == -1 else self.value(index)

    def value(self, index: int) -> Value:
        """Return the value of a tensor."""
        if index in self.values:
            return self.values[index]
        if not 0 <= index < len(self.tensors):
            raise ValueError(f"tensor {index} of subgraph {self.index} does not exist")
        tensor = self.tensors[index]
        dtype = DType(tensor.Type())
        shape = self.source.numbers(tensor, "Shape")
        value = Value(TensorType(dtype, tuple(shape)), self.source.text(tensor.Name()))
        self.values[index] = value
        value.is_variable = tensor.IsVariable()
        if index not in self.computed:
            self._fill(value, tensor, tuple(shape))
        dims = tuple(shape) if value.const is not None else self._dims(index, tensor, shape)
        value.type = TensorType(dtype, dims, self._quant(tensor))
        value.variant = tuple(map(self._variant, self.source.each(tensor, "VariantTensors")))
        return value

    def _dims(self, index: int, tensor: Any, shape: list[int]) -> tuple[Dim, ...] | None:
        if not shape and not tensor.HasRank() and self.reader.ranks_are_recorded:
            return None
        signature = self.source.numbers(tensor, "ShapeSignature")
        unknown = signature if len(signature) == len(shape) else shape
        prefix = f"d{index}" if self.index == 0 else f"g{self.index}d{index}"
        if min(shape, default=0) < -1:
            raise ValueError(f"tensor {index} has a negative dimension")
        pairs = zip(shape, unknown, strict=True)
        return tuple(
            Sym(f"{prefix}_{axis}") if -1 in (dim, known) else dim for axis, (dim, known) in enumerate(pairs)
        )

    def _variant(self, entry: Any) -> TensorType:
        shape = tuple(self.source.numbers(entry, "Shape"))
        return TensorType(DType(entry.Type()), shape if shape or entry.HasRank() else None)

    def _quant(self, tensor: Any) -> Any:
        entry = tensor.Quantization()
        if entry is None:
            return None
        self.source.known(entry)
        for field in ("Min", "Max", "Scale", "ZeroPoint"):
            self.source.numbers(entry, field)
        parameters = schema().QuantizationParametersT.InitFromObj(entry)
        return unpack_quant(parameters, self.optional)

    def _fill(self, value: Value, tensor: Any, shape: tuple[int, ...]) -> None:
        """Give a value that nothing computes its contents."""
        if tensor.ExternalBuffer():
            made = self.reader.externals.get(tensor.ExternalBuffer())
            if made is None:
                raise ValueError(f"external buffer {tensor.ExternalBuffer()} does not exist")
            value.const = made(value.dtype, shape)
            return
        data = self.reader.buffer(tensor.Buffer()) if tensor.Buffer() else None
        if value.is_variable or value.dtype in (DType.RESOURCE, DType.VARIANT):
            return
        if data is None or not len(data):
            if shape and 0 in shape:
                value.const = np.zeros(shape, value.dtype.numpy)
            return
        sparsity = tensor.Sparsity()
        if sparsity is None:
            value.const = decode(data, value.dtype, shape)
            return
        for _ in self.source.each(sparsity, "DimMetadata"):
            pass
        parameters = schema().SparsityParametersT.InitFromObj(sparsity)
        stored = data.view(value.dtype.numpy)
        value.sparsity = Sparsity(parameters, data)
        value.const = Lazy(value.dtype, shape, partial(densify, parameters, stored, shape))


def _in_order(values: Iterable[Value], named: Named) -> list[str]:
    """Names of the values in graph order, "" for one that the signature leaves out."""
    rest = list(named)
    names: list[str] = []
    for value in values:
        place = next((i for i, (other, _) in enumerate(rest) if other is value), None)
        name = "" if place is None else rest.pop(place)[1]
        while name and name in names:
            name += "_"
        names.append(name)
    return names


def _check_nesting(graphs: list[Graph]) -> None:
    """Raise ValueError where graphs refer to each other in a circle, or nest too deeply."""
    depths: dict[int, int] = {}

    def depth(graph: Graph, above: tuple[int, ...]) -> int:
        if id(graph) in above or len(above) > DEPTH_LIMIT:
            raise ValueError("subgraphs that refer to each other in a circle, or nest too deeply")
        if id(graph) not in depths:
            inner = [sub for node in graph.nodes for _, sub in node.op.graphs()]
            depths[id(graph)] = 1 + max((depth(sub, (*above, id(graph))) for sub in inner), default=0)
        if depths[id(graph)] + len(above) > DEPTH_LIMIT:
            raise ValueError("subgraphs that nest too deeply")
        return depths[id(graph)]

    for graph in graphs:
        depth(graph, ())


def _take_initialisation(model: Model) -> None:
    """Make the one graph that entries call first the model's init graph (the writer puts the calls back)."""
    from litecast.ops import CallOnce

    calls = [(g, node) for g in model.all_graphs() for node in g.nodes if isinstance(node.op, CallOnce)]
    entries = model.entries()
    graphs = dict.fromkeys(inner for _, node in calls for _, inner in node.op.graphs())
    if len(graphs) != 1 or not all(g in entries and g.nodes[0] is node for g, node in calls):
        return
    (model.init,) = graphs
    for graph, _ in calls:
        del graph.nodes[0]
