"""What Litecast raises: the raiser gives the reason, the Builder and the frontends add the place once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

__all__ = [
    "ConvertError",
    "FormatError",
    "InferenceError",
    "InternalError",
    "QuantizationError",
    "Unsupported",
    "UnsupportedError",
    "VerificationError",
]


class ConvertError(Exception):
    """Anything that keeps a model from being read, converted, checked or written, told in one message."""


class FormatError(ConvertError):
    """A file is missing, broken, or not what it claims to be."""

    def __init__(self, path: str | PathLike[str], reason: str, hint: str = "") -> None:
        self.path, self.reason, self.hint = fspath(path), reason, hint
        super().__init__(f"{self.path}: {reason}" + (f". {hint}" if hint else ""))


class InferenceError(ConvertError):
    """Operands that do not fit an operation."""

    def __init__(self, reason: str, loc: Any = None) -> None:
        self.reason, self.loc = reason, loc
        place = str(loc) if loc is not None else ""
        super().__init__(f"{place}: {reason}" if place else reason)


class QuantizationError(ConvertError):
    """A quantization request that cannot be honoured."""


class VerificationError(ConvertError):
    """Results that differ from their reference."""


class InternalError(ConvertError):
    """A defect of Litecast itself."""


@dataclass(frozen=True)
class Unsupported:
    """One thing that cannot be converted: its operation, why, where it is, and what to try."""

    op: str
    reason: str
    place: str = ""
    hint: str = ""


class UnsupportedError(ConvertError):
    """All that a model asks for and Litecast cannot convert, grouped by operation and reason, and counted."""

    def __init__(self, items: Unsupported | Iterable[Unsupported]) -> None:
        self.items: Sequence[Unsupported] = (items,) if isinstance(items, Unsupported) else tuple(items)
        super().__init__(_grouped(self.items))


def _grouped(items: Sequence[Unsupported]) -> str:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for item in items:
        groups.setdefault((item.op, item.reason, item.hint), []).append(item.place)
    lines = [] if len(groups) == 1 else [f"{len(items)} operations cannot be converted:"]
    for (op, reason, hint), places in groups.items():
        count = f" ({len(places)} times)" if len(places) > 1 else ""
        lines.append(f"{op}{count}: {reason}")
        named = [place for place in dict.fromkeys(places) if place]
        lines += [f"  at {place}" for place in named[:5]]
        lines += [f"  and {len(named) - 5} more places"] * (len(named) > 5)
        lines += [f"  try: {hint}"] * bool(hint)
    return "\n".join(lines)
