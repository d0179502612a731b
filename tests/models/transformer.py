"""Language models: BERT-like encoders, and a GPT-like decoder that keeps its key-value cache in variables."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from .saving import export, randomize, save

VOCABULARY = 200


class Embedding(layers.Layer):
    """Sum of token, segment and position embeddings; the sequence may be shorter than the position table."""

    def __init__(self, width: int, longest: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.width, self.longest = width, longest

    def build(self, *shapes: object) -> None:
        tables = {"tokens": VOCABULARY, "segments": 2, "positions": self.longest}
        for name, rows in tables.items():
            setattr(self, name, self.add_weight(shape=(rows, self.width), initializer="normal", name=name))

    def call(self, tokens: keras.KerasTensor, segments: keras.KerasTensor) -> keras.KerasTensor:
        summed = ops.take(self.tokens, tokens, axis=0) + ops.take(self.segments, segments, axis=0)
        return summed + self.positions[: ops.shape(tokens)[1]]


def _encoder(folder: Path, length: int | None, sizes: list[tuple[int, int]]) -> None:
    keras.utils.set_random_seed(12)
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    mask = keras.Input((length,), dtype="int32", name="mask")
    segments = keras.Input((length,), dtype="int32", name="segments")
    x = layers.LayerNormalization(epsilon=1e-12)(Embedding(32, 48)(tokens, segments))
    attend = layers.Lambda(lambda m: ops.cast(m, "bool")[:, None, :], name="attend")(mask)
    for _ in range(2):
        attended = layers.MultiHeadAttention(4, 8)(x, x, attention_mask=attend)
        x = layers.LayerNormalization(epsilon=1e-12)(layers.Add()([x, attended]))
        hidden = layers.Dense(32)(layers.Dense(64, "gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-12)(layers.Add()([x, hidden]))
    pooled = layers.Dense(32, "tanh", name="pooler")(x[:, 0])
    outputs = {"sequence": x, "pooled": pooled}
    model = keras.Model({"tokens": tokens, "mask": mask, "segments": segments}, outputs)
    randomize(model)
    rng = np.random.default_rng(13)
    steps = []
    for batch, size in sizes:
        lengths = rng.integers(size // 2, size + 1, batch)
        step = {
            "tokens": rng.integers(0, VOCABULARY, (batch, size)),
            "mask": np.arange(size)[None] < lengths[:, None],
            "segments": rng.integers(0, 2, (batch, size)),
        }
        steps.append({name: x.astype(np.int32) for name, x in step.items()})
    export(model, folder, steps)


def bert(folder: Path) -> None:
    """A BERT-like encoder of 24 tokens with a padding mask, and both of its outputs."""
    _encoder(folder, 24, [(1, 24), (3, 24)])


def bert_dynamic(folder: Path) -> None:
    """The same with an unknown length."""
    _encoder(folder, None, [(1, 10), (3, 24)])


class Decoder(tf.Module):
    """A small causal transformer; `prefill` caches a prompt, `decode` adds one token at a time."""

    blocks, heads, head_width, longest = 2, 4, 8, 20

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(14)
        width = self.heads * self.head_width

        def weight(*shape: int, scale: float = 0.3) -> tf.Variable:
            return tf.Variable(rng.normal(0, scale, shape), dtype=tf.float32)

        self.embedding, self.position = weight(VOCABULARY, width), weight(self.longest, width)
        self.projections = [weight(width, 3 * width) for _ in range(self.blocks)]
        self.merges = [weight(width, width) for _ in range(self.blocks)]
        self.widen = [weight(width, 4 * width) for _ in range(self.blocks)]
        self.narrow = [weight(4 * width, width) for _ in range(self.blocks)]
        self.scales = [tf.Variable(rng.uniform(0.5, 1.5, (width,)), dtype=tf.float32) for _ in range(5)]
        shape = (self.longest, self.heads, self.head_width)
        self.keys = [tf.Variable(tf.zeros(shape), name=f"keys_{block}") for block in range(self.blocks)]
        self.values = [tf.Variable(tf.zeros(shape), name=f"values_{block}") for block in range(self.blocks)]
        self.length = tf.Variable(0, dtype=tf.int32)

    def _normalise(self, x: tf.Tensor, scale: tf.Variable) -> tf.Tensor:
        return x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + 1e-6) * scale

    def _run(self, tokens: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Logits of the last of `tokens` (count,), which stand at `positions` of the sequence."""
        count, width = tf.shape(tokens)[0], self.heads * self.head_width
        x = tf.gather(self.embedding, tokens) + tf.gather(self.position, positions)
        visible = tf.range(self.longest)[None] <= positions[:, None]
        bias = tf.where(visible, 0.0, -1e9)[None]
        for block in range(self.blocks):
            projected = self._normalise(x, self.scales[2 * block]) @ self.projections[block]
            query, key, value = tf.unstack(
                tf.reshape(projected, [count, 3, self.heads, self.head_width]), axis=1
            )
            rows = positions[:, None]
            keys = tf.tensor_scatter_nd_update(self.keys[block], rows, key)
            values = tf.tensor_scatter_nd_update(self.values[block], rows, value)
            self.keys[block].assign(keys)
            self.values[block].assign(values)
            scores = tf.einsum("qhd,khd->hqk", query, keys) * self.head_width**-0.5 + bias
            attended = tf.einsum("hqk,khd->qhd", tf.nn.softmax(scores), values)
            x += tf.reshape(attended, [count, width]) @ self.merges[block]
            hidden = tf.nn.silu(self._normalise(x, self.scales[2 * block + 1]) @ self.widen[block])
            x += hidden @ self.narrow[block]
        return self._normalise(x[-1:], self.scales[-1]) @ tf.transpose(self.embedding)

    @tf.function(input_signature=[tf.TensorSpec((1, None), tf.int32, "tokens")])
    def prefill(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Start a new sequence with a prompt of any length."""
        count = tf.shape(tokens)[1]
        for cache in (*self.keys, *self.values):
            cache.assign(tf.zeros_like(cache))
        self.length.assign(count)
        return {"logits": self._run(tokens[0], tf.range(count))}

    @tf.function(input_signature=[tf.TensorSpec((1, 1), tf.int32, "token")])
    def decode(self, token: tf.Tensor) -> dict[str, tf.Tensor]:
        """Add one token after those in the cache."""
        position = self.length.read_value()
        self.length.assign_add(1)
        return {"logits": self._run(token[0], position[None]), "position": position}


def gpt(folder: Path) -> None:
    """The decoder with its two signatures: a prompt, four tokens, another prompt, two tokens."""
    rng = np.random.default_rng(15)

    def tokens(count: int) -> np.ndarray:
        return rng.integers(0, VOCABULARY, (1, count)).astype(np.int32)

    module = Decoder()
    steps = [("prefill", {"tokens": tokens(7)}), *(("decode", {"token": tokens(1)}) for _ in range(4))]
    steps += [("prefill", {"tokens": tokens(5)}), *(("decode", {"token": tokens(1)}) for _ in range(2))]
    save(module, folder, {"prefill": module.prefill, "decode": module.decode}, steps)
