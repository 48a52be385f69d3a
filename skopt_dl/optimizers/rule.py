"""Two slots, one rule: ``-learning_rate * direction(gradient) / scale(gradient)``.

The classic methods differ in how they turn the gradient into a *direction* (raw, heavy ball,
Nesterov, moving average) and in what they divide it by, weight by weight: the *scale* (nothing,
sum of squares, moving average of squares, its maximum, the infinity norm, AdaDelta's ratio). What
*decays* the weights is beside the rule: a penalty's gradient before it, a shrinkage after it.

Moving averages are kept without their factor ``1 - beta``: ``m = beta * m + g``. That factor, the
bias corrections and the learning rate then meet in one number a step, ``rate``, which saves passes
over the arrays. Each part says by which factor its result must be multiplied to be the true one.
`Formula` is the true one, as the papers write it; `skopt_dl.lab.rule` shows it, and compares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from skopt_dl.optimizers.base import Column, Optimizer, Step
from skopt_dl.optimizers.formula import Formula
from skopt_dl.schedules import Schedule

Array = Any
State = Mapping[str, Array]


class Direction:
    """The raw gradient; and the base class of what replaces it."""

    label = "gradient"
    slots: tuple[str, ...] = ()

    def formula(self, h: Any) -> Formula:
        """The direction with the hyperparameters and flags of `h`."""
        return Formula("gradient")

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        """Multiplies the result of `apply`; `coefficients` takes what `apply` needs besides."""
        return 1.0

    def apply(self, h: Any, grad: Array, state: State, step: Step) -> Array:
        """Return the direction over its factor: `grad`, overwritten, or a slot."""
        return grad

    def rate(self, learning_rate: Column) -> Column:
        """What the result is multiplied by besides; 1 where `apply` has multiplied by the rate."""
        return learning_rate

    def stability_limit(self, h: Any) -> float:
        """The learning rate times curvature from which a quadratic diverges, without a scale."""
        return 2.0


class HeavyBall(Direction):
    """A velocity, ``v = momentum * v + g`` (Polyak, 1964)."""

    label = "heavy ball"
    slots = ("velocity",)

    def formula(self, h: Any) -> Formula:
        return Formula("velocity", {"velocity": "momentum * velocity + gradient"})

    def apply(self, h: Any, grad: Array, state: State, step: Step) -> Array:
        velocity = state["velocity"]
        step.xp.multiply(velocity, h.momentum, out=velocity)
        step.xp.add(velocity, grad, out=velocity)
        return velocity

    def stability_limit(self, h: Any) -> float:
        return 2.0 * (1.0 + h.momentum)


class NesterovMomentum(Direction):
    """The velocity one step ahead, ``g + momentum * v`` (Sutskever et al., 2013).

    The slot holds ``momentum * v``, which saves a pass.
    """

    label = "Nesterov momentum"
    slots = ("velocity",)

    def formula(self, h: Any) -> Formula:
        velocity = {"velocity": "momentum * velocity + gradient"}
        return Formula("gradient + momentum * velocity", velocity)

    def apply(self, h: Any, grad: Array, state: State, step: Step) -> Array:
        velocity = state["velocity"]
        step.xp.add(velocity, grad, out=velocity)
        step.xp.multiply(velocity, h.momentum, out=velocity)
        return step.xp.add(grad, velocity, out=grad)

    def stability_limit(self, h: Any) -> float:
        return 2.0 * (1.0 + h.momentum) / (1.0 + 2.0 * h.momentum)


class HeavyBallOfSteps(HeavyBall):
    """A velocity of steps, ``v = momentum * v + learning_rate * g``."""

    label = "heavy ball of steps"

    def formula(self, h: Any) -> Formula:
        velocity = {"velocity": "momentum * velocity + learning_rate * gradient"}
        return Formula("velocity / learning_rate", velocity)

    def rate(self, learning_rate: Column) -> Column:
        return 1.0

    def apply(self, h: Any, grad: Array, state: State, step: Step) -> Array:
        step.xp.multiply(grad, step.learning_rate, out=grad)
        return super().apply(h, grad, state, step)


class NesterovMomentumOfSteps(NesterovMomentum):
    """A velocity of steps, one step ahead."""

    label = "Nesterov momentum of steps"

    def formula(self, h: Any) -> Formula:
        velocity = {"velocity": "momentum * velocity + learning_rate * gradient"}
        return Formula("gradient + momentum * velocity / learning_rate", velocity)

    def rate(self, learning_rate: Column) -> Column:
        return 1.0

    def apply(self, h: Any, grad: Array, state: State, step: Step) -> Array:
        step.xp.multiply(grad, step.learning_rate, out=grad)
        return super().apply(h, grad, state, step)


class MovingAverage(Direction):
    """The gradient's moving average, corrected for its start at zero (Kingma & Ba, 2015)."""

    label = "moving average"
    slots = ("mean",)

    def formula(self, h: Any) -> Formula:
        corrected = "mean / (1 - beta_1**t)" if h.bias_correction else "mean"
        return Formula(corrected, {"mean": "beta_1 * mean + (1 - beta_1) * gradient"})

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        factor = 1.0 - h.beta_1
        return factor / (1.0 - h.beta_1**number) if h.bias_correction else factor

    def apply(self, h: Any, grad: Array, state: State, step: Step) -> Array:
        mean = state["mean"]
        step.xp.multiply(mean, h.beta_1, out=mean)
        step.xp.add(mean, grad, out=mean)
        return mean

    def stability_limit(self, h: Any) -> float:
        return 2.0 * (1.0 + h.beta_1) / (1.0 - h.beta_1)


class NesterovAverage(MovingAverage):
    """The moving average one step ahead, with a growing momentum (Dozat, 2016)."""

    label = "Nesterov average"
    slots = ("mean",)

    def formula(self, h: Any) -> Formula:
        before = {
            "mu": "beta_1 * (1 - 0.5 * 0.96**(t * momentum_decay))",
            "mu_next": "beta_1 * (1 - 0.5 * 0.96**((t + 1) * momentum_decay))",
            "product": "product * mu",
        }
        value = "(1 - mu) * gradient / (1 - product) + mu_next * mean / (1 - product * mu_next)"
        return Formula(value, {**before, **super().formula(h).before}, start={"product": "1"})

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        now, ahead = self._momentum(h, number), self._momentum(h, number + 1)
        product = h.beta_1**number * self._growth(h.momentum_decay, number)
        coefficients["gradient_part"] = (1.0 - now) / (1.0 - product)
        coefficients["mean_part"] = ahead * (1.0 - h.beta_1) / (1.0 - product * ahead)
        return 1.0

    def stability_limit(self, h: Any) -> float:
        return float("nan")

    @staticmethod
    def _momentum(h: Any, number: int) -> Column:
        return h.beta_1 * (1.0 - 0.5 * 0.96 ** (number * h.momentum_decay))

    @staticmethod
    def _growth(decay: Column, number: int) -> Column:
        """Product of the momentum's growth over the steps so far, ``beta_1`` apart."""
        table_size = 1 << number.bit_length()
        if isinstance(decay, np.ndarray):
            products = [_growth_table(float(d), table_size)[number] for d in decay[:, 0]]
            return np.array(products)[:, None]
        return float(_growth_table(decay, table_size)[number])

    def apply(self, h: Any, grad: Array, state: State, step: Step) -> Array:
        xp, c = step.xp, step.coefficients
        mean = super().apply(h, grad, state, step)
        xp.multiply(grad, c["gradient_part"], out=grad)
        xp.multiply(mean, c["mean_part"], out=step.scratch)
        return xp.add(grad, step.scratch, out=grad)


@lru_cache(maxsize=16)
def _growth_table(decay: float, size: int) -> np.ndarray:
    steps = np.arange(1, size)
    return np.concatenate([[1.0], np.cumprod(1.0 - 0.5 * 0.96 ** (steps * decay))])


class Scale:
    """No division; and the base class of what divides the direction, weight by weight."""

    label = "none"
    slots: tuple[str, ...] = ()

    def formula(self, h: Any) -> Formula:
        """The scale with the hyperparameters and flags of `h`."""
        return Formula("1")

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        """Multiplies the scale; `coefficients` takes what the other methods need besides."""
        return 1.0

    def init_state(self, h: Any, state: State, xp: Any) -> None:
        """Fill slots that do not start at zero."""

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        """Update the slots with the gradient, which stays as it is."""

    def divide(self, h: Any, direction: Array, out: Array, state: State, step: Step) -> Array:
        """Return the direction over the scale over its factor, in `out` where that is needed."""
        return direction

    def stability_limit(self, of_direction: float) -> float:
        """The direction's limit, with this scale; NaN where it depends on the gradients."""
        return of_direction


class RootOfSquares(Scale):
    """The root of accumulated squares, plus epsilon; subclasses say how they accumulate."""

    slots: tuple[str, ...] = ("squares",)
    # The slot that the root is taken of.
    kept = "squares"

    def divide(self, h: Any, direction: Array, out: Array, state: State, step: Step) -> Array:
        root = step.scratch
        self.root(h, state, step, root)
        return step.xp.divide(direction, root, out=out)

    def stability_limit(self, of_direction: float) -> float:
        return float("nan")

    def root(self, h: Any, state: State, step: Step, out: Array) -> None:
        """Write the scale over its factor."""
        xp, epsilon = step.xp, step.coefficients["epsilon"]
        squares = self.squares(h, state, step, out)
        if h.epsilon_inside_sqrt:
            xp.add(squares, epsilon, out=out)
            xp.sqrt(out, out=out)
        else:
            xp.sqrt(squares, out=out)
            xp.add(out, epsilon, out=out)

    def squares(self, h: Any, state: State, step: Step, out: Array) -> Array:
        """Return what the root is taken of, in a slot or in `out`."""
        return state[self.kept]


def root(squares: str, h: Any) -> str:
    """The formula of what `RootOfSquares` computes."""
    return f"sqrt({squares} + epsilon)" if h.epsilon_inside_sqrt else f"sqrt({squares}) + epsilon"


class SumOfSquares(RootOfSquares):
    """All squared gradients, added up (Duchi et al., 2011)."""

    label = "sum of squares"

    def formula(self, h: Any) -> Formula:
        squares = {"squares": "squares + gradient**2"}
        return Formula(root("squares", h), squares, start={"squares": "initial_accumulator"})

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        coefficients["epsilon"] = h.epsilon
        return 1.0

    def init_state(self, h: Any, state: State, xp: Any) -> None:
        xp.add(state["squares"], h.initial_accumulator, out=state["squares"])

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        xp, squares = step.xp, state["squares"]
        xp.multiply(grad, grad, out=step.scratch)
        xp.add(squares, step.scratch, out=squares)


class AverageOfSquares(RootOfSquares):
    """A moving average of squared gradients, not corrected (Hinton, 2012)."""

    label = "average of squares"

    def formula(self, h: Any) -> Formula:
        squares = {"squares": "rho * squares + (1 - rho) * gradient**2"}
        return Formula(root("squares", h), squares, start={"squares": "initial_accumulator"})

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        new = 1.0 - h.rho
        coefficients["epsilon"] = h.epsilon / (new if h.epsilon_inside_sqrt else new**0.5)
        return new**0.5

    def init_state(self, h: Any, state: State, xp: Any) -> None:
        start = h.initial_accumulator / (1.0 - h.rho)
        xp.add(state["squares"], start, out=state["squares"])

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        accumulate_squares(step, state["squares"], grad, h.rho)


class CenteredAverageOfSquares(AverageOfSquares):
    """The moving variance: squares less the squared moving average (Graves, 2013)."""

    label = "moving variance"
    slots = ("squares", "mean")

    def formula(self, h: Any) -> Formula:
        squares = super().formula(h)
        before = {**squares.before, "mean": "rho * mean + (1 - rho) * gradient"}
        return squares._replace(value=root("max(squares - mean**2, 0)", h), before=before)

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        coefficients["mean_weight"] = 1.0 - h.rho
        return super().factor(h, number, coefficients)

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        super().observe(h, grad, state, step)
        xp, mean = step.xp, state["mean"]
        xp.multiply(mean, h.rho, out=mean)
        xp.add(mean, grad, out=mean)

    def squares(self, h: Any, state: State, step: Step, out: Array) -> Array:
        xp, mean = step.xp, state["mean"]
        xp.multiply(mean, mean, out=out)
        xp.multiply(out, step.coefficients["mean_weight"], out=out)
        xp.subtract(state["squares"], out, out=out)
        # Rounding can leave a variance of zero slightly negative.
        return xp.maximum(out, 0.0, out=out)


class CorrectedAverageOfSquares(RootOfSquares):
    """A moving average of squares, corrected for its start at zero (Kingma & Ba, 2015)."""

    label = "corrected average of squares"

    def formula(self, h: Any) -> Formula:
        before = {"squares": "beta_2 * squares + (1 - beta_2) * gradient**2"}
        if not h.bias_correction:
            value = f"sqrt({self.kept}) + epsilon"
        elif h.epsilon_hat:
            value = f"(sqrt({self.kept}) + epsilon) / sqrt(1 - beta_2**t)"
        else:
            value = f"sqrt({self.kept} / (1 - beta_2**t)) + epsilon"
        return Formula(value, before)

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        new = 1.0 - h.beta_2
        factor = (new / (1.0 - h.beta_2**number)) ** 0.5 if h.bias_correction else new**0.5
        # Epsilon belongs to the corrected root, or, "epsilon hat", to the uncorrected one.
        coefficients["epsilon"] = h.epsilon / (new**0.5 if h.epsilon_hat else factor)
        return factor

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        accumulate_squares(step, state["squares"], grad, h.beta_2)


class MaximumOfSquares(CorrectedAverageOfSquares):
    """The largest moving average of squares so far (Reddi et al., 2018)."""

    label = "maximum of averages"
    slots = ("squares", "largest")
    kept = "largest"

    def formula(self, h: Any) -> Formula:
        average = super().formula(h)
        return average._replace(before={**average.before, "largest": "max(largest, squares)"})

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        super().observe(h, grad, state, step)
        largest = state["largest"]
        step.xp.maximum(largest, state["squares"], out=largest)


class MaximumOfCorrectedSquares(MaximumOfSquares):
    """The largest of the averages, each corrected before it is compared."""

    label = "maximum of corrected averages"

    def formula(self, h: Any) -> Formula:
        before = {
            "squares": "beta_2 * squares + (1 - beta_2) * gradient**2",
            "largest": "max(largest, squares / (1 - beta_2**t))",
        }
        return Formula("sqrt(largest) + epsilon", before)

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        coefficients["correction"] = (1.0 - h.beta_2) / (1.0 - h.beta_2**number)
        coefficients["epsilon"] = h.epsilon
        return 1.0

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        xp, largest = step.xp, state["largest"]
        accumulate_squares(step, state["squares"], grad, h.beta_2)
        xp.multiply(state["squares"], step.coefficients["correction"], out=step.scratch)
        xp.maximum(largest, step.scratch, out=largest)


class InfinityNorm(Scale):
    """A decaying maximum of absolute gradients (Kingma & Ba, 2015)."""

    label = "infinity norm"
    slots = ("largest",)

    def formula(self, h: Any) -> Formula:
        return Formula("largest", {"largest": "max(beta_2 * largest, abs(gradient) + epsilon)"})

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        xp, largest = step.xp, state["largest"]
        xp.multiply(largest, h.beta_2, out=largest)
        xp.abs(grad, out=step.scratch)
        xp.add(step.scratch, h.epsilon, out=step.scratch)
        xp.maximum(largest, step.scratch, out=largest)

    def divide(self, h: Any, direction: Array, out: Array, state: State, step: Step) -> Array:
        return step.xp.divide(direction, state["largest"], out=out)

    def stability_limit(self, of_direction: float) -> float:
        return float("nan")


class InfinityNormPlusEpsilon(InfinityNorm):
    """The same, with epsilon added to the norm and not to each absolute gradient."""

    label = "infinity norm plus epsilon"

    def formula(self, h: Any) -> Formula:
        before = {"largest": "max(beta_2 * largest, abs(gradient))"}
        return Formula("largest + epsilon", before)

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        xp, largest = step.xp, state["largest"]
        xp.multiply(largest, h.beta_2, out=largest)
        xp.abs(grad, out=step.scratch)
        xp.maximum(largest, step.scratch, out=largest)

    def divide(self, h: Any, direction: Array, out: Array, state: State, step: Step) -> Array:
        step.xp.add(state["largest"], h.epsilon, out=step.scratch)
        return step.xp.divide(direction, step.scratch, out=out)


class UpdateRatio(Scale):
    """The root of averaged squared gradients over that of averaged squared changes (Zeiler, 2012).

    Both averages lack the same factor, so it cancels, except in epsilon.
    """

    label = "ratio to past changes"
    slots = ("squares", "squared_changes")

    def formula(self, h: Any) -> Formula:
        return Formula(
            "sqrt((squares + epsilon) / (squared_changes + epsilon))",
            {"squares": "rho * squares + (1 - rho) * gradient**2"},
            {"squared_changes": "rho * squared_changes + (1 - rho) * (change / learning_rate)**2"},
        )

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        coefficients["epsilon"] = h.epsilon / (1.0 - h.rho)
        return 1.0

    def observe(self, h: Any, grad: Array, state: State, step: Step) -> None:
        accumulate_squares(step, state["squares"], grad, h.rho)

    def divide(self, h: Any, direction: Array, out: Array, state: State, step: Step) -> Array:
        xp, epsilon, ratio = step.xp, step.coefficients["epsilon"], step.scratch
        xp.add(state["squared_changes"], epsilon, out=ratio)
        xp.divide(ratio, state["squares"] + epsilon, out=ratio)
        xp.sqrt(ratio, out=ratio)
        xp.multiply(direction, ratio, out=out)
        accumulate_squares(step, state["squared_changes"], out, h.rho)
        return out

    def stability_limit(self, of_direction: float) -> float:
        return float("nan")


def accumulate_squares(step: Step, squares: Array, values: Array, decay: Column) -> None:
    """Multiply `squares` by `decay` and add the squares of `values`; overwrites the scratch."""
    xp = step.xp
    xp.multiply(squares, decay, out=squares)
    xp.multiply(values, values, out=step.scratch)
    xp.add(squares, step.scratch, out=squares)


class Decay:
    """The base class of what draws the weights to zero."""

    def formula(self, formula: Formula) -> Formula:
        """The formula of an optimizer, with the decay in it."""
        return formula

    def coefficients(self, h: Any, learning_rate: Column) -> dict[str, Column]:
        """Numbers of a step."""
        return {}

    def before(self, grad: Array, params: Array, step: Step) -> Array:
        """Return the gradient that the rule is to see."""
        return grad

    def after(self, change: Array, params: Array, step: Step) -> Array:
        """Return the change, given that of the rule."""
        return change


class Penalty(Decay):
    """The gradient of ``l2 / 2 * weights**2``, added to that of the loss."""

    def formula(self, formula: Formula) -> Formula:
        seen = {"decayed": "gradient + l2 * weights"}
        before = {
            name: _renamed("gradient", "decayed", text) for name, text in formula.before.items()
        }
        return formula._replace(
            value=_renamed("gradient", "decayed", formula.value), before={**seen, **before}
        )

    def coefficients(self, h: Any, learning_rate: Column) -> dict[str, Column]:
        return {"l2": h.l2}

    def before(self, grad: Array, params: Array, step: Step) -> Array:
        step.xp.multiply(params, step.coefficients["l2"], out=step.scratch)
        return step.xp.add(grad, step.scratch, out=grad)


class Shrinkage(Decay):
    """A shrinkage of all weights by one factor, beside the rule (Loshchilov & Hutter, 2019)."""

    def formula(self, formula: Formula) -> Formula:
        shrinkage = "learning_rate * weight_decay * weights"
        after = {
            name: _renamed("change", f"(change + {shrinkage})", text)
            for name, text in formula.after.items()
        }
        return formula._replace(value=f"{formula.value} - {shrinkage}", after=after)

    def coefficients(self, h: Any, learning_rate: Column) -> dict[str, Column]:
        return {"decay": -learning_rate * h.weight_decay}

    def after(self, change: Array, params: Array, step: Step) -> Array:
        step.xp.multiply(params, step.coefficients["decay"], out=step.scratch)
        return step.xp.add(change, step.scratch, out=change)


def _renamed(name: str, other: str, text: str) -> str:
    """A formula's text with another name, or a whole expression, in the place of a name."""
    return re.sub(rf"\b{name}\b", other, text)


class TwoSlotOptimizer(Optimizer):
    """An optimizer that names its direction and its scale.

    Attributes
    ----------
    direction : Direction
    scale : Scale
    decays : tuple of Decay
    """

    direction: ClassVar[Direction] = Direction()
    scale: ClassVar[Scale] = Scale()
    decays: ClassVar[tuple[Decay, ...]] = ()
    bias_correction: bool | str = True
    epsilon_inside_sqrt: bool = False

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.direction.slots + self.scale.slots

    def formula(self) -> Formula:
        formula = self.formula_of_rule()
        for decay in self.decays:
            formula = decay.formula(formula)
        return formula

    def formula_of_rule(self) -> Formula:
        """What `change` computes."""
        direction, scale = self.direction.formula(self), self.scale.formula(self)
        parts = {"direction": direction.value, "scale": scale.value}
        return Formula(
            "-learning_rate * direction / scale",
            before={**direction.before, **scale.before, **parts},
            after={**direction.after, **scale.after},
            start={**direction.start, **scale.start},
        )

    def init_state(
        self, state: dict[str, Array], params: Array, xp: Any, layout: Any = None
    ) -> None:
        self.scale.init_state(self, state, xp)

    def stability_limit(self) -> float:
        moves = any(
            isinstance(value, Schedule)
            for name, value in vars(self).items()
            if name != "learning_rate"
        )
        if self.decays or moves:
            return float("nan")
        return self.scale.stability_limit(self.direction.stability_limit(self))

    def coefficients(self, number: int, learning_rate: Column) -> dict[str, Column]:
        coefficients: dict[str, Column] = {}
        direction = self.direction.factor(self, number, coefficients)
        scale = self.scale.factor(self, number, coefficients)
        coefficients["rate"] = -self.direction.rate(learning_rate) * direction / scale
        for decay in self.decays:
            coefficients |= decay.coefficients(self, learning_rate)
        return coefficients

    def update(self, grad: Array, state: State, params: Array, step: Step) -> Array:
        decays = self.decays
        for decay in decays:
            grad = decay.before(grad, params, step)
        change = self.change(grad, state, step)
        for decay in decays:
            change = decay.after(change, params, step)
        return change

    def change(self, grad: Array, state: State, step: Step) -> Array:
        """Return the change by the rule, without decay; it is not a slot."""
        self.scale.observe(self, grad, state, step)
        direction = self.direction.apply(self, grad, state, step)
        change = self.scale.divide(self, direction, grad, state, step)
        return step.xp.multiply(change, step.coefficients["rate"], out=grad)
