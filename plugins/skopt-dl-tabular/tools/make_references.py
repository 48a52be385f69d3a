"""Make tests/tabular_references.json from known code.

Needs torch, scikit-learn and rtdl-num-embeddings: ``python tools/make_references.py``.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rtdl_num_embeddings import LinearReLUEmbeddings
from sklearn.metrics import mean_tweedie_deviance

torch.set_default_dtype(torch.float64)
POWERS = (1.1, 1.5, 1.9)


def main():
    rng = np.random.default_rng(0)
    raw, y = rng.normal(size=8).round(3), rng.exponential(size=8).round(3) * (rng.random(8) < 0.6)
    deviances = {
        str(power): [
            mean_tweedie_deviance([target], [np.exp(mean)], power=power)
            for target, mean in zip(y, raw, strict=True)
        ]
        for power in POWERS
    }
    x = torch.tensor(rng.normal(size=(5, 3)).round(3), requires_grad=True)
    layer = LinearReLUEmbeddings(3, 4)
    with torch.no_grad():
        layer.linear.weight[...] = torch.tensor(rng.normal(size=(3, 4)).round(3))
        layer.linear.bias[...] = torch.tensor(rng.normal(size=(3, 4)).round(3))
    delta = torch.tensor(rng.normal(size=(5, 12)).round(3))
    out = layer(x).reshape(5, 12)
    out.backward(delta)
    z = torch.tensor(rng.normal(size=6).round(3), requires_grad=True)
    squares = torch.relu(z) ** 2
    squares.sum().backward()
    content = {
        "with": f"scikit-learn {version('scikit-learn')}, rtdl-num-embeddings "
        f"{version('rtdl-num-embeddings')}, torch {torch.__version__}, NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "loss": {"raw": raw.tolist(), "y": y.tolist(), "deviances": deviances},
        "layer": {
            "x": x.tolist(),
            "coefs": layer.linear.weight.tolist(),
            "intercepts": layer.linear.bias.tolist(),
            "delta": delta.tolist(),
            "out": out.tolist(),
            "coefs_gradient": layer.linear.weight.grad.tolist(),
            "intercepts_gradient": layer.linear.bias.grad.tolist(),
        },
        "activation": {
            "z": z.tolist(),
            "out": squares.tolist(),
            "gradient": z.grad.tolist(),
        },
    }
    place = Path(__file__).parents[1] / "tests" / "tabular_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
