"""The table of TensorFlow's Python functions by the names that Keras 2 saves, and how they are called.

A function's parameters have TensorFlow's own names: a file names all arguments but the first
(tf_keras/src/engine/node.py `serialize`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.keras.operations.promotion import is_tensor, tensor
from litecast.ir.builder import Builder
from litecast.ir.types import DType

__all__ = ["FUNCTIONS", "call", "find", "function", "positions", "raw", "same_type", "takes"]

Function = Callable[..., Any]
FUNCTIONS: dict[str, Function] = {}
"""Name without the namespaces in PLAIN -> function of (b, ...)."""
PLAIN = ("compat.v1.", "compat.v2.", "math.", "nn.", "linalg.", "dtypes.", "__operators__.")
"""Namespaces that do not tell functions apart, and older names of functions."""
RENAMED = {
    "keep_dims": "keepdims", "reduction_indices": "axis", "dim": "axis", "dimension": "axis",
    "squeeze_dims": "axis", "concat_dim": "axis", "split_dim": "axis", "box_ind": "box_indices",
    "seq_dim": "seq_axis", "batch_dim": "batch_axis", "preferred_dtype": "dtype_hint", "b": "b_",
    "tensor": "tensor_", "filter": "filters",
}  # fmt: skip
"""Arguments of TensorFlow 1 -> those of TensorFlow 2."""
HARMLESS = frozenset(
    {"name", "layout", "validate_indices", "optimize", "use_cudnn_on_gpu", "dtype_hint", "validate_shape",
     "grad_a", "grad_b", "a_is_sparse", "b_is_sparse", "var", "stable", "sorted", "seed",
     "preserve_gradients"}
)  # fmt: skip
"""Arguments that never change a result: kernels sort and are stable."""


def function(*names: str) -> Callable[[Function], Function]:
    """Register a function under the names that TensorFlow has for it."""

    def register(implementation: Function) -> Function:
        for name in names:
            if name in FUNCTIONS:
                raise TypeError(f"{name} has two functions")
            FUNCTIONS[name] = implementation
        return implementation

    return register


def find(name: str) -> Function | None:
    """Return the function of a saved name, None where there is none."""
    import litecast.frontend.keras.functions  # noqa: F401  (fills the table)

    if name in FUNCTIONS:
        return FUNCTIONS[name]
    for prefix in PLAIN:
        name = name.removeprefix(prefix)
    return FUNCTIONS.get(name)


def takes(name: str, argument: str) -> bool:
    """Whether the function of a saved name has an argument."""
    implementation = find(name)
    return implementation is not None and argument in inspect.signature(implementation).parameters


def call(b: Builder, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call the function of a saved name; UnsupportedError where it, or an argument, is not known."""
    implementation = find(name)
    if implementation is None:
        raise _unsupported(name, "Litecast does not know this function of TensorFlow")
    _, *expected = inspect.signature(implementation).parameters.values()
    parameters = {parameter.name: parameter for parameter in expected}
    given: dict[str, Any] = {}
    for key, value in kwargs.items():
        known = key if key in parameters else RENAMED.get(key, key)
        if known in parameters:
            given[known] = value if given.get(known) is None else given[known]
        elif not (value is None or key in HARMLESS or (isinstance(value, str) and not value)):
            raise _unsupported(name, f"its argument {key}={value!r} is not known")
    given = {
        key: value
        for key, value in given.items()
        if value is not None or parameters[key].default is parameters[key].empty
    }
    try:
        inspect.signature(implementation).bind(b, *args, **given)
    except TypeError as error:
        hint = "tf_keras loses operands of ==, != and of functions that take any number of them"
        raise _unsupported(name, f"its arguments do not fit ({error})", hint) from None
    return implementation(b, *args, **given)


def _unsupported(name: str, reason: str, hint: str = "") -> UnsupportedError:
    way_out = "use a Keras layer for it, or export the model (model.export) and convert the SavedModel"
    return UnsupportedError(Unsupported(f"tf.{name}", reason, hint=f"{hint}: {way_out}" if hint else way_out))


def same_type(b: Builder, *xs: Any) -> list[Any]:
    """Return operands as tensors: Python numbers and lists take the element type of the first tensor."""
    dtype = next((x.dtype for x in xs if is_tensor(x)), None)
    return [x if is_tensor(x) else tensor(b, x, dtype) for x in xs]


def raw(b: Builder, op: str, *operands: Any, **attributes: Any) -> Any:
    """Call the importer of one TensorFlow operation."""
    import litecast.frontend.tensorflow.ops  # noqa: F401  (fills the table)
    from litecast.frontend.tensorflow.importer import tf

    importer = tf.find(op)
    if importer is None:
        raise _unsupported(op, "Litecast has no importer for this TensorFlow operation")
    context = {"op": op, "tracer": None, "frame": None, "node": None}
    values = [tensor(b, operand) for operand in operands]
    return importer(b, values, attributes, lambda value: value, context)


def positions(b: Builder, x: Any) -> Any:
    """Return indices or sizes as INT32."""
    return tensor(b, x, DType.INT32)
