"""Files of the official converter: control flow, state, tables, strings, select TF ops, quantization survive.

TensorFlow makes them in a process of its own (`python -m tests.tflite.test_official FOLDER`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litecast.errors import ConvertError
from litecast.ir.graph import Model
from litecast.ops.custom import Builtin, Custom, Flex
from litecast.tflite.metadata import CONVERSION
from litecast.tflite.reader import read
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write
from tests.tflite.test_reader import random_inputs

tf = pytest.importorskip("tensorflow")


def spec(*shape: int | None, dtype: str = "float32") -> Any:
    return tf.TensorSpec(shape, dtype)


class Counter(tf.Module):
    def __init__(self) -> None:
        self.total = tf.Variable([1.0, 2.0])

    @tf.function(input_signature=[spec(2)])
    def __call__(self, x: Any) -> Any:
        self.total.assign_add(x)
        return {"total": self.total.read_value()}


class Lookup(tf.Module):
    def __init__(self) -> None:
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), ["one", "two"])
        self.table = tf.lookup.StaticHashTable(pairs, "none")

    @tf.function(input_signature=[spec(3, dtype="int64")])
    def __call__(self, x: Any) -> Any:
        return {"names": self.table.lookup(x % 4)}


class Plain(tf.Module):
    def __init__(self, function: Callable[..., Any], *specs: Any) -> None:
        self.call = tf.function(function, input_signature=specs)


def loop(x: Any) -> Any:
    _, y = tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, y * 1.5 + tf.cast(i, tf.float32)), (0, x))
    return {"y": y}


def branch(x: Any) -> Any:
    return {"y": tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x - 1), "x": x}


def strings(x: Any) -> Any:
    return {"y": tf.gather(tf.constant(["a", "", "long text"]), tf.abs(x) % 3)}


def inverse(x: Any) -> Any:
    return {"y": tf.linalg.inv(x) + 1}


MODULES: dict[str, Callable[[], Any]] = {
    "loop": lambda: Plain(loop, spec(None, 3)),
    "branch": lambda: Plain(branch, spec(2, 3)),
    "strings": lambda: Plain(strings, spec(4, dtype="int32")),
    "variable": Counter,
    "table": Lookup,
}


def convert(module: Any, **settings: Any) -> bytes:
    function = module.call if isinstance(module, Plain) else module.__call__
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
    for name, value in settings.items():
        setattr(converter, name, value)
    return converter.convert()


def check(content: bytes, unknown: int = 2) -> Model:
    """Compare a file and its round trip over several steps; return what was read."""
    model = read(content)
    before, after = Runtime(content), Runtime(write(model))
    assert before.signatures == after.signatures
    for step in range(3):
        inputs = random_inputs(before, step, unknown)
        results, again = before.run(inputs), after.run(inputs)
        assert list(results) == list(again)
        for key, result in results.items():
            np.testing.assert_array_equal(result, again[key], key)
    return model


@pytest.mark.parametrize("name", MODULES)
def test_module(files: Path, name: str):
    model = check((files / f"{name}.tflite").read_bytes())
    assert not [
        node for graph in model.all_graphs() for node in graph.nodes if isinstance(node.op, Builtin | Custom)
    ]
    assert (model.init is not None) == (name in ("variable", "table"))
    assert model.metadata[CONVERSION]
    assert model.description == "MLIR Converted."


def keras_lstm() -> Any:
    return tf.keras.Sequential(
        [tf.keras.Input((5, 3), batch_size=1), tf.keras.layers.LSTM(4), tf.keras.layers.Dense(2)]
    )


def keras_conv() -> Any:
    layers = [
        tf.keras.layers.Conv2D(4, 3, activation="relu"),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(2),
    ]
    return tf.keras.Sequential([tf.keras.Input((8, 8, 3), batch_size=1), *layers])


def quantized(model: Any, kind: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind in ("int8", "int16x8"):

        def samples() -> Iterator[list[np.ndarray]]:
            random = np.random.default_rng(0)
            for _ in range(4):
                yield [random.standard_normal([1, *model.input_shape[1:]]).astype(np.float32)]

        converter.representative_dataset = samples
    if kind == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if kind == "int16x8":
        sets = tf.lite.OpsSet
        converter.target_spec.supported_ops = [
            sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
    return converter.convert()


QUANTIZED = {
    f"{name}_{kind}": (make, kind)
    for name, make in (("lstm", keras_lstm), ("conv", keras_conv))
    for kind in ("dynamic", "float16", "int8", "int16x8")
    # The official calibrator crashes on the loop of an LSTM.
    if name != "lstm" or kind in ("dynamic", "float16")
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_model(files: Path, name: str):
    model = check((files / f"{name}.tflite").read_bytes())
    nodes = [node for graph in model.all_graphs() for node in graph.nodes]
    assert not [node for node in nodes if isinstance(node.op, Builtin | Custom)]


def test_select_tf_op(files: Path):
    """Official options are read as name and NodeDef, and written so that they are read again.

    No Python package links the delegate that would run it: the runtime says so.
    """
    model = read(files / "inverse.tflite")
    (op,) = [node.op for graph in model.all_graphs() for node in graph.nodes if isinstance(node.op, Flex)]
    assert op.op_name == "MatrixInverse"
    assert tf.compat.v1.NodeDef.FromString(op.node_def).op == "MatrixInverse"
    assert op in [node.op for graph in read(write(model)).all_graphs() for node in graph.nodes]
    with pytest.raises(ConvertError, match=r"Flex delegate.*FlexMatrixInverse"):
        Runtime(write(model)).allocate()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("official")
    command = [sys.executable, "-m", "tests.tflite.test_official", str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def main(folder: Path) -> None:
    sets = tf.lite.OpsSet
    select = tf.lite.TargetSpec(supported_ops={sets.TFLITE_BUILTINS, sets.SELECT_TF_OPS})
    (folder / "inverse.tflite").write_bytes(convert(Plain(inverse, spec(2, 2)), target_spec=select))
    for name, make in MODULES.items():
        (folder / f"{name}.tflite").write_bytes(convert(make()))
    for name, (model, kind) in QUANTIZED.items():
        (folder / f"{name}.tflite").write_bytes(quantized(model(), kind))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
