"""A pass test: text IR before, rules, text IR after; both sides run in LiteRT on random inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from litecast.ir.graph import Graph, Model, Signature
from litecast.ir.rewrite import Applied, Rule, apply
from litecast.ir.text import parse_graph, print_graph
from litecast.ir.types import Dim, DType, Sym
from litecast.ir.verify import verify
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

Rewrite = Callable[[Graph], Any]
SIZES: tuple[Mapping[str, int], ...] = ({"n": 1, "m": 5}, {"n": 3, "m": 8})
TOLERANCE = 1e-5


def rewrite(text: str, rules: Iterable[Rule] | Rewrite) -> tuple[Graph, Any]:
    """Parse, apply the rules (or call the pass), verify."""
    graph = parse_graph(text)
    applied: Any = rules(graph) if callable(rules) else apply(graph, rules)
    verify(graph)
    return graph, applied


def check(
    before: str, rules: Iterable[Rule] | Rewrite, after: str, *, sizes: Sequence[Mapping[str, int]] = SIZES,
    tolerance: float = TOLERANCE, runs: bool = True,
) -> Applied:  # fmt: skip
    """The rules turn `before` into `after`, and both give the same numbers at every size.

    `runs=False`: LiteRT refuses `before`, so that only the texts are compared.
    """
    graph, applied = rewrite(before, rules)
    assert normal(print_graph(graph)) == normal(after)
    if runs:
        compare(parse_graph(before), graph, sizes, tolerance)
    return applied


def check_unchanged(text: str, rules: Iterable[Rule] | Rewrite) -> Any:
    """The rules leave the graph as it is; what they did (and why not) is returned."""
    graph = parse_graph(text)
    before = print_graph(graph)
    applied = rules(graph) if callable(rules) else apply(graph, rules)
    verify(graph)
    assert print_graph(graph) == before
    return applied


def normal(text: str) -> str:
    """Text without line breaks and indentation."""
    return " ".join(text.split())


def compare(
    before: Graph, after: Graph, sizes: Sequence[Mapping[str, int]] = SIZES, tolerance: float = TOLERANCE
) -> None:
    """Run both graphs on the same random inputs at every size and compare all results."""
    dynamic = any(isinstance(dim, Sym) for value in before.inputs for dim in value.shape)
    runtimes = [Runtime(write(model_of(graph))) for graph in (before, after)]
    for seed, size in enumerate(sizes if dynamic else sizes[:1]):
        feeds = random_inputs(before, size, seed)
        reference, result = (list(runtime.run(feeds).values()) for runtime in runtimes)
        assert len(reference) == len(result) == len(before.outputs)
        for want, have in zip(reference, result, strict=True):
            assert want.shape == have.shape
            assert error(want, have) <= tolerance


def error(reference: Any, result: Any) -> float:
    """max|a-b| / max|reference|, 0 or infinity where the values are not floats."""
    if reference.dtype.kind not in "fc":
        return 0.0 if np.array_equal(reference, result) else float("inf")
    if reference.size == 0:
        return 0.0
    assert np.isfinite(reference).all()
    return float(np.abs(reference - result).max() / max(np.abs(reference).max(), 1e-30))


def model_of(graph: Graph) -> Model:
    """A model with one signature over the graph."""
    inputs = [f"in{index}" for index in range(len(graph.inputs))]
    outputs = [f"out{index}" for index in range(len(graph.outputs))]
    return Model(signatures={"serving_default": Signature(graph, inputs, outputs)})


def random_inputs(graph: Graph, sizes: Mapping[str, int], seed: int) -> list[Any]:
    """Random arrays for the inputs of a graph, its unknown dimensions being what `sizes` says."""
    generator = np.random.default_rng(seed)

    def size_of(dim: Dim) -> int:
        return dim if isinstance(dim, int) else dim.scale * int(np.prod([sizes[name] for name in dim.names]))

    feeds = []
    for value in graph.inputs:
        shape = tuple(map(size_of, value.shape))
        if value.dtype is DType.BOOL:
            feeds.append(generator.integers(0, 2, shape).astype(bool))
        elif value.dtype.is_integer:
            feeds.append(generator.integers(0, 5, shape).astype(value.dtype.numpy))
        else:
            feeds.append((generator.standard_normal(shape) * 3).astype(value.dtype.numpy))
    return feeds
