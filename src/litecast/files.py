"""Files written whole or not at all, and what a file starts with."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from litecast.errors import FormatError

__all__ = ["replacing", "start_of"]


def start_of(path: Path, size: int = 16) -> bytes:
    """Return the first bytes of a file; FormatError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror})") from error


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """Give the path of a new file that replaces `path` when the block ends, and vanishes if it raises.

    A symbolic link stays: what it names is replaced. Raises FormatError where the directory is missing or
    cannot be written, and for a device or pipe, which a rename would put an end to.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(errno.EINVAL, "is no regular file")
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise FormatError(path, f"cannot be written ({error.strerror})") from error
    temporary = Path(name)
    try:
        yield temporary
        _adopt_mode(temporary, target)
        os.replace(temporary, target)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise  # it is about another file that the block uses
        raise FormatError(path, f"cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _adopt_mode(temporary: Path, target: Path) -> None:
    """Give the new file the mode of the one it replaces, or the one that a plain `open` would give."""
    if target.exists():
        os.chmod(temporary, target.stat().st_mode & 0o777)
        return
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(temporary, 0o666 & ~mask)
