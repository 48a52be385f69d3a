"""``python -m skopt_dl``: the command ``skopt-dl``."""

from skopt_dl.cli import main

main()
