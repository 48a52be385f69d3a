"""The same for optimizers alone, by names of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.testing._check import (
    CheckResult,
    Expected,
    Reasons,
    check_component,
    component_check_results,
    hint_at_object,
    parametrized,
)
from skopt_dl.testing._checks import Check
from skopt_dl.testing._kits import component_checks
from skopt_dl.testing._values import Reference

AnyOptimizer = Optimizer | Minimizer


class OptimizerCheckResult(CheckResult):
    """A `CheckResult`, with the optimizer's ``repr`` under this name too."""

    optimizer: str


def check_optimizer(optimizer: AnyOptimizer, *, reference: Reference | None = None) -> str:
    """Check that an optimizer keeps the rules that skopt_dl relies on.

    What it checks holds for every optimizer: whether the values are those of the paper only a
    comparison with an independent implementation can tell. A test of an optimizer needs both, so
    give it a `reference`.

    For an `Optimizer`:

    - it stores its parameters as they are, clones, prints and pickles;
    - ``update`` returns a finite array of the gradient's shape and precision, in float32 and
      float64, for large, zero and tiny gradients, and for other networks' tensors;
    - ``update`` leaves the parameters alone, keeps its state in ``slots``, in place, and nothing
      in ``self``; a training that is interrupted goes on from its slots;
    - ``update`` calls functions of ``step.xp`` only;
    - the changes of every tensor depend on its gradient, and what ``step.gradient`` returns is
      used as long as it is valid;
    - in a stack, no model depends on its neighbours, and models with different hyperparameters
      or pasts follow the paths they follow alone (unless the class says ``stackable = False``);
    - where ``update`` can be recorded, what is recorded does what it does, on every engine that is
      installed;
    - equal runs give equal results, a schedule works as ``learning_rate``, a convex quadratic
      gets smaller, and what ``targets`` declares is reached.

    For a `Minimizer`: the first, repetition, the quadratic, and what ``minimize`` promises.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
        An object, with parameters that are sensible for gradients of size 1.
    reference : callable, default=None
        ``reference(optimizer, start, gradients, layout)`` computes in float64 and code of its own
        what the optimizer does: from parameters ``(P,)`` and gradients ``(n_steps, P)``, the
        parameters to predict with after each step, ``(n_steps, P)``. None for an optimizer that it
        does not know.

    Returns
    -------
    traced : str
        ``"traced"`` where ``update`` is recorded once and run as a program, else why it is called
        at every step, which takes longer: ``"not traced: …"``.

    Raises
    ------
    AssertionError
        At the first broken rule; the message says what the rule is, what was seen, and how to
        keep the rule.
    TypeError
        If `optimizer` is not an optimizer.

    See Also
    --------
    parametrize_with_optimizer_checks : Each check as a test of its own.
    optimizer_check_results : All checks, as data.

    Examples
    --------
    >>> from skopt_dl.optimizers import Adam
    >>> from skopt_dl.testing import check_optimizer
    >>> check_optimizer(Adam(learning_rate=0.01))
    'traced'

    >>> class Broken(Adam):
    ...     def update(self, grad, state, params, step):
    ...         params -= step.learning_rate * grad
    >>> check_optimizer(Broken())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    skopt_dl.testing._rules.BrokenRuleError: Broken breaks a rule for optimizers...
    """
    _check_that_it_is_one("check_optimizer", optimizer)
    return check_component(optimizer, reference=reference)


def optimizer_check_results(
    optimizer: AnyOptimizer,
    *,
    reference: Reference | None = None,
    expected_failed_checks: Reasons | None = None,
) -> list[OptimizerCheckResult]:
    """Make all checks of `check_optimizer`, whatever fails, and return a result for each.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
    reference : callable, default=None
        As for `check_optimizer`.
    expected_failed_checks : dict of str to str, default=None
        Names of checks that the optimizer cannot pass, and why.

    Returns
    -------
    results : list of OptimizerCheckResult
        Dicts of plain values, in the order of the checks.

    Raises
    ------
    TypeError
        If `optimizer` is not an optimizer.
    ValueError
        If there is no check of an expected name.

    Examples
    --------
    >>> from skopt_dl.optimizers import SGD
    >>> from skopt_dl.testing import optimizer_check_results
    >>> results = optimizer_check_results(SGD())
    >>> {each["status"] for each in results} <= {"passed", "skipped"}
    True
    >>> results[0]["check_name"]
    'check_init_names_parameters'
    """
    _check_that_it_is_one("optimizer_check_results", optimizer)
    results = component_check_results(
        optimizer, reference=reference, expected_failed_checks=expected_failed_checks
    )
    return [OptimizerCheckResult(**each, optimizer=each["component"]) for each in results]


def parametrize_with_optimizer_checks(
    optimizers: Iterable[AnyOptimizer],
    *,
    reference: Reference | None = None,
    expected_failed_checks: Expected = None,
) -> Any:
    """Decorate a test to be run for each optimizer and each check of `check_optimizer`.

    Parameters
    ----------
    optimizers : iterable of Optimizer or Minimizer
    reference : callable, default=None
        As for `check_optimizer`.
    expected_failed_checks : dict of str to str, or callable, default=None
        Names of checks that the optimizers cannot pass, and why; or ``f(optimizer)`` that returns
        them. These tests are marked ``xfail`` with the reason.

    Returns
    -------
    decorator : pytest.MarkDecorator
        For a test with the arguments ``optimizer`` and ``check``.

    Raises
    ------
    TypeError
        If one is not an optimizer.
    ValueError
        If there is no check of an expected name.

    Examples
    --------
    >>> from skopt_dl.optimizers import SGD, Adam
    >>> from skopt_dl.testing import parametrize_with_optimizer_checks
    >>> @parametrize_with_optimizer_checks([SGD(), Adam()])
    ... def test_rules_for_optimizers(optimizer, check):
    ...     check(optimizer)
    """
    function, optimizers = "parametrize_with_optimizer_checks", list(optimizers)
    for optimizer in optimizers:
        _check_that_it_is_one(function, optimizer)
    options = {"reference": reference}
    return parametrized(function, "optimizer", optimizers, expected_failed_checks, options)


def optimizer_checks(optimizer: AnyOptimizer, *, reference: Reference | None = None) -> list[Check]:
    """List the checks of an optimizer, each to be called with it.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
    reference : callable, default=None
        See `check_optimizer`.
    """
    return component_checks(optimizer, reference=reference)


def _check_that_it_is_one(function: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer | Minimizer):
        raise TypeError(
            f"{function} takes an object of class Optimizer or Minimizer; got {optimizer!r}."
            f"{hint_at_object(optimizer)}"
        )
