"""Dynamic range and float16 against the official converter: the same grid, the same kernels, no larger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType
from litecast.tflite.reader import read

tf: Any = pytest.importorskip("tensorflow")


def noise(*shape: int) -> Any:
    return (np.random.default_rng(len(shape) + shape[0]).standard_normal(shape) * 0.2).astype(np.float32)


KERNEL, DEPTH, DENSE, BACK = noise(3, 3, 16, 24), noise(3, 3, 32, 4), noise(64, 48), noise(3, 3, 24, 16)
PRODUCT, TABLE, BIAS, VOLUME = noise(2, 40, 32), noise(100, 24), noise(24), noise(3, 3, 3, 4, 32)
EMPTY = KERNEL.copy()
EMPTY[..., 3] = 0.0

MODELS: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "conv": (lambda x: tf.nn.conv2d(x, KERNEL, 1, "SAME") + BIAS, (1, 9, 9, 16), "float32"),
    "conv with an empty channel": (lambda x: tf.nn.conv2d(x, EMPTY, 1, "SAME"), (1, 9, 9, 16), "float32"),
    "depthwise": (
        lambda x: tf.nn.depthwise_conv2d(x, DEPTH, [1, 1, 1, 1], "SAME"),
        (1, 9, 9, 32),
        "float32",
    ),
    "dense": (lambda x: x @ DENSE, (5, 64), "float32"),
    "dense of rank 3": (lambda x: tf.nn.relu(tf.tensordot(x, DENSE, 1)), (2, 5, 64), "float32"),
    "transposed": (
        lambda x: tf.nn.conv2d_transpose(x, BACK, [1, 18, 18, 24], 2, "SAME"),
        (1, 9, 9, 16),
        "float32",
    ),
    "product": (lambda x: tf.matmul(x, PRODUCT), (2, 5, 40), "float32"),
    "embedding": (lambda x: tf.nn.embedding_lookup(TABLE, x), (3,), "int32"),
    "volume": (lambda x: tf.nn.conv3d(x, VOLUME, [1] * 5, "SAME"), (1, 5, 5, 5, 4), "float32"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, tuple[Path, Any]] = {}

    def build(name: str) -> tuple[Path, Any]:
        if name not in made:
            function, shape, dtype = MODELS[name]
            module = tf.Module()
            spec = tf.TensorSpec(shape, dtype, "x")
            module.serve = tf.function(lambda x: {"y": function(x)}, input_signature=[spec])
            path = tmp_path_factory.mktemp("saved")
            tf.saved_model.save(module, str(path), {"serving_default": module.serve.get_concrete_function()})
            made[name] = path, module
        return made[name]

    return build


def official(path: Path, half: bool = False) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if half:
        converter.target_spec.supported_types = [tf.float16]
    content: bytes = converter.convert()
    return content


def constants(content: bytes, dtype: DType) -> list[Value]:
    (graph,) = (found for found in read(content).all_graphs() if isinstance(found, Graph))
    return [value for value in graph.values() if value.is_const and value.dtype is dtype]


def kinds(content: bytes) -> list[str]:
    return [node.op.name for graph in read(content).all_graphs() for node in graph.nodes]


@pytest.mark.parametrize("name", MODELS)
def test_dynamic_range_has_the_official_grid(name: str, built: Any) -> None:
    path, _ = built(name)
    theirs = official(path)
    ours = litecast.convert(path, quantize="dynamic").content
    assert kinds(ours) == kinds(theirs)
    pairs = list(zip(constants(ours, DType.INT8), constants(theirs, DType.INT8), strict=True))
    assert len(pairs) == (name != "volume")
    for mine, other in pairs:
        assert mine.shape == other.shape
        assert mine.type.quant is not None
        assert other.type.quant is not None
        assert mine.type.quant.zero_points == other.type.quant.zero_points
        if len(other.type.quant.scales) > 1:
            assert mine.type.quant.axis == other.type.quant.axis
        used = np.abs(other.array().astype(int)).reshape(-1).any()
        assert used
        mine_scales, their_scales = np.array(mine.type.quant.scales), np.array(other.type.quant.scales)
        live = _live(other)
        np.testing.assert_allclose(mine_scales[live], their_scales[live], rtol=1e-6)
        assert np.abs(mine.array().astype(int) - other.array().astype(int)).max() <= 1
    assert len(ours) <= len(theirs) + 64  # alignment: both files are a few kilobytes


def _live(value: Value) -> Any:
    """Say of each scale whether any number has it: of the others nothing depends on the scale."""
    quant = value.type.quant
    assert quant is not None
    if len(quant.scales) == 1:
        return np.array([True])
    others = tuple(dim for dim in range(value.rank) if dim != quant.axis)
    return (value.array() != 0).any(axis=others)


@pytest.mark.parametrize("name", MODELS)
def test_float16_is_the_official_one(name: str, built: Any) -> None:
    path, _ = built(name)
    theirs = official(path, half=True)
    ours = litecast.convert(path, quantize="float16").content
    large = [value for value in constants(theirs, DType.FLOAT16) if value.type.size >= 128]
    found = sorted(constants(ours, DType.FLOAT16), key=lambda value: value.shape)
    for mine, other in zip(found, sorted(large, key=lambda value: value.shape), strict=True):
        np.testing.assert_array_equal(mine.array(), other.array())
    key = "reduced_precision_support"
    assert read(ours).metadata[key] == read(theirs).metadata[key]
    assert len(ours) <= len(theirs) + 64  # alignment: both files are a few kilobytes


@pytest.mark.parametrize("mode", ["float16", "dynamic", "weights", "int4"])
@pytest.mark.parametrize("name", ["conv", "depthwise", "dense of rank 3", "transposed", "product"])
def test_results_are_near_tensorflows(name: str, mode: str, built: Any) -> None:
    path, module = built(name)
    x = np.random.default_rng(7).uniform(-1, 2, MODELS[name][1]).astype(np.float32)
    want = module.serve(tf.constant(x))["y"].numpy()
    have = litecast.convert(path, quantize=mode)(x)["y"]
    allowed = {"float16": 2e-3, "int4": 0.3}.get(mode, 0.02)
    assert np.abs(want - have).max() <= allowed * np.abs(want).max()
