"""Layers against torch's values and gradients, see ``references/make_layer_references.py``."""

import json
from pathlib import Path

import numpy as np
import pytest
from traced_layers import NUMPY, Traced

from skopt_dl.layers import (
    Attention,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Embedding,
    GlobalAveragePool2d,
    LayerNorm,
    MaxPool2d,
    Parallel,
    PositionalEmbedding,
    Residual,
)
from skopt_dl.layers.activations import GELU, Tanh
from skopt_dl.programs import convolving

FOLDER = Path(__file__).parents[1] / "references"
CASES = {
    "convolution": [Conv2d(4, (3, 2))],
    "convolution_with_strides": [Conv2d(4, 3, stride=(2, 1), padding=1)],
    "convolution_of_the_same_size": [Conv2d(3, (2, 3), padding="same")],
    "convolution_in_groups": [Conv2d(6, 3, groups=2)],
    "depthwise_convolution": [Conv2d(3, 2, stride=2, groups=3, bias=False)],
    "pointwise_convolution": [Conv2d(5, 1)],
    "pointwise_convolution_with_strides": [Conv2d(5, 1, stride=2)],
    "largest": [MaxPool2d(2)],
    "largest_of_overlapping_windows": [MaxPool2d(3, stride=2, padding=1)],
    "largest_of_equals": [MaxPool2d(3, stride=1)],
    "average": [AveragePool2d((2, 3))],
    "average_of_overlapping_windows": [AveragePool2d(3, stride=2, padding=1)],
    "average_of_images": [GlobalAveragePool2d()],
    "layer_norm": [LayerNorm()],
    "batch_norm_of_images": [BatchNorm()],
    "embedding": [Embedding(7, 4)],
    "attention": [Attention()],
    "attention_of_three_heads": [Attention(n_heads=3)],
    "causal_attention": [Attention(n_heads=2, causal=True)],
    "residual": [Residual([Conv2d(3, 3, padding="same"), Tanh(), Conv2d(2, 3, padding="same")])],
    "inception": [
        Parallel([[Conv2d(3, 1)], [Conv2d(4, 3, padding="same")], []], join="concatenate")
    ],
    "transformer": [
        PositionalEmbedding(),
        Residual([LayerNorm(), Attention(n_heads=2)]),
        Residual([LayerNorm(), Dense(8), GELU(), Dense(6)]),
    ],
}


def reference(name):
    """The arrays of a case, by name; parameters under their names in the layout."""
    with np.load(FOLDER / "layers.npz") as file:
        arrays = {
            key.removeprefix(f"{name}/"): file[key] for key in file if key.startswith(f"{name}/")
        }
    reserved = {"x", "out", "delta", "d x"}
    return {
        key if key in reserved or key[-1].isdigit() else f"{key}_0": array
        for key, array in arrays.items()
    }


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * max(1.0, np.abs(theirs).max()))


def test_every_case_of_the_file_is_compared():
    about = json.loads((FOLDER / "layers.json").read_text())
    assert about["cases"] == list(CASES)
    assert about["torch"].startswith("2.13.0")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n_models", [1, 3])
def test_values_and_gradients_are_torchs(name, n_models):
    known = reference(name)
    traced = Traced(CASES[name], known["x"])
    if not traced.network.layout.size:
        n_models = 1  # what is the same for all models is computed once
    params = traced.params(known, n_models)
    if not traced.network.statistics.size:
        for out in traced.outputs(params):
            close(out, known["out"])
    objective = traced.objective(n_models, known["delta"])
    value, _ = objective.value_and_grad(params)
    close(value * len(known["x"]), np.full(n_models, (known["out"] * known["delta"]).sum()))
    for key, gradient in traced.gradients(params, known["delta"]).items():
        for each in gradient:
            close(each, known[f"d {key}"].reshape(each.shape))


@pytest.mark.parametrize("name", [name for name in CASES if name != "embedding"])
def test_gradients_at_the_samples_are_torchs(name):
    known = reference(name)
    traced = Traced(CASES[name], known["x"], given=True)
    params = traced.params({**known, "given_0": known["x"]}, 2)
    for gradient in traced.gradients(params, known["delta"])["given_0"]:
        close(gradient, known["d x"])


@pytest.mark.parametrize("patch_bytes", [1, 600, 3000])
@pytest.mark.parametrize("name", [name for name in CASES if "convolution" in name])
def test_convolutions_are_the_same_however_images_are_cut(name, patch_bytes, monkeypatch):
    """By a row of windows, by a few, and by a few images; in as many parts as there are images."""
    monkeypatch.setattr(NUMPY, "patch_bytes", patch_bytes)
    monkeypatch.setattr(convolving, "PART_SIZE", 1)
    known = reference(name)
    traced = Traced(CASES[name], known["x"], given=True)
    params = traced.params({**known, "given_0": known["x"]}, 2)
    for out in traced.outputs(params):
        close(out, known["out"])
    for key, gradient in traced.gradients(params, known["delta"]).items():
        expected = known["d x" if key == "given_0" else f"d {key}"]
        for each in gradient:
            close(each, expected.reshape(each.shape))
