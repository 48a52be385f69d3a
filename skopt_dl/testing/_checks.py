"""All checks of optimizers, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import SkipTest

from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.testing import (
    _configuration,
    _foreign,
    _gradients,
    _minimizers,
    _programs,
    _stacks,
    _state,
    _updates,
    _values,
)
from skopt_dl.testing._rules import BrokenRuleError, broken
from skopt_dl.testing._values import Reference

AnyOptimizer = Optimizer | Minimizer

_CONFIGURATION = (
    _configuration.check_init_names_parameters,
    _configuration.check_init_stores_arguments,
    _configuration.check_declarations,
    _configuration.check_arguments_of_update,
    _configuration.check_constraints,
    _configuration.check_search_space,
    _configuration.check_copies,
)
_OF_MINIMIZERS = {
    "configuration": tuple(
        each
        for each in _CONFIGURATION
        if each not in (_configuration.check_declarations, _configuration.check_arguments_of_update)
    ),
    "minimize": (
        _minimizers.check_minimize,
        _minimizers.check_minimize_repeats,
        _minimizers.check_minimize_keeps_to_max_iter,
        _minimizers.check_minimize_stops_when_told,
    ),
}
_OF_OPTIMIZERS = {
    "configuration": _CONFIGURATION,
    "calls": (
        _updates.check_update_runs,
        _updates.check_what_update_returns,
        _updates.check_params_are_left_alone,
        _updates.check_self_is_left_alone,
        _updates.check_state_is_kept_in_place,
        _updates.check_eval_params,
        _updates.check_other_networks,
    ),
    "gradients elsewhere": (_gradients.check_gradient_elsewhere,),
    "state": (
        _updates.check_repetition,
        _state.check_resumption,
        _state.check_slots_are_used,
    ),
    "numbers": (_updates.check_small_gradients, _updates.check_large_gradients),
    "functions": (_foreign.check_functions_come_from_xp,),
    "gradients": (
        _gradients.check_changes_depend_on_the_gradient,
        _gradients.check_progress,
    ),
    "values": (_values.check_targets, _values.check_reference),
    "schedules": (_gradients.check_schedules,),
    "stacks": (
        _stacks.check_models_are_independent,
        _stacks.check_hyperparameters_may_differ,
        _stacks.check_models_of_different_pasts,
    ),
    "programs": (_programs.check_program,),
}


# What fails in these can fail in all that come later, for the same reason.
_BASIC = (
    "configuration",
    "calls",
    "gradients elsewhere",
    "state",
    "numbers",
    "schedules",
    "stacks",
)


@dataclass(frozen=True)
class Check:
    """One check, to be called with an optimizer.

    Attributes
    ----------
    name, kind : str
    """

    name: str
    kind: str
    function: Callable[[Any], str | None]
    others: Mapping[str, Check]

    def __call__(self, optimizer: AnyOptimizer) -> str:
        """Return what there is to say of an optimizer that passes.

        Raises
        ------
        AssertionError
            If it breaks the rule.
        unittest.SkipTest
            If there is nothing to check, or nothing can be said since it breaks another check's
            rule.
        """
        try:
            return self._made(optimizer) or ""
        except BrokenRuleError as error:
            for other in self._before(error.owner):
                if other._reports(optimizer):
                    raise SkipTest(f"{other.name} has to pass first") from error
            raise

    def _before(self, owner: str) -> list[Check]:
        """Checks that explain a failure of this one, where they fail too."""
        names = list(self.others)
        earlier = [self.others[name] for name in names[: names.index(self.name)]]
        basic = [each for each in earlier if each.kind in _BASIC and each.kind != self.kind]
        known = self.others.get(owner, self)
        return basic if known is self else [known, *basic]

    def _made(self, optimizer: AnyOptimizer) -> str | None:
        try:
            return self.function(optimizer)
        except (BrokenRuleError, SkipTest):
            raise
        except Exception as error:
            raise broken(
                optimizer,
                "update runs, given arrays (K, P).",
                f"{type(error).__name__}: {error}",
                "The exception above says where.",
                owner="check_update_runs",
            ) from error

    def _reports(self, optimizer: AnyOptimizer) -> bool:
        """Whether a rule of this check's own is broken."""
        try:
            self._made(optimizer)
        except BrokenRuleError as error:
            return error.owner in ("", self.name)
        except SkipTest:
            pass
        return False


def optimizer_checks(optimizer: AnyOptimizer, *, reference: Reference | None = None) -> list[Check]:
    """List the checks of an optimizer, each to be called with it.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
    reference : callable, default=None
        See `check_optimizer`.
    """
    checks: dict[str, Check] = {}
    for kind, functions in (_OF_MINIMIZERS if optimizer.full_batch else _OF_OPTIMIZERS).items():
        for function in functions:
            made: Callable[[Any], str | None] = function
            if function is _values.check_reference:
                made = partial(_values.check_reference, reference=reference)
            checks[function.__name__] = Check(function.__name__, kind, made, checks)
    return list(checks.values())
