"""Matrix products with constant weights are FULLY_CONNECTED, which needs no reshapes around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.rewrite import Arg, Const, No, P, Rule, no, rule
from litecast.ir.types import DType
from litecast.ops import BatchMatMul, FullyConnected, Reshape, Transpose

__all__ = ["DENSE"]


def _is_matrix(value: Value) -> bool:
    return value.dtype is DType.FLOAT32 and value.rank >= 2 and all(dim == 1 for dim in value.shape[:-2])


@rule(P(BatchMatMul, Arg("x"), Const("w", _is_matrix), adj_x=False))
def matmul_is_dense(b: Builder, root: Node, x: Value, w: Value) -> Value | No:
    """batch_matmul(x, constant matrix) -> fully_connected(x, matrix^T) {keep_num_dims}"""
    op: Any = root.op
    if x.type.shape is None or x.rank < w.rank:
        return no("the weights have more dimensions than x")
    matrix = w if w.rank == 2 else b(Reshape(), w, np.array(w.shape[-2:], np.int32))
    weights = matrix if op.adj_y else b(Transpose(), matrix, np.array([1, 0], np.int32))
    dense = FullyConnected(keep_num_dims=True, asymmetric_quantize_inputs=op.asymmetric_quantize_inputs)
    return b(dense, x, weights, None)  # type: ignore[no-any-return]


@rule(P(FullyConnected, P(Reshape, Arg("x"), name="view"), keep_num_dims=False), quantized=True)
def drop_reshape_before_dense(b: Builder, root: Node, x: Value, view: Node) -> Value | No:
    """fully_connected(reshape(x)) -> fully_connected(x), which flattens by itself"""
    if not x.type.shape or x.type.quant != view.output.type.quant:
        return no("x has no rank, or another quantization")
    return b(root.op, x, *root.inputs[1:])  # type: ignore[no-any-return]


@rule(P(Reshape, P(FullyConnected, Arg("x"), name="base", uses=1, keep_num_dims=False)))
def keep_dense_dims(b: Builder, root: Node, base: Node, x: Value) -> Value | No:
    """reshape(fully_connected(x)) -> fully_connected(x) {keep_num_dims}"""
    op: Any = base.op
    w = base.inputs[1]
    if not x.type.shape or w is None or x.shape[-1] != w.shape[1]:
        return no("the rows are not those of x")
    if root.output.type.shape != (*x.shape[:-1], w.shape[0]):
        return no("the reshape does more than to give back the dimensions of x")
    return b(replace(op, keep_num_dims=True), *base.inputs)  # type: ignore[no-any-return]


DENSE: tuple[Rule, ...] = (matmul_is_dense, drop_reshape_before_dense, keep_dense_dims)
