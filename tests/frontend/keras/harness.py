"""Differential testing of Keras models: build with a framework, save, convert, run in LiteRT, compare.

`check(build, ...)` is the whole interface, with `layer` and `layers` to make `build` from single layers, and
`refused` for what must not convert. Integers, booleans and strings must agree exactly, floats within a
relative error (max|a-b| / max|reference|).

    check(layer(lambda k: k.layers.Dense(4, activation="relu"), (8,)))
    check(layers(lambda k: {"same": k.layers.Conv1D(4, 3, padding="same"), ...}, (None, 3)))
    check(layer(lambda k: k.layers.Embedding(9, 4), spec((6,), "int32")), integers(9))
    check(layer(lambda k: k.layers.Add(), (8,), (8,)))
"""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

import litecast  # noqa: E402
from litecast.errors import UnsupportedError  # noqa: E402
from tests.reference import operators  # noqa: E402

Array = np.ndarray
Build = Callable[[Any], Any]
Fill = Callable[[np.random.Generator, Sequence[int], Any], Array]

FRAMEWORKS = {"keras": keras, "tf_keras": tf_keras}
BOTH, KERAS, TF_KERAS = ("keras", "tf_keras"), ("keras",), ("tf_keras",)
FORMATS = ("keras", "h5")
EVERY_FORMAT = ("keras", "h5", "directory", "json", "legacy", "memory")
BATCHES, SIZES = (1, 3), (5, 8)
TOLERANCE, LOOSEST = 1e-5, 1e-4
HALF_TOLERANCE = 4e-3
"""Of outputs that the framework computes in float16 or bfloat16, of which bfloat16 has 8 significant bits."""
KEPT = ("rnn_state", "seed_generator_state", "sampling_state", "_scale", "_zero", "_zero_point", "g_idx")
"""How the names of variables end whose values belong together, or to training."""


@dataclass(frozen=True)
class Spec:
    """One input: its shape without the batch (None: unknown), element type, batch and name."""

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    batch: int | None = None
    name: str | None = None

    def input(self, k: Any) -> Any:
        """The framework's symbolic input."""
        return k.Input(self.shape, batch_size=self.batch, dtype=self.dtype, name=self.name)


def spec(
    shape: Sequence[int | None], dtype: str = "float32", batch: int | None = None, name: str | None = None
) -> Spec:
    """An input of any element type, also at a fixed batch."""
    return Spec(tuple(shape), dtype, batch, name)


def layer(make: Build, *specs: Any, call: Callable[..., Any] | None = None) -> Build:
    """Build a model of the layer that `make(k)` gives, on inputs of those shapes (or `spec`s).

    One input is handed over as it is, several as a list; `call(layer, *inputs)` calls it otherwise.
    """

    def build(k: Any) -> Any:
        inputs = [_spec(item).input(k) for item in specs]
        return k.Model(inputs if len(inputs) > 1 else inputs[0], _apply(make(k), inputs, call))

    return build


def layers(
    make: Callable[[Any], Mapping[str, Any]], *specs: Any, call: Callable[..., Any] | None = None
) -> Build:
    """Build one model of all layers that `make(k)` gives by name, each on the same inputs, with an output
    of its own: many options for the price of one conversion. A failure names the outputs that differ.
    """

    def build(k: Any) -> Any:
        inputs = [_spec(item).input(k) for item in specs]
        outputs = {name: _apply(item, inputs, call) for name, item in make(k).items()}
        return k.Model(inputs if len(inputs) > 1 else inputs[0], outputs)

    return build


def _spec(item: Any) -> Spec:
    return item if isinstance(item, Spec) else Spec(tuple(item))


def _apply(made: Any, inputs: list[Any], call: Callable[..., Any] | None) -> Any:
    if call is not None:
        return call(made, *inputs)
    return made(inputs if len(inputs) > 1 else inputs[0])


# -- checking ------------------------------------------------------------------------------------------


def check(
    build: Build,
    *inputs: Any,
    frameworks: Sequence[str] = BOTH,
    formats: Sequence[str] = FORMATS,
    batches: Sequence[int] = BATCHES,
    sizes: Sequence[Any] = SIZES,
    tolerance: float = TOLERANCE,
    states: str = "variables",
    calls: int = 1,
    ops: Sequence[str] | None = None,
    random: bool = True,
    static: bool = True,
    **options: Any,
) -> litecast.Converted:
    """Build with every framework, convert from every format, and compare at every batch; return the last.

    Args:
        build: gives the model, from the framework's module.
        inputs: an array for each input (its rows are repeated or cut to each batch), a function (rng, shape,
            dtype) of one, or None; inputs that are not given are random by their element type.
        frameworks: of `keras` and `tf_keras`.
        formats: of `EVERY_FORMAT`.
        batches: what an unknown batch is tried at.
        sizes: what other unknown dimensions are then tried at: a number for all of them, or a tuple in the
            order in which they stand.
        tolerance: allowed relative error, at most 1e-4.
        states, options: of `litecast.convert`.
        calls: how often the model is called in a row, on new inputs; more than one for a model with state,
            which is otherwise run again on its first inputs and must give the same.
        ops: the operations that must remain, in order.
        random: whether to fill all weights with random values (else they stay as `build` left them).
        static: whether to convert for batch 1 too.
    """
    assert tolerance <= LOOSEST
    converted = None
    for framework in frameworks:
        model = built(framework, build, random=random)
        runs = [
            [_arrays(model, inputs, batch, size, call) for call in range(calls)]
            for batch, size in zip(batches, _cycled(sizes, len(batches)), strict=True)
        ]
        with tempfile.TemporaryDirectory() as folder:
            saved = {form: save(FRAMEWORKS[framework], model, form, Path(folder)) for form in formats}
            expected = [_expected(model, steps) for steps in runs]
            for index, (form, (source, extra)) in enumerate(saved.items()):
                arguments = {"states": states, **extra, **options}
                where = f"{framework}, {form}"
                converted = litecast.convert(source, **arguments)
                assert_builtin(converted)
                _compare_runs(converted, model, runs, expected, tolerance, where)
                if ops is not None:
                    assert operations(converted) == list(ops), where
                if static and index == 0 and calls == 1 and 1 in batches and _open_batch(model):
                    at = list(batches).index(1)
                    fixed = litecast.convert(source, batch=1, **arguments)
                    assert_builtin(fixed)
                    assert all(info.shape[0] == 1 for info in _signature(fixed).inputs if info.shape)
                    _compare_runs(fixed, model, [runs[at]], [expected[at]], tolerance, f"{where}, batch=1")
    assert converted is not None
    return converted


def refused(
    build: Build,
    *patterns: str,
    frameworks: Sequence[str] = BOTH,
    formats: Sequence[str] = FORMATS,
    error: type[Exception] = UnsupportedError,
    **options: Any,
) -> None:
    """Assert that the model is refused, with every pattern (a regular expression) in the error."""
    for framework in frameworks:
        model = built(framework, build)
        with tempfile.TemporaryDirectory() as folder:
            for form in formats:
                source, extra = save(FRAMEWORKS[framework], model, form, Path(folder))
                with pytest.raises(error) as caught:
                    litecast.convert(source, **extra, **options)
                for pattern in patterns:
                    assert caught.match(pattern)


def operations(converted: litecast.Converted) -> list[str]:
    """Names of the operations of the converted graph, in order."""
    signature = next(iter(litecast.load(converted.path).signatures.values()))
    return [node.op.name for node in signature.graph.nodes]


def assert_builtin(converted: litecast.Converted) -> None:
    """Assert that only builtin operators are in the file."""
    foreign = {name for name in operators(converted.content) if name.startswith("CUSTOM")}
    assert not foreign, f"not builtin: {sorted(foreign)}"


def _cycled(items: Sequence[Any], count: int) -> list[Any]:
    return [items[index % len(items)] for index in range(count)]


# -- models --------------------------------------------------------------------------------------------


def built(framework: str, build: Build, *, random: bool = True) -> Any:
    """The model, its weights random (see `randomize`)."""
    module = FRAMEWORKS[framework]
    module.utils.set_random_seed(1)
    model = build(module)
    if random:
        randomize(model)
    return model


def randomize(model: Any, seed: int = 1) -> None:
    """Give every float variable random values: kernels that keep the scale of what they multiply, variances
    and scales around 1, all others around 0. Integers and what goes with them stay.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        name = weight.name.split("/")[-1].split(":")[0]
        dtype = tf.as_dtype(weight.dtype)
        if dtype.is_floating and not name.endswith(KEPT):
            weight.assign(tf.cast(_random_weight(rng, name, tuple(weight.shape)), dtype))
    for item in _flat_layers(model):
        if type(item).__name__ == "Normalization" and item.input_mean is None:
            item.finalize_state()


def _random_weight(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    if "variance" in name or name.endswith(("gamma", "scale")):
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) < 2:
        return rng.normal(0, 0.3, shape)
    fan = np.prod(shape[:-1])
    return rng.normal(0, 1 / np.sqrt(fan), shape)


def _flat_layers(model: Any) -> Iterator[Any]:
    for item in getattr(model, "layers", ()):
        yield item
        yield from _flat_layers(item)


def save(k: Any, model: Any, form: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Save in one of `EVERY_FORMAT`; return what `litecast.convert` takes: the source and options."""
    path = folder / f"model.{form}"
    if form == "memory":
        return model, {}
    if form in FORMATS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that HDF5 is legacy
            model.save(path)
        return path, {}
    if form == "directory":
        model.save(folder / "zipped.keras")
        with zipfile.ZipFile(folder / "zipped.keras") as archive:
            archive.extractall(path)
        return path, {}
    path = folder / f"{form}.json"
    path.write_text(model.to_json())
    weights = folder / ("model.weights.h5" if form == "json" else "model_weights.h5")
    if form == "json":
        model.save_weights(weights)
    else:
        _save_legacy_weights(k, model, weights)
    return path, {"weights": weights}


def _save_legacy_weights(k: Any, model: Any, path: Path) -> None:
    """The weights file of Keras 2; Keras 3 still writes that layout inside its whole-model HDF5."""
    if k is tf_keras:
        model.save_weights(path)
        return
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


# -- running -------------------------------------------------------------------------------------------


def structure(model: Any) -> Any:
    """The model's symbolic inputs as it takes them."""
    return model.inputs[0] if type(model).__name__ == "Sequential" else model.input


def symbolic_inputs(model: Any) -> list[Any]:
    """The model's inputs in its own order."""
    return [tensor for _, tensor in leaves(structure(model))]


def _open_batch(model: Any) -> bool:
    return all(tensor.shape[0] is None for tensor in symbolic_inputs(model))


def _arrays(model: Any, given: Sequence[Any], batch: int, size: Any, call: int) -> list[Array]:
    """The contents of each input at one batch and size."""
    rng = np.random.default_rng((batch, call))
    sizes = iter(size) if isinstance(size, tuple) else None
    arrays = []
    for index, tensor in enumerate(symbolic_inputs(model)):
        dtype = tf.as_dtype(tensor.dtype)
        what = given[index] if index < len(given) else None
        if what is not None and not callable(what):
            rows = np.asarray(what)
            count = batch if tensor.shape[0] is None else len(rows)
            arrays.append(rows[(np.arange(count) + call) % len(rows)] if rows.ndim else rows)
            continue
        first = [batch if tensor.shape[0] is None else tensor.shape[0]] if len(tensor.shape) else []
        rest = [(size if sizes is None else next(sizes)) if dim is None else dim for dim in tensor.shape[1:]]
        arrays.append((what or sample)(rng, (*first, *rest), dtype.as_numpy_dtype))
    return arrays


def sample(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Array:
    """Random contents: normal floats, small integers that are not negative, coin tosses, digits."""
    if np.dtype(dtype).kind == "O":
        return rng.integers(0, 9, shape).astype(str).astype(object)
    if np.dtype(dtype).kind == "b":
        return rng.random(shape) < 0.5
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 5, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def integers(high: int, low: int = 0) -> Fill:
    """Integers of `low` to `high` - 1, in whatever element type the input has."""
    return lambda rng, shape, dtype: rng.integers(low, high, shape).astype(dtype)


def uniform(low: float = 0.0, high: float = 1.0) -> Fill:
    """Floats between two bounds."""
    return lambda rng, shape, dtype: rng.uniform(low, high, shape).astype(dtype)


def call(model: Any, arrays: Sequence[Array]) -> Any:
    """The framework's own answer, in inference mode."""
    return model(_packed(structure(model), iter(arrays)), training=False)


def _packed(shape: Any, arrays: Iterator[Array]) -> Any:
    if isinstance(shape, Mapping):
        return {key: _packed(item, arrays) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)):
        return type(shape)([_packed(item, arrays) for item in shape])
    return tf.constant(next(arrays))


def _expected(model: Any, steps: Sequence[Sequence[Array]]) -> list[dict[str, Array]]:
    for item in _flat_layers(model):
        if getattr(item, "stateful", False):
            for reset in ("reset_states", "reset_state"):
                if hasattr(item, reset):
                    getattr(item, reset)()
                    break
    return [dict(flatten(call(model, arrays))) for arrays in steps]


def leaves(nest: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) of a structure of dicts, lists and tuples, in its own order."""
    if isinstance(nest, Mapping):
        for key, item in nest.items():
            yield from leaves(item, f"{path}/{key}" if path else str(key))
    elif isinstance(nest, (list, tuple)):
        for index, item in enumerate(nest):
            yield from leaves(item, f"{path}/{index}" if path else str(index))
    else:
        yield path, nest


def flatten(nest: Any) -> Iterator[tuple[str, Array]]:
    """(path, array) of every tensor of a result."""
    return ((path, np.asarray(leaf)) for path, leaf in leaves(nest))


def _signature(converted: litecast.Converted) -> Any:
    (signature,) = converted.signatures.values()
    return signature


def _compare_runs(
    converted: litecast.Converted,
    model: Any,
    runs: Sequence[Sequence[Sequence[Array]]],
    expected: Sequence[Sequence[Mapping[str, Array]]],
    tolerance: float,
    where: str,
) -> None:
    first: dict[str, Array] | None = None
    problems: list[str] = []
    for steps, references in zip(runs, expected, strict=True):
        converted.runtime.reset()
        state: dict[str, Array] = {}
        for index, (arrays, reference) in enumerate(zip(steps, references, strict=True)):
            outputs, state = _run(converted, model, arrays, len(reference), state)
            place = f"{where}, batch {_batch(arrays)}" + (f", call {index}" if len(steps) > 1 else "")
            problems += _problems(outputs, reference, tolerance, place)
            first = outputs if first is None else first
    assert not problems, "\n".join(problems)
    if len(runs[0]) == 1 and first is not None:
        again, _ = _run(converted, model, runs[0][0], len(expected[0][0]), {})
        for name, array in first.items():
            np.testing.assert_array_equal(again[name], array, err_msg=f"{where}: {name}, called again")


def _batch(arrays: Sequence[Array]) -> int:
    return len(arrays[0]) if arrays and arrays[0].ndim else 0


def _run(
    converted: litecast.Converted, model: Any, arrays: Sequence[Array], outputs: int, state: dict[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Run once; return the model's own outputs, and what its states (as inputs) are for the next call."""
    infos = _signature(converted).inputs
    names = _names(model, [info.name for info in infos])
    feeds = dict(zip(names, arrays, strict=False))
    extra = [info for info in infos if info.name not in feeds]
    for info in extra:
        feeds[info.name] = state.get(info.name, np.zeros(info.shape, info.dtype))
    results = converted(**feeds)
    own = dict(list(results.items())[:outputs])
    rest = [array for name, array in results.items() if name not in own]
    assert len(rest) == len(extra), f"states in: {[info.name for info in extra]}, outputs: {list(results)}"
    return own, {info.name: array for info, array in zip(extra, rest, strict=True)}


def _names(model: Any, there: Sequence[str]) -> list[str]:
    """What the file calls the model's inputs: by key, else by the input's own name, else by position."""
    found = list(leaves(structure(model)))
    for names in ([path for path, _ in found], [tensor.name for _, tensor in found]):
        if set(names) <= set(there):
            return names
    return list(there[: len(found)])


def _problems(
    outputs: Mapping[str, Array], reference: Mapping[str, Array], tolerance: float, where: str
) -> list[str]:
    """What is wrong with the outputs: matched by name where the names are the same, else by position."""
    if len(outputs) != len(reference):
        return [f"{where}: outputs {list(outputs)}, not {list(reference)}"]
    if outputs.keys() == reference.keys():
        pairs = [(name, outputs[name], want) for name, want in reference.items()]
    else:
        values = zip(outputs.items(), reference.values(), strict=True)
        pairs = [(name, got, want) for (name, got), want in values]
    found = [(name, _problem(got, want, tolerance)) for name, got, want in pairs]
    return [f"{where}: {name}: {problem}" for name, problem in found if problem]


def _problem(got: Array, want: Array, tolerance: float) -> str:
    """What is wrong with one output; half floats of the framework are float32 here."""
    half = np.dtype(want.dtype).name in ("float16", "bfloat16")
    tolerance = HALF_TOLERANCE if half else tolerance
    if want.dtype.kind in "OSU":
        same = [_text(item) for item in got.ravel()] == [_text(item) for item in want.ravel()]
        return "" if same else f"{got!r}, not {want!r}"
    if got.shape != want.shape:
        return f"shape {got.shape}, not {want.shape}"
    if got.dtype != want.dtype and not (got.dtype == np.float32 and (half or want.dtype == np.float64)):
        return f"element type {got.dtype}, not {want.dtype}"
    if want.dtype.kind in "biu":
        count = int((got != want).sum())
        return f"{count} of {want.size} values differ" if count else ""
    got, want = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(want)
    if not np.array_equal(got[~finite], want[~finite], equal_nan=True):
        return "not finite in other places"
    if not finite.any():
        return ""
    error = np.abs(got[finite] - want[finite]).max() / max(np.abs(want[finite]).max(), 1e-30)
    return "" if error <= tolerance else f"relative error {error:.3g}"


def _text(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode()
