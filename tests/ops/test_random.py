"""Random numbers: their types and versions, that seeds fix them, and that they are TensorFlow's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.graph import Value
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops import (
    Multinomial,
    RandomStandardNormal,
    RandomUniform,
    RngAlgorithm,
    StablehloRngBitGenerator,
)
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write
from tests.ops.cases import Built, case, check, check_file, check_text, const, f32, given, run

U64 = TensorType(DType.UINT64, (3, 2))


def state(*words: int) -> Any:
    return const(np.array(words, np.uint64))


ROWS = [
    case(RandomUniform(1, 2), const([3, 4]), out="f32[3,4]"),
    case(RandomStandardNormal(1, 2), const([3, 4]), out="f32[3,4]"),
    case(Multinomial(1, 2), f32("n", 5), const(7), out="i64[n,7]"),
    case(Multinomial(1, 2, DType.INT32), f32("n", 5), const(7), out="i32[n,7]"),
    case(StablehloRngBitGenerator(RngAlgorithm.PHILOX, U64), state(1, 2, 3), out="u64[3] u64[3,2]"),
    case(
        StablehloRngBitGenerator(RngAlgorithm.THREEFRY, TensorType(DType.INT32, (5,))),
        state(1, 2),
        out="u64[2] i32[5]",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Any) -> None:
    check(row)
    check_text(row)
    check_file(row)


@pytest.mark.parametrize("op", [RandomUniform, RandomStandardNormal])
def test_runs_go_on_in_one_sequence(op: Any) -> None:
    built = Built(case(op(3, 4), const([50]), out=""))
    content = write(built.close())
    first, second = Runtime(content), Runtime(content)
    (one,), (other,) = first.run([]).values(), second.run([]).values()
    np.testing.assert_array_equal(one, other)
    assert len(np.unique(one)) == 50


def test_without_seeds_models_differ() -> None:
    content = write(Built(case(RandomUniform(), const([50]), out="")).close())
    (one,), (other,) = Runtime(content).run([]).values(), Runtime(content).run([]).values()
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("op", [RandomUniform, RandomStandardNormal])
def test_numbers_are_those_of_tensorflow(op: Any) -> None:
    tf = pytest.importorskip("tensorflow")
    expected = getattr(tf.raw_ops, op.__name__)(shape=[3, 5], dtype=tf.float32, seed=3, seed2=4).numpy()
    (actual,) = run(case(op(3, 4), const([3, 5]), out=""))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_classes_follow_the_logits() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.0001, 0.0001, 0.9998]], np.float32))
    (drawn,) = run(case(Multinomial(1, 2), given(logits), const(2000), out=""))
    shares = [np.bincount(row, minlength=3) / 2000 for row in drawn]
    np.testing.assert_allclose(shares, np.exp(logits), atol=0.05)


def value(*shape: Any, dtype: DType = DType.FLOAT32) -> Value:
    return Value(TensorType(dtype, shape))


def test_shapes_that_are_not_known() -> None:
    assert RandomUniform().infer(value(Sym("n"), dtype=DType.INT32)).shape is None
    shape = RandomUniform().infer(value(2, dtype=DType.INT32)).shape
    assert isinstance(shape[0], Sym)
    assert shape[0] != shape[1]


WRONG = [
    (RandomUniform(), (value(2, dtype=DType.INT64),), "must be INT32"),
    (Multinomial(), (value(2), value(dtype=DType.INT32)), "rank 2"),
    (Multinomial(dtype=DType.INT8), (value(2, 3), value(dtype=DType.INT32)), "INT32 or INT64"),
    (StablehloRngBitGenerator(), (value(2, dtype=DType.UINT64),), "needs the type"),
    (
        StablehloRngBitGenerator(type=TensorType(DType.INT8, (2,))),
        (value(2, dtype=DType.UINT64),),
        "32 or 64 bits",
    ),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)


def test_generators_have_an_effect() -> None:
    assert RandomUniform().effect == RandomStandardNormal().effect == Multinomial().effect == "write"
    assert StablehloRngBitGenerator(type=U64).effect == "pure"
