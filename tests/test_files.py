"""Files appear whole or not at all."""

import os
import stat

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


@pytest.mark.parametrize("existing", [True, False])
def test_a_symbolic_link_stays(tmp_path, existing):
    link, real = tmp_path / "link.tflite", tmp_path / "models" / "real.tflite"
    real.parent.mkdir()
    link.symlink_to(real)
    if existing:
        real.write_bytes(b"old")
    with replacing(link) as temporary:
        assert temporary.parent == real.parent
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert os.listdir(real.parent) == ["real.tflite"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("linked", [True, False])
def test_what_is_no_file_is_never_replaced(tmp_path, linked):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with (
        pytest.raises(FormatError, match=r"cannot be written \(is no regular file\)"),
        replacing(link if linked else pipe),
    ):
        pass
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]
