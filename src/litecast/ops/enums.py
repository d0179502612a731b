"""The enumerations of the TFLite schema that options refer to (a test compares them with the schema)."""

from enum import IntEnum

__all__ = ["Activation", "CombinerType", "LSTMKernelType", "MirrorPadMode", "Padding", "WeightsFormat"]


class Activation(IntEnum):
    """`ActivationFunctionType`."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3
    TANH = 4
    SIGN_BIT = 5


class Padding(IntEnum):
    """`Padding`."""

    SAME = 0
    VALID = 1


class MirrorPadMode(IntEnum):
    """`MirrorPadMode`."""

    REFLECT = 0
    SYMMETRIC = 1


class CombinerType(IntEnum):
    """`CombinerType`."""

    SUM = 0
    MEAN = 1
    SQRTN = 2


class LSTMKernelType(IntEnum):
    """`LSTMKernelType`."""

    FULL = 0
    BASIC = 1


class WeightsFormat(IntEnum):
    """`FullyConnectedOptionsWeightsFormat`."""

    DEFAULT = 0
    SHUFFLED4x16INT8 = 1
