"""Weights of quantized Keras 3 layers, dequantized to the floats that the layer's own call multiplies with.

Keras 3 stores such a layer's variables in an order of its own (`variable_serialization_spec` of Dense,
EinsumDense, Embedding and ReversibleEmbedding); `weight_and_bias` and `tables` ask for them in that order.
Where Keras also quantizes activations (int8, float8), the converted model does not, and says so once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Lazy, Value
from litecast.ir.op import Array
from litecast.ir.types import Dim, DType
from litecast.lib import array, linalg, nn

__all__ = ["tables", "weight_and_bias"]

Shapes = Mapping[str, tuple[int, ...]]

LAZY_SIZE = 1 << 18
"""Weights of at least this many elements are dequantized when they are written, one at a time."""
ORDER = {
    "int8": "kernel bias kernel_scale",
    "int4": "kernel bias kernel_scale kernel_zero g_idx",
    "ternary": "kernel bias kernel_scale",
    "float8": "kernel bias inputs_scale inputs_amax_history kernel_scale kernel_amax_history "
    "outputs_grad_scale outputs_grad_amax_history",
    "gptq": "bias kernel kernel_scale kernel_zero g_idx",
    "awq": "bias kernel kernel_scale kernel_zero awq_scales g_idx",
}
"""What a Dense or EinsumDense layer stores, by mode, in order; it leaves out what it does not have."""
BYTES = {
    "int8": DType.INT8, "int4": DType.INT8, "ternary": DType.UINT8, "gptq": DType.UINT8, "awq": DType.UINT8
}  # fmt: skip
"""What a stored kernel is made of."""
AMAX_HISTORY = 1024
"""`QuantizedFloat8DTypePolicy.default_amax_history_length`."""
TRITS = 5
"""Numbers of -1, 0 and 1 in a byte of mode ternary."""
FLOAT8_MAX = 448.0
"""The largest float8_e4m3fn."""
ROUNDED = "{0} weights are dequantized; activations stay float32 (Keras rounds them to {0} in each call)"
DEQUANTIZED = "{} weights are dequantized; activations stay float32, as in Keras"
NO_ZERO_POINTS = "the file lacks the zero points of its {} weights, which Keras 3.15 leaves out"


@dataclass(frozen=True)
class Format:
    """How a layer is quantized: `groups` of rows have a scale each (0: one per column); `bits` of GPTQ."""

    mode: str
    groups: int = 0
    bits: int = 4


@dataclass(frozen=True)
class _Kernel:
    """A quantized kernel as the layer has it, and as the matrix that Keras stores."""

    form: Format
    shape: tuple[int, ...]
    labels: tuple[str, str]
    rows: int
    columns: int
    per_byte: int = 1


# -- policies --------------------------------------------------------------------------------------------


def mode_of(policy: Any, path: str = "") -> str:
    """Return the quantization of a dtype policy (int8, int4/128, gptq/4/128), "" for none."""
    if isinstance(policy, Mapping):
        inner = policy.get("config") or {}
        if _is_map(policy):
            return mode_of(_mapped(inner, path), path)
        return str(inner["mode"]) if inner.get("mode") else mode_of(inner.get("name"))
    mode, found, _ = str(policy or "").partition("_from_")
    return mode if found else ""


def _mapped(inner: Mapping[str, Any], path: str) -> Any:
    """Return the policy of a `DTypePolicyMap` for a path, which may match an expression."""
    policies = inner["policy_map"] or {}
    policies = policies.get("config", policies) if "class_name" in policies else policies
    if path in policies:
        return policies[path]
    return next((policies[key] for key in policies if re.fullmatch(key, path)), inner.get("default_policy"))


def _format(layer: Layer, shape: tuple[int, ...], rows: int) -> Format | None:
    """Return how the layer's kernel is quantized, None where it is not.

    A sublayer that was quantized in place has no policy in the file, and one of a policy map may have another
    name there: then what is stored tells.
    """
    mode, *numbers = mode_of(layer.policy, layer.path).split("/")
    if not mode or (_is_map(layer.policy) and layer.stored("0") is not None):
        return _stored_format(layer, shape)
    if mode not in ORDER:
        raise layer.unsupported(f"its weights are quantized as {mode}", f"use one of {', '.join(ORDER)}")
    sizes = [-1 if number == "None" else int(number) for number in numbers]
    block = sizes[-1] if sizes else -1
    calibrated = mode in ("gptq", "awq")
    rows = _calibrated_matrix(shape)[0] if calibrated else rows
    groups = math.ceil(rows / block) if block > 0 else int(calibrated)
    return Format(mode, groups, sizes[0] if len(sizes) > 1 else 4)


def _is_map(policy: Any) -> bool:
    return isinstance(policy, Mapping) and "policy_map" in (policy.get("config") or {})


def _stored_format(layer: Layer, shape: tuple[int, ...]) -> Format | None:
    first, second = layer.stored("0"), layer.stored("1")
    if first is not None and first.dtype == np.int8:
        scale = layer.stored("2") if layer.stored("2") is not None else second
        grouped = scale is not None and layer.stored("3" if scale is not second else "2") is not None
        if first.shape == shape:
            return Format("int8")
        return Format("int4", scale.shape[0] if grouped and scale is not None else 0)
    offset = next((at for at, array in enumerate((first, second)) if _is_bytes(array)), None)
    if offset is None:
        return None
    kernel, scale = layer.stored(str(offset)), layer.stored(str(offset + 1))
    has_zero = _is_bytes(layer.stored(str(offset + 2)))
    mode = "awq" if layer.stored(str(offset + 3 + has_zero)) is not None else "gptq"
    columns = _calibrated_matrix(shape)[1]
    bits = 8 if kernel.shape[0] == columns else 4 if kernel.shape[0] == (columns + 1) // 2 else 2
    return Format(mode, scale.shape[-1], bits)


def _is_bytes(array: Any) -> bool:
    return array is not None and array.dtype == np.uint8


# -- Dense and EinsumDense ---------------------------------------------------------------------------------


def weight_and_bias(
    b: Builder,
    layer: Layer,
    shape: Sequence[Dim],
    bias_shape: Sequence[Dim] | None,
    labels: tuple[str, str] = ("io", "o"),
) -> tuple[Value, Value | None]:
    """Return the kernel of a Dense or EinsumDense layer and its bias (None without `bias_shape`), as FLOAT32.

    `labels` are the einsum labels of the kernel and of the last axes of the result: the scale of an int8
    kernel has the axes of the result. LoRA updates are added where the file holds them apart.
    """
    kernel = _kernel(layer, shape, labels) if all(isinstance(dim, int) for dim in shape) else None
    if kernel is None:
        return _plain(b, layer, shape, bias_shape)
    biases = None if bias_shape is None else tuple(int(str(dim)) for dim in bias_shape)
    stored = _read(b, layer, kernel, _shapes(layer, kernel, biases))
    _tell(layer, kernel.form.mode)
    compute = partial(_DEQUANTIZE[kernel.form.mode], kernel, stored)
    weights = _constant(b, layer, "kernel", kernel.shape, compute, _lora(b, layer, kernel.shape))
    bias = stored.get("bias")
    if bias is not None and kernel.form.mode == "float8":
        bias = bias.astype(ml_dtypes.bfloat16).astype(np.float32)  # as `_float8_call` adds it
    return weights, None if bias is None else b.const(bias, f"{layer.path}/bias")


def _plain(
    b: Builder, layer: Layer, shape: Sequence[Dim], bias_shape: Sequence[Dim] | None
) -> tuple[Value, Value | None]:
    split = _is_lora(layer)
    kernel = layer.weight(b, "kernel", shape, trainable=not split)
    bias = None if bias_shape is None else layer.weight(b, "bias", bias_shape)
    if not kernel.dtype.is_float:
        raise layer.unsupported("its kernel is quantized, and its dtype policy does not say how")
    update = _lora(b, layer, kernel.array().shape)
    if update is not None:
        kernel = b.const(kernel.array() + update(), f"{layer.path}/kernel")
    return kernel, bias


def _kernel(layer: Layer, shape: Sequence[Dim], labels: tuple[str, str]) -> _Kernel | None:
    sizes = tuple(int(str(dim)) for dim in shape)
    columns = math.prod(dim for dim, label in zip(sizes, labels[0], strict=True) if label in labels[1])
    rows = math.prod(sizes) // max(columns, 1)
    form = _format(layer, sizes, rows)
    if form is None:
        return None
    if form.mode in ("gptq", "awq"):
        rows, columns = _calibrated_matrix(sizes)
    return _Kernel(form, sizes, labels, rows, columns, _per_byte(layer, form, columns))


def _calibrated_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows and columns as `_gptq_build` splits them: before or after the largest of three axes."""
    leading = 2 if len(shape) == 3 and shape.index(max(shape)) > 0 else 1
    return math.prod(shape[:leading]), math.prod(shape[leading:])


def _per_byte(layer: Layer, form: Format, columns: int) -> int:
    """Return how many values a byte holds: 2-bit ones are alone in it before Keras 3.16."""
    if form.mode == "gptq" and form.bits == 2:
        kernel = next((array for array in map(layer.stored, "01") if _is_bytes(array)), None)
        return 1 if kernel is None or kernel.shape[0] == columns else 4
    return 2 if form.mode in ("int4", "gptq", "awq") and form.bits == 4 else 1


def _shapes(layer: Layer, kernel: _Kernel, bias: tuple[int, ...] | None) -> Shapes:
    """Return the shapes of the layer's variables, without those that it does not have."""
    form, rows, columns = kernel.form, kernel.rows, kernel.columns
    shapes: dict[str, tuple[int, ...]] = {} if bias is None else {"bias": bias}
    packed = -(-columns // kernel.per_byte)
    if form.mode == "int8":
        sizes = dict(zip(kernel.labels[0], kernel.shape, strict=True))
        scale = tuple(sizes.get(label, 1) for label in kernel.labels[1])
        return {**shapes, "kernel": kernel.shape, "kernel_scale": scale}
    if form.mode == "ternary":
        return {**shapes, "kernel": (-(-rows // TRITS), columns), "kernel_scale": ()}
    if form.mode == "int4" and not form.groups:
        return {**shapes, "kernel": (rows, packed), "kernel_scale": (columns,)}
    if form.mode == "float8":
        history = (_history(layer.policy),)
        ends = {name: history if name.endswith("history") else () for name in ORDER["float8"].split()[2:]}
        return {**shapes, "kernel": kernel.shape, **ends}
    grid = (form.groups, columns) if form.mode == "int4" else (columns, form.groups)
    values = (rows, packed) if form.mode == "int4" else (packed, rows)
    shapes.update(kernel=values, kernel_scale=grid, kernel_zero=grid, g_idx=(rows,))
    return {**shapes, "awq_scales": (rows,)} if form.mode == "awq" else shapes


def _history(policy: Any) -> int:
    inner = policy.get("config") if isinstance(policy, Mapping) else None
    return int((inner or {}).get("amax_history_length", AMAX_HISTORY))


def _read(b: Builder, layer: Layer, kernel: _Kernel, shapes: Shapes) -> dict[str, Array]:
    form = kernel.form
    names = [name for name in ORDER[form.mode].split() if name in shapes]
    constants = _unsaved(layer, form, shapes, len(names))
    read: dict[str, Array] = dict(constants)
    for name in names:
        if name not in constants:
            trainable = name == "bias" or form.mode == "float8"
            dtype = BYTES.get(form.mode) if name == "kernel" else None
            read[name] = layer.weight(b, name, shapes[name], trainable=trainable, dtype=dtype).array()
    return read


def _unsaved(layer: Layer, form: Format, shapes: Shapes, count: int) -> dict[str, Array]:
    """Return the zero points that Keras 3.15 leaves out (`save_own_variables`) where they can be known.

    Those of symmetric GPTQ are the middle of the range (`compute_quantization_parameters`).
    """
    complete = layer.stored("0") is None or layer.stored(str(count - 1)) is not None
    if form.mode not in ("gptq", "awq") or complete:
        return {}
    config = layer.config.get("quantization_config") or {}
    if not (config.get("config") or {}).get("symmetric"):
        hint = (
            "convert the model in memory, or save it with another version: 3.15 itself cannot load this file"
        )
        raise layer.unsupported(NO_ZERO_POINTS.format(form.mode.upper()), hint)
    return {"kernel_zero": np.full(shapes["kernel_zero"], 2 ** (form.bits - 1), np.uint8)}


def _tell(layer: Layer, mode: str) -> None:
    name = mode.upper() if mode in ("gptq", "awq") else mode
    layer.tracer.note((ROUNDED if mode in ("int8", "float8") else DEQUANTIZED).format(name))


# -- LoRA ------------------------------------------------------------------------------------------------


def _is_lora(layer: Layer, name: str = "kernel") -> bool:
    """Whether the updates are apart from the kernel, as in memory and legacy HDF5: other files merge them."""
    apart = layer.stored("0") is None or layer.stored(f"lora_{name}_a") is not None
    return bool(layer.config.get("lora_rank")) and apart


def _lora(b: Builder, layer: Layer, shape: Sequence[int], name: str = "kernel") -> Callable[[], Array] | None:
    """Return what computes the update, None where there is none or it is merged already."""
    if not _is_lora(layer, name):
        return None
    rank = int(layer.config["lora_rank"])
    scale = np.float32((layer.config.get("lora_alpha") or rank) / rank)
    first = layer.weight(b, f"lora_{name}_a", (*shape[:-1], rank)).array()
    second = layer.weight(b, f"lora_{name}_b", (rank, shape[-1])).array()
    return lambda: scale * (first @ second)


# -- numbers ---------------------------------------------------------------------------------------------


def _constant(
    b: Builder,
    layer: Layer,
    name: str,
    shape: tuple[int, ...],
    compute: Callable[[], Array],
    update: Callable[[], Array] | None = None,
) -> Value:
    def whole() -> Array:
        result = compute() if update is None else compute() + update()
        return np.ascontiguousarray(result, np.float32)

    late = math.prod(shape) >= LAZY_SIZE
    return b.const(Lazy(DType.FLOAT32, shape, whole) if late else whole(), f"{layer.path}/{name}")


def unpack(packed: Array, bits: int, length: int, axis: int, signed: bool) -> Array:
    """Return the fields of `bits` bits in bytes, lowest first, along `axis` (Keras `unpack_int4`)."""
    fields = np.stack([packed.view(np.uint8) >> shift for shift in range(0, 8, bits)], axis + 1)
    fields &= np.uint8(2**bits - 1)
    size = (*packed.shape[:axis], -1, *packed.shape[axis + 1 :])
    whole: Array = fields.reshape(size)[(slice(None),) * axis + (slice(length),)]
    if signed:
        sign = np.uint8(2 ** (bits - 1))
        whole = (whole ^ sign).view(np.int8) - np.int8(sign)
    return whole


def by_group(values: Array, scale: Array, zero: Array, groups: Array, axis: int) -> Array:
    """Return (values - zero) * scale, both by the group that each index of `axis` is in, cut off to integers.

    `dequantize_with_sz_map` of keras/src/quantizers/quantizers.py.
    """
    index = groups.astype(np.int32)
    result = values.astype(np.float32)
    result -= np.take(zero, index, axis).astype(np.float32)
    result *= np.take(scale, index, axis)
    return result


def _int8(kernel: _Kernel, stored: Mapping[str, Array]) -> Array:
    """The product is divided by the scale, whose axes are those of the result."""
    own, result = kernel.labels
    order = [result.index(label) for label in own if label in result]
    rest = [axis for axis in range(len(result)) if axis not in order]
    sizes = [dim if label in result else 1 for dim, label in zip(kernel.shape, own, strict=True)]
    scale = stored["kernel_scale"].transpose([*order, *rest]).reshape(sizes)
    whole: Array = np.divide(stored["kernel"], scale, dtype=np.float32)
    return whole


def _int4(kernel: _Kernel, stored: Mapping[str, Array]) -> Array:
    whole, scale = unpack(stored["kernel"], 4, kernel.columns, 1, signed=True), stored["kernel_scale"]
    if "kernel_zero" in stored:
        whole = by_group(whole, scale, stored["kernel_zero"], stored["g_idx"], 0)
    else:
        whole = np.divide(whole, scale, dtype=np.float32)
    return whole.reshape(kernel.shape)


def _float8(kernel: _Kernel, stored: Mapping[str, Array]) -> Array:
    """Quantized and dequantized in the call (`quantize_and_dequantize`): the file has the floats."""
    scale = stored["kernel_scale"]
    values = np.clip(stored["kernel"] / scale, -FLOAT8_MAX, FLOAT8_MAX)
    whole: Array = values.astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * scale
    return whole


def _ternary(kernel: _Kernel, stored: Mapping[str, Array]) -> Array:
    """Base-3 digits, lowest first, along the rows (`unpack_ternary` of Keras 3.16)."""
    digits = np.stack([stored["kernel"] // 3**place % 3 for place in range(TRITS)], 1)
    values = digits.reshape(-1, kernel.columns)[: kernel.rows].astype(np.float32) - 1
    whole: Array = values * stored["kernel_scale"]
    return whole


def _calibrated(kernel: _Kernel, stored: Mapping[str, Array]) -> Array:
    """GPTQ and AWQ: a row per column of the kernel; AWQ divides each input's row by its own scale as well."""
    values = unpack(stored["kernel"], 8 // kernel.per_byte, kernel.columns, 0, signed=False)
    weights = by_group(values, stored["kernel_scale"], stored["kernel_zero"], stored["g_idx"], -1).T
    if "awq_scales" in stored:
        weights = weights / stored["awq_scales"][:, None]
    return weights.reshape(kernel.shape)


_DEQUANTIZE: dict[str, Callable[..., Array]] = {
    "int8": _int8,
    "int4": _int4,
    "float8": _float8,
    "ternary": _ternary,
    "gptq": _calibrated,
    "awq": _calibrated,
}


@keras("TernaryDense", masking="pass")
def ternary_dense(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    units: int,
    threshold: float | None = None,
    activation: Any = None,
    use_bias: bool = True,
) -> Any:
    kernel, bias = weight_and_bias(b, layer, (inputs.shape[-1], units), (units,) if use_bias else None)
    if not mode_of(layer.policy):
        kernel = b.const(_rounded(kernel.array(), threshold), kernel.name)
    result = linalg.matmul(b, array.cast(b, inputs, DType.FLOAT32), kernel)
    return layer.activate(b, activation, result if bias is None else nn.add_channels(b, result, bias))


def _rounded(kernel: Array, threshold: float | None) -> Array:
    """Return the signs of what is above the threshold; without one, times the mean, of which half is it."""
    mean = np.mean(np.abs(kernel))
    signs = np.sign(kernel) * (np.abs(kernel) > (mean / 2 if threshold is None else threshold))
    return np.asarray(signs if threshold is not None else signs * mean, np.float32)


# -- embeddings ------------------------------------------------------------------------------------------


def tables(b: Builder, layer: Layer, rows: int, columns: int, *, reverse: bool = False) -> list[Value]:
    """Return the table of an Embedding layer; `reverse`: also the (columns, rows) one that undoes it."""
    mode, *numbers = mode_of(layer.policy, layer.path).split("/")
    if mode in ("", "float8", "ternary", "gptq", "awq"):  # which leave embeddings as they are
        return _plain_tables(b, layer, rows, columns, reverse)
    if mode not in ORDER:
        raise layer.unsupported(f"its weights are quantized as {mode}", "use int8 or int4")
    block = int(numbers[0]) if numbers and numbers[0] != "None" else -1
    groups = math.ceil(columns / block) if block > 0 else 0
    _tell(layer, mode)
    forward = _table(b, layer, "embeddings", (rows, columns), mode, groups, 1)
    update = _lora(b, layer, (rows, columns), "embeddings")
    result = [_constant(b, layer, "embeddings", (rows, columns), forward, update)]
    if reverse:
        index = layer.weight(b, "g_idx", (columns,), trainable=False).array() if groups else None
        backward = _table(b, layer, "reverse_embeddings", (columns, rows), mode, groups, 0, index)
        result.append(_constant(b, layer, "reverse_embeddings", (columns, rows), backward))
    return result


def _plain_tables(b: Builder, layer: Layer, rows: int, columns: int, reverse: bool) -> list[Value]:
    table = layer.weight(b, "embeddings", (rows, columns), trainable=not _is_lora(layer, "embeddings"))
    update = _lora(b, layer, (rows, columns), "embeddings")
    if update is not None:
        table = b.const(table.array() + update(), f"{layer.path}/embeddings")
    return [table, layer.weight(b, "reverse_embeddings", (columns, rows))] if reverse else [table]


def _table(
    b: Builder,
    layer: Layer,
    name: str,
    shape: tuple[int, int],
    mode: str,
    groups: int,
    axis: int,
    index: Array | None = None,
) -> Callable[[], Array]:
    """Read a table whose `axis` is the embedding, packed and grouped along it; return what dequantizes it."""

    def read(suffix: str, size: tuple[int, ...], dtype: DType | None = None) -> Any:
        return layer.weight(b, f"{name}{suffix}", size, trainable=False, dtype=dtype).array()

    length, count = shape[axis], shape[1 - axis]
    packed = -(-length // 2) if mode == "int4" else length
    values = read("", (count, packed) if axis else (packed, count), DType.INT8)
    grid = (count, groups) if axis else (groups, count)
    scale = read("_scale", grid if groups else (count,))
    zero = read("_zero", grid) if groups else None
    if groups and index is None:
        index = layer.weight(b, "g_idx", (length,), trainable=False).array()

    def compute() -> Array:
        whole = unpack(values, 4, length, axis, signed=True) if mode == "int4" else values
        if zero is not None and index is not None:
            return by_group(whole, scale, zero, index, axis)
        table: Array = np.divide(whole, np.expand_dims(scale, axis), dtype=np.float32)
        return table

    return compute
