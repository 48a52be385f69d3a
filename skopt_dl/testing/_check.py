"""What an author of an optimizer calls in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict
from unittest import SkipTest

from skopt_dl._params import did_you_mean
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.testing._checks import AnyOptimizer, Check, optimizer_checks
from skopt_dl.testing._values import Reference

Reasons = Mapping[str, str]


class CheckResult(TypedDict):
    """What became of one check; plain values, which JSON can hold.

    Attributes
    ----------
    optimizer : str
        Its ``repr``.
    check_name, kind : str
    status : {"passed", "failed", "skipped", "xfail"}
        ``"xfail"`` for one that fails as expected.
    message : str
        What is broken, why it was skipped, or what there is to say of one that passes.
    expected_to_fail : bool
    expected_to_fail_reason : str
    """

    optimizer: str
    check_name: str
    kind: str
    status: Literal["passed", "failed", "skipped", "xfail"]
    message: str
    expected_to_fail: bool
    expected_to_fail_reason: str


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
    said = {}
    for check in optimizer_checks(optimizer, reference=reference):
        try:
            said[check.name] = check(optimizer)
        except SkipTest as skipped:
            said[check.name] = str(skipped)
    if optimizer.full_batch:
        return "not traced: it runs a whole minimisation itself"
    traced = said["check_program"]
    return "traced" if traced.startswith("traced") else traced


def optimizer_check_results(
    optimizer: AnyOptimizer,
    *,
    reference: Reference | None = None,
    expected_failed_checks: Reasons | None = None,
) -> list[CheckResult]:
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
    results : list of CheckResult
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
    checks = optimizer_checks(optimizer, reference=reference)
    reasons = _reasons(expected_failed_checks, optimizer, checks)
    return [_result(check, optimizer, reasons) for check in checks]


def _result(check: Check, optimizer: AnyOptimizer, reasons: Reasons) -> CheckResult:
    expected = check.name in reasons
    status: Literal["passed", "failed", "skipped", "xfail"] = "passed"
    try:
        message = check(optimizer)
    except SkipTest as skipped:
        status, message = "skipped", str(skipped)
    except AssertionError as error:
        status, message = "xfail" if expected else "failed", str(error)
    return CheckResult(
        optimizer=repr(optimizer),
        check_name=check.name,
        kind=check.kind,
        status=status,
        message=message,
        expected_to_fail=expected,
        expected_to_fail_reason=reasons.get(check.name, ""),
    )


def parametrize_with_optimizer_checks(
    optimizers: Iterable[AnyOptimizer],
    *,
    reference: Reference | None = None,
    expected_failed_checks: Reasons | Callable[[Any], Reasons] | None = None,
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
    import pytest

    items = []
    for optimizer in optimizers:
        _check_that_it_is_one("parametrize_with_optimizer_checks", optimizer)
        checks = optimizer_checks(optimizer, reference=reference)
        given = expected_failed_checks
        expected = given(optimizer) if callable(given) else given
        reasons = _reasons(expected, optimizer, checks)
        for check in checks:
            marks = []
            if check.name in reasons:
                marks.append(pytest.mark.xfail(reason=reasons[check.name]))
            name = " ".join(repr(optimizer).split())
            items.append(pytest.param(optimizer, check, marks=marks, id=f"{name}-{check.name}"))
    return pytest.mark.parametrize(("optimizer", "check"), items)


def _reasons(given: Reasons | None, optimizer: AnyOptimizer, checks: list[Check]) -> Reasons:
    """The expected failures of an optimizer, all of them of checks that there are."""
    names = [check.name for check in checks]
    for name in given or {}:
        if name not in names:
            raise ValueError(
                f"expected_failed_checks of {type(optimizer).__name__} names {name!r}, which is no "
                f"check.{did_you_mean(name, names)} Checks: {', '.join(names)}."
            )
    return given or {}


def _check_that_it_is_one(function: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer | Minimizer):
        hint = f" Pass an object: {optimizer.__name__}()." if isinstance(optimizer, type) else ""
        raise TypeError(
            f"{function} takes an object of class Optimizer or Minimizer; got {optimizer!r}.{hint}"
        )
