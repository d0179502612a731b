"""The operation set: one class per TFLite builtin, a file per family; importing this package fills `ir.op.OPS`."""

from litecast.ops.elementwise import *  # noqa: F403
