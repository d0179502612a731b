"""Variables and hash tables: resources, which live beside the graph and are named by a handle."""

from __future__ import annotations

from dataclasses import field

from litecast.ir.graph import Value
from litecast.ir.op import UNWRITTEN, Inferred, Op, operation
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


@operation
class VarHandle(Op, code=142, options="VarHandleOptions"):
    """The handle of the variable that `container` and `shared_name` name (kernels/var_handle.cc)."""

    container: str | None = None
    shared_name: str | None = None

    def infer(self) -> Inferred:
        return TensorType(DType.RESOURCE, ())


@operation
class ReadVariable(Op, code=143, options="ReadVariableOptions"):
    """The contents of a variable; `type` is what they are, for a handle does not say.

    The shape must be static. The builtin kernel copies as many bytes as its result has, whatever the variable
    holds (kernels/read_variable.cc:81), and resizes only a result that the file gives no dimensions (:48);
    the XNNPACK delegate resizes only one that has them, and corrupts the heap where they change. No form is
    safe with both. Reading a variable that nothing assigned is an error or garbage.
    """

    type: TensorType | None = field(default=None, metadata=UNWRITTEN)
    effect = "read"
    kernels = frozenset({DType.RESOURCE, DType.INT32})

    def infer(self, handle: Value) -> Inferred:
        _check_handle(handle, DType.INT32)
        if self.type is None:
            raise ValueError("ReadVariable needs the type of the variable")
        if not self.type.is_static:
            raise ValueError(f"a variable must be of static shape, not {self.type}")
        return self.type


@operation
class AssignVariable(Op, code=144, options="AssignVariableOptions"):
    """Replace the contents of a variable, shape included (kernels/assign_variable.cc)."""

    effect = "write"
    kernels = frozenset({DType.RESOURCE, DType.INT32})

    def infer(self, handle: Value, x: Value) -> Inferred:
        _check_handle(handle, DType.INT32)
        return ()


def _check_handle(handle: Value, *others: DType) -> None:
    if handle.dtype not in (DType.RESOURCE, *others):
        raise ValueError(f"a resource handle is wanted, not {handle.dtype.name}")


_TABLES = ((DType.INT64, DType.STRING), (DType.STRING, DType.INT64))


def _check_table(keys: DType, values: DType) -> None:
    if (keys, values) not in _TABLES:
        raise ValueError(
            f"there are tables INT64 to STRING and STRING to INT64, not {keys.name} to {values.name}"
        )


@operation
class Hashtable(Op, code=136, options="HashtableOptions"):
    """The handle of a hash table, INT64 to STRING or STRING to INT64 (kernels/hashtable.cc:44).

    Tables live as long as the interpreter; `table_id` tells them apart, also from variables.
    """

    table_id: int = 0
    key_dtype: DType = DType.FLOAT32
    value_dtype: DType = DType.FLOAT32

    def infer(self) -> Inferred:
        _check_table(self.key_dtype, self.value_dtype)
        return TensorType(DType.RESOURCE, (1,))


@operation
class HashtableFind(Op, code=137, options="HashtableFindOptions"):
    """The values of keys, `default` (one element) for keys that the table does not hold."""

    effect = "read"
    kernels = frozenset({DType.RESOURCE})

    def infer(self, handle: Value, keys: Value, default: Value) -> Inferred:
        _check_handle(handle)
        _check_table(keys.dtype, default.dtype)
        return TensorType(default.dtype, keys.type.shape)


@operation
class HashtableImport(Op, code=138, options="HashtableImportOptions"):
    """Fill a table with keys and values of one shape, the first time only (kernels/hashtable_import.cc)."""

    effect = "write"
    kernels = frozenset({DType.RESOURCE})

    def infer(self, handle: Value, keys: Value, values: Value) -> Inferred:
        _check_handle(handle)
        _check_table(keys.dtype, values.dtype)
        if keys.type.is_static and values.type.is_static and keys.shape != values.shape:
            raise ValueError(f"keys of shape {keys.shape} and values of shape {values.shape}")
        return ()


@operation
class HashtableSize(Op, code=139, options="HashtableSizeOptions"):
    """The number of entries of a table (INT64 [1])."""

    effect = "read"
    kernels = frozenset({DType.RESOURCE})

    def infer(self, handle: Value) -> Inferred:
        _check_handle(handle)
        return TensorType(DType.INT64, (1,))
