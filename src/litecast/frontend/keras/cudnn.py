"""Variables of CuDNNLSTM and CuDNNGRU in the form of LSTM and GRU.

`_convert_rnn_weights` in tf_keras/src/saving/legacy/hdf5_format.py: the kernels of the gates are transposed,
an LSTM's two biases are added, a GRU's two stay apart (`reset_after=True`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from litecast.frontend.keras.hdf5 import Stored

__all__ = ["from_cudnn"]

_NAMES = ("kernel", "recurrent_kernel", "bias")
_LSTM_GATES, _GRU_GATES = 4, 3


def from_cudnn(stored: list[Stored]) -> list[Stored]:
    """Convert every kernel, recurrent kernel and bias in a row that only a CuDNN layer can have.

    Both biases of a CuDNN layer are one vector, twice as long as the kernels are wide.
    """
    converted = list(stored)
    for start in range(len(stored) - 2):
        kernel, recurrent, bias = stored[start : start + 3]
        if _leaves(stored[start : start + 3]) == _NAMES and _is_cudnn(kernel, recurrent, bias):
            converted[start : start + 3] = _convert(kernel, recurrent, bias)
    return converted


def _leaves(stored: list[Stored]) -> tuple[str, ...]:
    return tuple(item.name.rsplit("/", 1)[-1].split(":")[0] for item in stored)


def _is_cudnn(kernel: Stored, recurrent: Stored, bias: Stored) -> bool:
    if len(kernel.shape) != 2 or len(recurrent.shape) != 2 or kernel.shape[1] != recurrent.shape[1]:
        return False
    units, width = recurrent.shape
    return width in (_LSTM_GATES * units, _GRU_GATES * units) and bias.shape == (2 * width,)


def _convert(kernel: Stored, recurrent: Stored, bias: Stored) -> list[Stored]:
    units, width = recurrent.shape
    gates = width // units
    shape = (width,) if gates == _LSTM_GATES else (2, width)

    def load_bias() -> np.ndarray:
        both = bias.array.reshape(2, width)
        return np.asarray(np.add(*both)) if gates == _LSTM_GATES else both

    def converted(source: Stored, convert: Callable[[np.ndarray], np.ndarray]) -> Stored:
        return Stored(source.name, source.shape, source.dtype, lambda: _by_gate(source, gates, convert))

    return [
        converted(kernel, _transposed_layout),
        converted(recurrent, np.transpose),
        Stored(bias.name, shape, bias.dtype, load_bias),
    ]


def _by_gate(stored: Stored, gates: int, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.hstack([convert(gate) for gate in np.hsplit(stored.array, gates)])


def _transposed_layout(kernel: np.ndarray) -> np.ndarray:
    """Read the bytes of a C-ordered matrix as those of a transposed one of the same shape."""
    return np.asarray(kernel.T.reshape(kernel.shape, order="F"))
