"""Variables as Python objects of the tracing environment: constants unless a signature writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from litecast.errors import ConvertError, Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType, TensorType
from litecast.ops import AssignVariable, ReadVariable, VarHandle

if TYPE_CHECKING:
    from litecast.frontend.tensorflow.tracer import Tracer

__all__ = ["Variable", "init_graph"]


class Variable:
    """A variable of the model.

    `initial` is its value in the checkpoint; `mutable` whether any signature writes it; `reference` whether
    it is a TensorFlow 1 variable, which is read by being used. The first write that tracing meets sets
    `mutable` and asks the tracer to trace again, so that reads met earlier become reads of the resource too.
    """

    def __init__(self, tracer: Tracer, name: str, dtype: DType, shape: tuple[int | None, ...] | None) -> None:
        self.tracer, self.name, self.dtype, self.declared = tracer, name, dtype, shape
        self.initial: Any = None
        self.mutable = False
        self.reference = False

    @property
    def is_open(self) -> bool:
        """Whether the declared shape allows values of several shapes."""
        return self.declared is None or None in self.declared

    @property
    def type(self) -> TensorType:
        """Element type and shape; the shape of the initial value where the declared one is open."""
        declared = None if self.declared is None else tuple(dim for dim in self.declared if dim is not None)
        return TensorType(self.dtype, np.shape(self.initial) if self.is_open else declared)

    def read(self, b: Builder) -> Value:
        """Return the contents: a constant, or a read of the resource where some signature writes it."""
        result: Value
        if self.mutable:
            result = b(ReadVariable(type=self.type), self._handle(b), name=self.name)
            return result
        if self.initial is None:
            raise ConvertError(
                f"variable {self.name} has no value: neither the checkpoint nor an initialiser that can be "
                "evaluated assigns it"
            )
        return b.const(self.initial, self.name)

    def assign(self, b: Builder, value: Value) -> None:
        """Write the contents (while initialisers run: set the initial value)."""
        self.tracer.note_write(self)
        if self.tracer.initialising:
            # What an initialiser computes from something unsupported hides the checkpoint's value.
            self.initial = value.array() if value.is_const else None
            return
        if value.type.shape != self.type.shape and (self.is_open or value.type.is_static):
            raise UnsupportedError(
                Unsupported(
                    "AssignVariable",
                    f"variable {self.name} has an open shape, or changes its own, which LiteRT gets wrong",
                    hint="give the variable a fixed shape",
                )
            )
        if not self.mutable:
            self.mutable = self.tracer.retrace = True
        b(AssignVariable(), self._handle(b), value)

    def _handle(self, b: Builder) -> Value:
        handle: Value = b(VarHandle(container="", shared_name=self.name), name=f"{self.name}/handle")
        return handle


def init_graph(variables: list[Variable], run: Any) -> Graph | None:
    """Return the graph that assigns the initial value of every mutable variable, None where there is none."""
    mutable = [variable for variable in variables if variable.mutable]
    if not mutable:
        return None
    b = Builder(Graph("init"), run)
    for variable in mutable:
        if variable.initial is None:
            raise ConvertError(f"variable {variable.name} is written but has no initial value")
        b(AssignVariable(), variable._handle(b), b.const(variable.initial, variable.name))
    return b.graph
