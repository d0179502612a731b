"""Constants whose values lie in another file (ExternalBuffer of the schema)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from litecast.errors import FormatError
from litecast.ir.graph import Lazy
from litecast.ir.op import Array
from litecast.ir.types import DType
from litecast.tflite.buffers import decode

__all__ = ["External"]


class External(Lazy):
    """A constant in the file that `group` names, beside the model; opened when its values are asked for."""

    __slots__ = ("group", "length", "model", "offset", "packing")

    def __init__(
        self,
        model: str,
        group: str,
        offset: int,
        length: int,
        packing: str,
        dtype: DType,
        shape: tuple[int, ...],
    ) -> None:
        super().__init__(dtype, shape, self._load)
        self.model, self.group, self.offset, self.length, self.packing = model, group, offset, length, packing

    def _load(self) -> Array:
        path = Path(self.model).parent / self.group
        if self.packing:
            raise FormatError(path, f"external buffers packed as {self.packing} cannot be read")
        if not path.is_file():
            raise FormatError(path, f"the file with weights of {self.model} is missing")
        if self.offset + self.length > path.stat().st_size:
            raise FormatError(path, f"{self.length} bytes at {self.offset} lie outside the file")
        try:
            return decode(np.memmap(path, np.uint8, "r", self.offset, (self.length,)), self.dtype, self.shape)
        except ValueError as error:
            raise FormatError(path, str(error)) from error
