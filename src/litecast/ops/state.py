"""Variables and hash tables: resources, which live beside the graph and are named by a handle."""

from __future__ import annotations

from dataclasses import dataclass, field

from litecast.ir.graph import Value
from litecast.ir.op import UNWRITTEN, Inferred, Op
from litecast.ir.types import DType, TensorType

__all__ = [
    "AssignVariable",
    "Hashtable",
    "HashtableFind",
    "HashtableImport",
    "HashtableSize",
    "ReadVariable",
    "VarHandle",
]


@dataclass(frozen=True)
class VarHandle(Op, code=142, options="VarHandleOptions"):
    """The handle of the variable that `container` and `shared_name` name."""

    container: str | None = None
    shared_name: str | None = None

    def infer(self) -> Inferred:
        return TensorType(DType.RESOURCE, ())


@dataclass(frozen=True)
class ReadVariable(Op, code=143, options="ReadVariableOptions"):
    """The contents of a variable; `type` is what they are, for a handle does not say."""

    type: TensorType | None = field(default=None, metadata=UNWRITTEN)
    effect = "read"

    def infer(self, handle: Value) -> Inferred:
        _check_handle(handle)
        if self.type is None:
            raise ValueError("ReadVariable needs the type of the variable")
        return self.type


@dataclass(frozen=True)
class AssignVariable(Op, code=144, options="AssignVariableOptions"):
    """Replace the contents of a variable (of any shape)."""

    effect = "write"

    def infer(self, handle: Value, x: Value) -> Inferred:
        _check_handle(handle)
        return ()


def _check_handle(handle: Value) -> None:
    if handle.dtype not in (DType.RESOURCE, DType.INT32):
        raise ValueError(f"a resource handle is wanted, not {handle.dtype.name}")


@dataclass(frozen=True)
class Hashtable(Op, code=136, options="HashtableOptions"):
    """The handle of a hash table: INT64 to STRING or STRING to INT64."""

    table_id: int = 0
    key_dtype: DType = DType.FLOAT32
    value_dtype: DType = DType.FLOAT32

    def infer(self) -> Inferred:
        return TensorType(DType.RESOURCE, (1,))


@dataclass(frozen=True)
class HashtableFind(Op, code=137, options="HashtableFindOptions"):
    """The values of keys, `default` (one element) for keys that the table does not hold."""

    effect = "read"

    def infer(self, handle: Value, keys: Value, default: Value) -> Inferred:
        _check_handle(handle)
        return TensorType(default.dtype, keys.type.shape)


@dataclass(frozen=True)
class HashtableImport(Op, code=138, options="HashtableImportOptions"):
    """Fill a table with keys and values, the first time only."""

    effect = "write"

    def infer(self, handle: Value, keys: Value, values: Value) -> Inferred:
        _check_handle(handle)
        return ()


@dataclass(frozen=True)
class HashtableSize(Op, code=139, options="HashtableSizeOptions"):
    """The number of entries of a table."""

    effect = "read"

    def infer(self, handle: Value) -> Inferred:
        _check_handle(handle)
        return TensorType(DType.INT64, (1,))
