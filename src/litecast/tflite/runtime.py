"""LiteRT behind one small class; nothing else imports the interpreter, which is loaded on first use."""

from __future__ import annotations

import os
import sys
import tempfile
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from litecast.errors import ConvertError, FormatError
from litecast.ir.graph import Graph, Loc, Model, Node, Value
from litecast.ir.op import Array, Op
from litecast.ir.types import DType, TensorType
from litecast.tflite.schema import schema
from litecast.tflite.source import Source, open_source

__all__ = ["Port", "Runtime", "evaluate"]


@dataclass(frozen=True)
class Port:
    """An input or output of a signature: its name, where it is, and what it takes (-1: any size)."""

    name: str
    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    quantization: tuple[float, int]


class Runtime:
    """A model in LiteRT. `delegate=False` runs the builtin kernels alone (no XNNPACK)."""

    def __init__(self, model: str | PathLike[str] | bytes, *, threads: int = 1, delegate: bool = True) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.label = "the model" if isinstance(model, bytes) else fspath(model)
        options: dict[str, Any] = {"num_threads": threads}
        if not delegate:
            options["experimental_op_resolver_type"] = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        if isinstance(model, bytes):
            options["model_content"] = model
        elif not Path(model).is_file():
            raise FormatError(model, "there is no such file")
        else:
            options["model_path"] = fspath(model)
        with self._reported("loading"):
            self._interpreter = Interpreter(**options)
        self._runners: dict[str, Any] = {}
        self._model = model
        self._order: dict[str, tuple[list[str], list[str]]] | None = None

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def signatures(self) -> dict[str, tuple[list[str], list[str]]]:
        """Names of the inputs and outputs of every signature, in the model's own order."""
        if self._order is None:
            self._order = _signature_order(self._model)
        return self._order

    def inputs(self, signature: str | None = None) -> list[Port]:
        """Describe the inputs of a signature in the model's own order (None: the only one, or the main graph)."""
        return self._ports(signature, 0)

    def outputs(self, signature: str | None = None) -> list[Port]:
        """Describe the outputs of a signature in the model's own order."""
        return self._ports(signature, 1)

    def _ports(self, signature: str | None, side: int) -> list[Port]:
        key = self._key(signature)
        if key is None:
            details = (self._interpreter.get_input_details, self._interpreter.get_output_details)[side]()
            return [_port(entry["name"], entry) for entry in details]
        runner = self._runner(key)
        named = (runner.get_input_details, runner.get_output_details)[side]()
        return [_port(name, named[name]) for name in self.signatures[key][side]]

    def _key(self, signature: str | None) -> str | None:
        keys = list(self.signatures)
        if signature is None:
            if len(keys) > 1:
                raise ConvertError(f"{self.label} has several signatures: name one of {', '.join(keys)}")
            return keys[0] if keys else None
        if signature not in keys:
            there = f"there are {', '.join(keys)}" if keys else "it has none"
            raise ConvertError(f"{self.label} has no signature {signature}; {there}")
        return signature

    def _runner(self, key: str) -> Any:
        if key not in self._runners:
            self._runners[key] = self._interpreter.get_signature_runner(key)
        return self._runners[key]

    def tensors(self, subgraph: int = 0) -> list[dict[str, Any]]:
        """Return the interpreter's details of every tensor of a subgraph."""
        details: list[dict[str, Any]] = self._interpreter.get_tensor_details(subgraph)
        return details

    # -- running ------------------------------------------------------------------------------------------------------

    def allocate(self) -> None:
        """Let the interpreter plan its memory, which prepares every kernel of the main graph."""
        with self._reported("allocating"):
            self._interpreter.allocate_tensors()

    def run(
        self, inputs: Mapping[str, Any] | Sequence[Any], signature: str | None = None
    ) -> dict[str, Array]:
        """Run a signature (None: the only one, or the main graph) on arrays by name or in order; resize where needed.

        Raises ConvertError where an input does not fit, or the runtime refuses.
        """
        key = self._key(signature)
        feeds = self._feeds(inputs, self.inputs(key))
        if key is None:
            return self._run_main(feeds)
        with self._reported("running"):
            results = self._runner(key)(**{port.name: array for port, array in feeds})
        return {name: results[name] for name in self.signatures[key][1]}

    def _run_main(self, feeds: list[tuple[Port, Array]]) -> dict[str, Array]:
        interpreter = self._interpreter
        with self._reported("running"):
            for port, array in feeds:
                interpreter.resize_tensor_input(port.index, array.shape)
            interpreter.allocate_tensors()
            for port, array in feeds:
                interpreter.set_tensor(port.index, array)
            interpreter.invoke()
            return {port.name: interpreter.get_tensor(port.index) for port in self._ports(None, 1)}

    def _feeds(self, inputs: Mapping[str, Any] | Sequence[Any], ports: list[Port]) -> list[tuple[Port, Array]]:
        names = [port.name for port in ports]
        if not isinstance(inputs, Mapping):
            if len(inputs) != len(ports):
                raise ConvertError(f"{self.label} takes {len(ports)} inputs ({', '.join(names)}), {len(inputs)} given")
            inputs = dict(zip(names, inputs, strict=True))
        if set(inputs) != set(names):
            raise ConvertError(f"{self.label} takes the inputs {', '.join(names)}; given are {', '.join(inputs)}")
        return [(port, _fit(port, inputs[port.name])) for port in ports]

    def time(self, runs: int = 50, inputs: Any = None, signature: str | None = None) -> float:
        """Return the median seconds of a run, on `inputs` or on zeros; three runs warm up."""
        if inputs is None:
            inputs = [np.zeros([max(dim, 1) for dim in port.shape], port.dtype) for port in self.inputs(signature)]
        times = []
        for turn in range(runs + 3):
            start = clock.perf_counter()
            self.run(inputs, signature)
            times += [clock.perf_counter() - start] * (turn >= 3)
        return median(times)

    def reset(self) -> None:
        """Let all variables have their first values again."""
        with self._reported("resetting"):
            self._interpreter.reset_all_variables()

    @contextmanager
    def _reported(self, doing: str) -> Iterator[None]:
        try:
            with _quiet():
                yield
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ConvertError(f"{doing} {self.label} in LiteRT: {reason}") from error


def _fit(port: Port, given: Any) -> Array:
    array = np.asarray(given)
    if array.dtype.kind in "SU":
        array = array.astype(object)
    shape_fits = len(array.shape) == len(port.shape) and all(
        want in (-1, have) for want, have in zip(port.shape, array.shape, strict=True)
    )
    if array.dtype != port.dtype or not shape_fits:
        wanted = "x".join("?" if dim < 0 else str(dim) for dim in port.shape) or "scalar"
        have = "x".join(map(str, array.shape)) or "scalar"
        raise ConvertError(f"input {port.name} takes {port.dtype} {wanted}, given is {array.dtype} {have}")
    return np.ascontiguousarray(array).reshape(array.shape)


def _port(name: str, details: dict[str, Any]) -> Port:
    kind = details["dtype"]
    dtype = np.dtype(object) if kind in (np.bytes_, np.str_) else np.dtype(kind)
    signature = details["shape_signature"]
    shape = signature if len(signature) else details["shape"]
    return Port(name, details["index"], dtype, tuple(int(dim) for dim in shape), details["quantization"])


def _signature_order(model: str | PathLike[str] | bytes) -> dict[str, tuple[list[str], list[str]]]:
    """Read the names in the order of the subgraph's inputs and outputs: the interpreter sorts them."""
    source = open_source(model)
    root = schema().Model.GetRootAs(source.view)
    order = {}
    for entry in source.each(root, "SignatureDefs"):
        graph = root.Subgraphs(entry.SubgraphIndex())
        key = source.text(entry.SignatureKey())
        order[key] = (
            _names(source, source.each(entry, "Inputs"), source.numbers(graph, "Inputs")),
            _names(source, source.each(entry, "Outputs"), source.numbers(graph, "Outputs")),
        )
    return order


def _names(source: Source, maps: Iterator[Any], tensors: list[int]) -> list[str]:
    named = [(source.text(entry.Name()), entry.TensorIndex()) for entry in maps]
    places = {index: place for place, index in reversed(list(enumerate(tensors)))}
    return [name for name, _ in sorted(named, key=lambda pair: places.get(pair[1], len(places)))]


_settled = False


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep LiteRT's INFO lines off stderr until the first delegate was made: that is when it says so, once.

    What it writes besides is passed on. Other threads' stderr is held back for the time of the call, not lost.
    """
    global _settled
    if _settled:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            lines = caught.read().splitlines(keepends=True)
            _settled = any(b"XNNPACK delegate" in line for line in lines)
            os.write(2, b"".join(line for line in lines if not line.startswith((b"INFO:", b"WARNING: Attempting"))))


CONSTANT_LIMIT = 64
"""Elements up to which an integer operand is a constant of the evaluated model: kernels want such things constant."""


def evaluate(op: Op, inputs: Sequence[Value | None], types: Sequence[TensorType]) -> list[Array]:
    """Run one operation in LiteRT (default delegate, one thread) on constant operands; the Builder's `run`.

    Operands that kernels may demand to be constant (short integer vectors, packed, quantized and string ones) are
    constants of the one-op model, all others its inputs.
    """
    from litecast.tflite.writer import write

    graph = Graph()
    feeds: list[Array] = []
    operands: list[Value | None] = []
    for value in inputs:
        if value is None or _stays_constant(value):
            operands.append(value if value is None else Value(value.type, const=value.const))
        else:
            operands.append(graph.add_input(value.type))
            feeds.append(np.ascontiguousarray(value.array()).reshape(value.array().shape))
    outputs = [Value(type) for type in types]
    graph.nodes.append(Node(op, operands, outputs, Loc(op.name)))
    graph.set_outputs(outputs)
    content = write(Model(graphs=[graph]), conversion_metadata=False)
    return _evaluate(content, feeds, op.name)


def _stays_constant(value: Value) -> bool:
    if value.dtype.bits < 8 or value.type.quant is not None:
        return True
    small = value.dtype in (DType.INT32, DType.INT64) and value.type.size
    return isinstance(small, int) and not isinstance(small, bool) and small <= CONSTANT_LIMIT


def _evaluate(content: bytes, feeds: list[Array], name: str) -> list[Array]:
    from ai_edge_litert.interpreter import Interpreter

    try:
        with _quiet():
            interpreter = Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
            for details, array in zip(interpreter.get_input_details(), feeds, strict=True):
                interpreter.set_tensor(details["index"], array)
            interpreter.invoke()
            return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConvertError(f"LiteRT cannot evaluate {name}: {' '.join(str(error).split())}") from error
