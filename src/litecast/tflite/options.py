"""Operations between the IR and the file, generic over the schema: the fields of a class are its table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

import litecast.ops
from litecast.errors import InternalError
from litecast.ir.graph import Graph
from litecast.ir.op import OPS, Op
from litecast.ir.types import TensorType
from litecast.ops.custom import Builtin, Custom, Flex
from litecast.tflite.flexbuffers import flex_options, flex_parts
from litecast.tflite.schema import builtin_name, camel, snake, table

__all__ = ["CUSTOM", "Encoding", "decode_op", "encode_op", "pack_options"]

CUSTOM = 32
_GRAPHS = re.compile(r"(subgraph(_index|_indices)?|called_computations)$")
"""Fields of the schema that number subgraphs."""

assert litecast.ops.__name__, "imported for the classes that it puts into OPS"


@dataclass
class Encoding:
    """What an operation is in the file, without its operands: `items` are the fields of the options table."""

    code: int
    custom_code: str | None = None
    options: str | None = None
    items: tuple[tuple[str, Any], ...] = ()
    custom_options: bytes | None = None
    custom_options_format: int = 0
    version: int = 1


def encode_op(op: Op) -> Encoding:
    """Return what an operation is in the file."""
    if isinstance(op, Builtin):
        return Encoding(op.builtin_code, options=op.table, items=op.items)
    if isinstance(op, Custom):
        return Encoding(CUSTOM, op.custom_code, None, (), op.custom_options, op.custom_options_format)
    if isinstance(op, Flex):
        return Encoding(CUSTOM, f"Flex{op.op_name}", custom_options=flex_options(op.op_name, op.node_def))
    if op.code < 0:
        raise InternalError(f"{op.name} is no operation of the file format")
    written = [field.name for field in fields(op) if field.metadata.get("option", True)]
    return Encoding(op.code, options=op.options, items=tuple((name, getattr(op, name)) for name in written))


def pack_options(known: Encoding, number: Callable[[Graph], int]) -> Any:
    """Return the options table as an object of the schema; `number` counts graphs."""
    assert known.options is not None
    options = table(known.options)
    for name, value in known.items:
        if not hasattr(options, camel(name)):
            raise InternalError(f"{known.options} has no field {name}")
        setattr(options, camel(name), _pack_field(value, number))
    return options


def _pack_field(value: Any, number: Callable[[Graph], int]) -> Any:
    if isinstance(value, Graph):
        return number(value)
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    if isinstance(value, (tuple, list)):
        return [_pack_field(part, number) for part in value]
    return value


# -- reading ---------------------------------------------------------------------------------------


def decode_op(
    known: Encoding, options: Any, types: Sequence[TensorType], graph: Callable[[int], Graph]
) -> Op:
    """Return the operation of a file; `options`: the schema's object (None: absent), `types`: the outputs'.

    A builtin that has no class, or whose class cannot say all that the file says, is carried as a `Builtin`.
    """
    if known.code == CUSTOM:
        return _decode_custom(known, tuple(types))
    cls = OPS.get(known.code)
    op = None if cls is None else _decode_class(cls, known, options, types, graph)
    if op is not None:
        return op
    items = () if options is None else tuple(_items(options, graph))
    label = builtin_name(known.code) or f"BUILTIN_{known.code}"
    return Builtin(known.code, label, known.options, items, known.version, tuple(types))


def _decode_custom(known: Encoding, types: tuple[TensorType, ...]) -> Op:
    code, content = known.custom_code or "", known.custom_options or b""
    parts = flex_parts(content) if code.startswith("Flex") and known.version == 1 else None
    if parts is not None and f"Flex{parts[0]}" == code:
        return Flex(*parts, types)
    return Custom(code, content, known.custom_options_format, known.version, types)


def _decode_class(
    cls: Any, known: Encoding, options: Any, types: Sequence[TensorType], graph: Callable[[int], Graph]
) -> Op | None:
    """Return the typed operation, None where the class does not cover what the file says."""
    if options is not None and known.options != cls.options:
        if vars(options):
            return None
        options = None
    if options is None and cls.options is not None:
        options = table(cls.options)
    values: dict[str, Any] = {}
    rest = {} if options is None else dict(vars(options))
    for name, hint, written in _fields(cls):
        if not written:
            values[name] = types[-1] if name == "type" else getattr(types[-1], name)
        elif camel(name) in rest:
            try:
                values[name] = _unpack_field(rest.pop(camel(name)), hint, graph)
            except ValueError:
                return None
    if rest and any(not _is_default(value, default) for value, default in _beside(rest, options)):
        return None
    op: Op = cls(**values)
    return op


def _beside(rest: dict[str, Any], options: Any) -> list[tuple[Any, Any]]:
    defaults = vars(type(options)())
    return [(value, defaults[attribute]) for attribute, value in rest.items()]


def _is_default(value: Any, default: Any) -> bool:
    return value is None or (not isinstance(value, np.ndarray) and value == default)


@cache
def _fields(cls: Any) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(cls)
    return tuple((field.name, hints[field.name], field.metadata.get("option", True)) for field in fields(cls))


def _unpack_field(value: Any, hint: Any, graph: Callable[[int], Graph]) -> Any:
    """Convert what the object API gives to what the class declares; ValueError where it cannot be said."""
    if get_origin(hint) in (Union, UnionType):
        if value is None:
            return None
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple or hint is tuple:
        return () if value is None else tuple(_unpack_field(part, get_args(hint)[0], graph) for part in value)
    if hint is Graph:
        return graph(value)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return hint(value)
    if hint is str:
        return "" if value is None else value.decode("utf-8", "surrogateescape")
    if hint is bytes:
        return b"" if value is None else value.tobytes()
    return value.item() if isinstance(value, np.generic) else value


def _items(options: Any, graph: Callable[[int], Graph]) -> Any:
    for attribute, value in vars(options).items():
        name = snake(attribute)
        if isinstance(value, np.ndarray):
            value = value.tobytes() if value.dtype == np.uint8 else tuple(value.tolist())
        if isinstance(value, bytes) and not isinstance(getattr(options, attribute), np.ndarray):
            value = value.decode("utf-8", "surrogateescape")
        if _GRAPHS.search(name) and value is not None:
            value = tuple(map(graph, value)) if isinstance(value, tuple) else graph(value)
        yield name, value
