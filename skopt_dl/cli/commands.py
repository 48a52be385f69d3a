"""What can be typed: commands, arguments and options; each calls a function of another module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from skopt_dl import __version__
from skopt_dl.cli import journals, lab, plugins


def group() -> click.Group:
    """The command ``skopt-dl``, with all that is below it."""
    whole = click.Group(
        help="scikit-learn MLPs whose optimizer is a plugin.",
        commands={"plugins": _plugins(), "journal": _journal(), "lab": _lab()},
    )
    return click.version_option(__version__)(whole)


def _command(function: Callable[..., Any], *params: click.Parameter) -> click.Command:
    return click.Command(None, callback=function, help=function.__doc__, params=list(params))


def _plugins() -> click.Group:
    return click.Group(
        help="What plugins are installed.",
        commands={
            "list": _command(plugins.print_names),
            "doctor": _command(plugins.print_diagnoses),
        },
    )


def _journal() -> click.Group:
    folder = click.Argument(["folder"], type=click.Path(exists=True, file_okay=False))
    older_than = click.Option(
        ["--older-than"],
        type=click.FloatRange(min=0),
        metavar="DAYS",
        help="Remove what was written so many days ago or earlier, too.",
    )
    other_versions = click.Option(
        ["--other-versions"],
        is_flag=True,
        help="Remove what other versions of skopt_dl, NumPy, SciPy, scikit-learn or Python have "
        "written, too.",
    )
    return click.Group(
        help="What journals of searches hold.",
        commands={
            "show": _command(journals.print_journal, folder),
            "prune": _command(journals.prune_journal, folder, older_than, other_versions),
        },
    )


def _lab() -> click.Command:
    return _command(
        lab.open_lab,
        click.Option(
            ["--html"], type=click.Path(), metavar="FILE", help="Write the page to this file."
        ),
        click.Option(["--serve"], is_flag=True, help="Serve the page to this machine alone."),
        click.Option(
            ["--port"],
            type=click.IntRange(1, 65535),
            help="Where to serve; without it, the system chooses a free port.",
        ),
    )
