"""How a broken rule is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class BrokenRuleError(AssertionError):
    """What an optimizer did, and what it should do.

    Attributes
    ----------
    rule, seen, fix : str
    owner : str
        The check that reports this rule, where another one may be the first to see it broken;
        else empty.
    """

    def __init__(self, name: str, rule: str, seen: str, fix: str, owner: str = ""):
        super().__init__(
            f"{name} breaks a rule for optimizers.\n  Rule: {rule}\n  Seen: {seen}\n  Fix:  {fix}"
        )
        self.rule, self.seen, self.fix, self.owner = rule, seen, fix, owner


def broken(optimizer: Any, rule: str, seen: str, fix: str, owner: str = "") -> BrokenRuleError:
    """Return the error for a broken rule: what the rule is, what was seen, how to keep it."""
    return BrokenRuleError(type(optimizer).__name__, rule, seen, fix, owner)


@contextmanager
def expecting(optimizer: Any, rule: str, fix: str, owner: str = "") -> Iterator[None]:
    """Turn an exception from the optimizer's code into a broken rule."""
    try:
        yield
    except BrokenRuleError:
        raise
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"
        raise broken(optimizer, rule, seen, fix, owner) from error
