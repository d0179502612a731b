"""LiteRT behind one small class; nothing else imports the interpreter, which is loaded on first use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from os import PathLike, fspath
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from litecast.errors import ConvertError
from litecast.ir.graph import Graph, Loc, Model, Node, Value
from litecast.ir.op import Array, Op
from litecast.ir.types import DType, TensorType
from litecast.tflite.schema import schema
from litecast.tflite.source import Source, open_source, refusing

__all__ = ["Port", "Runtime", "evaluate"]

FAILURES = (MemoryError, RuntimeError, TypeError, ValueError)
EMPTY = "Invalid tensor size"
"""What LiteRT says when it is asked for a tensor of no elements (interpreter_wrapper.cc, GetTensor)."""
"""What the interpreter raises."""


@dataclass(frozen=True)
class Port:
    """An input or output: its name, its tensor, and what it takes (-1: any size). STRING is dtype object."""

    name: str
    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    quantization: tuple[float, int]


class Runtime:
    """A model in LiteRT: a file is mapped into memory. Raises ConvertError with the interpreter's reason.

    `delegate=False` runs the builtin kernels alone (no XNNPACK); `preserve` keeps what every tensor held,
    for `tensor`; `label` names the model in errors. `signature=None` below is the only signature, or the main
    graph of a model that has none.
    """

    def __init__(
        self,
        model: str | PathLike[str] | bytes,
        *,
        threads: int = 1,
        delegate: bool = True,
        preserve: bool = False,
        label: str | None = None,
    ) -> None:
        self.label = label or open_source(model).label
        self._model = model
        self._options: dict[str, Any] = {
            "num_threads": threads,
            "experimental_preserve_all_tensors": preserve,
        }
        self._delegate = delegate
        self.signatures, self._subgraphs = _signature_order(model)
        """Names of the inputs and outputs of every signature, in the model's own order."""
        self.reset()

    def reset(self) -> None:
        """Start anew: all state (variables, tables, variable tensors) has its first values again."""
        with _reported(f"LiteRT cannot load {self.label}"):
            self._interpreter = _interpreter(self._model, self._delegate, **self._options)
            # Taken before anything is prepared: kernels may rename their outputs (densify.cc does).
            self._known: dict[tuple[str | None, str], list[Port]] = {
                (None, side): [_port(entry["name"], entry) for entry in details]
                for side, details in (
                    ("input", self._interpreter.get_input_details()),
                    ("output", self._interpreter.get_output_details()),
                )
            }
        self._runners: dict[str | None, Any] = {}

    # -- what there is -----------------------------------------------------------------------------

    def inputs(self, signature: str | None = None) -> list[Port]:
        """Describe the inputs of a signature in the model's own order."""
        return self._ports(self._key(signature), "input")

    def outputs(self, signature: str | None = None) -> list[Port]:
        """Describe the outputs of a signature in the model's own order."""
        return self._ports(self._key(signature), "output")

    def tensors(self, subgraph: int = 0) -> list[dict[str, Any]]:
        """Return the interpreter's details of every tensor of a subgraph."""
        details: list[dict[str, Any]] = self._interpreter.get_tensor_details(subgraph)
        return details

    def tensor(self, index: int, subgraph: int = 0) -> Array:
        """Return what a tensor holds after a run (made with `preserve`)."""
        try:  # nothing is announced here: no need to be quiet, and a loop reads many
            return self._interpreter.get_tensor(index, subgraph)
        except FAILURES as error:
            if EMPTY in str(error):
                return self._fetch(self.tensors(subgraph)[index], subgraph)
            raise ConvertError(f"LiteRT cannot read tensor {index} of {self.label}: {error}") from error

    def _ports(self, key: str | None, side: str) -> list[Port]:
        if (key, side) not in self._known:
            details = getattr(self._runner(key), f"get_{side}_details")()
            names = self.signatures[key or ""][side == "output"]
            self._known[key, side] = [_port(name, details[name]) for name in names]
        return self._known[key, side]

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

    def _runner(self, key: str | None) -> Any:
        if key not in self._runners:
            with _reported(f"LiteRT cannot prepare signature {key} of {self.label}"):
                self._runners[key] = self._interpreter.get_signature_runner(key)
        return self._runners[key]

    # -- running -----------------------------------------------------------------------------------

    def allocate(self, unknown: int = 1, first: int = 1) -> None:
        """Plan the memory of every signature (or of the main graph), which prepares each of its kernels.

        Dimensions of unknown size take `unknown`, the first one of an input with others `first`.
        """
        with _reported(f"LiteRT cannot prepare {self.label}"):
            for key in self.signatures or [None]:
                runner = self._runner(key) if key is not None else self._interpreter
                wrapper = runner._interpreter_wrapper if key is not None else runner._interpreter
                subgraph = self._subgraphs[key] if key is not None else 0
                for port in self._ports(key, "input") if (unknown, first) != (1, 1) else []:
                    if any(dim < 0 for dim in port.shape):
                        open_dims = [first if len(port.shape) > 1 else unknown, *[unknown] * len(port.shape)]
                        pairs = zip(port.shape, open_dims, strict=False)
                        shape = [dim if dim >= 0 else size for dim, size in pairs]
                        wrapper.ResizeInputTensor(port.index, np.array(shape, np.int32), False, subgraph)
                # The interpreter's own method is barred once there is a signature runner.
                wrapper.AllocateTensors(subgraph)

    def run(
        self, inputs: Mapping[str, Any] | Sequence[Any], signature: str | None = None
    ) -> dict[str, Array]:
        """Run on arrays by name or in order and return the outputs by name, in the model's own order.

        Inputs of unknown size are resized. Raises ConvertError where one does not fit, or LiteRT refuses.
        """
        key = self._key(signature)
        feeds = self._feeds(inputs, self._ports(key, "input"))
        with _reported(f"LiteRT cannot run {self.label}", quiet=self._delegate):
            if key is None:
                return self._run_main(feeds)
            results = self._call(key, {port.name: array for port, array in feeds})
        return {name: results[name] for name in self.signatures[key][1]}

    def _call(self, key: str, feeds: dict[str, Array]) -> dict[str, Array]:
        runner = self._runner(key)
        try:
            results: dict[str, Array] = runner(**feeds)
        except ValueError as error:  # it ran: only reading an output failed, and what it wrote stays written
            if EMPTY not in str(error):
                raise
            details = runner.get_output_details()
            results = {name: self._fetch(entry, self._subgraphs[key]) for name, entry in details.items()}
        return results

    def _fetch(self, details: Mapping[str, Any], subgraph: int = 0) -> Array:
        """Return the contents of a tensor, which LiteRT does not give where there are none."""
        if 0 in details["shape"]:
            return np.zeros(details["shape"], details["dtype"])
        return self._interpreter.get_tensor(details["index"], subgraph)

    def _run_main(self, feeds: list[tuple[Port, Array]]) -> dict[str, Array]:
        _feed(self._interpreter, feeds)
        self._interpreter.invoke()
        details = self._interpreter.get_output_details()
        ports = self._ports(None, "output")
        return {port.name: self._fetch(entry) for port, entry in zip(ports, details, strict=True)}

    def _feeds(
        self, inputs: Mapping[str, Any] | Sequence[Any], ports: list[Port]
    ) -> list[tuple[Port, Array]]:
        names = [port.name for port in ports]
        if not isinstance(inputs, Mapping):
            if len(inputs) != len(ports):
                wanted = f"{len(ports)} inputs ({', '.join(names)})"
                raise ConvertError(f"{self.label} takes {wanted}, {len(inputs)} given")
            inputs = dict(zip(names, inputs, strict=True))
        if set(inputs) != set(names):
            given = ", ".join(map(str, inputs)) or "none"
            raise ConvertError(f"{self.label} takes the inputs {', '.join(names)}; given are {given}")
        return [(port, _fit(port, inputs[port.name])) for port in ports]

    def time(self, runs: int = 50, inputs: Any = None, signature: str | None = None) -> float:
        """Return the median seconds of a run, after three to warm up; `inputs` default to zeros of size 1.

        Of the main graph only the computation counts, of any other also the copying of inputs and outputs.
        """
        key = self._key(signature)
        if inputs is None:
            ports = self._ports(key, "input")
            inputs = [np.zeros([abs(dim) for dim in port.shape], port.dtype) for port in ports]
        feeds = self._feeds(inputs, self._ports(key, "input"))
        run: Callable[[], Any] = partial(self.run, inputs, key)
        if key is None or self._subgraphs[key] == 0:
            with _reported(f"LiteRT cannot run {self.label}"):
                interpreter = _interpreter(self._model, self._delegate, **self._options)
                _feed(interpreter, feeds)
                run = interpreter.invoke
        times = []
        for _ in range(runs + 3):
            start = perf_counter()
            run()
            times.append(perf_counter() - start)
        return float(np.median(times[3:]))


def _interpreter(model: str | PathLike[str] | bytes, delegate: bool = True, **options: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    options["model_content" if isinstance(model, bytes) else "model_path"] = (
        model if isinstance(model, bytes) else fspath(model)
    )
    if not delegate:
        options["experimental_op_resolver_type"] = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(**options)


def _feed(interpreter: Any, feeds: list[tuple[Port, Array]]) -> None:
    for port, array in feeds:
        interpreter.resize_tensor_input(port.index, array.shape)
    interpreter.allocate_tensors()
    for port, array in feeds:
        interpreter.set_tensor(port.index, array)


def _fit(port: Port, given: Any) -> Array:
    array = np.asarray(given)
    if array.dtype.kind in "SU":
        array = array.astype(object)
    elif array.dtype.newbyteorder("=") == port.dtype:
        array = np.asarray(array, port.dtype)
    fits = len(array.shape) == len(port.shape) and all(map(_accepts, port.shape, array.shape))
    if array.dtype != port.dtype or not fits:
        wanted, have = _describe(port.dtype, port.shape), _describe(array.dtype, array.shape)
        raise ConvertError(f"input {port.name} takes {wanted}, given is {have}")
    return array


def _accepts(want: int, have: int) -> bool:
    return want in (-1, have)


def _describe(dtype: np.dtype[Any], shape: Sequence[int]) -> str:
    kind = "string" if dtype.kind == "O" else str(dtype)
    return f"{kind}[{','.join('?' if dim < 0 else str(dim) for dim in shape)}]"


def _port(name: str, details: dict[str, Any]) -> Port:
    kind = details["dtype"]
    dtype = np.dtype(object) if kind in (np.bytes_, np.str_) else np.dtype(kind)
    shape = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return Port(name, details["index"], dtype, tuple(int(dim) for dim in shape), details["quantization"])


Order = dict[str, tuple[list[str], list[str]]]


def _signature_order(model: str | PathLike[str] | bytes) -> tuple[Order, dict[str, int]]:
    """Read the names in the order of the subgraph, which LiteRT sorts, and the number of the subgraph."""
    source = open_source(model)
    order: Order = {}
    numbers = {}
    with refusing(source.label):
        root = schema().Model.GetRootAs(source.view)
        for entry in source.each(root, "SignatureDefs"):
            key, number = source.text(entry.SignatureKey()), entry.SubgraphIndex()
            graph = root.Subgraphs(number)
            inputs = _names(source, source.each(entry, "Inputs"), source.numbers(graph, "Inputs"))
            outputs = _names(source, source.each(entry, "Outputs"), source.numbers(graph, "Outputs"))
            order[key], numbers[key] = (inputs, outputs), number
    return order, numbers


def _names(source: Source, maps: Iterator[Any], tensors: list[int]) -> list[str]:
    named = [(source.text(entry.Name()), entry.TensorIndex()) for entry in maps]
    places: dict[int, list[int]] = {}
    for place, index in enumerate(tensors):
        places.setdefault(index, []).append(place)
    # A tensor that is several outputs has a name for each.
    placed = [((places.get(index) or [len(tensors)]).pop(0), name) for name, index in named]
    return [name for _, name in sorted(placed, key=lambda pair: pair[0])]


@contextmanager
def _reported(what: str, quiet: bool = True) -> Iterator[None]:
    """Turn what the interpreter raises into a ConvertError that says what failed; keep its chatter away.

    (It has none to keep away when a loaded model runs without a delegate.)
    """
    try:
        with _quiet() if quiet else nullcontext():
            yield
    except FAILURES as error:
        raise ConvertError(f"{what}: {' '.join(str(error).split())}") from error


_announced = False
_redirecting = Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep LiteRT's INFO lines off stderr until it announced its delegate, which it does once per process.

    Whatever else is written to stderr meanwhile is passed on at the end. One thread at a time does so, for
    stderr belongs to the process.
    """
    if _announced or not _redirecting.acquire(blocking=False):
        yield
        return
    try:
        with _redirected():
            yield
    finally:
        _redirecting.release()


@contextmanager
def _redirected() -> Iterator[None]:
    global _announced
    import tempfile

    try:
        saved = os.dup(2)
    except OSError:  # a process without stderr has nothing to keep quiet
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            lines = caught.read().splitlines(keepends=True)
            _announced = any(b"XNNPACK delegate" in line for line in lines)
            with suppress(OSError):
                os.write(2, b"".join(line for line in lines if not line.startswith(b"INFO: ")))


CONSTANT_LIMIT = 64
"""Integer operands of so many elements are constants of the model: kernels want shapes and axes constant."""


def evaluate(op: Op, inputs: Sequence[Value | None], types: Sequence[TensorType]) -> list[Array]:
    """Run one operation on constant operands (default delegate, one thread) and return its outputs.

    Short integer operands, and packed ones, which no input takes, are constants of a one-operation model; all
    others are its inputs, for XNNPACK fails on operations without any. Where that does not run, all are
    constants; then XNNPACK is left out. A small operation takes 0.5 ms. Raises ConvertError where LiteRT
    refuses.
    """
    constants = [value is not None and _wanted_constant(value) for value in inputs]
    try:
        return _evaluate(op, inputs, types, constants, delegate=True)
    except ConvertError as error:
        for delegate in (True, False):
            with suppress(ConvertError):
                return _evaluate(op, inputs, types, [True] * len(inputs), delegate=delegate)
        raise error


def _wanted_constant(value: Value) -> bool:
    if 0 < value.dtype.bits < 8:
        return True
    size = value.type.size
    return value.dtype in (DType.INT32, DType.INT64) and isinstance(size, int) and size <= CONSTANT_LIMIT


def _evaluate(
    op: Op,
    inputs: Sequence[Value | None],
    types: Sequence[TensorType],
    constants: Sequence[bool],
    *,
    delegate: bool,
) -> list[Array]:
    from litecast.tflite.writer import write

    graph = Graph()
    feeds: list[Array] = []
    operands: list[Value | None] = []
    for value, constant in zip(inputs, constants, strict=True):
        if value is None or constant:
            operands.append(None if value is None else Value(value.type, const=value.const))
        else:
            operands.append(graph.add_input(value.type))
            feeds.append(value.array())
    outputs = [Value(type) for type in types]
    graph.nodes.append(Node(op, operands, outputs, Loc(op.name)))
    graph.set_outputs(outputs)
    content = write(Model(graphs=[graph]), conversion_metadata=False)
    with _reported(f"LiteRT cannot evaluate {op.name}"):
        interpreter = _interpreter(content, delegate, num_threads=1)
        interpreter.allocate_tensors()
        for details, array in zip(interpreter.get_input_details(), feeds, strict=True):
            interpreter.set_tensor(details["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]
