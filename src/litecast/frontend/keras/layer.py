"""The layer that an importer works for: its weights, sublayers, state, and what it tells the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.keras.config import LayerConfig, parse, policy_name
from litecast.frontend.keras.importer import Masked
from litecast.frontend.keras.state import State, Table
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType

if TYPE_CHECKING:
    from litecast.frontend.keras.tracer import Tracer

__all__ = ["Layer", "values_of"]

POLICY_DTYPES = {dtype.name.lower(): dtype for dtype in DType}
"""Element types by the names that policies and inputs give them."""


class Layer:
    """A layer of the model while it is traced.

    `path` names it in messages and in the file; `group` holds its variables, in Keras's order. Calling a
    layer runs its importer on values: `layer(b, x)`; `layer.masked(b, x)` also gives the masks.
    """

    def __init__(self, tracer: Tracer, info: LayerConfig, group: Any, parent: str = "") -> None:
        self.tracer, self.info, self.group = tracer, info, group
        self.path = f"{parent}/{info.name}" if parent else info.name

    @property
    def name(self) -> str:
        """The layer's own name."""
        return self.info.name

    @property
    def class_name(self) -> str:
        """The Keras class."""
        return self.info.class_name

    @property
    def config(self) -> Any:
        """The config, under Keras 3's names."""
        return self.info.config

    @property
    def trainable(self) -> bool:
        """The layer's flag: it decides where a legacy file keeps the weights."""
        return self.info.trainable

    @property
    def is_legacy(self) -> bool:
        """Whether Keras 2 or tf_keras wrote the model."""
        return self.tracer.is_legacy

    @property
    def policy(self) -> Any:
        """The dtype policy as the file has it: a name, a serialized policy, or None."""
        return self.config.get("dtype") or self.config.get("dtype_policy")

    @property
    def dtype(self) -> DType:
        """What the layer computes in: FLOAT32 for every float policy, else the policy's own type."""
        dtype = POLICY_DTYPES.get(policy_name(self.policy), DType.FLOAT32)
        return DType.FLOAT32 if dtype.is_float else dtype

    # -- variables -------------------------------------------------------------------------------------------

    def weight(
        self,
        b: Builder,
        name: str,
        shape: Sequence[Dim],
        *,
        trainable: bool = True,
        dtype: DType | None = None,
    ) -> Value:
        """Return a variable as a constant: floats as FLOAT32, others as they are (or as `dtype`).

        Variables are held by order: ask in the order of Keras's `layer.weights`. FormatError where the file
        has none or one of another shape.
        """
        sizes = tuple(dim for dim in shape if isinstance(dim, (int, np.integer)))
        if len(sizes) != len(shape):
            raise self.unsupported(
                f"the shape of its {name}, {list(shape)}, depends on a dimension that is not known",
                "fix the shape of the input",
            )
        array = self.group.weight(name, sizes, trainable)
        wanted = dtype or (DType.FLOAT32 if array.dtype.kind in "fV" else None)
        if wanted is not None and array.dtype != wanted.numpy:
            array = array.astype(wanted.numpy)
        return b.const(array, f"{self.path}/{name}")

    def scope(self, attribute: str) -> Layer:
        """Return this layer with the variables of a sublayer that it makes itself."""
        inner = Layer(self.tracer, self.info, self.group.child(attribute, self.trainable))
        inner.path = f"{self.path}/{attribute}"
        return inner

    def child(self, attribute: str, serialized: Any) -> Layer:
        """Return the sublayer that Keras keeps under an attribute, from its serialized config."""
        info = serialized if isinstance(serialized, LayerConfig) else parse(serialized)
        group = self.group.child(attribute, info.trainable)
        return self.tracer.layer(info, group, self.path)

    def stored(self, key: str) -> Any:
        """Return a variable by its key in the file, for layers that save their own; None where it is not."""
        return self.group.stored(key)

    def asset(self, filename: str) -> bytes | None:
        """Return a file that the archive keeps for this layer, None where there is none."""
        contents: bytes | None = self.group.asset(filename)
        return contents

    def state(self, b: Builder, name: str, shape: Sequence[Dim], initial: Any = None) -> State:
        """Return state that is kept between calls, FLOAT32; zeros at first unless `initial` is given."""
        if not all(isinstance(dim, int) for dim in shape):
            raise self.unsupported(
                f"it keeps state of shape {list(shape)} between calls, which needs known sizes",
                "fix them, as in --batch 1",
            )
        full = np.zeros([int(str(dim)) for dim in shape], np.float32) if initial is None else initial
        return self.tracer.state(f"{self.path}/{name}".replace("/", "_"), np.asarray(full, np.float32))

    def table(self, keys: Sequence[bytes], values: Sequence[int]) -> Table:
        """Return the layer's hash table from strings to numbers, filled before the model's first call."""
        return self.tracer.table(self.path, keys, values)

    # -- calls -----------------------------------------------------------------------------------------------

    def __call__(self, b: Builder, *args: Any, **kwargs: Any) -> Any:
        """Run the layer on values (or Masked ones) and return its values."""
        return values_of(self.masked(b, *args, **kwargs))

    def masked(self, b: Builder, *args: Any, **kwargs: Any) -> Any:
        """Run the layer and return its results, each Masked."""
        return self.tracer.call(b, self, args, kwargs)

    def takes(self, argument: str) -> bool:
        """Whether the layer's call has an argument of that name."""
        return argument in self.tracer.importer(self).contract.inputs

    def activate(self, b: Builder, spec: Any, x: Value) -> Value:
        """Apply an activation: a name, a serialized function or layer, None for none."""
        from litecast.frontend.keras.activations import activate

        result: Value = activate(b, spec, x, self)
        return result

    # -- messages --------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Tell the user something of this layer."""
        self.tracer.note(f"{self.class_name} {self.path}: {text}")

    def unsupported(self, reason: str, hint: str = "") -> UnsupportedError:
        """Return the error that says why this layer is not converted, and what to try."""
        return UnsupportedError(Unsupported(self.class_name, reason, self.path, hint))


def values_of(results: Any) -> Any:
    """Return a structure without its masks."""
    if isinstance(results, Masked):
        return results.value
    if isinstance(results, dict):
        return {key: values_of(item) for key, item in results.items()}
    if isinstance(results, (list, tuple)):
        return type(results)(values_of(item) for item in results)
    return results
