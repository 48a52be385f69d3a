"""What can be typed: commands, arguments and options; each calls a function of another module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from skopt_dl import __version__
from skopt_dl.cli import comparing, journals, lab, new, plugins
from skopt_dl.comparing import Plan
from skopt_dl.comparing.data import TASKS
from skopt_dl.plugins.hookspecs import KINDS


def group() -> click.Group:
    """The command ``skopt-dl``, with all that is below it."""
    whole = click.Group(
        help="scikit-learn MLPs whose optimizer is a plugin.",
        commands={
            "plugins": _plugins(),
            "journal": _journal(),
            "lab": _lab(),
            "compare": _compare(),
        },
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


def _compare() -> click.Command:
    whole, share = click.IntRange(min=1), click.FloatRange(0, 1, min_open=True, max_open=True)
    default = Plan()
    plan = {
        "budget": (whole, "Settings that each optimizer tries in each repetition."),
        "seeds": (whole, "Repetitions, each with a split, draws, tuning and a test of its own."),
        "folds": (click.IntRange(min=2), "Of the cross-validation that settings are chosen by."),
        "epochs": (whole, "Of every training."),
        "batch_size": (whole, "Samples in a step."),
        "test_size": (share, "The share of samples that only the test sees."),
        "scoring": (str, "A scorer of scikit-learn; without it, accuracy or R²."),
    }
    options = [
        click.Option(
            [f"--{name.replace('_', '-')}"],
            type=type_,
            default=getattr(default, name),
            show_default=True,
            help=text,
        )
        for name, (type_, text) in plan.items()
    ]
    return _command(
        comparing.compare,
        click.Argument(["data"]),
        click.Option(["--target"], metavar="COLUMN", help="The column of a file to predict."),
        click.Option(["--task"], type=click.Choice(TASKS), help="What kind of target it is."),
        click.Option(
            ["--optimizers"],
            default="all",
            show_default=True,
            metavar="NAMES",
            help="Names with commas between; adamw takes part always.",
        ),
        *options,
        click.Option(
            ["--hidden"],
            default=",".join(map(str, default.hidden_layer_sizes)),
            show_default=True,
            metavar="UNITS",
            help="Units of the hidden layers, with commas between.",
        ),
        click.Option(
            ["--to"],
            type=click.Path(file_okay=False),
            metavar="FOLDER",
            help="Where to write; without it, compare- and the name of the data.",
        ),
    )
