"""The Fourier transform: rows, and LiteRT against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.graph import Value
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops import Rfft2d
from tests.ops.cases import Built, case, check, check_file, check_text, const, f32, run

ROWS = [
    case(Rfft2d(), f32("n", 1, 8), const([1, 8]), out="c64[n,1,5]", tolerance=1e-6),
    case(Rfft2d(), f32("n", 3, "m", 16), const([4, 16]), out="c64[n,3,4,9]", tolerance=1e-6),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Any) -> None:
    check(row)
    check_text(row)
    check_file(row)


LENGTHS = [(1, 2), (1, 4), (1, 16), (1, 256), (2, 2), (4, 8), (16, 4), (8, 2)]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("shape", [(1, 16), (3, 5), (2, 3, 8, 16), (1, 1)])
def test_input_is_cropped_or_padded_to_the_length(shape: Any, length: Any) -> None:
    row = case(Rfft2d(), f32(*shape), const(list(length)), out="")
    built = Built(row)
    (actual,) = run(row)
    expected = np.fft.rfft2(built.feeds[0].astype(np.float64), length)
    assert built.types[0].shape == expected.shape == actual.shape
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def test_what_does_not_fit() -> None:
    x = Value(TensorType(DType.FLOAT32, (1, 12)))
    length = Value(TensorType(DType.INT32, (2,)), const=np.array([1, 12], np.int32))
    with pytest.raises(ValueError, match="power of two, not 12"):
        Rfft2d().infer(x, length)
    column = Value(TensorType(DType.INT32, (2,)), const=np.array([4, 1], np.int32))
    with pytest.raises(ValueError, match="one column"):
        Rfft2d().infer(x, column)
    with pytest.raises(ValueError, match="rank 2"):
        Rfft2d().infer(Value(TensorType(DType.FLOAT32, (12,))), Value(TensorType(DType.INT32, (2,))))
    unknown = Rfft2d().infer(x, Value(TensorType(DType.INT32, (2,)))).shape
    assert all(isinstance(dim, Sym) for dim in unknown)
