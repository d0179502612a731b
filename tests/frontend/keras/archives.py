"""Keras files made by hand, without a framework."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

RNG = np.random.default_rng(0)
KERNEL, BIAS = RNG.normal(size=(3, 2)).astype(np.float32), RNG.normal(size=2).astype(np.float32)


def dense(name: str = "dense", units: int = 2, **keys: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": "Dense", "config": {"name": name, "units": units}, **keys}


def sequential(*layers: dict[str, Any], name: str = "model") -> dict[str, Any]:
    entry = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 3]}}
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": name, "layers": [entry, *layers]},
        "registered_name": None,
    }


def hdf5(datasets: Mapping[str, Any], attributes: Mapping[str, Any] = {}, **options: Any) -> bytes:
    """Write datasets by path and attributes by `path@name`."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for path, data in datasets.items():
            file.create_dataset(path, data=data, **options)
        for place, value in attributes.items():
            path, _, name = place.rpartition("@")
            file.require_group(path or "/").attrs[name] = value
    return content.getvalue()


def tree(kernel: Any = KERNEL, bias: Any = BIAS, **options: Any) -> bytes:
    """Weights of one Dense layer as `.keras` files hold them."""
    return hdf5({"layers/dense/vars/0": kernel, "layers/dense/vars/1": bias}, **options)


def legacy(version: str = "2.4.0", prefix: str = "model_weights/", **extra: Any) -> bytes:
    """A whole model of one Dense layer, or its weights, as Keras 2 writes them."""
    place = f"{prefix}dense"
    attributes = {
        f"{prefix.rstrip('/')}@layer_names": [b"x", b"dense"],
        f"{prefix.rstrip('/')}@keras_version": version.encode(),
        f"{prefix}x@weight_names": np.zeros(0),
        f"{place}@weight_names": [b"dense/kernel:0", b"dense/bias:0"],
    }
    if prefix:
        config = json.dumps(sequential(dense()))
        attributes |= {"@model_config": config, "@keras_version": version}
    return hdf5({f"{place}/dense/kernel:0": KERNEL, f"{place}/dense/bias:0": BIAS}, attributes | extra)


def archive(
    members: Mapping[str, bytes | str | None] | None = None, compression: int = zipfile.ZIP_STORED
) -> bytes:
    """A `.keras` archive of one Dense layer; `members` are added or take the place of its own."""
    whole = {
        "metadata.json": json.dumps({"keras_version": "3.15.0"}),
        "config.json": json.dumps(sequential(dense())),
        "model.weights.h5": tree(),
        **(members or {}),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, data in whole.items():
            if data is not None:
                file.writestr(name, data)
    return content.getvalue()
