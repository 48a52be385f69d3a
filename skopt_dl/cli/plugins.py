"""``skopt-dl plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

import sys
import warnings

from skopt_dl.cli.printing import print_table
from skopt_dl.plugins import PluginWarning
from skopt_dl.plugins.doctor import Diagnosis, diagnose, list_names
from skopt_dl.programs import chosen_engine


def print_names() -> None:
    """List all names, and the classes they stand for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PluginWarning)
        names = list_names()
    print_table(("kind", "name", "distribution", "version", "class"), names)
    if caught:
        print("\nSome plugins have problems: run `skopt-dl plugins doctor`.", file=sys.stderr)


def print_diagnoses() -> None:
    """Examine the installed plugins; exit with 1 if something is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        diagnoses = diagnose()
    if not diagnoses:
        print("No plugins are installed.")
    for diagnosis in diagnoses:
        _print_diagnosis(diagnosis)
    n_problems = sum(len(diagnosis.problems) for diagnosis in diagnoses)
    n_problems += _print_engine()
    if n_problems:
        print(f"\n{n_problems} problem{'s' if n_problems > 1 else ''}.")
        sys.exit(1)


def _print_engine() -> int:
    """Say what trains here; returns the number of problems."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PluginWarning)
        try:
            engine = chosen_engine()
        except ValueError as error:
            print(f"engine: none\n  ! {error}")
            return 1
    print(f"engine: {' '.join([engine.name, engine.edition]).strip()}")
    for each in caught:
        print(f"  ! {each.message}")
    return len(caught)


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    print(f"{diagnosis.subject} {diagnosis.version}".rstrip() + f": {diagnosis.status}")
    for name in diagnosis.names:
        print(f"  {name}")
    for problem in diagnosis.problems:
        print(f"  ! {problem.what}\n    {problem.remedy}")
