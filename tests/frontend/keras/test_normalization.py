"""Normalisation layers against both frameworks, every option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from tests.frontend.keras import harness
from tests.frontend.keras.harness import (
    EVERY_FORMAT,
    KERAS,
    TF_KERAS,
    check,
    layer,
    layers,
    operations,
    spec,
)

Rows = dict[str, dict[str, Any]]
AFFINE: Rows = {
    "plain": {},
    "no_center": {"center": False},
    "no_scale": {"scale": False},
    "neither": {"center": False, "scale": False},
    "epsilon": {"epsilon": 0.1},
}


def _all(name: str, rows: Rows) -> Any:
    return lambda k: {key: getattr(k.layers, name)(**row) for key, row in rows.items()}


SHAPES = {
    "vectors": (6,),
    "sequences": (None, 6),
    "images": (None, 5, 6),
    "volumes": (3, None, 4, 6),
}


# -- batch normalisation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_batch(shape: str) -> None:
    rows = {
        **AFFINE,
        "renorm": {"renorm": True, "renorm_clipping": {"rmax": 2.0}},
        "small": {"epsilon": 1e-7},
    }
    check(layers(_all("BatchNormalization", rows), SHAPES[shape]))


@pytest.mark.parametrize("axis", [1, 2, 3, -2, -3])
def test_batch_axis(axis: int) -> None:
    """In tf_keras, axis 1 of images is for GPUs, unless it is not fused (below)."""
    shape = (4, 3, 2, 5) if axis == 1 else (4, 3, 5)
    rows = {"plain": {"axis": axis}, "bare": {"axis": axis, "center": False, "scale": False}}
    frameworks = KERAS if axis in (1, -3) else ("keras", "tf_keras")
    check(layers(_all("BatchNormalization", rows), shape), frameworks=frameworks)


def test_batch_of_keras2() -> None:
    """Several axes, a virtual batch, and the class for several replicas."""

    def make(k: Any) -> Any:
        batch = k.layers.BatchNormalization
        return {
            "first": batch(axis=1, fused=False),
            "axes": batch(axis=[1, 3]),
            "one_axis": batch(axis=[2]),
            "two_bare": batch(axis=[-1, 2], center=False, scale=False),
            "virtual": batch(virtual_batch_size=3),
            "virtual_axes": batch(axis=[1, 3], virtual_batch_size=3),
            "synchronized": batch(synchronized=True),
            "sync": k.layers.experimental.SyncBatchNormalization(),
        }

    check(layers(make, (4, 3, 5)), frameworks=TF_KERAS)


def test_batch_of_integers_and_synchronized() -> None:
    check(layer(lambda k: k.layers.BatchNormalization(), spec((4,), "int32")))
    check(layer(lambda k: k.layers.BatchNormalization(synchronized=True), (4,)), frameworks=KERAS)


def test_batch_that_is_frozen() -> None:
    def build(k: Any) -> Any:
        norm = k.layers.BatchNormalization(trainable=False)
        x = inputs = k.Input((4,))
        return k.Model(inputs, k.layers.Dense(3)(norm(x)))

    check(build)


# -- statistics of the input -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_layer(shape: str) -> None:
    check(layers(_all("LayerNormalization", AFFINE), SHAPES[shape]))


def test_layer_axes() -> None:
    rows: Rows = {
        "first": {"axis": 1},
        "middle": {"axis": [2]},
        "last": {"axis": [3, 2]},
        "apart": {"axis": [1, 3]},
        "all": {"axis": [1, -2, -1]},
        "bare": {"axis": [3, 1], "center": False, "scale": False},
        "small": {"axis": [2, 3], "epsilon": 1e-6},
    }
    check(layers(_all("LayerNormalization", rows), (4, 3, 5)))


def test_layer_rms_scaling() -> None:
    rows: Rows = {
        "plain": {"rms_scaling": True},
        "no_scale": {"rms_scaling": True, "scale": False},
        "axes": {"rms_scaling": True, "axis": [1, 2]},
    }
    check(layers(_all("LayerNormalization", rows), (4, 5)), frameworks=KERAS)


def test_layer_of_unknown_sizes() -> None:
    check(layers(_all("LayerNormalization", {"plain": {}}), (None, None, 6)), sizes=((5, 4), (3, 7)))


def test_rms() -> None:
    rows: Rows = {"plain": {}, "axes": {"axis": [1, 2]}, "epsilon": {"epsilon": 0.1}, "square": {"axis": 1}}
    check(layers(_all("RMSNormalization", rows), (5, 5)), frameworks=KERAS)
    check(layers(_all("RMSNormalization", {"plain": {}}), (None, 6)), frameworks=KERAS)


@pytest.mark.parametrize("shape", SHAPES)
def test_group(shape: str) -> None:
    rows = {name: {"groups": 3, **row} for name, row in AFFINE.items()}
    rows |= {"one": {"groups": 1}, "pairs": {"groups": 2}, "each": {"groups": 6}, "instance": {"groups": -1}}
    if shape == "vectors":  # a group of one element is zero, which rounding is relative to
        rows = {name: row for name, row in rows.items() if row["groups"] not in (6, -1)}
    check(layers(_all("GroupNormalization", rows), SHAPES[shape]))


def test_group_axis() -> None:
    rows: Rows = {
        "first": {"groups": 2, "axis": 1},
        "middle": {"groups": 3, "axis": 2},
        "back": {"groups": 3, "axis": -2},
        "instance": {"groups": -1, "axis": 1},
        "one": {"groups": 1, "axis": 1},
    }
    check(layers(_all("GroupNormalization", rows), (4, 6, None)))


def test_group_with_a_mask() -> None:
    """Keras 2 weighs the elements by a mask of the shape of the input."""

    def build(k: Any) -> Any:
        x, mask = k.Input((None, 4, 6)), k.Input((None, 4, 6), dtype="bool")
        made = {"plain": k.layers.GroupNormalization(2), "first": k.layers.GroupNormalization(2, axis=2)}
        return k.Model([x, mask], {name: made[name](x, mask=mask) for name in made})

    check(build, frameworks=TF_KERAS)


def test_unit() -> None:
    rows: Rows = {"plain": {}, "first": {"axis": 1}, "axes": {"axis": [1, 2]}, "all": {"axis": (1, 2, 3)}}
    check(layers(_all("UnitNormalization", rows), (4, 3, 5)))
    check(layers(_all("UnitNormalization", {"plain": {}}), (None, 6)))


def test_unit_of_little() -> None:
    """Keras 2 stops at a norm of 1e-6, where the kernel does; Keras 3 at 1e-12."""
    rows = np.array([[3e-8, 4e-8], [0, 0], [3e-3, 4e-3]], np.float32)
    build = layer(lambda k: k.layers.UnitNormalization(), (2,))
    assert operations(check(build, rows, frameworks=TF_KERAS)) == ["L2Normalization"]
    assert "L2Normalization" not in operations(check(build, rows, frameworks=KERAS))


# -- masks, wrappers, formats ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["BatchNormalization", "LayerNormalization", "UnitNormalization", "GroupNormalization"]
)
def test_masks_pass(name: str) -> None:
    options = {"groups": 2} if name == "GroupNormalization" else {}

    def build(k: Any) -> Any:
        ids = k.Input((6,), dtype="int32")
        x = k.layers.Embedding(7, 4, mask_zero=True)(ids)
        x = getattr(k.layers, name)(**options)(x)
        return k.Model(ids, k.layers.GlobalAveragePooling1D()(x))

    ids = np.array([[1, 2, 0, 0, 3, 0], [1, 0, 0, 0, 0, 0], [3, 2, 1, 4, 6, 5]], np.int32)
    check(build, ids, frameworks=KERAS if options else ("keras", "tf_keras"))


def test_no_mask_passes_rms() -> None:
    def build(k: Any) -> Any:
        ids = k.Input((6,), dtype="int32")
        x = k.layers.RMSNormalization()(k.layers.Embedding(7, 4, mask_zero=True)(ids))
        return k.Model(ids, k.layers.GlobalAveragePooling1D()(x))

    check(build, np.array([[1, 2, 0, 0, 3, 0]], np.int32), frameworks=KERAS)


@pytest.fixture
def one_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tf_keras find its own class where SpectralNormalization asks TensorFlow for it."""
    monkeypatch.setattr(harness.tf.keras.layers, "InputSpec", harness.tf_keras.layers.InputSpec)


@pytest.mark.usefixtures("one_keras")
def test_spectral() -> None:
    def make(k: Any) -> Any:
        spectral = k.layers.SpectralNormalization
        return {
            "conv": spectral(k.layers.Conv2D(4, 3, activation="relu"), power_iterations=2),
            "transposed": spectral(k.layers.Conv2DTranspose(4, 3, use_bias=False)),
            "dense": spectral(k.layers.Dense(4)),
        }

    check(layers(make, (None, 6, 3)), formats=EVERY_FORMAT)


@pytest.mark.usefixtures("one_keras")
def test_spectral_embedding() -> None:
    """Keras 3 gives the result the element type of the input: integers."""
    make = lambda k: k.layers.SpectralNormalization(k.layers.Embedding(9, 4))  # noqa: E731
    check(layer(make, spec((6,), "int32")))


@pytest.mark.usefixtures("one_keras")
def test_spectral_embedding_with_a_mask() -> None:
    """It comes out in Keras 2 only."""

    def build(k: Any) -> Any:
        ids = k.Input((6,), dtype="int32")
        x = k.layers.SpectralNormalization(k.layers.Embedding(7, 4, mask_zero=True))(ids)
        return k.Model(ids, k.layers.GlobalAveragePooling1D()(x))

    check(build, np.array([[1, 2, 0, 0, 3, 0], [1, 0, 0, 0, 0, 0]], np.int32))


@pytest.mark.parametrize("name", ["BatchNormalizationV1", "BatchNormalizationV2"])
def test_names_of_old_files(name: str, tmp_path: Path) -> None:
    model = harness.built("tf_keras", layer(lambda k: k.layers.BatchNormalization(), (4,)))
    (tmp_path / "model.json").write_text(model.to_json().replace('"BatchNormalization"', f'"{name}"'))
    model.save_weights(tmp_path / "weights.h5")
    converted = litecast.convert(tmp_path / "model.json", weights=tmp_path / "weights.h5")
    x = np.random.default_rng(1).standard_normal((2, 4)).astype(np.float32)
    (result,) = converted(x).values()
    np.testing.assert_allclose(result, model(x), rtol=1e-4, atol=1e-5)


def test_every_format() -> None:
    def build(k: Any) -> Any:
        x = inputs = k.Input((6, 4))
        for name in ("BatchNormalization", "LayerNormalization"):
            x = getattr(k.layers, name)()(x)
        return k.Model(inputs, k.layers.GroupNormalization(2)(x))

    check(build, formats=EVERY_FORMAT)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy: str) -> None:
    names = ("BatchNormalization", "LayerNormalization", "GroupNormalization")

    def make(k: Any) -> Any:
        options: Rows = {"GroupNormalization": {"groups": 2}}
        return {name: getattr(k.layers, name)(dtype=policy, **options.get(name, {})) for name in names}

    check(layers(make, (5, 6)), frameworks=KERAS)
