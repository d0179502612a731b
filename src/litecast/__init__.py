"""TensorFlow, Keras and JAX models to TensorFlow Lite, without TensorFlow.

Everything is imported when it is first used: `import litecast` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litecast.api import Converted, convert, load, quantize, save, verify
    from litecast.errors import (
        ConvertError,
        FormatError,
        InferenceError,
        InternalError,
        QuantizationError,
        UnsupportedError,
        VerificationError,
    )

__version__ = "0.1.0"

__all__ = [
    "ConvertError",
    "Converted",
    "FormatError",
    "InferenceError",
    "InternalError",
    "QuantizationError",
    "UnsupportedError",
    "VerificationError",
    "__version__",
    "convert",
    "load",
    "quantize",
    "save",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'litecast' has no attribute {name!r}")
    from litecast import api, errors

    return getattr(errors, name) if name.endswith("Error") else getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
