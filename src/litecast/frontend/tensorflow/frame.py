"""One activation of a graph or function, and the operations that tracing leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from litecast.ir.graph import Loc

if TYPE_CHECKING:
    from litecast.frontend.tensorflow.functionalize import ControlFlow

__all__ = ["DROPPED", "OBSERVERS", "Frame", "needed_inputs", "node_name"]

DROPPED = frozenset(
    {"Assert", "PrintV2", "TensorSummaryV2", "ScalarSummary"}
    | {"Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints"}
)
"""Operations whose effect is outside the model's results; neither they nor what only they need is traced."""
OBSERVERS = frozenset({"Print", "DebugIdentity", "DebugIdentityV2"})
"""Operations that hand their first input on; what else they look at is not traced."""


@dataclass
class Frame:
    """One activation of a graph or function: its nodes, and what each has produced so far.

    `targets` are the nodes that it is evaluated for, `flow` its TensorFlow 1 control flow (None: none met).
    """

    nodes: Mapping[str, Any]
    arguments: dict[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    parents: tuple[Loc, ...] = ()
    results: dict[str, list[Any]] = field(default_factory=dict)
    targets: Sequence[str] = ()
    flow: ControlFlow | None = None

    def has(self, name: str) -> bool:
        """Whether a node or argument has its value."""
        return name in self.results or name in self.arguments


def node_name(reference: str) -> str:
    """Return the node of a tensor or control reference."""
    return reference.lstrip("^").partition(":")[0]


def needed_inputs(node: Any) -> list[str]:
    """Return the references of a node that have to be traced for it."""
    if node.op in DROPPED:
        return []
    return list(node.input[:1] if node.op in OBSERVERS else node.input)
