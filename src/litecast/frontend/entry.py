"""The inputs of a signature: their types, from what the source declares and what the user fixes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from litecast.errors import ConvertError
from litecast.ir.types import Dim, DType, Sym, TensorType

__all__ = ["check_names", "check_sizes", "input_type"]

LARGEST = (1 << 31) - 1
"""Size of a dimension: the file has 32-bit numbers."""


def check_sizes(shapes: Mapping[str, Sequence[int | None]], batch: int | None) -> None:
    """Raise ConvertError for sizes that no dimension can have."""
    sizes = [(f"input {name}", dim) for name, dims in shapes.items() for dim in dims if dim not in (None, -1)]
    for what, size in [*sizes, *([] if batch is None else [("the batch", batch)])]:
        if not isinstance(size, (int, np.integer)) or not 0 < size <= LARGEST:
            raise ConvertError(
                f"{what} is given the size {size!r}: a size is a whole number from 1 to {LARGEST}"
            )


def check_names(names: Iterable[str], shapes: Mapping[str, Any]) -> None:
    """Raise ConvertError for a shape that is given for no input."""
    known = set(names)
    for name in shapes:
        if name not in known:
            raise ConvertError(
                f"a shape is given for {name!r}, which is no input; "
                f"the inputs are: {', '.join(sorted(known))}"
            )


def input_type(
    name: str,
    dtype: DType,
    own: Sequence[int] | None,
    fixed: Sequence[int | None] | None,
    batch: int | None,
) -> TensorType:
    """Return an input's type: `own` is the source's shape (-1: unknown dimension, None: unknown rank).

    `fixed` takes its place where it fits (None or -1: still unknown), `batch` that of an unknown dimension 0.
    """
    declared = own if fixed is None else tuple(-1 if dim is None else int(dim) for dim in fixed)
    if declared is None:
        raise ConvertError(
            f"input {name} has no known rank: give its shape, as in --shape {name}=1,224,224,3"
        )
    if own is not None:
        misfit = len(own) != len(declared) or any(
            theirs not in (-1, ours) for theirs, ours in zip(own, declared, strict=True) if theirs != -1
        )
        if misfit:
            raise ConvertError(f"input {name} has shape {_shown(own)}, which {_shown(declared)} does not fit")
    dims: list[Dim] = [Sym(f"{name}_{axis}") if dim < 0 else dim for axis, dim in enumerate(declared)]
    if batch is not None and dims and isinstance(dims[0], Sym):
        dims[0] = int(batch)
    return TensorType(dtype, tuple(dims))


def _shown(shape: Sequence[int]) -> str:
    return "[" + ",".join("?" if dim < 0 else str(dim) for dim in shape) + "]"
