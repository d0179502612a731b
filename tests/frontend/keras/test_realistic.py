"""Whole models as people build them, small, in both Kerases: what layers do together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.frontend.keras.harness import BOTH, check, integers, tf, uniform

MODELS: dict[str, tuple[Callable[[Any], Any], tuple[Any, ...], tuple[str, ...], dict[str, Any]]] = {}


def model(*inputs: Any, frameworks: tuple[str, ...] = BOTH, **options: Any) -> Callable[..., Any]:
    """A builder of the sweep, with what `check` takes."""

    def add(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        MODELS[build.__name__] = build, inputs, frameworks, options
        return build

    return add


# -- images ----------------------------------------------------------------------------------------------


@model()
def squeeze_and_excite(k: Any) -> Any:
    L = k.layers
    image = x = k.Input((16, 16, 3))
    for width, stride in ((8, 2), (16, 2)):
        y = L.Conv2D(width, 3, strides=stride, padding="same", groups=1 if width == 8 else 4, use_bias=False)(
            x
        )
        y = L.Activation("swish")(L.BatchNormalization(momentum=0.9)(y))
        gate = L.GlobalAveragePooling2D()(y)
        gate = L.Reshape((1, 1, width))(gate)
        gate = L.Conv2D(width // 4, 1, activation="relu")(gate)
        gate = L.Conv2D(width, 1, activation="hard_sigmoid")(gate)
        y = L.Multiply()([y, gate])
        x = L.Add()([L.Conv2D(width, 1, strides=stride)(x), y])
    x = L.GroupNormalization(4)(x)
    return k.Model(image, L.Dense(5, activation="softmax")(L.Flatten()(x)))


@model()
def shuffle_net(k: Any) -> Any:
    """Channel shuffle: a reshape, a permutation, a reshape."""
    L = k.layers
    image = k.Input((8, 8, 12))
    x = L.Conv2D(12, 1, groups=3)(image)
    x = L.Reshape((8, 8, 3, 4))(x)
    x = L.Permute((1, 2, 4, 3))(x)
    x = L.Reshape((8, 8, 12))(x)
    x = L.DepthwiseConv2D(3, strides=2, padding="same")(x)
    return k.Model(image, L.Concatenate()([L.AveragePooling2D(3, 2, padding="same")(image), x]))


@model()
def unet_one_dimension(k: Any) -> Any:
    L = k.layers
    signal = x = k.Input((32, 2))
    skips = []
    for width in (4, 8):
        x = L.Conv1D(width, 5, padding="same", activation="relu")(x)
        skips.append(x)
        x = L.MaxPooling1D(2)(x)
    x = L.Conv1D(16, 3, padding="same", dilation_rate=2)(x)
    for skip in reversed(skips):
        x = L.Concatenate()([L.UpSampling1D(2)(x), skip])
        x = L.BatchNormalization()(L.Conv1D(skip.shape[-1], 3, padding="same", activation="elu")(x))
    x = L.Conv1DTranspose(3, 4, strides=2, padding="same")(x)
    return k.Model(signal, L.Conv1D(1, 1)(L.Cropping1D(3)(L.ZeroPadding1D((1, 2))(x))))


@model()
def unet_three_dimensions(k: Any) -> Any:
    L = k.layers
    volume = k.Input((8, 8, 6, 1))
    one = L.Conv3D(3, 3, padding="same", activation="relu")(volume)
    two = L.Conv3D(6, 3, padding="same")(L.MaxPooling3D(2)(one))
    two = L.LeakyReLU()(L.BatchNormalization()(two))
    up = L.Conv3DTranspose(3, 2, strides=2)(two)
    joined = L.Concatenate()([one, up, L.UpSampling3D(2)(two)])
    return k.Model(volume, [L.Conv3D(2, 1, activation="sigmoid")(joined), L.GlobalAveragePooling3D()(two)])


@model()
def detector(k: Any) -> Any:
    """A feature pyramid whose heads are shared between its levels."""
    L = k.layers
    image = k.Input((32, 32, 3), name="image")
    c2 = L.Conv2D(8, 3, strides=4, padding="same", activation="relu")(image)
    c3 = L.Conv2D(16, 3, strides=2, padding="same", activation="relu")(c2)
    c4 = L.Conv2D(24, 3, strides=2, padding="same", activation="relu")(c3)
    p4 = L.Conv2D(8, 1)(c4)
    p3 = L.Add()([L.Conv2D(8, 1)(c3), L.UpSampling2D(2)(p4)])
    p2 = L.Add()([L.Conv2D(8, 1)(c2), L.UpSampling2D(2, interpolation="bilinear")(p3)])
    boxes = k.Sequential([k.Input((None, None, 8)), L.Conv2D(8, 3, padding="same"), L.Conv2D(2 * 4, 1)])
    classes = L.Conv2D(2 * 3, 3, padding="same", activation="sigmoid")
    levels = [p2, p3, p4]
    outputs = {
        "boxes": L.Concatenate(axis=1)([L.Reshape((-1, 4))(boxes(level)) for level in levels]),
        "scores": L.Concatenate(axis=1)([L.Reshape((-1, 3))(classes(level)) for level in levels]),
    }
    return k.Model(image, outputs)


@model(None, integers(4))
def generator(k: Any) -> Any:
    """A conditional GAN's: noise and a label."""
    L = k.layers
    noise, label = k.Input((12,), name="noise"), k.Input((1,), dtype="int32", name="label")
    condition = L.Flatten()(L.Embedding(4, 6)(label))
    x = L.Concatenate()([noise, condition])
    x = L.Reshape((4, 4, 8))(L.Dense(4 * 4 * 8, use_bias=False)(x))
    for width in (8, 4):
        x = L.LeakyReLU(0.2)(L.BatchNormalization()(x))
        x = L.Conv2DTranspose(width, 5, strides=2, padding="same", use_bias=False)(x)
    return k.Model([noise, label], L.Conv2D(3, 7, padding="same", activation="tanh")(x))


@model(frameworks=("keras",))  # that of tf_keras takes `tf.keras` for itself
def discriminator(k: Any) -> Any:
    L = k.layers
    image = x = k.Input((16, 16, 3))
    for width in (4, 8):
        x = L.SpectralNormalization(L.Conv2D(width, 4, strides=2, padding="same"))(x)
        x = L.Dropout(0.3)(L.LeakyReLU()(x))
    return k.Model(image, L.SpectralNormalization(L.Dense(1))(L.Flatten()(x)))


@model()
def autoencoder(k: Any) -> Any:
    """Encoder and decoder as models of their own; all three are outputs of one."""
    L = k.layers
    image = k.Input((12, 12, 1))
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="selu")(image)
    shape = x.shape[1:]
    code = L.Dense(5, name="code")(L.Flatten()(x))
    encoder = k.Model(image, code, name="encoder")
    entry = k.Input((5,))
    y = L.Reshape(shape)(L.Dense(int(np.prod(shape)), activation="softplus")(entry))
    y = L.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")(y)
    decoder = k.Model(entry, y, name="decoder")
    outer = k.Input((12, 12, 1))
    return k.Model(outer, [decoder(encoder(outer)), encoder(outer)])


@model()
def siamese(k: Any) -> Any:
    L = k.layers
    encoder = k.Sequential(
        [
            k.Input((14, 14, 1)),
            L.Conv2D(4, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(6),
            L.UnitNormalization(),
        ]
    )
    anchor, positive, negative = (
        k.Input((14, 14, 1), name=name) for name in ("anchor", "positive", "negative")
    )
    codes = [encoder(side) for side in (anchor, positive, negative)]
    near, far = (L.Dot(axes=-1)([codes[0], other]) for other in codes[1:])
    return k.Model([anchor, positive, negative], [near, far, L.Subtract()([near, far])])


@model()
def mixer(k: Any) -> Any:
    L = k.layers
    image = k.Input((16, 16, 3))
    x = L.Reshape((16, 12))(L.Conv2D(12, 4, strides=4)(image))
    for _ in range(2):
        y = L.Permute((2, 1))(L.LayerNormalization()(x))
        y = L.Permute((2, 1))(L.Dense(16)(L.Dense(8, activation="gelu")(y)))
        x = L.Add()([x, y])
        y = L.Dense(12)(L.Dense(24, activation="gelu")(L.LayerNormalization()(x)))
        x = L.Add()([x, y])
    return k.Model(image, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


@model()
def ensemble(k: Any) -> Any:
    L = k.layers

    def member(width: int) -> Any:
        return k.Sequential(
            [k.Input((7,)), L.Dense(width, activation="relu"), L.Dense(3, activation="softmax")]
        )

    x = k.Input((7,))
    votes = [member(width)(x) for width in (4, 5, 6)]
    return k.Model(x, [L.Average()(votes), L.Maximum()(votes), L.Minimum()(votes)])


# -- sequences -------------------------------------------------------------------------------------------


@model(integers(20))
def text_classifier(k: Any) -> Any:
    L = k.layers
    tokens = k.Input((None,), dtype="int32")
    x = L.Embedding(20, 6, mask_zero=True)(tokens)
    x = L.SpatialDropout1D(0.2)(x)
    x = L.Bidirectional(L.LSTM(5, return_sequences=True, dropout=0.1))(x)
    x = L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="sum")(x)
    return k.Model(tokens, L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(x)))


@model(integers(11), integers(13))
def translator(k: Any) -> Any:
    """Encoder, decoder with its states, attention over the source."""
    L = k.layers
    source, target = (
        k.Input((None,), dtype="int32", name="source"),
        k.Input((None,), dtype="int32", name="target"),
    )
    encoded, h, c = L.LSTM(6, return_sequences=True, return_state=True)(L.Embedding(11, 5)(source))
    decoded = L.LSTM(6, return_sequences=True)(L.Embedding(13, 5)(target), initial_state=[h, c])
    context = L.Attention()([decoded, encoded])
    joined = L.Concatenate()([decoded, context])
    return k.Model([source, target], L.TimeDistributed(L.Dense(13, activation="softmax"))(joined))


@model()
def forecaster(k: Any) -> Any:
    """An LSTM autoencoder over windows."""
    L = k.layers
    window = k.Input((10, 3))
    code = L.LSTM(4)(L.LSTM(6, return_sequences=True)(window))
    y = L.RepeatVector(10)(code)
    y = L.LSTM(6, return_sequences=True, go_backwards=True)(y)
    return k.Model(window, L.TimeDistributed(L.Dense(3))(y))


@model()
def temporal_convolution(k: Any) -> Any:
    """A TCN of any length: causal, dilated, gated, with skips."""
    L = k.layers
    signal = k.Input((None, 4))
    x = L.Conv1D(6, 1)(signal)
    skips = []
    for rate in (1, 2, 4):
        filtered = L.Conv1D(6, 2, padding="causal", dilation_rate=rate, activation="tanh")(x)
        gate = L.Conv1D(6, 2, padding="causal", dilation_rate=rate, activation="sigmoid")(x)
        y = L.Conv1D(6, 1)(L.Multiply()([filtered, gate]))
        skips.append(y)
        x = L.Add()([x, y])
    return k.Model(signal, L.Conv1D(2, 1)(L.ReLU()(L.Add()(skips))))


@model()
def speech(k: Any) -> Any:
    """A CRNN: convolutions over a spectrogram of any length, then recurrence over its columns."""
    L = k.layers
    sound = k.Input((None, 16, 1))
    x = L.Conv2D(4, 3, strides=(1, 2), padding="same", activation="relu")(sound)
    x = L.BatchNormalization()(L.MaxPooling2D((1, 2))(x))
    x = L.TimeDistributed(L.Flatten())(x)
    x = L.Bidirectional(L.GRU(5, return_sequences=True))(x)
    return k.Model(sound, L.Dense(7, activation="log_softmax" if _is_keras3(k) else "softmax")(x))


@model()
def video(k: Any) -> Any:
    L = k.layers
    frames = k.Input((5, 10, 10, 1))
    one = L.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(frames)
    features = k.Sequential([k.Input((10, 10, 3)), L.Conv2D(4, 3, strides=3), L.GlobalMaxPooling2D()])
    two = L.LSTM(4)(L.TimeDistributed(features)(one))
    return k.Model(frames, [L.Dense(2)(two), L.Conv3D(1, 3, padding="same")(one)])


@model()
def padded_sequences(k: Any) -> Any:
    L = k.layers
    sequence = k.Input((6, 3))
    x = L.Masking(0.0)(sequence)
    x = L.LSTM(4, return_sequences=True)(x)
    x = L.TimeDistributed(L.Dense(4, activation="relu"))(x)
    return k.Model(sequence, L.RNN([L.LSTMCell(3), L.GRUCell(2)])(x))


# -- transformers ----------------------------------------------------------------------------------------


def encoder_block(k: Any, x: Any, width: int, **attention: Any) -> Any:
    L = k.layers
    y = L.MultiHeadAttention(2, width // 2, dropout=0.1)(x, x, **attention)
    x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, L.Dropout(0.1)(y)]))
    y = L.Dense(width)(L.Dense(2 * width, activation="gelu")(x))
    return L.LayerNormalization(epsilon=1e-6)(L.Add()([x, y]))


@model(integers(15), integers(2))
def encoder_with_a_mask(k: Any) -> Any:
    L = k.layers
    tokens, mask = k.Input((9,), dtype="int32", name="tokens"), k.Input((1, 9), dtype="int32", name="mask")
    x = L.Embedding(15, 8)(tokens)
    x = encoder_block(k, x, 8, attention_mask=mask)
    return k.Model([tokens, mask], L.GlobalMaxPooling1D()(encoder_block(k, x, 8, attention_mask=mask)))


@model(integers(15), integers(12))
def encoder_decoder(k: Any) -> Any:
    """Masks of both sequences come from their embeddings."""
    L = k.layers
    source, target = (
        k.Input((None,), dtype="int32", name="source"),
        k.Input((None,), dtype="int32", name="target"),
    )
    x = encoder_block(k, L.Embedding(15, 8, mask_zero=True)(source), 8)
    y = L.Embedding(12, 8, mask_zero=True)(target)
    y = L.Add()([y, L.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True)])
    y = L.Add()([y, L.MultiHeadAttention(2, 4)(y, x)])
    return k.Model([source, target], L.Dense(12)(L.LayerNormalization()(y)))


@model(integers(17), frameworks=("keras",))
def llama(k: Any) -> Any:
    """RMS norms, grouped queries, a gated MLP, logits by the embedding's own table."""
    L = k.layers
    tokens = k.Input((None,), dtype="int32")
    embedding = L.ReversibleEmbedding(17, 8)
    x = embedding(tokens)
    for _ in range(2):
        y = L.RMSNormalization()(x)
        x = x + L.GroupQueryAttention(4, 4, 2)(y, y, use_causal_mask=True)
        y = L.RMSNormalization()(x)
        x = x + L.Dense(8, use_bias=False)(k.ops.silu(L.Dense(12)(y)) * L.Dense(12)(y))
    return k.Model(tokens, embedding(L.RMSNormalization()(x), reverse=True))


@model(frameworks=("keras",))
def vision_transformer(k: Any) -> Any:
    """With operators and slices on symbolic tensors."""
    L, ops = k.layers, k.ops
    image = k.Input((16, 16, 3))
    patches = ops.reshape(L.Conv2D(8, 4, strides=4)(image / 255.0 - 0.5), (-1, 16, 8))
    positions = np.random.default_rng(4).standard_normal((1, 16, 8)).astype(np.float32)
    x = patches + positions
    token = ops.zeros_like(x[:, :1]) + 0.3
    x = ops.concatenate([token, x], axis=1)
    for _ in range(2):
        x = encoder_block(k, x, 8)
    return k.Model(image, L.Dense(3)(x[:, 0]))


# -- tables and recommendations --------------------------------------------------------------------------


@model(integers(20), integers(30), uniform())
def recommender(k: Any) -> Any:
    """Factors, crossed features, a deep and a wide part."""
    L = k.layers
    user, item = k.Input((1,), dtype="int64", name="user"), k.Input((1,), dtype="int64", name="item")
    context = k.Input((4,), name="context")
    one, two = L.Embedding(20, 5)(user), L.Embedding(30, 5)(item)
    factors = L.Flatten()(L.Dot(axes=2)([one, two]))
    deep = L.Concatenate()([L.Flatten()(one), L.Flatten()(two), context])
    for width in (8, 4):
        deep = L.Dropout(0.2)(L.BatchNormalization()(L.Dense(width, activation="relu")(deep)))
    wide = L.Dense(1)(context)
    score = L.Activation("sigmoid", name="score")(L.Add()([factors, L.Dense(1)(deep), wide]))
    return k.Model({"user": user, "item": item, "context": context}, {"score": score})


@model(uniform(0, 100), integers(9))
def tabular(k: Any) -> Any:
    """Numbers are normalised and put into bins, categories looked up and counted."""
    L = k.layers
    numbers, category = k.Input((3,), name="numbers"), k.Input((2,), dtype="int64", name="category")
    normal = L.Normalization(mean=[10.0, 20.0, 30.0], variance=[4.0, 9.0, 400.0])(numbers)
    bins = L.Discretization(bin_boundaries=[5.0, 25.0, 60.0])(numbers)
    bins = L.Flatten()(L.Embedding(4, 2)(bins))
    known = L.IntegerLookup(vocabulary=[2, 5, 7], output_mode="multi_hot")(category)
    x = L.Concatenate()([normal, bins, known, L.Rescaling(0.01, -0.5)(numbers)])
    return k.Model(
        [numbers, category],
        L.Dense(2, activation="softmax")(L.Dense(6, activation="mish" if _is_keras3(k) else "swish")(x)),
    )


@model()
def mixture_of_experts(k: Any) -> Any:
    L = k.layers
    x = k.Input((6,))
    gates = L.Dense(3, activation="softmax")(x)
    experts = [L.Reshape((1, 5))(L.Dense(5, activation="relu")(x)) for _ in range(3)]
    mixed = L.Dot(axes=1)([gates, L.Concatenate(axis=1)(experts)])
    highway = L.Dense(5, activation="sigmoid")(x)
    return k.Model(x, L.Multiply()([mixed, highway]))


@model()
def graph_convolution(k: Any) -> Any:
    L = k.layers
    nodes, edges = k.Input((7, 4), name="nodes"), k.Input((7, 7), name="edges")
    x = nodes
    for width in (6, 3):
        x = L.Dense(width, activation="relu")(L.Dot(axes=(2, 1))([edges, x]))
    return k.Model([nodes, edges], [x, L.GlobalMaxPooling1D()(x)])


@model()
def residual_forecast(k: Any) -> Any:
    """N-BEATS: blocks that explain what is left."""
    L = k.layers
    rest = window = k.Input((12,))
    forecasts = []
    for _ in range(3):
        x = L.Dense(8, activation="relu")(L.Dense(8, activation="relu")(rest))
        rest = L.Subtract()([rest, L.Dense(12)(x)])
        forecasts.append(L.Dense(4)(x))
    return k.Model(window, L.Add()(forecasts))


# -- operations on symbolic tensors ----------------------------------------------------------------------


@model(frameworks=("keras",))
def arithmetic(k: Any) -> Any:
    """Operators, slices and functions of `keras.ops` between layers."""
    L, ops = k.layers, k.ops
    x = k.Input((6, 8))
    a, b = ops.split(L.Dense(8)(x), 2, axis=-1)
    gated = a * ops.sigmoid(b) - 0.5 * ops.abs(a) ** 2 / (1.0 + ops.exp(-b))
    gram = ops.matmul(a, ops.transpose(b, (0, 2, 1)))
    scores = ops.softmax(gram / ops.sqrt(4.0), axis=-1)
    pooled = ops.concatenate(
        [ops.mean(gated, axis=1), ops.max(gated, axis=1), gated[:, -1], -gated[:, 0, :]], -1
    )
    picked = ops.where(gated > 0.1, gated, ops.minimum(a, b))
    norm = x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-6)
    stacked = ops.stack([pooled, 2 * pooled], axis=1)[..., ::2]
    mixed = ops.einsum("bij,bjk->bik", scores, a)
    return k.Model(x, {"pooled": pooled, "picked": picked, "norm": norm, "stacked": stacked, "mixed": mixed})


@model(frameworks=("tf_keras",))
def tensorflow_functions(k: Any) -> Any:
    """The same in Keras 2, by functions of TensorFlow."""
    L = k.layers
    x = k.Input((6, 8))
    a, b = tf.split(L.Dense(8)(x), 2, axis=-1)
    gated = a * tf.sigmoid(b) - 0.5 * tf.abs(a) ** 2 / (1.0 + tf.exp(-b))
    scores = tf.nn.softmax(tf.matmul(a, b, transpose_b=True) / 2.0)
    pooled = tf.concat([tf.reduce_mean(gated, axis=1), gated[:, -1], -gated[:, 0, :]], axis=-1)
    picked = tf.where(gated > 0.1, gated, tf.minimum(a, b))
    norm = tf.math.l2_normalize(x, axis=-1)
    stacked = tf.stack([pooled, 2 * pooled], axis=1)[:, :, ::2]
    flat = tf.reshape(x, (-1, 48))
    shaped = tf.reshape(flat, (tf.shape(x)[0], 12, 4))
    return k.Model(x, [pooled, picked, norm, stacked, tf.matmul(scores, a), tf.expand_dims(shaped, 1)])


@model(frameworks=("tf_keras",))
def pixel_shuffle(k: Any) -> Any:
    L = k.layers
    image = k.Input((6, 6, 3))
    x = L.Conv2D(12, 3, padding="same", activation=tf.nn.relu)(image)
    x = tf.nn.depth_to_space(x, 2)
    return k.Model(image, tf.image.resize(x, (9, 9)) + tf.reduce_max(x, axis=[1, 2], keepdims=True))


def _is_keras3(k: Any) -> bool:
    return k.__version__.startswith("3")


@pytest.mark.parametrize(
    ("name", "framework"), [(name, one) for name, entry in MODELS.items() for one in entry[2]]
)
def test_model(name: str, framework: str) -> None:
    build, inputs, _, options = MODELS[name]
    formats = ("keras", "h5")
    check(build, *inputs, frameworks=(framework,), formats=formats, **{"tolerance": 3e-5, **options})
