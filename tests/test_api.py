"""The Python API beside the command line: arguments, what a result keeps, and how errors name it."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

import litecast
from litecast.ir.graph import Extra

KEY = "serving_default"


@pytest.fixture
def source(digits: Path) -> Path:
    return digits / "digits_saved_model"


@pytest.mark.parametrize("signatures", [KEY, [KEY], (KEY,), None])
def test_signatures_as_one_key_or_many(source: Path, signatures: object) -> None:
    assert list(litecast.load(source, signatures=signatures).signatures) == [KEY]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signatures": []}, "name at least one signature"),
        ({"signatures": "train"}, "train"),
        ({"batch": 0}, "the batch is given the size 0"),
        ({"batch": -1}, "the batch is given the size -1"),
        ({"batch": "4"}, "the batch is given the size '4'"),
        ({"shapes": {"image": [2.5, 8, 8, 1]}}, "input image is given the size 2.5"),
        ({"shapes": {"image": [-5, 8, 8, 1]}}, "input image is given the size -5"),
    ],
)
def test_arguments_that_make_no_sense(source: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(litecast.ConvertError, match=said):
        litecast.convert(source, **options)


def test_sizes_may_be_numpy_numbers(source: Path) -> None:
    shape = litecast.load(source, batch=np.int64(3)).signatures[KEY].graph.inputs[0].type.shape
    assert shape == (3, 8, 8, 1)
    assert type(shape[0]) is int


def test_a_result_runs_by_order_or_name_and_cleans_up(source: Path, tmp_path: Path) -> None:
    converted = litecast.convert(source)
    x = np.ones((2, 8, 8, 1), np.float32)
    assert converted(x)["probabilities"].tolist() == converted(image=x)["probabilities"].tolist()
    assert converted(x, signature=KEY)["probabilities"].shape == (2, 10)
    assert converted.save(tmp_path / "m.tflite").read_bytes() == converted.content
    path = converted.path
    assert path.exists()
    del converted
    gc.collect()
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((), {}), ((1,), {"image": 1}), ((1, 2), {}), ((), {"photo": 1}), ((None,), {})],
)
def test_errors_name_the_source(
    source: Path, arguments: tuple[object, ...], named: dict[str, object]
) -> None:
    converted = litecast.convert(source)
    with pytest.raises(litecast.ConvertError) as caught:
        converted(*arguments, **named)
    assert str(converted.path) not in str(caught.value)


def test_metadata_that_counts_operators_ends_with_a_rewrite(source: Path, tmp_path: Path) -> None:
    model = litecast.load(litecast.convert(source).save(tmp_path / "m.tflite"))
    model.metadata.update(model_control_dependencies=b"edges", debug_metadata=b"places", mine=b"kept")
    graph = model.signatures[KEY].graph
    graph.debug_index, graph.nodes[0].extra = 1, Extra(debug_index=2)
    numbered = litecast.save(model, tmp_path / "numbered.tflite")
    assert litecast.load(numbered).metadata.keys() >= {"model_control_dependencies", "debug_metadata", "mine"}
    converted = litecast.convert(numbered)
    assert [note.split()[1] for note in converted.report.notes] == [
        "debug_metadata",
        "model_control_dependencies",
    ]
    again = litecast.load(converted.save(tmp_path / "again.tflite"))
    assert "mine" in again.metadata
    assert not again.metadata.keys() & {"model_control_dependencies", "debug_metadata"}
    assert again.signatures[KEY].graph.debug_index == -1
    assert all(node.extra is None for node in again.signatures[KEY].graph.nodes)
