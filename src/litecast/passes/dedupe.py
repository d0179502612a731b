"""Common subexpressions: pure nodes that do the same become one, and equal constants become one value.

Two shape vectors with the same tracked contents are the same however they are computed.

This is no rule, for it looks at the whole graph at once: one walk in order, with a table of what was seen.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from litecast.ir.builder import Runner
from litecast.ir.graph import Graph, Lazy, Model, Node, Value
from litecast.ir.rewrite import Applied

__all__ = ["CONTENT_LIMIT", "contents", "dedupe", "hashable"]

CONTENT_LIMIT = 1 << 12
"""Constants of at most this many bytes are compared by content, larger ones by identity of their array.

(The writer stores equal buffers once in any case.)
"""


def dedupe(model: Model, run: Runner | None = None) -> Applied:
    """Merge equal constants and equal pure nodes in every graph; return how many were merged."""
    applied = Applied()
    for graph in model.all_graphs():
        counts = (("merge_constants", _merge_constants(graph)), ("merge_nodes", _merge_nodes(graph)))
        applied.update({name: count for name, count in counts if count})
    return applied


def _merge_constants(graph: Graph) -> int:
    """Let equal constants be one value, except where both are results (which have names of their own)."""
    first: dict[Hashable, Value] = {}
    merged = 0
    for value in [value for value in graph.values() if value.is_const and not value.is_variable]:
        known = first.setdefault(hashable(contents(value)) or value, value)
        if known is not value and graph not in value.uses:
            merged += 1
            for user in [user for user in value.uses if isinstance(user, Node)]:
                for index, operand in enumerate(user.inputs):
                    if operand is value:
                        user.set_input(index, known)
    return merged


def contents(value: Value) -> Any:
    """Return a key that equal constants of one type share."""
    const: Any = value.const
    if (
        isinstance(const, Lazy)
        or const.dtype == object
        or const.nbytes > CONTENT_LIMIT
        or value.sparsity is not None
    ):
        return value.type, id(const)
    return value.type, const.tobytes()


def _merge_nodes(graph: Graph) -> int:
    first: dict[Hashable, Node] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        key = _key(node)
        known = node if key is None else first.setdefault(key, node)
        if known is node or not _can_merge(graph, known, node):
            kept.append(node)
            continue
        for old, new in zip(node.outputs, known.outputs, strict=True):
            if graph in old.uses:
                new.name = old.name
            graph.replace(old, new)
        node.detach()
    merged = len(graph.nodes) - len(kept)
    graph.nodes = kept
    return merged


def _key(node: Node) -> Hashable | None:
    if node.op.effect != "pure" or not node.outputs:
        return None
    if len(node.outputs) == 1 and node.output.known is not None:
        return node.output.type.dtype, node.output.known.shape, tuple(node.output.known.ravel())
    return hashable(
        (node.op, tuple(map(id, node.inputs)), tuple(output.type.quant for output in node.outputs))
    )


def hashable(key: Any) -> Hashable | None:
    """Return a key, or None where it holds something without a hash (an option that is a list, say)."""
    try:
        hash(key)
    except TypeError:
        return None
    return key  # type: ignore[no-any-return]


def _can_merge(graph: Graph, known: Node, node: Node) -> bool:
    """Whether no result of the graph would lose its name."""
    pairs = zip(known.outputs, node.outputs, strict=True)
    return not any(graph in old.uses and graph in new.uses for old, new in pairs)
