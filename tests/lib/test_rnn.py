"""A step run over time, against the same recurrence in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType, TensorType
from litecast.lib import rnn
from litecast.ops import Add, Mul
from tests.lib.running import run

RNG = np.random.default_rng(0)
DECAY, START = 0.5, 3.0


def step(b: Builder, x: Value, states: list[Value]) -> tuple[Value, Sequence[Value]]:
    """s = s / 2 + x, and the output is 2 s: not a state."""
    (state,) = states
    after = b(Add(), b(Mul(), state, DECAY), x)
    return b(Mul(), after, 2.0), [after]


def state_step(b: Builder, x: Value, states: list[Value]) -> tuple[Value, Sequence[Value]]:
    """The same with the state as output."""
    _, after = step(b, x, states)
    return after[0], after


def reference(
    x: np.ndarray, mask: np.ndarray | None, zeros: bool, factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of all steps, and the last state."""
    state, output, outputs = np.full(x.shape[1:], START, np.float32), np.zeros(x.shape[1:], np.float32), []
    for index, row in enumerate(x):
        keep = np.ones((x.shape[1], 1), bool) if mask is None else mask[index].reshape(-1, 1)
        after = state * np.float32(DECAY) + row
        output = np.where(keep, after * np.float32(factor), 0 if zeros else output)
        state = np.where(keep, after, state)
        outputs.append(output)
    return np.stack(outputs), state


CASES: dict[str, dict[str, Any]] = {
    "all": {},
    "last": {"collect": False},
    "unrolled": {"unroll": True},
    "unrolled last": {"unroll": True, "collect": False},
    "zeros": {"zero_masked": True},
    "zeros of the last": {"zero_masked": True, "collect": False},
    "zeros unrolled": {"zero_masked": True, "unroll": True},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("of_state", [False, True])
def test_scan(options: dict[str, Any], masked: bool, steps: int, of_state: bool) -> None:
    x = RNG.standard_normal((steps, 2, 3)).astype(np.float32)
    mask = RNG.random((steps, 2)) < 0.5

    def build(b: Builder, x: Value, *masks: Value) -> Any:
        start = b.const(np.full((2, 3), START, np.float32))
        given = masks[0] if masks else None
        outputs, states = rnn.scan(b, state_step if of_state else step, x, [start], mask=given, **options)
        return [outputs, *states]

    got, state = run(build, x, *([mask] if masked else []))
    zeros = options.get("zero_masked", False)
    wanted, last = reference(x, mask if masked else None, zeros, 1 if of_state else 2)
    np.testing.assert_allclose(got, wanted if options.get("collect", True) else wanted[-1], rtol=1e-5)
    np.testing.assert_allclose(state, last, rtol=1e-5)


@pytest.mark.parametrize("zero_masked", [False, True])
@pytest.mark.parametrize("steps", [96, 97])
def test_long_sequences(steps: int, zero_masked: bool) -> None:
    x = RNG.standard_normal((steps, 2, 64)).astype(np.float32)
    mask = RNG.random((steps, 2)) < 0.5

    def build(b: Builder, x: Value, mask: Value) -> Any:
        start = b.const(np.full((2, 64), START, np.float32))
        outputs, states = rnn.scan(b, step, x, [start], mask=mask, zero_masked=zero_masked)
        loops = [node for node in b.graph.nodes if node.op.name == "While"]
        inner = [node for node in loops[0].op.body_subgraph_index.nodes if node.op.name == "While"]
        assert len(inner) == 1
        return [outputs, *states]

    got, state = run(build, x, mask)
    wanted, last = reference(x, mask, zero_masked, 2)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state, last, rtol=1e-5, atol=1e-6)


def test_unknown_number_of_steps() -> None:
    x = RNG.standard_normal((4, 2, 3)).astype(np.float32)

    def build(b: Builder, x: Value) -> Any:
        start = rnn.zero_states(b, rnn.swap_time(b, x), x.shape[2])
        outputs, states = rnn.scan(b, step, x, start)
        return [outputs, *states]

    got, state = run(build, x, unknown=True)
    np.testing.assert_allclose(
        state, sum(row * DECAY ** (3 - index) for index, row in enumerate(x)), rtol=1e-5
    )
    np.testing.assert_allclose(got[-1], 2 * state, rtol=1e-5)


def test_a_sequence_without_steps_is_refused() -> None:
    b = Builder(Graph("main"))
    x = b.add_input(TensorType(DType.FLOAT32, (0, 2, 3)), "x")
    with pytest.raises(InferenceError, match="one time step"):
        rnn.scan(b, step, x, [b.const(np.zeros((2, 3), np.float32))])
