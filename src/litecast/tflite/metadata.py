"""The metadata entries of a model: what each runtime must know, and who converted it."""

from __future__ import annotations

from litecast.ir.graph import Model

__all__ = ["model_metadata"]


def model_metadata(model: Model, outside: bool, conversion_metadata: bool) -> dict[str, bytes]:
    """Return the metadata entries to write: the model's own and those that the writer makes."""
    entries = dict(model.metadata)
    if outside:
        entries["buffer_location"] = b"outside flatbuffers"
    return entries
