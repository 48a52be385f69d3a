"""Optimizers can be told apart: in print, and by the colour-blind."""

from itertools import combinations

import numpy as np
import pytest

from skopt_dl.displays._style import FREE, OF_OPTIMIZERS, REGIONS, mix, name_in, rgb, styles
from skopt_dl.plugins import available_optimizers

# Linear red, green and blue as seen without one kind of cone (Machado et al., 2009, severity 1).
SEEN_BY = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
    "grey print": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)


def lab(color, seen_by):
    """CIE L*a*b* of a colour."""
    parts = rgb(color)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    relative = TO_XYZ @ np.clip(SEEN_BY[seen_by] @ linear, 0, 1) / WHITE
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_lines_of_one_kind_differ_in_colour(seen_by):
    least = 10 if seen_by == "grey print" else 15
    for one, other in combinations([*OF_OPTIMIZERS.values(), *FREE], 2):
        if one.linestyle == other.linestyle:
            apart = np.linalg.norm(lab(one.color, seen_by) - lab(other.color, seen_by))
            assert apart > least, (one, other)


def test_every_line_is_dark_enough_for_white_paper():
    assert all(lab(s.color, "normal")[0] < 76 for s in [*OF_OPTIMIZERS.values(), *FREE])


def test_markers_all_differ_and_no_kind_of_line_has_more_than_four():
    everyone = [*OF_OPTIMIZERS.values(), *FREE]
    assert len({style.marker for style in everyone}) == len(everyone)
    lines = [str(style.linestyle) for style in everyone]
    assert max(map(lines.count, lines)) <= 4


def test_every_built_in_optimizer_has_its_own_style_whatever_stands_beside_it():
    built_in = [
        name for name in available_optimizers() if "/" not in name and name in OF_OPTIMIZERS
    ]
    assert len(built_in) == len(OF_OPTIMIZERS) == 12
    alone = {name: styles([name])[name] for name in built_in}
    together = styles(["lion", *reversed(built_in)])
    assert {name: together[name] for name in built_in} == alone
    assert together["lion"] not in alone.values()


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("adam", "adam"),
        ("adam, 0.01", "adam"),
        ("Adam(learning_rate=0.1)", "adam"),
        ("skopt-dl-lion/lion", "lion"),
        ("", ""),
    ],
)
def test_label_says_which_optimizer_it_is(label, name):
    assert name_in(label) == name


def test_two_labels_of_one_optimizer_are_told_apart():
    looks = styles(["Adam(0.1)", "Adam(0.2)", "adam"])
    assert looks["Adam(0.1)"] == OF_OPTIMIZERS["adam"]
    assert len(set(looks.values())) == 3


def test_more_labels_than_styles_all_get_one():
    looks = styles(f"mine {i}" for i in range(40))
    assert len(looks) == 40
    assert len(set(looks.values())) == 16


@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_first_regions_are_distinct(seen_by):
    least = 10 if seen_by == "grey print" else 15
    for one, other in combinations(REGIONS[:4], 2):
        assert np.linalg.norm(lab(one, seen_by) - lab(other, seen_by)) > least, (one, other)


def test_white_mixes_in():
    assert mix("#000000", 0.0) == "#000000"
    assert mix("#000000", 1.0) == "#ffffff"
    assert mix("#804000", 0.5) == "#c0a080"
