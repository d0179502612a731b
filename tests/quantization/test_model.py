"""Quantized models in LiteRT: every scheme of every layer, shared constants, loops, signatures, state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast import ops
from litecast.errors import QuantizationError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Lazy, Model, Value, constant
from litecast.ir.text import print_model
from litecast.ir.types import Blockwise, DType, Sym, TensorType
from litecast.ops.enums import Padding
from litecast.quantization.model import quantized
from litecast.quantization.plan import Form, plan
from litecast.quantization.recipe import MODES, recipe_of
from litecast.quantization.scheme import parse
from litecast.report import Quantized, weight_bytes
from tests.quantization.models import (
    LAYERS,
    N,
    close,
    dense,
    f32,
    i32,
    layer,
    model,
    names,
    random,
    run,
    signature,
    weights,
)


def by(how: Any, target: Model) -> tuple[Model, Quantized]:
    return quantized(target, recipe_of(how))


def by_scheme(scheme: str, target: Model) -> tuple[Model, Quantized]:
    return by({"rules": [{"scheme": scheme}]}, target)


SHAPED = ["Reshape", "EmbeddingLookup", "Reshape"]
BEHIND = {
    "dense": ["Dequantize", "FullyConnected"],
    "conv": ["Dequantize", "Conv2D"],
    "depthwise": ["Dequantize", "DepthwiseConv2D"],
    "transposed": ["Dequantize", "TransposeConv"],
    "product": ["Dequantize", "BatchMatMul"],
    "volume": ["Dequantize", "Conv3D"],
}
# Scheme -> layer -> the operations that it becomes; what is not here stays in float.
MADE: dict[str, dict[str, list[str]]] = {
    "w8": {
        "dense": ["FullyConnected"],
        "conv": ["Conv2D"],
        "depthwise": ["DepthwiseConv2D"],
        "transposed": ["TransposeConv"],
        "product": ["BatchMatMul"],
        "rows": ["Gather", "Dequantize"],
        "lookup": ["EmbeddingLookup"],
    },
    "w8-only": {**BEHIND, "rows": ["Gather", "Dequantize"], "lookup": ["EmbeddingLookup"]},
    "w4": {
        "dense": ["FullyConnected"],
        "conv": ["Conv2D"],
        "rows": SHAPED,
        "lookup": ["EmbeddingLookup"],
    },
    "w4-only": {**BEHIND, "rows": SHAPED, "lookup": ["EmbeddingLookup"]},
    "w4b32": {"dense": ["FullyConnected"], "rows": SHAPED, "lookup": ["EmbeddingLookup"]},
    "w2": {"dense": ["FullyConnected"], "rows": SHAPED, "lookup": ["EmbeddingLookup"]},
    "fp16": {**BEHIND, "rows": ["Dequantize", "Gather"], "lookup": ["Dequantize", "EmbeddingLookup"]},
}
MADE["fp16"]["depthwise"] = ["Dequantize", "Dequantize", "DepthwiseConv2D"]
MADE |= {name: MADE[name.replace("t", "", 1)] for name in ("w8t", "w8t-only", "w4t")}
TOLERANCE = {DType.FLOAT16: 1e-3, DType.INT8: 0.03, DType.INT4: 0.3, DType.INT2: 2.0}


@pytest.mark.parametrize("delegate", [True, False], ids=("delegate", "plain"))
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("scheme", MADE)
def test_a_layer_computes_what_it_did(scheme: str, name: str, delegate: bool) -> None:
    before = layer(name)
    text = print_model(before)
    after, account = by_scheme(scheme, before)
    assert print_model(before) == text
    sample = LAYERS[name][2]
    want = run(before, sample, delegate=delegate)
    if name in MADE[scheme]:
        assert names(after) == MADE[scheme][name]
        assert account.schemes == {scheme: 1}
        assert account.kept == ()
        assert weight_bytes(after) < weight_bytes(before) * 0.6
    else:
        assert names(after) == names(before)
        assert account.schemes == {}
        (kept,) = account.kept
        assert kept.op == names(before)[0]
        assert kept.place == "serve/net"
        assert "LiteRT has no kernel" in kept.reason
    close(want, run(after, sample, delegate=delegate), TOLERANCE[parse(scheme).weights])
    signed, was = after.signatures["serve"], before.signatures["serve"]
    assert (signed.inputs, signed.outputs) == (was.inputs, was.outputs)
    assert [value.type for value in signed.graph.outputs] == [value.type for value in was.graph.outputs]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_makes_a_smaller_model(mode: str) -> None:
    def build(b: Builder, x: Value, places: Value) -> tuple[Value, Value]:
        return b(ops.Relu(), dense(b, x)), b(ops.Gather(), weights(100, 64, seed=2), places)

    before = model(build, f32(N, 64), i32(N))
    after, account = by(mode, before)
    assert account.recipe == mode
    assert weight_bytes(after) < account.weights_before == weight_bytes(before)
    inputs = random(3, 64), np.int32([1, 2, 50])
    close(run(before, *inputs), run(after, *inputs), 1.5 if mode == "int2" else 0.3)


def test_weights_are_computed_when_they_are_written() -> None:
    after, _ = by("dynamic", layer("dense"))
    (node,) = after.signatures["serve"].graph.nodes
    assert isinstance(node.inputs[1].const, Lazy)
    assert node.op.asymmetric_quantize_inputs


def test_float16_hints_at_the_accumulation_and_warns_of_clamping() -> None:
    def build(b: Builder, x: Value) -> Value:
        large = weights(48, 64)
        large[0, :3] = [1e5, -1e6, np.inf]
        return b(ops.FullyConnected(), x, b.const(large, "kernel"))

    after, account = by("float16", model(build, f32(1, 64)))
    assert after.metadata["reduced_precision_support"] == b"fp16accfp32"
    assert account.warnings == ("kernel: 2 numbers beyond 65504 are clamped to it, the largest of float16",)
    half, _ = by({"mode": "float16", "accumulation": "fp16"}, layer("dense"))
    assert half.metadata["reduced_precision_support"] == b"fp16accfp16"
    assert "reduced_precision_support" not in by("dynamic", layer("dense"))[0].metadata


def test_small_constants_stay_float() -> None:
    def build(b: Builder, x: Value) -> Value:
        return b(ops.Add(), b(ops.FullyConnected(), x, weights(4, 8)), np.float32([1, 2, 3, 4]))

    for mode in ("float16", "dynamic"):
        _, account = by(mode, model(build, f32(1, 8)))
        assert account.schemes == {}
        assert "nothing is quantized" in account.warnings[0]
    assert [kept.reason for kept in account.kept] == ["its weights have fewer than 1024 elements"]
    after, account = by({"rules": [{"scheme": "w8", "least": 1}]}, model(build, f32(1, 8)))
    assert account.schemes == {"w8": 1}
    assert [kept.op for kept in account.kept] == ["Add"]
    assert names(after) == ["FullyConnected", "Add"]


@pytest.mark.parametrize("mode", ["dynamic", "float16", "weights"])
def test_a_shared_constant_is_stored_once(mode: str) -> None:
    shared = constant(weights(64, 64))

    def build(b: Builder, x: Value) -> Value:
        return b(
            ops.FullyConnected(),
            b(ops.FullyConnected(), x, shared),
            Value(shared.type, "again", shared.const),
        )

    before = model(build, f32(1, 64))
    before.signatures["other"] = signature(build, f32(1, 64), key="other")
    after, account = by(mode, before)
    assert sum(account.schemes.values()) == 4
    assert weight_bytes(after) == 64 * 64 * (2 if mode == "float16" else 1)
    assert names(after, "other").count("Dequantize") == (0 if mode == "dynamic" else 1)
    close(run(before, random(1, 64), key="other"), run(after, random(1, 64), key="other"), 0.05)


def test_what_a_float_operation_reads_too_stays_float() -> None:
    shared = constant(weights(64, 64))

    def build(b: Builder, x: Value) -> tuple[Value, Value]:
        return b(ops.FullyConnected(), x, shared), b(ops.Add(), x, shared)

    after, account = by("dynamic", model(build, f32(64, 64)))
    assert account.schemes == {}
    assert {kept.op: kept.reason for kept in account.kept} == {
        "Add": "LiteRT has no kernel for Add with w8",
        "FullyConnected": "its constant is also read by Add, in float",
    }
    assert weight_bytes(after) == 64 * 64 * 4


def test_a_tied_table_is_looked_up_with_the_scales_of_the_product() -> None:
    table = constant(weights(200, 64), "table")

    def build(b: Builder, places: Value) -> Value:
        return b(ops.FullyConnected(), b(ops.Gather(), table, places), table)

    before = model(build, i32(N))
    after, account = by("dynamic", before)
    assert names(after) == ["EmbeddingLookup", "FullyConnected"]
    assert account.schemes == {"w8": 2}
    assert weight_bytes(after) == 200 * 64
    (first, second) = after.signatures["serve"].graph.nodes
    assert first.inputs[1] is second.inputs[1]
    close(run(before, np.int32([1, 7])), run(after, np.int32([1, 7])), 0.03)


def test_a_lookup_of_two_unknown_sizes_has_its_shape() -> None:
    def build(b: Builder, places: Value) -> Value:
        return b(ops.Gather(), weights(100, 64), b(ops.Cast(DType.INT32, DType.INT64), places))

    before = model(build, i32(N, Sym("m")))
    after, _ = by_scheme("w4", before)
    places = np.int32([[1, 7, 3], [99, 0, 2]])
    close(run(before, places), run(after, places), 0.3)
    empty = np.zeros((0, 3), np.int32)
    assert run(after, empty)[0].shape == (0, 3, 64)


def test_rows_that_do_not_fill_bytes_fall_back() -> None:
    def build(b: Builder, places: Value) -> Value:
        return b(ops.EmbeddingLookup(), places, weights(100, 33))

    before = model(build, i32(N))
    _, account = by_scheme("w4", before)
    assert account.kept[0].reason == "rows of 33 elements of INT4 do not fill whole bytes"
    after, account = by("int4", before)
    assert account.schemes == {"w8": 1}
    assert account.kept == ()
    close(run(before, np.int32([1, 7])), run(after, np.int32([1, 7])), 0.03)


def test_a_depth_multiplier_that_is_left_out_is_not_trusted() -> None:
    def build(b: Builder, x: Value) -> Value:
        return b(ops.DepthwiseConv2D(Padding.SAME, 1, 1), x, weights(1, 3, 3, 128), weights(128))

    before = model(build, f32(1, 9, 9, 16))
    assert "depth_multiplier is 0" in by("dynamic", before)[1].kept[0].reason
    after, account = by("weights", before)
    assert account.kept == ()
    close(run(before, random(1, 9, 9, 16)), run(after, random(1, 9, 9, 16)), 0.02)


def test_columns_that_are_no_blocks_fall_back() -> None:
    def build(b: Builder, x: Value) -> Value:
        return b(ops.FullyConnected(), x, weights(64, 48))

    _, account = by_scheme("w4b32", model(build, f32(1, 48)))
    assert account.kept[0].reason == "48 columns are no blocks of 32"
    assert by("int4-block32", model(build, f32(1, 48)))[1].schemes == {"w4": 1}


def test_blocks_keep_their_scales_in_the_graph() -> None:
    after, _ = by_scheme("w4b32", layer("dense"))
    quant = after.signatures["serve"].graph.nodes[0].inputs[1].type.quant
    assert isinstance(quant.details, Blockwise)
    assert (quant.details.block_size, quant.details.scales.shape) == (32, (48, 2))


def test_bodies_of_loops_and_branches_are_quantized() -> None:
    shared = weights(64, 64)

    def body(name: str, step: int) -> Graph:
        graph = Graph(name)
        b = Builder(graph)
        count, x = b.add_input(i32(), "count"), b.add_input(f32(1, 64), "x")
        graph.set_outputs([b(ops.Add(), count, step), b(ops.Tanh(), b(ops.FullyConnected(), x, shared))])
        return graph

    def condition() -> Graph:
        graph = Graph("cond")
        b = Builder(graph)
        count, _ = b.add_input(i32(), "count"), b.add_input(f32(1, 64), "x")
        graph.set_outputs([b(ops.Less(), count, 3)])
        return graph

    def build(b: Builder, count: Value, x: Value) -> tuple[Value, Value]:
        count, x = b(ops.While(condition(), body("body", 1)), count, x)
        branches = ops.If(body("then", 5), body("else", 7))
        return b(branches, b(ops.Less(), count, 2), count, x)

    before = model(build, i32(), f32(1, 64))
    for mode in ("dynamic", "float16", "weights"):
        after, account = by(mode, before)
        assert sum(account.schemes.values()) == 3
        assert weight_bytes(after) < weight_bytes(before) / 1.9
        inputs = np.int32(0), random(1, 64)
        close(run(before, *inputs), run(after, *inputs), 0.05)
    assert len(list(after.all_graphs())) == len(list(before.all_graphs()))


def test_variables_and_their_first_values_go_along() -> None:
    kind = TensorType(DType.FLOAT32, (64, 64))

    def build(b: Builder, x: Value) -> Value:
        state = b(ops.ReadVariable(kind), b(ops.VarHandle(shared_name="state")))
        return b(ops.Add(), b(ops.FullyConnected(), x, weights(64, 64, seed=1)), state)

    init = Graph("init")
    b = Builder(init)
    b(ops.AssignVariable(), b(ops.VarHandle(shared_name="state")), weights(64, 64))
    before = model(build, f32(64, 64))
    before.init = init
    for mode in ("dynamic", "float16"):
        after, account = by(mode, before)
        close(run(before, random(64, 64)), run(after, random(64, 64)), 0.03)
    assert account.schemes == {"fp16": 2}


# -- rules ---------------------------------------------------------------------------------------------------


def two() -> Model:
    def build(b: Builder, x: Value) -> Value:
        with b.at(_loc("encoder/first")):
            x = b(ops.FullyConnected(), x, weights(64, 64))
        with b.at(_loc("head")):
            return b(ops.FullyConnected(), x, weights(64, 64, seed=1))

    built = model(build, f32(1, 64))
    built.signatures["train"] = signature(build, f32(1, 64), key="train")
    return built


def _loc(name: str) -> Any:
    from litecast.ir.graph import Loc

    return Loc(name, "Dense", (Loc("model", "Functional"),))


def kinds(target: Model, key: str = "serve") -> list[DType]:
    return [node.inputs[1].dtype for node in target.signatures[key].graph.nodes if len(node.inputs) > 1]


@pytest.mark.parametrize(
    ("rule", "serve", "train"),
    [
        ({"path": "encoder/*", "scheme": "float"}, ["f32", "i8"], ["f32", "i8"]),
        ({"path": "head", "scheme": "w4"}, ["i8", "i4"], ["i8", "i4"]),
        ({"path": "model", "scheme": "w2"}, ["i2", "i2"], ["i2", "i2"]),
        ({"op": "FullyConnected", "scheme": "w4"}, ["i4", "i4"], ["i4", "i4"]),
        ({"signature": "train", "scheme": "w4"}, ["i8", "i8"], ["i4", "i4"]),
        ({"signature": "tr*", "path": "head", "scheme": "float"}, ["i8", "i8"], ["i8", "f32"]),
    ],
)
def test_the_last_rule_that_matches_counts(rule: dict[str, str], serve: list[str], train: list[str]) -> None:
    after, _ = by({"mode": "dynamic", "rules": [rule]}, two())
    assert [kind.short for kind in kinds(after)] == serve
    assert [kind.short for kind in kinds(after, "train")] == train


def test_what_a_rule_keeps_is_listed() -> None:
    _, account = by({"mode": "dynamic", "rules": [{"path": "head", "scheme": "float"}]}, two())
    assert [(kept.place, kept.reason) for kept in account.kept] == [
        ("head", "the rule float for path head")
    ] * 2


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        ({"path": "heads", "scheme": "w4"}, "matches nothing; near are: head"),
        ({"signature": "trian", "scheme": "w4"}, "matches nothing; near are: train"),
        ({"op": "Conv2D", "scheme": "w4"}, "matches nothing; near are"),
        (
            {"op": "FullyConected", "scheme": "w4"},
            "no operation FullyConected; near are: FullyConnected",
        ),
        (
            {"op": "DepthwiseConv2D", "scheme": "w4"},
            "DepthwiseConv2D with w4; it has one for Conv2D",
        ),
        ({"op": "Conv2D", "scheme": "w4b32"}, "it has one for EmbeddingLookup, FullyConnected, Gather"),
        ({"scheme": "w8a8"}, "calibration comes later"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_an_error(rule: dict[str, str], match: str) -> None:
    with pytest.raises(QuantizationError, match=match):
        by({"mode": "dynamic", "rules": [rule]}, two())


def test_a_path_whose_operations_have_no_kernel_is_an_error() -> None:
    with pytest.raises(QuantizationError, match="matches DepthwiseConv2D, without a kernel for w4"):
        by({"rules": [{"path": "serve/*", "scheme": "w4"}]}, layer("depthwise"))


def test_weights_that_are_not_finite_are_named() -> None:
    def build(b: Builder, x: Value) -> Value:
        broken = weights(48, 64)
        broken[3, 3] = np.nan
        return b(ops.FullyConnected(), x, b.const(broken, "kernel"))

    with pytest.raises(QuantizationError, match="kernel: weights that are infinite"):
        by("dynamic", model(build, f32(1, 64)))


def test_a_plan_changes_nothing() -> None:
    before = two()
    text = print_model(before)
    made = plan(before, MODES["dynamic"])
    assert print_model(before) == text
    assert {decision.form for decision in made.nodes.values()} == {Form.DIRECT}
    assert made.types == {}


def test_a_quantized_model_is_left_as_it_is() -> None:
    once, _ = by("dynamic", two())
    twice, account = by("dynamic", once)
    assert account.schemes == {}
    assert print_model(twice) == print_model(once)
