"""Make tests/lamb_references.json from known code: parameters after some steps.

LAMB and, without decay, LARS are those of optax. LARS with decay, whose ratio is another in optax
than in the paper, is apex's LARC, which follows the paper, around torch's SGD. Needs torch, jax and
optax, and a clone of https://github.com/NVIDIA/apex:
``python tools/make_references.py path/to/apex``.
"""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import torch

CLONE = Path(sys.argv[1])
# The last commit that has it.
COMMIT, PLACE = "e13873de", "apex/parallel/LARC.py"
TENSORS = [
    ("first", "input", (3, 4)),
    ("shift", "norm", (1, 4)),
    ("middle", "hidden", (4, 3)),
    ("last", "output", (3, 2)),
    ("bias", "bias", (1, 2)),
]
EXCLUDED = ("bias", "norm")
STEPS = (1, 2, 3, 10, 25)
CASES = {
    "lamb_defaults": ("LAMB", {}),
    "lamb_decay": (
        "LAMB",
        {
            "learning_rate": 0.1,
            "beta_1": 0.8,
            "beta_2": 0.95,
            "epsilon": 1e-3,
            "weight_decay": 0.3,
        },
    ),
    "lars_defaults": ("LARS", {}),
    "lars_nesterov": ("LARS", {"learning_rate": 0.1, "trust": 0.1, "nesterov": True}),
    "lars_decay": ("LARS", {"learning_rate": 0.1, "trust": 0.1, "weight_decay": 0.3}),
    "lars_decay_nesterov": (
        "LARS",
        {
            "learning_rate": 0.1,
            "momentum": 0.8,
            "trust": 0.1,
            "weight_decay": 0.3,
            "nesterov": True,
        },
    ),
}
ADAPTED = [role not in EXCLUDED for _, role, _ in TENSORS]
jax.config.update("jax_enable_x64", True)


def draw():
    """A start, and gradients with a scale for each number, in few digits."""
    rng = np.random.default_rng(0)
    size = sum(int(np.prod(shape)) for _, _, shape in TENSORS)
    gradients = rng.normal(size=(STEPS[-1], size)) * 10.0 ** rng.uniform(-6, 1, size)
    return rng.normal(size=size).round(3), np.vectorize(lambda x: float(f"{x:.3g}"))(gradients)


def cut(row):
    """The tensors in one row of numbers."""
    ends = np.cumsum([int(np.prod(shape)) for _, _, shape in TENSORS])
    parts = np.split(row, ends[:-1])
    return [part.reshape(shape) for part, (_, _, shape) in zip(parts, TENSORS, strict=True)]


def by_optax(start, gradients, method, params):
    """The path by optax.lamb, or optax.lars."""
    if method == "LAMB":
        # There all tensors are adapted: the ratio is masked as optax.lars does it.
        optimizer = optax.chain(
            optax.scale_by_adam(
                params.get("beta_1", 0.9), params.get("beta_2", 0.999), params.get("epsilon", 1e-6)
            ),
            optax.add_decayed_weights(params.get("weight_decay", 0.01), ADAPTED),
            optax.masked(optax.scale_by_trust_ratio(), ADAPTED),
            optax.scale_by_learning_rate(params.get("learning_rate", 0.003)),
        )
    else:
        optimizer = optax.lars(
            params.get("learning_rate", 1.0),
            trust_coefficient=params.get("trust", 0.001),
            trust_ratio_mask=ADAPTED,
            momentum=params.get("momentum", 0.9),
            nesterov=params.get("nesterov", False),
        )
    weights, path = [jax.numpy.array(each) for each in cut(start)], []
    state = optimizer.init(weights)
    for row in gradients:
        change, state = optimizer.update([jax.numpy.array(g) for g in cut(row)], state, weights)
        weights = optax.apply_updates(weights, change)
        path.append(np.concatenate([np.ravel(each) for each in weights]).tolist())
    return path


def larc():
    """The class, without the package around it."""
    show = ["git", "-C", str(CLONE), "show", f"{COMMIT}:{PLACE}"]
    names = {}
    exec(subprocess.run(show, capture_output=True, text=True, check=True).stdout, names)
    return names["LARC"]


def by_apex(start, gradients, params):
    """The path by LARC around SGD for what is adapted, SGD for the rest."""
    weights, path = [torch.nn.Parameter(torch.tensor(each)) for each in cut(start)], []
    given = {
        "lr": params.get("learning_rate", 1.0),
        "momentum": params.get("momentum", 0.9),
        "nesterov": params.get("nesterov", False),
    }
    adapted, rest = (
        [w for w, mine in zip(weights, ADAPTED, strict=True) if mine is wanted]
        for wanted in (True, False)
    )
    inner = torch.optim.SGD(adapted, weight_decay=params.get("weight_decay", 0.0), **given)
    trust = params.get("trust", 0.001)
    optimizers = [
        larc()(inner, trust_coefficient=trust, clip=False, eps=0.0),
        torch.optim.SGD(rest, **given),
    ]
    for row in gradients:
        for weight, each in zip(weights, cut(row), strict=True):
            weight.grad = torch.tensor(each)
        for optimizer in optimizers:
            optimizer.step()
        path.append(np.concatenate([w.detach().numpy().ravel() for w in weights]).tolist())
    return path


def follow(start, gradients, method, params):
    """Parameters after `STEPS`, by the known code."""
    if method == "LARS" and params.get("weight_decay"):
        path = by_apex(start, gradients, params)
    else:
        path = by_optax(start, gradients, method, params)
    return [path[number - 1] for number in STEPS]


def main():
    start, gradients = draw()
    content = {
        "source": f"optax, and for LARS with decay github.com/NVIDIA/apex {COMMIT}, {PLACE}; in "
        "float64",
        "with": f"optax {optax.__version__}, jax {jax.__version__}, torch {torch.__version__}, "
        f"NumPy {np.__version__}",
        "script": "tools/make_references.py",
        "tensors": TENSORS,
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
    place = Path(__file__).parents[1] / "tests" / "lamb_references.json"
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
