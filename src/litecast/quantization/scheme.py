"""Schemes: how the weights and the activations of an operation are stored and computed, by short names.

`float`, `fp16`, and w<bits>[t|b<block>][-only|a8|a16]: `w8` has INT8 weights with a scale per channel and the
hybrid kernel, which quantizes its input when it runs; `w8t` one scale per tensor; `w4b32` a scale per 32
columns; `w8-only` is dequantized before a float kernel; `w8a8` and `w8a16` have integer activations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from litecast.errors import QuantizationError
from litecast.ir.types import DType

__all__ = ["BLOCKS", "FLOAT", "HALF", "Scheme", "parse"]

BITS = {"8": DType.INT8, "4": DType.INT4, "2": DType.INT2}
ACTIVATIONS = {"a8": DType.INT8, "a16": DType.INT16}
BLOCKS = (32, 64, 128, 256)
"""Sizes of a block: XNNPACK takes multiples of 32 (xnnpack_delegate.cc:2624)."""
NAME = re.compile(r"w([248])(t|b(?:\d+))?(-only|a8|a16)?")
EXAMPLES = ("float", "fp16", "w8", "w8t", "w8-only", "w8a8", "w8a16", "w4", "w4-only", "w4a8", "w4b32", "w2")
WORTH_HALF, WORTH = 128, 1024
"""Elements from which a constant is worth a DEQUANTIZE (its tensor and operator take about 200 bytes), and
from which the official converter quantizes weights (quantize_weights: 1024)."""


@dataclass(frozen=True)
class Scheme:
    """Element types of weights and activations (FLOAT32: not quantized), and how fine the scales are.

    `per_channel` False is one scale per tensor, `block` one per so many columns. `stored`: a DEQUANTIZE
    stands between the weight and a float kernel.
    """

    weights: DType = DType.FLOAT32
    activations: DType = DType.FLOAT32
    per_channel: bool = True
    block: int = 0
    stored: bool = False

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized."""
        return self.weights is DType.FLOAT32

    @property
    def is_integer(self) -> bool:
        """Whether activations are integers, whose ranges must be known."""
        return self.activations is not DType.FLOAT32

    @property
    def least(self) -> int:
        """Elements that a constant must have to be quantized."""
        return WORTH_HALF if self.weights is DType.FLOAT16 else WORTH

    def __str__(self) -> str:
        if self.is_float:
            return "float"
        if self.weights is DType.FLOAT16:
            return "fp16"
        grain = f"b{self.block}" if self.block else "" if self.per_channel else "t"
        activations = f"a{self.activations.bits}" if self.is_integer else ""
        return f"w{self.weights.bits}{grain}{'-only' if self.stored else activations}"


FLOAT, HALF = Scheme(), Scheme(DType.FLOAT16, stored=True)


def parse(name: str) -> Scheme:
    """Return the scheme of a name; QuantizationError, with names that are near, where there is none."""
    known = {"float": FLOAT, "fp16": HALF}
    if name in known:
        return known[name]
    match = NAME.fullmatch(name)
    if match is None:
        near = get_close_matches(name, EXAMPLES, 3) or EXAMPLES
        raise QuantizationError(f"there is no scheme {name!r}; there are: {', '.join(near)}")
    bits, grain, rest = match.groups()
    block = int(grain[1:]) if grain and grain[0] == "b" else 0
    if block and block not in BLOCKS:
        raise QuantizationError(f"{name}: a block has {', '.join(map(str, BLOCKS))} columns, not {block}")
    return Scheme(
        BITS[bits], ACTIVATIONS.get(rest, DType.FLOAT32), grain != "t", block, stored=rest == "-only"
    )
