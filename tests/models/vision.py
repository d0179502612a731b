"""Image models that `keras.applications` lacks: U-Nets and a vision transformer."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from .saving import export, randomize, settle


def _images(count: int, height: int, width: int, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, height, width, 3)).astype(np.float32)


def _block(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    return x


def _unet(shape: tuple[int | None, int | None, int], *, transposed: bool) -> keras.Model:
    keras.utils.set_random_seed(10)
    image = keras.Input(shape, name="image")
    x, skips = image, []
    for filters in (8, 12):
        x = _block(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _block(x, 16)
    for filters, skip in ((12, skips[1]), (8, skips[0])):
        if transposed:
            x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x)
        else:
            x = layers.UpSampling2D(2, interpolation="nearest")(x)
        x = _block(layers.Concatenate()([x, skip]), filters)
    model = keras.Model(image, layers.Conv2D(3, 1, activation="sigmoid", name="mask")(x))
    randomize(model)
    settle(model, _images(4, 32, 32))
    return model


def unet(folder: Path) -> None:
    """A U-Net of fixed size with transposed convolutions."""
    model = _unet((32, 32, 3), transposed=True)
    export(model, folder, [{"image": _images(1, 32, 32)}, {"image": _images(3, 32, 32)}])


def unet_dynamic(folder: Path) -> None:
    """A U-Net of unknown height and width with nearest upsampling, at two sizes."""
    model = _unet((None, None, 3), transposed=False)
    export(model, folder, [{"image": _images(1, 48, 64)}, {"image": _images(2, 20, 36)}])


class ClassToken(layers.Layer):
    """Put a learned token before the patches of every image."""

    def build(self, shape: tuple[int | None, int, int]) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal", name="token")

    def call(self, patches: keras.KerasTensor) -> keras.KerasTensor:
        token = ops.broadcast_to(self.token, (ops.shape(patches)[0], 1, patches.shape[-1]))
        return ops.concatenate([token, patches], axis=1)


class Positions(layers.Layer):
    """Add a learned embedding of each position."""

    def build(self, shape: tuple[int | None, int, int]) -> None:
        self.embedding = self.add_weight(shape=shape[1:], initializer="random_normal", name="embedding")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x + self.embedding


def vit(folder: Path) -> None:
    """A vision transformer: patches, a class token, learned positions, pre-norm encoder blocks with GELU."""
    keras.utils.set_random_seed(11)
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(48, 8, strides=8, padding="valid", name="patches")(image)
    x = layers.Reshape((16, 48))(x)
    x = Positions()(ClassToken()(x))
    for _ in range(3):
        normed = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 12)(normed, normed)])
        hidden = layers.Dense(96, "gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([x, layers.Dense(48)(layers.Dropout(0.1)(hidden))])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    model = keras.Model(image, layers.Dense(10, name="logits")(x[:, 0]))
    randomize(model)
    export(model, folder, [{"image": _images(1, 32, 32)}, {"image": _images(4, 32, 32)}])
