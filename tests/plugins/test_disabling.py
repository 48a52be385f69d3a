"""Plugins are switched off before they are imported: by name, whole, or all but those allowed."""

import pickle
import sys

import pytest
from distributions import OPTIMIZERS, hook

from skopt_dl import available_optimizers, make_optimizer
from skopt_dl.plugins import MissingPluginError
from skopt_dl.plugins.doctor import diagnose
from skopt_dl.programs import chosen_engine, engines

VARIABLE = "SKOPT_DL_DISABLE_PLUGINS"
ALLOW = "SKOPT_DL_ALLOW_PLUGINS"


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
    assert "'frist-zoo', a package that is not installed. Did you mean 'first-zoo'?" in str(
        last.problems[0]
    )


@pytest.mark.parametrize("allowed", ["second-zoo", "Second_Zoo , nobody"])
def test_only_what_is_allowed_is_imported(two_plugins, monkeypatch, allowed):
    monkeypatch.setenv(ALLOW, allowed)
    names = available_optimizers()
    assert "trot" in names
    assert not {"crawl", "lion"} & set(names)
    assert "zoo_one" not in sys.modules
    with pytest.raises(ValueError, match=f"first-zoo is switched off by {ALLOW}"):
        make_optimizer("crawl")


@pytest.mark.parametrize(
    ("allowed", "disabled"), [("", ""), ("second-zoo", "all"), ("second-zoo", "zoo_two")]
)
def test_empty_list_allows_nothing_and_what_is_disabled_stays_off(
    two_plugins, monkeypatch, allowed, disabled
):
    monkeypatch.setenv(ALLOW, allowed)
    monkeypatch.setenv(VARIABLE, disabled)
    assert not {"crawl", "trot", "lion"} & set(available_optimizers())
    assert not {"zoo_one", "zoo_two"} & set(sys.modules)


def test_name_of_an_entry_point_allows_nothing_since_anybody_may_take_it(two_plugins, monkeypatch):
    monkeypatch.setenv(ALLOW, "zoo_two")
    assert "trot" not in available_optimizers()
    last = diagnose()[-1]
    assert last.subject == ALLOW
    assert "It names 'zoo_two', a package that is not installed. Did you mean 'second-zoo'?" in str(
        last.problems[0]
    )


def test_engine_that_is_not_allowed_is_not_loaded(site, monkeypatch):
    text = "raise SystemExit('loaded')"
    site.install("steam-engine", {"steam.py": text}, {})
    (site.folder / "steam_engine-1.0.dist-info" / "entry_points.txt").write_text(
        "[skopt_dl.engines]\nsteam = steam:Engine\n"
    )
    monkeypatch.setenv(ALLOW, "")
    monkeypatch.delenv("SKOPT_DL_ENGINE", raising=False)
    engines._engine.cache_clear()
    assert chosen_engine().name == "numpy"
    monkeypatch.delenv(ALLOW)
    engines._engine.cache_clear()
    monkeypatch.setenv(VARIABLE, "skopt-dl-native")
    with pytest.warns(match=r"engine 'steam' of steam-engine cannot be used.*SystemExit: loaded"):
        assert chosen_engine().name == "numpy"
    engines._engine.cache_clear()


@pytest.mark.parametrize("variable", [VARIABLE, ALLOW])
def test_saved_model_imports_nothing_of_a_plugin_that_is_off(
    site, uninstall, start_over, monkeypatch, variable
):
    helper = "from skopt_dl.schedules import ExponentialDecay\nclass Fade(ExponentialDecay): pass\n"
    files = {"zoo/__init__.py": hook({"crawl": "zoo.optimizers:Crawl"}), "zoo/helpers.py": helper}
    site.install("zoo", files | {"zoo/optimizers.py": OPTIMIZERS})
    optimizer = make_optimizer("crawl")
    import zoo.helpers

    optimizer.set_params(learning_rate=zoo.helpers.Fade(0.1))
    saved = pickle.dumps(optimizer)
    uninstall()
    monkeypatch.syspath_prepend(site.folder)
    monkeypatch.setenv(variable, "zoo" if variable == VARIABLE else "")
    start_over()
    loaded = pickle.loads(saved)
    assert "not available" in repr(loaded.learning_rate)
    assert "zoo" not in sys.modules
    with pytest.raises(MissingPluginError, match=f"switched off by {variable}"):
        loaded.check_params()
