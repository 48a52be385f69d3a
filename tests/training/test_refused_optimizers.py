"""fit refuses an optimizer that breaks its contract, and says what to do."""

import numpy as np
import pytest

from skopt_dl import MLPClassifier
from skopt_dl.objectives import GivenGradients
from skopt_dl.optimizers import SGD
from skopt_dl.training import minimise

X = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
Y = (X[:, 0] > 0).astype(int)


class NeedsTheUnknown(SGD):
    needs = ("los",)


class NeedsLacksTheComma(SGD):
    needs = "loss"


class CoefficientsAreATuple(SGD):
    def coefficients(self, number, learning_rate):
        return (0.1, learning_rate)


class CoefficientsAreForgotten(SGD):
    def coefficients(self, number, learning_rate):
        super().coefficients(number, learning_rate)


class PredictsWithNothing(SGD):
    def eval_params(self, params, state):
        return params * float("nan")


class PredictsInPlace(SGD):
    def eval_params(self, params, state):
        params *= 0.5
        return params


REFUSED = {
    NeedsTheUnknown: [
        "needs of NeedsTheUnknown lists 'los'; Step can carry 'loss', 'gradient', 'noise', ",
        "Did you mean 'loss'? Remove it",
        "check_optimizer(NeedsTheUnknown())",
    ],
    NeedsLacksTheComma: [
        "needs of NeedsLacksTheComma must be a tuple of 'loss', 'gradient', 'noise', 'epoch', "
        "'n_steps', or empty; got 'loss'.",
        "Write needs = ('loss',), with the comma.",
    ],
    CoefficientsAreATuple: [
        "coefficients of CoefficientsAreATuple returned (0.1, 0.01); it must return a dict",
        'return {"correction": …}',
    ],
    CoefficientsAreForgotten: ["returned None; it must return a dict, from names to numbers"],
    PredictsWithNothing: [
        "eval_params of PredictsWithNothing returned values that are not finite, in epoch 1",
        "It must return finite ones",
        "check_optimizer(PredictsWithNothing())",
    ],
    PredictsInPlace: [
        "eval_params of PredictsInPlace changed `params` in place",
        "Return a new array",
    ],
}


@pytest.mark.parametrize("cls", REFUSED, ids=lambda cls: cls.__name__)
def test_fit_refuses_with_the_next_step(cls):
    with pytest.raises(ValueError, match=cls.__name__) as error:
        MLPClassifier(3, optimizer=cls(), max_iter=2).fit(X, Y)
    for part in REFUSED[cls]:
        assert part in str(error.value)


def test_parameters_that_are_not_a_number_are_no_change_in_place():
    class Averages(SGD):
        def eval_params(self, params, state):
            return 1.0 * params

    gradients = GivenGradients([[1.0, np.nan]])
    (run,) = minimise(gradients, Averages(), np.zeros((1, 2)), max_epochs=1)
    assert run.stop_reason == "diverged"
