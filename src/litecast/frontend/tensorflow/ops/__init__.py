"""The TensorFlow importers, a module per family; importing this package fills the table `tf`."""

from litecast.frontend.tensorflow.ops import (  # noqa: F401
    activation,
    array,
    compare,
    control_flow,
    core,
    image,
    index,
    layout,
    linalg,
    lists,
    math,
    nn,
    pooling,
    reduce,
    signal,
    state,
    tensor_array,
)
