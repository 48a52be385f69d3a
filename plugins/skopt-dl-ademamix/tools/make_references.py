"""Make tests/ademamix_references.json from the authors' code: parameters after some steps.

Needs torch, and a clone of https://github.com/apple/ml-ademamix:
``python tools/make_references.py path/to/ml-ademamix``.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

CLONE = Path(sys.argv[1])
sys.path.insert(0, str(CLONE / "pytorch"))

from ademamix import AdEMAMix  # noqa: E402

STEPS = (1, 2, 3, 10, 30, 50)
SIZE = 12
CASES = {
    "defaults": {},
    "decay": {"learning_rate": 0.1, "beta_2": 0.98, "beta_3": 0.99, "weight_decay": 0.1},
    "warm_up": {"learning_rate": 0.1, "mixing": 8.0, "mixing_steps": 20, "beta_3_steps": 40},
    "from_zero": {"learning_rate": 0.1, "beta_1": 0.0, "beta_3": 0.9, "beta_3_steps": 10},
}
THEIRS = {
    "learning_rate": "lr",
    "mixing": "alpha",
    "mixing_steps": "alpha_warmup",
    "beta_3_steps": "beta3_warmup",
}


def follow(start, gradients, params):
    """Parameters after `STEPS`, by the authors' code."""
    given = {THEIRS.get(name, name): value for name, value in params.items()}
    defaults = {"beta_1": 0.9, "beta_2": 0.999, "beta_3": 0.9999}
    given["betas"] = tuple(given.pop(name, value) for name, value in defaults.items())
    weights = torch.nn.Parameter(torch.tensor(start))
    optimizer, path = AdEMAMix([weights], **given), []
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
    log = ["git", "-C", str(CLONE), "log", "-1", "--format=%h, %cs"]
    commit = subprocess.run(log, capture_output=True, text=True, check=True).stdout.strip()
    content = {
        "source": f"github.com/apple/ml-ademamix {commit}, pytorch, in float64",
        "with": f"torch {torch.__version__}, NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "start": start.tolist(),
        "gradients": gradients.tolist(),
        "steps": STEPS,
        "cases": [
            {"name": name, "params": params, "path": follow(start, gradients, params)}
            for name, params in CASES.items()
        ],
    }
    place = Path(__file__).parents[1] / "tests" / "ademamix_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
