"""The public functions: load a source, convert it, save it, run it and verify it."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from litecast.compare import TOLERANCE, Step, Verification, check, read_reference
from litecast.errors import ConvertError, FormatError, InternalError, VerificationError
from litecast.files import replacing
from litecast.ir.graph import Model
from litecast.report import Report, SignatureInfo, describe, op_counts, weight_bytes
from litecast.sources import DEFAULTS, TFLITE, kind_of, name_of, read_source

if TYPE_CHECKING:
    from litecast.quantization.recipe import Recipe
    from litecast.tflite.metadata import Conversion
    from litecast.tflite.runtime import Runtime

__all__ = ["Converted", "convert", "load", "quantize", "save", "verify"]

Source = str | PathLike[str]
How: TypeAlias = "str | PathLike[str] | Recipe | Mapping[str, Any]"
Progress = Callable[[str], None]
Phase = Callable[[str], AbstractContextManager[None]]
UNKNOWN_SIZES = ((1, 1), (32, 1), (256, 1), (12, 12))
"""What unknown dimensions, and the first one of an input, are tried as when LiteRT checks a result."""


class Converted:
    """A converted model: a `.tflite` in a temporary file that lives as long as this object, and the report.

    Calling it runs it in LiteRT: `converted(image)` or `converted(image=image)` for a single signature, else
    with `signature=`; it returns the outputs by name. One interpreter serves all calls, so variables keep
    their state.
    """

    def __init__(self, path: Path, report: Report) -> None:
        self.path = path
        self.report = report
        self._runtime: Runtime | None = None

    @property
    def content(self) -> bytes:
        """The bytes of the `.tflite`."""
        return self.path.read_bytes()

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """Inputs and outputs of every signature, in the model's order."""
        return self.report.signatures

    @property
    def runtime(self) -> Runtime:
        """The interpreter that calls run on."""
        if self._runtime is None:
            from litecast.tflite.runtime import Runtime

            self._runtime = Runtime(self.path, label=_described(self.report))
        return self._runtime

    def save(self, path: Source) -> Path:
        """Write the `.tflite` to `path` (whole or not at all) and return the path."""
        import shutil

        with replacing(path) as temporary:
            shutil.copyfile(self.path, temporary)
        return Path(path)

    def __call__(self, *inputs: Any, signature: str | None = None, **named: Any) -> dict[str, Any]:
        """Run a signature on arrays, in the model's order or by name; return its outputs by name."""
        if inputs and named:
            raise ConvertError("give the inputs either in order or by name")
        return self.runtime.run(named or list(inputs), signature=signature)


def load(
    source: Any,
    *,
    signatures: str | Sequence[str] | None = None,
    tags: str | Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | None = None,
    weights: Source | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    states: str = "variables",
    example_inputs: Sequence[Any] | None = None,
    input_signature: Sequence[Any] | None = None,
) -> Model:
    """Read a source of any kind (see `convert`) into the IR, without optimising it.

    Options that the kind of source does not have are a ConvertError. Raises FormatError for what is missing,
    broken or no model.
    """
    return read_source(source, _reading(locals()))


def convert(
    source: Any,
    *,
    output: Source | None = None,
    signatures: str | Sequence[str] | None = None,
    tags: str | Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | None = None,
    weights: Source | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    states: str = "variables",
    example_inputs: Sequence[Any] | None = None,
    input_signature: Sequence[Any] | None = None,
    quantize: How | None = None,
    reference: Source | None = None,
    tolerance: float = TOLERANCE,
    conversion_metadata: bool = True,
    progress: Progress | None = None,
) -> Converted:
    """Convert a SavedModel or a Keras model to a `.tflite`, check it, and return it.

    Args:
        source: a SavedModel directory or URL; a Keras model: `.keras`, `.h5`, `config.json` or a model in
            memory (of Keras or tf_keras, any backend); a TensorFlow function; or a `.tflite` file to optimise
            again.
        output: where to write the result, whole or not at all; None: a temporary file.
        signatures: key or keys of the signatures of a SavedModel to convert; None: all.
        tags: the tags of the meta graph of a SavedModel; None: `serve`, or the only one.
        shapes: shapes of inputs by name, None or -1 for a dimension that stays dynamic.
        batch: size of dimension 0 of every input where it is unknown.
        weights: the weights of a Keras model whose source is its config.
        custom_objects: lowerings of the model's own Keras layers by class name (see `litecast.keras`).
        states: how stateful Keras layers keep state: in "variables", or as inputs and outputs ("io").
        example_inputs: inputs to trace a model or function in memory with, where nothing says what it takes.
        input_signature: their types and shapes instead, as `tf.TensorSpec`.
        quantize: a mode, a recipe or the file of one (see `quantize`); None: the weights stay as they are.
        reference: an `.npz` of inputs and outputs to compare with; VerificationError on a mismatch.
        tolerance: relative error (max|a-b| / max|reference|) that the comparison allows.
        conversion_metadata: write the `CONVERSION_METADATA` entry.
        progress: called with the name of each phase as it starts.

    The result always passes the IR verifier and is allocated by LiteRT (memory-mapped, without delegates).
    Raises FormatError for a bad file, UnsupportedError listing all that cannot be converted, and
    QuantizationError for a quantization that cannot be done.
    """
    reading = _reading(locals())
    report = Report(source=name_of(source))
    recipe = None if quantize is None else _recipe(quantize)
    phase = _phase(report, progress)

    def build(path: Path) -> None:
        with phase("read"):
            model = read_source(source, reading)
            _check_recorded(model, source)
        report.notes = model.notes
        _optimise(model, report, phase)
        if recipe is not None:
            model = _quantize(model, recipe, report, phase)
        _write(model, path, report, phase, conversion_metadata)
        _compare(path, report, phase, reference, tolerance)

    if output is not None:
        _keep([source, weights], output)
    return _built(build, output, report)


def quantize(
    source: Source | Model,
    mode: How = "dynamic",
    *,
    output: Source | None = None,
    reference: Source | None = None,
    tolerance: float = TOLERANCE,
    conversion_metadata: bool = True,
    progress: Progress | None = None,
) -> Converted:
    """Quantize a float `.tflite`, or a Model (which is not changed), check the result, and return it.

    Args:
        source: a `.tflite`, which is optimised first, or a Model, which is taken as it is.
        mode: "float16", "dynamic", "weights", "int4", "int4-block32" (64, 128, 256) or "int2"; a Recipe, or
            a mapping or a `.json` or `.toml` file of one: `mode` and `rules`, each with a `scheme` and the
            `path`, `op` and `signature` that it is for.
        output, reference, tolerance, conversion_metadata, progress: as for `convert`.

    Raises QuantizationError for a recipe that the model or the runtime cannot follow. `report.quantization`
    says what was done, and what stays in float and why.
    """
    if not isinstance(source, Model):
        if kind_of(source) is not TFLITE:
            hint = "convert(source, quantize=...), or litecast convert --quantize, does both at once"
            raise ConvertError(f"{fspath(source)}: quantize takes a .tflite; {hint}")
        return convert(
            source,
            output=output,
            quantize=mode,
            reference=reference,
            tolerance=tolerance,
            conversion_metadata=conversion_metadata,
            progress=progress,
        )
    float_model, recipe = source, _recipe(mode)
    report = Report(source="a model in memory", notes=source.notes)
    phase = _phase(report, progress)

    def build(path: Path) -> None:
        model = _quantize(float_model, recipe, report, phase)
        _prepare(model)
        _write(model, path, report, phase, conversion_metadata)
        _compare(path, report, phase, reference, tolerance)

    return _built(build, output, report)


def _phase(report: Report, progress: Progress | None) -> Phase:
    def phase(name: str) -> AbstractContextManager[None]:
        if progress is not None:
            progress(name)
        return report.phase(name)

    return phase


def _recipe(how: How) -> Recipe:
    from litecast.quantization.recipe import recipe_of

    return recipe_of(how)


def _quantize(model: Model, recipe: Recipe, report: Report, phase: Phase) -> Model:
    """Return the quantized model and report it."""
    from litecast.ir.verify import verify as verify_ir
    from litecast.quantization.model import quantized

    with phase("quantize"):
        result, report.quantization = quantized(model, recipe)
        verify_ir(result)
    _describe(result, report)
    return result


def _describe(model: Model, report: Report) -> None:
    report.signatures = describe(model)
    report.ops = op_counts(model)
    report.weights = weight_bytes(model)


def _built(build: Callable[[Path], None], output: Source | None, report: Report) -> Converted:
    """Let `build` write `output`, whole or not at all, or a file that lives as long as the result."""
    if output is not None:
        with replacing(output) as temporary:
            build(temporary)
        return Converted(Path(output), report)
    converted = Converted(_temporary_path(), report)
    weakref.finalize(converted, converted.path.unlink, missing_ok=True)
    build(converted.path)
    return converted


def _reading(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments of a call that say how its source is read."""
    return {name: arguments[name] for name in DEFAULTS}


def _keep(sources: Sequence[Any], output: Source) -> None:
    """Raise FormatError where the output would take the place of a source."""
    for source in sources:
        on_disk = isinstance(source, (str, os.PathLike)) and os.path.exists(source)
        if on_disk and os.path.exists(output) and os.path.samefile(output, source):
            raise FormatError(output, "is the source itself", "Name another output")


def _described(report: Report) -> str:
    return f"the model converted from {report.source}"


def _check_recorded(model: Model, source: Any) -> None:
    """Raise FormatError where what a `.tflite` records of its tensors contradicts its operations."""
    from litecast.ir.verify import verify as verify_ir

    if kind_of(source) is not TFLITE:
        return
    try:
        verify_ir(model)
    except InternalError as error:
        raise FormatError(
            source, f"this TFLite model contradicts itself: {str(error).splitlines()[0]}"
        ) from error


def _optimise(model: Model, report: Report, phase: Phase) -> None:
    from litecast.ir.verify import verify as verify_ir
    from litecast.passes import optimize
    from litecast.tflite.metadata import drop_numbered
    from litecast.tflite.runtime import evaluate

    with phase("optimise"):
        drop_numbered(model)
        report.rewrites = dict(optimize(model, run=evaluate))
    with phase("verify"):
        verify_ir(model)
    _describe(model, report)


def _write(model: Model, path: Path, report: Report, phase: Phase, conversion_metadata: bool) -> None:
    """Write the model to `path` and let LiteRT allocate it."""
    from litecast.tflite.metadata import min_runtime
    from litecast.tflite.writer import write_to

    with phase("write"):
        with open(path, "w+b") as file:
            write_to(model, file, conversion_metadata=conversion_metadata and _conversion(model, report))
        report.size = path.stat().st_size
        report.min_runtime = min_runtime(model)
    with phase("allocate"):
        _allocate(path, _described(report))


def _conversion(model: Model, report: Report) -> Conversion | bool:
    """Return what CONVERSION_METADATA says: True keeps what there is, or says nothing in particular."""
    from litecast.tflite.metadata import CONVERSION, Conversion

    done = report.quantization
    if done is None or not done.schemes:
        return True
    from litecast.quantization.model import CONVERSION_MODES

    entry = model.metadata.get(CONVERSION)
    try:
        known = Conversion() if entry is None else Conversion.unpack(entry)
    except ValueError:  # it is of no use to anybody
        known = Conversion()
    mode = CONVERSION_MODES.get(done.recipe, CONVERSION_MODES["dynamic"])
    return replace(known, modes=tuple(dict.fromkeys((*known.modes, mode))))


def _allocate(path: Path, label: str) -> None:
    """Let LiteRT prepare the model, unknown dimensions as small as it takes (one pixel may be too small)."""
    refusals: list[ConvertError] = []
    for unknown, first in UNKNOWN_SIZES:
        refusal = _refusal(path, unknown, first, label)
        if refusal is None:
            return
        refusals.append(refusal)
    raise refusals[0]


def _refusal(path: Path, unknown: int, first: int, label: str) -> ConvertError | None:
    """Return why LiteRT refuses the model with unknown dimensions of those sizes, None where it does not."""
    from litecast.tflite.runtime import Runtime

    try:
        Runtime(path, delegate=False, label=label).allocate(unknown, first)
    except ConvertError as error:
        return error
    return None


def _compare(path: Path, report: Report, phase: Phase, reference: Source | None, tolerance: float) -> None:
    """Raise VerificationError where the result is not the reference, if there is one."""
    if reference is None:
        return
    with phase("compare"):
        result = verify(Converted(path, report), reference, tolerance=tolerance)
    if not result.ok:
        worst = result.worst
        note = f" ({worst.note})" if worst.note else ""
        raise VerificationError(
            f"the result differs from {fspath(reference)}: output {worst.output} in step {worst.step} has "
            f"relative error {worst.relative:.3g}, allowed is {tolerance:g}{note}"
        )


def save(model: Model, path: Source, *, conversion_metadata: bool = True) -> Path:
    """Write a Model as a `.tflite`, whole or not at all, and return the path.

    Operations that only exist inside Litecast are expanded in the model itself; nothing else is optimised.
    """
    from litecast.tflite.writer import write_to

    _prepare(model)
    with replacing(path) as temporary, open(temporary, "w+b") as file:
        write_to(model, file, conversion_metadata=conversion_metadata)
    return Path(path)


def _prepare(model: Model) -> None:
    """Expand operations that only exist inside Litecast."""
    from litecast.passes import prepare
    from litecast.tflite.metadata import drop_numbered
    from litecast.tflite.runtime import evaluate

    if prepare(model, evaluate):
        drop_numbered(model)


def verify(
    model: Source | bytes | Converted, reference: Source | Sequence[Step], *, tolerance: float = TOLERANCE
) -> Verification:
    """Run a `.tflite` (path, bytes or Converted) on a reference's steps and compare the outputs."""
    from litecast.tflite.runtime import Runtime

    if isinstance(model, Converted):
        runtime = Runtime(model.path, label=_described(model.report))
    else:
        runtime = Runtime(model)
    steps = read_reference(reference) if isinstance(reference, (str, os.PathLike)) else list(reference)
    return check(runtime, steps, tolerance)


def _temporary_path() -> Path:
    handle, name = tempfile.mkstemp(suffix=".tflite", prefix="litecast-")
    os.close(handle)
    return Path(name)
