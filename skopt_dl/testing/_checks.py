"""What a check is, and a list of checks for a kind of component."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import SkipTest

from skopt_dl.testing._rules import BrokenRuleError, broken

Function = Callable[..., str | None]


@dataclass(frozen=True)
class Kit:
    """All checks of a kind of component.

    Attributes
    ----------
    checks : dict of str to tuple of callable
        By their kinds, in the order in which they are made. Each takes the component, and by name
        what it needs besides.
    basic : tuple of str
        Kinds of checks: what fails in these can fail in all that come later, for the same reason.
    runs : tuple of (str, str)
        The rule that any other exception breaks, and the check that reports it.
    untraced : str
        Why there is no program, where the kit has no ``check_program``.
    """

    checks: Mapping[str, tuple[Function, ...]]
    basic: tuple[str, ...]
    runs: tuple[str, str]
    untraced: str = ""

    def checks_with(self, options: Mapping[str, Any]) -> list[Check]:
        """The checks, each given those of the options that it takes.

        Raises
        ------
        TypeError
            If there is an option that none of them takes.
        """
        checks: dict[str, Check] = {}
        taken: set[str] = set()
        for kind, functions in self.checks.items():
            for function in functions:
                takes = inspect.signature(function).parameters
                own = {option: value for option, value in options.items() if option in takes}
                taken |= own.keys()
                name = function.__name__
                checks[name] = Check(name, kind, partial(function, **own), self, checks)
        for name, value in options.items():
            if value is not None and name not in taken:
                raise TypeError(f"{name} is for components of another kind; got {value!r}.")
        return list(checks.values())


@dataclass(frozen=True)
class Check:
    """One check, to be called with a component.

    Attributes
    ----------
    name, kind : str
    """

    name: str
    kind: str
    function: Callable[[Any], str | None]
    kit: Kit
    others: Mapping[str, Check]

    def __call__(self, component: Any) -> str:
        """Return what there is to say of a component that passes.

        Raises
        ------
        AssertionError
            If it breaks the rule.
        unittest.SkipTest
            If there is nothing to check, or nothing can be said since it breaks another check's
            rule.
        """
        try:
            return self._made(component) or ""
        except BrokenRuleError as error:
            for other in self._before(error.owner):
                if other._reports(component):
                    raise SkipTest(f"{other.name} has to pass first") from error
            raise

    def _before(self, owner: str) -> list[Check]:
        """Checks that explain a failure of this one, where they fail too."""
        names = list(self.others)
        earlier = [self.others[name] for name in names[: names.index(self.name)]]
        basic = [each for each in earlier if each.kind in self.kit.basic and each.kind != self.kind]
        known = self.others.get(owner, self)
        return basic if known is self else [known, *basic]

    def _made(self, component: Any) -> str | None:
        try:
            return self.function(component)
        except (BrokenRuleError, SkipTest):
            raise
        except Exception as error:
            rule, owner = self.kit.runs
            seen, fix = f"{type(error).__name__}: {error}", "The exception above says where."
            raise broken(component, rule, seen, fix, owner) from error

    def _reports(self, component: Any) -> bool:
        """Whether a rule of this check's own is broken."""
        try:
            self._made(component)
        except BrokenRuleError as error:
            return error.owner in ("", self.name)
        except SkipTest:
            pass
        return False
