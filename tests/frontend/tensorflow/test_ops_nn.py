"""Convolutions, batch normalisation and the other nn operations against TensorFlow."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
from litecast.errors import UnsupportedError  # noqa: E402
from litecast.tflite.runtime import Runtime  # noqa: E402
from litecast.tflite.writer import write  # noqa: E402
from tests.frontend.tensorflow import harness  # noqa: E402
from tests.frontend.tensorflow.harness import Spec, compare, positive, trace  # noqa: E402

raw = tf.raw_ops
check = partial(harness.check, delegates=(True, False))


def weights(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(dtype)


CONV = [
    # image, filter, strides, padding, dilations
    ((None, 9, 8, 3), (3, 3, 3, 4), 1, "SAME", 1),
    ((2, 9, 8, 3), (3, 2, 3, 4), 2, "SAME", 1),
    ((2, 9, 8, 3), (1, 1, 3, 5), (1, 2), "VALID", 1),
    ((1, None, None, 3), (3, 3, 3, 4), 2, "SAME", 1),
    ((1, None, None, 3), (3, 3, 3, 4), 1, "VALID", 1),
    ((1, 12, 12, 2), (3, 3, 2, 4), 1, "SAME", (2, 3)),
    ((1, 12, 12, 2), (3, 3, 2, 4), 1, "VALID", 2),
    ((1, 8, 8, 4), (3, 3, 2, 6), 1, "SAME", 1),  # two groups
    ((1, 8, 8, 4), (3, 3, 1, 8), 1, "SAME", 1),  # depthwise by its shape
    ((1, 8, 8, 1), (3, 3, 1, 4), 1, "SAME", 1),
    ((1, 8, 8, 3), (3, 3, 3, 4), 2, ((1, 1), (1, 1)), 1),
    ((1, 8, 8, 3), (3, 3, 3, 4), 1, ((1, 1), (1, 1)), 1),
    ((1, 7, 9, 3), (3, 3, 3, 4), (2, 1), ((0, 2), (3, 1)), 1),
    ((None, None, 9, 3), (3, 3, 3, 4), 2, ((0, 2), (3, 1)), 1),
]


def per_axis(value: int | tuple[int, ...], rank: int = 4) -> list[int]:
    spatial = (value,) * (rank - 2) if isinstance(value, int) else value
    return [1, *spatial, 1]


def conv_padding(padding: str | tuple) -> dict:
    if isinstance(padding, str):
        return {"padding": padding}
    return {
        "padding": "EXPLICIT",
        "explicit_paddings": [0, 0, *(edge for pair in padding for edge in pair), 0, 0],
    }


@pytest.mark.parametrize("row", CONV, ids=str)
def test_conv2d(row):
    image, shape, strides, padding, dilations = row
    attributes = {"strides": per_axis(strides), "dilations": per_axis(dilations), **conv_padding(padding)}
    check(lambda x: raw.Conv2D(input=x, filter=weights(*shape), **attributes), Spec(image), sizes=(6, 11))


def test_conv2d_with_a_computed_filter():
    check(
        lambda x, w: raw.Conv2D(input=x, filter=w, strides=[1, 1, 1, 1], padding="SAME"),
        Spec((None, 6, 6, 3)),
        Spec((3, 3, 3, 4)),
    )


def test_conv2d_with_a_filter_of_unknown_size():
    check(
        lambda x, w: raw.Conv2D(input=x, filter=w, strides=[1, 2, 2, 1], padding="SAME"),
        Spec((1, 6, 6, 3)),
        Spec((3, 3, 3, None)),
    )


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_conv2d_with_a_computed_filter(groups):
    check(
        lambda x, w: raw.Conv2D(input=x, filter=w, strides=[1, 1, 1, 1], padding="VALID"),
        Spec((None, 6, 6, 4)),
        Spec((3, 3, 4 // groups, 8)),
    )


def test_other_convolutions_with_computed_filters():
    window = {"strides": [1, 2, 2, 1], "padding": "SAME"}
    image, w = Spec((None, 6, 6, 3)), Spec((3, 3, 3, 4))
    check(lambda x, w: raw.DepthwiseConv2dNative(input=x, filter=w, **window), image, w)
    check(
        lambda x, w: raw.Conv2DBackpropInput(input_sizes=(2, 12, 11, 3), filter=w, out_backprop=x, **window),
        Spec((2, 6, 6, 4)),
        w,
    )
    volume = {"strides": [1, 1, 2, 1, 1], "padding": "SAME"}
    check(
        lambda x, w: raw.Conv3D(input=x, filter=w, **volume), Spec((None, 4, 5, 6, 2)), Spec((2, 3, 3, 2, 4))
    )


def test_conv2d_in_half_precision():
    w = weights(3, 3, 3, 4, dtype="float16")
    check(
        lambda x: raw.Conv2D(input=x, filter=w, strides=[1, 1, 1, 1], padding="SAME"),
        Spec((1, 6, 6, 3), "float16"),
        tolerance=2e-3,
    )


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize(
    "row",
    [
        ((None, 9, 9, 3), 1, "SAME", 1),
        ((2, 9, 8, 3), 2, "SAME", 1),
        ((2, 9, 8, 3), 2, "VALID", 1),
        ((2, 9, 8, 3), 2, ((1, 1), (0, 2)), 1),
        ((1, None, None, 3), 1, ((1, 1), (1, 1)), 1),
    ],
    ids=str,
)
def test_depthwise(row, multiplier):
    image, strides, padding, dilations = row
    attributes = {"strides": per_axis(strides), "dilations": per_axis(dilations), **conv_padding(padding)}
    w = weights(3, 2, 3, multiplier)
    check(lambda x: raw.DepthwiseConv2dNative(input=x, filter=w, **attributes), Spec(image), sizes=(6, 11))


def test_depthwise_of_one_channel():
    w = weights(3, 3, 1, 4)
    check(
        lambda x: raw.DepthwiseConv2dNative(input=x, filter=w, strides=[1, 1, 1, 1], padding="SAME"),
        Spec((2, 6, 6, 1)),
    )


@pytest.mark.parametrize(
    "row",
    [
        ((1, 5, 6, 7, 2), (2, 3, 3, 2, 4), 1, "SAME"),
        ((None, 5, 6, 7, 2), (2, 3, 3, 2, 4), (1, 2, 3), "VALID"),
        ((1, None, None, 7, 2), (3, 3, 1, 2, 4), 2, "SAME"),
    ],
    ids=str,
)
def test_conv3d(row):
    image, shape, strides, padding = row
    attributes = {"strides": per_axis(strides, 5), "padding": padding}
    check(lambda x: raw.Conv3D(input=x, filter=weights(*shape), **attributes), Spec(image), sizes=(6, 9))


TRANSPOSED = [
    # gradient, filter (h, w, out, in), output, strides, padding
    ((2, 4, 5, 3), (3, 3, 4, 3), (2, 8, 10, 4), 2, "SAME"),
    ((2, 4, 5, 3), (3, 3, 4, 3), (2, 7, 9, 4), 2, "SAME"),
    ((2, 4, 5, 3), (3, 2, 4, 3), (2, 9, 10, 4), 2, "VALID"),
    ((2, 4, 5, 3), (3, 2, 4, 3), (2, 10, 11, 4), 2, "VALID"),
    ((2, 4, 5, 3), (2, 2, 4, 3), (2, 12, 10, 4), (3, 2), "VALID"),
    ((2, 4, 5, 3), (1, 1, 4, 3), (2, 4, 5, 4), 1, "SAME"),
    ((2, 4, 5, 3), (3, 3, 4, 3), (2, 7, 9, 4), 2, ((1, 1), (1, 1))),
    ((2, 4, 5, 3), (3, 3, 4, 3), (2, 8, 8, 4), 2, ((0, 1), (2, 1))),
]


@pytest.mark.parametrize("row", TRANSPOSED, ids=str)
def test_conv2d_backprop_input(row):
    image, shape, output, strides, padding = row
    attributes = {"strides": per_axis(strides), **conv_padding(padding)}
    w = weights(*shape)
    check(
        lambda x: raw.Conv2DBackpropInput(input_sizes=output, filter=w, out_backprop=x, **attributes),
        Spec(image),
    )


def test_conv2d_backprop_input_of_two_sizes():
    w = weights(3, 3, 4, 3)
    check(
        lambda x: raw.Conv2DBackpropInput(
            input_sizes=(8, 10), filter=w, out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
        ),
        Spec((None, 4, 5, 3)),
    )


def test_conv2d_backprop_input_of_unknown_size():
    w = weights(3, 3, 4, 2)

    def upsample(x):
        shape = tf.shape(x)
        return tf.nn.conv2d_transpose(x, w, [shape[0], shape[1] * 2, shape[2] * 2, 4], [1, 2, 2, 1])

    check(upsample, Spec((None, None, None, 2)))


@pytest.mark.parametrize(
    "row",
    [
        ((1, 3, 4, 5, 3), (2, 3, 3, 4, 3), (1, 6, 8, 10, 4), 2, "SAME"),
        ((None, 3, 4, 5, 3), (2, 3, 3, 4, 3), (2, 6, 9, 11, 4), 2, "VALID"),
        ((1, 3, 4, 5, 3), (2, 3, 3, 4, 3), (1, 4, 6, 7, 4), 1, "VALID"),
    ],
    ids=str,
)
def test_conv3d_backprop_input(row):
    image, shape, output, strides, padding = row
    attributes = {"strides": per_axis(strides, 5), "padding": padding}
    check(
        lambda x: raw.Conv3DBackpropInputV2(
            input_sizes=output, filter=weights(*shape), out_backprop=x, **attributes
        ),
        Spec(image),
        sizes=(2, 2),
    )


@pytest.mark.parametrize(
    ("rank", "data_format"), [(2, "NHWC"), *((rank, kind) for rank in (3, 4, 5) for kind in ("NHWC", "NCHW"))]
)
def test_bias_add(rank, data_format):
    shape = (None, 3, 4, 2, 3)[:rank]
    channels = shape[1 if data_format == "NCHW" else -1]
    check(lambda x: raw.BiasAdd(value=x, bias=weights(channels), data_format=data_format), Spec(shape))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "int64", "int16", "uint8", "int8"])
def test_bias_add_of_every_type(dtype):
    check(
        lambda x, bias: raw.BiasAdd(value=x, bias=bias),
        Spec((2, 3, 4), dtype),
        Spec((4,), dtype),
        tolerance=1e-2 if dtype.endswith("float16") else 0,
    )


def vectors(count: int) -> dict:
    names = ("scale", "offset", "mean", "variance")
    found = {name: weights(count + index)[index:] for index, name in enumerate(names)}
    return {**found, "variance": np.abs(found["variance"]) + 0.1}


@pytest.mark.parametrize("op", ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_batch_norm(op, data_format):
    kernel = getattr(raw, op)
    check(
        lambda x: kernel(x=x, **vectors(3), epsilon=1e-3, is_training=False, data_format=data_format)[0],
        Spec((None, 4, 5, 3) if data_format == "NHWC" else (None, 3, 4, 5)),
    )


def test_batch_norm_of_volumes():
    check(
        lambda x: raw.FusedBatchNormV3(x=x, **vectors(3), is_training=False, data_format="NDHWC")[0],
        Spec((None, 2, 4, 5, 3)),
    )


def test_batch_norm_with_computed_statistics():
    def normalise(x, scale, offset, mean, variance):
        return list(
            raw.FusedBatchNormV3(
                x=x, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=1e-3, is_training=False
            )
        )[:3]

    vector = Spec((3,))
    check(normalise, Spec((None, 4, 5, 3)), vector, vector, vector, vector, inputs=positive)


@pytest.mark.parametrize("factor", [1.0, 0.25])
@pytest.mark.parametrize("batch", [2, None])
def test_batch_norm_in_training(factor, batch):
    def normalise(x):
        results = raw.FusedBatchNormV3(
            x=x, **vectors(3), epsilon=1e-3, exponential_avg_factor=factor, is_training=True
        )
        return [results.y, results.batch_mean, results.batch_variance]

    check(normalise, Spec((batch, 4, 5, 3)))


def test_batch_norm_in_half_precision():
    check(
        lambda x: raw.FusedBatchNormV3(x=x, **vectors(3), is_training=False)[0],
        Spec((2, 4, 5, 3), "float16"),
        tolerance=2e-3,
    )


@pytest.mark.parametrize(
    "attributes", [{}, {"depth_radius": 1, "bias": 2.0, "alpha": 0.3, "beta": 0.75}], ids=str
)
def test_lrn(attributes):
    check(lambda x: raw.LRN(input=x, **attributes), Spec((None, 3, 4, 8)))


@pytest.mark.parametrize("shape", [(), (5,), (None, 3, 4)], ids=str)
def test_l2_loss(shape):
    check(lambda x: raw.L2Loss(t=x), Spec(shape))


# -- what TensorFlow itself computes only through XLA ------------------------------------------------------


def check_compiled(function, *arrays: np.ndarray) -> None:
    """Compare with the function compiled by XLA: TensorFlow's CPU kernels refuse these attributes."""
    model, _ = trace(function, *(Spec(array.shape, array.dtype) for array in arrays))
    wanted = tf.function(function, jit_compile=True)(*map(tf.constant, arrays)).numpy()
    for delegate in (True, False):
        (ours,) = Runtime(write(model), delegate=delegate).run(list(arrays)).values()
        compare(ours, wanted, 1e-5, f"XNNPACK {delegate}")


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 2), (0, 3))], ids=str)
@pytest.mark.parametrize("dilation", [2, (2, 3)])
def test_dilated_depthwise(padding, dilation):
    attributes = {"strides": [1, 1, 1, 1], "dilations": per_axis(dilation), **conv_padding(padding)}
    w = weights(3, 2, 3, 2)
    check_compiled(
        lambda x: raw.DepthwiseConv2dNative(input=x, filter=w, **attributes), weights(2, 11, 10, 3)
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_depthwise_with_unequal_strides(padding):
    attributes = {"strides": [1, 2, 3, 1], "padding": padding}
    w = weights(3, 2, 3, 2)
    check_compiled(
        lambda x: raw.DepthwiseConv2dNative(input=x, filter=w, **attributes), weights(2, 11, 10, 3)
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dilation", [(1, 2, 3), (3, 2, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dilated_and_grouped_conv3d(padding, dilation, groups):
    attributes = {"strides": [1] * 5, "dilations": per_axis(dilation, 5), "padding": padding}
    w = weights(2, 3, 2, 4 // groups, 6)
    check_compiled(lambda x: raw.Conv3D(input=x, filter=w, **attributes), weights(1, 6, 7, 8, 4))


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 1), (0, 2))], ids=str)
def test_dilated_conv2d_backprop_input(padding, strides):
    attributes = {"strides": per_axis(strides), "dilations": [1, 2, 3, 1], **conv_padding(padding)}
    w, sizes = weights(3, 2, 4, 3), (2, 11, 13, 4)
    image = tf.zeros(sizes)
    forward = tf.function(lambda: raw.Conv2D(input=image, filter=w, **attributes))
    check_compiled(
        lambda x: raw.Conv2DBackpropInput(input_sizes=sizes, filter=w, out_backprop=x, **attributes),
        weights(*forward().shape),
    )


def test_grouped_conv2d_backprop_input():
    w = weights(3, 3, 2, 6)
    check_compiled(
        lambda x: raw.Conv2DBackpropInput(
            input_sizes=(1, 8, 8, 4), filter=w, out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
        ),
        weights(1, 4, 4, 6),
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 1), (0, 2))], ids=str)
@pytest.mark.parametrize("strides", [1, 2])
def test_channels_first(padding, strides):
    """Every convolution on channels-first tensors, which TensorFlow's CPU kernels lack."""
    rest = {"strides": [1, 1, strides, strides], "data_format": "NCHW"}
    if isinstance(padding, str):
        rest["padding"] = padding
    else:
        rest |= {"padding": "EXPLICIT", "explicit_paddings": [0, 0, 0, 0, 1, 1, 0, 2]}
    w = weights(3, 3, 3, 4)
    x = weights(2, 3, 8, 9)
    check_compiled(lambda x: raw.Conv2D(input=x, filter=w, **rest), x)
    check_compiled(lambda x: raw.DepthwiseConv2dNative(input=x, filter=w, **rest), x)
    y = tf.function(lambda x: raw.Conv2D(input=x, filter=w, **rest), jit_compile=True)(x)
    check_compiled(
        lambda y: raw.Conv2DBackpropInput(input_sizes=x.shape, filter=w, out_backprop=y, **rest), y.numpy()
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_channels_first_volumes(padding):
    rest = {"strides": [1, 1, 2, 1, 2], "data_format": "NCDHW", "padding": padding}
    w = weights(2, 3, 3, 3, 4)
    x = weights(2, 3, 6, 7, 8)
    check_compiled(lambda x: raw.Conv3D(input=x, filter=w, **rest), x)
    y = tf.function(lambda x: raw.Conv3D(input=x, filter=w, **rest), jit_compile=True)(x)
    check_compiled(
        lambda y: raw.Conv3DBackpropInputV2(input_sizes=x.shape, filter=w, out_backprop=y, **rest), y.numpy()
    )


# -- what grappler fuses -----------------------------------------------------------------------------------


def fused(op: str, operands: list, outputs: int = 1, **attributes):
    """Add a private operation of grappler's remapper, which has no Python function."""
    from tensorflow.core.framework.attr_value_pb2 import AttrValue

    def encode(value):
        if isinstance(value, bool):
            return AttrValue(b=value)
        if isinstance(value, int):
            return AttrValue(i=value)
        if isinstance(value, float):
            return AttrValue(f=value)
        if isinstance(value, str):
            return AttrValue(s=value.encode())
        if all(isinstance(item, int) for item in value):
            return AttrValue(list=AttrValue.ListValue(i=value))
        return AttrValue(list=AttrValue.ListValue(s=[item.encode() for item in value]))

    encoded = {name: encode(value) for name, value in attributes.items()}
    kind = tf.float32.as_datatype_enum
    encoded["T"] = AttrValue(type=kind)
    extra = operands[2:]
    if op == "_FusedBatchNormEx":
        encoded["U"] = AttrValue(type=kind)
    else:
        encoded["num_args"] = AttrValue(i=len(extra))
    if op == "_FusedConv2D":
        encoded["TArgs"] = AttrValue(list=AttrValue.ListValue(type=[kind] * len(extra)))
        encoded["num_host_args"] = AttrValue(i=0)
    graph = tf.compat.v1.get_default_graph()
    node = graph._create_op_internal(
        op,
        tf.nest.map_structure(tf.convert_to_tensor, tf.nest.flatten(operands)),
        [tf.float32] * outputs,
        attrs=encoded,
        name=op.strip("_"),
    )
    return node.outputs[0]


def check_fused(function, plain, *shape: int) -> None:
    """Compare with the unfused operations: TensorFlow has the fused kernels only where oneDNN is on."""
    x = weights(*shape)
    model, _ = trace(function, Spec(shape))
    (ours,) = Runtime(write(model)).run([x]).values()
    compare(ours, plain(x).numpy(), 1e-5, "")


ACTIVATIONS = {
    "": lambda x: x,
    "Relu": tf.nn.relu,
    "Relu6": tf.nn.relu6,
    "Elu": tf.nn.elu,
    "LeakyRelu": lambda x: tf.nn.leaky_relu(x, 0.3),
    "Tanh": tf.nn.tanh,
    "Sigmoid": tf.nn.sigmoid,
    "GeluApproximate": lambda x: tf.nn.gelu(x, approximate=True),
    "GeluExact": tf.nn.gelu,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_fused(name):
    rest = {"fused_ops": ["BiasAdd", name] if name else ["BiasAdd"], "leakyrelu_alpha": 0.3}
    after = ACTIVATIONS[name]
    w, bias = weights(4, 5), weights(5)
    check_fused(
        lambda x: fused("_FusedMatMul", [x, w, bias], transpose_a=True, **rest),
        lambda x: after(tf.matmul(x, w, transpose_a=True) + bias),
        *(4, 3),
    )
    window = {"strides": [1, 1, 1, 1], "padding": "SAME"}
    w, bias = weights(3, 3, 3, 4), weights(4)
    check_fused(
        lambda x: fused("_FusedConv2D", [x, w, bias], **window, **rest),
        lambda x: after(raw.Conv2D(input=x, filter=w, **window) + bias),
        *(2, 6, 6, 3),
    )
    many = weights(12)
    check_fused(
        lambda x: fused("_FusedDepthwiseConv2dNative", [x, w, many], **window, **rest),
        lambda x: after(raw.DepthwiseConv2dNative(input=x, filter=w, **window) + many),
        *(2, 6, 6, 3),
    )


def test_fused_batch_norm():
    window = {"strides": [1, 1, 1, 1], "padding": "SAME"}
    w = weights(3, 3, 3, 4)
    norm = {"epsilon": 0.01, "is_training": False}
    check_fused(
        lambda x: fused(
            "_FusedConv2D",
            [x, w, *vectors(4).values()],
            epsilon=0.01,
            fused_ops=["FusedBatchNorm", "Relu"],
            **window,
        ),
        lambda x: tf.nn.relu(
            raw.FusedBatchNormV3(x=raw.Conv2D(input=x, filter=w, **window), **vectors(4), **norm).y
        ),
        *(2, 6, 6, 3),
    )


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("mode", ["Identity", "Relu"])
def test_fused_batch_norm_with_addend(mode, side):
    norm = {"epsilon": 0.01, "is_training": False}
    after = ACTIVATIONS["" if mode == "Identity" else mode]
    addends = [weights(2, 4, 5, 4)] * side
    rest = {"activation_mode": mode, "num_side_inputs": side, "outputs": 6}
    check_fused(
        lambda x: fused("_FusedBatchNormEx", [x, *vectors(4).values(), *addends], **norm, **rest),
        lambda x: after(raw.FusedBatchNormV3(x=x, **vectors(4), **norm).y + sum(addends)),
        *(2, 4, 5, 4),
    )


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "dtype", "message"),
    [
        (
            lambda x: tf.nn.conv2d(x, weights(3, 3, 4, 4, dtype="float64"), 1, "SAME"),
            "float64",
            "float32 only",
        ),
        (lambda x: tf.nn.conv2d(x, weights(3, 3, 4, 4, dtype="int32"), 1, "SAME"), "int32", "float32 only"),
        (
            lambda x: raw.Conv2D(input=x, filter=weights(3, 3, 4, 4), strides=[2, 1, 1, 1], padding="SAME"),
            "float32",
            "over batch or channels",
        ),
        (
            lambda x: raw.DepthToSpace(input=x, block_size=2, data_format="NCHW_VECT_C"),
            "int8",
            "NCHW_VECT_C has no lowering",
        ),
    ],
)
def test_refused(function, dtype, message):
    shape = (1, 4, 4, 4, 4) if dtype == "int8" else (1, 4, 4, 4)
    with pytest.raises(UnsupportedError, match=message):
        trace(function, Spec(shape, dtype))
