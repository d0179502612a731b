"""What lives beside the graph: state between calls (a variable, or an input and an output), and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.errors import ConvertError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType, TensorType
from litecast.ops import (
    AssignVariable,
    Hashtable,
    HashtableFind,
    HashtableImport,
    ReadVariable,
    VarHandle,
)

__all__ = ["MODES", "State", "Table", "init_graph"]

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


FIRST_TABLE = 1 << 20
"""Numbers of tables begin beyond those that the runtime gives to variables, from 0: they share one space."""


@dataclass(frozen=True, eq=False)
class Table:
    """A hash table from strings to INT64, filled once by the init graph."""

    number: int
    keys: Any
    values: Any

    def find(self, b: Builder, x: Value, default: int) -> Value:
        """Return the values of strings, `default` for those that are no key."""
        missing = b.const(np.array([default], np.int64))
        result: Value = b(HashtableFind(), self._handle(b), x, missing)
        return result

    def fill(self, b: Builder) -> None:
        """Give the table its contents."""
        b(HashtableImport(), self._handle(b), b.const(self.keys), b.const(self.values))

    def _handle(self, b: Builder) -> Value:
        number = FIRST_TABLE + self.number
        op = Hashtable(table_id=number, key_dtype=DType.STRING, value_dtype=DType.INT64)
        handle: Value = b(op)
        return handle


def init_graph(states: list[State], tables: list[Table], run: Any) -> Graph | None:
    """Return the graph that assigns initial values and fills tables, None where there are neither."""
    held = [state for state in states if state.mode != "io"]
    if not held and not tables:
        return None
    b = Builder(Graph("init"), run)
    for state in held:
        b(AssignVariable(), state._handle(b), b.const(state.initial, state.name))
    for table in tables:
        table.fill(b)
    return b.graph
