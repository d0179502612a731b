"""Folding: what depends on constants alone is computed now (new nodes fold when the Builder appends them)."""

from __future__ import annotations

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.op import Op
from litecast.ir.rewrite import No, P, Rule, no, rule
from litecast.ir.types import DType, Sym
from litecast.ops import Dequantize

__all__ = ["FOLD"]


def _is_constant(node: Node) -> bool:
    """Whether all operands are constants, or the contents of the result are known from shapes alone.

    A DEQUANTIZE stays: it is how a file keeps weights small.
    """
    if node.op.effect != "pure" or not node.outputs or isinstance(node.op, Dequantize):
        return False
    operands = [value for value in node.inputs if value is not None]
    if operands and all(value.is_const for value in operands):
        return next(node.op.graphs(), None) is None
    return len(node.outputs) == 1 and _is_known(node.output)


def _is_known(output: Value) -> bool:
    if output.dtype not in (DType.INT32, DType.INT64) or output.known is None:
        return False
    return not any(isinstance(item, Sym) for item in np.ravel(output.known))


@rule(P(Op, where=_is_constant))
def fold(b: Builder, root: Node) -> Value | tuple[Value, ...] | No:
    """op(constants) -> constant"""
    if len(root.outputs) == 1 and _is_known(root.output):
        return b.const(np.asarray(root.output.known).astype(root.output.dtype.numpy))
    results = b(root.op, *root.inputs)
    outputs: tuple[Value, ...] = results if isinstance(results, tuple) else (results,)
    if not all(output.is_const for output in outputs):
        return no("folding is not worth it, or not possible")
    return outputs


FOLD: tuple[Rule, ...] = (fold,)
