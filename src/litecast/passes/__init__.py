"""The optimiser: groups of rules and whole-graph passes in an explicit order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litecast.ir.builder import Runner
from litecast.ir.graph import Model
from litecast.ir.rewrite import Applied, Rule, apply
from litecast.passes.canonicalize import CANONICALIZE
from litecast.passes.control import CONTROL
from litecast.passes.dedupe import dedupe
from litecast.passes.dense import DENSE
from litecast.passes.fold import FOLD
from litecast.passes.fuse import FUSE
from litecast.passes.gelu import EXACT_GELU
from litecast.passes.hoist import HOIST
from litecast.passes.idiom import IDIOM
from litecast.passes.layout import LAYOUT
from litecast.passes.legalize import LEGALIZE, protect
from litecast.passes.loops import LOOPS
from litecast.passes.pieces import PIECES, STEPS
from litecast.passes.window import WINDOW

__all__ = ["PIPELINE", "Group", "optimize", "prepare"]

Pass = Callable[[Model, Any], Applied]


@dataclass(frozen=True)
class Group:
    """Rules that run together to a fixpoint, or one pass over the whole model."""

    name: str
    rules: tuple[Rule, ...] = ()
    walk: Pass | None = None

    def run(self, model: Model, run: Runner | None) -> Applied:
        """Apply the group in place."""
        return apply(model, self.rules, run) if self.walk is None else self.walk(model, run)


SIMPLIFY = (*FOLD, *CONTROL, *LOOPS, *CANONICALIZE, *PIECES)
"""Equal loop variables are one before equal operations merge: the doubled condition of Keras then is one."""

PIPELINE: tuple[Group, ...] = (
    # First what is decided: branches not taken and loop constants would otherwise count as uses.
    Group("simplify", SIMPLIFY),
    # Rules ask for values with one use: what is computed twice must be one value before they look.
    Group("merge", walk=dedupe),
    # Patterns of arithmetic first: folding constants or clamps into a neighbour would break the drawing.
    Group("recognise", (*IDIOM, *EXACT_GELU)),
    # What no idiom took is expanded, so that its parts fuse with their neighbours.
    Group("legalize", LEGALIZE),
    # A loop is visited when its body is done, so that what is hoisted is a product with its constants inside.
    Group("fuse", (*SIMPLIFY, *LAYOUT, *DENSE, *IDIOM, *WINDOW, *FUSE, *HOIST, *STEPS)),
    # Scaled weights and shape vectors made above may be equal again.
    Group("share", walk=dedupe),
    # Last: an identity reshape is the copy here, which the rules above would drop.
    Group("protect", walk=protect),
)


def optimize(model: Model, run: Runner | None = None) -> Applied:
    """Optimise a model in place, return how often each rule was applied; `run` folds through the runtime."""
    applied = Applied()
    for group in PIPELINE:
        applied.merge(group.run(model, run))
    return applied


def prepare(model: Model, run: Runner | None = None) -> Applied:
    """Make a model that is not optimised fit to be written, in place."""
    applied = apply(model, LEGALIZE, run)
    applied.merge(protect(model, run))
    return applied
