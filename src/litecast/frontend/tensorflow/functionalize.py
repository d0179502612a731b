"""TensorFlow 1 control flow (Switch, Merge, Enter, Exit, NextIteration, LoopCond) as loops and branches of functions.

Nothing is rewritten. Two kinds of node join what ran apart: an Exit ends a loop, a Merge ends a decision. They are
traced as one `control.while_loop` or `control.branch`, whose functions evaluate a part of the same graph in a Frame of
their own, in which what enters the part is bound already: the Merges of a loop to its state, the Switches of a decision
to what they let pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from litecast.errors import UnsupportedError
from litecast.frontend.tensorflow.frame import DROPPED, Frame, node_name
from litecast.frontend.tensorflow.state import Variable
from litecast.frontend.tensorflow.topology import (
    ENTERS,
    EXITS,
    MERGES,
    SWITCHES,
    Literal,
    Place,
    Split,
    Topology,
    is_second,
    plain,
    refused,
)
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import control

if TYPE_CHECKING:
    from litecast.frontend.tensorflow.tracer import Tracer

__all__ = ["JOINS", "ControlFlow", "flow_of", "guard", "outermost"]

JOINS = MERGES | EXITS
"""Operations whose operands are not their inputs but what their loop or decision takes from outside."""


@dataclass
class Plan:
    """How the joins `members` are traced: `references` become operands, the nodes `after` must have run."""

    topology: Topology
    members: list[str]
    references: list[str] = field(default_factory=list)
    after: set[str] = field(default_factory=set)
    interior: set[str] = field(default_factory=set)
    results: dict[str, list[Any]] = field(default_factory=dict)

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

    def trace(
        self, tracer: Tracer, b: Builder, frame: Frame, operands: Sequence[Any]
    ) -> dict[str, list[Any]]:
        """Return the outputs of every member."""
        raise NotImplementedError

    def part(self, tracer: Tracer, frame: Frame, *decided: Literal) -> Frame:
        """Return a frame for the part of the graph inside, in which nothing is bound yet."""
        assert frame.flow is not None
        inner = Frame(frame.nodes, {}, frame.attributes, frame.prefix, frame.parents)
        inner.flow = ControlFlow(tracer, inner, self.topology, frame.flow.decided.union(decided))
        return inner


@dataclass
class Refusal(Plan):
    """A join that cannot be traced; the error is raised where errors are collected."""

    error: UnsupportedError | None = None

    def trace(
        self, tracer: Tracer, b: Builder, frame: Frame, operands: Sequence[Any]
    ) -> dict[str, list[Any]]:
        """Raise the error."""
        assert self.error is not None
        raise self.error


@dataclass
class Choice(Plan):
    """A Merge whose live input is known now."""

    index: int = 0

    def trace(
        self, tracer: Tracer, b: Builder, frame: Frame, operands: Sequence[Any]
    ) -> dict[str, list[Any]]:
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
            if (
                node is not None
                and node.op in SWITCHES
                and self.topology.predicate(node.input[1]) == self.predicate
            ):
                self._enter(node)
            elif self._is_inside(name):
                self.interior.add(name)
                stack += self.topology.inputs(name)
            else:
                self.refer(reference)

    def _is_inside(self, name: str) -> bool:
        place = self.topology.place(name)
        return len(place.frames) > self.depth or any(
            predicate == self.predicate for predicate, _ in place.literals
        )

    def _enter(self, node: Any) -> None:
        self.switches[node.name] = node.input[0]
        if self.topology.predicate(node.input[0]) != self.predicate:
            self.refer(node.input[0])
        self.after.update(node_name(reference) for reference in node.input if reference.startswith("^"))

    def trace(
        self, tracer: Tracer, b: Builder, frame: Frame, operands: Sequence[Any]
    ) -> dict[str, list[Any]]:
        """Trace both sides as functions of what they take from outside."""
        assert frame.flow is not None
        predicate = frame.flow.value(self.predicate)
        if isinstance(predicate, Variable):
            predicate = predicate.read(b)

        def then(inner: Builder, *values: Any) -> list[Any]:
            return self._side(tracer, inner, frame, True, values)

        def otherwise(inner: Builder, *values: Any) -> list[Any]:
            return self._side(tracer, inner, frame, False, values)

        results = control.branch(b, predicate, then, otherwise, operands)
        count = len(self.members)
        return dict(
            zip(self.members, map(list, zip(results[:count], results[count:], strict=True)), strict=True)
        )

    def _side(
        self, tracer: Tracer, b: Builder, frame: Frame, taken: bool, operands: Sequence[Any]
    ) -> list[Any]:
        inner = self.part(tracer, frame, (self.predicate, taken))
        assert inner.flow is not None
        inner.results.update({name: [] for name in self.after})
        for reference, operand in zip(self.references, operands, strict=True):
            inner.flow.bind(reference, operand)
        truth = b.const(np.bool_(taken))
        for reference in self.topology.aliases[self.predicate]:
            if not inner.has(node_name(reference)):
                inner.flow.bind(reference, truth)
        for name, source in self.switches.items():
            operand = (
                truth if self.topology.predicate(source) == self.predicate else tracer.lookup(inner, source)
            )
            inner.results[name] = [operand, operand]
        references, indices = [], []
        for name in self.members:
            split = self.topology.split(name)
            assert split is not None
            references.append(split.inputs[taken])
            indices.append(b.const(np.int32(_position(self.topology.nodes[name], split.inputs[taken]))))
        results = tracer.evaluate(b, inner, references)
        return [*map(_reader(b, self.topology), self.members, results), *indices]


@dataclass
class Loop(Plan):
    """The Exits of one loop. `state` are its Merges, each with the node of its next value; `condition` the LoopCond."""

    state: dict[str, str] = field(default_factory=dict)
    enters: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    switches: dict[str, str] = field(default_factory=dict)
    condition: str = ""

    def trace(
        self, tracer: Tracer, b: Builder, frame: Frame, operands: Sequence[Any]
    ) -> dict[str, list[Any]]:
        """Trace the loop over its variables and the constants that enter it."""
        nodes = self.topology.nodes
        sources = dict(zip(self.references, operands, strict=True))
        read = _reader(b, self.topology)
        start = [read(name, sources[nodes[name].input[0]]) for name in self.enters]
        start += [sources[nodes[name].input[0]] for name in self.constants]

        def cond(inner: Builder, *values: Any) -> list[Any]:
            turn = self._turn(tracer, frame, values)
            return tracer.evaluate(inner, turn, [self.condition])

        def body(inner: Builder, *values: Any) -> list[Any]:
            turn = self._turn(tracer, frame, values)
            turn.results[self.condition] = [inner.const(np.bool_(True))]
            for name, merge in self.switches.items():
                turn.results[name] = turn.results[merge] * 2
            following = tracer.evaluate(inner, turn, list(self.state.values()))
            return [*map(_reader(inner, self.topology), self.state, following), *values[len(self.state) :]]

        final = dict(zip(self.state, control.while_loop(b, start, cond, body), strict=False))
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
            self.switches[node.name] = plain(node.input[0])
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
        for name in self.interior:
            for reference in topology.inputs(name):
                if node_name(reference) in self.state and reference.partition(":")[2] in (
                    "1",
                    "value_index:0",
                ):
                    raise refused(nodes[name], "it reads whether the loop is in its first turn")

    def _turn(self, tracer: Tracer, frame: Frame, values: Sequence[Any]) -> Frame:
        turn = self.part(tracer, frame)
        names = [*self.state, *self.constants]
        turn.results.update({name: [value] for name, value in zip(names, values, strict=True)})
        return turn


class ControlFlow:
    """The joins of one frame, and the decisions that are known in it."""

    def __init__(
        self, tracer: Tracer, frame: Frame, topology: Topology, decided: frozenset[Literal] = frozenset()
    ) -> None:
        self.tracer, self.frame, self.topology, self.decided = tracer, frame, topology, decided
        self._plans: dict[str, Plan] = {}

    @cached_property
    def wanted(self) -> list[str]:
        """The nodes that the frame's targets need and that have not run."""
        return self.topology.ancestors(self.frame.targets, self.frame.has)

    # -- values ---------------------------------------------------------------------------------------------------

    def bind(self, reference: str, value: Any) -> None:
        """Let a reference have a value."""
        name = node_name(reference)
        if name not in self.frame.nodes:
            self.frame.arguments[name] = value
            return
        outputs = self.frame.results.setdefault(name, [])
        position = self.tracer.position(self.frame, reference)
        outputs += [None] * (position + 1 - len(outputs))
        outputs[position] = value

    def value(self, predicate: str) -> Any:
        """Return a predicate by any of its names, None where it has no value yet."""
        for reference in sorted(self.topology.aliases.get(predicate, {predicate})):
            if self.frame.has(node_name(reference)):
                return self.tracer.lookup(self.frame, reference)
        return None

    def is_speculative(self, name: str) -> bool:
        """Whether a node runs although a decision that it depends on is not made."""
        return bool(self.topology.place(name).literals - self.decided)

    # -- joins ----------------------------------------------------------------------------------------------------

    def needs(self, node: Any) -> list[str]:
        """Return the nodes that must have run before a join; asked again once they have, it may name more."""
        plan = self._plan(node.name)
        return [node_name(plan)] if isinstance(plan, str) else plan.needs

    def operands(self, node: Any) -> list[Any]:
        """Return what a join takes from outside, once all that it needs has run."""
        plan = self._plan(node.name)
        assert isinstance(plan, Plan)
        return [self.tracer.lookup(self.frame, reference) for reference in plan.references]

    def trace(self, b: Builder, node: Any, operands: Sequence[Any]) -> list[Any]:
        """Return the outputs of a join; its companions get theirs without being traced again."""
        plan = self._plan(node.name)
        assert isinstance(plan, Plan)
        if not plan.results:
            if self.tracer.initialising and not isinstance(plan, Choice):
                self.tracer.speculative = True
            plan.results = plan.trace(self.tracer, b, self.frame, operands)
            self._check_writes(plan)
        for result in plan.results[node.name]:
            if isinstance(result, Value) and result.producer is not None and isinstance(plan, (Loop, Branch)):
                result.name = b.loc.name
        return plan.results[node.name]

    def _plan(self, name: str) -> Plan | str:
        """Return the plan of a join, or the predicate that must have its value first."""
        if name not in self._plans:
            try:
                plan = self._loop(name) if self.topology.op(name) in EXITS else self._decision(name)
            except UnsupportedError as error:
                plan = Refusal(self.topology, [name], error=error)
            if isinstance(plan, str):
                return plan
            self._plans.update(dict.fromkeys(plan.members, plan))
        return self._plans[name]

    def _decision(self, name: str) -> Plan | str:
        topology, node = self.topology, self.topology.nodes[name]
        if topology.is_loop_merge(name):
            raise refused(node, "a loop is entered without its Exit: something outside needs what is inside")
        references = [reference for reference in node.input if not reference.startswith("^")]
        controls = {node_name(reference) for reference in node.input if reference.startswith("^")}
        if len(references) == 1:
            return Choice(topology, [name], references, controls)
        split = topology.split(name)
        if split is None:
            raise refused(node, "its inputs are not the two sides of one decision")
        value = self.value(split.predicate)
        if value is None:
            return split.predicate
        if not isinstance(value, Variable) and value.is_const:
            taken = bool(value.array())
            self.decided |= {(split.predicate, taken)}
            chosen = split.inputs[taken]
            return Choice(topology, [name], [chosen], controls, index=_position(node, chosen))
        return self._branch(name, split, controls)

    def _branch(self, name: str, split: Split, controls: set[str]) -> Branch:
        members = self._companions(name, split)
        depth = len(self.topology.place(name).frames)
        plan = Branch(self.topology, members, after=controls, predicate=split.predicate, depth=depth)
        for member in members:
            both = self.topology.split(member)
            assert both is not None
            plan.gather(both.inputs.values())
            plan.after.update(
                node_name(edge) for edge in self.topology.inputs(member) if edge.startswith("^")
            )
        if plan.after & plan.interior:
            raise refused(
                self.topology.nodes[name], "it waits for what runs on one side of its decision only"
            )
        return plan

    def _companions(self, name: str, split: Split) -> list[str]:
        """Return the wanted Merges that one branch can compute: same decision, none of them behind another."""
        peers = [name]
        for peer in self.wanted:
            if (
                peer == name
                or peer in self._plans
                or self.frame.has(peer)
                or self.topology.op(peer) not in MERGES
            ):
                continue
            other = None if self.topology.is_loop_merge(peer) else self.topology.split(peer)
            if other and (other.predicate, other.literals) == (split.predicate, split.literals):
                peers.append(peer)
        levels = self._levels_of(set(peers))
        return [peer for peer in peers if levels[peer] == levels[name]]

    def _levels_of(self, peers: set[str]) -> dict[str, int]:
        """Return how many of the peers stand one behind the other up to each node."""
        levels: dict[str, int] = {}
        stack = list(peers)
        while stack:
            name = stack[-1]
            if name in levels:
                stack.pop()
                continue
            sources = [] if self.frame.has(name) else [*map(node_name, self._sources(name))]
            unknown = [source for source in sources if source not in levels]
            if not unknown:
                levels[stack.pop()] = max((levels[source] for source in sources), default=0) + (name in peers)
            stack += unknown
        return levels

    def _sources(self, name: str) -> list[str]:
        if self.topology.op(name) not in EXITS:
            return self.topology.forward(name)
        plan = self._plan(name)
        return [] if isinstance(plan, str) else plan.needs

    def _loop(self, name: str) -> Loop:
        topology, nodes = self.topology, self.topology.nodes
        frames = topology.place(node_name(nodes[name].input[0])).frames

        def enters(node: str) -> bool:
            return topology.op(node) in ENTERS and topology.place(node).frames == frames

        members = [
            node
            for node in dict.fromkeys([name, *self.wanted])
            if topology.op(node) in EXITS
            and topology.place(node_name(nodes[node].input[0])).frames == frames
            and not self.frame.has(node)
        ]
        plan = Loop(topology, members)
        inside = topology.ancestors([nodes[member].input[0] for member in members], enters)
        plan.interior = {node for node in inside if not enters(node)}
        for node in inside:
            if topology.place(node).frames == frames:
                plan.sort(nodes[node])
        plan.constants = [node for node in inside if enters(node) and node not in plan.enters]
        plan.check(nodes[name])
        for node in filter(enters, inside):
            for reference in nodes[node].input:
                plan.refer(reference)
        return plan

    # -- effects --------------------------------------------------------------------------------------------------

    def _check_writes(self, plan: Plan) -> None:
        """Refuse a write that two joins would repeat, or that a loop's condition makes."""
        others = [other.interior for other in self._plans.values() if other is not plan]
        inside = plan.interior.intersection(set().union(*others))
        if isinstance(plan, Loop):
            inside.update(self.topology.ancestors([plan.condition], plan.state.__contains__))
        for name in sorted(inside & self.topology.writers):
            raise refused(self.topology.nodes[name], "a write would run more often than in TensorFlow")


def flow_of(tracer: Tracer, frame: Frame) -> ControlFlow:
    """Return the control flow of a frame (made when its first operation of the kind runs)."""
    if frame.flow is None:
        frame.flow = ControlFlow(tracer, frame, Topology(frame.nodes))
    return frame.flow


def outermost(frame: Frame, references: Iterable[str], effects: Iterable[str]) -> list[str]:
    """Return the effects outside of loops and decisions; UnsupportedError for one inside that no result needs."""
    nodes, names = frame.nodes, list(effects)
    if not names or not any(node.op in SWITCHES or node.op in ENTERS for node in nodes.values()):
        return names
    topology = Topology(nodes)
    outer = [name for name in names if topology.place(name) == Place()]
    covered = set(topology.ancestors([*references, *outer], lambda name: False))
    for name in names:
        if name not in covered and nodes[name].op not in DROPPED:
            raise refused(nodes[name], "an effect inside TensorFlow 1 control flow that no result waits for")
    return outer


@contextmanager
def guard(tracer: Tracer, frame: Frame, node: Any) -> Iterator[None]:
    """Let the tracer know, while a node runs, whether it may write; note which nodes do."""
    before, writes, flow = tracer.speculative, tracer.writes, frame.flow
    if flow is not None and not before:
        tracer.speculative = flow.is_speculative(node.name)
    try:
        yield
    finally:
        tracer.speculative = before
        if flow is not None and tracer.writes != writes:
            flow.topology.writers.add(node.name)


def _reader(b: Builder, topology: Topology) -> Callable[[str, Any], Any]:
    """Return a function that reads a TensorFlow 1 variable where the node named takes its contents."""

    def read(name: str, value: Any) -> Any:
        takes_reference = topology.op(name).startswith("Ref")
        return (
            value.read(b)
            if isinstance(value, Variable) and value.reference and not takes_reference
            else value
        )

    return read


def _position(node: Any, reference: str) -> int:
    """Return which of its inputs a Merge picks: its output `value_index`."""
    return [item for item in node.input if not item.startswith("^")].index(reference)
