"""Configs as graphs of calls, in the forms of Keras 2 and Keras 3; no framework is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.errors import ConvertError
from litecast.frontend.keras.config import decode, parse, policy_name
from litecast.frontend.keras.network import Network, Ref, flatten


def modern(name: str, *sources: Any, class_name: str = "Dense", **config: Any) -> dict[str, Any]:
    """A layer as Keras 3 writes it, each source a call: (layer, node, tensor)."""

    def tensor(history: Any) -> Any:
        return {"class_name": "__keras_tensor__", "config": {"keras_history": list(history)}}

    nodes = [{"args": [tensor(source)], "kwargs": {}} for source in sources]
    return {
        "class_name": class_name,
        "config": {"name": name, **config},
        "name": name,
        "inbound_nodes": nodes,
        "module": "keras.layers",
    }


def legacy(name: str, *nodes: Any, class_name: str = "Dense", **config: Any) -> dict[str, Any]:
    """A layer as Keras 2 writes it, its calls given as they stand in the file."""
    return {
        "class_name": class_name,
        "config": {"name": name, **config},
        "name": name,
        "inbound_nodes": list(nodes),
    }


def functional(layers: list[Any], inputs: Any, outputs: Any, name: str = "model") -> dict[str, Any]:
    return {
        "class_name": "Functional",
        "config": {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs},
    }


def network(serialized: Any) -> Network:
    return Network.of(parse(serialized))


def entry(name: str = "x") -> dict[str, Any]:
    return legacy(name, class_name="InputLayer", batch_shape=[None, 4])


def test_a_shared_layer_has_a_call_for_each_node() -> None:
    built = network(
        functional([entry(), modern("dense", ("x", 0, 0), ("dense", 0, 0))], [["x", 0, 0]], [["dense", 1, 0]])
    )
    assert [(call.layer, call.node, call.args) for call in built.calls] == [
        ("dense", 0, [Ref("x", 0, 0)]),
        ("dense", 1, [Ref("dense", 0, 0)]),
    ]
    assert built.outputs == [Ref("dense", 1, 0)]


def test_the_outputs_of_keras_3_count_the_calls_of_a_nested_model_from_one() -> None:
    inner = {"layers": [entry("in")], "input_layers": [["in", 0, 0]], "output_layers": [["in", 0, 0]]}
    nested = modern("inner", ("x", 0, 0), ("inner", 0, 0), class_name="Functional", **inner)
    built = network(functional([entry(), nested], ["x", 0, 0], {"a": ["inner", 1, 0], "b": ["inner", 2, 0]}))
    assert built.calls[1].args == [Ref("inner", 0, 0)]
    assert built.inputs == Ref("x", 0, 0)
    assert built.outputs == {"a": Ref("inner", 0, 0), "b": Ref("inner", 1, 0)}


@pytest.mark.parametrize("start", [0, 1])
def test_keras_2_counts_the_calls_of_a_nested_model_from_zero_or_one(start: int) -> None:
    inner = {"layers": [entry("in")]}
    nested = legacy("inner", [["x", 0, 0, {}]], [["inner", start, 0, {}]], class_name="Sequential", **inner)
    built = network(functional([entry(), nested], [["x", 0, 0]], [["inner", start + 1, 0]]))
    assert built.calls[1].args == [Ref("inner", 0, 0)]
    assert built.outputs == [Ref("inner", 1, 0)]


def test_keras_2_arguments() -> None:
    layers = [
        entry("x"),
        entry("y"),
        legacy("add", [["x", 0, 0, {}], ["y", 0, 0, {}]], class_name="Add"),
        legacy("lstm", [["x", 0, 0, {"initial_state": [["y", 0, 0], ["add", 0, 0]], "mask": None}]]),
        legacy("scaled", ["x", 0, 0, {"y": 2.0, "name": None}], class_name="TFOpLambda"),
        legacy("same", [["_CONSTANT_VALUE", -1, 3.0, {}], ["x", 0, 0, {}]], class_name="Add"),
        legacy("one", [["x", 0, 0]], class_name="TFOpLambda"),
    ]
    calls = {call.layer: call for call in network(functional(layers, [["x", 0, 0]], [])).calls}
    assert calls["add"].args == [[Ref("x", 0, 0), Ref("y", 0, 0)]]
    assert calls["lstm"].args == [Ref("x", 0, 0)]
    assert calls["lstm"].kwargs == {"initial_state": [Ref("y", 0, 0), Ref("add", 0, 0)], "mask": None}
    assert calls["scaled"].args == [Ref("x", 0, 0)]
    assert calls["scaled"].kwargs["y"] == 2.0
    assert calls["same"].args == [[3.0, Ref("x", 0, 0)]]
    assert calls["one"].args == [[Ref("x", 0, 0)]]


def test_a_sequential_model_is_a_chain() -> None:
    config = {"name": "chain", "layers": [entry(), modern("a"), modern("b")]}
    built = network({"class_name": "Sequential", "config": config})
    assert built.inputs == Ref("x", 0, 0)
    assert [(call.layer, call.args) for call in built.calls] == [
        ("a", [Ref("x", 0, 0)]),
        ("b", [Ref("a", 0, 0)]),
    ]
    assert built.outputs == Ref("b", 0, 0)


@pytest.mark.parametrize(
    ("first", "extra"),
    [
        (legacy("a", batch_input_shape=[None, 7]), {}),
        (legacy("a"), {"build_input_shape": [None, 7]}),
        ({**legacy("a"), "build_config": {"input_shape": [None, 7]}}, {}),
    ],
)
def test_a_sequential_model_without_an_input_layer_knows_its_shape(first: Any, extra: Any) -> None:
    built = network({"class_name": "Sequential", "config": {"name": "chain", "layers": [first], **extra}})
    (made,) = built.made
    assert built.layers[made].config["batch_shape"] == [None, 7]


def test_the_list_of_layers_may_be_the_whole_config() -> None:
    built = network({"class_name": "Sequential", "config": [legacy("a", batch_input_shape=[None, 7])]})
    assert list(built.layers) == ["a_input", "a"]


@pytest.mark.parametrize(
    ("serialized", "message"),
    [
        (functional([entry(), entry()], [], []), "two layers of one name"),
        (functional([entry()], ["x"], []), "lists 'x' among the inputs and outputs"),
        ({"class_name": "Sequential", "config": {"layers": [3]}}, "where it should have a serialized layer"),
        ({"class_name": "Sequential", "config": 3}, "the config of Sequential is 3"),
    ],
)
def test_a_config_that_contradicts_itself(serialized: Any, message: str) -> None:
    with pytest.raises(ConvertError, match=message):
        network(serialized)


def test_decoding() -> None:
    assert decode({"class_name": "__tuple__", "items": [1, {"class_name": "__ellipsis__"}]}) == (1, ...)
    assert decode({"class_name": "__slice__", "config": {"start": None, "stop": 3, "step": 1}}) == slice(
        None, 3, 1
    )
    array = decode({"class_name": "__numpy__", "config": {"value": [[1, 2]], "dtype": "int32"}})
    np.testing.assert_array_equal(array, np.array([[1, 2]], np.int32))
    assert array.dtype == np.int32
    half = decode({"class_name": "__numpy__", "config": {"value": [1.5], "dtype": "bfloat16"}})
    assert half.dtype.name == "bfloat16"
    assert decode({"class_name": "__bytes__", "config": {"value": "ab"}}) == b"ab"
    assert decode({"class_name": "TensorShape", "items": [None, 3]}) == (None, 3)
    serialized = {"class_name": "Dense", "config": {"units": 3}}
    assert decode(serialized) is serialized


def test_keys_of_older_versions_are_renamed() -> None:
    info = parse({"class_name": "LeakyReLU", "config": {"name": "l", "alpha": 0.1}})
    assert info.config["negative_slope"] == 0.1


def test_the_keys_of_a_layer_of_the_users_own_are_left_alone() -> None:
    info = parse({"class_name": "my>LeakyReLU", "config": {"name": "l", "alpha": 0.1}})
    assert (info.class_name, info.registered, info.config["alpha"]) == ("LeakyReLU", "my>LeakyReLU", 0.1)


def test_policies() -> None:
    assert policy_name(None) == "float32"
    assert policy_name("mixed_float16") == "mixed_float16"
    assert policy_name({"class_name": "Policy", "config": {"name": "mixed_bfloat16"}}) == "mixed_bfloat16"
    mapped = {"class_name": "DTypePolicyMap", "config": {"default_policy": "float16", "policy_map": {}}}
    assert policy_name(mapped) == "float16"


def test_flattening_sorts_dicts() -> None:
    assert list(flatten({"b": 1, "a": [2, (3,)]})) == [2, 3, 1]
