"""The rewrite engine on small rules of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from litecast.errors import InternalError
from litecast.ir.graph import Graph, Loc
from litecast.ir.rewrite import Arg, Const, Maybe, P, apply, no, rule
from litecast.ir.text import parse_graph, parse_model, print_graph
from litecast.ops import Add, Mul, Neg, Relu
from litecast.ops.enums import Activation


@rule(P(Relu, P(Add, name="base", uses=1, fused_activation_function=Activation.NONE)))
def fuse_relu(b, root, base):
    """relu(x + y) -> add(x, y) {RELU}"""
    return b(replace(base.op, fused_activation_function=Activation.RELU), *base.inputs)


@rule(P(Neg, P(Neg, Arg("x"))))
def drop_double_negation(b, root, x):
    """neg(neg(x)) -> x"""
    return x


@rule(P(Mul, Arg("x"), P(Add, Arg("x"), Const("c"))))
def distribute(b, root, x, c):
    """x * (x + c) -> x * x + c * x"""
    return b(Add(), b(Mul(), x, x), b(Mul(), c, x))


def rewritten(text, *rules):
    graph = parse_graph(text)
    applied = apply(graph, rules)
    return graph, applied


def lines(graph: Graph) -> list[str]:
    return [line.strip() for line in print_graph(graph).splitlines()[1:-1]]


def test_a_matched_node_is_replaced_and_the_name_kept():
    graph, applied = rewritten(
        """graph main(x: f32[2], w: f32[2]) -> (out) {
          sum = Add(x, w) loc("sum", "AddV2")
          out = Relu(sum) loc("out", "Relu")
        }""",
        fuse_relu,
    )
    assert lines(graph) == ["out: f32[2] = Add(x, w) {fused_activation_function=RELU}"]
    assert applied == {"fuse_relu": 1}
    assert graph.nodes[0].loc == Loc("out", "Relu", (Loc("sum", "AddV2"),))
    assert graph.inputs[0].use_count == 1


@pytest.mark.parametrize(
    "body",
    [
        "s = Add(x, w) \n out = Relu(s) \n other = Neg(s)",
        "s = Add(x, w) {fused_activation_function=RELU6} \n out = Relu(s) \n other = Neg(out)",
        "other = Add(x, w) \n out = Relu(other)",
    ],
    ids=["used twice", "another activation", "graph output in the middle"],
)
def test_a_pattern_that_does_not_fit_leaves_the_graph_as_it_is(body):
    text = f"graph main(x: f32[2], w: f32[2]) -> (out, other) {{ {body} }}"
    before = print_graph(parse_graph(text))
    graph, applied = rewritten(text, fuse_relu)
    assert print_graph(graph) == before
    assert not applied


def test_new_nodes_and_later_sweeps_are_tried_again():
    graph, applied = rewritten(
        "graph main(x: f32[2]) -> (y) { a=Neg(x) b=Neg(a) c=Neg(b) d=Neg(c) e=Neg(d) y=Neg(e) }".replace(
            ") ", ")\n"
        ),
        drop_double_negation,
    )
    assert lines(graph) == []
    assert list(graph.outputs) == graph.inputs
    assert applied.total() == 3


@pytest.mark.parametrize("inner", ["Add(x, const f32[2] [1, 2])", "Add(const f32[2] [1, 2], x)"])
@pytest.mark.parametrize("outer", ["Mul(x, s)", "Mul(s, x)"])
def test_commutative_operands_are_tried_in_both_orders(inner, outer):
    graph, applied = rewritten(f"graph main(x: f32[2]) -> (y) {{ s = {inner} y = {outer} }}", distribute)
    assert applied == {"distribute": 1}
    assert [node.op for node in graph.nodes] == [Mul(), Mul(), Add()]


def test_the_same_name_means_the_same_value():
    _, applied = rewritten(
        "graph main(x: f32[2], z: f32[2]) -> (y) { s = Add(z, const f32[2] [1, 2]) y = Mul(x, s) }",
        distribute,
    )
    assert not applied


def test_a_refusal_is_counted_and_what_it_built_is_dropped():
    @rule(P(Relu, Arg("x")))
    def refuse(b, root, x):
        """relu(x) -> nothing"""
        b(Neg(), x)
        return no("not today")

    graph, applied = rewritten("graph main(x: f32[2]) -> (y) { y = Relu(x) }", refuse)
    assert lines(graph) == ["y: f32[2] = Relu(x)"]
    assert graph.inputs[0].use_count == 1
    assert not applied
    assert applied.refused == {("refuse", "not today"): 1}


def test_nodes_that_nobody_reads_are_dropped_with_all_they_read():
    graph, _ = rewritten("graph main(x: f32[2]) -> (y) { a = Neg(x) b = Relu(a) y = Add(x, x) }")
    assert lines(graph) == ["y: f32[2] = Add(x, x)"]
    assert graph.inputs[0].use_count == 2


def test_rules_that_do_not_end_are_named():
    @rule(P(Relu, Arg("x")))
    def forth(b, root, x):
        """relu(x) -> neg(x)"""
        return b(Neg(), x)

    @rule(P(Neg, Arg("x")))
    def back(b, root, x):
        """neg(x) -> relu(x)"""
        return b(Relu(), x)

    with pytest.raises(InternalError, match="forth"):
        rewritten("graph main(x: f32[2]) -> (y) { y = Relu(x) }", forth, back)


def test_a_rule_that_changes_the_type_is_a_defect():
    @rule(P(Relu, Arg("x")))
    def shrink(b, root, x):
        """relu(x) -> 1"""
        return b.const([1.0, 2.0, 3.0])

    with pytest.raises(InternalError, match="shrink"):
        rewritten("graph main(x: f32[2]) -> (y) { y = Relu(x) }", shrink)


def test_a_rule_needs_a_drawing():
    with pytest.raises(TypeError, match="before -> after"):
        rule(P(Relu))(lambda b, root: None)


@pytest.mark.parametrize("name", ["b", "root"])
def test_a_pattern_does_not_take_the_names_of_the_arguments(name):
    def build(b, root):
        """relu(x) -> x"""

    with pytest.raises(TypeError, match="names an operand b or root"):
        rule(P(Relu, P(Neg, Arg(name))))(build)


def test_quantized_nodes_are_left_alone_unless_the_rule_says_so():
    text = """graph main(x: i8[2] q(scales=(0.5), zero_points=(3))) -> (y) {
      a: i8[2] q(scales=(0.5), zero_points=(-3)) = Neg(x)
      y: i8[2] q(scales=(0.5), zero_points=(3)) = Neg(a)
    }"""
    graph, applied = rewritten(text, drop_double_negation)
    assert len(graph.nodes) == 2
    assert not applied
    graph, applied = rewritten(text, replace(drop_double_negation, quantized=True))
    assert not graph.nodes


def test_absent_operands_and_predicates():
    one = P(Add, Arg("x", lambda x: x.rank == 1), Maybe(), None, where=lambda n: len(n.inputs) == 2)
    node = parse_graph("graph g(x: f32[2]) -> (y) { y = Add(x, x) }").nodes[0]
    found = one.match(node)
    assert found is not None
    assert found[0] == {"x": node.inputs[0]}
    node = parse_graph("graph g(x: f32[2,2]) -> (y) { y = Add(x, x) }").nodes[0]
    assert one.match(node) is None


def test_subgraphs_are_rewritten_too():
    model = parse_model(
        """entry main
        graph main(p: bool[], x: f32[2]) -> (y) {
          y: f32[2] = If(p, x) {then_subgraph_index=@yes, else_subgraph_index=@same}
        }
        graph yes(x: f32[2]) -> (y) { s = Add(x, x) y = Relu(s) }
        graph same(x: f32[2]) -> (x) { }"""
    )
    assert apply(model, [fuse_relu]) == {"fuse_relu": 1}
    assert [len(graph.nodes) for graph in model.all_graphs()] == [1, 1, 0]
