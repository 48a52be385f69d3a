"""Optimizers compared on a table: tuned alike, tested apart, with intervals."""

from skopt_dl.comparing.compare import compare_optimizers
from skopt_dl.comparing.data import TableError
from skopt_dl.comparing.leaderboard import Leaderboard, Standing, read_rows
from skopt_dl.comparing.plan import Plan

__all__ = ["Leaderboard", "Plan", "Standing", "TableError", "compare_optimizers", "read_rows"]
