"""The operations of `keras.ops`: what functional models call on symbolic tensors, by class of node."""

from __future__ import annotations

from litecast.frontend.keras.operations import (
    casting,
    creation,
    elementwise,
    image,
    indexing,
    movement,
    neural,
    normalization,
    products,
    quantization,
    reductions,
    refused,
    spectral,
    warp,
)

__all__ = [
    "casting",
    "creation",
    "elementwise",
    "image",
    "indexing",
    "movement",
    "neural",
    "normalization",
    "products",
    "quantization",
    "reductions",
    "refused",
    "spectral",
    "warp",
]
