"""What can be typed: commands, arguments and options; each calls a function of another module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from skopt_dl import __version__
from skopt_dl.cli import journals, lab, new, plugins
from skopt_dl.plugins.hookspecs import KINDS


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
    as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")
    return click.Group(
        help="What plugins are installed, and how to make one.",
        commands={
            "list": _command(
                plugins.print_names,
                click.Argument(["text"], required=False),
                click.Option(["--kind"], type=click.Choice(list(KINDS)), help="One kind only."),
                click.Option(["--distribution"], metavar="NAME", help="One package's names only."),
                click.Option(
                    ["--no-import"],
                    is_flag=True,
                    help="List packages from their metadata: no code of a plugin is run.",
                ),
                as_json,
            ),
            "new": _command(
                new.print_new,
                click.Argument(["name"]),
                click.Option(
                    ["--folder"],
                    type=click.Path(),
                    help="Where to write it; by default, skopt-dl-NAME.",
                ),
                click.Option(
                    ["--class", "class_name"],
                    help="Of the class; by default, the NAME in capitals.",
                ),
                click.Option(["--author"], help="Whom the licence names."),
            ),
            "check": _command(plugins.print_checks, click.Argument(["name"]), as_json),
            "doctor": _command(
                plugins.print_diagnoses,
                click.Option(["--check"], is_flag=True, help="Make all checks of the kit, too."),
                click.Option(
                    ["--limit"],
                    type=click.FloatRange(min=0, min_open=True),
                    metavar="SECONDS",
                    help="For an import or a check; by default 20, with --check 120.",
                ),
                as_json,
            ),
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
