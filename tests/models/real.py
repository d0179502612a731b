"""Real trained models of `../shared/models` on inputs of our own, where the recorded ones prove little."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from .saving import record

SHARED = Path(os.environ.get("LITECAST_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def dtln(folder: Path) -> None:
    """DTLN noise suppression on a gliding tone in noise, 16 blocks (its own record is of silence)."""
    shutil.copytree(SHARED / "models" / "dtln" / "saved_model", folder / "saved_model")
    block, shift, rate = 512, 128, 16000
    rng, time = np.random.default_rng(26), np.arange(block + 15 * shift) / rate
    tone = np.sin(2 * np.pi * (220 + 400 * time) * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 7 * time))
    sound = (0.3 * tone + rng.normal(0, 0.05, time.shape)).astype(np.float32)
    blocks = [sound[None, start : start + block] for start in range(0, 16 * shift, shift)]
    record(folder, [("serving_default", {"input_1": samples}) for samples in blocks])
