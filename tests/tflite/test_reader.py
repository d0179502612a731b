"""The reader: a round trip of real files changes nothing; what is not understood is carried or an error."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from litecast.errors import FormatError
from litecast.ir.graph import Extra, Graph, Lazy, Model, Signature, Value, constant
from litecast.ir.parser import parse_model
from litecast.ir.text import print_model
from litecast.ir.types import DType, Quant, TensorType
from litecast.ir.verify import verify
from litecast.ops.custom import Builtin, Custom
from litecast.report import describe
from litecast.tflite.external import External
from litecast.tflite.quantization import Details, Sparsity
from litecast.tflite.reader import read
from litecast.tflite.runtime import Runtime
from litecast.tflite.schema import schema, table
from litecast.tflite.writer import write
from tests.tflite.graphs import ADD, LOGISTIC, append, dense_model, f32
from tests.tflite.test_writer import everything, stateful_model, unpacked

MODELS = [
    "ad/reference_float",
    "ad/reference_int8",
    "basic_pitch/reference",
    "dtln/reference_stage1",
    "dtln/reference_stage2",
    "kws/reference_float",
    "kws/reference_int8",
    "resnet8/reference_float",
    "resnet8/reference_int8",
    "sww/reference_int8",
    "vww/reference_float",
    "vww/reference_int8",
]


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def random_inputs(runtime: Runtime, seed: int, unknown: int = 2) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    arrays = []
    for port in runtime.inputs():
        shape = [unknown if dim < 0 else dim for dim in port.shape]
        if port.dtype.kind == "f":
            arrays.append(random.standard_normal(shape).astype(port.dtype))
        else:
            arrays.append(random.integers(-100, 100, shape).astype(port.dtype))
    return arrays


# -- real files ------------------------------------------------------------------------------------


def test_every_model_is_listed(shared: Path):
    found = {
        str(path.relative_to(shared / "models").with_suffix(""))
        for path in (shared / "models").rglob("*.tflite")
    }
    assert found == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_behaves_the_same(shared: Path, tmp_path: Path, name: str):
    path = shared / "models" / f"{name}.tflite"
    (tmp_path / "again.tflite").write_bytes(write(read(path)))
    before, after = Runtime(path), Runtime(tmp_path / "again.tflite")
    assert before.signatures == after.signatures
    assert before.inputs() == after.inputs()
    assert [port.name for port in before.outputs()] == [port.name for port in after.outputs()]
    for step in range(3):
        inputs = random_inputs(before, step)
        results, again = before.run(inputs), after.run(inputs)
        assert list(results) == list(again)
        for key, result in results.items():
            assert result.tobytes() == again[key].tobytes(), key


def facts(tensor: dict[str, Any]) -> tuple[Any, ...]:
    parameters = tensor["quantization_parameters"]
    return (
        tensor["name"],
        tensor["dtype"],
        tuple(tensor["shape"]),
        tuple(tensor["shape_signature"]),
        tuple(parameters["scales"]),
        tuple(parameters["zero_points"]),
        parameters["quantized_dimension"],
    )


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_keeps_what_is_said(shared: Path, name: str):
    path = shared / "models" / f"{name}.tflite"
    content = write(read(path))
    before, after = Runtime(path), Runtime(content)
    kept = {facts(tensor) for tensor in before.tensors()}
    # Names that were not unique get a number.
    renamed = [entry for entry in map(facts, after.tensors()) if entry not in kept]
    assert all(entry[1:] in {other[1:] for other in kept} for entry in renamed)
    assert len(renamed) < 0.1 * len(kept)
    old = unpacked(path.read_bytes())
    names = {entry.name for entry in old.metadata or ()}
    assert names <= {entry.name for entry in unpacked(content).metadata}
    assert len(old.subgraphs[0].operators) == len(unpacked(content).subgraphs[0].operators)


@pytest.mark.parametrize("name", MODELS)
def test_every_operation_has_its_class(shared: Path, name: str):
    model = read(shared / "models" / f"{name}.tflite")
    assert not [node for graph in model.all_graphs() for node in graph.nodes if isinstance(node.op, Builtin)]


@pytest.mark.parametrize("name", MODELS)
def test_versions_are_not_above_the_official_ones(shared: Path, name: str):
    """The official converter lists the greatest version of a code for all of its instances."""
    path = shared / "models" / f"{name}.tflite"
    official = {code.builtinCode: code.version for code in unpacked(path.read_bytes()).operatorCodes}
    for code in unpacked(write(read(path))).operatorCodes:
        assert code.version <= official.get(code.builtinCode, 99)


def test_constants_are_views_of_the_file(shared: Path):
    model = read(shared / "models" / "resnet8" / "reference_float.tflite")
    arrays = [value.const for graph in model.all_graphs() for value in graph.values() if value.is_const]
    assert sum(array.nbytes for array in arrays) > 200_000
    assert all(not array.flags.owndata and not array.flags.writeable for array in arrays)


# -- faithful --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [dense_model, stateful_model, everything])
def test_writing_what_was_read_changes_nothing(make: Any):
    content = write(read(write(make())))
    assert write(read(content)) == content


def test_init_graph_and_signatures():
    model = read(write(stateful_model()))
    assert model.init is not None
    assert model.init.name == "start"
    assert list(model.signatures) == ["peek", "add", "pure"]
    assert not model.graphs
    assert [node.op.name for node in model.signatures["peek"].graph.nodes] == ["VarHandle", "ReadVariable"]
    assert model.signatures["add"].inputs == ["x"]


def test_signatures_keep_what_they_leave_out():
    """Two signatures of one subgraph: one has part of the results, the other one of them under two names."""
    graph = Graph()
    x, y = graph.add_input(f32(2), "x"), graph.add_input(f32(2), "y")
    results = [append(graph, ADD, [x, y], f32(2), name="sum"), append(graph, LOGISTIC, [x], f32(2), name="s")]
    graph.set_outputs(results)
    model = unpacked(
        write(
            Model(
                {
                    "all": Signature(graph, ["a", "b"], ["P", "Q"]),
                    "two": Signature(graph, ["x", "y"], ["P", "Q"]),
                }
            )
        )
    )
    whole, other = model.signatureDefs
    del whole.outputs[0]
    other.outputs[1].tensorIndex = other.outputs[0].tensorIndex
    content = packed(model)
    again = write(read(content))
    assert Runtime(content).signatures == {"all": (["a", "b"], ["Q"]), "two": (["x", "y"], ["P", "Q"])}
    assert Runtime(again).signatures == Runtime(content).signatures
    inputs = [np.float32([1, 2]), np.float32([3, 4])]
    for key in ("all", "two"):
        before, after = Runtime(content).run(inputs, key), Runtime(again).run(inputs, key)
        assert {name: array.tolist() for name, array in after.items()} == {
            name: array.tolist() for name, array in before.items()
        }
    verify(read(again))
    constants: dict[str, Any] = {}
    printed = print_model(read(again), constants)
    assert print_model(parse_model(printed, constants), {}) == printed
    assert [info.name for info in describe(read(again))["all"].outputs] == ["Q"]


def test_unknown_dimensions_are_fresh():
    model = read(write(dense_model()))
    graph = model.signatures["serving_default"].graph
    assert str(graph.inputs[0].type) == "f32[d0_0,4]"
    assert graph.outputs[0].shape[0] != graph.inputs[0].shape[0]
    assert graph.inputs[0].name == "x"


def test_scalars_of_files_without_ranks():
    model = unpacked(write(scalar_model()))
    assert read(packed(model)).graphs[0].inputs[0].type.shape == ()
    for tensor in model.subgraphs[0].tensors:
        tensor.hasRank = False
    assert read(packed(model)).graphs[0].inputs[0].type.shape == ()
    model.subgraphs[0].tensors[1].hasRank = True
    assert read(packed(model)).graphs[0].inputs[0].type.shape is None


def scalar_model() -> Model:
    graph = Graph()
    x = graph.add_input(f32(), "x")
    graph.set_outputs([append(graph, LOGISTIC, [x], f32(), name="y")])
    return Model(graphs=[graph])


def test_custom_operation_and_unknown_builtin_are_carried():
    model = unpacked(write(dense_model()))
    model.operatorCodes[0].builtinCode = 9999
    model.operatorCodes[0].deprecatedBuiltinCode = 127
    model.operatorCodes[0].version = 3
    op = read(packed(model)).signatures["serving_default"].graph.nodes[0].op
    assert (op.name, op.table, op.builtin_version) == ("BUILTIN_9999", "FullyConnectedOptions", 3)
    again = unpacked(write(read(packed(model))))
    assert (again.operatorCodes[0].builtinCode, again.operatorCodes[0].version) == (9999, 3)
    assert again.subgraphs[0].operators[0].builtinOptions.keepNumDims
    op = Custom("Mine", b"\1\2", 0, 4, (f32(2),))
    graph = Graph()
    graph.set_outputs([append(graph, op, [graph.add_input(f32(2))], f32(2))])
    assert read(write(Model(graphs=[graph]))).graphs[0].nodes[0].op == op


def test_options_that_a_class_cannot_say_are_carried():
    model = unpacked(write(dense_model()))
    model.subgraphs[0].operators[0].builtinOptions.fusedActivationFunction = 77
    op = read(packed(model)).signatures["serving_default"].graph.nodes[0].op
    assert isinstance(op, Builtin)
    again = unpacked(write(read(packed(model))))
    assert again.subgraphs[0].operators[0].builtinOptions.fusedActivationFunction == 77


def test_old_operator_codes():
    """Before 2020 there was only the byte that is deprecated now (schema_utils.cc, GetBuiltinCode)."""
    model = unpacked(write(dense_model()))
    model.operatorCodes[0].builtinCode = 0
    assert read(packed(model)).signatures["serving_default"].graph.nodes[0].op.name == "FullyConnected"


def test_quantization_round_trip():
    quants = [
        Quant((0.5,), (3,)),
        Quant((0.5, 0.25), (1, -2), 1),
        Quant((0.1,), (0,), 0, (-1.0,), (1.0,)),
        Quant(min=(-1.0,), max=(1.0,)),
        Quant(details=Details("CustomQuantization", (("custom", b"mine"),))),
    ]
    rounded = [
        Quant(tuple(float(np.float32(s)) for s in q.scales), *list(vars(q).values())[1:]) for q in quants
    ]
    graph = Graph()
    inputs = [
        graph.add_input(TensorType(DType.INT8, (3, 2), quant), f"x{i}") for i, quant in enumerate(quants)
    ]
    graph.set_outputs(inputs)
    assert [value.type.quant for value in read(write(Model(graphs=[graph]))).graphs[0].inputs] == rounded


def test_custom_quantization_is_aligned():
    for size in range(1, 20):
        quant = Quant(details=Details("CustomQuantization", (("custom", bytes(size)),)))
        graph = Graph()
        graph.set_outputs([graph.add_input(TensorType(DType.INT8, (2,), quant), "x" * size)])
        model = schema().Model.GetRootAs(write(Model(graphs=[graph])))
        details = model.Subgraphs(0).Tensors(0).Quantization().Details()
        assert details.Vector(details.Offset(4)) % 16 == 0


def test_custom_operation_without_options():
    graph = Graph()
    graph.set_outputs([append(graph, Custom("Mine"), [graph.add_input(f32(2))], f32(2))])
    operator = unpacked(write(Model(graphs=[graph]))).subgraphs[0].operators[0]
    assert operator.customOptions is None


def test_intermediates_are_carried():
    """An integer LSTM has them: tensors of its kernel alone, which only say how they are quantized."""
    graph = Graph()
    graph.set_outputs([append(graph, Custom("Cell"), [graph.add_input(f32(2))], f32(2))])
    inner = Value(TensorType(DType.INT16, (2,), Quant((0.5,), (0,))), "gate")
    graph.nodes[0].extra = Extra(intermediates=(inner,))
    node = read(write(read(write(Model(graphs=[graph]))))).graphs[0].nodes[0]
    assert [(value.name, value.type) for value in node.extra.intermediates] == [("gate", inner.type)]


def test_missing_zero_points_are_zero():
    graph = Graph()
    x = graph.add_input(TensorType(DType.INT8, (2,), Quant((0.5, 1.0), (0, 0))), "x")
    graph.set_outputs([x])
    model = unpacked(write(Model(graphs=[graph])))
    model.subgraphs[0].tensors[0].quantization.zeroPoint = None
    assert read(packed(model)).graphs[0].inputs[0].type == x.type


def test_metadata_and_description():
    model = dense_model()
    model.metadata = {"TFLITE_METADATA": b"\0\1", "empty": b""}
    model.description = "Somebody's"
    content = unpacked(write(model))
    content.metadataBuffer = [content.metadata[0].buffer]
    again = read(write(read(packed(content))))
    assert again.description == "Somebody's"
    assert again.metadata["TFLITE_METADATA"] == b"\0\1"
    assert again.metadata["empty"] == b""
    assert again.metadata["metadata_buffer:0"] == b"\0\1"


@pytest.mark.parametrize("moved", [False, True])
def test_entries_that_count_operators_go_where_they_count_others(moved: bool):
    """The writer puts entry graphs first: a file of another order cannot keep what numbers its graphs."""
    made = stateful_model()
    made.metadata.update(model_control_dependencies=b"edges", debug_metadata=b"places", mine=b"kept")
    made.signatures["add"].graph.debug_index = 1
    made.signatures["add"].graph.nodes[0].extra = Extra(debug_index=2)
    file = unpacked(write(made))
    if moved:
        peek, add, pure, start = file.subgraphs
        file.subgraphs = [peek, start, add, pure]
        for graph in (peek, add):
            graph.operators[0].builtinOptions.initSubgraphIndex = 1
        for signature in file.signatureDefs:
            signature.subgraphIndex += signature.subgraphIndex > 0
    model = read(packed(file))
    kept = {"mine"} if moved else {"mine", "debug_metadata", "model_control_dependencies"}
    assert set(model.metadata) - {"CONVERSION_METADATA", "min_runtime_version"} == kept
    assert [note.split()[1] for note in model.notes] == sorted(
        {"debug_metadata", "model_control_dependencies"} - kept
    )
    add = model.signatures["add"].graph
    assert add.debug_index == (-1 if moved else 1)
    assert (add.nodes[0].extra or Extra()).debug_index == (-1 if moved else 2)
    assert Runtime(write(model)).run([np.float32([1, 2])], "add")["total"].tolist() == [11, 22]


def test_variants_and_variables():
    graph = Graph()
    x = graph.add_input(TensorType(DType.VARIANT, ()), "x")
    x.variant = (f32(2, 3),)
    state = Value(f32(4), "state")
    state.is_variable = True
    graph.set_outputs([append(graph, Custom("List"), [x, state], f32(2), name="y")])
    values = read(write(Model(graphs=[graph]))).graphs[0].nodes[0].inputs
    assert values[0].variant == (f32(2, 3),)
    assert values[1].is_variable
    assert not values[1].is_const


# -- sparsity --------------------------------------------------------------------------------------


def csr(rows: int) -> Any:
    """Row-major 2-D compressed rows of [[1, 0, 2], [0, 0, 0], [0, 3, 0]]."""
    s = schema()
    return table(
        "SparsityParameters",
        traversalOrder=np.array([0, 1], np.int32),
        dimMetadata=[
            table("DimensionMetadata", format=0, denseSize=rows),
            table(
                "DimensionMetadata",
                format=1,
                arraySegmentsType=s.SparseIndexVector.Uint8Vector,
                arraySegments=table("Uint8Vector", values=np.array([0, 2, 2, 3], np.uint8)),
                arrayIndicesType=s.SparseIndexVector.Uint16Vector,
                arrayIndices=table("Uint16Vector", values=np.array([0, 2, 1], np.uint16)),
            ),
        ],
    )


def sparse_model(parameters: Any, stored: np.ndarray, shape: tuple[int, ...]) -> Model:
    value = Value(TensorType(DType.FLOAT32, shape), "w", Lazy(DType.FLOAT32, shape, lambda: np.zeros(shape)))
    value.sparsity = Sparsity(parameters, stored.view(np.uint8))
    graph = Graph()
    # kernels/densify.cc wants the options of its own table.
    graph.set_outputs(
        [append(graph, Builtin(124, "DENSIFY", "DensifyOptions"), [value], f32(*shape), name="y")]
    )
    return Model(graphs=[graph])


def test_sparse_rows():
    content = write(sparse_model(csr(3), np.float32([1, 2, 3]), (3, 3)))
    value = read(content).graphs[0].nodes[0].inputs[0]
    dense = [[1, 0, 2], [0, 0, 0], [0, 3, 0]]
    assert value.array().tolist() == dense
    assert Runtime(content, delegate=False).run([])["y"].tolist() == dense
    assert write(read(write(read(content)))) == write(read(content))


def test_sparse_vectors_are_aligned():
    model = schema().Model.GetRootAs(write(sparse_model(csr(3), np.float32([1, 2, 3]), (3, 3))))
    dims = model.Subgraphs(0).Tensors(0).Sparsity()
    metadata = dims.DimMetadata(1)
    for place in (metadata.ArraySegments(), metadata.ArrayIndices()):
        assert place.Vector(place.Offset(4)) % 4 == 0


def test_sparse_blocks():
    """Blocks of 1x2, of which the first row has the second and the second row the first."""
    s = schema()
    parameters = table(
        "SparsityParameters",
        traversalOrder=np.array([0, 1, 2], np.int32),
        blockMap=np.array([1], np.int32),
        dimMetadata=[
            table("DimensionMetadata", format=0, denseSize=2),
            table(
                "DimensionMetadata",
                format=1,
                arraySegmentsType=s.SparseIndexVector.Int32Vector,
                arraySegments=table("Int32Vector", values=np.array([0, 1, 2], np.int32)),
                arrayIndicesType=s.SparseIndexVector.Int32Vector,
                arrayIndices=table("Int32Vector", values=np.array([1, 0], np.int32)),
            ),
            table("DimensionMetadata", format=0, denseSize=2),
        ],
    )
    content = write(sparse_model(parameters, np.float32([1, 2, 3, 4]), (2, 4)))
    assert read(content).graphs[0].nodes[0].inputs[0].array().tolist() == [[0, 0, 1, 2], [3, 4, 0, 0]]
    assert Runtime(content, delegate=False).run([])["y"].tolist() == [[0, 0, 1, 2], [3, 4, 0, 0]]


def test_sparsity_that_does_not_fit():
    value = read(write(sparse_model(csr(3), np.float32([1, 2]), (3, 3)))).graphs[0].nodes[0].inputs[0]
    with pytest.raises(ValueError, match="2 stored elements where the sparsity parameters name 3"):
        value.array()
    value = read(write(sparse_model(csr(1 << 30), np.float32([1]), (3, 3)))).graphs[0].nodes[0].inputs[0]
    with pytest.raises(ValueError, match="more elements than the shape has"):
        value.array()


# -- data elsewhere --------------------------------------------------------------------------------


def test_external_buffers(tmp_path: Path):
    (tmp_path / "weights.bin").write_bytes(bytes(5) + np.float32([1, 2]).tobytes())
    made = External(str(tmp_path / "m.tflite"), "weights.bin", 5, 8, "", DType.FLOAT32, (2,))
    graph = Graph()
    x = graph.add_input(f32(2), "x")
    graph.set_outputs([append(graph, ADD, [x, constant(made)], f32(2))])
    (tmp_path / "m.tflite").write_bytes(write(Model(graphs=[graph])))
    again = read(tmp_path / "m.tflite").graphs[0].nodes[0].inputs[1]
    assert isinstance(again.const, External)
    assert again.array().tolist() == [1, 2]
    assert write(read(tmp_path / "m.tflite")) == (tmp_path / "m.tflite").read_bytes()
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(FormatError, match=r"weights\.bin: the file with weights .* is missing"):
        again.array()


@pytest.mark.parametrize("relative", [True, False])
def test_zip_tail(tmp_path: Path, relative: bool):
    """What zipfile appends counts from the start of the file, what is concatenated from its own."""
    path = tmp_path / "m.tflite"
    path.write_bytes(write(dense_model()))
    if relative:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("labels.txt", "cat\ndog")
            file.writestr("more.txt", "x" * 1000)
        path.write_bytes(path.read_bytes() + archive.getvalue())
    else:
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("labels.txt", "cat\ndog")
            file.writestr("more.txt", "x" * 1000)
    model = read(path)
    assert model.tail
    model.metadata["more"] = bytes(5000)
    (tmp_path / "again.tflite").write_bytes(write(model))
    with zipfile.ZipFile(tmp_path / "again.tflite") as file:
        assert file.read("labels.txt") == b"cat\ndog"
        assert file.testzip() is None
        header = file.infolist()[0].header_offset
    assert (tmp_path / "again.tflite").read_bytes()[header : header + 4] == b"PK\x03\x04"
    assert read(tmp_path / "again.tflite").tail == model.tail
    inputs = [np.ones((1, 4), np.float32)]
    for name, result in Runtime(path).run(inputs).items():
        np.testing.assert_array_equal(result, Runtime(tmp_path / "again.tflite").run(inputs)[name])


# -- files that are refused ------------------------------------------------------------------------


def change(edit: Any, model: Model | None = None) -> bytes:
    content = unpacked(write(model or dense_model()))
    edit(content)
    return packed(content)


def nest(model: Any, depth: int, circle: bool) -> None:
    """Let subgraph k be an IF over subgraph k + 1, twice."""
    graph = model.subgraphs[0]
    model.operatorCodes[0] = table("OperatorCode", builtinCode=118, deprecatedBuiltinCode=118)
    for tensor in graph.tensors:
        tensor.quantization = None
    graphs = []
    for number in range(depth):
        target = (number + 1) % depth if circle else number + 1
        options = table("IfOptions", thenSubgraphIndex=target, elseSubgraphIndex=target)
        operator = table(
            "Operator", inputs=[0, 0], outputs=[1], builtinOptionsType=92, builtinOptions=options
        )
        graphs.append(
            table("SubGraph", tensors=graph.tensors[:2], inputs=[0], outputs=[1], operators=[operator])
        )
    graphs.append(table("SubGraph", tensors=graph.tensors[:1], inputs=[0], outputs=[0], operators=[]))
    model.subgraphs = graphs
    model.signatureDefs = None


EDITS = {
    "circle": (lambda m: nest(m, 1, True), "circle"),
    "longer circle": (lambda m: nest(m, 3, True), "circle"),
    "deep nesting": (lambda m: nest(m, 200, False), "nest"),
    "version": (lambda m: setattr(m, "version", 4), "schema version 4"),
    "operand": (lambda m: m.subgraphs[0].operators[0].__setattr__("inputs", [99, 1, 2]), "tensor 99"),
    "operand below -1": (
        lambda m: m.subgraphs[0].operators[0].__setattr__("inputs", [-2, 1, 2]),
        "tensor -2",
    ),
    "result": (lambda m: m.subgraphs[0].__setattr__("outputs", [77]), "tensor 77"),
    "opcode": (lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 5), "operator code 5"),
    "buffer": (lambda m: setattr(m.subgraphs[0].tensors[1], "buffer", 1000), "buffer 1000"),
    "buffer size": (lambda m: setattr(m.subgraphs[0].tensors[1], "shape", [3, 5]), "takes 60 bytes"),
    "element type": (lambda m: setattr(m.subgraphs[0].tensors[0], "type", 99), "99"),
    "dimension": (lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [-5, 4]), "negative"),
    "signature": (lambda m: setattr(m.signatureDefs[0], "subgraphIndex", 3), "subgraph 3"),
    "signature tensor": (lambda m: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 1), "names an input"),
    "written twice": (
        lambda m: m.subgraphs[0].operators.append(m.subgraphs[0].operators[0]),
        "contents already",
    ),
    "external": (lambda m: setattr(m.subgraphs[0].tensors[1], "externalBuffer", 4), "external buffer 4"),
    "read too early": (lambda m: setattr(m.subgraphs[0].tensors[1], "buffer", 0), "before anything writes"),
    "offset": (
        lambda m: [setattr(m.buffers[1], "data", None), setattr(m.buffers[1], "offset", 1 << 40)],
        "outside the file",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_broken_references(name: str):
    edit, reason = EDITS[name]
    with pytest.raises(FormatError, match=reason):
        read(change(edit))


def test_option_type_newer_than_the_schema(tmp_path: Path):
    content = bytearray(write(dense_model()))
    operator = schema().Model.GetRootAs(content).Subgraphs(0).Operators(0)
    content[operator._tab.Pos + operator._tab.Offset(10)] = 250
    path = tmp_path / "new.tflite"
    path.write_bytes(content)
    with pytest.raises(
        FormatError, match=r"new\.tflite.*FULLY_CONNECTED.*options of type 250.*newer than the schema"
    ):
        read(path)


def test_field_newer_than_the_schema():
    """A table with one more slot than the schema gives it."""
    builder = flatbuffers.Builder(256)
    model = unpacked(write(dense_model()))
    original = schema().AddOptionsStart

    class Longer:
        def __getattr__(self, name: str) -> Any:
            return getattr(builder, name)

        def StartObject(self, count: int) -> None:
            builder.StartObject(count + 1)

    def pack(_: Any) -> int:
        original(Longer())
        builder.PrependInt32Slot(2, 5, 0)
        return builder.EndObject()

    operator = model.subgraphs[0].operators[0]
    operator.builtinOptionsType = schema().BuiltinOptions.AddOptions
    operator.builtinOptions = type("Newer", (), {"Pack": lambda self, builder: pack(builder)})()
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(FormatError, match="field 2 of AddOptions is newer"):
        read(bytes(builder.Output()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "identifier"),
        (b"hello world, no model", "identifier"),
        (b"\0\0\0\0TFL3", "broken"),
        (bytes(8), "identifier"),
    ],
)
def test_no_model(content: bytes, reason: str):
    with pytest.raises(FormatError, match=reason):
        read(content)


def test_missing_and_empty_files(tmp_path: Path):
    with pytest.raises(FormatError, match=r"none\.tflite: No such file"):
        read(tmp_path / "none.tflite")
    with pytest.raises(FormatError, match="Is a directory"):
        read(tmp_path)
    (tmp_path / "empty.tflite").touch()
    with pytest.raises(FormatError, match="the file is empty"):
        read(tmp_path / "empty.tflite")
