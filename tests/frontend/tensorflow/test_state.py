"""Whole SavedModels with variables: reads fold, writes and names keep their order, signatures share state."""

from __future__ import annotations

import numpy as np
import pytest

import litecast
from litecast.errors import ConvertError, UnsupportedError

tf = pytest.importorskip("tensorflow")


def save(module, path, **signatures):
    tf.saved_model.save(module, str(path), signatures=signatures or None)
    return litecast.convert(path)


class Counter(tf.Module):
    """Counts, and adds the count to its input."""

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(2.0)
        self.scale = tf.Variable([1.0, 3.0])

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def step(self, x):
        before = self.count.read_value()
        self.count.assign_add(1.0)
        return {"before": x * self.scale + before, "after": x * self.scale + self.count}

    @tf.function(input_signature=[tf.TensorSpec([])])
    def set(self, to):
        self.count.assign(to)
        return {"value": self.count.read_value()}

    @tf.function(input_signature=[tf.TensorSpec([2])])
    def peek(self, x):
        return {"value": x * self.scale + self.count}


def test_signatures_share_state(tmp_path):
    module = Counter()
    converted = save(module, tmp_path / "m", step=module.step, set=module.set, peek=module.peek)
    x = np.float32([[1, 2]])
    for key, value in [
        ("step", x),
        ("step", x),
        ("peek", x[0]),
        ("set", np.float32(9)),
        ("step", x),
        ("peek", x[0]),
    ]:
        want = getattr(module, key)(tf.constant(value))
        found = converted(value, signature=key)
        assert set(found) == set(want)
        for name in want:
            np.testing.assert_allclose(found[name], want[name].numpy(), rtol=1e-6, err_msg=f"{key} {name}")


def test_only_written_variables_stay(tmp_path):
    module = Counter()
    converted = save(module, tmp_path / "m", step=module.step, peek=module.peek)
    model = litecast.load(converted.path)
    handles = {
        node.op.shared_name
        for graph in model.all_graphs()
        for node in graph.nodes
        if node.op.name == "VarHandle"
    }
    assert len(handles) == 1
    converted = litecast.convert(tmp_path / "m", signatures=["peek"])
    assert converted.report.ops == {"Mul": 1, "Add": 1}


def test_a_write_met_after_a_read_makes_the_read_one_of_the_resource(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.state = tf.Variable([0.0, 0.0])

        @tf.function(input_signature=[tf.TensorSpec([2])])
        def read(self, x):
            return x + self.state

        @tf.function(input_signature=[tf.TensorSpec([2])])
        def write(self, x):
            return self.state.assign(x)

    module = Module()
    converted = save(module, tmp_path / "m", a_read=module.read, b_write=module.write)
    x = np.float32([1, 2])
    np.testing.assert_array_equal(converted(x, signature="a_read")["output_0"], x)
    converted(x, signature="b_write")
    np.testing.assert_array_equal(converted(x, signature="a_read")["output_0"], 2 * x)


class Cache(tf.Module):
    """Writes its variable in every way that there is."""

    def __init__(self):
        super().__init__()
        self.rows = tf.Variable(tf.reshape(tf.range(12.0), [4, 3]))

    @tf.function(input_signature=[tf.TensorSpec([3]), tf.TensorSpec([], tf.int32)])
    def row(self, x, at):
        self.rows[at].assign(x)
        return self.rows.read_value()

    @tf.function(input_signature=[tf.TensorSpec([2, 2]), tf.TensorSpec([], tf.int32)])
    def block(self, x, at):
        self.rows[at : at + 2, 1:].assign(x)
        return self.rows.read_value()

    @tf.function(input_signature=[tf.TensorSpec([2, 3]), tf.TensorSpec([2], tf.int32)])
    def scatter(self, x, at):
        self.rows.scatter_nd_update(at[:, None], x)
        self.rows.scatter_update(tf.IndexedSlices(-x, at))
        self.rows.scatter_add(tf.IndexedSlices(x * 3.0, at))
        return self.rows.read_value(), tf.gather(self.rows, at), tf.gather_nd(self.rows, at[:, None])


@pytest.mark.parametrize("key", ["row", "block", "scatter"])
def test_partial_writes(tmp_path, key):
    module = Cache()
    converted = save(module, tmp_path / "m", main=getattr(module, key))
    rng = np.random.default_rng(0)
    shape = {"row": (3,), "block": (2, 2), "scatter": (2, 3)}[key]
    for step in range(3):
        x = rng.normal(size=shape).astype(np.float32)
        at = np.int32([step, 3]) if key == "scatter" else np.int32(min(step, 2))
        want = getattr(module, key)(tf.constant(x), tf.constant(at))
        found = converted(x=x, at=at)
        for index, tensor in enumerate(want if isinstance(want, tuple) else (want,)):
            np.testing.assert_allclose(found[f"output_{index}"], tensor.numpy(), rtol=1e-6)


def test_state_in_a_loop_and_a_branch(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.total = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([]), tf.TensorSpec([], tf.int32)])
        def run(self, x, n):
            for i in tf.range(n):
                if i % 2 == 0:
                    self.total.assign_add(x)
                else:
                    self.total.assign(self.total * 2.0)
            return self.total.read_value()

    module = Module()
    converted = save(module, tmp_path / "m", main=module.run)
    for n in (3, 0, 4):
        want = module.run(tf.constant(1.5), tf.constant(n)).numpy()
        np.testing.assert_allclose(converted(x=np.float32(1.5), n=np.int32(n))["output_0"], want)


def test_order_of_inputs_and_outputs(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2], name=name) for name in ("zeta", "alpha", "mid")])
        def run(self, zeta, alpha, mid):
            return [zeta * 1.0 + alpha, *(mid * float(k) for k in range(1, 11)), alpha * 2.0]

    module = Module()
    converted = save(module, tmp_path / "m", main=module.run)
    info = converted.signatures["main"]
    assert [item.name for item in info.inputs] == ["zeta", "alpha", "mid"]
    assert [item.name for item in info.outputs] == [f"output_{k}" for k in range(12)]
    want = module.run(*map(tf.constant, ([1.0, 2.0], [3.0, 4.0], [5.0, 6.0])))
    found = converted(np.float32([1, 2]), np.float32([3, 4]), np.float32([5, 6]))
    for name, tensor in zip(found, want, strict=True):
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_outputs_that_are_inputs_constants_or_the_same(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2])])
        def run(self, x):
            y = x * 2.0
            return x, y, y, tf.constant([1.0, 2.0])

    module = Module()
    converted = save(module, tmp_path / "m", main=module.run)
    for rows in (1, 3):
        x = np.random.default_rng(rows).normal(size=(rows, 2)).astype(np.float32)
        for name, tensor in zip(("output_0", "output_1", "output_2", "output_3"), module.run(x), strict=True):
            np.testing.assert_array_equal(converted(x)[name], tensor.numpy(), err_msg=name)


def test_batch_and_shape(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, 2])])
        def run(self, x, y):
            return tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1] * 3]), tf.concat([y, y], 0)

    module = Module()
    save(module, tmp_path / "m", main=module.run)
    fixed = litecast.convert(tmp_path / "m", shapes={"x": [None, 5, 3]}, batch=4)
    assert [item.shape for item in fixed.signatures["main"].inputs] == [(4, 5, 3), (4, 2)]
    assert set(fixed.report.ops) == {"Reshape", "Concatenation"}
    assert fixed.report.ops["Reshape"] == 1
    with pytest.raises(ConvertError, match="does not fit"):
        litecast.convert(tmp_path / "m", shapes={"x": [1, 2, 4]})


def test_unknown_rank_needs_a_shape(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(None)])
        def run(self, x):
            return x + 1.0

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"main": module.run})
    with pytest.raises(ConvertError, match=r"no known rank.*--shape x="):
        litecast.convert(tmp_path / "m")
    converted = litecast.convert(tmp_path / "m", shapes={"x": [None, 2]})
    np.testing.assert_array_equal(converted(np.zeros((3, 2), np.float32))["output_0"], np.ones((3, 2)))


def test_unsupported_operations_are_listed_at_once(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2], tf.string)])
        def run(self, x):
            return tf.strings.length(tf.strings.upper(x)), tf.strings.to_number(x), tf.strings.length(x)

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"main": module.run})
    with pytest.raises(UnsupportedError) as caught:
        litecast.convert(tmp_path / "m")
    assert [item.op for item in caught.value.items].count("StringLength") == 2
    assert {item.op for item in caught.value.items} == {"StringLength", "StringUpper", "StringToNumber"}
    assert "StringLength (2 times)" in str(caught.value)


def test_training_is_not_traced(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(tf.ones([3, 1]))

        @tf.function(input_signature=[tf.TensorSpec([None, 3])])
        def run(self, x):
            tf.debugging.assert_less(x, 100.0)
            tf.print("not in the model", x)
            return x @ self.w

    module = Module()
    converted = save(module, tmp_path / "m", main=module.run)
    assert converted.report.ops == {"FullyConnected": 1}
    (note,) = converted.report.notes
    assert "Assert 1" in note
    assert "PrintV2 1" in note


def test_a_variable_whose_shape_changes_is_refused(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.state = tf.Variable(tf.zeros([1, 2]), shape=[None, 2])

        @tf.function(input_signature=[tf.TensorSpec([1, 2])])
        def grow(self, x):
            self.state.assign(tf.concat([self.state, x], 0))
            return tf.reduce_sum(self.state)

        @tf.function(input_signature=[tf.TensorSpec([1, 2])])
        def keep(self, x):
            self.state.assign(x * 2.0)
            return self.state.read_value()

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"grow": module.grow, "keep": module.keep})
    with pytest.raises(UnsupportedError, match="has an open shape, or changes its own"):
        litecast.convert(tmp_path / "m")
    found = litecast.convert(tmp_path / "m", signatures=["keep"])(np.float32([[1, 2]]))
    np.testing.assert_array_equal(found["output_0"], [[2, 4]])


def test_functions_of_a_model_without_signatures(tmp_path):
    class Part(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable([[1.0], [2.0]])
            self.offset = tf.constant([0.5])

        @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([1])])
        def apply(self, zeta, alpha):
            return {"sum": zeta @ self.w + self.offset, "other": alpha * 2.0}

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.part = Part()
            self.count = tf.Variable(0.0)

        @tf.function
        def step(self, x, double=False):
            self.count.assign_add(tf.reduce_sum(x) * (2.0 if double else 1.0))
            return self.count.read_value()

    module = Module()
    module.step(tf.ones([2]))
    module.step(tf.ones([2]), double=True)
    module.count.assign(3.0)
    tf.saved_model.save(module, str(tmp_path / "m"))
    converted = litecast.convert(tmp_path / "m")
    assert set(converted.signatures) == {"step", "step_2"}
    assert "its functions are converted" in converted.report.notes[0]
    assert "1 function can be named too" in converted.report.notes[0]
    only = litecast.convert(tmp_path / "m", signatures=["part/apply"])
    assert [item.name for item in only.signatures["part/apply"].inputs] == ["zeta", "alpha"]
    assert "ReadVariable" not in only.report.ops
    x = np.float32([[1, 2], [3, 4]])
    found = only(x, np.float32([5]))
    np.testing.assert_array_equal(found["sum"], [[5.5], [11.5]])
    np.testing.assert_array_equal(found["other"], [10])
    steps = [
        float(converted(x=np.float32([1, 1]), signature=key)["output_0"])
        for key in ("step", "step_2", "step")
    ]
    assert sorted(steps) == steps
    assert steps[0] in (5.0, 7.0)
    with pytest.raises(ConvertError, match=r"the model has: step, step_2; .* among them part/apply"):
        litecast.convert(tmp_path / "m", signatures=["part/aply"])


def test_keras_layers_below_a_module_are_restored(tmp_path):
    """They are saved as copies, which the graph's own restore fills instead of the originals."""
    keras = pytest.importorskip("keras")

    class Wrapped(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
            self.cell = keras.layers.GRUCell(2)
            self.cell.build((1, 2))
            self.state = tf.Variable(tf.ones([1, 2]), trainable=False)

        @tf.function(input_signature=[tf.TensorSpec([1, 3])])
        def step(self, x):
            result, _ = self.cell(self.model(x), [self.state])
            self.state.assign(result)
            return {"y": result}

        @tf.function(input_signature=[tf.TensorSpec([None, 3])])
        def plain(self, x):
            return {"z": self.model(x)}

    module = Wrapped()
    converted = save(module, tmp_path / "m", step=module.step, plain=module.plain)
    x = np.float32([[1, -2, 3]])
    for key in ("step", "plain", "step"):
        ((name, want),) = getattr(module, key)(tf.constant(x)).items()
        np.testing.assert_allclose(converted(x, signature=key)[name], want, rtol=1e-5, atol=1e-6)


def test_float64_arithmetic_is_noted(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.int32)])
        def run(self, x):
            return tf.cast(x / 3, tf.float32)

        @tf.function(input_signature=[tf.TensorSpec([None, 2])])
        def cast(self, x):
            return tf.cast(tf.cast(x, tf.float64), tf.float32)

    module = Module()
    converted = save(module, tmp_path / "m", run=module.run)
    assert any("float64" in note for note in converted.report.notes)
    np.testing.assert_allclose(converted(np.int32([[1, 5]]))["output_0"], [[1 / 3, 5 / 3]], rtol=1e-6)
    assert converted.report.ops == {"Cast": 1, "Div": 1}
    assert not save(module, tmp_path / "n", cast=module.cast).report.notes
