"""Lookups in vocabularies: integers by searching a constant table, strings in the runtime's hash table.

Ids count the mask (where it has one), then the ids for what is out of vocabulary, then the tokens
(keras/src/layers/preprocessing/index_lookup.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.preprocessing import MODE_NAMES, encode, refuse_sparse
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, math, search
from litecast.ops import Add, Equal, FloorMod, Less, Maximum, Minimum, Mul

HARMLESS = ("has_input_vocabulary", "has_static_table", "vocabulary_dtype", "encoding", "salt")
"""Flags of adapting, what the class says (INT64 or UTF-8), and the key of hashes, which are refused."""
FILE = "vocabulary.txt"
"""What a `.keras` archive keeps the vocabulary of an adapted layer in."""
UNKNOWN = "[UNK]"
HAVE_VOCABULARY = frozenset({"IntegerLookup", "StringLookup", "TextVectorization"})


@dataclass(frozen=True)
class Vocabulary:
    """What a lookup layer knows: its tokens in the order of their ids, and what else has an id.

    `found_special`: whether the vocabulary as given began with the mask and out-of-vocabulary tokens.
    """

    tokens: list[Any]
    mask_token: Any
    oov_token: Any
    oov_start: int
    oov_count: int
    found_special: bool

    @property
    def start(self) -> int:
        """The id of the first token."""
        return self.oov_start + self.oov_count

    @property
    def size(self) -> int:
        """The number of ids."""
        return self.start + len(self.tokens)

    @property
    def special(self) -> list[Any]:
        """What stands before the tokens."""
        return [self.mask_token] * self.oov_start + [self.oov_token] * self.oov_count

    def ids(self, mask: int) -> tuple[list[Any], list[int]]:
        """Return tokens and their ids, the mask token's included."""
        masked = [] if self.mask_token is None else [self.mask_token]
        return [*self.tokens, *masked], [*range(self.start, self.size), *[mask] * len(masked)]

    @property
    def default(self) -> int:
        """The id of what is out of vocabulary; -1: it has none of its own."""
        return self.oov_start if self.oov_count == 1 else -1


def read_vocabulary(
    layer: Layer,
    kind: type,
    given: Any,
    mode: str,
    mask_token: Any,
    oov_token: Any,
    num_oov_indices: int,
    size: int | None,
) -> Vocabulary:
    """Return the vocabulary of a layer: `given` in its config, or the file that adapting left in the archive.

    `size` is how many ids there were, from which a last token "" is known that the file does not show. Raises
    UnsupportedError where the model does not hold the vocabulary.
    """
    if isinstance(given, str):
        raise layer.unsupported(
            f"its vocabulary is the file {given}, which is not part of the model",
            "give the layer a list: vocabulary=layer.get_vocabulary()",
        )
    terms = _from_file(layer, kind) if given is None else [_term(item, kind) for item in given]
    start = int(mask_token is not None and mode == "int")
    known = Vocabulary([], mask_token, oov_token, start, num_oov_indices, True)
    found = terms[: known.start] == known.special
    tokens = terms[known.start :] if found else terms
    if given is None and kind is str and size == known.start + len(tokens) + 1:
        tokens.append("")
    return Vocabulary(tokens, mask_token, oov_token, start, num_oov_indices, found)


def vocabulary_of(layer: Layer) -> list[Any]:
    """Return the tokens of a lookup layer or TextVectorization in the order of their ids."""
    config = layer.config
    kind = int if layer.class_name == "IntegerLookup" else str
    text = layer.class_name == "TextVectorization"
    mode = config.get("output_mode", "int")
    known = read_vocabulary(
        layer,
        kind,
        config.get("vocabulary"),
        MODE_NAMES.get(mode, mode),
        "" if text else config.get("mask_token"),
        config.get("oov_token", -1 if kind is int else UNKNOWN),
        1 if text else config.get("num_oov_indices", 1),
        config.get("vocabulary_size"),
    )
    return [*known.special, *known.tokens]


def _term(item: Any, kind: type) -> Any:
    return item.decode() if isinstance(item, bytes) and kind is str else kind(item)


def _from_file(layer: Layer, kind: type) -> list[Any]:
    content = layer.asset(FILE)
    if content is None:
        raise layer.unsupported(
            "the file does not hold its vocabulary: HDF5 keeps none that was adapted",
            "save the model as .keras, or give the layer a list: vocabulary=layer.get_vocabulary()",
        )
    try:
        text = content.decode().replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n") if layer.is_legacy else text.splitlines()
        while lines and lines[-1] == "" and not layer.is_legacy:
            lines.pop()
        return [kind(line) for line in lines]
    except ValueError as error:
        what = "integers" if kind is int else "UTF-8 text"
        raise layer.unsupported(f"its {FILE} is not one of {what} ({error})") from error


# -- layers ----------------------------------------------------------------------------------------------


@keras("IntegerLookup", harmless=HARMLESS)
def integer_lookup(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    max_tokens: int | None = None,
    num_oov_indices: int = 1,
    mask_token: int | None = None,
    oov_token: int = -1,
    vocabulary: Any = None,
    idf_weights: Any = None,
    invert: bool = False,
    output_mode: str = "int",
    sparse: bool = False,
    pad_to_max_tokens: bool = False,
    oov_method: str = "floormod",
    vocabulary_size: int | None = None,
) -> Value:
    """Integers to ids, or back."""
    refuse_sparse(layer, sparse)
    mode = MODE_NAMES.get(output_mode, output_mode)
    known = read_vocabulary(
        layer, int, vocabulary, mode, mask_token, oov_token, num_oov_indices, vocabulary_size
    )
    x = array.cast(b, inputs, DType.INT64)
    if invert:
        keys = [*range(known.start, known.size), *([] if mask_token is None else [0])]
        values = [*known.tokens, *([] if mask_token is None else [mask_token])]
        return search.lookup(b, x, keys, values, oov_token)
    depth = max_tokens if pad_to_max_tokens and max_tokens else known.size
    names, numbers = known.ids(0 if mode == "int" else depth)
    ids = search.lookup(b, x, names, numbers, known.default)
    if num_oov_indices > 1:
        if oov_method != "floormod":
            raise _hashed(layer)
        ids = _spread(b, ids, x, known)
    _note_missing(layer, known)
    return _output(b, layer, ids, mode, depth, known, idf_weights)


@keras("StringLookup", harmless=HARMLESS)
def string_lookup(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    max_tokens: int | None = None,
    num_oov_indices: int = 1,
    mask_token: str | None = None,
    oov_token: str | None = UNKNOWN,
    vocabulary: Any = None,
    idf_weights: Any = None,
    invert: bool = False,
    output_mode: str = "int",
    sparse: bool = False,
    pad_to_max_tokens: bool = False,
    oov_method: str = "floormod",
    vocabulary_size: int | None = None,
) -> Value:
    """Strings to ids by a hash table, or ids to strings by a gather."""
    refuse_sparse(layer, sparse)
    mode = MODE_NAMES.get(output_mode, output_mode)
    known = read_vocabulary(
        layer, str, vocabulary, mode, mask_token, oov_token, num_oov_indices, vocabulary_size
    )
    if invert:
        return _strings(b, inputs, known)
    if num_oov_indices > 1:
        raise _hashed(layer)
    depth = max_tokens if pad_to_max_tokens and max_tokens else known.size
    names, numbers = known.ids(0 if mode == "int" else depth)
    ids = layer.table([name.encode() for name in names], numbers).find(b, inputs, known.default)
    _note_missing(layer, known)
    return _output(b, layer, ids, mode, depth, known, idf_weights)


def _hashed(layer: Layer) -> Exception:
    return layer.unsupported(
        "it spreads what is out of vocabulary over several ids by a hash, which LiteRT cannot compute",
        "use num_oov_indices=1",
    )


def _note_missing(layer: Layer, known: Vocabulary) -> None:
    if known.oov_count == 0:
        layer.note(f"{layer.path} gives -1 for what is out of vocabulary, where Keras raises an error")


def _spread(b: Builder, ids: Value, x: Value, known: Vocabulary) -> Value:
    """Give what is out of vocabulary one of several ids, by the remainder of the integer."""
    rest = math.apply(b, FloorMod(), x, known.oov_count)
    other = math.apply(b, Add(), rest, known.oov_start) if known.oov_start else rest
    result: Value = math.select(b, math.apply(b, Equal(), ids, -1), other, ids)
    return result


def _strings(b: Builder, ids: Value, known: Vocabulary) -> Value:
    """Return the tokens of ids; what is no id of a token is the out-of-vocabulary token, held last."""
    special = [known.mask_token if known.oov_start else known.oov_token, *[known.oov_token] * known.start]
    terms = [*special[: known.start], *known.tokens, known.oov_token]
    held = np.array([(term or "").encode() for term in terms], object)
    last = len(terms) - 1
    near = math.apply(b, Maximum(), math.apply(b, Minimum(), array.cast(b, ids, DType.INT64), last), -1)
    place = math.select(b, math.apply(b, Less(), near, 0), np.int64(last), near)
    result: Value = array.gather(b, b.const(held), array.cast(b, place, DType.INT32))
    return result


def _output(
    b: Builder, layer: Layer, ids: Value, mode: str, depth: int, known: Vocabulary, weights: Any
) -> Value:
    """Return ids as the layer shows them. Keras 3 gives vectors of INT64, whatever its output_spec says."""
    if mode == "int":
        own = layer.dtype if layer.is_legacy and layer.dtype.is_integer else DType.INT64
        integer: Value = array.cast(b, ids, own)
        return integer
    if mode != "tf_idf":
        own = DType.FLOAT32 if layer.dtype is DType.STRING else layer.dtype
        return encode(b, ids, mode, depth, own if layer.is_legacy else DType.INT64, layer.is_legacy)
    counts = encode(b, ids, "count", depth, DType.FLOAT32, layer.is_legacy)
    result: Value = math.apply(b, Mul(), counts, _frequencies(layer, depth, known, weights))
    return result


def _frequencies(layer: Layer, depth: int, known: Vocabulary, given: Any) -> Any:
    """Return the weight of each id: as saved, or as given for the tokens, whose average others then get."""
    stored = layer.stored("idf_weights")
    if stored is None and given is None:
        raise layer.unsupported("the file does not hold its idf_weights", "save the model as .keras")
    weights = np.asarray(given if stored is None else stored, np.float32)
    if stored is None and not known.found_special:
        weights = np.concatenate([np.full(known.start, np.average(weights), np.float32), weights])
    return np.pad(weights[:depth], (0, max(depth - len(weights), 0)))


def pad_or_cut(b: Builder, ids: Value, length: int) -> Value:
    """Return ids [..., n] cut to `length`, or filled up with zeros."""
    size = ids.shape[-1]
    front: Sequence[Any] = [0] * ids.rank
    if not isinstance(size, int) or size < length:
        room = length if not isinstance(size, int) else length - size
        ids = array.pad(b, ids, [(0, 0)] * (ids.rank - 1) + [(0, room)])
    result: Value = array.slice(b, ids, front, [*([-1] * (ids.rank - 1)), length])
    return result
