"""Operations without a class of their own: builtins as recorded, custom, select TF and opaque ones.

None of them is understood, so each keeps its place, its recorded output types and its options unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litecast.ir.graph import Graph
from litecast.ir.op import Inferred, Op, Operands, Outputs, operation
from litecast.ir.types import TensorType

__all__ = ["Builtin", "Custom", "Flex", "Opaque"]


@operation
class Carried(Op):
    """An operation that is carried through: its output types are those recorded in `types`."""

    effect = "write"

    @property
    def recorded_types(self) -> tuple[TensorType, ...]:
        """The output types that the source states."""
        types: tuple[TensorType, ...] = getattr(self, "types", ())
        return types

    def infer(self, *inputs: Any) -> Inferred:
        """Return the recorded types."""
        return self.recorded_types


@operation
class Builtin(Carried):
    """A builtin without a class: its code and name, its options table, the table's fields, and its version.

    `items` holds (field name of the schema, value); references to subgraphs are graphs.
    """

    builtin_code: int
    label: str
    table: str | None = None
    items: tuple[tuple[str, Any], ...] = ()
    builtin_version: int = 1
    types: tuple[TensorType, ...] = ()

    @property
    def name(self) -> str:
        """The builtin's name in the schema."""
        return self.label

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """Return the recorded version."""
        return self.builtin_version

    def graphs(self) -> Iterator[tuple[str, Graph]]:
        """Yield the graphs among the items."""
        for field, value in self.items:
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Graph):
                    yield field, part


@operation
class Custom(Carried):
    """A custom operation: `custom_code` names it, `custom_options` are bytes (format 0: FlexBuffers)."""

    custom_code: str
    custom_options: bytes = b""
    custom_options_format: int = 0
    custom_version: int = 1
    types: tuple[TensorType, ...] = ()

    @property
    def name(self) -> str:
        """Custom and what it is."""
        return f"Custom:{self.custom_code}"

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """Return the recorded version."""
        return self.custom_version


@operation
class Flex(Carried):
    """A TensorFlow operation that runs through the select-TF-ops delegate: its name and serialized NodeDef.

    Written as the custom operation `Flex<name>` whose options are the FlexBuffer vector [name, NodeDef]
    (delegates/flex/kernel.cc).
    """

    op_name: str
    node_def: bytes
    types: tuple[TensorType, ...] = ()

    @property
    def name(self) -> str:
        """Flex and the TensorFlow operation."""
        return f"Flex:{self.op_name}"


@operation
class Opaque(Carried):
    """A source operation without importer, typed from the source's own annotations; it is never written."""

    op_name: str
    node_def: bytes = b""
    types: tuple[TensorType, ...] = ()

    @property
    def name(self) -> str:
        """Opaque and the source operation."""
        return f"Opaque:{self.op_name}"
