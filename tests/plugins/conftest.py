"""Fixtures for plugins: installed distributions, and look-ups that have not seen them yet."""

import importlib
import importlib.metadata
import sys
from contextlib import suppress

import pytest
from distributions import Site

from skopt_dl.plugins import blame, doctor, lookup
from skopt_dl.plugins.manager import PluginManager


def forget(folder):
    """Forget the modules of a folder, and all that was learnt from its distributions."""
    for name, module in list(sys.modules.items()):
        # As it stands there: some modules warn of what they are asked for.
        known = vars(module)
        places = [known.get("__file__")]
        with suppress(KeyError):  # raised where the parent of a namespace package is not loaded
            # A namespace package has no file, but a path.
            places += known.get("__path__", [])
        if any(str(place).startswith(str(folder)) for place in places):
            del sys.modules[name]
    importlib.invalidate_caches()
    lookup._import.cache_clear()


@pytest.fixture
def start_over(monkeypatch):
    """Call for look-ups as they are in a new process."""

    def replace_manager():
        manager = PluginManager()
        for module in (lookup, doctor, blame):
            monkeypatch.setattr(module, "manager", manager)
        monkeypatch.setattr(lookup, "_packages_seen", {})
        return manager

    return replace_manager


@pytest.fixture
def site(tmp_path, monkeypatch, start_over):
    """An empty folder for distributions, on this process's path."""
    created = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(created.folder)
    start_over()
    yield created
    forget(created.folder)


@pytest.fixture
def uninstall(site, monkeypatch, start_over):
    """Call to take the distributions of `site` away from this process."""

    def take_away():
        monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(site.folder)])
        forget(site.folder)
        start_over()

    return take_away


@pytest.fixture
def lion():
    """The installed distribution of the worked example."""
    try:
        return importlib.metadata.distribution("skopt-dl-lion")
    except importlib.metadata.PackageNotFoundError:
        pytest.fail(
            "This test needs the package skopt-dl-lion, installed: run "
            "`pip install ./plugins/skopt-dl-lion` in the root of the repository."
        )
