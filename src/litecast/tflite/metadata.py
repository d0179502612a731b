"""The metadata entries of a model: the oldest runtime that runs it, and who converted it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from litecast.ir.graph import Graph, Model
from litecast.ops.custom import Builtin, Custom, Flex

__all__ = ["CONVERSION", "METADATA_BUFFER", "Conversion", "drop_numbered", "min_runtime", "model_metadata"]

METADATA_BUFFER = "metadata_buffer:"
"""Under names with this prefix `Model.metadata` holds the nameless entries of the deprecated field."""
CONVERSION, RUNTIME, LOCATION = "CONVERSION_METADATA", "min_runtime_version", "buffer_location"
NUMBERED = ("debug_metadata", "model_control_dependencies")
"""Entries that refer to subgraphs and operators by number (debug_metadata.fbs, control_edges.h)."""
RUNTIME_SIZE = 16


@dataclass(frozen=True)
class Conversion:
    """What the entry CONVERSION_METADATA says; the numbers are those of conversion_metadata.fbs.

    `model_type`: 1 SavedModel, 2 Keras, 3 concrete functions, 4 GraphDef, 6 JAX. `modes`: 1001 float16,
    1002 dynamic range, 1003 full integer, 1004 int16, 2000 quantization-aware training.
    """

    model_type: int = 0
    modes: tuple[int, ...] = ()
    allow_custom_ops: bool = False
    enable_select_tf_ops: bool = False
    force_select_tf_ops: bool = False

    def pack(self) -> bytes:
        """Return the FlatBuffer."""
        from flatbuffers import Builder

        from litecast import __version__

        builder = Builder(256)
        version = builder.CreateString(f"Litecast {__version__}")
        builder.StartVector(4, len(self.modes), 4)
        for mode in reversed(self.modes):
            builder.PrependInt32(mode)
        modes = builder.EndVector()
        builder.StartObject(4)
        builder.PrependUOffsetTRelativeSlot(0, version, 0)
        builder.PrependUint32Slot(1, 2, 0)
        builder.PrependInt32Slot(2, self.model_type, 0)
        environment = builder.EndObject()
        builder.StartObject(5)
        builder.PrependUOffsetTRelativeSlot(0, modes, 0)
        flags = (self.allow_custom_ops, self.enable_select_tf_ops, self.force_select_tf_ops)
        for slot, flag in enumerate(flags, start=1):
            builder.PrependBoolSlot(slot, flag, False)
        options = builder.EndObject()
        builder.StartObject(2)
        builder.PrependUOffsetTRelativeSlot(0, environment, 0)
        builder.PrependUOffsetTRelativeSlot(1, options, 0)
        builder.Finish(builder.EndObject())
        return bytes(builder.Output())

    @classmethod
    def unpack(cls, content: bytes) -> Conversion:
        """Return what an entry says (but for who wrote it); ValueError where it is no such FlatBuffer."""
        from flatbuffers import encode, number_types, table

        numbers, flags = number_types.Int32Flags, number_types.BoolFlags
        try:
            root = table.Table(content, encode.Get(number_types.UOffsetTFlags.packer_type, content, 0))
            environment, options = _child(root, 0), _child(root, 1)
            kind = 0 if environment is None else _slot(environment, 2, numbers, 0)
            if options is None:
                return cls(kind)
            start, count = options.Offset(4), 0
            if start:
                start, count = options.Vector(start), options.VectorLen(start)
            modes = tuple(options.Get(numbers, start + 4 * index) for index in range(count))
            return cls(kind, modes, *(_slot(options, slot, flags, False) for slot in (1, 2, 3)))
        except (struct.error, TypeError, IndexError) as error:
            raise ValueError(f"{CONVERSION} is broken: {error}") from error


def _child(parent: Any, slot: int) -> Any:
    """Return the table in a slot of a FlatBuffer table, None where it is empty."""
    from flatbuffers import table

    offset = parent.Offset(4 + 2 * slot)
    return table.Table(parent.Bytes, parent.Indirect(offset + parent.Pos)) if offset else None


def _slot(parent: Any, slot: int, kind: Any, default: Any) -> Any:
    offset = parent.Offset(4 + 2 * slot)
    return parent.Get(kind, offset + parent.Pos) if offset else default


def model_metadata(
    model: Model, graphs: Sequence[Graph], outside: bool, conversion: Conversion | bool
) -> dict[str, bytes]:
    """Return the metadata entries to write: the model's own, and those that the writer makes anew.

    `conversion`: False leaves CONVERSION_METADATA out, True keeps what the model has or makes one.
    """
    entries = {name: content for name, content in model.metadata.items() if name != LOCATION}
    entries[RUNTIME] = min_runtime(model, graphs).encode().ljust(RUNTIME_SIZE, b"\0")
    if outside:
        entries[LOCATION] = b"outside flatbuffers"
    if conversion is False:
        entries.pop(CONVERSION, None)
    elif conversion is not True or CONVERSION not in entries:
        stated = Conversion() if conversion is True else conversion
        kinds = {type(node.op) for graph in graphs for node in graph.nodes}
        entries[CONVERSION] = replace(
            stated,
            allow_custom_ops=stated.allow_custom_ops or Custom in kinds,
            enable_select_tf_ops=stated.enable_select_tf_ops or Flex in kinds,
        ).pack()
    return entries


def drop_numbered(model: Model) -> None:
    """Drop, with a note, the entries that a model whose operators were renumbered can no longer keep."""
    for name in NUMBERED:
        if model.metadata.pop(name, None) is not None:
            model.notes.append(f"metadata {name} is dropped: it counts operators of the file that was read")
    for graph in model.all_graphs():
        graph.debug_index = -1
        for node in graph.nodes:
            if node.extra is not None:
                node.extra = replace(node.extra, debug_index=-1)


def min_runtime(model: Model, graphs: Sequence[Graph] | None = None) -> str:
    """Return the oldest TensorFlow release whose builtin kernels run the model, "" where none is known to.

    Custom and select TF operations depend on what the application links and do not count. The official
    converter skips a version that its table lacks (version 5 of LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM: no
    runtime registers them, core/kernels/register.cc) and then names a runtime that fails; this names none.
    """
    needed = {
        (
            node.op.builtin_code if isinstance(node.op, Builtin) else node.op.code,
            node.op.version(node.inputs, node.outputs),
        )
        for graph in (model.all_graphs() if graphs is None else graphs)
        for node in graph.nodes
        if not isinstance(node.op, (Custom, Flex))
    }
    releases = [_release(code, version) for code, version in needed]
    return "" if "" in releases else max(releases, key=_order, default="")


def _release(code: int, version: int) -> str:
    """The release that first runs a version; a gap in the table takes the next version's."""
    later = [known for known in _table().get(code, {}) if known >= version]
    return _table()[code][min(later)] if later else ""


def _order(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


@cache
def _table() -> dict[int, dict[int, str]]:
    """Builtin code -> version -> release (runtime_version.cc)."""
    rows = Path(__file__).with_name("min_runtime.csv").read_text("ascii").splitlines()[1:]
    cells = [row.split(",") for row in rows]
    split = [(int(code), [entry.split("=") for entry in entries.split()]) for code, entries in cells]
    return {code: {int(version): release for version, release in entries} for code, entries in split}
