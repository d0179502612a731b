"""SavedModels as TensorFlow 1 wrote them: a plain main graph, variables restored by a saver, no functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

from .saving import record

v1 = tf.compat.v1
Outputs = Mapping[str, tf.Tensor]


def _write(folder: Path, inputs: Mapping[str, tf.Tensor], outputs: Outputs, graph: tf.Graph) -> None:
    with v1.Session(graph=graph) as session:
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "saved_model"), inputs, outputs)


def plain_graph(folder: Path) -> None:
    """Convolutions with reference variables and fused batch norm under variable scopes, dynamic batch."""
    rng = np.random.default_rng(22)

    def variable(name: str, draw: Callable[..., np.ndarray], *arguments: object) -> tf.Variable:
        value = np.asarray(draw(*arguments), np.float32)
        return v1.get_variable(name, initializer=value, use_resource=False)

    with tf.Graph().as_default() as graph:
        image = v1.placeholder(tf.float32, (None, 16, 16, 3), "image_tensor")
        x = image
        for scope, stride, (inward, outward) in (("first", 1, (3, 8)), ("second", 2, (8, 12))):
            with v1.variable_scope(scope):
                kernel = variable("weights", rng.normal, 0, 0.3, (3, 3, inward, outward))
                x = tf.nn.conv2d(x, kernel, stride, "SAME")
                with v1.variable_scope("norm"):
                    scale = variable("gamma", rng.uniform, 0.5, 1.5, outward)
                    offset = variable("beta", rng.normal, 0, 0.3, outward)
                    mean = variable("moving_mean", rng.normal, 0, 0.3, outward)
                    variance = variable("moving_variance", rng.uniform, 0.5, 2.0, outward)
                x = v1.nn.fused_batch_norm(x, scale, offset, mean, variance, is_training=False)[0]
                x = tf.nn.relu6(x)
        x = v1.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
        x = tf.reshape(x, [-1, 4 * 4 * 12])
        kernel = variable("head/weights", rng.normal, 0, 0.1, (4 * 4 * 12, 5))
        logits = v1.nn.xw_plus_b(x, kernel, variable("head/biases", rng.normal, 0, 0.2, 5))
        outputs = {"scores": tf.nn.softmax(logits), "classes": tf.argmax(logits, 1)}
        _write(folder, {"image": image}, outputs, graph)
    steps = [
        (
            "serving_default",
            {"image": rng.normal(_tint(rng, batch), 1, (batch, 16, 16, 3)).astype(np.float32)},
        )
        for batch in (1, 6)
    ]
    record(folder, steps)


def _tint(rng: np.random.Generator, batch: int) -> np.ndarray:
    return rng.normal(0, 1.5, (batch, 1, 1, 3))


@contextmanager
def _control_flow_v1() -> Iterator[None]:
    """Write `Enter`, `Merge`, `Switch` and their kind, as TensorFlow 1 did."""
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if enabled:
            v1.enable_control_flow_v2()


def control_flow(folder: Path) -> None:
    """A `while_loop` with a `cond` inside and one after it, in the control flow of TensorFlow 1."""
    rng = np.random.default_rng(23)
    with tf.Graph().as_default() as graph, _control_flow_v1():
        x = v1.placeholder(tf.float32, (None, 6), "x")
        initial = rng.normal(0, 0.6, (6, 6)).astype(np.float32)
        kernel = v1.get_variable("kernel", initializer=initial, use_resource=True)

        def body(turn: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            early = turn < 3
            value = v1.cond(early, lambda: tf.tanh(tf.matmul(value, kernel)), lambda: value * 0.9 + 0.1)
            return turn + 1, value

        _, value = v1.while_loop(lambda turn, _: turn < 6, body, [tf.constant(0), x])
        positive = tf.reduce_sum(x) > 0
        chosen = v1.cond(positive, lambda: value[:, :2] * 2.0, lambda: tf.nn.relu(value[:, 2:4]) - 1.0)
        _write(folder, {"x": x}, {"value": value, "chosen": chosen}, graph)
    rows = [rng.normal(shift, 1, (batch, 6)).astype(np.float32) for batch, shift in ((1, 1), (4, 1), (3, -1))]
    record(folder, [("serving_default", {"x": row}) for row in rows])
