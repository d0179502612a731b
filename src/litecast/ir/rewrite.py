"""The rewrite engine: a rule is a drawn pattern and a pure function; one driver applies them in sweeps.

    @rule(P(Relu, P(Conv2D, name="base", uses=1, fused_activation_function=Activation.NONE)))
    def fuse_relu(b, root, base):
        '''relu(conv(x)) -> conv(x) {RELU}'''
        return b(replace(base.op, fused_activation_function=Activation.RELU), *base.inputs)

A rule never mutates: what it returns takes the place of the root's outputs, and what it built but refused
(`no`) is dropped. Rules touch quantized tensors only where they say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litecast.errors import ConvertError, InternalError
from litecast.ir.builder import Builder, Runner
from litecast.ir.graph import Graph, Loc, Model, Node, Value, walk
from litecast.ir.op import Op
from litecast.ir.types import Dim, Sym, TensorType, same_dim

__all__ = ["Applied", "Arg", "Const", "Maybe", "No", "P", "Rule", "apply", "is_dead", "no", "refine", "rule"]

GROWTH_LIMIT = 50
"""Rule applications per node of a graph after which the rules are taken to be cyclic."""

Binding = dict[str, Any]


# -- patterns ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arg:
    """Matches any value and calls it `name`; the same name twice means the same value twice."""

    name: str = ""
    where: Callable[[Value], bool] | None = None

    def accepts(self, value: Value | None, bound: Binding) -> bool:
        """Whether the value fits; binds the name."""
        if value is None or (self.where is not None and not self.where(value)):
            return False
        if not self.name:
            return True
        return bound.setdefault(self.name, value) is value


@dataclass(frozen=True)
class Const(Arg):
    """Matches a constant. `where` should look at the size first: a `Lazy` constant is computed when read."""

    def accepts(self, value: Value | None, bound: Binding) -> bool:
        """Whether the value is a constant that fits; binds the name."""
        return value is not None and value.const is not None and super().accepts(value, bound)


@dataclass(frozen=True)
class Maybe(Arg):
    """Matches any operand, also an absent one."""

    def accepts(self, value: Value | None, bound: Binding) -> bool:
        """Whether the operand fits; binds the name."""
        return not self.name or bound.setdefault(self.name, value) is value


class P:
    """Matches a node: its operation's class, its operands and its fields.

    Operands that the pattern does not draw may be anything; None draws an absent one. Two operands of a
    commutative operation are tried in both orders. `uses` is how often the outputs are used in all (1: nobody
    else would notice). A field's pattern is its value, a tuple of values, or a predicate. `name` binds the
    node.
    """

    def __init__(
        self, ops: type[Op] | tuple[type[Op], ...], *operands: P | Arg | None, name: str = "",
        uses: int | None = None, where: Callable[[Node], bool] | None = None, **fields: Any,
    ) -> None:  # fmt: skip
        self.ops = ops if isinstance(ops, tuple) else (ops,)
        self.operands = operands
        self.name, self.uses, self.where = name, uses, where
        self.fields = tuple(fields.items())

    def accepts(self, node: Node, bound: Binding) -> bool:
        """Whether the node alone (not its operands) fits; binds the name."""
        op = node.op
        if not isinstance(op, self.ops):
            return False
        if self.uses is not None and sum(output.use_count for output in node.outputs) != self.uses:
            return False
        for field, wanted in self.fields:
            found = getattr(op, field)
            if callable(wanted):
                if not wanted(found):
                    return False
            elif found != wanted and not (isinstance(wanted, tuple) and found in wanted):
                return False
        if self.where is not None and not self.where(node):
            return False
        return not self.name or bound.setdefault(self.name, node) is node

    def match(self, root: Node) -> tuple[Binding, list[Node]] | None:
        """Return what the names stand for and all matched nodes, root first; None where it does not fit."""
        bound: Binding = {}
        if not self._may_fit(root) or not self.accepts(root, bound):
            return None
        return _operands_of(self, root, [], bound, [root])

    def _may_fit(self, root: Node) -> bool:
        """Whether the operands are of the kinds drawn: what most nodes fail at, found without a search."""
        drawn, inputs = self.operands, root.inputs
        if len(drawn) == 2 and len(inputs) == 2 and root.op.commutative:
            first, second = drawn
            x, y = inputs
            return (_is_kind(first, x) and _is_kind(second, y)) or (
                _is_kind(first, y) and _is_kind(second, x)
            )
        return all(map(_is_kind, drawn, inputs))


_Goal = tuple["P | Arg | None", "Value | None"]


def _is_kind(pattern: P | Arg | None, value: Value | None) -> bool:
    if isinstance(pattern, P):
        return value is not None and value.producer is not None and isinstance(value.producer.op, pattern.ops)
    return not isinstance(pattern, Const) or (value is not None and value.const is not None)


def _solve(goals: list[_Goal], bound: Binding, nodes: list[Node]) -> tuple[Binding, list[Node]] | None:
    """Match the goals from the last to the first; both orders of commutative operands are tried in full."""
    while goals:
        pattern, value = goals.pop()
        if isinstance(pattern, Arg):
            if not pattern.accepts(value, bound):
                return None
        elif pattern is None:
            if value is not None:
                return None
        else:
            node = _producer(value)
            if node is None or not pattern.accepts(node, bound):
                return None
            return _operands_of(pattern, node, goals, bound, [*nodes, node])
    return bound, nodes


def _operands_of(
    pattern: P, node: Node, goals: list[_Goal], bound: Binding, nodes: list[Node]
) -> tuple[Binding, list[Node]] | None:
    """Match the operands of an accepted node, then the other goals."""
    drawn = pattern.operands
    if node.op.commutative and len(drawn) == 2:
        for inputs in (node.inputs, node.inputs[::-1]):
            found = _solve([*goals, *_pairs(drawn, inputs)], dict(bound), nodes)
            if found is not None:
                return found
        return None
    return _solve([*goals, *_pairs(drawn, node.inputs)], bound, nodes)


def _producer(value: Value | None) -> Node | None:
    return value.producer if value is not None and value.index == 0 else None


def _pairs(drawn: Sequence[P | Arg | None], inputs: Sequence[Value | None]) -> list[_Goal]:
    """Pair patterns and operands, last first, so that the first is matched first."""
    return [(drawn[i], inputs[i] if i < len(inputs) else None) for i in range(len(drawn) - 1, -1, -1)]


# -- rules ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class No:
    """A rule's refusal."""

    reason: str


def no(reason: str) -> No:
    """Refuse to rewrite, saying why (counted in `Applied.refused`)."""
    return No(reason)


@dataclass(frozen=True, eq=False)
class Rule:
    """A pattern, the function that builds the replacement, and its drawing `before -> after`."""

    name: str
    drawing: str
    pattern: P
    build: Callable[..., Any]
    quantized: bool = False


def rule(pattern: P, *, quantized: bool = False) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of `(b, root, **bound) -> Value | tuple | No` whose docstring draws `before -> after`.

    `quantized` says that the rule also holds on quantized tensors (it only moves data).
    """

    def wrap(build: Callable[..., Any]) -> Rule:
        drawing = " ".join((build.__doc__ or "").split())
        if "->" not in drawing:
            raise TypeError(f"the docstring of rule {build.__name__} does not draw `before -> after`")
        if {"b", "root"} & set(_names(pattern)):
            raise TypeError(f"the pattern of rule {build.__name__} names an operand b or root")
        return Rule(build.__name__, drawing, pattern, build, quantized)

    return wrap


def _names(pattern: P | Arg | None) -> list[str]:
    if pattern is None:
        return []
    inner = pattern.operands if isinstance(pattern, P) else ()
    return [pattern.name, *(name for operand in inner for name in _names(operand))]


class Applied(Counter[str]):
    """How often each rule was applied; `refused` counts (rule, reason)."""

    def __init__(self, *counts: Any) -> None:
        super().__init__(*counts)
        self.refused: Counter[tuple[str, str]] = Counter()

    def merge(self, other: Applied) -> None:
        """Add the counts of another."""
        self.update(other)
        self.refused.update(other.refused)


# -- the driver ----------------------------------------------------------------------------------------------


def apply(target: Graph | Model, rules: Iterable[Rule], run: Runner | None = None) -> Applied:
    """Apply the rules in place until none fits, also in subgraphs, and return how often each was applied.

    Each sweep visits the nodes in order; where several rules fit, the first of `rules` is taken. Replacements
    stand at the root's position and are tried again; pure nodes that lose their last use are dropped. `run`
    folds through the runtime. Raises InternalError, naming the rule, where the rules do not come to an end.
    """
    applied = Applied()
    index = _Index(tuple(rules))
    limit = GROWTH_LIMIT * (20 + sum(len(graph.nodes) for graph in _graphs(target)))
    settled: set[Graph] = set()
    while True:
        pending = [graph for graph in _graphs(target) if graph not in settled]
        if not pending:
            return applied
        for graph in pending:
            sweep = _Sweep(graph, index, run, applied, limit)
            if sweep.run_once():
                settled.clear()
                while sweep.run_once():
                    pass
            settled.add(graph)


def _graphs(target: Graph | Model) -> list[Graph]:
    """Return the graphs there are now, subgraphs before the graphs that refer to them."""
    found = target.all_graphs() if isinstance(target, Model) else walk(target)
    return list(dict.fromkeys(found))[::-1]


def is_dead(node: Node) -> bool:
    """Whether a node has no effect and nobody reads it."""
    return node.op.effect == "pure" and not any(output.uses for output in node.outputs)


class _Index:
    """Rules by the class of their root, found once per class."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._of: dict[type[Op], tuple[Rule, ...]] = {}

    def of(self, op: Op) -> tuple[Rule, ...]:
        kind = type(op)
        found = self._of.get(kind)
        if found is None:
            found = self._of[kind] = tuple(rule for rule in self.rules if issubclass(kind, rule.pattern.ops))
        return found


class _Sweep:
    def __init__(self, graph: Graph, index: _Index, run: Runner | None, applied: Applied, limit: int) -> None:
        self.graph, self.index, self.run, self.applied, self.limit = graph, index, run, applied, limit
        self.dropped: set[Node] = set()

    def run_once(self) -> bool:
        """Visit every node once, in order; return whether anything changed."""
        kept: list[Node] = []
        changed = False
        pending = self.graph.nodes[::-1]
        while pending:
            node = pending.pop()
            if node in self.dropped:
                continue
            if is_dead(node):
                self.drop(node)
                changed = True
                continue
            emitted = self.rewrite(node)
            if emitted is None:
                kept.append(node)
            else:
                changed = True
                pending.extend(reversed(emitted))
        self.graph.nodes = [node for node in kept if node not in self.dropped]
        self.dropped.clear()
        return changed

    def rewrite(self, root: Node) -> list[Node] | None:
        """Apply the first rule that fits and return the new nodes; None where none fits."""
        for candidate in self.index.of(root.op):
            match = candidate.pattern.match(root)
            if match is None:
                continue
            bound, nodes = match
            if not candidate.quantized and any(_is_quantized(node) for node in nodes):
                continue
            builder = Builder(self.graph, self.run, [])
            builder.loc = _fused_loc(nodes)
            result = _build(candidate, builder, root, bound)
            if isinstance(result, No):
                self.applied.refused[candidate.name, result.reason] += 1
                self.discard(builder.nodes)
                continue
            self.count(candidate)
            self.substitute(
                candidate, root, result if isinstance(result, tuple) else (result,), builder.nodes
            )
            return builder.nodes
        return None

    def count(self, used: Rule) -> None:
        self.applied[used.name] += 1
        if self.applied.total() > self.limit:
            names = ", ".join(f"{name} ({count} times)" for name, count in self.applied.most_common(3))
            raise InternalError(f"rewriting graph {self.graph.name} does not come to an end: {names}")

    def substitute(
        self, used: Rule, root: Node, results: Sequence[Value | None], emitted: list[Node]
    ) -> None:
        made = {output for node in emitted for output in node.outputs}
        if len(results) != len(root.outputs):
            raise InternalError(
                f"rule {used.name} gave {len(results)} values for {len(root.outputs)} outputs"
            )
        for old, new in zip(root.outputs, results, strict=True):
            if new is not None and (new in made or (new.is_const and not new.uses)):
                if used.quantized and new.type.quant is None:
                    new.type = replace(new.type, quant=old.type.quant)
                refine(old, new)
                new.name = old.name
            if new is None or new is old or not _fits(old.type, new.type):
                raise InternalError(f"rule {used.name} replaced {old!r} by {new!r} (at {root.loc})")
            if self.graph in old.uses and self.graph not in new.uses and new.producer is not None:
                new.name = old.name
            self.graph.replace(old, new)
        self.drop(root)

    def drop(self, node: Node) -> None:
        """Take out a node and all pure nodes that lose their last use by it."""
        pending = [node]
        while pending:
            dead = pending.pop()
            if dead in self.dropped:
                continue
            self.dropped.add(dead)
            producers = [value.producer for value in dead.inputs if value is not None]
            dead.detach()
            pending += [producer for producer in producers if producer is not None and is_dead(producer)]

    def discard(self, nodes: list[Node]) -> None:
        for node in nodes:
            node.detach()


def _build(used: Rule, builder: Builder, root: Node, bound: Binding) -> Any:
    try:
        return used.build(builder, root, **bound)
    except (ConvertError, ValueError, TypeError, LookupError) as error:
        raise InternalError(f"rule {used.name} fails at {root.loc}: {error}") from error


def _is_quantized(node: Node) -> bool:
    return any(value is not None and value.type.quant is not None for value in (*node.inputs, *node.outputs))


def _fused_loc(nodes: Sequence[Node]) -> Loc:
    """Return the root's location with the fused nodes as parents."""
    root = nodes[0].loc
    parents = dict.fromkeys((*root.parents, *(node.loc for node in nodes[1:])))
    parents.pop(root, None)
    return Loc(root.name, root.op, tuple(parents))


def _fits(old: TensorType, new: TensorType) -> bool:
    if old.dtype is not new.dtype or old.quant != new.quant:
        return False
    if old.shape is None or new.shape is None:
        return True
    return len(old.shape) == len(new.shape) and all(
        same_dim(*dims) is not False for dims in zip(old.shape, new.shape, strict=True)
    )


def refine(old: Value, new: Value) -> None:
    """Keep what was known of the old value's shape and contents: users were typed from it."""
    before, after = old.type.shape, new.type.shape
    if before is not None and after is not None and len(before) == len(after) and not new.is_const:
        dims = tuple(_narrower(*pair) for pair in zip(before, after, strict=True))
        new.type = TensorType(new.dtype, dims, new.type.quant)
    elif after is None:
        new.type = TensorType(new.dtype, before, new.type.quant)
    if new.known is None:
        new.known = old.known


def _narrower(before: Dim, after: Dim) -> Dim:
    return after if isinstance(before, Sym) and isinstance(after, int) else before
