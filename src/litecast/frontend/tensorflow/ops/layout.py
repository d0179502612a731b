"""TensorFlow's data_format: attributes become spatial ones, channels-first tensors channels-last ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array
from litecast.lib.windows import Spec

__all__ = ["Layout"]

FORMATS = ("NHWC", "NCHW", "NDHWC", "NCDHW")


@dataclass(frozen=True)
class Layout:
    """Where the axes of an operation's tensors lie. `op` is the operation, for messages."""

    op: str
    data_format: str

    def __post_init__(self) -> None:
        if self.data_format not in FORMATS:
            raise UnsupportedError(
                Unsupported(self.op, f"data_format {self.data_format} has no lowering", hint="use NHWC")
            )

    @property
    def channels_first(self) -> bool:
        """Whether channels are axis 1."""
        return self.data_format[1] == "C"

    @property
    def channel_axis(self) -> int:
        """The axis of the channels."""
        return self.data_format.index("C")

    def spatial(self, values: Sequence[int], what: str) -> list[int]:
        """Return the spatial entries of an attribute over all axes (or its only one); others must be 1."""
        if len(values) == 1:
            return [int(values[0])] * (len(self.data_format) - 2)
        others = [values[axis] for axis, letter in enumerate(self.data_format) if letter in "NC"]
        if any(value != 1 for value in others):
            reason = f"{what} {list(values)} over batch or channels"
            raise UnsupportedError(Unsupported(self.op, reason, hint="use 1 for both"))
        return [
            int(value) for value, letter in zip(values, self.data_format, strict=True) if letter not in "NC"
        ]

    def padding(self, padding: str, explicit: Sequence[int]) -> Spec:
        """Return SAME, VALID, or the spatial pairs of EXPLICIT padding."""
        if padding != "EXPLICIT":
            return padding
        pairs = list(zip(explicit[::2], explicit[1::2], strict=True))
        if any(pairs[axis] != (0, 0) for axis, letter in enumerate(self.data_format) if letter in "NC"):
            raise UnsupportedError(
                Unsupported(self.op, f"explicit_paddings {list(explicit)} over batch or channels")
            )
        return [pair for pair, letter in zip(pairs, self.data_format, strict=True) if letter not in "NC"]

    def windows(
        self, strides: Sequence[int], padding: str, dilations: Sequence[int], explicit: Sequence[int] = ()
    ) -> tuple[list[int], Spec, list[int]]:
        """Return spatial strides, padding and dilations."""
        return (
            self.spatial(strides, "strides"),
            self.padding(padding, explicit),
            self.spatial(dilations, "dilations"),
        )

    def to_last(self, b: Builder, x: Value) -> Value:
        """Return a tensor of this layout channels-last."""
        if not self.channels_first:
            return x
        result: Value = array.transpose(b, x, (0, *range(2, len(self.data_format)), 1))
        return result

    def from_last(self, b: Builder, x: Value) -> Value:
        """Return a channels-last tensor in this layout."""
        if not self.channels_first:
            return x
        rank = len(self.data_format)
        result: Value = array.transpose(b, x, (0, rank - 1, *range(1, rank - 1)))
        return result

    def sizes_to_last(self, b: Builder, sizes: Value) -> Value:
        """Return a shape vector of this layout channels-last."""
        if not self.channels_first:
            return sizes
        rank = len(self.data_format)
        result: Value = array.gather(b, sizes, b.const([0, *range(2, rank), 1]), 0)
        return result
