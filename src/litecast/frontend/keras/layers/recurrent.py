"""Recurrent layers: a cell run over time by `lib.rnn.scan`, which keeps nothing between calls.

Semantics: keras/src/layers/rnn/rnn.py and backend/tensorflow/rnn.py; tf_keras/src/layers/rnn/base_rnn.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from litecast.frontend.keras.config import LayerConfig
from litecast.frontend.keras.cudnn import from_cudnn
from litecast.frontend.keras.hdf5 import Stored
from litecast.frontend.keras.importer import Masked, keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.cells import check_start
from litecast.frontend.keras.network import flatten, map_leaves
from litecast.frontend.keras.state import State
from litecast.frontend.keras.weights import Group, LayerKey, check_shape
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, TensorType
from litecast.lib import array, math, reduce, rnn
from litecast.ops import NotEqual

__all__ = ["Options", "Recurrent", "own_cell"]

HARMLESS = ("use_cudnn", "return_runtime", "input_dim", "input_length")
"""Which kernel a GPU runs, and the input's shape as Keras 1 wrote it."""
CELLS = {
    "GRU": "GRUCell",
    "GRUV1": "GRUCell",
    "LSTM": "LSTMCell",
    "LSTMV1": "LSTMCell",
    "SimpleRNN": "SimpleRNNCell",
}
"""Layers that make their cell themselves, from their own config."""

CUDNN: dict[str, tuple[str, int, dict[str, Any]]] = {
    "CuDNNGRU": ("GRUCell", 3, {"reset_after": True}),
    "CuDNNLSTM": ("LSTMCell", 4, {}),
}
"""Their cells, and into how many parts their kernels fall."""


def _as_it_is(b: Builder, x: Value) -> Value:
    return x


@dataclass(frozen=True)
class Options:
    """What every recurrent layer can be told."""

    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    time_major: bool = False
    zero_output_for_mask: bool = False


@keras(*CELLS, harmless=HARMLESS)
def recurrent(
    b: Builder,
    sequences: Any,
    initial_state: Any = None,
    *,
    layer: Layer,
    mask: Any,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    **cell: Any,
) -> Any:
    options = Options(
        return_sequences, return_state, go_backwards, stateful, unroll, time_major, zero_output_for_mask
    )
    return Recurrent(layer, own_cell(layer, CELLS[layer.class_name], cell), options)(
        b, sequences, initial_state, mask
    )


def own_cell(layer: Layer, class_name: str, config: dict[str, Any]) -> Layer:
    """Return the cell that a layer makes from its own config; the cell refuses what it does not know."""
    return layer.child("cell", LayerConfig(class_name, "cell", {**config, "trainable": layer.trainable}))


@keras("CuDNNGRU", "CuDNNLSTM", harmless=(*HARMLESS, "unit_forget_bias"))
def cudnn(
    b: Builder,
    sequences: Any,
    initial_state: Any = None,
    *,
    layer: Layer,
    mask: Any,
    units: int,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    time_major: bool = False,
) -> Any:
    # tf_keras/src/layers/rnn/base_cudnn_rnn.py: tanh, sigmoid and biases; the layer itself has the variables.
    options = Options(return_sequences, return_state, go_backwards, stateful, time_major=time_major)
    kind, gates, more = CUDNN[layer.class_name]
    config = LayerConfig(kind, "cell", {"units": units, **more})
    raw = [layer.stored(key) for key in ("0", "1", "2")]
    converted = np.shape(raw[2]) != (2 * gates * units,)  # legacy files are converted when they are read
    group = layer.group if converted else _FromCudnn(layer.path, raw)
    return Recurrent(layer, layer.tracer.layer(config, group, layer.path), options)(
        b, sequences, initial_state, mask
    )


class _FromCudnn(Group):
    """The variables of a CuDNN layer (kernel, recurrent kernel, bias) as its cell asks for them."""

    def __init__(self, path: str, arrays: Sequence[Any]) -> None:
        self.path = path
        names = ("kernel", "recurrent_kernel", "bias")
        rows = [
            Stored(name, array.shape, array.dtype, partial(np.asarray, array))
            for name, array in zip(names, arrays, strict=True)
        ]
        self._stored = dict(zip(names, from_cudnn(rows), strict=True))

    def weight(self, name: str, shape: tuple[int, ...], trainable: bool = True) -> np.ndarray:
        check_shape(self.path, self.path, name, shape, self._stored[name])
        return self._stored[name].array

    def child(self, attribute: str, trainable: bool = True) -> Group:
        return self

    def layers(self, layers: Sequence[LayerKey]) -> list[Group]:
        return []


@keras("RNN", harmless=HARMLESS)
def rnn_of_cell(
    b: Builder,
    sequences: Any,
    initial_state: Any = None,
    constants: Any = None,
    *,
    layer: Layer,
    mask: Any,
    cell: Any,
    num_constants: int = 0,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
) -> Any:
    if isinstance(sequences, (list, tuple)) and num_constants and constants is None:
        constants = list(sequences[-num_constants:])
        sequences = list(sequences[:-num_constants])
    options = Options(
        return_sequences, return_state, go_backwards, stateful, unroll, time_major, zero_output_for_mask
    )
    run = Recurrent(layer, layer.child("cell", cell), options, tuple(flatten(constants or ())))
    return run(b, sequences, initial_state, mask)


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer: calling it runs its cell over the sequence.

    `inward` and `outward` turn one step of the sequence or a state into the layout of the cell and back.
    """

    layer: Layer
    cell: Layer
    options: Options
    constants: tuple[Value, ...] = ()
    inward: Callable[[Builder, Value], Value] = _as_it_is
    outward: Callable[[Builder, Value], Value] = _as_it_is

    def __call__(self, b: Builder, sequences: Any, initial_state: Any, mask: Any) -> Any:
        """Return the outputs, and the states if asked, masked as `RNN.compute_mask` says."""
        options = self.options
        if isinstance(sequences, (list, tuple)):  # tf_keras gives its initial states with the input
            sequences, initial_state = sequences[0], list(sequences[1:]) or initial_state
        mask = next(flatten(mask), None) if isinstance(mask, (list, tuple)) else mask
        steps = sequences if options.time_major else rnn.swap_time(b, sequences)
        steps = self.inward(b, steps)
        structure = self.structure(b, steps)
        variables, states = self.first_states(b, list(flatten(structure)), initial_state)
        outputs, after = self.run(b, steps, states, self.steps_mask(b, mask), structure)
        outputs, *after = (self.outward(b, value) for value in (outputs, *after))
        for variable, state in zip(variables, after, strict=False):
            variable.assign(b, state)
        if options.return_sequences and not options.time_major:
            outputs = rnn.swap_time(b, outputs)
        result = Masked(outputs, mask if options.return_sequences else None)
        return [result, *_packed(structure, after)] if options.return_state else result

    def step(self, b: Builder, x: Value, states: Any, constants: Sequence[Value]) -> Any:
        """Run the cell."""
        given = {"constants": list(constants)} if constants else {}
        return self.cell(b, x, states, **given)

    def structure(self, b: Builder, steps: Value) -> Any:
        """Return the types of the states in their structure: what the cell makes of one step without any."""
        check_start(self.cell)
        types = [TensorType(steps.dtype, steps.shape[1:]), *(value.type for value in self.constants)]
        _, after = rnn.probe(b, lambda inner, x, *constants: self.step(inner, x, None, constants), types)
        return map_leaves(lambda state: state.type, after if isinstance(after, (list, tuple)) else [after])

    def first_states(
        self, b: Builder, types: list[TensorType], initial_state: Any
    ) -> tuple[list[State], list[Value]]:
        """Return the variables that keep the states (none unless stateful), and the states at first."""
        given = None if initial_state is None else self.given_states(b, initial_state, len(types))
        if not self.options.stateful:
            return [], given or [array.zeros(b, type.shape or (), type.dtype) for type in types]
        shapes = [rnn.probe(b, self.outward, [type]).shape for type in types]
        variables = [self.layer.state(b, f"state_{index}", shape) for index, shape in enumerate(shapes)]
        if given is not None and not self.layer.is_legacy:
            return variables, given
        kept = [self.inward(b, variable.read(b)) for variable in variables]
        return variables, kept if given is None else _unless_zero(b, kept, given)

    def given_states(self, b: Builder, initial_state: Any, count: int) -> list[Value]:
        """Return the states that the call gives, in the cell's layout."""
        given = list(flatten(initial_state))
        if len(given) != count:
            raise self.layer.unsupported(f"its cell has {count} states, and its call gives {len(given)}")
        values = [x if isinstance(x, Value) else b.const(np.asarray(x, np.float32)) for x in given]
        return [self.inward(b, value) for value in values]

    def steps_mask(self, b: Builder, mask: Value | None) -> Value | None:
        """Return the mask as BOOL [time, batch, 1]."""
        if mask is None:
            return None
        if mask.rank == 2:
            mask = array.expand_dims(b, mask, 2)
        if mask.rank != 3 or mask.shape[-1] != 1:
            raise self.layer.unsupported(
                f"its mask has {mask.rank} dimensions", "give it one number per time step: [batch, time]"
            )
        mask = array.cast(b, mask, DType.BOOL)
        return mask if self.options.time_major else rnn.swap_time(b, mask)

    def run(
        self, b: Builder, steps: Value, states: list[Value], mask: Value | None, structure: Any
    ) -> tuple[Value, list[Value]]:
        """Return the outputs of the cell, time first, or the last one, and the states after it."""
        options, count = self.options, len(states)
        if options.go_backwards:
            steps = array.reverse(b, steps, (0,))
            mask = None if mask is None else array.reverse(b, mask, (0,))

        def step(inner: Builder, x: Value, now: list[Value]) -> tuple[Value, list[Value]]:
            output, after = self.step(inner, x, _packed(structure, now[:count]), now[count:])
            if not isinstance(output, Value):
                raise self.layer.unsupported("its cell has several outputs", "join them into one")
            return output, [*flatten(after), *now[count:]]

        outputs, after = rnn.scan(
            b,
            step,
            steps,
            [*states, *self.constants],
            mask=mask,
            zero_masked=options.zero_output_for_mask,
            collect=options.return_sequences,
            unroll=options.unroll,
        )
        return outputs, after[:count]


def _packed(structure: Any, leaves: Sequence[Any]) -> Any:
    """Return the leaves in a structure."""
    rest = iter(leaves)
    return map_leaves(lambda _: next(rest), structure)


def _unless_zero(b: Builder, kept: list[Value], given: list[Value]) -> list[Value]:
    """Return the kept states, or the given ones while all kept ones are zero (`RNN._process_inputs`)."""
    nonzero = [
        array.flatten(b, reduce.any_(b, b(NotEqual(), state, 0.0), range(state.rank), True)) for state in kept
    ]
    any_nonzero = reduce.any_(b, array.concat(b, nonzero, 0), (0,))
    return [math.select(b, any_nonzero, *pair) for pair in zip(kept, given, strict=True)]
