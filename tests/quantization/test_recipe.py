"""Schemes and recipes: their names, their files, and what is wrong with those that are none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from litecast.errors import FormatError, QuantizationError
from litecast.ir.types import DType
from litecast.quantization.recipe import MODES, PRESETS, Recipe, Rule, recipe_of
from litecast.quantization.scheme import EXAMPLES, FLOAT, HALF, Scheme, parse

INT8, INT4, INT2, FLOAT32 = DType.INT8, DType.INT4, DType.INT2, DType.FLOAT32
NAMES = {
    "float": FLOAT,
    "fp16": HALF,
    "w8": Scheme(INT8),
    "w8t": Scheme(INT8, per_channel=False),
    "w8-only": Scheme(INT8, stored=True),
    "w8a8": Scheme(INT8, INT8),
    "w8a16": Scheme(INT8, DType.INT16),
    "w4": Scheme(INT4),
    "w4t-only": Scheme(INT4, per_channel=False, stored=True),
    "w4b32": Scheme(INT4, block=32),
    "w4b256": Scheme(INT4, block=256),
    "w2": Scheme(INT2),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_scheme(name: str) -> None:
    assert parse(name) == NAMES[name]
    assert str(NAMES[name]) == name


def test_examples_are_schemes() -> None:
    assert [str(parse(name)) for name in EXAMPLES] == list(EXAMPLES)


@pytest.mark.parametrize(
    ("name", "match"), [("w9", "there is no scheme"), ("int8", "no scheme"), ("w4b33", "32, 64, 128, 256")]
)
def test_what_is_no_scheme_says_so(name: str, match: str) -> None:
    with pytest.raises(QuantizationError, match=match):
        parse(name)


def test_presets_are_recipes_by_name() -> None:
    assert set(MODES) == set(PRESETS)
    for name, recipe in MODES.items():
        assert recipe_of(name) is recipe
        assert recipe.name == name
        assert not any(rule.needed for rule in recipe.rules)


@pytest.mark.parametrize("name", ["int8", "int8-only", "int16x8"])
def test_modes_that_need_calibration_say_that_they_come_later(name: str) -> None:
    with pytest.raises(QuantizationError, match="calibration comes later"):
        recipe_of(name)


def test_a_misspelt_mode_gets_a_hint() -> None:
    with pytest.raises(QuantizationError, match="did you mean dynamic"):
        recipe_of("dynamik")


DATA: dict[str, Any] = {
    "mode": "int4",
    "accumulation": "fp16",
    "rules": [{"scheme": "float", "path": "head/*"}, {"scheme": "w8", "op": "Conv2D | Gather", "least": 10}],
}
TOML = """
mode = "int4"
accumulation = "fp16"
[[rules]]
scheme = "float"
path = "head/*"
[[rules]]
scheme = "w8"
op = "Conv2D | Gather"
least = 10
"""


def expected(name: str) -> Recipe:
    rules = (Rule(FLOAT, path="head/*"), Rule(Scheme(INT8), op="Conv2D | Gather", least=10))
    return Recipe((*MODES["int4"].rules, *rules), name, "fp16")


def test_a_mapping_is_a_recipe() -> None:
    recipe = recipe_of(DATA)
    assert recipe == expected("int4")
    assert recipe.rules[-1].ops == ("Conv2D", "Gather")
    assert recipe_of(recipe) is recipe


def test_files_are_recipes(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({**DATA, "name": "mine"}))
    assert recipe_of(tmp_path / "mine.json") == expected("mine")
    assert recipe_of(str(tmp_path / "mine.json")) == expected("mine")
    assert recipe_of({"mode": str(tmp_path / "mine.json"), "rules": []}) == expected("mine")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_toml_is_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TOML)
    assert recipe_of(tmp_path / "mine.toml") == expected("int4")


def test_one_scale_per_tensor() -> None:
    coarse = recipe_of({"mode": "dynamic", "per_tensor": True})
    assert [str(rule.scheme) for rule in coarse.rules] == ["w8t"]
    assert [str(rule.scheme) for rule in MODES["int4-block32"].per_tensor().rules] == ["w8t", "w4t", "w4b32"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"rule": []}, "a recipe has no rule"),
        ({"rules": "w8"}, "`rules` is a list"),
        ({"rules": [{"path": "x"}]}, "a `scheme`"),
        ({"rules": [{"scheme": "w8", "where": "x"}]}, "a rule has no 'where'"),
        ({"rules": [{"scheme": "w8", "least": "many"}]}, "`least` of a rule is int"),
        ({"rules": [{"scheme": "w7"}]}, "no scheme 'w7'"),
        ({"mode": "dynamic", "accumulation": "fp8"}, "fp32 or fp16"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(data: dict[str, Any], match: str) -> None:
    with pytest.raises(QuantizationError, match=match):
        recipe_of(data)


@pytest.mark.parametrize(("content", "match"), [("{", "is no JSON"), ("[]", "is no recipe")])
def test_a_broken_file_is_named(content: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(FormatError, match=match):
        recipe_of(tmp_path / "x.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        recipe_of(tmp_path / "absent.json")
