"""What `Gate` of `make.py` computes, as a lowering for Litecast."""

from __future__ import annotations

from typing import Any

import litecast.keras
from litecast.lib import linalg
from litecast.ops import Logistic, Mul


@litecast.keras.register("examples>Gate")
def gate(b: Any, x: Any, *, layer: Any, units: int) -> Any:
    """Return (x @ value) * sigmoid(x @ gate)."""
    shape = (x.shape[-1], units)
    value = linalg.matmul(b, x, layer.weight(b, "value", shape))
    opened = b(Logistic(), linalg.matmul(b, x, layer.weight(b, "gate", shape)))
    return b(Mul(), value, opened)
