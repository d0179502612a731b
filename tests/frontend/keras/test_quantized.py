"""Quantized Keras 3 layers: weights, dequantized, against Keras's own calls, which leave activations alone
where the configuration has no quantizer for them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import UnsupportedError
from litecast.frontend.keras.layers.quantized import mode_of, unpack
from tests.frontend.keras.harness import KERAS, Build, check, integers, keras, layer, operations, save, spec

quantizers = keras.quantizers
Make = Callable[[Any], Any]


PARTS = ("query_dense", "key_dense", "value_dense", "output_dense")


def weights_only(axis: Any) -> Any:
    """Int8 weights with a scale for what is left by `axis`, and floats for activations."""
    return quantizers.Int8QuantizationConfig(
        weight_quantizer=quantizers.AbsMaxQuantizer(axis=axis), activation_quantizer=None
    )


CONFIGS: dict[str, Callable[[], Any]] = {
    "int8": lambda: weights_only(0),
    "int4": lambda: quantizers.Int4QuantizationConfig(block_size=None, activation_quantizer=None),
    "int4_columns": lambda: quantizers.Int4QuantizationConfig(block_size=-1, activation_quantizer=None),
    "int4_groups": lambda: quantizers.Int4QuantizationConfig(block_size=4, activation_quantizer=None),
    "int4_large_group": lambda: quantizers.Int4QuantizationConfig(activation_quantizer=None),
}


def quantized(build: Build, config: Callable[[], Any]) -> Build:
    """The model, quantized after its weights have been filled."""

    def build_quantized(k: Any) -> Any:
        from tests.frontend.keras.harness import randomize

        model = build(k)
        randomize(model)
        made = config()
        for item in model.layers:
            for part in [getattr(item, name) for name in PARTS if hasattr(item, name)] or [item]:
                if hasattr(part, "kernel") or hasattr(part, "embeddings"):
                    part.quantize(made.mode, config=made)
        return model

    return build_quantized


DENSE = {
    "even": (lambda k: k.layers.Dense(6, activation="relu"), (10,)),
    "odd": (lambda k: k.layers.Dense(5), (3, 7)),
    "no_bias": (lambda k: k.layers.Dense(4, use_bias=False), (9,)),
    "one": (lambda k: k.layers.Dense(1), (9,)),
    "einsum": (lambda k: k.layers.EinsumDense("ab,bc->ac", 5, bias_axes="c"), (7,)),
    "einsum_rows": (lambda k: k.layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d"), (3, 9)),
    "heads": (lambda k: k.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (3, 9)),
    "joined": (lambda k: k.layers.EinsumDense("abcd,cde->abe", (None, 5), bias_axes="e"), (3, 2, 4)),
}
SUMMED = {"heads": 0, "joined": (0, 1)}
"""The axes that an int8 scale is for, where they are not the first."""


@pytest.mark.parametrize("mode", CONFIGS)
@pytest.mark.parametrize("name", DENSE)
def test_products(name: str, mode: str) -> None:
    make, shape = DENSE[name]
    config = CONFIGS[mode] if mode != "int8" else lambda: weights_only(SUMMED.get(name, 0))
    check(quantized(layer(make, shape), config), frameworks=KERAS, static=False)


def test_activations_stay_floats() -> None:
    """Keras rounds them to int8 by default; the converted model is nearer to the float model, and says so."""
    build = quantized(layer(lambda k: k.layers.Dense(8), (16,)), quantizers.Int8QuantizationConfig)
    model = build(keras)
    x = np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32)
    kernel = np.asarray(model.layers[1].kernel, np.float32) / np.asarray(model.layers[1].kernel_scale)
    converted = litecast.convert(model)
    assert any("int8 weights are dequantized" in note for note in converted.report.notes)
    (got,) = converted(x).values()
    np.testing.assert_allclose(got, x @ kernel + np.asarray(model.layers[1].bias), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got, np.asarray(model(x)), rtol=0, atol=0.05)


def test_large_weights_are_dequantized_when_they_are_written() -> None:
    def build(k: Any) -> Any:
        ids = k.Input((4,), dtype="int32")
        x = k.layers.Dense(512, activation="relu")(k.layers.Embedding(600, 512)(ids))
        return k.Model(ids, k.layers.MultiHeadAttention(8, 64)(x, x))

    converted = check(
        quantized(build, CONFIGS["int4_groups"]),
        integers(600),
        frameworks=KERAS,
        formats=("keras",),
        static=False,
    )
    names = operations(converted)
    assert [names.count(name) for name in ("FullyConnected", "Reshape", "Transpose")] == [5, 4, 4]


# -- float8 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "einsum"])
def test_float8(kind: str) -> None:
    """On inputs that float8 holds exactly: only weights and biases are rounded."""

    def build(k: Any) -> Any:
        make, shape = {"dense": DENSE["odd"], "einsum": DENSE["heads"]}[kind]
        model = layer(make, shape)(k)
        item = model.layers[1]
        item.quantize("float8")
        item.kernel_scale.assign(0.003)
        return model

    rows = np.random.default_rng(0).integers(-8, 9, (3, 3, 7 if kind == "dense" else 9)) / 4
    check(build, rows.astype(np.float32), frameworks=KERAS, static=False)


# -- GPTQ and AWQ ------------------------------------------------------------------------------------------

CALIBRATED = {
    "dense": (lambda k, dtype: k.layers.Dense(6, dtype=dtype), (12,)),
    "odd": (lambda k, dtype: k.layers.Dense(5, use_bias=False, dtype=dtype), (3, 12)),
    "einsum": (
        lambda k, dtype: k.layers.EinsumDense("ab,bc->ac", 5, bias_axes="c", dtype=dtype),
        (12,),
    ),
    "heads": (
        lambda k, dtype: k.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", dtype=dtype),
        (3, 12),
    ),
    "no_bias": (
        lambda k, dtype: k.layers.EinsumDense("abc,cde->abde", (None, 2, 3), dtype=dtype),
        (3, 12),
    ),
    "joined": (
        lambda k, dtype: k.layers.EinsumDense("abcd,cde->abe", (None, 15), bias_axes="e", dtype=dtype),
        (3, 2, 6),
    ),
    "first": (
        lambda k, dtype: k.layers.EinsumDense("abcd,cde->abe", (None, 5), bias_axes="e", dtype=dtype),
        (3, 12, 2),
    ),
}
POLICIES = ["gptq/4/4", "gptq/4/-1", "gptq/8/4", "gptq/3/5", "gptq/2/4", "awq/4/4", "awq/4/-1"]


def calibrated(name: str, mode: str, *, zero_points: bool = True) -> Build:
    """A layer as calibration leaves it; `zero_points`: saved, as by later versions of Keras than 3.15."""
    make, shape = CALIBRATED[name]
    kind, bits, _ = mode.split("/")

    def build(k: Any) -> Any:
        model = layer(lambda k: make(k, f"{mode}_from_float32"), shape)(k)
        item, rng = model.layers[1], np.random.default_rng(0)
        item.is_gptq_calibrated, item.is_awq_calibrated = kind == "gptq", kind == "awq"
        packed = 256 if bits == "4" else 2 ** int(bits)
        item.quantized_kernel.assign(rng.integers(0, packed, item.quantized_kernel.shape))
        item.kernel_zero.assign(rng.integers(0, 2 ** int(bits), item.kernel_zero.shape))
        item.kernel_scale.assign(rng.uniform(0.01, 0.03, item.kernel_scale.shape))
        groups = item.kernel_scale.shape[1]
        item.g_idx.assign(rng.integers(0, groups, item.g_idx.shape) + rng.uniform(0, 0.9, item.g_idx.shape))
        if kind == "awq":
            item.awq_scales.assign(rng.uniform(0.5, 2, item.awq_scales.shape))
        if zero_points:
            kernel, zero = item.kernel, item.kernel_zero
            item._get_kernel_with_merged_lora = lambda: (kernel, None, zero)
        return model

    return build


@pytest.mark.parametrize("mode", POLICIES)
@pytest.mark.parametrize("name", CALIBRATED)
def test_calibrated(name: str, mode: str) -> None:
    check(calibrated(name, mode), frameworks=KERAS, static=False, random=False)


@pytest.mark.parametrize("mode", POLICIES)
def test_calibrated_sublayers_that_the_config_does_not_name(mode: str) -> None:
    def build(k: Any) -> Any:
        x, biased = k.Input((5, 12)), mode[0] == "g"
        made = calibrated("heads" if biased else "no_bias", mode)(k).layers[1]
        item = k.layers.MultiHeadAttention(2, 3, use_bias=biased)
        model = k.Model(x, item(x, x))
        item._tracker.unlock()
        item._query_dense = made
        return model

    check(build, frameworks=KERAS, static=False, random=False, formats=("keras", "memory"))


@pytest.mark.parametrize("mode", ["gptq/4/4", "awq/4/4"])
def test_zero_points_that_keras_leaves_out(mode: str, tmp_path: Path) -> None:
    model = calibrated("dense", mode, zero_points=False)(keras)
    source, _ = save(keras, model, "keras", tmp_path)
    with pytest.raises(UnsupportedError, match="lacks the zero points"):
        litecast.convert(source)
    check(lambda k: model, frameworks=KERAS, static=False, random=False, formats=("memory",))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_zero_points_of_symmetric_weights_are_known(bits: int, tmp_path: Path) -> None:
    model = calibrated("dense", f"gptq/{bits}/4", zero_points=False)(keras)
    item = model.layers[1]
    item.quantization_config = quantizers.GPTQConfig(
        None, None, weight_bits=bits, group_size=4, symmetric=True
    )
    item.kernel_zero.assign(np.full(item.kernel_zero.shape, 2 ** (bits - 1)))
    source, _ = save(keras, model, "keras", tmp_path)
    x = np.random.default_rng(0).standard_normal((4, 12)).astype(np.float32)
    (got,) = litecast.convert(source)(x).values()
    np.testing.assert_allclose(got, np.asarray(model(x)), rtol=1e-4, atol=1e-5)


def test_fields_of_two_bits() -> None:
    values = np.arange(20, dtype=np.uint8).reshape(5, 4) % 4
    padded = np.concatenate([values, np.zeros((3, 4), np.uint8)]).reshape(2, 4, 4)
    packed = sum(padded[:, place] << (2 * place) for place in range(4)).astype(np.uint8)
    np.testing.assert_array_equal(unpack(packed, 2, 5, 0, signed=False), values)


# -- embeddings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 7])
@pytest.mark.parametrize("mode", CONFIGS)
def test_embedding(mode: str, size: int) -> None:
    config = CONFIGS[mode] if mode != "int8" else lambda: weights_only(-1)
    build = layer(lambda k: k.layers.Embedding(9, size, mask_zero=True), spec((6,), "int32"))
    check(quantized(build, config), integers(9), frameworks=KERAS, static=False)


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("mode", [mode for mode in CONFIGS if mode != "int8"])
def test_reversible_embedding(mode: str, tie: bool) -> None:
    def build(k: Any) -> Any:
        ids = k.Input((6,), dtype="int32")
        item = k.layers.ReversibleEmbedding(9, 7, tie_weights=tie)
        return k.Model(ids, [item(ids), item(item(ids), reverse=True)])

    check(quantized(build, CONFIGS[mode]), integers(9), frameworks=KERAS, static=False)


@pytest.mark.parametrize("tie", [True, False])
def test_reversible_embedding_in_int8(tie: bool) -> None:
    """Keras rounds the logits' inputs, so that only the lookup is compared, and the logits roughly."""

    def build(k: Any) -> Any:
        ids = k.Input((6,), dtype="int32")
        item = k.layers.ReversibleEmbedding(9, 7, tie_weights=tie)
        return k.Model(ids, [item(ids), item(item(ids), reverse=True)])

    model = quantized(build, quantizers.Int8QuantizationConfig)(keras)
    ids = np.arange(12, dtype=np.int32).reshape(2, 6) % 9
    lookup, logits = litecast.convert(model)(ids).values()
    expected = [np.asarray(output) for output in model(ids)]
    np.testing.assert_allclose(lookup, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits, expected[1], rtol=0, atol=0.02)


# -- attention ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [mode for mode in CONFIGS if mode != "int8"])
def test_attention_that_was_quantized_in_place(mode: str) -> None:
    """The config does not say it, so that Keras cannot load the file; what is stored does."""

    def build(k: Any) -> Any:
        x = k.Input((5, 9))
        item = k.layers.MultiHeadAttention(3, 4)
        model = k.Model(x, item(x, x))
        for part in PARTS[:3]:
            getattr(item, part).quantize("int4", config=CONFIGS[mode]())
        return model

    check(build, frameworks=KERAS, static=False, random=False, formats=("keras", "memory"))


def test_int8_attention_that_was_quantized_in_place() -> None:
    def build(k: Any) -> Any:
        x = k.Input((5, 9))
        item = k.layers.MultiHeadAttention(3, 4)
        model = k.Model(x, item(x, x))
        item.query_dense.quantize("int8", config=weights_only(0))
        item.output_dense.quantize("int8", config=weights_only((0, 1)))
        return model

    check(build, frameworks=KERAS, static=False, random=False, formats=("keras", "memory"))


# -- LoRA --------------------------------------------------------------------------------------------------

ADAPTED = {
    "dense": (lambda k: k.layers.Dense(6), spec((10,))),
    "einsum": (lambda k: k.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), spec((3, 9))),
    "embedding": (lambda k: k.layers.Embedding(9, 4), spec((6,), "int32")),
}


def adapted(name: str, config: Callable[[], Any] | None = None) -> Build:
    make, inputs = ADAPTED[name]

    def build(k: Any) -> Any:
        model = layer(make, inputs)(k) if config is None else quantized(layer(make, inputs), config)(k)
        model.layers[1].enable_lora(3, lora_alpha=5)
        return model

    return build


@pytest.mark.parametrize("name", ADAPTED)
def test_lora(name: str) -> None:
    """Merged in `.keras`, apart in HDF5 and in memory."""
    fill = integers(9) if name == "embedding" else None
    check(adapted(name), fill, frameworks=KERAS, static=False, formats=("keras", "h5", "memory"))


@pytest.mark.parametrize("mode", CONFIGS)
@pytest.mark.parametrize("name", ADAPTED)
def test_lora_on_quantized_weights(name: str, mode: str) -> None:
    """Apart in HDF5 and in memory; saving as `.keras` quantizes the merged weights again."""
    config = CONFIGS[mode] if mode != "int8" else lambda: weights_only(-1 if name == "embedding" else 0)
    check(
        adapted(name, config),
        integers(9) if name == "embedding" else None,
        frameworks=KERAS,
        static=False,
        formats=("h5", "memory"),
    )


@pytest.mark.parametrize("mode", ["int8", "int4_groups"])
def test_lora_merged_into_quantized_weights(mode: str, tmp_path: Path) -> None:
    model = adapted("dense", CONFIGS[mode])(keras)
    source, _ = save(keras, model, "keras", tmp_path)
    x = np.random.default_rng(0).standard_normal((4, 10)).astype(np.float32)
    (got,) = litecast.convert(source)(x).values()
    np.testing.assert_allclose(got, np.asarray(keras.models.load_model(source)(x)), rtol=1e-4, atol=1e-5)


# -- policies ----------------------------------------------------------------------------------------------

NAMES = {
    None: "",
    "float32": "",
    "mixed_bfloat16": "",
    "int8_from_float32": "int8",
    "int4/128_from_mixed_bfloat16": "int4/128",
    "gptq/4/-1_from_float32": "gptq/4/-1",
    "float8_from_mixed_bfloat16": "float8",
}


@pytest.mark.parametrize("name", NAMES)
def test_modes_of_policies(name: str | None) -> None:
    assert mode_of(name) == NAMES[name]
    if name is not None:
        serialized = keras.dtype_policies.serialize(keras.dtype_policies.get(name))
        assert mode_of(serialized) == NAMES[name]


def test_a_policy_map_by_name_and_by_expression() -> None:
    policies = {"a/b": "int8_from_float32", "c/.*": "int4/4_from_float32"}
    policy = {"class_name": "DTypePolicyMap", "config": {"default_policy": None, "policy_map": policies}}
    assert [mode_of(policy, path) for path in ("a/b", "c/d", "e")] == ["int8", "int4/4", ""]


def test_an_unknown_mode_is_named(tmp_path: Path) -> None:
    import json

    config = json.loads(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="last")]).to_json())
    config["config"]["layers"][1]["config"]["dtype"] = "int3_from_float32"
    path = tmp_path / "model.json"
    path.write_text(json.dumps(config))
    weights = tmp_path / "m.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(weights)
    with pytest.raises(UnsupportedError, match="quantized as int3"):
        litecast.convert(path, weights=weights)


# -- ternary (Keras 3.16, whose files are written by hand here) ----------------------------------------------


def written(path: Path, kind: str, config: dict[str, Any], variables: list[np.ndarray]) -> dict[str, Any]:
    """A model of one layer as config and weights; what `litecast.convert` takes."""
    import json

    import h5py

    model = keras.Sequential([keras.Input((13,)), keras.layers.Dense(6, name="last")])
    serialized = json.loads(model.to_json())
    serialized["config"]["layers"][1]["class_name"] = kind
    serialized["config"]["layers"][1]["config"].update(config)
    if kind != "Dense":
        del serialized["config"]["layers"][1]["config"]["quantization_config"]
    (path / "model.json").write_text(json.dumps(serialized))
    with h5py.File(path / "model.weights.h5", "w") as file:
        name = "ternary_dense" if kind == "TernaryDense" else "dense"
        for index, array in enumerate(variables):
            file[f"layers/{name}/vars/{index}"] = array
    return {"source": path / "model.json", "weights": path / "model.weights.h5"}


RNG = np.random.default_rng(0)
BIAS = RNG.standard_normal(6).astype(np.float32)


@pytest.mark.parametrize("kind", ["Dense", "TernaryDense"])
def test_ternary_kernels(kind: str, tmp_path: Path) -> None:
    signs = RNG.integers(-1, 2, (13, 6))
    digits = np.concatenate([signs, np.zeros((2, 6), int)]).reshape(3, 5, 6) + 1
    packed = sum(digits[:, place] * 3**place for place in range(5)).astype(np.uint8)
    config = {"dtype": "ternary_from_float32", **({"threshold": None} if kind == "TernaryDense" else {})}
    variables = [packed, BIAS, np.asarray(0.3, np.float32)]
    x = RNG.standard_normal((4, 13)).astype(np.float32)
    (got,) = litecast.convert(**written(tmp_path, kind, config, variables))(x).values()
    np.testing.assert_allclose(got, 0.3 * (x @ signs) + BIAS, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threshold", [None, 0.0, 0.5])
def test_ternary_dense(threshold: float | None, tmp_path: Path) -> None:
    kernel = RNG.standard_normal((13, 6)).astype(np.float32)
    mean = np.abs(kernel).mean()
    signs = np.sign(kernel) * (np.abs(kernel) > (mean / 2 if threshold is None else threshold))
    x = RNG.standard_normal((4, 13)).astype(np.float32)
    source = written(tmp_path, "TernaryDense", {"threshold": threshold}, [kernel, BIAS])
    (got,) = litecast.convert(**source)(x).values()
    expected = (mean if threshold is None else 1) * (x @ signs) + BIAS
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_packed_fields_of_two_bits(tmp_path: Path) -> None:
    """GPTQ of Keras 3.16 holds four 2-bit values in a byte, earlier versions one."""
    values = RNG.integers(0, 4, (6, 13)).astype(np.uint8)
    padded = np.concatenate([values, np.zeros((2, 13), np.uint8)]).reshape(2, 4, 13)
    packed = sum(padded[:, place] << (2 * place) for place in range(4)).astype(np.uint8)
    scale, zero = RNG.uniform(0.1, 1, (6, 4)).astype(np.float32), RNG.integers(0, 4, (6, 4)).astype(np.uint8)
    groups = np.arange(13, dtype=np.float32) // 4
    index = groups.astype(int)
    x = RNG.standard_normal((4, 13)).astype(np.float32)
    expected = x @ ((values - zero[:, index].astype(np.float32)) * scale[:, index]).T + BIAS
    for stored in (packed, values):
        variables = [BIAS, stored, scale, zero, groups]
        source = written(tmp_path, "Dense", {"dtype": "gptq/2/4_from_float32"}, variables)
        (got,) = litecast.convert(**source)(x).values()
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
