"""Make tests/nadamw_references.json from known code: parameters after some steps.

Needs torch, jax and optax, and a clone of https://github.com/mlcommons/algorithmic-efficiency:
``python tools/make_references.py path/to/algorithmic-efficiency``.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import torch

CLONE = Path(sys.argv[1])
PLACE = "algorithms/archived_paper_baselines/nadamw/pytorch/submission.py"
STEPS = (1, 2, 3, 10, 30, 50)
SIZE = 12
CASES = {
    "algoperf_defaults": {},
    "algoperf_decay": {
        "learning_rate": 0.1,
        "beta_1": 0.97,
        "beta_2": 0.95,
        "epsilon": 1e-3,
        "weight_decay": 0.2,
    },
    "optax": {"form": "optax", "weight_decay": 0.0},
    "optax_decay": {
        "form": "optax",
        "learning_rate": 0.1,
        "beta_1": 0.8,
        "beta_2": 0.95,
        "epsilon": 1e-3,
        "weight_decay": 0.2,
    },
    "torch": {"form": "torch", "learning_rate": 0.002, "weight_decay": 0.0},
    "torch_decay": {
        "form": "torch",
        "learning_rate": 0.1,
        "beta_1": 0.8,
        "beta_2": 0.95,
        "epsilon": 1e-3,
        "weight_decay": 0.2,
        "momentum_decay": 0.1,
    },
}
DEFAULTS = {
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "weight_decay": 0.01,
    "form": "algoperf",
}
jax.config.update("jax_enable_x64", True)
# The product of momenta that torch keeps is in this precision.
torch.set_default_dtype(torch.float64)


def algoperf_class():
    """``NAdamW`` of the baseline, whose module needs much that the class does not."""
    text = subprocess.run(
        ["git", "-C", str(CLONE), "show", f"HEAD:{PLACE}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    begin, end = text.index("class NAdamW("), text.index("def init_optimizer_state(")
    names = {"torch": torch, "math": math, "List": list, "Tensor": torch.Tensor}
    exec(text[begin:end], names)
    # Only asked where something is captured on a GPU, and gone from newer versions of torch.
    names["NAdamW"]._cuda_graph_capture_health_check = lambda self: None
    return names["NAdamW"]


def by_torch(start, gradients, p):
    """The path by an optimizer of torch: AlgoPerf's, or torch's own."""
    given = {
        "lr": p["learning_rate"],
        "betas": (p["beta_1"], p["beta_2"]),
        "eps": p["epsilon"],
        "weight_decay": p["weight_decay"],
    }
    weights, path = torch.nn.Parameter(torch.tensor(start)), []
    if p["form"] == "algoperf":
        optimizer = algoperf_class()([weights], **given)
    else:
        given["momentum_decay"] = p.get("momentum_decay", 0.004)
        optimizer = torch.optim.NAdam([weights], decoupled_weight_decay=True, **given)
    for row in gradients:
        weights.grad = torch.tensor(row)
        optimizer.step()
        path.append(weights.detach().tolist())
    return path


def by_optax(start, gradients, p):
    """The path by optax.nadamw."""
    optimizer = optax.nadamw(
        p["learning_rate"], p["beta_1"], p["beta_2"], p["epsilon"], weight_decay=p["weight_decay"]
    )
    weights, path = jax.numpy.array(start), []
    state = optimizer.init(weights)
    for row in gradients:
        change, state = optimizer.update(jax.numpy.array(row), state, weights)
        weights = optax.apply_updates(weights, change)
        path.append(weights.tolist())
    return path


def follow(start, gradients, params):
    """Parameters after `STEPS`, by the known code."""
    p = DEFAULTS | params
    path = (by_optax if p["form"] == "optax" else by_torch)(start, gradients, p)
    return [path[number - 1] for number in STEPS]


def main():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(STEPS[-1], SIZE)) * 10.0 ** np.linspace(-6, 1, SIZE)
    gradients = np.vectorize(lambda x: float(f"{x:.3g}"))(gradients)
    start = rng.normal(size=SIZE).round(3)
    log = ["git", "-C", str(CLONE), "log", "-1", "--format=%h, %cs"]
    commit = subprocess.run(log, capture_output=True, text=True, check=True).stdout.strip()
    content = {
        "source": f"github.com/mlcommons/algorithmic-efficiency {commit}, {PLACE}; optax.nadamw; "
        "torch.optim.NAdam(decoupled_weight_decay=True); in float64",
        "with": f"torch {torch.__version__}, optax {optax.__version__}, jax {jax.__version__}, "
        f"NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "start": start.tolist(),
        "gradients": gradients.tolist(),
        "steps": STEPS,
        "cases": [
            {"name": name, "params": params, "path": follow(start, gradients, params)}
            for name, params in CASES.items()
        ],
    }
    place = Path(__file__).parents[1] / "tests" / "nadamw_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
