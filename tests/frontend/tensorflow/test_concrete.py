"""TensorFlow functions and Keras models in memory, through their concrete functions, against TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from litecast.errors import ConvertError, UnsupportedError  # noqa: E402
from litecast.frontend.tensorflow.concrete import (  # noqa: E402
    SIGNATURE,
    is_function,
    trace_concrete,
    trace_model_object,
)
from litecast.ir.graph import Model  # noqa: E402
from litecast.tflite.runtime import evaluate  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4)).astype(np.float32)


def run(model: Model, *inputs: np.ndarray, times: int = 1) -> dict[str, np.ndarray]:
    """Optimise, write and run a model; return the results of the last call."""
    from litecast.passes import optimize
    from litecast.tflite.runtime import Runtime
    from litecast.tflite.writer import write

    optimize(model, run=evaluate)
    runtime = Runtime(write(model))
    for _ in range(times):
        results = runtime.run(list(inputs))
    return results


def same(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(np.abs(expected).max(), 1e-9))


KERNEL = tf.Variable(RNG.normal(size=(4, 5)).astype(np.float32), name="kernel")
OTHER = tf.Variable(RNG.normal(size=(4, 5)).astype(np.float32), name="kernel")
OFFSET = tf.constant(RNG.normal(size=5).astype(np.float32))


def _loop(x: Any) -> Any:
    total = tf.zeros_like(x)
    for index in tf.range(3):
        total += x * tf.cast(index, tf.float32)
    return tf.matmul(total, KERNEL)


def _several(x: Any) -> Any:
    """Results of operations with several outputs, inside a function."""

    @tf.function
    def inner(y: Any) -> Any:
        values, indices = tf.math.top_k(y, 2)
        return tf.cast(indices, tf.float32) + values

    return {"b": inner(x), "a": tf.nn.moments(x, [1])[1]}


FUNCTIONS: dict[str, Any] = {
    "variables": lambda x: tf.matmul(x, KERNEL) - tf.matmul(x, OTHER) + OFFSET,
    "loop": _loop,
    "several": _several,
    "condition": lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x @ KERNEL, lambda: x @ OTHER),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("batch", [1, 3])
def test_function(name: str, batch: int) -> None:
    function = tf.function(FUNCTIONS[name])
    inputs = X[:batch]
    results = run(trace_concrete(function, example_inputs=[X], run=evaluate), inputs)
    expected = function(inputs)
    named = expected if isinstance(expected, dict) else {"output_0": expected}
    assert list(results) == sorted(named)
    for key, value in named.items():
        same(results[key], value)


def test_input_signature_names_and_order() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="right"), tf.TensorSpec([2, 4])])
    def function(b: Any, a: Any) -> Any:
        return b[:2] - a

    model = trace_concrete(function, run=evaluate)
    assert model.signatures[SIGNATURE].inputs == ["right", "a"]
    same(run(model, X[:2], X[1:])["output_0"], X[:2] - X[1:])


def test_concrete_function_shapes_and_batch() -> None:
    concrete = tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([None, None], name="x"))
    assert is_function(concrete)
    model = trace_concrete(concrete, shapes={"x": [None, 4]}, batch=3, run=evaluate)
    assert model.signatures[SIGNATURE].graph.inputs[0].type.shape == (3, 4)
    with pytest.raises(ConvertError, match="a shape is given for 'y'"):
        trace_concrete(concrete, shapes={"y": [1, 4]})
    with pytest.raises(ConvertError, match="has its inputs already"):
        trace_concrete(concrete, example_inputs=[X])


def test_variables_that_are_written_keep_their_state() -> None:
    count = tf.Variable(np.float32(5), name="count")

    @tf.function(input_signature=[tf.TensorSpec([], name="x")])
    def function(x: Any) -> Any:
        count.assign_add(x)
        return count * 2

    model = trace_concrete(function, run=evaluate)
    same(run(model, np.float32(1), times=3)["output_0"], 16)
    assert count.numpy() == 5


def test_values_are_those_of_now() -> None:
    scale = tf.Variable(np.float32(2))
    function = tf.function(lambda x: x * scale, input_signature=[tf.TensorSpec([2], name="x")])
    scale.assign(7)
    same(run(trace_concrete(function, run=evaluate), np.ones(2, np.float32))["output_0"], [7, 7])


def test_missing_signature() -> None:
    with pytest.raises(ConvertError, match="give example_inputs= or input_signature="):
        trace_concrete(tf.function(lambda x: x + 1))


def test_tables_are_refused() -> None:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), -1)
    function = tf.function(table.lookup, input_signature=[tf.TensorSpec([None], tf.string)])
    with pytest.raises(UnsupportedError, match="is no variable"):
        trace_concrete(function)


def test_sparse_arguments_are_refused() -> None:
    function = tf.function(
        lambda x: tf.sparse.to_dense(x), input_signature=[tf.SparseTensorSpec([None, 3], tf.float32)]
    )
    with pytest.raises(UnsupportedError, match="sparse or ragged"):
        trace_concrete(function)


def test_other_objects_are_no_functions() -> None:
    assert is_function(tf.function(lambda x: x))
    for item in (len, X, tf.constant(1), tf.Variable(1.0)):
        assert not is_function(item)


# -- Keras models ------------------------------------------------------------------------------------------


@pytest.fixture(params=["keras", "tf_keras"])
def k(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def _subclassed(k: Any) -> Any:
    class Own(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense, self.norm = k.layers.Dense(5), k.layers.BatchNormalization()
            self.drop = k.layers.Dropout(0.5)

        def call(self, x: Any, training: bool | None = None) -> Any:
            y = self.norm(self.dense(x), training=training)
            return {"sum": tf.reduce_sum(y, -1), "all": self.drop(y, training=training)}

    return Own()


def _custom_layer(k: Any) -> Any:
    class Scale(k.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

        def call(self, x: Any) -> Any:
            return tf.math.atan(x) * self.scale

    a, b = k.Input((4,), name="first"), k.Input((4,), name="second")
    both = k.layers.Add()([Scale()(a), k.layers.Dense(4)(b)])
    return k.Model([a, b], [both, k.layers.Dense(2, name="head")(both)])


def test_subclassed_model(k: Any) -> None:
    model = _subclassed(k)
    expected = model(X)
    results = run(trace_model_object(model, run=evaluate), X)
    assert list(results) == ["all", "sum"]
    for name, value in expected.items():
        same(results[name], value)


def test_unbuilt_model(k: Any) -> None:
    with pytest.raises(ConvertError, match="model own was never called"):
        trace_model_object(_subclassed(k))
    for options in ({"example_inputs": [X]}, {"input_signature": [tf.TensorSpec([None, 4])]}):
        model = _subclassed(k)
        results = run(trace_model_object(model, run=evaluate, **options), X[:1])
        same(results["all"], model(X[:1])["all"])


def test_custom_layer(k: Any) -> None:
    model = _custom_layer(k)
    found = trace_model_object(model, run=evaluate)
    signature = found.signatures[SIGNATURE]
    assert signature.inputs == ["first", "second"]
    results = run(found, X, X + 1)
    for value, expected in zip(results.values(), model([X, X + 1]), strict=True):
        same(value, expected)


def test_lambda(k: Any) -> None:
    model = k.Sequential([k.Input((4,)), k.layers.Lambda(lambda x: tf.nn.softplus(x) * 3)])
    (result,) = run(trace_model_object(model, run=evaluate), X).values()
    same(result, model(X))
