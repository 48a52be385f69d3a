"""What an author calls in a test, for a component of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict
from unittest import SkipTest

from skopt_dl._params import did_you_mean
from skopt_dl.testing._checks import Check
from skopt_dl.testing._kits import component_checks, kit_of
from skopt_dl.testing._rules import KINDS, kind_of

Shape = tuple[int, ...]
Reasons = Mapping[str, str]
Expected = Reasons | Callable[[Any], Reasons] | None


class CheckResult(TypedDict):
    """What became of one check; plain values, which JSON can hold.

    Attributes
    ----------
    component : str
        Its ``repr``.
    check_name, kind : str
    status : {"passed", "failed", "skipped", "xfail"}
        ``"xfail"`` for one that fails as expected.
    message : str
        What is broken, why it was skipped, or what there is to say of one that passes.
    expected_to_fail : bool
    expected_to_fail_reason : str
    """

    component: str
    check_name: str
    kind: str
    status: Literal["passed", "failed", "skipped", "xfail"]
    message: str
    expected_to_fail: bool
    expected_to_fail_reason: str


def check_component(
    component: Any,
    *,
    reference: Callable[..., Any] | None = None,
    input_shape: Shape | None = None,
) -> str:
    """Check that a layer, activation, loss, schedule, initializer or optimizer keeps its rules.

    What it checks holds for every component of the kind: whether the values are those of the paper
    only a comparison with an independent implementation can tell, so give it a `reference`.

    For all of them: parameters are stored as they are, refused by name where they can be none
    (NaN, for one), cloned, printed and pickled; and nothing is kept in ``self``.

    - **Layers and activations**: the forward pass is recorded, and run by every engine that is
      installed; what comes out has the declared shape; gradients are those of central differences
      in float64, of the samples and of all tensors; the K models of a stack have the values that
      they have alone; so have the samples of a batch; float32 in, float32 out; zeros and large
      numbers give finite numbers; samples that cannot go in raise ``ValueError``. Activations
      besides: each number is computed for itself, and ``has_kink`` is true.
    - **Losses**: the same of ``value`` and ``gradient``, for all targets that the loss takes;
      what remains of the gradient gives the value; declared convexity holds; predictions are
      finite, and probabilities where they should be; targets without a finite loss are refused.
    - **Schedules**: rates are finite and not negative, at the first step, after the last and at
      step 10\\ :sup:`15`, without counting up to it; they follow from the progress alone;
      ``per_step`` and ``spans_training`` are true; plateaus end; a stack of models with schedules
      of their own has their rates.
    - **Initializers**: weights are finite float64 of the shape that is asked for, drawn from the
      given generator alone; a gain multiplies their scale or has no effect; ``fill`` draws every
      weight.
    - **Optimizers**: see `check_optimizer`.

    Parameters
    ----------
    component : Layer, Activation, Loss, Schedule, Initializer, Optimizer or Minimizer
        An object.
    reference : callable, default=None
        Code of your own, in NumPy, that computes the same: ``reference(layer, x, tensors)`` what
        comes out in a prediction, ``(n_rows, …)``, of samples ``(n_rows, …)`` and a dict of the
        tensors; ``reference(loss, raw, y)`` the loss of each sample, ``(n_rows,)``;
        ``reference(schedule, progress)`` the rate; ``reference(initializer, n_in, n_out, gain)``
        the standard deviation of weights; for optimizers, see `check_optimizer`. It may return
        None for what it does not know.
    input_shape : tuple of int, default=None
        The shape of one sample, for a layer; None tries ``(6,)``, ``(4, 6)`` and ``(5, 4, 6)``,
        those of them that it takes.

    Returns
    -------
    traced : str
        ``"traced"`` where it is recorded once and run as a program, else why not:
        ``"not traced: …"``.

    Raises
    ------
    AssertionError
        At the first broken rule; the message says what the rule is, what was seen, and how to
        keep the rule.
    TypeError
        If it is none of these.
    ValueError
        If a layer takes none of the shapes.

    See Also
    --------
    parametrize_with_component_checks : Each check as a test of its own.
    component_check_results : All checks, as data.

    Examples
    --------
    >>> from skopt_dl.layers import Activation
    >>> from skopt_dl.testing import check_component
    >>> class Softsign(Activation):
    ...     def value(self, xp, z):
    ...         return z / (1.0 + xp.abs(z))
    >>> check_component(Softsign(), reference=lambda layer, x, tensors: x / (1 + abs(x)))
    'traced'

    >>> class Wrong(Softsign):
    ...     def gradient(self, xp, delta, z, a):
    ...         return delta * (1.0 - xp.abs(a))
    >>> check_component(Wrong())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    skopt_dl.testing._rules.BrokenRuleError: Wrong breaks a rule for activations...
    """
    _check_that_it_is_one("check_component", component)
    said = {}
    for check in component_checks(component, reference=reference, input_shape=input_shape):
        try:
            said[check.name] = check(component)
        except SkipTest as skipped:
            said[check.name] = str(skipped)
    traced = kit_of(component).untraced or said["check_program"]
    return "traced" if traced.startswith("traced") else traced


def component_check_results(
    component: Any,
    *,
    reference: Callable[..., Any] | None = None,
    input_shape: Shape | None = None,
    expected_failed_checks: Reasons | None = None,
) -> list[CheckResult]:
    """Make all checks of `check_component`, whatever fails, and return a result for each.

    Parameters
    ----------
    component : Layer, Activation, Loss, Schedule, Initializer, Optimizer or Minimizer
    reference : callable, default=None
    input_shape : tuple of int, default=None
        As for `check_component`.
    expected_failed_checks : dict of str to str, default=None
        Names of checks that the component cannot pass, and why.

    Returns
    -------
    results : list of CheckResult
        Dicts of plain values, in the order of the checks.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If there is no check of an expected name, or a layer takes none of the shapes.

    Examples
    --------
    >>> from skopt_dl.schedules import Cosine
    >>> from skopt_dl.testing import component_check_results
    >>> results = component_check_results(Cosine())
    >>> {each["status"] for each in results} <= {"passed", "skipped"}
    True
    >>> results[0]["check_name"]
    'check_init_names_parameters'
    """
    _check_that_it_is_one("component_check_results", component)
    checks = component_checks(component, reference=reference, input_shape=input_shape)
    reasons = _reasons(expected_failed_checks, component, checks)
    return [_result(check, component, reasons) for check in checks]


def _result(check: Check, component: Any, reasons: Reasons) -> CheckResult:
    expected = check.name in reasons
    status: Literal["passed", "failed", "skipped", "xfail"] = "passed"
    try:
        message = check(component)
    except SkipTest as skipped:
        status, message = "skipped", str(skipped)
    except AssertionError as error:
        status, message = "xfail" if expected else "failed", str(error)
    return CheckResult(
        component=repr(component),
        check_name=check.name,
        kind=check.kind,
        status=status,
        message=message,
        expected_to_fail=expected,
        expected_to_fail_reason=reasons.get(check.name, ""),
    )


def parametrize_with_component_checks(
    components: Iterable[Any],
    *,
    reference: Callable[..., Any] | None = None,
    input_shape: Shape | None = None,
    expected_failed_checks: Expected = None,
) -> Any:
    """Decorate a test to be run for each component and each check of `check_component`.

    Parameters
    ----------
    components : iterable of Layer, Activation, Loss, Schedule, Initializer, Optimizer or Minimizer
    reference : callable, default=None
    input_shape : tuple of int, default=None
        As for `check_component`.
    expected_failed_checks : dict of str to str, or callable, default=None
        Names of checks that the components cannot pass, and why; or ``f(component)`` that returns
        them. These tests are marked ``xfail`` with the reason.

    Returns
    -------
    decorator : pytest.MarkDecorator
        For a test with the arguments ``component`` and ``check``.

    Raises
    ------
    TypeError
        If one is none of these.
    ValueError
        If there is no check of an expected name, or a layer takes none of the shapes.

    Examples
    --------
    >>> from skopt_dl.layers import Dense, LayerNorm
    >>> from skopt_dl.testing import parametrize_with_component_checks
    >>> @parametrize_with_component_checks([Dense(3), LayerNorm()])
    ... def test_rules_for_layers(component, check):
    ...     check(component)
    """
    options = {"reference": reference, "input_shape": input_shape}
    function = "parametrize_with_component_checks"
    return parametrized(function, "component", components, expected_failed_checks, options)


def parametrized(
    function: str,
    argument: str,
    components: Iterable[Any],
    expected_failed_checks: Expected,
    options: Mapping[str, Any],
) -> Any:
    """The decorator, for a test that calls its component `argument`."""
    import pytest

    items = []
    for component in components:
        _check_that_it_is_one(function, component)
        checks = component_checks(component, **options)
        given = expected_failed_checks
        expected = given(component) if callable(given) else given
        reasons = _reasons(expected, component, checks)
        for check in checks:
            marks = []
            if check.name in reasons:
                marks.append(pytest.mark.xfail(reason=reasons[check.name]))
            name = " ".join(repr(component).split())
            items.append(pytest.param(component, check, marks=marks, id=f"{name}-{check.name}"))
    return pytest.mark.parametrize((argument, "check"), items)


def _reasons(given: Reasons | None, component: Any, checks: list[Check]) -> Reasons:
    """The expected failures of a component, all of them of checks that there are."""
    names = [check.name for check in checks]
    for name in given or {}:
        if name not in names:
            raise ValueError(
                f"expected_failed_checks of {type(component).__name__} names {name!r}, which is no "
                f"check.{did_you_mean(name, names)} Checks: {', '.join(names)}."
            )
    return given or {}


def _check_that_it_is_one(function: str, component: Any) -> None:
    if not kind_of(component):
        classes = [cls.__name__ for kind in KINDS.values() for cls in kind]
        raise TypeError(
            f"{function} takes an object of class {', '.join(classes[:-1])} or {classes[-1]}; "
            f"got {component!r}.{hint_at_object(component)}"
        )


def hint_at_object(given: Any) -> str:
    """What to write where a class was given."""
    return f" Pass an object: {given.__name__}()." if isinstance(given, type) else ""
