"""Text: what needs string processing or hashing has no lowering, and says how to go on without it."""

from __future__ import annotations

from typing import Any

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.lookup import HARMLESS, pad_or_cut, string_lookup
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array

HASHES = "it hashes its input (FarmHash64 or SipHash64 of its text), which LiteRT cannot compute"
FROM_IDS = (
    "convert from ids: the model behind it, keras.Model(model.get_layer({0!r}).output, model.outputs), whose "
    "input the application computes"
)
FEATURES = (
    "it is a collection of layers: build keras.Model(space.get_inputs(), space.get_encoded_features()) and "
    "convert that"
)


@keras("TextVectorization", harmless=HARMLESS)
def text_vectorization(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    max_tokens: int | None = None,
    standardize: Any = "lower_and_strip_punctuation",
    split: Any = "whitespace",
    ngrams: Any = None,
    output_mode: str = "int",
    output_sequence_length: int | None = None,
    pad_to_max_tokens: bool = False,
    vocabulary: Any = None,
    idf_weights: Any = None,
    sparse: bool = False,
    ragged: bool = False,
    vocabulary_size: int | None = None,
) -> Value:
    """The ids of strings that are tokens already: only without standardizing, splitting and n-grams."""
    _refuse_text(layer, standardize=standardize, split=split, ngrams=ngrams)
    if ragged:
        raise layer.unsupported("it gives a ragged tensor, which TFLite does not have", "use ragged=False")
    ids = string_lookup(
        b,
        inputs,
        layer=layer,
        max_tokens=max_tokens,
        mask_token="",
        vocabulary=vocabulary,
        idf_weights=idf_weights,
        output_mode=output_mode,
        pad_to_max_tokens=pad_to_max_tokens,
        sparse=sparse,
        vocabulary_size=vocabulary_size,
    )
    if output_mode == "int" and output_sequence_length is not None:
        return pad_or_cut(b, ids, output_sequence_length)
    return ids


def _refuse_text(layer: Layer, **steps: Any) -> None:
    used = [f"{name}={_shown(value)}" for name, value in steps.items() if value is not None]
    if used:
        raise layer.unsupported(
            f"LiteRT has no operations on the text of strings ({', '.join(used)})",
            FROM_IDS.format(layer.name) + f" with litecast.keras.vocabulary(path, {layer.name!r})",
        )


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, list, tuple)) else "a function"


@keras("Hashing", "HashedCrossing", refused=HASHES)
def hashing(b: Builder, inputs: Any, *, layer: Layer, **_config: Any) -> Value:
    """Refused: its bins come from a hash of the text of its input, also where that is an integer."""
    raise layer.unsupported(HASHES, FROM_IDS.format(layer.name))


@keras("FeatureSpace", refused=FEATURES)
def feature_space(b: Builder, data: Any, *, layer: Layer, **_config: Any) -> Value:
    """Refused: a model is made of its layers."""
    raise layer.unsupported(FEATURES)


@keras("TFDConcat")
def joined_features(b: Builder, xs: Any, *, layer: Layer, axis: int) -> Value:
    """What a feature space joins its encoded features with."""
    result: Value = array.concat(b, xs, axis)
    return result


@keras("TFDIdentity")
def plain_feature(b: Builder, x: Any, *, layer: Layer) -> Any:
    """A feature as it is."""
    return x
