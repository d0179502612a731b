"""Importers of variables (TensorFlow 2 resources and TensorFlow 1 references) and of checkpoint reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from litecast.errors import ConvertError
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.index import check_policy
from litecast.frontend.tensorflow.state import Variable
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Op
from litecast.ir.types import DType
from litecast.lib import array, index, scatter
from litecast.ops import Add, Sub

if TYPE_CHECKING:
    from litecast.frontend.tensorflow.tracer import Tracer


@tf("VarHandleOp", "VariableV2", "Variable", harmless=("debug_name",))
def var_handle_op(
    b: Builder, *, tracer: Tracer, node: Any, op: str, dtype: DType, shape: tuple[int | None, ...] | None,
    container: str = "", shared_name: str = "",
) -> Variable:  # fmt: skip
    """A variable of the model, known by its shared name (its node name where it has none)."""
    variable = tracer.variable(f"{container}{shared_name or node.name}", dtype, shape)
    variable.reference = op != "VarHandleOp"
    return variable


@tf("ReadVariableOp", harmless=("dtype",))
def read_variable_op(b: Builder, variable: Variable) -> Value:
    """The contents of a variable."""
    return variable.read(b)


@tf("AssignVariableOp", "Assign", harmless=("dtype", "validate_shape", "use_locking"))
def assign_variable_op(b: Builder, variable: Variable, x: Any) -> Variable:
    """Write a variable."""
    variable.assign(b, x.read(b) if isinstance(x, Variable) else x)
    return variable


def _update(op: Op) -> Callable[..., Variable]:
    def update(b: Builder, variable: Variable, x: Value) -> Variable:
        variable.assign(b, b(op, variable.read(b), x))
        return variable

    return update


for _names, _op in {
    ("AssignAddVariableOp", "AssignAdd"): Add(),
    ("AssignSubVariableOp", "AssignSub"): Sub(),
}.items():
    tf(*_names, harmless=("dtype", "use_locking"))(_update(_op))


@tf("VarIsInitializedOp", "IsVariableInitialized", harmless=("dtype",))
def var_is_initialized_op(b: Builder, variable: Variable) -> Value:
    """Whether a variable has a value: all that a checkpoint restores have."""
    return b.const(np.bool_(variable.initial is not None or variable.mutable))


@tf("VariableShape")
def variable_shape(b: Builder, variable: Variable, *, out_type: DType = DType.INT32) -> Value:
    """The shape of a variable."""
    result: Value = array.cast(b, array.shape(b, variable.read(b)), out_type)
    return result


@tf("ResourceGather", harmless=("dtype",))
def resource_gather(b: Builder, variable: Variable, indices: Value, *, batch_dims: int = 0) -> Value:
    """Rows of a variable."""
    result: Value = array.gather(b, variable.read(b), indices, batch_dims, batch_dims)
    return result


@tf("ResourceGatherNd", harmless=("dtype",))
def resource_gather_nd(b: Builder, variable: Variable, indices: Value) -> Value:
    """Elements of a variable by index tuples."""
    result: Value = index.gather_nd(b, variable.read(b), indices)
    return result


def _scatter(combine: str, by_rows: bool) -> Callable[..., None]:
    def update(
        b: Builder,
        variable: Variable,
        indices: Value,
        updates: Value,
        *,
        op: str,
        bad_indices_policy: str = "",
    ) -> None:
        check_policy(op, bad_indices_policy)
        places = array.expand_dims(b, indices, indices.rank) if by_rows else indices
        variable.assign(b, scatter.COMBINE[combine](b, variable.read(b), places, updates))

    return update


for _kind in ("Update", "Add", "Sub", "Max", "Min"):
    tf(f"ResourceScatterNd{_kind}", harmless=("use_locking",))(_scatter(f"TensorScatter{_kind}", False))
    tf(f"ResourceScatter{_kind}", harmless=("dtype",))(_scatter(f"TensorScatter{_kind}", True))


@tf("ResourceStridedSliceAssign")
def resource_strided_slice_assign(
    b: Builder, variable: Variable, begin: Value, end: Value, strides: Value, x: Value, *,
    begin_mask: int = 0, end_mask: int = 0, ellipsis_mask: int = 0, new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> None:  # fmt: skip
    """Write a slice of a variable."""
    masks = index.Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    variable.assign(b, index.strided_slice_update(b, variable.read(b), begin, end, strides, x, masks))


@tf("RestoreV2")
def restore_v2(
    b: Builder, prefix: Value, names: Value, slices: Value, *, tracer: Tracer, dtypes: list[DType]
) -> list[Value]:
    """Tensors of the checkpoint, by name, as memory-mapped constants."""
    if tracer.checkpoint is None:
        raise ConvertError(
            "the graph restores variables but the model has no checkpoint (variables/variables.index)"
        )
    wanted = zip(names.array(), slices.array(), strict=True)
    texts = [(name.decode(), part.decode()) for name, part in wanted]
    return [b.const(tracer.checkpoint.part(name, part), name) for name, part in texts]
