"""Small float models, made with the Builder, and what LiteRT gives for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Loc, Model, Signature, Value
from litecast.ir.types import Dim, DType, Sym, TensorType
from litecast.ir.verify import verify
from litecast.ops.enums import Padding
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

FLOAT32, INT32 = DType.FLOAT32, DType.INT32


def weights(*shape: int, seed: int = 0) -> Any:
    return (np.random.default_rng(seed).standard_normal(shape) / 8).astype(np.float32)


def model(build: Callable[..., Any], *types: TensorType, key: str = "serve") -> Model:
    """Return a model of one signature whose graph `build` makes of a Builder and its inputs."""
    return Model(signatures={key: signature(build, *types, key=key)})


def signature(build: Callable[..., Any], *types: TensorType, key: str = "serve") -> Signature:
    graph = Graph(key)
    b = Builder(graph)
    inputs = [b.add_input(type, f"x{index}") for index, type in enumerate(types)]
    b.loc = Loc(f"{key}/net")
    made = build(b, *inputs)
    outputs: Sequence[Value] = made if isinstance(made, tuple) else (made,)
    for index, output in enumerate(outputs):
        output.name = f"y{index}"
    graph.set_outputs(outputs)
    return Signature(graph, [value.name for value in inputs], [value.name for value in outputs])


def f32(*shape: Dim) -> TensorType:
    return TensorType(FLOAT32, shape)


def i32(*shape: Dim) -> TensorType:
    return TensorType(INT32, shape)


def run(target: Model, *arrays: Any, key: str | None = None, delegate: bool = True) -> list[Any]:
    verify(target)
    return list(Runtime(write(target), delegate=delegate).run(list(arrays), key).values())


def random(*shape: int, seed: int = 5) -> Any:
    return np.random.default_rng(seed).uniform(-2, 3, shape).astype(np.float32)


def names(target: Model, key: str = "serve") -> list[str]:
    return [node.op.name for node in target.signatures[key].graph.nodes]


def close(want: Sequence[Any], have: Sequence[Any], tolerance: float) -> None:
    """Compare results: the error of each is at most `tolerance` of its largest number."""
    assert len(want) == len(have)
    for one, other in zip(want, have, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= tolerance * np.abs(one).max()


N = Sym("n")
ZEROS = np.zeros(24, np.float32)


def dense(b: Builder, x: Value, seed: int = 0) -> Value:
    result: Value = b(ops.FullyConnected(), x, weights(48, 64, seed=seed))
    return result


def conv(b: Builder, x: Value) -> Value:
    result: Value = b(ops.Conv2D(Padding.SAME, 1, 1), x, weights(24, 3, 3, 16), ZEROS)
    return result


def depthwise(b: Builder, x: Value) -> Value:
    result: Value = b(ops.DepthwiseConv2D(Padding.SAME, 1, 1, 8), x, weights(1, 3, 3, 128), weights(128))
    return result


def transposed(b: Builder, x: Value) -> Value:
    result: Value = b(
        ops.TransposeConv(Padding.SAME, 2, 2), np.int32([1, 18, 18, 24]), weights(24, 3, 3, 16), x
    )
    return result


def product(b: Builder, x: Value) -> Value:
    result: Value = b(ops.BatchMatMul(), x, weights(40, 32))
    return result


def rows(b: Builder, places: Value) -> Value:
    result: Value = b(ops.Gather(), weights(100, 64), places)
    return result


def lookup(b: Builder, places: Value) -> Value:
    result: Value = b(ops.EmbeddingLookup(), places, weights(100, 64))
    return result


def volume(b: Builder, x: Value) -> Value:
    result: Value = b(ops.Conv3D(Padding.SAME, 1, 1, 1), x, weights(3, 3, 3, 4, 32))
    return result


LAYERS: dict[str, tuple[Callable[..., Value], tuple[TensorType, ...], Any]] = {
    "dense": (dense, (f32(N, 64),), random(5, 64)),
    "conv": (conv, (f32(1, 9, 9, 16),), random(1, 9, 9, 16)),
    "depthwise": (depthwise, (f32(1, 9, 9, 16),), random(1, 9, 9, 16)),
    "transposed": (transposed, (f32(1, 9, 9, 16),), random(1, 9, 9, 16)),
    "product": (product, (f32(N, 5, 40),), random(3, 5, 40)),
    "rows": (rows, (i32(N, 2),), np.int32([[3, 99], [0, 5], [3, 1]])),
    "lookup": (lookup, (i32(N),), np.int32([3, 99, 0])),
    "volume": (volume, (f32(1, 5, 5, 5, 4),), random(1, 5, 5, 5, 4)),
}
"""One operation with weights each: how it is made, the types of its inputs, and an input to run it on."""


def layer(name: str) -> Model:
    build, types, _ = LAYERS[name]
    return model(build, *types)
