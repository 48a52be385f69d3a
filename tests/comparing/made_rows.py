"""A comparison without any training: scores that tests know."""

from skopt_dl.comparing import Leaderboard
from skopt_dl.comparing.plan import FACTORS

SEEDS = 5
# As many as are hard to show, with names that are.
NAMES = ["adamw", "a_name_that_is_longer_than_most", "<b>&amp;"] + [
    f"method_{i}" for i in range(12)
]
MANY = {
    name: [0.7 + 0.002 * place + 0.01 * (seed % 2) for seed in range(SEEDS)]
    for place, name in enumerate(NAMES)
}


def made_board(scores, *, constant=0.2, failing=(), curves=None, **plan):
    """A leaderboard of tuned scores, one a repetition for each optimizer.

    Optimizers in `failing` diverge in their first repetition. Every curve rises in ten equal parts
    from the constant's score to the last, in steps of 4 an epoch, unless `curves` has another.
    """
    plan = {
        "budget": 2,
        "seeds": SEEDS,
        "folds": 2,
        "epochs": 10,
        "batch_size": 32,
        "hidden_layer_sizes": [8],
        "test_size": 0.25,
        "scoring": None,
        **plan,
    }
    rows = []

    def add(phase, optimizer, seed, score, trial=-1, fold=-1, factor=1.0, **more):
        row = {"phase": phase, "optimizer": optimizer, "seed": seed, "trial": trial, "fold": fold}
        row |= {"factor": factor, "params": {"learning_rate": 0.1 * (trial + 1)}, "score": score}
        row |= {"outcome": "finished", "loss": 1 - score, "epochs": 10, "steps": 40, "message": ""}
        rows.append({**row, **more})

    for seed in range(SEEDS):
        add("constant", "", seed, constant)
        for label, each in scores.items():
            for trial in range(2):
                for fold in range(2):
                    add("tuning", label, seed, 0.5 + 0.1 * trial, trial, fold, curve=[])
            rise = [constant + (each[seed] - constant) * share / 10 for share in range(1, 11)]
            fails = {"outcome": "diverged", "curve": [], "message": "the loss went from 1 to 1e9"}
            failed = fails if label in failing and seed == 0 else {}
            score = float("nan") if failed else each[seed]
            curve = (curves or {}).get(label, rise)
            add("tuned", label, seed, score, 1, **{"curve": curve, **failed})
            add("default", label, seed, each[seed] - 0.1, curve=rise)
            for factor in FACTORS:
                add("rate", label, seed, each[seed] - 0.05, 1, factor=factor, curve=rise)
    for label in scores:
        add("timing", label, 0, 0.0, seconds=0.2)
        add("timing", label, 0, 0.0, seconds=0.1)
    about = {
        "data": {
            "name": "made",
            "task": "classification",
            "n_samples": 100,
            "n_features": 3,
            "n_classes": 4,
        },
        "plan": plan,
        "metric": "accuracy",
        "baseline": "adamw",
        "spaces": {label: {"learning_rate": "LogUniform(low=0.1, high=1.0)"} for label in scores},
        "defaults": {label: f"{label.title()}()" for label in scores},
        "packages": dict.fromkeys(scores, ""),
        "machine": {"processor": "P", "cores": 2, "system": "S", "engine": "numpy"},
        "versions": ["skopt_dl 0", "numpy 0"],
        "date": "2026-01-01",
    }
    return Leaderboard(about, rows)
