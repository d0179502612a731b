"""The `keras.ops` that no builtin operation of LiteRT can express, each with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litecast.frontend.keras.importer import operations
from litecast.ir.builder import Builder

FUNCTIONS = "it calls a Python function, which the file does not hold"
MATRICES = "LiteRT has no kernel that factorizes or inverts matrices"
RAW_LOOP = "call the operations of its body on the tensors directly, or convert the SavedModel"
REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("AssociativeScan", "Cond", "ForiLoop", "Function", "JVP", "Map", "Scan", "Switch", "VectorizedMap",
         "WhileLoop"),
        (FUNCTIONS, RAW_LOOP),
    ),
    **dict.fromkeys(
        ("Cholesky", "CholeskyInverse", "Det", "Eig", "Eigh", "Inv", "Logdet", "LuFactor", "Lstsq",
         "MatrixRank", "Pinv", "Qr", "SVD", "Slogdet", "Solve", "SolveTriangular"),
        (MATRICES, "compute it outside of the model"),
    ),
    "CTCDecode": ("LiteRT has no builtin CTC decoder", "end the model at its logits and decode outside"),
    "CTCLoss": ("it is a loss, whose recursion needs a loop per label", "end the model at its logits"),
    "ElasticTransform": ("it draws random displacements", "leave augmentation out of the model"),
    "Gammainc": ("LiteRT has no incomplete gamma function", "compute it outside of the model"),
    "Histogram": ("Keras 3 itself cannot run this node", "use keras.ops.bincount on bucketized values"),
    "Nextafter": ("Keras computes it in float64, which LiteRT does not", "compute it outside of the model"),
    "PerspectiveTransform": (MATRICES, "compute the transform outside and use affine_transform"),
}  # fmt: skip
"""Class -> reason and way out."""


def _refuse(reason: str, hint: str) -> Callable[..., Any]:
    def refuse(b: Builder, *args: Any, layer: Any, **kwargs: Any) -> Any:
        raise layer.unsupported(reason, hint)

    return refuse


for _name, (_reason, _hint) in REFUSED.items():
    operations(_name, refused=_reason)(_refuse(_reason, _hint))
