"""What two `.tflite` files hold and how fast they run: `python outputs.py A.tflite B.tflite` prints JSON.

Runs in a process of its own, for it needs LiteRT and numpy, which the measuring process must not load.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import Buffer, Model

SECONDS = 4.0  # of paired invocations
FEWEST = 10


def contents(content: bytes) -> dict[str, int]:
    """Size of the file, bytes of its constants (equal ones once), operators of all subgraphs."""
    model = Model.GetRootAs(content, 0)
    metadata = {model.Metadata(index).Buffer() for index in range(model.MetadataLength())}
    constants = {
        constant(content, model.Buffers(index))
        for index in range(model.BuffersLength())
        if index not in metadata
    }
    operators = sum(model.Subgraphs(index).OperatorsLength() for index in range(model.SubgraphsLength()))
    return {"size": len(content), "weights": sum(map(len, constants)), "operators": operators}


def constant(content: bytes, buffer: Buffer) -> bytes:
    """The bytes of a buffer, inside the FlatBuffer or behind it."""
    if buffer.Offset() > 1:
        return content[buffer.Offset() : buffer.Offset() + buffer.Size()]
    return buffer.DataAsNumpy().tobytes() if buffer.DataLength() else b""


def loaded(content: bytes) -> Interpreter:
    """An interpreter with one thread and the default delegate, its inputs filled with seeded noise."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        noise = rng.uniform(0, 1, detail["shape"]).astype(detail["dtype"])
        interpreter.set_tensor(detail["index"], noise)
    return interpreter


def latencies(interpreters: list[Interpreter]) -> list[float]:
    """Median seconds of one invocation of each, taken in turns."""
    for interpreter in interpreters:
        interpreter.invoke()
    times: list[list[float]] = [[] for _ in interpreters]
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[0]) < FEWEST:
        for taken, interpreter in zip(times, interpreters, strict=True):
            start = time.perf_counter()
            interpreter.invoke()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def main(paths: list[str]) -> None:
    """Print a JSON list, one entry for each path."""
    files = [Path(path).read_bytes() for path in paths]
    seconds = latencies([loaded(content) for content in files])
    print(
        json.dumps([contents(file) | {"latency": taken} for file, taken in zip(files, seconds, strict=True)])
    )


if __name__ == "__main__":
    main(sys.argv[1:])
