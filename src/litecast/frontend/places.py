"""Where things come from: names of what a source node emits, and errors that say at which node they arose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litecast.errors import ConvertError, InferenceError, InternalError
from litecast.ir.graph import Loc, Node, Value

__all__ = ["explained", "name_results"]


def name_results(results: Sequence[Any], loc: Loc, nodes: Sequence[Node]) -> None:
    """Give the node's results its own name and what leads to them the name of their operation below it."""
    for position, result in enumerate(results):
        if isinstance(result, Value) and result.producer is not None and result.producer.loc is loc:
            result.name = loc.name if position == 0 else f"{loc.name}:{position}"
    named = {id(result) for result in results}
    for emitted in nodes:
        if emitted.loc is loc:
            for output in emitted.outputs:
                if id(output) not in named:
                    output.name = f"{loc.name}/{emitted.op.name}"


def explained(error: Exception, loc: Loc) -> Exception:
    """Return an error that says where it arose: what is no ConvertError is a defect of ours."""
    if isinstance(error, InferenceError):
        return error if error.loc is not None else InferenceError(error.reason, loc)
    if isinstance(error, (ConvertError, RecursionError)):
        return error
    return InternalError(f"importing {loc.op} at {loc}: {type(error).__name__}: {error}")
