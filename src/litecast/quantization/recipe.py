"""Recipes: ordered rules that give operations a scheme; of the rules that match, the last one counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from litecast.errors import FormatError, QuantizationError
from litecast.quantization.scheme import BLOCKS, Scheme, parse

__all__ = ["MODES", "Recipe", "Rule", "recipe_of"]

ACCUMULATIONS = ("fp32", "fp16")
LATER = ("int8", "int8-only", "int16x8")
"""Modes of integer activations, whose ranges a calibration measures."""


@dataclass(frozen=True)
class Rule:
    """A scheme for the operations that match all of `path`, `op` and `signature`.

    `path` is a glob (`*` also matches `/`) of the operation's name in the source, or of what it is part of;
    `op` the class names of operations, separated by `|`; `signature` a glob of the keys of signatures.
    `least` is how many elements a constant must have (None: what the scheme says). A rule that is `needed`
    must match something, and an operation that it names must have a kernel for its scheme.
    """

    scheme: Scheme
    path: str = "*"
    op: str = "*"
    signature: str = "*"
    least: int | None = None
    needed: bool = True

    def __str__(self) -> str:
        limits = [
            f"{name} {value}"
            for name, value in (("path", self.path), ("op", self.op), ("signature", self.signature))
            if value != "*"
        ]
        return f"{self.scheme} for {', '.join(limits) or 'all'}"

    @property
    def ops(self) -> tuple[str, ...]:
        """The operations that the rule names; () for all."""
        return () if self.op == "*" else tuple(part.strip() for part in self.op.split("|"))


@dataclass(frozen=True)
class Recipe:
    """Rules in order, the name of the recipe, and the `accumulation` that float16 arithmetic is allowed.

    `accumulation` is a hint for delegates: sums of products in "fp32" or "fp16".
    """

    rules: tuple[Rule, ...]
    name: str = "recipe"
    accumulation: str = "fp32"

    def __post_init__(self) -> None:
        if self.accumulation not in ACCUMULATIONS:
            raise QuantizationError(
                f"accumulation is {' or '.join(ACCUMULATIONS)}, not {self.accumulation!r}"
            )

    def with_rules(self, rules: Sequence[Rule]) -> Recipe:
        """Return the recipe with more rules behind its own."""
        return replace(self, rules=(*self.rules, *rules))

    def per_tensor(self) -> Recipe:
        """Return the recipe with one scale per tensor where it has one per channel."""
        return replace(self, rules=tuple(replace(rule, scheme=_coarse(rule.scheme)) for rule in self.rules))


def _coarse(scheme: Scheme) -> Scheme:
    return scheme if scheme.block else replace(scheme, per_channel=False)


def _mode(name: str, *rules: tuple[str, str]) -> Recipe:
    """Return a preset: a scheme for all, and others for operations that have it."""
    return Recipe(tuple(Rule(parse(scheme), op=op, needed=False) for scheme, op in rules), name)


ALL = ("w8", "*")
FOUR_BITS = ("w4", "FullyConnected|Conv2D|EmbeddingLookup|Gather")
PRESETS: dict[str, tuple[tuple[str, str], ...]] = {
    "float16": (("fp16", "*"),),
    "dynamic": (ALL,),
    "weights": (("w8-only", "*"),),
    "int4": (ALL, FOUR_BITS),
    **{
        f"int4-block{block}": (ALL, FOUR_BITS, (f"w4b{block}", "FullyConnected|EmbeddingLookup|Gather"))
        for block in BLOCKS
    },
    "int2": (ALL, ("w2", "FullyConnected|EmbeddingLookup|Gather")),
}
"""Scheme and operations of each rule of a preset; where a kernel cannot have the last, an earlier counts."""
MODES = {name: _mode(name, *rules) for name, rules in PRESETS.items()}
"""The presets by name."""


def recipe_of(how: str | PathLike[str] | Recipe | Mapping[str, Any]) -> Recipe:
    """Return a recipe: itself, a preset by name, a `.json` or `.toml` file, or such a file's contents.

    Raises QuantizationError for what is no recipe, FormatError for a file that cannot be read.
    """
    if isinstance(how, Recipe):
        return how
    if isinstance(how, Mapping):
        return _from_data(how, "recipe")
    name = fspath(how)
    if name in MODES:
        return MODES[name]
    if name in LATER:
        raise QuantizationError(
            f"{name} needs the ranges of activations: calibration comes later. Until then: {', '.join(MODES)}"
        )
    if Path(name).suffix in READERS:
        return _from_data(_read(Path(name)), Path(name).stem)
    near = get_close_matches(name, MODES, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODES)}"
    raise QuantizationError(f"there is no quantization {name!r}, and it is no .json or .toml file; {hint}")


def _load_toml(text: str) -> Any:
    try:
        tomllib: Any = import_module("tomllib")
    except ImportError as error:
        raise QuantizationError("a recipe in TOML needs Python 3.11: write it as JSON") from error
    return tomllib.loads(text)


READERS: dict[str, Callable[[str], Any]] = {".json": json.loads, ".toml": _load_toml}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = READERS[path.suffix](path.read_text("utf-8"))
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise FormatError(path, f"is no {path.suffix[1:].upper()}: {error}") from error
    if not isinstance(data, Mapping):
        raise FormatError(path, "is no recipe: an object with `rules` is wanted")
    return data


def _from_data(data: Mapping[str, Any], name: str) -> Recipe:
    unknown = set(data) - {"mode", "name", "rules", "accumulation", "per_tensor"}
    if unknown:
        raise QuantizationError(f"{name}: a recipe has no {', '.join(sorted(map(str, unknown)))}")
    start = recipe_of(str(data["mode"])) if "mode" in data else Recipe((), name)
    rules = data.get("rules", [])
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        raise QuantizationError(f"{name}: `rules` is a list")
    made = replace(start, name=str(data.get("name", start.name)))
    made = made.per_tensor() if data.get("per_tensor") else made
    made = made.with_rules([_rule(entry, name) for entry in rules])
    return replace(made, accumulation=str(data.get("accumulation", made.accumulation)))


RULE_FIELDS = tuple(field.name for field in fields(Rule))


def _rule(entry: Any, name: str) -> Rule:
    if not isinstance(entry, Mapping) or "scheme" not in entry:
        raise QuantizationError(f"{name}: a rule is an object with a `scheme`, not {entry!r}")
    unknown = [str(key) for key in entry if key not in RULE_FIELDS]
    if unknown:
        raise QuantizationError(f"{name}: a rule has no {unknown[0]!r}; it has {', '.join(RULE_FIELDS)}")
    rest = {key: value for key, value in entry.items() if key != "scheme"}
    for key, value in rest.items():
        wanted = {"least": int, "needed": bool}.get(key, str)
        if not isinstance(value, wanted):
            raise QuantizationError(f"{name}: `{key}` of a rule is {wanted.__name__}, not {value!r}")
    return Rule(parse(str(entry["scheme"])), **rest)
