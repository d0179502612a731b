"""Products of tensors on values: matmul, dot_general and einsum, each at most one matrix product with its
movements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, broadcast, product
from litecast.lib import array, math, reduce
from litecast.lib.array import unsupported
from litecast.lib.complex import Complex, as_complex

__all__ = ["diagonal", "dot_general", "einsum", "matmul"]

MATMUL_RANK = 5
"""batch_matmul.cc: operands of rank 2 to 5."""


def matmul(b: Builder, x: Any, y: Any, adj_x: bool = False, adj_y: bool = False) -> Any:
    """Return x . y over the last two dimensions, broadcasting the rest; `adj_x`, `adj_y` transpose them
    first.

    Weights (a constant y of rank 2) give FULLY_CONNECTED. Integers, which have no kernel,
    are multiplied and summed.
    """
    if isinstance(x, Complex) or isinstance(y, Complex):
        return _matmul_complex(b, as_complex(b, x), as_complex(b, y), adj_x, adj_y)
    if isinstance(x, Value) and isinstance(y, Value):
        if x.dtype in (DType.FLOAT16, DType.BFLOAT16):
            wide = [array.cast(b, value, DType.FLOAT32) for value in (x, y)]
            return array.cast(b, matmul(b, wide[0], wide[1], adj_x, adj_y), x.dtype)
        if x.dtype.is_integer and not (x.is_const and y.is_const):
            return _matmul_integers(b, x, y, adj_x, adj_y)
        if x.dtype is not DType.FLOAT32 and not x.dtype.is_complex:
            raise unsupported(
                f"MatMul of {x.dtype.name.lower()}",
                "LiteRT has no kernel for this element type",
                "convert to float32",
            )
        if y.is_const and y.rank == 2 and not x.is_const:
            weights = y if adj_y else array.transpose(b, y, (1, 0))
            rows = _swap_last(b, x) if adj_x else x
            return b(ops.FullyConnected(keep_num_dims=x.rank > 2), rows, weights)
    return _batch_matmul(b, x, y, adj_x, adj_y)


def _matmul_complex(b: Builder, x: Complex, y: Complex, adj_x: bool, adj_y: bool) -> Complex:
    """Four real products (two where one operand is real); `adj` does not conjugate."""

    def times(left: Any, right: Any) -> Any:
        return matmul(b, left, right, adj_x, adj_y)

    if x.is_real or y.is_real:
        return Complex(
            times(x.re(b), y.re(b)), times(x.re(b), y.im(b)) if x.is_real else times(x.im(b), y.re(b))
        )
    re = b(ops.Sub(), times(x.re(b), y.re(b)), times(x.im(b), y.im(b)))
    return Complex(re, b(ops.Add(), times(x.re(b), y.im(b)), times(x.im(b), y.re(b))))


def _swap_last(b: Builder, x: Any) -> Any:
    return array.transpose(b, x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])


def _batch_matmul(b: Builder, x: Any, y: Any, adj_x: bool, adj_y: bool) -> Any:
    op = ops.BatchMatMul(adj_x=adj_x, adj_y=adj_y)
    if max(x.rank, y.rank) <= MATMUL_RANK:
        return b(op, x, y)
    batch = broadcast(x.shape[:-2], y.shape[:-2])
    padded = [(1,) * (len(batch) + 2 - value.rank) + tuple(value.shape) for value in (x, y)]
    groups = math.merged_axes([shape[:-2] for shape in padded])
    if len(groups) > MATMUL_RANK - 2:
        x, y = (math.broadcast_to(b, value, (*batch, *value.shape[-2:])) for value in (x, y))
        padded = [tuple(x.shape), tuple(y.shape)]
        groups = [list(range(len(batch)))]
    merged = [
        array.reshape(b, value, [*(product(shape[axis] for axis in group) for group in groups), *shape[-2:]])
        for value, shape in zip((x, y), padded, strict=True)
    ]
    result = b(op, *merged)
    return array.reshape(b, result, (*batch, *result.shape[-2:]))


def _matmul_integers(b: Builder, x: Any, y: Any, adj_x: bool, adj_y: bool) -> Any:
    """Multiply every pair of elements and sum: exact, and wraps as TensorFlow's integer product does."""
    left = array.expand_dims(b, _swap_last(b, x) if adj_x else x, -1)
    right = array.expand_dims(b, _swap_last(b, y) if adj_y else y, -3)
    return reduce.total(b, math.apply(b, ops.Mul(), left, right), (-2,))


def dot_general(
    b: Builder,
    x: Any,
    y: Any,
    contract: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> Any:
    """Return the sum of products over pairs of contracted axes, for equal indices of pairs of batch axes.

    The result has the batch axes, then x's free axes, then y's, as XLA's DotGeneral. Axes must not be
    negative.
    """
    free_x, free_y = (
        [axis for axis in range(value.rank) if axis not in (*contracted, *batched)]
        for value, contracted, batched in zip((x, y), contract, batch, strict=True)
    )
    kept_x = [x.shape[axis] for axis in free_x]
    kept_y = [y.shape[axis] for axis in free_y]
    if isinstance(y, Value) and y.is_const and not batch[0] and isinstance(x, Value) and not x.is_const:
        left = _arranged(b, x, (), free_x, contract[0], merge_free=not free_x)
        right = _arranged(b, y, (), contract[1], free_y)
        result = matmul(b, left, right)
        return array.reshape(b, result, (*kept_x, *kept_y))
    left, adj_x = _oriented(b, x, batch[0], free_x, contract[0])
    right, adj_y = _oriented(b, y, batch[1], free_y, contract[1])
    result = matmul(b, left, right, adj_x, not adj_y)
    if len(free_x) == len(free_y) == 1 and len(batch[0]) <= MATMUL_RANK - 2:
        return result
    dims = tuple(
        x.shape[axis] if isinstance(x.shape[axis], int) else y.shape[other]
        for axis, other in zip(*batch, strict=True)
    )
    return array.reshape(b, result, (*dims, *kept_x, *kept_y))


def _oriented(
    b: Builder, x: Any, batch: Sequence[int], free: Sequence[int], contract: Sequence[int]
) -> tuple[Any, bool]:
    """Arrange x as (batch, free, contract), or with the last two swapped where that saves a transpose.

    Returns whether they are swapped.
    """
    plain = [*batch, *free, *contract]
    swapped = [*batch, *contract, *free]
    if swapped == sorted(swapped) and plain != sorted(plain):
        return _arranged(b, x, batch, contract, free), True
    return _arranged(b, x, batch, free, contract), False


def _arranged(
    b: Builder,
    x: Any,
    batch: Sequence[int],
    rows: Sequence[int],
    columns: Sequence[int],
    merge_free: bool = True,
) -> Any:
    """Return x transposed to (batch, rows, columns), the rows (unless told not to) and the columns merged
    to one axis each.
    """
    x = array.transpose(b, x, [*batch, *rows, *columns])
    lead = list(x.shape[: len(batch)])
    middle = list(x.shape[len(batch) : len(batch) + len(rows)])
    last = product(x.shape[len(batch) + len(rows) :])
    if len(lead) > MATMUL_RANK - 2:
        lead = [product(lead)]
    return array.reshape(b, x, [*lead, *([product(middle)] if merge_free else middle), last])


# -- einsum ---------------------------------------------------------------------------------------------


def einsum(b: Builder, equation: str, operands: Sequence[Any]) -> Any:
    """Return the Einstein sum of one or more operands: ellipsis, repeated labels and sums as numpy has
    them.
    """
    terms, output = _parse(equation, [x.rank for x in operands])
    dims = _label_dims(terms, operands)
    pairs = []
    for index, (x, labels) in enumerate(zip(operands, terms, strict=True)):
        needed = set(output).union(*(terms[other] for other in range(len(terms)) if other != index))
        pairs.append(_reduced(b, x, labels, needed, dims))
    while len(pairs) > 1:
        (x, left), (y, right), *rest = pairs
        needed = set(output).union(*(labels for _, labels in rest))
        pairs = [_product(b, x, left, y, right, needed, output, dims), *rest]
    x, labels = pairs[0]
    missing = [label for label in output if label not in labels]
    if missing:  # an axis that only operands of dimension 1 had
        x = array.reshape(b, x, (*x.shape, *(1 for _ in missing)))
        labels = [*labels, *missing]
    return array.transpose(b, x, [labels.index(label) for label in output])


def _parse(equation: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """Split an equation into labels per operand and of the result; the axes of an ellipsis are labelled
    ...0, ...1.
    """
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise InferenceError(f"equation {equation} has {len(terms)} terms for {len(ranks)} operands")
    spread = max(
        (
            rank - len(term.replace("...", ""))
            for term, rank in zip(terms, ranks, strict=True)
            if "..." in term
        ),
        default=0,
    )
    labelled = [
        _labels(term, rank - len(term.replace("...", "")) if "..." in term else 0, spread)
        for term, rank in zip(terms, ranks, strict=True)
    ]
    for term, labels, rank in zip(terms, labelled, ranks, strict=True):
        if len(labels) != rank:
            raise InferenceError(f"term {term} of equation {equation} does not fit an operand of rank {rank}")
    if arrow:
        return labelled, _labels(right, spread, spread)
    named = [label for labels in labelled for label in labels if not label.startswith("...")]
    once = sorted(label for label in set(named) if named.count(label) == 1)
    return labelled, [*(f"...{axis}" for axis in range(spread)), *once]


def _labels(term: str, count: int, spread: int) -> list[str]:
    before, dots, after = term.partition("...")
    middle = [f"...{axis}" for axis in range(spread - count, spread)] if dots else []
    return [*before, *middle, *after]


def _label_dims(terms: Sequence[Sequence[str]], operands: Sequence[Any]) -> dict[str, Dim]:
    """Return the dimension of each label: a known one other than 1 where any operand has one."""
    dims: dict[str, Dim] = {}
    for labels, x in zip(terms, operands, strict=True):
        for label, dim in zip(labels, x.shape, strict=True):
            dims[label] = broadcast((dims.get(label, 1),), (dim,))[0]
    return dims


def _reduced(
    b: Builder, x: Any, labels: Sequence[str], needed: Iterable[str], dims: dict[str, Dim]
) -> tuple[Any, list[str]]:
    """Take the diagonal of repeated labels, drop axes that broadcast, and sum those that nothing else
    needs.
    """
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = diagonal(b, x, first, second)
            labels = [*(kept for axis, kept in enumerate(labels) if axis not in (first, second)), label]
    wide = [axis for axis, label in enumerate(labels) if x.shape[axis] == 1 and dims[label] != 1]
    if wide:
        x = array.squeeze(b, x, wide)
        labels = [label for axis, label in enumerate(labels) if axis not in wide]
    summed = [axis for axis, label in enumerate(labels) if label not in needed]
    if summed:
        x = reduce.total(b, x, summed)
        labels = [label for axis, label in enumerate(labels) if axis not in summed]
    return x, labels


def _product(
    b: Builder,
    x: Any,
    left: list[str],
    y: Any,
    right: list[str],
    needed: set[str],
    output: list[str],
    dims: dict[str, Dim],
) -> tuple[Any, list[str]]:
    """Multiply two operands and sum the labels that nothing else needs."""
    shared = [label for label in left if label in right]
    contracted = [label for label in shared if label not in needed]
    batched = sorted(
        (label for label in shared if label in needed), key=lambda label: _rank_of(label, output, left)
    )
    if not contracted:
        return _outer(b, x, left, y, right, output, dims)
    free_x = [label for label in left if label not in shared]
    free_y = [label for label in right if label not in shared]
    weights_first = (
        isinstance(x, Value) and x.is_const and not (isinstance(y, Value) and y.is_const) and not batched
    )
    if weights_first or (
        [*batched, *free_y, *free_x] == output and not (isinstance(y, Value) and y.is_const)
    ):
        x, left, free_x, y, right, free_y = y, right, free_y, x, left, free_x
    contracted.sort(key=left.index)
    result = dot_general(
        b,
        x,
        y,
        ([left.index(label) for label in contracted], [right.index(label) for label in contracted]),
        ([left.index(label) for label in batched], [right.index(label) for label in batched]),
    )
    return result, [*batched, *free_x, *free_y]


def _rank_of(label: str, output: Sequence[str], left: Sequence[str]) -> tuple[bool, int]:
    return (label not in output, output.index(label) if label in output else left.index(label))


def _outer(
    b: Builder, x: Any, left: list[str], y: Any, right: list[str], output: list[str], dims: dict[str, Dim]
) -> tuple[Any, list[str]]:
    """Multiply without a sum: both operands broadcast to the union of their labels."""
    order = sorted({*left, *right}, key=lambda label: _rank_of(label, output, [*left, *right]))
    aligned = []
    for value, labels in ((x, left), (y, right)):
        mine = [label for label in order if label in labels]
        moved = array.transpose(b, value, [labels.index(label) for label in mine])
        shape = iter(moved.shape)
        aligned.append(array.reshape(b, moved, [next(shape) if label in labels else 1 for label in order]))
    return math.apply(b, ops.Mul(), *aligned), order


def diagonal(b: Builder, x: Any, first: int = -2, second: int = -1) -> Any:
    """Return the elements with equal index on two axes of one dimension, as a new last axis."""
    first, second = (array.normalize_axis(axis, x.rank) for axis in (first, second))
    others = [axis for axis in range(x.rank) if axis not in (first, second)]
    size = x.shape[second] if isinstance(x.shape[second], int) else x.shape[first]
    moved = array.transpose(b, x, [*others, first, second])
    if not isinstance(size, int):
        raise unsupported("Diagonal", f"the dimension {size} is not known", "fix that dimension of the input")
    flat = array.reshape(b, moved, (*moved.shape[:-2], size * size))
    return array.gather(b, flat, np.arange(size, dtype=np.int32) * (size + 1), len(others))
