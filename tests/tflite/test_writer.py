"""The writer: layout, order, names, versions, determinism, memory."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from litecast.errors import InternalError, UnsupportedError
from litecast.ir.graph import Extra, Graph, Lazy, Model, Signature, Value, constant
from litecast.ir.types import Blockwise, DType, Quant, Sym, TensorType
from litecast.ops.custom import Builtin, Custom, Flex, Opaque
from litecast.tflite.flexbuffers import flex_parts
from litecast.tflite.reader import read
from litecast.tflite.runtime import Runtime
from litecast.tflite.schema import schema
from litecast.tflite.writer import write, write_to
from tests.tflite.graphs import ADD, DENSE, LOGISTIC, append, dense_model, f32, identity_model

RESOURCE = TensorType(DType.RESOURCE, ())
VAR_HANDLE = Builtin(142, "VAR_HANDLE", "VarHandleOptions", (("shared_name", "v"),))
READ_VARIABLE = Builtin(143, "READ_VARIABLE", "ReadVariableOptions")
ASSIGN_VARIABLE = Builtin(144, "ASSIGN_VARIABLE", "AssignVariableOptions")


def root(content: bytes):
    return schema().Model.GetRootAs(content)


def unpacked(content: bytes):
    return schema().ModelT.InitFromPackedBuf(content)


def vectors(content: bytes) -> list[tuple[int, bytes]]:
    """Where the data of each buffer lies in the file, and what it is."""
    found = []
    model = root(content)
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if not buffer.DataIsNone():
            found.append((buffer._tab.Vector(buffer._tab.Offset(4)), buffer.DataAsNumpy().tobytes()))
    return found


# -- layout ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 3), (16, 17, 31, 32, 33), (1000, 1, 1000)])
def test_constants_are_aligned(sizes: tuple[int, ...]):
    values = [constant(np.full(size, index, np.int8)) for index, size in enumerate(sizes)]
    found = vectors(write(identity_model(*values)))
    for value in values:
        assert any(data == value.array().tobytes() and position % 16 == 0 for position, data in found)
    assert all(position % 16 == 0 for position, _ in found)


def test_custom_options_are_aligned():
    for size in range(1, 40, 3):
        graph = Graph()
        x = graph.add_input(f32(2), "x" * size)
        graph.set_outputs([append(graph, Custom("Mine", bytes(size)), [x], f32(2))])
        operator = root(write(Model(graphs=[graph]))).Subgraphs(0).Operators(0)
        assert operator._tab.Vector(operator._tab.Offset(14)) % 16 == 0


def test_first_buffer_is_empty_and_description_is_ours():
    model = root(write(dense_model()))
    assert model.Buffers(0).DataIsNone()
    assert model.Version() == 3
    assert model.Description() == b"Litecast Converted."
    assert schema().Model.ModelBufferHasIdentifier(write(dense_model()), 0)


def test_equal_constants_are_stored_once():
    array = np.arange(4096, dtype=np.float32)
    values = [constant(array), constant(array.copy()), constant(array), constant(array + 1)]
    content = write(identity_model(*values))
    assert 2 * array.nbytes < len(content) < 2.5 * array.nbytes
    runtime = Runtime(content)
    results = runtime.run([np.zeros(4096, np.float32)] * 4)
    for value, result in zip(values, results.values(), strict=True):
        np.testing.assert_array_equal(value.array(), result)


def test_bytes_that_are_equal_but_of_other_types_share():
    values = [constant(np.zeros(1024, np.float32)), constant(np.zeros(1024, np.int32))]
    assert len(write(identity_model(*values))) < 6500


def test_empty_constants_stay_constants():
    graph = Graph()
    x = graph.add_input(f32(1), "x")
    shape = constant(np.zeros(0, np.int32))
    graph.set_outputs([append(graph, Builtin(22, "RESHAPE"), [x, shape], f32(), name="y")])
    for limit in (1 << 30, 0):
        content = write(Model(graphs=[graph]), inline_limit=limit)
        assert Runtime(content).run([np.ones(1, np.float32)])["y"].shape == ()
        assert read(content).graphs[0].nodes[0].inputs[1].array().shape == (0,)


# -- lazy constants and memory ---------------------------------------------------------------------


def test_lazy_constants_are_made_once_and_one_at_a_time():
    log: list[str] = []

    class Tracked(np.ndarray):
        def __del__(self) -> None:
            log.append("gone")

    def make() -> np.ndarray:
        log.append("made")
        return np.zeros(256, np.float32).view(Tracked)

    values = [constant(Lazy(DType.FLOAT32, (256,), make)) for _ in range(3)]
    write(identity_model(*values))
    assert [entry for entry in log if entry == "made"] == ["made"] * 3
    highest = held = 0
    for entry in log:
        held = held + 1 if entry == "made" else held
        highest = max(highest, held)
        held = 0 if entry == "gone" else held
    assert highest <= 1


def test_lazy_constant_of_wrong_size_is_our_defect():
    value = constant(Lazy(DType.FLOAT32, (4,), lambda: np.zeros(5, np.float32)))
    with pytest.raises(InternalError, match="takes 20 bytes where its type takes 16"):
        write(identity_model(value))


def test_transposed_views_are_written_in_order():
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    result = Runtime(write(identity_model(constant(array)))).run([np.zeros((3, 2), np.float32)])
    np.testing.assert_array_equal(result["y0"], array)


def test_peak_memory_is_near_the_weights(tmp_path: Path):
    """96 MiB of mapped weights, in a process of its own because the peak of a process never falls."""
    script = f"""
import sys, resource, numpy as np
from litecast.ir.graph import constant
from litecast.tflite.writer import write_to
from litecast.tflite.schema import schema
from tests.tflite.graphs import identity_model
np.random.default_rng(0).bytes(24 << 20)
path = {str(tmp_path / "w")!r}
with open(path, "wb") as file:
    for turn in range(4):
        file.write(np.random.default_rng(turn).bytes(24 << 20))
schema()
weights = np.memmap(path, np.float32, "r").reshape(4, -1)
model = identity_model(*[constant(row) for row in weights])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open({str(tmp_path / "m.tflite")!r}, "w+b") as file:
    write_to(model, file)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert resource.getpagesize()
    assert (tmp_path / "m.tflite").stat().st_size > 96 << 20
    assert int(done.stdout) < (96 + 24) << 10


# -- determinism -----------------------------------------------------------------------------------


def test_same_bytes_for_any_hash_seed():
    script = (
        "import hashlib\n"
        "from litecast.tflite.writer import write\n"
        "from tests.tflite.test_writer import everything\n"
        "print(hashlib.sha256(write(everything())).hexdigest())\n"
    )
    digests = set()
    for seed in ("0", "1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
        )
        digests.add(done.stdout.strip())
    assert digests == {hashlib.sha256(write(everything())).hexdigest()}


def everything() -> Model:
    """A model with most of what a file can say."""
    model = stateful_model()
    graph = model.signatures["add"].graph
    quant = Quant((0.5, 0.25), (0, 0), 0)
    w = Value(TensorType(DType.INT8, (2, 2), quant), "w", np.ones((2, 2), np.int8))
    x = graph.add_input(f32("n", 2), "z")
    y = append(graph, DENSE, [x, w, None], f32("n", 2), name="dense")
    y = append(graph, Custom("Mine", b"abc"), [y], f32("n", 2))
    y = append(graph, Flex("Erfc", b"\x0a\x01"), [y], f32("n", 2))
    graph.set_outputs([*graph.outputs, y])
    model.signatures["add"].inputs.append("z")
    model.signatures["add"].outputs.append("dense")
    model.metadata = {"b": b"2", "a": b"1"}
    return model


# -- graphs ----------------------------------------------------------------------------------------


def stateful_model() -> Model:
    """Signatures over one variable, which a graph of its own initialises: add adds and reads, peek reads."""
    init = Graph("start")
    handle = append(init, VAR_HANDLE, [], RESOURCE)
    append_nothing(init, ASSIGN_VARIABLE, [handle, constant(np.float32([10, 20]))])
    add, peek, pure = Graph("add_graph"), Graph("peek_graph"), Graph("pure_graph")
    x = add.add_input(f32(2), "x")
    handle = append(add, VAR_HANDLE, [], RESOURCE)
    total = append(add, ADD, [append(add, READ_VARIABLE, [handle], f32(2)), x], f32(2), name="total")
    append_nothing(add, ASSIGN_VARIABLE, [handle, total])
    add.set_outputs([total])
    handle = append(peek, VAR_HANDLE, [], RESOURCE)
    peek.set_outputs([append(peek, READ_VARIABLE, [handle], f32(2), name="now")])
    x = pure.add_input(f32(2), "x")
    pure.set_outputs([append(pure, LOGISTIC, [x], f32(2), name="y")])
    signatures = {
        "peek": Signature(peek, [], ["now"]),
        "add": Signature(add, ["x"], ["total"]),
        "pure": Signature(pure, ["x"], ["y"]),
    }
    return Model(signatures, init)


def append_nothing(graph: Graph, op: Builtin, operands: list[Value | None]) -> None:
    append(graph, op, operands)


def test_entries_first_and_init_called_by_those_with_state():
    model = unpacked(write(stateful_model()))
    assert [graph.name for graph in model.subgraphs] == [b"peek", b"add", b"pure", b"start"]
    codes = [
        [model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators]
        for graph in model.subgraphs
    ]
    assert [row[0] for row in codes] == [129, 129, 14, 142]
    assert all(row.count(129) == (index < 2) for index, row in enumerate(codes))
    assert model.subgraphs[0].operators[0].builtinOptions.initSubgraphIndex == 3


def test_state_runs_and_resets():
    runtime = Runtime(write(stateful_model()))
    assert runtime.run([], "peek")["now"].tolist() == [10, 20]
    assert runtime.run([np.float32([1, 2])], "add")["total"].tolist() == [11, 22]
    assert runtime.run({"x": np.float32([1, 2])}, "add")["total"].tolist() == [12, 24]
    assert runtime.run({}, "peek")["now"].tolist() == [12, 24]
    runtime.reset()
    assert runtime.run({}, "peek")["now"].tolist() == [10, 20]


def test_init_without_users_is_left_out():
    model = stateful_model()
    del model.signatures["peek"], model.signatures["add"]
    assert [graph.name for graph in unpacked(write(model)).subgraphs] == [b"main"]


def test_shapes_and_ranks():
    graph = Graph()
    x = graph.add_input(f32("n", 3), "x")
    y = append(graph, Custom("Any", b""), [x], TensorType(DType.FLOAT32, None), name="y")
    z = append(graph, Custom("Any", b""), [y], f32(), name="z")
    graph.set_outputs([z])
    x, y, z = unpacked(write(Model(graphs=[graph]))).subgraphs[0].tensors
    assert x.shape.tolist() == [1, 3]
    assert x.shapeSignature.tolist() == [-1, 3]
    assert x.hasRank
    assert (len(y.shape), y.shapeSignature, y.hasRank) == (0, None, False)
    assert (len(z.shape), z.shapeSignature, z.hasRank) == (0, None, True)


def test_names_are_unique_and_ports_keep_theirs():
    graph = Graph()
    x = graph.add_input(f32(2), "a")
    y = append(graph, LOGISTIC, [x], f32(2), name="a")
    z = append(graph, LOGISTIC, [y], f32(2), name="b")
    w = append(graph, LOGISTIC, [z], f32(2), name="b")
    graph.set_outputs([w])
    names = [tensor.name for tensor in unpacked(write(Model(graphs=[graph]))).subgraphs[0].tensors]
    assert names == [b"a", b"a_1", b"b_1", b"b"]


def test_each_instance_has_its_version():
    class Versioned(Builtin):
        def version(self, inputs, outputs):
            return 2 if inputs[0].dtype is DType.INT8 else 1

    graph = Graph()
    op = Versioned(0, "ADD", "AddOptions")
    for dtype in (DType.FLOAT32, DType.INT8, DType.FLOAT32):
        x = graph.add_input(TensorType(dtype, (2,)))
        append(graph, op, [x, x], TensorType(dtype, (2,)))
    model = unpacked(write(Model(graphs=[graph])))
    assert [(code.builtinCode, code.version) for code in model.operatorCodes] == [(0, 1), (0, 2)]
    assert [operator.opcodeIndex for operator in model.subgraphs[0].operators] == [0, 1, 0]


def test_deprecated_code_is_at_most_127():
    codes = unpacked(write(stateful_model())).operatorCodes
    assert {code.builtinCode: code.deprecatedBuiltinCode for code in codes} == {
        129: 127,
        142: 127,
        143: 127,
        0: 0,
        144: 127,
        14: 14,
    }


def test_signatures_keep_the_order():
    graph = Graph()
    names = ["zulu", "alpha", "mike"]
    values = [graph.add_input(f32(1), name) for name in names]
    graph.set_outputs(reversed(values))
    content = write(Model({"s": Signature(graph, names, ["q", "p", "o"])}))
    runtime = Runtime(content)
    assert runtime.signatures == {"s": (names, ["q", "p", "o"])}
    assert [port.name for port in runtime.inputs()] == names
    results = runtime.run([np.float32([index]) for index in range(3)])
    assert {name: result.item() for name, result in results.items()} == {"q": 2, "p": 1, "o": 0}


def test_quantization_is_written():
    scales = constant(np.ones((2, 1), np.float16), "scales")
    quant = Quant(details=Blockwise(scales, None, 32))
    w = Value(TensorType(DType.INT4, (2, 32), quant), "w", np.ones((2, 32), DType.INT4.numpy))
    graph = Graph()
    x = graph.add_input(f32(1, 32), "x")
    graph.set_outputs([append(graph, DENSE, [x, w, None], f32(1, 2), name="y")])
    content = write(Model(graphs=[graph]))
    tensors = unpacked(content).subgraphs[0].tensors
    details = tensors[1].quantization.details
    assert tensors[details.scales].name == b"scales"
    assert (details.zeroPoints, details.blockSize) == (-1, 32)
    again = read(content).graphs[0].nodes[0].inputs[1].type.quant
    assert isinstance(again.details, Blockwise)
    assert again.details.scales.array().tolist() == [[1], [1]]
    assert again.details.zero_points is None


def test_operator_extras_are_written():
    graph = Graph()
    x = graph.add_input(f32(2), "x")
    append(graph, LOGISTIC, [x], f32(2), name="y")
    inner = Value(TensorType(DType.INT16, (), Quant((0.5,), (1,))), "inner")
    inner.is_variable = True
    graph.nodes[0].extra = Extra((inner,), (True,), 7)
    graph.set_outputs([graph.nodes[0].output])
    extra = read(write(Model(graphs=[graph]))).graphs[0].nodes[0].extra
    assert extra.mutating == (True,)
    assert extra.debug_index == 7
    assert extra.intermediates[0].type == inner.type


def test_flex_options():
    graph = Graph()
    x = graph.add_input(f32(2), "x")
    node_def = bytes(range(256)) * 3
    graph.set_outputs([append(graph, Flex("Erfc", node_def), [x], f32(2))])
    content = write(Model(graphs=[graph]))
    operator = unpacked(content).subgraphs[0].operators[0]
    assert flex_parts(operator.customOptions.tobytes()) == ("Erfc", node_def)
    assert unpacked(content).operatorCodes[0].customCode == b"FlexErfc"
    assert read(content).graphs[0].nodes[0].op == Flex("Erfc", node_def, (f32(2),))


# -- outside the FlatBuffer ------------------------------------------------------------------------


def test_constants_outside():
    model = dense_model(units=64, width=64)
    inside, outside = write(model), write(model, inline_limit=1000)
    assert unpacked(outside).buffers[1].offset % 16 == 0
    assert unpacked(outside).buffers[1].data is None
    names = {entry.name for entry in unpacked(outside).metadata}
    assert b"buffer_location" in names
    x = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)
    np.testing.assert_array_equal(Runtime(inside).run([x])["output"], Runtime(outside).run([x])["output"])
    assert write(read(outside)) == write(read(inside))


def test_large_custom_options_outside():
    graph = Graph()
    x = graph.add_input(f32(2), "x")
    small, large = bytes(100), np.random.default_rng(0).bytes(1 << 17)
    y = append(graph, Custom("Large", large), [append(graph, Custom("Small", small), [x], f32(2))], f32(2))
    graph.set_outputs([append(graph, ADD, [y, constant(np.float32([1, 2]))], f32(2))])
    content = write(Model(graphs=[graph]), inline_limit=0)
    first, second, _ = unpacked(content).subgraphs[0].operators
    assert first.largeCustomOptionsOffset == 0
    assert second.customOptions is None
    assert content[second.largeCustomOptionsOffset :][: second.largeCustomOptionsSize] == large
    ops = [node.op for node in read(content).graphs[0].nodes]
    assert [ops[0].custom_options, ops[1].custom_options] == [small, large]


@pytest.mark.slow
def test_more_than_two_gigabytes(tmp_path: Path):
    """One constant of 2.2 GB, sparse on disk where the file system allows, run through LiteRT's GATHER."""
    path = tmp_path / "w"
    with path.open("wb") as file:
        file.truncate(2200 << 20)
        file.seek((2200 << 20) - 4)
        file.write(np.float32(7).tobytes())
    weights = np.memmap(path, np.float32, "r").reshape(-1, 1 << 18)
    graph = Graph()
    row = graph.add_input(TensorType(DType.INT32, (1,)), "row")
    op = Builtin(36, "GATHER", "GatherOptions", (("axis", 0),))
    graph.set_outputs([append(graph, op, [constant(weights, "w"), row], f32(1, 1 << 18), name="y")])
    with (tmp_path / "m.tflite").open("w+b") as file:
        write_to(Model(graphs=[graph]), file)
    assert (tmp_path / "m.tflite").stat().st_size > 2200 << 20
    result = Runtime(tmp_path / "m.tflite").run([np.int32([len(weights) - 1])])["y"]
    for file in tmp_path.iterdir():
        file.unlink()
    assert result[0, -2:].tolist() == [0, 7]


# -- errors and files ------------------------------------------------------------------------------


def test_opaque_operations_are_refused_together():
    graph = Graph()
    x = graph.add_input(f32(2), "x")
    y = append(graph, Opaque("Lgamma"), [x], f32(2), name="first")
    graph.set_outputs([append(graph, Opaque("Lgamma"), [y], f32(2), name="second")])
    with pytest.raises(UnsupportedError, match=r"Lgamma \(2 times\)(.|\n)*at first(.|\n)*at second"):
        write(Model(graphs=[graph]))


def test_value_of_nowhere_is_our_defect():
    graph = Graph()
    graph.set_outputs([append(graph, LOGISTIC, [Value(f32(2), "lost")], f32(2))])
    with pytest.raises(InternalError, match=r"lost.*nothing makes it"):
        write(Model(graphs=[graph]))


def test_write_to_leaves_the_file_at_its_end():
    file = io.BytesIO()
    write_to(dense_model(), file)
    assert file.tell() == len(file.getvalue())


def test_unknown_dimension_products_are_minus_one():
    graph = Graph()
    x = graph.add_input(TensorType(DType.FLOAT32, (Sym("n", scale=7),)), "x")
    graph.set_outputs([append(graph, LOGISTIC, [x], x.type)])
    assert unpacked(write(Model(graphs=[graph]))).subgraphs[0].tensors[0].shapeSignature.tolist() == [-1]
