"""Values, nodes and graphs: ordered operations over values with identity; names are labels, never edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from litecast.errors import InferenceError
from litecast.ir.op import Array, Op
from litecast.ir.types import DType, Quant, Shape, TensorType

__all__ = [
    "KNOWN_LIMIT",
    "Extra",
    "Graph",
    "Lazy",
    "Loc",
    "Model",
    "Node",
    "Signature",
    "Value",
    "constant",
    "walk",
]

KNOWN_LIMIT = 64
"""Vectors longer than this are not tracked as partly known shape vectors."""


@dataclass(frozen=True)
class Loc:
    """Where something comes from: the source node's name and operation, the calls or fused nodes above it."""

    name: str = ""
    op: str = ""
    parents: tuple[Loc, ...] = ()

    def __str__(self) -> str:
        here = f"{self.name} ({self.op})" if self.op else self.name
        return here + "".join(f" in {parent}" for parent in self.parents)


class Lazy:
    """A constant computed when it is written: its type is known, its values are made by `thunk`."""

    __slots__ = ("dtype", "shape", "thunk")

    def __init__(self, dtype: DType, shape: tuple[int, ...], thunk: Callable[[], Array]) -> None:
        self.dtype, self.shape, self.thunk = dtype, shape, thunk


class Value:
    """A tensor of a graph: a graph input, a node's output, or a constant.

    `const` holds an array (possibly a memory-mapped view), a `Lazy`, or None. `uses` counts, per user, how
    often a node reads it or a graph returns it. `is_variable`, `sparsity` and `variant` (types inside a
    VARIANT) are what the file says of the tensor.
    """

    __slots__ = (
        "_known",
        "const",
        "index",
        "is_variable",
        "name",
        "producer",
        "sparsity",
        "type",
        "uses",
        "variant",
    )

    def __init__(self, type: TensorType, name: str = "", const: Array | Lazy | None = None) -> None:
        self.type = type
        self.name = name
        self.const = const
        self.producer: Node | None = None
        self.index = 0
        self.uses: dict[Node | Graph, int] = {}
        self.is_variable = False
        self.sparsity: Any = None
        self.variant: tuple[TensorType, ...] = ()
        self._known: Array | None = None

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        """Dimensions; InferenceError where the rank is unknown."""
        if self.type.shape is None:
            raise InferenceError(f"the rank of {self.name or 'a value'} is not known")
        return self.type.shape

    @property
    def rank(self) -> int:
        """Number of dimensions; InferenceError where unknown."""
        return len(self.shape)

    @property
    def is_const(self) -> bool:
        """Whether the contents are fixed."""
        return self.const is not None

    def array(self) -> Array:
        """Return the contents of a constant (a Lazy one is computed now); ValueError for any other value."""
        if self.const is None:
            raise ValueError(f"{self.name or 'the value'} is not a constant")
        return self.const.thunk() if isinstance(self.const, Lazy) else self.const

    @property
    def known(self) -> Array | None:
        """Partly known contents of a short integer scalar or vector: an object array of int and Sym."""
        if self._known is None and self.const is not None and self._trackable():
            self._known = self.array().astype(object)
        return self._known

    @known.setter
    def known(self, contents: Array | None) -> None:
        self._known = contents if contents is not None and self._trackable() else None

    def _trackable(self) -> bool:
        if self.type.dtype not in (DType.INT32, DType.INT64) or self.type.shape is None:
            return False
        size = self.type.size
        return len(self.type.shape) <= 1 and isinstance(size, int) and size <= KNOWN_LIMIT

    @property
    def use_count(self) -> int:
        """How many operands and graph outputs refer to this value."""
        return sum(self.uses.values())

    def _add_use(self, user: Node | Graph) -> None:
        self.uses[user] = self.uses.get(user, 0) + 1

    def _drop_use(self, user: Node | Graph) -> None:
        if self.uses[user] == 1:
            del self.uses[user]
        else:
            self.uses[user] -= 1

    def __repr__(self) -> str:
        return f"<{'const' if self.is_const else 'value'} {self.name or '?'}: {self.type}>"


@dataclass(frozen=True)
class Extra:
    """What a file says of one operation beside its options.

    `intermediates` are values that only its kernel touches (they carry quantization), `mutating` says of
    each input whether the kernel changes it, `debug_index` counts in the file's debug metadata.
    """

    intermediates: tuple[Value, ...] = ()
    mutating: tuple[bool, ...] = ()
    debug_index: int = -1


class Node:
    """One operation applied to values. Operands change only through `set_input`, so that uses stay true.

    `extra` is None but for a node that a file says more of; a rewrite that replaces the node drops it.
    """

    __slots__ = ("extra", "inputs", "loc", "op", "outputs")

    def __init__(self, op: Op, inputs: Iterable[Value | None], outputs: Iterable[Value], loc: Loc) -> None:
        self.op = op
        self.inputs: list[Value | None] = list(inputs)
        self.outputs: list[Value] = list(outputs)
        self.loc = loc
        self.extra: Extra | None = None
        for index, output in enumerate(self.outputs):
            output.producer, output.index = self, index
        for value in self.inputs:
            if value is not None:
                value._add_use(self)

    @property
    def output(self) -> Value:
        """The first output."""
        return self.outputs[0]

    def set_input(self, index: int, value: Value | None) -> None:
        """Replace one operand."""
        old = self.inputs[index]
        if old is not None:
            old._drop_use(self)
        self.inputs[index] = value
        if value is not None:
            value._add_use(self)

    def detach(self) -> None:
        """Release the operands of a node that leaves its graph."""
        for index in range(len(self.inputs)):
            self.set_input(index, None)

    def __repr__(self) -> str:
        return f"<{self.op.name} at {self.loc}>"


class Graph:
    """An ordered list of nodes, in execution order. Subgraphs capture nothing: all they read is an input."""

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self.debug_index = -1
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []
        self._outputs: list[Value] = []

    @property
    def outputs(self) -> Sequence[Value]:
        """The results, in order; a value may stand in it more than once."""
        return self._outputs

    def set_outputs(self, values: Iterable[Value]) -> None:
        """Name the results."""
        for value in self._outputs:
            value._drop_use(self)
        self._outputs = list(values)
        for value in self._outputs:
            value._add_use(self)

    def add_input(self, type: TensorType, name: str = "") -> Value:
        """Append an input."""
        value = Value(type, name)
        self.inputs.append(value)
        return value

    def replace(self, old: Value, new: Value) -> None:
        """Let every user of `old` (nodes, and the results of this graph) read `new` instead."""
        if old is new:
            return
        for user in list(old.uses):
            if isinstance(user, Node):
                for index, value in enumerate(user.inputs):
                    if value is old:
                        user.set_input(index, new)
            else:
                user.set_outputs([new if value is old else value for value in user.outputs])

    def values(self) -> Iterator[Value]:
        """Yield every value once: inputs, operands (constants where first read) and outputs by node."""
        seen: set[int] = set()
        for group in (
            self.inputs,
            *(part for node in self.nodes for part in (node.inputs, node.outputs)),
            self.outputs,
        ):
            for value in group:
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield value

    def __repr__(self) -> str:
        inputs, nodes, outputs = len(self.inputs), len(self.nodes), len(self.outputs)
        return f"<graph {self.name}: {inputs} inputs, {nodes} nodes, {outputs} outputs>"


@dataclass
class Signature:
    """The user's view of a graph: the names of `graph.inputs` and of `graph.outputs`, in their order."""

    graph: Graph
    inputs: list[str]
    outputs: list[str]


@dataclass
class Model:
    """Signatures over graphs, the graph that initialises variables, and what else the file carries.

    `signatures` maps key -> Signature, in order. `graphs` are entry graphs without a signature (an older
    file has one). `metadata` maps name -> bytes. `description` and `tail` (bytes behind the FlatBuffer, such
    as a zip) are carried through. `notes` tell the user what the source holds and the model does not.
    """

    signatures: dict[str, Signature] = field(default_factory=dict)
    init: Graph | None = None
    metadata: dict[str, bytes] = field(default_factory=dict)
    graphs: list[Graph] = field(default_factory=list)
    description: str = ""
    tail: bytes = b""
    notes: list[str] = field(default_factory=list)

    def entries(self) -> list[Graph]:
        """Return the entry graphs in file order, each once."""
        ordered = [*self.graphs, *(signature.graph for signature in self.signatures.values())]
        return list({id(graph): graph for graph in ordered}.values())

    def all_graphs(self) -> Iterator[Graph]:
        """Yield every graph once: entries and the init graph, each followed by its subgraphs by first use."""
        seen: set[int] = set()
        for entry in [*self.entries(), *([] if self.init is None else [self.init])]:
            for graph in walk(entry):
                if id(graph) not in seen:
                    seen.add(id(graph))
                    yield graph


def walk(graph: Graph) -> Iterator[Graph]:
    """Yield a graph and, depth first, the subgraphs of its nodes, each once."""
    return _walk(graph, set())


def _walk(graph: Graph, seen: set[int]) -> Iterator[Graph]:
    if id(graph) in seen:
        return
    seen.add(id(graph))
    yield graph
    for node in graph.nodes:
        for _, subgraph in node.op.graphs():
            yield from _walk(subgraph, seen)


def constant(array: Any, name: str = "", quant: Quant | None = None) -> Value:
    """Return a constant value of an array (or Lazy), keeping views and memory maps as they are."""
    if isinstance(array, Lazy):
        return Value(TensorType(array.dtype, array.shape, quant), name, array)
    contents = np.asarray(array)
    dtype = DType.of(contents.dtype)
    if dtype is DType.STRING and contents.dtype != object:
        contents = np.vectorize(
            lambda text: text.encode() if isinstance(text, str) else bytes(text), otypes=[object]
        )(contents)
    return Value(TensorType(dtype, contents.shape, quant), name, contents)
