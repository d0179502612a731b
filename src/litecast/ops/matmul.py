"""Matrix products."""

from __future__ import annotations

from dataclasses import dataclass

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Operands, Outputs
from litecast.ir.types import Dim, DType, TensorType, broadcast, product, same_dim
from litecast.ops.conv import Contraction, check_bias, count_macs
from litecast.ops.enums import Activation, WeightsFormat

__all__ = ["BatchMatMul", "FullyConnected"]


@dataclass(frozen=True)
class FullyConnected(Contraction, code=9, options="FullyConnectedOptions"):
    """x . w^T + bias: weights [outputs, inputs], optional bias [outputs].

    With `keep_num_dims` the result is x's shape with the last dimension replaced; without, it is
    [elements / inputs, outputs].
    """

    fused_activation_function: Activation = Activation.NONE
    weights_format: WeightsFormat = WeightsFormat.DEFAULT
    keep_num_dims: bool = False
    asymmetric_quantize_inputs: bool = False
    quantized_bias_type: DType = DType.FLOAT32
    quant_spec: bytes | None = None

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        if w.type.shape is None:
            return TensorType(x.dtype, None)
        if w.rank != 2:
            raise ValueError(f"the weights must have rank 2, not {w.rank}")
        out, inner = w.shape
        check_bias(bias, out)
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        if self.keep_num_dims:
            if x.rank == 0 or same_dim(x.shape[-1], inner) is False:
                raise ValueError(
                    f"an input of shape {x.shape} does not end in the {inner} columns of the weights"
                )
            return TensorType(x.dtype, (*x.shape[:-1], out))
        return TensorType(x.dtype, (_rows(x, inner), out))

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w = inputs[1]
        return None if w is None or w.type.shape is None else count_macs(outputs, w.shape[1])


def _rows(x: Value, inner: Dim) -> Dim:
    if x.rank and x.shape[-1] == inner:
        return product(x.shape[:-1])
    size = product(x.shape)
    if isinstance(size, int) and isinstance(inner, int) and (inner == 0 or size % inner):
        raise ValueError(f"an input of shape {x.shape} does not divide into rows of {inner}")
    return size // inner


@dataclass(frozen=True)
class BatchMatMul(Contraction, code=126, options="BatchMatMulOptions"):
    """x . y over the last two dimensions, numpy broadcasting over the rest; adj_x, adj_y transpose first."""

    adj_x: bool = False
    adj_y: bool = False
    asymmetric_quantize_inputs: bool = False

    def infer(self, x: Value, y: Value) -> Inferred:
        dtype = DType.INT32 if x.dtype is DType.INT8 and x.type.quant is None else x.dtype
        if x.type.shape is None or y.type.shape is None:
            return TensorType(dtype, None)
        if x.rank < 2 or y.rank < 2:
            raise ValueError(f"operands of rank {x.rank} and {y.rank}: both must have at least 2")
        rows, inner = x.shape[:-3:-1] if self.adj_x else x.shape[-2:]
        other, columns = y.shape[:-3:-1] if self.adj_y else y.shape[-2:]
        if same_dim(inner, other) is False:
            raise ValueError(f"{x.shape} and {y.shape} have {inner} and {other} elements to contract")
        return TensorType(dtype, (*broadcast(x.shape[:-2], y.shape[:-2]), rows, columns))

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        x = inputs[0]
        return (
            None
            if x is None or x.type.shape is None
            else count_macs(outputs, x.shape[-2 if self.adj_x else -1])
        )
