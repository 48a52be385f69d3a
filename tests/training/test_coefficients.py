"""Coefficients of many steps with one call: the bits of one step after the other."""

import numpy as np
import pytest

from skopt_dl.optimizers import SGD, Adam, AdamW, AMSGrad, NAdam, RMSProp
from skopt_dl.training.coefficients import Coefficients
from skopt_dl.training.each_step import EachStep, power
from skopt_dl.training.updates import bind, column


class Asks(SGD):
    """Another rate in the first steps."""

    def coefficients(self, number, learning_rate):
        return {"rate": -learning_rate if number > 3 else -0.5 * learning_rate}


class Counts(SGD):
    """Knows how often it was called, by an attribute."""

    n_calls = 0

    def coefficients(self, number, learning_rate):
        self.n_calls = self.n_calls + 1
        return {"rate": -learning_rate / self.n_calls}


class SaysSo(SGD):
    """Keeps what it was called with, and says that it does."""

    traceable = False
    seen = []

    def coefficients(self, number, learning_rate):
        self.seen.append(number)
        return {"rate": -learning_rate * (1.0 - 0.9**number)}


class DividesByZero(SGD):
    def coefficients(self, number, learning_rate):
        return {"rate": -learning_rate / (number - 20)}


OPTIMIZERS = [SGD(), Adam(), AdamW(), AMSGrad(), NAdam(), RMSProp(), Asks(), Counts(), SaysSo()]


def as_rows(columns, n_steps):
    """Exact floats, step by step."""
    arrays = [np.asarray(each, dtype=np.float64).reshape(n_steps, -1) for each in columns]
    return [[row.tolist() for row in array] for array in arrays]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("rate", [0.003, column([0.1, 0.003])], ids=["one", "two"])
def test_blocks_of_any_length_have_the_bits_of_single_steps(optimizer, rate):
    exact, alone = bind([optimizer]), bind([optimizer])
    coefficients, number = Coefficients(exact), 1
    for n_steps in (1, 9, 32, 7, 32, 100, 2000, 32):
        numbers = range(number, number + n_steps)
        found = as_rows(coefficients.steady(numbers, rate), n_steps)
        each = [list(alone.coefficients(k, rate).values()) for k in numbers]
        assert found == as_rows(zip(*each, strict=True), n_steps)
        number += n_steps


def test_hyperparameters_that_differ_between_models_have_the_bits_of_single_steps():
    optimizers = [Adam(beta_1=0.9, beta_2=0.99), Adam(beta_1=0.5, beta_2=0.999)]
    exact, numbers = bind(optimizers), range(1, 65)
    found = as_rows(Coefficients(exact).steady(numbers, 0.01), 64)
    each = [list(exact.coefficients(k, 0.01).values()) for k in numbers]
    assert found == as_rows(zip(*each, strict=True), 64)


def test_rates_and_hyperparameters_that_move_have_the_bits_of_single_steps():
    exact, numbers = bind([AdamW()]), range(5, 45)
    rates = [0.1 / number for number in numbers]
    moved = {"weight_decay": [0.01 * number for number in numbers]}
    found = as_rows(Coefficients(exact).moving(numbers, rates, moved), 40)
    each = []
    for place, number in enumerate(numbers):
        exact.weight_decay = moved["weight_decay"][place]
        each.append(list(exact.coefficients(number, rates[place]).values()))
    assert found == as_rows(zip(*each, strict=True), 40)


def test_another_rate_and_other_hyperparameters_are_noticed():
    exact = bind([AdamW()])
    coefficients = Coefficients(exact)
    coefficients.steady(range(1, 10), 0.01)
    (first, *_), _ = exact.coefficients(10, 0.02).values(), None
    assert coefficients.steady(range(10, 20), 0.02)[0][0] == first
    exact.weight_decay = 0.5
    coefficients.forget()
    found = coefficients.steady(range(20, 30), 0.02)
    assert [np.ravel(each[0]).item() for each in found] == [*exact.coefficients(20, 0.02).values()]


def test_code_that_says_it_does_more_than_compute_sees_single_steps():
    SaysSo.seen.clear()
    Coefficients(bind([SaysSo()])).steady(range(1, 33), 0.01)
    assert SaysSo.seen == [*range(1, 33)]


def test_attributes_that_coefficients_set_are_those_of_single_steps():
    exact = bind([Counts()])
    Coefficients(exact).steady(range(1, 33), 0.01)
    assert exact.n_calls == 32


def test_an_error_is_that_of_the_step_it_happens_in():
    coefficients = Coefficients(bind([DividesByZero()]))
    assert len(coefficients.steady(range(1, 17), 0.01)[0]) == 16
    with pytest.raises(ZeroDivisionError):
        coefficients.steady(range(17, 33), 0.01)


def test_powers_have_pythons_bits():
    rng = np.random.default_rng(0)
    bases = [0.9, 0.99, 0.999, *rng.uniform(0.0, 2.0, 50)]
    exponents = [0.5, *range(1, 200), *rng.uniform(-3.0, 3.0, 50)]
    found = power(np.array(bases)[:, None], np.array(exponents))
    assert found.tolist() == [[float(a) ** float(b) for b in exponents] for a in bases]


@pytest.mark.parametrize(
    ("base", "exponent", "error"), [(10.0, 400.0, OverflowError), (0.0, -1.0, ZeroDivisionError)]
)
def test_powers_raise_where_python_does(base, exponent, error):
    with pytest.raises(error):
        power(np.array([0.5, base]), exponent)


def steps(*values):
    return EachStep(np.array(values, dtype=np.float64).reshape(-1, 1, 1))


@pytest.mark.parametrize(
    "ask",
    [
        bool,
        float,
        int,
        str,
        repr,
        hash,
        len,
        list,
        np.sqrt,
        np.asarray,
        lambda number: number > 3,
        lambda number: number == 3,
        lambda number: 3 in [number],
        lambda number: number**2,
        lambda number: 2**number,
        lambda number: number * 10**12,
        lambda number: number / 0.0,
        lambda number: number + 1j,
        lambda number: number * np.float32(0.1),
        lambda number: number * np.ones((2, 1), np.float32),
        lambda number: (-0.5) ** (number * 0.5),
        lambda number: number % 2,
    ],
)
def test_what_may_differ_from_one_number_is_refused(ask):
    with pytest.raises((TypeError, ZeroDivisionError)):
        ask(steps(1, 2, 3))
