"""TensorFlow 1 control flow against TensorFlow: graphs with control flow v1, saved by a session."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import UnsupportedError
from litecast.frontend.tensorflow.functionalize import outermost
from litecast.frontend.tensorflow.proto import GraphDef
from litecast.frontend.tensorflow.tracer import Frame

tf = pytest.importorskip("tensorflow")
from tensorflow.core.protobuf import saved_model_pb2  # noqa: E402

v1 = tf.compat.v1

Build = Callable[..., Any]


@contextmanager
def control_flow_v1() -> Iterator[None]:
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if enabled:
            v1.enable_control_flow_v2()


def save(folder: Path, build: Build, specs: Sequence[tuple[Any, Any]], steps: Sequence[Any]) -> list[Any]:
    """Save the graph of `build` and return what TensorFlow computes for each step's inputs."""
    with tf.Graph().as_default() as graph, control_flow_v1():
        inputs = [v1.placeholder(dtype, shape, f"x{index}") for index, (dtype, shape) in enumerate(specs)]
        outputs = tf.nest.flatten(build(*inputs))
        with v1.Session(graph=graph) as session:
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(
                session,
                str(folder),
                {f"x{index}": tensor for index, tensor in enumerate(inputs)},
                {f"y{index}": tensor for index, tensor in enumerate(outputs)},
            )
            return [session.run(outputs, dict(zip(inputs, step, strict=True))) for step in steps]


def check(folder: Path, build: Build, specs: Sequence[tuple[Any, Any]], steps: Sequence[Any]) -> Any:
    """Convert the graph and compare every step; return the converted model."""
    expected = save(folder / "model", build, specs, steps)
    converted = litecast.convert(folder / "model")
    for step, wanted in zip(steps, expected, strict=True):
        actual = converted(**{f"x{index}": np.asarray(array) for index, array in enumerate(step)})
        for position, want in enumerate(wanted):
            got = actual[f"y{position}"]
            assert got.dtype == want.dtype, position
            assert got.shape == want.shape, position
            if want.dtype.kind in "biu":
                np.testing.assert_array_equal(got, want, err_msg=f"output {position}")
            else:
                assert np.abs(got - want).max(initial=0) <= 1e-5 * max(np.abs(want).max(initial=0), 1e-30), (
                    position
                )
    return converted


def floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


F, I, B = tf.float32, tf.int32, tf.bool  # noqa: E741

# -- loops -----------------------------------------------------------------------------------------------


def counted(x, n):
    return v1.while_loop(lambda i, _: i < n, lambda i, y: (i + 1, y * 0.5 + x), [0, x])[1]


def nested_loops(x):
    def outer(i, y):
        _, z = v1.while_loop(lambda j, _: j <= i, lambda j, z: (j + 1, z * 0.9 + x), [0, y])
        return i + 1, tf.tanh(z)

    return v1.while_loop(lambda i, _: i < 3, outer, [0, x])


def three_deep(x):
    def loop(depth, y):
        if not depth:
            return y * 0.5 + x
        return v1.while_loop(lambda i, _: i < 2, lambda i, z: (i + 1, loop(depth - 1, z)), [0, y])[1]

    return loop(3, x)


def growing(x):
    shapes = [tf.TensorShape([]), tf.TensorShape([None, 3])]
    return v1.while_loop(
        lambda i, _: i < 3,
        lambda i, y: (i + 1, tf.concat([y, y[:1] + 1.0], 0)),
        [0, x],
        shape_invariants=shapes,
    )


def two_loops(x):
    first = v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y + 1.0), [0, x])
    second = v1.while_loop(lambda i, _: i < first[0], lambda i, y: (i + 1, y * first[1]), [0, x])
    return first, second


def idle_loop(x):
    return v1.while_loop(lambda y: tf.reduce_sum(y) > 1e9, lambda y: y * 2.0, [x])


def once(x):
    return v1.while_loop(lambda i, _: i < 1, lambda i, y: (i + 1, y * 2.0), [0, x])


def reference_variable(x):
    kernel = v1.get_variable("w", initializer=floats(3, 3), use_resource=False)
    return v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.matmul(y, kernel)), [0, x])[1]


def bounded(x):
    return v1.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: y + 1.0, [x], maximum_iterations=4)


def constants_from_outside(x):
    """Operands that the kernels take as options come into the loop through a constant Enter."""
    axis, order, shape = tf.constant([0]), tf.constant([1, 0]), tf.constant([-1, 3])

    def body(turn, y):
        y = tf.transpose(tf.transpose(y, order) * 0.5, order)
        return turn + 1, tf.reshape(y - tf.reduce_mean(y, axis), shape)

    return v1.while_loop(lambda turn, _: turn < 3, body, [0, x])


def swapped(x, y):
    return v1.while_loop(lambda i, a, b: i < 3, lambda i, a, b: (i + 1, b, a + 1.0), [0, x, y])


X = [(F, (None, 3))]
ROWS = [[floats(2, 3)], [floats(5, 3, seed=1)]]
LOOPS = {
    "counted": (counted, [*X, (I, ())], [[floats(2, 3), np.int32(4)], [floats(3, 3), np.int32(0)]]),
    "nested": (nested_loops, X, ROWS),
    "three_deep": (three_deep, X, ROWS),
    "growing": (growing, X, ROWS),
    "two_loops": (two_loops, X, ROWS),
    "idle": (idle_loop, X, ROWS),
    "once": (once, X, ROWS),
    "reference_variable": (reference_variable, X, ROWS),
    "bounded": (bounded, X, ROWS),
    "constants_from_outside": (constants_from_outside, X, ROWS),
    "swapped": (swapped, [*X, *X], [[floats(2, 3), floats(2, 3, seed=3)]]),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops(name, tmp_path):
    check(tmp_path, *LOOPS[name])


# -- decisions -------------------------------------------------------------------------------------------


def either(p, x):
    return v1.cond(p, lambda: x * 2.0, lambda: tf.nn.relu(x) - 1.0)


def several_results(p, x):
    return v1.cond(
        p, lambda: (x, tf.reduce_sum(x), tf.constant(7)), lambda: (-x, tf.constant(0.5), tf.constant(9))
    )


def nested_conds(p, x):
    def inner():
        return v1.cond(
            tf.reduce_sum(x) > 0.0, lambda: x + 1.0, lambda: v1.cond(p, lambda: x * 3.0, lambda: x)
        )

    return v1.cond(p, inner, lambda: -x)


def same_predicate_twice(p, x):
    first = v1.cond(p, lambda: x * 2.0, lambda: x - 1.0)
    second = v1.cond(p, lambda: first + 1.0, lambda: first * x)
    third = v1.cond(p, lambda: x, lambda: x * 5.0)
    return first, second, third


def other_shapes(p, x):
    return v1.cond(p, lambda: x[:1], lambda: tf.concat([x, x], 0))


def constants(p, x):
    return v1.cond(p, lambda: tf.constant(2.0), lambda: tf.constant(3.0)) * x


def decided(p, x):
    training = v1.placeholder_with_default(False, ())
    return v1.cond(training, lambda: v1.py_func(np.cos, [x], F), lambda: x + 1.0), x


def gradient(p, x):
    one_side = tf.exp(x)
    y = v1.cond(p, lambda: tf.square(x), lambda: -one_side)
    return y, tf.gradients(y, [x, one_side])


def cond_in_loop(p, x):
    def body(i, y):
        return i + 1, v1.cond(
            tf.equal(i % 2, 0), lambda: y * 2.0, lambda: v1.cond(p, lambda: y - x, lambda: y + x)
        )

    return v1.while_loop(lambda i, _: i < 5, body, [0, x])


def loop_in_cond(p, x):
    def yes():
        return v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * 0.5 + x), [0, x])[1]

    return v1.cond(p, yes, lambda: x)


def cond_in_condition(p, x):
    return v1.while_loop(
        lambda i, _: v1.cond(p, lambda: i < 2, lambda: i < 4), lambda i, y: (i + 1, y + 1.0), [0, x]
    )


def reference_branch(p, x):
    bias = v1.get_variable("b", initializer=floats(3), use_resource=False)
    other = v1.get_variable("c", initializer=floats(3, seed=2), use_resource=False)
    return v1.cond(p, lambda: bias, lambda: other), v1.cond(p, lambda: x + bias, lambda: x)


def switch_and_merge(p, x):
    from tensorflow.python.ops import control_flow_ops as ops

    no, yes = ops.switch(x, p)
    merged, index = ops.merge([yes * 2.0, no - 1.0])
    return merged, index


def constant_predicate(p, x):
    from tensorflow.python.ops import control_flow_ops as ops

    no, yes = ops.switch(x, tf.constant(True))
    return ops.merge([no, yes + 1.0])


def ordered(p, x):
    with tf.control_dependencies([tf.identity(x)]):
        return v1.cond(p, lambda: x + 1.0, lambda: x)


def asserted(p, x):
    def yes():
        with tf.control_dependencies([v1.assert_greater(tf.shape(x)[0], 0)]):
            return x * 2.0

    return v1.cond(p, yes, lambda: x)


PX = [(B, ()), (F, (None, 3))]
BOTH = [
    [np.bool_(p), floats(rows, 3, seed=rows)] for p, rows in ((True, 2), (False, 2), (True, 4), (False, 4))
]
DECISIONS = [
    either, several_results, nested_conds, same_predicate_twice, other_shapes, constants, decided, gradient,
    cond_in_loop, loop_in_cond, cond_in_condition, reference_branch, switch_and_merge, constant_predicate,
    ordered, asserted,
]  # fmt: skip


@pytest.mark.parametrize("build", DECISIONS, ids=lambda build: build.__name__)
def test_decisions(build, tmp_path):
    check(tmp_path, build, PX, BOTH)


def by_case(n, x):
    pairs = [(tf.equal(n, 0), lambda: x), (tf.equal(n, 1), lambda: x * 2.0)]
    return v1.case(pairs, default=lambda: x - 1.0), tf.switch_case(
        n, {0: lambda: x + 1.0, 1: lambda: x * x, 2: lambda: -x}, default=lambda: x * 0.0
    )


def test_case(tmp_path):
    check(
        tmp_path, by_case, [(I, ()), (F, (None, 3))], [[np.int32(n), floats(2, 3)] for n in (-1, 0, 1, 2, 7)]
    )


# -- TensorArrays ----------------------------------------------------------------------------------------


def array_of(size, **options):
    return tf.TensorArray(F, size, clear_after_read=False, **options)


def collected(x):
    steps = tf.shape(x)[0]
    array = array_of(steps, element_shape=(3,))
    _, array = v1.while_loop(lambda i, _: i < steps, lambda i, a: (i + 1, a.write(i, x[i] * 2.0)), [0, array])
    return array.stack(), array.size(), array.read(1)


def scanned(x):
    steps = 4
    source = array_of(steps).unstack(x)
    target = array_of(steps, element_shape=(3,))

    def body(i, state, target):
        state = tf.tanh(state + source.read(i))
        return i + 1, state, target.write(i, state)

    _, state, target = v1.while_loop(lambda i, *_: i < steps, body, [0, tf.zeros(3), target])
    return state, target.stack(), target.gather([2, 0]), target.size()


def scanned_open(x):
    steps = tf.shape(x)[0]
    source = array_of(steps).unstack(x)
    target = array_of(steps)

    def body(i, state, target):
        state = tf.tanh(state + source.read(i))
        return i + 1, state, target.write(i, state)

    _, state, target = v1.while_loop(lambda i, *_: i < steps, body, [0, tf.zeros(3), target])
    return state, target.stack()


def extended(x):
    array = array_of(0, dynamic_size=True, element_shape=(3,))
    array = array.write(1, x[0])
    _, array = v1.while_loop(lambda i, _: i < 5, lambda i, a: (i + 2, a.write(i, x[1])), [2, array])
    return array.stack(), array.size()


def extended_from_nothing(x):
    array = array_of(0, dynamic_size=True, element_shape=(3,))
    _, array = v1.while_loop(lambda i, _: i < 4, lambda i, a: (i + 1, a.write(i, x[i])), [0, array])
    return array.stack()


def unrolled(x):
    array = array_of(3, element_shape=(None, 3), infer_shape=False)
    for index in range(3):
        array = array.write(index, x[: index + 1])
    return array.concat(), array.read(2)


def divided(x):
    array = array_of(3, infer_shape=False).split(x, [1, 0, 3])
    return array.read(0), array.read(2), array.concat()


def scattered(x):
    array = array_of(6, element_shape=(3,)).scatter([4, 0, 2, 1], x)
    return array.gather([0, 1, 2, 4]), array.read(4)


def written_in_cond(x):
    array = array_of(2, element_shape=(3,)).write(0, x[0])
    flow = v1.cond(
        tf.reduce_sum(x) > 0.0, lambda: array.write(1, x[1]).flow, lambda: array.write(1, -x[1]).flow
    )
    from tensorflow.python.ops import tensor_array_ops

    return tensor_array_ops.build_ta_with_new_flow(array, flow).stack()


def written_in_cond_in_loop(x):
    """An element shape that nobody states, and that only one side of the decision shows."""
    from tensorflow.python.ops import tensor_array_ops

    def body(turn, array):
        even = tf.equal(turn % 2, 0)
        flow = v1.cond(even, lambda: array.write(turn, x[turn]).flow, lambda: tf.identity(array.flow))
        return turn + 1, tensor_array_ops.build_ta_with_new_flow(array, flow)

    steps = tf.shape(x)[0]
    start = [array_of(steps), array_of(4)]
    arrays = [v1.while_loop(lambda turn, _: turn < steps, body, [0, array])[1] for array in start]
    return [array.read(0) for array in arrays]


def mapped(x):
    return v1.map_fn(lambda row: row * tf.reduce_sum(row), x), v1.scan(lambda total, row: total + row, x)


class Cell:
    """A recurrent cell, as tf.compat.v1.nn.dynamic_rnn takes it."""

    output_size, state_size = 4, 4

    def __init__(self):
        self.kernel = v1.get_variable("kernel", initializer=floats(7, 4, seed=5), use_resource=False)

    def zero_state(self, batch, dtype):
        return tf.zeros([batch, 4], dtype)

    def __call__(self, x, state, scope=None):
        state = tf.tanh(tf.matmul(tf.concat([x, state], 1), self.kernel))
        return state, state


def dynamic_rnn(x):
    return v1.nn.dynamic_rnn(Cell(), x, dtype=F)


def masked_rnn(x, lengths):
    return v1.nn.dynamic_rnn(Cell(), x, lengths, dtype=F)


FOUR = [(F, (4, 3))]
OPEN_ROWS = [[floats(4, 3)], [floats(2, 3)]]
SEQUENCE = [[floats(2, 5, 3)], [floats(3, 5, 3)]]
ARRAYS = {
    "collected": (collected, X, OPEN_ROWS),
    "scanned": (scanned, FOUR, OPEN_ROWS[:1]),
    "scanned_open": (scanned_open, X, OPEN_ROWS),
    "extended": (extended, FOUR, OPEN_ROWS[:1]),
    "extended_from_nothing": (extended_from_nothing, FOUR, OPEN_ROWS[:1]),
    "unrolled": (unrolled, FOUR, OPEN_ROWS[:1]),
    "divided": (divided, FOUR, OPEN_ROWS[:1]),
    "scattered": (scattered, FOUR, OPEN_ROWS[:1]),
    "written_in_cond": (written_in_cond, FOUR, [[floats(4, 3)], [np.abs(floats(4, 3))]]),
    "written_in_cond_in_loop": (written_in_cond_in_loop, X, OPEN_ROWS),
    "mapped": (mapped, X, OPEN_ROWS),
    "dynamic_rnn": (dynamic_rnn, [(F, (None, 5, 3))], SEQUENCE),
    "dynamic_rnn_open": (dynamic_rnn, [(F, (None, None, 3))], [*SEQUENCE, [floats(1, 2, 3)]]),
    "masked_rnn": (masked_rnn, [(F, (None, 5, 3)), (I, (None,))], [[floats(3, 5, 3), np.int32([2, 5, 3])]]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_tensor_arrays(name, tmp_path):
    check(tmp_path, *ARRAYS[name])


# -- effects ---------------------------------------------------------------------------------------------


def counter(resource=True):
    return v1.get_variable("counter", initializer=np.float32(1.0), use_resource=resource)


def write_in_loop(p, x):
    state = counter()

    def body(i, y):
        with tf.control_dependencies([v1.assign_add(state, 2.0)]):
            return i + 1, y + 1.0

    _, y = v1.while_loop(lambda i, _: i < 3, body, [0, x])
    with tf.control_dependencies([y]):
        return y, state.read_value()


def write_in_branch(p, x):
    state = counter()
    result = v1.cond(p, lambda: v1.assign_add(state, 2.0), lambda: v1.assign_sub(state, 1.0))
    with tf.control_dependencies([result]):
        return state.read_value(), x


def write_to_reference(p, x):
    """References go through RefSwitch and RefMerge, and are written and read behind them."""
    from tensorflow.python.ops import gen_control_flow_ops, gen_state_ops

    state = counter(resource=False)
    no, yes = gen_control_flow_ops.ref_switch(state._ref(), p)
    merged, index = gen_control_flow_ops.ref_merge([no, gen_state_ops.assign_add(yes, 2.0)])
    return tf.identity(merged) + x, index


WRITES = [write_in_loop, write_in_branch, write_to_reference]


@pytest.mark.parametrize("build", WRITES, ids=lambda build: build.__name__)
def test_writes_keep_their_place(build, tmp_path):
    """The variable keeps its value from one step to the next, in TensorFlow as in LiteRT."""
    check(tmp_path, build, PX, BOTH)


def unmerged_write(p, x):
    from tensorflow.python.ops import control_flow_ops as ops

    state = counter()
    _, yes = ops.switch(tf.constant(2.0), p)
    with tf.control_dependencies([v1.assign_add(state, yes)]):
        return tf.identity(x)


def shared_write(p, x):
    """A write on one side, needed by two Merges one behind the other."""
    from tensorflow.python.ops import control_flow_ops as ops

    state = counter()
    no, yes = ops.switch(x, p)
    with tf.control_dependencies([v1.assign_add(state, tf.reduce_sum(yes))]):
        written = yes * 2.0
    first, _ = ops.merge([no, written])
    again_no, again_yes = ops.switch(first, p)
    second, _ = ops.merge([again_no, again_yes + written])
    return second


def crossed_merge(p, x):
    """Sides of two decisions in one Merge: which is alive is no function of either."""
    from tensorflow.python.ops import control_flow_ops as ops

    _, yes = ops.switch(x, p)
    _, large = ops.switch(x, tf.reduce_sum(x) > 0.0)
    return ops.merge([yes, large])[0]


def first_turn(p, x):
    """A loop that reads the `value_index` of its own Merge."""
    with tf.Graph().as_default() as scratch:
        v1.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.constant(0)])
    proto = scratch.as_graph_def()
    for node in proto.node:
        if node.name == "while/Add" or node.name == "while/add":
            node.input[1] = "while/Merge:1"
    (result,) = tf.import_graph_def(proto, return_elements=["while/Exit:0"])
    return result, x


REFUSED = {
    unmerged_write: "under a decision that nothing merges",
    shared_write: "would run more often",
    crossed_merge: "not the two sides of one decision",
    first_turn: "in its first turn",
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_what_cannot_be_kept_is_refused(build, tmp_path):
    save(tmp_path / "model", build, PX, [])
    with pytest.raises(UnsupportedError, match=REFUSED[build]):
        litecast.convert(tmp_path / "model")


def _node(graph, op, index=0):
    return [node for node in graph.node if node.op == op][index]


def variable_enter(graph, outputs):
    for node in graph.node:
        if node.op == "Enter":
            node.attr["is_constant"].b = False


def exit_of_merge(graph, outputs):
    for node in graph.node:
        if node.op == "Exit":
            node.input[0] = _node(graph, "Merge").name


def second_condition(graph, outputs):
    graph.node.add().CopyFrom(_node(graph, "LoopCond"))
    graph.node[-1].name = "again"
    _node(graph, "Switch", 1).input[1] = "again"


def three_ways(graph, outputs):
    merge = _node(graph, "Merge", 1)
    merge.input.append(_node(graph, "NextIteration").name)
    merge.attr["N"].i = 3


def no_way_out(graph, outputs):
    outputs["y0"].name = _node(graph, "Switch", 1).name + ":1"


def enter_outside(graph, outputs):
    outputs["y0"].name = _node(graph, "Enter", 1).name + ":0"


def cycle(graph, outputs):
    for name, source in (("one", "two"), ("two", "one")):
        graph.node.add(name=name, op="Identity", input=[source])
    outputs["y0"].name = "one:0"


BROKEN = {
    variable_enter: "neither a loop variable nor constant",
    exit_of_merge: "an Exit that is not fed by the Switch",
    second_condition: "two conditions",
    three_ways: "not the merge of an Enter and a NextIteration",
    no_way_out: "entered without its Exit",
    enter_outside: "outside of the loop",
    cycle: "the graph has a cycle",
}


@pytest.mark.parametrize("change", BROKEN, ids=lambda change: change.__name__)
def test_other_loops_are_refused(change, tmp_path):
    """Graphs that `tf.while_loop` never makes are errors with a place, not results."""
    save(tmp_path / "model", counted, [*X, (I, ())], [])
    file = tmp_path / "model" / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    meta = proto.meta_graphs[0]
    change(meta.graph_def, meta.signature_def["serving_default"].outputs)
    file.write_bytes(proto.SerializeToString())
    with pytest.raises(UnsupportedError, match=BROKEN[change]):
        litecast.convert(tmp_path / "model")


def test_what_is_missing_inside_is_listed(tmp_path):
    def build(p, x):
        def body(i, y):
            return i + 1, v1.cond(p, lambda: tf.raw_ops.Betainc(a=y, b=y, x=y), lambda: tf.math.lgamma(y))

        return v1.while_loop(lambda i, _: i < 3, body, [0, x])[1] + tf.math.bessel_i0e(x)

    save(tmp_path / "model", build, PX, [])
    with pytest.raises(UnsupportedError) as raised:
        litecast.convert(tmp_path / "model")
    assert {item.op for item in raised.value.items} >= {"Betainc"}
    assert not {item.op for item in raised.value.items} & {"Merge", "Exit", "Switch"}


# -- functions -------------------------------------------------------------------------------------------


AS_FUNCTIONS = [cond_in_loop, loop_in_cond, nested_conds, several_results, write_in_branch]


@pytest.mark.parametrize("build", AS_FUNCTIONS, ids=lambda build: build.__name__)
def test_functions(build, tmp_path):
    """A TensorFlow 1 model, loaded and saved again by TensorFlow 2: its graph is a library function."""
    expected = save(tmp_path / "first", build, PX, BOTH)
    loaded = tf.saved_model.load(str(tmp_path / "first"))
    tf.saved_model.save(loaded, str(tmp_path / "second"), signatures=loaded.signatures)
    converted = litecast.convert(tmp_path / "second")
    for step, wanted in zip(BOTH, expected, strict=True):
        actual = converted(x0=step[0], x1=step[1])
        for position, want in enumerate(wanted):
            np.testing.assert_allclose(actual[f"y{position}"], want, rtol=1e-5, atol=1e-6)


# -- random programs --------------------------------------------------------------------------------------


class Program:
    """A random nest of loops, decisions and TensorArrays over tensors of one shape."""

    OPERATIONS = (
        lambda x, y: x + y * 0.5,
        lambda x, y: tf.tanh(x - y),
        lambda x, y: tf.maximum(x, y),
        lambda x, y: x + tf.reduce_mean(y),
    )

    def __init__(self, seed):
        self.random = random.Random(seed)

    def __call__(self, x, y):
        return [self.value([x, y], depth) for depth in (3, 2, 3)]

    def value(self, known, depth):
        kinds = [self.operation, self.decision, self.loop, self.array] if depth else [self.operation]
        result = self.random.choice(kinds)(known, depth - 1)
        known.append(result)
        return result

    def pick(self, known):
        return self.random.choice(known)

    def operation(self, known, depth):
        operands = [self.value(known, depth) if depth > 0 else self.pick(known) for _ in range(2)]
        return self.random.choice(self.OPERATIONS)(*operands)

    def decision(self, known, depth):
        predicate = tf.reduce_sum(self.pick(known)) > self.random.uniform(-1, 1)
        if self.random.random() < 0.2:
            predicate = tf.constant(self.random.random() < 0.5)
        sides = v1.cond(predicate, *[lambda: [self.value(list(known), depth) for _ in range(2)]] * 2)
        return sides[0] - sides[1]

    def loop(self, known, depth):
        turns, bound, count = self.random.choice([0, 1, 3]), self.pick(known), self.random.choice([1, 2])

        def body(turn, *state):
            return turn + 1, *[self.value([*known, *state], depth) * 0.5 for _ in state]

        start = [tf.constant(0), *[self.pick(known) for _ in range(count)]]
        return v1.while_loop(
            lambda turn, *_: tf.logical_and(turn < turns, tf.reduce_sum(bound) < 5.0), body, start
        )[-1]

    def array(self, known, depth):
        def body(turn, array, state):
            state = self.value([*known, state], depth) * 0.7
            return turn + 1, array.write(turn, state), state

        start = [0, array_of(3, element_shape=(2, 3)), self.pick(known)]
        _, array, state = v1.while_loop(lambda turn, *_: turn < 3, body, start)
        return tf.reduce_sum(array.stack(), 0) + state


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed, tmp_path):
    steps = [[floats(2, 3, seed=seed + row), floats(2, 3, seed=99 - row)] for row in range(3)]
    check(tmp_path, Program(seed), [(F, (2, 3))] * 2, steps)


# -- what a graph is evaluated for --------------------------------------------------------------------------


def test_an_effect_inside_that_nothing_waits_for_is_refused():
    graph = GraphDef()
    for name, op, inputs in (
        ("p", "Const", []),
        ("v", "VarHandleOp", []),
        ("gate", "Switch", ["p", "p"]),
        ("lone", "AssignVariableOp", ["v", "gate:output_true:0"]),
        ("shared", "AssignVariableOp", ["v", "gate:output_true:0"]),
        ("free", "AssignVariableOp", ["v", "p:output:0"]),
        ("joined", "Merge", ["gate:output_false:0", "gate:output_true:0", "^shared"]),
    ):
        graph.node.add(name=name, op=op, input=inputs)
    frame = Frame({node.name: node for node in graph.node})
    assert outermost(frame, ["joined:output:0"], ["free", "shared"]) == ["free"]
    with pytest.raises(UnsupportedError, match="lone"):
        outermost(frame, ["joined:output:0"], ["free", "lone"])


def test_an_initialiser_decides(tmp_path):
    """A variable that the main operation assigns on the side that constants choose."""
    with tf.Graph().as_default() as graph, control_flow_v1():
        x = v1.placeholder(F, (2,), "x")
        state = v1.get_variable("state", initializer=np.float32(1.0), use_resource=True)
        chosen = v1.cond(tf.constant(True), lambda: v1.assign(state, 5.0), lambda: v1.assign(state, 7.0))
        y = x + state
        with v1.Session(graph=graph) as session:
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(str(tmp_path / "model"))
            signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
            builder.add_meta_graph_and_variables(
                session, ["serve"], {"serving_default": signature}, main_op=tf.group(chosen)
            )
            builder.save()
    np.testing.assert_array_equal(
        litecast.convert(tmp_path / "model")(x=np.zeros(2, np.float32))["y"], [5, 5]
    )
