"""The documentation is true: every `python` block and every `$ litecast` line of it runs, from top to bottom.

The blocks of one page run in order in one folder that holds a copy of `examples/`, the Python ones in one
namespace; code that only illustrates is a `py` block. Output shown under a command must be its output, with
`...` for anything. A command ending in `# exits with N` must. In a chain with `&&` only what a test may run
is run.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]
NOT_RUN = {"pip", "make", "git"}  # they change the environment, or run these tests
LITECAST = [sys.executable, "-c", "import sys; from litecast.cli import main; sys.exit(main())"]
PROGRAMS = {"litecast": LITECAST, "python": [sys.executable], "ls": ["ls"], "cat": ["cat"]}

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXITS = re.compile(r"\s+# exits with (\d+)$")


@dataclass
class Command:
    """One line after `$`, the status it must end with, and the output shown under it."""

    line: str
    status: int
    shown: str


def commands(block: str) -> Iterator[Command]:
    """The commands of a `console` block; a line that ends in a backslash goes on in the next."""
    for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        ends = EXITS.search(line)
        yield Command(EXITS.sub("", line), int(ends.group(1)) if ends else 0, shown.strip())


def matches(shown: str, printed: str) -> bool:
    """Whether `printed` is what the page shows; runs of blanks count as one, `...` as anything."""
    pieces = [re.escape(" ".join(piece.split())) for piece in shown.split("...")]
    return re.fullmatch(r"\s*.*\s*".join(pieces), " ".join(printed.split()), re.DOTALL) is not None


def run_command(command: Command, folder: Path) -> None:
    for words in (shlex.split(part, comments=True) for part in command.line.split("&&")):
        if words[0] in NOT_RUN:
            continue
        done = subprocess.run(
            [*PROGRAMS[words[0]], *words[1:]], cwd=folder, capture_output=True, text=True, check=False
        )
        printed = done.stdout + done.stderr
        assert done.returncode == command.status, f"{command.line}\n{printed}"
        assert not command.shown or matches(command.shown, printed), f"{command.line}\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    folder = tmp_path / page.parent.relative_to(ROOT) if page.is_relative_to(ROOT / "examples") else tmp_path
    monkeypatch.chdir(folder)
    namespace: dict[str, object] = {"__name__": page.stem}
    for language, block in BLOCK.findall(page.read_text()):
        if language == "console":
            for command in commands(block):
                run_command(command, folder)
        elif language == "python":
            exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert not [target for target in local if not (page.parent / target).exists()]


def test_commands_are_read() -> None:
    block = "$ litecast a \\\n  --b\n1 ... 3\n$ litecast c  # exits with 2\n"
    first, second = commands(block)
    assert (first.line.split(), first.status, first.shown) == (["litecast", "a", "--b"], 0, "1 ... 3")
    assert (second.line, second.status, second.shown) == ("litecast c", 2, "")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a ... c", "a\n  b\nc\n", True),
        ("a c", "a  c", True),
        ("a", "a b", False),
        ("a ...", "a b", True),
        ("a (1.0)", "a (1x0)", False),
    ],
)
def test_output_is_compared(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same


@pytest.mark.parametrize("name", ["operations", "keras"])
def test_what_is_made_from_the_importers_is_up_to_date(name: str) -> None:
    code = f"import runpy; print(end=runpy.run_path('docs/{name}.py')['page']())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / f"{name}.md").read_text() == done.stdout, "run: make docs"
