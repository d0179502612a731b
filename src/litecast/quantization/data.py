"""Calibration data: whatever it comes as, a stream of checked samples, one in memory at a time.

Forms of a data set: an iterable (also a generator), a callable that returns one, a dict of arrays, an `.npz`,
a directory, or `module:function`. Forms of a sample: a dict by input, a list in the model's order, one array
for the only input, each also as a pair with the key of a signature before it, and `Steps` of several. A dict
of arrays holds one sample where all arrays have their input's shape; otherwise all hold as many samples:
stacked along a new dimension 0, or along the model's where that is 1 or unknown.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from litecast.compare import check_arrays_file, read_reference
from litecast.errors import ConvertError, FormatError, QuantizationError
from litecast.ir.op import Array
from litecast.quantization.lint import DataWarning, Lint
from litecast.report import SignatureInfo, TensorInfo

__all__ = ["Calibration", "Images", "Sample", "Steps"]

IMAGES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Sample:
    """Inputs of one call, by name. `restart`: state begins anew with it."""

    index: int
    signature: str
    inputs: dict[str, Array]
    restart: bool = False


@dataclass(frozen=True)
class Steps:
    """Samples that follow each other in time: state begins anew with the first and lasts to the last."""

    samples: Iterable[Any]


@dataclass(frozen=True)
class Images:
    """How an image of a directory becomes an input: `(pixel - mean) / std`, pixels from 0 to 255."""

    mean: float | Sequence[float]
    std: float | Sequence[float]


class Calibration:
    """A data set for the signatures of a model (see `report.describe`); iterate over it to get its samples.

    `images` says how images become numbers, which only an input of floats needs; `declared` are the ranges
    that the model's preprocessing gives, by input name. `warnings` are complete behind the last sample.
    Raises QuantizationError, naming sample, input, what is expected and what was got, for a sample that does
    not fit; an exception of the data set itself is the cause of one.
    """

    def __init__(
        self,
        source: Any,
        signatures: Mapping[str, SignatureInfo],
        *,
        images: Images | None = None,
        declared: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.source, self.signatures, self.images = source, signatures, images
        self._declared = dict(declared or {})
        self.warnings: list[DataWarning] = []

    @property
    def size(self) -> int | None:
        """How many samples there are, for a progress bar; None where that is not known ahead."""
        counted = isinstance(self.source, Sequence) and not isinstance(self.source, str)
        if counted and not any(isinstance(item, Steps) for item in self.source):
            return len(self.source)
        return None

    def __iter__(self) -> Iterator[Sample]:
        """Yield the checked samples; an empty data set is an error."""
        lint = Lint(self.signatures, self._declared)
        index = 0
        for item, restart in self._items():
            key, inputs = self._named(item, index)
            info = self.signatures[key]
            for port in info.inputs:
                inputs[port.name] = _checked(inputs[port.name], port, index)
            lint.see(key, inputs, index)
            yield Sample(index, key, inputs, restart)
            index += 1
        if not index:
            raise QuantizationError("there are no calibration samples: the data set is empty")
        self.warnings = lint.warnings()

    # -- data sets ---------------------------------------------------------------------------------------

    def _items(self) -> Iterator[tuple[Any, bool]]:
        """Yield the samples as they come, and whether state begins anew."""
        index = 0
        stream = self._opened()
        while True:
            try:
                item = next(stream)
            except StopIteration:
                return
            except ConvertError:
                raise
            except Exception as error:
                kind = type(error).__name__
                raise QuantizationError(
                    f"the calibration data raises {kind} at sample {index}: {error}"
                ) from error
            yield item
            index += 1

    def _opened(self) -> Iterator[tuple[Any, bool]]:
        source = self.source
        if isinstance(source, (str, PathLike)):
            source = self._from_path(fspath(source))
        if callable(source):
            source = source()
        if isinstance(source, Mapping):
            source = self._stacked(source)
        if isinstance(source, np.ndarray):
            source = self._stacked({self._only(source): source})
        if not isinstance(source, Iterable):
            raise QuantizationError(f"a {type(source).__name__} is no calibration data")
        for item in source:
            if isinstance(item, Steps):
                yield from ((step, place == 0) for place, step in enumerate(item.samples))
            else:
                yield item, False

    def _only(self, what: Any) -> str:
        info = self.signatures[self._signature(what)]
        if len(info.inputs) != 1:
            raise QuantizationError(
                f"the calibration data is one array, the model takes the inputs {_names(info)}"
            )
        return info.inputs[0].name

    def _from_path(self, source: str) -> Any:
        path = Path(source)
        if path.is_dir():
            return self._files(path)
        if path.suffix == ".npz" or path.is_file():
            return _archive(path)
        module, colon, name = source.partition(":")
        if not colon:
            raise FormatError(source, "there is no such file or directory, and it is no module:function")
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise QuantizationError(f"calibration data {source}: {error}") from error
        if not callable(found):
            raise QuantizationError(f"calibration data {source}: it is a {type(found).__name__}, no function")
        return found

    def _files(self, folder: Path) -> Iterator[Any]:
        """Yield a sample per `.npy` and image and the samples of each `.npz`, in the order of their names."""
        paths = [
            path for path in sorted(folder.iterdir()) if path.suffix.lower() in {".npy", ".npz"} | IMAGES
        ]
        if not paths:
            raise FormatError(folder, "holds no .npy, .npz or image")
        for path in paths:
            if path.suffix.lower() == ".npz":
                found = _archive(path)
                if isinstance(found, list):
                    yield Steps(found)
                else:
                    yield from self._stacked(found)
            elif path.suffix.lower() == ".npy":
                yield _array(path)
            else:
                yield self._image(path)

    def _image(self, path: Path) -> Array:
        port = self._image_port(path)
        try:
            from PIL import Image
        except ImportError:
            raise QuantizationError(f"{path}: images need Pillow: pip install pillow") from None
        height, width, channels = (port.shape or ())[-3:]
        try:
            with Image.open(path) as image:
                picture = image.convert(_MODES[channels or 0])
                if height and width:
                    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
                pixels = np.asarray(picture, np.uint8).reshape(*picture.size[::-1], channels or 0)
        except OSError as error:
            raise FormatError(path, f"cannot be read as an image ({error})") from error
        if port.dtype == "float32" and self.images is not None:
            pixels = ((pixels - np.asarray(self.images.mean)) / np.asarray(self.images.std)).astype(
                np.float32
            )
        return pixels[None] if len(port.shape or ()) == 4 else pixels

    def _image_port(self, path: Path) -> TensorInfo:
        """Return the only input, which must be one for images, in NHWC or HWC."""
        info = self.signatures[self._signature(path)]
        port = info.inputs[0] if len(info.inputs) == 1 else None
        dims = port.shape if port is not None else None
        if port is None or dims is None or len(dims) not in (3, 4) or dims[-1] not in _MODES:
            raise QuantizationError(f"{path}: the model's inputs are no image: {_names(info)}")
        if port.dtype not in ("float32", "uint8"):
            raise QuantizationError(f"{path}: an image does not become {port}; give arrays")
        if port.dtype == "float32" and self.images is None:
            raise QuantizationError(
                f"{path}: say how the model takes images: a mean and a deviation such as 127.5 and 127.5 for "
                "-1 to 1, 0 and 255 for 0 to 1, or 0 and 1 for pixels as they are"
            )
        return port

    def _stacked(self, arrays: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the samples of a dict of arrays."""
        key = self._signature(arrays)
        ports = {port.name: port for port in self.signatures[key].inputs}
        held = {name: np.asarray(array) for name, array in arrays.items()}
        pairs = [(held[name], port) for name, port in ports.items() if name in held]
        whole = all(_is_sample(*pair) for pair in pairs) and not any(_is_stack(*pair) for pair in pairs)
        counts = {port.name: _counted(array, port) for array, port in pairs}
        if whole or held.keys() != ports.keys() or None in counts.values():
            yield key, arrays  # what does not fit is told when it is checked
            return
        if len(set(counts.values())) != 1:
            each = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise QuantizationError(
                f"the calibration data must hold as many samples of each input, not {each}"
            )
        for place in range(next(iter(counts.values())) or 0):
            yield key, {name: _part(held[name], place, port) for name, port in ports.items()}

    # -- samples -----------------------------------------------------------------------------------------

    def _signature(self, what: Any) -> str:
        """Return the key of the signature that a sample without one is for."""
        keys = list(self.signatures)
        if len(keys) == 1:
            return keys[0]
        names = set(what) if isinstance(what, Mapping) else None
        fitting = [key for key in keys if names == {port.name for port in self.signatures[key].inputs}]
        if len(fitting) == 1:
            return fitting[0]
        raise QuantizationError(
            f"the model has the signatures {', '.join(keys)}: give calibration samples as (signature, sample)"
        )

    def _named(self, item: Any, index: int) -> tuple[str, dict[str, Any]]:
        """Return the signature and the inputs by name of a sample in any form."""
        key = None
        if isinstance(item, tuple) and len(item) == 2 and (item[0] is None or isinstance(item[0], str)):
            key, item = item
            if key is not None and key not in self.signatures:
                raise QuantizationError(
                    f"calibration sample {index} is of signature {key!r}; there are "
                    f"{', '.join(self.signatures)}"
                )
        key = self._signature(item) if key is None else key
        ports = self.signatures[key].inputs
        if isinstance(item, Mapping):
            if set(item) != {port.name for port in ports}:
                raise QuantizationError(
                    f"calibration sample {index}: expected are the inputs {_names(self.signatures[key])}, "
                    f"given {', '.join(map(str, item)) or 'none'}"
                )
            return key, dict(item)
        given = list(item) if isinstance(item, (list, tuple)) else [item]
        if len(given) != len(ports):
            raise QuantizationError(
                f"calibration sample {index}: expected are {len(ports)} inputs "
                f"({_names(self.signatures[key])}), given {len(given)}"
            )
        return key, {port.name: array for port, array in zip(ports, given, strict=True)}


def _names(info: SignatureInfo) -> str:
    return ", ".join(map(str, info.inputs))


def _checked(given: Any, port: TensorInfo, index: int) -> Array:
    """Return an input as an array; QuantizationError where it does not fit. Lists take the input's type."""
    place = f"calibration sample {index}: input {port.name}"
    if hasattr(given, "numpy") and callable(given.numpy):
        given = given.numpy()
    text = port.dtype == "string"
    try:
        plain = None if hasattr(given, "dtype") else np.dtype(object if text else port.dtype)
        array = np.asarray(given, plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise QuantizationError(f"{place}: expected is {port}, given is no such array ({error})") from error
    kind = "string" if array.dtype.kind in "OSU" else array.dtype.name
    if kind != port.dtype or not _is_sample(array, port):
        dims = ",".join(map(str, array.shape))
        raise QuantizationError(f"{place}: expected is {port}, given {kind}[{dims}]")
    if array.dtype.kind in "fc" and np.isnan(array).any():
        raise QuantizationError(f"{place} holds NaN ({int(np.isnan(array).sum())} of {array.size})")
    return array


def _is_sample(array: Array, port: TensorInfo) -> bool:
    """Whether an array has the shape of one sample."""
    dims = port.shape
    return dims is None or (
        len(dims) == array.ndim
        and all(want in (None, have) for want, have in zip(dims, array.shape, strict=True))
    )


def _is_stack(array: Array, port: TensorInfo) -> bool:
    """Whether an array of the shape of one sample is rather taken as many: dimension 0 is a batch's."""
    dims = port.shape
    return dims is not None and len(dims) > 1 and dims[0] is None and array.shape[0] != 1


def _counted(array: Array, port: TensorInfo) -> int | None:
    """Return how many samples an array holds, None where its shape is that of none."""
    dims = port.shape
    if dims is None or not array.ndim:
        return None
    if array.ndim == len(dims) + 1:
        return len(array)
    return len(array) if array.ndim == len(dims) and dims[0] in (1, None) else None


def _part(array: Array, place: int, port: TensorInfo) -> Array:
    part: Array = array[place] if array.ndim > len(port.shape or ()) else array[place : place + 1]
    return part


def _array(path: Path) -> Array:
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(path, f"cannot be read as an .npy ({error})") from error
    return array


def _archive(path: Path) -> Any:
    """Return an `.npz` as a dict of arrays, or as the samples of the steps of a reference (see `compare`)."""
    check_arrays_file(path)
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            return archive
        with archive:
            names = [name for name in archive.files if name != "meta"]
            if not any("::" in name for name in names):
                return {name: archive[name] for name in names}
    except Exception as error:  # numpy raises many kinds for a broken archive
        raise FormatError(path, f"cannot be read as an .npz ({error})") from error
    return [(step.signature, step.inputs) for step in read_reference(path)]
