"""What Litecast says of the file format, against the schema that the runtime ships."""

from __future__ import annotations

from dataclasses import MISSING, fields
from enum import IntEnum
from typing import Any, get_args, get_type_hints

import pytest

import litecast.ops
from litecast.ir.op import OPS, Op
from litecast.ir.types import DType
from litecast.tflite.schema import camel, schema, slots, snake, table, union_of

ENUM_NAMES = {
    "Activation": "ActivationFunctionType",
    "DType": "TensorType",
    "WeightsFormat": "FullyConnectedOptionsWeightsFormat",
}
MEANINGFUL = {
    **dict.fromkeys(("stride_d", "stride_h", "stride_w", "filter_height", "filter_width"), 1),
    "beta": 1.0,
    "out_type": DType.INT32,
    "output_type": DType.INT64,
}
"""Defaults of Litecast where that of the schema (0) is no value that a kernel accepts."""
CLASSES = sorted(OPS.items())


def written(cls: type[Op]) -> list[Any]:
    return [field for field in fields(cls) if field.metadata.get("option", True)]


def members(name: str) -> dict[str, int]:
    """Members of an enumeration of the schema (Python 3.13 adds `__firstlineno__` to a class)."""
    found = vars(getattr(schema(), name)).items()
    return {key: value for key, value in found if isinstance(value, int) and not key.startswith("__")}


def test_there_are_classes():
    assert len(OPS) > 50
    assert litecast.ops


@pytest.mark.parametrize(("code", "cls"), CLASSES, ids=[cls.__name__ for _, cls in CLASSES])
def test_class_name_is_the_builtin(code: int, cls: type[Op]):
    names = {value: name for name, value in members("BuiltinOperator").items()}
    assert cls.__name__.lower() == names[code].replace("_", "").lower()


@pytest.mark.parametrize("cls", [cls for _, cls in CLASSES], ids=lambda cls: cls.__name__)
def test_fields_are_the_table(cls: type[Op]):
    if cls.options is None:
        assert written(cls) == []
        return
    union_of(cls.options)
    attributes = vars(table(cls.options))
    assert {camel(field.name) for field in written(cls)} == set(attributes)
    hints = get_type_hints(cls)
    for field in written(cls):
        default = attributes[camel(field.name)]
        if field.default is not MISSING and default is not None:
            assert field.default in (default, MEANINGFUL.get(field.name)), field.name
        graph = "Graph" in str(hints[field.name])
        assert graph == ("subgraph" in field.name or field.name == "called_computations"), field.name


def enums() -> list[type[IntEnum]]:
    found: set[Any] = {DType}
    for cls in OPS.values():
        for hint in get_type_hints(cls).values():
            parts = {hint, *get_args(hint)}
            found |= {part for part in parts if isinstance(part, type) and issubclass(part, IntEnum)}
    return sorted(found, key=lambda enum: enum.__name__)


@pytest.mark.parametrize("enum", enums(), ids=lambda enum: enum.__name__)
def test_enumeration(enum: type[IntEnum]):
    name = ENUM_NAMES.get(enum.__name__, enum.__name__)
    expected = {key.strip("_"): value for key, value in members(name).items()}
    assert {member.name: int(member) for member in enum} == expected


def test_attribute_names():
    assert camel("dilation_w_factor") == "dilationWFactor"
    assert snake("dilationWFactor") == "dilation_w_factor"
    assert union_of("Conv2DOptions") == ("builtinOptions", 1)
    assert union_of("StableHLOCompositeOptions")[0] == "builtinOptions2"
    with pytest.raises(KeyError):
        union_of("NoSuchOptions")


def test_slots_count_deprecated_fields():
    assert slots("Buffer") == 3
    assert slots("ResizeBilinearOptions") == 4
