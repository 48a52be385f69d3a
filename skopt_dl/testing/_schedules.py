"""Rules for schedules: what they answer for a progress."""

from __future__ import annotations

import copy
import math
import numbers
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import SkipTest

import numpy as np

from skopt_dl.optimizers import SGD
from skopt_dl.schedules import Progress, Schedule, rate_at
from skopt_dl.testing._bench import draw, follow
from skopt_dl.testing._inspection import Called
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.testing._watching import attributes, check_self

Reference = Callable[[Any, Progress], "float | None"]

# Epochs, and steps of each.
N_EPOCHS, PER_EPOCH = 12, 5
# Lines of Python that an answer may take; loops over steps would take more.
MAX_LINES = 20_000
HUGE = (10**4, 10**6, 10**9, 10**15)
SAME = 1e-12


def progress_at(
    step: int, *, n_epochs: int = N_EPOCHS, per_epoch: int = PER_EPOCH, n_plateaus: int = 0
) -> Progress:
    """How far a training has come after so many steps."""
    progress = Progress(n_epochs=n_epochs, n_steps=n_epochs * per_epoch)
    progress.step, progress.epoch = step, step // per_epoch
    progress.n_samples_seen = progress.epoch * per_epoch * 32
    progress.n_plateaus = n_plateaus
    return progress


def _runs() -> Iterator[Progress]:
    """Steps of short and long runs: the first, all of one, the last, and after the end."""
    for n_epochs, per_epoch in ((1, 1), (2, 1), (N_EPOCHS, PER_EPOCH)):
        n_steps = n_epochs * per_epoch
        for step in [*range(n_steps + 2), 3 * n_steps]:
            yield progress_at(step, n_epochs=n_epochs, per_epoch=per_epoch)


def _ask(schedule: Schedule, progress: Progress, owner: str = "check_rates") -> float:
    with expecting(
        schedule,
        "value returns a finite number that is not negative, for every progress.",
        "Mind the first step, the step after the last, and runs of one step; powers overflow.",
        owner,
    ):
        return rate_at(schedule, progress)


def check_around(schedule: Schedule) -> None:
    """The name of a schedule stands for the one around a rate."""
    rule = "around(learning_rate) makes a schedule of a rate, and of a higher one a higher."
    fix = "Make the rate the first parameter, and give the others defaults; or write `around`."
    highest = []
    for rate in (0.02, 0.04):
        with expecting(schedule, rule, fix):
            made = type(schedule).around(rate)
            made.check_params()
        rates = [_ask(made, progress_at(step)) for step in range(N_EPOCHS * PER_EPOCH)]
        highest.append(max(rates))
    if not highest[0] < highest[1]:
        seen = f"the highest rate around 0.02 is {highest[0]:.6g}, and around 0.04 {highest[1]:.6g}"
        raise broken(schedule, rule, seen, fix)


def check_rates(schedule: Schedule) -> None:
    """Rates are finite and not negative, in runs of any length and after their end."""
    for progress in _runs():
        _ask(schedule, progress)


def check_huge_steps(schedule: Schedule) -> None:
    """Steps that are far away have a rate too, which is not counted up to."""
    for step in HUGE:
        progress = progress_at(step, n_epochs=2 * step, per_epoch=1, n_plateaus=step)
        with _few_lines(schedule, step):
            _ask(schedule, progress, "check_huge_steps")


@contextmanager
def _few_lines(schedule: Schedule, step: int) -> Iterator[None]:
    """Stop what takes more lines of Python than an answer should."""
    n_lines = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal n_lines
        n_lines += event == "line"
        if n_lines > MAX_LINES:
            raise broken(
                schedule,
                "value answers at once, however far a training has come.",
                f"at step {step:,} it runs more than {MAX_LINES:,} lines of Python",
                "Give the rate in closed form, without a loop over steps or epochs.",
                "check_huge_steps",
            )
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def check_reference(schedule: Schedule, reference: Reference | None = None) -> str:
    """Rates are those of the author's own code."""
    if reference is None:
        raise SkipTest("no reference is given")
    rates = []
    for progress in _runs():
        with expecting(schedule, "The reference runs.", "reference(schedule, progress)"):
            expected = reference(schedule, copy.copy(progress))
        if expected is not None:
            rates.append((progress, float(expected)))
    highest = max((rate for _, rate in rates), default=0.0)
    for progress, expected in rates:
        found = _ask(schedule, progress)
        if not abs(found - expected) <= SAME * highest:
            raise broken(
                schedule,
                "Rates are those of the reference.",
                f"at step {progress.step} of {progress.n_steps} it is {found:.17g} instead of "
                f"{expected:.17g}",
                "Compare term by term: whether steps count from 0 or 1, and where the run ends.",
            )
    if not rates:
        raise SkipTest("the reference has no values for it")
    return f"{len(rates)} rates within {SAME:g} of the highest"


def check_self_and_progress_are_left_alone(schedule: Schedule) -> None:
    """The rate follows from the progress: equal ones have equal rates, in any order."""
    runs = list(_runs())
    for progress in runs:
        before, given = attributes(schedule), dict(vars(progress))
        _ask(schedule, progress)
        schedule.continues_after_plateau(progress)
        check_self(schedule, before, "value")
        if vars(progress) != given:
            raise broken(
                schedule,
                "value changes nothing in the progress, which is the training's.",
                "value changed the progress that it was given",
                "Compute the rate from it, and leave it as it is.",
            )
    forward = [_ask(schedule, progress) for progress in runs]
    backward = [_ask(copy.copy(schedule), progress) for progress in reversed(runs)][::-1]
    if forward != backward:
        raise broken(
            schedule,
            "The rate follows from the progress alone.",
            "asked in another order, it answers with other rates",
            "Keep nothing in the class or its module; draw nothing. A training that is resumed "
            "asks for its later steps only.",
        )


def check_per_step(schedule: Schedule) -> None:
    """A rate that changes within an epoch says per_step = True."""
    for epoch in range(N_EPOCHS):
        rates = {_ask(schedule, progress_at(epoch * PER_EPOCH + i)) for i in range(PER_EPOCH)}
        if len(rates) > 1 and not schedule.per_step:
            raise broken(
                schedule,
                "A schedule whose rate changes within an epoch says per_step = True.",
                f"epoch {epoch} has {len(rates)} rates, and it would be asked for the first only",
                "Write per_step = True in the class, or compute with progress.epoch.",
            )


def check_spans_training(schedule: Schedule) -> None:
    """A schedule that says it spans the training depends on how long that is."""
    if not schedule.spans_training:
        raise SkipTest("it says spans_training = False")
    half = N_EPOCHS * PER_EPOCH // 2
    rates = [_ask(schedule, progress_at(half - 1, n_epochs=n)) for n in (N_EPOCHS // 2, N_EPOCHS)]
    if rates[0] == rates[1]:
        raise broken(
            schedule,
            "A schedule with spans_training = True is laid out over the whole run.",
            f"at step {half - 1} the rate is {rates[0]:.6g} in runs of two lengths",
            "Compute with progress.fraction, n_steps or n_epochs; or leave spans_training out.",
        )


def check_plateaus(schedule: Schedule) -> str:
    """Trainings that go on after plateaus do so with a lower rate, and come to an end."""
    rule = "A schedule that goes on after a plateau lowers the rate, until it goes on no longer."
    start = progress_at(0)
    if not schedule.continues_after_plateau(start):
        return "stops at the first plateau"
    rates = [_ask(schedule, progress_at(0, n_plateaus=n)) for n in range(3)]
    fix = "Let value fall with progress.n_plateaus, and return False below a smallest rate."
    if not rates[0] > rates[1] > rates[2]:
        raise broken(schedule, rule, f"after 0, 1 and 2 plateaus the rate is {rates}", fix)
    for n_plateaus in HUGE:
        if not schedule.continues_after_plateau(progress_at(0, n_plateaus=n_plateaus)):
            return "goes on at lower rates, and ends"
    raise broken(schedule, rule, f"it goes on after {HUGE[-1]:,} plateaus", fix)


def check_models_of_a_stack(schedule: Schedule) -> None:
    """Models of a stack have the rates of their own schedules."""
    variants = _variants(schedule)
    start, gradients = draw(len(variants), "float64", n_steps=N_EPOCHS)
    optimizers = [SGD(learning_rate=variant) for variant in variants]
    together = follow(optimizers, start, gradients, watch=Called).params
    for k, optimizer in enumerate(optimizers):
        row = slice(k, k + 1)
        alone = follow([optimizer], start[row], gradients[:, row], watch=Called).params
        if not np.array_equal(together[:, k], alone[:, 0]):
            raise broken(
                schedule,
                "In a stack, each model has the rates of its own schedule.",
                f"{variants[k]!r} has other rates beside "
                f"{', '.join(repr(v) for i, v in enumerate(variants) if i != k)} than alone",
                "What is kept from call to call, in a cache say, has to tell objects apart by "
                "their parameters; better keep nothing.",
            )


def _variants(schedule: Schedule) -> list[Schedule]:
    """The schedule, and others with another value of one number each."""
    found = [schedule]
    for name, value in schedule.get_params(deep=False).items():
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            whole = isinstance(value, numbers.Integral)
            for candidate in (value + 1 if whole else value * 0.5, value + 1):
                variant = copy.copy(schedule)
                setattr(variant, name, candidate)
                try:
                    variant.check_params()
                    highest = max(rate_at(variant, progress) for progress in _runs())
                except ValueError:
                    continue
                if math.isfinite(highest):
                    found.append(variant)
                    break
    return found[:4]
