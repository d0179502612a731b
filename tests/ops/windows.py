"""Sums over windows written out in numpy, as references of convolutions and pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.ops.enums import Padding

SAME = Padding.SAME


def pads(size: int, out: int, window: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max((out - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def patches(x: Any, windows: Any, strides: Any, dilations: Any, padding: Padding) -> Any:
    """Return [batch, *out, *windows, channels] of a channels-last array, padded with zeros."""
    sizes = x.shape[1:-1]
    if padding is SAME:
        outs = [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]
        x = np.pad(x, [(0, 0), *map(pads, sizes, outs, windows, strides, dilations), (0, 0)])
    else:
        outs = [
            (size - (window - 1) * dilation - 1) // stride + 1
            for size, window, stride, dilation in zip(sizes, windows, strides, dilations, strict=True)
        ]
    result = np.zeros((x.shape[0], *outs, *windows, x.shape[-1]), np.float64)
    for place in np.ndindex(*outs):
        for offset in np.ndindex(*windows):
            at = [p * s + o * d for p, s, o, d in zip(place, strides, offset, dilations, strict=True)]
            result[(slice(None), *place, *offset)] = x[(slice(None), *at)]
    return result


def conv_reference(x: Any, w: Any, bias: Any, strides: Any, dilations: Any, padding: Padding) -> Any:
    """A grouped convolution: w is [out, *windows, in / groups]."""
    out, *windows, inner = w.shape
    seen = patches(x, windows, strides, dilations, padding)
    groups = x.shape[-1] // inner
    share = out // groups
    axes = list(range(-len(windows) - 1, 0))
    parts = [
        np.tensordot(seen[..., g * inner : (g + 1) * inner], w[g * share : (g + 1) * share], (axes, axes))
        for g in range(groups)
    ]
    return np.concatenate(parts, -1) + bias


def spread_reference(x: Any, w: Any, shape: Any, strides: Any, padding: Padding) -> Any:
    """The gradient: every input adds its filter ([out, *windows, in]) to the places that it was made of."""
    out, *windows, _ = w.shape
    extents = [
        (size - 1) * stride + window
        for size, stride, window in zip(x.shape[1:-1], strides, windows, strict=True)
    ]
    full = np.zeros((x.shape[0], *map(max, extents, shape), out))
    for place in np.ndindex(*x.shape[1:-1]):
        for offset in np.ndindex(*windows):
            at = [p * s + o for p, s, o in zip(place, strides, offset, strict=True)]
            full[(slice(None), *at)] += x[(slice(None), *place)] @ w[(slice(None), *offset)].T
    starts = [0] * len(windows)
    if padding is SAME:
        starts = [
            pads(n, size, k, s, 1)[0]
            for n, size, k, s in zip(shape, x.shape[1:-1], windows, strides, strict=True)
        ]
        full = np.pad(full, [(0, 0), *[(0, k) for k in windows], (0, 0)])
    return full[(slice(None), *[slice(start, start + n) for start, n in zip(starts, shape, strict=True)])]
