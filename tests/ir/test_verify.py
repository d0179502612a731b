"""The verifier names each kind of defect, with the text of its place."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import InternalError, UnsupportedError
from litecast.ir.graph import Graph, Lazy, Loc, Model, Node, Signature, Value, constant
from litecast.ir.text import parse_graph, parse_model
from litecast.ir.types import DType, Sym, TensorType
from litecast.ir.verify import verify
from litecast.ops import Neg

F32 = TensorType(DType.FLOAT32, (2,))
PLAIN = """graph main(x: f32[2], w: f32[2]) -> (y) {
  a = Add(x, const f32[2] [1, 2])
  b = Mul(a, w)
  y = Neg(b)
}"""


def plain() -> Graph:
    return parse_graph(PLAIN)


def test_a_sound_graph_passes():
    verify(plain())


def swap_nodes(graph):
    graph.nodes[0], graph.nodes[1] = graph.nodes[1], graph.nodes[0]


def drop_node(graph):
    del graph.nodes[0]


def repeat_node(graph):
    graph.nodes.append(graph.nodes[2])


def foreign_output(graph):
    graph.set_outputs([Value(F32, "foreign")])


def foreign_operand(graph):
    graph.nodes[1].set_input(1, Value(F32, "foreign"))


def hidden_operand(graph):
    graph.nodes[1].inputs[1] = graph.inputs[0]


def wrong_use(graph):
    graph.inputs[0].uses.clear()


def wrong_index(graph):
    graph.nodes[0].output.index = 1


def wrong_type(graph):
    graph.nodes[0].output.type = TensorType(DType.FLOAT32, (3,))


def wrong_dtype(graph):
    graph.outputs[0].type = TensorType(DType.INT32, (2,))


def wrong_rank(graph):
    graph.outputs[0].type = TensorType(DType.FLOAT32, (2, 1))


def missing_output(graph):
    graph.nodes[2].outputs.append(Value(F32))
    graph.nodes[2].outputs[1].producer, graph.nodes[2].outputs[1].index = graph.nodes[2], 1


def misfit_operands(graph):
    graph.inputs[1].type = TensorType(DType.FLOAT32, (3,))


def misfit_constant(graph):
    graph.nodes[0].inputs[1].const = np.zeros(3, np.float32)


def misfit_element(graph):
    graph.nodes[0].inputs[1].const = np.zeros(2, np.float64)


def misfit_lazy(graph):
    graph.nodes[0].inputs[1].const = Lazy(DType.FLOAT32, (3,), lambda: pytest.fail("computed to be checked"))


def constant_input(graph):
    graph.inputs[0].const = np.zeros(2, np.float32)


def repeated_input(graph):
    graph.inputs.append(graph.inputs[0])


DEFECTS = {
    swap_nodes: "<value a: f32[2]> is read before it is defined\ngraph main",
    drop_node: "<value a: f32[2]> is read before it is defined",
    repeat_node: "output 0 of <Neg at > is not this node's alone",
    foreign_output: "<value foreign: f32[2]> is read before it is defined",
    foreign_operand: "<value foreign: f32[2]> is read before it is defined",
    hidden_operand: "the uses of <value x: f32[2]> are not what is recorded",
    wrong_use: "the uses of <value x: f32[2]> are not what is recorded: <Add at >",
    wrong_index: "output 0 of <Add at > is not this node's alone",
    wrong_type: "<Add at > gives f32[2], recorded is f32[3]",
    wrong_dtype: "<Neg at > gives f32[2], recorded is i32[2]",
    wrong_rank: "<Neg at > gives f32[2], recorded is f32[2,1]",
    missing_output: "<Neg at > has 2 outputs, not 1",
    misfit_operands: "<Mul at >: shapes (2,), (3,) do not broadcast",
    misfit_constant: "holds float32[3]",
    misfit_element: "holds float64[2]",
    misfit_lazy: "holds float32[3]",
    constant_input: "input <const x: f32[2]> is not an input alone",
    repeated_input: "input <value x: f32[2]> is not an input alone",
}


@pytest.mark.parametrize("damage", DEFECTS, ids=lambda damage: damage.__name__)
def test_a_defect_is_named(damage):
    graph = plain()
    damage(graph)
    with pytest.raises(InternalError) as caught:
        verify(graph)
    assert DEFECTS[damage] in str(caught.value)


def test_the_place_is_printed():
    graph = plain()
    graph.nodes[1].loc = Loc("dense", "MatMul")
    wrong_dtype(graph)
    graph.nodes[1].output.type = TensorType(DType.INT32, (2,))
    with pytest.raises(InternalError) as caught:
        verify(graph)
    text = str(caught.value)
    assert text.startswith(
        "graph main: <Mul at dense (MatMul)> gives f32[2], recorded is i32[2]\ngraph main(x"
    )
    assert text.endswith('b: i32[2] = Mul(a, w) loc("dense", "MatMul")')


def test_narrower_and_wider_types_agree():
    graph = plain()
    graph.nodes[0].output.type = TensorType(DType.FLOAT32, (Sym("n"),))
    graph.nodes[1].output.type = TensorType(DType.FLOAT32, None)
    verify(graph)


def test_subgraphs_are_checked():
    graph = parse_graph(
        """graph main(p: bool[], x: f32[2]) -> (y) {
          y: f32[2] = If(p, x) {then_subgraph_index=@yes, else_subgraph_index=@other}
        }
        graph yes(x: f32[2]) -> (y) { y = Neg(x) }
        graph other(x: f32[2]) -> (x) { }"""
    )
    verify(graph)
    inner = graph.nodes[0].op.then_subgraph_index
    inner.nodes[0].set_input(0, graph.inputs[1])
    with pytest.raises(InternalError, match="graph yes: <value x"):
        verify(graph)


CONTROL = {
    "y: f32[2] = If(x, x) {then_subgraph_index=@same, else_subgraph_index=@same}": "BOOL",
    "y: f32[2] = If(p) {then_subgraph_index=@same, else_subgraph_index=@same}": "takes 1 inputs, not 0",
    "y: f32[2] = If(p, p) {then_subgraph_index=@same, else_subgraph_index=@same}": "input 0",
    "y: f32[2], z: f32[2] = If(p, x) {then_subgraph_index=@same, else_subgraph_index=@same}": "outputs",
    "y: f32[2] = While(x) {cond_subgraph_index=@same, body_subgraph_index=@negate}": "one BOOL",
    "y: f32[2] = While(x) {cond_subgraph_index=@holds, body_subgraph_index=@holds}": "same graph",
    "y: bool[] = While(x) {cond_subgraph_index=@holds, body_subgraph_index=@negate}": "recorded is bool[]",
}


@pytest.mark.parametrize("line", CONTROL)
def test_control_flow_fits_its_graphs(line):
    graph = parse_graph(
        f"""graph main(p: bool[], x: f32[2]) -> (y) {{ {line} }}
        graph same(x: f32[2]) -> (x) {{ }}
        graph negate(x: f32[2]) -> (y) {{ y = Neg(x) }}
        graph holds(x: f32[2]) -> (p) {{ p = Less(const i32[] 1, const i32[] 2) }}"""
    )
    with pytest.raises(InternalError) as caught:
        verify(graph)
    assert CONTROL[line] in str(caught.value)


# -- models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        (["a"], ["y"], "signature s names 1 inputs of the 2"),
        (["a", "b"], [], "signature s names 0 outputs of the 1"),
        (["a", "a"], ["y"], "signature s names two of its inputs a"),
    ],
)
def test_signatures_fit_their_graphs(inputs, outputs, reason):
    with pytest.raises(InternalError, match=reason):
        verify(Model({"s": Signature(plain(), inputs, outputs)}))


def test_a_constant_may_be_shared_with_a_graph_that_is_not_looked_at():
    shared = constant(np.ones(2, np.float32))
    graphs = []
    for _ in range(2):
        graph = Graph()
        node = Node(Neg(), (shared,), (Value(F32),), Loc())
        graph.nodes.append(node)
        graph.set_outputs([node.output])
        graphs.append(graph)
    verify(graphs[0])
    verify(Model(graphs=graphs))
    with pytest.raises(InternalError, match="the uses of <const"):
        verify(Model(graphs=graphs[:1]))


def test_element_types_without_a_kernel_are_all_listed():
    model = parse_model(
        """graph main(x: f64[2,4,4,1], w: f64[1,1,1,1], v: f32[2]) -> (c, d, n) {
          c = Conv2D(x, w, const f64[1] [0]) loc("one", "Conv2D")
          d = Conv2D(x, w, const f64[1] [0]) loc("two", "Conv2D")
          n = Neg(v)
        }"""
    )
    with pytest.raises(UnsupportedError) as caught:
        verify(model)
    assert [(item.op, item.place) for item in caught.value.items] == [
        ("Conv2D", "one (Conv2D)"),
        ("Conv2D", "two (Conv2D)"),
    ]
    assert "Conv2D (2 times): LiteRT has no kernel for FLOAT64" in str(caught.value)


VARIABLES = """signature step = main(x) -> (y)
{init}
graph main(x: f32[2]) -> (y) {{
  h = VarHandle() {{shared_name="v"}}
  {before}
  r = ReadVariable(h) {{type=f32[2]}} loc("read", "ReadVariableOp")
  y = Add(r, x)
}}
graph setup() -> () {{
  h = VarHandle() {{shared_name="{name}"}}
  AssignVariable(h, const f32[2] [1, 2])
}}
"""


@pytest.mark.parametrize(
    ("init", "name", "before", "sound"),
    [
        ("init setup", "v", "", True),
        ("init setup", "w", "", False),
        ("entry setup", "v", "", False),
        ("entry setup", "v", "AssignVariable(h, x)", True),
    ],
)
def test_a_variable_is_assigned_before_it_is_read(init, name, before, sound):
    model = parse_model(VARIABLES.format(init=init, name=name, before=before))
    if sound:
        verify(model)
        return
    with pytest.raises(UnsupportedError, match="the variable v is read, but nothing gives it a value first"):
        verify(model)


LOOP = """entry main
{init}
graph main(x: f32[2]) -> (y) {{
  h = VarHandle() {{shared_name="v"}}
  i: i32[], k: resource[], y: f32[2] = While(const i32[] 0, h, x)
    {{cond_subgraph_index=@cond, body_subgraph_index=@body}}
}}
graph cond(i: i32[], h: resource[], x: f32[2]) -> (p) {{ p = Less(i, const i32[] 3) }}
graph body(i: i32[], h: resource[], x: f32[2]) -> (j, h, y) {{
  j = Add(i, const i32[] 1)
  r = ReadVariable(h) {{type=f32[2]}}
  y = Add(r, x)
  AssignVariable(h, y)
}}
graph setup() -> () {{
  h = VarHandle() {{shared_name="v"}}
  AssignVariable(h, const f32[2] [1, 2])
}}
"""


def test_variables_are_followed_into_loops():
    verify(parse_model(LOOP.format(init="init setup")))
    with pytest.raises(UnsupportedError, match="the variable v is read"):
        verify(parse_model(LOOP.format(init="entry setup")))


def test_a_variable_tensor_has_no_definition():
    """The state of a fused recurrent kernel: LiteRT fills it with zeros and keeps it between runs."""
    graph, state = Graph(), Value(TensorType(DType.FLOAT32, (2,)), "state")
    node = Node(Neg(), [state], [Value(state.type)], Loc("n"))
    graph.nodes.append(node)
    graph.set_outputs(node.outputs)
    with pytest.raises(InternalError, match=r"state.*is read before it is defined"):
        verify(graph)
    state.is_variable = True
    verify(graph)
