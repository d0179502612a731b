"""Shapes, movement and construction against TensorFlow: every attribute, element type, rank and unknown
dimension.
"""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import InferenceError, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, constant
from litecast.lib import array
from tests.frontend.tensorflow.harness import check, f32, i32, operations, spec, trace

tf = pytest.importorskip("tensorflow")
raw = tf.raw_ops

TYPES = [
    "float32",
    "int32",
    "int64",
    "int8",
    "uint8",
    "int16",
    "bool",
    "float16",
    "bfloat16",
    "uint16",
    "uint32",
]

# -- shape ----------------------------------------------------------------------------------------------

RESHAPES = {
    "flatten": (lambda x: tf.reshape(x, [-1]), f32(None, 3, 4)),
    "merge": (lambda x: tf.reshape(x, [tf.shape(x)[0], 12]), f32(None, 3, 4)),
    "batch": (lambda x: tf.reshape(x, [tf.shape(x)[0], -1]), f32(None, 3, 4)),
    "two unknown": (lambda x: tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], 2, 2]), f32(None, None, 4)),
    "swap unknown": (lambda x: tf.reshape(x, [tf.shape(x)[1], tf.shape(x)[0], 4]), f32(None, None, 4)),
    "scalar": (lambda x: tf.reshape(x, []), f32(1, 1)),
    "from scalar": (lambda x: tf.reshape(x, [1, 1, 1]), f32()),
    "int64": (lambda x: tf.reshape(x, tf.constant([2, -1], tf.int64)), f32(None, 4)),
    "other": (lambda x: tf.reshape(x, tf.stack([4, tf.size(x) // 4])), f32(None, 4)),
    "merge beside unknown": (
        lambda x: tf.reshape(x, [tf.shape(x)[0], tf.reduce_prod(tf.shape(x)[1:])]),
        f32(None, None, 3),
    ),
    "concat of shapes": (lambda x: tf.reshape(x, tf.concat([tf.shape(x)[:-1], [2, 2]], 0)),
    f32(None, None, 4)),
    "squeeze": (lambda x: tf.squeeze(x, [1, -1]), f32(None, 1, 4, 1)),
    "squeeze all": (lambda x: tf.squeeze(x), f32(1, 3, 1)),
    "squeeze of two unknown": (lambda x: tf.squeeze(x, [1]), f32(None, 1, None)),
    "expand": (lambda x: tf.expand_dims(tf.expand_dims(x, -1), 0), f32(None, 4)),
    "expand two unknown": (lambda x: tf.expand_dims(x, 1), f32(None, None, 3)),
    "expand scalar": (lambda x: tf.expand_dims(x, 0), f32()),
    "ensure": (lambda x: tf.ensure_shape(x, [None, 4]) + 1.0, f32(None, 4)),
    "broadcast": (lambda x: tf.broadcast_to(x, [2, 3, 4]), f32(3, 1)),
    "broadcast batch": (lambda x: tf.broadcast_to(x, [tf.shape(x)[0], 3, 4]), f32(None, 1, 4)),
    "shapes": (lambda x: (tf.shape(x), tf.shape(x, tf.int64), tf.size(x), tf.rank(x), tf.size(x, tf.int64)),
    f32(None, 3)),
    "shape n": (lambda x: tf.shape_n([x, x[0]]), f32(None, 3)),
    "shape arithmetic": (lambda x: tf.range(tf.shape(x)[0] * 2 + 1), f32(None, 3)),
    "broadcast args": (
        lambda x: tf.broadcast_dynamic_shape(tf.shape(x), tf.constant([3, 1, 1])),
        f32(None, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", RESHAPES)
def test_shape(row):
    function, item = RESHAPES[row]
    check(function, item, sizes=(2, 3) if sum(dim is None for dim in item.shape) < 2 else ((2, 3), (4, 1)))


@pytest.mark.parametrize("dtype", TYPES)
def test_movement_of_every_type(dtype):
    check(
        lambda x: (
            tf.reshape(x, [-1, 2]), tf.transpose(x, [2, 0, 1]), tf.concat([x, x], 1), tf.stack([x, x], -1),
            *tf.unstack(x, axis=1), *tf.split(x, 2, 2), *tf.split(x, [1, 3], 2), x[:, 1:], x[:, ::-1, 0],
            tf.expand_dims(x, 1), tf.gather(x, [1, 0], axis=1), tf.reverse(x, [1]),
            tf.slice(x, [0, 1, 1], [-1, 1, 2]),
        ),
        spec(dtype, None, 2, 4),
    )  # fmt: skip


@pytest.mark.parametrize(
    "dtype", [dtype for dtype in TYPES if not dtype.startswith("uint") or dtype == "uint8"]
)
def test_construction_of_every_type(dtype):
    check(
        lambda x: (
            tf.zeros_like(x), tf.ones_like(x), tf.fill([2, 2], x[0, 0]), tf.tile(x, [2, 1]),
            tf.broadcast_to(x[:, :1], tf.shape(x)), tf.pad(x, [[0, 1], [2, 0]]), tf.roll(x, 1, 0),
        ),
        spec(dtype, None, 4),
    )  # fmt: skip


PERMUTATIONS = [
    ((None, 3), (1, 0)), ((None, 3, None), (2, 0, 1)), ((2, 3, 4), (0, 1, 2)), ((2, 1, 3, 1), (3, 2, 1, 0)),
    ((2, 1, 3, 2, 2), (4, 0, 3, 1, 2)), ((1, 2, 3, 1, 2, 2), (5, 4, 3, 2, 1, 0)),
    ((2, 2, 3, 1, 2, 2, 2), (0, 3, 4, 1, 2, 6, 5)),
    ((2, 1, 2, 1, 2, 1, 2, 3), (7, 0, 1, 2, 3, 4, 5, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "permutation"), PERMUTATIONS)
def test_transpose(shape, permutation):
    check(lambda x: tf.transpose(x, permutation), f32(*shape))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_concat_pack_split(axis):
    check(lambda x, y: tf.concat([x, y, x], axis), f32(2, 4, 6), f32(2, 4, 6))
    check(lambda x, y: tf.stack([x, y], axis), f32(None, 4, 6), f32(None, 4, 6))
    check(lambda x: tf.split(x, 2, axis), f32(2, 4, 6))
    check(lambda x: tf.unstack(x, axis=axis), f32(2, 4, 6))


def test_concat_of_parts():
    check(lambda x, y: tf.concat([x, y], 1), f32(None, 2), f32(None, 3))
    check(lambda x, y: tf.concat([x, y], 0), f32(None, 2), f32(None, 2), sizes=((2, 3), (4, 1)))
    check(lambda x: tf.concat([x], 0) + tf.concat([x, tf.zeros([0, 2])], 0), f32(3, 2))
    check(lambda x: raw.Concat(concat_dim=1, values=[x, x]), f32(3, 2))
    data = [np.array([4, 2, 0], np.int32), np.array([4, 3, 0], np.int32)]
    check(lambda x, y: raw.ConcatOffset(concat_dim=1, shape=[x, y, x]), i32(3), i32(3), inputs=data)


def test_split():
    check(lambda x: tf.split(x, [2, -1, 1], 1), f32(None, 7, 2))
    check(lambda x: tf.split(x, [1, 2], 1), f32(2, None), sizes=(3,))
    check(lambda x: tf.split(x, 1, 1), f32(None, 7))
    check(lambda x: tf.split(x, [7], 1), f32(None, 7))
    check(lambda x: tf.split(x, 2, 0), f32(None, 7), sizes=(2, 4))
    check(lambda x: tf.unstack(x, 3, axis=0), f32(None, 7), sizes=(3,))
    check(lambda x: tf.unstack(x, axis=1), f32(3, 1))


# -- slices ---------------------------------------------------------------------------------------------

SLICES = {
    "one": (lambda x: x[1], (3, 4)),
    "last": (lambda x: x[-1], (3, 4)),
    "last of unknown": (lambda x: x[-1], (None, 4)),
    "range": (lambda x: x[1:3, :2], (3, 4)),
    "beyond": (lambda x: x[1:99, -99:2], (3, 4)),
    "empty": (lambda x: x[2:1], (3, 4)),
    "steps": (lambda x: x[::2, 1::2], (5, 6)),
    "reversed": (lambda x: x[::-1, ::-2], (5, 6)),
    "backwards": (lambda x: x[4:1:-1, -1:-4:-2], (5, 6)),
    "backwards past the start": (lambda x: x[2:-99:-1], (5, 6)),
    "ellipsis": (lambda x: x[..., 1], (2, 3, 4)),
    "ellipsis in the middle": (lambda x: x[1, ..., 1:3], (2, 3, 4, 5)),
    "ellipsis of nothing": (lambda x: x[1:, ..., :2], (2, 3)),
    "new axis": (lambda x: x[:, None], (None, 4)),
    "new axes": (lambda x: x[None, :, None, ..., None], (2, 3, 4)),
    "new axis of two unknown": (lambda x: x[:, None], (None, None)),
    "new axis and index": (lambda x: x[0, None, :, 1], (2, 3, 4)),
    "new axis, ellipsis, index": (lambda x: x[None, ..., 2, ::-1], (2, 3, 4)),
    "all": (lambda x: x[:, ...] + 0.0, (2, 3)),
    "batch": (lambda x: x[:, 1:-1, ::2], (None, 5, 6)),
    "batch with negative ends": (lambda x: x[:-1], (None, 3)),
    "batch from the end": (lambda x: x[-2:], (None, 3)),
    "batch cut off": (lambda x: x[:4], (None, 3)),
    "batch perhaps empty": (lambda x: x[4:, 1:], (None, 3)),
    "batch perhaps empty before the end": (lambda x: x[:-4], (None, 3)),
    "batch steps": (lambda x: x[::2], (None, 3)),
    "batch reversed": (lambda x: x[::-1], (None, 3)),
    "five": (lambda x: x[:, 1:, ::2, 0, ::-1], (2, 3, 4, 2, 3)),
    "six": (lambda x: x[:, 1:, ::2, 0, ::-1, 1:2], (2, 3, 4, 2, 3, 4)),
    "seven with new axis": (lambda x: x[1, :, 1:, :, 1, ::-1, None, 1:], (2, 3, 2, 2, 2, 3, 4)),
    "six only cut": (lambda x: x[:, 1:, :, :1, 1:, 1:2], (2, 3, 2, 2, 3, 4)),
    "six unknown": (lambda x: x[:, 1:, ::2, 0, ::-1, 1:2], (None, 3, 4, 2, 3, 4)),
    "vector": (lambda x: x[2:4] + x[1], (5,)),
}  # fmt: skip


@pytest.mark.parametrize("row", SLICES)
def test_strided_slice(row):
    function, shape = SLICES[row]
    check(function, f32(*shape), sizes=(3, 5))


@pytest.mark.parametrize(
    "dtype", ["int8", "int64", "bool", "uint8", "int16", "float16", "uint16", "uint32", "string"]
)
def test_strided_slice_types(dtype):
    check(lambda x: x[1:, ::-1, 0], spec(dtype, 3, 4, 2))


def test_strided_slice_with_computed_ends():
    start, end = np.array(1, np.int32), np.array(3, np.int32)
    data = np.arange(20, dtype=np.float32).reshape(4, 5)
    scalars = (i32(), i32())
    check(
        lambda x, i, j: (x[i:j], x[i], x[:, i:j], x[i:, ::2], x[:-i]),
        f32(4, 5),
        *scalars,
        inputs=[data, start, end],
    )
    check(lambda x, i, j: (x[..., i], x[None, i:j], x[i, j]), f32(4, 5), *scalars, inputs=[data, start, end])
    check(lambda x, i, j: x[i - j :], f32(4, 5), *scalars, inputs=[data, start, end])
    six = data.reshape(2, 1, 2, 1, 1, 5)
    check(lambda x, i, j: x[:, :, i:, :, :, i:j], f32(2, 1, 2, 1, 1, 5), *scalars, inputs=[six, start, end])
    check(lambda x: x[: tf.shape(x)[0] - 1], f32(None, 3))
    check(lambda x: x[tf.shape(x)[1] :], f32(None, 1))
    check(lambda x, y: x[: tf.shape(y)[0]], f32(None, 3), f32(None), sizes=((4, 2), (3, 1)))


def test_slice_of_64_bit_ends():
    ends = [np.array(numbers, np.int64) for numbers in ([0, 1], [2, 9223372036854775807], [1, 1])]
    check(lambda x: raw.StridedSlice(input=x, begin=ends[0], end=ends[1], strides=ends[2]), f32(3, 4))


def test_slices_that_change_nothing_are_nothing():
    assert operations(lambda x: x[:, :, :], f32(None, 3, 4)) == []
    assert operations(lambda x: x[:, None], f32(None, 4)) == ["Reshape"]
    assert operations(lambda x: x[:, 1:3], f32(None, 4)) == ["Slice"]
    assert operations(lambda x: x[:, 0], f32(None, 4)) == ["Gather"]
    assert operations(lambda x: tf.transpose(x, [0, 1]), f32(2, 3)) == []


@pytest.mark.parametrize(
    ("shape", "begin", "size"),
    [((None, 4), (0, 1), (-1, 2)), ((3, 4), (1, 0), (2, -1)), ((3, 4), (0, 0), (3, 4)),
     ((2, 3, 1, 2, 3, 2), (0, 1, 0, 0, 1, 1), (-1, 2, 1, -1, 1, 1)), ((5,), (2,), (0,))],
)  # fmt: skip
def test_slice(shape, begin, size):
    check(lambda x: tf.slice(x, begin, size), f32(*shape))


def test_slice_with_computed_begin():
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    check(lambda x, i: tf.slice(x, [0, i], [2, 2]), f32(3, 4), i32(), inputs=[data, np.int32(1)])
    check(lambda x, i: tf.slice(x, i, [2, 2]), f32(3, 4), i32(2), inputs=[data, np.array([1, 2], np.int32)])
    check(lambda x: tf.slice(x, [0, 0], [tf.shape(x)[0], 2]), f32(None, 4))


# -- padding, tiling, reversing -------------------------------------------------------------------------

PADDINGS = [
    ((None, 3), ((0, 0), (1, 2))), ((None, 3, 4), ((1, 0), (0, 0), (2, 2))),
    ((2, 1, 2, 1, 2), ((0, 0), (1, 0), (0, 2), (0, 0), (1, 1))),
    ((2, 1, 2, 1, 2, 3), ((0, 1), (1, 0), (0, 2), (0, 0), (1, 1), (1, 0))), ((3,), ((0, 0),)),
    ((3,), ((2, 1),)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "paddings"), PADDINGS)
def test_pad(shape, paddings):
    check(lambda x: (tf.pad(x, paddings), tf.pad(x, paddings, constant_values=-1.5)), f32(*shape))
    check(lambda x, value: raw.PadV2(input=x, paddings=paddings, constant_values=value), f32(*shape), f32())


@pytest.mark.parametrize("dtype", TYPES)
def test_pad_with_value(dtype):
    check(lambda x: tf.pad(x, [[1, 0], [0, 2]], constant_values=tf.cast(1, dtype)), spec(dtype, 2, 3))


def test_pad_by_computed_amounts():
    amounts = np.array([[1, 0], [0, 2]], np.int32)
    data = np.ones((2, 3), np.float32)
    check(
        lambda x, p: (tf.pad(x, p), tf.pad(x, p, constant_values=2.0)),
        f32(2, 3),
        i32(2, 2),
        inputs=[data, amounts],
    )


@pytest.mark.parametrize("mode", ["REFLECT", "SYMMETRIC"])
@pytest.mark.parametrize(
    ("shape", "paddings"),
    [((3,), ((2, 1),)), ((None, 3), ((0, 0), (1, 2))), ((2, 3, 4), ((1, 1), (2, 0), (0, 3))),
    ((1, 3, 4, 2), ((0, 0), (2, 2), (1, 1), (0, 0))),
     ((2, 2, 2, 2, 3), ((0, 1), (1, 0), (0, 0), (1, 1), (2, 2)))],
)  # fmt: skip
def test_mirror_pad(mode, shape, paddings):
    check(lambda x: tf.pad(x, paddings, mode), f32(*shape))
    check(lambda x: tf.pad(x, paddings, mode), spec("int32", *shape))


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "int16", "bool", "float16"])
def test_mirror_pad_types(dtype):
    check(lambda x: tf.pad(x, [[1, 1], [0, 2]], "REFLECT"), spec(dtype, 2, 3))


def test_tile():
    check(lambda x: tf.tile(x, [2, 1, 3]), f32(None, 2, 3))
    check(lambda x: tf.tile(x, [1, 1]) + 1.0, f32(None, 2))
    check(lambda x: tf.tile(x[:, None], [1, tf.shape(x)[1], 1]), f32(None, 3))
    check(
        lambda x, n: tf.tile(x, n),
        f32(2, 2),
        i32(2),
        inputs=[np.ones((2, 2), np.float32), np.array([2, 3], np.int32)],
    )
    check(lambda x: tf.tile(x, [2, 1, 1, 2, 1, 1]), f32(1, 2, 1, 2, 1, 2))


@pytest.mark.parametrize("axes", [[0], [1], [-1], [0, 1], [0, 2], [0, 1, 2], []])
def test_reverse(axes):
    check(lambda x: tf.reverse(x, axes), f32(None, 3, 4))
    check(lambda x: raw.Reverse(tensor=x, dims=[axis in axes for axis in range(3)]), spec("int64", 2, 3, 4))


@pytest.mark.parametrize(("sequence", "batch"), [(1, 0), (0, 1), (2, 0), (-1, 1)])
def test_reverse_sequence(sequence, batch):
    lengths = np.array([1, 3, 2], np.int32)
    data = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    for dtype in ("float32", "int8", "int64"):
        check(
            lambda x, n: tf.reverse_sequence(x, n, seq_axis=sequence % 3, batch_axis=batch),
            spec(dtype, 3, 3, 3),
            i32(3),
            inputs=[data.astype(dtype), lengths],
        )


@pytest.mark.parametrize(
    ("shift", "axis"), [(1, 0), (-2, 1), ([1, 2], [0, 1]), ([1, 1], [0, 0]), (7, 1), (0, 0)]
)
def test_roll(shift, axis):
    check(lambda x: tf.roll(x, shift, axis), f32(4, 5))
    check(lambda x: tf.roll(x, shift, axis), f32(None, 5))


def test_roll_by_a_computed_shift():
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    for shift in (0, 2, -5):
        check(lambda x, n: tf.roll(x, n, 1), f32(3, 4), i32(), inputs=[data, np.int32(shift)])


# -- construction ---------------------------------------------------------------------------------------


def test_fill_and_range():
    check(lambda x: tf.fill([tf.shape(x)[0], 3], 2.5) + x, f32(None, 3))
    check(lambda x: tf.fill([2, 3], x), f32())
    check(lambda x: tf.range(1.0, tf.cast(tf.shape(x)[0], tf.float32) + 1.0, 0.5), f32(None, 3))
    check(lambda x: tf.range(x, 10, 3), i32(), inputs=[np.int32(2)])
    check(lambda x: tf.range(x, -5, -2), spec("int64"), inputs=[np.int64(2)])
    check(lambda x: tf.zeros(tf.shape(x)) + tf.ones_like(x), f32(None, 3))


def test_complex_tensors():
    def every(x):
        return (
            tf.transpose(x, conjugate=True), tf.reshape(x, [-1]), x[:, ::-1, None], tf.concat([x, x], 1),
            *tf.split(x, 3, 1), *tf.unstack(x, axis=1), tf.pad(x, [[0, 1], [0, 0]]), tf.gather(x, [0, 0]),
            tf.zeros_like(x) + tf.ones_like(x), tf.fill([2, 2], x[0, 0]), tf.squeeze(x[:1], 0),
        )  # fmt: skip

    check(every, spec("complex64", None, 3))


def test_lin_space():
    check(lambda x: tf.linspace(x, 2.0 * x + 1.0, 7), f32(), inputs=[np.float32(0.3)])
    check(lambda x: x + tf.linspace(0.0, 1.0, 11), f32(11))
    check(lambda x: raw.LinSpace(start=x, stop=x + 1.0, num=1), f32())


def test_bitcast():
    check(
        lambda x: (tf.bitcast(x, tf.int32), tf.bitcast(x, tf.uint8), tf.bitcast(x, tf.float32)), f32(None, 4)
    )
    check(lambda x: tf.bitcast(x, tf.int32), spec("uint8", 3, 4))


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "int64", "uint8", "int8", "float16", "int16"])
def test_one_hot(axis, dtype):
    on_value, off_value = np.ones((), dtype), np.zeros((), dtype)
    check(lambda x: tf.one_hot(x, 5, on_value, off_value, axis=axis), i32(None, 3))
    check(lambda x: tf.one_hot(x, 5, on_value, off_value, axis=axis), spec("int64", 4 if axis < 1 else 2))


def test_one_hot_values():
    check(lambda x: tf.one_hot(x, 4, on_value=2.5, off_value=-1.0), spec("uint8", 2, 3))
    check(lambda x: tf.one_hot(x, 4), i32())
    check(lambda x, n: tf.one_hot(x, n), i32(3), i32(), inputs=[np.array([0, 2, 1], np.int32), np.int32(3)])


@pytest.mark.parametrize(
    ("function", "item", "message"),
    [
        (lambda x: tf.unstack(tf.ensure_shape(x, [None, 3])[:, 0], 3), f32(None, 3), None),
        (lambda x: tf.squeeze(x), f32(None, 3), "name the axes"),
        (lambda x: raw.Transpose(x=x, perm=tf.cast(x[0, :2], tf.int32)), f32(2, 3), "constant"),
        (lambda x: tf.pad(x, [[0, 1]]), spec("float64", 3), "FLOAT64"),
    ],
)
def test_refused(function, item, message):
    if message is None:
        check(function, item, sizes=(3,))
        return
    with pytest.raises(UnsupportedError, match=message):
        trace(function, item)


def test_a_wrong_axis_is_an_error_of_the_model():
    with pytest.raises(InferenceError, match="out of range"):
        array.normalize_axis(7, 2)
    with pytest.raises(InferenceError, match="more than one -1"):
        array.reshape(Builder(Graph()), constant(np.zeros(4, np.float32)), (-1, -1))
