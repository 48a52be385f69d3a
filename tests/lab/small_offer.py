"""A page with little on it, which is soon written."""

from skopt_dl.lab.page.offer import Offer, optimizers_at_work
from skopt_dl.objectives import FUNCTIONS

NAMES = ("rosenbrock", "himmelblau", "monkey_saddle")


def small_offer(n_starts=5, n_steps=30):
    optimizers, absent = optimizers_at_work()
    return Offer(
        {name: FUNCTIONS[name]() for name in NAMES},
        optimizers,
        learning_rates=(0.003, 0.03, 0.3),
        momenta=(0.0, 0.9),
        n_starts=n_starts,
        n_steps=n_steps,
        absent=absent,
    )
