"""The tables of Keras importers: `keras` by layer class, `operations` by the class of a `keras.ops` node.

Positional parameters after `b` are the arguments of the layer's `call`, keyword parameters its config, under
Keras 3's names, and what an importer asks of the context: `layer`, `mask` (of the first argument) and
`{argument}_mask`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.importers import Importer, Importers

__all__ = ["LayerImporter", "Masked", "OperationImporter", "keras", "operations"]

HARMLESS = """
name trainable dtype dtype_policy autocast batch_shape batch_input_shape input_shape input_dtype sparse ragged
seed implementation lora_rank lora_alpha
"""
"""Config keys that never change what a built layer computes in inference."""
HARMLESS_ENDINGS = ("_initializer", "_regularizer", "_constraint")
"""What a key that only training looks at ends with."""


@dataclass(frozen=True)
class Masked:
    """A tensor and the mask that Keras would attach to it (None: no mask)."""

    value: Any
    mask: Any = None


@dataclass
class LayerImporter(Importer):
    """The importer of a layer.

    `masking`: "pass" hands the first argument's mask on (`supports_masking`, default `compute_mask`), "drop"
    does not; a result that is Masked has its own. `training_only`: an identity in inference, to be listed.
    `refused`: why this class is never converted (its importer raises), for the table of layers.
    `autocast`: float arguments are converted to what the layer computes in.
    `takes_masks`: in Keras 3 its arguments have no mask any more after the call.
    """

    masking: str = "drop"
    training_only: bool = False
    refused: str = ""
    autocast: bool = True
    takes_masks: bool = False

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], op: str) -> dict[str, Any]:
        """Return the call's arguments by name, those of a `*args` function under their position.

        Raises UnsupportedError for an argument that the importer does not know.
        """
        names = self.contract.inputs
        if len(args) > len(names) and not self.contract.any_input:
            raise _unknown(op, f"argument {len(args)} of its call", args[len(names)])
        bound: dict[str, Any] = dict(zip(names, args, strict=False))
        bound.update({str(index): args[index] for index in range(len(names), len(args))})
        for name, value in kwargs.items():
            masks = name == "mask" or name.endswith("_mask")
            if (
                name in names
                or self.contract.any_keyword
                or (masks and (name in self.contract.keywords or value is None))
            ):
                bound[name] = value
            elif name != "mask" and value is not None:
                raise _unknown(op, f"call argument {name}", value)
        return bound

    def options(self, config: Mapping[str, Any], context: Mapping[str, Any], op: str) -> dict[str, Any]:
        """Return the config keys that the importer names; UnsupportedError for any other that matters."""
        named = self.contract.keywords - context.keys()
        if self.contract.any_keyword:
            return {key: value for key, value in config.items() if key not in self.harmless}
        rest = {key: value for key, value in config.items() if not key.endswith(HARMLESS_ENDINGS)}
        self.check(rest, named, lambda value: value, op)
        return {key: value for key, value in config.items() if key in named}


@dataclass
class OperationImporter(LayerImporter):
    """The importer of a `keras.ops` node, whose arguments keep their types."""

    autocast: bool = False


def _unknown(op: str, what: str, value: Any) -> UnsupportedError:
    return UnsupportedError(
        Unsupported(op, f"its importer does not know {what} ({value!r})", hint="report this model")
    )


keras = Importers(LayerImporter, HARMLESS.split())
operations = Importers(OperationImporter, ("name", "dtype", "trainable"))
