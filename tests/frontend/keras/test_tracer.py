"""The interpreter of configs on lowerings of the tests' own: masks, state, errors and names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import litecast.keras
from litecast.errors import ConvertError, UnsupportedError
from litecast.frontend.keras.archive import KerasSource
from litecast.frontend.keras.importer import HARMLESS, LayerImporter, Masked
from litecast.frontend.keras.model import trace_keras
from litecast.frontend.keras.weights import NoWeights
from litecast.ir.graph import Model
from litecast.ir.text import print_graph
from litecast.ops import Add, Mul, Neg
from tests.frontend.keras.test_network import functional, legacy, modern

INPUT = {
    "class_name": "InputLayer",
    "config": {"name": "x", "batch_shape": [None, 4], "dtype": "float32"},
    "name": "x",
    "inbound_nodes": [],
}


def trace(serialized: Any, lowerings: Any = (), version: str = "3.9.0", **options: Any) -> Model:
    source = KerasSource("m.keras", serialized, NoWeights("m.keras"), version, "m")
    custom = {**LOWERINGS, **dict(lowerings)}
    return trace_keras(source, custom=custom, **options)


def chain(*layers: Any, version: int = 3) -> Any:
    """A model that calls each layer on the one before."""
    names = ["x", *(layer["name"] for layer in layers)]
    for before, layer in zip(names, layers, strict=False):
        layer["inbound_nodes"] = modern("l", (before, 0, 0))["inbound_nodes"]
    return functional([INPUT, *layers], [["x", 0, 0]], [[names[-1], 0, 0]])


def body(model: Model) -> str:
    return print_graph(model.signatures["serving_default"].graph)


def _double(b: Any, inputs: Any, *, layer: Any, factor: float = 2.0) -> Any:
    return b(Mul(), inputs, factor)


def _start(b: Any, inputs: Any) -> Any:
    return Masked(inputs, b(Neg(), inputs))


def _show(b: Any, inputs: Any, *, mask: Any) -> Any:
    return inputs if mask is None else b(Add(), inputs, mask)


def _two(b: Any, inputs: Any, other: Any = None, *, mask: Any, other_mask: Any) -> Any:
    return [b(Add(), inputs, inputs) if mask is not None else inputs, other_mask or other]


def lower(function: Any, **traits: Any) -> LayerImporter:
    return LayerImporter(function, frozenset(HARMLESS.split()), **traits)


LOWERINGS = {
    "Double": lower(_double),
    "Start": lower(_start),
    "Keep": lower(lambda b, inputs: b(Neg(), inputs), masking="pass"),
    "Lose": lower(lambda b, inputs: b(Neg(), inputs)),
    "Show": lower(_show),
    "Train": lower(lambda b, inputs: inputs, training_only=True),
}


def test_a_model_becomes_one_signature_with_its_own_names() -> None:
    model = trace(chain(modern("twice", class_name="Double")))
    signature = model.signatures["serving_default"]
    assert (signature.inputs, signature.outputs) == (["x"], ["twice"])
    assert str(signature.graph.inputs[0].type) == "f32[x_0,4]"
    assert "Mul" in body(model)


def test_outputs_are_named_by_dict_keys_or_layers_in_the_models_order() -> None:
    layers = [INPUT, *(modern(name, ("x", 0, 0), class_name="Double") for name in ("b", "a"))]
    by_layer = trace(functional(layers, {"in": ["x", 0, 0]}, [["b", 0, 0], ["a", 0, 0], ["b", 0, 0]]))
    assert by_layer.signatures["serving_default"].inputs == ["in"]
    assert by_layer.signatures["serving_default"].outputs == ["b", "a", "b_1"]
    by_key = trace(functional(layers, ["x", 0, 0], {"z": ["b", 0, 0], "y": ["a", 0, 0]}))
    assert by_key.signatures["serving_default"].outputs == ["z", "y"]


def test_shape_and_batch_fix_inputs() -> None:
    layers = chain(modern("twice", class_name="Double"))
    assert trace(layers, batch=3).signatures["serving_default"].graph.inputs[0].shape == (3, 4)
    fixed = trace(layers, shapes={"x": [5, 4]})
    assert fixed.signatures["serving_default"].graph.inputs[0].shape[0] == 5
    with pytest.raises(ConvertError, match="'y', which is no input; the inputs are: x"):
        trace(layers, shapes={"y": [1]})


@pytest.mark.parametrize(
    ("layers", "masked"),
    [
        (["Start", "Show"], True),
        (["Start", "Keep", "Show"], True),
        (["Start", "Lose", "Show"], False),
        (["Keep", "Show"], False),
        (["Start", "Train", "Show"], False),
    ],
)
def test_masks_travel_as_far_as_layers_pass_them(layers: list[str], masked: bool) -> None:
    found = body(trace(chain(*(modern(f"l{i}", class_name=name) for i, name in enumerate(layers)))))
    assert ("Add" in found) == masked


@pytest.mark.parametrize(("version", "seen"), [("3.9.0", False), ("2.15.0", True)])
def test_keras_3_finds_no_mask_for_a_layer_of_two_tensors(version: str, seen: bool) -> None:
    two = modern("two", class_name="Two")
    source = {"class_name": "__keras_tensor__", "config": {"keras_history": ["start", 0, 0]}}
    plain = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
    two["inbound_nodes"] = [{"args": [source], "kwargs": {"other": plain}}]
    layers = [INPUT, modern("start", ("x", 0, 0), class_name="Start"), two]
    model = trace(
        functional(layers, ["x", 0, 0], [["two", 0, 0], ["two", 0, 1]]),
        {"Two": lower(_two)},
        version=version,
    )
    assert ("Add" in body(model)) == seen


def test_all_unknown_layers_are_one_error() -> None:
    layers = [modern("a", class_name="Mine"), modern("b", class_name="Double"), modern("c", class_name="His")]
    with pytest.raises(UnsupportedError) as caught:
        trace(chain(*layers))
    text = str(caught.value)
    assert [(item.op, item.place) for item in caught.value.items] == [("Mine", "a"), ("His", "c")]
    assert 'litecast.keras.register("Mine")' in text
    assert "model.export(path)" in text


def test_a_lambda_behind_an_unknown_layer_is_listed_too() -> None:
    layers = [modern("a", class_name="Mine"), modern("b", class_name="Lambda")]
    with pytest.raises(UnsupportedError) as caught:
        trace(chain(*layers))
    assert [(item.op, item.place) for item in caught.value.items] == [("Mine", "a"), ("Lambda", "b")]


def test_unknown_layers_of_a_nested_model_name_their_path() -> None:
    inner = functional([INPUT, modern("m", ("x", 0, 0), class_name="Mine")], ["x", 0, 0], ["m", 0, 0])
    nested = {**modern("inner", class_name="Functional"), "config": inner["config"]}
    with pytest.raises(UnsupportedError, match="at inner/m"):
        trace(chain(nested))
    with pytest.raises(UnsupportedError) as caught:
        trace(chain(modern("first", class_name="Yours"), nested))
    assert [item.place for item in caught.value.items] == ["first", "inner/m"]


def test_a_config_key_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(UnsupportedError, match=r"does not know attribute angle=3\n  at twice"):
        trace(chain(modern("twice", class_name="Double", angle=3)))


@pytest.mark.parametrize("key", ["kernel_initializer", "bias_regularizer", "trainable", "seed", "_private"])
def test_keys_of_training_are_harmless(key: str) -> None:
    trace(chain(modern("twice", class_name="Double", **{key: "any"})))


def test_a_call_argument_that_nobody_knows_is_an_error() -> None:
    twice = modern("twice", class_name="Double")
    model = chain(twice)
    twice["inbound_nodes"][0]["kwargs"] = {"speed": 3, "mask": None, "training": False}
    with pytest.raises(UnsupportedError, match="does not know call argument speed"):
        trace(model)
    twice["inbound_nodes"][0]["kwargs"] = {"mask": None, "training": False}
    trace(model)


@pytest.mark.parametrize(
    ("layer", "refused"),
    [
        (modern("l", class_name="Train"), True),
        (modern("l", class_name="Double"), False),
    ],
)
def test_training_recorded_with_a_call_is_refused_where_it_matters(layer: Any, refused: bool) -> None:
    model = chain(layer)
    layer["inbound_nodes"][0]["kwargs"] = {"training": True}
    trace(model)  # Keras 3 records the defaults of calls
    if refused:
        with pytest.raises(UnsupportedError, match="training=True"):
            trace(model, version="2.15.0")
    else:
        trace(model, version="2.15.0")


def test_layers_of_training_are_listed() -> None:
    model = trace(
        chain(
            modern("a", class_name="Train"), modern("b", class_name="Train"), modern("c", class_name="Double")
        )
    )
    assert model.notes == ["left out, for they only act in training: Train 2"]


def test_policies_of_less_or_more_precision_are_noted() -> None:
    twice = modern(
        "twice", class_name="Double", dtype={"class_name": "P", "config": {"name": "mixed_float16"}}
    )
    assert trace(chain(twice)).notes == ["layers of policy mixed_float16 are computed in float32"]


def test_inputs_that_may_be_left_out_are_noted() -> None:
    entry = {**INPUT, "config": {**INPUT["config"], "optional": True}}
    layers = [entry, modern("twice", ("x", 0, 0), class_name="Double")]
    model = trace(functional(layers, ["x", 0, 0], ["twice", 0, 0]))
    assert model.notes == ["input x may be left out in Keras; here it must be given"]


def test_loops_and_loose_ends() -> None:
    layers = [
        INPUT,
        modern("a", ("b", 0, 0), class_name="Double"),
        modern("b", ("a", 0, 0), class_name="Double"),
    ]
    with pytest.raises(ConvertError, match="loops or loose ends: nothing leads to the inputs of a, b"):
        trace(functional(layers, ["x", 0, 0], ["a", 0, 0]))
    with pytest.raises(ConvertError, match="refers to call 7 of a, which it does not have"):
        trace(functional([INPUT, modern("a", ("x", 0, 0), class_name="Double")], ["x", 0, 0], ["a", 7, 0]))
    with pytest.raises(ConvertError, match="output 3 of a, which has 1"):
        trace(functional([INPUT, modern("a", ("x", 0, 0), class_name="Double")], ["x", 0, 0], ["a", 0, 3]))


def test_a_nested_model_is_called_by_name_and_conforms_its_input() -> None:
    entry = {**INPUT, "config": {**INPUT["config"], "batch_shape": [None, 4, 1]}}
    inner = functional([entry, modern("m", ("x", 0, 0), class_name="Double")], [["x", 0, 0]], ["m", 0, 0])
    nested = {**modern("inner", class_name="Functional"), "config": inner["config"]}
    model = chain(nested)
    tensor = nested["inbound_nodes"][0]["args"][0]
    nested["inbound_nodes"][0]["args"] = [{"x": tensor}]
    assert str(trace(model).signatures["serving_default"].graph.outputs[0].type) == "f32[x_0,4,1]"
    nested["inbound_nodes"][0]["args"] = [{"y": tensor}]
    with pytest.raises(ConvertError, match="called with inputs"):
        trace(model)


def test_a_subclassed_model_has_no_config_to_read() -> None:
    with pytest.raises(ConvertError, match="subclassed model"):
        trace({"class_name": "Mine", "config": {"name": "mine"}})


def test_a_model_saved_before_it_was_built() -> None:
    with pytest.raises(ConvertError, match="saved before it was built"):
        trace(
            {
                "class_name": "Sequential",
                "config": {"name": "s", "layers": [legacy("d", class_name="Double")]},
            }
        )


def _remember(b: Any, inputs: Any, *, layer: Any) -> Any:
    state = layer.state(b, "total", (2, 4))
    total = b(Add(), state.read(b), inputs)
    state.assign(b, total)
    return total


@pytest.mark.parametrize("states", ["variables", "io"])
def test_state(states: str) -> None:
    model = trace(chain(modern("sum", class_name="Sum")), {"Sum": lower(_remember)}, batch=2, states=states)
    signature = model.signatures["serving_default"]
    if states == "io":
        assert (signature.inputs, signature.outputs) == (["x", "sum_total"], ["sum", "sum_total"])
        assert model.init is None
    else:
        assert (signature.inputs, signature.outputs) == (["x"], ["sum"])
        assert model.init is not None
    with pytest.raises(UnsupportedError, match="needs known sizes"):
        trace(chain(modern("sum", class_name="Sum")), {"Sum": lower(_open)}, states=states)
    with pytest.raises(ConvertError, match="states is 'files'"):
        trace(chain(modern("twice", class_name="Double")), states="files")


def _open(b: Any, inputs: Any, *, layer: Any) -> Any:
    return layer.state(b, "total", inputs.shape).read(b)


@pytest.fixture
def registered() -> Iterator[None]:
    litecast.keras.register("Mine", masking="pass")(_double)
    yield
    litecast.keras.unregister("Mine")


@pytest.mark.usefixtures("registered")
def test_lowerings_are_registered_or_given() -> None:
    found = litecast.keras.lowerings({"Other": _start})
    assert set(found) == {"Mine", "Other"}
    assert found["Mine"].masking == "pass"
    assert "Mul" in body(trace(chain(modern("m", class_name="Mine", factor=3.0)), found))
    with pytest.raises(UnsupportedError, match="does not know attribute angle"):
        trace(chain(modern("m", class_name="Mine", angle=3.0)), found)
    with pytest.raises(ConvertError, match="give a function"):
        litecast.keras.lowerings({"Mine": np.ndarray})
    with pytest.raises(ConvertError, match="masking is"):
        litecast.keras.register("Mine", masking="keep")
