"""The page: one document that holds all it needs, or asks the server that it came from."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from skopt_dl import __version__
from skopt_dl._files import replaceable, write_whole
from skopt_dl.lab.page import packing
from skopt_dl.lab.page.offer import FIRST, Offer, has_rate, momentum_of, stored_offer
from skopt_dl.lab.page.traces import TOL, Traces, run
from skopt_dl.objectives import Function
from skopt_dl.plugins import make_optimizer

SCRIPTS = ("data.js", "draw.js", "page.js")
# How far the map goes beyond the domain, as a share of its width.
MARGIN = 0.08
# Points of the map in each variable.
N_MAP = 161
# Heights are told by shares of the map's area; contours lie at every second knot.
N_KNOTS = 36


def write_page(path: str | Path, offer: Offer | None = None) -> int:
    """Write the page that works without a server or a network.

    Parameters
    ----------
    path : str or path
        A file that is there is replaced.
    offer : Offer, default=None
        What can be chosen; None means `stored_offer`. Every combination of it is run.

    Returns
    -------
    n_bytes : int

    Raises
    ------
    TypeError, ValueError
        If no file can be written there, or a page cannot show what is on offer.
    """
    target = replaceable(Path(path))
    offer = stored_offer() if offer is None else offer.check()
    if offer.n_starts is None:
        raise ValueError(
            "n_starts of the offer is None, for any starting point, which takes a server; a file "
            "needs a number. stored_offer() has 5."
        )
    page = document(offer, stored(offer), served=False).encode()
    write_whole(target, lambda file: file.write(page))
    return len(page)


def document(offer: Offer, chunks: Iterable[tuple[str, str]], *, served: bool) -> str:
    """Return the page; `chunks` are names and texts that its script finds by name."""
    here = files(__package__)
    script = "\n".join(here.joinpath(name).read_text("utf-8") for name in SCRIPTS)
    style = here.joinpath("page.css").read_text("utf-8")
    network = "'self'" if served else "'none'"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            f"connect-src {network}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    about = [("about", json.dumps(describe(offer, served=served)))]
    blocks = "\n".join(
        f'<script type="text/plain" id="{name}">{_harmless(text)}</script>'
        for name, text in [*about, *chunks]
    )
    parts = {"policy": policy, "style": style, "data": blocks, "script": script}
    page = here.joinpath("page.html").read_text("utf-8")
    for name, part in parts.items():
        before, _, after = page.partition(f"{{{{{name}}}}}")
        page = before + part + after
    return page


def _harmless(text: str) -> str:
    """Write JSON so that nothing in it can end the element that it is in."""
    return text.replace("<", "\\u003c")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def stored(offer: Offer) -> Iterator[tuple[str, str]]:
    """Run all that an offer has; yields name and text for each function and optimizer."""
    for name, function in offer.functions.items():
        starts = offer.starts(name)
        for optimizer in offer.optimizers:
            traces = run(
                function,
                optimizer,
                offer.learning_rates,
                offer.momenta,
                starts,
                offer.n_steps,
            )
            best = best_rates(traces, len(starts))
            yield f"{name}-{optimizer}", packing.pack(traces, function, best)


def best_rates(traces: Traces, n_starts: int) -> np.ndarray:
    """Return which of its learning rates ended lowest, for each run: ``(R,)`` of int."""
    n_rates = len(np.unique(traces.learning_rates))
    failed = traces.outcomes == "diverged"
    ends = np.where(failed, np.inf, traces.values[:, -1]).reshape(-1, n_rates, n_starts)
    best = np.argmin(ends, axis=1)
    return np.broadcast_to(best[:, None, :], ends.shape).ravel()


def describe(offer: Offer, *, served: bool) -> dict[str, Any]:
    """Return what the script must know, apart from traces."""
    return {
        "made": _made(served=served),
        "served": served,
        "steps": offer.n_steps,
        "tol": TOL,
        "rates": offer.learning_rates,
        "momenta": offer.momenta,
        "starts": offer.n_starts,
        "functions": [_function(name, each) for name, each in offer.functions.items()],
        "optimizers": [_optimizer(name) for name in offer.optimizers],
        "nShown": sum(name in FIRST for name in offer.optimizers),
        "absent": offer.absent,
        "packing": {
            "pointsPerDomain": packing.POINTS_PER_DOMAIN,
            "levelsPerOctave": packing.LEVELS_PER_OCTAVE,
            "fineLevelsPerOctave": packing.FINE_LEVELS_PER_OCTAVE,
            "levelsPerAsinh": packing.LEVELS_PER_ASINH,
            "nothing": packing.NOTHING,
            "outcomes": packing.OUTCOMES,
        },
    }


def _made(*, served: bool) -> str:
    """Return what the page says about itself."""
    by = f"skopt_dl {__version__}, NumPy {np.__version__}, in float64"
    if served:
        return f"Every run is made by the optimizers themselves when you ask for it: {by}."
    fine, coarse = (
        100 * (2 ** (0.5 / levels) - 1)
        for levels in (packing.FINE_LEVELS_PER_OCTAVE, packing.LEVELS_PER_OCTAVE)
    )
    return (
        f"All runs were made by the optimizers themselves, before this page was written: {by}. It "
        f"keeps points to 1/{packing.POINTS_PER_DOMAIN} of the domain's width, values and rates to "
        f"{fine:.0f} % and gradients and directions to {coarse:.0f} %; with the command skopt-dl "
        "lab --serve all is exact, from any point. It loads nothing from a network."
    )


def _function(name: str, function: Function) -> dict[str, Any]:
    lower, upper = function.lower, function.upper
    margin = MARGIN * (upper - lower)
    return {
        "name": name,
        "title": " ".join(word.capitalize() for word in name.split("_")),
        "about": _first_line(function),
        "lower": lower.tolist(),
        "upper": upper.tolist(),
        "viewLower": (lower - margin).tolist(),
        "viewUpper": (upper + margin).tolist(),
        "start": function.start.tolist(),
        "minimum": function.minimum if np.isfinite(function.minimum) else None,
        "minima": [[*each.point.tolist(), each.value] for each in function.minima],
        "map": _map(function, margin),
    }


def _map(function: Function, margin: np.ndarray) -> str:
    """Return heights on the map, as shares of 65535: how much of the map lies lower.

    Whatever the function's values are, contours then have equal areas between them.
    """
    ends = zip(function.lower - margin, function.upper + margin, strict=True)
    x, y = (np.linspace(lower, upper, N_MAP) for lower, upper in ends)
    values = function.value(np.stack(np.meshgrid(x, y), axis=-1))
    shares = np.linspace(0.0, 1.0, N_KNOTS + 1)
    knots, first = np.unique(np.quantile(values, shares), return_index=True)
    heights = np.round(np.interp(values, knots, shares[first]) * 65535).astype("<u2")
    return packing.text(heights.tobytes())


def _optimizer(name: str) -> dict[str, Any]:
    optimizer = make_optimizer(name)
    return {
        "name": name,
        "about": _first_line(optimizer),
        "momentum": momentum_of(optimizer),
        "rate": has_rate(optimizer),
    }


def _first_line(thing: object) -> str:
    return (type(thing).__doc__ or "").strip().partition("\n")[0].replace("``", "")
