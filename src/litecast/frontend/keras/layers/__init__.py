"""Which module holds the importers of which layers: a module is imported when one of its layers is met."""

from __future__ import annotations

from importlib import import_module

from litecast.frontend.keras.config import LayerConfig
from litecast.frontend.keras.importer import LayerImporter, keras, operations

__all__ = ["FAMILIES", "find_importer", "import_all"]

PACKAGE = "litecast.frontend.keras"

# Module below the frontend -> classes, sorted.
FAMILIES = {
    "layers.core": (
        "ActivityRegularization AlphaDropout Dense Dropout GaussianDropout GaussianNoise Identity Lambda "
        "SpatialDropout1D SpatialDropout2D SpatialDropout3D"
    ),
    "layers.activation": "Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU",
    "layers.attention": "",
    "layers.augment": "",
    "layers.cells": "GRUCell LSTMCell SimpleRNNCell StackedRNNCells",
    "layers.convlstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D ConvLSTMCell",
    "layers.convolution": "",
    "layers.embedding": "",
    "layers.image": "",
    "layers.local": "",
    "layers.lookup": "",
    "layers.merging": "Add Average Concatenate Dot Maximum Minimum Multiply Subtract",
    "layers.normalization": "",
    "layers.pooling": "",
    "layers.preprocessing": "",
    "layers.quantized": "",
    "layers.recurrent": "CuDNNGRU CuDNNLSTM GRU GRUV1 LSTM LSTMV1 RNN SimpleRNN",
    "layers.reshaping": (
        "Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape UpSampling1D UpSampling2D "
        "UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D"
    ),
    "layers.spectrogram": "",
    "layers.text": "",
    "layers.wrappers": "Bidirectional TimeDistributed Wrapper",
    "tensorflow": "",
}

_MODULES = {name: module for module, names in FAMILIES.items() for name in names.split()}


def find_importer(info: LayerConfig) -> LayerImporter | None:
    """Return the importer of a layer or operation; None for one of the user's own, and for unknown ones."""
    if info.is_operation:
        import_module(f"{PACKAGE}.operations")
        return operations.find(info.class_name)
    if info.registered and not info.module.startswith(("keras", "tf_keras")):
        return None
    if info.class_name in _MODULES:
        import_module(f"{PACKAGE}.{_MODULES[info.class_name]}")
    return keras.find(info.class_name)


def import_all() -> None:
    """Import every family, so that the tables are complete."""
    for module, names in FAMILIES.items():
        if names:
            import_module(f"{PACKAGE}.{module}")
    import_module(f"{PACKAGE}.operations")
