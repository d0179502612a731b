"""Every layer that either Keras exports is in the table of importers, and every option of its constructor."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from litecast.frontend.keras.config import RENAMED
from litecast.frontend.keras.importer import HARMLESS_ENDINGS, keras
from litecast.frontend.keras.layers import FAMILIES, import_all
from tests.frontend.keras.harness import FRAMEWORKS

NOT_LAYERS = {
    "AbstractRNNCell": "what users' own cells have as their base",
    "InputLayer": "read with the graph of calls, not by an importer",
    "Layer": "what all layers have as their base",
    "PreprocessingLayer": "what Keras 2 has as the base of some",
}
CELLS = {"LSTM": "LSTMCell", "GRU": "GRUCell", "SimpleRNN": "SimpleRNNCell"} | {
    f"ConvLSTM{rank}D": "ConvLSTMCell" for rank in (1, 2, 3)
}
"""Layers whose constructor takes the options of their cell."""
EVERY = {"kwargs", "args", "self", "weights", "dynamic"}
"""What any constructor may have: `weights` are initial ones, `dynamic` is in a config only if it is set."""


def exported(framework: str) -> dict[str, type]:
    """The layer classes under `layers` (of tf_keras also `layers.experimental`) by name."""
    module = FRAMEWORKS[framework]
    places = [module.layers]
    for part in ("experimental", "experimental.preprocessing"):
        place: Any = module.layers
        for name in part.split("."):
            place = getattr(place, name, None)
        places += [place] if place is not None else []
    return {
        name: item
        for place in places
        for name, item in vars(place).items()
        if inspect.isclass(item) and issubclass(item, module.layers.Layer)
    }


@pytest.fixture(scope="module", autouse=True)
def _full_table() -> None:
    import_all()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_layer_has_an_importer(framework: str) -> None:
    found = exported(framework)
    assert len(found) > 120
    assert sorted(name for name in found if not keras.find(name) and name not in NOT_LAYERS) == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_layer_is_in_a_family(framework: str) -> None:
    """Else its module is not imported when the layer is met."""
    listed = {name for classes in FAMILIES.values() for name in classes.split()}
    assert sorted(set(keras.names()) - listed) == []
    assert sorted(name for name in exported(framework) if name not in NOT_LAYERS and name not in listed) == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_option_is_named_or_harmless(framework: str) -> None:
    """Options as the constructor has them; what a config calls otherwise is a matter of its own tests."""
    unknown = {}
    for name, layer in exported(framework).items():
        if name in NOT_LAYERS:
            continue
        importer = keras.find(name)
        assert importer is not None, name
        if importer.refused or (importer.contract.any_keyword and name not in CELLS):
            continue
        known = importer.contract.keywords | importer.harmless | EVERY | RENAMED.get(name, {}).keys()
        cell = keras.find(CELLS.get(name, ""))
        if cell is not None:
            known |= cell.contract.keywords | cell.harmless
        options = set(inspect.signature(layer.__init__).parameters) - known
        rest = {option for option in options if not option.endswith(HARMLESS_ENDINGS)}
        if rest:
            unknown[name] = sorted(rest)
    assert unknown == {}
