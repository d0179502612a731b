"""The parser of textual IR (`ir.text` prints it); an error names line and column.

What the printer always writes may be left out by hand: the type of an output (it is inferred) and the `entry`
of a text that holds only graphs (the first one is it). Constants also read `zeros`, `ones` and `rand(SEED)`.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from dataclasses import fields
from enum import IntEnum
from functools import cache
from typing import Any, cast

import numpy as np

from litecast.errors import InferenceError
from litecast.ir.graph import Graph, Loc, Model, Node, Signature, Value
from litecast.ir.op import Op
from litecast.ir.scanner import STRING, Scanner
from litecast.ir.types import Blockwise, Dim, DType, Quant, Sym, TensorType

__all__ = ["parse_graph", "parse_model"]

_MISFITS = (InferenceError, ValueError, TypeError, LookupError, AttributeError)
"""What inference raises on operands that do not fit."""
_QUANT_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("scales", "zero_points", "min", "max"), tuple),
    "axis": int,
}
_DTYPES = {dtype.short: dtype for dtype in DType}


def parse_graph(text: str, constants: dict[str, Any] | None = None) -> Graph:
    """Return the first graph of a text; FormatError names line and column.

    `constants` is what `print_graph` filled.
    """
    parser = _Parser(text, constants)
    parser.read()
    if not parser.defined:
        raise parser.error("there is no graph")
    return parser.defined[0]


def parse_model(text: str, constants: dict[str, Any] | None = None) -> Model:
    """Return the model of a text; FormatError names line and column.

    `constants` is what `print_model` filled.
    """
    parser = _Parser(text, constants)
    parser.read()
    model = parser.model
    if parser.defined and not model.graphs and not model.signatures and model.init is None:
        model.graphs.append(parser.defined[0])
    return model


class _Parser(Scanner):
    def __init__(self, text: str, constants: dict[str, Any] | None) -> None:
        super().__init__(text)
        self.constants = {} if constants is None else constants
        self.operations = _operations()
        self.model = Model()
        self.named: dict[str, Graph] = {}
        self.defined: list[Graph] = []
        self.referred: dict[str, int] = {}
        self.values: dict[str, Value] = {}

    # -- models and graphs -----------------------------------------------------------------------------------

    def read(self) -> None:
        """Read the whole text."""
        while self.token.kind != "end":
            start = self.token.start
            keyword = self.take("name", "graph, signature, entry or init")
            reader = getattr(self, f"_read_{keyword}", None)
            if reader is None:
                raise self.error(f"expected graph, signature, entry or init, found {keyword!r}", start)
            reader()
        for name, start in self.referred.items():
            if self.named[name] not in self.defined:
                raise self.error(f"graph {name} is not defined", start)

    def _read_description(self) -> None:
        self.model.description = self.name()

    def _read_metadata(self) -> None:
        name = self.name()
        self.model.metadata[name] = self.attribute({})

    def _read_tail(self) -> None:
        self.model.tail = self.attribute({})

    def _read_entry(self) -> None:
        self.model.graphs.append(self.graph_reference())

    def _read_init(self) -> None:
        self.model.init = self.graph_reference()

    def _read_signature(self) -> None:
        key = self.name()
        self.expect("=")
        graph = self.graph_reference()
        self.expect("(")
        inputs = self.items(")", self.name)
        self.expect("->")
        self.expect("(")
        self.model.signatures[key] = Signature(graph, inputs, self.items(")", self.name))

    def _read_graph(self) -> None:
        start = self.token.start
        spelled = self.take("name", "the name of a graph")
        graph = self.named.setdefault(spelled, Graph(_label(spelled)))
        if graph in self.defined:
            raise self.error(f"graph {spelled} is defined twice", start)
        self.defined.append(graph)
        self.values = {}
        self.expect("(")
        graph.inputs = [self.define(*declared) for declared in self.items(")", self.declaration)]
        self.expect("->")
        self.expect("(")
        outputs = self.items(")", lambda: (self.token.start, self.take("name", "the name of an output")))
        self.expect("{")
        while not self.accept("}"):
            self.statement(graph)
        graph.set_outputs([self.value(spelled, start) for start, spelled in outputs])

    def graph_reference(self) -> Graph:
        start = self.token.start
        spelled = self.take("name", "the name of a graph")
        self.referred.setdefault(spelled, start)
        return self.named.setdefault(spelled, Graph(_label(spelled)))

    # -- statements ------------------------------------------------------------------------------------------

    def statement(self, graph: Graph) -> None:
        start = self.token.start
        spelled = self.take("name", "a value or an operation")
        if self.at("("):
            self.node(graph, spelled, start, [])
            return
        outputs = [(start, spelled, self.annotation())]
        while self.accept(","):
            outputs.append(self.declaration())
        self.expect("=")
        start = self.token.start
        operation = self.take("name", "an operation or const")
        if operation == "const" and len(outputs) == 1:
            value = self.constant()
            value.name = _label(spelled)
            self.define(*outputs[0][:2], value)
        else:
            self.node(graph, operation, start, outputs)

    def node(
        self, graph: Graph, operation: str, start: int, declared: list[tuple[int, str, Value | None]]
    ) -> None:
        operator = self.operations.get(operation)
        if operator is None:
            raise self.error(f"there is no operation {operation}", start)
        self.expect("(")
        operands = self.items(")", self.operand)
        op = self.operation(operator, start)
        types: Any = ()
        if any(value is None for _, _, value in declared):
            types = self.inferred(op, operands, start)
        outputs = []
        for index, (place, spelled, value) in enumerate(declared):
            if value is None and index >= len(types):
                raise self.error(f"{operation} has {len(types)} outputs", place)
            outputs.append(self.define(place, spelled, Value(types[index]) if value is None else value))
        for output, contents in zip(outputs, _known(op, operands), strict=False):
            output.known = contents
        graph.nodes.append(Node(op, operands, outputs, self.location() if self.at("loc") else Loc()))

    def inferred(self, op: Op, operands: list[Value | None], start: int) -> tuple[TensorType, ...]:
        try:
            types = op.infer(*operands)
        except _MISFITS as error:
            raise self.error(f"{type(op).__name__}: {error}", start) from error
        return types if isinstance(types, tuple) else (types,)

    def operation(self, operator: type[Op], start: int) -> Op:
        attributes: dict[str, Any] = {}
        names = {field.name for field in fields(operator)}
        words = _enumerators(cast(Any, operator))

        def attribute() -> None:
            name = self.take("name", "an attribute")
            if name not in names:
                raise self.error(f"{operator.__name__} has no attribute {name}")
            self.expect("=")
            attributes[name] = self.attribute(words)

        if self.accept("{"):
            self.items("}", attribute)
        try:
            return operator(**attributes)
        except (TypeError, ValueError) as error:
            raise self.error(f"{operator.__name__}: {error}", start) from error

    def location(self) -> Loc:
        self.expect("loc")
        self.expect("(")
        name = self.name()
        self.expect(",")
        op = self.name()
        self.accept(",")
        return Loc(name, op, tuple(self.items(")", self.location)))

    # -- values ----------------------------------------------------------------------------------------------

    def define(self, start: int, spelled: str, value: Value | None) -> Value:
        if value is None:
            raise self.error(f"{spelled} has no type", start)
        if spelled in self.values:
            raise self.error(f"{spelled} is defined twice", start)
        self.values[spelled] = value
        value.name = _label(spelled)
        return value

    def value(self, spelled: str, start: int) -> Value:
        if spelled not in self.values:
            raise self.error(f"{spelled} is not defined", start)
        return self.values[spelled]

    def declaration(self) -> tuple[int, str, Value | None]:
        start = self.token.start
        return start, self.take("name", "the name of a value"), self.annotation()

    def annotation(self) -> Value | None:
        return self.type() if self.accept(":") else None

    def operand(self) -> Value | None:
        start = self.token.start
        spelled = self.take("name", "a value, const or none")
        if spelled == "none":
            return None
        return self.constant() if spelled == "const" else self.value(spelled, start)

    def type(self) -> Value:
        """Read a type, `variable` and sparsity; return an unnamed value of them."""
        value = Value(self.tensor_type(self.token.start, self.take("name", "an element type")))
        value.is_variable = self.accept("variable")
        if self.accept("sparsity"):
            self.expect("(")
            value.sparsity = self.reference()
            self.expect(")")
        return value

    def tensor_type(self, start: int, name: str) -> TensorType:
        """Read shape and quantization behind an element type's name."""
        dtype = _DTYPES.get(name)
        if dtype is None:
            raise self.error("there is no such element type", start)
        if not self.at("["):
            raise self.error(f"expected '[', found {self.token.text!r}")
        self.next()
        start = self.token.start
        shape = self.shape(self.until_bracket(), start)
        self.expect("]")
        if not self.accept("q"):
            return TensorType(dtype, shape)
        self.expect("(")
        return TensorType(dtype, shape, Quant(**dict(self.items(")", self.quant_field))))

    def shape(self, text: str, start: int) -> tuple[Dim, ...] | None:
        if text.strip() == "*":
            return None
        return tuple(self.dim(part.strip(), start) for part in _split(text, ",")) if text.strip() else ()

    def dim(self, text: str, start: int) -> Dim:
        if re.fullmatch(r"\d+", text):
            return int(text)
        factors = _split(text, "*")
        scale = int(factors.pop(0)) if re.fullmatch(r"-?\d+", factors[0]) else 1
        if not all(re.fullmatch(rf'{STRING}|[^"]+', name) for name in factors):
            raise self.error(f"{text!r} is not a dimension", start)
        return Sym(*(json.loads(name) if name[0] == '"' else name for name in factors), scale=scale)

    def quant_field(self) -> tuple[str, Any]:
        start = self.token.start
        name = self.take("name", "a field of the quantization")
        self.expect("=")
        if name != "blockwise":
            contents = self.attribute({})
            if name != "details" and not isinstance(contents, _QUANT_FIELDS.get(name, ())):
                raise self.error(f"quantization has no such {name}", start)
            return name, contents
        self.expect("(")
        scales = self.operand()
        self.expect(",")
        zeros = self.operand()
        self.expect(",")
        size = self.attribute({})
        self.expect(")")
        if scales is None:
            raise self.error("blockwise quantization needs scales")
        return "details", Blockwise(scales, zeros, size)

    def constant(self) -> Value:
        value = self.type()
        start = self.token.start
        shape = value.type.shape
        if shape is None or not value.type.is_static:
            raise self.error("a constant has a static shape", start)
        value.const = self.contents(value.dtype, shape, start)
        return value

    def contents(self, dtype: DType, shape: tuple[Any, ...], start: int) -> Any:
        if self.token.kind == "ref":
            return self.reference()
        form = self.token.text
        try:
            if form in ("zeros", "ones"):
                self.next()
                return np.full(shape, form == "ones", dtype.numpy)
            if form in ("splat", "rand"):
                self.next()
                self.expect("(")
                (number,) = self.items(")", lambda: self.attribute({}))
                return (
                    np.full(shape, number, dtype.numpy) if form == "splat" else _random(dtype, shape, number)
                )
            found = self.items("]", lambda: self.attribute({})) if self.accept("[") else [self.attribute({})]
            return _elements(found, dtype, shape)
        except (TypeError, ValueError, OverflowError, MemoryError) as error:
            raise self.error(str(error), start) from error

    def reference(self) -> Any:
        start = self.token.start
        name = self.take("ref", "a reference")
        if name not in self.constants:
            raise self.error(f"{name} is not among the given constants", start)
        return self.constants[name]

    # -- attributes ------------------------------------------------------------------------------------------

    def name(self) -> str:
        return _label(self.take("name", "a name"))

    def attribute(self, words: dict[str, Any]) -> Any:
        """Read one attribute value; `words` are the enumerators that bare words stand for."""
        token = self.token
        if token.kind == "number":
            text = self.next().text
            return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
        if token.kind == "bytes":
            return json.loads(self.next().text[1:], strict=False).encode("latin-1")
        if token.kind == "ref":
            return self.reference()
        if token.kind == "name":
            return self.word(words)
        if self.accept("@"):
            return self.graph_reference()
        if self.accept("("):
            return tuple(self.items(")", lambda: self.attribute(words)))
        if self.accept("["):
            return self.items("]", lambda: self.attribute(words))
        raise self.error(f"expected a value, found {token.text!r}")

    def word(self, words: dict[str, Any]) -> Any:
        token = self.next()
        if token.text[0] == '"':
            return _label(token.text)
        if token.text in _DTYPES and self.at("["):
            return self.tensor_type(token.start, token.text)
        if token.text == "complex":
            self.expect("(")
            parts = self.items(")", lambda: self.attribute(words))
            if len(parts) != 2:
                raise self.error("a complex number has two parts", token.start)
            return complex(*parts)
        constants = {"true": True, "false": False, "none": None}
        if token.text not in words and token.text not in constants:
            raise self.error(f"there is no {token.text} here", token.start)
        return words[token.text] if token.text in words else constants[token.text]


def _label(spelled: str) -> str:
    """Return the name that a spelling stands for: `a%3` is a, `%3` is unnamed."""
    name = re.sub(r"%\d+$", "", spelled, flags=re.ASCII)
    return str(json.loads(name, strict=False)) if name.startswith('"') else name


def _split(text: str, separator: str) -> list[str]:
    """Split at separators outside parentheses and quotes."""
    parts, depth, quoted, previous = [""], 0, False, ""
    for letter in text:
        quoted ^= letter == '"' and previous != "\\"
        if not quoted:
            depth += (letter == "(") - (letter == ")")
        if letter == separator and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
        previous = letter
    return parts


def _random(dtype: DType, shape: tuple[int, ...], seed: int) -> Any:
    generator = np.random.default_rng(seed)
    if dtype.is_float or dtype.is_complex:
        return generator.standard_normal(shape).astype(dtype.numpy)
    low, high = (0, 2) if dtype is DType.BOOL else (0 if dtype.short[0] == "u" else -4, 4)
    return generator.integers(low, high, shape).astype(dtype.numpy)


def _known(op: Op, operands: list[Value | None]) -> tuple[Any, ...]:
    """Return what is known of the contents of the outputs: nothing where the operands do not fit.

    Text may hold what the verifier rejects.
    """
    try:
        known = op.known(*operands)
    except _MISFITS:
        return ()
    return known if isinstance(known, tuple) else (known,)


def _elements(found: list[Any], dtype: DType, shape: tuple[int, ...]) -> Any:
    if len(found) != math.prod(shape):
        raise ValueError(f"{len(found)} elements for the shape {shape}")
    array = np.empty(len(found), object)
    array[:] = found
    return array.astype(dtype.numpy).reshape(shape)


def _operations() -> dict[str, type[Op]]:
    """Return every operation class by name."""
    for module in ("litecast.ops", "litecast.ops.custom"):
        importlib.import_module(module)
    found: dict[str, type[Op]] = {}
    pending: list[type[Op]] = [Op]
    while pending:
        operator = pending.pop()
        found[operator.__name__] = operator
        pending += operator.__subclasses__()
    return found


@cache
def _enumerators(operator: Any) -> dict[str, Any]:
    """Return the enumerators that an operation's attributes may hold, by name, read from the annotations."""
    words: dict[str, Any] = {}
    for owner in operator.__mro__:
        scope = vars(importlib.import_module(owner.__module__))
        for annotation in vars(owner).get("__annotations__", {}).values():
            for name in re.findall(r"\w+", str(annotation)):
                kind = scope.get(name)
                if isinstance(kind, type) and issubclass(kind, IntEnum):
                    words |= dict(kind.__members__)
    return words
