"""Real trained models of Keras 2.4 and 2.14 as `.h5`, against their framework's outputs; no Keras needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import litecast
from tests.reference import operators, relative_error, run, shape_signatures, steps

MODELS = ("resnet8", "vww", "ad", "sww")
TOLERANCE = 1e-5

WITHOUT_FRAMEWORKS = """
import sys
for name in ("tensorflow", "keras", "tf_keras", "jax"):
    sys.modules[name] = None
import litecast
litecast.convert(sys.argv[1], reference=sys.argv[2], tolerance=float(sys.argv[3]))
"""


@pytest.mark.parametrize("name", MODELS)
def test_outputs(shared: Path, name: str) -> None:
    folder = shared / "models" / name
    content = litecast.convert(folder / "model.h5").content
    assert not {found for found in operators(content) if found.startswith("CUSTOM")}
    calls = steps(folder / "io.npz")
    assert calls
    errors = {place: relative_error(output, wanted) for place, output, wanted in run(content, calls)}
    assert not {place: error for place, error in errors.items() if not error < TOLERANCE}


@pytest.mark.parametrize("name", MODELS)
def test_no_framework_is_imported(shared: Path, name: str) -> None:
    folder = shared / "models" / name
    command = [sys.executable, "-c", WITHOUT_FRAMEWORKS, str(folder / "model.h5"), str(folder / "io.npz")]
    done = subprocess.run([*command, str(TOLERANCE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_batch(shared: Path, name: str) -> None:
    """The batch stays unknown, or is what is asked for."""
    source = shared / "models" / name / "model.h5"
    (shape,) = shape_signatures(litecast.convert(source).content, "serving_default").values()
    assert shape[0] == -1
    (fixed,) = shape_signatures(litecast.convert(source, batch=2).content, "serving_default").values()
    assert fixed == [2, *shape[1:]]
