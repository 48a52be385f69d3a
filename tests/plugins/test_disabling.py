"""SKOPT_DL_DISABLE_PLUGINS acts before a plugin is imported."""

import sys

import pytest

from skopt_dl import available_optimizers, make_optimizer
from skopt_dl.plugins.doctor import diagnose

VARIABLE = "SKOPT_DL_DISABLE_PLUGINS"


@pytest.fixture
def two_plugins(site):
    site.install_optimizers("first-zoo", "zoo_one", {"crawl": "Crawl"})
    site.install_optimizers("second-zoo", "zoo_two", {"trot": "Crawl"})
    return site


@pytest.mark.parametrize("name", ["first-zoo", "First_Zoo", "zoo_one", "nobody, first-zoo ,"])
def test_named_plugin_is_not_imported(two_plugins, monkeypatch, name):
    monkeypatch.setenv(VARIABLE, name)
    names = available_optimizers()
    assert "crawl" not in names
    assert "trot" in names
    assert "zoo_one" not in sys.modules


@pytest.mark.parametrize("value", ["all", "ALL", "zoo_one,all"])
def test_all_switches_every_plugin_off(two_plugins, monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    assert not {"crawl", "trot", "lion"} & set(available_optimizers())
    assert not {"zoo_one", "zoo_two"} & set(sys.modules)
    assert {diagnosis.status for diagnosis in diagnose()} == {"disabled"}


@pytest.mark.parametrize("value", ["", " , "])
def test_empty_variable_switches_nothing_off(two_plugins, monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    assert {"crawl", "trot"} <= set(available_optimizers())


def test_broken_plugin_that_is_off_gives_no_warning(two_plugins, monkeypatch):
    two_plugins.install("broken-plugin", {"broken.py": "import a_package_that_is_missing"})
    monkeypatch.setenv(VARIABLE, "broken-plugin")
    make_optimizer("crawl")


def test_error_for_a_name_of_a_disabled_plugin_says_that_it_is_off(two_plugins, monkeypatch):
    monkeypatch.setenv(VARIABLE, "first-zoo")
    with pytest.raises(ValueError, match=f"first-zoo is switched off by {VARIABLE}"):
        make_optimizer("crawl")


def test_doctor_notices_a_name_that_is_not_installed(two_plugins, monkeypatch):
    monkeypatch.setenv(VARIABLE, "frist-zoo")
    last = diagnose()[-1]
    assert last.subject == VARIABLE
    assert "'frist-zoo', which is not installed. Did you mean 'first-zoo'?" in str(last.problems[0])
