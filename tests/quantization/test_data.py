"""Calibration data in every form, what does not fit it, and what looks wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litecast.errors import FormatError, QuantizationError
from litecast.quantization.data import Calibration, Images, Sample, Steps
from litecast.report import SignatureInfo, TensorInfo


def signature(*ports: TensorInfo) -> SignatureInfo:
    return SignatureInfo(ports, ())


PAIR = {
    "serve": signature(TensorInfo("a", "float32", (1, 2)), TensorInfo("ids", "int32", (1, 3))),
}
SINGLE = {"serve": signature(TensorInfo("a", "float32", (1, 2)))}
BATCH = {"serve": signature(TensorInfo("a", "float32", (None, 2)))}
WAVE = {"serve": signature(TensorInfo("a", "float32", (None,)))}
TWO = {
    "first": signature(TensorInfo("x", "float32", (2,))),
    "second": signature(TensorInfo("y", "float32", (2,))),
}
A = np.arange(10, dtype=np.float32).reshape(5, 1, 2)
IDS = np.arange(15, dtype=np.int32).reshape(5, 1, 3)


def read(source: Any, signatures: Any = PAIR, **options: Any) -> list[Sample]:
    return list(Calibration(source, signatures, **options))


def check_pair(samples: list[Sample], count: int = 5) -> None:
    assert [sample.index for sample in samples] == list(range(count))
    for sample, a, ids in zip(samples, A, IDS, strict=False):
        assert sample.signature == "serve"
        np.testing.assert_array_equal(sample.inputs["a"], a)
        np.testing.assert_array_equal(sample.inputs["ids"], ids)


def generator() -> Iterator[Any]:
    for a, ids in zip(A, IDS, strict=True):
        yield {"ids": ids, "a": a}


FORMS: dict[str, Any] = {
    "generator": generator(),
    "function": generator,
    "dicts": list(generator()),
    "lists in the model's order": [[a, ids] for a, ids in zip(A, IDS, strict=True)],
    "tuples": [(a, ids) for a, ids in zip(A, IDS, strict=True)],
    "pairs with a signature": [("serve", {"a": a, "ids": ids}) for a, ids in zip(A, IDS, strict=True)],
    "pairs of None": [(None, [a, ids]) for a, ids in zip(A, IDS, strict=True)],
    "stacked anew": {"a": A, "ids": IDS},
    "stacked in dimension 0": {"ids": IDS[:, 0], "a": A[:, 0]},
    "Python lists": [{"a": a.tolist(), "ids": ids.tolist()} for a, ids in zip(A, IDS, strict=True)],
    "steps": [Steps(list(generator()))],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples(form: str) -> None:
    samples = read(FORMS[form])
    check_pair(samples)
    assert [sample.restart for sample in samples] == [form == "steps"] + [False] * 4


@pytest.mark.parametrize(
    ("given", "signatures", "shapes"),
    [
        (np.ones((5, 1, 2), np.float32), SINGLE, [(1, 2)] * 5),
        (np.ones((1, 2), np.float32), SINGLE, [(1, 2)]),
        (np.ones((4, 2), np.float32), SINGLE, [(1, 2)] * 4),
        (np.ones((4, 2), np.float32), BATCH, [(1, 2)] * 4),
        (np.ones((3, 4, 2), np.float32), BATCH, [(4, 2)] * 3),
        (np.ones(7, np.float32), WAVE, [(7,)]),
        (np.ones((2, 7), np.float32), WAVE, [(7,), (7,)]),
    ],
)
def test_shapes_decide_what_an_array_holds(given: np.ndarray, signatures: Any, shapes: list[Any]) -> None:
    for source in (given, {"a": given}):
        assert [sample.inputs["a"].shape for sample in read(source, signatures)] == shapes


def test_one_sample_as_a_dict() -> None:
    check_pair(read({"a": A[0], "ids": IDS[0]}), 1)


def test_samples_by_signature() -> None:
    x = np.ones(2, np.float32)
    samples = read([("second", {"y": x}), ("first", [x]), {"y": x}], TWO)
    assert [sample.signature for sample in samples] == ["second", "first", "second"]


def test_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", a=A, ids=IDS)
    check_pair(read(tmp_path / "plain.npz"))
    steps = {
        f"{place:03}::serve::in::{name}": array[place]
        for place in range(5)
        for name, array in (("a", A), ("ids", IDS))
    }
    np.savez(tmp_path / "reference.npz", meta=np.array("{}"), **steps)
    check_pair(read(str(tmp_path / "reference.npz")))


def test_a_directory(tmp_path: Path) -> None:
    for place in range(2):
        np.save(tmp_path / f"{place}.npy", A[place])
    np.savez(tmp_path / "2.npz", a=A[2:4])
    np.savez(tmp_path / "3.npz", **{"0::serve::in::a": A[4], "1::serve::in::a": A[0]})
    (tmp_path / "notes.txt").write_text("x")
    samples = read(tmp_path, SINGLE)
    np.testing.assert_array_equal([sample.inputs["a"] for sample in samples], [*A, A[0]])
    assert [sample.restart for sample in samples] == [False] * 4 + [True, False]


def test_a_function_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "calibration_of_mine.py").write_text(
        "import numpy as np\nclass Data:\n    @staticmethod\n    def rows():\n"
        "        for _ in range(3):\n            yield [np.ones((1, 2), np.float32)]\nnumber = 3\n"
    )
    assert len(read("calibration_of_mine:Data.rows", SINGLE)) == 3
    with pytest.raises(QuantizationError, match="has no attribute 'absent'"):
        read("calibration_of_mine:absent", SINGLE)
    with pytest.raises(QuantizationError, match="it is a int, no function"):
        read("calibration_of_mine:number", SINGLE)
    with pytest.raises(QuantizationError, match="No module named 'nowhere_to_be_found'"):
        read("nowhere_to_be_found:rows", SINGLE)


# -- images ------------------------------------------------------------------------------------------------

PICTURE = {"serve": signature(TensorInfo("image", "float32", (None, 4, 6, 3)))}
BYTES = {"serve": signature(TensorInfo("image", "uint8", (1, None, None, 1)))}


def draw(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow reads images")
    pixels = np.full((8, 12, 3), (255, 0, 51), np.uint8)
    image.fromarray(pixels).save(folder / "one.png")


def test_images_become_inputs(tmp_path: Path) -> None:
    draw(tmp_path)
    (sample,) = read(tmp_path, PICTURE, images=Images(127.5, 127.5))
    assert sample.inputs["image"].shape == (1, 4, 6, 3)
    np.testing.assert_allclose(sample.inputs["image"][0, 0, 0], [1, -1, -0.6], rtol=1e-6)
    (sample,) = read(tmp_path, BYTES)
    assert sample.inputs["image"].shape == (1, 8, 12, 1)


def test_images_that_cannot_be_read_as_inputs(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"no image")
    with pytest.raises(QuantizationError, match=r"one\.png: say how the model takes images"):
        read(tmp_path, PICTURE)
    with pytest.raises(QuantizationError, match=r"inputs are no image: a: float32\[1,2\]"):
        read(tmp_path, SINGLE)
    integers = {"serve": signature(TensorInfo("image", "int8", (1, 4, 4, 3)))}
    with pytest.raises(QuantizationError, match="an image does not become image: int8"):
        read(tmp_path, integers)
    pytest.importorskip("PIL.Image", reason="Pillow reads images")
    with pytest.raises(FormatError, match="cannot be read as an image"):
        read(tmp_path, BYTES)


def test_images_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(QuantizationError, match="images need Pillow: pip install pillow"):
        read(tmp_path, BYTES)


# -- what does not fit -------------------------------------------------------------------------------------

GOOD = {"a": A[0], "ids": IDS[0]}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"a": A[0]}, r"sample 1: expected are the inputs a: float32\[1,2\], ids: int32\[1,3\], given a"),
        ({**GOOD, "b": A[0]}, "given a, ids, b"),
        ([A[0]], r"sample 1: expected are 2 inputs \(a: .*\), given 1"),
        (A[0], "expected are 2 inputs .* given 1"),
        ({**GOOD, "a": A[0].T}, r"sample 1: input a: expected is a: float32\[1,2\], given float32\[2,1\]"),
        ({**GOOD, "a": A[0, 0]}, r"expected is a: float32\[1,2\], given float32\[2\]"),
        ({**GOOD, "a": A[0].astype(float)}, r"expected is a: float32\[1,2\], given float64\[1,2\]"),
        ({**GOOD, "ids": IDS[0].astype(np.int64)}, r"expected is ids: int32\[1,3\], given int64\[1,3\]"),
        ({**GOOD, "a": [["x", "y"]]}, r"input a: expected is a: float32\[1,2\], given is no such array"),
        ({**GOOD, "a": A[0] * np.nan}, r"sample 1: input a holds NaN \(2 of 2\)"),
        (("other", GOOD), "sample 1 is of signature 'other'; there are serve"),
    ],
)
def test_a_sample_that_does_not_fit(bad: Any, says: str) -> None:
    with pytest.raises(QuantizationError, match=says):
        read([GOOD, bad])


def test_stacks_of_different_lengths() -> None:
    with pytest.raises(QuantizationError, match="as many samples of each input, not 5 of a, 4 of ids"):
        read({"a": A, "ids": IDS[:4]})
    with pytest.raises(
        QuantizationError, match=r"input a: expected is a: float32\[1,2\], given float32\[1,3\]"
    ):
        read({"a": IDS.astype(np.float32), "ids": IDS})
    with pytest.raises(QuantizationError, match=r"expected are the inputs .* given a, mask"):
        read({"a": A, "mask": IDS})


def test_a_data_set_that_raises_midway() -> None:
    def broken() -> Iterator[Any]:
        yield GOOD
        yield GOOD
        raise KeyError("lost")

    with pytest.raises(QuantizationError, match="raises KeyError at sample 2: 'lost'") as caught:
        read(broken)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("empty", [[], (), lambda: iter(()), {"a": A[:0], "ids": IDS[:0]}])
def test_an_empty_data_set(empty: Any) -> None:
    with pytest.raises(QuantizationError, match="the data set is empty"):
        read(empty)


def test_samples_of_no_known_signature() -> None:
    with pytest.raises(QuantizationError, match=r"first, second: give .* as \(signature, sample\)"):
        read([np.ones(2, np.float32)], TWO)


def test_what_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="a int is no calibration data"):
        read(3)
    with pytest.raises(QuantizationError, match="one array, the model takes the inputs a: "):
        read(A)
    with pytest.raises(FormatError, match="no such file or directory, and it is no module:function"):
        read(tmp_path / "absent")
    with pytest.raises(FormatError, match="there is no such file"):
        read(tmp_path / "absent.npz")
    with pytest.raises(FormatError, match=r"holds no \.npy, \.npz or image"):
        read(tmp_path)
    (tmp_path / "text.npz").write_text("x")
    with pytest.raises(FormatError, match=r"is no \.npy or \.npz file"):
        read(tmp_path / "text.npz")
    (tmp_path / "1.npy").write_text("x")
    with pytest.raises(FormatError, match=r"cannot be read as an \.npy"):
        read(tmp_path, SINGLE)
    np.savez(tmp_path / "keys.npz", **{"0::x::sideways::a": A})
    with pytest.raises(FormatError, match="has not the form STEP::SIGNATURE"):
        read(tmp_path / "keys.npz")


# -- what looks wrong --------------------------------------------------------------------------------------

TWINS = {"serve": signature(TensorInfo("a", "float32", (4,)), TensorInfo("b", "float32", (4,)))}


def kinds(source: Any, signatures: Any = TWINS, **options: Any) -> set[tuple[str, str]]:
    calibration = Calibration(source, signatures, **options)
    assert calibration.warnings == []
    list(calibration)
    assert all(f"[{found.kind}]" in str(found) for found in calibration.warnings)
    return {(found.kind, found.input) for found in calibration.warnings}


def twins(change: Any = lambda a, b: (a, b), count: int = 20) -> list[Any]:
    rng = np.random.default_rng(0)
    rows = [(rng.uniform(0, 1, 4), rng.uniform(0, 255, 4)) for _ in range(count)]
    return [[np.asarray(array, np.float32) for array in change(*row)] for row in rows]


DECLARED = {"a": (0.0, 1.0), "b": (0.0, 255.0)}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (twins(), set()),
        (twins(count=3), {("few-samples", "")}),
        (twins(lambda a, b: (a * 0, b)), {("all-zero", "a"), ("range", "a")}),
        (twins(lambda a, b: (a, b * 0 + 7)), {("constant", "b"), ("range", "b")}),
        (twins(lambda a, b: (np.where(a > 0.9, np.inf, a), b)), {("infinite", "a")}),
        (twins(lambda a, b: (a * 2 - 1, b)), {("range", "a")}),
        (twins(lambda a, b: (a, b / 255)), {("range", "b")}),
        (twins(lambda a, b: (b, a)), {("range", "a"), ("range", "b"), ("order", "a")}),
        (twins()[:1] * 20, {("same-samples", "")}),
    ],
)
def test_what_looks_wrong_is_named(source: Any, found: set[tuple[str, str]]) -> None:
    assert kinds(source, declared=DECLARED) == found


def test_a_signature_without_samples_is_named() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    assert kinds([("first", [row]) for row in x], TWO) == {("unseen-signature", "")}


def test_the_number_of_samples_is_known_where_it_is() -> None:
    assert Calibration([GOOD, GOOD], PAIR).size == 2
    assert Calibration(generator, PAIR).size is None
    assert Calibration([Steps([GOOD])], PAIR).size is None
    assert Calibration("file.npz", PAIR).size is None


def test_data_streams() -> None:
    """A sample is asked for when it is wanted, and no earlier."""
    asked = []

    def rows() -> Iterator[Any]:
        for place in range(3):
            asked.append(place)
            yield GOOD

    stream = iter(Calibration(rows, PAIR))
    next(stream)
    assert asked == [0]
    next(stream)
    assert asked == [0, 1]


def test_trained_models_data(shared: Path) -> None:
    samples = read(
        shared / "models" / "kws" / "calibration.npz",
        {"serving_default": signature(TensorInfo("input_1", "float32", (None, 49, 10, 1)))},
    )
    assert len(samples) == 32
