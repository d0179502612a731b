"""Fused recurrent layers; their state is a variable tensor among the operands.

The kernels update the state in place, so a second run goes on where the first ended, and the state's shape
fixes the batch. Operand numbers are those of kernels/lstm_shared.h and the kernel files.
"""

from __future__ import annotations

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op, Operands, Outputs, QuantSpec, operation
from litecast.ir.types import Dim, Shape, TensorType
from litecast.ops.conv import F32, HYBRID, I8, INT16X8, U8, dtypes
from litecast.ops.enums import Activation, LSTMKernelType
from litecast.ops.grids import HYBRID_ONLY

__all__ = [
    "LSTM",
    "RNN",
    "SVDF",
    "BidirectionalSequenceLSTM",
    "BidirectionalSequenceRNN",
    "UnidirectionalSequenceLSTM",
    "UnidirectionalSequenceRNN",
]

LSTM_WEIGHTS = (*range(1, 12), 16)
"""Operands of an LSTM that have one element type: input, recurrent, peephole and projection weights."""
BOTH_WEIGHTS = (*range(1, 12), 16, *range(18, 29), 33, *range(40, 48))
"""The same of a bidirectional LSTM: either direction, and those of the auxiliary input."""


def _operand(inputs: tuple[Value | None, ...], index: int, what: str) -> Value:
    value = inputs[index] if index < len(inputs) else None
    if value is None:
        raise ValueError(f"operand {index} ({what}) is missing")
    return value


def _operand_count(inputs: tuple[Value | None, ...], *allowed: int) -> None:
    if len(inputs) not in allowed:
        raise ValueError(f"{len(inputs)} operands, not {' or '.join(map(str, allowed))}")


def _hybrid(inputs: Operands, outputs: Outputs) -> bool:
    return dtypes(inputs, outputs)[1:] == (I8, F32)


def _outputs(inputs: tuple[Value | None, ...], index: int) -> Dim:
    """Return the size of an LSTM's result: columns of the output gate's recurrent weights (or diagonal)."""
    return _operand(inputs, index, "recurrent to output weights").shape[-1]


def _leading(x: Value, rank: int) -> Shape:
    if x.rank != rank:
        raise ValueError(f"the input must have rank {rank}, not {x.rank}")
    return x.shape[:-1]


@operation
class UnidirectionalSequenceLSTM(Op, code=44, options="UnidirectionalSequenceLSTMOptions"):
    """LSTM over time: 20 or 24 operands, input [batch, time, features] or time first.

    Operands: input; weights of input to the input, forget, cell and output gates, each [units, features]
    (1-4); of the output state to them (5-8); peepholes (9-11); biases (12-15); projection and its bias (16,
    17); output and cell state (18, 19; variables); four layer norm coefficients (20-23). None are 1, 5 and 12
    where forget and input gate are coupled, and whatever else is not used. FLOAT32, FLOAT32 with INT8
    weights, or INT8 with five intermediate tensors (kernels/unidirectional_sequence_lstm.cc:921).
    """

    fused_activation_function: Activation = Activation.NONE
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    time_major: bool = False
    asymmetric_quantize_inputs: bool = False
    diagonal_recurrent_tensors: bool = False
    effect = "write"
    kernels = frozenset({F32, I8})  # unidirectional_sequence_lstm.cc, Eval
    # unidirectional_sequence_lstm.cc, Eval
    quantization = QuantSpec(weight=LSTM_WEIGHTS, weights=HYBRID_ONLY)

    def infer(self, *inputs: Value | None) -> Inferred:
        _operand_count(inputs, 20, 24)
        x = _operand(inputs, 0, "input")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 3), _outputs(inputs, 8)))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:1064, UNIDIRECTIONAL_SEQUENCE_LSTM."""
        types = dtypes(inputs, outputs, second=2)
        if types == INT16X8:
            return 5
        if self.diagonal_recurrent_tensors:
            return 4
        if types == HYBRID:
            return 3 if self.asymmetric_quantize_inputs else 2
        return 1


@operation
class LSTM(Op, code=16, options="LSTMOptions"):
    """One LSTM step: 20 or 24 operands (FULL kernel, one result) or 5 (BASIC kernel, four results).

    The FULL kernel is UnidirectionalSequenceLSTM on an input [batch, features]. BASIC takes input, previous
    activation, weights [4 * units, features + units] (gates in the order input, cell, forget, output), bias
    and previous state, and gives activation, state and two scratch tensors; the previous ones must not be
    constants (kernels/lstm.cc:2247).
    """

    fused_activation_function: Activation = Activation.NONE
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    kernel_type: LSTMKernelType = LSTMKernelType.FULL
    asymmetric_quantize_inputs: bool = False
    effect = "write"
    kernels = frozenset({F32, I8, U8})  # lstm.cc, Eval of both kernels
    quantization = QuantSpec(weight=LSTM_WEIGHTS, weights=HYBRID_ONLY)  # lstm.cc, EvalHybrid

    def infer(self, *inputs: Value | None) -> Inferred:
        x = _operand(inputs, 0, "input")
        if self.kernel_type is LSTMKernelType.FULL:
            _operand_count(inputs, 20, 24)
            if x.type.shape is None:
                return TensorType(x.dtype, None)
            return TensorType(x.dtype, (*_leading(x, 2), _outputs(inputs, 8)))
        _operand_count(inputs, 5)
        batch, features = x.shape
        units: Dim = _operand(inputs, 1, "previous activation").shape[-1]
        state = TensorType(_operand(inputs, 4, "previous state").dtype, (batch, units))
        return (
            TensorType(x.dtype, (batch, units)),
            state,
            TensorType(x.dtype, (batch, features + units)),
            TensorType(state.dtype, (batch, units * 4)),
        )

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:448, LSTM."""
        if self.kernel_type is LSTMKernelType.BASIC:
            return 2
        types = dtypes(inputs, outputs, second=2)
        if types == INT16X8:
            return 5
        if types == HYBRID:
            return 4 if self.asymmetric_quantize_inputs else 3
        return 1


@operation
class RNN(Op, code=24, options="RNNOptions"):
    """One step of a simple recurrent layer: input, weights, recurrent weights, bias, state."""

    fused_activation_function: Activation = Activation.NONE
    asymmetric_quantize_inputs: bool = False
    effect = "write"
    kernels = frozenset({F32})
    quantization = QuantSpec(weight=(1, 2), weights=HYBRID_ONLY)  # basic_rnn.cc, EvalHybrid

    def infer(self, x: Value, w: Value, recurrent: Value, bias: Value, state: Value) -> Inferred:
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 2), w.shape[0]))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:1003, RNN."""
        if not _hybrid(inputs, outputs):
            return 1
        return 3 if self.asymmetric_quantize_inputs else 2


@operation
class UnidirectionalSequenceRNN(Op, code=35, options="SequenceRNNOptions"):
    """A simple recurrent layer over time: input, weights, recurrent weights, bias, state."""

    time_major: bool = False
    fused_activation_function: Activation = Activation.NONE
    asymmetric_quantize_inputs: bool = False
    effect = "write"
    kernels = frozenset({F32})
    quantization = QuantSpec(weight=(1, 2), weights=HYBRID_ONLY)  # unidirectional_sequence_rnn.cc

    def infer(self, x: Value, w: Value, recurrent: Value, bias: Value, state: Value) -> Inferred:
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 3), w.shape[0]))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:1017, UNIDIRECTIONAL_SEQUENCE_RNN."""
        if not _hybrid(inputs, outputs):
            return 1
        return 3 if self.asymmetric_quantize_inputs else 2


@operation
class BidirectionalSequenceRNN(Op, code=46, options="BidirectionalSequenceRNNOptions"):
    """Two simple recurrent layers over time, one from the end: 12 operands, results merged or apart.

    Operands: input; weights, recurrent weights, bias and state of either direction (1-4, 5-8); an auxiliary
    input and its weights (9-11).
    """

    time_major: bool = False
    fused_activation_function: Activation = Activation.NONE
    merge_outputs: bool = False
    asymmetric_quantize_inputs: bool = False
    effect = "write"
    kernels = frozenset({F32})
    # bidirectional_sequence_rnn.cc
    quantization = QuantSpec(weight=(1, 2, 5, 6, 10, 11), weights=HYBRID_ONLY)

    def infer(self, *inputs: Value | None) -> Inferred:
        _operand_count(inputs, 12)
        x = _operand(inputs, 0, "input")
        forward, backward = (_operand(inputs, index, "weights").shape[0] for index in (1, 5))
        return _both(x, forward, backward, self.merge_outputs)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:1032, BIDIRECTIONAL_SEQUENCE_RNN."""
        if not _hybrid(inputs, outputs):
            return 1
        return 3 if self.asymmetric_quantize_inputs else 2


@operation
class BidirectionalSequenceLSTM(Op, code=52, options="BidirectionalSequenceLSTMOptions"):
    """Two LSTMs over time, one from the end: 48 operands, results merged or apart.

    Operands 1 to 17 and 18 to 34 are those of UnidirectionalSequenceLSTM for either direction, 35 to 38 the
    states, 39 to 47 an auxiliary input and its weights (kernels/bidirectional_sequence_lstm.cc:38). Merged
    results of a batch over 1 that comes first are refused: the kernel then steps out of its state
    (lstm_eval.cc:1942). Take them apart and concatenate.
    """

    fused_activation_function: Activation = Activation.NONE
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    merge_outputs: bool = False
    time_major: bool = True
    asymmetric_quantize_inputs: bool = False
    effect = "write"
    kernels = frozenset({F32})
    quantization = QuantSpec(weight=BOTH_WEIGHTS, weights=HYBRID_ONLY)  # bidirectional_sequence_lstm.cc

    def infer(self, *inputs: Value | None) -> Inferred:
        _operand_count(inputs, 48)
        x = _operand(inputs, 0, "input")
        if self.merge_outputs and not self.time_major and x.type.shape is not None and x.shape[0] != 1:
            raise ValueError("merged results want a batch of 1, or the time first")
        forward, backward = (_outputs(inputs, index) for index in (8, 25))
        return _both(x, forward, backward, self.merge_outputs)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:1048, BIDIRECTIONAL_SEQUENCE_LSTM."""
        if not _hybrid(inputs, outputs):
            return 1
        return 3 if self.asymmetric_quantize_inputs else 2


def _both(x: Value, forward: Dim, backward: Dim, merged: bool) -> Inferred:
    if x.type.shape is None:
        return TensorType(x.dtype, None) if merged else (TensorType(x.dtype, None), TensorType(x.dtype, None))
    leading = _leading(x, 3)
    if merged:
        return TensorType(x.dtype, (*leading, forward + backward))
    return TensorType(x.dtype, (*leading, forward)), TensorType(x.dtype, (*leading, backward))


@operation
class SVDF(Op, code=27, options="SVDFOptions"):
    """One step of a layer factored in features and time: input, two weights, bias, state."""

    rank: int = 0
    fused_activation_function: Activation = Activation.NONE
    asymmetric_quantize_inputs: bool = False
    effect = "write"
    kernels = frozenset({F32, I8})  # svdf.cc, Prepare
    quantization = QuantSpec(weight=(1, 2), weights=HYBRID_ONLY)  # svdf.cc, Eval

    def infer(self, x: Value, features: Value, time: Value, bias: Value | None, state: Value) -> Inferred:
        filters = features.shape[0]
        if self.rank < 1 or (isinstance(filters, int) and filters % self.rank):
            raise ValueError(f"{filters} filters are no multiple of the rank {self.rank}")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 2), filters // self.rank))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:297, SVDF."""
        types = dtypes(inputs, outputs)
        if types[0] is I8:
            return 3
        if types == HYBRID:
            return 4 if self.asymmetric_quantize_inputs else 2
        return 1
