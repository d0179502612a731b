"""Constants as the file holds them: strings, packed sub-byte integers and everything else as plain bytes."""

from __future__ import annotations

import struct
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from litecast.ir.op import Array
from litecast.ir.types import DType

__all__ = ["decode", "encode", "encoded_size"]


def encode(array: Array, dtype: DType) -> Any:
    """Return the bytes of `array` as the file holds them; contiguous little-endian ones are not copied."""
    if dtype is DType.STRING:
        return _encode_strings(array)
    array = np.asarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.dtype != dtype.numpy:
        raise TypeError(f"a constant of element type {dtype.name} holds an array of {array.dtype}")
    flat = np.ascontiguousarray(array).reshape(-1)
    if dtype.bits < 8:
        return _pack(flat, dtype.bits)
    return flat.view(np.uint8).data


def encoded_size(array: Any, dtype: DType) -> int:
    """Return how many bytes `encode` gives for an array (or something else with a shape)."""
    if dtype is DType.STRING:
        texts = _texts(array)
        return 8 + 4 * len(texts) + sum(map(len, texts))
    size: int = prod(array.shape)
    return (size * dtype.bits + 7) // 8


def decode(data: Array, dtype: DType, shape: tuple[int, ...]) -> Array:
    """Return the array that a vector of bytes (uint8) holds, as a view of it where the type has whole bytes.

    Raises ValueError where the bytes do not fit the type and shape.
    """
    if dtype is DType.STRING:
        return _decode_strings(data).reshape(shape)
    count = prod(shape)
    needed = (count * dtype.bits + 7) // 8
    if len(data) != needed:
        raise ValueError(f"{dtype.name} of shape {list(shape)} takes {needed} bytes, there are {len(data)}")
    if dtype.bits < 8:
        return _unpack(data, dtype, count).reshape(shape)
    return data.view(dtype.numpy).reshape(shape)


def _texts(array: Array) -> list[bytes]:
    return [text.encode() if isinstance(text, str) else bytes(text) for text in np.asarray(array).reshape(-1)]


def _encode_strings(array: Array) -> bytes:
    """The string buffer of string_util.h: int32 count, count + 1 int32 offsets, then the characters."""
    texts = [
        text.encode() if isinstance(text, str) else bytes(text) for text in np.asarray(array).reshape(-1)
    ]
    offsets = [4 * (len(texts) + 2)]
    for text in texts:
        offsets.append(offsets[-1] + len(text))
    return struct.pack(f"<{len(texts) + 2}i", len(texts), *offsets) + b"".join(texts)


def _decode_strings(data: Array) -> Array:
    content = data.tobytes()
    if len(content) < 4:
        raise ValueError("a string buffer of less than 4 bytes")
    (count,) = struct.unpack_from("<i", content)
    if count < 0 or 4 * (count + 2) > len(content):
        raise ValueError(f"a string buffer of {len(content)} bytes cannot hold {count} strings")
    offsets = struct.unpack_from(f"<{count + 1}i", content, 4)
    if list(offsets) != sorted(offsets) or offsets[0] < 4 * (count + 2) or offsets[-1] > len(content):
        raise ValueError("a string buffer whose offsets are out of order")
    result = np.empty(count, object)
    result[:] = [content[start:end] for start, end in pairwise(offsets)]
    return result


def _pack(flat: Array, bits: int) -> Any:
    """Pack sub-byte integers, the first in the low bits (kernels/internal/portable_tensor_utils.cc)."""
    per_byte = 8 // bits
    raw = flat.astype(np.int8).view(np.uint8) & ((1 << bits) - 1)
    raw = np.concatenate([raw, np.zeros(-len(raw) % per_byte, np.uint8)]).reshape(-1, per_byte)
    packed = raw[:, 0].copy()
    for index in range(1, per_byte):
        packed |= raw[:, index] << (bits * index)
    return packed.data


def _unpack(data: Array, dtype: DType, count: int) -> Array:
    bits = dtype.bits
    parts = np.stack([(data >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)], axis=1).reshape(
        -1
    )[:count]
    if dtype is not DType.UINT4:
        half = 1 << (bits - 1)
        parts = (parts ^ half).astype(np.int8) - np.int8(half)
    return parts.astype(dtype.numpy)
