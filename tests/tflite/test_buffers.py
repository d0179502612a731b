"""The encoding of constants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from litecast.ir.types import DType
from litecast.tflite.buffers import decode, encode, encoded_size

NUMERIC = [dtype for dtype in DType if dtype.bits]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@given(st.sampled_from(NUMERIC), SHAPES, st.integers(0, 2**32))
def test_numbers_round_trip(dtype: DType, shape: tuple[int, ...], seed: int):
    raw = np.random.default_rng(seed).integers(-128, 128, shape)
    array = (raw != 0 if dtype is DType.BOOL else raw % (1 << min(dtype.bits, 7))).astype(np.int8)
    if dtype in (DType.INT4, DType.INT2):
        array = array - np.int8(1 << (dtype.bits - 1))
    array = np.asarray(array).astype(dtype.numpy)
    data = np.frombuffer(encode(array, dtype), np.uint8)
    assert len(data) == encoded_size(array, dtype) == (array.size * dtype.bits + 7) // 8
    result = decode(data, dtype, shape)
    assert result.dtype == dtype.numpy
    assert result.shape == shape
    assert result.tobytes() == array.tobytes()


@given(st.lists(st.binary(max_size=9)))
def test_strings_round_trip(texts: list[bytes]):
    array = np.empty(len(texts), object)
    array[:] = texts
    data = np.frombuffer(encode(array, DType.STRING), np.uint8)
    assert len(data) == encoded_size(array, DType.STRING)
    assert decode(data, DType.STRING, (len(texts),)).tolist() == texts


def test_text_is_utf8():
    array = np.array(["ä", b"b"], object)
    data = np.frombuffer(encode(array, DType.STRING), np.uint8)
    assert len(data) == encoded_size(array, DType.STRING)
    assert decode(data, DType.STRING, (2,)).tolist() == ["ä".encode(), b"b"]


def test_low_nibble_comes_first():
    array = np.array([1, -2, 7]).astype(DType.INT4.numpy)
    assert bytes(encode(array, DType.INT4)) == bytes([0xE1, 0x07])
    assert bytes(encode(np.array([1, -2, -1, 0, 1]).astype(DType.INT2.numpy), DType.INT2)) == bytes(
        [0b00111001, 1]
    )


def test_big_endian_and_transposed_arrays():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    assert bytes(encode(array, DType.INT32)) == np.ascontiguousarray(array).astype("<i4").tobytes()


def test_contiguous_arrays_are_not_copied():
    array = np.zeros((64, 64), np.float32)
    assert np.shares_memory(np.frombuffer(encode(array, DType.FLOAT32), np.uint8), array)
    data = np.zeros(16, np.uint8)
    assert np.shares_memory(decode(data, DType.FLOAT32, (2, 2)), data)


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (bytes(7), DType.FLOAT32, (2,)),
        (bytes(2), DType.INT4, (5,)),
        (b"\1", DType.STRING, (1,)),
        (b"\xff\xff\xff\x7f\0\0\0\0", DType.STRING, (1,)),
        (b"\1\0\0\0\x0c\0\0\0\x0d\0\0\0", DType.STRING, (1,)),
    ],
)
def test_bytes_that_do_not_fit(data: bytes, dtype: DType, shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"bytes|string buffer"):
        decode(np.frombuffer(data, np.uint8), dtype, shape)


def test_wrong_array_is_refused():
    with pytest.raises(TypeError, match="FLOAT32 holds an array of int32"):
        encode(np.zeros(2, np.int32), DType.FLOAT32)
