"""Recurrence: a step run along the time axis over plain tensors, so that every call of a model starts anew.

Sequences are time-major ([time, batch, ...]). What a step computes of its input alone (the projection by a
kernel) stays in the step: passes/hoist.py computes it for all steps before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, TensorType
from litecast.lib import array, math
from litecast.lib.control import while_loop
from litecast.lib.lists import TensorList
from litecast.ops import Add, Less

__all__ = ["probe", "scan", "swap_time", "zero_states"]

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
    batch]): where it is false the states stay, and the output is the one before (zeros at first), or zeros
    if `zero_masked` (keras/src/backend/tensorflow/rnn.py). `unroll`: a copy of the step for each t, if their
    number is known.
    """
    steps = sequence.shape[0]
    if steps == 0:
        raise InferenceError("a recurrent layer needs at least one time step")
    types = [TensorType(sequence.dtype, sequence.shape[1:]), *(state.type for state in states)]
    output, after = probe(b, lambda inner, x, *now: step(inner, x, list(now)), types)
    if mask is not None:
        mask = _of_rank(b, mask, output.rank + 1)
    recurrence = _Recurrence(step, output.type, mask is not None and not zero_masked, collect)
    if steps == 1 or (unroll and isinstance(steps, int)):
        return recurrence.unrolled(b, sequence, mask, states)
    # Without a mask the last output is the last value of the state that it is.
    last = list(after).index(output) if mask is None and output in after else None
    return recurrence.looped(b, sequence, mask, states, last)


@dataclass(frozen=True)
class _Recurrence:
    """A step, the type of its output, and what is done with the outputs."""

    step: Step
    output: TensorType
    looks_back: bool
    collect: bool

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
        return math.select(b, keep, output, before if self.looks_back else 0.0), kept

    def zeros(self, b: Builder) -> Value:
        """Return the output before the first."""
        result: Value = array.zeros(b, self.output.shape or (), self.output.dtype)
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
        self, b: Builder, sequence: Value, mask: Value | None, states: Sequence[Value], last: int | None
    ) -> tuple[Value, list[Value]]:
        """Run the step in a loop; `last` is the state that the output is."""
        length = sequence.shape[0]
        stack = before = None
        if self.collect:
            stack = TensorList.of(array.zeros(b, (length, *(self.output.shape or ())), self.output.dtype))
        if self.looks_back or not (self.collect or last is not None):
            before = self.zeros(b)

        def cond(inner: Builder, index: Value, limit: Value, *_: Any) -> list[Value]:
            return [inner(Less(), index, limit)]

        def body(
            inner: Builder,
            index: Value,
            limit: Value,
            rows: Value,
            masks: Any,
            stack: Any,
            before: Any,
            *now: Value,
        ) -> list[Any]:
            x = array.gather(inner, rows, index, 0)
            keep = None if masks is None else array.gather(inner, masks, index, 0)
            output, after = self.turn(inner, x, keep, before, now)
            if stack is not None:
                stack = stack.set(inner, index, output)
            before = None if before is None else output
            return [inner(Add(), index, 1), limit, rows, masks, stack, before, *after]

        start = [b.const(0), b.dim(length), sequence, mask, stack, before, *states]
        _, _, _, _, stack, before, *now = while_loop(b, start, cond, body)
        if stack is not None:
            return stack.stack(b), now
        return (now[last] if last is not None else before), now


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


def _of_rank(b: Builder, x: Value, rank: int) -> Value:
    """Return x with axes of 1 appended, or without those that are too many."""
    while x.rank < rank:
        x = array.expand_dims(b, x, x.rank)
    while x.rank > rank:
        x = array.squeeze(b, x, [-1])
    return x
