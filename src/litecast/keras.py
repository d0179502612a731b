"""Lowerings of the user's own Keras layers: `litecast.keras.register("MyLayer")(function)`.

A lowering has the contract of Litecast's own: `function(b, inputs, *, layer, **config)` builds the layer's
result with the Builder `b` and the macros of `litecast.lib`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from litecast.errors import ConvertError
from litecast.frontend.keras.importer import HARMLESS, LayerImporter, Masked

__all__ = ["Masked", "lowerings", "register", "unregister"]

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
