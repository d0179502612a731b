"""Running a macro: a graph over inputs like given arrays, written and executed by LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Signature
from litecast.ir.types import DType, Sym, TensorType
from litecast.tflite.runtime import Runtime, evaluate
from litecast.tflite.writer import write

__all__ = ["run"]


def run(build: Callable[..., Any], *arrays: np.ndarray, unknown: bool = False) -> list[np.ndarray]:
    """Build a graph over inputs like `arrays` and run it in LiteRT (`unknown`: built without their sizes)."""
    b = Builder(Graph("main"), evaluate)
    values = []
    for index, array in enumerate(arrays):
        dims = [Sym(f"x{index}_{axis}") if unknown else size for axis, size in enumerate(array.shape)]
        values.append(b.add_input(TensorType(DType.of(array.dtype), tuple(dims)), f"x{index}"))
    results = build(b, *values)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    b.graph.set_outputs(results)
    names = [f"x{index}" for index in range(len(arrays))], [f"y{index}" for index in range(len(results))]
    model = write(Model({"main": Signature(b.graph, *names)}))
    return list(Runtime(model).run(list(arrays)).values())
