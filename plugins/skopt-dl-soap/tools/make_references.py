"""Make tests/soap_references.json from the authors' code: parameters after some steps.

Needs torch, and a clone of https://github.com/nikhilvyas/SOAP:
``python tools/make_references.py path/to/SOAP``.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

CLONE = Path(sys.argv[1])
sys.path.insert(0, str(CLONE))
# The authors find eigenvectors in single precision, of which 6 digits would be left to compare.
torch.set_default_dtype(torch.float64)
torch.float = torch.float64
torch.Tensor.float = torch.Tensor.double

from soap import SOAP  # noqa: E402

# Sides differ by one at most: the first gradient has no eigenvectors to choose between.
TENSORS = [
    ("tall", "input", (4, 3)),
    ("square", "hidden", (3, 3)),
    ("wide", "output", (3, 4)),
    ("bias", "bias", (1, 3)),
]
STEPS = (1, 2, 3, 11, 12, 25)
CASES = {
    "defaults": {},
    "decay": {"learning_rate": 0.05, "beta_1": 0.9, "beta_2": 0.98, "weight_decay": 0.2},
    "often": {"learning_rate": 0.1, "frequency": 1, "weight_decay": 0.0},
    "one_side": {"learning_rate": 0.1, "frequency": 4, "max_side": 3},
}
THEIRS = {
    "learning_rate": "lr",
    "frequency": "precondition_frequency",
    "max_side": "max_precond_dim",
}


def cut(row):
    """Views of the tensors in one row of numbers, biases with one axis."""
    ends = np.cumsum([int(np.prod(shape)) for _, _, shape in TENSORS])
    parts = zip(np.split(row, ends[:-1]), TENSORS, strict=True)
    return [part if role == "bias" else part.reshape(shape) for part, (_, role, shape) in parts]


def follow(start, gradients, params):
    """Parameters after `STEPS`, by the authors' code."""
    given = {THEIRS.get(name, name): value for name, value in params.items()}
    given["betas"] = (given.pop("beta_1", 0.95), given.pop("beta_2", 0.95))
    weights = [torch.nn.Parameter(torch.tensor(each)) for each in cut(start)]
    optimizer, path = SOAP(weights, **given), []
    for row in gradients:
        for weight, each in zip(weights, cut(row), strict=True):
            weight.grad = torch.tensor(each)
        optimizer.step()
        path.append(np.concatenate([w.detach().numpy().ravel() for w in weights]))
    return [path[number - 1].tolist() for number in STEPS]


def main():
    rng = np.random.default_rng(0)
    size = sum(int(np.prod(shape)) for _, _, shape in TENSORS)
    gradients = rng.normal(size=(STEPS[-1], size)) * 10.0 ** rng.uniform(-1, 1, size)
    gradients = np.vectorize(lambda x: float(f"{x:.3g}"))(gradients)
    start = rng.normal(size=size).round(3)
    log = ["git", "-C", str(CLONE), "log", "-1", "--format=%h, %cs"]
    commit = subprocess.run(log, capture_output=True, text=True, check=True).stdout.strip()
    content = {
        "source": f"github.com/nikhilvyas/SOAP {commit}, in float64",
        "with": f"torch {torch.__version__}, NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "tensors": TENSORS,
        "start": start.tolist(),
        "gradients": gradients.tolist(),
        "steps": STEPS,
        "cases": [
            {"name": name, "params": params, "path": follow(start, gradients, params)}
            for name, params in CASES.items()
        ],
    }
    place = Path(__file__).parents[1] / "tests" / "soap_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
