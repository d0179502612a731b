"""The hard models' own promises: their record can be read, and the cache rebuilds when a builder changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import models
from tests.reference import Step, relative_error, steps, varying


def test_recorded_steps_run_in_order(tmp_path: Path) -> None:
    arrays = {"meta": np.array("{}"), "001::b::in::x": np.ones(2), "000::a::out::y": np.zeros(1)}
    np.savez(tmp_path / "io.npz", **arrays)
    first, second = steps(tmp_path / "io.npz")
    assert (first.signature, list(first.outputs), first.inputs) == ("a", ["y"], {})
    assert (second.signature, list(second.inputs)) == ("b", ["x"])


def test_varying_axes_are_found() -> None:
    calls = [Step("s", {"x": np.zeros((size, 4)), "y": np.zeros(())}) for size in (1, 3)]
    assert varying([*calls, Step("other", {"x": np.zeros((7, 7))})]) == {("s", "x", 0)}


@pytest.mark.parametrize(
    ("output", "reference", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([1.0], [1.0, 2.0], float("inf")),
        ([float("nan"), 2.0], [1.0, 2.0], float("inf")),
        ([0.1], [0.0], float("inf")),
        ([], [], 0.0),
    ],
)
def test_relative_error(output: list[float], reference: list[float], error: float) -> None:
    assert relative_error(np.array(output), np.array(reference)) == pytest.approx(error)


def test_every_stamp_differs() -> None:
    stamps = {name: model.stamp() for name, model in models.MODELS.items()}
    assert len(set(stamps.values())) == len(stamps)


def test_a_model_that_cannot_be_built_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITECAST_TEST_CACHE", str(tmp_path))
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(models.NotBuiltError, match=r"python -m tests\.models lstm"):
        models.build("lstm")
