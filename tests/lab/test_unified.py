"""The formulas that are shown are what the optimizers compute."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import OPTIMIZERS
from sklearn.base import clone

from skopt_dl import available_optimizers, lab
from skopt_dl.lab.formulas import as_program, latex
from skopt_dl.lab.reducing import REDUCTIONS
from skopt_dl.lab.tracing import Untraceable, trace
from skopt_dl.lab.unified import changes, difference, draw
from skopt_dl.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    AMSGrad,
    Formula,
    Momentum,
    NAdam,
    Nesterov,
    Optimizer,
    RMSProp,
)
from skopt_dl.schedules import Cosine

FLAGS = [
    Momentum(momentum=0.5),
    Nesterov(momentum=0.0),
    AdaGrad(epsilon=0.1, initial_accumulator=0.3),
    AdaGrad(epsilon=0.1, epsilon_inside_sqrt=True),
    RMSProp(epsilon=0.1, initial_accumulator=0.3),
    RMSProp(epsilon=0.1, epsilon_inside_sqrt=True, momentum=0.8),
    RMSProp(epsilon=0.1, centered=True),
    RMSProp(
        epsilon=0.1, epsilon_inside_sqrt=True, centered=True, momentum=0.8, initial_accumulator=1.0
    ),
    AdaDelta(rho=0.5, epsilon=0.1),
    Adam(epsilon=0.1),
    Adam(epsilon=0.1, epsilon_hat=True),
    AMSGrad(beta_2=0.5, epsilon=0.1),
    AMSGrad(beta_2=0.5, epsilon=0.1, epsilon_hat=True),
    AMSGrad(beta_2=0.5, epsilon=0.1, bias_correction=False),
    AMSGrad(beta_2=0.5, epsilon=0.1, bias_correction=False, epsilon_hat=True),
    AdaMax(beta_2=0.5, epsilon=0.1),
    NAdam(epsilon=0.1, momentum_decay=1.0),
    AdamW(epsilon=0.1, weight_decay=0.5),
    AdamW(epsilon=0.1, weight_decay=0.5, epsilon_hat=True),
    SGD(l2=0.3),
    Momentum(weight_decay=0.2, rate_in_velocity=True),
    Nesterov(l2=0.3, rate_in_velocity=True),
    RMSProp(momentum=0.8, rate_in_velocity=True, weight_decay=0.2, l2=0.3),
    AdaDelta(epsilon=0.1, weight_decay=0.2, l2=0.3),
    AMSGrad(beta_2=0.5, epsilon=0.1, bias_correction="before_maximum", l2=0.3),
    AdaMax(beta_2=0.5, epsilon=0.1, epsilon_outside_max=True, weight_decay=0.2),
    NAdam(epsilon=0.1, momentum_decay=1000.0, l2=0.3),
]
ALL = [cls() for cls in OPTIMIZERS.values()] + FLAGS


class Interpolated(Optimizer):
    """Lion, written with operators: the change needs the momentum of the step before."""

    slots = ("momentum",)

    def __init__(self, learning_rate=0.1, beta_1=0.9, beta_2=0.99, weight_decay=0.1):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.weight_decay = weight_decay

    def update(self, grad, state, params, step):
        m = state["momentum"]
        direction = step.xp.sign(self.beta_1 * m + (1 - self.beta_1) * grad)
        m *= self.beta_2
        m += (1 - self.beta_2) * grad
        return -step.learning_rate * (direction + self.weight_decay * params)


class FromStart(Optimizer):
    """Slots that start elsewhere, that use each other, and that one only remembers."""

    slots = ("average", "before", "centre")

    def __init__(self, learning_rate=0.1, decay=0.5):
        self.learning_rate = learning_rate
        self.decay = decay

    def init_state(self, state, params, xp):
        state["centre"][...] = params
        state["average"] += 2.0

    def update(self, grad, state, params, step):
        average, before = state["average"], state["before"]
        average[...] = self.decay * average + (grad - before) ** 2
        before[:] = grad
        state["centre"] *= np.sqrt(self.decay)
        scale = step.xp.sqrt(average) + step.xp.abs(state["centre"] - params) + 1
        return -step.learning_rate * step.xp.maximum(grad, -1.0) / scale / 2


def by_text(text, optimizer, gradients, weights):
    """Weights after each step, by running a formula's text as a program."""
    kept = {"sqrt": np.sqrt, "abs": abs, "sign": np.sign, "max": np.maximum, "min": np.minimum}
    kept |= optimizer.get_params(deep=False)
    lines = text.splitlines()
    slots = {line.partition(" = ")[0] for line in lines}
    kept |= {name: np.zeros_like(weights) for name in slots} | {"weights": weights}
    starts = [line for line in lines if line.endswith("# at the start")]
    exec("\n".join(starts), kept)
    path = []
    for t, gradient in enumerate(gradients, start=1):
        kept |= {"t": t, "gradient": gradient}
        exec("\n".join(line for line in lines if line not in starts), kept)
        kept["weights"] = kept["weights"] + kept["change"]
        path.append(kept["weights"])
    return np.array(path)


def by_code(optimizer, gradients, weights):
    """Weights after each step, from the optimizer and the loop."""
    return weights + np.cumsum(changes(optimizer, gradients, weights), axis=0)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_text_that_is_shown_is_what_the_optimizer_computes(optimizer):
    rng = np.random.default_rng(1)
    gradients, weights = rng.normal(size=(20, 30)), rng.normal(size=30)
    shown = lab.rule(optimizer)
    assert shown.source == "declared"
    expected = by_text(shown.text, optimizer, gradients, weights)
    np.testing.assert_allclose(by_code(optimizer, gradients, weights), expected, rtol=1e-12)


# NAdam looks up its product over the steps in a table, by the step's number.
@pytest.mark.parametrize("optimizer", [o for o in ALL if not isinstance(o, NAdam)], ids=repr)
def test_what_is_recorded_agrees_with_what_is_declared(optimizer):
    rng = np.random.default_rng(2)
    gradients, weights = rng.normal(size=(20, 30)), rng.normal(size=30)
    recorded = by_text(as_program(trace(optimizer)), optimizer, gradients, weights)
    declared = by_text(lab.rule(optimizer).text, optimizer, gradients, weights)
    np.testing.assert_allclose(recorded, declared, rtol=1e-11)


@pytest.mark.parametrize("optimizer", [Interpolated(), FromStart()], ids=repr)
def test_formula_of_a_new_optimizer_is_recorded(optimizer):
    rng = np.random.default_rng(3)
    gradients, weights = rng.normal(size=(20, 30)), rng.normal(size=30)
    shown = lab.rule(optimizer)
    assert shown.source == "recorded"
    expected = by_text(shown.text, optimizer, gradients, weights)
    np.testing.assert_allclose(by_code(optimizer, gradients, weights), expected, rtol=1e-12)


def test_change_comes_before_what_it_needs_the_former_value_of():
    assert lab.rule(Interpolated()).text == (
        "direction = sign(beta_1 * momentum + (1 - beta_1) * gradient) + weight_decay * weights\n"
        "scale = 1\n"
        "change = -learning_rate * direction / scale\n"
        "momentum = momentum * beta_2 + (1 - beta_2) * gradient"
    )


@pytest.mark.parametrize(
    ("optimizer", "flag"),
    [(o, name) for o in ALL for name, value in o.get_params().items() if isinstance(value, bool)],
    ids=repr,
)
def test_flags_change_the_formula(optimizer, flag):
    changed = clone(optimizer).set_params(**{flag: not getattr(optimizer, flag)})
    same = flag == "epsilon_hat" and optimizer.bias_correction is not True
    without = isinstance(optimizer, RMSProp) and optimizer.momentum == 0
    same |= flag == "rate_in_velocity" and without
    assert (lab.rule(optimizer).text == lab.rule(changed).text) is same


def test_declared_formula_of_a_class_that_computes_something_else_is_not_shown():
    class Doubled(Adam):
        def update(self, grad, state, params, step):
            return 2 * super().update(grad, state, params, step)

    shown = lab.rule(Doubled())
    assert shown.source == "recorded"
    assert "direction = 2 * mean" in shown.text


def test_wrong_place_of_epsilon_is_noticed():
    class Misplaced(Adam):
        def formula(self):
            formula = super().formula()
            wrong = "sqrt(squares / (1 - beta_2**t) + epsilon)"
            return formula._replace(before={**formula.before, "scale": wrong})

    assert lab.rule(Misplaced()).source == "recorded"


def test_formula_that_is_off_by_little_is_not_shown():
    class Larger(SGD):
        def update(self, grad, state, params, step):
            return super().update(grad, state, params, step) * (1 + 1e-11)

    assert lab.rule(Larger()).source == "recorded"


def refusing(update, **attributes):
    def init(self, learning_rate=0.1):
        self.learning_rate = learning_rate

    return type("Odd", (Optimizer,), {"__init__": init, "update": update, **attributes})()


@pytest.mark.parametrize(
    ("update", "attributes", "why"),
    [
        (lambda s, g, *_: -0.1 * g if g[0, 0] > 0 else g, {}, "parts of arrays"),
        (lambda s, g, *_: g if (g > 0) else -g, {}, "values of arrays"),
        (lambda s, g, st, p, step: step.xp.cumsum(g, axis=1), {}, "xp.cumsum"),
        (lambda s, g, st, p, step: step.layout.tensors(g)[0].array, {}, "step.layout"),
        (lambda s, g, st, p, step: -0.1 * g * step.loss[:, None], {"needs": ("loss",)}, "loss"),
        (lambda s, g, st, p, step: step.scratch - g, {}, "scratch"),
        (lambda s, g, *_: g * np.ones(3), {}, "shape (3,)"),
        (lambda s, g, *_: g.nonsense, {}, "AttributeError"),
        (lambda s, g, *_: None, {}, "update returns None"),
        (lambda s, g, *_: g + "a", {}, "it uses 'a' where an array"),
        (lambda s, g, *_: np.add.reduce(g), {}, "add.reduce"),
    ],
)
def test_what_cannot_be_recorded_says_why(update, attributes, why):
    optimizer = refusing(update, **attributes)
    with pytest.raises(Untraceable) as raised:
        trace(optimizer)
    assert why in str(raised.value)
    shown = lab.rule(optimizer)
    assert shown.formula is None
    assert shown.direction is None
    assert why in shown.text


def test_slots_that_need_each_others_former_values_are_not_put_in_a_wrong_order():
    def swap(self, grad, state, params, step):
        one, other = state["one"].copy(), state["other"].copy()
        state["one"][...] = 0.5 * other + grad
        state["other"][...] = 0.5 * one - grad
        return -step.learning_rate * (one + other)

    assert "each other" in lab.rule(refusing(swap, slots=("one", "other"))).text


def test_full_batch_methods_have_no_rule_for_a_gradient():
    shown = lab.rule("lbfgs")
    assert "whole minimisation" in shown.text
    assert "text" in shown.latex


def test_schedules_do_not_matter_for_the_formula():
    assert lab.rule(Adam(Cosine(0.1))).text == lab.rule("adam").text


def test_rule_of_something_else_is_refused():
    with pytest.raises(TypeError, match=r"Adam\(0.01\); got 3"):
        lab.rule(3)
    with pytest.raises(ValueError, match="adam"):
        lab.rule("adamm")


def test_parts_know_what_the_field_calls_them():
    adam = lab.rule("adam")
    assert adam.direction.label == "moving average"
    assert adam.scale.label == "corrected average of squares"
    assert adam.direction.latex == r"\frac{m_t}{1 - \beta_1^{t}}"
    assert adam._repr_latex_().startswith(
        r"$\displaystyle \begin{aligned} m_t &= \beta_1\, m_{t-1}"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a - (b - c)", "a - \\left(b - c\\right)"),
        ("a - b - c", "a - b - c"),
        ("a * (b + c)", "a\\, \\left(b + c\\right)"),
        ("(a * b) ** 2", "\\left(a\\, b\\right)^{2}"),
        ("a / (b + c) ** 2", "\\frac{a}{\\left(b + c\\right)^{2}}"),
        ("(a / b) ** 2", "\\left(\\frac{a}{b}\\right)^{2}"),
        ("(a ** b) ** c", "\\left(a^{b}\\right)^{c}"),
        ("-(a + b)", "-\\left(a + b\\right)"),
        ("a * -b", "a\\, \\left(-b\\right)"),
        ("(-a) ** 2", "\\left(-a\\right)^{2}"),
        ("-learning_rate * a / b", "-\\eta\\, \\frac{a}{b}"),
        ("a ** 0.5", "\\sqrt{a}"),
        ("(a ** 0.5) ** 3", "\\left(\\sqrt{a}\\right)^{3}"),
        ("2 * 3", "2 \\cdot 3"),
        ("1e-08 * 2.5e+20", "10^{-8} \\cdot 2.5 \\cdot 10^{20}"),
        ("max(a, abs(b))", "\\max\\left(a, \\left|b\\right|\\right)"),
        ("beta_3 * half_life", "\\mathrm{beta}_{3}\\, \\mathrm{half\\_life}"),
    ],
)
def test_brackets_are_set_where_they_are_needed(text, expected):
    assert latex(text, {}) == expected


@pytest.mark.parametrize("text", ["a if b else c", "a // b", "sin(a)", "a[0]"])
def test_what_no_formula_has_is_refused_by_name(text):
    with pytest.raises(ValueError, match="A formula has no"):
        latex(text, {})


@pytest.mark.parametrize("optimizer", [*ALL, Interpolated(), FromStart()], ids=repr)
def test_matplotlib_can_set_the_slots(optimizer):
    mathtext = pytest.importorskip("matplotlib.mathtext")
    shown = lab.rule(optimizer)
    for part in (shown.direction, shown.scale):
        mathtext.MathTextParser("path").parse(f"${part.latex}$")


def test_table_has_all_installed_optimizers():
    shown = lab.rules()
    assert list(shown) == available_optimizers()
    assert list(shown.table["optimizer"]) == list(shown)
    assert (shown.table["difference"][shown.table["source"] != ""] <= 1e-12).all()
    assert "sqrt(squares) + epsilon" in repr(shown)
    assert shown._repr_html_().count("<tr>") == len(shown) + 1
    assert "whole minimisation" in shown._repr_html_()


def test_optimizer_that_fails_is_no_obstacle_to_the_rest(monkeypatch):
    def make(kind, name):
        if name == "sgd":
            raise ImportError("no module named sgd")
        return SGD()

    monkeypatch.setattr("skopt_dl.lab.unified.make", make)
    shown = lab.rules()
    assert shown["sgd"].text == "No formula: ImportError: no module named sgd."
    assert shown["adam"].source == "declared"


def test_objects_are_told_apart_in_a_table():
    shown = lab.rules([Adam(), Adam(epsilon_hat=True)])
    assert list(shown) == ["Adam()", "Adam(epsilon_hat=True)"]


@pytest.mark.parametrize("reduction", REDUCTIONS, ids=lambda r: f"{r.general} {r.special}")
def test_reduction_holds_where_it_is_said_to(reduction):
    if reduction.form == "not":
        assert reduction.difference() > 0.01
    else:
        assert reduction.difference() <= 1e-13


def test_table_of_reductions_holds_what_was_measured():
    table = lab.reductions()
    assert {len(column) for column in table.values()} == {len(REDUCTIONS)}
    np.testing.assert_array_equal(table["holds"], table["form"] != "not")
    assert set(table["form"]) == {"exact", "limit", "not"}
    frame = table.to_frame()
    assert list(frame.columns) == list(table)
    assert "β₁ = 0, no correction" in repr(table)
    assert "β₁ = 0, no correction" in table._repr_html_()


rates = st.floats(1e-4, 1.0)
fractions = st.floats(0.0, 0.999)
epsilons = st.floats(1e-10, 1.0)


def apart(one, other, seed, reshape=lambda gradients: gradients):
    gradients, weights = draw(20, 10, seed)
    gradients = reshape(gradients)
    return difference(changes(one, gradients, weights), changes(other, gradients, weights))


@settings(max_examples=20, deadline=None)
@given(rates, fractions, fractions, epsilons, st.integers(0, 1000))
def test_reductions_hold_for_any_hyperparameters(rate, beta_1, beta_2, epsilon, seed):
    class Uncorrected(Adam):
        bias_correction = False

    both = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    plain = SGD(rate)
    rmsprop = RMSProp(rate, rho=beta_2, epsilon=epsilon)
    pairs = [
        (Momentum(rate, momentum=0.0), plain),
        (Nesterov(rate, momentum=0.0), plain),
        (Uncorrected(rate, beta_1=0.0, beta_2=beta_2, epsilon=epsilon), rmsprop),
        (NAdam(rate, 0.0, beta_2, epsilon), Adam(rate, 0.0, beta_2, epsilon)),
        (AdaMax(rate, 0.0, 0.0, epsilon), RMSProp(rate, rho=0.0, epsilon=epsilon)),
        (AdamW(rate, **both, weight_decay=0.0), Adam(rate, **both)),
    ]
    for general, special in pairs:
        assert apart(general, special, seed) <= 1e-12, (general, special)
    growing = apart(
        AMSGrad(rate, **both), Adam(rate, **both), seed, lambda g: np.cumsum(np.abs(g), axis=0)
    )
    assert growing <= 1e-12


def test_difference_is_infinite_where_something_is_not_finite():
    one = np.array([[1.0, np.nan]])
    assert difference(one, np.ones((1, 2))) == math.inf
    assert difference(np.zeros((2, 1)), np.zeros((2, 1))) == 0.0
    assert difference(np.zeros((2, 1)), np.zeros((1, 1))) == math.inf
    assert difference(np.array([[1.0], [2.0]]), np.array([[1.0], [1.0]])) == 0.5


def test_own_formula_can_be_declared():
    class Halved(Optimizer):
        def __init__(self, learning_rate=0.1):
            self.learning_rate = learning_rate

        def formula(self):
            return Formula("-learning_rate * gradient / 2")

        def update(self, grad, state, params, step):
            return -step.learning_rate * grad / 2

    shown = lab.rule(Halved())
    assert (shown.source, shown.text) == ("declared", "change = -learning_rate * gradient / 2")
    assert shown.direction is None
