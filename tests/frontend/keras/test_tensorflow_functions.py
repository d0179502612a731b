"""TensorFlow's functions that tf_keras takes apart, or that few models call: each as a node of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.frontend.keras.harness import integers, spec, tf, uniform
from tests.frontend.keras.test_tensorflow_nodes import Expression, compare

v1 = tf.compat.v1
WEIGHTS = (np.arange(72, dtype="float32").reshape(3, 3, 4, 2) % 7 - 3) / 10


def node(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function as one node, whatever tf_keras makes of it by itself."""
    from tf_keras.src.layers.core.tf_op_layer import TFOpLambda

    return TFOpLambda(function)(*args, **kwargs)


NUMBERS: dict[str, Expression] = {
    "i0": lambda x, y: node(tf.math.bessel_i0, x),
    "polyval": lambda x, y: tf.math.polyval([1.0, 2.0, 3.0], x),
    "logsumexp": lambda x, y: tf.math.cumulative_logsumexp(x, axis=1),
    "divide": lambda x, y: node(tf.divide, x, y),
    "truncatemod": lambda x, y: tf.truncatemod(x, y),
    "realdiv": lambda x, y: tf.realdiv(x, y),
    "xor": lambda x, y: node(tf.math.logical_xor, x > 0, y > 0),
    "to_int32": lambda x, y: node(v1.to_int32, x),
    "to_float": lambda x, y: node(v1.to_float, x),
    "convert": lambda x, y: tf.image.convert_image_dtype(
        tf.clip_by_value(x, 0.0, 1.0), tf.uint8, saturate=True
    ),
    "matvec": lambda x, y: node(tf.linalg.matvec, x, y[:, 0]),
    "transpose": lambda x, y: node(tf.linalg.matrix_transpose, x),
    "adjoint": lambda x, y: node(tf.linalg.adjoint, x),
    "set_diag": lambda x, y: tf.linalg.set_diag(x, y[:, :, 0]),
    "normalize": lambda x, y: node(tf.linalg.normalize, x, axis=-1),
    "cross": lambda x, y: tf.linalg.cross(x[..., :3], y[..., :3]),
    "norm 2": lambda x, y: node(tf.norm, x, ord=np.inf, axis=[1, 2]),
    "norm all": lambda x, y: node(tf.norm, x, ord=1, keepdims=True),
    "moments": lambda x, y: node(tf.nn.moments, x, [0, 1]),
    "batch_normalization": lambda x, y: node(
        tf.nn.batch_normalization, x, np.ones(6, "float32"), np.ones(6, "float32"), None, y[0, 0], 0.1
    ),
    "l2_normalize": lambda x, y: node(tf.nn.l2_normalize, x, 1),
    "log_sigmoid": lambda x, y: node(tf.math.log_sigmoid, x),
    "sparse entropy": lambda x, y: node(tf.nn.sparse_softmax_cross_entropy_with_logits, tf.argmax(y, -1), x),
    "entropy": lambda x, y: node(tf.nn.softmax_cross_entropy_with_logits, tf.nn.softmax(y), x),
    "add_n": lambda x, y: node(tf.math.accumulate_n, [x, y]),
    "clip norm": lambda x, y: node(tf.clip_by_norm, x, 1.0),
    "tensordot": lambda x, y: node(tf.tensordot, x, np.ones((6, 2), "float32"), [[2], [0]]),
    "outer": lambda x, y: node(tf.tensordot, x, np.ones((2,), "float32"), 0),
    "reciprocal": lambda x, y: node(tf.math.reciprocal_no_nan, x),
    "std": lambda x, y: node(tf.math.reduce_std, x, 1, True),
    "zero_fraction": lambda x, y: node(tf.math.zero_fraction, x),
    "count": lambda x, y: node(tf.math.count_nonzero, x, axis=1, dtype=tf.int32),
}
PLACES: dict[str, Expression] = {
    "embedding": lambda x, y: tf.nn.embedding_lookup(
        np.ones((9, 3), "float32"), tf.cast(tf.abs(x), tf.int32)
    ),
    "batch_gather": lambda x, y: node(v1.batch_gather, x[:, :, 0], tf.argsort(y[:, :, 1])),
    "batch gather": lambda x, y: tf.gather(x, tf.argsort(y[:, :, 1]), batch_dims=1),
    "batch gather_nd": lambda x, y: node(
        tf.gather_nd, x, tf.argsort(y[:, :, 1])[..., None][:, 0], batch_dims=1
    ),
    "scatter_nd": lambda x, y: tf.scatter_nd([[0], [3]], x[0, :2], [5, 6]),
    "scatter sub": lambda x, y: tf.tensor_scatter_nd_sub(x, [[0, 1]], y[:1, 0]),
    "scatter max": lambda x, y: tf.tensor_scatter_nd_max(x, [[0, 1]], y[:1, 0]),
    "scatter min": lambda x, y: tf.tensor_scatter_nd_min(x, [[0, 1]], y[:1, 0]),
    "searchsorted": lambda x, y: tf.searchsorted(tf.sort(x), y, side="right"),
    "reverse_sequence": lambda x, y: tf.reverse_sequence(x, tf.cast(y[:, 0, 0] * 0 + 2, tf.int32), 1),
    "identity_n": lambda x, y: tf.identity_n([x, y]),
    "zeros": lambda x, y: tf.zeros([tf.shape(x)[0], 3], tf.int32),
    "eye": lambda x, y: node(tf.eye, 3, batch_shape=[tf.shape(x)[0]]),
    "unstack": lambda x, y: node(tf.unstack, x, 4, 1),
    "boolean_mask": lambda x, y: node(tf.boolean_mask, x, x[:, :, 0] > -9.0),
    "mask axis": lambda x, y: node(tf.boolean_mask, x, [True, False, True, True], axis=1),
    "repeat": lambda x, y: node(tf.repeat, x, [1, 2, 0, 1], 1),
    "one_hot": lambda x, y: node(tf.one_hot, tf.cast(x[:, 0], tf.int32), 3, dtype=tf.int32),
    "sequence_mask": lambda x, y: node(
        tf.sequence_mask, tf.cast(tf.abs(x[:, 0, 0]) * 3, tf.int32), 5, tf.float32
    ),
    "sort": lambda x, y: node(tf.sort, x),
    "argsort": lambda x, y: node(tf.argsort, x, 1, "DESCENDING"),
    "stack": lambda x, y: node(tf.stack, [x, y], -1),
    "roll": lambda x, y: node(tf.roll, x, [1, -1], [1, 2]),
    "linspace": lambda x, y: node(tf.linspace, x, y, 3, axis=-1),
    "range": lambda x, y: node(tf.range, tf.cast(x[0, 0, 0] * 0, tf.float32), 3.0),
    "pad": lambda x, y: tf.pad(x, [[0, 0], [tf.shape(y)[1], 0], [0, 1]]),
    "fill": lambda x, y: tf.fill(tf.shape(x), 2.0),
    "space_to_batch": lambda x, y: tf.space_to_batch(x, [2], [[0, 0]]),
    "batch_to_space": lambda x, y: tf.batch_to_space(tf.tile(x, [2, 1, 1]), [2], [[1, 1]]),
}
WINDOWS: dict[str, Expression] = {
    "atrous": lambda x: node(tf.nn.atrous_conv2d, x, WEIGHTS, 2, "SAME"),
    "separable": lambda x: node(
        tf.nn.separable_conv2d, x, WEIGHTS, np.ones((1, 1, 8, 3), "float32"), [1, 2, 2, 1], "SAME"
    ),
    "convolution": lambda x: node(tf.nn.convolution, x, WEIGHTS, padding="SAME", dilations=2),
    "conv1d": lambda x: node(tf.nn.conv1d, x[:, 0], WEIGHTS[0], 2, "VALID"),
    "depthwise": lambda x: node(tf.nn.depthwise_conv2d, x, WEIGHTS, [1, 1, 1, 1], "VALID", dilations=[2, 2]),
    "max_pool": lambda x: node(tf.nn.max_pool, x, 3, 2, "SAME"),
    "avg_pool": lambda x: node(tf.nn.avg_pool, x, [2, 2], [2, 2], "VALID"),
    "max_pool1d": lambda x: node(tf.nn.max_pool1d, x[:, 0], 2, 2, "VALID"),
    "avg_pool1d": lambda x: node(tf.nn.avg_pool1d, x[:, 0], 3, 1, "SAME"),
    "max_pool3d": lambda x: node(tf.nn.max_pool3d, x[:, None], [1, 2, 2], [1, 2, 2], "VALID"),
    "avg_pool3d": lambda x: node(tf.nn.avg_pool3d, x[:, None], [1, 2, 2], [1, 2, 2], "VALID"),
    "dilation": lambda x: tf.nn.dilation2d(x, WEIGHTS[..., 0], [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]),
    "fused": lambda x: node(
        v1.nn.fused_batch_norm, x, *np.ones((4, 4), "float32"), epsilon=0.1, is_training=False
    )[0],
    "silu": lambda x: node(tf.nn.silu, x),
    "crelu": lambda x: node(tf.nn.crelu, x),
    "gelu": lambda x: node(tf.nn.gelu, x),
    "bias": lambda x: node(tf.nn.bias_add, x, np.ones(4, "float32")),
    "v1 pool": lambda x: node(v1.nn.max_pool, x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID"),
    "v1 softmax": lambda x: node(v1.nn.softmax, x, dim=1),
    "v1 squeeze": lambda x: node(v1.squeeze, x[:, :1], squeeze_dims=[1]),
}
PIXELS: dict[str, Expression] = {
    "saturation": lambda x: node(tf.image.adjust_saturation, x, 0.5),
    "hue": lambda x: node(tf.image.adjust_hue, x, 0.2),
    "hsv": lambda x: tf.image.hsv_to_rgb(x),
    "yiq": lambda x: node(tf.image.yiq_to_rgb, tf.image.rgb_to_yiq(x)),
    "yuv": lambda x: node(tf.image.yuv_to_rgb, node(tf.image.rgb_to_yuv, x)),
    "gray": lambda x: node(tf.image.rgb_to_grayscale, x),
    "rgb": lambda x: node(tf.image.grayscale_to_rgb, x[..., :1]),
    "rot90": lambda x: node(tf.image.rot90, x, 3),
    "nearest": lambda x: v1.image.resize_nearest_neighbor(x, [4, 9]),
    "bicubic": lambda x: v1.image.resize_bicubic(x, [4, 9]),
    "area": lambda x: v1.image.resize_area(x, [3, 4]),
    "crops": lambda x: tf.image.crop_and_resize(x, [[0.1, 0.1, 0.8, 0.9]], [0], [3, 4]),
    "one": lambda x: node(tf.image.resize, x[0], [4, 5]),
    "standardized": lambda x: node(tf.image.per_image_standardization, x),
    "brightness": lambda x: node(tf.image.adjust_brightness, tf.cast(x * 255.0, tf.uint8), 0.1),
    "integers": lambda x: node(tf.image.convert_image_dtype, tf.cast(x * 255.0, tf.uint8), tf.float32),
    "central": lambda x: node(tf.image.central_crop, x, 0.6),
    "padded": lambda x: node(tf.image.resize_with_crop_or_pad, x, 9, 4),
    "nms": lambda x: tf.image.non_max_suppression(
        [[0.0, 0.0, 1.0, 1.0], [0.0, 0.1, 1.0, 1.0], [2.0, 2.0, 3.0, 3.0]], x[0, 0, :3, 0], 2
    ),
}
SIGNALS: dict[str, Expression] = {
    "rfft": lambda x: tf.abs(node(tf.signal.rfft, x)),
    "rfft length": lambda x: tf.math.real(node(tf.signal.rfft, x, [20])),
    "irfft": lambda x: node(tf.signal.irfft, node(tf.signal.rfft, x)),
    "fft": lambda x: tf.math.imag(tf.signal.fft(tf.complex(x, x * 2.0))),
    "ifft": lambda x: tf.abs(tf.signal.ifft(tf.cast(x, tf.complex64))),
    "frame": lambda x: node(tf.signal.frame, x, 6, 3),
    "stft": lambda x: tf.abs(node(tf.signal.stft, x, 8, 4)),
    "stft padded": lambda x: tf.abs(
        node(tf.signal.stft, x, frame_length=6, frame_step=2, fft_length=16, pad_end=True)
    ),
}


def test_numbers() -> None:
    compare(NUMBERS, [spec((4, 6)), spec((4, 6))], tolerance=1e-4)


def test_places() -> None:
    compare(PLACES, [spec((4, 6)), spec((4, 6))])


def test_windows() -> None:
    compare(WINDOWS, [spec((6, 8, 4))])


def test_pixels() -> None:
    compare(PIXELS, [spec((6, 7, 3))], uniform(), tolerance=1e-4)


def test_signals() -> None:
    compare(SIGNALS, [spec((16,))], tolerance=1e-4)


def test_functions_of_keras() -> None:
    from tf_keras import activations, backend, losses

    table = {
        "batch_flatten": lambda x, y: backend.batch_flatten(x),
        "relu": lambda x, y: backend.relu(x, alpha=0.1, max_value=2.0),
        "batch_dot": lambda x, y: backend.batch_dot(x, y, axes=2),
        "switch": lambda x, y: backend.switch(x > 0, x, y),
        "mish": lambda x, y: activations.mish(x),
        "hard_sigmoid": lambda x, y: activations.hard_sigmoid(x),
        "binary": lambda x, y: losses.binary_crossentropy(backend.sigmoid(x), backend.sigmoid(y)),
        "binary logits": lambda x, y: backend.binary_crossentropy(backend.sigmoid(x), y, from_logits=True),
        "categorical": lambda x, y: losses.categorical_crossentropy(backend.softmax(x), backend.softmax(y)),
        "sparse": lambda x, y: losses.sparse_categorical_crossentropy(backend.argmax(x), backend.softmax(y)),
        "sparse axis": lambda x, y: backend.sparse_categorical_crossentropy(
            backend.argmax(x, axis=1), backend.softmax(y, axis=1), axis=1
        ),
        "hinge": lambda x, y: losses.hinge(x, y),
        "hinge of labels": lambda x, y: losses.hinge(tf.cast(x > 0, tf.float32), y),
        "squared_hinge": lambda x, y: losses.squared_hinge(x, y),
        "huber": lambda x, y: losses.huber(x, y),
        "cosine": lambda x, y: losses.cosine_similarity(x, y),
    }
    compare(table, [spec((4, 6)), spec((4, 6))], tolerance=1e-4)


def test_fake_quantization() -> None:
    low, high = np.array([-1.0, -0.5, -2.0], "float32"), np.array([1.0, 1.5, 0.5], "float32")
    table = {
        "args": lambda x: tf.quantization.fake_quant_with_min_max_args(x, -1, 2),
        "vars": lambda x: tf.quantization.fake_quant_with_min_max_vars(x, -1.0, 2.0, 4, True),
        "channels": lambda x: tf.quantization.fake_quant_with_min_max_vars_per_channel(x, low, high),
    }
    compare(table, [spec((4, 3))])


def test_integers() -> None:
    table = {
        "truncatediv": lambda x, y: tf.truncatediv(x, y),
        "or": lambda x, y: tf.bitwise.bitwise_or(x, y),
        "xor": lambda x, y: tf.bitwise.bitwise_xor(x, y),
        "invert": lambda x, y: tf.bitwise.invert(x),
        "left": lambda x, y: tf.bitwise.left_shift(x, y),
        "right": lambda x, y: tf.bitwise.right_shift(x, y),
        "bincount": lambda x, y: node(tf.math.bincount, x, minlength=9, maxlength=9),
        "rows": lambda x, y: node(tf.math.bincount, x, minlength=9, maxlength=9, axis=-1),
        "unique": lambda x, y: tf.unique(x[0])[0],
        "permutation": lambda x, y: tf.math.invert_permutation(tf.argsort(x[0])),
        "in_top_k": lambda x, y: tf.math.in_top_k(x[:, 0] % 6, tf.cast(y, tf.float32) + np.arange(6), 2),
        "bitcast": lambda x, y: tf.bitcast(x, tf.float32),
    }
    for name in ("sum", "prod", "max", "min", "mean"):
        sorted_, unsorted = (getattr(tf.math, f"{kind}segment_{name}") for kind in ("", "unsorted_"))
        data = lambda x: tf.transpose(tf.cast(x, tf.float32))  # noqa: E731
        table[f"sorted {name}"] = lambda x, y, call=sorted_, data=data: call(data(x), [0, 0, 1, 1, 1, 2])
        table[f"unsorted {name}"] = lambda x, y, call=unsorted, data=data: node(
            call, data(x), [0, 2, 1, 1, 0, 2], 3
        )
    compare(table, [spec((6,), "int32"), spec((6,), "int32")], integers(9, 1), integers(5, 1))
