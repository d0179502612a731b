"""Statistics of parts merge into those of the whole, whatever the order; files keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from litecast.errors import FormatError, QuantizationError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model
from litecast.ir.types import DType, TensorType
from litecast.ops import Mul, Tanh
from litecast.quantization.statistics import HALF, Statistics, TensorStatistics, tensor_keys

floats = arrays.arrays(
    np.float32,
    st.integers(0, 40),
    elements=st.one_of(
        st.floats(width=32),
        st.sampled_from([0.0, -0.0, 1.0, -2.0, 1024.0, 1e-45, -1e-38, 3e38, -3e38, 1e-30]),
        st.floats(-4, 4, width=32),
    ),
)
parts = st.lists(floats, min_size=1, max_size=6)


def gathered(seen: list[np.ndarray]) -> TensorStatistics:
    tensor = TensorStatistics()
    for array in seen:
        tensor.update(array)
    return tensor


def same(one: TensorStatistics, other: TensorStatistics) -> None:
    for name in ("count", "updates", "nans", "infinities", "exponent", "minimum", "maximum"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_array_equal(one.bins, other.bins)
    for name in ("sum_of_minima", "sum_of_maxima", "total", "squares"):
        scale = one.count * max(abs(one.minimum), abs(one.maximum), 1.0) if one.count else 1.0
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-9 * scale), name


@given(parts, st.randoms(use_true_random=False))
def test_merged_parts_are_the_whole_in_any_order(seen: list[np.ndarray], random: object) -> None:
    whole = gathered(seen)
    pieces = [gathered([array]) for array in seen]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    merged = TensorStatistics()
    for piece in pieces:
        merged.merge(piece)
    same(whole, merged)
    same(whole, gathered(seen[::-1]))


@given(parts)
def test_counts_and_extremes_are_numpys(seen: list[np.ndarray]) -> None:
    tensor, flat = gathered(seen), np.concatenate(seen)
    finite = flat[np.isfinite(flat)]
    assert (tensor.nans, tensor.infinities) == (np.isnan(flat).sum(), np.isinf(flat).sum())
    assert tensor.count == tensor.bins.sum() == finite.size
    if finite.size:
        assert (tensor.minimum, tensor.maximum) == (finite.min(), finite.max())
        largest = np.abs(finite.astype(np.float64)).max()
        assert largest < HALF * tensor.width
        assert largest >= HALF * tensor.width / 2 or tensor.exponent == -116
        expected = np.bincount(np.trunc(finite / tensor.width).astype(int) + HALF - 1, minlength=2 * HALF - 1)
        np.testing.assert_array_equal(tensor.bins, expected)


def test_mean_deviation_and_averages(rng: np.random.Generator) -> None:
    seen = [rng.normal(3, 2, (70, 1024)).astype(np.float32) for _ in range(3)]
    tensor, whole = gathered(seen), np.concatenate(seen).astype(np.float64)
    assert tensor.mean == pytest.approx(whole.mean(), rel=1e-7)
    assert tensor.std == pytest.approx(whole.std(), rel=1e-7)
    assert tensor.average_minimum == pytest.approx(np.mean([array.min() for array in seen]))
    assert tensor.average_maximum == pytest.approx(np.mean([array.max() for array in seen]))
    nothing = TensorStatistics()
    assert (nothing.mean, nothing.std, nothing.average_minimum, nothing.average_maximum) == (0, 0, 0, 0)


def test_the_histogram_lies_inside_what_was_seen() -> None:
    tensor = gathered([np.array([0.5, 0.25, 7.75], np.float32)])
    lower, upper, counts = tensor.histogram()
    assert counts.tolist() == [1, 1, 1]
    assert (lower[0], upper[-1]) == (0.25, 7.75)
    assert ((lower <= [0.25, 0.5, 7.75]) & (upper >= [0.25, 0.5, 7.75])).all()


@settings(max_examples=30)
@given(st.dictionaries(st.tuples(st.text(max_size=8), st.text(max_size=8)), parts, max_size=4))
def test_a_file_keeps_all(tmp_path_factory: pytest.TempPathFactory, seen: dict) -> None:
    statistics = Statistics()
    for key, arrays_seen in seen.items():
        statistics.tensors[key] = gathered(arrays_seen)
    statistics.samples = {"serve": 3}
    path = tmp_path_factory.mktemp("statistics") / "stats.npz"
    statistics.save(path)
    loaded = Statistics.load(path)
    assert loaded.samples == {"serve": 3}
    assert loaded.tensors.keys() == statistics.tensors.keys()
    for key, tensor in statistics.tensors.items():
        same(tensor, loaded.tensors[key])
    content = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["stats.npz"]


def test_statistics_merge_by_tensor_and_count_samples() -> None:
    one, two = Statistics(), Statistics()
    one["g", "x"].update(np.ones(3, np.float32))
    two["g", "x"].update(np.zeros(2, np.float32))
    two["g", "y"].update(np.zeros(2, np.float32))
    one.samples, two.samples = {"a": 1}, {"a": 2, "b": 1}
    one.merge(two)
    assert one["g", "x"].count == 5
    assert one["g", "y"].count == 2
    assert one.samples == {"a": 3, "b": 1}


def bad_files(folder: Path) -> dict[str, Path]:
    good = folder / "good.npz"
    statistics = Statistics()
    statistics["g", "x"].update(np.ones(3, np.float32))
    statistics.save(good)
    with np.load(good) as archive:
        arrays_held = dict(archive)
    other = folder / "other.npz"
    np.savez(other, x=np.ones(3))
    short = folder / "short.npz"
    short.write_bytes(good.read_bytes()[:-40])
    sums = folder / "sums.npz"
    np.savez(sums, **{**arrays_held, "counts": arrays_held["counts"] + 1})
    newer = folder / "newer.npz"
    np.savez(newer, **{**arrays_held, "head": np.frombuffer(b'{"format": 9, "half": 2048}', np.uint8)})
    return {"absent": folder / "absent.npz", "other": other, "short": short, "sums": sums, "newer": newer}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent", "there is no such file"),
        ("other", "holds no calibration statistics"),
        ("short", "cannot be read as calibration statistics"),
        ("sums", "the histogram of x does not add up"),
        ("newer", "format 9"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        Statistics.load(bad_files(tmp_path)[name])


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be written"):
        Statistics().save(tmp_path / "nowhere" / "stats.npz")


def small_model(name: str = "main") -> Model:
    graph = Graph(name)
    b = Builder(graph)
    x = b.add_input(TensorType(DType.FLOAT32, (2,)), "x")
    y = b(Tanh(), x, name="x")
    graph.set_outputs([b(Mul(), y, np.float32(2), name="")])
    return Model(graphs=[graph])


def test_keys_are_stable_names() -> None:
    model = small_model()
    assert list(tensor_keys(model).values()) == [("main", "x"), ("main", "x#1"), ("main", "")]
    model.graphs.append(small_model().graphs[0])
    assert [key[0] for key in tensor_keys(model).values()] == ["main"] * 3 + ["main#1"] * 3


def test_statistics_of_another_model_are_refused() -> None:
    statistics = Statistics()
    statistics["main", "x"].update(np.ones(3, np.float32))
    assert [value.name for value in statistics.of(small_model())] == ["x"]
    with pytest.raises(QuantizationError, match=r"of another model: 1 of their 1 tensors .* x in graph main"):
        statistics.of(small_model("other"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)
