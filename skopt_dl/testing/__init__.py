"""For authors of optimizers: `check_optimizer` holds one against all rules."""

from skopt_dl.testing._check import check_optimizer

__all__ = ["check_optimizer"]
