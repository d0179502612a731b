"""Access to the FlatBuffer schema that the runtime ships; it is imported on first use (20 ms)."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

__all__ = ["builtin_name", "camel", "schema", "slots", "snake", "table", "union_member", "union_of"]


@cache
def schema() -> ModuleType:
    """Return the generated schema module."""
    from ai_edge_litert import schema_py_generated

    module: ModuleType = schema_py_generated
    return module


@cache
def camel(name: str) -> str:
    """Return the attribute of the object API for a field of the schema: stride_w -> strideW."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


@cache
def snake(attribute: str) -> str:
    """Return the field of the schema for an attribute of the object API: strideW -> stride_w."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in attribute).lstrip("_")


def table(name: str, /, **fields: Any) -> Any:
    """Return a new object of the schema's table `name`, with its fields (camelCase) set."""
    result = getattr(schema(), f"{name}T")()
    for field, value in fields.items():
        setattr(result, field, value)
    return result


@cache
def slots(name: str) -> int:
    """Return how many fields the schema gives a table: what it tells the FlatBuffer builder."""

    class Probe:
        count = 0

        def StartObject(self, count: int) -> None:
            self.count = count

    probe = Probe()
    getattr(schema(), f"{name}Start")(probe)
    return probe.count


@cache
def _names(enum: str) -> dict[int, str]:
    return {value: name for name, value in vars(getattr(schema(), enum)).items() if isinstance(value, int)}


@cache
def union_of(options: str) -> tuple[str, int]:
    """Return which union of Operator holds an options table (its attribute), and the table's number in it."""
    for union in ("BuiltinOptions", "BuiltinOptions2"):
        number = getattr(getattr(schema(), union), options, None)
        if number is not None:
            return union[0].lower() + union[1:], number
    raise KeyError(f"the schema has no options table {options}")


def union_member(union: str, number: int) -> str | None:
    """Return the table that a number stands for in a union, None where the schema knows none."""
    return _names(union).get(number) if number else None


def builtin_name(code: int) -> str | None:
    """Return the name of a BuiltinOperator, None where the schema does not know it."""
    return _names("BuiltinOperator").get(code)
