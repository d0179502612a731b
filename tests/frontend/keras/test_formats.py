"""The same models through every format of both Kerases: layouts of layers, of inputs and of outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import FormatError
from tests.frontend.keras.harness import (
    EVERY_FORMAT,
    FRAMEWORKS,
    KERAS,
    built,
    call,
    check,
    flatten,
    integers,
    save,
    symbolic_inputs,
)
from tests.reference import relative_error


def classifier(k: Any) -> Any:
    """A plain stack, with weights of every kind: trainable, statistics, integers."""
    L = k.layers
    return k.Sequential(
        [
            k.Input((9, 8, 2)),
            L.Normalization(),
            L.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(max_value=6.0, negative_slope=0.1),
            L.SeparableConv2D(5, 3),
            L.GlobalAveragePooling2D(),
            L.Dropout(0.4),
            L.Dense(3, activation="softmax"),
        ]
    )


def sequential_in_sequential(k: Any) -> Any:
    L = k.layers
    inner = k.Sequential([k.Input((6,)), L.Dense(5, activation="tanh"), L.BatchNormalization()])
    return k.Sequential([k.Input((6,)), inner, L.Dense(2), k.Sequential([k.Input((2,)), L.Dense(2)])])


def built_later(k: Any) -> Any:
    """A stack without an Input, whose shape the first call says."""
    model = k.Sequential([k.layers.Dense(4, activation="relu"), k.layers.Dense(2)])
    model.build((None, 7))
    return model


def block(k: Any, width: int) -> Any:
    """A residual block as a model."""
    x = k.Input((width,))
    y = k.layers.Dense(width, activation="relu")(x)
    y = k.layers.LayerNormalization()(y)
    return k.Model(x, k.layers.Add()([x, y]))


def nested(k: Any) -> Any:
    x = k.Input((6,))
    y = block(k, 6)(block(k, 6)(x))
    deeper = k.Sequential([k.Input((6,)), block(k, 6), k.layers.Dense(4)])
    return k.Model(x, deeper(y))


def shared(k: Any) -> Any:
    """One encoder, a model, and one layer, on two inputs and on the layer's own result."""
    left, right = k.Input((5,), name="left"), k.Input((5,), name="right")
    encoder, mixer = block(k, 5), k.layers.Dense(5, activation="tanh")
    one, two = (mixer(mixer(encoder(side))) for side in (left, right))
    return k.Model([left, right], k.layers.Dot(axes=1, normalize=True)([one, two]))


def shared_between_models(k: Any) -> Any:
    """An autoencoder of two models with a layer in common, called in another order than made."""
    code, x = k.Input((3,)), k.Input((4,))
    common = k.layers.Dense(3)
    decoder = k.Model(code, k.layers.Dense(4)(common(code)))
    encoder = k.Model(x, common(k.layers.Dense(3, activation="relu")(x)))
    return k.Model(x, [decoder(encoder(x)), encoder(x)])


def lists(k: Any) -> Any:
    x, y, z = (k.Input((size,), name=name) for size, name in ((3, "zeta"), (5, "alpha"), (2, "mid")))
    joined = k.layers.Concatenate()([x, y, z])
    outputs = [k.layers.Dense(size, name=name)(joined) for size, name in ((4, "zulu"), (2, "bravo"))]
    return k.Model([x, y, z], [*outputs, k.layers.Activation("relu", name="mike")(y)])


def dicts(k: Any) -> Any:
    user, item = k.Input((), dtype="int32", name="user"), k.Input((3,), dtype="int32", name="item")
    one = k.layers.Embedding(5, 4)(user)
    two = k.layers.GlobalAveragePooling1D()(k.layers.Embedding(7, 4)(item))
    score = k.layers.Dense(1, activation="sigmoid")(k.layers.Multiply()([one, two]))
    return k.Model({"user": user, "item": item}, {"score": score, "features": two})


def several_results(k: Any) -> Any:
    """A model with two outputs used as a layer."""
    x = k.Input((4,))
    pair = k.Model(x, [k.layers.Dense(2)(x), k.layers.Dense(3)(x)])
    entry = k.Input((4,))
    one, two = pair(entry)
    return k.Model(entry, [two, k.layers.Dense(2)(one), one])


def input_as_output(k: Any) -> Any:
    x = k.Input((3,), name="x")
    dense = k.layers.Dense(2)(x)
    return k.Model(x, [x, dense, dense])


def frozen(k: Any) -> Any:
    """Layers and models that are not trained, which legacy files keep in another order."""
    x = k.Input((4,))
    norm = k.layers.BatchNormalization(trainable=False)
    body = block(k, 4)
    body.trainable = False
    later = k.layers.BatchNormalization()
    mixed = k.Sequential([k.Input((4,)), k.layers.BatchNormalization(), k.layers.Dense(3, trainable=False)])
    return k.Model(x, mixed(later(body(norm(x)))))


def thawed(k: Any) -> Any:
    """A frozen model with a layer that is trained: Keras 2 lists its variables first."""
    x = k.Input((4,))
    body = k.Model(x, k.layers.Dense(4)(k.layers.BatchNormalization()(k.layers.Dense(3)(x))))
    body.trainable = False
    body.layers[-1].trainable = True
    return k.Model(x, k.Sequential([k.Input((4,)), body, k.layers.Dense(2)])(x))


def frozen_heads(k: Any) -> Any:
    """What a frozen layer has in it is frozen too, whatever is around it."""
    x = k.Input((3, 4))
    y = k.layers.MultiHeadAttention(2, 2)(k.layers.Dense(4)(x), x)
    body = k.Model(x, k.layers.Dense(4)(k.layers.BatchNormalization()(y)))
    body.trainable = False
    body.layers[-1].trainable = True
    return k.Model(x, k.Sequential([k.Input((3, 4)), body, k.layers.Dense(2)])(x))


def called_by_name(k: Any) -> Any:
    """A nested model that takes and gives dicts, called on its own results: nodes are dicts in Keras 2."""
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    body = k.Model({"a": a, "b": b}, {"s": k.layers.Add()([k.layers.Dense(4)(a), b]), "d": a})
    x, y = k.Input((4,)), k.Input((4,))
    once = body({"a": x, "b": y})
    twice = body({"b": once["s"], "a": once["d"]})
    return k.Model([x, y], [twice["s"], once["s"], twice["d"]])


def recurrent(k: Any) -> Any:
    """Layers that hold layers: cells, wrappers of two directions, steps."""
    L = k.layers
    x = k.Input((7, 3))
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(x)
    y = L.TimeDistributed(L.Dense(5, activation="relu"))(y)
    return k.Model(x, L.RNN([L.GRUCell(3), L.LSTMCell(4)])(y))


def attention(k: Any) -> Any:
    x = k.Input((6, 8))
    y = k.layers.MultiHeadAttention(2, 4)(x, x)
    return k.Model(x, k.layers.LayerNormalization()(k.layers.Add()([x, y])))


def trained(k: Any) -> Any:
    """With a loss, metrics and the optimizer's own variables in the file."""
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3), k.layers.BatchNormalization(), k.layers.Dense(2)])
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    model.fit(rng.standard_normal((8, 4)), rng.standard_normal((8, 2)), verbose=0)
    return model


def tied(k: Any) -> Any:
    """One layer in two models and beside them."""
    x, dense = k.Input((4,)), k.layers.Dense(4)
    one = k.Sequential([k.Input((4,)), dense])
    two = k.Sequential([k.Input((4,)), dense, k.layers.ReLU()])
    return k.Model(x, [one(x), two(x), dense(x)])


def cut_out(k: Any) -> Any:
    """A model from inside another: its input is the result of a layer."""
    x = k.Input((8,))
    middle = k.layers.Dense(3, activation="relu")(x)
    whole = k.Model(x, k.layers.Dense(2)(middle))
    return k.Model(middle, whole.output)


def same_names(k: Any) -> Any:
    """Layers of the same name in several models, and names with a slash and a dot."""

    def part(name: str) -> Any:
        inner = [k.layers.Dense(4, name=layer) for layer in ("dense", "block.1-conv")]
        return k.Sequential([k.Input((4,)), *inner], name=name)

    x = k.Input((4,), name="Eingang_1")
    slash = "head/dense" if k.__version__.startswith("2") else "head.dense"  # Keras 3 refuses it
    return k.Model(x, k.layers.Dense(4, name=slash)(part("b")(part("a")(x))))


def masks_through_models(k: Any) -> Any:
    steps = k.Input((6, 4))
    inner = k.Model(steps, k.layers.LSTM(3, return_sequences=True)(steps))
    tokens = k.Input((6,), dtype="int32")
    embedded = k.Sequential([k.layers.Embedding(5, 4, mask_zero=True), k.layers.Dense(4)])(tokens)
    return k.Model(tokens, k.layers.GRU(3)(inner(embedded)))


MODELS = [
    classifier,
    cut_out,
    masks_through_models,
    same_names,
    tied,
    trained,
    sequential_in_sequential,
    built_later,
    nested,
    shared,
    shared_between_models,
    lists,
    dicts,
    several_results,
    input_as_output,
    frozen,
    thawed,
    frozen_heads,
    called_by_name,
    recurrent,
    attention,
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_every_format(build: Any, framework: str) -> None:
    check(build, frameworks=(framework,), formats=EVERY_FORMAT)


def test_tuples_and_nested_structures() -> None:
    """Keras 3 keeps the structure of inputs and outputs as it is given."""

    def build(k: Any) -> Any:
        one, two, three = (k.Input((size,), name=f"in{size}") for size in (2, 3, 4))
        dense = k.layers.Dense(2)
        wide = k.layers.Dense(3)(three)
        outputs = {"zulu": (dense(one), wide), "alpha": [two, {"deep": k.layers.Dense(1)(two)}]}
        return k.Model({"in4": three, "pair": (one, two)}, outputs)

    check(build, frameworks=KERAS, formats=("keras", "json", "memory"))


def test_sequence_of_tokens_in_every_format() -> None:
    def build(k: Any) -> Any:
        L = k.layers
        return k.Sequential(
            [k.Input((None,), dtype="int32"), L.Embedding(11, 4, mask_zero=True), L.GRU(5), L.Dense(2)]
        )

    check(build, integers(11), formats=EVERY_FORMAT)


# -- weights kept apart ----------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_other_weights_for_a_whole_model(tmp_path: Path, framework: str) -> None:
    """`weights=` takes the place of what a `.keras` file holds itself."""
    model = built(framework, nested)
    save(FRAMEWORKS[framework], model, "keras", tmp_path)
    expected = _answer(model)
    source, options = save(FRAMEWORKS[framework], model, "json", tmp_path)
    converted = litecast.convert(source, **options)
    (output,) = converted(_input(model)).values()
    assert relative_error(output, expected) < 1e-5


def test_a_config_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    model = built("keras", nested)
    source, _ = save(FRAMEWORKS["keras"], model, "json", tmp_path)
    with pytest.raises(litecast.ConvertError, match="weights"):
        litecast.convert(source)
    with pytest.raises(FormatError, match="absent"):
        litecast.convert(source, weights=tmp_path / "absent.weights.h5")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("form", ["json", "legacy"])
def test_weights_of_another_model_name_layer_and_shapes(tmp_path: Path, framework: str, form: str) -> None:
    def narrow(k: Any) -> Any:
        return k.Sequential([k.Input((6,)), k.layers.Dense(4, name="first")])

    def wide(k: Any) -> Any:
        return k.Sequential([k.Input((6,)), k.layers.Dense(9, name="first")])

    folders = tmp_path / "narrow", tmp_path / "wide"
    for folder in folders:
        folder.mkdir()
    source, _ = save(FRAMEWORKS[framework], built(framework, narrow), form, folders[0])
    _, options = save(FRAMEWORKS[framework], built(framework, wide), form, folders[1])
    with pytest.raises(litecast.ConvertError, match=r"first[\s\S]*\(?6, [49]\)?[\s\S]*6, [49]"):
        litecast.convert(source, **options)


def _input(model: Any) -> Any:
    shape = [3 if dim is None else dim for dim in symbolic_inputs(model)[0].shape]
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _answer(model: Any) -> Any:
    ((_, array),) = flatten(call(model, [_input(model)]))
    return array
