"""The importer table: a function per source operation, whose signature is the contract with the source.

Positional parameters after `b` are the operation's inputs, keyword parameters its attributes. An attribute
that the importer does not name and the table does not call harmless is an error: nothing is ignored silently.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from litecast.errors import Unsupported, UnsupportedError

__all__ = ["Importer", "Importers"]

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Importer:
    """One importer and what its signature says: the attributes it takes, and the context it asks for."""

    function: Callable[..., Any]
    harmless: frozenset[str] = frozenset()
    _attributes: frozenset[str] | None = None
    _context: frozenset[str] = frozenset()

    def __call__(
        self,
        b: Any,
        inputs: Sequence[Any],
        attributes: Mapping[str, Any],
        decode: Callable[[Any], Any],
        context: Mapping[str, Any],
    ) -> Any:
        """Call the importer with the attributes that it names, decoded, and what it asks of `context`.

        Raises UnsupportedError for an attribute that is neither named nor harmless nor private (`_name`).
        """
        if self._attributes is None:
            self._read_signature(context)
        named = self._attributes or frozenset()
        unknown = [
            name
            for name in attributes
            if name not in named and name not in self.harmless and not name.startswith("_")
        ]
        if unknown:
            shown = ", ".join(f"{name}={decode(attributes[name])!r}" for name in sorted(unknown))
            raise UnsupportedError(
                Unsupported(
                    str(context["op"]),
                    f"its importer does not know attribute {shown}",
                    hint="report this model: the attribute may change the result, so it is not ignored",
                )
            )
        keywords = {name: decode(value) for name, value in attributes.items() if name in named}
        keywords.update({name: context[name] for name in self._context})
        return self.function(b, *inputs, **keywords)

    def _read_signature(self, context: Mapping[str, Any]) -> None:
        parameters = inspect.signature(self.function).parameters.values()
        names = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
        self._context = frozenset(names & set(context))
        self._attributes = frozenset(names - set(context))


class Importers:
    """A table of importers: `@table("Conv2D")` registers one, `table.find(name)` looks it up.

    `harmless` attributes never change a result: element types that the operands show, scheduling hints.
    """

    def __init__(self, harmless: Iterable[str] = ()) -> None:
        self.harmless = frozenset(harmless)
        self._table: dict[str, Importer] = {}

    def __call__(self, *names: str, harmless: Iterable[str] = ()) -> Callable[[Function], Function]:
        """Register the decorated function as the importer of the named source operations."""

        def register(function: Function) -> Function:
            importer = Importer(function, self.harmless | frozenset(harmless))
            for name in names:
                if name in self._table:
                    raise TypeError(f"{name} has two importers")
                self._table[name] = importer
            return function

        return register

    def find(self, name: str) -> Importer | None:
        """Return the importer of a source operation, None where there is none."""
        return self._table.get(name)

    def names(self) -> list[str]:
        """Return the source operations that have an importer, sorted."""
        return sorted(self._table)
