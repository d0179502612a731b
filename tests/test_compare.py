"""Comparison with references: one meaning of relative error, and what a reference file may hold."""

import numpy as np
import pytest

from litecast.compare import Step, check, compare, read_reference
from litecast.errors import ConvertError, FormatError


@pytest.mark.parametrize(
    ("actual", "reference", "relative", "ok"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0, True),
        ([1.0, 2.1], [1.0, 2.0], 0.05, False),
        ([1e-5], [0.0], 1e-5, True),  # a reference of zeros: the absolute error
        ([np.nan, 1.0], [np.nan, 1.0], 0.0, True),
        ([np.inf, -np.inf], [np.inf, -np.inf], 0.0, True),
        ([np.inf], [-np.inf], np.inf, False),
        ([np.nan], [1.0], np.inf, False),
        ([1.0], [[1.0]], np.inf, False),
        ([1, 2], [1, 3], 1 / 3, False),
        ([True, False], [True, True], np.inf, False),
        ([2**53 + 1], [2**53], 2.0**-53, True),
        ([1 + 1j], [1 + 1j], 0.0, True),
        ([b"a"], [b"a"], 0.0, True),
        ([b"a"], [b"b"], np.inf, False),
        ([], [], 0.0, True),
    ],
)
def test_compare(actual, reference, relative, ok):
    found = compare(np.array(actual), np.array(reference))
    assert found[1] == pytest.approx(relative)
    assert found[3] is ok


def test_cosine_sees_direction():
    assert compare(np.array([0.0, 2.0]), np.array([0.0, 1.0]))[2] == pytest.approx(1)
    assert compare(np.array([1.0, 0.0]), np.array([0.0, 1.0]))[2] == pytest.approx(0)
    assert compare(np.array([0.0, -2.0]), np.array([0.0, 1.0]))[2] == pytest.approx(-1)


def test_reference_steps_run_in_numeric_order(tmp_path):
    arrays = {f"{step}::main::{side}::x": np.float32([step]) for step in (10, 2, 0) for side in ("in", "out")}
    np.savez(tmp_path / "io.npz", meta="free text", **arrays)
    steps = read_reference(tmp_path / "io.npz")
    assert [step.name for step in steps] == ["0", "2", "10"]
    assert steps[1].signature == "main"
    assert steps[1].inputs["x"] == steps[1].outputs["x"] == 2


def test_reference_of_one_step(tmp_path):
    np.savez(tmp_path / "io.npz", **{"in::x": np.ones(2), "out::y": np.zeros(3)})
    (step,) = read_reference(tmp_path / "io.npz")
    assert step.signature is None
    assert list(step.inputs) == ["x"]
    assert list(step.outputs) == ["y"]


@pytest.mark.parametrize("key", ["x", "0::in::x", "0::main::input::x", "in::"])
def test_reference_with_another_key(tmp_path, key):
    np.savez(tmp_path / "io.npz", **{key: np.ones(1)})
    with pytest.raises(FormatError, match="STEP::SIGNATURE::in"):
        read_reference(tmp_path / "io.npz")


def test_broken_reference(tmp_path):
    (tmp_path / "io.npz").write_bytes(b"PK\3\4 not a zip")
    with pytest.raises(FormatError, match="cannot be read"):
        read_reference(tmp_path / "io.npz")
    with pytest.raises(FormatError, match="no such file"):
        read_reference(tmp_path / "none.npz")


class Fixed:
    """A runtime that adds one."""

    def run(self, inputs, signature):
        return {"y": inputs["x"] + 1}


def test_check_runs_the_steps():
    right, wrong = (
        Step("0", None, {"x": np.ones(2)}, {"y": np.full(2, 2.0)}),
        Step("1", None, {"x": np.ones(2)}, {"y": np.ones(2)}),
    )
    assert check(Fixed(), [right]).ok
    result = check(Fixed(), [right, wrong])
    assert not result.ok
    assert result.worst.step == "1"
    assert result.worst.relative == 1


def test_check_names_an_unknown_output():
    with pytest.raises(ConvertError, match=r"'z'.*it has: y"):
        check(Fixed(), [Step("0", None, {"x": np.ones(2)}, {"z": np.ones(2)})])
    with pytest.raises(ConvertError, match="no outputs"):
        check(Fixed(), [Step("0", None, {"x": np.ones(2)}, {})])
