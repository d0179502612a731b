"""Observation: run a float model on samples, and feed statistics of every tensor of every graph.

LiteRT can keep what all tensors held, but of a loop's body only what its last turn left, and of what XNNPACK
joins only what leaves it for sure. So control flow is taken apart here: what lies between two control
operations is a piece with a signature of its own, all floats in it are its outputs, LiteRT runs the pieces,
and loops and branches are decided in Python. All pieces are of one file and one interpreter, and run in the
order of the model: they share its variables and tables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from litecast.errors import ConvertError, QuantizationError, Unsupported, UnsupportedError
from litecast.ir.graph import Graph, Loc, Model, Node, Signature, Value
from litecast.ir.op import Array, Op
from litecast.ir.types import DType
from litecast.ops import Call, If, While
from litecast.quantization.data import Sample
from litecast.quantization.statistics import Key, Statistics, TensorStatistics, tensor_keys
from litecast.tflite.packer import file_order
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write_to

__all__ = ["observe"]

Handles = tuple[Op | None, ...]
"""Per input of a graph, the operation that makes the resource which it is, or None."""
_UNTOUCHABLE = (DType.RESOURCE, DType.VARIANT)
"""Element types that no input of a piece takes."""


def observe(
    model: Model,
    samples: Iterable[Sample],
    *,
    into: Statistics | None = None,
    progress: Callable[[int], None] | None = None,
    threads: int = 1,
) -> Statistics:
    """Run the model on the samples in order and return what its FLOAT32 tensors held, by `tensor_keys`.

    State (variables) lasts from one sample to the next, but is new for a sample with `restart`. `into` are
    statistics to go on with; `progress` is called with the number of samples done. Memory does not depend on
    the number of samples. Raises QuantizationError where there are no samples, or LiteRT refuses one.
    """
    statistics = Statistics() if into is None else into
    graphs = _entries(model)
    done = 0
    with _engine(model, statistics, threads) as engine:
        for sample in samples:
            if sample.signature not in graphs:
                raise QuantizationError(
                    f"calibration sample {sample.index} is of signature {sample.signature!r}; there are "
                    f"{', '.join(graphs)}"
                )
            graph, names = graphs[sample.signature]
            if sample.restart and done:
                engine.restart()
            try:
                engine.run(engine.plans[graph], _arguments(sample, names))
            except ConvertError as error:
                raise QuantizationError(f"calibration sample {sample.index}: {error}") from error
            done += 1
            statistics.samples[sample.signature] = statistics.samples.get(sample.signature, 0) + 1
            if progress is not None:
                progress(done)
    if not done:
        raise QuantizationError("there are no calibration samples: the data set is empty")
    return statistics


def _arguments(sample: Sample, names: Sequence[str]) -> list[Array]:
    missing = [name for name in names if name not in sample.inputs]
    if missing:
        name = missing[0] or "(one that the signature does not name)"
        raise ConvertError(f"there is nothing for input {name}")
    return [sample.inputs[name] for name in names]


def _entries(model: Model) -> dict[str, tuple[Graph, list[str]]]:
    """Return the graphs by signature, and the names of their inputs; one without a signature by its name."""
    found = {graph.name: (graph, [value.name for value in graph.inputs]) for graph in model.graphs}
    found.update({key: (entry.graph, entry.inputs) for key, entry in model.signatures.items()})
    return found


# -- the model in pieces -----------------------------------------------------------------------------------


@dataclass(eq=False)
class _Piece:
    """Operations that follow each other without control flow, copied to a graph of their own.

    `inputs` and `outputs` are the model's values in the order of the copy's; `watched` is the model's value
    by the name of its copy.
    """

    key: str
    graph: Graph
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    watched: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False)
class _Branch:
    """A control operation, and its graphs in pieces in the order of its fields."""

    node: Node
    plans: list[_Plan] = field(default_factory=list)


@dataclass(eq=False)
class _Plan:
    """A graph in pieces."""

    graph: Graph
    steps: list[_Piece | _Branch] = field(default_factory=list)


class _Cutter:
    """Takes graphs apart, each once per set of resources that it is called with."""

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self._plans: dict[tuple[Graph, Handles], _Plan] = {}

    def plan(self, graph: Graph, handles: Handles) -> _Plan:
        """Return a graph in pieces."""
        key = graph, handles
        if key not in self._plans:
            plan = self._plans[key] = _Plan(graph)
            made = zip(graph.inputs, handles, strict=True)
            resources = {value: op for value, op in made if op is not None}
            plan.steps = list(self._steps(graph, resources))
        return self._plans[key]

    def _steps(self, graph: Graph, resources: dict[Value, Op]) -> Iterator[_Piece | _Branch]:
        straight: list[Node] = []
        for node in graph.nodes:
            if isinstance(node.op, (If, While, Call)):
                if straight:
                    yield self._piece(straight, resources)
                straight = []
                yield self._branch(node, resources)
            elif not node.inputs and any(output.dtype is DType.RESOURCE for output in node.outputs):
                resources[node.output] = node.op
            else:
                straight.append(node)
        if straight:
            yield self._piece(straight, resources)

    def _branch(self, node: Node, resources: dict[Value, Op]) -> _Branch:
        operands = node.inputs[1:] if isinstance(node.op, If) else node.inputs
        handles = tuple(None if value is None else resources.get(value) for value in operands)
        if isinstance(node.op, While):
            passed = zip(node.outputs, handles, strict=True)
            resources.update((output, handle) for output, handle in passed if handle is not None)
        for value in (*operands, *node.outputs):
            if value is not None and value.dtype in _UNTOUCHABLE and value not in resources:
                _refuse(node, value)
        return _Branch(node, [self.plan(graph, handles) for _, graph in node.op.graphs()])

    def _piece(self, nodes: Sequence[Node], resources: Mapping[Value, Op]) -> _Piece:
        piece = _Piece(f"piece{len(self.pieces)}", Graph(f"piece{len(self.pieces)}"))
        self.pieces.append(piece)
        copier = _Copier(piece, resources)
        for node in nodes:
            copier.copy(node)
        inside = set(nodes)
        made = [output for node in nodes for output in node.outputs]
        watched = set(piece.watched.values())
        piece.outputs = [
            value for value in made if value in watched or any(user not in inside for user in value.uses)
        ]
        for value in piece.outputs:
            if value.dtype in _UNTOUCHABLE:
                _refuse(nodes[-1], value)
        piece.graph.set_outputs(copier.copies[value] for value in piece.outputs)
        return piece


def _refuse(node: Node, value: Value) -> None:
    reason = f"{value.name or 'a value'} is a {value.dtype.name} that crosses control flow"
    raise UnsupportedError(Unsupported(node.op.name, f"calibration: {reason}", str(node.loc)))


class _Copier:
    """Copies nodes to a piece; what they read of elsewhere becomes an input of it."""

    def __init__(self, piece: _Piece, resources: Mapping[Value, Op]) -> None:
        self.piece, self.resources = piece, resources
        self.copies: dict[Value, Value] = {}

    def copy(self, node: Node) -> None:
        """Append the copy of a node."""
        operands = [None if value is None else self._operand(value) for value in node.inputs]
        outputs = [self._twin(value) for value in node.outputs]
        copied = Node(node.op, operands, outputs, node.loc)
        copied.extra = node.extra
        self.piece.graph.nodes.append(copied)

    def _operand(self, value: Value) -> Value:
        if value in self.copies:
            return self.copies[value]
        inside = value.is_const or value.is_variable or value in self.resources
        twin = self._twin(value, watch=value.is_variable)
        if value in self.resources:
            self.piece.graph.nodes.append(Node(self.resources[value], [], [twin], Loc()))
        elif not inside:
            self.piece.graph.inputs.append(twin)
            self.piece.inputs.append(value)
        return twin

    def _twin(self, value: Value, watch: bool = True) -> Value:
        twin = Value(value.type, f"t{len(self.copies)}", value.const)
        twin.is_variable, twin.sparsity, twin.variant = value.is_variable, value.sparsity, value.variant
        if watch and value.dtype is DType.FLOAT32 and value.const is None:
            self.piece.watched[twin.name] = value
        self.copies[value] = twin
        return twin


# -- running -----------------------------------------------------------------------------------------------


@contextmanager
def _engine(model: Model, statistics: Statistics, threads: int) -> Iterator[_Engine]:
    """Cut the model, write its pieces to a temporary file that LiteRT maps, and load it."""
    cutter = _Cutter()
    plans = {graph: cutter.plan(graph, (None,) * len(graph.inputs)) for graph in model.entries()}
    signatures = {
        piece.key: Signature(piece.graph, _numbered(piece.inputs), _numbered(piece.outputs))
        for piece in cutter.pieces
    }
    pieces = Model(signatures, model.init)
    with tempfile.TemporaryDirectory(prefix="litecast-") as folder:
        path = Path(folder) / "pieces.tflite"
        with open(path, "w+b") as file:
            write_to(pieces, file, conversion_metadata=False)
        runtime = _runtime(path, threads)
        numbers = {graph: number for number, graph in enumerate(file_order(pieces))}
        engine = _Engine(plans, runtime, statistics, tensor_keys(model))
        for piece in cutter.pieces:
            engine.place(piece, numbers[piece.graph])
        yield engine
        del runtime, engine


def _runtime(path: Path, threads: int) -> Runtime:
    """Return LiteRT with XNNPACK, or without where that cannot prepare a piece (one without inputs, say)."""
    label = "the float model"
    try:
        runtime = Runtime(path, threads=threads, label=label)
        runtime.allocate()
    except ConvertError:
        return Runtime(path, threads=threads, delegate=False, label=label)
    return runtime


def _numbered(values: Sequence[Value]) -> list[str]:
    return [str(number) for number in range(len(values))]


class _Engine:
    """Runs plans in LiteRT and feeds the statistics."""

    def __init__(
        self,
        plans: Mapping[Graph, _Plan],
        runtime: Runtime,
        statistics: Statistics,
        keys: Mapping[Value, Key],
    ) -> None:
        self.plans, self._runtime = plans, runtime
        self._statistics, self._keys = statistics, keys
        self._places: dict[_Piece, tuple[int, list[tuple[int, Value]]]] = {}
        self._tensors: dict[Value, TensorStatistics] = {}

    def place(self, piece: _Piece, number: int) -> None:
        """Note where the tensors of a piece are that a kernel keeps state in, which are no outputs."""
        indices = {entry["name"]: int(entry["index"]) for entry in self._runtime.tensors(number)}
        self._places[piece] = (
            number,
            [(indices[name], value) for name, value in piece.watched.items() if value.is_variable],
        )

    def restart(self) -> None:
        """Give all state its first values again."""
        self._runtime.reset()

    def run(self, plan: _Plan, arguments: Sequence[Array | None]) -> list[Array | None]:
        """Run a graph and return its results; a resource is None."""
        held = dict(zip(plan.graph.inputs, arguments, strict=True))
        for value, array in held.items():
            self._see(value, array)
        for step in plan.steps:
            if isinstance(step, _Piece):
                self._run_piece(step, held)
            else:
                operands = [None if value is None else _look(value, held) for value in step.node.inputs]
                results = self._run_branch(step, operands)
                for value, array in zip(step.node.outputs, results, strict=True):
                    held[value] = array
                    self._see(value, array)
        return [_look(value, held) for value in plan.graph.outputs]

    def _run_piece(self, piece: _Piece, held: dict[Value, Array | None]) -> None:
        results = self._runtime.run([held[value] for value in piece.inputs], piece.key)
        held.update(zip(piece.outputs, results.values(), strict=True))
        for value in piece.outputs:
            self._see(value, held[value])
        number, states = self._places[piece]
        for index, value in states:
            self._see(value, self._runtime.tensor(index, number))

    def _run_branch(self, branch: _Branch, operands: list[Array | None]) -> list[Array | None]:
        if isinstance(branch.node.op, If):
            then, other = branch.plans
            return self.run(then if _holds(operands[0]) else other, operands[1:])
        if not isinstance(branch.node.op, While):
            return self.run(branch.plans[0], operands)
        condition, body = branch.plans
        while _holds(self.run(condition, operands)[0]):
            operands = self.run(body, operands)
        return operands

    def _see(self, value: Value, array: Array | None) -> None:
        if array is None or value.dtype is not DType.FLOAT32 or value.const is not None:
            return
        if value not in self._tensors:
            self._tensors[value] = self._statistics[self._keys[value]]
        self._tensors[value].update(array)


def _look(value: Value, held: Mapping[Value, Array | None]) -> Array | None:
    return value.array() if value.const is not None else held.get(value)


def _holds(predicate: Array | None) -> bool:
    return predicate is not None and bool(predicate.ravel()[0])
