"""TensorArrays of TensorFlow 2, which are TensorLists, against TensorFlow."""

from __future__ import annotations

import pytest

tf = pytest.importorskip("tensorflow")

from tests.frontend.tensorflow.harness import check, f32  # noqa: E402


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
