"""Control flow as users write it: loops, branches and TensorArrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from .saving import save


class LoopAndBranch(tf.Module):
    """Repeat a matrix product while a norm is small, with a branch inside the loop and one after it."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(18)
        self.kernel = tf.Variable(rng.normal(0, 0.6, (4, 4)), dtype=tf.float32)
        self.other = tf.Variable(rng.normal(0, 0.6, (4, 3)), dtype=tf.float32)

    @tf.function(
        input_signature=[tf.TensorSpec((None, 4), tf.float32, "x"), tf.TensorSpec((), tf.int32, "most")]
    )
    def run(self, x: tf.Tensor, most: tf.Tensor) -> dict[str, tf.Tensor]:
        """The last value, how many turns it took, and the branch's result."""

        def goes_on(turn: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
            return (turn < most) & (tf.reduce_sum(value * value) < 50.0)

        def body(turn: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            odd = tf.equal(turn % 2, 1)
            value = tf.cond(odd, lambda: tf.tanh(value @ self.kernel), lambda: value @ self.kernel * 1.5)
            return turn + 1, value

        turns, value = tf.while_loop(goes_on, body, [tf.constant(0), x])
        total = tf.reduce_sum(value)
        branch = tf.cond(total > 0, lambda: value @ self.other, lambda: -tf.nn.relu(value[:, :3]) + total)
        return {"value": value, "turns": turns, "branch": branch}


def loop_and_branch(folder: Path) -> None:
    """Inputs that take each branch and end the loop for either reason."""
    rng, module = np.random.default_rng(19), LoopAndBranch()
    steps = []
    for batch, most, scale in ((1, 5, 1.0), (3, 40, 0.2), (3, 2, -0.7), (1, 0, 0.5), (2, 7, 6.0)):
        x = np.abs(rng.normal(0, 1, (batch, 4))).astype(np.float32) * np.float32(scale)
        steps.append(("serving_default", {"x": x, "most": np.array(most, np.int32)}))
    save(module, folder, {"serving_default": module.run}, steps)


class Arrays(tf.Module):
    """A recurrence over TensorArrays: unstacked input, written results, a second array read backwards."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(20)
        self.kernel = tf.Variable(rng.normal(0, 0.5, (5, 5)), dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, 9, 5), tf.float32, "sequence")])
    def scan(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """Every state in time order, the states' sums from last to first, and three gathered states."""
        length = sequence.shape[1]
        inputs = tf.TensorArray(tf.float32, size=length).unstack(tf.transpose(sequence, [1, 0, 2]))
        states = tf.TensorArray(tf.float32, size=length, element_shape=(None, 5))
        state = tf.zeros_like(sequence[:, 0])
        for step in tf.range(length):
            state = tf.tanh(inputs.read(step) + state @ self.kernel)
            states = states.write(step, state)
        sums = tf.TensorArray(tf.float32, size=length, element_shape=(None,))
        for step in tf.range(length):
            sums = sums.write(step, tf.reduce_sum(states.read(length - 1 - step), 1))
        return {
            "states": tf.transpose(states.stack(), [1, 0, 2]),
            "sums": tf.transpose(sums.stack()),
            "some": tf.transpose(states.gather([0, 4, 8]), [1, 0, 2]),
        }


def tensor_array(folder: Path) -> None:
    """Two batch sizes."""
    rng, module = np.random.default_rng(21), Arrays()
    steps = [
        ("serving_default", {"sequence": rng.normal(0, 1, (batch, 9, 5)).astype(np.float32)})
        for batch in (1, 4)
    ]
    save(module, folder, {"serving_default": module.scan}, steps)
