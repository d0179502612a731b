"""Fused recurrent layers; their state is a variable tensor among the operands."""

from __future__ import annotations

from dataclasses import dataclass

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op
from litecast.ir.types import Dim, Shape, TensorType
from litecast.ops.enums import Activation, LSTMKernelType

__all__ = [
    "LSTM",
    "RNN",
    "SVDF",
    "BidirectionalSequenceLSTM",
    "BidirectionalSequenceRNN",
    "UnidirectionalSequenceLSTM",
    "UnidirectionalSequenceRNN",
]


def _operand(inputs: tuple[Value | None, ...], index: int, what: str) -> Value:
    value = inputs[index] if index < len(inputs) else None
    if value is None:
        raise ValueError(f"operand {index} ({what}) is missing")
    return value


def _operand_count(inputs: tuple[Value | None, ...], *allowed: int) -> None:
    if len(inputs) not in allowed:
        raise ValueError(f"{len(inputs)} operands, not {' or '.join(map(str, allowed))}")


def _leading(x: Value, rank: int) -> Shape:
    if x.rank != rank:
        raise ValueError(f"the input must have rank {rank}, not {x.rank}")
    return x.shape[:-1]


@dataclass(frozen=True)
class UnidirectionalSequenceLSTM(Op, code=44, options="UnidirectionalSequenceLSTMOptions"):
    """LSTM over time: 20 or 24 operands, input [batch, time, features] or time first."""

    fused_activation_function: Activation = Activation.NONE
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    time_major: bool = False
    asymmetric_quantize_inputs: bool = False
    diagonal_recurrent_tensors: bool = False
    effect = "write"

    def infer(self, *inputs: Value | None) -> Inferred:
        _operand_count(inputs, 20, 24)
        x = _operand(inputs, 0, "input")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 3), _operand(inputs, 18, "output state").shape[-1]))


@dataclass(frozen=True)
class LSTM(Op, code=16, options="LSTMOptions"):
    """One LSTM step: 20 or 24 operands (FULL kernel, one result) or 5 (BASIC kernel, four results)."""

    fused_activation_function: Activation = Activation.NONE
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    kernel_type: LSTMKernelType = LSTMKernelType.FULL
    asymmetric_quantize_inputs: bool = False
    effect = "write"

    def infer(self, *inputs: Value | None) -> Inferred:
        x = _operand(inputs, 0, "input")
        if self.kernel_type is LSTMKernelType.FULL:
            _operand_count(inputs, 20, 24)
            if x.type.shape is None:
                return TensorType(x.dtype, None)
            return TensorType(x.dtype, (*_leading(x, 2), _operand(inputs, 18, "output state").shape[-1]))
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


@dataclass(frozen=True)
class RNN(Op, code=24, options="RNNOptions"):
    """One step of a simple recurrent layer: input, weights, recurrent weights, bias, state."""

    fused_activation_function: Activation = Activation.NONE
    asymmetric_quantize_inputs: bool = False
    effect = "write"

    def infer(self, x: Value, w: Value, recurrent: Value, bias: Value, state: Value) -> Inferred:
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 2), w.shape[0]))


@dataclass(frozen=True)
class UnidirectionalSequenceRNN(Op, code=35, options="SequenceRNNOptions"):
    """A simple recurrent layer over time: input, weights, recurrent weights, bias, state."""

    time_major: bool = False
    fused_activation_function: Activation = Activation.NONE
    asymmetric_quantize_inputs: bool = False
    effect = "write"

    def infer(self, x: Value, w: Value, recurrent: Value, bias: Value, state: Value) -> Inferred:
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 3), w.shape[0]))


@dataclass(frozen=True)
class BidirectionalSequenceRNN(Op, code=46, options="BidirectionalSequenceRNNOptions"):
    """Two simple recurrent layers over time, one from the end: 12 operands, results merged or apart."""

    time_major: bool = False
    fused_activation_function: Activation = Activation.NONE
    merge_outputs: bool = False
    asymmetric_quantize_inputs: bool = False
    effect = "write"

    def infer(self, *inputs: Value | None) -> Inferred:
        _operand_count(inputs, 12)
        x = _operand(inputs, 0, "input")
        forward, backward = (_operand(inputs, index, "weights").shape[0] for index in (1, 5))
        return _both(x, forward, backward, self.merge_outputs)


@dataclass(frozen=True)
class BidirectionalSequenceLSTM(Op, code=52, options="BidirectionalSequenceLSTMOptions"):
    """Two LSTMs over time, one from the end: 48 operands, results merged or apart."""

    fused_activation_function: Activation = Activation.NONE
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    merge_outputs: bool = False
    time_major: bool = True
    asymmetric_quantize_inputs: bool = False
    effect = "write"

    def infer(self, *inputs: Value | None) -> Inferred:
        _operand_count(inputs, 48)
        x = _operand(inputs, 0, "input")
        forward, backward = (_operand(inputs, index, "output state").shape[-1] for index in (35, 37))
        return _both(x, forward, backward, self.merge_outputs)


def _both(x: Value, forward: Dim, backward: Dim, merged: bool) -> Inferred:
    if x.type.shape is None:
        return TensorType(x.dtype, None) if merged else (TensorType(x.dtype, None), TensorType(x.dtype, None))
    leading = _leading(x, 3)
    if merged:
        return TensorType(x.dtype, (*leading, forward + backward))
    return TensorType(x.dtype, (*leading, forward)), TensorType(x.dtype, (*leading, backward))


@dataclass(frozen=True)
class SVDF(Op, code=27, options="SVDFOptions"):
    """One step of a layer factored in features and time: input, two weights, bias, state."""

    rank: int = 0
    fused_activation_function: Activation = Activation.NONE
    asymmetric_quantize_inputs: bool = False
    effect = "write"

    def infer(self, x: Value, features: Value, time: Value, bias: Value | None, state: Value) -> Inferred:
        filters = features.shape[0]
        if self.rank < 1 or (isinstance(filters, int) and filters % self.rank):
            raise ValueError(f"{filters} filters are no multiple of the rank {self.rank}")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        return TensorType(x.dtype, (*_leading(x, 2), filters // self.rank))
