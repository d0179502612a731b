"""Where the nodes of a graph stand in TensorFlow 1 control flow: in which loops, and under which decisions.

TensorFlow runs a node unless an input is dead, and the output of a Switch that is not taken is dead
(tensorflow/core/common_runtime/propagator_state.cc). So each node has literals, the decisions under which it
runs, and a Merge joins the two sides of one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.frame import needed_inputs, node_name

__all__ = [
    "ENTERS",
    "EXITS",
    "MERGES",
    "SWITCHES",
    "Literal",
    "Place",
    "Split",
    "Topology",
    "is_second",
    "refused",
]

MERGES, SWITCHES, ENTERS, EXITS, NEXTS = (
    frozenset({name, f"Ref{name}"}) for name in ("Merge", "Switch", "Enter", "Exit", "NextIteration")
)


Literal = tuple[str, bool]
"""A predicate, by the tensor that it is an identity of, and the value that it must have."""


@dataclass(frozen=True)
class Place:
    """Where a node stands: the loops around it, outermost first, and the decisions that let it run."""

    frames: tuple[str, ...] = ()
    literals: frozenset[Literal] = frozenset()


@dataclass(frozen=True)
class Split:
    """What a Merge joins: a predicate and the input for each of its values."""

    predicate: str
    inputs: Mapping[bool, str]
    literals: frozenset[Literal]


class Topology:
    """The places of the nodes of one graph, found on demand."""

    def __init__(self, nodes: Mapping[str, Any]) -> None:
        self.nodes = nodes
        self.writers: set[str] = set()
        self.aliases: dict[str, set[str]] = {}
        self._places: dict[str, Place] = {}
        self._splits: dict[str, Split | None] = {}

    def op(self, reference: str) -> str:
        """Return the operation behind a reference, "" for an argument."""
        node = self.nodes.get(node_name(reference))
        return "" if node is None else str(node.op)

    def inputs(self, name: str) -> list[str]:
        """Return the references that a node reads, control edges included."""
        node = self.nodes.get(name)
        return [] if node is None else needed_inputs(node)

    def forward(self, name: str) -> list[str]:
        """Return the inputs of a node without what comes from the previous turn of a loop."""
        references = self.inputs(name)
        if self.op(name) in MERGES:
            return [reference for reference in references if self.op(reference) not in NEXTS]
        return references

    def is_loop_merge(self, name: str) -> bool:
        """Whether a node merges the start of a loop variable with its next value."""
        return self.op(name) in MERGES and len(self.forward(name)) < len(self.inputs(name))

    def is_loop_switch(self, name: str) -> bool:
        """Whether a node leaves or continues a loop."""
        return self.op(name) in SWITCHES and self.op(self.nodes[name].input[1]) == "LoopCond"

    def predicate(self, reference: str) -> str:
        """Return the tensor that a predicate is an identity of."""
        root = _plain(reference)
        while self.op(root) == "Identity":
            root = _plain(self.nodes[node_name(root)].input[0])
        self.aliases.setdefault(root, {root}).add(_plain(reference))
        return root

    def place(self, name: str) -> Place:
        """Return where a node stands; an argument of the graph stands outside of everything."""
        stack = [] if name in self._places else [name]
        entered: set[str] = set()
        while stack:
            top = stack[-1]
            if top in self._places:
                stack.pop()
                continue
            open_inputs = [
                source for source in map(node_name, self.forward(top)) if source not in self._places
            ]
            if not open_inputs:
                self._places[stack.pop()] = self._placed(top)
            elif top in entered:
                raise refused(self.nodes[top], "the graph has a cycle that is no loop")
            else:
                entered.add(top)
                stack += open_inputs
        return self._places[name]

    def literals(self, reference: str) -> frozenset[Literal]:
        """Return the decisions that let a tensor (or control edge) be alive."""
        name = node_name(reference)
        literals = self.place(name).literals
        if reference.startswith("^") or self.op(name) not in SWITCHES or self.is_loop_switch(name):
            return literals
        return literals | {(self.predicate(self.nodes[name].input[1]), is_second(reference))}

    def _placed(self, name: str) -> Place:
        references, op = self.forward(name), self.op(name)
        frames = max((self.place(node_name(source)).frames for source in references), key=len, default=())
        if op in ENTERS:
            frames = (*frames, self.nodes[name].attr["frame_name"].s.decode())
        elif op in EXITS:
            frames = frames[:-1]
        sides = [self.literals(reference) for reference in references]
        if op not in MERGES or self.is_loop_merge(name):
            return Place(frames, frozenset().union(*sides))
        split = self.split(name)
        return Place(frames, frozenset.intersection(*sides) if split is None else split.literals)

    def split(self, name: str) -> Split | None:
        """Return what the Merge of a decision joins, None where that is not two sides of one decision."""
        if name not in self._splits:
            self._splits[name] = self._split(name)
        return self._splits[name]

    def _split(self, name: str) -> Split | None:
        references = [reference for reference in self.inputs(name) if not reference.startswith("^")]
        if len(references) != 2:
            return None
        first, second = map(self.literals, references)
        for predicate, value in sorted(first - second):
            rest = first - {(predicate, value)}
            if rest == second - {(predicate, not value)} and (predicate, not value) in second:
                return Split(predicate, {value: references[0], not value: references[1]}, rest)
        return None

    def ancestors(self, references: Iterable[str], ends: Callable[[str], bool]) -> list[str]:
        """Return the nodes that references need, over all turns of loops, beyond none that `ends` names."""
        found: dict[str, None] = {}
        stack = [node_name(reference) for reference in references]
        while stack:
            name = stack.pop()
            if name not in found and name in self.nodes:
                found[name] = None
                stack += [] if ends(name) else [node_name(reference) for reference in self.inputs(name)]
        return list(found)


def _plain(reference: str) -> str:
    """Return a reference in the form that equal tensors share."""
    return reference.removesuffix(":0") if reference.count(":") == 1 else reference


def is_second(reference: str) -> bool:
    """Whether a reference is to output 1, `output_true`, of a Switch."""
    return reference.partition(":")[2] in ("1", "output_true:0")


def refused(node: Any, reason: str) -> UnsupportedError:
    """Return the error of a node of control flow that cannot be traced."""
    hint = "export the model with TensorFlow 2 control flow (tf.compat.v1.enable_control_flow_v2())"
    return UnsupportedError(Unsupported(node.op, reason, node.name, hint))
