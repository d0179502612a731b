"""`litecast quantize` and `convert --quantize` on the bundled example, and the same in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import litecast
from litecast.api import quantize
from litecast.cli import main
from litecast.tflite.metadata import CONVERSION, Conversion
from litecast.tflite.reader import read

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
SAVED_MODEL = DIGITS / "digits_saved_model"
HELD_OUT = DIGITS / "digits_test.npz"


def run(*arguments: Any, status: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantize") / "digits.tflite"
    litecast.convert(SAVED_MODEL, output=path)
    return path


def accuracy(model: litecast.Converted) -> float:
    with np.load(HELD_OUT) as held_out:
        images, labels = held_out["image"], held_out["labels"]
    return float((model(images)["probabilities"].argmax(1) == labels).mean())


@pytest.mark.parametrize("mode", ["float16", "dynamic", "weights", "int4", "int4-block32", "int4-block64"])
def test_a_mode_is_smaller_and_as_accurate(mode: str, digits: Path) -> None:
    before = litecast.convert(digits)
    after = quantize(digits, mode)
    assert after.report.size < 0.7 * before.report.size
    assert accuracy(after) >= accuracy(before) - 0.005
    assert after.report.quantization is not None
    assert after.report.quantization.weights_before == before.report.weights > after.report.weights
    assert list(after.report.phases) == ["read", "optimise", "verify", "quantize", "write", "allocate"]


def test_converting_and_quantizing_is_one_step(digits: Path) -> None:
    assert litecast.convert(SAVED_MODEL, quantize="dynamic").content == quantize(digits, "dynamic").content


def test_the_same_twice_gives_the_same_bytes(digits: Path) -> None:
    for mode in ("int4-block32", "float16"):
        assert quantize(digits, mode).content == quantize(digits, mode).content


def test_a_model_in_memory_is_not_changed(digits: Path) -> None:
    model = litecast.load(digits)
    before = digits.read_bytes()
    after = quantize(model, "dynamic")
    assert accuracy(after) > 0.98
    assert litecast.save(model, digits.with_name("again.tflite")).read_bytes() == before


@pytest.mark.parametrize(("mode", "number"), [("float16", 1001), ("dynamic", 1002)])
def test_the_file_says_how_it_was_made(mode: str, number: int, digits: Path) -> None:
    for made in (litecast.convert(SAVED_MODEL, quantize=mode), quantize(digits, mode)):
        assert Conversion.unpack(read(made.content).metadata[CONVERSION]).modes == (number,)
    model = litecast.load(digits)
    model.metadata[CONVERSION] = Conversion(1, (2000,), True).pack()
    entry = read(quantize(model, mode).content).metadata[CONVERSION]
    assert Conversion.unpack(entry) == Conversion(1, (2000, number), True)
    model.metadata[CONVERSION] = b"broken"
    assert Conversion.unpack(read(quantize(model, mode).content).metadata[CONVERSION]).modes == (number,)


def test_a_saved_model_is_for_convert() -> None:
    with pytest.raises(litecast.ConvertError, match=r"quantize takes a \.tflite; convert"):
        quantize(SAVED_MODEL, "dynamic")


def test_a_reference_is_compared_with(digits: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 1)).astype(np.float32)
    want = litecast.convert(digits)(x)["probabilities"]
    np.savez(tmp_path / "io.npz", **{"in::image": x, "out::probabilities": want})
    quantize(digits, "dynamic", reference=tmp_path / "io.npz", tolerance=0.1)
    quantize(litecast.load(digits), "dynamic", reference=tmp_path / "io.npz", tolerance=0.1)
    with pytest.raises(litecast.VerificationError):
        quantize(digits, "int2", reference=tmp_path / "io.npz", tolerance=1e-6)


# -- the command line --------------------------------------------------------------------------------------


def test_the_summary_says_what_was_done(digits: Path, tmp_path: Path) -> None:
    text = run("quantize", digits, "-o", tmp_path / "small.tflite")
    assert "quantized (dynamic): w8 1; weights 14.4 kB -> 4.8 kB" in text
    assert "stays float: 1 Conv2D: its weights have fewer than 1024 elements" in text
    assert "depthwise" in text
    assert (tmp_path / "small.tflite").stat().st_size < digits.stat().st_size / 2


def test_the_output_has_a_name_of_its_own(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("quantize", digits, "-m", "float16")
    assert [path.name for path in tmp_path.iterdir()] == ["digits_float16.tflite"]


def test_rules_of_the_command_line(digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    report = json.loads(
        run("quantize", digits, "-o", target, "--json", "--rule", "op:FullyConnected=w4", "--per-tensor")
    )
    assert report["quantization"]["schemes"] == {"w4": 1}
    assert {kept["op"] for kept in report["quantization"]["kept"]} == {"Conv2D", "DepthwiseConv2D"}
    text = run("quantize", digits, "-o", target, "--rule", "*probabilities*=float")
    assert "stays float: 1 FullyConnected: the rule float for path *probabilities*" in text
    assert "warning: nothing is quantized" in text
    run("quantize", digits, "-o", target, "--rule", "signature:serving_default=w8")


def test_convert_has_the_same_options(tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    text = run(
        "convert", SAVED_MODEL, "-o", target, "--quantize", "int4-block32", "--rule", "op:Conv2D=float"
    )
    assert "quantized (int4-block32): w4b32 1" in text
    assert "--rule and --per-tensor go with --quantize" in run(
        "convert", SAVED_MODEL, "-o", target, "--per-tensor", status=2
    )


def test_a_recipe_is_a_file(digits: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.json"
    recipe.write_text(json.dumps({"rules": [{"scheme": "w8"}, {"scheme": "w2", "op": "FullyConnected"}]}))
    text = run("quantize", digits, "-m", recipe, "-o", tmp_path / "m.tflite")
    assert "quantized (mine): w2 1" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "dynamc"), "did you mean dynamic"),
        (("-m", "int8"), "calibration comes later"),
        (("--rule", "w8"), "is not of the form"),
        (("--rule", "encoder/*=w8"), "matches nothing; near are"),
        (("--rule", "op:DepthwiseConv2D=w4"), "no kernel for DepthwiseConv2D with w4"),
        (("--rule", "op:Conv2D=w5"), "there is no scheme 'w5'"),
    ],
)
def test_bad_requests_are_one_line(
    arguments: tuple[str, ...], message: str, digits: Path, tmp_path: Path
) -> None:
    target = tmp_path / "m.tflite"
    output = run("quantize", digits, "-o", target, *arguments, status=2)
    assert message in output
    assert not target.exists()
