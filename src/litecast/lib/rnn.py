"""Recurrence: a step run along the time axis over plain tensors, so that every call of a model starts anew.

Sequences are time-major ([time, batch, ...]). What a step computes of its input alone (the projection by a
kernel) stays in the step: passes/hoist.py computes it for all steps before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, TensorType
from litecast.lib import array, math
from litecast.lib.control import while_loop
from litecast.lib.lists import TensorList
from litecast.ops import Add, Less

__all__ = ["probe", "scan", "swap_time", "zero_states"]

LONG, SHORT = 20 << 10, 16
"""From this many bytes of outputs (at batch 1) and this many steps on, two loops are faster than one."""

Turned = tuple[Any, Any, list[Value]]
"""Outputs, the last output (None: not asked for), and the states after."""
Step = Callable[[Builder, Value, list[Value]], tuple[Value, Sequence[Value]]]


def scan(
    b: Builder,
    step: Step,
    sequence: Value,
    states: Sequence[Value],
    *,
    mask: Value | None = None,
    zero_masked: bool = False,
    collect: bool = True,
    unroll: bool = False,
) -> tuple[Value, list[Value]]:
    """Run `output, states = step(b, sequence[t], states)` for every t; return outputs and last states.

    The outputs are stacked along axis 0; without `collect` it is the last one alone. `mask` (BOOL [time,
    batch, ...]): where it is false the states stay, and the output is the one before (zeros at first), or
    zeros if `zero_masked` (keras/src/backend/tensorflow/rnn.py). `unroll`: a copy of the step for each t, if
    their number is known.
    """
    steps = sequence.shape[0]
    if steps == 0:
        raise InferenceError("a recurrent layer needs at least one time step")
    types = [TensorType(sequence.dtype, sequence.shape[1:]), *(state.type for state in states)]
    output, after = probe(b, lambda inner, x, *now: step(inner, x, list(now)), types)
    if mask is not None:
        mask = _of_rank(b, mask, output.rank + 1)
    # Without a mask the last output is the last value of the state that it is.
    same = list(after).index(output) if mask is None and output in after else None
    looks_back = mask is not None and not zero_masked
    recurrence = _Recurrence(step, output.type, looks_back, zero_masked and not collect, collect, same)
    run = recurrence.unrolled if steps == 1 or (unroll and isinstance(steps, int)) else recurrence.looped
    outputs, now = run(b, sequence, mask, states)
    if mask is not None and zero_masked and collect:  # once, not in every turn
        outputs = math.select(b, mask, outputs, 0.0)
    return outputs, now


@dataclass(frozen=True)
class _Recurrence:
    """A step, the type of its output and the state that it is, and what is done with the outputs."""

    step: Step
    output: TensorType
    looks_back: bool
    zeroed: bool
    collect: bool
    same: int | None

    def turn(
        self, b: Builder, x: Value, keep: Value | None, before: Value | None, states: Sequence[Value]
    ) -> tuple[Value, list[Value]]:
        """Run the step, and undo it where `keep` is false."""
        output, after = self.step(b, x, list(states))
        if keep is None:
            return output, list(after)
        kept = [
            old if new is old else math.select(b, _of_rank(b, keep, new.rank), new, old)
            for new, old in zip(after, states, strict=True)
        ]
        if self.looks_back or self.zeroed:
            output = math.select(b, keep, output, before if self.looks_back else 0.0)
        return output, kept

    def zeros(self, b: Builder, *dims: Dim) -> Value:
        """Return outputs of zeros, stacked along axes of `dims`."""
        result: Value = array.zeros(b, (*dims, *(self.output.shape or ())), self.output.dtype)
        return result

    def unrolled(
        self, b: Builder, sequence: Value, mask: Value | None, states: Sequence[Value]
    ) -> tuple[Value, list[Value]]:
        """Run the step once for each of a known number of steps."""
        steps = array.unpack(b, sequence, 0)
        keeps = [None] * len(steps) if mask is None else array.unpack(b, mask, 0)
        outputs = [self.zeros(b)] if self.looks_back else []
        now = list(states)
        for x, keep in zip(steps, keeps, strict=True):
            output, now = self.turn(b, x, keep, outputs[-1] if outputs else None, now)
            outputs.append(output)
        return (array.pack(b, outputs[-len(steps) :], 0) if self.collect else outputs[-1]), now

    def looped(
        self, b: Builder, sequence: Value, mask: Value | None, states: Sequence[Value]
    ) -> tuple[Value, list[Value]]:
        """Run the step in a loop, which for long outputs is the turn of another."""
        steps = sequence.shape[0]
        wanted = self.looks_back or not (self.collect or self.same is not None)
        before = self.zeros(b) if wanted else None
        stacks: list[Value] = []
        now, done = list(states), 0
        rows: Any
        if isinstance(steps, int) and (part := self.part(steps)):
            done = steps // part * part
            rows, masks = (None if x is None else _parts(b, x, done, part) for x in (sequence, mask))
            stack, before, now = self.loop(b, self.part_by_part, rows, masks, (part,), before, now)
            stacks.append(array.reshape(b, stack, (done, *stack.shape[2:])))
        if done != steps:
            rows, masks = (None if x is None else _from(b, x, done) for x in (sequence, mask))
            stack, before, now = self.loop(b, self.one_by_one, rows, masks, (), before, now)
            stacks.append(stack)
        if self.collect:
            return array.concat(b, stacks, 0), now
        last: Any = before if self.same is None else now[self.same]
        return last, now

    def part(self, steps: int) -> int:
        """Return how many steps are one turn of the outer loop, 0 where one loop is better.

        The runtime copies the stack of outputs in every turn: of a part in the inner loop, all in the outer.
        """
        dims = [dim if isinstance(dim, int) else 1 for dim in (steps, *(self.output.shape or ()))]
        if not self.collect or steps < SHORT or 4 * int(np.prod(dims)) < LONG:
            return 0
        root = round(steps**0.5)
        divisors = [size for size in range(max(root // 2, 2), 2 * root) if steps % size == 0]
        return min(divisors, key=lambda size: abs(size - root), default=root)

    def one_by_one(
        self, b: Builder, x: Value, keep: Value | None, before: Value | None, states: Sequence[Value]
    ) -> Turned:
        """Run one step."""
        output, after = self.turn(b, x, keep, before, states)
        return output, None if before is None else output, after

    def part_by_part(
        self, b: Builder, rows: Value, masks: Value | None, before: Value | None, states: Sequence[Value]
    ) -> Turned:
        """Run the steps of one part."""
        return self.loop(b, self.one_by_one, rows, masks, (), before, states)

    def loop(
        self,
        b: Builder,
        turn: Callable[..., Turned],
        rows: Value,
        masks: Value | None,
        dims: tuple[int, ...],
        before: Value | None,
        states: Sequence[Value],
    ) -> Turned:
        """Run `turn` on every row; each gives outputs stacked along axes of `dims`."""
        length = rows.shape[0]
        stack = TensorList.of(self.zeros(b, length, *dims)) if self.collect else None

        def cond(inner: Builder, index: Value, limit: Value, *_: Any) -> list[Value]:
            return [inner(Less(), index, limit)]

        def body(
            inner: Builder, index: Value, limit: Value, rows: Value, masks: Any, stack: Any, *now: Any
        ) -> list[Any]:
            x, keep = (None if x is None else array.gather(inner, x, index, 0) for x in (rows, masks))
            output, before, after = turn(inner, x, keep, now[0], now[1:])
            if stack is not None:
                stack = stack.set(inner, index, output)
            return [inner(Add(), index, 1), limit, rows, masks, stack, before, *after]

        start = [b.const(0), b.dim(length), rows, masks, stack, before, *states]
        _, _, _, _, stack, before, *now = while_loop(b, start, cond, body)
        return (None if stack is None else stack.stack(b)), before, now


def probe(b: Builder, function: Callable[..., Any], types: Sequence[TensorType]) -> Any:
    """Run `function(b, *values)` on values of the given types, in a graph that is thrown away.

    Of the values that it returns only types and identity may be used.
    """
    inner = b.subgraph("probe", types)
    results = function(inner, *inner.graph.inputs)
    for node in inner.graph.nodes:
        node.detach()
    return results


def zero_states(b: Builder, x: Value, *sizes: Dim) -> list[Value]:
    """Return a state of zeros [batch, size] per size, for a cell whose input is x [batch, ...]."""
    return [array.zeros(b, (x.shape[0], size), DType.FLOAT32) for size in sizes]


def swap_time(b: Builder, x: Value) -> Value:
    """Return x with batch and time, its first two axes, exchanged."""
    result: Value = array.transpose(b, x, (1, 0, *range(2, x.rank)))
    return result


def _parts(b: Builder, x: Value, steps: int, part: int) -> Value:
    """Return the first steps of a sequence in parts of equal length."""
    first = array.slice(b, x, [0] * x.rank, [steps, *[-1] * (x.rank - 1)])
    result: Value = array.reshape(b, first, (steps // part, part, *x.shape[1:]))
    return result


def _from(b: Builder, x: Value, start: int) -> Value:
    """Return what follows the first steps of a sequence."""
    result: Value = array.slice(b, x, [start, *[0] * (x.rank - 1)], [-1] * x.rank) if start else x
    return result


def _of_rank(b: Builder, x: Value, rank: int) -> Value:
    """Return x with axes of 1 appended, or without those that are too many."""
    while x.rank < rank:
        x = array.expand_dims(b, x, x.rank)
    while x.rank > rank:
        x = array.squeeze(b, x, [-1])
    return x
