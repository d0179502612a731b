"""How a loop or decision of TensorFlow 1 is traced: what it takes from outside, its parts as functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from litecast.errors import UnsupportedError
from litecast.frontend.tensorflow.frame import Frame, node_name
from litecast.frontend.tensorflow.state import Variable
from litecast.frontend.tensorflow.topology import ENTERS, SWITCHES, Topology, is_second, refused
from litecast.ir.builder import Builder
from litecast.lib import control

if TYPE_CHECKING:
    from litecast.frontend.tensorflow.functionalize import ControlFlow

__all__ = ["Branch", "Choice", "Loop", "Plan", "Refusal", "position"]

Results = dict[str, list[Any]]
"""The outputs of joins by name."""


@dataclass
class Plan:
    """How the joins `members` are traced: `references` become operands, the nodes `after` must have run."""

    topology: Topology
    members: list[str]
    references: list[str] = field(default_factory=list)
    after: set[str] = field(default_factory=set)
    interior: set[str] = field(default_factory=set)
    results: Results = field(default_factory=dict)

    @property
    def needs(self) -> list[str]:
        """The nodes and arguments that must have their values."""
        return [*map(node_name, self.references), *sorted(self.after)]

    def refer(self, reference: str) -> None:
        """Take a tensor as an operand, or wait for a control edge."""
        if reference.startswith("^"):
            self.after.add(node_name(reference))
        elif reference not in self.references:
            self.references.append(reference)

    def trace(self, flow: ControlFlow, b: Builder, operands: Sequence[Any]) -> Results:
        """Return the outputs of every member."""
        raise NotImplementedError


@dataclass
class Refusal(Plan):
    """A join that cannot be traced; the error is raised where errors are collected."""

    error: UnsupportedError | None = None

    def trace(self, flow: ControlFlow, b: Builder, operands: Sequence[Any]) -> Results:
        """Raise the error."""
        assert self.error is not None
        raise self.error


@dataclass
class Choice(Plan):
    """A Merge whose live input is known now."""

    index: int = 0

    def trace(self, flow: ControlFlow, b: Builder, operands: Sequence[Any]) -> Results:
        """Hand the live input on."""
        return {self.members[0]: [operands[0], b.const(np.int32(self.index))]}


@dataclass
class Branch(Plan):
    """Merges of one decision. `switches` are the Switches that let something into it, with their input."""

    predicate: str = ""
    depth: int = 0
    switches: dict[str, str] = field(default_factory=dict)

    def gather(self, references: Iterable[str]) -> None:
        """Find what is inside the decision and what it takes from outside."""
        stack = list(references)
        while stack:
            reference = stack.pop()
            name = node_name(reference)
            if name in self.interior or name in self.switches:
                continue
            node = self.topology.nodes.get(name)
            if self._lets_in(node):
                self._enter(node)
            elif self._is_inside(name):
                self.interior.add(name)
                stack += self.topology.inputs(name)
            else:
                self.refer(reference)

    def _lets_in(self, node: Any) -> bool:
        decides = node is not None and node.op in SWITCHES
        return decides and self.topology.predicate(node.input[1]) == self.predicate

    def _is_inside(self, name: str) -> bool:
        place = self.topology.place(name)
        return len(place.frames) > self.depth or self.predicate in dict(place.literals)

    def _enter(self, node: Any) -> None:
        self.switches[node.name] = node.input[0]
        if self.topology.predicate(node.input[0]) != self.predicate:
            self.refer(node.input[0])
        self.after.update(node_name(reference) for reference in node.input if reference.startswith("^"))

    def trace(self, flow: ControlFlow, b: Builder, operands: Sequence[Any]) -> Results:
        """Trace both sides as functions of what they take from outside."""
        predicate = flow.value(self.predicate)
        if isinstance(predicate, Variable):
            predicate = predicate.read(b)

        def then(inner: Builder, *values: Any) -> list[Any]:
            return self._side(flow, inner, True, values)

        def otherwise(inner: Builder, *values: Any) -> list[Any]:
            return self._side(flow, inner, False, values)

        results = control.branch(b, predicate, then, otherwise, operands)
        count = len(self.members)
        pairs = zip(results[:count], results[count:], strict=True)
        return dict(zip(self.members, map(list, pairs), strict=True))

    def _side(self, flow: ControlFlow, b: Builder, taken: bool, operands: Sequence[Any]) -> list[Any]:
        inner = flow.part((self.predicate, taken))
        inner.frame.results.update({name: [] for name in self.after})
        for reference, operand in zip(self.references, operands, strict=True):
            inner.bind(reference, operand)
        truth = b.const(np.bool_(taken))
        for reference in self.topology.aliases[self.predicate]:
            if not inner.frame.has(node_name(reference)):
                inner.bind(reference, truth)
        for name, source in self.switches.items():
            known = self.topology.predicate(source) == self.predicate
            inner.frame.results[name] = [truth if known else flow.tracer.lookup(inner.frame, source)] * 2
        references, indices = [], []
        for name in self.members:
            split = self.topology.split(name)
            assert split is not None
            references.append(split.inputs[taken])
            indices.append(b.const(np.int32(position(self.topology.nodes[name], split.inputs[taken]))))
        results = flow.tracer.evaluate(b, inner.frame, references)
        return [*map(_reader(b, self.topology), self.members, results), *indices]


@dataclass
class Loop(Plan):
    """The Exits of one loop.

    `state` are its Merges, each with the node of its next value; `enters` are their Enters, `constants` the
    other ones; `switches` its Switches, each with its Merge; `condition` is the LoopCond.
    """

    state: dict[str, str] = field(default_factory=dict)
    enters: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    switches: dict[str, str] = field(default_factory=dict)
    condition: str = ""

    def trace(self, flow: ControlFlow, b: Builder, operands: Sequence[Any]) -> Results:
        """Trace the loop over its variables and the constants that enter it."""
        nodes = self.topology.nodes
        sources = dict(zip(self.references, operands, strict=True))
        read = _reader(b, self.topology)
        start = [read(name, sources[nodes[name].input[0]]) for name in self.enters]
        start += [sources[nodes[name].input[0]] for name in self.constants]

        def cond(inner: Builder, *values: Any) -> list[Any]:
            return flow.tracer.evaluate(inner, self._turn(flow, values), [self.condition])

        def body(inner: Builder, *values: Any) -> list[Any]:
            turn = self._turn(flow, values)
            turn.results[self.condition] = [inner.const(np.bool_(True))]
            for name, merge in self.switches.items():
                turn.results[name] = turn.results[merge] * 2
            following = flow.tracer.evaluate(inner, turn, list(self.state.values()))
            return [*map(_reader(inner, self.topology), self.state, following), *values[len(self.state) :]]

        fixed = range(len(self.state), len(start))
        final = dict(zip(self.state, control.while_loop(b, start, cond, body, fixed), strict=False))
        return {name: [final[self.switches[node_name(nodes[name].input[0])]]] for name in self.members}

    def sort(self, node: Any) -> None:
        """Take a node that stands in this loop and in no loop inside it for what it is."""
        if self.topology.is_loop_merge(node.name):
            enter, following = node.input[0], node.input[-1]
            if len(node.input) != 2 or self.topology.op(enter) not in ENTERS:
                raise refused(node, "a loop variable that is not the merge of an Enter and a NextIteration")
            self.state[node.name] = following
            self.enters.append(node_name(enter))
        elif self.topology.is_loop_switch(node.name):
            self.switches[node.name] = node_name(node.input[0])
            condition = node_name(node.input[1])
            if self.condition not in ("", condition):
                raise refused(node, "a loop with two conditions")
            self.condition = condition

    def check(self, node: Any) -> None:
        """Raise UnsupportedError where the loop is not what `tf.while_loop` makes."""
        nodes, topology = self.topology.nodes, self.topology
        if any(merge not in self.state for merge in self.switches.values()):
            raise refused(node, "a Switch of a loop that is not fed by a loop variable")
        for member in self.members:
            source = nodes[member].input[0]
            if node_name(source) not in self.switches or is_second(source):
                raise refused(nodes[member], "an Exit that is not fed by the Switch of a loop variable")
        for name in self.constants:
            if not nodes[name].attr["is_constant"].b:
                raise refused(nodes[name], "an Enter that is neither a loop variable nor constant")
        for name in sorted(self.interior):
            for reference in topology.inputs(name):
                source, _, output = reference.partition(":")
                if source in self.state and output in ("1", "value_index:0"):
                    raise refused(nodes[name], "it reads whether the loop is in its first turn")

    def _turn(self, flow: ControlFlow, values: Sequence[Any]) -> Frame:
        turn = flow.part().frame
        names = [*self.state, *self.constants]
        turn.results.update({name: [value] for name, value in zip(names, values, strict=True)})
        return turn


def _reader(b: Builder, topology: Topology) -> Callable[[str, Any], Any]:
    """Return a function that reads a TensorFlow 1 variable where the node named takes its contents."""

    def read(name: str, value: Any) -> Any:
        if topology.op(name).startswith("Ref") or not isinstance(value, Variable) or not value.reference:
            return value
        return value.read(b)

    return read


def position(node: Any, reference: str) -> int:
    """Return which of its inputs a Merge picks: its output `value_index`."""
    return [item for item in node.input if not item.startswith("^")].index(reference)
