"""Keras layers as `model.export` saves them, converted from the SavedModel and compared at two batch sizes.

Layers of one input share a model, each with outputs of its own; a failure names the outputs that differ.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from tests.models.saving import randomize  # noqa: E402

L = keras.layers
Layers = dict[str, Any]
TOLERANCE = 1e-4
SEQUENCE, IMAGE, FIRST, VOLUME = (None, 4), (12, 11, 4), (4, 12, 11), (5, 6, 4, 4)
OPEN_IMAGE = (None, None, 4)
RECURRENT = {"lstm": L.LSTM, "gru": L.GRU, "simple": L.SimpleRNN}


def conv_sequence() -> Layers:
    return {
        "strided_groups": L.Conv1D(6, 3, groups=2, strides=2, padding="same"),
        "causal_dilated": L.Conv1D(5, 3, dilation_rate=4, padding="causal", activation="tanh"),
        "same_dilated": L.Conv1D(5, 3, dilation_rate=3, padding="same", activation="relu6"),
        "transposed": L.Conv1DTranspose(5, 4, strides=3, padding="valid"),
        "separable": L.SeparableConv1D(6, 3, strides=2, depth_multiplier=2, padding="same"),
        "depthwise": L.DepthwiseConv1D(3, depth_multiplier=3, strides=2, padding="same"),
        "depthwise_dilated": L.DepthwiseConv1D(3, dilation_rate=2),
        "max_pool": L.MaxPooling1D(3, 2, padding="same"),
        "average_pool": L.AveragePooling1D(3, 2, padding="same"),
        "global_max": L.GlobalMaxPooling1D(keepdims=True),
        "global_average": L.GlobalAveragePooling1D(),
        "cropping": L.Cropping1D((1, 2)),
        "padding": L.ZeroPadding1D((1, 2)),
        "up_sampling": L.UpSampling1D(3),
        "reshape": L.Reshape((-1, 2)),
        "flatten": L.Flatten(),
        "per_step": L.TimeDistributed(L.Dense(4)),
        "layer_norm": L.LayerNormalization(),
        "einsum": L.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="de", activation="relu"),
    }


def conv_image() -> Layers:
    return {
        "groups_dilated": L.Conv2D(6, (3, 2), groups=2, dilation_rate=(2, 3)),
        "transposed": L.Conv2DTranspose(5, 4, strides=2, padding="same", output_padding=1),
        "transposed_uneven": L.Conv2DTranspose(5, (3, 2), strides=(3, 2)),
        "separable_dilated": L.SeparableConv2D(6, 3, dilation_rate=2, padding="same", activation="silu"),
        "depthwise": L.DepthwiseConv2D(3, depth_multiplier=3, strides=2, padding="same"),
        "depthwise_dilated": L.DepthwiseConv2D((3, 2), dilation_rate=2, padding="same"),
        "spectral": L.SpectralNormalization(L.Conv2D(4, 3)),
        "adaptive_max": L.AdaptiveMaxPooling2D(3),
        "adaptive_average": L.AdaptiveAveragePooling2D((3, 5)),
        "repeat": L.UpSampling2D((2, 3)),
        "crop": L.Cropping2D(((1, 2), (0, 3))),
        "center_crop": L.CenterCrop(5, 6),
        "center_crop_enlarged": L.CenterCrop(14, 18),
        "resize_cropped": L.Resizing(8, 8, crop_to_aspect_ratio=True),
        "resize_padded": L.Resizing(8, 8, pad_to_aspect_ratio=True),
        "resize_antialiased": L.Resizing(6, 6, antialias=True),
        "rescale": L.Rescaling(1 / 127.5, -1),
        "dense": L.Dense(3, activation="softmax", use_bias=False),
        "permute": L.Permute((3, 1, 2)),
    } | {
        f"up_{method}": L.UpSampling2D((2, 3), interpolation=method)
        for method in ("bilinear", "bicubic", "lanczos3", "lanczos5")
    }


def conv_open_image() -> Layers:
    return {
        "strided": L.Conv2D(6, 3, strides=(2, 1), padding="same"),
        "dilated": L.Conv2D(6, 3, dilation_rate=(2, 3), padding="same"),
        "transposed": L.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu"),
        "max_pool": L.MaxPooling2D(2, padding="same"),
        "average_pool": L.AveragePooling2D(3, 1, padding="same"),
        "global_average": L.GlobalAveragePooling2D(keepdims=True),
        "group_norm": L.GroupNormalization(2),
        "resize": L.Resizing(8, 8),
        "resize_cropped": L.Resizing(8, 8, crop_to_aspect_ratio=True),
        "up_nearest": L.UpSampling2D(2),
        "pad": L.ZeroPadding2D(((0, 1), (2, 0))),
    }


def conv_dilated() -> Layers:
    return {
        "same": L.Conv2DTranspose(5, 3, dilation_rate=2, padding="same"),
        "valid": L.Conv2DTranspose(5, (3, 2), dilation_rate=(1, 3)),
    }


def conv_channels_first() -> Layers:
    first = {"data_format": "channels_first"}
    return {
        "conv": L.Conv2D(5, 3, strides=2, padding="same", **first),
        "transposed": L.Conv2DTranspose(5, 3, strides=2, **first),
        "separable": L.SeparableConv2D(6, 3, padding="same", **first),
        "depthwise_dilated": L.DepthwiseConv2D(3, dilation_rate=2, padding="same", **first),
        "max_pool": L.MaxPooling2D(2, **first),
        "average_pool": L.AveragePooling2D(3, 2, padding="same", **first),
        "global_max": L.GlobalMaxPooling2D(**first),
        "adaptive_average": L.AdaptiveAveragePooling2D(3, **first),
        "up_bilinear": L.UpSampling2D(2, interpolation="bilinear", **first),
        "crop": L.Cropping2D(((1, 2), (0, 3)), **first),
        "pad": L.ZeroPadding2D(((1, 2), (0, 3)), **first),
        "flatten": L.Flatten(**first),
        "batch_norm": L.BatchNormalization(axis=1, scale=False),
        "group_norm": L.GroupNormalization(2, axis=1),
    }


def conv_volume() -> Layers:
    return {
        "strided": L.Conv3D(4, (2, 3, 3), strides=(1, 2, 2), padding="same"),
        "dilated": L.Conv3D(4, 2, dilation_rate=2),
        "groups": L.Conv3D(4, 2, groups=2, padding="same"),
        "transposed": L.Conv3DTranspose(3, 3, strides=2, padding="same"),
        "max_pool": L.MaxPooling3D(2, padding="same"),
        "average_pool": L.AveragePooling3D(3, 2, padding="same"),
        "adaptive_max": L.AdaptiveMaxPooling3D(2),
        "global_average": L.GlobalAveragePooling3D(),
        "crop": L.Cropping3D(((1, 1), (0, 2), (2, 0))),
        "pad": L.ZeroPadding3D(((1, 1), (0, 2), (2, 0))),
        "up": L.UpSampling3D((2, 1, 3)),
        "batch_norm": L.BatchNormalization(),
        "frames": L.TimeDistributed(L.Conv2D(4, 3, padding="same")),
        "conv_lstm": L.ConvLSTM2D(3, 3, padding="same", dilation_rate=2, return_state=True),
        "conv_lstm_back": L.ConvLSTM2D(3, 3, strides=2, padding="same", go_backwards=True),
    }


def normalisation() -> Layers:
    return {
        "batch": L.BatchNormalization(center=False),
        "batch_axis": L.BatchNormalization(axis=1),
        "layer_axes": L.LayerNormalization(axis=(1, 2)),
        "layer_plain": L.LayerNormalization(scale=False, center=False),
        "rms": L.RMSNormalization(),
        "group": L.GroupNormalization(2),
        "instance": L.GroupNormalization(-1),
        "unit": L.UnitNormalization(axis=(1, 2)),
        "given": L.Normalization(axis=-1, mean=np.arange(4.0), variance=np.arange(1.0, 5.0)),
        "given_inverse": L.Normalization(axis=None, mean=2.0, variance=4.0, invert=True),
        "softmax_axes": L.Softmax(axis=(1, 2)),
    }


def activations() -> Layers:
    names = (
        "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid "
        "log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
        "sparse_sigmoid sparsemax squareplus tanh tanh_shrink"
    )
    return {name: L.Activation(name) for name in names.split()} | {
        "prelu": L.PReLU(alpha_initializer="uniform"),
        "relu_options": L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.5),
        "elu_half": L.ELU(alpha=0.5),
    }


def recurrent() -> Layers:
    rows: Layers = {
        "stacked": L.RNN([L.LSTMCell(4), L.LSTMCell(3)], return_sequences=True),
        "gru_reset_before": L.GRU(5, reset_after=False, return_sequences=True),
        "bidirectional_conv": L.Bidirectional(L.GRU(3, dropout=0.1, recurrent_dropout=0.1)),
    }
    for name, layer in RECURRENT.items():
        rows[f"{name}_state"] = layer(5, return_sequences=True, return_state=True, go_backwards=True)
        rows[f"{name}_last"] = layer(5, activation="relu", use_bias=False)
    for mode in ("sum", "mul", "ave", "concat", None):
        rows[f"both_{mode}"] = L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=mode)
    return rows


def masked() -> Layers:
    rows: Layers = {
        "average": keras.Sequential([L.Embedding(6, 4, mask_zero=True), L.GlobalAveragePooling1D()]),
        "both": keras.Sequential([L.Embedding(6, 4, mask_zero=True), L.Bidirectional(L.GRU(3))]),
    }
    for name, layer in RECURRENT.items():
        for zero in (False, True):
            steps = layer(5, return_sequences=True, zero_output_for_mask=zero, go_backwards=zero)
            rows[f"{name}_{zero}"] = keras.Sequential([L.Embedding(6, 4, mask_zero=True), steps])
    return rows


def audio() -> Layers:
    return {
        "log": L.STFTSpectrogram(mode="log", frame_length=64, frame_step=32, fft_length=64),
        "magnitude": L.STFTSpectrogram(frame_length=60, frame_step=25, fft_length=64, padding="same"),
        "imaginary": L.STFTSpectrogram(mode="imag", frame_length=60, frame_step=25, fft_length=64),
    }


def mel() -> Layers:
    options = {"fft_length": 256, "sequence_stride": 64, "num_mel_bins": 20, "sampling_rate": 4000}
    return {"mel": L.MelSpectrogram(**options)}


def tokens() -> Layers:
    return {
        "multi_hot": L.CategoryEncoding(6, "multi_hot"),
        "counted": L.CategoryEncoding(6, "count"),
        "embedded": L.Embedding(6, 4),
    }


SINGLE: dict[Callable[[], Layers], tuple[tuple[int | None, ...], str]] = {
    conv_sequence: (SEQUENCE, "float32"),
    conv_image: (IMAGE, "float32"),
    conv_open_image: (OPEN_IMAGE, "float32"),
    conv_dilated: (IMAGE, "float32"),
    conv_channels_first: (FIRST, "float32"),
    conv_volume: (VOLUME, "float32"),
    normalisation: ((5, 6, 4), "float32"),
    activations: ((5, 6), "float32"),
    recurrent: (SEQUENCE, "float32"),
    masked: ((None,), "int32"),
    audio: ((400, 1), "float32"),
    mel: ((None,), "float32"),
    tokens: ((5,), "int32"),
}
COMPILED = {conv_dilated, conv_channels_first}
"""Builders of what TensorFlow's own kernels refuse on a CPU: XLA gives the reference."""
SLOW = {conv_volume, recurrent, masked}
"""Builders whose models take longer than five seconds to save."""


def given_state(x: Any, h: Any, c: Any) -> Any:
    return L.LSTM(5, return_state=True)(x, initial_state=[h, c])


def attention(query: Any, keys: Any, mask: Any) -> Any:
    options = {"use_causal_mask": True, "return_attention_scores": True}
    several = L.MultiHeadAttention(2, 4, value_dim=3, output_shape=5)
    return [
        *L.Attention(use_scale=True)([query, keys], mask=[None, mask], **options),
        *L.Attention(score_mode="concat")([query, keys], mask=[None, mask], **options),
        *L.AdditiveAttention()([query, keys], mask=[None, mask], **options),
        several(query, keys, attention_mask=mask[:, None]),
        *L.MultiHeadAttention(2, 4)(query, keys, **options),
        L.GroupQueryAttention(4, 4, 2)(query, keys, attention_mask=mask[:, None]),
        L.GroupQueryAttention(4, 4, 2)(query, keys, use_causal_mask=True),
    ]


def merged(left: Any, right: Any) -> Any:
    kinds = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)
    square = L.Permute((2, 1))(right)
    return [
        *(kind()([left, right]) for kind in kinds),
        L.Dot(axes=(2, 1))([left, square]),
        L.Concatenate(axis=1)([left, right]),
    ]


SEVERAL: dict[Callable[..., Any], dict[str, tuple[tuple[int | None, ...], str]]] = {
    given_state: {"x": (SEQUENCE, "float32"), "h": ((5,), "float32"), "c": ((5,), "float32")},
    attention: {
        "query": ((None, 8), "float32"),
        "keys": ((None, 8), "float32"),
        "mask": ((None,), "bool"),
    },
    merged: {"left": ((4, 5), "float32"), "right": ((1, 5), "float32")},
}


def check_export(model: Any, folder: Path, *, compiled: bool = False) -> None:
    """Export, convert and compare at two sizes; with every size fixed, nothing computes one."""
    randomize(model)
    model.export(folder, verbose=False)
    loaded = tf.saved_model.load(str(folder))  # must outlive its signature, which does not hold the variables
    source = loaded.signatures["serving_default"]
    converted = litecast.convert(folder)
    assert not {"Custom", "Flex", "Opaque"} & set(converted.report.ops)
    assert all(port.shape[0] == -1 for port in converted.runtime.inputs())
    rng = np.random.default_rng(3)
    for batch, size in ((1, 9), (3, 12)):
        arrays = {}
        for name, spec in source.structured_input_signature[1].items():
            open_size = 900 if name == "samples" else size
            shape = [batch, *(open_size if dim is None else dim for dim in spec.shape[1:])]
            dtype = spec.dtype.as_numpy_dtype
            arrays[name] = (
                rng.standard_normal(shape) if dtype == np.float32 else rng.integers(0, 6, shape)
            ).astype(dtype)
        reference = tf.function(source, jit_compile=True) if compiled else source
        wanted = reference(**{name: tf.constant(array) for name, array in arrays.items()})
        found = converted(**arrays)
        assert set(found) == set(wanted)
        errors = {name: _error(found[name], want.numpy()) for name, want in wanted.items()}
        assert not {name: error for name, error in errors.items() if not error <= TOLERANCE}, batch
    if all(None not in spec.shape[1:] for spec in source.structured_input_signature[1].values()):
        assert "Shape" not in litecast.convert(folder, batch=2).report.ops


def _error(found: np.ndarray, want: np.ndarray) -> float:
    assert found.shape == want.shape
    assert found.dtype == want.dtype
    if want.dtype.kind in "biu":
        return float((found != want).any())
    return float(np.abs(found - want).max() / max(np.abs(want).max(), 1e-30))


@pytest.mark.parametrize(
    "build",
    [pytest.param(build, marks=pytest.mark.slow if build in SLOW else ()) for build in SINGLE],
    ids=lambda build: build.__name__,
)
def test_layers_of_one_input(build, tmp_path):
    keras.utils.set_random_seed(7)
    shape, dtype = SINGLE[build]
    x = keras.Input(shape, dtype=dtype, name="samples" if build is mel else "x")
    outputs = {
        f"{name}_{index}": tensor
        for name, layer in build().items()
        for index, tensor in enumerate(keras.tree.flatten(layer(x)))
    }
    check_export(keras.Model(x, outputs), tmp_path / "saved_model", compiled=build in COMPILED)


@pytest.mark.parametrize("build", SEVERAL, ids=lambda build: build.__name__)
def test_layers_of_several_inputs(build, tmp_path):
    keras.utils.set_random_seed(7)
    inputs = {
        name: keras.Input(shape, dtype=dtype, name=name) for name, (shape, dtype) in SEVERAL[build].items()
    }
    check_export(keras.Model(inputs, build(**inputs)), tmp_path / "saved_model")


@pytest.mark.parametrize("layer", RECURRENT.values(), ids=list(RECURRENT))
def test_stateful_layers(layer, tmp_path):
    """The state of one call is where the next one starts."""
    keras.utils.set_random_seed(7)
    x = keras.Input(batch_shape=(2, 5, 4), name="x")
    model = keras.Model(x, layer(3, stateful=True, return_sequences=True)(x))
    randomize(model)
    model.export(tmp_path, verbose=False)
    source = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    converted = litecast.convert(tmp_path)
    rng = np.random.default_rng(3)
    for _ in range(3):
        array = rng.standard_normal((2, 5, 4)).astype(np.float32)
        (want,), (found,) = source(x=tf.constant(array)).values(), converted(array).values()
        assert _error(found, want.numpy()) <= TOLERANCE
