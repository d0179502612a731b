"""Importers of TensorFlow 1 control flow: a join traces its loop or decision, the rest hands its input on."""

from __future__ import annotations

from typing import Any

from litecast.frontend.tensorflow.functionalize import flow_of
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.topology import refused
from litecast.ir.builder import Builder


@tf("Merge", "RefMerge", "Exit", "RefExit")
def join(b: Builder, *operands: Any, tracer: Any, frame: Any, node: Any) -> list[Any]:
    """The result of a decision, or of a loop variable; the operands are what either takes from outside."""
    return flow_of(tracer, frame).trace(b, node, operands)


@tf("Switch", "RefSwitch")
def switch(b: Builder, x: Any, predicate: Any, *, tracer: Any, frame: Any) -> list[Any]:
    """The input, on both sides: TensorFlow fails where a side that is not taken reaches an output."""
    flow_of(tracer, frame)
    return [x, x]


@tf("NextIteration", "RefNextIteration", "LoopCond")
def hand_on(b: Builder, x: Any) -> Any:
    """Mark the next value of a loop variable, and the condition of a loop."""
    return x


@tf("Enter", "RefEnter", harmless=("frame_name",))
def enter(b: Builder, x: Any, *, node: Any) -> Any:
    """The start of a loop variable, needed outside of its loop: no graph of `tf.while_loop` does that."""
    raise refused(node, "it is needed outside of the loop that it enters")
