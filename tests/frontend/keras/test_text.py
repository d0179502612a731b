"""Text: what becomes ids, and what is refused with the way on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
import litecast.keras
from litecast.errors import ConvertError
from tests.frontend.keras.harness import (
    BOTH,
    FRAMEWORKS,
    KERAS,
    check,
    keras,
    layer,
    layers,
    refused,
    spec,
    tf,
)
from tests.frontend.keras.test_lookup import texts

WORDS = ["the", "quick", "fox"]
SAMPLES = texts(np.array([["the", "fox", "dog"], ["quick", "quick", ""], ["The", "", "[UNK]"]], object))


def tokens(k: Any, **options: Any) -> Any:
    """A vectorizer of what is split already."""
    return k.layers.TextVectorization(standardize=None, split=None, vocabulary=WORDS, **options)


def test_tokens_to_ids() -> None:
    def make(k: Any) -> Any:
        return {
            "plain": tokens(k),
            "cut": tokens(k, output_sequence_length=2),
            "same": tokens(k, output_sequence_length=3),
            "filled": tokens(k, output_sequence_length=5),
            "marked": tokens(k, output_mode="multi_hot"),
            "counted": tokens(k, output_mode="count", max_tokens=9, pad_to_max_tokens=True),
            "weighted": tokens(k, output_mode="tf_idf", idf_weights=[1.0, 2.0, 3.0]),
        }

    check(layers(make, spec((3,), "string")), SAMPLES, random=False)


@pytest.mark.parametrize("length", [2, 3, 5])
def test_tokens_of_any_number(length: int) -> None:
    check(layer(lambda k: tokens(k, output_sequence_length=length), spec((None,), "string")), sizes=(3, 6))


def test_adapted_tokens() -> None:
    def build(k: Any) -> Any:
        vectorizer = k.layers.TextVectorization(standardize=None, split=None)
        vectorizer.adapt(np.array([[word] for word in ["fox", "dog", "fox", "Zürich"]]))
        inputs = k.Input((3,), dtype="string")
        return k.Model(inputs, vectorizer(inputs))

    check(build, SAMPLES, formats=("keras",), random=False)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "standardize='lower_and_strip_punctuation', split='whitespace'"),
        ({"standardize": None}, r"\(split='whitespace'\)"),
        ({"standardize": "lower", "split": None}, r"\(standardize='lower'\)"),
        ({"standardize": None, "split": None, "ngrams": 2}, "ngrams"),
    ],
    ids=str,
)
def test_text_is_refused_with_the_way_on(options: dict[str, Any], named: str) -> None:
    def build(k: Any) -> Any:
        inputs = k.Input((1,), dtype="string")
        ids = k.layers.TextVectorization(vocabulary=WORDS, output_sequence_length=4, name="words", **options)(
            inputs
        )
        return k.Model(inputs, k.layers.Embedding(6, 2)(ids))

    way = r"convert from ids(?s:.*)get_layer\('words'\)(?s:.*)litecast\.keras\.vocabulary\(path, 'words'\)"
    refused(build, f"(?s:.*){named}(?s:.*){way}", formats=("keras",))


@pytest.mark.parametrize("framework", BOTH)
def test_the_way_on(framework: str, tmp_path: Path) -> None:
    """What the error says: the model behind the layer, and the vocabulary to make its input with."""
    k = FRAMEWORKS[framework]
    vectorizer = k.layers.TextVectorization(output_sequence_length=4, name="words")
    vectorizer.adapt(["the quick fox", "the dog"])
    inputs = k.Input((1,), dtype="string")
    outputs = k.layers.Dense(2)(k.layers.Flatten()(k.layers.Embedding(9, 3)(vectorizer(inputs))))
    model = k.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    rest = k.Model(model.get_layer("words").output, model.outputs)
    rest.save(tmp_path / "rest.keras")

    vocabulary = litecast.keras.vocabulary(tmp_path / "model.keras", "words")
    assert vocabulary == vectorizer.get_vocabulary()
    numbers = {word: number for number, word in enumerate(vocabulary)}
    ids = np.array([[numbers.get(word, 1) for word in ("the", "fox", "ran")] + [0]], np.int64)
    (got,) = litecast.convert(tmp_path / "rest.keras")(ids).values()
    want = model(np.array([["The fox ran."]], object))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("framework", BOTH)
@pytest.mark.parametrize("form", ["keras", "h5", "memory"])
def test_vocabulary(framework: str, form: str, tmp_path: Path) -> None:
    k = FRAMEWORKS[framework]
    made = {
        "words": k.layers.StringLookup(vocabulary=WORDS, mask_token="", name="words"),
        "plain": k.layers.StringLookup(vocabulary=WORDS, num_oov_indices=2, name="plain"),
        "hot": k.layers.StringLookup(vocabulary=WORDS, mask_token="", output_mode="multi_hot", name="hot"),
    }
    inputs = k.Input((3,), dtype="string")
    inner = k.Model(inputs, made["hot"](inputs), name="inner")
    numbers, other = k.Input((2,), dtype="int64"), k.Input((3,), dtype="string")
    integer = k.layers.IntegerLookup(vocabulary=[5, 7], name="integer")
    outputs = [made["words"](other), made["plain"](other), inner(other), integer(numbers)]
    model = k.Model([other, numbers], outputs)
    source: Any = model
    if form != "memory":
        source = tmp_path / f"model.{form}"
        model.save(source)
    for name, item in {**made, "integer": integer}.items():
        assert litecast.keras.vocabulary(source, name) == list(item.get_vocabulary())
    with pytest.raises(ConvertError, match=r"more than one layer with a vocabulary: .*words"):
        litecast.keras.vocabulary(source)
    with pytest.raises(ConvertError, match=r"no layer inner with a vocabulary: "):
        litecast.keras.vocabulary(source, "inner")


def test_the_only_vocabulary_needs_no_name(tmp_path: Path) -> None:
    layer(lambda k: k.layers.TextVectorization(vocabulary=WORDS), spec((1,), "string"))(keras).save(
        tmp_path / "m.keras"
    )
    assert litecast.keras.vocabulary(tmp_path / "m.keras") == ["", "[UNK]", *WORDS]
    layer(lambda k: k.layers.Dense(1), (2,))(keras).save(tmp_path / "n.keras")
    with pytest.raises(ConvertError, match=r"has no layer with a vocabulary$"):
        litecast.keras.vocabulary(tmp_path / "n.keras")


@pytest.mark.parametrize("dtype", ["string", "int64"])
def test_hashes_are_refused(dtype: str) -> None:
    refused(layer(lambda k: k.layers.Hashing(4), spec((2,), dtype)), "hash(?s:.*)convert from ids")

    def cross(k: Any) -> Any:
        inputs = k.Input((1,), dtype=dtype), k.Input((1,), dtype=dtype)
        return k.Model(inputs, k.layers.HashedCrossing(5)(inputs))

    refused(cross, "HashedCrossing: it hashes its input")


def test_feature_spaces_are_models_of_their_layers(tmp_path: Path) -> None:
    def build(k: Any) -> Any:
        space = k.utils.FeatureSpace(
            {
                "age": k.utils.FeatureSpace.float_rescaled(scale=0.1),
                "kind": k.utils.FeatureSpace.string_categorical(num_oov_indices=1),
                "size": k.utils.FeatureSpace.integer_categorical(num_oov_indices=0),
                "weight": "float_normalized",
                "length": k.utils.FeatureSpace.float_discretized(num_bins=3),
            }
        )
        data = {
            "age": [1.0, 2.0, 5.0, 7.0], "kind": ["a", "b", "a", "c"], "size": [3, 4, 5, 5],
            "weight": [1.0, 3.0, 2.0, 8.0], "length": [1.0, 2.0, 3.0, 4.0],
        }  # fmt: skip
        space.adapt(data)
        return k.Model(space.get_inputs(), space.get_encoded_features())

    def kinds(rng: Any, shape: Any, dtype: Any) -> Any:
        return texts(rng.choice(np.array(["a", "b", "c", "d"], object), shape))

    def sizes(rng: Any, shape: Any, dtype: Any) -> Any:
        return rng.integers(3, 6, shape).astype(dtype)

    check(build, None, kinds, None, sizes, frameworks=KERAS, formats=("keras",), random=False)


def test_a_saved_feature_space_says_how_to_make_it_a_model(tmp_path: Path) -> None:
    space = keras.utils.FeatureSpace({"age": "float"})
    space.adapt(tf.data.Dataset.from_tensor_slices({"age": [1.0, 2.0]}))
    space.save(tmp_path / "space.keras")
    with pytest.raises(ConvertError, match="get_encoded_features"):
        litecast.convert(tmp_path / "space.keras")
