"""Write `operations.md`, the list of source operations that have an importer: `python docs/operations.py`."""

from __future__ import annotations

import textwrap
from itertools import groupby
from pathlib import Path

import litecast.frontend.tensorflow.ops  # noqa: F401  (fills the table)
from litecast.frontend.tensorflow.importer import tf

PAGE = Path(__file__).with_name("operations.md")
WIDTH = 110
HEAD = """# Supported TensorFlow operations

These {count} operations of a GraphDef have an importer. An operation that is not here is reported with every
place it stands at; one that is here can still be refused for an attribute or a shape that no builtin operator
can express, and then the error says which. `make docs` writes this page from the importers themselves.
"""


def page() -> str:
    """The text of the page: the operations by their first letter."""
    names = tf.names()
    parts = [HEAD.format(count=len(names))]
    for _, group in groupby(sorted(names, key=str.lower), key=lambda name: name[0].lower()):
        parts.append(
            textwrap.fill(", ".join(f"`{name}`" for name in group), WIDTH, break_on_hyphens=False) + "\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
