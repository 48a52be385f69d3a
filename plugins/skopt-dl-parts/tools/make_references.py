"""Make tests/parts_references.json from PyTorch: values, gradients, rates and a deviation.

Needs torch: ``python tools/make_references.py``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torch.optim.lr_scheduler import ConstantLR, LinearLR, SequentialLR

QS = (0.3, 0.7, 1.0)
# Steps of a run, of its warm-up and of its decay; the rate of the stable phase.
N_STEPS, N_RISING, N_FALLING, RATE = 40, 8, 10, 0.05


def tensor(array, grad=False):
    return torch.tensor(array, dtype=torch.float64, requires_grad=grad)


def rms_norm(rng):
    x, scale, delta = (rng.normal(size=s).round(3) for s in ((3, 4, 6), (6,), (3, 4, 6)))
    inputs, factor = tensor(x, True), tensor(scale, True)
    out = functional.rms_norm(inputs, (6,), 1.0 + factor, eps=1e-6)
    (out * tensor(delta)).sum().backward()
    return {
        "x": x.tolist(),
        "scale": scale.tolist(),
        "delta": delta.tolist(),
        "out": out.tolist(),
        "grad_x": inputs.grad.tolist(),
        "grad_scale": factor.grad.tolist(),
    }


def squared_relu(rng):
    z = tensor(rng.normal(scale=2.0, size=12).round(3), True)
    out = functional.relu(z).square()
    out.sum().backward()
    return {"z": z.tolist(), "value": out.tolist(), "slope": z.grad.tolist()}


def gce(rng):
    raw = rng.normal(scale=3.0, size=(6, 3)).round(3)
    kinds = {
        "multiclass": (raw, np.eye(3)[[0, 1, 2, 0, 1, 2]]),
        "multilabel-indicator": (raw, rng.integers(2, size=(6, 3))),
        "binary": (raw[:, :1], rng.integers(2, size=(6, 1))),
    }
    cases = []
    for target_type, (given, y) in kinds.items():
        for q in QS:
            z, label = tensor(given, True), tensor(y)
            if target_type == "multiclass":
                p = functional.softmax(z, -1)
                value = (1 - (p * label).sum(-1) ** q) / q
            else:
                p = torch.where(label > 0, torch.sigmoid(z), torch.sigmoid(-z))
                value = ((1 - p**q) / q).sum(-1)
            value.sum().backward()
            cases.append(
                {
                    "target_type": target_type,
                    "q": q,
                    "raw": given.tolist(),
                    "y": y.tolist(),
                    "value": value.tolist(),
                    "gradient": z.grad.tolist(),
                }
            )
    return cases


def wsd():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    parts = [
        LinearLR(optimizer, 1 / N_RISING, 1.0, N_RISING - 1),
        ConstantLR(optimizer, 1.0, 1),
        LinearLR(optimizer, 1.0, 0.0, N_FALLING),
    ]
    schedule = SequentialLR(optimizer, parts, [N_RISING - 1, N_STEPS - N_FALLING])
    rates = []
    for _ in range(N_STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    params = {
        "learning_rate": RATE,
        "warmup_fraction": N_RISING / N_STEPS,
        "decay_fraction": N_FALLING / N_STEPS,
        "decay": "linear",
    }
    return {"params": params, "n_steps": N_STEPS, "rates": rates}


def truncated_normal():
    weights = torch.empty(4_000_000, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.trunc_normal_(weights, std=0.02, a=-0.04, b=0.04, generator=generator)
    return {"scale": 0.02, "deviation": round(float(weights.std()), 7)}


def main():
    rng = np.random.default_rng(0)
    content = {
        "source": f"torch {torch.__version__}, in float64",
        "script": "tools/make_references.py",
        "rms_norm": rms_norm(rng),
        "squared_relu": squared_relu(rng),
        "gce": gce(rng),
        "wsd": wsd(),
        "truncated_normal": truncated_normal(),
    }
    place = Path(__file__).parents[1] / "tests" / "parts_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
