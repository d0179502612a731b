"""Quantizing a model by a recipe, and the account of it."""

from __future__ import annotations

from collections import Counter

from litecast.ir.graph import Model
from litecast.quantization.apply import apply
from litecast.quantization.plan import plan
from litecast.quantization.recipe import Recipe
from litecast.quantization.scheme import WORTH
from litecast.report import Quantized, weight_bytes

__all__ = ["CONVERSION_MODES", "quantized"]

CONVERSION_MODES = {"float16": 1001, "dynamic": 1002, "weights": 1002}
"""Recipe -> what CONVERSION_METADATA calls it (conversion_metadata.fbs)."""


def quantized(model: Model, recipe: Recipe) -> tuple[Model, Quantized]:
    """Return the model that a recipe makes of another, which is not changed, and what was done.

    Raises QuantizationError for a recipe that the model or the runtime cannot follow.
    """
    planned = plan(model, recipe)
    result = apply(model, planned)
    warnings = result.notes[len(model.notes) :]
    if not planned.nodes:
        warnings.append(
            f"nothing is quantized: no operation that has a kernel for it has {WORTH} FLOAT32 weights or more"
        )
    result.notes = list(model.notes)
    schemes = Counter(str(decision.scheme) for decision in planned.nodes.values())
    account = Quantized(recipe.name, dict(schemes), weight_bytes(model), tuple(planned.kept), tuple(warnings))
    return result, account
