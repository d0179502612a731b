"""Importers of constants, identities, calls, branches and loops: they shape a graph rather than compute."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import control
from litecast.lib.complex import as_complex
from litecast.ops import Equal, NotEqual


@tf("Const")
def const(b: Builder, *, value: np.ndarray, dtype: DType) -> Any:
    """A constant tensor (complex ones become pairs)."""
    tensor = b.const(value)
    return as_complex(b, tensor) if tensor.dtype.is_complex else tensor


@tf("Identity", "Snapshot", "StopGradient", "PreventGradient", "CheckNumerics", "CheckNumericsV2",
    "PlaceholderWithDefault",
    harmless=("message", "shape", "dtype"))  # fmt: skip
def identity(b: Builder, x: Any) -> Any:
    """Operations that hand their input on."""
    return x


@tf("IdentityN")
def identity_n(b: Builder, *xs: Any) -> list[Any]:
    """Hand all inputs on."""
    return list(xs)


@tf("NoOp", "ControlTrigger")
def no_op(b: Builder) -> None:
    """Exists for its control edges only."""


@tf("Placeholder")
def placeholder(b: Builder, *, node: Any, dtype: DType, shape: Any = None) -> Any:
    """A placeholder that is not an input of the signature: nothing feeds it."""
    raise UnsupportedError(
        Unsupported(
            "Placeholder",
            f"{node.name} feeds the outputs but is not an input of the signature",
            hint="export a signature that names it as an input",
        )
    )


@tf("PartitionedCall", "StatefulPartitionedCall")
def partitioned_call(b: Builder, *xs: Any, f: Any) -> list[Any]:
    """Call a function of the library: traced inline."""
    return list(f(b, *xs))


@tf("If", "StatelessIf", harmless=("output_shapes",))
def if_(b: Builder, cond: Value, *xs: Any, then_branch: Any, else_branch: Any) -> list[Any]:
    """One of two functions, by a scalar."""
    return control.branch(b, _truth(b, cond), then_branch, else_branch, xs)


@tf("Case", "StatelessCase", harmless=("output_shapes",))
def case(b: Builder, index: Value, *xs: Any, branches: list[Any]) -> list[Any]:
    """One of several functions, by an index; any index out of range takes the last (TensorFlow's rule)."""
    *chosen, last = branches
    if index.is_const:
        number = int(index.array())
        return list((branches[number] if 0 <= number < len(branches) else last)(b, *xs))
    if not chosen:
        return list(last(b, *xs))
    return _cases(b, index, 0, chosen, last, xs)


def _cases(
    b: Builder, index: Value, number: int, branches: list[Any], last: Any, xs: tuple[Any, ...]
) -> list[Any]:
    if number == len(branches):
        return list(last(b, *xs))
    test = b(Equal(), index, np.int32(number))

    def otherwise(inner: Builder, inner_index: Value, *operands: Any) -> list[Any]:
        return _cases(inner, inner_index, number + 1, branches, last, operands)

    def then(inner: Builder, _: Value, *operands: Any) -> list[Any]:
        return list(branches[number](inner, *operands))

    return control.branch(b, test, then, otherwise, [index, *xs])


@tf("While", "StatelessWhile", harmless=("output_shapes",))
def while_(b: Builder, *xs: Any, cond: Any, body: Any) -> list[Any]:
    """A loop over functions of the library."""

    def test(inner: Builder, *state: Any) -> list[Value]:
        return [_truth(inner, cond(inner, *state)[0])]

    return control.while_loop(b, xs, test, body, body.handed_on())


def _truth(b: Builder, x: Value) -> Value:
    """Return a scalar condition as BOOL: a number is true where it is not zero."""
    if x.rank:
        raise UnsupportedError(
            Unsupported("If/While", "a condition that is not a scalar", hint="reduce it to one value")
        )
    if x.dtype is DType.BOOL:
        return x
    result: Value = b(NotEqual(), x, np.zeros((), x.dtype.numpy))
    return result


@tf("ToBool")
def to_bool(b: Builder, x: Value) -> Value:
    """Whether a scalar is not zero, or a tensor of rank above 0 not empty."""
    if x.rank == 0:
        return _truth(b, x)
    if isinstance(x.type.size, int):
        return b.const(np.bool_(x.type.size > 0))
    result: Value = b(NotEqual(), b.dim(x.type.size), np.int32(0))
    return result
