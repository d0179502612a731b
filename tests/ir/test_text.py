"""Printing and parsing are exact inverses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from litecast.errors import FormatError
from litecast.ir.graph import Graph, Lazy, Loc, Model, Node, Signature, Value, constant
from litecast.ir.text import parse_graph, parse_model, print_graph, print_model, print_place
from litecast.ir.types import Blockwise, DType, Quant, Sym, TensorType
from litecast.ops import (
    Add,
    Conv2D,
    If,
    LeakyRelu,
    Neg,
    ReadVariable,
    Reshape,
    Split,
    VarHandle,
)
from litecast.ops.custom import Custom
from litecast.ops.enums import Activation, Padding


def same(left: Graph, right: Graph) -> None:
    """Assert that two graphs are equal in everything that text holds."""
    pairs: dict[Value, Value] = {}

    def match(old: Value | None, new: Value | None) -> None:
        assert (old is None) == (new is None)
        if old is None or new is None:
            return
        assert pairs.setdefault(old, new) is new
        assert (old.type, old.name, old.is_variable) == (new.type, new.name, new.is_variable)
        assert old.sparsity is new.sparsity
        assert type(old.const) is type(new.const)
        if isinstance(old.const, np.ndarray):
            assert old.const.dtype == new.const.dtype
            assert old.const.shape == new.const.shape
            assert old.const is new.const or _bits(old.const) == _bits(new.const)

    def match_all(olds, news) -> None:
        assert len(olds) == len(news)
        for old, new in zip(olds, news, strict=True):
            match(old, new)

    assert left.name == right.name
    match_all(left.inputs, right.inputs)
    assert len(left.nodes) == len(right.nodes)
    for old, new in zip(left.nodes, right.nodes, strict=True):
        assert type(old.op) is type(new.op)
        assert old.loc == new.loc
        match_all(old.inputs, new.inputs)
        match_all(old.outputs, new.outputs)
        for field in fields(old.op):
            one, other = getattr(old.op, field.name), getattr(new.op, field.name)
            if isinstance(one, Graph):
                same(one, other)
            else:
                assert one == other
                assert type(one) is type(other)
    match_all(left.outputs, right.outputs)
    assert {old.use_count for old in pairs} == {new.use_count for new in pairs.values()}


def _bits(array):
    if array.dtype == object:
        return array.tolist()
    # One NaN is like another in text.
    where = np.isnan(array) if array.dtype.kind in "fc" else np.zeros(array.shape, bool)
    return where.tobytes(), np.where(where, array.dtype.type(0), array).tobytes()


def round_trip(graph: Graph) -> str:
    constants: dict = {}
    text = print_graph(graph, constants, locations=True)
    back = parse_graph(text, constants)
    same(graph, back)
    assert print_graph(back, constants, locations=True) == text
    return text


# -- drawn graphs --------------------------------------------------------------------------------------------

TEXT = """graph main(x: f32[n,8,8,3], "a b": i8[*] q(scales=(0.5), axis=1), w: f32[2*n,(n+1)]) -> (y, c, y) {
  c = const f32[2,2] [1.0, -0.0, inf, nan]
  %3: f32[n,8,8,3] = Add(x, const f32[] 0.1)
  x%4: f32[n,8,8,3] = Neg(%3)
  y: f32[n,8,8,3] = LeakyRelu(x%4) {alpha=0.2}
  s: i32[200] = Add(const i32[200] splat(1), none)
}
"""


def test_what_is_printed():
    constant_last = [*TEXT.splitlines()[:1], *TEXT.splitlines()[2:-1], TEXT.splitlines()[1], "}"]
    assert print_graph(parse_graph(TEXT)).splitlines() == constant_last


def test_types_may_be_left_out():
    graph = parse_graph(
        """graph main(x: f32[n,8,8,3]) -> (y) { // a comment
          w = const f32[4,3,3,3] rand(1)
          y = Conv2D(x, w, const f32[4] zeros) {padding=VALID, stride_w=2, stride_h=2}
          v = Shape(y)
        }"""
    )
    assert graph.outputs[0].type == TensorType(DType.FLOAT32, (Sym("n"), 3, 3, 4))
    assert graph.nodes[0].op == Conv2D(Padding.VALID, 2, 2)
    assert graph.nodes[1].output.known.tolist() == [Sym("n"), 3, 3, 4]
    assert graph.nodes[0].inputs[1].array().std() == pytest.approx(1, abs=0.3)
    again = parse_graph("graph main() -> (w) { w = const f32[4,3,3,3] rand(1) }")
    assert np.array_equal(again.outputs[0].const, graph.nodes[0].inputs[1].const)


def test_large_constants_are_references():
    array, lazy = np.arange(100, dtype=np.float32), Lazy(DType.FLOAT32, (100,), lambda: array)
    graph = Graph()
    x = graph.add_input(TensorType(DType.FLOAT32, (100,)), "x")
    values = [constant(array), constant(array, "w"), constant(lazy)]
    for value in values:
        node = Node(Add(), (x, value), (Value(x.type),), Loc())
        graph.nodes.append(node)
        x = node.output
    graph.set_outputs([x])
    constants: dict = {}
    text = print_graph(graph, constants)
    assert list(constants.values()) == [array, lazy] or constants == {"#c0": array, "#c1": lazy}
    back = parse_graph(text, constants)
    same(graph, back)
    assert back.nodes[0].inputs[1].const is array
    assert back.nodes[2].inputs[1].const is lazy
    with pytest.raises(FormatError, match="#c0 is not among the given constants"):
        parse_graph(text)


def test_models_round_trip():
    text = """description "made by hand"
metadata min_runtime b"2.1\\u0000"
entry plain
signature serving_default = main("input 1") -> (a, "b:0")
signature other = main%1(x) -> (y)
init setup
graph plain() -> () {
}
graph main(x: f32[n]) -> (y, y) {
  y: f32[n], z: f32[n] = If(const bool[] true, x) {then_subgraph_index=@yes, else_subgraph_index=@yes%2}
}
graph yes(x: f32[n]) -> (x, x) {
}
graph yes%2(x: f32[n]) -> (y, y) {
  y: f32[n] = Neg(x) loc("n", "Neg", loc("f", ""), loc("", "PartitionedCall"))
}
graph main%1(x: bool[]) -> (x) {
}
graph setup() -> () {
  h: resource[] = VarHandle() {shared_name="v"}
  v: f32[2] = ReadVariable(h) {type=f32[2]}
  AssignVariable(h, v)
}
"""
    model = parse_model(text)
    printed = print_model(model, locations=True)
    assert print_model(parse_model(printed), locations=True) == printed
    assert model.metadata == {"min_runtime": b"2.1\0"}
    assert [graph.name for graph in model.all_graphs()] == ["plain", "main", "yes", "yes", "main", "setup"]
    assert model.signatures["serving_default"] == Signature(model.entries()[1], ["input 1"], ["a", "b:0"])
    assert "signature other = main%" in printed
    assert printed.splitlines()[-6:] == text.splitlines()[-6:]


def test_an_empty_model():
    assert print_model(Model()) == ""
    assert parse_model("") == Model()


def test_the_first_graph_is_the_entry_where_none_is_named():
    model = parse_model("graph main(x: f32[2]) -> (x) { }\n")
    assert [graph.name for graph in model.entries()] == ["main"]


# -- errors --------------------------------------------------------------------------------------------------

ERRORS = {
    "y = Ad(x, x)": "line 2, column 5: there is no operation Ad",
    "y = Add(x, z)": "line 2, column 12: z is not defined",
    "y = Add(x, x) {speed=1}": "Add has no attribute speed",
    "y = Add(x, x) {fused_activation_function=FAST}": "line 2, column 42: there is no FAST here",
    "y: f31[2] = Neg(x)": "line 2, column 4: there is no such element type",
    "y: f32[2 = Neg(x)": "line 2, column 8: this shape has no closing bracket",
    "y = Add(x, const f32[3] [1, 2])": "line 2, column 25: 2 elements for the shape",
    "y = Add(x, const f32[n] [1, 2])": "a constant has a static shape",
    "y = Add(x, const f32[3] [1, 2, 3])": "line 2, column 5: Add: ",
    "y = Neg(x)\ny = Neg(x)": "line 3, column 1: y is defined twice",
    "y = Neg(x) ; z": "line 2, column 12: expected",
    "y, z = Neg(x)": "line 2, column 4: Neg has 1 outputs",
    "y: f32[2] = If(const bool[] true, x) {then_subgraph_index=@a, else_subgraph_index=@a}": (
        "graph a is not defined"
    ),
    "y = Custom(x)": "line 2, column 5: Custom: ",
    "y = Neg(x": "expected ','",
    "": "y is not defined",
}


@pytest.mark.parametrize("body", ERRORS)
def test_errors_name_the_place(body):
    with pytest.raises(FormatError) as caught:
        parse_graph(f"graph main(x: f32[2]) -> (y) {{\n{body}\n}}")
    assert ERRORS[body] in str(caught.value)


def test_a_text_without_a_graph():
    with pytest.raises(FormatError, match="there is no graph"):
        parse_graph("// nothing\n")
    with pytest.raises(FormatError, match="expected graph, signature, entry or init, found 'grph'"):
        parse_model("grph main() -> () { }")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_text_is_an_error_or_a_graph(data):
    text = TEXT
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(start + 9, len(text))))
        text = text[:start] + data.draw(st.text("()[]{}=,:%\"'x1 \n#@-b", max_size=3)) + text[stop:]
    with suppress(FormatError):
        print_graph(parse_graph(text))


def test_the_place_of_a_node():
    graph = parse_graph("graph main(x: f32[2]) -> (e) { a=Neg(x) b=Neg(a) c=Neg(b) d=Neg(c) e=Neg(d) }")
    assert [line.split(":")[0].strip() for line in print_place(graph, graph.nodes[4]).splitlines()] == [
        *("graph main(x", "...", "b", "c", "d", "e")
    ]


# -- any graph -----------------------------------------------------------------------------------------------

NAMES = st.text(max_size=6) | st.sampled_from(["x", "y", "none", "const", "inf", "a/b:0", "%1", "nan.x", "b"])
DIM_NAMES = st.sampled_from(["n", "m", "(n+1)", "max(n,m)", "in_1:0", "a,b", "3", "x y", '"', "joined.3"])
SYMS = st.builds(
    lambda names, scale: Sym(*names, scale=scale),
    st.lists(DIM_NAMES, min_size=1, max_size=3),
    st.sampled_from([1, 2, -1, 7]),
)
SHAPES = st.none() | st.lists(st.integers(0, 9) | SYMS, max_size=4).map(tuple)
DTYPES = st.sampled_from(list(DType))
FLOATS = st.floats(width=32) | st.sampled_from([0.1, 1e-45, -0.0])
QUANTS = st.none() | st.builds(
    Quant,
    scales=st.lists(FLOATS.filter(lambda number: number == number), max_size=3).map(tuple),
    zero_points=st.lists(st.integers(-128, 127), max_size=3).map(tuple),
    axis=st.integers(0, 3),
    min=st.just(()) | st.just((-1.0,)),
)
TYPES = st.builds(TensorType, DTYPES, SHAPES, QUANTS)
SMALL = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
NUMBERS = [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32]
NUMBERS += [np.int64, np.uint64, np.bool_, np.complex64, np.complex128]
ODD = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.int4, ml_dtypes.uint4]
ODD += [ml_dtypes.int2]
ARRAYS = (
    st.sampled_from(NUMBERS).flatmap(lambda kind: hnp.arrays(kind, SMALL))
    | st.tuples(st.sampled_from(ODD), hnp.arrays(np.int8, SMALL, elements=st.integers(-2, 1))).map(
        lambda pair: (
            pair[1].astype(np.float32).clip(0 if pair[0] is ml_dtypes.uint4 else -2, 1).astype(pair[0])
        )
    )
    | hnp.arrays(np.object_, SMALL, elements=st.binary(max_size=4))
    | st.integers(17, 90).map(lambda size: np.arange(size, dtype=np.float32))
    | st.tuples(SMALL, FLOATS).map(lambda pair: np.full((7, *pair[0]), pair[1], np.float32))
)
OPS = st.one_of(
    st.builds(Add, st.sampled_from(list(Activation))),
    st.builds(LeakyRelu, FLOATS.filter(lambda number: number == number)),
    st.builds(Conv2D, st.sampled_from(list(Padding)), st.integers(1, 3)),
    st.builds(Custom, NAMES, st.binary(max_size=80), types=st.lists(TYPES, max_size=2).map(tuple)),
    st.builds(VarHandle, st.none() | NAMES, NAMES),
    st.builds(ReadVariable, st.none() | TYPES),
    st.builds(Reshape, st.just(()) | st.just((1, -1))),
)
LOCS = st.recursive(
    st.builds(Loc, NAMES, NAMES),
    lambda inner: st.builds(Loc, NAMES, NAMES, st.lists(inner, max_size=2).map(tuple)),
)


@st.composite
def graphs(draw, depth: int = 1):
    """Any graph that text can hold, well typed or not."""
    graph = Graph(draw(NAMES))
    values = [graph.add_input(draw(TYPES), draw(NAMES)) for _ in range(draw(st.integers(0, 3)))]
    for value in values:
        value.is_variable = draw(st.booleans())
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            values.append(constant(draw(ARRAYS), draw(NAMES)))
        op = draw(OPS)
        if depth and draw(st.integers(0, 9)) == 0:
            op = If(draw(graphs(depth=0)), draw(graphs(depth=0)))
        operands = draw(st.lists(st.sampled_from([*values, None]), max_size=3))
        outputs = [Value(draw(TYPES), draw(NAMES)) for _ in range(draw(st.integers(0, 2)))]
        graph.nodes.append(Node(op, operands, outputs, draw(LOCS)))
        values += outputs
    defined = [*graph.inputs, *(output for node in graph.nodes for output in node.outputs)]
    used = [operand for node in graph.nodes for operand in node.inputs if operand is not None]
    if defined or used:
        graph.set_outputs(draw(st.lists(st.sampled_from([*defined, *used]), max_size=3)))
    return graph


@settings(max_examples=120, deadline=None)
@given(graphs())
def test_any_graph_round_trips(graph):
    round_trip(graph)


@settings(max_examples=30, deadline=None)
@given(
    graphs(),
    graphs(),
    st.dictionaries(NAMES, st.binary(max_size=90), max_size=2),
    NAMES,
    st.binary(max_size=70),
)
def test_any_model_round_trips(first, second, metadata, description, tail):
    def signature(graph):
        return Signature(graph, [f"i{n}" for n in range(len(graph.inputs))], [""] * len(graph.outputs))

    model = Model({"a b": signature(second)}, None, metadata, [first], description, tail)
    constants: dict = {}
    text = print_model(model, constants, locations=True)
    back = parse_model(text, constants)
    assert print_model(back, constants, locations=True) == text
    assert (back.metadata, back.description, back.tail) == (metadata, description, tail)
    for old, new in zip(model.entries(), back.entries(), strict=True):
        same(old, new)


def test_blockwise_quantization_and_sparsity():
    scales, zeros = constant(np.ones((2, 2), np.float16), "scales"), constant(np.zeros((2, 2), np.int32))
    sparsity = object()
    quant = Quant(details=Blockwise(scales, zeros, 32))
    weights = Value(TensorType(DType.INT4, (2, 64), quant), "w", np.zeros((2, 64), ml_dtypes.int4))
    weights.sparsity = sparsity
    graph = Graph()
    x = graph.add_input(TensorType(DType.FLOAT32, (1, 64)), "x")
    opaque = Value(TensorType(DType.FLOAT32, (1, 2), Quant(details=sparsity)), "y")
    graph.nodes.append(Node(Neg(), (x, weights), (opaque,), Loc()))
    graph.set_outputs([opaque])
    constants: dict = {}
    text = print_graph(graph, constants)
    back = parse_graph(text, constants)
    assert print_graph(back, constants) == text
    found = back.nodes[0].inputs[1]
    assert found.sparsity is sparsity
    assert back.outputs[0].type.quant.details is sparsity
    assert found.type.quant.details.block_size == 32
    assert found.type.quant.details.scales.array().dtype == np.float16


def test_several_outputs():
    text = round_trip(
        parse_graph("graph g(x: f32[4]) -> (b) { a, b = Split(const i32[] 0, x) {num_splits=2} }")
    )
    assert f"= {Split.__name__}(const i32[] 0, x) {{num_splits=2}}" in text
