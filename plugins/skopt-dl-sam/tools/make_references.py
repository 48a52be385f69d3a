"""Make tests/sam_references.json with the code that the paper's readers use: davda54/sam.

The authors' own is for JAX, in single precision. Needs torch, and a clone of
https://github.com/davda54/sam: ``python tools/make_references.py path/to/sam``.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

CLONE = Path(sys.argv[1])
sys.path.insert(0, str(CLONE))

from sam import SAM  # noqa: E402

STEPS = (1, 2, 3, 10, 30)
CURVATURES = (0.01, 0.1, 0.3, 0.5, 0.8, 1.0, 2.0, 3.0)
CASES = {
    "momentum": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}, {}),
    "far": (torch.optim.SGD, {"lr": 0.1}, {"rho": 0.5}),
    "adaptive": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}, {"rho": 0.5, "adaptive": True}),
    "adam": (torch.optim.Adam, {"lr": 0.05, "betas": (0.9, 0.95)}, {"rho": 0.2}),
    "adamw": (torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.1}, {"adaptive": True}),
}


def follow(start, method, given, params):
    """Parameters after `STEPS` on the quadratic with `CURVATURES`."""
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    curvatures = torch.tensor(CURVATURES, dtype=torch.float64)
    optimizer, path = SAM([weights], method, **params, **given), []
    for _ in range(STEPS[-1]):
        for half in (optimizer.first_step, optimizer.second_step):
            (0.5 * curvatures * weights**2).sum().backward()
            half(zero_grad=True)
        path.append(weights.detach().tolist())
    return [path[number - 1] for number in STEPS]


def main():
    log = ["git", "-C", str(CLONE), "log", "-1", "--format=%h, %cs"]
    commit = subprocess.run(log, capture_output=True, text=True, check=True).stdout.strip()
    start = np.random.default_rng(0).normal(size=len(CURVATURES)).round(3).tolist()
    content = {
        "source": f"github.com/davda54/sam {commit}, in float64",
        "with": f"torch {torch.__version__}, NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "curvatures": CURVATURES,
        "start": start,
        "steps": STEPS,
        "cases": [
            {
                "name": name,
                "around": {"name": method.__name__, **given},
                "params": params,
                "path": follow(start, method, given, params),
            }
            for name, (method, given, params) in CASES.items()
        ],
    }
    place = Path(__file__).parents[1] / "tests" / "sam_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
