"""Make tests/schedule_free_references.json with the authors' package: averages after some steps.

Needs torch and schedulefree: ``python tools/make_references.py``.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import schedulefree
import torch

STEPS = (1, 2, 3, 10, 30, 50)
SIZE = 12
CASES = {
    "adamw_defaults": ("ScheduleFreeAdamW", {}),
    "adamw_decay": (
        "ScheduleFreeAdamW",
        {"learning_rate": 0.1, "beta_1": 0.95, "beta_2": 0.98, "weight_decay": 0.1},
    ),
    "adamw_powers": (
        "ScheduleFreeAdamW",
        {"learning_rate": 0.1, "average_power": 1.5, "rate_power": 1.0},
    ),
    "adamw_warm_up": ("ScheduleFreeAdamW", {"learning_rate": 0.1, "warm_up": 8}),
    "sgd_defaults": ("ScheduleFreeSGD", {}),
    "sgd_decay": (
        "ScheduleFreeSGD",
        {"learning_rate": 0.1, "momentum": 0.8, "weight_decay": 0.1, "average_power": 0.5},
    ),
    "sgd_warm_up": ("ScheduleFreeSGD", {"warm_up": 8}),
}
THEIRS = {
    "learning_rate": "lr",
    "epsilon": "eps",
    "average_power": "r",
    "rate_power": "weight_lr_power",
    "warm_up": "warmup_steps",
}


def follow(start, gradients, method, params):
    """The authors' averages after `STEPS`."""
    given = {THEIRS.get(name, name): value for name, value in params.items()}
    if method == "ScheduleFreeAdamW":
        given["betas"] = (given.pop("beta_1", 0.9), given.pop("beta_2", 0.999))
    cls = {
        "ScheduleFreeAdamW": schedulefree.AdamWScheduleFree,
        "ScheduleFreeSGD": schedulefree.SGDScheduleFree,
    }[method]
    path = []
    for number in STEPS:
        # From the start each time: going to the average and back rounds.
        weights = torch.nn.Parameter(torch.tensor(start))
        optimizer = cls([weights], **given)
        optimizer.train()
        for row in gradients[:number]:
            weights.grad = torch.tensor(row)
            optimizer.step()
        optimizer.eval()
        path.append(weights.detach().tolist())
    return path


def main():
    rng = np.random.default_rng(0)
    scales = 10.0 ** np.linspace(-6, 1, SIZE)
    gradients = rng.normal(size=(STEPS[-1], SIZE)) * scales
    gradients = np.vectorize(lambda x: float(f"{x:.3g}"))(gradients)
    start = rng.normal(size=SIZE).round(3)
    content = {
        "source": f"schedulefree {version('schedulefree')}, in float64",
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
    place = Path(__file__).parents[1] / "tests" / "schedule_free_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
