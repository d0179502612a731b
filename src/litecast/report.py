"""What happened in a conversion, as data; text, tables and JSON are made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from litecast.ir.graph import Lazy, Model, Value
from litecast.ir.types import Blockwise

__all__ = [
    "Kept",
    "Quantized",
    "Report",
    "SignatureInfo",
    "TensorInfo",
    "describe",
    "op_counts",
    "weight_bytes",
]


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: the user's name, element type, and shape (None: unknown dimension or rank)."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        dims = "*" if self.shape is None else ",".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.dtype}[{dims}]"


@dataclass(frozen=True)
class SignatureInfo:
    """The inputs and outputs of one signature, in the model's order."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Kept:
    """An operation that stays in float although the recipe asks otherwise, where it is, and why."""

    op: str
    place: str
    reason: str


@dataclass(frozen=True)
class Quantized:
    """What quantization did: operations by scheme, bytes of constants before it, what stays float."""

    recipe: str
    schemes: dict[str, int]
    weights_before: int
    kept: tuple[Kept, ...]
    warnings: tuple[str, ...]


@dataclass
class Report:
    """The account of one conversion: sizes in bytes, times in seconds."""

    source: str = ""
    signatures: dict[str, SignatureInfo] = field(default_factory=dict)
    ops: dict[str, int] = field(default_factory=dict)
    size: int = 0
    weights: int = 0
    min_runtime: str = ""
    rewrites: dict[str, int] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    quantization: Quantized | None = None

    @property
    def seconds(self) -> float:
        """Time of all phases."""
        return sum(self.phases.values())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the `with` block as a phase."""
        start = perf_counter()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + perf_counter() - start

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data for `json.dumps`."""
        return {**asdict(self), "seconds": self.seconds}


def describe(model: Model) -> dict[str, SignatureInfo]:
    """Return what the signatures of a model take and give; a graph without a signature goes by its name."""
    found = {
        key: SignatureInfo(
            _infos(signature.inputs, signature.graph.inputs),
            _infos(signature.outputs, signature.graph.outputs),
        )
        for key, signature in model.signatures.items()
    }
    named = {id(signature.graph) for signature in model.signatures.values()}
    for graph in model.graphs:
        if id(graph) not in named:
            found[graph.name] = SignatureInfo(
                _infos([value.name for value in graph.inputs], graph.inputs),
                _infos([value.name for value in graph.outputs], graph.outputs),
            )
    return found


def _infos(names: Sequence[str], values: Sequence[Value]) -> tuple[TensorInfo, ...]:
    return tuple(_info(name, value) for name, value in zip(names, values, strict=True) if name)


def _info(name: str, value: Value) -> TensorInfo:
    shape = value.type.shape
    dims = None if shape is None else tuple(dim if isinstance(dim, int) else None for dim in shape)
    return TensorInfo(name, value.dtype.name.lower(), dims)


def op_counts(model: Model) -> dict[str, int]:
    """Return how often each operation stands in the graphs of a model, most frequent first."""
    counts = Counter(node.op.name for graph in model.all_graphs() for node in graph.nodes)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def weight_bytes(model: Model) -> int:
    """Return the bytes of all constants, each array once."""
    arrays = {
        _identity(value.const): value.type.nbytes
        for graph in model.all_graphs()
        for used in graph.values()
        for value in (used, *_scales(used))
        if value.const is not None
    }
    return sum(arrays.values())


def _scales(value: Value) -> list[Value]:
    """Return the constants that hold the scales of a blockwise weight."""
    details = None if value.type.quant is None else value.type.quant.details
    return [details.scales] if isinstance(details, Blockwise) else []


def _identity(const: Any) -> Any:
    if isinstance(const, Lazy):
        return id(const)
    return const.__array_interface__["data"][0], const.shape, const.strides
