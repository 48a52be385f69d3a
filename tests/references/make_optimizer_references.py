"""Compute the references of the optimizers and schedules. See README.md."""

import json
from pathlib import Path

import cases
import numpy as np
import schedules
import translations

HERE = Path(__file__).resolve().parent
N_STEPS = 100

# Above the rounding of 100 float64 steps (7e-15 at most), below any difference of two rules.
TOLERANCE = 1e-13


def make_problem():
    """Gradients that no parameter influences, so that an error cannot feed on itself.

    Returns
    -------
    gradients : ndarray of shape (100, 12), float64
    initial : ndarray of shape (12,), float64
    """
    rng = np.random.default_rng(20240229)
    gradients = rng.standard_normal((N_STEPS, 12))
    gradients *= [1, 1, 0.1, 1e3, 1e-6, 1e-10, 1e-10, 0, 1, 0.01, 1, 1]
    gradients[:30, 8] = 0  # starts late: bias correction counts steps, not gradients
    gradients[50:, 9] *= 1e4
    gradients[50:, 10] *= 1e-4  # here a maximum keeps what an average forgets
    gradients[:, 11] = abs(gradients[:, 11]) * (-1.0) ** np.arange(N_STEPS)
    gradients += 0.0  # turns the negative zeros into zeros
    initial = rng.standard_normal(12)
    initial[6] = 0  # next to a parameter of 1, a step of 1e-12 would be lost in the rounding
    return gradients, initial


def deviation(path, other):
    """Largest difference, relative to the largest value of the same coordinate."""
    difference = np.abs(path - other).max(axis=0)
    scale = np.abs(path).max(axis=0)
    return float(np.max(difference / np.where(scale > 0, scale, 1)))


def compute(case, calls, problem, factors=None):
    """The path of the first call, and the metadata that say how well the others agree with it."""
    name, optimizer, params = case
    source, *checks = calls
    path = source.run(*problem, factors)
    assert np.isfinite(path).all(), name
    agreement = []
    for check in checks:
        error = deviation(path, check.run(*problem, factors))
        assert error <= TOLERANCE, f"{name}: {source} and {check} differ by {error:.1e}"
        agreement.append({"source": str(check), "deviation": float(f"{error:.0e}")})
    assert agreement, f"{name} has no second source"
    metadata = {
        "name": name,
        "optimizer": optimizer,
        "params": params,
        "source": str(source),
        "key": name,
        "checked_against": agreement,
    }
    return path, metadata


def write_json(name, entries):
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (HERE / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main():
    problem = make_problem()
    factors = 0.95 ** np.arange(N_STEPS)
    arrays = {
        "gradients": problem[0],
        "initial_params": problem[1],
        "learning_rate_factors": factors,
    }

    metadata = []
    for case in cases.CASES:
        calls = getattr(translations, case[1])(**case[2])
        arrays[case[0]], entry = compute(case, calls, problem)
        metadata.append(entry)
    write_json("optimizers.json", metadata)

    metadata = []
    for case in cases.SCHEDULED_CASES:
        calls = getattr(translations, case[1])(**case[2])
        # keras, scikit-learn and optax's RMSProp put the learning rate inside the velocity, so that
        # with a schedule they are another rule.
        calls = [c for c in calls if c.library in ("torch", "pytorch_optimizer", "mpmath")]
        arrays[case[0]], entry = compute(case, calls, problem, factors)
        metadata.append({**entry, "factors_key": "learning_rate_factors"})
    write_json("optimizers_scheduled.json", metadata)

    np.savez_compressed(HERE / "optimizers.npz", **arrays)
    write_json("schedules.json", schedules.compute())


if __name__ == "__main__":
    main()
