"""TensorProto and TensorShapeProto as numpy arrays and shapes; no size is believed before it is checked."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np

from litecast.errors import FormatError, Unsupported, UnsupportedError
from litecast.frontend.tensorflow.proto import DataType, TensorProto, TensorShapeProto
from litecast.frontend.tensorflow.proto.wire import read_varints, split_strings

__all__ = ["DTYPES", "constant_shape", "dtype_from_enum", "shape_from_proto", "tensor_from_proto"]

_NUMPY = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_INT32": np.int32,
    "DT_UINT8": np.uint8,
    "DT_INT16": np.int16,
    "DT_INT8": np.int8,
    "DT_STRING": np.object_,
    "DT_COMPLEX64": np.complex64,
    "DT_INT64": np.int64,
    "DT_BOOL": np.bool_,
    "DT_QINT8": np.int8,
    "DT_QUINT8": np.uint8,
    "DT_QINT32": np.int32,
    "DT_BFLOAT16": ml_dtypes.bfloat16,
    "DT_QINT16": np.int16,
    "DT_QUINT16": np.uint16,
    "DT_UINT16": np.uint16,
    "DT_COMPLEX128": np.complex128,
    "DT_HALF": np.float16,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_FLOAT8_E5M2": ml_dtypes.float8_e5m2,
    "DT_FLOAT8_E4M3FN": ml_dtypes.float8_e4m3fn,
    "DT_FLOAT8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "DT_FLOAT8_E4M3B11FNUZ": ml_dtypes.float8_e4m3b11fnuz,
    "DT_FLOAT8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "DT_INT4": ml_dtypes.int4,
    "DT_UINT4": ml_dtypes.uint4,
    "DT_INT2": ml_dtypes.int2,
    "DT_UINT2": ml_dtypes.uint2,
    "DT_FLOAT4_E2M1FN": ml_dtypes.float4_e2m1fn,
}

DTYPES: dict[int, np.dtype] = {
    DataType[name + suffix]: np.dtype(kind) for name, kind in _NUMPY.items() for suffix in ("", "_REF")
}
"""TensorFlow's DataType, also the reference types (+100), to numpy; strings are objects holding `bytes`."""

_NAMES = {number: name for name, number in DataType.items()}

# The repeated field that holds the values of a type (tensorflow/core/framework/tensor.proto) and the type of
# its items; halves are bit patterns in integers, complex numbers are (real, imaginary) pairs.
_FIELDS: dict[str, tuple[str, type[np.generic]]] = {
    "float32": ("float_val", np.float32),
    "float64": ("double_val", np.float64),
    "int64": ("int64_val", np.int64),
    "bool": ("bool_val", np.bool_),
    "uint32": ("uint32_val", np.uint32),
    "uint64": ("uint64_val", np.uint64),
    "float16": ("half_val", np.int32),
    "bfloat16": ("half_val", np.int32),
    "complex64": ("scomplex_val", np.float32),
    "complex128": ("dcomplex_val", np.float64),
    "object": ("string_val", np.object_),
}
_OTHERS = ("int_val", np.int32)

_MAX_RANK = 32  # of numpy before 2.0
_SMALL, _GROWTH = (
    64 << 20,
    64,
)  # a constant may take 64 MiB, or 64 times the values that the file gives for it


def dtype_from_enum(number: int, place: str = "TensorProto") -> np.dtype:
    """Give the numpy type of a DataType; resources, variants and unknown numbers are errors at `place`."""
    dtype = DTYPES.get(number)
    if dtype is not None:
        return dtype
    name = _NAMES.get(number)
    if name is None or name == "DT_INVALID":
        raise FormatError(place, f"{number} is no TensorFlow data type that this version knows")
    raise UnsupportedError(Unsupported("Const", f"a value of type {name} is not a constant", place))


def shape_from_proto(proto: TensorShapeProto) -> tuple[int, ...] | None:
    """Give the shape, with -1 where a dimension is unknown, or None where the rank is."""
    return None if proto.unknown_rank else tuple(dim.size for dim in proto.dim)


def constant_shape(proto: TensorShapeProto, dtype: np.dtype, place: str) -> tuple[int, ...]:
    """Give the shape of a constant; raise FormatError at `place` where no array can have it."""
    shape = shape_from_proto(proto)
    if shape is None or any(dim < 0 for dim in shape):
        raise FormatError(place, f"a constant has the shape {'unknown' if shape is None else shape}")
    # numpy computes sizes without the dimensions that are zero, and in signed 64-bit.
    if len(shape) > _MAX_RANK or math.prod(dim for dim in shape if dim) * dtype.itemsize >= 1 << 63:
        raise FormatError(place, f"a constant has the impossible shape {shape}")
    return shape


def tensor_from_proto(proto: TensorProto, place: str = "TensorProto") -> np.ndarray:
    """Decode a TensorProto (tensorflow/core/framework/tensor.cc, `Tensor::FromProto`).

    The result is read-only. Where one value stands for all elements it is a broadcast view, so that a claimed
    shape costs nothing. Raises FormatError at `place` where shape and contents contradict each other, and
    UnsupportedError for resources and variants.
    """
    dtype = dtype_from_enum(proto.dtype, place)
    shape = constant_shape(proto.tensor_shape, dtype, place)
    count = math.prod(shape)
    if content := proto.tensor_content:
        if dtype.kind == "O":
            sizes, start = read_varints(content, 0, count, place)  # as `port::DecodeStringList` has them
            values = split_strings(content[start:], sizes, place)
        elif len(content) == count * dtype.itemsize:
            values = np.frombuffer(content, dtype)
        else:
            needed = count * dtype.itemsize
            raise FormatError(
                place, f"{dtype} {shape} needs {needed} bytes of content, there are {len(content)}"
            )
        return _frozen(values.reshape(shape))
    return _splat(_repeated(proto, dtype, count), shape, count, place)


def _repeated(proto: TensorProto, dtype: np.dtype, count: int) -> np.ndarray:
    """Give the values of the repeated field, at most `count` of them."""
    if dtype.name.startswith(("float8", "float4")):
        return np.frombuffer(proto.float8_val, dtype)[:count]
    name, stored = _FIELDS.get(dtype.name, _OTHERS)
    field = getattr(proto, name)
    if dtype.kind == "c":
        return np.fromiter(field, stored, len(field) & ~1).view(dtype)[:count]
    values = np.fromiter(field, stored, min(len(field), count))
    return values.astype(np.uint16).view(dtype) if name == "half_val" else values.astype(dtype, copy=False)


def _splat(values: np.ndarray, shape: tuple[int, ...], count: int, place: str) -> np.ndarray:
    """Fill up with the last value, or with zero where there is none."""
    if values.size == count:
        return _frozen(values.reshape(shape))
    if values.size == 0:
        values = np.array([b""], object) if values.dtype.kind == "O" else np.zeros(1, values.dtype)
    if values.size == 1:
        return np.broadcast_to(values.reshape(()), shape)
    if count * values.itemsize > max(_SMALL, _GROWTH * values.nbytes):
        raise FormatError(place, f"{values.size} values cannot fill the shape {shape}")
    filled = np.empty(count, values.dtype)
    filled[: values.size] = values
    filled[values.size :] = values[-1]
    return _frozen(filled.reshape(shape))


def _frozen(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values
