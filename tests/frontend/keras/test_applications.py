"""Every family of `keras.applications`, from the files of both Kerases: against Keras's outputs, and against
the same model converted from its SavedModel (of families that are hard models too: test_models.py).
Widths of the heavy ones are cut (tests/models/keras_files.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import litecast
from litecast import Converted
from tests.models import APPLICATIONS, NotBuiltError, build
from tests.reference import operators, relative_error, steps

FILES = ("keras.keras", "keras.h5", "tf_keras.keras", "tf_keras.h5")
TOLERANCE = 1e-4  # deep networks of random weights magnify what is rounded


def _outputs(converted: Converted, images: list[np.ndarray]) -> list[np.ndarray]:
    (name,) = (info.name for info in converted.signatures["serving_default"].outputs)
    return [converted(batch)[name] for batch in images]


def _check(converted: Converted, folder: Path, twin: Converted | None) -> None:
    calls = steps(folder / "io.npz")
    assert not {name for name in operators(converted.content) if name.startswith("CUSTOM")}
    images = [next(iter(call.inputs.values())) for call in calls]
    outputs = _outputs(converted, images)
    for output, call in zip(outputs, calls, strict=True):
        assert relative_error(output, *call.outputs.values()) < TOLERANCE
    if twin is not None:
        for output, other in zip(outputs, _outputs(twin, images), strict=True):
            assert relative_error(output, other) < TOLERANCE
        assert sum(converted.report.ops.values()) <= sum(twin.report.ops.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_family(name: str) -> None:
    try:
        folder = build(name)
    except NotBuiltError as reason:
        pytest.skip(str(reason))
    saved = folder / "saved_model"
    twin = litecast.convert(saved, signatures="serving_default") if saved.is_dir() else None
    files = [folder / file for file in FILES if (folder / file).is_file()]
    assert len(files) in (2, 4)
    for file in files:
        converted = litecast.convert(file)
        _check(converted, folder, twin)
        (output,) = converted.signatures["serving_default"].outputs
        assert output.name.lower().endswith(("predictions", "head_dense")), file
