"""`keras.ops.math` of signals: Fourier transforms of (real, imaginary) pairs, frames, complex views."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.promotion import F32, dynamic, tensor
from litecast.ir.builder import Builder
from litecast.ir.types import product
from litecast.lib import array, math, signal
from litecast.lib import complex as complexes
from litecast.lib.complex import Complex


def _pair(b: Builder, x: Any) -> Complex:
    real, imaginary = (tensor(b, part) for part in x)
    return complexes.pair(b, real, imaginary)


def _parts(b: Builder, x: Complex) -> tuple[Any, Any]:
    return x.re(b), x.im(b)


def _rows_first(b: Builder, x: Any) -> Any:
    """Return the last two axes swapped."""
    return array.transpose(b, x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])


@operations("FFT")
def fft(b: Builder, x: Any) -> Any:
    return _parts(b, signal.fft(b, _pair(b, x)))


@operations("FFT2")
def fft2(b: Builder, x: Any) -> Any:
    """Along the last axis, then the one before it."""
    rows = signal.fft(b, _pair(b, x))
    turned = Complex(*(_rows_first(b, part) for part in _parts(b, rows)))
    return tuple(_rows_first(b, part) for part in _parts(b, signal.fft(b, turned)))


@operations("IFFT2")
def ifft2(b: Builder, x: Any) -> Any:
    """The conjugate of the transform of the conjugate, over the number of elements."""
    real, imaginary = (tensor(b, part) for part in x)
    count = product(real.shape[-2:])
    if not isinstance(count, int):
        raise dynamic("IFFT2", "the size of the transformed axes")
    re, im = fft2(b, (real, math.apply(b, ops.Neg(), imaginary)))
    return math.apply(b, ops.Mul(), re, 1.0 / count), math.apply(b, ops.Mul(), im, -1.0 / count)


@operations("RFFT")
def rfft(b: Builder, x: Any, *, fft_length: Any = None) -> Any:
    value = tensor(b, x)
    length = signal.static_length(value) if fft_length is None else int(fft_length)
    return _parts(b, signal.rfft(b, value, length))


@operations("IRFFT")
def irfft(b: Builder, x: Any, *, fft_length: Any = None) -> Any:
    pair = _pair(b, x)
    length = 2 * (signal.static_length(pair.re(b)) - 1) if fft_length is None else int(fft_length)
    return signal.irfft(b, pair, length)


@operations("ViewAsComplex")
def view_as_complex(b: Builder, x: Any) -> Any:
    real, imaginary = array.unpack(b, tensor(b, x), -1)
    return Complex(real, imaginary)


@operations("ViewAsReal")
def view_as_real(b: Builder, x: Any) -> Any:
    return array.pack(b, list(_parts(b, complexes.as_complex(b, x))), -1)


@operations("ExtractSequences")
def extract_sequences(b: Builder, x: Any, *, sequence_length: int, sequence_stride: int) -> Any:
    return signal.frame(b, tensor(b, x), int(sequence_length), int(sequence_stride))


# -- short-time Fourier transforms -----------------------------------------------------------------------


@operations("STFT")
def stft(
    b: Builder,
    x: Any,
    *,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    value = array.cast(b, tensor(b, x), F32)
    if center:
        value = signal.reflect(b, value, fft_length // 2)
    frames = signal.frame(b, value, int(fft_length), int(sequence_stride))
    taps = signal.window(window, int(sequence_length), int(fft_length))
    if taps is not None:
        frames = math.apply(b, ops.Mul(), frames, b.const(taps))
    return _parts(b, signal.rfft(b, frames, int(fft_length)))


@operations("ISTFT")
def istft(
    b: Builder,
    x: Any,
    *,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: Any = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Frames are weighted by the window over the sum of its squares, and added where they overlap."""
    size, step = int(fft_length), int(sequence_stride)
    frames = signal.irfft(b, _pair(b, x), size)
    count = frames.shape[-2]
    if not isinstance(count, int):
        raise dynamic("ISTFT", "the number of frames")
    taps = signal.window(window, int(sequence_length), size)
    if taps is not None:
        frames = math.apply(b, ops.Mul(), frames, b.const(_inverse_window(taps, step)))
    total = _overlapped(b, frames, count, step)
    start = size // 2 if center else 0
    full = size + step * (count - 1)
    end = start + int(length) if length is not None else full - start if center else full
    end = min(end, full)
    return array.slice(b, total, [0] * (total.rank - 1) + [start], [-1] * (total.rank - 1) + [end - start])


def _inverse_window(taps: Any, step: int) -> Any:
    """Return the window divided by what its squares add up to at each place (inverse_stft_window_fn)."""
    size = len(taps)
    overlaps = -(-size // step)
    squares = np.pad(np.square(taps), (0, overlaps * step - size)).reshape(overlaps, step).sum(0)
    return (taps / np.tile(squares, overlaps)[:size]).astype(np.float32)


def _overlapped(b: Builder, frames: Any, count: int, step: int) -> Any:
    """Return the sum of frames [..., count, size], each `step` after the last: pieces, padded apart."""
    size = frames.shape[-1]
    pieces = -(-size // step)
    lead = frames.shape[:-2]
    none = [(0, 0)] * len(lead)
    padded = array.pad(b, frames, [*none, (0, 0), (0, pieces * step - size)])
    split = array.reshape(b, padded, (*lead, count, pieces, step))
    total = None
    for place, part in enumerate(array.unpack(b, split, -2)):
        moved = array.pad(b, part, [*none, (place, pieces - 1 - place), (0, 0)])
        total = moved if total is None else math.apply(b, ops.Add(), total, moved)
    flat = array.reshape(b, total, (*lead, (count + pieces - 1) * step))
    whole = size + step * (count - 1)
    return array.slice(b, flat, [0] * flat.rank, [-1] * len(lead) + [whole])
