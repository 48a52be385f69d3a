"""The command ``skopt-dl``: plugins, journals and the lab, from a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with ``sys.argv`` or the given arguments, and exit."""
    try:
        import click  # noqa: F401
    except ModuleNotFoundError:
        sys.exit("The command skopt-dl needs click. Run `pip install 'skopt-dl[cli]'`.")
    from skopt_dl.cli.commands import group

    group().main(arguments, prog_name="skopt-dl")
