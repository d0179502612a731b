"""Branches, loops and TensorLists against TensorFlow."""

from __future__ import annotations

import pytest

from litecast.errors import InferenceError, UnsupportedError

tf = pytest.importorskip("tensorflow")

from tests.frontend.tensorflow.harness import check, f32, i32, operations, spec, trace  # noqa: E402

# -- branches ------------------------------------------------------------------------------------------------


def test_cond():
    def function(x, flag):
        return tf.cond(flag > 0, lambda: (x * 2.0, x), lambda: (x - 1.0, -x))

    check(function, f32(None, 3), i32())


def test_cond_with_shapes_that_differ():
    check(lambda x, flag: tf.cond(flag > 0, lambda: x[:1], lambda: tf.concat([x, x], 0)), f32(None, 3), i32())


def test_cond_on_a_constant_is_decided():
    assert operations(lambda x: tf.cond(tf.constant(True), lambda: x + 1.0, lambda: x * 2.0), f32(3)) == [
        "Add"
    ]


def test_cond_of_constants():
    check(
        lambda flag: tf.cond(flag > 1, lambda: tf.constant([1.0, 2.0]), lambda: tf.constant([3.0, 4.0])),
        i32(),
    )


def test_nested_cond():
    def function(x, flag):
        inner = lambda: tf.cond(flag > 2, lambda: x * 3.0, lambda: x * 5.0)  # noqa: E731
        return tf.cond(flag > 0, inner, lambda: -x)

    check(function, f32(None, 2), i32())


def test_cond_hands_its_operands_on():
    check(lambda x, y, flag: tf.cond(flag > 0, lambda: (x, y), lambda: (y, x)), f32(2), f32(2), i32())


@pytest.mark.parametrize("branches", [1, 2, 4])
def test_switch_case(branches):
    def function(x, index):
        return tf.switch_case(index, [lambda k=k: x * float(k + 1) for k in range(branches)])

    for index in range(-1, branches + 1):
        check(lambda x, index=index: function(x, tf.constant(index)), f32(None, 3))
    check(function, f32(None, 3), i32())


def test_cond_with_a_list():
    def function(x, flag):
        array = tf.TensorArray(tf.float32, 2, element_shape=[3]).unstack(x)
        array = tf.cond(flag > 0, lambda: array.write(0, x[1]), lambda: array)
        return array.stack()

    check(function, f32(2, 3), i32())


# -- loops ---------------------------------------------------------------------------------------------------


def test_while():
    def function(x, n):
        return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 1.5 + 1.0), [0, x])

    check(function, f32(None, 3), i32())


def test_while_that_never_runs():
    assert (
        operations(
            lambda x: tf.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, y * 2.0), [0, x])[1], f32(3)
        )
        == []
    )


def test_while_that_runs_once_is_no_loop():
    def function(x):
        return tf.while_loop(lambda i, y: i < 1, lambda i, y: (i + 1, y * 2.0), [0, x])[1]

    assert operations(function, f32(3)) == ["Mul"]
    check(function, f32(3))


def test_while_with_growing_state():
    def function(x):
        invariants = [tf.TensorShape([]), tf.TensorShape([None, 3])]
        return tf.while_loop(
            lambda i, y: i < 4, lambda i, y: (i + 1, tf.concat([y, x], 0)), [0, x], invariants
        )[1]

    check(function, f32(None, 3))


def test_while_with_invariants_and_captures():
    def function(x, y):
        scale = tf.constant([1.0, 2.0, 3.0])
        return tf.while_loop(lambda i, z: i < 3, lambda i, z: (i + 1, z * scale + y), [0, x])[1]

    check(function, f32(None, 3), f32(None, 3))


def test_while_that_swaps_its_state():
    check(
        lambda x, y: tf.while_loop(lambda i, a, c: i < 3, lambda i, a, c: (i + 1, c, a), [0, x, y])[1:],
        f32(3),
        f32(3),
    )


def test_while_until_a_value():
    def function(x):
        return tf.while_loop(lambda y: tf.reduce_max(y) < 100.0, lambda y: [tf.abs(y) * 2.0 + 1.0], [x])

    check(function, f32(None, 3))


def test_nested_while():
    def inner(y):
        return tf.while_loop(lambda j, z: j < 3, lambda j, z: (j + 1, z * 0.5 + 1.0), [0, y])[1]

    check(
        lambda x: tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, inner(y)), [0, x])[1], f32(None, 2)
    )


def test_cond_in_while():
    def body(i, y):
        return i + 1, tf.cond(i % 2 == 0, lambda: y + 1.0, lambda: y * 2.0)

    check(lambda x: tf.while_loop(lambda i, y: i < 5, body, [0, x])[1], f32(None, 2))


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32"])
def test_while_over_element_types(dtype):
    def body(i, y):
        return i + 1, tf.logical_not(y) if dtype == "bool" else y + tf.cast(1, y.dtype)

    check(lambda x: tf.while_loop(lambda i, y: i < 3, body, [0, x])[1], spec(dtype, 4))


def test_while_that_hands_the_strides_of_a_slice_on():
    def function(x, strides=(1, 2)):
        def body(i, y, steps):
            return i + 1, y + tf.ensure_shape(tf.strided_slice(x, [0, 1], [2, 5], steps), [2, 2]), steps

        steps = tf.constant(strides)
        return tf.while_loop(lambda i, y, s: i < 3, body, [0, tf.zeros([2, 2]), steps])[1]

    check(function, f32(2, 5))


def test_zeros_like_the_state_of_an_outer_loop():
    def inner(i, y):
        zeros = tf.zeros_like(y)
        return tf.while_loop(
            lambda j, z: j < i, lambda j, z: (j + 1, z + tf.cast(i + j, y.dtype)), [0, zeros]
        )[1]

    check(
        lambda x: tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y + inner(i, y)), [0, x])[1],
        f32(None, 2),
    )


def test_vectorized_map_over_slices():
    check(lambda x: tf.vectorized_map(lambda i: x[:, i], tf.range(tf.shape(x)[1])), f32(None, None, 2))


# -- lists ---------------------------------------------------------------------------------------------------


def loop_over(x, step, element_shape=None):
    def body(i, array):
        return i + 1, array.write(i, step(source.read(i)))

    size = tf.shape(x)[0]
    source = tf.TensorArray(x.dtype, size).unstack(x)
    array = tf.TensorArray(x.dtype, size, element_shape=element_shape)
    return tf.while_loop(lambda i, _: i < size, body, [0, array])[1]


@pytest.mark.parametrize("lead", [4, None])
@pytest.mark.parametrize("declared", [None, [None], [3]])
def test_list_written_in_a_loop(lead, declared):
    check(lambda x: loop_over(x, lambda y: y * 2.0, declared).stack(), f32(lead, 3))


def test_list_with_a_batch_only_known_at_run_time():
    check(lambda x: loop_over(tf.transpose(x, [1, 0, 2]), tf.tanh).stack(), f32(None, 5, 3))


def test_list_operations_in_a_loop():
    def function(x):
        array = loop_over(x, tf.square)
        return array.concat(), array.gather([2, 0]), array.read(1), array.size()

    check(function, f32(4, 3))


def test_list_that_starts_empty_and_grows_to_a_computed_length():
    def function(x):
        array = tf.TensorArray(tf.float32, 0, dynamic_size=True)
        for i in tf.range(tf.shape(x)[1]):
            array = array.write(i, x[:, i] * tf.cast(i, tf.float32))
        return tf.transpose(array.stack(), [1, 0, 2]), array.size()

    check(tf.function(function), f32(None, None, 3), sizes=((2, 4), (3, 1), (1, 6)))


def test_list_outside_loops():
    def function(x):
        array = tf.TensorArray(tf.float32, 3, element_shape=[2])
        array = array.write(0, x[0]).write(2, x[1])
        return array.stack(), array.read(1), array.size()

    check(function, f32(2, 2))


def test_list_of_different_shapes():
    def function(x):
        array = tf.TensorArray(tf.float32, 2, infer_shape=False).write(0, x[:1]).write(1, x[1:])
        return array.concat()

    check(function, f32(4, 2))


def test_list_split_and_scatter():
    def function(x):
        split = tf.TensorArray(tf.float32, 3, infer_shape=False).split(x, [1, 2, 1])
        scattered = tf.TensorArray(tf.float32, 5, element_shape=[2]).scatter([3, 0, 1, 4], x)
        return split.read(1), scattered.stack()

    check(function, f32(4, 2))


def test_list_pushed_in_a_loop():
    from tensorflow.python.ops import list_ops

    def function(x):
        handle = list_ops.empty_tensor_list([None, 3], tf.float32)
        handle = tf.while_loop(
            lambda i, h: i < 3,
            lambda i, h: (i + 1, list_ops.tensor_list_push_back(h, x * tf.cast(i, tf.float32))),
            [0, handle],
        )[1]
        rest, last = list_ops.tensor_list_pop_back(handle, tf.float32)
        return list_ops.tensor_list_stack(handle, tf.float32), last, list_ops.tensor_list_length(rest)

    check(function, f32(2, 3))


def test_map_fn_and_scan():
    def function(x):
        return (
            tf.map_fn(lambda row: tf.reduce_sum(row) * row, x),
            tf.scan(lambda total, row: total + row, x),
            tf.foldl(lambda total, row: total * 0.5 + row, x),
        )

    check(function, f32(4, 3))
    check(function, f32(None, 3))


def test_map_fn_over_several():
    check(
        lambda x, y: tf.map_fn(lambda pair: pair[0] * pair[1], (x, y), fn_output_signature=tf.float32),
        f32(3, 2),
        f32(3, 2),
    )


def test_list_read_before_its_shape_is_known():
    def function(x):
        array = tf.TensorArray(tf.float32, 3, element_shape=None)
        return array.read(tf.cast(x[0], tf.int32))

    with pytest.raises(InferenceError, match="before its shape is known"):
        trace(function, f32(2))


# -- calls ---------------------------------------------------------------------------------------------------


def test_nested_calls_name_the_place():
    @tf.function
    def inner(x):
        return tf.strings.to_number(tf.strings.as_string(x))

    with pytest.raises(UnsupportedError, match="AsString") as caught:
        trace(lambda x: inner(x) + 1.0, f32(2))
    assert "StringToNumber" in str(caught.value)
    assert "2 operations cannot be converted" in str(caught.value)


def test_recursion_through_one_function():
    @tf.function
    def twice(x):
        return x * 2.0

    assert operations(lambda x: twice(twice(x)), f32(2)) == ["Mul", "Mul"]
    check(lambda x: twice(twice(x)), f32(2))


def test_list_whose_reader_states_the_shape():
    from tensorflow.python.ops import list_ops

    def function(x):
        handle = list_ops.tensor_list_reserve(None, 2, tf.float32)
        return list_ops.tensor_list_get_item(handle, 1, tf.float32, [3]) + x

    check(function, f32(3))
