"""The hard models as `.keras` files: against TensorFlow's outputs, and against the same models converted from
their SavedModels, which must not have fewer operations.
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
    twin = litecast.convert(folder / "saved_model", signatures="serving_default")
    assert sum(converted.report.ops.values()) <= sum(twin.report.ops.values())
    signature = converted.signatures["serving_default"]
    inputs, outputs = ([info.name for info in infos] for infos in (signature.inputs, signature.outputs))
    for call in steps(folder / "io.npz"):
        feeds = list(call.inputs.values()) if len(inputs) == 1 else [call.inputs[name] for name in inputs]
        results, others = converted(*feeds), twin(**call.inputs)
        for index, output in enumerate(outputs):
            # `model.export` calls the outputs of a list `output_0`, ...
            exported = output if output in call.outputs else f"output_{index}"
            assert relative_error(results[output], call.outputs[exported]) < TOLERANCE, output
            assert relative_error(results[output], others[exported]) < TOLERANCE, output
