"""The engines that programs are compared on."""

from __future__ import annotations

import warnings

from skopt_dl.plugins import PluginWarning
from skopt_dl.programs import chosen_engine, installed_engines, using_engine


def usable_engines() -> tuple[list[str], str]:
    """The engines that are installed and can be used, and what there is to say of others."""
    usable, said = [], ""
    with warnings.catch_warnings():
        # Of other plugins, which `skopt-dl plugins doctor` reports.
        warnings.simplefilter("ignore", PluginWarning)
        names = installed_engines()
    for name in names:
        try:
            with using_engine(name):
                chosen_engine()
            usable.append(name)
        except Exception as error:
            said += f"; {name} cannot be used here: {error}"
    return usable, said
