"""The operation: one immutable dataclass per TFLite builtin; its fields are the schema's options table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

from litecast.ir.types import DType, TensorType

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    from litecast.ir.graph import Graph, Value
else:

    def dataclass_transform(**_):
        """Stand in for what only type checkers read."""
        return lambda function: function


__all__ = [
    "OPS",
    "UNWRITTEN",
    "Array",
    "Effect",
    "Inferred",
    "Op",
    "Operands",
    "Outputs",
    "QuantSpec",
    "operation",
]

Array: TypeAlias = Any
"""A numpy array of any element type (mypy: numpy's own generic adds nothing here)."""
Effect: TypeAlias = Literal["pure", "read", "write"]
Inferred: TypeAlias = "TensorType | tuple[TensorType, ...]"
Operands: TypeAlias = "Sequence[Value | None]"
Outputs: TypeAlias = "Sequence[Value]"

UNWRITTEN = {"option": False}
"""Metadata of a field that is not in the options table of the schema (see `Op`)."""

OPS: dict[int, type[Op]] = {}
"""BuiltinOperator code -> class, for every operation that has a class of its own."""

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class QuantSpec:
    """What the quantized kernels of an operation compute right; a test measures every entry in LiteRT.

    What is quantized are the operands and results that are FLOAT32 before; all others stay as they are.
    A tensor of INT8 has any scale and zero point, one of INT16 any scale and the zero point 0.

    Attributes:
        activations: element types for which an integer kernel gives right numbers.
        same_scale: those of them for which all quantized operands and results must share one scale and zero
            point, because the kernel only moves or compares numbers.
        fixed: element type -> the only (scale, zero point) that the kernel accepts of its result.
        weight: the operands that may be constants of their own, symmetric type (`weights`); all or none.
        channel_axis: the dimension of a weight along which scales may differ; None: one scale per tensor.
        bias: the operand that is added to the products: INT32 with the scales input * weight (INT64 where
            activations are INT16).
        weights: element type of the activations -> those of the weight; FLOAT32 stands for the hybrid kernel,
            which quantizes its input when it runs.
        lookup: the kernel has no such input: it dequantizes the rows of the weight that it reads.
        blockwise: element types of the weight that FLOAT32 activations take with a scale per block of the
            last dimension.
        scale_per_channel: the hybrid kernel reads a scale per channel also where all are equal.
        free_weight: a weight that is no constant may be an activation of any scale and zero point.
        moved: element types of a constant weight that the kernel moves as they are: the weight then stays
            small in memory, and only the result is dequantized.
        whole_bytes: the kernel is wrong unless each row of a packed weight fills whole bytes.
    """

    activations: frozenset[DType] = frozenset()
    same_scale: frozenset[DType] = frozenset()
    fixed: Mapping[DType, tuple[float, int]] = field(default_factory=dict)
    weight: tuple[int, ...] = ()
    channel_axis: int | None = None
    bias: int | None = None
    weights: Mapping[DType, frozenset[DType]] = field(default_factory=dict)
    lookup: bool = False
    blockwise: frozenset[DType] = frozenset()
    scale_per_channel: bool = False
    free_weight: bool = False
    moved: frozenset[DType] = frozenset()
    whole_bytes: bool = False


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def operation(cls: Class) -> Class:
    """Make a class of operations a dataclass; what makes it immutable and comparable stands once, in `Op`.

    (`dataclass(frozen=True)` compiles six methods for each of 175 classes, at every start.)
    """
    return dataclass(eq=False, repr=False)(cls)  # type: ignore[return-value]


@operation
class Op:
    """An operation without its operands. Subclasses state, next to the fields, all that Litecast knows of it.

    Class keywords: `code` (BuiltinOperator) and `options` (the options table's name in the schema, if any).

    A field with metadata `UNWRITTEN` is not in the options table: it is what `infer` cannot derive of the
    last output's TensorType (its `dtype`, its `quant`, or, in a field named `type`, all of it). The reader
    of a file takes it from the tensor, the writer leaves it out.

    Class variables:
        effect: pure operations fold, merge and disappear; `read` and `write` keep their order. One that holds
            graphs has the strongest effect found in them (ask the instance, not the class).
        same_dtype: all operands share one element type (the Builder gives Python scalars that type).
        commutative: the two operands may change places.
        tracked: `eval` also works on partly known shape vectors (object arrays of int and Sym).
        movement: `eval` returns numpy views, so folding costs no memory.
        kernels: element types of the first operand that LiteRT's CPU kernel accepts; None: not restricted.
        quantized: those of `kernels` that only quantized tensors may have: without scales the kernel gives
            garbage, or divides by a scale of zero, which ends the process (measured with LiteRT 2.3).
        max_rank: the highest rank of the operand that the kernel, or the default delegate before it, takes.
        quantization: what its quantized kernels compute right; None: nothing.
        eval: numpy semantics, or None where folding runs the operation in LiteRT.
    """

    code: ClassVar[int] = -1
    options: ClassVar[str | None] = None
    effect: ClassVar[Effect] = "pure"
    same_dtype: ClassVar[bool] = False
    commutative: ClassVar[bool] = False
    tracked: ClassVar[bool] = False
    movement: ClassVar[bool] = False
    kernels: ClassVar[frozenset[DType] | None] = None
    quantized: ClassVar[frozenset[DType]] = frozenset()
    max_rank: ClassVar[int | None] = None
    quantization: ClassVar[QuantSpec | None] = None
    eval: ClassVar[Any] = None

    def __init_subclass__(cls, code: int | None = None, options: str | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if options is not None:
            cls.options = options
        if code is not None:
            if code >= 0 and code in OPS and OPS[code].__qualname__ != cls.__qualname__:
                raise TypeError(f"{cls.__name__} and {OPS[code].__name__} both claim builtin {code}")
            cls.code = code
            OPS[code] = cls

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            raise FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__name__}")
        self.__dict__[name] = value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        fields_shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields_shown})"

    @property
    def name(self) -> str:
        """The name used in text and reports (the class name; Custom and Flex say what they carry)."""
        return type(self).__name__

    def infer(self, *inputs: Any) -> Inferred:
        """Return the output types from the operands (`Value`, or None for an absent optional one).

        Raises ValueError where the operands do not fit. Operands are Values, not types, because a reshape
        or a reduction needs their contents (`Value.known`).
        """
        raise NotImplementedError(f"{self.name}.infer")

    def known(self, *inputs: Any) -> Array | None:
        """Return the partly known contents of the output (object array of int and Sym), None: not known."""
        if not self.tracked or any(x is not None and x.known is None for x in inputs):
            return None
        return self.eval(*(None if x is None else x.known for x in inputs))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """Return the least version of the builtin that covers this instance (op_version.cc)."""
        return 1

    def heavy(self, inputs: Operands) -> bool:
        """Whether folding this would take noticeable time (over 10 MFLOP)."""
        return False

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        """Return the multiply-accumulates of one run, None where a dimension that counts is unknown."""
        return 0

    def graphs(self) -> Iterator[tuple[str, Graph]]:
        """Yield the field name and the graph of every subgraph that the operation holds."""
        kind: Any = type(self)
        for name in _graph_fields(kind):
            yield name, getattr(self, name)


@cache
def _graph_fields(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields that an operation's class declares to be graphs."""
    return tuple(field.name for field in fields(kind) if str(field.type) == "Graph")
