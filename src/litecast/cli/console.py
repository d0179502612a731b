"""What the commands share: errors as a line and an exit status, progress on slow work, tables as text."""

from __future__ import annotations

import io
import json
import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np

from litecast.compare import check_arrays_file
from litecast.errors import ConvertError, FormatError, InternalError, VerificationError

if TYPE_CHECKING:
    from litecast.report import SignatureInfo

__all__ = [
    "columns",
    "command",
    "load_array",
    "named",
    "once",
    "ports",
    "print_json",
    "progress",
    "size",
]

Function = TypeVar("Function", bound=Callable[..., Any])
DELAY = 1.0
"""Seconds after which work shows its progress."""


def command(name: str) -> Callable[[Function], click.Command]:
    """Make a command with `-v` whose errors are one message and an exit status (see `litecast --help`)."""

    def wrap(function: Function) -> click.Command:
        @click.option("-v", "--verbose", is_flag=True, help="Show details, and the traceback of an error.")
        @wraps(function)
        def run(verbose: bool, **options: Any) -> None:
            _show_any_name()
            try:
                function(verbose=verbose, **options)
            except (click.ClickException, click.Abort, click.exceptions.Exit):
                raise
            except BrokenPipeError:
                sys.stderr.close()
            except Exception as error:
                _fail(_explained(error), verbose)

        return click.command(name)(run)

    return wrap


def _show_any_name() -> None:
    """Let a name that the terminal's encoding lacks be escaped, where it would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _explained(error: Exception) -> ConvertError:
    """Return what an exception says to the user: only what nobody foresaw is a defect."""
    if isinstance(error, ConvertError):
        return error
    if isinstance(error, MemoryError):
        return ConvertError("not enough memory")
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return ConvertError(f"{place}{error.strerror or error}")
    return InternalError(f"{type(error).__name__}: {error}")


def _fail(error: ConvertError, verbose: bool) -> None:
    if verbose:
        import traceback

        click.echo(traceback.format_exc(), err=True, nl=False)
    click.secho("error: ", err=True, fg="red", bold=True, nl=False)
    click.echo(str(error), err=True)
    if isinstance(error, InternalError):
        click.echo(
            "This is a defect of Litecast: please report it with the output of the same command and -v.",
            err=True,
        )
    status = 1 if isinstance(error, VerificationError) else 3 if isinstance(error, InternalError) else 2
    raise click.exceptions.Exit(status)


@contextmanager
def progress(label: str) -> Iterator[Callable[[str], None]]:
    """Give a function that names the current phase; a terminal shows the phases after the first second."""
    if not sys.stderr.isatty():
        yield lambda phase: None
        return
    shown: list[Any] = []
    current = [label]
    lock = threading.Lock()

    def show() -> None:
        from rich.console import Console

        with lock:
            shown.append(Console(stderr=True).status(f"{label}: {current[0]}"))
            shown[0].start()

    def update(phase: str) -> None:
        with lock:
            current[0] = phase
            if shown:
                shown[0].update(f"{label}: {phase}")

    timer = threading.Timer(DELAY, show)
    timer.daemon = True
    timer.start()
    try:
        yield update
    finally:
        timer.cancel()
        with lock:
            for status in shown:
                status.stop()


def print_json(data: Any) -> None:
    """Print data as JSON, which has no numbers that are not finite: they are null."""
    click.echo(json.dumps(_finite(data), indent=2, default=str, allow_nan=False))


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def size(count: float) -> str:
    """Return a number of bytes for people: 512 B, 3.4 MB."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Return rows as aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def ports(signature: SignatureInfo) -> str:
    """Return the inputs and outputs of a signature as aligned columns."""
    sides = (("in", signature.inputs), ("out", signature.outputs))
    return columns([(side, str(info)) for side, infos in sides for info in infos])


def named(text: str, option: str, form: str) -> tuple[str, str]:
    """Split NAME=VALUE; a usage error naming the option where that is not its form."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise click.BadParameter(f"{text!r} is not of the form {form}", param_hint=option)
    return name, value


def once(given: dict[str, Any], name: str, option: str) -> None:
    """Raise a usage error where an option was given for `name` already."""
    if name in given:
        raise click.BadParameter(f"{name} is given twice", param_hint=option)


def load_array(path: str, key: str) -> Any:
    """Read an array from a `.npy`, or from a `.npz`: the one named `key`, or the only one."""
    check_arrays_file(path)
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            if key in found.files:
                return found[key]
            if len(found.files) == 1:
                return found[found.files[0]]
            names = ", ".join(found.files)
    except Exception as error:  # numpy raises many kinds for a broken file
        raise FormatError(path, f"cannot be read as .npy or .npz ({error})") from error
    raise FormatError(path, f"has no array {key!r}; it has: {names}")
