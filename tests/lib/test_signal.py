"""Frames and mirrored ends of signals."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.lib import signal
from tests.lib.running import run

SIGNALS = np.random.default_rng(0).normal(size=(2, 3, 29)).astype(np.float32)


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize(("length", "step"), [(8, 4), (8, 8), (8, 3), (6, 9), (29, 1), (12, 18), (1, 1)])
def test_frames(length: int, step: int, unknown: bool) -> None:
    (result,) = run(lambda b, x: signal.frame(b, x, length, step), SIGNALS, unknown=unknown)
    starts = range(0, SIGNALS.shape[-1] - length + 1, step)
    np.testing.assert_array_equal(result, np.stack([SIGNALS[..., s : s + length] for s in starts], -2))


@pytest.mark.parametrize("unknown", [False, True])
def test_reflect(unknown: bool) -> None:
    (result,) = run(lambda b, x: signal.reflect(b, x, 5), SIGNALS, unknown=unknown)
    np.testing.assert_array_equal(result, np.pad(SIGNALS, [(0, 0), (0, 0), (5, 5)], mode="reflect"))
