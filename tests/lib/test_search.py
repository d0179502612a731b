"""Finding numbers in constant tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.lib import search
from tests.lib.running import run


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize(
    "keys",
    [
        [],
        [7],
        [3, 1, 2],
        [0, 5000, 10**12],
        [-(2**63), 2**63 - 1],
        list(range(0, 90_000, 9)),
        [2**62, 2**62 + 1],
    ],
    ids=len,
)
def test_lookup(keys: list[int], unknown: bool) -> None:
    values = [100 + index for index in range(len(keys))]
    near = [number + step for number in [*keys[:50], 0] for step in (-1, 0, 1) if abs(number + step) < 2**63]
    x = np.array([[*near, -(2**63), 2**63 - 1]], np.int64)

    def build(b: Any, x: Any) -> Any:
        return search.lookup(b, x, keys, values, -1)

    (result,) = run(build, x, unknown=unknown)
    table = dict(zip(keys, values, strict=True))
    assert result.tolist() == [[table.get(number, -1) for number in x[0].tolist()]]
