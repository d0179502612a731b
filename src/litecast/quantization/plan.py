"""Planning: a pure function from a model and a recipe to what becomes of every operation.

Nothing is computed here: a plan says which constants get which type and in what form they are read, and which
operations stay in float, with the reason. `apply` does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from litecast.errors import QuantizationError
from litecast.ir.graph import Graph, Model, Node, Value, walk
from litecast.ir.op import OPS, Op, QuantSpec
from litecast.ir.types import DType, TensorType
from litecast.ops import EmbeddingLookup, Gather
from litecast.ops.custom import Builtin, Custom, Flex, Opaque
from litecast.quantization.recipe import Recipe, Rule
from litecast.quantization.scheme import WORTH, Scheme
from litecast.report import Kept

__all__ = ["Decision", "Form", "Plan", "Storage", "plan"]

CARRIED = (Builtin, Custom, Flex, Opaque)
FLOAT32 = DType.FLOAT32


class Form(Enum):
    """How an operation reads a constant of another type."""

    DIRECT = "direct"
    """The kernel takes it."""
    DEQUANTIZED = "dequantized"
    """A DEQUANTIZE stands between."""
    MOVED = "moved"
    """The kernel moves it, and the result is dequantized."""
    LOOKUP = "lookup"
    """A GATHER of rows becomes an EMBEDDING_LOOKUP, which dequantizes the rows that it reads."""


@dataclass(frozen=True)
class Storage:
    """What a constant becomes: its element type, and what has a scale of its own.

    One scale per index of `axis`, per `block` columns, or one for all, which `spread` repeats for each index
    of a dimension.
    """

    dtype: DType
    axis: int | None = None
    block: int = 0
    spread: int | None = None


@dataclass(frozen=True)
class Decision:
    """What becomes of an operation: the storage of its constants by operand, and how it reads them."""

    scheme: Scheme
    form: Form
    constants: Mapping[int, Storage]


@dataclass
class Plan:
    """What becomes of a model.

    `types` are those of values that are no constants and change (integer activations). `kept` are the
    operations that stay in float although the recipe asks otherwise.
    """

    recipe: Recipe
    nodes: dict[Node, Decision] = field(default_factory=dict)
    types: dict[Value, TensorType] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)


def plan(model: Model, recipe: Recipe) -> Plan:
    """Plan a model by a recipe; the model is not changed.

    Raises QuantizationError for a rule that matches nothing, that names an operation without a kernel for its
    scheme, or that needs the ranges of activations.
    """
    places = list(_places(model))
    for rule in recipe.rules:
        _check(rule, places)
    result = Plan(recipe)
    for place in places:
        _decide(place, recipe, result)
    _share(places, result)
    return result


# -- rules -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """A node, the names of it and of what it is part of, and the signatures that run it."""

    node: Node
    paths: tuple[str, ...]
    signatures: tuple[str, ...]

    def matches(self, rule: Rule) -> bool:
        """Whether a rule is about this operation."""
        return (
            (not rule.ops or type(self.node.op).__name__ in rule.ops)
            and any(fnmatchcase(path, rule.path) for path in self.paths)
            and (rule.signature == "*" or any(fnmatchcase(key, rule.signature) for key in self.signatures))
        )


def _places(model: Model) -> Iterator[_Place]:
    keys: dict[Graph, list[str]] = {}
    for key, signature in model.signatures.items():
        for graph in walk(signature.graph):
            keys.setdefault(graph, []).append(key)
    for graph in model.all_graphs():
        for node in graph.nodes:
            yield _Place(node, _paths(node), tuple(keys.get(graph, ())))


def _paths(node: Node) -> tuple[str, ...]:
    """Return the names by which rules find an operation: its own, its callers', and its results'."""
    found = {node.loc.name: None}
    pending = list(node.loc.parents)
    while pending:
        loc = pending.pop(0)
        found[loc.name] = None
        pending += loc.parents
    found.update(dict.fromkeys(value.name for value in node.outputs))
    return tuple(name for name in found if name) or ("",)


def _check(rule: Rule, places: list[_Place]) -> None:
    """Raise QuantizationError for a rule that cannot be meant."""
    if rule.scheme.is_integer:
        raise QuantizationError(
            f"the rule {rule} needs the ranges of activations: calibration comes later. "
            "Until then schemes have float activations, such as w8, w8-only, w4, fp16"
        )
    if not rule.needed:
        return
    kinds = {kind.__name__: kind for kind in OPS.values()}
    for name in rule.ops:
        if name not in kinds:
            raise QuantizationError(f"the rule {rule}: there is no operation {name}{_near(name, kinds)}")
        if not rule.scheme.is_float and _form(kinds[name], rule.scheme) is None:
            others = sorted(other for other, kind in kinds.items() if _form(kind, rule.scheme))
            raise QuantizationError(
                f"the rule {rule}: LiteRT has no kernel for {name} with {rule.scheme}; "
                f"it has one for {', '.join(others) or 'none'}"
            )
    found = [place for place in places if place.matches(rule)]
    if not found:
        raise QuantizationError(f"the rule {rule} matches nothing{_nearest(rule, places)}")
    weighted = [place.node.op for place in found if _has_weights(place.node)]
    able = rule.scheme.is_float or any(_form(type(op), rule.scheme) for op in weighted)
    if rule.path != "*" and weighted and not able:
        names = ", ".join(sorted({op.name for op in weighted}))
        raise QuantizationError(f"the rule {rule} matches {names}, without a kernel for {rule.scheme}")


def _nearest(rule: Rule, places: list[_Place]) -> str:
    """Return a hint: the nearest names to what the rule asks for."""
    if rule.path != "*":
        return _near(rule.path, {path for place in places for path in place.paths})
    if rule.signature != "*":
        return _near(rule.signature, {key for place in places for key in place.signatures})
    return _near(rule.op, {type(place.node.op).__name__ for place in places})


def _near(name: str, known: Any) -> str:
    close = get_close_matches(name, sorted(known), 3, 0.4) or sorted(known)[:5]
    return f"; near are: {', '.join(close)}" if close else ""


# -- decisions ---------------------------------------------------------------------------------------------


def _form(kind: type[Op], scheme: Scheme) -> Form | None:
    """Return how an operation would read its weights under a scheme, None where it cannot."""
    spec = kind.quantization
    if scheme.weights is DType.FLOAT16:
        return None if issubclass(kind, CARRIED) else Form.DEQUANTIZED
    if spec is None or not spec.weight:
        return None
    if issubclass(kind, Gather):
        coarse = not scheme.block and scheme.weights is DType.INT8
        return Form.MOVED if coarse else _form(EmbeddingLookup, scheme) and Form.LOOKUP
    kinds = spec.blockwise if scheme.block else spec.weights.get(FLOAT32, frozenset())
    if scheme.weights in kinds and (spec.lookup or not scheme.stored):
        return Form.DIRECT
    return Form.DEQUANTIZED if scheme.stored and not scheme.block else None


def _has_weights(node: Node) -> bool:
    return any(_is_candidate(value, 1) for value in _operands(node).values())


def _operands(node: Node) -> dict[int, Value]:
    """Return the operands that count as weights: those that the spec names, else all that are constants."""
    spec = node.op.quantization
    named = spec.weight if spec is not None and spec.weight else range(len(node.inputs))
    present = {index: node.inputs[index] for index in named if index < len(node.inputs)}
    return {index: value for index, value in present.items() if value is not None}


def _is_candidate(value: Value | None, least: int) -> bool:
    """Whether a value is a dense FLOAT32 constant of enough elements."""
    if value is None or not value.is_const or value.dtype is not FLOAT32 or value.sparsity is not None:
        return False
    size = value.type.size
    return isinstance(size, int) and size >= least and not value.is_variable


def _decide(place: _Place, recipe: Recipe, result: Plan) -> None:
    """Find the last rule that the operation can follow; note why it stays in float where there is none."""
    reasons: list[str] = []
    for rule in reversed(recipe.rules):
        if not place.matches(rule):
            continue
        if rule.scheme.is_float:
            if any(_is_candidate(value, WORTH) for value in place.node.inputs):
                reasons.insert(0, f"the rule {rule}")
            break
        decided = _attempt(place.node, rule)
        if isinstance(decided, Decision):
            result.nodes[place.node] = decided
            return
        if decided:
            reasons.append(decided)
        if rule.needed:
            break
    if reasons:
        result.kept.append(_kept(place.node, reasons[0]))


def _kept(node: Node, reason: str) -> Kept:
    return Kept(node.op.name, node.loc.name or (node.outputs[0].name if node.outputs else ""), reason)


def _attempt(node: Node, rule: Rule) -> Decision | str:
    """Return what becomes of an operation under a rule, or why it cannot; "" where there is nothing to do."""
    scheme, least = rule.scheme, rule.scheme.least if rule.least is None else rule.least
    if scheme.weights is DType.FLOAT16:
        return _halve(node, scheme, least)
    operands = _operands(node)
    candidates = {index: value for index, value in operands.items() if _is_candidate(value, 1)}
    if not any(_is_candidate(value, least) for value in candidates.values()):
        return f"its weights have fewer than {least} elements" if _is_small(node, candidates) else ""
    form = _form(type(node.op), scheme)
    if form is None:
        return f"LiteRT has no kernel for {node.op.name} with {scheme}"
    if len(candidates) < len(operands):
        return "some of its weights are no constants"
    return _store(node, scheme, form, candidates)


def _is_small(node: Node, candidates: Mapping[int, Value]) -> bool:
    spec = node.op.quantization
    return bool(candidates) and spec is not None and bool(spec.weight)


def _halve(node: Node, scheme: Scheme, least: int) -> Decision | str:
    large = [index for index, value in enumerate(node.inputs) if _is_candidate(value, least)]
    if not large:
        return ""
    if isinstance(node.op, CARRIED):
        return "what it does with its constants is not known"
    return Decision(scheme, Form.DEQUANTIZED, dict.fromkeys(large, Storage(DType.FLOAT16)))


def _store(node: Node, scheme: Scheme, form: Form, weights: Mapping[int, Value]) -> Decision | str:
    """Return the storage of each weight, or why the kernel cannot have it so."""
    op = EmbeddingLookup() if form is Form.LOOKUP else node.op
    spec = op.quantization
    assert spec is not None
    for value in weights.values():
        refusal = _misfit(node, scheme, form, spec, value)
        if refusal:
            return refusal
    storage = Storage(scheme.weights, block=scheme.block)
    if not scheme.block and form is not Form.MOVED:
        axis = spec.channel_axis if scheme.per_channel else None
        spread = spec.channel_axis if spec.scale_per_channel and axis is None else None
        storage = Storage(scheme.weights, axis, 0, spread)
    return Decision(scheme, form, dict.fromkeys(weights, storage))


def _misfit(node: Node, scheme: Scheme, form: Form, spec: QuantSpec, value: Value) -> str:
    """Return why the kernel would be wrong on a weight; "" where it is right."""
    columns = value.shape[-1] if value.rank else 1
    assert isinstance(columns, int)
    if form is Form.LOOKUP and not _is_lookup(node, value):
        return f"LiteRT has no kernel for a GATHER of this kind with {scheme}"
    if form is Form.DIRECT and getattr(node.op, "depth_multiplier", 1) == 0:
        return "its depth_multiplier is 0, which the hybrid kernel takes for true (depthwise_conv.cc:579)"
    if scheme.block and (value.rank != 2 or columns % scheme.block):
        return f"{columns} columns are no blocks of {scheme.block}"
    packed = spec.whole_bytes and form is not Form.DEQUANTIZED
    row = value.type.size // value.shape[0] if value.rank and value.shape[0] else 1
    if packed and isinstance(row, int) and row * scheme.weights.bits % 8:
        return f"rows of {row} elements of {scheme.weights.name} do not fill whole bytes"
    return ""


def _is_lookup(node: Node, table: Value) -> bool:
    """Whether a GATHER takes rows of a matrix by indices of known rank."""
    op, indices = node.op, node.inputs[1]
    return (
        isinstance(op, Gather)
        and op.axis in (0, -2)
        and op.batch_dims == 0
        and table.rank == 2
        and indices is not None
        and indices.type.shape is not None
        and indices.dtype in (DType.INT32, DType.INT64)
    )


# -- sharing -----------------------------------------------------------------------------------------------


def _share(places: list[_Place], result: Plan) -> None:
    """Let the users of one constant agree, so that it is stored once.

    Where a user stays in float all do: a second copy would be larger. A GATHER whose table is the weight of
    another operation becomes a lookup with that operation's scales.
    """
    users: dict[int, list[tuple[_Place, int]]] = {}
    for place in places:
        for index, value in enumerate(place.node.inputs):
            if _is_candidate(value, 1) and value is not None:
                users.setdefault(id(value.const), []).append((place, index))
    settled = False
    while not settled:
        settled = True
        for shared in users.values():
            if len(shared) > 1 and _agree(shared, result):
                settled = False


def _agree(shared: list[tuple[_Place, int]], result: Plan) -> bool:
    """Change decisions about one constant that are at odds; return whether any was."""
    stored = [_stored(place.node, index, result) for place, index in shared]
    if len(set(stored)) == 1:
        return False
    if None in stored:
        reader = shared[stored.index(None)][0].node.op.name
        changes = [_stay(place.node, index, reader, result) for place, index in shared]
        return any(changes)
    pairs = zip(shared, stored, strict=True)
    wanted = {storage for (place, _), storage in pairs if not _moves(place.node, result)}
    if len(wanted) != 1:
        return False
    (storage,) = wanted
    assert storage is not None
    rows = storage.axis == 0 and storage.spread is None
    changes = [rows and _look_up(place.node, index, storage, result) for place, index in shared]
    return any(changes)


def _stay(node: Node, index: int, reader: str, result: Plan) -> bool:
    """Leave a constant in float; return whether that is a change."""
    decision = result.nodes.get(node)
    if decision is None or index not in decision.constants:
        return False
    rest = {other: storage for other, storage in decision.constants.items() if other != index}
    if rest and decision.scheme.weights is DType.FLOAT16:
        result.nodes[node] = replace(decision, constants=rest)
        return True
    del result.nodes[node]
    result.kept.append(_kept(node, f"its constant is also read by {reader}, in float"))
    return True


def _look_up(node: Node, index: int, storage: Storage, result: Plan) -> bool:
    """Let a GATHER read rows with scales of their own; return whether that is a change."""
    decision, table = result.nodes[node], node.inputs[index]
    if decision.form is not Form.MOVED or table is None or not _is_lookup(node, table):
        return False
    result.nodes[node] = replace(decision, form=Form.LOOKUP, constants={index: storage})
    return True


def _stored(node: Node, index: int, result: Plan) -> Storage | None:
    decision = result.nodes.get(node)
    return None if decision is None else decision.constants.get(index)


def _moves(node: Node, result: Plan) -> bool:
    decision = result.nodes.get(node)
    return decision is not None and decision.form is Form.MOVED
