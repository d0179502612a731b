"""Locally connected layers of Keras 2: convolutions with a kernel of its own for each place.

Source: tf_keras/src/layers/locally_connected/, `local_conv` and `bias_add` (tf_keras/src/backend.py) and
`conv_kernel_idxs` (tf_keras/src/utils/conv_utils.py). The three implementations differ in how they store the
same kernels, which become [places, taps, channels, filters].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.convolution import CHANNELS_LAST, padding_of, per_axis
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.lib import array, linalg, math, spatial
from litecast.ops import Add


@dataclass(frozen=True)
class _Kernels:
    """The sizes of a layer, and how its kernels are stored.

    `met` [places, taps] is the number of the element that each tap meets, -1 beyond the edge. `first`:
    channels come before the spatial axes in what Keras sees.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    met: Array
    channels: int
    filters: int
    first: bool

    def by_place(self, ask: Callable[[Sequence[int]], Array]) -> Array:
        """Implementation 1: a matrix for each place, of all taps."""
        places, taps = self.met.shape
        stored = ask((places, taps * self.channels, self.filters))
        if self.first:
            return stored.reshape(places, self.channels, taps, self.filters).transpose(0, 2, 1, 3)
        return stored.reshape(places, taps, self.channels, self.filters)

    def dense(self, ask: Callable[[Sequence[int]], Array]) -> Array:
        """Implementation 2: from every element of the input to every one of the output."""
        sides = ((self.inputs, self.channels), (self.outputs, self.filters))
        shape = [
            dim for sizes, depth in sides for dim in ((depth, *sizes) if self.first else (*sizes, depth))
        ]
        elements, places = prod(self.inputs), prod(self.outputs)
        if self.first:
            flat = ask(shape).reshape(self.channels, elements, self.filters, places).transpose(1, 0, 3, 2)
        else:
            flat = ask(shape).reshape(elements, self.channels, places, self.filters)
        kernels = flat[self.met, :, np.arange(places)[:, None], :]
        return np.where((self.met < 0)[:, :, None, None], np.float32(0), kernels)

    def sparse(self, ask: Callable[[Sequence[int]], Array]) -> Array:
        """Implementation 3: what is not beyond the edge, sorted by place in the output, then in the input."""
        kernels = np.zeros((*self.met.shape, self.channels, self.filters), np.float32)
        inside = np.broadcast_to(self.met[:, :, None, None] >= 0, kernels.shape)
        place, tap, channel, filter_ = np.nonzero(inside)
        element = self.met[place, tap]
        if self.first:
            out = filter_ * prod(self.outputs) + place
            into = channel * prod(self.inputs) + element
        else:
            out, into = place * self.filters + filter_, element * self.channels + channel
        order = np.lexsort((into, out))
        kernels[place[order], tap[order], channel[order], filter_[order]] = ask((len(order),))
        return kernels

    def bias(self, stored: Array) -> Array:
        """Return the bias [*outputs, filters]; with channels first Keras reshapes it, without a transpose."""
        if not self.first:
            return stored
        return np.moveaxis(stored.reshape(self.filters, *self.outputs), 0, -1)


def _met(
    inputs: Sequence[int], window: Sequence[int], strides: Sequence[int], mode: str
) -> tuple[tuple[int, ...], Array]:
    """Return the number of places per axis, and the elements that the taps of each place meet.

    With "same", a window has half of its taps, rounded down, before its place, whatever the stride
    (`conv_connected_inputs`).
    """
    outputs: list[int] = []
    number: Array = np.zeros((1, 1), np.int64)
    inside: Array = np.ones((1, 1), bool)
    for size, taps, stride in zip(inputs, window, strides, strict=True):
        count = -(-size // stride) if mode == "SAME" else (size - taps) // stride + 1
        before = taps // 2 if mode == "SAME" else 0
        at = (np.arange(count) * stride - before)[None, :, None, None] + np.arange(taps)
        shape = (len(number) * count, number.shape[1] * taps)
        number = (number[:, None, :, None] * size + at).reshape(shape)
        inside = (inside[:, None, :, None] & (at >= 0) & (at < size)).reshape(shape)
        outputs.append(count)
    return tuple(outputs), np.where(inside, number, -1)


STORED = {1: _Kernels.by_place, 2: _Kernels.dense, 3: _Kernels.sparse}


@keras("LocallyConnected1D", "LocallyConnected2D")
def locally_connected(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    activation: Any = None,
    use_bias: bool = True,
    implementation: int = 1,
) -> Value:
    first = (data_format or CHANNELS_LAST) != CHANNELS_LAST
    x = spatial.to_channels_last(b, inputs) if first else inputs
    sizes = [dim for dim in x.shape[1:] if isinstance(dim, int)]
    if len(sizes) != x.rank - 1:
        raise layer.unsupported("its kernels belong to places of an input of known size", "fix that size")
    window, steps = (per_axis(value, x.rank - 2) for value in (kernel_size, strides))
    outputs, met = _met(sizes[:-1], window, steps, padding_of(layer, padding))
    kept = _Kernels(tuple(sizes[:-1]), outputs, met, sizes[-1], filters, first)
    if implementation not in STORED:
        raise layer.unsupported(f"implementation {implementation} is not one that Keras has", "use 1, 2 or 3")
    kernels = STORED[implementation](kept, lambda shape: layer.weight(b, "kernel", shape).array())
    y = array.reshape(b, _connect(b, x, met, kernels), (x.shape[0], *outputs, filters))
    if use_bias:
        bias = kept.bias(layer.weight(b, "bias", (*outputs, filters)).array())
        y = math.apply(b, Add(), y, b.const(bias, f"{layer.path}/bias"))
    return layer.activate(b, activation, spatial.from_channels_last(b, y) if first else y)


def _connect(b: Builder, x: Value, met: Array, kernels: Array) -> Value:
    """Return [n, places, filters]; what lies beyond the edge is the first element, times 0."""
    places, taps, channels, filters = kernels.shape
    rows = array.reshape(b, x, (x.shape[0], -1, channels))
    picked = array.gather(b, rows, np.maximum(met, 0).reshape(-1).astype(np.int32), 1)
    patches = array.reshape(b, picked, (x.shape[0], places, taps * channels))
    matrices = b.const(np.ascontiguousarray(kernels).reshape(places, taps * channels, filters))
    result: Value = linalg.einsum(b, "npk,pkf->npf", [patches, matrices])
    return result
