"""Searches whose models are trained in stacks."""

from skopt_dl.search.run import run

__all__ = ["run"]
