"""Names and order of a signature are the model's own: dict keys, Input names, output layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import litecast
from tests.frontend.keras.harness import BOTH, EVERY_FORMAT, FRAMEWORKS, KERAS, built, check, save
from tests.reference import interpreter

INPUTS = {"zeta": 3, "alpha": 5, "mid": 2}
OUTPUTS = {"zulu": 3, "alpha_out": 5, "mike": 2, "bravo": 7}


def unordered(k: Any) -> Any:
    inputs = [k.Input((size,), name=name) for name, size in INPUTS.items()]
    joined = k.layers.Concatenate()(inputs)
    return k.Model(inputs, [k.layers.Dense(size, name=name)(joined) for name, size in OUTPUTS.items()])


def keyed(k: Any) -> Any:
    inputs = {name: k.Input((size,), name=name) for name, size in INPUTS.items()}
    joined = k.layers.Concatenate()(list(inputs.values()))
    return k.Model(inputs, {name: k.layers.Dense(size)(joined) for name, size in OUTPUTS.items()})


def signature(framework: str, build: Any, form: str, folder: Path) -> tuple[list[str], list[str], Any]:
    source, options = save(FRAMEWORKS[framework], built(framework, build), form, folder)
    converted = litecast.convert(source, **options)
    found = converted.signatures["serving_default"]
    return [info.name for info in found.inputs], [info.name for info in found.outputs], converted


@pytest.mark.parametrize("framework", BOTH)
@pytest.mark.parametrize("form", EVERY_FORMAT)
@pytest.mark.parametrize("build", [unordered, keyed], ids=["lists", "dicts"])
def test_own_names_in_own_order(build: Any, form: str, framework: str, tmp_path: Path) -> None:
    inputs, outputs, converted = signature(framework, build, form, tmp_path)
    assert inputs == list(INPUTS)
    assert outputs == list(OUTPUTS)
    plain = interpreter(converted.content)
    assert [detail["shape"][1] for detail in plain.get_input_details()] == [INPUTS[name] for name in inputs]
    assert [detail["shape"][1] for detail in plain.get_output_details()] == [
        OUTPUTS[name] for name in outputs
    ]


@pytest.mark.parametrize("framework", BOTH)
def test_values_go_with_names(framework: str) -> None:
    for build in (unordered, keyed):
        check(build, frameworks=(framework,), formats=("keras", "h5"))


def test_dict_keys_and_input_names_that_differ() -> None:
    """The key counts, as in a call of the model."""

    def build(k: Any) -> Any:
        x, y = k.Input((2,), name="first"), k.Input((3,), name="second")
        return k.Model({"query": x, "keys": y}, {"answer": k.layers.Dense(4)(k.layers.Concatenate()([x, y]))})

    converted = check(build, frameworks=KERAS, formats=("keras", "h5", "memory"))
    (found,) = converted.signatures.values()
    assert [info.name for info in found.inputs] == ["query", "keys"]
    assert [info.name for info in found.outputs] == ["answer"]


@pytest.mark.parametrize("framework", BOTH)
def test_one_layer_with_several_outputs(framework: str, tmp_path: Path) -> None:
    def build(k: Any) -> Any:
        x = k.Input((4, 3), name="sound")
        return k.Model(x, k.layers.LSTM(5, return_state=True, name="memory")(x))

    inputs, outputs, _ = signature(framework, build, "keras", tmp_path)
    assert inputs == ["sound"]
    assert outputs == ["memory", "memory_1", "memory_2"]


@pytest.mark.parametrize("framework", BOTH)
def test_one_layer_called_for_two_outputs(framework: str, tmp_path: Path) -> None:
    def build(k: Any) -> Any:
        dense = k.layers.Dense(2, name="head")
        x, y = k.Input((3,), name="x"), k.Input((3,), name="y")
        return k.Model([x, y], [dense(x), dense(y)])

    assert signature(framework, build, "h5", tmp_path)[1] == ["head", "head_1"]


@pytest.mark.parametrize("framework", BOTH)
def test_sequential(framework: str, tmp_path: Path) -> None:
    def build(k: Any) -> Any:
        return k.Sequential([k.Input((3,), name="image"), k.layers.Dense(2), k.layers.Softmax(name="scores")])

    inputs, outputs, _ = signature(framework, build, "keras", tmp_path)
    assert (inputs, outputs) == (["image"], ["scores"])
