"""Quantization and sparsity between the IR, which refers to values, and the schema, which numbers tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.ir.types import Blockwise, Quant
from litecast.tflite.schema import camel, schema, snake, table, union_member

__all__ = ["Details", "Sparsity", "densify", "pack_quant", "quant_values", "unpack_quant"]

_TENSORS = ("scales", "zero_points")


@dataclass(frozen=True)
class Details:
    """Quantization details other than plain blockwise ones, as they are: a table and its fields."""

    table: str
    items: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, eq=False)
class Sparsity:
    """How a constant is stored sparsely: the schema's parameters, and the bytes that the file holds."""

    parameters: Any
    data: Array


def quant_values(quant: Quant | None) -> list[Value]:
    """Return the values that a quantization refers to."""
    details = None if quant is None else quant.details
    if isinstance(details, Blockwise):
        return [value for value in (details.scales, details.zero_points) if value is not None]
    if isinstance(details, Details):
        return [value for _, value in details.items if isinstance(value, Value)]
    return []


def pack_quant(quant: Quant, number: Callable[[Value | None], int]) -> Any:
    """Return the schema's parameters of a quantization; `number` counts tensors (-1 for None)."""
    result = table("QuantizationParameters", quantizedDimension=quant.axis)
    if quant.scales:
        result.scale = np.array(quant.scales, np.float32)
        result.zeroPoint = np.array(quant.zero_points, np.int64)
    if quant.min:
        result.min = np.array(quant.min, np.float32)
    if quant.max:
        result.max = np.array(quant.max, np.float32)
    details = quant.details
    if isinstance(details, Blockwise):
        items: dict[str, Any] = {"scales": details.scales, "zero_points": details.zero_points}
        details = Details("BlockwiseQuantization", (*items.items(), ("block_size", details.block_size)))
    if details is not None:
        fields = {name: number(value) if name in _TENSORS else value for name, value in details.items}
        packed = {camel(name): _pack_detail(value) for name, value in fields.items()}
        result.detailsType = getattr(schema().QuantizationDetails, details.table)
        result.details = table(details.table, **packed)
    return result


def _pack_detail(value: Any) -> Any:
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    return list(value) if isinstance(value, tuple) else value


def unpack_quant(parameters: Any, value: Callable[[int], Value | None]) -> Quant | None:
    """Return the quantization of the schema's parameters, None where they say nothing."""
    scales = _floats(parameters.scale)
    zero_points = () if parameters.zeroPoint is None else tuple(map(int, parameters.zeroPoint))
    if len(zero_points) != len(scales):
        if len(zero_points) > 1:
            raise ValueError(f"{len(scales)} scales and {len(zero_points)} zero points")
        zero_points = (zero_points or (0,)) * len(scales)
    details = _unpack_details(parameters, value)
    result = Quant(
        scales,
        zero_points,
        parameters.quantizedDimension,
        _floats(parameters.min),
        _floats(parameters.max),
        details,
    )
    return None if result == Quant(axis=result.axis) else result


def _floats(vector: Any) -> tuple[float, ...]:
    return () if vector is None else tuple(map(float, vector))


def _unpack_details(parameters: Any, value: Callable[[int], Value | None]) -> Any:
    if not parameters.detailsType:
        return None
    name = union_member("QuantizationDetails", parameters.detailsType)
    if name is None or parameters.details is None:
        raise ValueError(
            f"quantization details of type {parameters.detailsType}, which the schema does not know"
        )
    items: dict[str, Any] = {}
    for attribute, content in vars(parameters.details).items():
        field = snake(attribute)
        if field in _TENSORS:
            items[field] = value(content)
        elif isinstance(content, np.ndarray):
            items[field] = content.tobytes() if content.dtype == np.uint8 else tuple(content.tolist())
        elif content is not None:
            items[field] = content
    if name == "BlockwiseQuantization" and set(items) == {*_TENSORS, "block_size"}:
        if items["scales"] is None:
            raise ValueError("blockwise quantization without scales")
        return Blockwise(items["scales"], items["zero_points"], items["block_size"])
    return Details(name, tuple(items.items()))


def densify(parameters: Any, data: Array, shape: tuple[int, ...]) -> Array:
    """Return the dense array of sparse `data` (its stored elements in order).

    Follows kernels/internal/utils/sparsity_format_converter.cc; metadata are listed in traversal order.
    """
    order = list(map(int, parameters.traversalOrder))
    block_map = [] if parameters.blockMap is None else list(map(int, parameters.blockMap))
    levels = parameters.dimMetadata or []
    rank = len(shape)
    if (
        len(levels) != len(order)
        or len(order) != rank + len(block_map)
        or sorted(order) != list(range(len(order)))
    ):
        raise ValueError("sparsity parameters that do not fit the shape")
    limit = int(np.prod(shape, dtype=object))
    nodes = np.zeros(1, np.int64)
    coordinates: list[Array] = []
    for level in levels:
        parents, inner, nodes = _children(level, nodes, limit)
        coordinates = [coordinate[parents] for coordinate in coordinates]
        coordinates.append(inner)
    if len(nodes) != len(data):
        raise ValueError(f"{len(data)} stored elements where the sparsity parameters name {len(nodes)}")
    place = dict(zip(order[:rank], coordinates, strict=False))
    for dim, coordinate, level in zip(order[rank:], coordinates[rank:], levels[rank:], strict=True):
        outer = block_map[dim - rank]
        place[outer] = place[outer] * level.denseSize + coordinate
    result = np.zeros(shape, data.dtype)
    result[tuple(place[dim] for dim in range(rank))] = data
    return result


def _children(level: Any, nodes: Array, limit: int) -> tuple[Array, Array, Array]:
    """Expand one level: for each child its parent's place, its coordinate, and its number in the level."""
    if level.format == schema().DimensionType.DENSE:
        count = level.denseSize
        if count < 0 or len(nodes) * count > max(limit, 1):
            raise ValueError("sparsity parameters that name more elements than the shape has")
        parents = np.repeat(np.arange(len(nodes)), count)
        inner = np.tile(np.arange(count, dtype=np.int64), len(nodes))
        return parents, inner, nodes[parents] * count + inner
    segments = np.asarray(level.arraySegments.values, np.int64)
    indices = np.asarray(level.arrayIndices.values, np.int64)
    starts, counts = segments[nodes], segments[nodes + 1] - segments[nodes]
    if (counts < 0).any() or counts.sum() > max(limit, 1):
        raise ValueError("sparsity parameters whose segments are out of order")
    parents = np.repeat(np.arange(len(nodes)), counts)
    within = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = starts[parents] + within
    return parents, indices[places], places
