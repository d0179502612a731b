"""Write the tables of `keras.md` from the importers, between its markers: `python docs/keras.py`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import litecast.frontend.keras.functions  # noqa: F401  (fills the table)
from litecast.frontend.keras.functions.table import FUNCTIONS
from litecast.frontend.keras.importer import LayerImporter, keras, operations
from litecast.frontend.keras.layers import FAMILIES, import_all

PAGE = Path(__file__).with_name("keras.md")
START, END = "<!-- made by docs/keras.py -->\n", "<!-- until here -->\n"
WIDTH = 110
TITLES = {
    "augment": "Augmentation",
    "convlstm": "ConvLSTM",
    "local": "Locally connected",
    "tensorflow": "Calls of TensorFlow",
}
CONTEXT = {"layer", "op", "mask"}
"""What an importer asks for that is not an option; a wrapper's own option `layer` is in its `harmless`."""

LAYERS_HEAD = """
{count} classes, by family; several names in a row are one layer, or layers with the same options. **Options**
are those that count in inference, with all their values but for what is **refused**. What is **ignored** only
matters in training, or to Keras's own execution, or is in the weights. Every layer also takes `name`,
`dtype`, `trainable`, initializers, regularizers and constraints. Any other option is an error that names it.
"""
OPERATIONS_HEAD = """
### Operations

Calls of `keras.ops` on symbolic tensors, {count}:
"""
TENSORFLOW_HEAD = """
Calls of TensorFlow in functional Keras 2 models, {count} (`math`, `nn` and `linalg` left out of the names):
"""


def page() -> str:
    """The text of the page, with its tables as the importers are now."""
    before, _, rest = PAGE.read_text().partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{tables()}{END}{after}"


def tables() -> str:
    """Layers by family, then operations."""
    import_all()
    parts = [LAYERS_HEAD.format(count=len(keras.names()))]
    for module, classes in FAMILIES.items():
        rows = list(_rows(classes if isinstance(classes, str) else " ".join(classes)))
        if rows:
            name = module.rpartition(".")[2]
            title = TITLES.get(name, name.capitalize())
            parts.append(f"\n### {title}\n\n| Layer | Options | Ignored | Refused |\n|---|---|---|---|\n")
            parts += rows
    named = [name for name in operations.names() if not _operation(name).refused]
    parts += [OPERATIONS_HEAD.format(count=len(named)), "\n", _listed(named)]
    refused = [name for name in operations.names() if _operation(name).refused]
    parts += ["\nRefused:\n\n", *(f"- `{name}`: {_operation(name).refused}\n" for name in refused)]
    functions = [f"tf.{name}" for name in sorted(FUNCTIONS)]
    parts += [TENSORFLOW_HEAD.format(count=len(functions)), "\n", _listed(functions)]
    return "".join(parts) + "\n"


def _operation(name: str) -> LayerImporter:
    found = operations.find(name)
    assert found is not None
    return found


def _listed(names: list[str]) -> str:
    text = ", ".join(f"`{name}`" for name in names)
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False) + "\n"


def _rows(classes: str) -> Iterator[str]:
    """One row for the classes that are imported alike."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for name in classes.split():
        found = keras.find(name)
        assert found is not None, f"{name} is in FAMILIES and has no importer"
        alike.setdefault(_cells(found), []).append(name)
    for cells, names in alike.items():
        yield f"| {_code(sorted(names))} | {' | '.join(cells)} |\n"


def _cells(importer: LayerImporter) -> tuple[str, str, str]:
    """Options, what is ignored, and what is refused."""
    if importer.training_only:
        return "none: it is left out, and the report says so", "all", ""
    if importer.refused:
        return "", "", f"always: {importer.refused}"
    contract = importer.contract
    masks = {f"{name}_mask" for name in contract.inputs}
    own = {"layer"} & importer.harmless
    options = sorted(own | contract.keywords - CONTEXT - masks)
    text = _code(options)
    if contract.any_keyword:
        text = f"{text}; those of its cell" if "return_state" in options else "all"
    ignored = sorted(importer.harmless - keras.harmless - set(options))
    return text, _code(ignored), "; ".join(dict.fromkeys(_refusals(importer)))


def _code(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# -- refusals: the reasons that an importer and the functions it uses in its module can raise -----------


def _refusals(importer: LayerImporter) -> Iterator[str]:
    function = inspect.unwrap(importer.function)
    definitions = _definitions(inspect.getfile(function))
    pending, seen = [function.__name__], set()
    while pending:
        name = pending.pop()
        if name in seen or name not in definitions:
            continue
        seen.add(name)
        for node in ast.walk(definitions[name]):
            if isinstance(node, ast.Name):
                pending.append(node.id)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                pending.append(node.func.attr)
                if node.func.attr == "unsupported" and node.args:
                    yield from _text(node.args[0])


@cache
def _definitions(path: str) -> dict[str, ast.AST]:
    """Functions and classes of a module by name, those that are imported from the same package too."""
    tree = ast.parse(Path(path).read_text())
    found = {node.name: node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in tree.body:
        package = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if isinstance(node, ast.ImportFrom) and package.startswith("litecast.frontend.keras.layers."):
            theirs = _definitions(str(Path(path).with_name(f"{package.rpartition('.')[2]}.py")))
            found.update({item.name: theirs[item.name] for item in node.names if item.name in theirs})
    return found


def _text(node: ast.expr) -> Iterator[str]:
    """The words of a string, with an ellipsis for what is filled in."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(item.value) if isinstance(item, ast.Constant) else "..." for item in node.values)


if __name__ == "__main__":
    PAGE.write_text(page())
