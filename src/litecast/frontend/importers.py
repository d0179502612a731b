"""The importer tables: a function per source operation or layer, whose signature is the contract.

Positional parameters after `b` are the operation's inputs, keyword parameters its attributes. An attribute
that the importer does not name and the table does not call harmless is an error: nothing is ignored silently.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from litecast.errors import Unsupported, UnsupportedError

__all__ = ["Contract", "Importer", "Importers"]

Function = TypeVar("Function", bound=Callable[..., Any])
Kind = TypeVar("Kind", bound="Importer")
REPORT = "report this model: the attribute may change the result, so it is not ignored"


@dataclass(frozen=True)
class Contract:
    """What a function's signature says: its inputs, its keywords, and whether it takes any of either."""

    inputs: tuple[str, ...]
    keywords: frozenset[str]
    any_input: bool
    any_keyword: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Contract:
        """Read the signature of an importer, whose first parameter is the Builder."""
        parameters = list(inspect.signature(function).parameters.values())[1:]
        kinds = {parameter.kind for parameter in parameters}
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return cls(
            tuple(parameter.name for parameter in parameters if parameter.kind in positional),
            frozenset(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY),
            inspect.Parameter.VAR_POSITIONAL in kinds,
            inspect.Parameter.VAR_KEYWORD in kinds,
        )


@dataclass
class Importer:
    """One importer, the attributes that it may leave out, and (read when first used) its contract."""

    function: Callable[..., Any]
    harmless: frozenset[str] = frozenset()
    _contract: Contract | None = field(default=None, init=False)

    @property
    def contract(self) -> Contract:
        """What the function's signature says."""
        if self._contract is None:
            self._contract = Contract.of(self.function)
        return self._contract

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
        named = self.contract.keywords - context.keys()
        self.check(attributes, named, decode, str(context["op"]))
        keywords = {name: decode(value) for name, value in attributes.items() if name in named}
        keywords.update({name: context[name] for name in self.contract.keywords & context.keys()})
        return self.function(b, *inputs, **keywords)

    def check(
        self, attributes: Mapping[str, Any], named: frozenset[str], decode: Callable[[Any], Any], op: str
    ) -> None:
        """Raise UnsupportedError for attributes that are neither named nor harmless nor private (`_name`)."""
        unknown = [
            name
            for name in attributes
            if name not in named and name not in self.harmless and not name.startswith("_")
        ]
        if unknown:
            shown = ", ".join(f"{name}={decode(attributes[name])!r}" for name in sorted(unknown))
            raise UnsupportedError(
                Unsupported(op, f"its importer does not know attribute {shown}", hint=REPORT)
            )


class Importers(Generic[Kind]):
    """A table of importers: `@table("Conv2D")` registers one, `table.find(name)` looks it up.

    `harmless` attributes never change a result: element types that the operands show, scheduling hints.
    `kind` is the class of its entries, which takes the traits that a registration names.
    """

    def __init__(self, kind: type[Kind], harmless: Iterable[str] = ()) -> None:
        self.kind = kind
        self.harmless = frozenset(harmless)
        self._table: dict[str, Kind] = {}

    def __call__(
        self, *names: str, harmless: Iterable[str] = (), **traits: Any
    ) -> Callable[[Function], Function]:
        """Register the decorated function as the importer of the named source operations."""

        def register(function: Function) -> Function:
            importer = self.kind(function, self.harmless | frozenset(harmless), **traits)
            for name in names:
                if name in self._table:
                    raise TypeError(f"{name} has two importers")
                self._table[name] = importer
            return function

        return register

    def find(self, name: str) -> Kind | None:
        """Return the importer of a source operation, None where there is none."""
        return self._table.get(name)

    def names(self) -> list[str]:
        """Return the source operations that have an importer, sorted."""
        return sorted(self._table)
