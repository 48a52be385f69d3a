"""Which plugins the environment keeps from being loaded, before any of their code runs."""

from __future__ import annotations

import os

from skopt_dl._entry_points import canonical

# Names of what is not loaded; and of what alone is, where the variable is set, be it to nothing.
DISABLE_VARIABLE = "SKOPT_DL_DISABLE_PLUGINS"
ALLOW_VARIABLE = "SKOPT_DL_ALLOW_PLUGINS"


def switched_off_by(distribution: str, entry_point: str) -> str:
    """Return the variable that keeps a plugin from being loaded; empty where none does."""
    if names_to_disable(distribution, entry_point) & written_names(DISABLE_VARIABLE).keys():
        return DISABLE_VARIABLE
    allowed = names_to_allow(distribution) & written_names(ALLOW_VARIABLE).keys()
    return "" if allowed or ALLOW_VARIABLE not in os.environ else ALLOW_VARIABLE


def written_names(variable: str) -> dict[str, str]:
    """Names in a variable: in canonical form, and as they were written."""
    written = os.environ.get(variable, "").split(",")
    return {canonical(name.strip()): name.strip() for name in written if name.strip()}


def names_to_disable(distribution: str, entry_point: str) -> set[str]:
    """Names by which a plugin may be switched off, in canonical form."""
    return {*names_to_allow(distribution), canonical(entry_point)}


def names_to_allow(distribution: str) -> set[str]:
    """Names by which a plugin may be allowed: not its entry point's, which anybody may take."""
    return {"all", canonical(distribution)}
