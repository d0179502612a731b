"""Embedding, ReversibleEmbedding, Masking and EinsumDense: lookups, masks, and products by an equation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import Masked, keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers import quantized
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType
from litecast.lib import array, linalg, math, reduce

__all__: list[str] = []

QUANTIZED = ("quantization_config",)
"""How a layer was quantized; what is stored and the dtype policy say it too."""
INDICES = (DType.INT32, DType.INT64)


# `input_length` is the length of the input, which its shape says.
@keras("Embedding", autocast=False, harmless=("input_length", *QUANTIZED))
def embedding(
    b: Builder, inputs: Value, *, layer: Layer, input_dim: int, output_dim: int, mask_zero: bool = False
) -> Masked:
    (table,) = quantized.tables(b, layer, input_dim, output_dim)
    return _looked_up(b, inputs, table, mask_zero)


def _looked_up(b: Builder, inputs: Value, table: Value, mask_zero: bool) -> Masked:
    indices = inputs if inputs.dtype in INDICES else array.cast(b, inputs, DType.INT32)
    result = array.gather(b, table, indices)
    return Masked(result, math.apply(b, ops.NotEqual(), inputs, 0) if mask_zero else None)


@keras("ReversibleEmbedding", autocast=False, harmless=QUANTIZED)
def reversible_embedding(
    b: Builder,
    inputs: Value,
    reverse: bool = False,
    *,
    layer: Layer,
    input_dim: int,
    output_dim: int,
    tie_weights: bool = True,
    mask_zero: bool = False,
    reverse_dtype: Any = None,
    logit_soft_cap: float | None = None,
) -> Masked:
    tables = quantized.tables(b, layer, input_dim, output_dim, reverse=not tie_weights)
    if not reverse:
        return _looked_up(b, inputs, tables[0], mask_zero)
    if reverse_dtype not in (None, "float32"):
        layer.note(f"logits are computed in float32, not {reverse_dtype}")
    rows = array.cast(b, inputs, DType.FLOAT32)
    logits = linalg.matmul(b, rows, tables[-1], adj_y=tie_weights)
    if logit_soft_cap is not None:
        cap = float(logit_soft_cap)
        logits = b(ops.Mul(), b(ops.Tanh(), b(ops.Div(), logits, cap)), cap)
    return Masked(logits)


@keras("Masking")
def masking(b: Builder, inputs: Value, *, mask_value: Any = 0.0) -> Masked:
    wanted = np.asarray(mask_value)
    exact = wanted.astype(inputs.dtype.numpy)
    compared = inputs
    if not inputs.dtype.is_float and not np.array_equal(exact, wanted):
        compared, exact = array.cast(b, inputs, DType.FLOAT32), wanted.astype(np.float32)
    differs = math.apply(b, ops.NotEqual(), compared, b.const(exact))
    kept = reduce.any_(b, differs, [-1], keep_dims=True)
    return Masked(math.select(b, kept, inputs, 0), array.squeeze(b, kept, [-1]))


# -- EinsumDense -------------------------------------------------------------------------------------------


# The shapes of the variables have what `gptq_unpacked_column_size` says.
@keras("EinsumDense", harmless=("gptq_unpacked_column_size", *QUANTIZED))
def einsum_dense(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    equation: str,
    output_shape: Any,
    bias_axes: str | None = None,
    activation: Any = None,
) -> Any:
    partial = [output_shape] if isinstance(output_shape, int) else list(output_shape)
    spec = _Equation(equation, inputs.shape, partial, layer)
    kernel, bias = quantized.weight_and_bias(
        b, layer, spec.kernel_shape, spec.bias_shape(bias_axes), (spec.kernel, spec.labels)
    )
    result = linalg.einsum(b, equation, [array.cast(b, inputs, DType.FLOAT32), kernel])
    if bias is not None:
        result = math.apply(b, ops.Add(), result, bias)
    return layer.activate(b, activation, result)


class _Equation:
    """What an equation says of the weights (`_analyze_einsum_string`, keras/src/layers/core/einsum_dense.py).

    `kernel` and `result` are labels, `elided` counts the axes of an ellipsis, on the `left` or behind.
    """

    def __init__(self, equation: str, shape: Sequence[Dim], output: Sequence[Any], layer: Layer) -> None:
        operands, _, result = equation.replace(" ", "").partition("->")
        source, _, self.kernel = operands.partition(",")
        self.result = result.replace("...", "")
        labels = source.replace("...", "")
        if "..." in self.kernel or set(self.kernel) - set(labels) - set(self.result):
            raise layer.unsupported(f"its equation {equation!r} does not say what its kernel is")
        self.elided = len(shape) - len(labels) if "..." in source else 0
        self.left = source.startswith("...")
        own = shape[self.elided :] if self.left else shape[: len(labels)]
        inputs = dict(zip(labels, own, strict=True))
        given = output[-len(self.result) :] if self.left and self.elided else [shape[0], *output]
        self.dims = dict(zip(self.result, given, strict=False))
        for label, dim in inputs.items():
            if self.dims.get(label) is None:
                self.dims[label] = dim
        self.kernel_shape = [self.dims[label] for label in self.kernel]

    @property
    def labels(self) -> str:
        """The labels of the result's last axes, a dot for each elided one behind them."""
        return self.result + ("" if self.left else "." * self.elided)

    def bias_shape(self, axes: str | None) -> list[Dim] | None:
        """Return the shape of the bias, from the first of its axes on; None without any."""
        if axes is None:
            return None
        first = min(self.result.find(axis) for axis in axes)
        shape = [self.dims[label] if label in axes else 1 for label in self.result[first:]]
        return shape + [1] * (0 if self.left else self.elided)
