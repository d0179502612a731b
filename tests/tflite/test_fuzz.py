"""Damaged files: the reader refuses with a FormatError or gives a model; it never hangs or fills memory."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from time import perf_counter

import pytest

from litecast.errors import FormatError
from litecast.tflite.reader import read
from litecast.tflite.runtime import _signature_order
from litecast.tflite.writer import write
from tests.tflite.graphs import dense_model
from tests.tflite.test_reader import csr, nest, packed, sparse_model
from tests.tflite.test_writer import everything, unpacked

MEMORY = 200 << 20
SECONDS = 5


def attempt(content: bytes) -> bool:
    """Read a damaged model; whether it was accepted."""
    try:
        model = read(content)
    except FormatError:
        return False
    assert all(str(value.type) for graph in model.all_graphs() for value in graph.values())
    return True


def seeds() -> dict[str, bytes]:
    import numpy as np

    return {
        "dense": write(dense_model()),
        "everything": write(everything()),
        "outside": write(everything(), inline_limit=0),
        "sparse": write(sparse_model(csr(3), np.float32([1, 2, 3]), (3, 3))),
    }


def damage(content: bytes, choice: random.Random) -> bytes:
    result = bytearray(content)
    kind = choice.randrange(4)
    if kind == 0:
        del result[choice.randrange(len(result)) :]
    for _ in range(choice.choice((1, 1, 2, 8, 64))):
        place = choice.randrange(max(len(result) - 4, 1))
        if kind == 1:
            result[place : place + 1] = bytes([choice.randrange(256)])
        elif kind == 2:
            value = choice.choice(
                (0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, len(result), choice.getrandbits(32))
            )
            result[place : place + 4] = value.to_bytes(4, "little")
        elif kind == 3:
            other = choice.randrange(max(len(result) - 8, 1))
            result[place : place + 4] = result[other : other + 4]
    result[4:8] = b"TFL3"
    return bytes(result)


@pytest.mark.parametrize("name", ["dense", "everything", "outside", "sparse"])
def test_random_damage(name: str):
    content = seeds()[name]
    choice = random.Random(name)
    start = perf_counter()
    outcomes = [attempt(damage(content, choice)) for _ in range(250)]
    assert any(outcomes)
    assert not all(outcomes)
    assert perf_counter() - start < 60


def test_every_truncation():
    content = write(dense_model())
    assert not any(attempt(content[:length]) for length in range(0, len(content) // 2))


@pytest.mark.parametrize("name", ["kws/reference_int8", "sww/reference_int8", "basic_pitch/reference"])
def test_damaged_real_models(shared: Path, name: str):
    content = (shared / "models" / f"{name}.tflite").read_bytes()
    choice = random.Random(name)
    tracemalloc.start()
    for _ in range(25):
        start = perf_counter()
        # Damage the metadata: the first and the last 20 kB hold the tables in files of either layout.
        half = choice.random() < 0.5
        head = damage(content[:20_000], choice) if half else content[:20_000]
        attempt(
            head
            + content[len(head) : -20_000]
            + (content[-20_000:] if half else damage(content[-20_000:], choice))
        )
        assert perf_counter() - start < SECONDS
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY


def bomb(content: bytes, offset_of: str) -> bytes:
    """Let all entries of a vector of tables refer to the same large table."""
    result = bytearray(content)
    from litecast.tflite.schema import schema

    root = schema().Model.GetRootAs(result)
    owner = root if offset_of == "Subgraphs" else root.Subgraphs(0)
    slot = {"Subgraphs": 8, "Tensors": 4, "Operators": 10}[offset_of]
    start = owner._tab.Vector(owner._tab.Offset(slot))
    result[start - 4 : start] = ((len(result) - start) // 4).to_bytes(4, "little")
    return bytes(result)


@pytest.mark.parametrize("vector", ["Subgraphs", "Tensors", "Operators"])
def test_vectors_as_long_as_the_file(vector: str):
    content = bomb(write(dense_model(64, 1024)), vector)
    tracemalloc.start()
    start = perf_counter()
    assert not attempt(content)
    assert perf_counter() - start < SECONDS
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()


def test_shared_branches_do_not_explode():
    """60 nested IFs whose branches are the same graph: 2**60 paths, 61 graphs."""
    model = unpacked(write(dense_model()))
    nest(model, 60, circle=False)
    start = perf_counter()
    result = read(packed(model))
    assert len(list(result.all_graphs())) == 61
    assert perf_counter() - start < SECONDS


def test_runtime_survives_a_damaged_signature():
    from litecast.errors import ConvertError

    def survives(content: bytes) -> bool:
        try:
            _signature_order(content)
        except ConvertError:
            return False
        return True

    choice = random.Random(7)
    content = write(dense_model())
    outcomes = [survives(damage(content, choice)) for _ in range(200)]
    assert any(outcomes)
    assert not all(outcomes)
