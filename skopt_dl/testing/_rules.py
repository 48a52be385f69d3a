"""How a broken rule is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def broken(optimizer: Any, rule: str, seen: str, fix: str) -> AssertionError:
    """Return the error for a broken rule: what the rule is, what was seen, how to keep it."""
    name = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
    return AssertionError(
        f"{name} breaks a rule for optimizers.\n  Rule: {rule}\n  Seen: {seen}\n  Fix:  {fix}"
    )


@contextmanager
def expecting(optimizer: Any, rule: str, fix: str) -> Iterator[None]:
    """Turn an exception from the optimizer's code into a broken rule."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise broken(optimizer, rule, f"{type(error).__name__}: {error}", fix) from error
