"""The house holds: who imports whom, what the cold start loads, how long things are, what is public."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import litecast

SOURCE = Path(litecast.__file__).resolve().parent
FILES = sorted(SOURCE.rglob("*.py"))

# What each part may import of Litecast beside itself and `errors`: "direction of imports" in architecture.md.
_CORE = {"ir", "ops"}
ALLOWED = {
    "errors": set(),
    "files": set(),
    "ir": set(),
    "ops": {"ir"},
    "lib": _CORE,
    "tflite": _CORE,
    "frontend": _CORE | {"files", "lib", "report"},
    "passes": _CORE | {"lib", "report"},
    "quantization": _CORE | {"lib", "tflite", "report", "compare"},
    "evaluate": _CORE | {"tflite", "report"},
    "metadata": {"tflite"},
    "codegen": _CORE | {"tflite", "metadata"},
    "compare": _CORE | {"tflite", "report"},
    "report": _CORE | {"tflite"},
    "api": _CORE
    | {
        "compare",
        "files",
        "lib",
        "tflite",
        "frontend",
        "passes",
        "quantization",
        "evaluate",
        "report",
        "sources",
    },
    "keras": {"frontend"},
    "sources": _CORE | {"files", "frontend", "keras", "tflite"},
    "compat": {"api", "report"},
    "cli": {"api", "compare", "files", "ir", "report", "tflite"},
    "__init__": {"api", "compat", "report"},
    "__main__": {"cli"},
}
# What may be named only inside a function: the Builder, the parser and the verifier know operations when they
# run, not when they load.
INSIDE_FUNCTIONS = {"ir": {"ops"}}
# Frameworks, and where one may be touched.
FRAMEWORKS = {"tensorflow": (), "tf_keras": (), "jax": ("frontend/jax",), "keras": ("frontend/keras",)}
# What the cold start must not load.
LATE = ("rich", "h5py", "google.protobuf", "ai_edge_litert", "click", "flatbuffers")

LONGEST_FILE, LONGEST_FUNCTION = 500, 40
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "handler", "misc"}

PUBLIC = {
    "litecast": {
        *("convert", "load", "quantize", "save", "verify", "Converted", "__version__"),
        *("ConvertError", "FormatError", "InferenceError", "InternalError", "QuantizationError"),
        *("UnsupportedError", "VerificationError"),
    },
}


def _part(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def _id(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, by whatever form, and whether only inside a function."""
    package = ["litecast", *path.relative_to(SOURCE).parts[:-1]]
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        yield from ((name, id(node) in inside) for name in _named(node, package))


def _named(node: ast.AST, package: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        parents = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*parents, *([node.module] if node.module else [])])
        return [f"{module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
        values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        return [value for value in values if isinstance(value, str)]
    return []


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function with its length in lines, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            docstring = first.end_lineno - first.lineno + 1 if documented and first.end_lineno else 0
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_imports_go_one_way(path: Path) -> None:
    part = _part(path)
    allowed = ALLOWED[part] | {part, "errors"}
    late = allowed | INSIDE_FUNCTIONS.get(part, set())
    for name, inside in _imports(path):
        parts = name.split(".")
        if parts[0] == "litecast" and parts[1:] and parts[1] in ALLOWED:  # else a public name
            assert parts[1] in (late if inside else allowed), name


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_no_framework_is_imported(path: Path) -> None:
    for name, _ in _imports(path):
        framework = name.split(".")[0]
        if framework in FRAMEWORKS:
            assert _id(path).startswith(FRAMEWORKS[framework] or ("nowhere",)), name


def test_the_import_reader_sees_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above prove nothing if an import can hide."""
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    file = tmp_path / "frontend" / "keras" / "x.py"
    file.parent.mkdir(parents=True)
    lines = ["import a.b as c", "from . import d", "from ..e import f", "def g():", "    import_module('h')"]
    file.write_text("\n".join(lines))
    top = {"a.b", "litecast.frontend.keras.d", "litecast.frontend.e.f"}
    assert set(_imports(file)) == {*((name, False) for name in top), ("h", True)}


@pytest.mark.parametrize("late", LATE)
def test_the_cold_start_loads_little(late: str) -> None:
    code = f"import sys, litecast; sys.exit({late!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_version_command_loads_no_heavy_library() -> None:
    code = (
        "import sys; from litecast.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted({'rich', 'h5py', 'google.protobuf', 'ai_edge_litert'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert litecast.__version__ in done.stdout


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    long = {name: length for name, length in _functions(path) if length > LONGEST_FUNCTION}
    assert not long


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_modules_have_telling_names(path: Path) -> None:
    assert path.stem not in BANNED_NAMES


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_frozen(module: str) -> None:
    """A name is added to a public module, or taken from it, on purpose: here and in the changelog."""
    found = importlib.import_module(module)
    assert set(found.__all__) == PUBLIC[module]
    assert not [name for name in found.__all__ if not hasattr(found, name)]
