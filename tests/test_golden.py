"""Whole models against TensorFlow's outputs: the hard ones built here, the real ones of `../shared/models`.

Each converts to builtin operators, keeps its unknown dimensions, and gives every output of every step
within a relative error of 1e-4, judged by LiteRT alone and by `litecast.verify`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import litecast
from tests.models import MODELS, NotBuiltError, build
from tests.reference import interpreter, operators, relative_error, run, shape_signatures, steps, varying

TOLERANCE = 1e-4
# Unknown, though the recorded calls are all alike.
UNKNOWN = {"basic_pitch": {("serving_default", "input_2", 0)}}


def _built(name: str) -> Path:
    try:
        return build(name)
    except NotBuiltError as reason:
        pytest.skip(str(reason))


def _check(source: Path, reference: Path, unknown: set[tuple[str, str, int]]) -> None:
    content = litecast.convert(source).content
    custom = {name for name in operators(content) if name.startswith("CUSTOM")}
    assert not custom
    calls = steps(reference)
    assert calls
    for signature, name, axis in sorted(varying(calls) | unknown):
        assert shape_signatures(content, signature)[name][axis] == -1
    errors = {place: relative_error(output, wanted) for place, output, wanted in run(content, calls)}
    wrong = {place: error for place, error in errors.items() if not error < TOLERANCE}
    assert not wrong
    assert litecast.verify(content, reference).ok


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if model.slow else []) for name, model in MODELS.items()],
)
def test_hard_model(name: str, request: pytest.FixtureRequest) -> None:
    if MODELS[name].real:
        request.getfixturevalue("shared")
    folder = _built(name)
    _check(folder / "saved_model", folder / "io.npz", set())


# dtln's record is of silence, so all zeros: the hard model `dtln` is the one with sound.
@pytest.mark.parametrize("name", ["kws", "basic_pitch", "dtln"])
def test_real_model(shared: Path, name: str) -> None:
    folder = shared / "models" / name
    _check(folder / "saved_model", folder / "io.npz", UNKNOWN.get(name, set()))


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        # TensorFlow itself flattens a dict in the order of its keys; a list keeps its own order.
        pytest.param("names", ["bravo", "echo", "mike", "zulu"], id="dict"),
        pytest.param("listed_outputs", [f"output_{index}" for index in range(12)], id="list"),
    ],
)
def test_order_is_the_model_s_own(name: str, outputs: list[str]) -> None:
    """The inputs and outputs of the file, and of its signature, stand in the order the model has them."""
    converted = litecast.convert(_built(name) / "saved_model")
    signature = converted.signatures["serving_default"]
    assert [tensor.name for tensor in signature.inputs] == ["zeta", "alpha", "mid"]
    assert [tensor.name for tensor in signature.outputs] == outputs
    inputs = interpreter(converted.content).get_input_details()
    assert [detail["shape"][1] for detail in inputs] == [3, 5, 2]
