"""What can be converted, and how each kind of source becomes a Model: files, and objects in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from litecast.errors import ConvertError
from litecast.files import start_of
from litecast.ir.graph import Model

__all__ = ["DEFAULTS", "Kind", "kind_of", "name_of", "read_source"]

DEFAULTS: dict[str, Any] = {
    "signatures": None,
    "tags": None,
    "shapes": None,
    "batch": None,
    "weights": None,
    "custom_objects": None,
    "states": "variables",
    "example_inputs": None,
    "input_signature": None,
}
"""The options of reading, and what stands for one that is not given."""
_EXAMPLES = ("example_inputs", "input_signature")


@dataclass(frozen=True)
class Kind:
    """A kind of source: what messages call it, the options that it has, and its reader."""

    described: str
    options: tuple[str, ...]
    read: Callable[..., Model]


def read_source(source: Any, options: Mapping[str, Any]) -> Model:
    """Read a source into the IR; ConvertError for an option that its kind does not have."""
    kind = kind_of(source)
    given = {name: value for name, value in options.items() if not _is_default(name, value)}
    for name in given:
        if name not in kind.options:
            raise ConvertError(f"{name} does not apply to {kind.described}: {_instead(name, kind)}")
    return kind.read(source, **given)


def _instead(name: str, kind: Kind) -> str:
    """Say what to do about an option that a kind of source does not have."""
    if name in ("signatures", "tags"):
        return "it is converted as a whole"
    return f"leave it out; what applies is {', '.join(kind.options) or 'no option of reading'}"


def _is_default(name: str, value: Any) -> bool:
    empty = name in ("tags", "shapes", "custom_objects") and not value
    return value is None or empty or (isinstance(value, str) and value == DEFAULTS[name])


def name_of(source: Any) -> str:
    """Return how messages call a source: its path, or the name of an object in memory."""
    if isinstance(source, (str, os.PathLike)):
        return fspath(source)
    return str(getattr(source, "name", None) or type(source).__name__)


def kind_of(source: Any) -> Kind:
    """Return what a source is; ConvertError for an object that is no model."""
    if isinstance(source, (str, os.PathLike)):
        if _is_tflite(source):
            return TFLITE
        from litecast.frontend.keras.archive import is_keras

        return KERAS if is_keras(source) else SAVED_MODEL
    from litecast.frontend.keras.live import is_live

    if is_live(source):
        return LIVE
    from litecast.frontend.tensorflow.concrete import is_function

    if is_function(source):
        return FUNCTION
    raise ConvertError(
        f"a {type(source).__name__} is no model: give the path of a SavedModel, of a Keras file or of a "
        ".tflite, a Keras model, or a TensorFlow function"
    )


def _is_tflite(source: str | PathLike[str]) -> bool:
    """Whether a path is a `.tflite`: by its file identifier or, as when it is cut short, by its name."""
    path = Path(fspath(source))
    if not path.is_file():
        return False
    return start_of(path)[4:8] == b"TFL3" or path.suffix == ".tflite"


# -- readers ---------------------------------------------------------------------------------------------


def _tflite(source: Any) -> Model:
    from litecast.tflite.reader import read

    return read(source)


def _saved_model(source: Any, *, signatures: Any = None, tags: Any = None, **options: Any) -> Model:
    if signatures is not None and not signatures:
        raise ConvertError("name at least one signature, or leave signatures out for all of them")
    from litecast.frontend.tensorflow.model import trace_saved_model
    from litecast.frontend.tensorflow.saved_model import read_saved_model
    from litecast.tflite.runtime import evaluate

    return trace_saved_model(
        read_saved_model(source, tags),
        signatures=[signatures] if isinstance(signatures, str) else signatures,
        run=evaluate,
        **options,
    )


def _keras(source: Any, *, weights: Any = None, custom_objects: Any = None, **options: Any) -> Model:
    from litecast.frontend.keras.archive import read_keras
    from litecast.frontend.keras.model import trace_keras
    from litecast.keras import lowerings
    from litecast.tflite.runtime import evaluate

    own = lowerings(custom_objects)
    return trace_keras(read_keras(source, weights), custom=own, run=evaluate, **options)


def _live(source: Any, *, custom_objects: Any = None, **options: Any) -> Model:
    """Read a Keras model in memory through its config; through its backend where there is code of its own."""
    from litecast.frontend.keras.live import backend_of, needs_backend, read_live
    from litecast.frontend.keras.model import trace_keras
    from litecast.keras import lowerings
    from litecast.tflite.runtime import evaluate

    own = lowerings(custom_objects)
    reason = needs_backend(source, own)
    examples = [name for name in _EXAMPLES if name in options]
    if not reason and not (examples and not getattr(source, "built", True)):
        if examples:
            raise ConvertError(f"{examples[0]} has no use: the model is built; shapes= fixes its inputs")
        return trace_keras(read_live(source), custom=own, run=evaluate, **options)
    if "states" in options:
        raise ConvertError(f"states={options['states']!r} needs a model that is read by its config: {reason}")
    if backend_of(source) != "tensorflow":
        raise ConvertError(
            f"model {name_of(source)}: {reason or 'it is not built'}; there is no way yet to follow that in "
            f"the {backend_of(source)} backend: build it of Keras layers, give lowerings of its own layers "
            "(litecast.keras.register), or run it with the TensorFlow backend"
        )
    from litecast.frontend.tensorflow.concrete import trace_model_object

    return trace_model_object(source, run=evaluate, **options)


def _function(source: Any, **options: Any) -> Model:
    from litecast.frontend.tensorflow.concrete import trace_concrete
    from litecast.tflite.runtime import evaluate

    return trace_concrete(source, run=evaluate, **options)


_SIZES = ("shapes", "batch")
TFLITE = Kind("a .tflite file", (), _tflite)
SAVED_MODEL = Kind("a SavedModel", ("signatures", "tags", *_SIZES), _saved_model)
KERAS = Kind("a Keras file", (*_SIZES, "weights", "custom_objects", "states"), _keras)
LIVE = Kind("a Keras model in memory", (*_SIZES, "custom_objects", "states", *_EXAMPLES), _live)
FUNCTION = Kind("a TensorFlow function", (*_SIZES, *_EXAMPLES), _function)
