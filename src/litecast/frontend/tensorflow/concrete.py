"""TensorFlow functions and Keras models in memory, read through their own attributes.

TensorFlow is never imported: whoever hands over such an object has it loaded, and what is needed of it is
reached through `sys.modules`. A concrete function is a GraphDef whose captured variables are arguments.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from litecast.errors import ConvertError, Unsupported, UnsupportedError
from litecast.frontend.entry import check_names, check_sizes, input_type
from litecast.frontend.tensorflow.attributes import dtype_of
from litecast.frontend.tensorflow.model import as_output, trace_model
from litecast.frontend.tensorflow.proto import GraphDef, NodeDef, OpDef
from litecast.frontend.tensorflow.proto.tensor import shape_from_proto
from litecast.frontend.tensorflow.tracer import Frame, Tracer
from litecast.ir import graph as ir
from litecast.ir.builder import Builder, Runner
from litecast.ir.graph import Graph
from litecast.lib.complex import as_complex

__all__ = ["SIGNATURE", "is_function", "trace_concrete", "trace_model_object"]

SIGNATURE = "serving_default"
_EXPORT = "save it with `tf.saved_model.save` or `model.export` and convert that SavedModel"


def is_function(source: Any) -> bool:
    """Whether an object is a `tf.function`, or one of its concrete functions."""
    root = type(source).__module__.partition(".")[0]
    return root == "tensorflow" and (
        hasattr(source, "get_concrete_function") or hasattr(source, "captured_inputs")
    )


def trace_concrete(
    function: Any,
    *,
    example_inputs: Sequence[Any] | None = None,
    input_signature: Sequence[Any] | None = None,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | None = None,
    run: Runner | None = None,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
) -> ir.Model:
    """Trace a TensorFlow function into a model of one signature, its variables' values those of now.

    A `tf.function` is made concrete with `input_signature` (what it takes as such), or with the shapes and
    types of `example_inputs`, dimension 0 dynamic. `inputs` and `outputs` name its tensors otherwise than the
    function does; `shapes` and `batch` as for SavedModels. Raises UnsupportedError listing all that has no
    importer.
    """
    check_sizes(shapes or {}, batch)
    concrete = _made_concrete(function, example_inputs, input_signature)
    graph = GraphDef()
    graph.ParseFromString(concrete.graph.as_graph_def(add_shapes=True).SerializeToString())
    functions = {definition.signature.name: definition for definition in graph.library.function}
    tracer = Tracer(functions, _OpDefs(), run)
    entry = _Entry(concrete, {node.name: node for node in graph.node}, inputs, outputs)
    check_names(entry.inputs, shapes or {})

    def trace() -> dict[str, ir.Signature]:
        return {SIGNATURE: entry.trace(tracer, shapes or {}, batch)}

    return trace_model(tracer, trace, [], entry.name)


def trace_model_object(
    model: Any,
    *,
    example_inputs: Sequence[Any] | None = None,
    input_signature: Sequence[Any] | None = None,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | None = None,
    run: Runner | None = None,
) -> ir.Model:
    """Trace a Keras model of the TensorFlow backend through its `call`, whatever Python code that is.

    The shapes of the inputs are those that the model was built for; where it was not, give one of
    `example_inputs` and `input_signature` (one item per argument of the model's `call`).
    """
    tensorflow = sys.modules["tensorflow"]
    given = None
    if input_signature is not None or example_inputs is not None:
        given = _specs(example_inputs, input_signature)
    arguments = given if given is not None else _built_for(model)
    accepts_training = "training" in inspect.signature(model.call).parameters
    options = {"training": False} if accepts_training else {}
    function = tensorflow.function(lambda *args: model(*args, **options))
    names = getattr(model, "input_names", None) if given is None else None
    results = getattr(model, "output_names", None)
    return trace_concrete(
        function.get_concrete_function(*arguments),
        shapes=shapes,
        batch=batch,
        run=run,
        inputs=list(names) if names else None,
        outputs=list(results) if results else None,
    )


class _Entry:
    """A concrete function's own graph: names, order and structure of its tensors, and what it captures."""

    def __init__(
        self,
        concrete: Any,
        nodes: Mapping[str, NodeDef],
        inputs: Sequence[str] | None,
        outputs: Sequence[str] | None,
    ) -> None:
        self.concrete, self.nodes = concrete, nodes
        self.name = str(concrete.name)
        _refuse_composites(concrete)
        tensors = list(concrete.graph.inputs)
        captured = list(concrete.captured_inputs)
        own = len(tensors) - len(captured)
        self._placeholders = [nodes[tensor.op.name] for tensor in tensors[:own]]
        self._captures = list(zip((tensor.op.name for tensor in tensors[own:]), captured, strict=True))
        held = list(concrete.graph.variables)
        keys = _distinct([str(variable.name).partition(":")[0] for variable in held])
        self._variables = {
            id(variable.handle): (variable, key) for variable, key in zip(held, keys, strict=True)
        }
        self._results = [tensor.name for tensor in concrete.graph.outputs]
        self._effects = sorted(op.name for op in concrete.graph.control_outputs)
        names = [_user_name(node) for node in self._placeholders]
        self.inputs = list(inputs) if inputs is not None and len(inputs) == own else _distinct(names)
        found = list(_result_names(concrete.structured_outputs, ""))
        if outputs is not None and len(outputs) == len(self._results) and not any(found):
            found = list(outputs)
        self.outputs = [name or f"output_{index}" for index, name in enumerate(found)]
        if len(self.outputs) != len(self._results):
            self.outputs = [f"output_{index}" for index in range(len(self._results))]

    def trace(self, tracer: Tracer, shapes: Mapping[str, Any], batch: int | None) -> ir.Signature:
        """Trace the graph."""
        b = Builder(Graph(SIGNATURE), tracer.run)
        arguments: dict[str, Any] = {}
        for name, node in zip(self.inputs, self._placeholders, strict=True):
            own = shape_from_proto(node.attr["shape"].shape)
            type = input_type(name, dtype_of(node.attr["dtype"].type), own, shapes.get(name), batch)
            value = b.add_input(type, f"{SIGNATURE}_{name}:0")
            arguments[node.name] = as_complex(b, value) if value.dtype.is_complex else value
        for name, tensor in self._captures:
            arguments[name] = self._captured(b, tracer, tensor)
        results = tracer.evaluate(b, Frame(self.nodes, arguments), self._results, self._effects)
        b.graph.set_outputs(
            as_output(b, result, reference) for result, reference in zip(results, self._results, strict=True)
        )
        return ir.Signature(b.graph, self.inputs, self.outputs)

    def _captured(self, b: Builder, tracer: Tracer, tensor: Any) -> Any:
        """Return what a captured tensor stands for: a variable, or a constant."""
        if id(tensor) in self._variables:
            variable, key = self._variables[id(tensor)]
            sizes = None if variable.shape.rank is None else tuple(variable.shape.as_list())
            held = tracer.variable(key, dtype_of(variable.dtype.as_datatype_enum), sizes)
            if held.initial is None:
                held.initial = np.asarray(variable.numpy())
            return held
        if tensor.dtype.name in ("resource", "variant"):
            raise UnsupportedError(
                Unsupported(
                    "captured object",
                    f"the function uses {getattr(tensor, 'name', 'an object')}, which is no variable",
                    hint=_EXPORT,
                )
            )
        return b.const(np.asarray(tensor.numpy()))


class _OpDefs(Mapping[str, Any]):
    """TensorFlow's definitions of operations, by its own registry."""

    def __init__(self) -> None:
        self._registry = sys.modules["tensorflow.python.framework.op_def_registry"]
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            found = self._registry.get(name)
            if found is None:
                raise KeyError(name)
            definition = OpDef()
            definition.ParseFromString(found.SerializeToString())
            self._known[name] = definition
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _made_concrete(
    function: Any, example_inputs: Sequence[Any] | None, input_signature: Sequence[Any] | None
) -> Any:
    if hasattr(function, "captured_inputs"):
        if example_inputs is not None or input_signature is not None:
            raise ConvertError("a concrete function has its inputs already: leave the example inputs out")
        return function
    try:
        return function.get_concrete_function(*_specs(example_inputs, input_signature))
    except (TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConvertError(
            f"the function cannot be traced ({reason}): give example_inputs= or input_signature="
        ) from error


def _specs(example_inputs: Sequence[Any] | None, input_signature: Sequence[Any] | None) -> list[Any]:
    """Return the arguments to trace with: specifications as given, or those of examples at any batch."""
    if input_signature is not None:
        return _as_list(input_signature)
    spec, nest = sys.modules["tensorflow"].TensorSpec, sys.modules["tensorflow"].nest

    def described(example: Any) -> Any:
        array = np.asarray(example)
        dtype = np.dtype(np.float32) if array.dtype == np.float64 else array.dtype
        return spec(
            [None, *array.shape[1:]] if array.ndim else [], dtype if dtype.kind not in "OSU" else "string"
        )

    return [nest.map_structure(described, example) for example in _as_list(example_inputs or ())]


def _as_list(arguments: Any) -> list[Any]:
    return list(arguments) if isinstance(arguments, (list, tuple)) else [arguments]


def _built_for(model: Any) -> list[Any]:
    """Return what a model is called with, by the inputs or the first call that it was built for."""
    tensorflow = sys.modules["tensorflow"]

    def spec(x: Any) -> Any:
        shape = [None if size is None else int(size) for size in x.shape]
        shape = [None, *shape[1:]] if shape else shape
        return tensorflow.TensorSpec(shape, x.dtype, name=str(x.name).partition(":")[0] if x.name else None)

    inputs = getattr(model, "inputs", None)
    if inputs is not None:
        structure = getattr(model, "_inputs_struct", None)
        if structure is None:
            structure = inputs[0] if len(inputs) == 1 else model.input
        return [tensorflow.nest.map_structure(spec, structure)]
    recorded = _recorded(model)
    if not recorded:
        raise ConvertError(
            f"model {model.name} was never called, so that nothing says what its inputs are: "
            "give example_inputs= or input_signature="
        )
    return [tensorflow.nest.map_structure(spec, item) for item in recorded]


def _recorded(model: Any) -> list[Any]:
    """Return the arguments of a subclassed model's first call, as its framework remembers them."""
    if hasattr(model, "save_spec"):  # tf_keras
        recorded = model.save_spec()
        return [] if recorded is None else list(recorded[0])
    library = sys.modules.get("keras.src.export.export_utils")
    try:
        return [] if library is None else _as_list(library.get_input_signature(model))
    except ValueError:
        return []


def _refuse_composites(concrete: Any) -> None:
    arguments, options = concrete.structured_input_signature
    for item in sys.modules["tensorflow"].nest.flatten([arguments, options]):
        if type(item).__name__ in ("SparseTensorSpec", "RaggedTensorSpec"):
            raise UnsupportedError(
                Unsupported(
                    "composite tensor",
                    "an argument of the function is a sparse or ragged tensor, which TFLite does not have",
                    hint="convert a function over dense tensors",
                )
            )


def _user_name(node: NodeDef) -> str:
    """Return what the user calls an input: the argument or the name of its specification."""
    given = node.attr["_user_specified_name"].s.decode() if "_user_specified_name" in node.attr else ""
    return given or str(node.name)


def _distinct(names: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    found = []
    for name in names:
        number = counts.get(name, 0)
        counts[name] = number + 1
        found.append(f"{name}_{number}" if number else name)
    return found


def _result_names(structure: Any, key: str) -> Iterator[str]:
    """Yield the names of the results in TensorFlow's order: keys of dictionaries, "" where there is none."""
    if isinstance(structure, Mapping):
        for name in sorted(structure):
            yield from _result_names(structure[name], f"{key}_{name}" if key else str(name))
    elif isinstance(structure, (list, tuple)):
        for item in structure:
            yield from _result_names(item, key)
    elif structure is not None:
        yield key
