"""The metadata entries of a model: what a runtime must know, and who converted it."""

from __future__ import annotations

from collections.abc import Sequence

from litecast.ir.graph import Graph, Model

__all__ = ["METADATA_BUFFER", "model_metadata"]

METADATA_BUFFER = "metadata_buffer:"
"""Prefix of the names under which `Model.metadata` holds the nameless entries of the deprecated metadata_buffer."""


def model_metadata(
    model: Model, graphs: Sequence[Graph], outside: bool, conversion_metadata: bool
) -> dict[str, bytes]:
    """Return the metadata entries to write: the model's own and those that the writer makes."""
    entries = dict(model.metadata)
    entries.pop("buffer_location", None)
    if outside:
        entries["buffer_location"] = b"outside flatbuffers"
    return entries
