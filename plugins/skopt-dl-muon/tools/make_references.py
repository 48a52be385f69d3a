"""Make tests/muon_references.json from the author's code: parameters after some steps.

Needs torch, and a clone of https://github.com/KellerJordan/Muon:
``python tools/make_references.py path/to/Muon``.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

CLONE = Path(sys.argv[1])
sys.path.insert(0, str(CLONE))
# The author orthogonalises in bfloat16, of which 3 digits would be left to compare.
torch.Tensor.bfloat16 = torch.Tensor.double

from muon import SingleDeviceMuonWithAuxAdam  # noqa: E402

# Weights as skopt_dl has them, (n_in, n_out); torch's are the transposed ones.
TENSORS = [
    ("first", "input", (3, 4)),
    ("tall", "hidden", (4, 3)),
    ("wide", "hidden", (3, 5)),
    ("last", "output", (5, 2)),
    ("bias", "bias", (1, 3)),
]
STEPS = (1, 2, 3, 10, 25)
CASES = {
    "defaults": {},
    "decay": {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    "all": {"matrices": "all", "learning_rate": 0.1, "adam_rate": 0.1, "beta_1": 0.8},
}


def draw():
    """A start, and gradients with a scale for each number, in few digits."""
    rng = np.random.default_rng(0)
    size = sum(int(np.prod(shape)) for _, _, shape in TENSORS)
    scales = 10.0 ** rng.uniform(-6, 1, size)
    gradients = rng.normal(size=(STEPS[-1], size)) * scales
    return rng.normal(size=size).round(3), np.vectorize(lambda x: float(f"{x:.3g}"))(gradients)


def cut(row):
    """Views of the tensors in one row of numbers."""
    ends = np.cumsum([int(np.prod(shape)) for _, _, shape in TENSORS])
    parts = np.split(row, ends[:-1])
    return [part.reshape(shape) for part, (_, _, shape) in zip(parts, TENSORS, strict=True)]


def follow(start, gradients, params):
    """Parameters after `STEPS`, by the author's code."""
    rate = params.get("learning_rate", 0.02)
    decay = {"weight_decay": params.get("weight_decay", 0.0)}
    weights = [torch.nn.Parameter(torch.tensor(each.T.copy())) for each in cut(start)]
    treated = ("input", "hidden", "output") if params.get("matrices") == "all" else ("hidden",)
    mine = [role in treated for _, role, _ in TENSORS]
    muon = {"lr": rate, "momentum": params.get("momentum", 0.95), "use_muon": True, **decay}
    adam = {"lr": rate * params.get("adam_rate", 0.015), "use_muon": False, **decay}
    adam["betas"] = (params.get("beta_1", 0.9), 0.95)
    for group, wanted in ((muon, True), (adam, False)):
        group["params"] = [w for w, is_mine in zip(weights, mine, strict=True) if is_mine is wanted]
    optimizer = SingleDeviceMuonWithAuxAdam([muon, adam])
    path = []
    for row in gradients:
        for weight, each in zip(weights, cut(row), strict=True):
            weight.grad = torch.tensor(each.T.copy())
        optimizer.step()
        path.append(np.concatenate([w.detach().numpy().T.ravel() for w in weights]))
    return [path[number - 1].tolist() for number in STEPS]


def main():
    start, gradients = draw()
    log = ["git", "-C", str(CLONE), "log", "-1", "--format=%h, %cs"]
    commit = subprocess.run(log, capture_output=True, text=True, check=True).stdout.strip()
    content = {
        "source": f"github.com/KellerJordan/Muon {commit}, SingleDeviceMuonWithAuxAdam in float64",
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
    place = Path(__file__).parents[1] / "tests" / "muon_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
