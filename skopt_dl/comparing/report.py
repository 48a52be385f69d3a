"""The report: one HTML file that holds all it needs, its raw rows included."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from typing import Any

from skopt_dl._files import replaceable, write_whole
from skopt_dl.comparing import figures, wording
from skopt_dl.comparing.leaderboard import TARGETS, Leaderboard
from skopt_dl.comparing.wording import duration, number, reached


def write_report(board: Leaderboard, path: str | Path) -> int:
    """Write a leaderboard as a page that needs no network.

    Parameters
    ----------
    board : Leaderboard
    path : str or path
        A file that is there is replaced.

    Returns
    -------
    n_bytes : int

    Raises
    ------
    ValueError
        If no file can be written there.
    """
    page = report(board).encode()
    write_whole(replaceable(Path(path)), lambda file: file.write(page))
    return len(page)


def report(board: Leaderboard) -> str:
    """Return the page."""
    about = board.about
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"Optimizers on {about['data']['name']}"
    body = "".join(
        (
            f"<header><h1>{escape(title)}</h1>"
            f'<p class="verdict">{escape(wording.verdict(board))}</p>'
            f'<p class="hint">{escape(_setting(about))}</p></header><main>',
            _scores(board),
            _curves(board),
            _rates(board),
            _failures(board),
            _spaces(board),
            _method(board),
            "</main>",
            _footer(about),
        )
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )


def _setting(about: dict[str, Any]) -> str:
    data, plan = about["data"], about["plan"]
    what = f"{data['n_classes']} classes" if data["n_classes"] else "a number"
    layers = ", ".join(map(str, plan["hidden_layer_sizes"]))
    return (
        f"{data['n_samples']:,} samples of {data['n_features']} features, {what} to predict. "
        f"{len(about['spaces'])} optimizers; {plan['budget']} trials each in every one of "
        f"{plan['seeds']} repetitions, {plan['folds']} folds, {plan['epochs']} epochs; a network "
        f"with hidden layers of {layers} units, batches of {plan['batch_size']}."
    )


def _scores(board: Leaderboard) -> str:
    baseline = board.baseline
    header, lines = wording.rows(board)
    kinds = [each.verdict for each in board.standings]
    return _section(
        "Scores",
        f"Mean {board.about['metric']} on what tuning never saw: filled where tuned, with its "
        "interval of 95 %, hollow with the defaults. Intervals may reach beyond what is possible, "
        "and are cut off at the edge of the figure.",
        f'<div class="plain">{figures.scores(board)}</div>',
        _table(header, lines, kinds),
        f"Verdicts compare tuned scores with those of tuned {baseline} on the same splits, at 5 %, "
        "with p values that allow for the number of optimizers. “Not told apart” is no proof of "
        "being equal. Time is steps times the time of a step, trained alone on this machine.",
    )


def _curves(board: Leaderboard) -> str:
    n_runs = board.about["plan"]["seeds"]
    if not board.targets:
        text = f"Tuned {board.baseline} is no better than a constant prediction: no targets."
        return _section("On the way", text, figures.curves(board))
    header = ["optimizer"]
    for share, target in zip(TARGETS, board.targets, strict=True):
        header += [f"steps to {share:.0%} ({number(target)})", "time"]
    lines = []
    for each in board.standings:
        cells = [[reached(r, n_runs), duration(r.seconds)] for r in each.reached]
        lines.append([each.optimizer, *(cell for pair in cells for cell in pair)])
    return _section(
        "On the way",
        "Mean score on what is held out while the tuned optimizers train; one that ends early "
        "stays where it ended, and what lies far below is cut off. Dashed: targets, which are "
        f"shares of the way from a constant prediction ({number(fmean(board.constant))}) to tuned "
        f"{board.baseline}'s final score.",
        figures.curves(board),
        _table(header, lines, [each.verdict for each in board.standings]),
        "Steps are the median over repetitions, and in brackets how many came there at all. A "
        "step of lbfgs, or of any other method that runs itself, is a pass over all samples.",
    )


def _rates(board: Leaderboard) -> str:
    factors = sorted({factor for each in board.standings for factor in each.rates})
    header = ["optimizer", *("tuned" if f == 1 else f"rate × {f:g}" for f in factors)]
    lines = [
        [each.optimizer, *(number(each.rates[factor]) for factor in factors)]
        for each in board.standings
        if each.rates
    ]
    kinds = [each.verdict for each in board.standings if each.rates]
    return _section(
        "How much the learning rate matters",
        "Mean score of the tuned settings with another learning rate: the flatter, the less a rate "
        "has to be right.",
        figures.rates(board),
        _table(header, lines, kinds),
    )


def _failures(board: Leaderboard) -> str:
    lines = [
        [
            each.optimizer,
            f"{each.tuning.n_failed} of {each.tuning.n_all}",
            f"{each.final.n_failed} of {each.final.n_all}",
        ]
        for each in board.standings
    ]
    examples = {}
    for row in board.rows:
        if row.get("message") and row["optimizer"] not in examples:
            examples[row["optimizer"]] = f"{row['outcome']}: {row['message']} ({row['params']})"
    told = [[each[0], *each[1:], examples.get(each[0], wording.NOTHING)] for each in lines]
    return _section(
        "Failures",
        "Trainings that raised an error or diverged. For the test, one counts as a constant "
        "prediction; in tuning, a setting that failed on a fold comes last.",
        _table(
            ["optimizer", "in tuning", "for the test", "the first"],
            told,
            [each.verdict for each in board.standings],
            texts=(3,),
        ),
    )


def _spaces(board: Leaderboard) -> str:
    spaces, defaults = board.about["spaces"], board.about["defaults"]
    packages = board.about["packages"]
    lines = []
    for each in board.standings:
        label = each.optimizer
        space = ", ".join(f"{name}: {values}" for name, values in spaces[label].items())
        best = ", ".join(f"{name}={_value(value)}" for name, value in each.best.items())
        lines.append([label, packages[label] or "skopt-dl", defaults[label], space, best])
    return _section(
        "What was searched, and found",
        "Settings are drawn from the space that each optimizer declares itself. The last column is "
        "the setting, of those chosen in the repetitions, with the best score in tuning.",
        _table(
            ["optimizer", "package", "defaults", "space", "best setting"],
            lines,
            [each.verdict for each in board.standings],
            texts=(1, 2, 3, 4),
        ),
    )


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


def _method(board: Leaderboard) -> str:
    plan = board.about["plan"]
    rows = base64.b64encode(board.as_csv().encode()).decode("ascii")
    return _section(
        "How it was done",
        f"Each of {plan['seeds']} repetitions holds out {plan['test_size']:.0%} of the samples. "
        f"Every optimizer draws {plan['budget']} settings (fewer where its space has no more), "
        f"tries each by cross-validation over {plan['folds']} folds of the rest, and trains the "
        "best, and its defaults, on all of the rest. All optimizers share splits, initial weights "
        f"and the order of batches. Every training takes {plan['epochs']} epochs; the score at its "
        "end counts. Features are standardised by what is trained on.",
        "<p>Intervals and tests allow for the overlap of the repetitions' samples (Nadeau and "
        "Bengio, 2003: the corrected resampled t-test) and for the number of comparisons (Holm, "
        "1979). They are about this table and this network. What studies of optimizers found, "
        "that rankings change with the budget, and that tuning matters as much as the choice of a "
        "method (Schmidt et al., 2021, arXiv:2007.01547), holds here too.</p>",
        f'<p><a download="trials.csv" href="data:text/csv;base64,{rows}">All {len(board.rows):,} '
        "trainings as CSV</a>: each with its setting, outcome, scores and steps.</p>",
    )


def _footer(about: dict[str, Any]) -> str:
    machine = about["machine"]
    return (
        f"<footer><p>{escape(about['date'])}. {escape(', '.join(about['versions']))}. "
        f"{escape(machine['processor'])}, {machine['cores']} cores, {escape(machine['system'])}; "
        f"engine {escape(machine['engine'])}.</p></footer>"
    )


def _section(title: str, text: str, *parts: str) -> str:
    inside = "".join(
        part if part.startswith("<") else f'<p class="hint">{escape(part)}</p>' for part in parts
    )
    return f'<section><h2>{escape(title)}</h2><p class="hint">{escape(text)}</p>{inside}</section>'


def _table(
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    kinds: Sequence[str],
    texts: Sequence[int] = (),
) -> str:
    """A table whose rows are of a kind each; columns `texts` are read, not compared."""
    head = "".join(
        f'<th scope="col"{_text(i in texts)}>{escape(name)}</th>' for i, name in enumerate(header)
    )
    rows = []
    for line, kind in zip(lines, kinds, strict=True):
        first, *rest = line
        cells = "".join(
            f"<td{_text(i in texts)}>{escape(cell)}</td>"
            if cell not in ("better", "worse")
            else f'<td class="{cell}">{cell}</td>'
            for i, cell in enumerate(rest, 1)
        )
        css = ' class="baseline"' if kind == "baseline" else ""
        rows.append(f'<tr{css}><th scope="row">{escape(first)}</th>{cells}</tr>')
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _text(is_text: bool) -> str:
    return ' class="text"' if is_text else ""
