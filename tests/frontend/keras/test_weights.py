"""Which variable belongs to which layer, in every layout, against Keras 3 and tf_keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litecast.errors import FormatError
from litecast.frontend.keras.archive import read_keras
from litecast.frontend.keras.flat import FlatWeights
from litecast.frontend.keras.hdf5 import Hdf5
from litecast.frontend.keras.weights import Group, LayerKey, TreeWeights, snake_case
from tests.frontend.keras.archives import dense, hdf5, legacy, sequential

Array = np.ndarray

# -- models whose layouts are hard, against the frameworks ------------------------------------------------


def _shared_first(k: Any) -> Any:
    """A layer outside that a nested model holds as well; all shapes are the same."""
    x = k.Input((4,))
    shared = k.layers.Dense(4, name="shared")
    entry = k.Input((4,))
    inner = k.Model(entry, k.layers.Dense(4)(shared(k.layers.Dense(4)(entry))), name="inner")
    return k.Model(x, k.layers.Dense(4)(inner(shared(x))))


def _shared_inside_first(k: Any) -> Any:
    """A layer that is reached through a nested model first."""
    x = k.Input((4,))
    shared = k.layers.Dense(4, name="shared")
    entry = k.Input((4,))
    inner = k.Model(entry, shared(k.layers.Dense(4, name="first")(entry)), name="inner")
    y = inner(x)
    return k.Model(x, k.layers.Dense(4, name="last")(k.layers.Dense(4, name="before")(shared(y))))


def _shared_in_two(k: Any) -> Any:
    """Two nested models that hold the same layer, in one model of their own."""
    shared = k.layers.Dense(4, name="shared")
    models = []
    for name in ("left", "right"):
        entry = k.Input((4,))
        models.append(k.Model(entry, k.layers.Dense(4, name=f"{name}_own")(shared(entry)), name=name))
    entry = k.Input((4,))
    both = k.Model(entry, models[1](models[0](entry)), name="both")
    x = k.Input((4,))
    return k.Model(x, both(x))


def _block(k: Any, name: str = "block") -> Any:
    return k.Sequential(
        [
            k.Input((4,)),
            k.layers.Dense(4),
            k.layers.BatchNormalization(),
            k.layers.Dense(4),
            k.layers.BatchNormalization(),
        ],
        name=name,
    )


def _frozen(k: Any, *frozen: int | None) -> Any:
    """A nested model, itself (None) or some of its layers frozen."""
    block = _block(k)
    for index in frozen:
        (block if index is None else block.layers[index]).trainable = False
    x = k.Input((4,))
    return k.Model(x, k.layers.Dense(4)(block(x)))


def _deep(k: Any) -> Any:
    """A model in a model in a model, the innermost frozen in part, beside batch normalisation."""
    block = _block(k)
    block.layers[0].trainable = False
    middle = k.Sequential([k.Input((4,)), k.layers.BatchNormalization(), block, k.layers.Dense(4)])
    x = k.Input((4,))
    return k.Model(x, k.layers.BatchNormalization()(middle(x)))


def _in_wrapper(k: Any) -> Any:
    x = k.Input((5, 4))
    return k.Model(x, k.layers.TimeDistributed(_block(k))(x))


def _recurrent(k: Any) -> Any:
    lstm = k.layers.LSTM(4, return_sequences=True)
    cells = [k.layers.GRUCell(4), k.layers.LSTMCell(4), k.layers.GRUCell(4)]
    x = k.Input((5, 4))
    return k.Model(x, k.layers.RNN(cells)(k.layers.Bidirectional(lstm)(x)))


def _attention(k: Any, trainable: bool = True) -> Any:
    x = k.Input((5, 4))
    attention = k.layers.MultiHeadAttention(2, 2)
    y = attention(x, x)
    attention.trainable = trainable
    inner = k.Model(x, k.layers.LayerNormalization()(y), name="inner")
    z = k.Input((5, 4))
    return k.Model(z, inner(z))


def _twice(k: Any) -> Any:
    """Two blocks of one class, one of them called twice."""
    x = k.Input((4,))
    first, second = _block(k, "first"), _block(k, "second")
    return k.Model(x, first(second(first(x))))


MODELS: dict[str, Callable[[Any], Any]] = {
    "shared-first": _shared_first,
    "shared-inside-first": _shared_inside_first,
    "shared-in-two": _shared_in_two,
    "frozen-model": lambda k: _frozen(k, None),
    "frozen-dense": lambda k: _frozen(k, 0),
    "frozen-norm": lambda k: _frozen(k, 1),
    "frozen-several": lambda k: _frozen(k, 1, 2),
    "deep": _deep,
    "in-wrapper": _in_wrapper,
    "recurrent": _recurrent,
    "attention": _attention,
    "frozen-attention": lambda k: _attention(k, trainable=False),
    "twice": _twice,
}
FORMATS = ("keras", "h5", "json", "legacy")
UNREADABLE = {("tf_keras", "shared-first", "h5")}
"""tf_keras 2.21 writes a config that refers to a layer of another model (it cannot load it either)."""


def _randomised(model: Any) -> Any:
    rng = np.random.default_rng(7)
    model.set_weights([rng.uniform(0.5, 1.5, array.shape) * 0.4 for array in model.get_weights()])
    return model


def _save(model: Any, folder: Path, form: str) -> tuple[Path, Path | None]:
    """Save a model; return what to convert, and the file of weights."""
    if form in ("keras", "h5"):
        model.save(folder / f"m.{form}")
        return folder / f"m.{form}", None
    (folder / "m.json").write_text(model.to_json())
    weights = folder / ("m.weights.h5" if form == "json" else "m.h5")
    if form == "legacy" and model.__module__.startswith("keras."):
        pytest.skip("Keras 3 does not write legacy weights alone")
    model.save_weights(weights)
    return folder / "m.json", weights


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_against_the_framework(tmp_path: Path, framework: str, name: str, form: str) -> None:
    k = pytest.importorskip(framework)
    import litecast

    k.utils.clear_session() if framework == "keras" else k.backend.clear_session()
    model = _randomised(MODELS[name](k))
    path, weights = _save(model, tmp_path, form)
    if (framework, name, form) in UNREADABLE:
        with pytest.raises(litecast.ConvertError):
            litecast.convert(path, weights=weights)
        return
    inputs = np.random.default_rng(1).normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model(inputs, training=False))
    (result,) = litecast.convert(path, weights=weights)(inputs).values()
    np.testing.assert_allclose(result, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore")
def test_sharded_weights(tmp_path: Path) -> None:
    k = pytest.importorskip("keras")
    import litecast

    model = _randomised(_deep(k))
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=1e-7)
    assert len(list(tmp_path.glob("*.h5"))) > 1
    (tmp_path / "m.json").write_text(model.to_json())
    inputs = np.ones((2, 4), np.float32)
    (result,) = litecast.convert(tmp_path / "m.json", weights=tmp_path / "m.weights.json")(inputs).values()
    np.testing.assert_allclose(result, np.asarray(model(inputs, training=False)), rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_weights_of_other_names(tmp_path: Path) -> None:
    """A legacy file goes by order where the layers have other names: as when a model is built twice."""
    k = pytest.importorskip("tf_keras")
    import litecast

    saved = _randomised(_frozen(k, 1))
    saved.save_weights(tmp_path / "m.h5")
    other = _frozen(k, 1)
    assert other.layers[-1].name != saved.layers[-1].name
    (tmp_path / "m.json").write_text(other.to_json())
    inputs = np.ones((2, 4), np.float32)
    (result,) = litecast.convert(tmp_path / "m.json", weights=tmp_path / "m.h5")(inputs).values()
    np.testing.assert_allclose(result, saved(inputs, training=False), rtol=1e-5)


@pytest.mark.parametrize("name", ["resnet8", "vww", "ad", "sww"])
def test_real_models(shared: Path, name: str) -> None:
    import litecast

    folder = shared / "models" / name
    assert litecast.verify(litecast.convert(folder / "model.h5"), folder / "io.npz", tolerance=1e-5).ok


# -- the legacy layout by itself -----------------------------------------------------------------------------


def flat(names: list[str], shapes: list[tuple[int, ...]], version: str = "3.0.0") -> FlatWeights:
    """A legacy file of one layer `m`, the n-th variable filled with n."""
    datasets = {
        f"m/{name}": np.full(shape, n, np.float32)
        for n, (name, shape) in enumerate(zip(names, shapes, strict=True))
    }
    attributes = {"@layer_names": [b"m"], "m@weight_names": [name.encode() for name in names]}
    file = hdf5(datasets, attributes)
    return FlatWeights(Hdf5(np.frombuffer(file, np.uint8), "m.h5"), "", "m.h5", version)


KEYS = [LayerKey("Sequential", "m")]
INNER = [LayerKey("Dense", "a"), LayerKey("BatchNormalization", "n"), LayerKey("Dense", "b")]
NORM = (("gamma", True), ("beta", True), ("moving_mean", False), ("moving_variance", False))
SQUARE = [(4, 4), (4,)]


def _ask(
    weights: FlatWeights, inner: list[LayerKey] = INNER, outer: list[LayerKey] = KEYS
) -> list[list[float]]:
    """Ask for everything in order of execution; return the first element of each variable by layer."""
    (model,) = weights.root(outer).layers(outer)
    found = []
    for key, group in zip(inner, model.layers(inner), strict=True):
        if key.class_name == "Dense":
            arrays = [group.weight("kernel", (4, 4)), group.weight("bias", (4,))]
        else:
            arrays = [group.weight(name, (4,), trainable) for name, trainable in NORM]
        found.append([float(array.flat[0]) for array in arrays])
    return found


def _named(*layers: str) -> list[str]:
    """Variables of layers in the order given: `a` all of a Dense, `n+` and `n-` halves of a normalisation."""
    parts = {"n+": ["n/gamma", "n/beta"], "n-": ["n/moving_mean", "n/moving_variance"]}
    return [name for layer in layers for name in parts.get(layer, [f"{layer}/kernel", f"{layer}/bias"])]


def _shapes(names: list[str]) -> list[tuple[int, ...]]:
    return [(4, 4) if name.endswith("kernel") else (4,) for name in names]


# Order in the file, flags (model, a, n, b), version.
ORDERS: dict[str, tuple[list[str], tuple[bool, bool, bool, bool], str]] = {
    "all-trainable": (_named("a", "n+", "b", "n-"), (True, True, True, True), "3"),
    "frozen-model": (_named("a", "n+", "n-", "b"), (False, False, False, False), "3"),
    "frozen-model-2": (_named("a", "n+", "n-", "b"), (False, False, False, False), "2"),
    "frozen-first": (_named("n+", "b", "a", "n-"), (True, False, True, True), "3"),
    "frozen-norm": (_named("a", "b", "n+", "n-"), (True, True, False, True), "2"),
    "flags-unknown": (_named("a", "n+", "n-", "b"), (True, True, True, True), "3"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_flat_order(name: str) -> None:
    names, (model, *flags), version = ORDERS[name]
    weights = flat(names, _shapes(names), version)
    inner = [LayerKey(key.class_name, key.name, flag) for key, flag in zip(INNER, flags, strict=True)]
    outer = [LayerKey("Sequential", "m", model)]
    first = _ask(weights, inner, outer)
    if weights.unsettled:
        weights.settle()
        first = _ask(weights, inner, outer)
    assert not weights.unsettled
    places = {name: float(n) for n, name in enumerate(names)}
    norm = [places[f"n/{part}"] for part, _ in NORM]
    assert first == [[places[f"{x}/kernel"], places[f"{x}/bias"]] if x != "n" else norm for x in "anb"]


def test_flat_is_settled_at_once_where_nothing_moves() -> None:
    names = _named("a", "b")
    weights = flat(names, _shapes(names))
    assert _ask(weights, [INNER[0], INNER[2]]) == [[0.0, 1.0], [2.0, 3.0]]
    assert not weights.unsettled


def test_flat_names_decide_where_flags_and_shapes_do_not() -> None:
    """The file was written with `a` frozen, and the config does not say so."""
    names = _named("b", "a")
    weights = flat(names, _shapes(names))
    two = [INNER[0], INNER[2]]
    _ask(weights, two)
    assert not weights.unsettled  # no order that Keras knows has b first: by order, as Keras would
    (doubt,) = weights.doubts()
    assert "4 variables: m/a takes m/b/kernel, m/a takes m/b/bias, m/b takes m/a/kernel" in doubt
    frozen = [LayerKey("Dense", "a", False), INNER[2]]
    weights = flat(names, _shapes(names))
    _ask(weights, frozen)
    assert weights.unsettled
    weights.settle()
    assert _ask(weights, frozen) == [[2.0, 3.0], [0.0, 1.0]]
    assert weights.doubts() == []


def test_flat_stays_unsettled_until_it_is_settled() -> None:
    names = _named("b", "a")
    weights, layers = flat(names, _shapes(names)), [LayerKey("Dense", "a", False), INNER[2]]
    _ask(weights, layers)
    assert weights.unsettled
    assert weights.unsettled
    weights.settle()
    assert not weights.unsettled
    _ask(weights, [*layers, INNER[1]])
    with pytest.raises(FormatError, match="needs 8 variables"):
        weights.settle()


def test_flat_misfit() -> None:
    names = _named("a", "b")
    weights = flat(names, [(4, 4), (4,), (4, 5), (5,)])
    _ask(weights, [INNER[0], INNER[2]])
    assert weights.unsettled
    with pytest.raises(FormatError, match=r"m/b: kernel is \(4, 4\) in the config, and \(4, 5\) in the file"):
        weights.settle()


def test_flat_missing() -> None:
    names = _named("a")
    weights = flat(names, _shapes(names))
    _ask(weights, [INNER[0], INNER[2]])
    with pytest.raises(FormatError, match=r"m needs 4 variables .* it has m/a/kernel"):
        weights.settle()


def test_flat_skips_what_nobody_asks_for() -> None:
    """Normalization of Keras 2 has a count, which inference does not need."""
    weights = flat(["a/kernel", "a/count", "a/bias"], [(4, 4), (), (4,)], "2")
    first = _ask(weights, INNER[:1])
    if weights.unsettled:
        weights.settle()
        first = _ask(weights, INNER[:1])
    assert first == [[0.0, 2.0]]


def test_flat_other_number_of_layers() -> None:
    names = _named("a")
    weights = flat(names, _shapes(names))
    layers = [LayerKey("Dense", "x"), LayerKey("Dense", "y")]
    for group in weights.root(layers).layers(layers):
        group.weight("kernel", (4, 4))
    with pytest.raises(
        FormatError, match=r"variables of 1 layers \(m\), and 2 layers of the config need some"
    ):
        weights.settle()


def test_names_in_pieces() -> None:
    """HDF5 limits attributes to 64 KiB: longer lists of names are split over several."""
    attributes = {"@layer_names0": [b"x"], "@layer_names1": [b"m"], "x@weight_names": np.zeros(0)}
    attributes |= {"m@weight_names0": [b"kernel:0"], "m@weight_names1": [b"bias:0"]}
    content = hdf5({"m/kernel:0": np.ones((4, 4)), "m/bias:0": np.zeros(4)}, attributes)
    weights = FlatWeights(Hdf5(np.frombuffer(content, np.uint8), "m.h5"), "", "m.h5", "2")
    (group,) = weights.root([LayerKey("Dense", "m")]).layers([LayerKey("Dense", "m")])
    assert group.weight("kernel", (4, 4)).all()
    assert not group.weight("bias", (4,)).any()
    assert not weights.unsettled


def test_top_level_variables() -> None:
    attributes = {"@layer_names": np.zeros(0), "top_level_model_weights@weight_names": [b"scale:0"]}
    content = hdf5({"top_level_model_weights/scale:0": np.ones(3)}, attributes)
    weights = FlatWeights(Hdf5(np.frombuffer(content, np.uint8), "m.h5"), "", "m.h5", "2")
    assert weights.root([]).weight("scale", (3,)).all()
    assert not weights.unsettled


# -- the layout of .keras files by itself --------------------------------------------------------------------


def tree(paths: list[str], renumbered: bool = False, **attributes: Any) -> TreeWeights:
    """A file in which the n-th variable is filled with n."""
    datasets = {path: np.full((2,), n, np.float32) for n, path in enumerate(paths)}
    file = Hdf5(np.frombuffer(hdf5(datasets, attributes), np.uint8), "m.weights.h5")
    return TreeWeights([file], "m.keras", renumbered=renumbered)


def first(group: Group, name: str = "w") -> float:
    return float(group.weight(name, (2,))[0])


def dense_keys(*names: str) -> list[LayerKey]:
    return [LayerKey("Dense", name) for name in names]


@pytest.mark.parametrize("container", ["layers", "_layer_checkpoint_dependencies", "layers\\"])
def test_tree_containers(container: str) -> None:
    """TensorFlow 2.12 walked the attributes from the other end; on Windows the separators were others."""
    if container.endswith("\\"):
        paths = ["layers\\dense/vars/0", "layers\\dense_1/vars/0"]
    else:
        paths = [f"{container}/dense/vars/0", f"{container}/dense_1/vars/0"]
    groups = tree(paths).root([]).layers(dense_keys("p", "q"))
    assert [first(group) for group in groups] == [0.0, 1.0]


def test_tree_counts_classes_and_takes_attributes() -> None:
    paths = ["layers/dense/vars/0", "layers/conv2d/vars/0", "layers/rnn/cell/cells/gru_cell_1/vars/0"]
    paths += ["layers/multi_head_attention/_query_dense/vars/0", "vars/0"]
    root = tree(paths).root([])
    keys = [LayerKey(name, name) for name in ("Conv2D", "Dense", "RNN", "MultiHeadAttention")]
    conv, dense_group, rnn, attention = root.layers(keys)
    assert [first(dense_group), first(conv)] == [0.0, 1.0]
    assert first(rnn.child("cell").child("cells/gru_cell_1")) == 2.0
    assert first(attention.child("query_dense")) == 3.0
    assert first(root) == 4.0


def test_tree_asking_again_gives_the_same_array() -> None:
    paths = ["layers/dense/vars/0", "layers/dense/vars/1", "layers/dense/vars/10", "layers/dense/vars/2"]
    (group,) = tree(paths).root([]).layers(dense_keys("d"))
    a, b, c = (group.weight(name, (2,)) for name in "abc")
    assert [float(x[0]) for x in (a, b, c)] == [0.0, 1.0, 3.0]
    assert group.weight("b", (2,)) is b
    assert group.stored("10") is not None
    assert group.stored("11") is None


def test_tree_shared_by_saved_name() -> None:
    """Keras 3 saves names with the variables: a layer that a nested model saved first is found by its own."""
    paths = ["layers/functional/layers/dense/vars/0", "layers/dense_1/vars/0"]
    names = {"layers/functional/layers/dense/vars@name": "s", "layers/dense_1/vars@name": "own"}
    shared, own = tree(paths, **names).root([]).layers(dense_keys("s", "own"))
    assert [first(shared), first(own)] == [0.0, 1.0]


SHARED = {"shared_object_id": 5}


@pytest.mark.parametrize(("renumbered", "last"), [(False, "dense_1"), (True, "dense")])
def test_tree_shared_by_id(renumbered: bool, last: str) -> None:
    """A layer that was saved before counts in Keras 3's names, and does not in tf_keras's."""
    paths = ["layers/sequential/layers/dense/vars/0", f"layers/{last}/vars/0"]
    weights = tree(paths, renumbered)
    inner = sequential(dense("s", **SHARED), name="inner")
    weights.plan(sequential(inner, dense("s", **SHARED), dense("own")))
    keys = [LayerKey("Sequential", "inner"), *dense_keys("s", "own")]
    _, shared, own = weights.root(keys).layers(keys)
    assert [first(shared), first(own)] == [0.0, 1.0]


def test_tree_missing() -> None:
    (group,) = tree(["layers/dense/vars/0"]).root([]).layers(dense_keys("d"))
    group.weight("kernel", (2,))
    with pytest.raises(FormatError, match=r"d needs bias \(2,\); it has layers/dense/vars/0 \(2,\)"):
        group.weight("bias", (2,))
    with pytest.raises(FormatError, match=r"d: kernel is \(3,\) in the config, and \(2,\) in the file"):
        group.weight("kernel", (3,))


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Dense", "dense"),
        ("Conv2D", "conv2d"),
        ("GRUCell", "gru_cell"),
        ("ConvLSTM2D", "conv_lstm2d"),
        ("LSTM", "lstm"),
        ("PReLU", "p_re_lu"),
        ("MultiHeadAttention", "multi_head_attention"),
    ],
)
def test_snake_case(name: str, snake: str) -> None:
    assert snake_case(name) == snake


def test_version_of_a_config_says_how_layers_are_counted(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(legacy("2.15.0"))
    assert read_keras(tmp_path / "m.h5").keras_version == "2.15.0"


@pytest.mark.parametrize("value", [None, [], {}, 1.5, "x", [[1]]])
@pytest.mark.parametrize("key", ["class_name", "config", "name", "shared_object_id", "module"])
def test_plan_takes_any_config(key: str, value: Any) -> None:
    """What is wrong with a config is told by whoever interprets it."""
    weights = tree(["layers/dense/vars/0"])
    weights.plan(sequential({**dense("d"), key: value}))
    weights.plan(sequential(sequential(dense("d"), name="inner") | {key: value}))
    assert first(weights.root([]).layers(dense_keys("d"))[0]) == 0.0
