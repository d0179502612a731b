"""Matrix products."""

from __future__ import annotations

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Operands, Outputs, QuantSpec, operation
from litecast.ir.types import Dim, DType, TensorType, broadcast, product, same_dim
from litecast.ops.conv import (
    F32,
    FIXED_POINT,
    HYBRID,
    I4,
    I8,
    I16,
    INT16X8,
    Contraction,
    check_activation,
    check_bias,
    count_macs,
    dtypes,
    has_scale_per_channel,
)
from litecast.ops.enums import Activation, WeightsFormat
from litecast.ops.grids import CONVOLUTION

__all__ = ["BatchMatMul", "FullyConnected"]


@operation
class FullyConnected(Contraction, code=9, options="FullyConnectedOptions"):
    """x . w^T + bias: weights [outputs, inputs], optional bias [outputs].

    With `keep_num_dims` the result has x's shape with the last dimension replaced (which must be `inputs`);
    without, x is read as rows of `inputs` elements, whatever its shape, and the result is [elements / inputs,
    outputs] (kernels/fully_connected.cc, PrepareImpl). A missing bias is no third operand, or None.
    Activations other than clamping go with hybrid weights only (:748). INT8 and INT4 weights also go with
    FLOAT32 input; SHUFFLED4x16INT8 weights want UINT8 input and give two results.
    """

    fused_activation_function: Activation = Activation.NONE
    weights_format: WeightsFormat = WeightsFormat.DEFAULT
    keep_num_dims: bool = False
    asymmetric_quantize_inputs: bool = False
    quantized_bias_type: DType = DType.FLOAT32
    quant_spec: bytes | None = None
    kernels = FIXED_POINT  # fully_connected.cc:253, CheckTypes
    # fully_connected.cc:253 (types), :994 (EvalBlockwise4Bit)
    quantization = QuantSpec(
        FIXED_POINT & {I8, I16},
        weight=(1,),
        channel_axis=0,
        bias=2,
        weights=dict.fromkeys((F32, I8, I16), frozenset({I8, I4, DType.INT2})),
        blockwise=frozenset({I4}),
        free_weight=True,
    )

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        result = self._result(x, w, bias)
        if self.weights_format is WeightsFormat.DEFAULT:
            return result
        return TensorType(DType.INT16, result.shape), TensorType(x.dtype, x.type.shape)

    def _result(self, x: Value, w: Value, bias: Value | None) -> TensorType:
        if x.dtype is not DType.FLOAT32 or w.dtype is DType.FLOAT32:
            check_activation(self.fused_activation_function)
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

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:172, FULLY_CONNECTED."""
        types, w = dtypes(inputs, outputs), inputs[1]
        rules = (
            (14, types[1] is DType.INT2),
            (13, types == (I16, I4, I16)),
            (10, types == (F32, I4, F32)),  # which op_version.cc takes for a float kernel
            (12, types == HYBRID and has_scale_per_channel(w, 0)),
            (11, types == INT16X8 and self.quantized_bias_type is not DType.FLOAT32),
            (8, w is not None and w.sparsity is not None),
            (7, types == (I16, I16, I16)),
            (6, len(inputs) == 2),
            (5, self.keep_num_dims),
            (4, types == (I8, I8, I8)),
            (10, types == (I8, I4, I8)),
            (9, types == HYBRID and self.asymmetric_quantize_inputs),
            (3, types == HYBRID),
            (2, self.weights_format is not WeightsFormat.DEFAULT),
        )
        return next((version for version, holds in rules if holds), 1)

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


@operation
class BatchMatMul(Contraction, code=126, options="BatchMatMulOptions"):
    """x . y over the last two dimensions, numpy broadcasting over the rest; adj_x, adj_y transpose first.

    Both operands have rank 2 to 5 (kernels/batch_matmul.cc:354): reshape batch dimensions together where
    there are more. They have one element type, except that INT8 y goes with FLOAT32 and INT16 x (:346). INT8
    operands without quantization give INT32.
    """

    adj_x: bool = False
    adj_y: bool = False
    asymmetric_quantize_inputs: bool = False
    kernels = frozenset({F32, I8, I16})  # batch_matmul.cc:340
    # batch_matmul.cc:340; the kernel knows one scale of y
    quantization = QuantSpec(FIXED_POINT & {I8, I16}, weight=(1,), weights=CONVOLUTION, free_weight=True)

    def infer(self, x: Value, y: Value) -> Inferred:
        dtype = DType.INT32 if x.dtype is DType.INT8 and x.type.quant is None else x.dtype
        if x.type.shape is None or y.type.shape is None:
            return TensorType(dtype, None)
        if min(x.rank, y.rank) < 2 or max(x.rank, y.rank) > 5:
            raise ValueError(f"operands of rank {x.rank} and {y.rank}: both must have 2 to 5")
        rows, inner = x.shape[:-3:-1] if self.adj_x else x.shape[-2:]
        other, columns = y.shape[:-3:-1] if self.adj_y else y.shape[-2:]
        if same_dim(inner, other) is False:
            raise ValueError(f"{x.shape} and {y.shape} have {inner} and {other} elements to contract")
        return TensorType(dtype, (*broadcast(x.shape[:-2], y.shape[:-2]), rows, columns))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:910, BATCH_MATMUL."""
        types = dtypes(inputs, outputs)
        if types[0] in (I16, I8):
            return 3 if types[0] is I16 else 2
        return 4 if types == HYBRID and self.asymmetric_quantize_inputs else 1

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        x = inputs[0]
        return (
            None
            if x is None or x.type.shape is None
            else count_macs(outputs, x.shape[-2 if self.adj_x else -1])
        )
