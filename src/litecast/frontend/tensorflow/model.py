"""A SavedModel as a Model: variables restored, every signature traced into a graph of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from litecast.errors import ConvertError, InternalError, Unsupported, UnsupportedError
from litecast.frontend.entry import check_names, check_sizes, input_type
from litecast.frontend.tensorflow import ops  # noqa: F401  (fills the importer table)
from litecast.frontend.tensorflow.attributes import dtype_of
from litecast.frontend.tensorflow.functions import Functions, flatten
from litecast.frontend.tensorflow.object_graph import ObjectGraph, TensorSpec
from litecast.frontend.tensorflow.saved_model import SavedModelSource, Signature
from litecast.frontend.tensorflow.state import Variable, init_graph
from litecast.frontend.tensorflow.tracer import Frame, Tracer, node_name
from litecast.ir import graph as ir
from litecast.ir.builder import Builder, Runner
from litecast.ir.graph import Graph, Value
from litecast.ir.types import DType
from litecast.lib.complex import Complex, as_complex, to_tensor
from litecast.ops import Cast

__all__ = ["as_output", "trace_model", "trace_saved_model"]

ROUNDS = 10
"""Traces after which no further variable may turn out to be written."""
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})


def trace_saved_model(
    source: SavedModelSource,
    *,
    signatures: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | None = None,
    run: Runner | None = None,
) -> ir.Model:
    """Trace the signatures (default: all) of a SavedModel.

    `shapes` fixes inputs by name (None or -1: still unknown), `batch` every unknown dimension 0 of an input.
    Raises UnsupportedError listing all that has no importer, ConvertError for an unknown signature or input.
    """
    check_sizes(shapes or {}, batch)
    functions = Functions(source) if _has_all(source, signatures) else Functions.of(source)
    chosen, notes = _choose(source, functions, signatures)
    check_names((name for signature in chosen for name in signature.inputs), shapes or {})
    tracer = Tracer(
        source.functions, source.op_defs, run, source.checkpoint if _needs_checkpoint(source) else None
    )
    _initialise(tracer, source)
    functions.restore(tracer)
    return trace_model(
        tracer, lambda: _trace_all(tracer, source, chosen, shapes or {}, batch), notes, source.url
    )


def trace_model(
    tracer: Tracer, trace: Callable[[], dict[str, ir.Signature]], notes: list[str], url: str
) -> ir.Model:
    """Trace until no further variable turns out to be written, and make the model of the signatures.

    Raises UnsupportedError listing all that has no importer.
    """
    for _ in range(ROUNDS):
        tracer.retrace = False
        tracer.missing.clear()
        tracer.dropped.clear()
        traced = trace()
        if not tracer.retrace:
            break
    else:
        raise InternalError(f"{url}: after {ROUNDS} traces, more variables turn out to be written")
    if tracer.missing:
        raise UnsupportedError(dict.fromkeys(tracer.missing))
    model = ir.Model(traced, init_graph(list(tracer.variables.values()), tracer.run), notes=notes)
    if tracer.dropped:
        counts = ", ".join(f"{op} {len(names)}" for op, names in sorted(tracer.dropped.items()))
        notes.append(f"left out, for they only check, print or save: {counts}")
    if _is_narrowed(model):
        notes.append("float64 arithmetic is done in float32 (7 digits): LiteRT has no kernels for it")
    return model


def _is_narrowed(model: ir.Model) -> bool:
    """Whether any operation but the source's own casts takes float64 to float32."""
    narrowing = Cast(DType.FLOAT64, DType.FLOAT32)
    nodes = (node for graph in model.all_graphs() for node in graph.nodes)
    return any(node.op == narrowing and node.loc.op != "Cast" for node in nodes)


def _has_all(source: SavedModelSource, wanted: Sequence[str] | None) -> bool:
    """Whether signatures are all that is asked for; else the model's functions are looked at too."""
    return bool(source.signatures) and all(key in source.signatures for key in wanted or ())


def _choose(
    source: SavedModelSource, functions: Functions, wanted: Sequence[str] | None
) -> tuple[list[Signature], list[str]]:
    """Return the signatures to trace, and a note on what is left out.

    Keras exports its one function twice, as `serve` and as `serving_default`; like the official converter,
    keep the latter only, so that a signature runner needs no key.
    """
    found = {**functions.signatures, **source.signatures}
    if not found:
        raise ConvertError(
            f"{source.url}: the SavedModel has no signature and no function, so nothing says what its inputs "
            "are. Save it with tf.saved_model.save(model, path, signatures=...)"
        )
    if wanted is None and not source.signatures:
        nearest = functions.nearest()
        note = f"the model has no signatures: its functions are converted ({', '.join(nearest)})"
        return list(nearest.values()), [note + functions.further(nearest)]
    if wanted is None:
        chosen = dict(source.signatures)
        twins = [chosen.get(key) for key in ("serve", "serving_default")]
        if twins[0] is None or twins[1] is None or _entry(source, twins[0]) != _entry(source, twins[1]):
            return list(chosen.values()), []
        del chosen["serve"]
        return list(chosen.values()), ["signature serve is left out: it is the same as serving_default"]
    unknown = [key for key in wanted if key not in found]
    if unknown:
        named = source.signatures or functions.nearest()
        raise ConvertError(
            f"{source.url}: no signature {unknown[0]!r}; the model has: {', '.join(named)}"
            + functions.further(named, unknown[0])
        )
    return [found[key] for key in wanted], []


def _needs_checkpoint(source: SavedModelSource) -> bool:
    return source.has_variables or any(node.op in _VARIABLES for node in source.graph.node)


def _initialise(tracer: Tracer, source: SavedModelSource) -> None:
    """Restore the variables and run the initialiser, by tracing them into a graph that is thrown away."""
    b = Builder(Graph("init"), tracer.run)
    tracer.initialising = True
    if source.restore is not None and tracer.checkpoint is not None:
        prefix = b.const(np.array(b"variables", object))
        frame = Frame(source.nodes, {node_name(source.restore.filename): prefix})
        tracer.evaluate(b, frame, [], [source.restore.op])
        if tracer.missing:
            raise UnsupportedError(dict.fromkeys(tracer.missing))
    if source.init_op is not None:
        assets = {
            node_name(asset.tensor): b.const(np.array(str(asset.path).encode(), object))
            for asset in source.assets
        }
        tracer.evaluate(b, Frame(source.nodes, assets), [], [source.init_op])
        tracer.missing.clear()  # what only an initialiser needs is reported where a signature reads it
    tracer.initialising = False
    _restore_captures(tracer, b, source)


def _restore_captures(tracer: Tracer, b: Builder, source: SavedModelSource) -> None:
    """Restore, by the object graph, the captured variables that the graph's own restore leaves out.

    Keras 3 variables below a `tf.Module` are saved as copies: the graph restores these, while the signatures
    call their functions on the originals, which only the loading of objects fills.
    """
    objects, known = source.object_graph, source.variable_keys
    functions = set(objects.concrete_functions()) if objects is not None and known else set()
    for node in source.graph.node:
        name = node.attr["f"].func.name if "f" in node.attr else ""
        if objects is None or name not in functions:
            continue
        bound = objects.concrete_function(name).bound_inputs
        operands = [reference for reference in node.input if not reference.startswith("^")]
        for reference, item in zip(reversed(operands), reversed(bound), strict=False):
            handle = source.nodes.get(node_name(reference))
            if item in known and handle is not None and handle.op == "VarHandleOp":
                (variable,) = tracer.evaluate(b, Frame(source.nodes), [reference])
                if variable.initial is None:
                    variable.initial = source.checkpoint.tensor(known[item])


def _trace_all(
    tracer: Tracer,
    source: SavedModelSource,
    chosen: Sequence[Signature],
    shapes: Mapping[str, Any],
    batch: int | None,
) -> dict[str, ir.Signature]:
    traced: dict[str, ir.Signature] = {}
    entries: dict[Any, ir.Signature] = {}
    for signature in chosen:
        entry = _entry(source, signature)
        if entry not in entries:
            entries[entry] = _trace(tracer, source, signature, shapes, batch)
        traced[signature.key] = entries[entry]
    return traced


def _entry(source: SavedModelSource, signature: Signature) -> Any:
    """Return what tells whether two signatures are one: the function behind their wrappers, and names."""
    calls = set()
    for name, spec in signature.outputs.items():
        node = source.nodes.get(node_name(spec.name))
        if node is None or "f" not in node.attr:
            return signature.key
        wrapper = source.functions.get(node.attr["f"].func.name)
        inner = [] if wrapper is None else [called for called in wrapper.node_def if "f" in called.attr]
        if wrapper is None or len(inner) != 1:
            return signature.key
        captures = tuple(node.input[len(signature.inputs) :])
        call = (inner[0].attr["f"].func.name, tuple(inner[0].input), captures)
        calls.add((name, spec.name.partition(":")[2], tuple(sorted(wrapper.ret.items())), call))
    return (frozenset(calls), tuple(signature.inputs), tuple(signature.outputs))


def _trace(
    tracer: Tracer,
    source: SavedModelSource,
    signature: Signature,
    shapes: Mapping[str, Any],
    batch: int | None,
) -> ir.Signature:
    b = Builder(Graph(signature.key), tracer.run)
    inputs, outputs = _input_order(source, signature), sorted(signature.outputs, key=_natural)
    arguments: dict[str, Any] = {}
    for name in inputs:
        spec = _tensor(signature.inputs[name], signature, name)
        type = input_type(name, dtype_of(spec.dtype), spec.shape, shapes.get(name), batch)
        value = b.add_input(type, f"{signature.key}_{name}:0")
        arguments[node_name(spec.name)] = as_complex(b, value) if value.dtype.is_complex else value
    references = [_tensor(signature.outputs[name], signature, name).name for name in outputs]
    results = tracer.evaluate(b, Frame(source.nodes, arguments), references)
    b.graph.set_outputs(
        as_output(b, result, reference) for result, reference in zip(results, references, strict=True)
    )
    return ir.Signature(b.graph, inputs, outputs)


def _tensor(spec: TensorSpec, signature: Signature, name: str) -> TensorSpec:
    if spec.components:
        raise UnsupportedError(
            Unsupported(
                "composite tensor",
                f"{name} of signature {signature.key} is a sparse or ragged tensor, "
                "which TFLite does not have",
                hint="export a signature over dense tensors",
            )
        )
    return spec


def as_output(b: Builder, result: Any, reference: str) -> Value:
    """Return what a signature hands out for a result: its tensor, named by the reference."""
    if isinstance(result, Variable):
        result = result.read(b)
    if isinstance(result, Complex):
        result = to_tensor(b, result)
    if not isinstance(result, Value):
        raise ConvertError(f"the output {reference} is no tensor but a {type(result).__name__}")
    if result.producer is not None and result.use_count == 0:
        result.name = reference
    return result


def _natural(name: str) -> list[Any]:
    """Sort output_2 before output_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _input_order(source: SavedModelSource, signature: Signature) -> list[str]:
    """Return the input names in the order of the user's function, which only the object graph remembers."""
    names = set(signature.inputs)
    if source.object_graph is not None:
        for order in _argument_orders(source.object_graph):
            if len(order) == len(names) and set(order) == names:
                return order
        return sorted(names, key=_natural)
    position = {name: index for index, name in enumerate(source.nodes)}
    return sorted(names, key=lambda name: position.get(node_name(signature.inputs[name].name), 0))


def _argument_orders(objects: ObjectGraph) -> list[list[str]]:
    """Return the tensor names of every function's arguments, in order.

    Signature wrappers, whose arguments are sorted by name, come last.
    """
    orders = []
    for function in objects.functions():
        for name in function.concrete_functions:
            specs = flatten(objects.concrete_function(name).inputs)
            orders.append((function.path.startswith("signatures"), [spec.name for spec in specs]))
    return [order for _, order in sorted(orders, key=lambda pair: pair[0])]
