"""check_component accepts what keeps the rules, and catches every broken one."""

import json
import random

import numpy as np
import pytest

from skopt_dl import hookimpl
from skopt_dl.layers import (
    Activation,
    Attention,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool1d,
    GlobalAveragePool2d,
    InputScaling,
    Layer,
    LayerNorm,
    MaxPool2d,
    Parallel,
    Parameter,
    PositionalEmbedding,
    Residual,
)
from skopt_dl.layers.activations import Tanh
from skopt_dl.networks import Initializer, Loss
from skopt_dl.optimizers import SGD
from skopt_dl.plugins import available, make, package_of_name, register, unregister
from skopt_dl.plugins.constraints import NOT_NEGATIVE, POSITIVE
from skopt_dl.programs import Bound, Engine, installed_engines
from skopt_dl.schedules import Schedule
from skopt_dl.testing import (
    check_component,
    component_check_results,
    component_checks,
    parametrize_with_component_checks,
)
from skopt_dl.testing._networks import SHAPES, shapes_taken

LAYERS = [
    Attention(n_heads=2, causal=True),
    AveragePool2d((2, 3), stride=1),
    BatchNorm(),
    Conv2d(4, (2, 3), stride=(1, 2), padding=1, groups=2),
    Dense(3),
    Dropout(0.3),
    Embedding(5, 3),
    Flatten(),
    GlobalAveragePool1d(),
    GlobalAveragePool2d(),
    InputScaling(),
    LayerNorm(),
    MaxPool2d(2),
    Parallel([[Dense(2)], [Dense(3), Tanh()]], "concatenate"),
    PositionalEmbedding(),
    Residual([Dense(6), Tanh()]),
]
NAMED = [
    make(kind, name)
    for kind in ("activation", "loss", "schedule", "initializer")
    for name in available(kind)
]


@pytest.fixture(autouse=True, scope="module")
def engines_are_looked_up_once():
    """Looking through all distributions takes longer than a check."""
    patch = pytest.MonkeyPatch()
    names = installed_engines()
    patch.setattr("skopt_dl.testing._engines.installed_engines", lambda: names)
    yield
    patch.undo()


def test_every_layer_with_a_name_is_tried():
    ours = {name for name in available("layer") if package_of_name("layer", name) is None}
    names = {type(make("layer", name)) for name in ours & {"flatten", "layer_norm"}}
    assert names <= {type(each) for each in LAYERS}
    assert len({type(each) for each in LAYERS}) == len(ours)


@pytest.mark.parametrize("component", [*LAYERS, *NAMED], ids=repr)
def test_everything_that_is_built_in_passes(component):
    # Layers that take anything are tried with sequences, others with all that they take.
    takes_all = isinstance(component, Layer) and len(shapes_taken(component)) == len(SHAPES)
    said = check_component(component, input_shape=(4, 6) if takes_all else None)
    hosted = isinstance(component, Schedule | Initializer)
    assert said.startswith("not traced: the host") if hosted else said == "traced"


# Sound ones, written out; the broken ones below differ from them in one thing.


class Scale(Layer):
    """A factor and a shift for each feature."""

    constraints = {"start": NOT_NEGATIVE}

    def __init__(self, start=1.0):
        self.start = start

    def tensors(self, shape):
        return [Parameter("factor", (1, shape[-1]), "norm"), Parameter("shift", (1, 6), "bias")]

    def output_shape(self, shape):
        if tuple(shape) != (6,):
            raise ValueError(f"Scale takes rows of six numbers; got samples of shape {shape}.")
        return shape

    def forward(self, x, tensors, run):
        return x * (self.start + tensors.factor) + tensors.shift


class Squash(Activation):
    constraints = {"width": POSITIVE}

    def __init__(self, width=1.0):
        self.width = width

    def value(self, xp, z):
        return z / (self.width + xp.abs(z))


class Fair(Loss):
    """Errors count less the larger they are (Fair, 1974)."""

    is_convex = True
    constraints = {"width": POSITIVE}

    def __init__(self, width=1.0):
        self.width = width

    def value(self, xp, raw, y):
        size = xp.abs(raw - y) * (1.0 / self.width)
        return xp.sum(size - xp.log1p(size), axis=-1)

    def gradient(self, xp, raw, y):
        error = raw - y
        return error / (self.width * (self.width + xp.abs(error)))


class Halving(Schedule):
    constraints = {"initial_learning_rate": POSITIVE, "every": POSITIVE}

    def __init__(self, initial_learning_rate=0.1, every=3):
        self.initial_learning_rate = initial_learning_rate
        self.every = every

    def value(self, progress):
        return self.initial_learning_rate * 0.5 ** min(progress.epoch // self.every, 1000)


class Spread(Initializer):
    constraints = {"scale": POSITIVE}

    def __init__(self, scale=0.1):
        self.scale = scale

    def draw(self, rng, n_in, n_out, gain=1.0):
        return rng.normal(0.0, gain * self.scale, (n_in, n_out))


def written_anew(component, *given):
    """References for the sound ones, and so for all that derive from them and compute the same."""
    if getattr(component, "is_another", False):
        return None
    if isinstance(component, Scale):
        x, tensors = given
        return x * (component.start + tensors["factor"]) + tensors["shift"]
    if isinstance(component, Squash):
        return np.sign(given[0]) * (1 - component.width / (component.width + np.abs(given[0])))
    if isinstance(component, Fair):
        raw, y = given
        size = np.abs(raw - y) / component.width
        return (size - np.log(1 + size)).sum(axis=1)
    if isinstance(component, Halving):
        return component.initial_learning_rate / 2 ** (given[0].epoch // component.every)
    if isinstance(component, Spread):
        return given[2] * component.scale
    return None


SOUND = [Scale(), Squash(), Fair(), Halving(), Spread()]
KINDS = {type(each): {check.name: check.kind for check in component_checks(each)} for each in SOUND}


@pytest.mark.parametrize("component", SOUND, ids=repr)
def test_component_that_follows_its_reference_passes(component):
    results = component_check_results(component, reference=written_anew)
    found = {each["check_name"]: each["status"] for each in results}
    assert "failed" not in found.values()
    assert found["check_reference"] == "passed"


BROKEN = []


def breaks(check, message):
    """Note a broken class, which check is to report it, and what is to be said about it."""

    def note(cls):
        BROKEN.append(pytest.param(cls, check, message, id=cls.__name__))
        return cls

    return note


# Configuration, the same for all kinds.


@breaks("check_init_names_parameters", "the parameters out")
class TakesAnything(Fair):
    def __init__(self, **width):
        self.width = 1.0


@breaks("check_init_names_parameters", 'Give it one: schedule="name" creates an object')
class NeedsItsRate(Halving):
    def __init__(self, initial_learning_rate, every=3):
        super().__init__(initial_learning_rate, every)

    @classmethod
    def around(cls, learning_rate):
        return cls(learning_rate)


@breaks("check_init_stores_arguments", "'width' is not stored as self.width")
class Converts(Squash):
    def __init__(self, width=1.0):
        self.width = 1.0 * width if isinstance(width, float) else 1.0


@breaks("check_constraints", "scale of AllowsLittle must be")
class AllowsLittle(Spread):
    constraints = {"scale": POSITIVE}

    def __init__(self, scale=-0.1):
        self.scale = scale

    def draw(self, rng, n_in, n_out, gain=1.0):
        return rng.normal(0.0, gain * abs(self.scale), (n_in, n_out))


@breaks("check_bad_parameters", "start=object() is accepted")
class AllowsEverything(Scale):
    constraints = {}


@breaks("check_bad_parameters", "width=nan is accepted")
class AllowsNaN(Squash):
    def check_params(self):
        if not isinstance(self.width, float):
            raise ValueError("width of AllowsNaN must be a float.")


@breaks("check_bad_parameters", "raises TypeError")
class ComparesFirst(Fair):
    def check_params(self):
        if not self.width > 0:
            raise ValueError("width of ComparesFirst must be positive.")


@breaks("check_bad_parameters", "is answered with: scale is bad")
class NamesAnotherParameter(Halving):
    def check_params(self):
        try:
            super().check_params()
        except ValueError:
            raise ValueError("scale is bad") from None


@breaks("check_copies", "pickle gives an initializer with the same parameters")
class Forgets(Spread):
    def __getstate__(self):
        return {"scale": 0.5}


# Layers


@breaks("check_declared_tensors", "the role of 'factor' must be one of")
class HasAnUnknownRole(Scale):
    def tensors(self, shape):
        return [Parameter("factor", (1, shape[-1]), "scale"), Parameter("shift", (1, 6), "bias")]


@breaks("check_declared_tensors", "must return a list of Parameter")
class DeclaresOneTensor(Scale):
    def tensors(self, shape):
        return Parameter("factor", (1, shape[-1]), "norm")


@breaks("check_forward_is_recorded", "TracingError")
class BranchesOnValues(Scale):
    def forward(self, x, tensors, run):
        return super().forward(x if x[0, 0, 0] > 0 else -x, tensors, run)


@breaks("check_forward_is_recorded", "TypeError")
class TakesNumPysFunction(Scale):
    def forward(self, x, tensors, run):
        return super().forward(np.tanh(x), tensors, run)


@breaks("check_forward_is_recorded", "The derivative of")
class DerivativeIsNoTuple(Scale):
    def forward(self, x, tensors, run):
        return run.custom(lambda x: x * 2.0, lambda delta, out, x: delta * 2.0, x)


@breaks("check_output_shape", "output_shape says (3, 3, 6)")
class ReturnsAnotherShape(Scale):
    def forward(self, x, tensors, run):
        return super().forward(x, tensors, run)[..., :3]


@breaks("check_output_shape", "None for an x of shape")
class ReturnsNothing(Scale):
    def forward(self, x, tensors, run):
        super().forward(x, tensors, run)


@breaks("check_input_is_left_alone", "numbers of the samples or tensors were changed")
class WritesToItsSamples(Scale):
    def forward(self, x, tensors, run):
        x *= 2.0
        return super().forward(x, tensors, run)


@breaks("check_input_is_left_alone", "numbers of the samples or tensors were changed")
class WritesToItsTensors(Scale):
    def forward(self, x, tensors, run):
        tensors.factor[...] = 1.0
        return super().forward(x, tensors, run)


@breaks("check_self_is_left_alone", "forward sets self.seen")
class KeepsInSelf(Scale):
    def forward(self, x, tensors, run):
        self.seen = x.shape
        return super().forward(x, tensors, run)


@breaks("check_other_shapes", "output_shape((6,)) raises IndexError")
class AsksForAnAxis(Scale):
    def tensors(self, shape):
        return [Parameter("factor", (1, 1, 6), "norm"), Parameter("shift", (1, 1, 6), "bias")]

    def output_shape(self, shape):
        if shape[1] != 6 or len(shape) != 2:
            raise ValueError("AsksForAnAxis takes (length, 6).")
        return shape


@breaks("check_other_shapes", "samples of shape (4, 6) are taken")
class TakesWhatItCannotCompute(Scale):
    is_another = True

    def output_shape(self, shape):
        return shape

    def tensors(self, shape):
        return [Parameter("coefs", (shape[-1], shape[-1]), "weight")]

    def forward(self, x, tensors, run):
        return x @ tensors.coefs


@breaks("check_repetition", "recorded twice, it gives two results")
class DrawsForItself(Scale):
    def forward(self, x, tensors, run):
        factor = 1.0 + 0.1 * float(np.random.default_rng().uniform())
        return super().forward(x * factor, tensors, run)


@breaks("check_precision", "forward returns float64 for float32")
class TakesAConstantOfNumPys(Scale):
    def forward(self, x, tensors, run):
        return super().forward(x, tensors, run) * np.linspace(0.5, 1.0, 6)


@breaks("check_precision", "the derivative returns float64 for float32")
class DerivativeTakesAConstantOfNumPys(Scale):
    def forward(self, x, tensors, run):
        double = run.custom(lambda z: z * 2.0, lambda delta, out, z: (delta * np.full(6, 2.0),), x)
        return super().forward(double, tensors, run)


@breaks("check_models_are_independent", "No model of a stack depends on its neighbours")
class ReducesOverModels(Scale):
    def forward(self, x, tensors, run):
        factor = tensors.factor - 0.1 * run.xp.mean(tensors.factor, axis=0, keepdims=True)
        return x * factor + tensors.shift


@breaks("check_models_are_independent", "No model of a stack depends on its neighbours")
class TakesTheFirstModelsTensor(Scale):
    def forward(self, x, tensors, run):
        return x * (1.0 + tensors.factor) + tensors.shift[:1]


class Noisy(Scale):
    """Dropout, written out."""

    is_another = True

    per_model = ("start",)

    def __init__(self, start=0.5):
        super().__init__(start)

    @staticmethod
    def draws(rate):
        return rate > 0

    @staticmethod
    def level(rate):
        return round(rate * (1 << 16))

    def forward(self, x, tensors, run):
        mask = run.mask(self, x) if run.training else None
        return x + tensors.shift if mask is None else x * mask + tensors.shift


@breaks("check_parameters_may_differ", "Models of a stack may differ in start")
class ReadsItsRateInForward(Noisy):
    def forward(self, x, tensors, run):
        return super().forward(x, tensors, run) * (1.0 - self.start)


@breaks("check_samples_are_independent", "sample 0 of 3 has another result among other samples")
class LooksAtTheBatch(Scale):
    def forward(self, x, tensors, run):
        return super().forward(x - run.xp.mean(x, axis=1, keepdims=True), tensors, run)


@breaks("check_gradient", "are wrong")
class DerivativeLacksAFactor(Scale):
    is_another = True

    def forward(self, x, tensors, run):
        square = run.custom(lambda z: z * z, lambda delta, out, z: (delta * z,), x)
        return super().forward(square, tensors, run)


@breaks("check_gradient", "by factor[0, ")
class DerivativeForgetsItsTensors(Scale):
    def forward(self, x, tensors, run):
        def backward(delta, out, x, factor):
            return delta * (1.0 + factor), run.xp.sum(delta, axis=1, keepdims=True)

        out = run.custom(lambda x, factor: x * (1.0 + factor), backward, x, tensors.factor)
        return out + tensors.shift


@breaks("check_zeros_and_large_numbers", "is not finite, in float64, for samples that are zero")
class DividesByZero(Scale):
    is_another = True

    def forward(self, x, tensors, run):
        size = run.xp.sqrt(run.xp.sum(x * x, axis=-1, keepdims=True))
        return super().forward(x / size, tensors, run)


@breaks("check_zeros_and_large_numbers", "is not finite, in float64, for samples that are ±1000")
class Overflows(Scale):
    is_another = True

    def forward(self, x, tensors, run):
        e = run.xp.exp(x)
        return super().forward(e / (1.0 + e), tensors, run)


@breaks("check_selected", "what comes out is another selection")
class SaysThatItSelects(Scale):
    def selected(self, x):
        return x


@breaks("check_reference", "instead of")
class AddsTwice(Scale):
    def forward(self, x, tensors, run):
        return super().forward(x, tensors, run) + tensors.shift


# Activations


@breaks("check_elements_are_independent", "others come out changed")
class LooksAtTheRow(Squash):
    is_another = True

    def value(self, xp, z):
        return super().value(xp, z) + 0.1 * xp.mean(z, axis=-1, keepdims=True)


@breaks("check_kink", "has_kink is True, and the slope jumps by")
class SaysItHasAKink(Squash):
    has_kink = True


@breaks("check_kink", "Write has_kink = True")
class HidesItsKink(Squash):
    is_another = True

    def value(self, xp, z):
        return super().value(xp, xp.maximum(z, 0.1 * z))


@breaks("check_glorot_gain", "it is 0.0")
class HasNoGain(Squash):
    glorot_gain = 0.0


@breaks("check_gradient", "are wrong")
class SlopeIsThatOfZ(Squash):
    def gradient(self, xp, delta, z, a):
        return delta / (self.width + xp.abs(z))


# Losses


@breaks("check_declarations", "`task` is one of 'classification', 'regression'")
class HasAnUnknownTask(Fair):
    task = "ranking"


@breaks("check_declarations", "uniform_target says what label smoothing moves targets to")
class ClassesWithoutAUniformTarget(Fair):
    task = "classification"
    output_activation = "softmax"

    def for_targets(self, target_type):
        return self


@breaks("check_value_is_recorded", "TracingError")
class LossBranchesOnValues(Fair):
    def value(self, xp, raw, y):
        return super().value(xp, raw, y) if xp.sum(raw) > 0 else super().value(xp, -raw, -y)


@breaks("check_what_value_returns", "value returns shape (3,) for raw outputs")
class SumsOverSamples(Fair):
    def value(self, xp, raw, y):
        return xp.sum(super().value(xp, raw, y), axis=-1)


@breaks("check_what_value_returns", "gradient returns shape (3, 8) for raw outputs")
class GradientIsSummed(Fair):
    def gradient(self, xp, raw, y):
        return xp.sum(super().gradient(xp, raw, y), axis=-1)


@breaks("check_arrays_are_left_alone", "raw or y was written to")
class WritesToRaw(Fair):
    def value(self, xp, raw, y):
        raw -= y
        return super().value(xp, raw, 0.0 * y)


@breaks("check_self_is_left_alone", "gradient sets self.error")
class KeepsTheError(Fair):
    def gradient(self, xp, raw, y):
        self.error = raw - y
        return super().gradient(xp, raw, y)


@breaks("check_repetition", "recorded twice, it gives two results")
class CountsItsCalls(Fair):
    seen = []

    def value(self, xp, raw, y):
        self.seen.append(1)
        return super().value(xp, raw, y) * (1.0 + 0.01 * len(self.seen))


@breaks("check_precision", "value returns float64 for float32")
class LossTakesAConstantOfNumPys(Fair):
    def value(self, xp, raw, y):
        return super().value(xp, raw, y) * np.ones((1, 1))


@breaks("check_models_are_independent", "No model of a stack depends on its neighbours")
class LossLooksAtOtherModels(Fair):
    def value(self, xp, raw, y):
        return super().value(xp, raw - 0.1 * xp.mean(raw, axis=0, keepdims=True), y)

    def gradient(self, xp, raw, y):
        return super().gradient(xp, raw, y)


@breaks("check_samples_are_independent", "has another loss than alone")
class LossLooksAtTheBatch(Fair):
    def value(self, xp, raw, y):
        values = super().value(xp, raw, y)
        return values / (1.0 + 0.1 * xp.max(values, axis=-1, keepdims=True))


@breaks("check_gradient", "by output")
class GradientIsHalf(Fair):
    def gradient(self, xp, raw, y):
        return 0.5 * super().gradient(xp, raw, y)


@breaks("check_rest", "a training would report")
class LeavesTheWrongRest(Fair):
    def gradient_and_rest(self, xp, raw, y):
        return self.gradient(xp, raw, y), raw - y

    def value_of_rest(self, xp, rest, y):
        return self.value(xp, rest, y)


@breaks("check_large_outputs", "not finite, in float64, for raw outputs of ±1000")
class LossOverflows(Fair):
    is_another = True
    is_convex = False

    def value(self, xp, raw, y):
        error = raw - y
        return xp.sum(xp.log(0.5 * (xp.exp(error) + xp.exp(error * -1.0))), axis=-1)

    def gradient(self, xp, raw, y):
        return xp.tanh(raw - y)


class Relative(Fair):
    """Errors as parts of the target."""

    is_another = True

    def value(self, xp, raw, y):
        return xp.sum((raw - y) ** 2 / y**2, axis=-1)

    def gradient(self, xp, raw, y):
        return 2.0 * (raw - y) / y**2


@breaks("check_targets_are_checked", "a target that is zero, 0, is taken")
class TakesEveryTarget(Relative):
    pass


@breaks("check_targets_are_checked", "AttributeError")
class ChecksTargetsWrongly(Relative):
    def check_targets(self, y):
        if (y == 0).any():
            self.refuse(y)


class Hinge(Fair):
    """Of class labels, with probabilities from nowhere."""

    is_another = True

    task = "classification"
    output_activation = "logistic"

    def uniform_target(self, n_outputs):
        return 0.5

    def value(self, xp, raw, y):
        return xp.sum(xp.relu(1.0 - (2.0 * y - 1.0) * raw), axis=-1)

    def gradient(self, xp, raw, y):
        sign = 2.0 * y - 1.0
        return xp.where(sign * raw < 1.0, -sign, 0.0 * sign)


@breaks("check_predictions", "probabilities of a sample that do not sum to 1")
class ClassesAreLabels(Hinge):
    pass


@breaks("check_predictions", "numbers from -")
class PredictsScores(Hinge):
    output_activation = "identity"


@breaks("check_convexity", "half way between two raw outputs it is")
class SaysItIsConvex(Fair):
    is_another = True

    def value(self, xp, raw, y):
        return xp.sum(xp.log1p((raw - y) ** 2), axis=-1)

    def gradient(self, xp, raw, y):
        return 2.0 * (raw - y) / (1.0 + (raw - y) ** 2)


@breaks("check_reference", "instead of")
class CountsHalf(Fair):
    def value(self, xp, raw, y):
        return 0.5 * super().value(xp, raw, y)

    def gradient(self, xp, raw, y):
        return 0.5 * super().gradient(xp, raw, y)


# Schedules


@breaks("check_around", "the highest rate around 0.02 is")
class RateIsNotTheFirst(Halving):
    def __init__(self, every=3, initial_learning_rate=0.1):
        super().__init__(initial_learning_rate, every)


@breaks("check_rates", "nan) at step 0")
class DividesByTheStep(Halving):
    is_another = True

    def value(self, progress):
        share = np.float64(progress.step) / np.float64(progress.step or np.nan)
        return super().value(progress) * share


@breaks("check_rates", "it must be a finite number, and not negative")
class FallsBelowZero(Halving):
    spans_training = True
    per_step = True

    def value(self, progress):
        return self.initial_learning_rate * (1 - progress.step / progress.n_steps)


@breaks("check_rates", "ZeroDivisionError")
class DividesByZeroSteps(Halving):
    per_step = True

    def value(self, progress):
        return self.initial_learning_rate * min(1.0, progress.step / (progress.n_steps - 1))


@breaks("check_huge_steps", "runs more than 20,000 lines of Python")
class CountsUp(Halving):
    def value(self, progress):
        rate = self.initial_learning_rate
        for _ in range(progress.epoch // self.every):
            rate *= 0.5
        return rate


@breaks("check_huge_steps", "OverflowError")
class TakesAPowerOfIntegers(Halving):
    def value(self, progress):
        return self.initial_learning_rate / 2 ** (progress.epoch // self.every)


@breaks("check_self_and_progress_are_left_alone", "value sets self.best")
class RemembersTheLast(Halving):
    def value(self, progress):
        self.best = progress.epoch
        return super().value(progress)


@breaks("check_self_and_progress_are_left_alone", "value changed the progress")
class MovesTheProgress(Halving):
    def value(self, progress):
        progress.epoch += 1
        return super().value(progress)


@breaks("check_self_and_progress_are_left_alone", "asked in another order")
class NeverRises(Halving):
    lowest = [1e9]

    def value(self, progress):
        if progress.step == 0:
            self.lowest[0] = 1e9
        self.lowest[0] = min(self.lowest[0], super().value(progress))
        return self.lowest[0]


@breaks("check_per_step", "and it would be asked for the first only")
class FallsInEachStep(Halving):
    is_another = True

    def value(self, progress):
        return self.initial_learning_rate / (1 + progress.step)


@breaks("check_spans_training", "in runs of two lengths")
class SaysItSpans(Halving):
    spans_training = True


@breaks("check_plateaus", "after 0, 1 and 2 plateaus the rate is")
class GoesOnAtTheSameRate(Halving):
    def continues_after_plateau(self, progress):
        return progress.n_plateaus < 5


@breaks("check_plateaus", "it goes on after 1,000,000,000,000,000 plateaus")
class GoesOnForEver(Halving):
    is_another = True

    def value(self, progress):
        return self.initial_learning_rate / (1.0 + progress.n_plateaus)

    def continues_after_plateau(self, progress):
        return True


@breaks("check_models_of_a_stack", "has other rates beside")
class RemembersTheLastStep(Halving):
    """Models of a stack are asked for the same step one after the other."""

    last = [None, 0.0]

    def value(self, progress):
        if progress.step != self.last[0]:
            self.last[:] = progress.step, super().value(progress)
        return self.last[1]


@breaks("check_reference", "it is 0.050000000000000003 instead of")
class HalvesTooEarly(Halving):
    def value(self, progress):
        return self.initial_learning_rate * 0.5 ** min((progress.epoch + 1) // self.every, 1000)


# Initializers


@breaks("check_what_draw_returns", "shape (3, 5) for n_in, n_out = (5, 3)")
class Transposes(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        return super().draw(rng, n_out, n_in, gain)

    def fill(self, layout, row, rng, gains):
        row[...] = 0.0


@breaks("check_what_draw_returns", "float32")
class DrawsSinglePrecision(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        return super().draw(rng, n_in, n_out, gain).astype(np.float32)


@breaks("check_what_draw_returns", "not finite, for n_in, n_out = (1, 1)")
class DividesByNothing(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        weights = super().draw(rng, n_in, n_out, gain)
        return weights if n_in * n_out > 1 else weights * np.nan


@breaks("check_fill", "coefs_1 is not filled")
class FillsTheFirst(Spread):
    def fill(self, layout, row, rng, gains):
        row[:30] = rng.normal(size=30)
        row[54:] = 0.0


@breaks("check_fill", "intercepts_0 (bias) is not zero")
class FillsEverything(Spread):
    def fill(self, layout, row, rng, gains):
        row[...] = rng.normal(size=row.shape)


@breaks("check_same_seed_same_weights", "drawn twice with the same seed, weights differ")
class DrawsFromAGlobalGenerator(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        return gain * self.scale * np.random.default_rng().normal(size=(n_in, n_out))


@breaks("check_same_seed_same_weights", "drawn twice with the same seed, weights differ")
class KeepsAnArray(Spread):
    held = {}

    def draw(self, rng, n_in, n_out, gain=1.0):
        key = n_in, n_out, gain, rng.bit_generator.state["state"]["state"]
        return self.held.setdefault(key, super().draw(rng, n_in, n_out, gain))


@breaks("check_other_seed_other_weights", "two seeds give the same weights")
class HasASeedOfItsOwn(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        rng.normal()
        own = np.random.default_rng(rng.bit_generator.state["state"]["inc"] % 2)
        return super().draw(own, n_in, n_out, gain)

    def fill(self, layout, row, rng, gains):
        Spread(self.scale).fill(layout, row, rng, gains)


@breaks("check_only_its_generator", "the state of np.random, or of random, was changed")
class SetsAGlobalSeed(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        random.seed(0)
        return super().draw(rng, n_in, n_out, gain)


@breaks("check_gain", "with a gain of 0.5, weights have 0.7071 times the deviation")
class GainIsAVariance(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        return super().draw(rng, n_in, n_out, gain**0.5)


@breaks("check_scale", "twice the scale gives 1.414 times the deviation")
class ScaleIsAVariance(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        return rng.normal(0.0, gain * np.sqrt(self.scale), (n_in, n_out))


@breaks("check_reference", "Weights have the deviation of the reference")
class BoundIsTheDeviation(Spread):
    def draw(self, rng, n_in, n_out, gain=1.0):
        bound = gain * self.scale
        return rng.uniform(-bound, bound, (n_in, n_out))


@pytest.mark.parametrize(("cls", "check", "message"), BROKEN)
def test_fault_is_reported_by_its_check_and_none_of_another_kind(cls, check, message):
    component = cls(0.1) if cls is NeedsItsRate else cls()
    kinds = next(kinds for base, kinds in KINDS.items() if issubclass(cls, base))
    results = component_check_results(component, reference=written_anew)
    failed = {each["check_name"]: each["message"] for each in results if each["status"] == "failed"}
    assert check in failed
    assert message in failed[check]
    for part in (f"{cls.__name__} breaks a rule for", "\n  Rule: ", "\n  Seen: ", "\n  Fix:  "):
        assert part in failed[check]
    assert {kinds[name] for name in failed} == {kinds[check]}


def test_every_check_has_a_planted_fault():
    """Those of layers are those of activations; of the configuration, those of any kind."""
    of_any = {name for name, kind in KINDS[Scale].items() if kind == "configuration"}
    shown = {base: {p.values[1] for p in BROKEN if issubclass(p.values[0], base)} for base in KINDS}
    shown[Squash] |= shown[Scale]
    for base, kinds in KINDS.items():
        missing = kinds.keys() - shown[base] - of_any
        assert missing <= {"check_program"}, base
    assert of_any <= set().union(*shown.values())


@pytest.mark.parametrize("component", [Scale(), Fair()], ids=repr)
def test_engine_that_computes_something_else_is_reported(component, monkeypatch):
    class Off(Engine):
        def bind(self, b, program, arrays, memory, functions=None):
            bound = super().bind(b, program, arrays, memory, functions)
            places = [a for n, a in arrays.items() if n in ("grad", "value")]

            class Wrong(Bound):
                def calls(self, **given):
                    def spoil():
                        for each in places:
                            each *= 1.001

                    return [*bound.calls(**given), spoil]

            wrong = Wrong()
            wrong.program = program
            return wrong

    class Hooks:
        @hookimpl
        def skopt_dl_engines(self):
            return {"off": Off}

    monkeypatch.setattr("skopt_dl.testing._engines.installed_engines", lambda: ["numpy", "off"])
    register(Hooks(), name="wrong-engine")
    try:
        results = component_check_results(component)
    finally:
        unregister("wrong-engine")
    failed = {each["check_name"]: each["message"] for each in results if each["status"] == "failed"}
    assert failed.keys() == {"check_program"}
    assert "off is up to" in failed["check_program"]


@parametrize_with_component_checks(
    [Scale(), SlopeIsThatOfZ(), Halving()],
    expected_failed_checks=lambda component: (
        {"check_gradient": "a straight-through estimator"}
        if isinstance(component, SlopeIsThatOfZ)
        else {}
    ),
)
def test_each_check_is_a_test_of_its_own(component, check):
    check(component)


def test_results_are_plain_and_say_what_became_of_each_check():
    expected = {"check_gradient": "a straight-through estimator"}
    results = component_check_results(SlopeIsThatOfZ(), expected_failed_checks=expected)
    found = {each["check_name"]: each for each in json.loads(json.dumps(results))}
    assert found.keys() == KINDS[Squash].keys()
    assert found["check_gradient"]["status"] == "xfail"
    assert found["check_gradient"]["component"] == "SlopeIsThatOfZ()"
    assert found["check_reference"]["message"] == "no reference is given"
    assert found["check_program"]["message"].startswith("traced, and run by ")


def test_layer_is_tried_with_samples_that_it_takes():
    assert check_component(Residual([Conv2d(2, 3, padding="same")]), input_shape=(3, 4, 2))
    with pytest.raises(ValueError, match=r"none of the shapes .*Give input_shape=\(…\)"):
        check_component(Residual([Conv2d(2, 3, padding="same")]))


def test_only_what_has_rules_is_checked():
    with pytest.raises(TypeError, match=r"Loss, Schedule or Initializer; .* Pass an object: Fair"):
        check_component(Fair)
    with pytest.raises(TypeError, match="input_shape is for components of another kind"):
        check_component(Fair(), input_shape=(6,))


def test_optimizers_have_the_same_door():
    assert check_component(SGD()) == "traced"
