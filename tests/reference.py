"""Run a `.tflite` on recorded steps with LiteRT alone: a referee that shares no code with Litecast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import BuiltinOperator, Model

Array = np.ndarray


@dataclass
class Step:
    """One call of a signature: its inputs and the outputs the source framework gave."""

    signature: str
    inputs: dict[str, Array] = field(default_factory=dict)
    outputs: dict[str, Array] = field(default_factory=dict)


def steps(path: Path) -> list[Step]:
    """The calls recorded in an `io.npz`, in order."""
    found: dict[str, Step] = {}
    with np.load(path) as file:
        for key in sorted(key for key in file.files if "::" in key):
            index, signature, side, name = key.split("::")
            step = found.setdefault(index, Step(signature))
            (step.inputs if side == "in" else step.outputs)[name] = file[key]
    return [found[index] for index in sorted(found)]


def interpreter(content: bytes) -> Interpreter:
    """One interpreter as a user gets it: the default delegate."""
    return Interpreter(model_content=content, num_threads=1)


def run(content: bytes, calls: list[Step]) -> Iterator[tuple[str, Array, Array]]:
    """Run every call in order on one interpreter; give (place, output, reference) for each output."""
    with_state = interpreter(content)
    runners = {call.signature: with_state.get_signature_runner(call.signature) for call in calls}
    for index, call in enumerate(calls):
        outputs = runners[call.signature](**call.inputs)
        assert outputs.keys() == call.outputs.keys()
        for name, reference in call.outputs.items():
            yield f"step {index}, {call.signature}, {name}", outputs[name], reference


def relative_error(output: Array, reference: Array) -> float:
    """max|a-b| / max|reference|; infinite where shapes differ or the output is not finite."""
    output, reference = np.asarray(output), np.asarray(reference)
    if output.shape != reference.shape or not np.isfinite(output.astype(np.float64)).all():
        return float("inf")
    if not reference.size:
        return 0.0
    difference = np.abs(output.astype(np.float64) - reference.astype(np.float64)).max()
    largest = np.abs(reference.astype(np.float64)).max()
    return float(difference / largest) if largest else float("inf" if difference else 0.0)


def operators(content: bytes) -> set[str]:
    """Names of the operators the file lists; a custom one (select TF ops are custom) as `CUSTOM:NAME`."""
    names = {code: name for name, code in vars(BuiltinOperator).items() if isinstance(code, int)}
    found = set()
    model = Model.GetRootAs(content, 0)
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        found.add(f"CUSTOM:{custom.decode()}" if number == BuiltinOperator.CUSTOM else names[number])
    return found


def varying(calls: list[Step]) -> set[tuple[str, str, int]]:
    """(signature, input, axis) wherever the calls differ in size: a dimension the model leaves unknown."""
    sizes: dict[tuple[str, str, int], set[int]] = {}
    for call in calls:
        for name, x in call.inputs.items():
            for axis, size in enumerate(x.shape):
                sizes.setdefault((call.signature, name, axis), set()).add(size)
    return {place for place, found in sizes.items() if len(found) > 1}


def shape_signatures(content: bytes, signature: str) -> dict[str, list[int]]:
    """The shape signature of each input; -1 where a dimension is unknown."""
    details = interpreter(content).get_signature_runner(signature).get_input_details()
    return {name: [int(size) for size in detail["shape_signature"]] for name, detail in details.items()}
