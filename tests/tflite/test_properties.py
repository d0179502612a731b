"""Graphs made at random: what is written is what is read, and LiteRT agrees."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from litecast.ir.graph import Graph, Model, Signature, Value, constant
from litecast.ir.types import DType, Quant, Sym, TensorType
from litecast.ops.custom import Builtin, Custom
from litecast.tflite.reader import read
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write
from tests.tflite.graphs import ADD, LOGISTIC, append, f32

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
SCALES = st.floats(2**-10, 2**10, width=32)
SUB = Builtin(41, "SUB", "SubOptions", (("pot_scale_int16", False),))


@st.composite
def quants(draw: Any, size: int) -> Quant | None:
    count = draw(st.sampled_from([0, 1, size]))
    scales = tuple(draw(SCALES) for _ in range(count))
    points = tuple(draw(st.integers(-128, 127)) for _ in range(count))
    quant = Quant(scales, points, draw(st.integers(0, 1)) if count > 1 else 0)
    return quant if scales else None


@st.composite
def models(draw: Any) -> Model:
    """Custom operations over tensors of any type, shape and quantization, in one or two signatures."""
    signatures = {}
    for key in draw(st.lists(NAMES.filter(bool), min_size=1, max_size=3, unique=True)):
        graph = Graph(key)
        values: list[Value | None] = [None]
        # A file in which no tensor says that it has a rank is taken for one older than that flag.
        inputs = [f32(1), *draw(st.lists(types(), max_size=2))]
        values.extend(graph.add_input(type, draw(NAMES)) for type in inputs)
        fills = draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2), NAMES), max_size=2))
        values.extend(constant(np.full(size, fill, np.int16), name) for size, fill, name in fills)
        for _ in range(draw(st.integers(1, 5))):
            operands = draw(st.lists(st.sampled_from(values), max_size=4))
            outputs = draw(st.lists(types(), min_size=1, max_size=3))
            op = Custom(draw(NAMES) or "C", draw(st.binary(max_size=40)), 0, draw(st.integers(1, 9)))
            made = append(graph, op, operands, *outputs, name=draw(NAMES))
            values += made if isinstance(made, list) else [made]
        computed = [value for value in values if value is not None and not value.is_const]
        graph.set_outputs(draw(st.lists(st.sampled_from(computed), min_size=1, max_size=3)))
        inputs = [f"in{index}" for index in range(len(graph.inputs))]
        signatures[key] = Signature(graph, inputs, [f"out{index}" for index in range(len(graph.outputs))])
    return Model(
        signatures, metadata=draw(st.dictionaries(NAMES.filter(bool), st.binary(max_size=50), max_size=3))
    )


@st.composite
def types(draw: Any) -> TensorType:
    shape = draw(
        st.none()
        | st.lists(st.integers(0, 4) | st.sampled_from([Sym("n"), Sym("n", "m")]), max_size=4).map(tuple)
    )
    quant = draw(quants(3))
    return TensorType(draw(st.sampled_from(list(DType))), shape, quant)


def plain(value: Value | None) -> Any:
    """What the file says of a value, without the names of unknown dimensions."""
    if value is None:
        return None
    shape = (
        None
        if value.type.shape is None
        else [dim if isinstance(dim, int) else -1 for dim in value.type.shape]
    )
    data = value.array().tobytes() if value.is_const else None
    return value.dtype, shape, value.type.quant, data


def described(model: Model) -> Any:
    rows = []
    for key, signature in model.signatures.items():
        graph = signature.graph
        places: dict[Value | None, int] = {}
        for node in graph.nodes:
            for value in [*node.inputs, *node.outputs]:
                places.setdefault(value, len(places))
        nodes = [
            (
                node.op.custom_code,
                node.op.custom_options,
                node.op.custom_version,
                [(places[value], plain(value)) for value in [*node.inputs, *node.outputs]],
            )
            for node in graph.nodes
        ]
        ports = [[plain(value) for value in values] for values in (graph.inputs, graph.outputs)]
        rows.append((key, signature.inputs, signature.outputs, ports, nodes))
    return rows


@settings(max_examples=80, deadline=None)
@given(models())
def test_what_is_written_is_read(model: Model):
    content = write(model)
    again = read(content)
    assert described(again) == described(model)
    assert model.metadata.items() <= again.metadata.items()
    assert write(again) == content
    assert described(read(write(model, inline_limit=0))) == described(model)


OPERATIONS = {
    ADD: np.add,
    SUB: np.subtract,
    LOGISTIC: lambda x: (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_litert_computes_what_was_drawn(data: Any):
    graph = Graph()
    rows = data.draw(st.integers(1, 4))
    x = graph.add_input(f32("n", 3), "x")
    given_x = np.random.default_rng(rows).standard_normal((rows, 3)).astype(np.float32)
    known: dict[Value, np.ndarray] = {x: given_x}
    for number in range(data.draw(st.integers(1, 6))):
        op = data.draw(st.sampled_from(list(OPERATIONS)))
        left = data.draw(st.sampled_from(list(known)))
        operands = [left]
        if op is not LOGISTIC:
            right = data.draw(st.sampled_from([*known, None])) or constant(np.float32([number, 0.5, -1]))
            operands.append(right)
        arrays = [known[value] if value in known else value.array() for value in operands]
        known[append(graph, op, operands, f32("n", 3), name=f"v{number}")] = OPERATIONS[op](*arrays)
    results = data.draw(st.lists(st.sampled_from(list(known)[1:]), min_size=1, max_size=3, unique=True))
    graph.set_outputs(results)
    names = [f"out{index}" for index in range(len(results))]
    content = write(Model({"s": Signature(graph, ["x"], names)}))
    for attempt in (content, write(read(content))):
        outputs = Runtime(attempt).run([given_x])
        assert list(outputs) == names
        for value, output in zip(results, outputs.values(), strict=True):
            np.testing.assert_allclose(output, known[value], rtol=1e-4, atol=1e-5)
