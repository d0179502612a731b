"""The operations of `keras.ops`: what a functional model calls on symbolic tensors, by class name of its node."""

from __future__ import annotations

from litecast.frontend.keras.operations import (
    creation,
    elementwise,
    indexing,
    movement,
    products,
    reductions,
    refused,
)

__all__ = ["creation", "elementwise", "indexing", "movement", "products", "reductions", "refused"]
