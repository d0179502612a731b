"""Textual IR: `print_model` and `print_graph`, exact inverses of `parse_model` and `parse_graph`.

    signature serving_default = main(image) -> (score)
    graph main(x: f32[n,8,8,3]) -> (y) {
      w = const f32[4,3,3,3] #c0
      y: f32[n,8,8,4] = Conv2D(x, w, const f32[4] splat(0.0)) {padding=SAME, stride_w=1, stride_h=1}
    }

A value is called by its name, `%3` where it has none, `name%3` where the name is taken. A constant that has
no name and one use stands inline. Attributes are the fields that differ from their default. What has no short
spelling (large constants, opaque objects) is a reference `#c0` into the mapping that the printer fills and
the parser reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import MISSING, fields
from enum import IntEnum
from typing import Any

import numpy as np

from litecast.ir.graph import Graph, Lazy, Loc, Model, Node, Value, walk
from litecast.ir.op import Op
from litecast.ir.parser import parse_graph, parse_model
from litecast.ir.types import Blockwise, Dim, DType, Quant, Sym, TensorType

__all__ = ["INLINE_LIMIT", "parse_graph", "parse_model", "print_graph", "print_model", "print_place"]

INLINE_LIMIT = 16
"""Constants of at most this many elements are printed with their contents."""
SPLAT_LIMIT = 1 << 16
"""Constants of at most this many elements are looked at for being one repeated value."""
BYTES_LIMIT = 64
"""Attributes of at most this many bytes are printed with their contents."""

_BARE = re.compile(r"(?!(?:const|none|true|false|inf|nan|loc)\b)[A-Za-z_][\w./;]*(?::\d+)?", re.ASCII)
_BARE_DIM = re.compile(r"[A-Za-z_(][\w()+\-/%,. *:]*", re.ASCII)


def print_graph(graph: Graph, constants: dict[str, Any] | None = None, *, locations: bool = False) -> str:
    """Return the text of a graph and of the subgraphs it refers to, the graph itself first.

    `constants` is filled with what the text only refers to; `parse_graph` takes it back. `locations` adds the
    source location of every node.
    """
    printer = _Printer(constants, locations)
    printer.graphs(_distinct(walk(graph)))
    return "\n".join(printer.lines) + "\n"


def print_model(model: Model, constants: dict[str, Any] | None = None, *, locations: bool = False) -> str:
    """Return the text of a model: what the file says of itself, the signatures, then every graph.

    `constants` and `locations` are as in `print_graph`.
    """
    printer = _Printer(constants, locations)
    graphs = _distinct(model.all_graphs())
    printer.name_graphs(graphs)
    printer.header(model)
    printer.graphs(graphs)
    return "".join(line + "\n" for line in printer.lines)


def print_place(graph: Graph, node: Node | None, before: int = 3) -> str:
    """Return the lines of the text up to a node (the first ones where it is None), for error messages."""
    printer = _Printer(None, locations=True)
    printer.graphs(_distinct(walk(graph)))
    line = printer.places.get(node, 1) if node is not None else 1
    first = max(line - before, 1)
    return "\n".join([printer.lines[0], *["  ..."] * (first > 1), *printer.lines[first : line + 1]])


def _distinct(graphs: Iterable[Graph]) -> list[Graph]:
    return list({id(graph): graph for graph in graphs}.values())


class _Names:
    """Gives every object a spelling of its own: its name where that is free."""

    def __init__(self) -> None:
        self.spelled: dict[Any, str] = {}
        self._taken: set[str] = set()

    def add(self, thing: Any, name: str) -> None:
        spelled = quoted(name) if name else ""
        if not spelled or spelled in self._taken:
            spelled += f"%{len(self.spelled)}"
        self._taken.add(spelled)
        self.spelled[thing] = spelled


class _Printer:
    def __init__(self, constants: dict[str, Any] | None, locations: bool) -> None:
        self.lines: list[str] = []
        self.places: dict[Node, int] = {}
        self.constants: dict[str, Any] = {} if constants is None else constants
        self.locations = locations
        self.references = {id(thing): name for name, thing in self.constants.items()}
        self.graph_names = _Names()
        self.names = _Names()

    # -- models and graphs -----------------------------------------------------------------------------------

    def name_graphs(self, graphs: Iterable[Graph]) -> None:
        for graph in graphs:
            if graph not in self.graph_names.spelled:
                self.graph_names.add(graph, graph.name)

    def header(self, model: Model) -> None:
        if model.description:
            self.lines.append(f"description {json.dumps(model.description)}")
        self.lines += [
            f"metadata {quoted(name)} {self.attribute(data)}" for name, data in model.metadata.items()
        ]
        if model.tail:
            self.lines.append(f"tail {self.attribute(model.tail)}")
        self.lines += [f"entry {self.graph_names.spelled[graph]}" for graph in model.graphs]
        for key, signature in model.signatures.items():
            inputs, outputs = (", ".join(map(quoted, side)) for side in (signature.inputs, signature.outputs))
            graph = self.graph_names.spelled[signature.graph]
            self.lines.append(f"signature {quoted(key)} = {graph}({inputs}) -> ({outputs})")
        if model.init is not None:
            self.lines.append(f"init {self.graph_names.spelled[model.init]}")

    def graphs(self, graphs: list[Graph]) -> None:
        self.name_graphs(graphs)
        for graph in graphs:
            self.graph(graph)

    def graph(self, graph: Graph) -> None:
        appearances = _appearances(graph)
        self.names = _Names()
        for value, count in appearances.items():
            if not value.is_const or value.name or count != 1:
                self.names.add(value, value.name)
        inputs = ", ".join(self.declaration(value) for value in graph.inputs)
        outputs = ", ".join(self.names.spelled[value] for value in graph.outputs)
        self.lines.append(f"graph {self.graph_names.spelled[graph]}({inputs}) -> ({outputs}) {{")
        declared: set[Value] = set()
        for node in graph.nodes:
            self.declare((*_scales((*node.inputs, *node.outputs)), *node.inputs), declared)
            self.places[node] = len(self.lines)
            self.lines.append("  " + self.node(node))
        self.declare((*_scales(graph.outputs), *graph.outputs), declared)
        self.lines.append("}")

    def declare(self, values: Iterable[Value | None], declared: set[Value]) -> None:
        for value in values:
            if value is not None and value.is_const and value in self.names.spelled and value not in declared:
                declared.add(value)
                self.lines.append(f"  {self.names.spelled[value]} = {self.constant(value)}")

    def node(self, node: Node) -> str:
        outputs = ", ".join(map(self.declaration, node.outputs))
        operands = ", ".join(map(self.operand, node.inputs))
        text = f"{type(node.op).__name__}({operands}){self.attributes(node.op)}"
        if self.locations and node.loc != Loc():
            text += " " + location(node.loc)
        return f"{outputs} = {text}" if outputs else text

    # -- values ----------------------------------------------------------------------------------------------

    def declaration(self, value: Value) -> str:
        return f"{self.names.spelled[value]}: {self.type(value)}"

    def operand(self, value: Value | None) -> str:
        if value is None:
            return "none"
        return self.names.spelled.get(value) or self.constant(value)

    def type(self, value: Value) -> str:
        text = self.tensor_type(value.type)
        if value.is_variable:
            text += " variable"
        if value.sparsity is not None:
            text += f" sparsity({self.reference(value.sparsity)})"
        return text

    def tensor_type(self, type: TensorType) -> str:
        text = type_text(type)
        return text if type.quant is None else f"{text} q({self.quant(type.quant)})"

    def quant(self, quant: Quant) -> str:
        parts = [
            f"{field.name}={self.attribute(getattr(quant, field.name))}"
            for field in fields(quant)
            if field.name != "details" and getattr(quant, field.name) != field.default
        ]
        details = quant.details
        if isinstance(details, Blockwise):
            scales, zeros = (self.operand(value) for value in (details.scales, details.zero_points))
            parts.append(f"blockwise=({scales}, {zeros}, {details.block_size})")
        elif details is not None:
            parts.append(f"details={self.reference(details)}")
        return ", ".join(parts)

    def constant(self, value: Value) -> str:
        return f"const {self.type(value)} {self.contents(value.const)}"

    def contents(self, const: Any) -> str:
        if isinstance(const, Lazy) or const.size > SPLAT_LIMIT:
            return self.reference(const)
        if const.size > 4 and const.dtype != object and (const == const.flat[0]).all() and _same_zero(const):
            return f"splat({element(const.flat[0])})"
        if const.size > INLINE_LIMIT:
            return self.reference(const)
        if const.ndim == 0:
            return element(const[()])
        return f"[{', '.join(map(element, const.ravel()))}]"

    def reference(self, thing: Any) -> str:
        name = self.references.get(id(thing))
        if name is None:
            name = self.references[id(thing)] = f"#c{len(self.constants)}"
            self.constants[name] = thing
        return name

    # -- attributes ------------------------------------------------------------------------------------------

    def attributes(self, op: Op) -> str:
        parts = []
        for field in fields(op):
            contents = getattr(op, field.name)
            default = field.default
            if default is MISSING or type(contents) is not type(default) or contents != default:
                parts.append(f"{field.name}={self.attribute(contents)}")
        return f" {{{', '.join(parts)}}}" if parts else ""

    def attribute(self, contents: Any) -> str:
        if isinstance(contents, IntEnum):
            return contents.name
        if isinstance(contents, np.generic):
            contents = contents.item()
        if isinstance(contents, TensorType):
            return self.tensor_type(contents)
        if isinstance(contents, Graph):
            return "@" + self.graph_names.spelled[contents]
        if isinstance(contents, (tuple, list)):
            inner = ", ".join(map(self.attribute, contents))
            return f"[{inner}]" if isinstance(contents, list) else f"({inner})"
        if contents is None:
            return "none"
        short = isinstance(contents, bytes) and len(contents) <= BYTES_LIMIT
        if short or isinstance(contents, (bool, int, float, str)):
            return element(contents)
        return self.reference(contents)


def _appearances(graph: Graph) -> dict[Value, int]:
    """Return how often the text of a graph mentions each value; what needs a name counts twice."""
    counts = dict.fromkeys(graph.values(), 0)
    for node in graph.nodes:
        for value in node.inputs:
            if value is not None:
                counts[value] += 1
    for value in graph.outputs:
        counts[value] += 2
    for value in list(counts):
        for scale in _scales((value,)):
            counts[scale] = counts.get(scale, 0) + 2
    return counts


def _scales(values: Iterable[Value | None]) -> list[Value]:
    """Return the tensors of scales and zero points that blockwise quantized values refer to."""
    found = []
    for value in values:
        details = None if value is None or value.type.quant is None else value.type.quant.details
        if isinstance(details, Blockwise):
            found += [scale for scale in (details.scales, details.zero_points) if scale is not None]
    return found


def _same_zero(const: Any) -> bool:
    """Whether an array of equal values has one sign of zero too."""
    if const.dtype.kind in "biu" or const.flat[0] != 0:
        return True
    return bool(const.tobytes() == np.broadcast_to(const.flat[0], const.shape).tobytes())


def element(contents: Any) -> str:
    """Return the shortest text of a scalar that reads back as the same value."""
    if isinstance(contents, (bool, np.bool_)):
        return "true" if contents else "false"
    if isinstance(contents, bytes):
        return "b" + json.dumps(contents.decode("latin-1"))
    if isinstance(contents, str):
        return json.dumps(contents)
    if isinstance(contents, (complex, np.complexfloating)):
        return f"complex({element(contents.real)}, {element(contents.imag)})"
    if isinstance(contents, (np.float32, np.float64)):
        return str(contents)
    dtype = getattr(contents, "dtype", None)
    if isinstance(contents, int) or (dtype is not None and DType.of(dtype).is_integer):
        return str(int(contents))
    return str(np.float32(contents)) if dtype is not None else repr(float(contents))


def type_text(type: TensorType) -> str:
    """Return element type and shape: `f32[n,8]`, `f32[*]` where the rank is unknown."""
    dims = "*" if type.shape is None else ",".join(map(_dim, type.shape))
    return f"{type.dtype.short}[{dims}]"


def _dim(dim: Dim) -> str:
    if not isinstance(dim, Sym):
        return str(int(dim))
    scale = [str(dim.scale)] if dim.scale != 1 or not dim.names else []
    return "*".join(scale + [name if _is_bare_dim(name) else json.dumps(name) for name in dim.names])


def _is_bare_dim(name: str) -> bool:
    """Whether a dimension's name reads back unquoted: separators only inside balanced parentheses."""
    depth = 0
    for letter in name:
        depth += (letter == "(") - (letter == ")")
        if depth < 0 or (depth == 0 and letter in ",* "):
            return False
    return depth == 0 and _BARE_DIM.fullmatch(name) is not None


def quoted(name: str) -> str:
    """Return a name as the text spells it: bare where it reads back as one name, else a JSON string."""
    return name if _BARE.fullmatch(name) else json.dumps(name)


def location(loc: Loc) -> str:
    """Return the text of a source location."""
    parts = [json.dumps(loc.name), json.dumps(loc.op), *map(location, loc.parents)]
    return f"loc({', '.join(parts)})"
