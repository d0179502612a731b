"""TensorFlow 1 control flow (Switch, Merge, Enter, Exit, NextIteration, LoopCond) as loops and branches.

Nothing is rewritten. Two kinds of node join what ran apart: an Exit ends a loop, a Merge ends a decision.
They are traced as one `control.while_loop` or `control.branch`, whose functions evaluate a part of the same
graph in a Frame of their own, in which what enters the part is bound already: the Merges of a loop to its
state, the Switches of a decision to what they let pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from litecast.errors import UnsupportedError
from litecast.frontend.tensorflow.frame import DROPPED, Frame, node_name
from litecast.frontend.tensorflow.plans import Branch, Choice, Loop, Plan, Refusal, position
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
    refused,
)
from litecast.ir.builder import Builder
from litecast.ir.graph import Value

if TYPE_CHECKING:
    from litecast.frontend.tensorflow.tracer import Tracer

__all__ = ["JOINS", "ControlFlow", "flow_of", "guard", "outermost"]

JOINS = MERGES | EXITS
"""Operations whose operands are not their inputs but what their loop or decision takes from outside."""


class ControlFlow:
    """The joins of one frame, and the decisions that are known in it."""

    def __init__(
        self, tracer: Tracer, frame: Frame, topology: Topology, decided: frozenset[Literal] = frozenset()
    ) -> None:
        self.tracer, self.frame, self.topology, self.decided = tracer, frame, topology, decided
        self._plans: dict[str, Plan] = {}
        self._levels: dict[tuple[str, frozenset[Literal]], dict[str, int]] = {}

    @cached_property
    def wanted(self) -> list[str]:
        """The nodes that the frame's targets need and that have not run."""
        return self.topology.ancestors(self.frame.targets, self.frame.has)

    # -- values ------------------------------------------------------------------------------------------

    def bind(self, reference: str, value: Any) -> None:
        """Let a reference have a value."""
        name = node_name(reference)
        if name not in self.frame.nodes:
            self.frame.arguments[name] = value
            return
        outputs, index = self.frame.results.setdefault(name, []), self.tracer.position(self.frame, reference)
        outputs += [None] * (index + 1 - len(outputs))
        outputs[index] = value

    def value(self, predicate: str) -> Any:
        """Return a predicate by any of its names, None where it has no value yet."""
        for reference in sorted(self.topology.aliases.get(predicate, {predicate})):
            name = node_name(reference)
            if name in self.frame.arguments:
                return self.frame.arguments[name]
            outputs = self.frame.results.get(name, [])
            index = self.tracer.position(self.frame, reference) if outputs else 0
            if index < len(outputs) and outputs[index] is not None:
                return outputs[index]
        return None

    def part(self, *decided: Literal) -> ControlFlow:
        """Return the control flow of a new frame on the same graph, in which nothing is bound yet."""
        frame = Frame(self.frame.nodes, {}, self.frame.attributes, self.frame.prefix, self.frame.parents)
        frame.flow = ControlFlow(self.tracer, frame, self.topology, self.decided.union(decided))
        return frame.flow

    def is_speculative(self, name: str) -> bool:
        """Whether a node runs although a decision that it depends on is not made."""
        return bool(self.topology.place(name).literals - self.decided)

    # -- joins -------------------------------------------------------------------------------------------

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
            plan.results = plan.trace(self, b, operands)
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
            return Choice(topology, [name], [chosen], controls, index=position(node, chosen))
        return self._branch(name, split, controls)

    def _branch(self, name: str, split: Split, controls: set[str]) -> Branch:
        members = self._companions(name, split)
        depth = len(self.topology.place(name).frames)
        plan = Branch(self.topology, members, after=controls, predicate=split.predicate, depth=depth)
        for member in members:
            both = self.topology.split(member)
            assert both is not None
            plan.gather(both.inputs.values())
            edges = [edge for edge in self.topology.inputs(member) if edge.startswith("^")]
            plan.after.update(map(node_name, edges))
        if plan.after & plan.interior:
            raise refused(self.topology.nodes[name], "it waits for what runs on one side only")
        return plan

    def _companions(self, name: str, split: Split) -> list[str]:
        """Return the wanted Merges that one branch can compute: same decision, none behind another."""
        key = (split.predicate, split.literals)
        if name not in self._levels.get(key, {}):
            peers = {name, *(peer for peer in self.wanted if self._decides(peer, key))}
            levels = self._levels_of(peers)
            self._levels[key] = {peer: levels[peer] for peer in [name, *self.wanted] if peer in peers}
        levels = self._levels[key]
        return [
            peer
            for peer, level in levels.items()
            if level == levels[name] and peer not in self._plans and not self.frame.has(peer)
        ]

    def _decides(self, name: str, key: tuple[str, frozenset[Literal]]) -> bool:
        if self.topology.op(name) not in MERGES or self.topology.is_loop_merge(name):
            return False
        split = self.topology.split(name)
        return split is not None and (split.predicate, split.literals) == key

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

    # -- effects -----------------------------------------------------------------------------------------

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
    """Return the effects outside of loops and decisions; UnsupportedError for a lone one inside."""
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
