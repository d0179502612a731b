"""LiteRT behind its class, and the evaluation of single operations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

import litecast
from litecast.errors import ConvertError, FormatError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Signature, constant
from litecast.ir.types import DType, Quant, TensorType
from litecast.ops.custom import Builtin, Custom
from litecast.tflite.runtime import Runtime, evaluate
from litecast.tflite.writer import write
from tests.tflite.graphs import ADD, LOGISTIC, append, dense_model, f32
from tests.tflite.test_writer import stateful_model

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def expected(model: Model, x: np.ndarray) -> np.ndarray:
    _, w, bias = model.signatures["serving_default"].graph.nodes[0].inputs
    return x @ w.array().T + bias.array()


@pytest.mark.parametrize("delegate", [True, False])
@pytest.mark.parametrize("from_file", [True, False])
def test_runs_at_several_sizes(tmp_path: Path, delegate: bool, from_file: bool):
    model = dense_model()
    (tmp_path / "m.tflite").write_bytes(write(model))
    runtime = Runtime(tmp_path / "m.tflite" if from_file else write(model), delegate=delegate)
    for rows in (5, 1, 3, 3):
        result = runtime.run({"input": X[:rows]})
        assert list(result) == ["output"]
        np.testing.assert_allclose(result["output"], expected(model, X[:rows]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(runtime.run([X])["output"], expected(model, X), rtol=1e-5, atol=1e-6)


def test_model_without_signature():
    graph = Graph()
    x, y = graph.add_input(f32("n"), "x"), graph.add_input(f32("n"), "y")
    graph.set_outputs([append(graph, ADD, [x, y], f32("n"), name="sum")])
    runtime = Runtime(write(Model(graphs=[graph])))
    assert runtime.signatures == {}
    assert [(port.name, port.shape) for port in runtime.inputs()] == [("x", (-1,)), ("y", (-1,))]
    for size in (1, 4):
        ones = np.ones(size, np.float32)
        assert runtime.run({"y": ones, "x": 2 * ones})["sum"].tolist() == [3] * size


def test_a_tensor_may_be_several_outputs():
    graph = Graph()
    x = graph.add_input(f32("n"), "x")
    doubled = append(graph, ADD, [x, x], f32("n"), name="doubled")
    squashed = append(graph, LOGISTIC, [x], f32("n"), name="squashed")
    graph.set_outputs([doubled, squashed, doubled])
    runtime = Runtime(write(Model({"serve": Signature(graph, ["x"], ["first", "second", "third"])})))
    result = runtime.run([np.ones(2, np.float32)])
    assert list(result) == ["first", "second", "third"]
    np.testing.assert_array_equal(result["first"], result["third"])


@pytest.mark.parametrize("named", [True, False])
def test_outputs_without_elements(named: bool):
    graph = Graph()
    x = graph.add_input(f32("n", 3), "x")
    begin, size = constant(np.int32([0, 3])), constant(np.int32([-1, 0]))
    op = Builtin(65, "SLICE", "SliceOptions", ())
    none = append(graph, op, [x, begin, size], f32("n", 0), name="none")
    graph.set_outputs([none, append(graph, ADD, [x, x], f32("n", 3), name="sum")])
    signature = {"main": Signature(graph, ["x"], ["none", "sum"])} if named else {}
    runtime = Runtime(write(Model(signature, graphs=[] if named else [graph])))
    for rows in (2, 1):
        result = runtime.run([np.ones((rows, 3), np.float32)])
        assert result["none"].shape == (rows, 0)
        assert result["none"].dtype == np.float32
        assert result["sum"].tolist() == [[2] * 3] * rows


def test_a_batch_that_one_is_too_small_for(tmp_path: Path):
    """Windows that are put together take several rows each."""
    graph = Graph()
    x = graph.add_input(f32("n", 3), "x")
    op = Builtin(22, "RESHAPE", "ReshapeOptions", ())
    graph.set_outputs([append(graph, op, [x, constant(np.int32([-1, 4, 3]))], f32("m", 4, 3), name="y")])
    (tmp_path / "m.tflite").write_bytes(write(Model({"main": Signature(graph, ["x"], ["y"])})))
    runtime = Runtime(tmp_path / "m.tflite", delegate=False)
    with pytest.raises(ConvertError, match="RESHAPE"):
        runtime.allocate()
    runtime.allocate(12, first=12)
    assert litecast.convert(tmp_path / "m.tflite")(np.ones((8, 3), np.float32))["y"].shape == (2, 4, 3)


def test_strings():
    graph = Graph()
    x = graph.add_input(TensorType(DType.STRING, (2,)), "x")
    shape = constant(np.int32([2, 1]))
    op = Builtin(22, "RESHAPE", "ReshapeOptions", (("new_shape", (2, 1)),))
    graph.set_outputs([append(graph, op, [x, shape], TensorType(DType.STRING, (2, 1)), name="y")])
    runtime = Runtime(write(Model(graphs=[graph])))
    assert runtime.inputs()[0].dtype == np.dtype(object)
    assert runtime.run([["a", "bc"]])["y"].tolist() == [[b"a"], [b"bc"]]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([X[:, :2]], r"input input takes float32\[\?,4\], given is float32\[5,2\]"),
        ([X.astype(np.float64)], r"takes float32\[\?,4\], given is float64\[5,4\]"),
        ([X[0]], r"given is float32\[4\]"),
        ([X, X], r"takes 1 inputs \(input\), 2 given"),
        ({"wrong": X}, "takes the inputs input; given are wrong"),
    ],
)
def test_inputs_that_do_not_fit(inputs: object, reason: str):
    with pytest.raises(ConvertError, match=reason):
        Runtime(write(dense_model())).run(inputs)


def test_signature_must_be_named():
    runtime = Runtime(write(stateful_model()))
    with pytest.raises(ConvertError, match="several signatures: name one of peek, add, pure"):
        runtime.run([])
    with pytest.raises(ConvertError, match="has no signature peak; there are peek, add, pure"):
        runtime.run([], "peak")


def test_files_that_are_no_models(tmp_path: Path):
    with pytest.raises(FormatError, match=r"none\.tflite: No such file"):
        Runtime(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("this is no model")
    with pytest.raises(FormatError, match=r"text\.tflite: this is no TFLite model"):
        Runtime(tmp_path / "text.tflite")
    with pytest.raises(ConvertError):
        Runtime(write(dense_model())[:300]).run([X])


def test_reasons_of_the_runtime_are_told():
    graph = Graph()
    x = graph.add_input(f32(2), "x")
    graph.set_outputs([append(graph, Custom("NoSuchOp"), [x], f32(2), name="y")])
    with pytest.raises(ConvertError, match="NoSuchOp"):
        Runtime(write(Model(graphs=[graph]))).allocate()


def test_tensors_and_contents():
    graph = Graph()
    x = graph.add_input(f32(2), "x")
    inner = append(graph, ADD, [x, constant(np.float32([1, 2]), "c")], f32(2), name="inner")
    graph.set_outputs([append(graph, LOGISTIC, [inner], f32(2), name="y")])
    runtime = Runtime(write(Model(graphs=[graph])), preserve=True, delegate=False)
    runtime.run([np.float32([1, 1])])
    indices = {tensor["name"]: tensor["index"] for tensor in runtime.tensors()}
    assert set(indices) == {"x", "c", "inner", "y"}
    assert runtime.tensor(indices["inner"]).tolist() == [2, 3]


def test_allocation_at_a_size():
    graph = Graph()
    x = graph.add_input(f32("n", "h"), "x")
    fixed = constant(np.ones((1, 3), np.float32))
    graph.set_outputs([append(graph, ADD, [x, fixed], f32("n", 3), name="y")])
    for model in (Model(graphs=[graph]), Model({"s": Signature(graph, ["x"], ["y"])})):
        Runtime(write(model)).allocate()
        Runtime(write(model)).allocate(3)
        with pytest.raises(ConvertError, match=r"LiteRT cannot prepare the model: .+"):
            Runtime(write(model), delegate=False).allocate(2)


def test_threads_do_not_lose_stderr():
    script = (
        "import os, threading\nfrom litecast.tflite.runtime import _reported\n"
        "barrier = threading.Barrier(8)\n"
        "def work():\n    barrier.wait()\n"
        "    for _ in range(50):\n        with _reported('x'):\n            pass\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n[thread.join() for thread in threads]\n"
        "os.write(2, b'still here\\n')\n"
    )
    assert run_script(script).stderr == "still here\n"


def test_time():
    assert 0 < Runtime(write(dense_model())).time(5) < 1
    assert 0 < Runtime(write(stateful_model())).time(5, [np.zeros(2, np.float32)], "pure") < 1
    assert 0 < Runtime(write(stateful_model())).time(5, signature="add") < 1


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)


def test_nothing_on_stderr():
    script = "from tests.tflite.test_runtime import *\nRuntime(write(dense_model())).run([X])\n"
    assert run_script(script).stderr == ""
    assert run_script("import sys, os\nos.close(2)\n" + script).returncode == 0


def test_other_messages_reach_stderr():
    script = (
        "import os\nfrom litecast.tflite.runtime import _reported\n"
        "with _reported('x'):\n    os.write(2, b'INFO: chatter\\nERROR: reason\\n')\n"
    )
    assert run_script(script).stderr == "ERROR: reason\n"


def test_interpreter_is_loaded_on_demand():
    script = (
        "import sys, litecast.tflite.runtime, litecast.tflite.reader, litecast.tflite.writer\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('ai_edge_litert', 'flatbuffers')])\n"
    )
    assert run_script(script).stdout.strip() == "[]"


# -- single operations -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 100)])
def test_evaluate(dtype: type, shape: tuple[int, ...]):
    x = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    type = TensorType(DType.of(dtype), shape)
    (result,) = evaluate(ADD, [constant(x), constant(x + dtype(1))], [type])
    np.testing.assert_array_equal(result, 2 * x + dtype(1))


def test_evaluate_quantized():
    quant = Quant((0.5,), (3,))
    x = constant(np.int8([3, 5, 7]), quant=quant)
    op = Builtin(6, "DEQUANTIZE", "DequantizeOptions", builtin_version=2)
    assert evaluate(op, [x], [f32(3)])[0].tolist() == [0, 1, 2]


def test_evaluate_packed():
    op = Builtin(53, "CAST", "CastOptions", (("in_data_type", 17), ("out_data_type", 0)), 6)
    x = constant(np.array([-8, 7, 1]).astype(DType.INT4.numpy))
    assert evaluate(op, [x], [f32(3)])[0].tolist() == [-8, 7, 1]


def test_evaluate_several_outputs_and_absent_operands():
    op = Builtin(49, "SPLIT", "SplitOptions", (("num_splits", 2),))
    x = constant(np.arange(200, dtype=np.float32))
    first, second = evaluate(op, [constant(np.int32(0)), x], [f32(100), f32(100)])
    assert (first[0], second[0]) == (0, 100)
    dense = Builtin(9, "FULLY_CONNECTED", "FullyConnectedOptions")
    result = evaluate(dense, [constant(X), constant(X), None], [f32(5, 5)])[0]
    np.testing.assert_allclose(result, X @ X.T, rtol=1e-5, atol=1e-6)


def test_evaluate_of_unknown_size():
    op = Builtin(109, "WHERE")
    result = evaluate(
        op, [constant(np.array([True, False, True]))], [TensorType(DType.INT64, f32("n", 1).shape)]
    )
    assert result[0].tolist() == [[0], [2]]


def test_evaluate_refuses():
    with pytest.raises(ConvertError, match=r"LiteRT cannot evaluate ADD: .+"):
        evaluate(ADD, [constant(np.float32([1, 2])), constant(np.float32([1, 2, 3]))], [f32(2)])


def test_evaluate_is_quick():
    operands = [constant(np.float32([1, 2])), constant(np.float32(1))]
    evaluate(ADD, operands, [f32(2)])
    times = []
    for _ in range(30):
        start = perf_counter()
        evaluate(ADD, operands, [f32(2)])
        times.append(perf_counter() - start)
    assert sorted(times)[10] < 2e-3


def test_builder_folds_through_the_runtime():
    from litecast.ops import BatchMatMul

    b = Builder(Graph(), run=evaluate)
    result = b(BatchMatMul(), constant(X), constant(np.ascontiguousarray(X.T)))
    assert result.is_const
    np.testing.assert_allclose(result.array(), X @ X.T, rtol=1e-5, atol=1e-6)
