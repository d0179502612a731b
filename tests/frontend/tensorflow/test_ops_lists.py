"""TensorArrays of TensorFlow 2, which are TensorLists, against TensorFlow."""

from __future__ import annotations

import pytest

tf = pytest.importorskip("tensorflow")

from litecast.errors import UnsupportedError  # noqa: E402
from tests.frontend.tensorflow.harness import check, f32, trace  # noqa: E402


def extended_in_loop(x):
    """Written behind its end, with a gap."""
    array = tf.TensorArray(tf.float32, 1, dynamic_size=True, element_shape=(3,)).write(0, x[0])
    _, array = tf.while_loop(
        lambda turn, _: turn < 7, lambda turn, a: (turn + 2, a.write(turn, x[1])), [2, array]
    )
    return array.stack(), array.size()


def extended_by_number(x):
    array = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=(3,)).write(3, x[0]).write(1, x[1])
    return array.stack(), array.read(2), array.size()


@pytest.mark.parametrize(
    "function", [extended_in_loop, extended_by_number], ids=lambda function: function.__name__
)
def test_extended(function):
    check(function, f32(None, 3))


def test_rare_list_operations():
    from tensorflow.python.ops import list_ops

    raw = tf.raw_ops

    def function(x):
        one = list_ops.tensor_list_from_tensor(x, [3])
        two = raw.TensorListScatter(tensor=x, indices=[2, 0], element_shape=[3])
        three = raw.TensorListScatterV2(tensor=x, indices=[1, 0], element_shape=[3], num_elements=4)
        both = raw.TensorListConcatLists(input_a=one, input_b=two, element_dtype=tf.float32)
        short = list_ops.tensor_list_reserve([3], 1, tf.float32)
        short = raw.TensorListSetItem(input_handle=short, index=0, item=x[0])
        longer = raw.TensorListResize(input_handle=short, size=3)
        pieces = list_ops.tensor_list_split(x, [None, 3], [1, 1])
        joined, lengths = raw.TensorListConcat(input_handle=pieces, element_dtype=tf.float32)
        return (
            list_ops.tensor_list_stack(both, tf.float32),
            list_ops.tensor_list_stack(three, tf.float32),
            list_ops.tensor_list_stack(longer, tf.float32),
            joined,
            lengths,
            raw.TensorListElementShape(input_handle=one, shape_type=tf.int32),
        )

    check(function, f32(2, 3))


def test_closed_array():
    def function(x):
        raw = tf.raw_ops
        handle, flow = raw.TensorArrayV3(size=2, dtype=tf.float32)
        flow = raw.TensorArrayWriteV3(handle=handle, index=1, value=x, flow_in=flow)
        flow = raw.TensorArrayWriteV3(handle=handle, index=0, value=-x, flow_in=flow)
        result = raw.TensorArrayGatherV3(handle=handle, indices=[0, 1], flow_in=flow, dtype=tf.float32)
        with tf.control_dependencies([result]):
            close = raw.TensorArrayCloseV3(handle=handle)
        with tf.control_dependencies([close]):
            return tf.identity(result)

    check(function, f32(3))


def test_lengths_of_what_was_not_written_are_refused():
    from tensorflow.python.ops import list_ops

    def function(x):
        handle = list_ops.tensor_list_reserve([None, 3], 2, tf.float32)
        handle = list_ops.tensor_list_set_item(handle, 0, x)
        concatenated = tf.raw_ops.TensorListConcatV2(
            input_handle=handle, element_shape=[-1, 3], leading_dims=[2, 4], element_dtype=tf.float32
        )
        return concatenated.tensor

    with pytest.raises(UnsupportedError, match="lengths to elements not written"):
        trace(function, f32(2, 3))
