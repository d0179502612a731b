"""Configs of real models with one place changed at random: converted or refused, never anything else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from litecast.errors import ConvertError, InternalError
from litecast.frontend.keras.archive import read_keras
from litecast.frontend.keras.model import trace_keras

EXAMPLES = Path(__file__).parents[3] / "examples" / "digits"
VALUES = (None, -1, 0, 3, 2.5, "x", [], {}, [[1]], True, {"class_name": "Y"}, 10**12, [None], "same")
CHANGES = 250


def _places(item: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a config: what holds it, and its key."""
    pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in pairs:
        yield item, key
        yield from _places(value)


@pytest.mark.parametrize("name", ["digits.keras", "digits.h5"])
def test_a_changed_config_is_converted_or_refused(name: str) -> None:
    source = read_keras(EXAMPLES / name)
    text, rng = json.dumps(source.config), random.Random(name)
    refused = 0
    for _ in range(CHANGES):
        config = json.loads(text)
        holder, key = rng.choice(list(_places(config)))
        if isinstance(holder, dict) and rng.random() < 0.3:
            del holder[key]
        else:
            holder[key] = rng.choice(VALUES)
        source.config = config
        try:
            trace_keras(source)
        except InternalError:
            raise
        except ConvertError:
            refused += 1
    assert 0 < refused < CHANGES
