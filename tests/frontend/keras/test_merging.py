"""Layers that merge tensors: broadcasting, element types, axes and masks, in both Kerases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.keras.harness import BOTH, KERAS, check, layer, layers, spec

ELEMENTWISE = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
BINARY = ("Subtract",)


def elementwise(k: Any, *, binary: bool = True) -> dict[str, Any]:
    """One layer of each elementwise class."""
    return {name: getattr(k.layers, name)() for name in ELEMENTWISE if binary or name not in BINARY}


@pytest.mark.parametrize(
    "shapes",
    [
        ((4,), (4,)),
        ((3, 4), (3, 4)),
        ((3, 4), (1, 4)),
        ((2, 3, 4), (2, 1, 1)),
        ((2, 3, 4), (4,)),
        ((5,), (2, 3, 5)),
        ((None, 4), (None, 4)),
        ((None, 3, 4), (3, 1)),
        ((2, 2, 2, 2, 3), (2, 2, 2, 2, 3)),
        ((2, 3, 2, 3, 4), (2, 1, 4)),
    ],
    ids=str,
)
def test_two(shapes: Any) -> None:
    check(layers(elementwise, *shapes))


def test_more_than_two() -> None:
    check(layers(lambda k: elementwise(k, binary=False), (3, 4), (4,), (1, 4), (3, 1)))


def test_integers() -> None:
    def make(k: Any) -> dict[str, Any]:
        return {name: item for name, item in elementwise(k).items() if name != "Average"}

    check(layers(make, spec((3, 4), "int32"), spec((3, 4), "int32")))


def test_integers_and_floats() -> None:
    check(layers(elementwise, spec((3, 4), "int32"), (3, 4)), frameworks=KERAS)


def test_one_layer_merges_twice() -> None:
    def build(k: Any) -> Any:
        first, second = k.Input((4,)), k.Input((4,))
        add = k.layers.Add()
        return k.Model([first, second], add([add([first, second]), second]))

    check(build, ops=["Add", "Add"])


def test_functional_forms() -> None:
    def build(k: Any) -> Any:
        first, second = k.Input((3, 4)), k.Input((3, 4))
        names = ("add", "average", "maximum", "minimum", "multiply", "subtract", "concatenate")
        outputs = {name: getattr(k.layers, name)([first, second]) for name in names}
        outputs["dot"] = k.layers.dot([first, second], axes=2)
        return k.Model([first, second], outputs)

    check(build)


# -- Concatenate -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((4,), (5,)), (-1, 1)),
        (((3, 4), (3, 5), (3, 1)), (-1, 2)),
        (((3, 4), (2, 4)), (1, -2)),
        (((None, 4), (None, 5)), (-1,)),
        (((None, 4), (3, 4)), (1,)),
        (((2, 3, 4), (2, 3, 4)), (1, 2, 3, -1)),
        (((2, 2, 1, 2, 2, 3), (2, 2, 1, 2, 2, 3)), (1, 3, -1)),
    ],
    ids=str,
)
def test_concatenate(shapes: Any, axes: tuple[int, ...]) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {f"axis {axis % 100}": k.layers.Concatenate(axis=axis) for axis in axes}

    check(layers(make, *shapes))


def test_concatenate_along_the_batch() -> None:
    check(layer(lambda k: k.layers.Concatenate(axis=0), (4,), (4,)))


def test_concatenate_types() -> None:
    integers = spec((3,), "int32")
    check(layer(lambda k: k.layers.Concatenate(), integers, integers))
    check(layer(lambda k: k.layers.Concatenate(), integers, (3,)), frameworks=KERAS)


# -- Dot ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((4,), (4,)), (1, -1, (1, 1))),
        (((3, 4), (5, 4)), (2, -1, (2, 2))),
        (((4, 3), (4, 5)), (1, -2)),
        (((4, 4), (4, 4)), (1, 2, (1, 2), (2, 1), (-1, -2))),
        (((4,), (3, 4)), (-1, (1, 2))),
        (((3, 4), (4,)), (-1, (2, 1))),
        (((2, 3, 4), (3, 5)), ((2, 1),)),
        (((2, 3, 4), (5, 2, 3)), ((2, 3), (1, 2))),
        (((None, 4), (None, 4)), (2,)),
        (((None, 4), (4,)), ((2, 1),)),
    ],
    ids=str,
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(shapes: Any, axes: Any, normalize: bool) -> None:
    def make(k: Any) -> dict[str, Any]:
        return {f"{number}": k.layers.Dot(axes, normalize=normalize) for number, axes in enumerate(chosen)}

    chosen = axes
    check(layers(make, *shapes))


# -- masks -------------------------------------------------------------------------------------------------


def masked(k: Any, make: Any, masks: tuple[bool, ...]) -> Any:
    """A merge of inputs of which some are masked; the mask of the result weighs the mean that follows."""
    inputs = [k.Input((5, 3)) for _ in masks]
    values = [k.layers.Masking(0.0)(x) if hides else x for x, hides in zip(inputs, masks, strict=True)]
    merged = make(k)(values)
    return k.Model(inputs, [merged, k.layers.GlobalAveragePooling1D()(merged)])


MERGES = {name: (lambda k, name=name: getattr(k.layers, name)()) for name in ELEMENTWISE} | {
    "Concatenate": lambda k: k.layers.Concatenate(),
    "Concatenate, axis 1": lambda k: k.layers.Concatenate(axis=1),
}


def sequences(seed: int) -> Any:
    """Sequences in which steps are all zero, other ones in each input."""

    def fill(rng: Any, shape: Any, dtype: Any) -> Any:
        values = rng.normal(size=shape).astype(dtype)
        values[rng.random(shape[:2]) < 0.4] = 0
        return values

    return fill


MASKS = [(True, True), (True, False), (False, True), (True, True, True)]
PAIRS = [(name, masks) for name in MERGES for masks in MASKS if len(masks) == 2 or name not in BINARY]


@pytest.mark.parametrize(("name", "masks"), PAIRS, ids=str)
def test_masks(name: str, masks: tuple[bool, ...]) -> None:
    fills = [sequences(index) for index in range(len(masks))]
    fails = name == "Concatenate, axis 1" and not all(masks)  # in Keras 2: masks of two shapes
    check(
        lambda k: masked(k, MERGES[name], masks),
        *fills,
        frameworks=KERAS if fails else BOTH,
        formats=("keras",),
    )


def test_masks_of_inputs_of_lower_rank_are_not_seen() -> None:
    def build(k: Any) -> Any:
        first, second = k.Input((5, 3)), k.Input((3,))
        return k.Model([first, second], k.layers.Multiply()([k.layers.Masking()(first), second]))

    check(build, sequences(0))


def test_no_mask_comes_out_of_dot() -> None:
    check(lambda k: masked(k, lambda k: k.layers.Dot(axes=(2, 2)), (True, True)), sequences(0), sequences(1))
