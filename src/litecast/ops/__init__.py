"""The operation set: one class per TFLite builtin, a file per family; importing it fills `ir.op.OPS`."""

from litecast.ops.activation import *  # noqa: F403
from litecast.ops.cast import *  # noqa: F403
from litecast.ops.compare import *  # noqa: F403
from litecast.ops.control import *  # noqa: F403
from litecast.ops.conv import *  # noqa: F403
from litecast.ops.elementwise import *  # noqa: F403
from litecast.ops.image import *  # noqa: F403
from litecast.ops.index import *  # noqa: F403
from litecast.ops.matmul import *  # noqa: F403
from litecast.ops.movement import *  # noqa: F403
from litecast.ops.pool import *  # noqa: F403
from litecast.ops.quantize import *  # noqa: F403
from litecast.ops.random import *  # noqa: F403
from litecast.ops.reduce import *  # noqa: F403
from litecast.ops.rnn import *  # noqa: F403
from litecast.ops.shape import *  # noqa: F403
from litecast.ops.signal import *  # noqa: F403
from litecast.ops.space import *  # noqa: F403
from litecast.ops.state import *  # noqa: F403
from litecast.ops.strided import *  # noqa: F403
from litecast.ops.unary import *  # noqa: F403
