"""The operation set: one class per TFLite builtin, a file per family; importing this package fills `ir.op.OPS`."""

from litecast.ops.elementwise import *  # noqa: F403
from litecast.ops.control import *  # noqa: F403
from litecast.ops.conv import *  # noqa: F403
from litecast.ops.image import *  # noqa: F403
from litecast.ops.matmul import *  # noqa: F403
from litecast.ops.pool import *  # noqa: F403
from litecast.ops.quantize import *  # noqa: F403
from litecast.ops.random import *  # noqa: F403
from litecast.ops.rnn import *  # noqa: F403
from litecast.ops.signal import *  # noqa: F403
from litecast.ops.state import *  # noqa: F403
