"""Random numbers: the generators keep state between calls, so all but the bit generator have an effect."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum

from litecast.ir.graph import Value
from litecast.ir.op import UNWRITTEN, Inferred, Op, operation
from litecast.ir.types import Dim, DType, Shape, TensorType, fresh

__all__ = ["Multinomial", "RandomStandardNormal", "RandomUniform", "RngAlgorithm", "StablehloRngBitGenerator"]


def _shape(vector: Value) -> Shape | None:
    if vector.dtype is not DType.INT32:
        raise ValueError(f"the shape must be INT32, not {vector.dtype.name}")
    if vector.known is not None:
        return tuple(vector.known)
    if vector.type.shape is None or not isinstance(vector.type.size, int):
        return None
    return tuple(fresh("size") for _ in range(vector.type.size))


@operation
class Random(Op):
    """A generator (Philox, the numbers of TensorFlow's CPU kernels for equal seeds; kernels/random_ops.cc).

    Both seeds 0: each interpreter starts anywhere. Every run goes on in the sequence; allocating tensors anew
    starts it again.
    """

    seed: int = 0
    seed2: int = 0
    effect = "write"
    kernels = frozenset({DType.INT32})


@operation
class RandomUniform(Random, code=148, options="RandomOptions"):
    """Uniform FLOAT32 numbers in [0, 1) of the shape that the operand gives."""

    def infer(self, shape: Value) -> Inferred:
        return TensorType(DType.FLOAT32, _shape(shape))


@operation
class RandomStandardNormal(Random, code=146, options="RandomOptions"):
    """Normal FLOAT32 numbers of mean 0 and deviation 1 of the shape that the operand gives."""

    def infer(self, shape: Value) -> Inferred:
        return TensorType(DType.FLOAT32, _shape(shape))


@operation
class Multinomial(Random, code=149, options="RandomOptions"):
    """Classes drawn from rows of logits: [batch, classes] and a number of samples give [batch, samples]."""

    kernels = frozenset({DType.FLOAT32})
    dtype: DType = field(default=DType.INT64, metadata=UNWRITTEN)

    def infer(self, logits: Value, num_samples: Value) -> Inferred:
        if self.dtype not in (DType.INT32, DType.INT64) or num_samples.dtype is not DType.INT32:
            raise ValueError("the classes must be INT32 or INT64, the number of samples INT32")
        if logits.type.shape is None:
            return TensorType(self.dtype, None)
        if logits.rank != 2:
            raise ValueError(f"the logits must have rank 2, not {logits.rank}")
        samples: Dim = fresh("samples") if num_samples.known is None else num_samples.known.item()
        return TensorType(self.dtype, (logits.shape[0], samples))


class RngAlgorithm(IntEnum):
    """`RngAlgorithm`."""

    DEFAULT = 0
    PHILOX = 1
    THREEFRY = 2


_BITS = (DType.INT32, DType.INT64, DType.UINT32, DType.UINT64)


@operation
class StablehloRngBitGenerator(Op, code=204, options="StablehloRngBitGeneratorOptions"):
    """A pure generator: the state (UINT64) gives the next state and random bits of the file's type.

    `type` is static, 32 or 64-bit integers. THREEFRY wants a state of 2, PHILOX (and DEFAULT, which is the
    same) of 2 or 3 (kernels/rng_bit_generator.cc:108).
    """

    algorithm: RngAlgorithm = RngAlgorithm.DEFAULT
    type: TensorType | None = field(default=None, metadata=UNWRITTEN)
    kernels = frozenset({DType.UINT64})

    def infer(self, state: Value) -> Inferred:
        if self.type is None:
            raise ValueError("StablehloRngBitGenerator needs the type of the bits")
        if not self.type.is_static or self.type.dtype not in _BITS:
            raise ValueError(f"random bits are of static shape and 32 or 64 bits, not {self.type}")
        return TensorType(state.dtype, state.type.shape), self.type
