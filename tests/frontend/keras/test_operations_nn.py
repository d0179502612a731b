"""keras.ops.nn, .math, .image and .core of functional models against Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontend.keras.harness import KERAS, check, integers, refused, spec, uniform
from tests.frontend.keras.test_operations_numpy import Expression, compare


def _ones(*shape: int) -> Any:
    return (np.arange(np.prod(shape), dtype="float32").reshape(shape) % 7 - 3) / 10


ACTIVATIONS: dict[str, Expression] = {
    name: lambda ops, x, name=name: getattr(ops, name)(x)
    for name in (
        "relu", "relu6", "sigmoid", "sparse_sigmoid", "softplus", "softsign", "soft_shrink",
        "sparse_plus", "silu", "squareplus", "log_sigmoid", "leaky_relu", "hard_sigmoid", "hard_silu", "elu",
        "selu", "gelu", "celu", "glu", "tanh_shrink", "hard_tanh", "hard_shrink", "softmax", "log_softmax",
        "sparsemax", "tanh",
    )
} | {
    "threshold": lambda ops, x: ops.threshold(x, 0.3, -1.0),
    "squareplus 2": lambda ops, x: ops.squareplus(x, 2),
    "leaky 0.3": lambda ops, x: ops.leaky_relu(x, 0.3),
    "elu 0.5": lambda ops, x: ops.elu(x, 0.5),
    "celu 2": lambda ops, x: ops.celu(x, 2.0),
    "gelu exact": lambda ops, x: ops.gelu(x, approximate=False),
    "softmax 1": lambda ops, x: ops.softmax(x, axis=1),
    "glu 1": lambda ops, x: ops.glu(x, axis=1),
}  # fmt: skip
NORMS: dict[str, Expression] = {
    "moments": lambda ops, x: ops.moments(x, axes=[1], keepdims=True),
    "moments all": lambda ops, x: ops.moments(x, axes=(1, 2)),
    "batch": lambda ops, x: ops.batch_normalization(
        x, _ones(6), np.ones(6, "float32"), -1, _ones(6), _ones(6)
    ),
    "batch 1": lambda ops, x: ops.batch_normalization(
        x, _ones(4), np.ones(4, "float32"), 1, scale=_ones(4), epsilon=0.1
    ),
    "layer": lambda ops, x: ops.layer_normalization(x, gamma=_ones(6), beta=_ones(6)),
    "layer 1": lambda ops, x: ops.layer_normalization(x, gamma=_ones(4), axis=1, epsilon=1e-3),
    "layer axes": lambda ops, x: ops.layer_normalization(x, axis=[1, 2], epsilon=1e-3),
    "layer rms": lambda ops, x: ops.layer_normalization(x, gamma=_ones(6), rms_scaling=True),
    "rms": lambda ops, x: ops.rms_normalization(x, scale=_ones(6)),
    "rms 1": lambda ops, x: ops.rms_normalization(x, axis=1, epsilon=1e-3),
    "normalize": lambda ops, x: ops.normalize(x, axis=-1),
    "logsumexp": lambda ops, x: ops.logsumexp(x, axis=-1),
    "binary": lambda ops, x: ops.binary_crossentropy(ops.sigmoid(x * 2), ops.clip(ops.abs(x), 0.1, 0.9)),
    "binary logits": lambda ops, x: ops.binary_crossentropy(ops.clip(x, 0, 1), x, from_logits=True),
    "categorical": lambda ops, x: ops.categorical_crossentropy(ops.abs(x), ops.abs(x) + 0.1),
    "categorical logits": lambda ops, x: ops.categorical_crossentropy(ops.abs(x), x, from_logits=True),
    "sparse": lambda ops, x: ops.sparse_categorical_crossentropy(ops.argmax(x, -1), ops.abs(x) + 0.1),
    "sparse logits": lambda ops, x: ops.sparse_categorical_crossentropy(
        ops.argmax(x, -1), x, from_logits=True
    ),
    "psnr": lambda ops, x: ops.psnr(x, x * 1.1, 2.0),
}
CONVOLUTIONS: dict[str, Expression] = {
    "conv": lambda ops, x: ops.conv(x, _ones(3, 3, 4, 2), strides=2, padding="same"),
    "conv valid": lambda ops, x: ops.conv(x, _ones(3, 2, 4, 2), dilation_rate=(2, 1)),
    "depthwise": lambda ops, x: ops.depthwise_conv(x, _ones(3, 3, 4, 2), padding="same"),
    "separable": lambda ops, x: ops.separable_conv(x, _ones(3, 3, 4, 2), _ones(1, 1, 8, 3), strides=2),
    "max": lambda ops, x: ops.max_pool(x, 2, padding="same"),
    "max strides": lambda ops, x: ops.max_pool(x, (2, 3), strides=1),
    "average": lambda ops, x: ops.average_pool(x, 2, strides=1, padding="same"),
    "adaptive max": lambda ops, x: ops.adaptive_max_pool(x, (3, 2)),
    "adaptive average": lambda ops, x: ops.adaptive_average_pool(x, (4, 4)),
    "depth_to_space": lambda ops, x: ops.depth_to_space(x, 2),
    "space_to_depth": lambda ops, x: ops.space_to_depth(x, 2),
    "patches": lambda ops, x: ops.image.extract_patches(x, (2, 3), strides=2),
    "patches same": lambda ops, x: ops.image.extract_patches(x, 3, strides=1, padding="same"),
}
CHANNELS_FIRST: dict[str, Expression] = {
    "conv": lambda ops, x: ops.conv(x, _ones(3, 3, 4, 2), padding="same", data_format="channels_first"),
    "depthwise": lambda ops, x: ops.depthwise_conv(x, _ones(3, 3, 4, 2), data_format="channels_first"),
    "max": lambda ops, x: ops.max_pool(x, 2, data_format="channels_first"),
    "depth_to_space": lambda ops, x: ops.depth_to_space(x, 2, data_format="channels_first"),
    "unfold": lambda ops, x: ops.unfold(x, (2, 3), padding=1, stride=2),
    "unfold dilated": lambda ops, x: ops.unfold(x, 2, dilation=2),
    "fold": lambda ops, x: ops.fold(
        ops.unfold(x, (2, 3), padding=1, stride=2), (6, 8), (2, 3), padding=1, stride=2
    ),
}
LINES: dict[str, Expression] = {
    "conv": lambda ops, x: ops.conv(x, _ones(3, 4, 2), strides=2, padding="same"),
    "depthwise": lambda ops, x: ops.depthwise_conv(x, _ones(3, 4, 1)),
    "max": lambda ops, x: ops.max_pool(x, 2),
    "average": lambda ops, x: ops.average_pool(x, 3, strides=2, padding="same"),
    "adaptive": lambda ops, x: ops.adaptive_average_pool(x, (3,)),
}
IMAGES: dict[str, Expression] = {
    "gray": lambda ops, x: ops.image.rgb_to_grayscale(x),
    "hsv": lambda ops, x: ops.image.rgb_to_hsv(x),
    "rgb": lambda ops, x: ops.image.hsv_to_rgb(x),
    "resize": lambda ops, x: ops.image.resize(x, (5, 9)),
    "nearest": lambda ops, x: ops.image.resize(x, (12, 4), interpolation="nearest"),
    "bicubic": lambda ops, x: ops.image.resize(x, (9, 4), interpolation="bicubic"),
    "lanczos": lambda ops, x: ops.image.resize(x, (9, 4), interpolation="lanczos3"),
    "area": lambda ops, x: ops.image.resize(x, (3, 4), interpolation="area"),
    "antialias": lambda ops, x: ops.image.resize(x, (3, 4), antialias=True),
    "cropped": lambda ops, x: ops.image.resize(x, (5, 9), crop_to_aspect_ratio=True),
    "padded": lambda ops, x: ops.image.resize(x, (5, 9), pad_to_aspect_ratio=True, fill_value=0.5),
    "integers": lambda ops, x: ops.image.resize(ops.cast(x * 255, "uint8"), (5, 9)),
    "pad": lambda ops, x: ops.image.pad_images(x, 1, 2, target_height=9, target_width=10),
    "crop": lambda ops, x: ops.image.crop_images(x, 1, 2, target_height=3, target_width=4),
    "blur": lambda ops, x: ops.image.gaussian_blur(x, (3, 5), (1.0, 2.0)),
    "sobel": lambda ops, x: ops.image.sobel_edges(x),
    "ssim": lambda ops, x: ops.image.ssim(x, x * 0.9, filter_size=3),
    "translate": lambda ops, x: ops.image.scale_and_translate(
        x, (1, 9, 5, 3), np.array([1.5, 0.7], "float32"), np.array([0.5, -0.2], "float32"), (1, 2), "linear"
    ),
}
SIGNALS: dict[str, Expression] = {
    "fft": lambda ops, x: ops.fft((x, x * 2)),
    "fft2": lambda ops, x: ops.fft2((x, x * 2)),
    "ifft2": lambda ops, x: ops.ifft2((x, x * 2)),
    "rfft": lambda ops, x: ops.rfft(x),
    "rfft length": lambda ops, x: ops.rfft(x, fft_length=16),
    "irfft": lambda ops, x: ops.irfft((x, x * 0)),
    "sequences": lambda ops, x: ops.extract_sequences(x, 6, 3),
    "stft": lambda ops, x: ops.stft(x, 6, 3, 8),
    "stft plain": lambda ops, x: ops.stft(x, 8, 4, 8, window=None, center=False),
    "istft": lambda ops, x: ops.istft(ops.stft(x, 6, 2, 8), 6, 2, 8),
    "istft length": lambda ops, x: ops.istft(
        ops.stft(x, 8, 2, 8, window="hamming"), 8, 2, 8, length=12, window="hamming"
    ),
    "rsqrt": lambda ops, x: ops.rsqrt(ops.abs(x) + 1),
    "erf": lambda ops, x: ops.erf(x),
}


def test_activations() -> None:
    compare(ACTIVATIONS, [spec((4, 6))])


def test_norms_and_losses() -> None:
    compare(NORMS, [spec((4, 6))], tolerance=1e-4)


def test_convolutions() -> None:
    compare(CONVOLUTIONS, [spec((6, 8, 4))])


def test_transposed_convolutions() -> None:
    """Keras 3.15 hands the node's padding over in the wrong place: only its function computes it."""
    import keras

    import litecast

    for shape, kernel in (((6, 8, 4), (3, 2, 2, 4)), ((9, 4), (3, 2, 4))):
        for padding in ("same", "valid"):
            x = keras.Input(shape, batch_size=2)
            outputs = keras.ops.conv_transpose(x, _ones(*kernel), 2, padding, data_format="channels_last")
            converted = litecast.convert(keras.Model(x, outputs))
            sample = np.random.default_rng(1).standard_normal((2, *shape)).astype("float32")
            expected = keras.ops.conv_transpose(
                sample, _ones(*kernel), 2, padding, data_format="channels_last"
            )
            (found,) = converted(sample).values()
            np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["constant", "nearest", "reflect", "wrap"])
def test_affine_transforms(mode: str) -> None:
    one = np.array([1.1, 0.2, -1.5, -0.1, 0.9, 2.0, 0.001, 0.002], "float32")
    several = np.stack([one, one * 0.8])
    table = {
        f"{way} {count}": lambda ops, x, way=way, matrix=matrix: ops.image.affine_transform(
            x, matrix, interpolation=way, fill_mode=mode, fill_value=0.5
        )
        for way in ("nearest", "bilinear")
        for count, matrix in enumerate((one, several))
    }
    compare(table, [spec((6, 7, 3), batch=2)], tolerance=1e-4)
    compare({"batch": lambda ops, x: ops.image.affine_transform(x, one, fill_mode=mode)}, [spec((6, 7, 3))])


@pytest.mark.parametrize("mode", ["constant", "nearest", "wrap", "mirror", "reflect"])
def test_map_coordinates(mode: str) -> None:
    places = np.random.default_rng(1).uniform(-2, 7, (3, 5, 4)).astype("float32")
    if mode == "mirror":  # which Keras itself reads one beyond the end
        places = np.clip(places, 0, 1) * np.array([0.9, 4.9, 5.9], "float32")[:, None, None]
    table = {
        f"order {order}": lambda ops, x, order=order: ops.image.map_coordinates(x, places, order, mode, 0.5)
        for order in (0, 1)
    }
    compare(table, [spec((6, 7), batch=2)], tolerance=1e-4)


def test_channels_first() -> None:
    """TensorFlow itself convolves channels_first on one device only, through XLA."""
    compare(
        {name: part for name, part in CHANNELS_FIRST.items() if name != "conv"}, [spec((4, 6, 8), batch=2)]
    )


def test_one_spatial_axis() -> None:
    compare(LINES, [spec((9, 4))])


def test_images() -> None:
    compare(IMAGES, [spec((6, 7, 3))], uniform(), tolerance=1e-4)


def test_signals() -> None:
    compare(SIGNALS, [spec((4, 15))], tolerance=1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool) -> None:
    table = {
        "plain": lambda ops, q, k: ops.dot_product_attention(q, k, k * 2, is_causal=causal),
        "mask": lambda ops, q, k: ops.dot_product_attention(
            q, k, k, mask=np.ones((1, 1, 5, 5), bool), is_causal=causal
        ),
        "bias": lambda ops, q, k: ops.dot_product_attention(
            q, k, k, bias=_ones(1, 4, 5, 5), scale=0.5, is_causal=causal
        ),
        "groups": lambda ops, q, k: ops.dot_product_attention(q, k[:, :, :2], k[:, :, :2], is_causal=causal),
    }
    compare(table, [spec((5, 4, 6)), spec((5, 4, 6))])


def test_loops_and_decompositions_are_named() -> None:
    def model(k: Any, expression: Expression) -> Any:
        x = k.Input((4, 4))
        return k.Model(x, expression(k.ops, x))

    for expression, pattern in (
        (lambda ops, x: ops.cholesky(x), "factorizes"),
        (lambda ops, x: ops.linalg.inv(x), "factorizes"),
        (lambda ops, x: ops.svd(x)[1], "factorizes"),
        (lambda ops, x: ops.nextafter(x, 1.0), "float64"),
    ):
        refused(lambda k, made=expression: model(k, made), pattern, frameworks=KERAS, formats=("keras",))


def test_table_names_every_operation() -> None:
    """Every Operation class of Keras has an importer, or one that says why it has none."""
    import inspect

    from keras.src.ops import core, einops, image, linalg, math, nn
    from keras.src.ops import numpy as numpy_
    from keras.src.ops.operation import Operation

    import litecast.frontend.keras.operations  # noqa: F401
    from litecast.frontend.keras.importer import operations

    missing = {
        name
        for module in (core, einops, image, linalg, math, nn, numpy_)
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, Operation) and operations.find(name) is None
    }
    assert missing <= {"Operation", "SegmentReduction"}


def test_integer_operands() -> None:
    table = {
        "relu": lambda ops, x: ops.relu(x - 2),
        "one_hot": lambda ops, x: ops.one_hot(x, 4),
    }
    compare(
        {name: part for name, part in table.items() if name != "in_top_k"}, [spec((6,), "int32")], integers(4)
    )


def test_fake_quantization() -> None:
    """An operation of keras.quantizers; its own symbolic call leaves the options out."""
    import keras

    def build(k: Any) -> Any:
        from keras.src.quantizers.quantizers import FakeQuantWithMinMaxVars

        x = k.Input((4, 3))
        low, high = np.array([-1.0, -0.5, -2.0], "float32"), np.array([1.0, 1.5, 0.5], "float32")
        outputs = {
            "plain": k.quantizers.fake_quant_with_min_max_vars(x, -1.0, 2.0),
            "narrow": FakeQuantWithMinMaxVars(4, narrow_range=True)(x, -1.0, 2.0),
            "channels": FakeQuantWithMinMaxVars(8, axis=-1)(x, low, high),
        }
        return k.Model(x, outputs)

    assert keras.backend.backend() == "tensorflow"
    check(build, frameworks=KERAS, formats=("keras",))
