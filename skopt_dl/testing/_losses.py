"""Rules for losses, in each form that they have for their targets."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from unittest import SkipTest

import numpy as np

from skopt_dl.backends import get_backend
from skopt_dl.networks import DensePool, Loss, Network, NetworkObjective, SampleLosses, TargetPool
from skopt_dl.networks.losses import OUTPUT_ACTIVATIONS
from skopt_dl.programs import using_engine
from skopt_dl.testing._engines import usable_engines
from skopt_dl.testing._layers import (
    N_MODELS,
    SAME,
    SINGLE,
    compare_engines,
    compare_with_reference,
    differ,
)
from skopt_dl.testing._networks import Given, compare_slopes
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.testing._watching import Same, watched

Reference = Callable[[Any, np.ndarray, np.ndarray], "np.ndarray | None"]

N_SAMPLES = 8
TASKS = ("classification", "regression")


class Form(NamedTuple):
    """A loss in its form for a type of targets, and targets ``(n_samples, n_outputs)``."""

    target_type: str
    loss: Loss
    y: np.ndarray


def forms_of(loss: Loss) -> list[Form]:
    """The forms of a loss, and targets that it takes; the same ones for the same loss."""
    return _forms_of(Same(loss))


@lru_cache(maxsize=8)
def _forms_of(same: Same) -> list[Form]:
    loss: Loss = same.component
    rng = np.random.default_rng(3)
    if loss.task == "classification":
        drawn: dict[str, list[np.ndarray]] = {
            "binary": [rng.integers(2, size=(N_SAMPLES, 1))],
            "multiclass": [np.eye(3)[np.arange(N_SAMPLES) % 3]],
            "multilabel-indicator": [rng.integers(2, size=(N_SAMPLES, 3))],
        }
    else:
        # From any numbers to such as fewer losses refuse.
        normal, positive = rng.normal(size=(2, N_SAMPLES, 2))
        counts = rng.poisson(2.0, size=(N_SAMPLES, 2))
        drawn = {"continuous": [normal, counts, np.exp(positive), 1 / (1 + np.exp(normal))]}
    forms: list[Form] = []
    with expecting(loss, "for_targets returns a loss.", "Return self, or an object of Loss."):
        for target_type, candidates in drawn.items():
            form = loss.for_targets(target_type)
            form.check_params()
            taken = [y for y in candidates if _takes(form, y)]
            if taken:
                forms.append(Form(target_type, form, taken[0].astype(np.float64)))
    if not forms:
        raise broken(
            loss,
            "check_targets takes some targets.",
            f"all of {', '.join(drawn)} are refused",
            "Raise ValueError only for targets without a finite loss.",
        )
    return forms


def _takes(loss: Loss, y: np.ndarray) -> bool:
    try:
        loss.check_targets(y.astype(np.float64))
    except ValueError:
        return False
    return True


class Bench:
    """A loss of raw outputs that are the parameters of K models.

    Parameters
    ----------
    loss : Loss
    y : ndarray of shape (n_samples, n_outputs)
    dtype : str, default="float64"
    scale : float, default=1.5
        Of raw outputs.
    """

    def __init__(self, loss: Loss, y: np.ndarray, dtype: str = "float64", scale: float = 1.5):
        self.loss, self.dtype, self._b = loss, dtype, get_backend("cpu")
        self.y = y.astype(dtype)
        self._scale, self._watched, self.is_exercised = scale, watched(loss), False
        self._network = Network([Given(y.shape)], (1,), self._watched)

    def raw(self, n_models: int) -> np.ndarray:
        """Raw outputs ``(K, n_samples, n_outputs)``; row k does not depend on K."""
        rows = [np.random.default_rng([4, k]).normal(size=self.y.shape) for k in range(n_models)]
        return (self._scale * np.stack(rows)).astype(self.dtype)

    def values(self, raw: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
        """The loss of each sample, ``(K, n_samples)``."""
        y = self.y if y is None else y
        before = raw.copy(), y.copy()
        with self._recorded(), self._b.quiet():
            found = SampleLosses(self._b, self._watched, raw, y[None])()
        self._must_be_left_alone(before, (raw, y))
        return found

    def sum_of_values(self) -> Callable[[np.ndarray], float]:
        """A function of a row of raw outputs."""
        place = self.raw(1)
        losses = SampleLosses(self._b, self._watched, place, self.y[None])

        def value(row: np.ndarray) -> float:
            place[...] = row.reshape(place.shape)
            with self._b.quiet():
                return float(losses().sum())

        return value

    def value_and_grad(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean loss that a training reports, ``(K,)``, and gradients like `raw`."""
        y, n_samples = self.y.copy(), len(self.y)
        rows = raw.reshape(len(raw), -1).copy()
        with self._recorded(), self._b.quiet():
            objective = NetworkObjective(
                self._b,
                self._network,
                DensePool(self._b, np.zeros((n_samples, 1), self.dtype)),
                TargetPool(self._b, y),
                n_models=len(raw),
            )
            value, grad = objective.value_and_grad(rows)
        self._must_be_left_alone((raw.reshape(rows.shape), self.y), (rows, y))
        return value, grad.reshape(raw.shape) * n_samples

    def _recorded(self) -> Any:
        return expecting(
            self.loss,
            "value and gradient are array code.",
            "Use functions of xp, operators and slices, and branch on no values.",
            "check_value_is_recorded",
        )

    def _must_be_left_alone(self, before: Any, after: Any) -> None:
        if any(a.tobytes() != b.tobytes() for a, b in zip(before, after, strict=True)):
            raise broken(
                self.loss,
                "value and gradient change nothing that they are given.",
                "raw or y was written to",
                "Write error = raw - y, not raw -= y.",
                "check_arrays_are_left_alone",
            )


@lru_cache(maxsize=16)
def _known_bench(loss: Same, number: int, dtype: str) -> Bench:
    form = _forms_of(loss)[number]
    return Bench(form.loss, form.y, dtype)


def benches(loss: Loss, dtype: str = "float64") -> list[Bench]:
    """A bench for each form, the same ones for the same loss."""
    return [_known_bench(Same(loss), number, dtype) for number in range(len(forms_of(loss)))]


def _all_of(bench: Bench, raw: np.ndarray) -> tuple[np.ndarray, ...]:
    return (bench.values(raw), *bench.value_and_grad(raw))


def _exercise(loss: Loss) -> None:
    for bench in benches(loss):
        if not bench.is_exercised:
            _all_of(bench, bench.raw(N_MODELS))
            bench.is_exercised = True


def check_declarations(loss: Loss) -> None:
    """``task``, ``output_activation`` and ``is_convex`` are what they can be."""
    allowed: dict[str, tuple[Any, ...]] = {
        "task": TASKS,
        "output_activation": tuple(OUTPUT_ACTIVATIONS),
        "is_convex": (True, False),
    }
    for name, values in allowed.items():
        if getattr(loss, name) not in values:
            raise broken(
                loss,
                f"`{name}` is one of {', '.join(map(repr, values))}.",
                f"it is {getattr(loss, name)!r}",
                "Write one of these in the class, or leave it to the base class.",
            )
    if loss.task == "classification":
        for form in forms_of(loss):
            n_outputs = form.y.shape[1]
            with expecting(
                form.loss,
                "uniform_target says what label smoothing moves targets to.",
                "Derive from LogLoss, or return 1 / n_outputs, or 0.5 for labels of their own.",
            ):
                target = np.asarray(form.loss.uniform_target(n_outputs), np.float64)
            if not ((target > 0) & (target < 1)).all():
                raise broken(
                    form.loss,
                    "uniform_target says what label smoothing moves targets to.",
                    f"it is {target} for {n_outputs} outputs",
                    "Return a number between 0 and 1.",
                )


def check_value_is_recorded(loss: Loss) -> None:
    """``value`` and ``gradient`` are array code."""
    _exercise(loss)


def check_what_value_returns(loss: Loss) -> None:
    """``value`` returns one number a sample, and ``gradient`` an array like the raw outputs."""
    _exercise(loss)


def check_arrays_are_left_alone(loss: Loss) -> None:
    """Neither raw outputs nor targets are written to."""
    _exercise(loss)


def check_self_is_left_alone(loss: Loss) -> None:
    """Nothing is kept in self."""
    _exercise(loss)


def check_repetition(loss: Loss) -> None:
    """Recording it twice gives the same program."""
    for first in benches(loss):
        second = Bench(first.loss, first.y)
        raw = first.raw(1)
        if any(
            differ(a, b, 0.0)
            for a, b in zip(_all_of(first, raw), _all_of(second, raw), strict=True)
        ):
            raise broken(
                loss,
                "Equal runs give equal results.",
                "recorded twice, it gives two results",
                "Keep nothing in the class or its module; draw nothing.",
            )


def check_precision(loss: Loss) -> None:
    """float32 in, float32 out, near to what float64 gives."""
    for double, single in zip(benches(loss), benches(loss, dtype="float32"), strict=True):
        exact = _all_of(double, double.raw(N_MODELS))
        for a, b in zip(exact, _all_of(single, single.raw(N_MODELS)), strict=True):
            if b.dtype != np.float32 or differ(a, b, SINGLE):
                raise broken(
                    loss,
                    "What comes out in float32 is that of float64, rounded.",
                    f"{b.dtype}, up to {np.abs(a - b).max():.3g} off, of {np.abs(a).max():.3g}",
                    "Look for differences of nearly equal numbers, and for constants that are too "
                    "small or too large for float32.",
                )


def check_models_are_independent(loss: Loss) -> None:
    """A model of a stack has the values and gradients that it has alone."""
    for bench in benches(loss):
        raw = bench.raw(N_MODELS)
        together = _all_of(bench, raw)
        for k in range(N_MODELS):
            alone = _all_of(bench, raw[k : k + 1])
            for a, b in zip(together, alone, strict=True):
                if differ(a[k], b[0], SAME):
                    raise broken(
                        loss,
                        "No model of a stack depends on its neighbours.",
                        f"model {k} of {N_MODELS} is up to {np.abs(a[k] - b[0]).max():.3g} away "
                        f"from what it is alone, of {np.abs(b).max():.3g}",
                        "Reduce over the last axis, that of a sample's outputs, and no other; y "
                        "may be (1, n_samples, n_outputs).",
                    )


def check_samples_are_independent(loss: Loss) -> None:
    """The loss of a sample does not depend on the others."""
    for bench in benches(loss):
        raw = bench.raw(1)
        together = bench.values(raw)
        for i in range(len(bench.y)):
            alone = bench.values(raw[:, i : i + 1].copy(), bench.y[i : i + 1])
            if differ(together[0, i], alone[0, 0], SAME):
                raise broken(
                    loss,
                    "The loss of a sample does not depend on the others in its batch.",
                    f"sample {i} of {len(bench.y)} has another loss than alone",
                    "Reduce over the last axis, that of a sample's outputs, and no other.",
                )


def check_gradient(loss: Loss) -> str:
    """The gradient is that of central differences of ``value``."""
    said = ""
    for bench in benches(loss):
        raw = bench.raw(1)
        _, grad = bench.value_and_grad(raw)

        def name(place: int, raw: np.ndarray = raw) -> str:
            _, sample, output = np.unravel_index(place, raw.shape)
            return f"output {output} of sample {sample}"

        said = compare_slopes(
            bench.loss,
            bench.sum_of_values(),
            raw.ravel(),
            grad.ravel(),
            name,
            "Leave `gradient` out, and reverse mode finds it; or look at it term by term. It is "
            "that of a sample's own loss, not of the mean.",
        )
    return said


def check_rest(loss: Loss) -> None:
    """What ``gradient_and_rest`` leaves gives the value."""
    for bench in benches(loss):
        raw = bench.raw(N_MODELS)
        mean, _ = bench.value_and_grad(raw)
        expected = bench.values(raw).mean(axis=1)
        if differ(mean, expected, SAME):
            raise broken(
                bench.loss,
                "value_of_rest gives, of what gradient_and_rest leaves, what value gives.",
                f"a training would report {mean[0]:.9g}, and value gives {expected[0]:.9g}",
                "Leave both out, unless they save a pass over the outputs.",
            )


def check_large_outputs(loss: Loss) -> None:
    """Large raw outputs, and none, give finite losses and gradients."""
    for number, form in enumerate(forms_of(loss)):
        sizes = (0.0, 30.0) if form.loss.output_activation == "exp" else (0.0, 1000.0)
        for dtype in ("float64", "float32"):
            bench = benches(loss, dtype)[number]
            for size in sizes:
                raw = (size * np.sign(bench.raw(1))).astype(dtype)
                for what, array in zip(
                    ("loss", "mean loss", "gradient"), _all_of(bench, raw), strict=True
                ):
                    if not np.isfinite(array).all():
                        raise broken(
                            form.loss,
                            "Large raw outputs, and zeros, give finite losses and gradients.",
                            f"the {what} is not finite, in {dtype}, for raw outputs of ±{size:g}",
                            "Compute with the raw output: log(1 + exp(z)) is max(z, 0) + "
                            "log1p(exp(-abs(z))); powers overflow early.",
                        )


def check_targets_are_checked(loss: Loss) -> str:
    """Targets without a finite loss are refused by ``check_targets``."""
    if loss.task == "classification":
        raise SkipTest("targets of classes are indicators")
    refused = []
    for form in forms_of(loss):
        bench = Bench(form.loss, np.ones((2, 2)))
        for name, number in {
            "zero": 0.0,
            "negative": -2.5,
            "large": 1e4,
            "a fraction": 0.5,
        }.items():
            y = np.full((2, 2), number)
            rule = "check_targets raises ValueError for targets without a finite loss."
            with expecting(loss, rule, "Raise ValueError, with what is allowed."):
                try:
                    form.loss.check_targets(y)
                except ValueError:
                    refused.append(name)
                    continue
            bench.y = y
            values, _, grad = _all_of(bench, bench.raw(1))
            if not (np.isfinite(values).all() and np.isfinite(grad).all()):
                raise broken(
                    loss,
                    rule,
                    f"a target that is {name}, {number:g}, is taken; its loss is {values[0, 0]}",
                    "Raise ValueError in check_targets, with what is allowed and what to use "
                    "instead.",
                )
    return f"refused: {', '.join(refused)}" if refused else "takes all numbers"


def check_predictions(loss: Loss) -> None:
    """Predictions are finite, and probabilities where they should be."""
    for form in forms_of(loss):
        raw = Bench(form.loss, form.y).raw(N_MODELS)
        rule = "predict returns an array like raw; probabilities lie between 0 and 1."
        with expecting(form.loss, rule, "Leave predict to the base class."):
            found = form.loss.predict(np, raw.copy())
        shape, seen = getattr(found, "shape", None), ""
        if shape != raw.shape:
            seen = f"shape {shape} for raw outputs of shape {raw.shape}"
        elif not np.isfinite(found).all():
            seen = "numbers that are not finite"
        elif form.loss.task == "classification":
            if not ((found >= 0) & (found <= 1)).all():
                seen = f"numbers from {found.min():.3g} to {found.max():.3g}"
            elif form.target_type == "multiclass" and differ(found.sum(axis=-1), 1.0, SAME):
                seen = "probabilities of a sample that do not sum to 1"
        if seen:
            raise broken(
                form.loss,
                rule,
                f"{seen}, for targets that are {form.target_type}",
                'Write output_activation = "softmax" for classes, "logistic" for labels of their '
                "own; for_targets chooses the form.",
            )


def check_convexity(loss: Loss) -> None:
    """A loss that says it is convex is so, between any two raw outputs."""
    if not any(form.loss.is_convex for form in forms_of(loss)):
        raise SkipTest("it says is_convex = False")
    for form in forms_of(loss):
        for scale in (1.5, 8.0):
            bench = Bench(form.loss, form.y, scale=scale)
            raw = bench.raw(8)
            ends = bench.values(raw)
            middles = bench.values(0.5 * (raw + raw[::-1]))
            above = middles - 0.5 * (ends + ends[::-1])
            if form.loss.is_convex and above.max() > SAME * max(1.0, np.abs(ends).max()):
                raise broken(
                    form.loss,
                    "A convex loss is nowhere above the straight line between two of its values.",
                    f"half way between two raw outputs it is {above.max():.3g} above",
                    "Write is_convex = False: analyses of minima rely on it.",
                )


def check_reference(loss: Loss, reference: Reference | None = None) -> str:
    """Losses are those of the author's own code, in float64."""
    if reference is None:
        raise SkipTest("no reference is given")
    n_compared = 0
    for bench in benches(loss):
        raw = bench.raw(1)
        with expecting(loss, "The reference runs.", "reference(loss, raw, y)"):
            expected = reference(bench.loss, raw[0].copy(), bench.y.copy())
        if expected is not None:
            compare_with_reference(bench.loss, bench.values(raw)[0], expected)
            n_compared += 1
    if not n_compared:
        raise SkipTest("the reference has no values for it")
    return f"within {SAME:g}"


def check_program(loss: Loss) -> str:
    """The programs give the same on every engine."""
    engines, unusable = usable_engines()
    for bench in benches(loss):
        results = {}
        for engine in engines:
            with using_engine(engine):
                results[engine] = _all_of(bench, bench.raw(N_MODELS))
        compare_engines(loss, results)
    return f"traced, and run by {', '.join(engines)}{unusable}"
