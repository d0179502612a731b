"""State that a layer keeps between calls: a resource variable, or an input and an output of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.errors import ConvertError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType, TensorType
from litecast.ops import AssignVariable, ReadVariable, VarHandle

__all__ = ["MODES", "State", "init_graph"]

MODES = ("variables", "io")
"""How state is kept: in variables of the model, or by the caller, as inputs and outputs."""


@dataclass
class State:
    """One tensor of state: its name in the signature, its initial value, and what it is in the graph.

    `current` is the value that a reader sees: in mode "io" the input, until something is assigned.
    """

    name: str
    initial: Any
    mode: str
    current: Value | None = None

    @property
    def type(self) -> TensorType:
        """Element type and shape."""
        return TensorType(DType.of(self.initial.dtype), np.shape(self.initial))

    def read(self, b: Builder) -> Value:
        """Return the contents."""
        if self.current is None:
            if self.mode == "io":
                self.current = b.add_input(self.type, self.name)
            else:
                self.current = b(ReadVariable(type=self.type), self._handle(b), name=self.name)
        return self.current

    def assign(self, b: Builder, value: Value) -> None:
        """Set the contents."""
        if value.type.shape != self.type.shape:
            raise ConvertError(f"state {self.name} has shape {self.type}, {value.type} is assigned to it")
        self.current = value
        if self.mode != "io":
            b(AssignVariable(), self._handle(b), value)

    def _handle(self, b: Builder) -> Value:
        handle: Value = b(VarHandle(container="", shared_name=self.name), name=f"{self.name}/handle")
        return handle


def init_graph(states: list[State], run: Any) -> Graph | None:
    """Return the graph that assigns the initial values of variables, None where there are none."""
    held = [state for state in states if state.mode != "io"]
    if not held:
        return None
    b = Builder(Graph("init"), run)
    for state in held:
        b(AssignVariable(), state._handle(b), b.const(state.initial, state.name))
    return b.graph
