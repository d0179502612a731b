"""The command line as a user meets it: results on the bundled example, one clear line for every bad input."""

import json
import os
import shutil
import subprocess
import sys
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
    assert "loc(" not in text
    assert "loc(" in run("show", path, "-v")
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
        (["-o", ""], "is a directory"),
        (["--batch", "99999999999"], "a size is a whole number from 1 to 2147483647"),
        (["--shape", "image=99999999999999999999,8,8,1"], "a size is a whole number"),
        (["--shape", "image=0,8,8,1"], "a size is a whole number"),
        (["--shape", "image=2000000000,8,8,1"], "cannot prepare the model converted from"),
        (["--shape", "image=1,8,8,1", "--shape", "image=2,8,8,1"], "image is given twice"),
        (["--verify", str(HELD_OUT), "--tolerance", "nan"], "has not the form"),
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


@pytest.mark.parametrize("where", [[], ["-o", "m.tflite"], ["-o", "../link.tflite"]])
def test_the_source_is_no_output(digits, tmp_path, monkeypatch, where):
    folder = tmp_path / "models"
    folder.mkdir()
    content = shutil.copy(digits, folder / "m.tflite").read_bytes()
    (tmp_path / "link.tflite").symlink_to(folder / "m.tflite")
    monkeypatch.chdir(folder)
    assert "is the source itself" in run("convert", "m.tflite", *where, status=2)
    assert (folder / "m.tflite").read_bytes() == content


def test_a_tflite_that_contradicts_itself(digits, tmp_path):
    from tests.tflite.test_reader import packed, unpacked

    file = unpacked(digits.read_bytes())
    file.subgraphs[0].tensors[file.subgraphs[0].outputs[0]].shape = np.int32([3, 3, 3])
    file.subgraphs[0].tensors[file.subgraphs[0].outputs[0]].shapeSignature = None
    (tmp_path / "odd.tflite").write_bytes(packed(file))
    text = run("convert", tmp_path / "odd.tflite", "-o", tmp_path / "m.tflite", status=2)
    assert "odd.tflite: this TFLite model contradicts itself" in text
    assert text.count("\n") == 1
    assert not (tmp_path / "m.tflite").exists()


def test_names_that_the_terminal_lacks(digits, tmp_path):
    """In a process of its own: only a real stream has an encoding."""
    from tests.tflite.test_reader import packed, unpacked

    file = unpacked(digits.read_bytes())
    file.signatureDefs[0].outputs[0].name = b"caf\xc3\xa9 \xff"
    (tmp_path / "m.tflite").write_bytes(packed(file))
    for encoding in ("ascii", "utf-8"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from litecast.cli import main; main()",
                "show",
                str(tmp_path / "m.tflite"),
            ],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            check=True,
        )
        assert b"\\udcff" in done.stdout


def test_json_has_only_json_numbers(digits, tmp_path):
    np.save(tmp_path / "x.npy", np.full((1, 8, 8, 1), np.nan, np.float32))

    def refuse(constant):
        raise AssertionError(constant)

    text = run("run", digits, "-i", f"image={tmp_path / 'x.npy'}", "--json")
    assert json.loads(text, parse_constant=refuse)["outputs"]["probabilities"]["max"] is None
    np.savez(tmp_path / "io.npz", **{"in::image": np.zeros((1, 8, 8, 1), "f"), "out::probabilities": np.nan})
    text = run("verify", digits, "--reference", tmp_path / "io.npz", "--json", status=1)
    assert json.loads(text, parse_constant=refuse)["checks"][0]["max_abs"] is None


def test_numbers_of_the_other_byte_order(digits, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((1, 8, 8, 1), ">f4"))
    assert "probabilities" in run("run", digits, "-i", f"image={tmp_path / 'x.npy'}")


def test_files_that_are_no_arrays(digits, tmp_path):
    assert "is no .npy or .npz file" in run("run", digits, "-i", f"image={digits}", status=2)
    assert "is no .npz file" in run("verify", digits, "--reference", digits, status=2)
    np.save(tmp_path / "x.npy", np.ones(3))
    assert "is no .npz file" in run("verify", digits, "--reference", tmp_path / "x.npy", status=2)
    assert "there is no such file" in run("run", digits, "-i", "image=none.npy", status=2)


@pytest.mark.parametrize("tolerance", ["nan", "-1"])
def test_a_tolerance_that_is_none(digits, tmp_path, tolerance):
    io = reference(digits, tmp_path / "io.npz", 1)
    text = run("verify", digits, "--reference", io, "--tolerance", tolerance, status=2)
    assert "the tolerance is" in text


def test_run_takes_each_input_once_and_no_endless_threads(digits):
    images = f"image={HELD_OUT}"
    assert "image is given twice" in run("run", digits, "-i", images, "-i", images, status=2)
    assert "--threads" in run("run", digits, "-i", images, "--threads", 99999, status=2)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device\n"),
        (PermissionError(13, "Permission denied", "x.pb"), 2, "error: x.pb: Permission denied\n"),
        (MemoryError(), 2, "not enough memory"),
        (KeyError("x"), 3, "defect of Litecast"),
    ],
)
def test_exit_status(tmp_path, monkeypatch, error, status, said):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("litecast.convert", fail)
    assert said in run("convert", SAVED_MODEL, "-o", tmp_path / "m.tflite", status=status)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_a_command_is_imported(monkeypatch):
    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupt)
    assert "interrupted" in run("show", SAVED_MODEL, status=130)


def test_traceback_only_with_v(tmp_path):
    assert "Traceback" not in run("convert", tmp_path / "none", status=2)
    assert "Traceback" in run("convert", tmp_path / "none", "-v", status=2)
