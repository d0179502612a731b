"""TensorFlow's functions in functional tf_keras models: TFOpLambda, SlicingOpLambda, TensorFlowOpLayer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.frontend.keras.harness import TF_KERAS, Spec, check, integers, refused, spec, tf, uniform

Expression = Callable[..., Any]


def expressions(table: dict[str, Expression], *specs: Spec) -> Callable[[Any], Any]:
    """Build one model with an output per expression of the inputs."""

    def build(k: Any) -> Any:
        inputs = [item.input(k) for item in specs]
        outputs = {}
        for name, expression in table.items():
            result = expression(*inputs)
            parts = result if isinstance(result, (list, tuple)) else [result]
            outputs |= {f"{name}.{index}": part for index, part in enumerate(parts)}
        return k.Model(inputs if len(inputs) > 1 else inputs[0], outputs)

    return build


def compare(table: dict[str, Expression], specs: list[Spec], *inputs: Any, **options: Any) -> None:
    options = {"formats": ("h5",), "frameworks": TF_KERAS, "tolerance": 2e-5, **options}
    check(expressions(table, *specs), *inputs, **options)


OPERATORS: dict[str, Expression] = {
    "add": lambda x, y: x + y,
    "number": lambda x, y: x + 1.5,
    "before": lambda x, y: 2.0 - x,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y * 3,
    "divide": lambda x, y: x / (y * y + 1.0),
    "divided": lambda x, y: 1.0 / (x * x + 1.0),
    "floordiv": lambda x, y: x // 2.0,
    "mod": lambda x, y: x % 2.0,
    "power": lambda x, y: x**2,
    "negative": lambda x, y: -x,
    "abs": lambda x, y: abs(x),
    "matmul": lambda x, y: x @ tf.transpose(y, [0, 2, 1]),
    "less": lambda x, y: x < y,
    "greater": lambda x, y: x >= 0.0,
    "equal": lambda x, y: tf.equal(x, y),
    "unequal": lambda x, y: tf.not_equal(x, 0.0),
    "and": lambda x, y: (x > 0) & (y > 0),
    "or": lambda x, y: (x > 0) | (y > 0),
    "xor": lambda x, y: (x > 0) ^ (y > 0),
    "not": lambda x, y: ~(x > 0),
    "constant": lambda x, y: tf.constant([[1.0], [2.0], [3.0], [4.0]]) * x,
    "array": lambda x, y: x + np.arange(6, dtype="float32"),
}
SLICES: dict[str, Expression] = {
    "number": lambda x, y: x[:, 1],
    "last": lambda x, y: x[..., -1],
    "range": lambda x, y: x[:, 1:3, ::2],
    "back": lambda x, y: x[:, ::-1],
    "new": lambda x, y: x[:, tf.newaxis, ..., tf.newaxis],
    "first": lambda x, y: x[0],
    "one": lambda x, y: x[:1],
    "computed": lambda x, y: x[:, tf.shape(y)[1] - 1],
    "computed end": lambda x, y: x[:, : tf.shape(y)[1] - 1],
    "mask": lambda x, y: tf.boolean_mask(x, x[:, :, 0] > -9.0),
    "mask by name": lambda x, y: tf.boolean_mask(x, mask=x > -9.0),
    "slice": lambda x, y: tf.slice(x, [0, 1, 0], [-1, 2, 3]),
    "strided": lambda x, y: tf.strided_slice(x, [0, 0, 1], [1, 4, 5], [1, 2, 1], begin_mask=1, end_mask=1),
    "gather": lambda x, y: tf.gather(x, [0, 2], axis=1),
    "gather_nd": lambda x, y: tf.gather_nd(x, [[0, 1], [0, 3]]),
    "scatter": lambda x, y: tf.tensor_scatter_nd_update(x, [[0, 1]], tf.ones((1, 6))),
    "scatter add": lambda x, y: tf.tensor_scatter_nd_add(x, [[0, 1]], tf.ones((1, 6))),
}
SHAPES: dict[str, Expression] = {
    "reshape": lambda x, y: tf.reshape(x, [-1, 24]),
    "computed": lambda x, y: tf.reshape(x, [tf.shape(x)[0], 6, 4]),
    "shape": lambda x, y: tf.shape(x),
    "size": lambda x, y: tf.size(x),
    "rank": lambda x, y: tf.cast(tf.rank(x), tf.float32) + x[0, 0, 0],
    "concat": lambda x, y: tf.concat([x, y], axis=-1),
    "stack": lambda x, y: tf.stack([x, y], axis=1),
    "unstack": lambda x, y: tf.unstack(x, axis=1),
    "split": lambda x, y: tf.split(x, 2, axis=1),
    "split sizes": lambda x, y: tf.split(x, [1, 2, 3], axis=-1),
    "tile": lambda x, y: tf.tile(x, [1, 2, 1]),
    "repeat": lambda x, y: tf.repeat(x, 2, axis=1),
    "pad": lambda x, y: tf.pad(x, [[0, 0], [1, 2], [0, 1]]),
    "pad value": lambda x, y: tf.pad(x, [[0, 0], [1, 2], [0, 1]], constant_values=2.0),
    "pad reflect": lambda x, y: tf.pad(x, [[0, 0], [1, 2], [0, 1]], mode="REFLECT"),
    "expand": lambda x, y: tf.expand_dims(x, 1),
    "squeeze": lambda x, y: tf.squeeze(tf.expand_dims(x, 1), axis=1),
    "squeeze axes": lambda x, y: tf.squeeze(tf.expand_dims(x, 1), [1]),
    "transpose": lambda x, y: tf.transpose(x, perm=[0, 2, 1]),
    "reversed": lambda x, y: tf.transpose(x),
    "reverse": lambda x, y: tf.reverse(x, [1]),
    "roll": lambda x, y: tf.roll(x, 1, axis=1),
    "broadcast": lambda x, y: tf.broadcast_to(x[:1, :1], [2, 3, 6]),
    "zeros_like": lambda x, y: tf.zeros_like(x),
    "ones_like": lambda x, y: tf.ones_like(x, dtype=tf.int32),
    "fill": lambda x, y: tf.fill([tf.shape(x)[0], 2], 1.5),
    "ones": lambda x, y: tf.ones([tf.shape(x)[0], 2]),
    "range": lambda x, y: tf.range(tf.shape(x)[1]),
    "cast": lambda x, y: tf.cast(x, tf.int32),
    "identity": lambda x, y: tf.identity(x),
    "stop": lambda x, y: tf.stop_gradient(x),
    "tensor": lambda x, y: tf.convert_to_tensor(x),
    "where": lambda x, y: tf.where(x > 0, x, y),
    "where numbers": lambda x, y: tf.where(x > 0, x, 0.0),
    "one_hot": lambda x, y: tf.one_hot(tf.cast(x[:, 0], tf.int32), 4),
    "one_hot values": lambda x, y: tf.one_hot(
        tf.cast(x[:, 0], tf.int32), 4, on_value=2.0, off_value=-1.0, axis=1
    ),
    "sequence_mask": lambda x, y: tf.sequence_mask(tf.cast(tf.abs(x[:, 0, 0]) * 3, tf.int32), 5),
    "linspace": lambda x, y: tf.linspace(x, y, 4),
    "ensure": lambda x, y: tf.ensure_shape(x, [None, 4, 6]),
    "saturate": lambda x, y: tf.saturate_cast(x * 200, tf.int8),
}
REDUCTIONS: dict[str, Expression] = {
    "sum": lambda x, y: tf.reduce_sum(x),
    "sum axis": lambda x, y: tf.reduce_sum(x, axis=1),
    "mean": lambda x, y: tf.reduce_mean(x, axis=[1, -1], keepdims=True),
    "max": lambda x, y: tf.reduce_max(x, -1),
    "min": lambda x, y: tf.reduce_min(x, axis=-1, keepdims=True),
    "prod": lambda x, y: tf.reduce_prod(x, axis=-1),
    "any": lambda x, y: tf.reduce_any(x > 1, axis=-1),
    "all": lambda x, y: tf.reduce_all(x > -1, axis=-1),
    "std": lambda x, y: tf.math.reduce_std(x, axis=-1),
    "variance": lambda x, y: tf.math.reduce_variance(x, axis=-1),
    "logsumexp": lambda x, y: tf.reduce_logsumexp(x, axis=1),
    "euclidean": lambda x, y: tf.math.reduce_euclidean_norm(x, axis=1),
    "argmax": lambda x, y: tf.argmax(x, axis=-1),
    "argmin": lambda x, y: tf.argmin(x, axis=1, output_type=tf.int32),
    "cumsum": lambda x, y: tf.cumsum(x, axis=1, reverse=True),
    "cumprod": lambda x, y: tf.math.cumprod(x, axis=-1, exclusive=True),
    "top_k": lambda x, y: tf.math.top_k(x, 2),
    "sort": lambda x, y: tf.sort(x, axis=1, direction="DESCENDING"),
    "argsort": lambda x, y: tf.argsort(x),
    "count": lambda x, y: tf.math.count_nonzero(x > 0, axis=-1),
    "zero_fraction": lambda x, y: tf.math.zero_fraction(x),
    "segments": lambda x, y: tf.math.unsorted_segment_sum(tf.transpose(x, [1, 0, 2]), [0, 1, 0, 2], 3),
    "moments": lambda x, y: tf.nn.moments(x, axes=[1], keepdims=True),
    "norm": lambda x, y: tf.norm(x),
    "norm axis": lambda x, y: tf.norm(x, axis=-1, keepdims=True),
    "norm 1": lambda x, y: tf.norm(x, ord=1, axis=1),
    "l2_normalize": lambda x, y: tf.math.l2_normalize(x, axis=-1),
    "l2_loss": lambda x, y: tf.nn.l2_loss(x),
    "tensordot": lambda x, y: tf.tensordot(x, np.ones((6, 2), "float32"), axes=1),
    "matmul": lambda x, y: tf.matmul(x, y, transpose_b=True),
    "matmul weights": lambda x, y: tf.matmul(x, np.linspace(-1, 1, 12, dtype="float32").reshape(6, 2)),
    "matvec": lambda x, y: tf.linalg.matvec(x, y[:, 0]),
    "band": lambda x, y: tf.linalg.band_part(x, 1, 0),
    "diag": lambda x, y: tf.linalg.diag(x),
    "diag part": lambda x, y: tf.linalg.diag_part(x),
    "trace": lambda x, y: tf.linalg.trace(x),
    "clip": lambda x, y: tf.clip_by_value(x, -0.5, 0.5),
    "clip norm": lambda x, y: tf.clip_by_norm(x, 1.0, axes=[-1]),
    "add_n": lambda x, y: tf.add_n([x, y, x]),
    "scalar_mul": lambda x, y: tf.math.scalar_mul(2.0, x),
    "v1": lambda x, y: tf.compat.v1.reduce_sum(x, reduction_indices=1, keep_dims=True),
}
NEURAL: dict[str, Expression] = {
    "relu": lambda x, y: tf.nn.relu(x),
    "relu6": lambda x, y: tf.nn.relu6(x + 3.0) / 6.0,
    "elu": lambda x, y: tf.nn.elu(x),
    "selu": lambda x, y: tf.nn.selu(x),
    "leaky_relu": lambda x, y: tf.nn.leaky_relu(x, alpha=0.3),
    "silu": lambda x, y: tf.nn.silu(x),
    "swish": lambda x, y: tf.nn.swish(x, beta=2.0),
    "gelu": lambda x, y: tf.nn.gelu(x, approximate=True),
    "crelu": lambda x, y: tf.nn.crelu(x),
    "softmax": lambda x, y: tf.nn.softmax(x),
    "softmax axis": lambda x, y: tf.nn.softmax(x, axis=1),
    "log_softmax": lambda x, y: tf.nn.log_softmax(x),
    "sigmoid": lambda x, y: tf.sigmoid(x),
    "tanh": lambda x, y: tf.tanh(x),
    "softplus": lambda x, y: tf.nn.softplus(x),
    "softsign": lambda x, y: tf.nn.softsign(x),
    "log_sigmoid": lambda x, y: tf.math.log_sigmoid(x),
    "bias_add": lambda x, y: tf.nn.bias_add(x, np.arange(4, dtype="float32")),
    "batch_normalization": lambda x, y: tf.nn.batch_normalization(x, 0.5, 2.0, 1.0, None, 0.001),
    "conv2d": lambda x, y: tf.nn.conv2d(x, np.full((3, 3, 4, 2), 0.1, "float32"), 2, "SAME"),
    "conv2d explicit": lambda x, y: tf.nn.conv2d(
        x, np.full((3, 3, 4, 2), 0.1, "float32"), [1, 1, 1, 1], [[0, 0], [1, 0], [0, 1], [0, 0]], dilations=2
    ),
    "depthwise": lambda x, y: tf.nn.depthwise_conv2d(
        x, np.full((3, 3, 4, 2), 0.1, "float32"), [1, 1, 1, 1], "SAME"
    ),
    "transposed": lambda x, y: tf.nn.conv2d_transpose(
        x, np.full((2, 2, 3, 4), 0.1, "float32"), [tf.shape(x)[0], 12, 12, 3], 2
    ),
    "conv1d": lambda x, y: tf.nn.conv1d(x[:, 0], np.full((3, 4, 2), 0.1, "float32"), 1, "SAME"),
    "max_pool": lambda x, y: tf.nn.max_pool2d(x, 2, 2, "VALID"),
    "avg_pool": lambda x, y: tf.nn.avg_pool2d(x, [2, 3], [1, 2], "SAME"),
    "depth_to_space": lambda x, y: tf.nn.depth_to_space(x, 2),
    "space_to_depth": lambda x, y: tf.nn.space_to_depth(x, 2),
    "lrn": lambda x, y: tf.nn.local_response_normalization(x, 2),
    "dropout 0": lambda x, y: tf.nn.dropout(x, 0.0),
    "entropy": lambda x, y: tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(y), x),
    "sigmoid entropy": lambda x, y: tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(y), x),
}
IMAGES: dict[str, Expression] = {
    "resize": lambda x: tf.image.resize(x, (5, 9)),
    "nearest": lambda x: tf.image.resize(x, [12, 4], method="nearest"),
    "bicubic": lambda x: tf.image.resize(x, [9, 4], method="bicubic"),
    "area": lambda x: tf.image.resize(x, [3, 4], method="area"),
    "lanczos": lambda x: tf.image.resize(x, [9, 4], method="lanczos3"),
    "antialias": lambda x: tf.image.resize(x, [3, 4], antialias=True),
    "v1": lambda x: tf.compat.v1.image.resize_bilinear(x, [9, 4], align_corners=True),
    "v1 resize": lambda x: tf.compat.v1.image.resize(x, [9, 4]),
    "crop": lambda x: tf.image.crop_to_bounding_box(x, 1, 2, 3, 4),
    "pad": lambda x: tf.image.pad_to_bounding_box(x, 1, 2, 9, 10),
    "crop or pad": lambda x: tf.image.resize_with_crop_or_pad(x, 4, 9),
    "central": lambda x: tf.image.central_crop(x, 0.5),
    "gray": lambda x: tf.image.rgb_to_grayscale(x),
    "rgb": lambda x: tf.image.grayscale_to_rgb(x[..., :1]),
    "hsv": lambda x: tf.image.rgb_to_hsv(x),
    "yuv": lambda x: tf.image.rgb_to_yuv(x),
    "left right": lambda x: tf.image.flip_left_right(x),
    "up down": lambda x: tf.image.flip_up_down(x),
    "brightness": lambda x: tf.image.adjust_brightness(x, 0.2),
    "contrast": lambda x: tf.image.adjust_contrast(x, 0.5),
    "gamma": lambda x: tf.image.adjust_gamma(x, 2.0),
    "standardized": lambda x: tf.image.per_image_standardization(x),
    "patches": lambda x: tf.image.extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
    "transpose": lambda x: tf.image.transpose(x),
}


PAIR = [spec((4, 6)), spec((4, 6))]


def test_operators() -> None:
    compare(OPERATORS, PAIR, formats=("h5", "keras"))


def test_slices() -> None:
    compare(SLICES, PAIR)
    dotted = ("last", "new")  # tf_keras cannot write an ellipsis to .keras
    compare({name: part for name, part in SLICES.items() if name not in dotted}, PAIR, formats=("keras",))


def test_shapes() -> None:
    compare(SHAPES, PAIR)


def test_reductions() -> None:
    compare(REDUCTIONS, PAIR)


def test_neural() -> None:
    compare(NEURAL, [spec((6, 6, 4)), spec((6, 6, 4))])


def test_images() -> None:
    compare(IMAGES, [spec((6, 7, 3))], uniform(), tolerance=1e-4)


UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "erfc", "erfinv",
    "exp", "expm1", "floor", "is_finite", "is_inf", "is_nan", "log", "log1p", "negative", "reciprocal",
    "reciprocal_no_nan", "rint", "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh",
    "real", "imag", "conj", "ndtri",
)  # fmt: skip
BINARY = (
    "add", "subtract", "multiply", "divide", "truediv", "floordiv", "floormod", "pow", "maximum", "minimum",
    "squared_difference", "divide_no_nan", "multiply_no_nan", "xdivy", "xlogy", "xlog1py", "equal",
    "not_equal", "less", "less_equal", "greater", "greater_equal", "atan2",
)  # fmt: skip


def test_elementwise() -> None:
    table = {name: lambda x, y, name=name: getattr(tf.math, name)(x) for name in UNARY if name != "acosh"}
    table["acosh"] = lambda x, y: tf.math.acosh(x + 1.0)
    table |= {name: lambda x, y, name=name: getattr(tf.math, name)(x, y) for name in BINARY}
    compare(table, PAIR, uniform(0.1, 0.9), uniform(0.1, 0.9))


def test_integers() -> None:
    names = [name for name in BINARY if name not in ("divide_no_nan", "multiply_no_nan", "atan2")]
    names = [name for name in names if not name.startswith("x")]
    table = {name: lambda x, y, name=name: getattr(tf.math, name)(x, y) for name in names}
    table["add 1"] = lambda x, y: x + 1
    table["halves"] = lambda x, y: x / 2
    table["mean"] = lambda x, y: tf.reduce_mean(x, axis=-1)
    table["bits"] = lambda x, y: tf.bitwise.bitwise_and(x, y)
    table["mixed"] = lambda x, y: tf.cast(x, tf.float32) * 0.5
    table["v1"] = lambda x, y: tf.compat.v1.div(x, y)
    compare(table, [spec((6,), "int32"), spec((6,), "int32")], integers(9, 1), integers(5, 1))


def test_losses_of_operands_are_named() -> None:
    """tf_keras writes neither the second operand of == nor any of an einsum."""
    refused(
        lambda k: _model(k, lambda x: x == x),
        "__operators__.eq",
        "export",
        frameworks=TF_KERAS,
        formats=("h5",),
    )
    refused(
        lambda k: _model(k, lambda x: tf.einsum("bij,bkj->bik", x, x)),
        "einsum",
        "EinsumDense",
        frameworks=TF_KERAS,
        formats=("h5",),
    )


def test_unknown_functions_are_named() -> None:
    for expression, name in (
        (lambda x: tf.math.lgamma(x), r"tf\.math\.lgamma"),
        (lambda x: tf.linalg.inv(x), r"tf\.linalg\.inv"),
        (lambda x: tf.nn.dropout(x, 0.5), "drops at random"),
        (
            lambda x: tf.image.resize(x[..., None], [3, 3], preserve_aspect_ratio=True),
            "preserve_aspect_ratio",
        ),
    ):
        refused(lambda k, made=expression: _model(k, made), name, frameworks=TF_KERAS, formats=("h5",))


def _model(k: Any, expression: Expression) -> Any:
    x = k.Input((4, 4))
    return k.Model(x, expression(x))


# -- operations of TensorFlow 2.0 to 2.3 -----------------------------------------------------------------


def _node(op: str, inputs: int, **attributes: Any) -> Any:
    node = tf.compat.v1.NodeDef(name=op.lower(), op=op, input=[f"x{index}" for index in range(inputs)])
    for name, value in attributes.items():
        if isinstance(value, tf.DType):
            node.attr[name].type = value.as_datatype_enum
        elif isinstance(value, bool):
            node.attr[name].b = value
        elif isinstance(value, int):
            node.attr[name].i = value
        elif isinstance(value, list):
            node.attr[name].list.i.extend(value)
        else:
            node.attr[name].s = value.encode()
    return node


def _operations(k: Any) -> Any:
    from google.protobuf import json_format
    from tf_keras.src.engine.base_layer import TensorFlowOpLayer

    x = k.Input((4, 6))
    one = tf.float32
    nodes = {
        "relu": (_node("Relu", 1, T=one), {}),
        "add": (_node("AddV2", 2, T=one), {1: np.float32(2)}),
        "before": (_node("Sub", 2, T=one), {0: np.float32(2)}),
        "mean": (_node("Mean", 2, T=one, Tidx=tf.int32, keep_dims=True), {1: np.int32(1)}),
        "transpose": (_node("Transpose", 2, T=one, Tperm=tf.int32), {1: np.array([0, 2, 1], "int32")}),
        "slice": (
            _node("StridedSlice", 4, T=one, Index=tf.int32, begin_mask=1, end_mask=1, shrink_axis_mask=2),
            {1: np.array([0, 1], "int32"), 2: np.array([0, 2], "int32"), 3: np.array([1, 1], "int32")},
        ),
    }
    outputs = {}
    for index, (name, (node, constants)) in enumerate(nodes.items()):
        serialized = json_format.MessageToDict(node) if index % 2 else node.SerializeToString()
        outputs[name] = TensorFlowOpLayer(serialized, name, constants)(x)
    return k.Model(x, outputs)


def test_operation_layers() -> None:
    check(_operations, frameworks=TF_KERAS, formats=("h5",))


def test_forms_of_a_node() -> None:
    """A message as JSON, in a string, or (TensorFlow 2.0) serialized in a string."""
    import json

    import pytest
    from google.protobuf import json_format

    from litecast.errors import ConvertError
    from litecast.frontend.keras.tensorflow import node_of

    node = _node("Mean", 2, T=tf.float32, Tidx=tf.int32, keep_dims=True)
    as_dict = json_format.MessageToDict(node)
    for form in (as_dict, json.dumps(as_dict), node.SerializeToString().decode(), node.SerializeToString()):
        read = node_of(form)
        assert (read.op, read.attr["T"].type, read.attr["keep_dims"].b) == ("Mean", 1, True)
    for broken in ("{", {"op": 1}, 7):
        with pytest.raises(ConvertError, match="no node"):
            node_of(broken)
