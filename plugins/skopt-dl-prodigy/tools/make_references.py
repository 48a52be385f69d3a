"""Make tests/prodigy_references.json with the authors' package: parameters after some steps.

Needs torch and prodigyopt: ``python tools/make_references.py``.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from prodigyopt import Prodigy

STEPS = (1, 2, 3, 10, 25, 50)
CURVATURES = (0.0001, 0.01, 0.1, 0.3, 0.5, 0.8, 1.0, 3.0)
CASES = {
    "defaults": {},
    "corrected": {"bias_correction": True, "growth": 2.0, "beta_2": 0.99},
    "decay": {"weight_decay": 0.1, "initial_distance": 0.01, "learning_rate": 0.5},
    "safeguard": {"safeguard_warm_up": True, "beta_3": 0.9, "learning_rate": 0.3},
}
THEIRS = {
    "learning_rate": "lr",
    "initial_distance": "d0",
    "growth": "d_coef",
    "bias_correction": "use_bias_correction",
    "safeguard_warm_up": "safeguard_warmup",
    "beta_3": "beta3",
}


def follow(start, params):
    """Parameters after `STEPS` on the quadratic with `CURVATURES`, by the authors' code."""
    given = {THEIRS.get(name, name): value for name, value in params.items()}
    given["betas"] = (given.pop("beta_1", 0.9), given.pop("beta_2", 0.999))
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    curvatures = torch.tensor(CURVATURES, dtype=torch.float64)
    optimizer, path = Prodigy([weights], **given), []
    for _ in range(STEPS[-1]):
        weights.grad = curvatures * weights.detach()
        optimizer.step()
        path.append(weights.detach().tolist())
    return [path[number - 1] for number in STEPS]


def main():
    start = np.random.default_rng(0).normal(size=len(CURVATURES)).round(3).tolist()
    content = {
        "source": f"prodigyopt {version('prodigyopt')}, in float64",
        "with": f"torch {torch.__version__}, NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "curvatures": CURVATURES,
        "start": start,
        "steps": STEPS,
        "cases": [
            {"name": name, "params": params, "path": follow(start, params)}
            for name, params in CASES.items()
        ],
    }
    place = Path(__file__).parents[1] / "tests" / "prodigy_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
