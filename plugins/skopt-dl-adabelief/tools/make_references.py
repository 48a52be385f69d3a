"""Make tests/adabelief_references.json from known code: parameters after some steps.

Needs torch and adabelief-pytorch, which is the authors': ``python tools/make_references.py``.
"""

import json
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from adabelief_pytorch import AdaBelief

STEPS = (1, 2, 3, 5, 6, 10, 30, 50)
SIZE = 12
CASES = {
    "adabelief_defaults": ("AdaBelief", {}),
    "adabelief_decay": (
        "AdaBelief",
        {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "weight_decay": 0.1},
    ),
    "adabelief_large_epsilon": ("AdaBelief", {"learning_rate": 0.1, "epsilon": 1e-5}),
    "adabelief_not_rectified": (
        "AdaBelief",
        {"learning_rate": 0.1, "rectify": False, "epsilon": 1e-5, "weight_decay": 0.1},
    ),
    "radam_defaults": ("RAdam", {}),
    "radam_decay": (
        "RAdam",
        {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "weight_decay": 0.1},
    ),
    "radam_large_epsilon": ("RAdam", {"learning_rate": 0.1, "epsilon": 1e-3}),
    "radam_never_rectified": ("RAdam", {"learning_rate": 0.1, "beta_2": 0.6}),
}
THEIRS = {"learning_rate": "lr", "epsilon": "eps"}


def follow(start, gradients, method, params):
    """Parameters after `STEPS`, by the known code."""
    given = {THEIRS.get(name, name): value for name, value in params.items()}
    given["betas"] = (given.pop("beta_1", 0.9), given.pop("beta_2", 0.999))
    weights = torch.nn.Parameter(torch.tensor(start))
    if method == "AdaBelief":
        with redirect_stdout(StringIO()):
            optimizer = AdaBelief([weights], **given)
    else:
        optimizer = torch.optim.RAdam([weights], decoupled_weight_decay=True, **given)
    path = []
    for row in gradients:
        weights.grad = torch.tensor(row)
        optimizer.step()
        path.append(weights.detach().tolist())
    return [path[number - 1] for number in STEPS]


def main():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(STEPS[-1], SIZE)) * 10.0 ** np.linspace(-6, 1, SIZE)
    gradients = np.vectorize(lambda x: float(f"{x:.3g}"))(gradients)
    start = rng.normal(size=SIZE).round(3)
    content = {
        "source": f"adabelief-pytorch {version('adabelief-pytorch')}, the authors', for AdaBelief; "
        "torch.optim.RAdam for RAdam; in float64",
        "with": f"torch {torch.__version__}, NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "start": start.tolist(),
        "gradients": gradients.tolist(),
        "steps": STEPS,
        "cases": [
            {
                "name": name,
                "method": method,
                "params": params,
                "path": follow(start, gradients, method, params),
            }
            for name, (method, params) in CASES.items()
        ],
    }
    place = Path(__file__).parents[1] / "tests" / "adabelief_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
