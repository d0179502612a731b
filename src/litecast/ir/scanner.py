"""The scanner of textual IR: tokens on demand, one ahead, and errors that name line and column."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litecast.errors import FormatError

__all__ = ["STRING", "Scanner", "Token"]

STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
"""A JSON string."""
_TOKEN = re.compile(
    rf"""(?P<bytes>b{STRING})
    |(?P<ref>\#\w+)
    |(?P<arrow>->)
    |(?P<number>-?(?:(?:inf|nan)\b|\d+(?:\.\d*)?(?:e[+-]?\d+)?))
    |(?P<name>(?:{STRING}|[A-Za-z_][\w./;]*(?::\d+)?)(?:%\d+)?|%\d+)
    |(?P<punct>[()\[\]{{}}=,:@*])""",
    re.VERBOSE | re.ASCII,
)
_SPACE = re.compile(r"(?:\s+|//[^\n]*)*")


@dataclass
class Token:
    """One token: its kind, text and place."""

    kind: str
    text: str
    start: int


class Scanner:
    """Tokens of a text, one ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.token = self._scan()

    def _scan(self) -> Token:
        space = _SPACE.match(self.text, self.position)
        start = self.position = space.end() if space else self.position
        if start == len(self.text):
            return Token("end", "the end of the text", start)
        match = _TOKEN.match(self.text, start)
        if match is None:
            return Token("bad", self.text[start], start)
        self.position = match.end()
        return Token(match.lastgroup or "", match[0], start)

    def error(self, reason: str, start: int | None = None) -> FormatError:
        """Return the error that names the line and column of `start`, or of the token ahead."""
        start = self.token.start if start is None else start
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        return FormatError("text", f"line {line}, column {column}: {reason}")

    def next(self) -> Token:
        """Read one token."""
        token, self.token = self.token, self._scan()
        return token

    def at(self, *texts: str) -> bool:
        """Whether the token ahead is one of these."""
        return self.token.text in texts and self.token.kind != "end"

    def accept(self, text: str) -> bool:
        """Read a token where it is this one; return whether it was."""
        if self.at(text):
            self.next()
            return True
        return False

    def expect(self, text: str) -> None:
        """Read this token."""
        if not self.accept(text):
            raise self.error(f"expected {text!r}, found {self.token.text!r}")

    def take(self, kind: str, what: str) -> str:
        """Read a token of a kind and return its text; `what` says in the error what was expected."""
        if self.token.kind != kind:
            raise self.error(f"expected {what}, found {self.token.text!r}")
        return self.next().text

    def until_bracket(self) -> str:
        """Return the raw text up to the bracket that closes the one just read."""
        quoted, start = False, self.token.start
        for place in range(start, len(self.text)):
            letter = self.text[place]
            quoted ^= letter == '"' and self.text[place - 1] != "\\"
            if letter == "]" and not quoted:
                self.position = place
                self.token = self._scan()
                return self.text[start:place]
        raise self.error("this shape has no closing bracket")

    def items(self, close: str, item: Callable[[], Any]) -> list[Any]:
        """Return the comma-separated items up to `close`, which is read too."""
        found: list[Any] = []
        while not self.accept(close):
            if found:
                self.expect(",")
            found.append(item())
        return found
