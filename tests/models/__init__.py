"""The hard models: SavedModels built with TensorFlow, with random weights and reference inputs and outputs.

`build(NAME)` gives a folder with `saved_model/` and `io.npz`, whose keys are `STEP::SIGNATURE::in|out::NAME`;
steps run in order on one interpreter. Folders are kept in `$LITECAST_TEST_CACHE` (else in the user's cache
folder) until the builder's source or TensorFlow changes. `python -m tests.models NAME...` builds ahead.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path


class NotBuiltError(RuntimeError):
    """The model is not in the cache, and TensorFlow, which builds it, is not installed."""


@dataclass(frozen=True)
class HardModel:
    """One model: the module here and its function that builds it, and what its test needs."""

    module: str
    function: str
    slow: bool = False
    real: bool = False  # made from a model of ../shared/models
    arguments: tuple[str, ...] = ()  # of the function, after the folder

    def stamp(self) -> str:
        """What the cached folder depends on, but for TensorFlow's version."""
        digest = hashlib.sha256(".".join([self.module, self.function, *self.arguments]).encode())
        for name in (self.module, "saving"):
            digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
        return digest.hexdigest()


def _image(function: str) -> HardModel:
    return HardModel("applications", function, slow=True)


MODELS = {
    "unet": HardModel("vision", "unet"),
    "unet_dynamic": HardModel("vision", "unet_dynamic"),
    "vit": HardModel("vision", "vit"),
    "lstm": HardModel("recurrent", "lstm"),
    "bilstm": HardModel("recurrent", "bilstm"),
    "gru": HardModel("recurrent", "gru"),
    "gru_reset_before": HardModel("recurrent", "gru_reset_before"),
    "simple_rnn": HardModel("recurrent", "simple_rnn"),
    "masked_bilstm": HardModel("recurrent", "masked_bilstm"),
    "conv_lstm": HardModel("recurrent", "conv_lstm"),
    "stateful_lstm": HardModel("recurrent", "stateful_lstm"),
    "bert": HardModel("transformer", "bert"),
    "bert_dynamic": HardModel("transformer", "bert_dynamic"),
    "gpt": HardModel("transformer", "gpt"),
    "mel_conv": HardModel("audio", "mel_conv"),
    "loop_and_branch": HardModel("control", "loop_and_branch"),
    "tensor_array": HardModel("control", "tensor_array"),
    "tf1_graph": HardModel("tf1", "plain_graph"),
    "tf1_control_flow": HardModel("tf1", "control_flow"),
    "names": HardModel("names", "unordered_names"),
    "listed_outputs": HardModel("names", "listed_outputs"),
    "dtln": HardModel("real", "dtln", real=True),
    "mobilenet_v2": _image("mobilenet_v2"),
    "mobilenet_v3_small": _image("mobilenet_v3_small"),
    "efficientnet_b0": _image("efficientnet_b0"),
    "efficientnet_v2_b0": _image("efficientnet_v2_b0"),
    "resnet50": _image("resnet50"),
    "densenet121": _image("densenet121"),
    "inception_v3": _image("inception_v3"),
    "xception": _image("xception"),
    "nasnet_mobile": _image("nasnet_mobile"),
    "convnext_tiny": _image("convnext_tiny"),
    "vgg16": _image("vgg16"),
}

FAMILIES = """
ConvNeXtTiny DenseNet121 EfficientNetB0 EfficientNetV2B0 InceptionResNetV2 InceptionV3 MobileNet MobileNetV2
MobileNetV3Small NASNetMobile RegNetX002 RegNetY002 ResNet50 ResNet50V2 ResNetRS50 VGG16 VGG19 Xception
"""
APPLICATIONS = {
    f"files_{name}": HardModel("keras_files", "application", slow=True, arguments=(name,))
    for name in FAMILIES.split()
}
"""Families of `keras.applications` as Keras files, those that are not in MODELS with their SavedModel."""

ALL = MODELS | APPLICATIONS


def cache_folder() -> Path:
    """Where built models are kept, outside the checkout."""
    chosen = os.environ.get("LITECAST_TEST_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "litecast-tests"


def build(name: str) -> Path:
    """Give the folder of one model, building it first unless the cache holds it as its source now stands.

    Raises `NotBuiltError` where it would have to be built and TensorFlow is not installed.
    """
    model, folder = ALL[name], cache_folder() / name
    stamp, with_tensorflow = model.stamp(), importlib.util.find_spec("tensorflow") is not None
    if with_tensorflow:
        versions = [importlib.metadata.version(package) for package in ("tensorflow", "keras")]
        wanted = "\n".join([stamp, *versions])
    else:
        wanted = stamp
    kept = folder / "stamp"
    if kept.is_file() and kept.read_text().startswith(wanted):
        return folder
    if not with_tensorflow:
        raise NotBuiltError(f"{name} has to be built with TensorFlow: python -m tests.models {name}")
    unfinished = folder.with_name(f"{name}.{os.getpid()}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    builder = getattr(importlib.import_module(f"tests.models.{model.module}"), model.function)
    builder(unfinished, *model.arguments)
    (unfinished / "stamp").write_text(wanted)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        unfinished.rename(folder)
    except OSError:  # another test process built it in the meantime
        shutil.rmtree(unfinished)
    return folder
