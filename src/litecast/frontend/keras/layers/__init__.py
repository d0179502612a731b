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
        "ActivityRegularization AlphaDropout Dense DenseFeatures Dropout DynamicEmbedding DynamicLookup "
        "FlaxLayer GaussianDropout GaussianNoise Identity JaxLayer Lambda RandomFourierFeatures "
        "SequenceFeatures SpatialDropout1D SpatialDropout2D SpatialDropout3D TFSMLayer TorchModuleWrapper"
    ),
    "layers.activation": "Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU",
    "layers.applications": "CustomScaleLayer LayerScale StochasticDepth",
    "layers.attention": (
        "AdditiveAttention Attention GroupQueryAttention GroupedQueryAttention MultiHeadAttention"
    ),
    "layers.augment": (
        "AugMix CutMix Equalization MaxNumBoundingBoxes MixUp RandAugment RandomBrightness "
        "RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform "
        "RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert "
        "RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear "
        "RandomTranslation RandomWidth RandomZoom Solarization"
    ),
    "layers.cells": "GRUCell LSTMCell SimpleRNNCell StackedRNNCells",
    "layers.convlstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D ConvLSTMCell",
    "layers.convolution": (
        "Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Convolution1D "
        "Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose "
        "Deconv2D Deconv3D Deconvolution2D Deconvolution3D DepthwiseConv1D DepthwiseConv2D SeparableConv1D "
        "SeparableConv2D SeparableConvolution1D SeparableConvolution2D"
    ),
    "layers.embedding": "EinsumDense Embedding Masking ReversibleEmbedding",
    "layers.image": "AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization Resizing",
    "layers.local": "LocallyConnected1D LocallyConnected2D",
    "layers.lookup": "IntegerLookup StringLookup",
    "layers.merging": "Add Average Concatenate Dot Maximum Minimum Multiply Subtract",
    "layers.normalization": (
        "BatchNormalization BatchNormalizationV1 BatchNormalizationV2 GroupNormalization LayerNormalization "
        "RMSNormalization SpectralNormalization SyncBatchNormalization UnitNormalization"
    ),
    "layers.pooling": (
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
        "AdaptiveMaxPooling2D AdaptiveMaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D "
        "AvgPool1D AvgPool2D AvgPool3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D MaxPool1D MaxPool2D MaxPool3D "
        "MaxPooling1D MaxPooling2D MaxPooling3D"
    ),
    "layers.preprocessing": "CategoryEncoding Discretization Normalization Pipeline Rescaling",
    "layers.quantized": "TernaryDense",
    "layers.recurrent": "CuDNNGRU CuDNNLSTM GRU GRUV1 LSTM LSTMV1 RNN SimpleRNN",
    "layers.reshaping": (
        "Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape UpSampling1D UpSampling2D "
        "UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D"
    ),
    "layers.spectrogram": "MelSpectrogram STFTSpectrogram",
    "layers.text": "FeatureSpace HashedCrossing Hashing TFDConcat TFDIdentity TextVectorization",
    "layers.wrappers": "Bidirectional TimeDistributed Wrapper",
    "operations.quantization": "FakeQuantWithMinMaxVars",
    "tensorflow": (
        "ClassMethod InstanceMethod InstanceProperty SlicingOpLambda TFOpLambda TensorFlowOpLayer"
    ),
}

OWN = {"Custom>CustomScaleLayer"}
"""Registered as users' own classes are, but Keras's (tf_keras/src/applications/inception_resnet_v2.py)."""

_MODULES = {name: module for module, names in FAMILIES.items() for name in names.split()}


def find_importer(info: LayerConfig) -> LayerImporter | None:
    """Return the importer of a layer or operation; None for one of the user's own, and for unknown ones."""
    if info.is_operation:
        import_module(f"{PACKAGE}.operations")
        return operations.find(info.class_name)
    if info.registered and not (info.registered in OWN or info.module.startswith(("keras", "tf_keras"))):
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
