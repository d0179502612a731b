"""Observation against numpy: every tensor of every graph, every turn of every loop, every sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from litecast import convert
from litecast.errors import ConvertError, QuantizationError, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Signature, Value
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops import (
    Add,
    AssignVariable,
    Greater,
    If,
    Less,
    Mul,
    ReadVariable,
    Relu,
    Reshape,
    Softmax,
    Sub,
    Sum,
    Tanh,
    VarHandle,
    While,
)
from litecast.quantization.data import Calibration, Sample
from litecast.quantization.observe import observe
from litecast.quantization.statistics import Statistics
from litecast.report import describe
from litecast.tflite.reader import read
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

F32 = TensorType(DType.FLOAT32, (3,))
INT = TensorType(DType.INT32, ())
HANDLE = TensorType(DType.RESOURCE, ())


def model_of(build: Callable[..., Value], *types: TensorType) -> Model:
    graph = Graph("main")
    b = Builder(graph)
    inputs = [b.add_input(type, f"in{place}") for place, type in enumerate(types)]
    graph.set_outputs([build(b, *inputs)])
    return Model({"serve": Signature(graph, [value.name for value in inputs], ["out"])})


def samples_of(*calls: list[object], signature: str = "serve") -> list[Sample]:
    return [
        Sample(index, signature, {f"in{place}": np.asarray(array) for place, array in enumerate(call)})
        for index, call in enumerate(calls)
    ]


def check(statistics: Statistics, name: str, seen: list[object], graph: str = "main") -> None:
    """The statistics of a tensor are those of all that numpy says it held."""
    tensor = statistics.tensors[graph, name]
    flat = np.concatenate([np.ravel(array) for array in seen]).astype(np.float32)
    assert tensor.count == flat.size
    assert tensor.updates == len(seen)
    found = (tensor.minimum, tensor.maximum, tensor.mean)
    assert found == pytest.approx((flat.min(), flat.max(), flat.mean()), rel=1e-5, abs=1e-6)


def random(count: int, *shape: int) -> list[np.ndarray]:
    rng = np.random.default_rng(count)
    return [rng.normal(size=shape).astype(np.float32) for _ in range(count)]


def test_every_tensor_of_a_straight_graph() -> None:
    def build(b: Builder, x: Value) -> Value:
        y = b(Add(), b(Relu(), b(Mul(), x, np.float32(3), name="scaled"), name="cut"), x, name="sum")
        return b(Softmax(beta=1.0), y, name="out")

    seen = random(5, 1, 8)
    steps: list[int] = []
    statistics = observe(
        model_of(build, TensorType(DType.FLOAT32, (1, 8))),
        samples_of(*[[x] for x in seen]),
        progress=steps.append,
    )
    check(statistics, "in0", seen)
    check(statistics, "scaled", [3 * x for x in seen])
    check(statistics, "cut", [np.maximum(3 * x, 0) for x in seen])
    check(statistics, "sum", [np.maximum(3 * x, 0) + x for x in seen])
    assert set(statistics.tensors) == {("main", name) for name in ("in0", "scaled", "cut", "sum", "out")}
    assert steps == [1, 2, 3, 4, 5]
    assert statistics.samples == {"serve": 5}


def counting(b: Builder, limit: float, name: str = "loop") -> tuple[Builder, Builder]:
    """Return a condition `turn < limit` and a body that both take (turn, x); the body is still empty."""
    cond, body = b.subgraph(f"{name}_cond", [INT, F32]), b.subgraph(f"{name}_body", [INT, F32])
    cond.graph.set_outputs([cond(Less(), cond.graph.inputs[0], np.int32(limit))])
    return cond, body


def doubling(b: Builder, x: Value) -> Value:
    cond, body = counting(b, 4)
    turn, held = body.graph.inputs
    grown = body(Mul(), held, np.float32(2), name="grown")
    body.graph.set_outputs([body(Add(), turn, np.int32(1)), body(Sub(), grown, np.float32(1), name="next")])
    results = b(While(cond.graph, body.graph), np.int32(0), b(Tanh(), x, name="before"))
    return b(Mul(), results[1], np.float32(0.5), name="after")


def test_every_turn_of_a_loop() -> None:
    seen = random(3, 3)
    statistics = observe(model_of(doubling, F32), samples_of(*[[x] for x in seen]))
    before, grown, after = [np.tanh(x) for x in seen], [], []
    turns = []
    for x in before:
        for _ in range(4):
            turns.append(x)
            grown.append(2 * x)
            x = 2 * x - 1
        after.append(x)
    check(statistics, "before", before)
    check(statistics, "grown", grown, "loop_body")
    check(statistics, "next", [x - 1 for x in grown], "loop_body")
    check(statistics, "arg1", turns, "loop_body")
    check(statistics, "arg1", turns + after, "loop_cond")
    check(statistics, "after", [x / 2 for x in after])


def test_loops_in_loops_and_branches_in_them() -> None:
    def build(b: Builder, x: Value) -> Value:
        cond, body = counting(b, 3, "outer")
        turn, held = body.graph.inputs
        then, other = body.subgraph("then", [F32]), body.subgraph("else", [F32])
        then.graph.set_outputs([doubling(then, then.graph.inputs[0])])
        other.graph.set_outputs([other(Mul(), other.graph.inputs[0], np.float32(-1), name="minus")])
        chosen = body(If(then.graph, other.graph), positive(body, held), held)
        body.graph.set_outputs([body(Add(), turn, np.int32(1)), chosen[0]])
        return b(While(cond.graph, body.graph), np.int32(0), x)[1]

    seen = random(6, 3)
    statistics = observe(model_of(build, F32), samples_of(*[[x] for x in seen]))
    minus, grown, sums = [], [], []
    for x in seen:
        for _ in range(3):
            sums.append(x.sum())
            if x.sum() > 0:
                x = np.tanh(x)
                for _ in range(4):
                    grown.append(2 * x)
                    x = 2 * x - 1
                x = x / 2
            else:
                minus.append(-x)
                x = -x
    assert minus
    assert grown
    check(statistics, "sum", sums, "outer_body")
    check(statistics, "minus", minus, "else")
    check(statistics, "grown", grown, "loop_body")


def positive(b: Builder, x: Value) -> Value:
    total: Value = b(Greater(), b(Sum(), x, np.array([0], np.int32), name="sum"), np.float32(0))
    return total


def test_a_branch_that_is_never_taken_has_no_statistics() -> None:
    def build(b: Builder, x: Value) -> Value:
        then, other = b.subgraph("then", [F32]), b.subgraph("else", [F32])
        then.graph.set_outputs([then(Tanh(), then.graph.inputs[0], name="yes")])
        other.graph.set_outputs([other(Relu(), other.graph.inputs[0], name="no")])
        return b(
            If(then.graph, other.graph), b(Greater(), b(Sum(), x, np.array([0], np.int32)), np.float32(0)), x
        )[0]

    model = model_of(build, F32)
    found = observe(model, samples_of([np.ones(3, np.float32)])).of(model)
    assert {value.name for value in found} >= {"in0", "yes"}
    assert "no" not in {value.name for value in found}


def stateful(in_loop: str = "") -> Model:
    """A model whose variable adds up its inputs: at once, or in a loop that has the handle or takes it."""
    init, kind = Graph("init"), VarHandle(shared_name="sum")
    start = Builder(init)
    start(AssignVariable(), start(kind), np.zeros(3, np.float32))

    def step(b: Builder, handle: Value, x: Value) -> Value:
        total = b(Add(), b(ReadVariable(F32), handle), x, name="total")
        b(AssignVariable(), handle, total)
        return total

    def build(b: Builder, x: Value) -> Value:
        handle = b(kind)
        if not in_loop:
            return step(b, handle, x)
        types = [INT, F32] + [HANDLE] * (in_loop == "operand")
        cond, body = b.subgraph("cond", types), b.subgraph("body", types)
        cond.graph.set_outputs([cond(Less(), cond.graph.inputs[0], np.int32(2))])
        turn, held, *rest = body.graph.inputs
        step(body, rest[0] if rest else body(kind), held)
        body.graph.set_outputs([body(Add(), turn, np.int32(1)), held, *rest])
        b(While(cond.graph, body.graph), np.int32(0), x, *[handle] * len(rest))
        return b(ReadVariable(F32), handle, name="end")

    model = model_of(build, F32)
    model.init = init
    return model


@pytest.mark.parametrize("in_loop", ["", "own", "operand"])
def test_state_lasts_from_sample_to_sample_until_a_restart(in_loop: str) -> None:
    seen = random(5, 3)
    samples = samples_of(*[[x] for x in seen])
    samples[3] = Sample(3, "serve", samples[3].inputs, restart=True)
    totals, total = [], np.zeros(3)
    for index, x in enumerate(seen):
        total = total * (index != 3)
        for _ in range(2 if in_loop else 1):
            total = total + x
            totals.append(total)
    statistics = observe(stateful(in_loop), samples)
    check(statistics, "total", totals, "body" if in_loop else "main")


def test_shapes_may_change_and_be_empty() -> None:
    def build(b: Builder, x: Value) -> Value:
        return b(Relu(), b(Mul(), x, np.float32(-2), name="scaled"), name="out")

    seen = [array for size in (4, 0, 4, 2) for array in random(1, size, 3)]
    model = model_of(build, TensorType(DType.FLOAT32, (Sym("n"), 3)))
    statistics = observe(model, samples_of(*[[x] for x in seen]))
    check(statistics, "scaled", [-2 * x for x in seen if x.size])
    assert statistics.samples == {"serve": 4}


def test_signatures_are_told_apart_and_statistics_go_on() -> None:
    model = model_of(lambda b, x: b(Tanh(), x, name="one"), F32)
    other = model_of(lambda b, x, y: b(Add(), x, y, name="two"), F32, F32).signatures["serve"]
    other.graph.name = "second"
    model.signatures["other"] = other
    x, y, z = random(3, 3)
    first = observe(model, samples_of([x]))
    whole = observe(model, samples_of([y, z], signature="other"), into=first)
    assert whole is first
    check(whole, "one", [np.tanh(x)])
    check(whole, "two", [y + z], "second")
    assert whole.samples == {"serve": 1, "other": 1}
    assert {value.name for value in whole.of(model)} == {"in0", "in1", "one", "two"}


def test_values_of_a_file_have_the_same_keys() -> None:
    model = model_of(doubling, F32)
    again = read(write(model))
    statistics = observe(model, samples_of([np.ones(3, np.float32)]))
    found = statistics.of(again)
    assert len(found) == len(statistics.tensors)
    second = observe(again, samples_of([np.ones(3, np.float32)]))
    assert second.tensors.keys() == statistics.tensors.keys()
    assert all((second[key].bins == statistics[key].bins).all() for key in second.tensors)


def test_no_samples_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="the data set is empty"):
        observe(model_of(doubling, F32), [])


def test_a_sample_of_no_signature_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="sample 0 is of signature 'x'; there are serve"):
        observe(model_of(doubling, F32), samples_of([np.ones(3)], signature="x"))


def test_pieces_that_xnnpack_refuses_run_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(runtime: Runtime) -> None:
        asked.append(runtime)
        raise ConvertError("no")

    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "allocate", refuse)
        statistics = observe(model_of(doubling, F32), samples_of([np.ones(3, np.float32)]))
    assert len(asked) == 1
    check(statistics, "before", [np.tanh(np.ones(3))])


def test_a_sample_without_an_input_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="sample 4: there is nothing for input in0"):
        observe(model_of(doubling, F32), [Sample(4, "serve", {})])


def test_a_sample_that_the_runtime_refuses_is_named() -> None:
    def build(b: Builder, x: Value) -> Value:
        return b(Reshape(), x, np.array([2, 2], np.int32))

    model = model_of(build, TensorType(DType.FLOAT32, (Sym("n"),)))
    good, bad = samples_of([np.ones(4, np.float32)], [np.ones(5, np.float32)])
    with pytest.raises(QuantizationError, match="calibration sample 1: LiteRT cannot run the float model"):
        observe(model, [good, bad])


def test_a_resource_that_a_branch_chooses_is_refused() -> None:
    def build(b: Builder, x: Value) -> Value:
        then, other = b.subgraph("then", [HANDLE]), b.subgraph("else", [HANDLE])
        for side in (then, other):
            side.graph.set_outputs([side.graph.inputs[0]])
        handles = b(If(then.graph, other.graph), positive(b, x), b(VarHandle(shared_name="v")))
        return b(ReadVariable(F32), handles[0])

    with pytest.raises(UnsupportedError, match="RESOURCE that crosses control flow"):
        observe(model_of(build, F32), samples_of([np.ones(3, np.float32)]))


@pytest.mark.parametrize("name", ["kws/saved_model", "resnet8/model.h5", "dtln/saved_model", "ad/model.h5"])
def test_trained_models_hold_what_the_whole_file_holds(shared: Path, name: str) -> None:
    """The pieces (with XNNPACK) against the converted file, whose tensors LiteRT keeps without it."""
    folder = shared / "models" / name.split("/")[0]
    converted = convert(shared / "models" / name)
    model = read(converted.path)
    samples = list(Calibration(folder / "io.npz", describe(model)))
    rng = np.random.default_rng(0)
    for sample in samples:  # some hold only zeros, which a normalisation divides by next to nothing
        sample.inputs.update(
            {
                key: array + rng.normal(0, 0.1, array.shape).astype(np.float32)
                for key, array in sample.inputs.items()
            }
        )
    found = {value.name: tensor for value, tensor in observe(model, samples).of(model).items()}
    runtime = Runtime(converted.path, delegate=False, preserve=True)
    seen: dict[str, list[float]] = {}
    indices = {entry["name"]: entry["index"] for entry in runtime.tensors(0) if entry["name"] in found}
    assert len(indices) > 5
    for sample in samples:
        runtime.run(sample.inputs)
        for tensor, index in indices.items():
            array = runtime.tensor(index)
            seen.setdefault(tensor, []).extend((float(array.min()), float(array.max())))
    for tensor, ends in seen.items():
        held = (found[tensor].minimum, found[tensor].maximum)
        largest = max(1.0, *map(abs, ends))
        assert held == pytest.approx((min(ends), max(ends)), rel=1e-3, abs=1e-4 * largest), tensor
