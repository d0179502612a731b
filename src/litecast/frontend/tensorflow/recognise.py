"""Say what a path is that should have been a SavedModel and is not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from litecast.errors import FormatError

__all__ = ["missing_saved_model"]

_EXPORT = "Export the model with `model.export(path)` or `tf.saved_model.save(model, path)`"
_KERAS = "Keras files are read by `litecast.convert` and `litecast.load`"

# What the first bytes of a file say: offset, bytes, what it is, what to try.
_MAGIC = (
    (0, b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras saves models and weights", _KERAS),
    (0, b"PK\x03\x04", "is a zip archive, and no Keras model: it has no config.json", "Unpack it"),
    (4, b"TFL3", "is a TensorFlow Lite model already", ""),
)

# What the first matching file in a directory says: pattern, what the directory is, what to try.
_CONTENTS = (
    (
        "saved_model.cpb",
        "is a SavedModel in chunks (saved_model.cpb), which is not supported",
        "Save the model again without `experimental_image_format`",
    ),
    ("*.keras", "is no SavedModel, but holds the Keras model {}", "Convert that file itself"),
    ("*.h5", "is no SavedModel, but holds the Keras file {}", "Convert that file itself"),
    ("*.tflite", "is no SavedModel, but holds the TensorFlow Lite model {}", ""),
    ("model.json", "is no SavedModel but a TensorFlow.js model", "Convert its source model"),
    ("*.index", "is a checkpoint, which has no graph ({})", _EXPORT),
    ("*/saved_model.pb", "is no SavedModel itself", "Did you mean its directory {}?"),
    ("variables", "is no complete SavedModel: saved_model.pb is missing", "Copy the whole directory"),
    ("*.pb", "is no SavedModel, but holds the protocol buffer {}, perhaps a frozen graph", _EXPORT),
)


def missing_saved_model(folder: Path, url: str) -> FormatError:
    """Give the error for a path at which there is no `saved_model.pb`."""
    if folder.is_dir():
        return _directory(folder, url)
    if folder.exists():
        return _file(folder, url)
    return FormatError(url, "does not exist", _neighbours(folder))


def _file(file: Path, url: str) -> FormatError:
    try:
        with file.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        return FormatError(url, f"cannot be read ({error.strerror})")
    for offset, magic, reason, hint in _MAGIC:
        if head[offset:].startswith(magic):
            return FormatError(url, f"is no SavedModel: it {reason}", hint)
    return FormatError(url, "is a file, and a SavedModel is a directory", _EXPORT)


def _directory(folder: Path, url: str) -> FormatError:
    try:
        for pattern, reason, hint in _CONTENTS:
            for found in islice(sorted(folder.glob(pattern)), 1):
                name = str((found.parent if "/" in pattern else found).relative_to(folder))
                return FormatError(url, reason.format(name), hint.format(name))
        empty = next(folder.iterdir(), None) is None
    except OSError as error:
        return FormatError(url, f"cannot be read ({error.strerror})")
    return FormatError(
        url, "is an empty directory" if empty else "is no SavedModel: it has no saved_model.pb", _EXPORT
    )


def _neighbours(path: Path) -> str:
    """Name the SavedModels beside a path that does not exist."""
    if not path.parent.is_dir():
        return ""
    names: Iterator[str] = (found.parent.name for found in path.parent.glob("*/saved_model.pb"))
    found = ", ".join(sorted(islice(names, 5)))
    return f"Beside it there are {found}" if found else ""
