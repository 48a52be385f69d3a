"""Searches whose models are trained in stacks."""

from skopt_dl.search.coordinator import run

__all__ = ["run"]
