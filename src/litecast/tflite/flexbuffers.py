"""The one FlexBuffer that Litecast makes and reads: the options of a select TF op."""

from __future__ import annotations

import struct

__all__ = ["flex_options", "flex_parts"]

# Packed type bytes of the FlexBuffers format: (type << 2) | log2(width in bytes); all widths are 4 here.
_STRING, _VECTOR = (5 << 2) | 2, (10 << 2) | 2


def flex_options(name: str, node_def: bytes) -> bytes:
    """Return the FlexBuffer vector [name, NodeDef] that the delegate reads (delegates/flex/kernel.cc).

    Both are strings, the second of arbitrary bytes (which is why the library's Builder does not serve).
    """
    content = bytearray()
    places = []
    for text in (name.encode(), node_def):
        content += struct.pack("<I", len(text))
        places.append(len(content))
        content += text + bytes(4 - len(text) % 4)
    content += struct.pack("<I", len(places))
    vector = len(content)
    for place in places:
        content += struct.pack("<I", len(content) - place)
    content += bytes([_STRING] * len(places) + [0] * (-len(places) % 4))
    content += struct.pack("<IBB", len(content) - vector, _VECTOR, 4)
    return bytes(content)


def flex_parts(options: bytes) -> tuple[str, bytes] | None:
    """Return name and serialized NodeDef of a select TF op's options, None where they are something else."""
    from flatbuffers.flexbuffers import GetRoot

    try:
        vector = GetRoot(options).AsVector
        if len(vector) != 2 or not (vector[0].IsString and vector[1].IsString):
            return None
        name, node_def = vector[0].AsStringBytes.decode(), bytes(vector[1].AsStringBytes)
    except (ValueError, TypeError, IndexError, struct.error):
        return None
    return name, node_def
