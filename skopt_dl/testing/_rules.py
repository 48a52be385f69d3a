"""How a broken rule is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skopt_dl.layers import Activation, Layer
from skopt_dl.networks import Initializer, Loss
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.schedules import Schedule

# An activation is a layer, with more rules.
KINDS: dict[str, tuple[type[Any], ...]] = {
    "optimizer": (Optimizer, Minimizer),
    "activation": (Activation,),
    "layer": (Layer,),
    "loss": (Loss,),
    "schedule": (Schedule,),
    "initializer": (Initializer,),
}


def kind_of(component: Any) -> str:
    """Whose rules an object has to keep; empty for what has no rules."""
    return next((kind for kind, classes in KINDS.items() if isinstance(component, classes)), "")


def plural_of(kind: str) -> str:
    """What several of a kind are called."""
    return "losses" if kind == "loss" else f"{kind}s"


class BrokenRuleError(AssertionError):
    """What a component did, and what it should do.

    Attributes
    ----------
    rule, seen, fix : str
    owner : str
        The check that reports this rule, where another one may be the first to see it broken;
        else empty.
    """

    def __init__(self, name: str, kind: str, rule: str, seen: str, fix: str, owner: str = ""):
        super().__init__(
            f"{name} breaks a rule for {plural_of(kind)}.\n"
            f"  Rule: {rule}\n  Seen: {seen}\n  Fix:  {fix}"
        )
        self.rule, self.seen, self.fix, self.owner = rule, seen, fix, owner


def broken(component: Any, rule: str, seen: str, fix: str, owner: str = "") -> BrokenRuleError:
    """Return the error for a broken rule: what the rule is, what was seen, how to keep it."""
    name, kind = type(component).__name__, kind_of(component)
    return BrokenRuleError(name, kind, rule, seen, fix, owner)


@contextmanager
def expecting(component: Any, rule: str, fix: str, owner: str = "") -> Iterator[None]:
    """Turn an exception from the component's code into a broken rule."""
    try:
        yield
    except BrokenRuleError:
        raise
    except Exception as error:
        inner = _broken_within(error)
        if inner is not None:
            raise inner from error
        seen = f"{type(error).__name__}: {error}"
        raise broken(component, rule, seen, fix, owner) from error


def _broken_within(error: BaseException | None) -> BrokenRuleError | None:
    """A broken rule that something between has turned into an exception of its own."""
    while error is not None and not isinstance(error, BrokenRuleError):
        error = error.__cause__
    return error
