"""Convolution layers against both frameworks, every option; and that normalisation and activation fold in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from tests.frontend.keras import harness
from tests.frontend.keras.harness import (
    EVERY_FORMAT,
    KERAS,
    TF_KERAS,
    check,
    layer,
    layers,
    operations,
    spec,
)

FIRST = {"data_format": "channels_first"}
SPATIAL = {1: (None,), 2: (None, 7), 3: (6, None, 5)}
"""Spatial sizes per rank: of unknown and of known size."""
SHARED: dict[str, dict[str, Any]] = {
    "plain": {},
    "one_size": {"kernel_size": 2},
    "same": {"padding": "same"},
    "strides": {"strides": 2},
    "same_strides": {"padding": "same", "strides": 2},
    "dilated": {"dilation_rate": 2},
    "same_dilated": {"padding": "same", "dilation_rate": 2},
    "no_bias": {"use_bias": False},
    "relu": {"activation": "relu"},
    "softmax": {"activation": "softmax"},
}
WINDOWS = {1: 3, 2: (3, 2), 3: (2, 3, 1)}


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each layer as its channels-last twin: TensorFlow's kernels for the processor take nothing else.

    (Compiled by XLA they do, but give wrong results where one tensor goes to several convolutions.)
    """

    def twin(layer: Any, x: Any) -> Any:
        config = {**layer.get_config(), "data_format": "channels_last", "activation": None}
        last = type(layer).from_config(config)
        images = np.moveaxis(x, 1, -1)
        last(images)
        last.set_weights(layer.get_weights())
        return layer.activation(harness.tf.constant(np.moveaxis(last(images), -1, 1)))

    def call(model: Any, arrays: Any) -> Any:
        made = {name: tensor._keras_history[0] for name, tensor in model.output.items()}
        return {name: twin(layer, *arrays) for name, layer in made.items()}

    monkeypatch.setattr(harness, "call", call)


def _options(rank: int, rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"kernel_size": WINDOWS[rank], **row} for name, row in rows.items()}


def _inputs(rank: int, channels: int = 4) -> tuple[Any, ...]:
    return (*SPATIAL[rank], channels)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_plain(rank: int) -> None:
    rows = {**SHARED, "groups": {"filters": 6, "groups": 2}}
    if rank == 1:
        rows |= {
            "causal": {"padding": "causal"},
            "causal_strides": {"padding": "causal", "strides": 2},
            "causal_dilated": {"padding": "causal", "dilation_rate": 3},
        }
    if rank == 2:
        rows |= {
            "depthwise": {"filters": 8, "groups": 4},
            "two_strides": {"strides": (2, 1), "padding": "SAME"},
            "two_rates": {"dilation_rate": (1, 3)},
        }

    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"Conv{rank}D")
        return {name: kind(**{"filters": 5, **row}) for name, row in _options(rank, rows).items()}

    check(layers(make, _inputs(rank)), sizes=(9, 12))


def _first_rows(rank: int) -> dict[str, dict[str, Any]]:
    rows = {"plain": {}, "same": {"padding": "same", "activation": "softmax"}, "strides": {"strides": 2}}
    if rank == 1:
        rows["causal"] = {"padding": "causal", "dilation_rate": 2}
    return rows


@pytest.mark.usefixtures("turned")
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_plain_channels_first(rank: int) -> None:
    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"Conv{rank}D")
        rows = _options(rank, _first_rows(rank))
        return {name: kind(filters=5, **FIRST, **row) for name, row in rows.items()}

    check(layers(make, (4, *SPATIAL[rank])), sizes=(9, 12))


@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise(rank: int) -> None:
    rows = {**SHARED, "multiplier": {"depth_multiplier": 3, "padding": "same"}}

    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"DepthwiseConv{rank}D")
        return {name: kind(**row) for name, row in _options(rank, rows).items()}

    check(layers(make, _inputs(rank)), sizes=(9, 12))


@pytest.mark.parametrize("rank", [1, 2])
def test_separable(rank: int) -> None:
    rows = {**SHARED, "multiplier": {"depth_multiplier": 3, "padding": "same"}}

    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"SeparableConv{rank}D")
        made = {name: kind(filters=5, **row) for name, row in _options(rank, rows).items()}
        if rank == 1 and "tf_keras" in k.__name__:
            made["causal"] = kind(5, 3, padding="causal", dilation_rate=2)
        return made

    check(layers(make, _inputs(rank)), sizes=(9, 12))


@pytest.mark.usefixtures("turned")
@pytest.mark.parametrize("name", ["DepthwiseConv", "SeparableConv"])
@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise_channels_first(name: str, rank: int) -> None:
    filters = {"filters": 5} if name == "SeparableConv" else {}

    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"{name}{rank}D")
        rows = _options(rank, {"plain": {}, "dilated": {"padding": "same", "dilation_rate": 2}})
        return {key: kind(**filters, **FIRST, **row) for key, row in rows.items()}

    check(layers(make, (4, *SPATIAL[rank])), sizes=(9, 12))


def test_depthwise_strides_with_dilation() -> None:
    def make(k: Any) -> dict[str, Any]:
        windows = {"strides": 2, "dilation_rate": 2, "padding": "same"}
        return {
            "depthwise": k.layers.DepthwiseConv2D(3, **windows),
            "separable": k.layers.SeparableConv2D(5, 3, **windows),
            "valid": k.layers.DepthwiseConv2D(3, strides=2, dilation_rate=3),
        }

    check(layers(make, (None, 9, 4)), sizes=(9, 12), frameworks=KERAS)


TRANSPOSED: dict[str, dict[str, Any]] = {
    "plain": {},
    "same": {"padding": "same"},
    "strides": {"strides": 2},
    "same_strides": {"padding": "same", "strides": 2},
    "wide_strides": {"strides": 4},
    "same_wide_strides": {"strides": 4, "padding": "same"},
    "no_bias": {"use_bias": False, "activation": "relu"},
    "extra": {"strides": 3, "output_padding": 1},
    "no_extra": {"strides": 3, "output_padding": 0},
    "same_extra": {"strides": 3, "output_padding": 2, "padding": "same", "kernel_size": 3},
    "one_tap": {"kernel_size": 1, "strides": 3, "padding": "same"},
}


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed(rank: int) -> None:
    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"Conv{rank}DTranspose")
        return {name: kind(filters=5, **row) for name, row in _options(rank, TRANSPOSED).items()}

    check(layers(make, _inputs(rank)), sizes=(5, 6))


@pytest.mark.usefixtures("turned")
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_channels_first(rank: int) -> None:
    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"Conv{rank}DTranspose")
        rows = _options(rank, {"plain": {"strides": 2}, "same": {"padding": "same", "strides": 2}})
        return {name: kind(filters=5, **FIRST, **row) for name, row in rows.items()}

    check(layers(make, (4, *SPATIAL[rank])), sizes=(5, 6))


def test_transposed_and_dilated() -> None:
    def make(k: Any) -> dict[str, Any]:
        kind = k.layers.Conv2DTranspose
        return {
            "valid": kind(5, 3, dilation_rate=2),
            "same": kind(5, (3, 2), dilation_rate=2, padding="same"),
        }

    check(layers(make, (None, 7, 4)), sizes=(5, 6), frameworks=TF_KERAS)


def _transposed_by_numpy(layer: Any, x: Any) -> Any:
    """The transposed convolution of one axis as Keras 3 defines it for all backends: a convolution of the
    spread input, padded by what its helper for JAX says.
    """
    from keras.src.backend.common.backend_utils import compute_conv_transpose_padding_args_for_jax as amounts

    kernel, bias = (np.asarray(weight, np.float64) for weight in layer.weights)
    (stride,), (rate,) = layer.strides, layer.dilation_rate
    args = (x.shape, kernel.shape, layer.strides, layer.padding, layer.output_padding, layer.dilation_rate)
    spread = np.zeros((len(x), (x.shape[1] - 1) * stride + 1, x.shape[2]))
    spread[:, ::stride] = x
    padded = np.pad(spread, [(0, 0), *amounts(*args), (0, 0)])
    count = padded.shape[1] - (len(kernel) - 1) * rate
    taps = [padded[:, tap * rate : tap * rate + count] @ kernel[::-1][tap].T for tap in range(len(kernel))]
    return (sum(taps) + bias).astype(np.float32)


def test_transposed_as_other_backends_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that Keras 3 takes, and TensorFlow cannot run on a processor."""

    def call(model: Any, arrays: Any) -> Any:
        made = {name: tensor._keras_history[0] for name, tensor in model.output.items()}
        return {name: _transposed_by_numpy(layer, *arrays) for name, layer in made.items()}

    rows = {
        f"{padding}_{size}_{stride}_{rate}_{extra}": {
            "kernel_size": size,
            "strides": stride,
            "dilation_rate": rate,
            "padding": padding,
            "output_padding": extra,
        }
        for padding in ("valid", "same")
        for size in (1, 2, 3, 4)
        for stride, rate in ((1, 1), (2, 1), (3, 1), (1, 2), (1, 3))
        for extra in (None, *range(stride))
    }
    monkeypatch.setattr(harness, "call", call)
    check(
        layers(lambda k: {name: k.layers.Conv1DTranspose(2, **row) for name, row in rows.items()}, (5, 3)),
        frameworks=KERAS,
        formats=("keras",),
    )


@pytest.mark.parametrize("rank", [2, 3])
def test_transposed_and_dilated_in_keras3(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dilated kernel is a larger one with zeros between the taps, which TensorFlow can run."""

    def call(model: Any, arrays: Any) -> Any:
        def spread(layer: Any) -> Any:
            axes = list(zip(layer.kernel_size, layer.dilation_rate, strict=True))
            size = [(taps - 1) * rate + 1 for taps, rate in axes]
            twin = type(layer).from_config({**layer.get_config(), "kernel_size": size, "dilation_rate": 1})
            twin(arrays[0])
            kernel, bias = (np.asarray(weight) for weight in layer.weights)
            wide = np.zeros((*size, *kernel.shape[-2:]), np.float32)
            wide[tuple(slice(None, None, rate) for _, rate in axes)] = kernel
            twin.set_weights([wide, bias])
            return twin(arrays[0])

        return {name: spread(tensor._keras_history[0]) for name, tensor in model.output.items()}

    def make(k: Any) -> dict[str, Any]:
        kind = getattr(k.layers, f"Conv{rank}DTranspose")
        rates = {2: [2, (1, 3)], 3: [2, (1, 3, 2), (2, 1, 1)]}[rank]
        return {
            f"{padding}{index}": kind(3, WINDOWS[rank], dilation_rate=rate, padding=padding)
            for padding in ("valid", "same")
            for index, rate in enumerate(rates)
        }

    monkeypatch.setattr(harness, "call", call)
    check(layers(make, (6, 5, 4, 3)[-rank - 1 :]), frameworks=KERAS, formats=("keras",))


def test_more_dimensions_before_the_images() -> None:
    check(layer(lambda k: k.layers.Conv2D(5, 3, padding="same"), (3, None, 7, 4)), frameworks=TF_KERAS)


def test_every_format() -> None:
    def build(k: Any) -> Any:
        x = inputs = k.Input((9, 8, 4))
        x = k.layers.Conv2D(6, 3)(x)
        x = k.layers.SeparableConv2D(6, 3)(x)
        x = k.layers.DepthwiseConv2D(3, padding="same")(x)
        return k.Model(inputs, k.layers.Conv2DTranspose(5, 3)(x))

    check(build, formats=EVERY_FORMAT)


@pytest.mark.parametrize("use_bias", [True, False])
def test_lora(use_bias: bool) -> None:
    """`.keras` files hold the sum of kernel and update, HDF5 files and models in memory both."""

    def make(k: Any) -> dict[str, Any]:
        return {
            "conv1d": k.layers.Conv1D(5, 3, use_bias=use_bias, lora_rank=2),
            "alpha": k.layers.Conv1D(6, 3, use_bias=use_bias, lora_rank=3, lora_alpha=1.5, groups=2),
        }

    check(layers(make, (7, 4)), frameworks=KERAS, formats=("keras", "h5", "memory"))


RENAMED = {
    "Convolution2D": lambda k: k.layers.Conv2D(4, 3),
    "Deconvolution2D": lambda k: k.layers.Conv2DTranspose(4, 3),
    "Deconv3D": lambda k: k.layers.Conv3DTranspose(4, 3),
    "SeparableConvolution1D": lambda k: k.layers.SeparableConv1D(4, 3),
}


@pytest.mark.parametrize("name", RENAMED)
def test_names_of_old_files(name: str, tmp_path: Path) -> None:
    made = RENAMED[name](harness.tf_keras)
    model = harness.built("tf_keras", layer(lambda k: made, (*[6] * made.rank, 3)))
    text = model.to_json().replace(f'"{type(made).__name__}"', f'"{name}"')
    (tmp_path / "model.json").write_text(text)
    model.save_weights(tmp_path / "weights.h5")
    converted = litecast.convert(tmp_path / "model.json", weights=tmp_path / "weights.h5")
    x = np.random.default_rng(1).standard_normal((2, *[6] * made.rank, 3)).astype(np.float32)
    (result,) = converted(x).values()
    np.testing.assert_allclose(result, model(x), rtol=1e-4, atol=1e-5)


# -- what is left after the passes -----------------------------------------------------------------------


def _stack(*names: str, shape: tuple[int | None, ...]) -> Any:
    def build(k: Any) -> Any:
        made = {
            "conv1d": lambda: k.layers.Conv1D(8, 3, padding="same"),
            "causal": lambda: k.layers.Conv1D(8, 3, padding="causal", dilation_rate=2, use_bias=False),
            "conv2d": lambda: k.layers.Conv2D(8, 3, padding="same", use_bias=False),
            "conv3d": lambda: k.layers.Conv3D(8, 3, padding="same"),
            "depthwise": lambda: k.layers.DepthwiseConv2D(3, padding="same"),
            "transposed": lambda: k.layers.Conv2DTranspose(8, 3, strides=2, padding="same"),
            "transposed1d": lambda: k.layers.Conv1DTranspose(8, 3, strides=2, padding="same"),
            "pool1d": lambda: k.layers.MaxPooling1D(2),
            "norm": lambda: k.layers.BatchNormalization(),
            "relu": lambda: k.layers.ReLU(),
        }
        x = inputs = k.Input(shape)
        for name in names:
            x = made[name]()(x)
        return k.Model(inputs, x)

    return build


POOLED = ["MaxPool2D", "Mul", "Add", "Conv2D"]
FOLDED = [
    (("conv2d", "norm", "relu"), (8, 8, 4), ["Conv2D"]),
    (("depthwise", "norm", "relu"), (8, 8, 4), ["DepthwiseConv2D"]),
    (("conv3d", "norm", "relu"), (4, 4, 4, 4), ["Conv3D"]),
    (("transposed", "norm", "relu"), (8, 8, 4), ["TransposeConv"]),
    (("conv1d", "norm", "relu"), (8, 4), ["Reshape", "Conv2D", "Reshape"]),
    (("conv1d", "norm", "relu"), (None, 4), ["ExpandDims", "Conv2D", "Squeeze"]),
    (("conv1d", "relu", "pool1d", "norm", "conv1d"), (9, 4), ["Reshape", "Conv2D", *POOLED, "Reshape"]),
    (("conv1d", "relu", "pool1d", "norm", "conv1d"), (None, 4), ["ExpandDims", "Conv2D", *POOLED, "Squeeze"]),
    (("causal", "norm"), (8, 4), ["Reshape", "Pad", "Conv2D", "Reshape"]),
    (("causal", "norm", "relu"), (None, 4), ["ExpandDims", "Pad", "Conv2D", "Squeeze"]),
]


@pytest.mark.parametrize(("names", "shape", "left"), FOLDED)
def test_normalisation_and_activation_fold(
    names: tuple[str, ...], shape: tuple[int | None, ...], left: list[str]
) -> None:
    converted = check(_stack(*names, shape=shape), formats=("keras",))
    kept = [name for name in operations(converted) if name in {*left, "Mul", "Add", "Relu"}]
    assert kept == left


def test_static_conv1d_is_one_convolution() -> None:
    build = layer(lambda k: k.layers.Conv1D(8, 3, activation="relu"), spec((8, 4), batch=1))
    check(build, batches=(1,), ops=["Reshape", "Conv2D", "Reshape"])
