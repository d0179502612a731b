"""Discrete Fourier transforms on real values and complex pairs, along the last axis.

One primitive, the transform of a real signal, carries all: the builtin RFFT2D for power-of-two lengths, a
constant DFT matrix for the others, of at most DIRECT points.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.lib import array
from litecast.lib.complex import Complex, conj
from litecast.ops import Add, FloorDiv, FullyConnected, Gather, Imag, MirrorPad, Mul, Neg, Real, Rfft2d, Sub

__all__ = ["fft", "fit", "frame", "ifft", "irfft", "reflect", "rfft", "window"]

DIRECT = 2048
"""The longest transform that one constant matrix does (a matrix of n * (n + 2) floats)."""


def window(spec: Any, length: int, fft_length: int) -> Array | None:
    """Return a window of `length` elements ("hann", "hamming" or an array), zeros around it; None for None.

    keras/src/backend/tensorflow/math.py `stft`; tensorflow/python/ops/signal/window_ops.py: a periodic window
    of an odd length is not.
    """
    if spec is None:
        return None
    if isinstance(spec, str):
        first = {"hann": 0.5, "hamming": 0.54}[spec]
        turns = np.arange(length, dtype=np.float32) / np.float32(max(length - length % 2, 1))
        taps = first - (1 - first) * np.cos(np.float32(2 * np.pi) * turns) if length > 1 else np.ones(1)
    else:
        taps = np.asarray(spec)
    before = (fft_length - length) // 2
    return np.pad(taps.astype(np.float32), (before, fft_length - length - before))


def reflect(b: Builder, x: Value, count: int) -> Value:
    """Return signals [..., n] with `count` elements mirrored at both ends, which are not repeated."""
    pairs = np.zeros((x.rank, 2), np.int32)
    pairs[-1] = count
    result: Value = b(MirrorPad(), x, pairs)
    return result


def frame(b: Builder, x: Value, length: int, step: int) -> Value:
    """Return the whole frames [..., frames, length] of signals [..., n], one every `step` elements.

    Frames are gathered in pieces of what divides both numbers; what no frame takes is cut off.
    """
    piece = gcd(length, step)
    size = x.shape[-1]
    if isinstance(size, int):
        count = max((size - length) // step + 1, 0)
        starts = b.const(np.arange(count, dtype=np.int32)[:, None] * (step // piece))
        pieces: Any = size // piece
    else:
        frames = b(Add(), b(FloorDiv(), b(Sub(), b.dim(size), length), step), 1)
        limit = b(Mul(), frames, step // piece)
        numbers = array.arange(b, b.const(np.int32(0)), limit, b.const(np.int32(step // piece)))
        starts = array.expand_dims(b, numbers, 1)
        pieces = b(FloorDiv(), b.dim(size), piece)
    whole = b(Mul(), pieces, piece) if isinstance(pieces, Value) else pieces * piece
    cut = array.slice(b, x, [0] * x.rank, [*([-1] * (x.rank - 1)), whole])
    split = array.reshape_to(b, cut, array.vector(b, [*x.shape[:-1], pieces, piece]))
    places = b(Add(), starts, np.arange(length // piece, dtype=np.int32))
    taken = b(Gather(axis=x.rank - 1), split, places)
    result: Value = array.reshape(b, taken, (*x.shape[:-1], taken.shape[x.rank - 1], length))
    return result


def rfft(b: Builder, x: Value, length: int) -> Complex:
    """Return the `length // 2 + 1` non-negative frequencies of signals [..., n] fitted to `length`."""
    x = fit(b, x, length)
    if length & (length - 1) == 0 and length > 1:
        return _rfft_builtin(b, x, length)
    if length > DIRECT:
        raise UnsupportedError(
            Unsupported(
                f"RFFT of {length} points",
                f"lengths above {DIRECT} that are not a power of two have no lowering",
                hint="use a power-of-two fft_length",
            )
        )
    bins = length // 2 + 1
    both = b(FullyConnected(keep_num_dims=True), x, _dft_matrix(length), None)
    re, im = array.split(b, both, [bins, bins], -1)
    return Complex(re, im)


def irfft(b: Builder, x: Complex, length: int) -> Value:
    """Return the real signals [..., length] of `length // 2 + 1` frequencies, cut or padded with zeros.

    With A the even extension of the real parts and B the odd one of the imaginary parts, the signal is
    (Re rfft(A) + Im rfft(B)) / length up to the middle, and mirrored with the other sign behind it.
    """
    bins = length // 2 + 1
    re, im = fit(b, x.re(b), bins), fit(b, x.im(b), bins)
    inner = (length - 1) // 2
    even = _extend(b, re, inner, negative=False)
    odd = _extend(b, _zero_ends(b, im, length), inner, negative=True)
    cosines, sines = rfft(b, even, length).re(b), rfft(b, odd, length).im(b)
    front: Value = b(Mul(), b(Add(), cosines, sines), np.float32(1 / length))
    if inner == 0:
        return front
    back = b(Mul(), b(Sub(), cosines, sines), np.float32(1 / length))
    result: Value = array.concat(b, [front, array.reverse(b, _middle(b, back, inner), [-1])], -1)
    return result


def fft(b: Builder, x: Complex) -> Complex:
    """Return the discrete Fourier transform of complex signals along the last axis (a static length)."""
    length = static_length(x.part)
    pairs = [_full(b, rfft(b, part, length), length) for part in x.leaves()]
    if len(pairs) == 2:
        first, second = pairs
        result: Complex = b(Add(), first, b(Mul(), second, np.complex64(1j)))
        return result
    turned: Complex = pairs[0] if x.is_real else b(Mul(), pairs[0], np.complex64(1j))
    return turned


def ifft(b: Builder, x: Complex) -> Complex:
    """Return the inverse discrete Fourier transform along the last axis."""
    turned = conj(b, fft(b, conj(b, x)))
    result: Complex = b(Mul(), turned, np.float32(1 / static_length(x.part)))
    return result


def static_length(x: Value) -> int:
    """Return the size of the last axis; UnsupportedError where it is not known."""
    length = x.shape[-1]
    if not isinstance(length, int):
        raise UnsupportedError(
            Unsupported("FFT", "the transformed axis has no static size", hint="fix it with --shape NAME=...")
        )
    return length


def fit(b: Builder, x: Value, length: int) -> Value:
    """Cut the last axis to `length` or pad it with zeros."""
    size = static_length(x)
    fitted: Value = x
    if size > length:
        fitted = array.slice(b, x, [0] * x.rank, [*([-1] * (x.rank - 1)), length])
    elif size < length:
        fitted = array.pad(b, x, [(0, 0)] * (x.rank - 1) + [(0, length - size)])
    return fitted


def _rfft_builtin(b: Builder, x: Value, length: int) -> Complex:
    lead = x.shape[:-1]
    rows = array.reshape(b, x, (-1, 1, length))
    spectrum = b(Rfft2d(), rows, np.array([1, length], np.int32))
    bins = length // 2 + 1
    re, im = b(Real(), spectrum), b(Imag(), spectrum)
    im = b(Add(), im, np.float32(0))  # the kernel gives -0 at both ends, which turns an angle of pi into -pi
    return Complex(array.reshape(b, re, (*lead, bins)), array.reshape(b, im, (*lead, bins)))


def _dft_matrix(length: int) -> np.ndarray:
    """Return the weights [2 * bins, length] whose rows are cosines and negative sines."""
    turns = np.outer(np.arange(length // 2 + 1), np.arange(length)) % length
    angles = 2 * np.pi * turns / length
    sines = np.where(2 * turns % length == 0, 0, np.sin(angles))
    return np.concatenate([np.cos(angles), -sines]).astype(np.float32)


def _middle(b: Builder, x: Value, count: int) -> Value:
    """Return the `count` frequencies that follow the first."""
    result: Value = array.slice(b, x, [*([0] * (x.rank - 1)), 1], [*([-1] * (x.rank - 1)), count])
    return result


def _extend(b: Builder, x: Value, inner: int, *, negative: bool) -> Value:
    """Return the frequencies followed by their mirror image (negated where `negative`)."""
    if inner == 0:
        return x
    mirror = array.reverse(b, _middle(b, x, inner), [-1])
    result: Value = array.concat(b, [x, b(Neg(), mirror) if negative else mirror], -1)
    return result


def _zero_ends(b: Builder, im: Value, length: int) -> Value:
    """Clear the imaginary part at 0 and, for an even length, in the middle: a real signal has none there."""
    mask = np.ones(length // 2 + 1, np.float32)
    mask[0] = 0
    if length % 2 == 0:
        mask[-1] = 0
    result: Value = b(Mul(), im, mask)
    return result


def _full(b: Builder, half: Complex, length: int) -> Complex:
    """Return all frequencies of a real signal from its non-negative ones."""
    inner = (length - 1) // 2
    return Complex(
        _extend(b, half.re(b), inner, negative=False), _extend(b, half.im(b), inner, negative=True)
    )
