"""Files appear whole or not at all."""

import os

import pytest

from litecast.errors import FormatError
from litecast.files import replacing


def test_replaces_and_keeps_the_mode(tmp_path):
    target = tmp_path / "model.tflite"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_an_error_leaves_nothing_behind(tmp_path):
    target = tmp_path / "model.tflite"

    def fail(temporary):
        temporary.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        fail(temporary)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["missing/model.tflite", "."])
def test_unwritable(tmp_path, name):
    with pytest.raises(FormatError, match="cannot be written"), replacing(tmp_path / name):
        pass


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "model.tflite"):
        (tmp_path / "source").read_bytes()
    assert os.listdir(tmp_path) == []
