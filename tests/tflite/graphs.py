"""Hand-made graphs, made without the Builder, so that the file codec is tested alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.ir.graph import Graph, Loc, Model, Node, Signature, Value, constant
from litecast.ir.op import Op
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops.custom import Builtin

ADD = Builtin(0, "ADD", "AddOptions", (("pot_scale_int16", False),))
DENSE = Builtin(9, "FULLY_CONNECTED", "FullyConnectedOptions", (("keep_num_dims", True),))
LOGISTIC = Builtin(14, "LOGISTIC")


def f32(*shape: Any) -> TensorType:
    return TensorType(DType.FLOAT32, tuple(Sym(dim) if isinstance(dim, str) else dim for dim in shape))


def append(graph: Graph, op: Op, operands: list[Value | None], *types: TensorType, name: str = "") -> Any:
    outputs = [Value(type, name) for type in types]
    graph.nodes.append(Node(op, operands, outputs, Loc(name)))
    return outputs[0] if len(outputs) == 1 else outputs


def dense_model(units: int = 3, width: int = 4, seed: int = 0) -> Model:
    """x @ w.T + bias of a dynamic batch."""
    random = np.random.default_rng(seed)
    graph = Graph()
    x = graph.add_input(f32("n", width), "x")
    w = constant(random.standard_normal((units, width)).astype(np.float32), "w")
    bias = constant(random.standard_normal(units).astype(np.float32), "bias")
    graph.set_outputs([append(graph, DENSE, [x, w, bias], f32("n", units), name="y")])
    return Model({"serving_default": Signature(graph, ["input"], ["output"])})


def identity_model(*values: Value, extra: Any = None) -> Model:
    """A model whose constants are added to inputs of their own, so that each is part of it."""
    graph = Graph()
    outputs = []
    for index, value in enumerate(values):
        x = graph.add_input(TensorType(value.dtype, value.type.shape), f"x{index}")
        outputs.append(append(graph, ADD, [x, value], x.type, name=f"y{index}"))
    graph.set_outputs(outputs)
    return Model(graphs=[graph])
