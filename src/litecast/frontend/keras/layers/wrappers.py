"""Layers around other layers: Bidirectional and TimeDistributed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from litecast.frontend.keras.config import LayerConfig, parse
from litecast.frontend.keras.importer import Masked, keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.recurrent import CELLS
from litecast.frontend.keras.network import flatten, map_leaves
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array, reduce
from litecast.ops import Add, Mul

__all__: list[str] = []

WRAPPED = ("layer",)
"""The wrapped layer, which the importers read from `layer.config`: the name is that of their own layer."""
MERGES: dict[str | None, Callable[[Builder, Value, Value], Any]] = {
    "concat": lambda b, y, back: array.concat(b, [y, back], -1),
    "sum": lambda b, y, back: b(Add(), y, back),
    "ave": lambda b, y, back: b(Mul(), b(Add(), y, back), 0.5),
    "mul": lambda b, y, back: b(Mul(), y, back),
    None: lambda b, y, back: [y, back],
}
TAKES_ZEROS = {*CELLS, "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
"""Layers in which Bidirectional sets `zero_output_for_mask`."""


@keras("Bidirectional", harmless=WRAPPED)
def bidirectional(
    b: Builder,
    sequences: Any,
    initial_state: Any = None,
    constants: Any = None,
    *,
    layer: Layer,
    mask: Any,
    merge_mode: str | None = "concat",
    backward_layer: Any = None,
    num_constants: int = 0,
) -> Any:
    forward = layer.config["layer"]
    backward = _reversed(forward) if backward_layer is None else backward_layer
    options = parse(forward).config
    if isinstance(sequences, (list, tuple)):  # tf_keras gives initial states and constants with the input
        sequences, rest = sequences[0], list(sequences[1:])
        constants = rest[len(rest) - num_constants :] or constants
        initial_state = rest[: len(rest) - num_constants] or initial_state
    states = [] if initial_state is None else list(initial_state)
    half = len(states) // 2
    given = {} if constants is None else {"constants": constants}
    mask = next(flatten(mask), None) if isinstance(mask, (list, tuple)) else mask
    results = []
    for prefix, serialized, first in (
        ("forward_", forward, states[:half]),
        ("backward_", backward, states[half:]),
    ):
        inner = layer.child(f"{prefix}layer", _direction(serialized, prefix))
        result = inner(b, sequences, initial_state=first or None, mask=mask, **given)
        results.append(result if isinstance(result, list) else [result])
    (y, *after), (back, *after_back) = results
    returns_sequences = bool(options.get("return_sequences"))
    if returns_sequences:
        back = array.reverse(b, back, (0 if options.get("time_major") else 1,))
    merged = MERGES[merge_mode](b, y, back)
    merged = map_leaves(lambda value: Masked(value, mask if returns_sequences else None), merged)
    if not (after or after_back):
        return merged
    return [*(merged if isinstance(merged, list) else [merged]), *after, *after_back]


def _reversed(serialized: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a layer that reads its input the other way round."""
    config = serialized["config"]
    return {**serialized, "config": {**config, "go_backwards": not config.get("go_backwards")}}


def _direction(serialized: Mapping[str, Any], prefix: str) -> LayerConfig:
    """Return the layer of one direction as Bidirectional makes it: renamed, and masked steps give zeros."""
    info = parse(serialized)
    config = dict(info.config)
    if info.class_name in TAKES_ZEROS:
        config["zero_output_for_mask"] = bool(config.get("return_sequences"))
    return replace(info, name=prefix + info.name.removeprefix(prefix), config=config)


@keras("TimeDistributed", harmless=WRAPPED)
def time_distributed(b: Builder, inputs: Any, *, layer: Layer, mask: Any) -> Any:
    inner = layer.child("layer", layer.config["layer"])
    first = next(flatten(inputs))
    batch, steps = first.shape[:2]
    if _keeps_state(inner.config):
        return _one_by_one(b, inner, inputs, layer, mask)

    def merged(x: Value | None) -> Value | None:
        return None if x is None else array.reshape(b, x, (batch * steps, *x.shape[2:]))

    def separate(x: Value | None) -> Value | None:
        return None if x is None else array.reshape(b, x, (batch, steps, *x.shape[1:]))

    masks = iter(flatten(mask))
    given = map_leaves(lambda x: Masked(merged(x), merged(next(masks, None))), inputs)
    results = inner.masked(b, given)
    # Keras 3 hands its mask on; tf_keras asks the inner layer, and falls back to what its mask says of steps.
    whole = next(flatten(mask), None)

    def result(masked: Masked) -> Masked:
        own = separate(masked.mask) if layer.is_legacy else None
        return Masked(separate(masked.value), _per_step(b, whole) if own is None else own)

    return map_leaves(result, results)


def _per_step(b: Builder, mask: Value | None) -> Value | None:
    """Return whether anything in a step counts."""
    if mask is None or mask.rank <= 2:
        return mask
    result: Value = reduce.any_(b, mask, range(2, mask.rank))
    return result


def _keeps_state(config: Any) -> bool:
    """Whether a layer, or one in it, is stateful."""
    if isinstance(config, Mapping):
        return bool(config.get("stateful")) or any(map(_keeps_state, config.values()))
    return isinstance(config, (list, tuple)) and any(map(_keeps_state, config))


def _one_by_one(b: Builder, inner: Layer, inputs: Any, layer: Layer, mask: Any) -> Any:
    """Call a layer that keeps state for one step after the other."""
    first = next(flatten(inputs))
    steps = first.shape[1]
    if not isinstance(steps, int) or any(part is not None for part in flatten(mask)):
        raise layer.unsupported(
            "the layer in it is stateful, and the number of steps is not known or there is a mask",
            "fix the number of steps, and mask inside",
        )
    pieces = [array.unpack(b, x, 1) for x in flatten(inputs)]
    results = []
    # tf_keras runs the first step once more to learn its shape (`rnn` in backend.py), which counts.
    for step in [*([0] if layer.is_legacy else []), *range(steps)]:
        parts = iter(pieces)
        results.append(inner(b, map_leaves(lambda _, step=step, parts=parts: next(parts)[step], inputs)))
    results = results[-steps:]
    columns = zip(*map(flatten, results), strict=True)
    packed = iter([array.pack(b, list(column), 1) for column in columns])
    return map_leaves(lambda _: next(packed), results[0])


@keras("Wrapper", harmless=WRAPPED, refused="it is an abstract class without a call")
def wrapper(b: Builder, *inputs: Any, layer: Layer) -> Any:
    raise layer.unsupported("it is an abstract class without a call", "use the layer in it")
