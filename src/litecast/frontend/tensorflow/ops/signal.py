"""Importers of complex numbers and Fourier transforms; complex tensors are pairs (`lib.complex`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import signal
from litecast.lib.complex import Complex, as_complex, pair
from litecast.lib.complex import conj as conjugate
from litecast.ops import Atan2, ComplexAbs, Transpose


def _last_two(rank: int) -> list[int]:
    return [*range(rank - 2), rank - 1, rank - 2]


def _swapped(b: Builder, x: Complex) -> Complex:
    result: Complex = b(Transpose(), x, np.array(_last_two(x.rank), np.int32))
    return result


def _fit(b: Builder, x: Complex, length: int) -> Complex:
    return x.rebuild([signal.fit(b, part, length) for part in x.leaves()])


def _lengths(fft_length: Value) -> list[int]:
    if not fft_length.is_const:
        raise UnsupportedError(
            Unsupported("FFT", "its fft_length is only known at run time", hint="make it a constant")
        )
    return [int(length) for length in fft_length.array()]


@tf("RFFT")
def rfft(b: Builder, x: Value, fft_length: Value) -> Complex:
    """Real signals to non-negative frequencies."""
    return signal.rfft(b, x, _lengths(fft_length)[0])


@tf("IRFFT")
def irfft(b: Builder, x: Any, fft_length: Value) -> Value:
    """Non-negative frequencies to real signals."""
    return signal.irfft(b, as_complex(b, x), _lengths(fft_length)[0])


@tf("FFT")
def fft(b: Builder, x: Any) -> Complex:
    """Complex signals to frequencies."""
    return signal.fft(b, as_complex(b, x))


@tf("IFFT")
def ifft(b: Builder, x: Any) -> Complex:
    """Frequencies to complex signals."""
    return signal.ifft(b, as_complex(b, x))


@tf("FFT2D", "IFFT2D")
def fft_2d(b: Builder, x: Any, *, op: str) -> Complex:
    """The transform along the last two axes."""
    transform = signal.fft if op == "FFT2D" else signal.ifft
    return _swapped(b, transform(b, _swapped(b, transform(b, as_complex(b, x)))))


@tf("RFFT2D")
def rfft_2d(b: Builder, x: Value, fft_length: Value) -> Complex:
    """Real images to frequencies, non-negative along the last axis."""
    rows, columns = _lengths(fft_length)
    half = _swapped(b, signal.rfft(b, x, columns))
    return _swapped(b, signal.fft(b, _fit(b, half, rows)))


@tf("IRFFT2D")
def irfft_2d(b: Builder, x: Any, fft_length: Value) -> Value:
    """Frequencies to real images."""
    rows, columns = _lengths(fft_length)
    turned = _fit(b, _swapped(b, as_complex(b, x)), rows)
    return signal.irfft(b, _swapped(b, signal.ifft(b, turned)), columns)


@tf("Complex")
def complex_(b: Builder, re: Value, im: Value, *, Tout: DType = DType.COMPLEX64) -> Complex:
    """Two real tensors as one complex one."""
    if Tout is not DType.COMPLEX64:
        raise UnsupportedError(Unsupported("Complex", "complex128 has no kernels", hint="use complex64"))
    return pair(b, re, im)


@tf("Real")
def real(b: Builder, x: Any) -> Value:
    """The real part."""
    return as_complex(b, x).re(b)


@tf("Imag")
def imag(b: Builder, x: Any) -> Value:
    """The imaginary part."""
    return as_complex(b, x).im(b)


@tf("Conj")
def conj(b: Builder, x: Any) -> Any:
    """The complex conjugate (a real tensor is its own)."""
    return conjugate(b, as_complex(b, x)) if x.dtype.is_complex else x


@tf("ComplexAbs")
def complex_abs(b: Builder, x: Any) -> Value:
    """The modulus."""
    result: Value = b(ComplexAbs(), as_complex(b, x))
    return result


@tf("Angle")
def angle(b: Builder, x: Any) -> Value:
    """The argument, atan2(imaginary, real)."""
    pair = as_complex(b, x)
    result: Value = b(Atan2(), pair.im(b), pair.re(b))
    return result
