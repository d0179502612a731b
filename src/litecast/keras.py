"""Lowerings of the user's own Keras layers: `litecast.keras.register("MyLayer")(function)`.

A lowering has the contract of Litecast's own: `function(b, inputs, *, layer, **config)` builds the layer's
result with the Builder `b` and the macros of `litecast.lib`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, TypeVar

from litecast.errors import ConvertError
from litecast.frontend.keras.importer import HARMLESS, LayerImporter, Masked

__all__ = ["Masked", "lowerings", "register", "unregister", "vocabulary"]

Function = TypeVar("Function", bound=Callable[..., Any])

_registered: dict[str, LayerImporter] = {}


def register(name: str, *, masking: str = "drop") -> Callable[[Function], Function]:
    """Register the decorated function as the lowering of a layer class (its name, or `package>Name`).

    `masking="pass"`: the mask of the first argument goes with the result, as in Keras where a layer has
    `supports_masking = True`. A function that names no `**config` must name every config key, so that none is
    ignored.
    """
    if masking not in ("drop", "pass"):
        raise ConvertError(f'masking is {masking!r}; it is "drop" or "pass"')

    def wrap(function: Function) -> Function:
        _registered[name] = _importer(name, function, masking)
        return function

    return wrap


def unregister(name: str) -> None:
    """Forget the lowering of a layer class."""
    _registered.pop(name, None)


def vocabulary(model: Any, layer: str | None = None) -> list[Any]:
    """Return the vocabulary of a lookup layer or TextVectorization: its tokens, in the order of their ids.

    Args:
        model: a Keras file, or a model in memory.
        layer: the name of the layer, where the model has several that have one.

    Tokens are strings, of IntegerLookup ints; the mask and out-of-vocabulary tokens come first, as with
    `get_vocabulary()`. Raises ConvertError where no such layer is found, or where the file does not hold its
    vocabulary.
    """
    from litecast.frontend.keras.archive import read_keras
    from litecast.frontend.keras.layers.lookup import HAVE_VOCABULARY, vocabulary_of
    from litecast.frontend.keras.live import read_live
    from litecast.frontend.keras.model import all_layers

    layers = all_layers(read_keras(model) if isinstance(model, (str, PathLike)) else read_live(model))
    found = {item.name: item for item in layers if item.class_name in HAVE_VOCABULARY}
    if layer is None and len(found) == 1:
        (layer,) = found
    if layer is None or layer not in found:
        one = "more than one layer" if layer is None and found else f"no layer {layer or ''}".rstrip()
        names = f": {', '.join(found)}" if found else ""
        raise ConvertError(f"the model has {one} with a vocabulary{names}")
    return vocabulary_of(found[layer])


def lowerings(custom_objects: Mapping[str, Any] | None) -> dict[str, LayerImporter]:
    """Return the registered lowerings and those of one call, which go first."""
    own = {name: _importer(name, function, "drop") for name, function in (custom_objects or {}).items()}
    return {**_registered, **own}


def _importer(name: str, function: Any, masking: str) -> LayerImporter:
    if isinstance(function, LayerImporter):
        return function
    if isinstance(function, type) or not callable(function):
        raise ConvertError(
            f"the lowering of {name} is {function!r}: give a function (b, inputs, *, layer, **config) that "
            "builds the result (docs/keras.md)"
        )
    return LayerImporter(function, frozenset(HARMLESS.split()), masking=masking)
