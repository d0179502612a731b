"""Histogram equalization of images whose answer is known."""

from __future__ import annotations

import numpy as np

from litecast.lib.equalize import clahe
from tests.lib.running import run


def test_levels_spread_evenly_over_one_tile() -> None:
    """Without a limit, four levels of equal count go to 0, 1/3, 2/3 and all of the range."""
    image = np.array([[10, 20], [30, 40]], np.float32).repeat(4, 0).repeat(4, 1)[None, ..., None]
    (result,) = run(lambda b, x: clahe(b, x, (1, 1), 0), image)
    quarter = 64 / 4
    want = {10: 255 * quarter / 64, 20: 255 * 2 * quarter / 64, 30: 255 * 3 * quarter / 64, 40: 255}
    np.testing.assert_allclose(result, np.vectorize(want.get)(image), rtol=1e-6)


def test_a_batch_is_the_same_as_its_images() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (3, 9, 10, 2)).astype(np.float32)
    (together,) = run(lambda b, x: clahe(b, x, (2, 3), 2.0), images)
    for index, image in enumerate(images):
        (alone,) = run(lambda b, x: clahe(b, x, (2, 3), 2.0), image[None])
        np.testing.assert_array_equal(together[index], alone[0])
