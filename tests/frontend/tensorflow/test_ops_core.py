"""Identities, conditions and calls, and rows for importers of old operations, against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import litecast
from litecast.errors import UnsupportedError

tf = pytest.importorskip("tensorflow")

from tests.frontend.tensorflow.harness import check, f32, i32, operations, spec  # noqa: E402

raw = tf.raw_ops


@pytest.mark.parametrize(
    "function",
    [
        lambda x: raw.Identity(input=x),
        lambda x: raw.Snapshot(input=x),
        lambda x: raw.PreventGradient(input=x, message="none"),
        lambda x: raw.CheckNumerics(tensor=x, message="finite"),
        lambda x: raw.CheckNumericsV2(tensor=x, message="finite"),
        lambda x: raw.DebugIdentity(input=x, device_name="", tensor_name="x", debug_urls=[]),
        lambda x: tf.compat.v1.Print(x, [tf.strings.as_string(x)], "seen"),
        lambda x: tf.stop_gradient(x),
        lambda x: tf.identity_n([x, x * 2.0])[0],
        lambda x: tf.ensure_shape(x, [None, 3]),
    ],
)
def test_identities(function):
    assert operations(lambda x: function(x) * 2.0, f32(None, 3)) == ["Mul"]
    check(lambda x: function(x) * 2.0, f32(None, 3))


def test_control_edges():
    def function(x):
        with tf.control_dependencies([raw.ControlTrigger(), raw.NoOp(), tf.debugging.assert_less(x, 99.0)]):
            return x * 2.0

    check(function, f32(3), ops=["Mul"])


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (None,)])
def test_to_bool(dtype, shape):
    check(lambda x: raw.ToBool(input=x), spec(dtype, *shape))


def test_rank():
    check(lambda x: raw.Rank(input=x) + 0, f32(None, 3, 1))


@pytest.mark.parametrize("adjoints", [(False, False), (True, False), (False, True), (True, True)])
def test_batch_matmul_of_the_first_version(adjoints):
    adj_x, adj_y = adjoints
    check(lambda x, y: raw.BatchMatMul(x=x, y=y, adj_x=adj_x, adj_y=adj_y), f32(None, 3, 3), f32(None, 3, 3))


def test_old_operations():
    check(lambda x, y: raw.BiasAddV1(value=x, bias=y), f32(None, 2, 3), f32(3))


@pytest.mark.parametrize("stateful", [False, True])
def test_case(tmp_path, stateful):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.state = tf.Variable(1.0)

        def add(self, x):
            if stateful:
                self.state.assign_add(1.0)
            return x + self.state

        @tf.function(input_signature=[tf.TensorSpec([3]), tf.TensorSpec([], tf.int32)])
        def run(self, x, index):
            return tf.switch_case(index, [lambda: self.add(x), lambda: x * 2.0, lambda: -x])

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"run": module.run})
    converted = litecast.convert(tmp_path / "m")
    x = np.float32([1, -2, 3])
    for index in (0, 1, 0, 2, 7, -1, 0):
        want = module.run(tf.constant(x), tf.constant(index)).numpy()
        np.testing.assert_array_equal(converted(x, np.int32(index))["output_0"], want)


def test_a_placeholder_that_nothing_feeds(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [2], "x")
        rate = tf.compat.v1.placeholder(tf.float32, [], "rate")
        kept = tf.compat.v1.placeholder_with_default(2.0, [], "kept")
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "bad"), {"x": x}, {"y": x * rate})
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "good"), {"x": x}, {"y": x * kept})
    with pytest.raises(UnsupportedError, match="rate feeds the outputs but is not an input"):
        litecast.convert(tmp_path / "bad")
    found = litecast.convert(tmp_path / "good")(np.float32([1, 3]))
    np.testing.assert_array_equal(found["y"], [2, 6])


def test_variables_of_the_first_version(tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [2], "x")
        state = v1.get_variable("state", initializer=[10.0, 20.0], use_resource=False)
        legacy = raw.Variable(shape=[2], dtype=tf.float32, shared_name="legacy")
        saver = v1.train.Saver({"state": state})
        with tf.control_dependencies([v1.assign_sub(state, x)]):
            y = state.read_value() * 1.0
        known = v1.is_variable_initialized(state)
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": x}, {"known": known, "y": y})
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, saver=saver)
        builder.save()
        assert legacy.dtype.base_dtype is tf.float32
    converted = litecast.convert(tmp_path / "m")
    for turn in (1, 2):
        found = converted(np.float32([1, 2]))
        np.testing.assert_array_equal(found["y"], [10 - turn, 20 - 2 * turn])
        assert found["known"]


def test_what_a_variable_says_of_itself(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(tf.ones([2, 3]))

        @tf.function(input_signature=[tf.TensorSpec([])])
        def run(self, x):
            handle = self.w.handle
            return (
                raw.VarIsInitializedOp(resource=handle),
                raw.VariableShape(input=handle),
                raw.VariableShape(input=handle, out_type=tf.int64),
                x,
            )

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"run": module.run})
    found = litecast.convert(tmp_path / "m")(np.float32(1))
    assert found["output_0"]
    assert found["output_1"].tolist() == found["output_2"].tolist() == [2, 3]
    assert (found["output_1"].dtype, found["output_2"].dtype) == (np.int32, np.int64)


@pytest.mark.parametrize("kind", ["Update", "Add", "Sub", "Max", "Min"])
def test_scatters_into_variables(tmp_path, kind):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.rows = tf.Variable(tf.reshape(tf.range(12.0), [4, 3]))
            self.cells = tf.Variable(tf.reshape(tf.range(12.0), [4, 3]))

        @tf.function(input_signature=[tf.TensorSpec([2, 3]), tf.TensorSpec([2], tf.int32)])
        def run(self, x, at):
            getattr(raw, f"ResourceScatter{kind}")(resource=self.rows.handle, indices=at, updates=x)
            where = tf.stack([at, at % 3], 1)
            getattr(raw, f"ResourceScatterNd{kind}")(ref=self.cells.handle, indices=where, updates=x[:, 0])
            return self.rows.read_value(), self.cells.read_value()

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"run": module.run})
    converted = litecast.convert(tmp_path / "m")
    for turn in range(2):
        x = np.random.default_rng(turn).normal(5, 5, (2, 3)).astype(np.float32)
        at = np.int32([turn, 3])
        want = module.run(tf.constant(x), tf.constant(at))
        found = converted(x, at)
        for index, tensor in enumerate(want):
            np.testing.assert_allclose(found[f"output_{index}"], tensor.numpy(), rtol=1e-6)


def test_if_on_numbers():
    check(lambda x, n: tf.cond(tf.cast(n, tf.bool), lambda: x, lambda: -x), f32(3), i32())


def test_scatters_that_ignore_bad_indices_are_refused(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.rows = tf.Variable(tf.zeros([4]))

        @tf.function(input_signature=[tf.TensorSpec([1]), tf.TensorSpec([1, 1], tf.int32)])
        def run(self, x, at):
            raw.ResourceScatterNdUpdate(
                ref=self.rows.handle, indices=at, updates=x, bad_indices_policy="IGNORE"
            )
            return self.rows.read_value()

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"run": module.run})
    with pytest.raises(UnsupportedError, match="bad_indices_policy IGNORE"):
        litecast.convert(tmp_path / "m")
