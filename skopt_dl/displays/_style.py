"""How optimizers look: each has its colour, marker and line, the same in every figure.

There are sixteen styles in four kinds of line. Those of one kind of line differ in colour for the
colour-blind, and in lightness in a grey print; markers all differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np


class Style(NamedTuple):
    """A colour in hexadecimal, a marker and a kind of line, as matplotlib names them."""

    color: str
    marker: str
    linestyle: Any

    def lighter(self, share: float) -> Style:
        """Return the same, its colour mixed with this share of white."""
        return self._replace(color=mix(self.color, share))


SOLID, DASHED, DOTTED, DASH_DOT = "-", (0, (5, 1.5)), (0, (1.2, 1)), (0, (6, 1.5, 1.2, 1.5))

# The built-in optimizers keep their styles, whatever else a figure shows.
OF_OPTIMIZERS = {
    "sgd": Style("#000000", "o", SOLID),
    "momentum": Style("#005A9C", "s", SOLID),
    "nesterov": Style("#56B4E9", "D", DASHED),
    "adagrad": Style("#117733", "^", DASHED),
    "rmsprop": Style("#EFA91F", "v", SOLID),
    "adadelta": Style("#8C8A1A", "<", DASH_DOT),
    "adam": Style("#D55E00", "P", SOLID),
    "amsgrad": Style("#6E1845", "X", DASHED),
    "adamax": Style("#E39AC4", ">", DASH_DOT),
    "nadam": Style("#AA4499", "p", DOTTED),
    "adamw": Style("#DB5B74", "h", DASHED),
    "lbfgs": Style("#6A6A72", "8", DASH_DOT),
}
# What others take, in the order of their appearance.
FREE = [
    Style("#332288", "*", DASH_DOT),
    Style("#35A594", "d", DOTTED),
    Style("#5E3A00", "$\u25d7$", DOTTED),
    Style("#CDB200", "$\u2217$", DOTTED),
]

# Regions, such as basins of attraction; the first four differ in every print and to every eye.
REGIONS = ["#0072B2", "#E69F00", "#882255", "#2AA18A", "#88CCEE", "#999933", "#CC6677", "#7A4B9E"]


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """Return the style of each optimizer, given their labels.

    A label that begins with the name of a built-in has that one's style, unless it is taken; the
    others get those that are left over, from the start again once there are none.
    """
    unique = list(dict.fromkeys(labels))
    found: dict[str, Style] = {}
    for label in unique:
        style = OF_OPTIMIZERS.get(name_in(label))
        if style is not None and style not in found.values():
            found[label] = style
    spare = [each for each in (*FREE, *OF_OPTIMIZERS.values()) if each not in found.values()]
    spare = spare or FREE
    others = [label for label in unique if label not in found]
    found |= {label: spare[i % len(spare)] for i, label in enumerate(others)}
    return {label: found[label] for label in unique}


def name_in(label: str) -> str:
    """The name in a label such as ``"adam, 0.01"``, ``"Adam(0.01)"`` or ``"package/adam"``."""
    match = re.match(r"\w+", label.rpartition("/")[2])
    return match.group().lower() if match else ""


def rgb(color: str) -> np.ndarray:
    """Red, green and blue of ``"#rrggbb"``, ``(3,)`` in [0, 1]."""
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def mix(color: str, white: float) -> str:
    """Mix a colour with a share of white."""
    mixed = np.rint(255 * ((1 - white) * rgb(color) + white)).astype(int)
    return "#" + "".join(f"{part:02x}" for part in mixed)


def legend_beside(ax: Any, **options: Any) -> Any:
    """A legend to the right of the axes, where it covers nothing."""
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    return ax.legend(
        **{**place, "fontsize": "small", "frameon": False, "handlelength": 3.2, **options}
    )
