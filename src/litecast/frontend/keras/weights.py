"""Which variable of a file belongs to which layer: variables are held by order, sublayers by attribute.

A `Group` stands for one layer; whoever traces the model asks it for what the layer creates, in the order in
which Keras creates it. `TreeWeights` answers from the layout of `.keras` and `.weights.h5` files,
`FlatWeights` (flat.py) from the legacy HDF5 layout.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.errors import FormatError
from litecast.frontend.keras.hdf5 import Hdf5, Stored

__all__ = ["Group", "LayerKey", "NoWeights", "TreeWeights", "Weights", "listed", "snake_case"]

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""Attributes under which a model's layers are saved: TF 2.12 walked the attributes from the other end."""
_CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Name in the config -> name of the Python class, where they differ."""
_LISTED = 12
"""How many variables an error lists."""


@dataclass(frozen=True)
class LayerKey:
    """What a file knows a model's layer by."""

    class_name: str
    name: str
    trainable: bool = True


class Group(ABC):
    """The variables of one layer; `path` says which, for messages."""

    path: str

    @abstractmethod
    def weight(self, name: str, shape: tuple[int, ...], trainable: bool = True) -> np.ndarray:
        """Give the variable `name`: the n-th distinct name asked for is the n-th variable.

        Raises FormatError where there is none or its shape is another.
        """

    @abstractmethod
    def child(self, attribute: str, trainable: bool = True) -> Group:
        """Give the group of the sublayer held under an attribute (`cells/lstm_cell_1`: in a list)."""

    @abstractmethod
    def layers(self, layers: Sequence[LayerKey]) -> list[Group]:
        """Give the groups of the layers of a model, which this group stands for."""

    def asset(self, filename: str) -> bytes | None:
        """Give a file that the layer has saved beside its variables, None where there is none."""
        return None

    def stored(self, key: str) -> np.ndarray | None:
        """Give a variable by its key in the file, None where there is none."""
        return None


class Weights(ABC):
    """The variables of a model."""

    unsettled: bool = False
    """Whether answers so far may be wrong: call `settle`, and ask everything again."""

    @abstractmethod
    def root(self, layers: Sequence[LayerKey]) -> Group:
        """Give the group of the model itself, whose layers are these."""

    def doubts(self) -> list[str]:
        """Say, for the report, where the answers may not be what the model was trained with."""
        return []

    def settle(self) -> None:  # noqa: B027  (nothing to do where every answer is final)
        """Assign the variables, now that everything has been asked for; FormatError if they do not fit."""


class NoWeights(Weights):
    """A config alone: the first variable asked for is an error."""

    def __init__(self, url: str) -> None:
        self._url = url

    def root(self, layers: Sequence[LayerKey]) -> Group:
        """Give the group of the model itself."""
        return _NoGroup(self._url, "")


class _NoGroup(Group):
    def __init__(self, url: str, path: str) -> None:
        self._url, self.path = url, path

    def weight(self, name: str, shape: tuple[int, ...], trainable: bool = True) -> np.ndarray:
        raise FormatError(
            self._url,
            f"has no weights, and {self.path or 'the model'} needs {name} {shape}",
            f"Name the file that has them: litecast convert {self._url} --weights model.weights.h5",
        )

    def child(self, attribute: str, trainable: bool = True) -> Group:
        return _NoGroup(self._url, joined(self.path, attribute))

    def layers(self, layers: Sequence[LayerKey]) -> list[Group]:
        return [_NoGroup(self._url, joined(self.path, key.name)) for key in layers]


class TreeWeights(Weights):
    """Variables under `layers/dense_1/vars/0`, as keras/src/saving/saving_lib.py saves them.

    `renumbered`: layers saved before do not count in the names (tf_keras does so, Keras 3 does not).
    """

    def __init__(
        self,
        files: Sequence[Hdf5],
        url: str,
        *,
        renumbered: bool | None = None,
        asset: Callable[[str], bytes | None] = lambda path: None,
    ) -> None:
        self.url, self.renumbered, self.asset = url, renumbered, asset
        self._files = files
        self._stored: dict[str, dict[str, Stored]] = {}
        self.paths: set[str] = set()
        for file in files:
            names = [name for name in file.names if name.split("/", 1)[0] != "optimizer"]
            self.paths.update(names)
            self.paths.update(
                name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)
            )
            for name, stored in file.datasets([name for name in names if _is_variable(name)]).items():
                location, _, key = f"/{name}".rpartition("/vars/")
                self._stored.setdefault(location[1:], {})[key] = stored
        self.elsewhere: dict[str, str] = {}
        self.namesakes: dict[str, str] = {}
        self._known: dict[tuple[str, str], str] = {}
        self._named: dict[tuple[str, str], list[str]] | None = None
        self._root = TreeGroup(self, "", "")

    def root(self, layers: Sequence[LayerKey]) -> Group:
        """Give the group of the model itself."""
        return self._root

    def plan(self, config: Mapping[str, Any]) -> None:
        """Note which layers of a config were saved before, as a part of something else, and where."""
        walk = _Walk(bool(self.renumbered), self.elsewhere, self.namesakes)
        walk.count(config)
        walk.model(config, "", "")

    def place(self, location: str) -> str | None:
        """Return a location as the file spells it, None where the file has nothing of it."""
        older = location.replace("layers/", f"{_CONTAINERS[1]}/")
        return next((path for path in (location, older) if path in self.paths), None)

    def variables(self, location: str) -> dict[str, Stored]:
        """Return what a layer has saved, by key, in the order of the keys."""
        own = self._stored.get(location, {})
        return {key: own[key] for key in sorted(own, key=_natural)}

    def register(self, key: LayerKey, location: str) -> None:
        """Remember where a layer is, for models that hold it too."""
        self._known.setdefault((key.class_name, key.name), location)

    def shared(self, key: LayerKey) -> str | None:
        """Find a layer that was saved as part of another model first: a shared layer is only saved once.

        Later Keras 3 saves the layer's name with its variables (`_save_state`).
        """
        known = self._known.get((key.class_name, key.name))
        if known is not None:
            return known
        if self._named is None:
            self._named = self._names()
        found = self._named.get((snake_case(key.class_name), key.name), [])
        return found[0] if len(found) == 1 else None

    def _names(self) -> dict[tuple[str, str], list[str]]:
        named: dict[tuple[str, str], list[str]] = {}
        for file in self._files:
            groups = [name for name in file.names if name.endswith("/vars") and name in self.paths]
            for group, attributes in file.all_attributes(groups).items():
                location = group[: -len("/vars")]
                kind = re.sub(r"_\d+$", "", location.rsplit("/", 1)[-1])
                named.setdefault((kind, str(attributes.get("name", ""))), []).append(location)
        return named


class TreeGroup(Group):
    """A layer at a location in the file; None: nothing was saved under the place where it should be."""

    def __init__(
        self, weights: TreeWeights, location: str | None, path: str, key: LayerKey | None = None
    ) -> None:
        self._weights, self._location, self.path, self._key = weights, location, path, key
        self._order: dict[str, int] = {}
        self._children: dict[Any, TreeGroup] = {}
        self._variables: dict[str, Stored] | None = None

    def weight(self, name: str, shape: tuple[int, ...], trainable: bool = True) -> np.ndarray:
        index = self._order.setdefault(name, len(self._order))
        variables = self._own()
        found = variables.get(str(index), variables.get(name))
        if found is None:
            there = listed(variables.values()) or "no variables"
            raise FormatError(self._weights.url, f"{self._described()} needs {name} {shape}; it has {there}")
        check_shape(self._weights.url, self._described(), name, shape, found)
        return found.array

    def child(self, attribute: str, trainable: bool = True) -> Group:
        if attribute not in self._children:
            location = None
            if self._here is not None:
                bare = attribute.lstrip("_")
                candidates = [joined(self._here, name) for name in (attribute, f"_{bare}", bare)]
                location = next((path for path in candidates if path in self._weights.paths), None)
            self._children[attribute] = TreeGroup(self._weights, location, joined(self.path, attribute))
        return self._children[attribute]

    def layers(self, layers: Sequence[LayerKey]) -> list[Group]:
        container = None
        if self._here is not None:
            places = [joined(self._here, name) for name in _CONTAINERS]
            container = next((path for path in places if path in self._weights.paths), None)
        names = self._names(layers, container)
        groups: list[Group] = []
        for position, (key, name) in enumerate(zip(layers, names, strict=True)):
            path = joined(self.path, key.name)
            location = None if name is None else self._weights.place(f"{container}/{name}")
            if path in self._weights.elsewhere:
                location = self._weights.place(self._weights.elsewhere[path])
            if location is not None:
                self._weights.register(key, location)
            group = TreeGroup(self._weights, location, path, key)
            groups.append(self._children.setdefault((position, key), group))
        return groups

    def asset(self, filename: str) -> bytes | None:
        return None if self._here is None else self._weights.asset(joined(self._here, filename))

    def stored(self, key: str) -> np.ndarray | None:
        found = self._own().get(key)
        return None if found is None else found.array

    @property
    def _here(self) -> str | None:
        if self._location is None and self._key is not None:
            place = self._weights.namesakes.get(self.path)
            self._location = self._weights.place(place) if place else self._weights.shared(self._key)
        return self._location

    def _own(self) -> dict[str, Stored]:
        if self._variables is None:
            self._variables = {} if self._here is None else self._weights.variables(self._here)
        return self._variables

    def _described(self) -> str:
        return self.path or "the model"

    def _names(self, layers: Sequence[LayerKey], container: str | None) -> list[str | None]:
        """Name the layers as in the file: by class, numbered within the model (`_save_container_state`)."""
        members: dict[str, list[int]] = {}
        for position, key in enumerate(layers):
            if self._weights.renumbered and joined(self.path, key.name) in self._weights.elsewhere:
                continue
            members.setdefault(snake_case(key.class_name), []).append(position)
        names: list[str | None] = [None] * len(layers)
        for kind, positions in members.items():
            numbered = [f"{kind}_{number}" if number else kind for number in range(len(positions))]
            if self._weights.renumbered and container is not None:
                positions = self._counted(layers, positions, container, numbered)
            for position, name in zip(positions, numbered, strict=False):
                names[position] = name
        return names

    def _counted(
        self, layers: Sequence[LayerKey], positions: list[int], container: str, numbered: list[str]
    ) -> list[int]:
        """Leave out the layers that other models have saved already, where there are fewer than layers."""
        present = sum(f"{container}/{name}" in self._weights.paths for name in numbered)
        if present == len(positions):
            return positions
        paths = {index: joined(self.path, layers[index].name) for index in positions}
        fresh = [index for index in positions if paths[index] not in self._weights.namesakes]
        return fresh if len(fresh) == present else positions


class _Walk:
    """Keras's walk through a model as it saves it (`_save_state`): what it meets again, it passes over."""

    def __init__(self, renumbered: bool, elsewhere: dict[str, str], namesakes: dict[str, str]) -> None:
        self._renumbered, self._elsewhere, self._namesakes = renumbered, elsewhere, namesakes
        self._visited: dict[Any, str] = {}
        self._ids: Counter[Any] = Counter()

    def count(self, config: Mapping[str, Any]) -> None:
        """Count how often the config has the id of each object."""
        stack: list[Any] = [config]
        while stack:
            item = stack.pop()
            if isinstance(item, Mapping):
                self._ids[_shared_id(item)] += 1
                stack.extend(item.values())
            elif isinstance(item, list):
                stack.extend(item)

    def model(self, serialized: Mapping[str, Any], path: str, location: str) -> None:
        """Visit the layers of a model, then those that other layers hold."""
        config = serialized.get("config")
        if not isinstance(config, Mapping):
            return
        counts: dict[str, int] = {}
        for layer in config["layers"] if isinstance(config.get("layers"), list) else ():
            if not isinstance(layer, Mapping) or str(layer.get("module", "")).startswith("keras.src.ops"):
                continue
            seen = self._twin(layer) is not None
            kind = snake_case(str(layer.get("class_name")).rpartition(">")[2])
            number = counts.get(kind, 0)
            if not (seen and self._renumbered):
                counts[kind] = number + 1
            place = f"{kind}_{number}" if number else kind
            self._layer(layer, joined(path, _name(layer)), joined(location, f"layers/{place}"))
        for attribute, held in config.items():
            if isinstance(held, Mapping) and "class_name" in held and "config" in held:
                self._layer(held, joined(path, attribute), joined(location, attribute))

    def _layer(self, layer: Mapping[str, Any], path: str, location: str) -> None:
        twin = self._twin(layer)
        if twin is not None:
            self._elsewhere[path] = twin
            return
        shared = _shared_id(layer)
        if shared is None and self._key(layer) in self._visited:
            self._namesakes[path] = self._visited[self._key(layer)]
        self._visited.setdefault(self._key(layer) if shared is None else shared, location)
        self.model(layer, path, location)

    def _twin(self, layer: Mapping[str, Any]) -> str | None:
        """Find the same object by its id; the first of its kind lost that where a nested model was copied."""
        shared = _shared_id(layer)
        if shared is None:
            return None
        namesake = self._visited.get(self._key(layer)) if self._ids[shared] == 1 else None
        return self._visited.get(shared, namesake)

    def _key(self, layer: Mapping[str, Any]) -> Any:
        return str(layer.get("class_name")), _name(layer)


def _shared_id(serialized: Mapping[str, Any]) -> int | None:
    shared = serialized.get("shared_object_id")
    return shared if isinstance(shared, int) else None


def _name(layer: Mapping[str, Any]) -> str:
    inner = layer.get("config")
    return str(layer.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None))


def snake_case(class_name: str) -> str:
    """Return a class name as Keras writes it in paths (keras/src/utils/naming.py)."""
    name = re.sub(r"\W+", "", _CLASSES.get(class_name, class_name))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def check_shape(url: str, path: str, name: str, shape: tuple[int, ...], found: Stored) -> None:
    """Raise FormatError where the variable in the file has another shape than the config asks for."""
    if tuple(found.shape) != tuple(shape):
        raise FormatError(
            url,
            f"{path}: {name} is {tuple(shape)} in the config, and {found.shape} in the file ({found.name})",
        )


def listed(variables: Iterable[Stored]) -> str:
    """List variables and their shapes for a message."""
    names = [f"{found.name} {found.shape}" for found in variables]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def joined(path: str, name: str) -> str:
    """Join two paths, of which the first may be empty."""
    return f"{path}/{name}" if path else name


def _is_variable(name: str) -> bool:
    return "vars" in name.split("/")[:-1]


def _natural(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() and len(key) < 10 else (1 << 31, key)
