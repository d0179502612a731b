"""Lookups in vocabularies against Keras 3 and tf_keras."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import UnsupportedError
from tests.frontend.keras.harness import (
    KERAS,
    TF_KERAS,
    check,
    integers,
    keras,
    layer,
    layers,
    operations,
    spec,
    tf_keras,
)

NUMBERS = [12, 36, 5, -7, 1000]
WORDS = ["the", "quick", "brown", "fox", "Zürich", ""]
SAMPLES = {
    "IntegerLookup": np.array([[12, 36, 13], [1000, -7, 5], [0, 5, 2**40]]),
    "StringLookup": np.array(
        [["the", "fox", "dog"], ["quick", "quick", ""], ["Zürich", "The", "[UNK]"]], object
    ),
}
LEARNED = {
    "IntegerLookup": [[12, 36, 13], [1000, 12, 5], [0, 5, 2**40]],
    "StringLookup": [["the", "fox", "dog"], ["quick", "the", ""], ["Zürich", "The", "quick"]],
}
VOCABULARIES = {"IntegerLookup": NUMBERS, "StringLookup": WORDS[:5]}
TYPES = {"IntegerLookup": "int64", "StringLookup": "string"}
VECTORS = ("one_hot", "multi_hot", "count")


def texts(array: np.ndarray) -> np.ndarray:
    """Strings as bytes in an object array."""
    if array.dtype.kind != "O":
        return array
    return np.array([item.encode() for item in array.ravel()], object).reshape(array.shape)


def rows(kind: str, size: int = 3) -> np.ndarray:
    return texts(SAMPLES[kind][:, :size])


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_ids(kind: str) -> None:
    mask = {"IntegerLookup": 0, "StringLookup": ""}[kind]

    def make(k: Any) -> Any:
        make, vocabulary = getattr(k.layers, kind), VOCABULARIES[kind]
        special = [mask, {"IntegerLookup": -1, "StringLookup": "[UNK]"}[kind]]
        return {
            "plain": make(vocabulary=vocabulary),
            "masked": make(vocabulary=vocabulary, mask_token=mask),
            "special": make(vocabulary=special + vocabulary, mask_token=mask),
            "limited": make(vocabulary=vocabulary, max_tokens=20),
        }

    check(layers(make, spec((3,), TYPES[kind])), rows(kind))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("kind", VOCABULARIES)
def test_vectors(kind: str, size: int) -> None:
    mask = {"IntegerLookup": 5, "StringLookup": "fox"}[kind]
    vocabulary = [item for item in VOCABULARIES[kind] if item != mask]

    def make(k: Any) -> Any:
        made = getattr(k.layers, kind)
        modes = VECTORS if size == 1 or k is keras else VECTORS[1:]
        found = {mode: made(vocabulary=vocabulary, output_mode=mode) for mode in modes}
        found |= {
            f"masked {mode}": made(vocabulary=vocabulary, output_mode=mode, mask_token=mask) for mode in modes
        }
        found["padded"] = made(
            vocabulary=vocabulary, output_mode="multi_hot", max_tokens=9, pad_to_max_tokens=True
        )
        weights = [0.5, 1.0, 1.5, 2.0, 2.5][: len(vocabulary)]
        for name, options in {"idf": {}, "padded idf": {"max_tokens": 9, "pad_to_max_tokens": True}}.items():
            found[name] = made(vocabulary=vocabulary, output_mode="tf_idf", idf_weights=weights, **options)
        return found

    check(layers(make, spec((size,), TYPES[kind])), rows(kind, size), random=False)


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_vectors_of_higher_ranks(kind: str) -> None:
    def make(k: Any) -> Any:
        return {
            mode: getattr(k.layers, kind)(vocabulary=VOCABULARIES[kind], output_mode=mode) for mode in VECTORS
        }

    check(layers(make, spec((3, 3), TYPES[kind])), np.stack([rows(kind)] * 3), frameworks=KERAS)


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_inverted(kind: str) -> None:
    mask = {"IntegerLookup": 99, "StringLookup": "-"}[kind]

    def make(k: Any) -> Any:
        made, vocabulary = getattr(k.layers, kind), VOCABULARIES[kind]
        return {
            "plain": made(vocabulary=vocabulary, invert=True),
            "masked": made(vocabulary=vocabulary, invert=True, mask_token=mask),
        }

    check(layers(make, spec((4,), "int64")), np.array([[0, 1, 2, 3], [4, 5, 6, 7], [-1, -9, 100, 2]]))


def test_several_ids_for_the_unknown() -> None:
    def make(k: Any) -> Any:
        return {
            "three": k.layers.IntegerLookup(vocabulary=NUMBERS, num_oov_indices=3),
            "masked": k.layers.IntegerLookup(vocabulary=NUMBERS, num_oov_indices=2, mask_token=0),
            "counted": k.layers.IntegerLookup(vocabulary=NUMBERS, num_oov_indices=3, output_mode="count"),
        }

    check(layers(make, spec((5,), "int64")), integers(40, -20))


def test_no_id_for_the_unknown() -> None:
    converted = check(
        layer(lambda k: k.layers.IntegerLookup(vocabulary=NUMBERS, num_oov_indices=0), spec((5,), "int64")),
        np.array([NUMBERS]),
    )
    assert "gives -1 for what is out of vocabulary" in str(converted.report)
    assert (
        converted(np.array([[12, 13, 5, 6, 7]]))[next(iter(converted.signatures.values())).outputs[0].name][
            0, 1
        ]
        == -1
    )


@pytest.mark.parametrize("spread", [1, 3, 10**9])
@pytest.mark.parametrize("count", [2, 3, 7, 1000])
def test_integers_however_far_apart(count: int, spread: int) -> None:
    keys = (np.random.default_rng(count).permutation(count * 3)[:count] - count) * spread

    def build(k: Any) -> Any:
        inputs = k.Input((64,), dtype="int64")
        return k.Model(inputs, k.layers.IntegerLookup(vocabulary=keys.tolist())(inputs))

    near = np.random.default_rng(0).choice(np.concatenate([keys, keys + 1, [-(2**63), 2**63 - 1]]), (3, 64))
    converted = check(build, near, frameworks=KERAS, formats=("keras",))
    assert len(converted.content) < 100_000


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_other_element_types(dtype: str) -> None:
    check(layer(lambda k: k.layers.IntegerLookup(vocabulary=[1, 2, 3]), spec((4,), dtype)), integers(6))


@pytest.mark.parametrize("mode", ["int", "multi_hot", "tf_idf"])
@pytest.mark.parametrize("kind", VOCABULARIES)
def test_adapted(kind: str, mode: str) -> None:
    def build(k: Any) -> Any:
        lookup = getattr(k.layers, kind)(output_mode=mode)
        lookup.adapt(LEARNED[kind])
        inputs = k.Input((3,), dtype=TYPES[kind])
        return k.Model(inputs, lookup(inputs))

    check(build, rows(kind), formats=("keras", "directory", "memory"), random=False)


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_adapted_inverted(kind: str) -> None:
    def build(k: Any) -> Any:
        lookup = getattr(k.layers, kind)(invert=True)
        lookup.adapt(LEARNED[kind])
        inputs = k.Input((3,), dtype="int64")
        return k.Model(inputs, lookup(inputs))

    check(build, integers(9), formats=("keras",), random=False)


def test_hdf5_has_no_adapted_vocabulary(tmp_path: Path) -> None:
    lookup = keras.layers.StringLookup()
    lookup.adapt(np.array(WORDS[:3]))
    inputs = keras.Input((3,), dtype="string")
    keras.Model(inputs, lookup(inputs)).save(tmp_path / "model.h5")
    with pytest.raises(
        UnsupportedError, match=r"HDF5 keeps none that was adapted(?s:.*)save the model as \.keras"
    ):
        litecast.convert(tmp_path / "model.h5")


def test_vocabulary_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n".join(WORDS[:3]))
    lookup = tf_keras.layers.StringLookup(vocabulary=str(tmp_path / "words.txt"))
    inputs = tf_keras.Input((3,), dtype="string")
    tf_keras.Model(inputs, lookup(inputs)).save(tmp_path / "model.h5")
    with pytest.raises(UnsupportedError, match=r"words\.txt, which is not part of the model"):
        litecast.convert(tmp_path / "model.h5")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda k: k.layers.StringLookup(vocabulary=WORDS[:2], num_oov_indices=2), "hash"),
        (
            lambda k: k.layers.StringLookup(vocabulary=WORDS[:2], output_mode="count", sparse=True),
            "sparse tensor",
        ),
    ],
)
def test_refused(make: Any, reason: str, tmp_path: Path) -> None:
    layer(make, spec((3,), "string"))(keras).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedError, match=reason):
        litecast.convert(tmp_path / "model.keras")


def test_farmhash_of_integers_is_refused(tmp_path: Path) -> None:
    made = layer(
        lambda k: k.layers.IntegerLookup(vocabulary=[1, 2], num_oov_indices=2, oov_method="farmhash"),
        spec((3,), "int64"),
    )
    made(keras).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedError, match=r"hash(?s:.*)num_oov_indices=1"):
        litecast.convert(tmp_path / "model.keras")


def test_words_to_vectors() -> None:
    """Two tables in one model, behind them what models do with ids."""

    def build(k: Any) -> Any:
        first, second = k.Input((3,), dtype="string"), k.Input((1,), dtype="string")
        ids = k.layers.StringLookup(vocabulary=WORDS[:3], mask_token="")(first)
        sums = k.layers.GlobalAveragePooling1D()(k.layers.Embedding(5, 4, mask_zero=True)(ids))
        hot = k.layers.StringLookup(vocabulary=WORDS[2:4], output_mode="one_hot")(second)
        return k.Model([first, second], k.layers.Dense(2)(k.layers.Concatenate()([sums, hot])))

    words = rows("StringLookup")
    check(build, words, words[:, :1], frameworks=TF_KERAS)
    check(build, words, words[:, :1], frameworks=KERAS, formats=("keras",))


def test_a_converted_model_with_tables_converts_again(tmp_path: Path) -> None:
    """Tables are part of the file: reading and writing it keeps them."""
    build = layer(lambda k: k.layers.StringLookup(vocabulary=WORDS[:3]), spec((3,), "string"))
    converted = check(build, rows("StringLookup"), frameworks=KERAS, formats=("keras",))
    assert operations(converted) == ["Hashtable", "HashtableFind"]
    converted.save(tmp_path / "model.tflite")
    again = litecast.convert(tmp_path / "model.tflite")
    words = rows("StringLookup")
    np.testing.assert_array_equal(*(next(iter(model(words).values())) for model in (converted, again)))


@pytest.mark.parametrize(
    ("kind", "content"), [("IntegerLookup", b"-1\n5\nsix"), ("StringLookup", b"[UNK]\n\xff\xfe")]
)
def test_a_broken_vocabulary_is_named(kind: str, content: bytes, tmp_path: Path) -> None:
    lookup = getattr(keras.layers, kind)()
    lookup.adapt(LEARNED[kind])
    inputs = keras.Input((3,), dtype=TYPES[kind])
    keras.Model(inputs, lookup(inputs)).save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extractall(tmp_path / "model")
    (broken,) = (tmp_path / "model" / "assets").rglob("vocabulary.txt")
    broken.write_bytes(content)
    with pytest.raises(UnsupportedError, match=r"vocabulary\.txt is not one of (integers|UTF-8 text)"):
        litecast.convert(tmp_path / "model")


@pytest.mark.parametrize("mode", ["multi_hot", "count"])
def test_vectors_go_into_other_layers(mode: str) -> None:
    """Keras 3 gives integers, which other layers promote."""

    def build(k: Any) -> Any:
        inputs = k.Input((3,), dtype="string")
        vectors = k.layers.StringLookup(vocabulary=WORDS[:4], output_mode=mode)(inputs)
        return k.Model(inputs, [k.layers.Dense(2)(vectors), k.layers.BatchNormalization()(vectors)])

    check(build, rows("StringLookup"))
