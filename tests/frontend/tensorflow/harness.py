"""Differential check of importers: a TensorFlow function, converted and run in LiteRT, against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from litecast.errors import UnsupportedError
from litecast.frontend.tensorflow import model as _importers  # noqa: F401  (fills the importer table)
from litecast.frontend.tensorflow.attributes import dtype_of
from litecast.frontend.tensorflow.proto import GraphDef, OpDef
from litecast.frontend.tensorflow.tracer import Frame, Tracer, fresh_types
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Signature, Value
from litecast.ir.verify import verify
from litecast.lib.complex import Complex, as_complex, to_tensor
from litecast.ops.custom import Custom, Flex, Opaque
from litecast.passes import optimize
from litecast.tflite.runtime import Runtime, evaluate
from litecast.tflite.writer import write

TOLERANCE = 1e-5
SIZES = (3, 5)
"""What an unknown dimension is, run by run; an input may state sizes of its own."""


@dataclass(frozen=True)
class Spec:
    """An input: its shape (None: unknown dimension), element type, and how its numbers are made.

    `make(generator, shape)` gives the array; without it floats are normal and integers small.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    make: Callable[[np.random.Generator, tuple[int, ...]], Any] | None = None
    sizes: tuple[int, ...] | None = field(default=None)

    def array(self, generator: np.random.Generator, size: int) -> np.ndarray:
        shape = tuple(size if dim is None else dim for dim in self.shape)
        if self.make is not None:
            return np.asarray(self.make(generator, shape)).astype(self.dtype)
        if self.dtype == "bool":
            return generator.integers(0, 2, shape).astype(bool)
        if self.dtype.startswith(("int", "uint")):
            low = 0 if self.dtype.startswith("uint") else -20
            return generator.integers(low, 21, shape).astype(self.dtype)
        numbers = generator.standard_normal(shape)
        if self.dtype.startswith("complex"):
            numbers = numbers + 1j * generator.standard_normal(shape)
        return numbers.astype(_numpy(self.dtype))


def check(
    function: Callable[..., Any],
    *specs: Spec,
    sizes: Sequence[int] = SIZES,
    tolerance: float = TOLERANCE,
    optimized: bool = True,
    exact_shapes: bool = True,
) -> Model:
    """Convert a function and compare it with TensorFlow, at every size of its unknown dimensions.

    Integers and bools must be equal, floats within `tolerance` of the largest reference value. Only builtin
    operations may remain. The model runs as traced, with XNNPACK and without, and (`optimized`) after the passes.
    Returns the model as traced.
    """
    concrete, model = trace(function, *specs)
    _check_model(model, concrete, exact_shapes)
    runs = [_arrays(specs, index, size) for index, size in enumerate(sizes)]
    wanted = [_run_tensorflow(concrete, arrays) for arrays in runs]
    content = write(model)
    for delegate in (True, False):
        _compare(
            Runtime(content, delegate=delegate), runs, wanted, tolerance, f"as traced, XNNPACK {delegate}"
        )
    if optimized:
        _, copy = trace(function, *specs, concrete=concrete)
        optimize(copy, run=evaluate)
        verify(copy)
        _compare(Runtime(write(copy)), runs, wanted, tolerance, "optimized")
    return model


def trace(function: Callable[..., Any], *specs: Spec, concrete: Any = None) -> tuple[Any, Model]:
    """Return TensorFlow's concrete function and Litecast's model of it (`main`: x0, x1 ... -> y0, y1 ...)."""
    import tensorflow as tf

    if concrete is None:
        signature = [tf.TensorSpec(spec.shape, spec.dtype, f"x{index}") for index, spec in enumerate(specs)]
        concrete = tf.function(function, autograph=False).get_concrete_function(*signature)
    nodes = GraphDef.FromString(concrete.graph.as_graph_def().SerializeToString())
    functions = {item.signature.name: item for item in nodes.library.function}
    tracer = Tracer(functions, op_definitions(), evaluate)
    b = Builder(Graph("main"), evaluate)
    arguments = {}
    for tensor in concrete.inputs[: len(specs)]:
        name = tensor.op.name
        value = b.add_input(
            fresh_types(name, tensor.shape.as_list(), dtype_of(tensor.dtype.as_datatype_enum)), name
        )
        arguments[name] = as_complex(b, value) if value.dtype.is_complex else value
    frame = Frame({node.name: node for node in nodes.node}, arguments)
    results = tracer.evaluate(b, frame, [tensor.name for tensor in concrete.outputs])
    if tracer.missing:
        raise UnsupportedError(tracer.missing)
    b.graph.set_outputs(_value(b, result) for result in results)
    names = [f"x{index}" for index in range(len(specs))], [f"y{index}" for index in range(len(results))]
    model = Model({"main": Signature(b.graph, *names)})
    verify(model)
    return concrete, model


@cache
def op_definitions() -> dict[str, Any]:
    """Return TensorFlow's own operation definitions, as a SavedModel would carry them."""
    from tensorflow.python.framework import op_def_registry

    class Definitions(dict):
        def __missing__(self, name: str) -> Any:
            definition = op_def_registry.get(name)
            if definition is None:
                raise KeyError(name)
            self[name] = OpDef.FromString(definition.SerializeToString())
            return self[name]

        def get(self, name: str, default: Any = None) -> Any:
            try:
                return self[name]
            except KeyError:
                return default

    return Definitions()


def _numpy(dtype: str) -> Any:
    import ml_dtypes

    return ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)


def _value(b: Builder, result: Any) -> Value:
    if isinstance(result, Complex):
        return to_tensor(b, result)
    assert isinstance(result, Value), f"an output is a {type(result).__name__}"
    return result


def _arrays(specs: Sequence[Spec], index: int, size: int) -> list[np.ndarray]:
    generator = np.random.default_rng(index + 1)
    return [spec.array(generator, size if spec.sizes is None else spec.sizes[index]) for spec in specs]


def _run_tensorflow(concrete: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    import tensorflow as tf

    results = concrete(*map(tf.constant, arrays))
    return [tensor.numpy() for tensor in tf.nest.flatten(results)]


def _check_model(model: Model, concrete: Any, exact_shapes: bool) -> None:
    for graph in model.all_graphs():
        foreign = [node.op.name for node in graph.nodes if isinstance(node.op, (Custom, Flex, Opaque))]
        assert not foreign, f"not builtin: {foreign}"
    for tensor, value in zip(concrete.outputs, model.signatures["main"].graph.outputs, strict=True):
        assert value.dtype is dtype_of(tensor.dtype.as_datatype_enum), f"{value.type} for {tensor}"
        if tensor.shape.rank is None or value.type.shape is None:
            continue
        known = [dim if isinstance(dim, int) else None for dim in value.shape]
        assert tensor.shape.is_compatible_with(known), (
            f"inferred {value.shape}, TensorFlow says {tensor.shape}"
        )
        if exact_shapes:
            lost = [
                ours is None and theirs is not None for ours, theirs in zip(known, tensor.shape, strict=True)
            ]
            assert not any(lost), f"inferred {value.shape}, TensorFlow knows {tensor.shape}"


def _compare(
    runtime: Runtime, runs: Sequence[Any], wanted: Sequence[Sequence[np.ndarray]], tolerance: float, how: str
) -> None:
    for arrays, references in zip(runs, wanted, strict=True):
        results = runtime.run(list(arrays)).values()
        for position, (result, reference) in enumerate(zip(results, references, strict=True)):
            _same(
                result, reference, tolerance, f"output {position}, {how}, inputs {[x.shape for x in arrays]}"
            )


def _same(result: np.ndarray, reference: np.ndarray, tolerance: float, where: str) -> None:
    assert result.shape == reference.shape, f"{where}: shape {result.shape}, TensorFlow {reference.shape}"
    if reference.dtype.kind in "biuSO":
        np.testing.assert_array_equal(result, reference, err_msg=where)
        return
    kind = np.complex128 if reference.dtype.kind == "c" else np.float64
    ours, theirs = result.astype(kind), reference.astype(kind)
    finite = np.isfinite(theirs)
    np.testing.assert_array_equal(ours[~finite], theirs[~finite], err_msg=where)
    difference = np.abs(ours[finite] - theirs[finite]).max(initial=0)
    assert np.isfinite(difference), f"{where}: not finite where TensorFlow is"
    scale = np.abs(theirs[finite]).max(initial=0)
    assert difference <= tolerance * scale, f"{where}: relative error {difference / max(scale, 1e-30):.3g}"
