"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# TensorFlow reads these once, when it is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # oneDNN's softmax refuses six dimensions

# `make check` sets this: tests with a framework as their reference skip, as where it is not installed.
if os.environ.get("LITECAST_QUICK"):
    for framework in ("tensorflow", "keras", "tf_keras", "jax"):
        sys.modules[framework] = None  # type: ignore[assignment]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real trained models that lies beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("LITECAST_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"the real trained models are not at {folder}")
    return folder


@pytest.fixture
def digits(root: Path) -> Path:
    """The bundled example: one small classifier as `.keras`, `.h5` and SavedModel, with held-out images."""
    return root / "examples" / "digits"
