"""keras.ops that no released Keras runs as nodes, and the promotion of types, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.errors import InferenceError
from litecast.frontend.keras import operations as package
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.promotion import kind_of, result_type, tensor
from litecast.ir.builder import Builder
from litecast.ir.types import DType, TensorType
from tests.lib.running import run

X = np.random.default_rng(1).standard_normal((2, 3, 3)).astype(np.float32)
GRID = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)


def one(build: Any, *inputs: Any) -> Any:
    """Run a graph of one result."""
    (result,) = run(build, *inputs)
    return result


def importer_of(name: str) -> Any:
    assert package.__all__  # the table is filled
    found = operations.find(name)
    assert found is not None
    return found.function


def evaluated(name: str, *inputs: Any, **options: Any) -> Any:
    """Trace one operation on inputs of the graph and run it."""
    return one(lambda b, *values: importer_of(name)(b, *values, **options), *inputs)


def test_powers_of_matrices() -> None:
    for power in (1, 2, 3, 5):
        np.testing.assert_allclose(
            evaluated("MatrixPower", X, n=power), np.linalg.matrix_power(X, power), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(evaluated("MatrixPower", X, n=0), np.broadcast_to(np.eye(3), X.shape))


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_patches_come_together_again(form: str) -> None:
    images = GRID if form == "channels_last" else np.moveaxis(GRID, -1, 1)
    patches = evaluated("ExtractPatches", images, size=(2, 3), data_format=form)
    back = evaluated("ReconstructPatches", patches, size=(2, 3), output_size=(4, 6), data_format=form)
    np.testing.assert_array_equal(back, images)


def test_patches_with_padding_come_together_again() -> None:
    patches = evaluated("ExtractPatches", GRID, size=(3, 4), padding="same")
    back = evaluated("ReconstructPatches", patches, size=(3, 4), output_size=(4, 6), padding="same")
    np.testing.assert_array_equal(back, GRID)


def test_columns() -> None:
    column, matrix = X[0, 0], X[0]
    found = one(lambda b, *values: importer_of("ColumnStack")(b, list(values)), column, matrix)
    np.testing.assert_array_equal(found, np.column_stack([column, matrix]))


def test_complex_views() -> None:
    def back_and_forth(b: Builder, x: Any) -> Any:
        pair = importer_of("ViewAsComplex")(b, x)
        return importer_of("ViewAsReal")(b, pair)

    pairs = X[..., :2].copy()
    np.testing.assert_array_equal(one(back_and_forth, pairs), pairs)

    def polar(b: Builder, size: Any, angle: Any) -> Any:
        return importer_of("ViewAsReal")(b, importer_of("Polar")(b, size, angle))

    found = one(polar, X[0], X[1])
    expected = X[0] * np.exp(1j * X[1])
    np.testing.assert_allclose(found[..., 0] + 1j * found[..., 1], expected, rtol=1e-5, atol=1e-6)


def test_ranges() -> None:
    np.testing.assert_array_equal(evaluated("Arange", np.int32(2), stop=9, step=3), [2, 5, 8])
    np.testing.assert_array_equal(
        evaluated("Arange", np.int32(3), dtype="float32"), np.arange(3, dtype=np.float32)
    )


PROMOTED = (
    (("int32", "float32"), "float32"), (("int64", "float32"), "float32"), (("int32", int), "int32"),
    (("int8", float), "float32"), (("float16", float), "float16"), (("bfloat16", "float16"), "float32"),
    (("bool", int), "int32"), (("bool", "bool"), "bool"), (("uint8", "int8"), "int16"),
    (("uint32", "int32"), "int64"), (("int64", float), "float32"), ((int, float), "float32"),
    (("float32", "float64"), "float64"), (("float32", "complex64"), "complex64"), ((int,), "int32"),
)  # fmt: skip


@pytest.mark.parametrize(("kinds", "expected"), PROMOTED)
def test_promotion(kinds: tuple[Any, ...], expected: str) -> None:
    named = [kind if isinstance(kind, type) else DType[kind.upper()] for kind in kinds]
    assert result_type(*named) is DType[expected.upper()]


def test_what_is_not_promoted() -> None:
    with pytest.raises(InferenceError, match="promotes no"):
        result_type(DType.FLOAT8_E5M2, DType.FLOAT32)


def test_kinds_of_operands() -> None:
    assert (kind_of(1), kind_of(1.5), kind_of(True)) == (int, float, DType.BOOL)
    assert (kind_of(1, weak=False), kind_of([1.0, 2])) == (DType.INT32, DType.FLOAT32)
    assert kind_of(np.zeros(2)) is DType.FLOAT64


def test_lists_of_tensors_and_numbers_are_stacked() -> None:
    found = one(lambda b, x: tensor(b, [x, 2.0]), np.float32(1))
    np.testing.assert_array_equal(found, [1, 2])
    assert TensorType(DType.FLOAT32, (2,)).size == len(found)
