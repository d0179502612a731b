"""SavedModels: hand-made ones for every branch, TensorFlow's and Keras' own, real ones, and corrupt ones."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import ConvertError, FormatError, InternalError, UnsupportedError
from litecast.frontend.tensorflow.object_graph import ObjectGraph, TensorSpec, TypeSpec, structured
from litecast.frontend.tensorflow.proto import (
    AssetFileDef,
    DataType,
    SavedModel,
    SavedObjectGraph,
    StructuredValue,
    TrackableObjectGraph,
)
from litecast.frontend.tensorflow.saved_model import Asset, Restore, read_saved_model, tensor_from_proto
from tests.frontend.tensorflow.bundle_writer import BundleWriter, graph_model
from tests.frontend.tensorflow.test_checkpoint import damaged

FLOAT = DataType["DT_FLOAT"]


def save(model: SavedModel, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


def test_a_plain_graph(tmp_path: Path) -> None:
    source = read_saved_model(save(graph_model(("serve",)), tmp_path))
    assert source.tags == {"serve"}
    assert source.tensorflow_version == "2.21.0"
    signature = source.signatures["serving_default"]
    assert signature.inputs == {"x": TensorSpec("x:0", FLOAT, (-1,))}
    assert signature.outputs == {"y": TensorSpec("y:0", FLOAT, (-1,))}
    assert list(source.nodes) == ["x", "one", "y"]
    assert source.op_defs["AddV2"].output_arg[0].name == "z"
    assert (source.restore, source.init_op, source.train_op, source.object_graph) == (None, None, None, None)
    assert source.assets == ()
    assert source.variable_keys == {}
    assert not source.has_variables
    with pytest.raises(FormatError, match=r"variables\.index: is missing, but the model has variables"):
        _ = source.checkpoint


def test_a_constant_of_another_shape_than_stated(tmp_path: Path) -> None:
    model = graph_model(("serve",))
    (constant,) = (node for node in model.meta_graphs[0].graph_def.node if node.op == "Const")
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype
    constant.attr["_output_shapes"].list.shape.add().dim.add(size=4)
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(
        ConvertError, match=r"one .*the inferred shape \[\] is not the model's own \[4\]"
    ) as caught:
        litecast.load(tmp_path)
    assert not isinstance(caught.value, InternalError)


def test_the_file_itself_may_be_named(tmp_path: Path) -> None:
    save(graph_model(("serve",)), tmp_path)
    assert read_saved_model(tmp_path / "saved_model.pb").path == tmp_path
    assert read_saved_model(str(tmp_path)).path == tmp_path


@pytest.mark.parametrize(
    ("tag_sets", "tags", "chosen"),
    [
        ([("serve",), ("serve", "gpu")], None, {"serve"}),
        ([("serve", "gpu"), ("serve",)], "gpu,serve", {"serve", "gpu"}),
        ([("serve", "gpu"), ("serve",)], ["serve", "gpu"], {"serve", "gpu"}),
        ([("train",)], None, {"train"}),
        ([()], None, set()),
        ([(), ("serve",)], "", set()),
    ],
)
def test_tags(tmp_path: Path, tag_sets: list[Any], tags: Any, chosen: set[str]) -> None:
    assert read_saved_model(save(graph_model(*tag_sets), tmp_path), tags).tags == chosen


@pytest.mark.parametrize(
    ("tag_sets", "tags"),
    [([("serve",)], "train"), ([("a",), ("b", "c")], None), ([("serve", "gpu")], "serve")],
)
def test_wrong_tags_list_those_there_are(tmp_path: Path, tag_sets: list[Any], tags: Any) -> None:
    save(graph_model(*tag_sets), tmp_path)
    with pytest.raises(FormatError, match="has no graph with the tags") as caught:
        read_saved_model(tmp_path, tags)
    for group in tag_sets:
        assert repr(",".join(sorted(group))) in str(caught.value)


@pytest.mark.parametrize("version", [1, 2])
def test_schema_versions(tmp_path: Path, version: int) -> None:
    model = graph_model(("serve",))
    model.saved_model_schema_version = version
    assert read_saved_model(save(model, tmp_path)).tags == {"serve"}


def init_by_signature(meta: Any) -> None:
    meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "NoOp"
    meta.signature_def["__saved_model_train_op"].outputs["__saved_model_train_op"].name = "train:0"


def init_by_collection(meta: Any) -> None:
    meta.collection_def["saved_model_main_op"].node_list.value.append("NoOp")
    meta.collection_def["saved_model_train_op"].node_list.value.append("train")


def init_by_legacy_collection(meta: Any) -> None:
    meta.collection_def["legacy_init_op"].node_list.value.append("NoOp")
    meta.collection_def["saved_model_train_op"].node_list.value.append("train")


@pytest.mark.parametrize("change", [init_by_signature, init_by_collection, init_by_legacy_collection])
def test_special_operations(tmp_path: Path, change: Callable[[Any], None]) -> None:
    model = graph_model(("serve",))
    change(model.meta_graphs[0])
    model.meta_graphs[0].saver_def.restore_op_name = "save/restore_all"
    model.meta_graphs[0].saver_def.filename_tensor_name = "save/Const:0"
    source = read_saved_model(save(model, tmp_path))
    assert source.init_op == "NoOp"
    assert source.train_op == "train"
    assert list(source.signatures) == ["serving_default"]
    assert source.restore == Restore("save/restore_all", "save/Const:0")


def with_asset(model: SavedModel, name: str, in_collection: bool) -> SavedModel:
    asset = AssetFileDef(filename=name)
    asset.tensor_info.name = "asset:0"
    meta = model.meta_graphs[0]
    if in_collection:
        packed = meta.collection_def["saved_model_assets"].any_list.value.add()
        packed.value = asset.SerializeToString()
    else:
        meta.asset_file_def.append(asset)
    return model


@pytest.mark.parametrize("in_collection", [False, True])
def test_assets(tmp_path: Path, in_collection: bool) -> None:
    save(with_asset(graph_model(("serve",)), "vocabulary.txt", in_collection), tmp_path)
    with pytest.raises(FormatError, match=r"vocabulary\.txt: the asset is missing"):
        read_saved_model(tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "vocabulary.txt").write_text("a\nb\n")
    source = read_saved_model(tmp_path)
    assert source.assets == (Asset("asset:0", tmp_path / "assets" / "vocabulary.txt"),)
    assert source.assets[0].path.is_absolute()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret"])
def test_assets_stay_in_their_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("x")
    save(with_asset(graph_model(("serve",)), name, False), tmp_path)
    with pytest.raises(FormatError, match="names an asset outside its directory"):
        read_saved_model(tmp_path)


def test_an_undecodable_asset(tmp_path: Path) -> None:
    model = graph_model(("serve",))
    model.meta_graphs[0].collection_def["saved_model_assets"].any_list.value.add().value = b"\xff"
    with pytest.raises(FormatError, match="an asset cannot be decoded"):
        read_saved_model(save(model, tmp_path))


def test_composite_arguments_name_their_tensors(tmp_path: Path) -> None:
    model = graph_model(("serve",))
    inputs = model.meta_graphs[0].signature_def["serving_default"].inputs
    sparse = inputs["sparse"].coo_sparse
    sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name = (
        "v:0",
        "i:0",
        "d:0",
    )
    ragged = inputs["ragged"].composite_tensor
    ragged.components.add(name="values:0")
    ragged.components.add().composite_tensor.components.add(name="splits:0")
    signature = read_saved_model(save(model, tmp_path)).signatures["serving_default"]
    assert list(signature.inputs) == ["ragged", "sparse", "x"]
    assert signature.inputs["sparse"].components == ("v:0", "i:0", "d:0")
    assert signature.inputs["ragged"].components == ("values:0", "splits:0")


def test_default_values(tmp_path: Path) -> None:
    model = graph_model(("serve",))
    default = model.meta_graphs[0].signature_def["serving_default"].defaults["x"]
    default.dtype = FLOAT
    default.float_val.append(2.5)
    signature = read_saved_model(save(model, tmp_path)).signatures["serving_default"]
    assert signature.defaults["x"].item() == 2.5


def test_text_format(tmp_path: Path) -> None:
    from google.protobuf import text_format

    text = text_format.MessageToString(graph_model(("serve",))) + "unknown_field: 3\n"
    (tmp_path / "saved_model.pbtxt").write_text(text)
    assert list(read_saved_model(tmp_path).nodes) == ["x", "one", "y"]
    assert read_saved_model(tmp_path / "saved_model.pbtxt").path == tmp_path
    for bad in (text[:-20] + "{", "\xff", "meta_graphs {" * 3000):
        (tmp_path / "saved_model.pbtxt").write_text(bad, "latin-1")
        with pytest.raises(FormatError, match=r"saved_model\.pbtxt: is truncated or corrupt"):
            read_saved_model(tmp_path)


def objects() -> tuple[SavedObjectGraph, TrackableObjectGraph]:
    """root -> layer -> kernel, bias; root -> f. In the checkpoint the nodes are numbered otherwise."""
    graph = SavedObjectGraph()
    root, layer, kernel, bias, function = (graph.nodes.add() for _ in range(5))
    root.user_object.identifier = "_generic_user_object"
    root.children.add(node_id=1, local_name="layer")
    root.children.add(node_id=4, local_name="f")
    layer.user_object.identifier = "_generic_user_object"
    layer.children.add(node_id=2, local_name="kernel")
    layer.children.add(node_id=3, local_name="bias")
    layer.children.add(node_id=0, local_name="parent")
    kernel.variable.dtype = bias.variable.dtype = FLOAT
    function.function.concrete_functions.append("__inference_f_1")
    concrete = graph.concrete_functions["__inference_f_1"]
    concrete.bound_inputs.extend([3, 2])
    concrete.output_signature.tensor_spec_value.dtype = FLOAT
    checkpoint = TrackableObjectGraph()
    root, other, bias, layer, kernel = (checkpoint.nodes.add() for _ in range(5))
    root.children.add(node_id=1, local_name="optimizer")
    root.children.add(node_id=3, local_name="layer")
    layer.children.add(node_id=4, local_name="kernel")
    layer.children.add(node_id=2, local_name="bias")
    for node, key in ((kernel, "layer/kernel"), (bias, "layer/bias"), (other, "optimizer")):
        node.attributes.add(name="VARIABLE_VALUE", checkpoint_key=f"{key}/.ATTRIBUTES/VARIABLE_VALUE")
    return graph, checkpoint


def test_object_graph(tmp_path: Path) -> None:
    graph, checkpoint = objects()
    model = graph_model(("serve",))
    model.meta_graphs[0].object_graph_def.CopyFrom(graph)
    save(model, tmp_path)
    writer = BundleWriter(tmp_path / "variables" / "variables")
    writer.add("layer/kernel/.ATTRIBUTES/VARIABLE_VALUE", np.ones((2, 3), np.float32))
    writer.add("_CHECKPOINTABLE_OBJECT_GRAPH", np.array(checkpoint.SerializeToString(), object).reshape(()))
    writer.write()
    source = read_saved_model(tmp_path)
    found = source.object_graph
    assert found is not None
    assert source.variable_keys == {
        2: "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE",
        3: "layer/bias/.ATTRIBUTES/VARIABLE_VALUE",
    }
    assert source.checkpoint.tensor(source.variable_keys[2]).shape == (2, 3)
    assert [found.path(node) for node in range(6)] == ["", "layer", "layer/kernel", "layer/bias", "f", None]
    assert found.find("layer", "bias") == 3
    assert found.find("layer", "nothing", "more") is None
    assert found.children() == {"layer": 1, "f": 4}
    assert [found.kind(node) for node in range(5)] == ["user_object"] * 2 + ["variable"] * 2 + ["function"]
    (function,) = found.functions()
    assert (function.node, function.path, function.concrete_functions) == (4, "f", ("__inference_f_1",))
    concrete = found.concrete_function("__inference_f_1")
    assert concrete.bound_inputs == (3, 2)
    assert concrete.outputs == TensorSpec("", FLOAT, ())
    assert found.concrete_functions() == ["__inference_f_1"]
    with pytest.raises(FormatError, match="no concrete function 'g'"):
        found.concrete_function("g")


@pytest.mark.parametrize("place", ["child", "capture", "nodes"])
def test_object_graph_out_of_range(place: str) -> None:
    graph, _ = objects()
    if place == "child":
        graph.nodes[2].children.add(node_id=5, local_name="x")
    elif place == "capture":
        graph.concrete_functions["__inference_f_1"].bound_inputs.append(-1)
    else:
        del graph.nodes[:]
    with pytest.raises(FormatError, match="refers to an object that is not there"):
        ObjectGraph(graph, "model.pb")


def test_checkpoint_graph_out_of_range() -> None:
    graph, checkpoint = objects()
    checkpoint.nodes[0].children[1].node_id = 9
    with pytest.raises(FormatError, match="refers to an object that is not there"):
        ObjectGraph(graph, "model.pb").checkpoint_keys(checkpoint)


def test_structured_values() -> None:
    value = StructuredValue()
    fields = value.dict_value.fields
    fields["none"].none_value.SetInParent()
    fields["float"].float64_value = 0.5
    fields["int"].int64_value = -3
    fields["string"].string_value = "s"
    fields["bool"].bool_value = True
    fields["shape"].tensor_shape_value.dim.add(size=-1)
    fields["dtype"].tensor_dtype_value = FLOAT
    fields["list"].list_value.values.add().int64_value = 1
    fields["tuple"].tuple_value.values.add().int64_value = 1
    fields["named"].named_tuple_value.values.add(key="k").value.int64_value = 1
    fields["spec"].tensor_spec_value.name = "x"
    fields["type"].type_spec_value.type_spec_class_name = "RaggedTensorSpec"
    fields["nothing"].SetInParent()
    assert structured(value) == {
        "none": None,
        "float": 0.5,
        "int": -3,
        "string": "s",
        "bool": True,
        "shape": (-1,),
        "dtype": FLOAT,
        "list": [1],
        "tuple": (1,),
        "named": {"k": 1},
        "spec": TensorSpec("x", 0, ()),
        "type": TypeSpec("RaggedTensorSpec", None),
        "nothing": None,
    }


def write(name: str, data: bytes) -> Callable[[Path], None]:
    def create(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    return create


NO_SAVED_MODEL: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty directory": (lambda folder: None, "is an empty directory"),
    "something else": (write("readme.txt", b"x"), "is no SavedModel: it has no saved_model.pb"),
    "chunked": (write("saved_model.cpb", b"x"), r"in chunks \(saved_model.cpb\).*experimental_image_format"),
    "keras": (write("model.keras", b"x"), r"holds the Keras model model\.keras"),
    "h5": (write("model.h5", b"x"), r"holds the Keras file model\.h5"),
    "tflite": (write("model.tflite", b"x"), r"holds the TensorFlow Lite model model\.tflite"),
    "tfjs": (write("model.json", b"{}"), r"TensorFlow\.js"),
    "checkpoint": (write("ckpt-1.index", b"x"), r"is a checkpoint, which has no graph \(ckpt-1\.index\)"),
    "version directory": (write("3/saved_model.pb", b"x"), r"Did you mean its directory 3\?"),
    "no graph": (write("variables/variables.index", b"x"), r"saved_model\.pb is missing"),
    "frozen graph": (
        write("frozen.pb", b"x"),
        r"holds the protocol buffer frozen\.pb, perhaps a frozen graph",
    ),
    "empty file": (write("saved_model.pb", b""), r"saved_model\.pb: is empty"),
    "not a message": (write("saved_model.pb", b"\xff" * 20), r"saved_model\.pb: is truncated or corrupt"),
    "another message": (
        write("saved_model.pb", b"\x10\x01"),
        r"is no SavedModel: schema version 0, 0 graphs",
    ),
    "newer schema": (
        write("saved_model.pb", SavedModel(saved_model_schema_version=7).SerializeToString()),
        "schema version 7",
    ),
}


@pytest.mark.parametrize("name", NO_SAVED_MODEL)
def test_directories_that_are_no_saved_model(tmp_path: Path, name: str) -> None:
    create, reason = NO_SAVED_MODEL[name]
    create(tmp_path)
    with pytest.raises(FormatError, match=reason) as caught:
        read_saved_model(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_saved_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    (tmp_path / "model.tflite").write_bytes(b"\x18\0\0\0TFL3" + b"\0" * 100)
    (tmp_path / "frozen.pb").write_bytes(b"x")
    for name, reason in {
        "model.keras": "zip archive",
        "model.h5": "HDF5",
        "model.tflite": "TensorFlow Lite model already",
        "frozen.pb": "is a file, and a SavedModel is a directory",
        "absent": "absent: does not exist$",
    }.items():
        with pytest.raises(FormatError, match=reason):
            read_saved_model(tmp_path / name)
    save(graph_model(("serve",)), tmp_path / "good")
    with pytest.raises(FormatError, match=r"does not exist\. Beside it there are good"):
        read_saved_model(tmp_path / "goood")


def test_remote(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    model = with_asset(graph_model(("serve",)), "vocabulary.txt", False)
    writer = BundleWriter(tmp_path / "variables")
    writer.add("x", np.arange(3, dtype=np.float32))
    writer.write()
    files.pipe("/models/1/saved_model.pb", model.SerializeToString())
    files.pipe("/models/1/assets/vocabulary.txt", b"a")
    files.pipe("/models/1/huge/not_needed.bin", b"a")
    for path in tmp_path.iterdir():
        files.pipe(f"/models/1/variables/{path.name}", path.read_bytes())
    for url in ("memory://models/1", "memory://models/1/"):
        source = read_saved_model(url)
        folder = source.path
        assert source.url == url
        assert source.checkpoint.tensor("x").tolist() == [0, 1, 2]
        assert source.assets[0].path.read_text() == "a"
        assert not (folder / "huge").exists()
        del source
        assert not folder.exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [("memory://nothing/here", "has no saved_model.pb"), ("nosuchprotocol://x/y", "cannot be read")],
)
def test_remote_failures(url: str, reason: str) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(FormatError, match=f"^{url}: .*{reason}"):
        read_saved_model(url)


def test_remote_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(FormatError, match=r"needs fsspec. Install litecast\[remote\]"):
        read_saved_model("gs://bucket/model")


def read_all(path: Path) -> None:
    source = read_saved_model(path)
    bodies = [function.node_def for function in source.functions.values()]
    for node in (node for nodes in (source.graph.node, *bodies) for node in nodes):
        if "value" in node.attr and node.attr["value"].HasField("tensor"):
            tensor_from_proto(node.attr["value"].tensor, node.name)
    if source.object_graph is not None:
        list(source.object_graph.functions())
        for name in source.object_graph.concrete_functions():
            source.object_graph.concrete_function(name)
    if source.has_variables:
        assert isinstance(source.variable_keys, dict)
        for key in source.checkpoint:
            source.checkpoint.tensor(key)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files(tmp_path: Path, seed: int) -> None:
    """Bytes changed anywhere: an error of ours or a value."""
    chance = random.Random(seed)
    graph, checkpoint = objects()
    model = with_asset(graph_model(("serve",), ("train",)), "a.txt", True)
    model.meta_graphs[0].object_graph_def.CopyFrom(graph)
    folder = save(model, tmp_path / "model")
    writer = BundleWriter(folder / "variables" / "variables")
    writer.add("layer/kernel/.ATTRIBUTES/VARIABLE_VALUE", np.ones((2, 3), np.float32))
    writer.add("_CHECKPOINTABLE_OBJECT_GRAPH", np.array(checkpoint.SerializeToString(), object).reshape(()))
    writer.write()
    write("assets/a.txt", b"a")(folder)
    damage_and_read(folder, chance, 150)


@pytest.mark.parametrize("name", ["kws", "basic_pitch", "dtln"])
def test_damaged_real_models(tmp_path: Path, shared: Path, name: str) -> None:
    folder = tmp_path / name
    shutil.copytree(shared / "models" / name / "saved_model", folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    damage_and_read(folder, random.Random(name), 15)


def damage_and_read(folder: Path, chance: random.Random, times: int) -> None:
    originals = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = 0
    for _ in range(times):
        path = chance.choice([*originals, folder / "saved_model.pb"])
        path.write_bytes(damaged(originals[path], chance))
        try:
            read_all(folder)
            read += 1
        except (FormatError, UnsupportedError):
            pass
        path.write_bytes(originals[path])
    read_all(folder)
    assert read < times
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


REAL = {  # shapes of the inputs and outputs
    "kws": ({"input_1": (-1, 49, 10, 1)}, {"dense": (-1, 12)}),
    "basic_pitch": (
        {"input_2": (-1, 43844, 1)},
        {"contour": (-1, 172, 264), "note": (-1, 172, 88), "onset": (-1, 172, 88)},
    ),
    "dtln": ({"input_1": (1, 512)}, {"conv1d_1": (1, 1, 512)}),
}


@pytest.mark.parametrize("name", REAL)
def test_real_models(shared: Path, name: str) -> None:
    source = read_saved_model(shared / "models" / name / "saved_model")
    inputs, outputs = REAL[name]
    signature = source.signatures["serving_default"]
    assert {key: spec.shape for key, spec in signature.inputs.items()} == inputs
    assert {key: spec.shape for key, spec in signature.outputs.items()} == outputs
    assert source.restore is not None
    assert source.restore.op in source.nodes
    assert source.init_op == "NoOp"
    assert {node.op for node in source.graph.node} <= set(source.op_defs)
    called = source.nodes[signature.outputs[next(iter(outputs))].name.partition(":")[0]]
    assert called.attr["f"].func.name in source.functions
    graph = source.object_graph
    assert graph is not None
    captured = {
        index for key in graph.concrete_functions() for index in graph.concrete_function(key).bound_inputs
    }
    for node in captured:
        if graph.kind(node) == "variable":
            variable = graph.nodes[node].variable
            key = source.variable_keys[node]
            shape, _ = source.checkpoint.shape_dtype(key)
            assert shape == tuple(dim.size for dim in variable.shape.dim)
            source.checkpoint.verify(key)
    assert captured


def test_tensorflow_is_not_imported(root: Path, tmp_path: Path) -> None:
    save(graph_model(("serve",)), tmp_path)
    code = (
        "import sys; from litecast.frontend.tensorflow.saved_model import read_saved_model; "
        f"read_saved_model({str(tmp_path)!r}); "
        "print({'tensorflow', 'fsspec', 'h5py', 'tempfile'} & set(sys.modules))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert output.stdout.strip() == "set()"


def test_module_by_tensorflow(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("a\nb\n")

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.kernel = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="kernel")
            self.count = tf.Variable(3, dtype=tf.int64)
            self.constant = tf.constant([1.0, 2.0])
            self.words = tf.saved_model.Asset(str(vocabulary))

        @tf.function(input_signature=[tf.TensorSpec([None, 2], name="rows")])
        def forward(self, rows: Any) -> Any:
            return {"b_out": rows @ self.kernel, "a_out": rows * self.constant}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="by")])
        def step(self, by: Any) -> Any:
            return self.count.assign_add(by)

        @tf.function(input_signature=[])
        def path(self) -> Any:
            return tf.io.read_file(self.words)

    module = Module()
    folder = tmp_path / "model"
    tf.saved_model.save(module, str(folder), {"forward": module.forward, "step": module.step})
    source = read_saved_model(folder)
    assert list(source.signatures) == ["forward", "step"]
    assert source.signatures["forward"].inputs["rows"].shape == (-1, 2)
    assert list(source.signatures["forward"].outputs) == ["a_out", "b_out"]
    assert source.signatures["step"].inputs["by"].dtype == DataType["DT_INT64"]
    graph = source.object_graph
    assert graph is not None
    kernel, count = graph.find("kernel"), graph.find("count")
    assert kernel is not None
    assert count is not None
    np.testing.assert_array_equal(
        source.checkpoint.tensor(source.variable_keys[kernel]), module.kernel.numpy()
    )
    assert source.checkpoint.tensor(source.variable_keys[count]).item() == 3
    functions = {function.path: function for function in graph.functions()}
    assert {"forward", "step", "path", "signatures/forward", "signatures/step"} <= set(functions)
    (name,) = functions["forward"].concrete_functions
    concrete = graph.concrete_function(name)
    assert concrete.inputs == ((TensorSpec("rows", FLOAT, (-1, 2)),), {})
    assert set(concrete.outputs) == {"a_out", "b_out"}
    kinds = [graph.kind(node) for node in concrete.bound_inputs]
    assert sorted(map(str, kinds)) == ["constant", "variable"]
    constant = graph.nodes[concrete.bound_inputs[kinds.index("constant")]].constant.operation
    assert source.nodes[constant].op == "Const"
    assert len(source.functions[name].signature.input_arg) == 1 + len(kinds)
    (asset,) = source.assets
    assert asset.path.read_text() == "a\nb\n"
    assert source.nodes[asset.tensor.partition(":")[0]].op == "Placeholder"


def test_keras_export(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    hidden = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(hidden)))
    model.export(str(tmp_path / "model"), verbose=False)
    source = read_saved_model(tmp_path / "model")
    graph = source.object_graph
    assert graph is not None
    stored = [source.checkpoint.tensor(key) for key in source.variable_keys.values()]
    for weight in model.weights:
        assert any(np.array_equal(weight.numpy(), value) for value in stored), weight.path
    assert "serving_default" in source.signatures


def test_simple_save(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    tf1 = tf.compat.v1
    folder = tmp_path / "model"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 2], name="x")
        with tf1.variable_scope("dense", partitioner=tf1.fixed_size_partitioner(2)):
            kernel = tf1.get_variable("kernel", (2, 3), use_resource=False).as_tensor()
        bias = tf1.get_variable("bias", (3,), use_resource=True)
        y = tf.add(x @ kernel, bias, name="y")
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(folder))
        signature = tf1.saved_model.predict_signature_def({"x": x}, {"y": y})
        init = tf.no_op("prepare")
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=init)
        builder.add_meta_graph(["train", "cpu"], {"serving_default": signature})
        builder.save()
        expected = session.run(kernel), session.run(bias)
    source = read_saved_model(folder)
    assert source.object_graph is None
    assert source.init_op == "prepare"
    assert source.signatures["serving_default"].outputs["y"].name == "y:0"
    assert source.restore is not None
    assert source.restore.op in source.nodes
    assert source.restore.filename.partition(":")[0] in source.nodes
    np.testing.assert_array_equal(source.checkpoint.tensor("dense/kernel"), expected[0])
    np.testing.assert_array_equal(source.checkpoint.tensor("bias"), expected[1])
    assert read_saved_model(folder, "cpu,train").tags == {"train", "cpu"}
    with pytest.raises(FormatError, match=r"It has 'serve', 'cpu,train'"):
        read_saved_model(folder, "gpu")
