"""check_optimizer accepts what keeps the rules, and catches every broken one."""

import json

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
    Target,
    Uniform,
)
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, Interval
from skopt_dl.programs import installed_engines
from skopt_dl.schedules import Cosine
from skopt_dl.testing import (
    check_optimizer,
    optimizer_check_results,
    optimizer_checks,
    parametrize_with_optimizer_checks,
)


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


class UsesLayoutAndLoss(Sound):
    """Polyak's step, capped: a rate from the loss for each tensor."""

    needs = ("loss",)

    def update(self, grad, state, params, step):
        velocity = super().update(grad, state, params, step)
        for tensor in step.layout.tensors(grad):
            axes = tuple(range(1, tensor.array.ndim))
            norm = step.xp.sum(tensor.array**2, axis=axes, keepdims=True)
            loss = step.xp.reshape(step.loss, (-1, *[1] * len(axes)))
            tensor.array[...] *= step.xp.minimum(loss / (norm + 1e-9), 1.0)
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
        norm = step.xp.sqrt(step.xp.sum(grad * grad))
        grad = grad / max(1.0, float(norm)) if self.momentum > 0 else grad
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


def breaks(check, message):
    """Note a broken class, which check is to report it, and what is to be said about it."""

    def note(cls):
        BROKEN.append(pytest.param(cls, check, message, id=cls.__name__))
        return cls

    return note


@breaks("check_init_stores_arguments", "momentum' is not stored as self.momentum")
class InitRenames(Sound):
    def __init__(self, learning_rate=0.01, momentum=0.9):
        self.learning_rate = learning_rate
        self._momentum = momentum

    momentum = 0.9


@breaks("check_init_stores_arguments", "__init__ stores its arguments as they are")
class InitConverts(Sound):
    def __init__(self, learning_rate=0.01, momentum=0.9):
        self.learning_rate = learning_rate
        self.momentum = float(momentum)


@breaks("check_init_names_parameters", "__init__ names every parameter")
class InitTakesAnything(Sound):
    def __init__(self, learning_rate=0.01, **momentum):
        self.learning_rate = learning_rate


@breaks("check_constraints", "check_params accepts the parameters of the object")
class DefaultBreaksConstraint(Sound):
    constraints = {"momentum": Interval(0, 0.5)}


@breaks("check_search_space", "Seen: 'momentums'")
class SearchesAnUnknownParameter(Sound):
    search_space = {"momentums": Uniform(0, 0.9)}


@breaks("check_search_space", "momentum of SearchesWhatIsRefused must be a float in [0, 1)")
class SearchesWhatIsRefused(Sound):
    search_space = {"momentum": Uniform(0.5, 1.0)}


@breaks("check_search_space", "Seen: 'momentum': [0.5, 0.9]")
class SearchesAList(Sound):
    search_space = {"momentum": [0.5, 0.9]}


@breaks("check_copies", "pickle gives an optimizer with the same parameters")
class PickleForgets(Sound):
    def __getstate__(self):
        return {"learning_rate": 0.5, "momentum": 0.5}


@breaks("check_copies", "repr shows the class")
class ReprHides(Sound):
    def __repr__(self, N_CHAR_MAX=700):
        return "an optimizer"


@breaks("check_declarations", "Every optimizer has a parameter learning_rate")
class HasNoLearningRate(Optimizer):
    def __init__(self, rate=0.01):
        self.rate = rate

    def update(self, grad, state, params, step):
        return -0.01 * grad


@breaks("check_declarations", "Write slots = ('velocity',), with the comma")
class SlotsLackTheComma(Sound):
    slots = "velocity"


@breaks("check_declarations", "`needs` lists what Step can carry")
class NeedsTheUnknown(Sound):
    needs = ("hessian",)


@breaks("check_state_is_kept_in_place", "update added or removed 'steps'")
class StateIsNotDeclared(Sound):
    def update(self, grad, state, params, step):
        state["steps"] = state.get("steps", 0) + 1
        return super().update(grad, state, params, step)


@breaks("check_update_runs", "KeyError: 'squares'")
class SlotIsNotDeclared(Sound):
    def update(self, grad, state, params, step):
        state["squares"] += grad**2
        return -step.learning_rate * grad


@breaks("check_state_is_kept_in_place", "update put another array into state['velocity']")
class StateIsRebound(Sound):
    def update(self, grad, state, params, step):
        state["velocity"] = self.momentum * state["velocity"] + grad
        return -step.learning_rate * state["velocity"]


@breaks("check_state_is_kept_in_place", "init_state put another array into state['velocity']")
class StateIsReboundAtTheStart(Sound):
    def init_state(self, state, params, xp):
        state["velocity"] = params.copy()


@breaks("check_slots_are_used", "state['velocity'] was zero after each of 30 steps")
class StateIsComputedButNotKept(Sound):
    def update(self, grad, state, params, step):
        velocity = self.momentum * state["velocity"] + grad
        return -step.learning_rate * velocity


@breaks("check_self_is_left_alone", "update sets self.velocity")
class StateIsInSelf(Sound):
    slots = ()

    def update(self, grad, state, params, step):
        self.velocity = self.momentum * getattr(self, "velocity", 0.0) + grad
        return -step.learning_rate * self.velocity


@breaks("check_self_is_left_alone", "update sets self.momentum")
class ParameterIsChanged(Sound):
    def update(self, grad, state, params, step):
        self.momentum *= 0.99
        return super().update(grad, state, params, step)


@breaks(
    "check_params_are_left_alone",
    "update does not change `params`; the loop alone applies an update",
)
class ParamsAreChanged(Sound):
    def update(self, grad, state, params, step):
        change = super().update(grad, state, params, step)
        params += change
        return change


@breaks("check_eval_params", "eval_params does not change `params`")
class EvalParamsChangesParams(Sound):
    def eval_params(self, params, state):
        params *= 0.99
        return params


@breaks("check_eval_params", "eval_params returns an array of the shape and dtype")
class EvalParamsReturnsOneModel(Sound):
    def eval_params(self, params, state):
        return params[0]


@breaks("check_what_update_returns", "NoneType was returned")
class ReturnsNothing(Sound):
    def update(self, grad, state, params, step):
        super().update(grad, state, params, step)


@breaks("check_what_update_returns", "a view of `params` was returned")
class ReturnsParams(Sound):
    def update(self, grad, state, params, step):
        super().update(grad, state, params, step)
        return params


@breaks("check_what_update_returns", "shape (1, 1) for a gradient of shape (1, 63)")
class ReturnsAnotherShape(Sound):
    def update(self, grad, state, params, step):
        return super().update(grad, state, params, step).mean(axis=1, keepdims=True)


@breaks("check_what_update_returns", "float64 for a gradient of float32")
class ReturnsFloat64(Sound):
    def update(self, grad, state, params, step):
        return super().update(grad, state, params, step) * np.sqrt(np.float64(1.0))


@breaks("check_small_gradients", "numbers that are not finite in the change, in step 1")
class DividesByZero(Sound):
    def update(self, grad, state, params, step):
        velocity = super().update(grad, state, params, step)
        return velocity * grad / grad


@breaks("check_small_gradients", "numbers that are not finite in the change, in step 1")
class DividesByUnderflow(Sound):
    def update(self, grad, state, params, step):
        root = step.xp.sqrt(grad * grad)
        return super().update(grad, state, params, step) * (1 + (grad != 0) * (grad / root - 1))


@breaks("check_models_are_independent", "No model of a stack depends on its neighbours")
class MixesModels(Sound):
    def update(self, grad, state, params, step):
        grad = grad / (1 + step.xp.sqrt(step.xp.sum(grad * grad)))
        return super().update(grad, state, params, step)


@breaks("check_hyperparameters_may_differ", "Models of a stack may differ in momentum")
class AsksForANumber(Sound):
    def update(self, grad, state, params, step):
        if self.momentum > 0:
            return super().update(grad, state, params, step)
        return -step.learning_rate * grad


@breaks("check_hyperparameters_may_differ", "Models of a stack may differ in momentum")
class TakesTheFirstModelsNumber(Sound):
    def update(self, grad, state, params, step):
        velocity = state["velocity"]
        velocity *= step.xp.reshape(self.momentum, (-1,))[0]
        velocity += grad
        return -step.learning_rate * velocity


@breaks("check_repetition", "Equal runs give equal results")
class DrawsFromAGlobalGenerator(Sound):
    def update(self, grad, state, params, step):
        noise = np.random.default_rng().normal(size=grad.shape).astype(grad.dtype)
        return super().update(grad + 0.01 * noise, state, params, step)


@breaks("check_schedules", "A schedule works as learning_rate")
class UsesItsOwnLearningRate(Sound):
    def update(self, grad, state, params, step):
        return self.learning_rate / step.learning_rate * super().update(grad, state, params, step)


@breaks("check_schedules", "a falling learning rate changes nothing")
class IgnoresTheLearningRate(Sound):
    def update(self, grad, state, params, step):
        return super().update(grad, state, params, step) / step.learning_rate * 0.01


@breaks("check_progress", "200 steps make a convex quadratic smaller")
class GoesUphill(Sound):
    def update(self, grad, state, params, step):
        return -super().update(grad, state, params, step)


@breaks("check_progress", "200 steps make a convex quadratic smaller")
class Diverges(Sound):
    def update(self, grad, state, params, step):
        return 1e9 * super().update(grad, state, params, step)


@breaks("check_arguments_of_update", "what is called 'params' there is 'grad'")
class ArgumentsAreInAnotherOrder(Sound):
    def update(self, params, state, grad, step):
        return super().update(grad, state, params, step)


@breaks("check_arguments_of_update", "missing a required argument: 'more'")
class WantsAnotherArgument(Sound):
    def update(self, grad, state, params, step, more):
        return super().update(grad, state, params, step)


@breaks("check_changes_depend_on_the_gradient", "takes the same path for other gradients")
class Shrinks(Sound):
    """What it calls the gradient are the parameters."""

    def update(self, g, state, p, step):
        return super().update(p, state, g, step)


@breaks("check_changes_depend_on_the_gradient", "takes the same path for other gradients")
class SignIsAlwaysMinusOne(Sound):
    def update(self, grad, state, params, step):
        sign = step.xp.where(grad * grad >= 0, -1.0, 1.0)
        return super().update(step.xp.astype(sign, grad.dtype), state, params, step)


@breaks("check_changes_depend_on_the_gradient", "intercepts_0 (bias) takes the same path")
class LeavesOutBiases(Sound):
    def update(self, grad, state, params, step):
        for tensor in step.layout.tensors(grad):
            if tensor.role == "bias":
                tensor.array[...] = 0.0
        return super().update(grad, state, params, step)


@breaks("check_functions_come_from_xp", "update calls np.sign with an array")
class TakesNumPysSign(Sound):
    def update(self, grad, state, params, step):
        return super().update(np.sign(grad), state, params, step)


@breaks("check_functions_come_from_xp", "update calls np.linalg.norm with an array")
class TakesNumPysNorm(Sound):
    def update(self, grad, state, params, step):
        norm = np.linalg.norm(grad, axis=1, keepdims=True)
        return super().update(grad / (1 + norm), state, params, step)


@breaks("check_functions_come_from_xp", "Write step.xp.where")
class TakesNumPysWhere(Sound):
    def update(self, grad, state, params, step):
        return super().update(np.where(grad > 0, grad, 0.5 * grad), state, params, step)


@breaks("check_functions_come_from_xp", "update calls np.sqrt with an array")
class TakesNumPysRootOfAHyperparameter(Sound):
    def update(self, grad, state, params, step):
        return super().update(grad * np.sqrt(self.momentum + 1), state, params, step)


@breaks("check_large_gradients", "FloatingPointError: overflow")
class TakesFourthPowers(Sound):
    def update(self, grad, state, params, step):
        size = step.xp.sqrt(step.xp.sqrt(grad**4))
        return super().update(grad * (size / (size + 1e-8)), state, params, step)


@breaks("check_large_gradients", "FloatingPointError: overflow")
class TakesExponentials(Sound):
    def update(self, grad, state, params, step):
        size = step.xp.exp(step.xp.abs(grad) * 0.01)
        return super().update(grad / size, state, params, step)


@breaks("check_small_gradients", "not finite in state['squares'], in step 1")
class StateIsNotFinite(Sound):
    slots = ("velocity", "squares")

    def update(self, grad, state, params, step):
        state["squares"][...] = 1 / grad
        return super().update(grad, state, params, step)


class Counts(Sound):
    """Restarts after a number of steps; below, it does so wrongly."""

    slots = {"velocity": "params", "count": "scalar"}

    def keep(self, state, step):
        return state["count"] < 20

    def update(self, grad, state, params, step):
        xp, count = step.xp, state["count"]
        count += 1
        keep = xp.astype(self.keep(state, step), grad.dtype)
        state["velocity"] *= keep
        count *= keep
        return super().update(grad, state, params, step)


@breaks("check_models_of_different_pasts", "A model of a stack reads its own slots only")
class ResetReadsTheFirstModelsCounter(Counts):
    def keep(self, state, step):
        return state["count"][:1] < 20


@breaks("check_models_of_different_pasts", "A model of a stack reads its own slots only")
class ResetAsksTheFirstModelsCounter(Counts):
    def update(self, grad, state, params, step):
        state["count"] += 1
        if float(state["count"][0, 0]) >= 100:
            state["count"][...] = 0
            state["velocity"][...] = 0
        return Sound.update(self, grad, state, params, step)


@breaks("check_models_of_different_pasts", "state['count'] of model")
class CountsOthersSteps(Counts):
    def update(self, grad, state, params, step):
        state["count"][...] = step.xp.max(state["count"]) + 1
        return Sound.update(self, grad, state, params, step)


@breaks("check_models_are_independent", "state['norm'] of model")
class SlotHoldsTheFirstModelsNumber(Sound):
    slots = {"velocity": "params", "norm": "scalar"}

    def update(self, grad, state, params, step):
        state["norm"][...] = step.xp.sum(grad[:1] * grad[:1], axis=1, keepdims=True)
        return super().update(grad, state, params, step)


@breaks("check_models_are_independent", "ValueError: ")
class ScalarSlotGetsARow(Sound):
    slots = {"velocity": "params", "norm": "scalar"}

    def update(self, grad, state, params, step):
        state["norm"][...] = step.xp.sum(grad * grad, axis=1)
        return super().update(grad, state, params, step)


@breaks("check_other_networks", "It was a network of one matrix")
class SlotNeedsABias(Sound):
    slots = {
        "velocity": "params",
        "sizes": lambda layout: next(spec.shape for spec in layout.specs if spec.role == "bias"),
    }

    def update(self, grad, state, params, step):
        state["sizes"] += 1
        return super().update(grad, state, params, step)


@breaks("check_other_networks", "It was a network of stacked matrices")
class TakesTensorsForMatrices(Sound):
    """Right for all of the usual layout that is not a stack of matrices."""

    def update(self, grad, state, params, step):
        for tensor in step.layout.tensors(grad):
            if tensor.array.shape[1:] != (2, 3, 2):
                _, n_in, n_out = tensor.array.shape
                tensor.array[...] *= 1.0 / (n_in * n_out)
        return super().update(grad, state, params, step)


@breaks("check_models_are_independent", "ValueError: ")
class ColumnMeetsStackedMatrices(Sound):
    """A column (K, 1, 1) does not meet (K, groups, n, m) model by model."""

    needs = ("loss",)

    def update(self, grad, state, params, step):
        for tensor in step.layout.tensors(grad):
            tensor.array[...] *= step.xp.minimum(step.loss[:, None, None], 1.0)
        return super().update(grad, state, params, step)


@breaks("check_other_networks", "It was a network of one matrix")
class TakesTheSecondTensor(Sound):
    def update(self, grad, state, params, step):
        step.layout.tensors(grad)[1].array[...] *= 0.5
        return super().update(grad, state, params, step)


@breaks("check_declarations", "'vector' of 'norm'")
class SlotSaysAnUnknownShape(Sound):
    slots = {"velocity": "params", "norm": "vector"}


@breaks("check_declarations", "Did you mean 'rosenbrock'?")
class TargetOnAnUnknownFunction(Sound):
    targets = (Target("rosenbrok", 1e-3, 100),)


@breaks("check_targets", "above its minimum after 5 steps")
class MissesItsTarget(Sound):
    targets = (Target("booth", 1e-9, 5),)


@breaks("check_repetition", "two runs with the same gradients differ")
class StateIsInTheClass(Sound):
    seen = []

    def update(self, grad, state, params, step):
        self.seen.append(1)
        return super().update(grad * (1 + 0.01 * len(self.seen)), state, params, step)


@breaks("check_resumption", "resumed after 15 of 30 steps")
class StateIsInAGlobal(Sound):
    held = [0.0]

    def update(self, grad, state, params, step):
        self.held[0] = 1 + (step.number > 1) * self.held[0]
        return super().update(grad / self.held[0], state, params, step)


class Sharpness(Sound):
    needs = ("gradient",)

    def update(self, grad, state, params, step):
        return super().update(step.gradient(params + 0.05 * grad), state, params, step)


@breaks("check_gradient_elsewhere", "step.gradient was not called in 8 steps")
class NeedsAGradientInVain(Sharpness):
    def update(self, grad, state, params, step):
        return Sound.update(self, grad, state, params, step)


@breaks("check_gradient_elsewhere", "valid until its next call")
class KeepsAGradientTooLong(Sharpness):
    def update(self, grad, state, params, step):
        first = step.gradient(params + 0.05 * grad)
        second = step.gradient(params - 0.05 * grad)
        return Sound.update(self, 0.3 * first + 0.7 * second, state, params, step)


@breaks("check_gradient_elsewhere", "step.gradient takes parameters (K, P)")
class AsksForTheGradientOfOneModel(Sharpness):
    def update(self, grad, state, params, step):
        found = step.gradient((params + 0.05 * grad)[0])
        return Sound.update(self, found, state, params, step)


@breaks("check_eval_params", "eval_params writes to state['velocity']")
class EvalParamsWritesState(Sound):
    def eval_params(self, params, state):
        state["velocity"] *= 0.5
        return params + state["velocity"]


@breaks("check_eval_params", "eval_params returns finite parameters")
class EvalParamsDividesByZero(Sound):
    slots = ("velocity", "weights")

    def update(self, grad, state, params, step):
        state["weights"] += step.number > 3
        return super().update(grad, state, params, step)

    def eval_params(self, params, state):
        return params * state["weights"] / state["weights"]


@breaks("check_program", "a program of the update, run by the engine")
class IsAnotherWhenRecorded(Sound):
    def update(self, grad, state, params, step):
        share = 1.0 if isinstance(grad, np.ndarray) else 0.5
        return super().update(grad * share, state, params, step)


@breaks("check_init_names_parameters", "'momentum' has no default")
class InitHasNoDefault(Sound):
    def __init__(self, momentum, learning_rate=0.01):
        super().__init__(learning_rate, momentum)


class Averages(Sound):
    """Adam without a root, written out; below are the faults that published libraries shipped."""

    slots = {"mean": "params", "squares": "params", "count": "scalar"}
    n_counts = 1
    # Whether squares are those before the step, as in ADOPT.
    delayed = False

    def update(self, grad, state, params, step):
        mean, squares, count, beta = state["mean"], state["squares"], state["count"], self.momentum
        count += self.n_counts
        before = 1 * squares
        mean[...] = beta * mean + (1 - beta) * grad
        squares[...] = beta * squares + (1 - beta) * grad * grad
        correction = self.correction(beta, count)
        scale = self.scale(before, squares, step.number) / correction
        return -step.learning_rate * (mean / correction) / (step.xp.sqrt(scale) + 1e-8)

    def scale(self, before, squares, number):
        return squares

    def correction(self, beta, count):
        return 1 - beta**count


class Delayed(Averages):
    delayed = True

    def scale(self, before, squares, number):
        return before + (number == 1) * squares


def averages_in_numpy(optimizer, start, gradients, layout):
    """What `Averages` is meant to do, as sums over all gradients so far."""
    if not isinstance(optimizer, Averages):
        return None
    beta, path = optimizer.momentum, [start]
    for t in range(1, len(gradients) + 1):
        n_squares = max(1, t - optimizer.delayed)
        mean, squares = (
            np.average(gradients[:n] ** power, axis=0, weights=beta ** np.arange(n)[::-1])
            * ((1 - beta**n) / (1 - beta**t))
            for power, n in ((1, t), (2, n_squares))
        )
        path.append(path[-1] - optimizer.learning_rate * mean / (np.sqrt(squares) + 1e-8))
    return np.array(path[1:])


@pytest.mark.parametrize("cls", [Averages, Delayed])
def test_optimizer_that_follows_its_reference_passes(cls):
    assert check_optimizer(cls(), reference=averages_in_numpy) == "traced"


@breaks("check_reference", "in step 2 they differ first")
class CountsEachStepTwice(Averages):
    n_counts = 2

    def correction(self, beta, count):
        # Right at the first step, as a test of one step would see it.
        return 1 - beta ** (count - 1)


@breaks("check_reference", "in step 2 they differ first")
class TakesTheNewAverage(Delayed):
    def scale(self, before, squares, number):
        return squares


@breaks("check_reference", "in step 1 they differ first")
class SubtractsOneTwice(Averages):
    def correction(self, beta, count):
        return 2 - beta**count


@breaks("check_slots_are_used", "state['mean'] was zero after each of 30 steps")
class AverageIsNotStored(Averages):
    def update(self, grad, state, params, step):
        mean = 1 * state["mean"]
        return super().update(grad, {**state, "mean": mean}, params, step)


KINDS = {check.name: check.kind for check in optimizer_checks(Sound())}


@pytest.mark.parametrize(("cls", "check", "message"), BROKEN)
def test_fault_is_reported_by_its_check_and_none_of_another_kind(cls, check, message):
    optimizer = cls(momentum=0.9) if cls is InitHasNoDefault else cls()
    results = optimizer_check_results(optimizer, reference=averages_in_numpy)
    failed = {each["check_name"]: each["message"] for each in results if each["status"] == "failed"}
    assert check in failed
    assert message in failed[check]
    for part in (f"{cls.__name__} breaks a rule", "\n  Rule: ", "\n  Seen: ", "\n  Fix:  "):
        assert part in failed[check]
    assert {KINDS[name] for name in failed} == {KINDS[check]}


def test_every_check_has_a_planted_fault():
    assert {param.values[1] for param in BROKEN} == KINDS.keys()


class CountsAndStartsAnew(Sound):
    """Its slot is zero after every sixth step, and so at the end."""

    slots = {"velocity": "params", "count": "scalar"}

    def update(self, grad, state, params, step):
        count = state["count"]
        count += 1
        count *= step.xp.astype(count < 6, grad.dtype)
        return super().update(grad * (1 + 0.1 * count), state, params, step)


class KeepsItsTarget(Sound):
    targets = (Target("booth", 1e-6, 300, {"learning_rate": 0.05, "momentum": 0.5}),)


@pytest.mark.parametrize("cls", [CountsAndStartsAnew, KeepsItsTarget, Sharpness])
def test_what_looks_like_a_fault_and_is_none_passes(cls):
    check_optimizer(cls())


@parametrize_with_optimizer_checks(
    [Sound(), TakesNumPysSign(), Descent()],
    expected_failed_checks=lambda optimizer: (
        {"check_functions_come_from_xp": "for the CPU only"}
        if isinstance(optimizer, TakesNumPysSign)
        else {}
    ),
)
def test_each_check_is_a_test_of_its_own(optimizer, check):
    check(optimizer)


def test_items_are_named_and_marked():
    decorator = parametrize_with_optimizer_checks(
        [Sound(momentum=0.5)], expected_failed_checks={"check_progress": "it explores"}
    )
    names, items = decorator.args
    assert names == ("optimizer", "check")
    marked = {item.id: [mark.kwargs["reason"] for mark in item.marks] for item in items}
    assert len(marked) == len(KINDS)
    assert marked["Sound(momentum=0.5)-check_progress"] == ["it explores"]
    assert marked["Sound(momentum=0.5)-check_program"] == []


def test_results_are_plain_and_say_what_became_of_each_check():
    reason = "for the CPU only"
    expected = {"check_functions_come_from_xp": reason}
    results = optimizer_check_results(TakesNumPysSign(), expected_failed_checks=expected)
    found = {each["check_name"]: each for each in json.loads(json.dumps(results))}
    assert found.keys() == KINDS.keys()
    statuses = {name: each["status"] for name, each in found.items()}
    assert statuses["check_functions_come_from_xp"] == "xfail"
    assert found["check_functions_come_from_xp"]["expected_to_fail_reason"] == reason
    assert "Write step.xp.sign." in found["check_functions_come_from_xp"]["message"]
    assert statuses["check_progress"] == "passed"
    assert statuses["check_targets"] == statuses["check_reference"] == "skipped"
    assert found["check_targets"]["message"] == "it declares no targets"
    assert found["check_program"]["message"].startswith("not traced: ")


def test_program_is_compared_on_every_engine():
    found = {e["check_name"]: e["message"] for e in optimizer_check_results(Sound())}
    assert found["check_program"] == f"traced, and run by {', '.join(installed_engines())}"
    assert "numpy" in installed_engines()


def test_engine_that_cannot_be_used_is_no_fault_of_the_optimizer(monkeypatch):
    names = ["broken", "numpy"]
    monkeypatch.setattr("skopt_dl.testing._engines.installed_engines", lambda: names)
    found = {e["check_name"]: e for e in optimizer_check_results(Sound())}["check_program"]
    assert found["status"] == "passed"
    assert found["message"].startswith("traced, and run by numpy; broken cannot be used here: ")


def test_check_that_cannot_tell_names_the_one_that_has_to_pass_first():
    results = {each["check_name"]: each for each in optimizer_check_results(ParamsAreChanged())}
    assert results["check_progress"]["status"] in {"passed", "skipped"}
    skipped = results["check_repetition"]
    assert skipped["status"] == "skipped"
    assert skipped["message"] == "check_params_are_left_alone has to pass first"


def test_expected_failure_of_no_check_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no check. Did you mean 'check_progress'\? Checks: "):
        optimizer_check_results(Sound(), expected_failed_checks={"check_progres": "slow"})


def test_class_written_in_a_function_passes():
    class Local(Sound):
        pass

    check_optimizer(Local())


def test_original_exception_is_kept():
    with pytest.raises(AssertionError) as error:
        check_optimizer(SlotIsNotDeclared())
    assert isinstance(error.value.__cause__, KeyError)


# What is to be said, by which check, and how the rule is broken.
BROKEN_MINIMIZERS = [
    ("check_minimize", "minimize does not change the array", {"copy": False}),
    ("check_minimize", "callback gets the parameters of an iteration and", {"lie": 1.0}),
    ("check_minimize", "minimize returns a MinimizerResult", {"plain": True}),
    ("check_minimize", "minimize makes a convex quadratic smaller", {"rate": -0.5}),
    ("check_minimize_repeats", "Equal runs give equal results", {"noise": 0.1}),
    ("check_minimize_keeps_to_max_iter", "at most max_iter iterations", {"extra": 1}),
    ("check_minimize_stops_when_told", "when the callback returns true", {"obey": False}),
]


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


@pytest.mark.parametrize(("check", "message", "params"), BROKEN_MINIMIZERS)
def test_fault_of_a_minimizer_is_reported_by_its_check_alone(check, message, params):
    results = optimizer_check_results(Careless(**params))
    failed = {each["check_name"]: each["message"] for each in results if each["status"] == "failed"}
    assert failed.keys() == {check}
    assert message in failed[check]


def test_every_check_of_minimizers_has_a_planted_fault():
    of_minimizers = {check.name for check in optimizer_checks(Descent())} - KINDS.keys()
    assert {check for check, *_ in BROKEN_MINIMIZERS} == of_minimizers


@pytest.mark.parametrize("given", [SGD, "sgd", None])
def test_only_objects_are_checked(given):
    with pytest.raises(TypeError, match="takes an object of class Optimizer or Minimizer"):
        check_optimizer(given)
