"""The hard models as `.keras` files: against TensorFlow's outputs, and with no more operations than the same
model has from its SavedModel.
"""

from __future__ import annotations

import pytest

import litecast
from tests.models import MODELS, NotBuiltError, build
from tests.reference import operators, relative_error, steps

TOLERANCE = 1e-4
SMALL = """
bilstm conv_lstm gru gru_reset_before listed_outputs lstm masked_bilstm names simple_rnn unet unet_dynamic
"""
NAMES = [*SMALL.split(), *(name for name, model in MODELS.items() if model.module == "applications")]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if MODELS[name].slow else []) for name in NAMES]
)
def test_keras_file(name: str) -> None:
    try:
        folder = build(name)
    except NotBuiltError as reason:
        pytest.skip(str(reason))
    converted = litecast.convert(folder / "model.keras")
    assert not {found for found in operators(converted.content) if found.startswith("CUSTOM")}
    outputs = [info.name for info in converted.signatures["serving_default"].outputs]
    inputs = [info.name for info in converted.signatures["serving_default"].inputs]
    for call in steps(folder / "io.npz"):
        feeds = list(call.inputs.values()) if len(inputs) == 1 else [call.inputs[item] for item in inputs]
        results = converted(*feeds)
        # `model.export` calls outputs of lists `output_0`, ...; in one order or another, as in the file.
        wanted = call.outputs
        if not wanted.keys() <= results.keys():
            wanted = {output: call.outputs[f"output_{index}"] for index, output in enumerate(outputs)}
        for output, reference in wanted.items():
            assert relative_error(results[output], reference) < TOLERANCE, output
    twin = litecast.convert(folder / "saved_model", signatures="serving_default")
    assert sum(converted.report.ops.values()) <= sum(twin.report.ops.values())
