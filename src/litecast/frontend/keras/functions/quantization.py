"""TensorFlow's fake quantization, which models trained for quantization call."""

from __future__ import annotations

from typing import Any

from litecast.frontend.keras.functions.table import function
from litecast.frontend.keras.operations.quantization import fake_quantize
from litecast.ir.builder import Builder


@function("quantization.fake_quant_with_min_max_args")
def fake_quant_with_min_max_args(
    b: Builder, inputs: Any, min: Any = -6, max: Any = 6, num_bits: Any = 8, narrow_range: bool = False
) -> Any:
    return fake_quantize(b, inputs, min, max, int(num_bits), narrow_range)


@function("quantization.fake_quant_with_min_max_vars")
def fake_quant_with_min_max_vars(
    b: Builder, inputs: Any, min: Any, max: Any, num_bits: Any = 8, narrow_range: bool = False
) -> Any:
    return fake_quantize(b, inputs, min, max, int(num_bits), narrow_range)


@function("quantization.fake_quant_with_min_max_vars_per_channel")
def fake_quant_per_channel(
    b: Builder, inputs: Any, min: Any, max: Any, num_bits: Any = 8, narrow_range: bool = False
) -> Any:
    return fake_quantize(b, inputs, min, max, int(num_bits), narrow_range, per_channel=True)
