import matplotlib
import numpy as np
import pytest

from skopt_dl import lab
from skopt_dl.displays import UnifiedViewDisplay
from skopt_dl.displays.unified_view import Arrow, _edge, _is_hit
from skopt_dl.optimizers import LBFGS, Adam

matplotlib.use("agg")


@pytest.fixture(scope="module")
def builtin():
    names = "sgd momentum nesterov adagrad rmsprop adadelta adam amsgrad adamax nadam adamw lbfgs"
    return lab.rules(names.split())


@pytest.fixture
def display(builtin):
    display = UnifiedViewDisplay.from_rules(builtin, lab.reductions())
    yield display
    matplotlib.pyplot.close(display.figure_)


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def test_every_optimizer_is_in_the_cell_of_its_parts(display, builtin):
    for (direction, scale), names in display.cells.items():
        for name in names:
            assert builtin[name].direction.label == direction
            assert builtin[name].scale.label == scale
    shown = sorted(name for names in display.cells.values() for name in names)
    assert shown == sorted(set(builtin) - {"lbfgs"})
    assert display.others == ["lbfgs"]
    assert "adam\nadamw" in texts(display)


def test_simplest_parts_come_first(display):
    assert next(iter(display.directions)) == "gradient"
    assert list(display.scales)[:3] == ["none", "sum of squares", "average of squares"]


def test_what_does_not_hold_has_no_arrow(display):
    pairs = {(arrow.general, arrow.special): arrow for arrow in display.arrows}
    assert ("nesterov", "momentum") not in pairs
    assert ("adamax", "adagrad") not in pairs  # at the first step only
    assert pairs["momentum", "sgd"] == Arrow("momentum", "sgd", "μ = 0", "exact")
    assert pairs["adadelta", "sgd"].form == "limit"
    assert "growing gradients" in pairs["amsgrad", "adam"].condition


def test_every_arrow_has_a_number_and_a_line_in_the_key(display):
    from matplotlib.patches import FancyArrowPatch

    arrows = [p for p in display.ax_.patches if isinstance(p, FancyArrowPatch)]
    within = [a for a in display.arrows if (a.general, a.special) == ("adamw", "adam")]
    assert len(arrows) == len(display.arrows) - len(within)
    assert {str(n) for n in range(1, len(arrows) + 1)} <= set(texts(display))
    key = "\n".join(texts(display)[-2:])
    assert key.count(" is ") == len(display.arrows)


def test_bent_arrows_avoid_the_boxes_between(display):
    from matplotlib.patches import FancyArrowPatch

    boxes = [
        np.array([list(display.scales).index(s), list(display.directions).index(d)])
        for d, s in display.cells
    ]
    for arrow in (p for p in display.ax_.patches if isinstance(p, FancyArrowPatch)):
        t = np.linspace(0.02, 0.98, 97)[:, None]
        a, b, c = arrow._path_original.vertices
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        for box in boxes:
            assert not (np.abs(curve - box) < (0.36, 0.2)).all(axis=1).any()


def test_flags_and_classes_of_a_user_are_shown_by_what_they_are():
    rules = lab.rules([Adam(epsilon_hat=True), LBFGS()])
    display = UnifiedViewDisplay.from_rules(rules, lab.reductions())
    assert list(display.cells.values()) == [["Adam(epsilon_hat=True)"]]
    assert display.arrows == []
    matplotlib.pyplot.close(display.figure_)


def test_given_axes_are_drawn_on():
    figure, ax = matplotlib.pyplot.subplots(figsize=(3, 2))
    display = UnifiedViewDisplay({"a": "a"}, {"b": "b"}, {("a", "b"): ["one"]}).plot(ax)
    assert display.ax_ is ax
    assert tuple(figure.get_size_inches()) == (3, 2)
    matplotlib.pyplot.close(figure)


def test_lines_leave_boxes_at_their_edges():
    np.testing.assert_allclose(_edge(np.zeros(2), np.array([2.0, 0.0])), [0.36, 0])
    np.testing.assert_allclose(_edge(np.zeros(2), np.array([0.0, -3.0])), [0, -0.2])
    assert _is_hit(np.array([1.0, 0.1]), np.zeros(2), np.array([2.0, 0.0]))
    assert not _is_hit(np.array([1.0, 0.5]), np.zeros(2), np.array([2.0, 0.0]))
