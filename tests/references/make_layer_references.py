"""Values and gradients of layers by torch: ``python -m pip install torch==2.13.0 numpy==2.4.6``.

``layers.npz`` has for each case, as ``case/name``: the samples ``x``, with the channels last, the
parameters by skopt_dl's names, what comes out, ``out``, the gradient ``delta`` that arrives there,
and the gradient at each of the others, ``case/d name``. Nothing here imports skopt_dl.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

torch.set_default_dtype(torch.float64)
HERE = Path(__file__).parent
CASES = {}


def case(shape, **parameters):
    """Register a function of samples ``(3, *shape)`` and parameters of these shapes."""

    def register(function):
        CASES[function.__name__] = function, shape, parameters
        return function

    return register


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def convolve(x, coefs, size, intercepts=None, groups=1, **options):
    """A convolution with weights ``(n_in, n_out)``, or ``(groups, n_in, n_out)``."""
    matrices = coefs.reshape(groups, *size, -1, coefs.shape[-1])
    weight = matrices.permute(0, 4, 3, 1, 2).reshape(-1, matrices.shape[3], *size)
    bias = None if intercepts is None else intercepts[0]
    x = channels_first(x)
    return channels_last(functional.conv2d(x, weight, bias, groups=groups, **options))


@case((5, 6, 3), coefs=(18, 4), intercepts=(1, 4))
def convolution(x, **p):
    return convolve(x, size=(3, 2), **p)


@case((5, 6, 3), coefs=(27, 4), intercepts=(1, 4))
def convolution_with_strides(x, **p):
    return convolve(x, size=(3, 3), stride=(2, 1), padding=1, **p)


@case((5, 4, 2), coefs=(12, 3), intercepts=(1, 3))
def convolution_of_the_same_size(x, **p):
    return convolve(x, size=(2, 3), padding="same", **p)


@case((4, 5, 4), coefs=(2, 18, 3), intercepts=(1, 6))
def convolution_in_groups(x, **p):
    return convolve(x, size=(3, 3), groups=2, **p)


@case((4, 4, 3), coefs=(3, 4, 1))
def depthwise_convolution(x, **p):
    return convolve(x, size=(2, 2), groups=3, stride=2, **p)


@case((3, 4, 3), coefs=(3, 5), intercepts=(1, 5))
def pointwise_convolution(x, **p):
    return convolve(x, size=(1, 1), **p)


@case((3, 4, 3), coefs=(3, 5), intercepts=(1, 5))
def pointwise_convolution_with_strides(x, **p):
    return convolve(x, size=(1, 1), stride=2, **p)


@case((5, 6, 2))
def largest(x):
    return channels_last(functional.max_pool2d(channels_first(x), 2))


@case((5, 6, 2))
def largest_of_overlapping_windows(x):
    return channels_last(functional.max_pool2d(channels_first(x), 3, stride=2, padding=1))


@case((4, 4, 2))
def largest_of_equals(x):
    return channels_last(functional.max_pool2d(channels_first(x), 3, stride=1))


@case((5, 6, 2))
def average(x):
    return channels_last(functional.avg_pool2d(channels_first(x), (2, 3)))


@case((5, 6, 2))
def average_of_overlapping_windows(x):
    x = channels_first(x)
    return channels_last(functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False))


@case((3, 4, 2))
def average_of_images(x):
    return functional.adaptive_avg_pool2d(channels_first(x), 1)[:, :, 0, 0]


@case((5, 4), layer_norm=(1, 4), intercepts=(1, 4))
def layer_norm(x, layer_norm, intercepts):
    return functional.layer_norm(x, (4,), 1 + layer_norm[0], intercepts[0])


@case((3, 4, 2), batch_norm=(1, 2), intercepts=(1, 2))
def batch_norm_of_images(x, batch_norm, intercepts):
    scale, shift = 1 + batch_norm[0], intercepts[0]
    result = functional.batch_norm(channels_first(x), None, None, scale, shift, training=True)
    return channels_last(result)


@case((5,), coefs=(7, 1, 4))
def embedding(x, coefs):
    return functional.embedding(x.long(), coefs[:, 0])


def attend(x, queries, keys, values, coefs, intercepts, n_heads, causal=False):
    """torch's own layer, without the biases of queries, keys and values."""
    length, n = x.shape[1:]
    return functional.multi_head_attention_forward(
        *[x.transpose(0, 1)] * 3,
        embed_dim_to_check=n,
        num_heads=n_heads,
        in_proj_weight=torch.cat([queries.T, keys.T, values.T]),
        in_proj_bias=None,
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=coefs.T,
        out_proj_bias=intercepts[0],
        attn_mask=torch.full((length, length), -torch.inf).triu(1) if causal else None,
        need_weights=False,
    )[0].transpose(0, 1)


HEADS = dict.fromkeys(("queries", "keys", "values", "coefs"), (6, 6))


@case((5, 6), **HEADS, intercepts=(1, 6))
def attention(x, **p):
    return attend(x, n_heads=1, **p)


@case((5, 6), **HEADS, intercepts=(1, 6))
def attention_of_three_heads(x, **p):
    return attend(x, n_heads=3, **p)


@case((5, 6), **HEADS, intercepts=(1, 6))
def causal_attention(x, **p):
    return attend(x, n_heads=2, causal=True, **p)


BLOCK = {"coefs_0": (18, 3), "intercepts_0": (1, 3), "coefs_1": (27, 2), "intercepts_1": (1, 2)}


@case((4, 4, 2), **BLOCK)
def residual(x, coefs_0, intercepts_0, coefs_1, intercepts_1):
    inner = torch.tanh(convolve(x, coefs_0, (3, 3), intercepts_0, padding="same"))
    return x + convolve(inner, coefs_1, (3, 3), intercepts_1, padding="same")


@case((4, 4, 2), coefs_0=(2, 3), intercepts_0=(1, 3), coefs_1=(18, 4), intercepts_1=(1, 4))
def inception(x, coefs_0, intercepts_0, coefs_1, intercepts_1):
    branches = [
        convolve(x, coefs_0, (1, 1), intercepts_0),
        convolve(x, coefs_1, (3, 3), intercepts_1, padding="same"),
        x,
    ]
    return torch.cat(branches, dim=-1)


TRANSFORMER = {
    "positions_0": (1, 5, 6),
    "layer_norm_0": (1, 6),
    "intercepts_0": (1, 6),
    **{f"{name}_0": shape for name, shape in HEADS.items()},
    "intercepts_1": (1, 6),
    "layer_norm_1": (1, 6),
    "intercepts_2": (1, 6),
    "coefs_1": (6, 8),
    "intercepts_3": (1, 8),
    "coefs_2": (8, 6),
    "intercepts_4": (1, 6),
}


@case((5, 6), **TRANSFORMER)
def transformer(x, **p):
    """torch's own layer, with the same parameters."""
    layer = torch.nn.TransformerEncoderLayer(
        6, 2, 8, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    own = {
        "self_attn.in_proj_weight": torch.cat([p["queries_0"].T, p["keys_0"].T, p["values_0"].T]),
        "self_attn.in_proj_bias": torch.zeros(18),
        "self_attn.out_proj.weight": p["coefs_0"].T,
        "self_attn.out_proj.bias": p["intercepts_1"][0],
        "linear1.weight": p["coefs_1"].T,
        "linear1.bias": p["intercepts_3"][0],
        "linear2.weight": p["coefs_2"].T,
        "linear2.bias": p["intercepts_4"][0],
        "norm1.weight": 1 + p["layer_norm_0"][0],
        "norm1.bias": p["intercepts_0"][0],
        "norm2.weight": 1 + p["layer_norm_1"][0],
        "norm2.bias": p["intercepts_2"][0],
    }
    return torch.func.functional_call(layer, own, (x + p["positions_0"],))


def samples(name, shape, rng):
    if name == "embedding":
        return rng.integers(7, size=(3, *shape)).astype(float)
    if name == "largest_of_equals":
        return rng.integers(3, size=(3, *shape)).astype(float)
    return rng.normal(size=(3, *shape))


def main():
    arrays = {}
    for number, (name, (function, shape, shapes)) in enumerate(CASES.items()):
        rng = np.random.default_rng(number)
        given = {"x": samples(name, shape, rng)}
        given |= {key: rng.normal(0.0, 0.5, each) for key, each in shapes.items()}
        tensors = {key: torch.tensor(each, requires_grad=True) for key, each in given.items()}
        out = function(**tensors)
        delta = rng.normal(size=out.shape)
        out.backward(torch.tensor(delta))
        arrays |= {f"{name}/{key}": each for key, each in given.items()}
        arrays |= {f"{name}/out": out.detach().numpy(), f"{name}/delta": delta}
        arrays |= {
            f"{name}/d {key}": each.grad.numpy()
            for key, each in tensors.items()
            if each.grad is not None
        }
    np.savez_compressed(HERE / "layers.npz", **arrays)
    about = {"torch": torch.__version__, "numpy": np.__version__, "cases": list(CASES)}
    (HERE / "layers.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
