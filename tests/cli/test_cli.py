"""The command line as a user meets it: results on the bundled example, one clear line for every bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from litecast.cli import COMMANDS, main

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
SAVED_MODEL = DIGITS / "digits_saved_model"
HELD_OUT = DIGITS / "digits_test.npz"


def run(*arguments, status=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "digits.tflite"
    run("convert", SAVED_MODEL, "-o", path)
    return path


def test_version_and_help():
    assert run("--version").startswith("litecast ")
    text = run("--help")
    assert all(command in text for command in COMMANDS)
    for command in COMMANDS:
        assert "Usage" in run(command, "--help")


def test_unknown_command_names_the_nearest():
    assert "Did you mean 'convert'?" in run("convrt", status=2)


def test_convert_summary(tmp_path):
    text = run("convert", SAVED_MODEL, "-o", tmp_path / "m.tflite", "-v")
    assert "signature serving_default" in text
    assert "image: float32[?,8,8,1]" in text
    assert "Conv2D" in text
    assert "fuse_activation" in text


def test_convert_json(tmp_path):
    report = json.loads(run("convert", SAVED_MODEL, "-o", tmp_path / "m.tflite", "--json"))
    assert report["size"] == (tmp_path / "m.tflite").stat().st_size
    assert report["ops"]["FullyConnected"] == 1
    assert set(report["phases"]) == {"read", "optimise", "verify", "write", "allocate"}


def test_convert_names_its_output_after_the_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("convert", f"{SAVED_MODEL}/")
    assert (tmp_path / "digits_saved_model.tflite").exists()


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--batch", "4"], "float32[4,8,8,1]"),
        (["--shape", "image=2,8,8,1"], "float32[2,8,8,1]"),
        (["--shape", "image=?,8,8,1"], "float32[?,8,8,1]"),
    ],
)
def test_convert_fixes_shapes(tmp_path, options, shown):
    text = run("convert", SAVED_MODEL, "-o", tmp_path / "m.tflite", *options)
    assert f"image: {shown}" in text


def test_run_reaches_the_accuracy_of_the_source(digits):
    accuracy = json.loads((DIGITS / "digits.json").read_text())["accuracy"]
    found = json.loads(
        run("run", digits, "-i", f"image={HELD_OUT}", "--labels", f"labels={HELD_OUT}", "--json")
    )
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-9)


def test_run_writes_outputs_and_times(digits, tmp_path):
    text = run("run", digits, "-i", f"image={HELD_OUT}", "-o", tmp_path / "out.npz", "--time", 2)
    assert "median latency" in text
    with np.load(tmp_path / "out.npz") as found, np.load(HELD_OUT) as given:
        (name,) = found.files
        assert len(found[name]) == len(given["image"])


def test_run_feeds_a_fixed_batch_sample_by_sample(digits, tmp_path):
    run("convert", SAVED_MODEL, "-o", tmp_path / "one.tflite", "--batch", 1)
    for model, out in ((digits, "many"), (tmp_path / "one.tflite", "one")):
        run("run", model, "-i", f"image={HELD_OUT}", "-o", tmp_path / f"{out}.npz")
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "many.npz") as many:
        (name,) = one.files
        np.testing.assert_allclose(one[name], many[name], atol=1e-6)


def reference(digits, path, factor):
    run("run", digits, "-i", f"image={HELD_OUT}", "-o", path)
    with np.load(path) as found, np.load(HELD_OUT) as given:
        (name,) = found.files
        np.savez(path, **{"in::image": given["image"], f"out::{name}": found[name] * np.float32(factor)})
    return path


def test_verify(digits, tmp_path):
    assert "agree" in run("verify", digits, "--reference", reference(digits, tmp_path / "io.npz", 1))


def test_verify_mismatch(digits, tmp_path):
    io = reference(digits, tmp_path / "io.npz", 1.01)
    assert "DIFFERS" in run("verify", digits, "--reference", io, status=1)
    assert "differ" not in run("verify", digits, "--reference", io, "--tolerance", 0.1)
    assert json.loads(run("verify", digits, "--reference", io, "--json", status=1))["ok"] is False


def test_convert_verifies(digits, tmp_path):
    good, bad = reference(digits, tmp_path / "io.npz", 1), reference(digits, tmp_path / "bad.npz", 1.01)
    run("convert", SAVED_MODEL, "-o", tmp_path / "m.tflite", "--verify", good)
    (tmp_path / "m.tflite").unlink()
    assert "differs from" in run(
        "convert", SAVED_MODEL, "-o", tmp_path / "m.tflite", "--verify", bad, status=1
    )
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.parametrize("source", ["tflite", "saved_model"])
def test_show(digits, source):
    path = digits if source == "tflite" else SAVED_MODEL
    text = run("show", path)
    assert "signature serving_default" in text
    assert "graph " in text
    assert "graph " not in run("show", path, "--summary")
    assert "Conv2D" in json.loads(run("show", path, "--json"))["ops"]


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path):
    shutil.copytree(SAVED_MODEL, tmp_path / "model")
    return tmp_path / "model"


def truncate(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda model: truncate(model / "saved_model.pb", 0.5), "saved_model.pb: is truncated or corrupt"),
        (lambda model: truncate(model / "saved_model.pb", 0), "saved_model.pb: is empty"),
        (lambda model: (model / "saved_model.pb").unlink(), "saved_model.pb is missing"),
        (lambda model: truncate(model / "variables" / "variables.index", 0.5), "variables.index"),
        (lambda model: truncate(next(model.glob("variables/*data*")), 0.5), "variables.data-00000-of-00001"),
        (lambda model: next(model.glob("variables/*data*")).unlink(), "variables.data-00000-of-00001"),
        (lambda model: flip(next(model.glob("variables/*data*"))), "is corrupt: the checksum of"),
        (lambda model: shutil.rmtree(model / "variables"), "variables"),
        (shutil.rmtree, "does not exist"),
    ],
)
def test_a_broken_saved_model(broken, tmp_path, damage, said):
    damage(broken)
    before = {path: path.read_bytes() for path in broken.rglob("*") if path.is_file()}
    text = run("convert", broken, "-o", tmp_path / "m.tflite", status=2)
    assert said in text
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    assert not list(tmp_path.glob("*.tflite"))
    assert not list(tmp_path.glob(".m.tflite*"))
    assert before == {path: path.read_bytes() for path in broken.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--signature", "train"], "the model has: serving_default"),
        (["--tags", "gpu"], "It has 'serve'"),
        (["--shape", "photo=1,8,8,1"], "the inputs are: image"),
        (["--shape", "image=1,9,8,1"], "does not fit"),
        (["--shape", "image=1,8,8"], "does not fit"),
        (["--verify", "none.npz"], "no such file"),
        (["-o", "missing/m.tflite"], "cannot be written"),
    ],
)
def test_a_bad_request(tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in run("convert", SAVED_MODEL, "-o", "m.tflite", *options, status=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", ["image", "image=", "image=1,x", "image=-2,8"])
def test_a_malformed_shape(shape, tmp_path):
    assert "--shape" in run("convert", SAVED_MODEL, "-o", tmp_path / "m.tflite", "--shape", shape, status=2)


@pytest.mark.parametrize("command", [["run"], ["show"], ["verify", "--reference", HELD_OUT]])
def test_a_truncated_tflite(digits, tmp_path, command):
    path = tmp_path / "cut.tflite"
    path.write_bytes(digits.read_bytes()[:2000])
    assert "cut.tflite" in run(command[0], path, *command[1:], status=2)


def test_run_names_what_it_needs(digits, tmp_path):
    assert "--input image=FILE" in run("run", digits, status=2)
    assert "it has: image" in run("run", digits, "-i", f"photo={HELD_OUT}", status=2)
    np.save(tmp_path / "x.npy", np.zeros((1, 9, 8, 1), np.float32))
    assert "takes float32" in run("run", digits, "-i", f"image={tmp_path / 'x.npy'}", status=2)


def test_traceback_only_with_v(tmp_path):
    assert "Traceback" not in run("convert", tmp_path / "none", status=2)
    assert "Traceback" in run("convert", tmp_path / "none", "-v", status=2)
