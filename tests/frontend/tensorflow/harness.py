"""Differential testing of importers: trace a TensorFlow function, convert it, run it in LiteRT, compare
with TensorFlow.

`check(function, spec,
...)` is the whole interface. Unknown dimensions (None) are tried at several sizes; integers,
booleans and strings must agree exactly, floats within a relative error (max|a-b| / max|reference|).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from litecast.errors import UnsupportedError
from litecast.frontend.tensorflow import ops as importers  # noqa: F401  (fills the table)
from litecast.frontend.tensorflow.attributes import dtype_of, fresh_types
from litecast.frontend.tensorflow.proto import GraphDef, MetaGraphDef
from litecast.frontend.tensorflow.tracer import Frame, Tracer, node_name
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Signature
from litecast.ir.verify import verify
from litecast.lib.complex import Complex, as_complex, to_tensor
from litecast.ops.custom import Custom, Flex, Opaque
from litecast.passes import optimize, prepare
from litecast.tflite.runtime import Runtime, evaluate
from litecast.tflite.writer import write

tf = pytest.importorskip("tensorflow")

SIZES: tuple[Any, ...] = (2, 3)
TOLERANCE = 1e-5

Spec = tf.TensorSpec


def f32(*shape: int | None) -> tf.TensorSpec:
    """A float32 input."""
    return tf.TensorSpec(shape, tf.float32)


def i32(*shape: int | None) -> tf.TensorSpec:
    """An int32 input."""
    return tf.TensorSpec(shape, tf.int32)


def spec(dtype: str, *shape: int | None) -> tf.TensorSpec:
    """An input of any element type."""
    return tf.TensorSpec(shape, tf.dtypes.as_dtype(dtype))


def trace(function: Callable[..., Any], *specs: tf.TensorSpec, optimized: bool = True) -> tuple[Model, Any]:
    """Convert a TensorFlow function to a Model with signature `main`; also return the concrete function."""
    concrete = tf.function(function).get_concrete_function(*specs)
    graph = concrete.graph.as_graph_def()
    proto = GraphDef.FromString(graph.SerializeToString())
    names = {node.op for node in graph.node} | {
        node.op for item in graph.library.function for node in item.node_def
    }
    op_defs = {name: _op_def(name) for name in names}
    functions = {item.signature.name: item for item in proto.library.function}
    tracer = Tracer(functions, {name: item for name, item in op_defs.items() if item is not None}, evaluate)
    b = Builder(Graph("main"), evaluate)
    arguments: dict[str, Any] = {}
    for index, tensor in enumerate(concrete.inputs):
        shape = None if tensor.shape.rank is None else tensor.shape.as_list()
        value = b.add_input(
            fresh_types(f"x{index}", shape, dtype_of(tensor.dtype.as_datatype_enum)), f"x{index}"
        )
        arguments[node_name(tensor.name)] = as_complex(b, value) if value.dtype.is_complex else value
    frame = Frame({node.name: node for node in proto.node}, arguments)
    results = tracer.evaluate(b, frame, [tensor.name for tensor in concrete.outputs])
    if tracer.missing:
        raise UnsupportedError(tracer.missing)
    b.graph.set_outputs(to_tensor(b, result) if isinstance(result, Complex) else result for result in results)
    signature = Signature(
        b.graph,
        [f"x{index}" for index in range(len(arguments))],
        [f"y{index}" for index in range(len(results))],
    )
    model = Model({"main": signature})
    if optimized:
        verify(model)
        optimize(model, evaluate)
    else:
        prepare(model, evaluate)
    verify(model)
    return model, concrete


def _op_def(name: str) -> Any:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(name)
    if definition is None:
        return None
    meta = tf.compat.v1.MetaGraphDef()
    meta.meta_info_def.stripped_op_list.op.append(definition)
    return MetaGraphDef.FromString(meta.SerializeToString()).meta_info_def.stripped_op_list.op[0]


def operations(function: Callable[..., Any], *specs: tf.TensorSpec) -> list[str]:
    """Return the names of the operations that a function is converted to, in order."""
    model, _ = trace(function, *specs)
    return [node.op.name for node in model.signatures["main"].graph.nodes]


def check(
    function: Callable[..., Any],
    *specs: tf.TensorSpec,
    sizes: Sequence[Any] = SIZES,
    inputs: Sequence[Any] | Callable[..., Any] | None = None,
    tolerance: float = TOLERANCE,
    ops: Sequence[str] | None = None,
    delegates: Sequence[bool] = (True,),
) -> Model:
    """Convert a function and compare LiteRT with TensorFlow, before and after optimisation.

    Only builtin operations may remain, and no inferred dimension may contradict TensorFlow. `delegates`:
    whether to run with XNNPACK, without, or both.

    `sizes`: what the unknown dimensions are tried at, one number for all of them, or a tuple in the order of
    the specs. `inputs`: the arrays, or a function (rng, shape, numpy dtype) of one. `ops`: the operations
    that must remain.
    """
    for optimized in (False, True):
        model, concrete = trace(function, *specs, optimized=optimized)
        check_graph(model, concrete)
        runtimes = [Runtime(write(model), delegate=delegate) for delegate in delegates]
        dynamic = any(dim is None for item in specs for dim in item.shape)
        for size in sizes if dynamic and not isinstance(inputs, (list, tuple)) else sizes[:1]:
            arrays = list(inputs) if isinstance(inputs, (list, tuple)) else _arrays(specs, size, inputs)
            expected = tf.nest.flatten(concrete(*map(tf.constant, arrays)))
            given = {f"x{index}": np.asarray(array) for index, array in enumerate(arrays)}
            for delegate, runtime in zip(delegates, runtimes, strict=True):
                how = f"at size {size}, optimized={optimized}, XNNPACK={delegate}"
                for (name, got), want in zip(runtime.run(given).items(), expected, strict=True):
                    compare(got, want.numpy(), tolerance, f"{name} {how}")
    if ops is not None:
        assert [node.op.name for node in model.signatures["main"].graph.nodes] == list(ops)
    return model


def check_graph(model: Model, concrete: Any) -> None:
    """Assert that only builtin operations remain and that the inferred output types agree with
    TensorFlow's.
    """
    nodes = [node for graph in model.all_graphs() for node in graph.nodes]
    foreign = {node.op.name for node in nodes if isinstance(node.op, (Custom, Flex, Opaque))}
    assert not foreign, f"not builtin: {sorted(foreign)}"
    for value, tensor in zip(model.signatures["main"].graph.outputs, concrete.outputs, strict=True):
        assert value.dtype is dtype_of(tensor.dtype.as_datatype_enum), f"{value.type}, TensorFlow: {tensor}"
        known = value.type.shape and [dim if isinstance(dim, int) else None for dim in value.shape]
        assert tensor.shape.is_compatible_with(known), f"{value.type}, TensorFlow: {tensor}"


def _arrays(specs: Sequence[tf.TensorSpec], size: Any, make: Callable[..., Any] | None) -> list[Any]:
    rng = np.random.default_rng(0)
    open_dims = iter(size if isinstance(size, tuple) else ())
    arrays = []
    for item in specs:
        shape = [
            (next(open_dims) if isinstance(size, tuple) else size) if dim is None else dim
            for dim in item.shape
        ]
        arrays.append((make or sample)(rng, shape, item.dtype.as_numpy_dtype))
    return arrays


def sample(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Any:
    """Return random contents: normal floats, small integers of both signs, coin tosses."""
    if dtype is object:
        return rng.integers(0, 99, shape).astype(str).astype(object)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind == "u":
        return rng.integers(0, 9, shape).astype(dtype)
    if kind == "i":
        return rng.integers(-5, 6, shape).astype(dtype)
    if kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def positive(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Any:
    """Return contents above zero."""
    return (np.abs(sample(rng, shape, dtype)) + np.asarray(1).astype(dtype)).astype(dtype)


def compare(got: Any, want: Any, tolerance: float, where: str) -> None:
    """Assert that an output has the type, shape and contents that TensorFlow gives."""
    if want.dtype.kind in "OSU":
        assert np.asarray(got, object).tolist() == np.asarray(want, object).tolist(), where
        return
    assert got.dtype == want.dtype, where
    assert got.shape == want.shape, where
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want, err_msg=where)
        return
    kind = complex if want.dtype.kind == "c" else np.float64
    got, want = got.astype(kind), want.astype(kind)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=where)
    if finite.any():
        error = np.abs(got[finite] - want[finite]).max() / max(np.abs(want[finite]).max(), 1e-30)
        assert error <= tolerance, f"relative error {error:.3g}, {where}"
