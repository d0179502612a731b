"""The legacy HDF5 layout: each layer of the model has one list of variables, those of its sublayers included.

The list holds all that is trainable, then the rest, each in the order in which layers are tracked
(`_legacy_weights` in keras/src/legacy/saving/legacy_h5_format.py and in tf_keras). Who is who is only known
once everything has been asked for: until then a block answers by its best guess, and `settle` corrects it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.errors import FormatError, InternalError
from litecast.frontend.keras.cudnn import from_cudnn
from litecast.frontend.keras.hdf5 import Hdf5, Stored
from litecast.frontend.keras.weights import Group, LayerKey, Weights, check_shape, joined, listed

__all__ = ["FlatWeights"]

_TOP_LEVEL = "top_level_model_weights"
"""The group of the variables that the model itself has."""


@dataclass(eq=False)
class _Request:
    """A variable that a layer asks for, and its place in the block's list as far as it is known."""

    group: FlatGroup
    name: str
    shape: tuple[int, ...]
    trainable: bool
    index: int | None = None

    @property
    def layer(self) -> str:
        """The name of the layer that asks (the nearest that has one)."""
        group: FlatGroup | None = self.group
        while group is not None and group.key is None:
            group = group.parent
        return group.key.name if group is not None and group.key is not None else ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What a request has in common with that of the same layer in another place of the model."""
        parts, group = [self.name], self.group
        while group.key is None and group.parent is not None:
            parts.append(group.path.rsplit("/", 1)[-1])
            group = group.parent
        return (group.key.class_name, group.key.name, *parts) if group.key else (group.path, *parts)


class _Block:
    """The variables that one layer of the model has in the file, and who has asked for which."""

    def __init__(self, stored: list[Stored]) -> None:
        self.stored = stored
        self.requests: list[_Request] = []
        self.settled = False

    def ask(self, request: _Request) -> None:
        """Note a request, and guess: the n-th is the n-th."""
        index = len(self.requests)
        if index < len(self.stored) and self.stored[index].shape == request.shape:
            request.index = index
        self.requests.append(request)
        self.settled = False


class FlatWeights(Weights):
    """The groups of a legacy file under `prefix`, each named like a layer of the model."""

    def __init__(self, file: Hdf5, prefix: str, url: str, version: str) -> None:
        self.url, self.keras2 = url, not version.startswith("3")
        names = attribute_list(file.attributes(prefix), "layer_names")
        blocks = {name: _Block(stored) for name, stored in _read(file, prefix, [*names, _TOP_LEVEL], url)}
        top = blocks.pop(_TOP_LEVEL, None) or _Block([])
        self._blocks = {name: block for name, block in blocks.items() if block.stored}
        self._root = FlatGroup(self, top, "")
        self._layers: list[FlatGroup] = []
        self._settled = self._stale = False

    def root(self, layers: Sequence[LayerKey]) -> Group:
        """Give the group of the model itself."""
        return self._root

    @property
    def unsettled(self) -> bool:  # type: ignore[override]
        """Whether an answer was not what the rules give; what does not fit at all is told by `settle`."""
        try:
            self._stale = self._resettle() or self._stale
        except FormatError:
            self._stale = True
        return self._stale

    def settle(self) -> None:
        """Assign the variables; FormatError where they do not fit."""
        changed = self._resettle() or self._stale
        if changed and self._settled:
            raise InternalError(f"{self.url}: asked again, the model needs other variables than before")
        self._settled, self._stale = True, False

    def doubts(self) -> list[str]:
        """Name the variables whose names say another layer of the block: Keras goes by order alone."""
        found = [
            f"{request.group.described} takes {stored.name}"
            for group in (self._root, *self._layers)
            for request, stored in _assigned(group.block)
            if _names_another(request, stored, group.block)
        ]
        if not found:
            return []
        return [
            "the file lists variables in an order that their names contradict; as in Keras, the order counts "
            f"({len(found)} variables: {', '.join(found[:3])}). Check the result with --verify"
        ]

    def _resettle(self) -> bool:
        return bool([group for group in (self._root, *self._paired()) if self._resettled(group)])

    def model_layers(self, groups: list[FlatGroup]) -> None:
        """Take the groups of the model's layers, and give them their blocks where the names are the same."""
        self._layers = groups
        if set(self._blocks) <= {group.path for group in groups}:
            for group in groups:
                group.block.stored = self._blocks[group.path].stored if group.path in self._blocks else []

    def _paired(self) -> list[FlatGroup]:
        """Give the layers that have variables their blocks: in order where the names differ."""
        groups = [group for group in self._layers if group.block.requests]
        if not any(group.block.stored for group in groups) and groups:
            if len(groups) != len(self._blocks):
                config, stored = ", ".join(group.path for group in groups), ", ".join(self._blocks)
                raise FormatError(
                    self.url,
                    f"has variables of {len(self._blocks)} layers ({stored}), and {len(groups)} layers "
                    f"of the config need some ({config})",
                )
            for group, block in zip(groups, self._blocks.values(), strict=True):
                group.block.stored = block.stored
        return groups

    def _resettled(self, group: FlatGroup) -> bool:
        """Assign a block, and say whether that changed an answer."""
        block = group.block
        if block.settled or not block.requests:
            return False
        assigned = _assign(self, group)
        changed = any(request.index != assigned[request] for request in block.requests)
        for request in block.requests:
            request.index = assigned[request]
        block.settled = True
        return changed


class FlatGroup(Group):
    """A layer, or a sublayer, whose variables are in a block."""

    def __init__(
        self,
        weights: FlatWeights,
        block: _Block,
        path: str,
        trainable: bool = True,
        key: LayerKey | None = None,
        parent: FlatGroup | None = None,
    ) -> None:
        self._weights, self.block, self.path = weights, block, path
        self.trainable, self.key, self.parent = trainable, key, parent
        self.requests: dict[str, _Request] = {}
        self.children: dict[Any, FlatGroup] = {}
        self.is_model = False

    def weight(self, name: str, shape: tuple[int, ...], trainable: bool = True) -> np.ndarray:
        shape = tuple(shape)
        if name not in self.requests:
            self.requests[name] = _Request(self, name, shape, trainable)
            self.block.ask(self.requests[name])
        index = self.requests[name].index
        if index is None:
            return np.broadcast_to(np.float32(0), shape)
        check_shape(self._weights.url, self.described, name, shape, self.block.stored[index])
        return self.block.stored[index].array

    def child(self, attribute: str, trainable: bool = True) -> Group:
        if attribute not in self.children:
            path = joined(self.path, attribute)
            self.children[attribute] = FlatGroup(self._weights, self.block, path, trainable, None, self)
        return self.children[attribute]

    def layers(self, layers: Sequence[LayerKey]) -> list[Group]:
        self.is_model, top = True, self.path == ""
        known = len(self.children)
        for position, key in enumerate(layers):
            if (position, key) not in self.children:
                block = _Block([]) if top else self.block
                self.children[position, key] = FlatGroup(
                    self._weights, block, joined(self.path, key.name), key.trainable, key, self
                )
        groups = [self.children[position, key] for position, key in enumerate(layers)]
        if top and len(self.children) > known:
            self._weights.model_layers(groups)
        return list(groups)

    def stored(self, key: str) -> np.ndarray | None:
        """Give a variable by the last part of its name: this layout keeps no keys."""
        found = [stored for stored in self.block.stored if _leaf(stored) == key]
        return found[0].array if len(found) == 1 else None

    @property
    def described(self) -> str:
        """Say which layer this is."""
        return self.path or "the model"


def attribute_list(attributes: dict[str, Any], name: str) -> list[str]:
    """Read a list of names, in pieces `name0`, `name1`, ... where it is longer than HDF5 allows."""
    if name in attributes:
        pieces = [attributes[name]]
    else:
        pieces = []
        while f"{name}{len(pieces)}" in attributes:
            pieces.append(attributes[f"{name}{len(pieces)}"])
    return [str(item) for piece in pieces for item in (piece if isinstance(piece, list) else [piece])]


def _read(file: Hdf5, prefix: str, names: list[str], url: str) -> Iterator[tuple[str, list[Stored]]]:
    places = {name: joined(prefix, name) for name in names if joined(prefix, name) in file}
    attributes = file.all_attributes(places.values())
    paths = {
        name: [f"{place}/{weight}" for weight in attribute_list(attributes[place], "weight_names")]
        for name, place in places.items()
    }
    datasets = file.datasets(path for found in paths.values() for path in found if path in file)
    for name, found in paths.items():
        missing = [path for path in found if path not in datasets]
        if missing:
            raise FormatError(url, f"lists the variable {missing[0]}, which is not there")
        yield name, from_cudnn([datasets[path] for path in found])


def _assign(weights: FlatWeights, group: FlatGroup) -> dict[_Request, int]:
    """Give each request of a block its place in the list: by the order that fits best.

    The first order is what Keras does; the others are for flags that the config does not record.
    """
    block = group.block
    originals = _originals(block)
    best: tuple[int, dict[_Request, int]] | None = None
    orders = list(_orders(group, weights.keras2))
    for order in orders:
        distinct = [request for request in order if originals[request] is request]
        places = _align(distinct, block.stored)
        if places is not None:
            score = sum(_agreement(request, block.stored[places[request]]) for request in distinct)
            if best is None or score > best[0]:
                best = score, places
    if best is None:
        raise _misfit(weights.url, group, [request for request in orders[0] if originals[request] is request])
    return {request: best[1][originals[request]] for request in block.requests}


def _originals(block: _Block) -> dict[_Request, _Request]:
    """Find the requests that are for the same variable: a layer that several models share is listed once."""
    if len(block.requests) <= len(block.stored):
        return {request: request for request in block.requests}
    first: dict[Any, _Request] = {}
    return {
        request: first.setdefault((request.identity, request.shape), request) for request in block.requests
    }


def _orders(group: FlatGroup, keras2: bool) -> Iterator[list[_Request]]:
    """Give the orders that the list may be in, the most likely first."""
    everything = list(_tracked(group))

    def parted(trainable: list[bool]) -> list[_Request]:
        pairs = list(zip(everything, trainable, strict=True))
        return [request for request, flag in pairs if flag] + [request for request, flag in pairs if not flag]

    own = [request.trainable and request.group.trainable for request in everything]
    within = [request.trainable and _within(request.group) for request in everything]
    first, last = _split(group)
    keras3 = [parted(own) if group.trainable else everything, parted(within)]
    yield from [first + last, *keras3] if keras2 else [*keras3, first + last]
    yield parted([request.trainable for request in everything])
    yield everything


def _tracked(group: FlatGroup) -> Iterator[_Request]:
    """List a layer's own variables, then those of its sublayers (`Layer.weights` in Keras 3)."""
    yield from sorted(group.requests.values(), key=lambda request: not request.trainable)
    for child in group.children.values():
        yield from _tracked(child)


def _within(group: FlatGroup | None) -> bool:
    return group is None or (group.trainable and _within(group.parent))


def _split(group: FlatGroup) -> tuple[list[_Request], list[_Request]]:
    """List the trainable and the other variables as Keras 2 does (engine/base_layer.py, training.py)."""
    own = list(group.requests.values())
    first = [request for request in own if request.trainable]
    last = [request for request in own if not request.trainable]
    children = [_split(child) for child in group.children.values()]
    if not group.trainable and group.is_model:  # all of its layers' trainable variables come first
        first += [request for child in children for request in child[0]]
        return [], first + last + [request for child in children for request in child[1]]
    if not group.trainable:
        return [], first + last + [request for child in children for part in child for request in part]
    return (
        first + [request for child in children for request in child[0]],
        last + [request for child in children for request in child[1]],
    )


def _align(requests: list[_Request], stored: list[Stored]) -> dict[_Request, int] | None:
    """Pair requests with variables in order; variables that nobody asks for are skipped by their names."""
    if len(requests) > len(stored):
        return None
    if all(request.shape == found.shape for request, found in zip(requests, stored, strict=False)) and (
        len(requests) == len(stored) or all(map(_same_leaf, requests, stored))
    ):
        return {request: index for index, request in enumerate(requests)}
    if len(requests) == len(stored):
        return None
    places, index = {}, 0
    for request in requests:
        while index < len(stored) and not (
            _same_leaf(request, stored[index]) and request.shape == stored[index].shape
        ):
            index += 1
        if index == len(stored):
            return None
        places[request] = index
        index += 1
    return places


def _agreement(request: _Request, stored: Stored) -> int:
    """Count what the name of a variable says that its layer says too."""
    parts, layers, group = stored.name.split("/"), 0, request.group
    while group.parent is not None and group.parent.path:
        layers += group.key is not None and group.key.name in parts
        group = group.parent
    return 2 * _same_leaf(request, stored) + layers


def _assigned(block: _Block) -> list[tuple[_Request, Stored]]:
    return [(request, block.stored[request.index]) for request in block.requests if request.index is not None]


def _names_another(request: _Request, stored: Stored, block: _Block) -> bool:
    """Whether the name of a variable has a layer of the block in it, and not the one that it goes to."""
    parts = set(stored.name.split("/"))
    layers = {other.layer for other in block.requests}
    return request.layer not in parts and bool(layers & parts)


def _same_leaf(request: _Request, stored: Stored) -> bool:
    return _leaf(stored) == request.name


def _leaf(stored: Stored) -> str:
    return stored.name.rsplit("/", 1)[-1].split(":")[0]


def _misfit(url: str, group: FlatGroup, requests: list[_Request]) -> FormatError:
    """Say what does not fit: the first shape that differs from the file's, else the number of variables."""
    stored = group.block.stored
    if len(requests) == len(stored):
        for request, found in zip(requests, stored, strict=True):
            if request.shape != found.shape:
                return FormatError(
                    url,
                    f"{request.group.described}: {request.name} is {request.shape} in the config, "
                    f"and {found.shape} in the file ({found.name})",
                )
    asked = ", ".join(f"{request.name} {request.shape}" for request in requests[:12])
    there = listed(stored) or "no variables"
    return FormatError(url, f"{group.described} needs {len(requests)} variables ({asked}); it has {there}")
