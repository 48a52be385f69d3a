"""check_optimizer accepts what keeps the rules, and catches every broken one."""

import numpy as np
import pytest

from skopt_dl import available_optimizers, make_optimizer
from skopt_dl.optimizers import (
    LBFGS,
    SGD,
    Adam,
    AMSGrad,
    Minimizer,
    MinimizerResult,
    Momentum,
    Optimizer,
    RMSProp,
)
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, Interval
from skopt_dl.schedules import Cosine
from skopt_dl.testing import check_optimizer


@pytest.mark.parametrize("name", available_optimizers())
def test_every_available_optimizer_passes(name):
    check_optimizer(make_optimizer(name))


@pytest.mark.parametrize(
    "optimizer",
    [
        Adam(learning_rate=0.1, beta_1=0.0, epsilon_hat=True),
        AMSGrad(bias_correction=False),
        Momentum(learning_rate=Cosine(0.1), momentum=0.0),
        RMSProp(momentum=0.9, centered=True, epsilon_inside_sqrt=True, initial_accumulator=1.0),
        LBFGS(memory=3),
    ],
    ids=str,
)
def test_other_settings_pass_too(optimizer):
    check_optimizer(optimizer)


class Sound(Optimizer):
    """A heavy ball, written out; the broken ones below differ from it in one thing."""

    slots = ("velocity",)
    constraints = {"learning_rate": LEARNING_RATE, "momentum": FRACTION}

    def __init__(self, learning_rate=0.01, momentum=0.9):
        self.learning_rate = learning_rate
        self.momentum = momentum

    def update(self, grad, state, params, step):
        velocity = state["velocity"]
        velocity *= self.momentum
        velocity += grad
        return -step.learning_rate * velocity


class UsesLayoutAndLoss(Sound):
    """Polyak's step, capped: a rate from the loss for each tensor."""

    needs = ("loss",)

    def update(self, grad, state, params, step):
        velocity = super().update(grad, state, params, step)
        for tensor in step.layout.tensors(grad):
            norm = step.xp.sum(tensor.array**2, axis=(1, 2), keepdims=True)
            tensor.array[...] *= step.xp.minimum(step.loss[:, None, None] / (norm + 1e-9), 1.0)
        return velocity - step.learning_rate * grad


class Averaged(Sound):
    """Predicts with an average of its parameters."""

    slots = ("velocity", "average")

    def init_state(self, state, params, xp):
        state["average"][...] = params

    def update(self, grad, state, params, step):
        change = super().update(grad, state, params, step)
        average = state["average"]
        average += (params + change - average) / step.number
        return change

    def eval_params(self, params, state):
        return state["average"]


class Alone(Sound):
    """Cannot share a call, and says so."""

    stackable = False

    def update(self, grad, state, params, step):
        assert grad.shape[0] == 1
        grad = grad / np.linalg.norm(grad).clip(1.0) if self.momentum > 0 else grad
        return super().update(grad, state, params, step)


class Precise(Sound):
    """Trains in float64 only."""

    dtype = "float64"

    def update(self, grad, state, params, step):
        return super().update(grad, state, params, step) * np.float64(1.0)


class CountsWithAnInteger(Sound):
    constraints = {"power": Interval(1, 9, "[]", integer=True)}

    def __init__(self, learning_rate=0.01, momentum=0.9, power=2):
        super().__init__(learning_rate, momentum)
        self.power = power

    def update(self, grad, state, params, step):
        for _ in range(self.power):
            grad = 0.9 * grad
        return super().update(grad, state, params, step)


@pytest.mark.parametrize(
    "cls", [Sound, UsesLayoutAndLoss, Averaged, Alone, Precise, CountsWithAnInteger]
)
def test_optimizers_that_use_what_the_contract_offers_pass(cls):
    check_optimizer(cls())


BROKEN = []


def breaks(message):
    """Note a broken class, and what must be said about it."""

    def note(cls):
        BROKEN.append(pytest.param(cls, message, id=cls.__name__))
        return cls

    return note


@breaks("momentum' is not stored as self.momentum")
class InitRenames(Sound):
    def __init__(self, learning_rate=0.01, momentum=0.9):
        self.learning_rate = learning_rate
        self._momentum = momentum

    momentum = 0.9


@breaks("__init__ stores its arguments as they are")
class InitConverts(Sound):
    def __init__(self, learning_rate=0.01, momentum=0.9):
        self.learning_rate = learning_rate
        self.momentum = float(momentum)


@breaks("__init__ names every parameter")
class InitTakesAnything(Sound):
    def __init__(self, learning_rate=0.01, **momentum):
        self.learning_rate = learning_rate


@breaks("check_params accepts the parameters of the object")
class DefaultBreaksConstraint(Sound):
    constraints = {"momentum": Interval(0, 0.5)}


@breaks("pickle gives an optimizer with the same parameters")
class PickleForgets(Sound):
    def __getstate__(self):
        return {"learning_rate": 0.5, "momentum": 0.5}


@breaks("repr shows the class")
class ReprHides(Sound):
    def __repr__(self, N_CHAR_MAX=700):
        return "an optimizer"


@breaks("Every optimizer has a parameter learning_rate")
class HasNoLearningRate(Optimizer):
    def __init__(self, rate=0.01):
        self.rate = rate

    def update(self, grad, state, params, step):
        return -0.01 * grad


@breaks("Write slots = ('velocity',), with the comma")
class SlotsLackTheComma(Sound):
    slots = "velocity"


@breaks("`needs` lists what Step can carry")
class NeedsTheUnknown(Sound):
    needs = ("hessian",)


@breaks("update added or removed 'steps'")
class StateIsNotDeclared(Sound):
    def update(self, grad, state, params, step):
        state["steps"] = state.get("steps", 0) + 1
        return super().update(grad, state, params, step)


@breaks("KeyError: 'squares'")
class SlotIsNotDeclared(Sound):
    def update(self, grad, state, params, step):
        state["squares"] += grad**2
        return -step.learning_rate * grad


@breaks("update put another array into state['velocity']")
class StateIsRebound(Sound):
    def update(self, grad, state, params, step):
        state["velocity"] = self.momentum * state["velocity"] + grad
        return -step.learning_rate * state["velocity"]


@breaks("init_state put another array into state['velocity']")
class StateIsReboundAtTheStart(Sound):
    def init_state(self, state, params, xp):
        state["velocity"] = params.copy()


@breaks("state['velocity'] is still zero after 30 steps")
class StateIsComputedButNotKept(Sound):
    def update(self, grad, state, params, step):
        velocity = self.momentum * state["velocity"] + grad
        return -step.learning_rate * velocity


@breaks("update sets self.velocity")
class StateIsInSelf(Sound):
    slots = ()

    def update(self, grad, state, params, step):
        self.velocity = self.momentum * getattr(self, "velocity", 0.0) + grad
        return -step.learning_rate * self.velocity


@breaks("update sets self.momentum")
class ParameterIsChanged(Sound):
    def update(self, grad, state, params, step):
        self.momentum *= 0.99
        return super().update(grad, state, params, step)


@breaks("update does not change `params`; the loop alone applies an update")
class ParamsAreChanged(Sound):
    def update(self, grad, state, params, step):
        change = super().update(grad, state, params, step)
        params += change
        return change


@breaks("eval_params does not change `params`")
class EvalParamsChangesParams(Sound):
    def eval_params(self, params, state):
        params *= 0.99
        return params


@breaks("eval_params returns an array of the shape and dtype")
class EvalParamsReturnsOneModel(Sound):
    def eval_params(self, params, state):
        return params[0]


@breaks("NoneType was returned")
class ReturnsNothing(Sound):
    def update(self, grad, state, params, step):
        super().update(grad, state, params, step)


@breaks("a view of `params` was returned")
class ReturnsParams(Sound):
    def update(self, grad, state, params, step):
        super().update(grad, state, params, step)
        return params


@breaks("shape (1, 1) for a gradient of shape (1, 47)")
class ReturnsAnotherShape(Sound):
    def update(self, grad, state, params, step):
        return super().update(grad, state, params, step).mean(axis=1, keepdims=True)


@breaks("float64 for a gradient of float32")
class ReturnsFloat64(Sound):
    def update(self, grad, state, params, step):
        return super().update(grad, state, params, step) * np.sqrt(np.float64(1.0))


@breaks("numbers that are not finite, in step 1")
class DividesByZero(Sound):
    def update(self, grad, state, params, step):
        velocity = super().update(grad, state, params, step)
        return velocity * grad / grad


@breaks("numbers that are not finite, in step 1")
class DividesByUnderflow(Sound):
    def update(self, grad, state, params, step):
        root = np.sqrt(grad * grad)
        return super().update(grad, state, params, step) * (1 + (grad != 0) * (grad / root - 1))


@breaks("No model of a stack depends on its neighbours")
class MixesModels(Sound):
    def update(self, grad, state, params, step):
        grad = grad / (1 + np.linalg.norm(grad))
        return super().update(grad, state, params, step)


@breaks("Models of a stack may differ in momentum")
class AsksForANumber(Sound):
    def update(self, grad, state, params, step):
        if self.momentum > 0:
            return super().update(grad, state, params, step)
        return -step.learning_rate * grad


@breaks("Models of a stack may differ in momentum")
class TakesTheFirstModelsNumber(Sound):
    def update(self, grad, state, params, step):
        self_momentum = np.ravel(self.momentum)[0]
        velocity = state["velocity"]
        velocity *= self_momentum
        velocity += grad
        return -step.learning_rate * velocity


@breaks("Equal runs give equal results")
class DrawsFromAGlobalGenerator(Sound):
    def update(self, grad, state, params, step):
        noise = np.random.default_rng().normal(size=grad.shape).astype(grad.dtype)
        return super().update(grad + 0.01 * noise, state, params, step)


@breaks("A schedule works as learning_rate")
class UsesItsOwnLearningRate(Sound):
    def update(self, grad, state, params, step):
        return self.learning_rate / step.learning_rate * super().update(grad, state, params, step)


@breaks("a falling learning rate changes nothing")
class IgnoresTheLearningRate(Sound):
    def update(self, grad, state, params, step):
        return super().update(grad, state, params, step) / step.learning_rate * 0.01


@breaks("200 steps make a convex quadratic smaller")
class GoesUphill(Sound):
    def update(self, grad, state, params, step):
        return -super().update(grad, state, params, step)


@breaks("200 steps make a convex quadratic smaller")
class Diverges(Sound):
    def update(self, grad, state, params, step):
        return 1e9 * super().update(grad, state, params, step)


@pytest.mark.parametrize(("cls", "message"), BROKEN)
def test_broken_optimizer_is_caught(cls, message):
    with pytest.raises(AssertionError) as error:
        check_optimizer(cls())
    text = str(error.value)
    assert message in text
    for part in (f"{cls.__name__} breaks a rule", "\n  Rule: ", "\n  Seen: ", "\n  Fix:  "):
        assert part in text


def test_class_written_in_a_function_passes():
    class Local(Sound):
        pass

    check_optimizer(Local())


class InitHasNoDefault(Sound):
    def __init__(self, momentum, learning_rate=0.01):
        super().__init__(learning_rate, momentum)


def test_parameter_without_a_default_is_caught():
    with pytest.raises(AssertionError, match="'momentum' has no default"):
        check_optimizer(InitHasNoDefault(0.9))


def test_original_exception_is_kept():
    with pytest.raises(AssertionError) as error:
        check_optimizer(SlotIsNotDeclared())
    assert isinstance(error.value.__cause__, KeyError)


class Descent(Minimizer):
    """Gradient descent; the broken ones below differ from it in one thing."""

    def __init__(self, rate=0.5):
        self.rate = rate

    def minimize(self, value_and_grad, params, *, max_iter, tol, callback):
        params = params.copy()
        for _ in range(max_iter):
            params -= self.rate * value_and_grad(params)[1]
            loss, grad = value_and_grad(params)
            if callback(params, loss):
                return MinimizerResult(params, False, "stopped")
            if np.abs(grad).max() <= tol:
                return MinimizerResult(params, True, "converged")
        return MinimizerResult(params, False, "max_iter")


BROKEN_MINIMIZERS = {
    "minimize does not change the array": {"copy": False},
    "minimize makes at most max_iter iterations": {"extra": 1},
    "minimize stops when the callback returns true": {"obey": False},
    "callback gets the parameters of an iteration and their loss": {"lie": 1.0},
    "minimize returns a MinimizerResult": {"plain": True},
    "minimize makes a convex quadratic smaller": {"rate": -0.5},
    "Equal runs give equal results": {"noise": 0.1},
}


class Careless(Minimizer):
    """Breaks one rule, by choice."""

    def __init__(self, rate=0.5, copy=True, extra=0, obey=True, lie=0.0, plain=False, noise=0.0):
        self.rate = rate
        self.copy = copy
        self.extra = extra
        self.obey = obey
        self.lie = lie
        self.plain = plain
        self.noise = noise

    def minimize(self, value_and_grad, params, *, max_iter, tol, callback):
        params = params.copy() if self.copy else params
        for _ in range(max_iter + self.extra):
            params -= self.rate * value_and_grad(params)[1]
            params += self.noise * np.random.default_rng().normal(size=params.shape)
            if callback(params, value_and_grad(params)[0] + self.lie) and self.obey:
                break
        return params if self.plain else MinimizerResult(params, False, "")


@pytest.mark.parametrize("minimizer", [Descent(), Careless()])
def test_sound_minimizers_pass(minimizer):
    check_optimizer(minimizer)


@pytest.mark.parametrize("message", BROKEN_MINIMIZERS)
def test_broken_minimizer_is_caught(message):
    with pytest.raises(AssertionError, match=message):
        check_optimizer(Careless(**BROKEN_MINIMIZERS[message]))


@pytest.mark.parametrize("given", [SGD, "sgd", None])
def test_only_objects_are_checked(given):
    with pytest.raises(TypeError, match="takes an object of class Optimizer or Minimizer"):
        check_optimizer(given)
