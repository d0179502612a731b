"""The Python functions of TensorFlow that functional Keras 2 models call on symbolic tensors, by name."""

from __future__ import annotations

from litecast.frontend.keras.functions import array, backend, image, math, neural, products, quantization

__all__ = ["array", "backend", "image", "math", "neural", "products", "quantization"]
