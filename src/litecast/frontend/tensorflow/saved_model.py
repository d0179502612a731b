"""Read a SavedModel directory into a `SavedModelSource`, without TensorFlow.

Nothing here interprets operations: the graph, its functions and signatures are handed on as they were saved,
and the variables stay in their memory-mapped files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from litecast.errors import FormatError
from litecast.frontend.tensorflow.checkpoint import Checkpoint
from litecast.frontend.tensorflow.object_graph import ObjectGraph, TensorSpec
from litecast.frontend.tensorflow.proto import (
    AssetFileDef,
    DecodeError,
    FunctionDef,
    GraphDef,
    MetaGraphDef,
    NodeDef,
    OpDef,
    SavedModel,
    SignatureDef,
    TensorInfo,
)
from litecast.frontend.tensorflow.proto.tensor import DTYPES, shape_from_proto, tensor_from_proto
from litecast.frontend.tensorflow.recognise import missing_saved_model

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

__all__ = [
    "DTYPES",
    "Asset",
    "Restore",
    "SavedModelSource",
    "Signature",
    "read_saved_model",
    "tensor_from_proto",
]

# Names of tensorflow/python/saved_model/constants.py
_FILE, _TEXT_FILE = "saved_model.pb", "saved_model.pbtxt"
_INIT_OP, _TRAIN_OP = "__saved_model_init_op", "__saved_model_train_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_TRAIN_COLLECTIONS = ("saved_model_train_op",)
_ASSETS_COLLECTION = "saved_model_assets"
_SCHEMA_VERSIONS = (1, 2)
_DEFAULT_TAGS = frozenset({"serve"})


@dataclass(frozen=True)
class Signature:
    """An entry point by its key; inputs and outputs by the user's names, sorted (the file keeps no order)."""

    key: str
    method_name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    defaults: dict[str, np.ndarray] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Restore:
    """How the graph restores its variables: run node `op` with the checkpoint's prefix fed to `filename`."""

    op: str
    filename: str


@dataclass(frozen=True)
class Asset:
    """A file that belongs to the model; its path is fed to the graph's string tensor `tensor`."""

    tensor: str
    path: Path


@dataclass(frozen=True)
class SavedModelSource:
    """One meta graph of a SavedModel.

    `url` is what the user named and `path` the local directory, which is temporary (and lives as long as this
    object) when `url` is remote. `functions` and `op_defs` (attribute defaults, output names) are by name.
    `init_op` and `train_op` are node names. `object_graph` is None in a SavedModel of TensorFlow 1.
    """

    url: str
    path: Path
    tags: frozenset[str]
    tensorflow_version: str
    signatures: dict[str, Signature]
    restore: Restore | None
    init_op: str | None
    train_op: str | None
    assets: tuple[Asset, ...]
    graph: GraphDef = field(repr=False)
    functions: dict[str, FunctionDef] = field(repr=False)
    op_defs: dict[str, OpDef] = field(repr=False)
    object_graph: ObjectGraph | None = field(repr=False)
    meta_graph: MetaGraphDef = field(repr=False)
    _temporary: TemporaryDirectory[str] | None = field(repr=False, default=None)

    @cached_property
    def nodes(self) -> dict[str, NodeDef]:
        """The nodes of the main graph by name."""
        return {node.name: node for node in self.graph.node}

    @property
    def has_variables(self) -> bool:
        """Whether there is a checkpoint; a model without variables may have none."""
        return self._prefix.with_name("variables.index").is_file()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The variables' values, opened when asked for; FormatError where they are missing or corrupt."""
        if not self.has_variables:
            raise FormatError(
                self._prefix.with_name("variables.index"),
                "is missing, but the model has variables",
                "Copy the whole SavedModel directory, variables/ included",
            )
        return Checkpoint(self._prefix)

    @cached_property
    def variable_keys(self) -> dict[int, str]:
        """The checkpoint key of each variable of the object graph, by node; empty without an object graph.

        Slot variables of optimizers are left out: no function of an inference model captures them.
        """
        if self.object_graph is None or not self.has_variables:
            return {}
        graph = self.checkpoint.object_graph()
        return {} if graph is None else self.object_graph.variable_keys(graph)

    @property
    def _prefix(self) -> Path:
        return self.path / "variables" / "variables"


def read_saved_model(
    path: str | os.PathLike[str], tags: str | Iterable[str] | None = None
) -> SavedModelSource:
    """Read the SavedModel at a directory, its `saved_model.pb`, or a URL (`gs://`, `s3://`; needs fsspec).

    `tags` (also as one string, separated by commas) name the meta graph exactly; by default it is the one
    tagged `serve`, or the only one. Raises FormatError, naming the file and what to try, for all that is
    missing or broken; the variables are looked at only when asked for.
    """
    url = os.fspath(path)
    temporary = None
    if "://" in url:
        from tempfile import TemporaryDirectory

        temporary = TemporaryDirectory(prefix="litecast-", ignore_cleanup_errors=True)
        _download(url, Path(temporary.name))
        local = Path(temporary.name)
    else:
        local = Path(url)
        if local.name in (_FILE, _TEXT_FILE) and local.is_file():
            local = local.parent
    meta_graph = _select(_parse(local, url), tags, url)
    return _source(url, local, meta_graph, temporary)


def _download(url: str, folder: Path) -> None:
    """Copy what makes up a SavedModel from `url` to `folder`."""
    try:
        import fsspec
    except ImportError as error:
        raise FormatError(url, "is remote, which needs fsspec", "Install litecast[remote]") from error
    try:
        files, root = fsspec.core.url_to_fs(url.rstrip("/"))
        for name in (_FILE, _TEXT_FILE):
            if files.exists(f"{root}/{name}"):
                files.get(f"{root}/{name}", str(folder / name))
        if any(folder.iterdir()):
            for name in ("variables", "assets"):
                if files.exists(f"{root}/{name}"):
                    files.get(f"{root}/{name}/", f"{folder / name}/", recursive=True)
    except Exception as error:  # each file system has exceptions of its own
        raise FormatError(url, f"cannot be read ({error or type(error).__name__})") from error
    if not any(folder.iterdir()):
        raise FormatError(url, f"is no SavedModel: it has no {_FILE}")


def _parse(folder: Path, url: str) -> SavedModel:
    """Parse the protocol buffer in `folder`; a text file is read only where there is no binary one."""
    file = folder / _FILE
    text = folder / _TEXT_FILE
    if not file.is_file() and not text.is_file():
        raise missing_saved_model(folder, url)
    file = file if file.is_file() else text
    try:
        data = file.read_bytes()
    except OSError as error:
        raise FormatError(file, f"cannot be read ({error.strerror})") from error
    if not data:
        raise FormatError(file, "is empty", "Copy or export the model again")
    model = SavedModel()
    try:
        if file is text:
            _parse_text(data, model)
        else:
            model.ParseFromString(data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise FormatError(file, "is truncated or corrupt", "Copy or export the model again") from error
    if model.saved_model_schema_version not in _SCHEMA_VERSIONS or not model.meta_graphs:
        raise FormatError(
            file,
            f"is no SavedModel: schema version {model.saved_model_schema_version}, "
            f"{len(model.meta_graphs)} graphs",
        )
    return model


def _parse_text(data: bytes, model: SavedModel) -> None:
    from google.protobuf import text_format

    try:
        text_format.Parse(data.decode(), model, allow_unknown_field=True)
    except text_format.ParseError as error:
        raise ValueError(str(error)) from error


def _select(model: SavedModel, tags: str | Iterable[str] | None, url: str) -> MetaGraphDef:
    """Choose the meta graph whose tags are exactly the wanted ones."""
    graphs: list[MetaGraphDef] = list(model.meta_graphs)
    if isinstance(tags, str):
        tags = [tag.strip() for tag in tags.split(",") if tag.strip()]
    wanted = _DEFAULT_TAGS if tags is None else frozenset(tags)
    for graph in graphs:
        if frozenset(graph.meta_info_def.tags) == wanted:
            return graph
    if tags is None and len(graphs) == 1:
        return graphs[0]
    found = ", ".join(repr(",".join(sorted(graph.meta_info_def.tags))) for graph in graphs)
    raise FormatError(url, f"has no graph with the tags {','.join(sorted(wanted))!r}", f"It has {found}")


def _source(
    url: str, folder: Path, meta_graph: MetaGraphDef, temporary: TemporaryDirectory[str] | None
) -> SavedModelSource:
    graph = meta_graph.graph_def
    info = meta_graph.meta_info_def
    file = folder / (_FILE if (folder / _FILE).is_file() else _TEXT_FILE)
    signatures = {
        key: _signature(key, meta_graph.signature_def[key], url) for key in sorted(meta_graph.signature_def)
    }
    inits, trains = signatures.pop(_INIT_OP, None), signatures.pop(_TRAIN_OP, None)
    saver = meta_graph.saver_def
    has_objects = meta_graph.HasField("object_graph_def")
    return SavedModelSource(
        url=url,
        path=folder,
        tags=frozenset(info.tags),
        tensorflow_version=info.tensorflow_version,
        signatures=signatures,
        restore=Restore(_node(saver.restore_op_name), saver.filename_tensor_name)
        if saver.restore_op_name
        else None,
        init_op=_special_op(inits, _INIT_OP, meta_graph, _INIT_COLLECTIONS),
        train_op=_special_op(trains, _TRAIN_OP, meta_graph, _TRAIN_COLLECTIONS),
        assets=tuple(_assets(meta_graph, folder)),
        graph=graph,
        functions={function.signature.name: function for function in graph.library.function},
        op_defs={op.name: op for op in info.stripped_op_list.op},
        object_graph=ObjectGraph(meta_graph.object_graph_def, file) if has_objects else None,
        meta_graph=meta_graph,
        _temporary=temporary,
    )


def _signature(key: str, proto: SignatureDef, url: str) -> Signature:
    return Signature(
        key,
        proto.method_name,
        {name: _spec(proto.inputs[name]) for name in sorted(proto.inputs)},
        {name: _spec(proto.outputs[name]) for name in sorted(proto.outputs)},
        {name: tensor_from_proto(proto.defaults[name], f"{url}: {key}") for name in sorted(proto.defaults)},
    )


def _spec(info: TensorInfo) -> TensorSpec:
    return TensorSpec(info.name, info.dtype, shape_from_proto(info.tensor_shape), tuple(_components(info)))


def _components(info: TensorInfo) -> Iterator[str]:
    """Iterate over the graph's tensors behind a composite argument, in the order of its proto."""
    if info.WhichOneof("encoding") == "coo_sparse":
        sparse = info.coo_sparse
        yield from (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    elif info.WhichOneof("encoding") == "composite_tensor":
        for component in info.composite_tensor.components:
            yield from [component.name] if component.name else _components(component)


def _special_op(
    signature: Signature | None, key: str, meta_graph: MetaGraphDef, collections: Iterable[str]
) -> str | None:
    """Find an operation by its signature, else in the collections that older files use (loader_impl.py)."""
    if signature is not None and key in signature.outputs:
        return _node(signature.outputs[key].name)
    for name in collections:
        if name in meta_graph.collection_def:
            for value in meta_graph.collection_def[name].node_list.value:
                return _node(value)
    return None


def _node(name: str) -> str:
    return name.lstrip("^").partition(":")[0]


def _asset(packed: bytes, folder: Path) -> AssetFileDef:
    asset = AssetFileDef()
    try:
        asset.ParseFromString(packed)
    except DecodeError as error:
        raise FormatError(folder / _FILE, "is corrupt: an asset cannot be decoded") from error
    return asset


def _assets(meta_graph: MetaGraphDef, folder: Path) -> Iterator[Asset]:
    protos: list[Any] = list(meta_graph.asset_file_def)
    if not protos and _ASSETS_COLLECTION in meta_graph.collection_def:
        stored = meta_graph.collection_def[_ASSETS_COLLECTION].any_list.value
        protos = [_asset(packed.value, folder) for packed in stored]
    root = (folder / "assets").resolve()
    for proto in protos:
        path = (root / proto.filename).resolve()
        if not path.is_relative_to(root):
            raise FormatError(folder / _FILE, f"names an asset outside its directory: {proto.filename!r}")
        if not path.is_file():
            raise FormatError(
                path, "the asset is missing", "Copy the whole SavedModel directory, assets/ included"
            )
        yield Asset(proto.tensor_info.name, path)
