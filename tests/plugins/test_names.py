"""Who has a name: built-ins keep theirs, and plugins that collide are told apart."""

import sys

import pytest

from skopt_dl import MLPClassifier, available_optimizers, make_optimizer
from skopt_dl.optimizers import Adam
from skopt_dl.plugins import find


@pytest.fixture
def rivals(site):
    """Two plugins with an optimizer `crawl`; one of them has an `adam` as well."""
    site.install_optimizers("zoo-a", "zoo_a", {"crawl": "Crawl", "adam": "Sprint"})
    site.install_optimizers("Zoo_B", "zoo_b", {"crawl": "Sprint", "trot": "Crawl"})
    return site


def test_built_in_keeps_its_name(rivals):
    assert type(make_optimizer("adam")) is Adam
    available_optimizers()
    assert type(make_optimizer("adam")) is Adam


def test_plugin_with_a_built_in_name_is_reached_by_its_qualified_name(rivals):
    assert type(make_optimizer("zoo-a/adam")) is sys.modules["zoo_a.optimizers"].Sprint


def test_built_in_has_a_qualified_name_too(rivals):
    assert find("optimizer", "skopt-dl/adam") is Adam
    assert "zoo_a" not in sys.modules


def test_bare_name_of_two_plugins_raises_and_lists_both(rivals):
    with pytest.raises(ValueError, match="Several plugins claim the optimizer name 'crawl'") as e:
        make_optimizer("crawl")
    assert str(e.value).endswith("write 'zoo-a/crawl' or 'Zoo_B/crawl'.")
    with pytest.raises(ValueError, match="optimizer of MLPClassifier: Several plugins"):
        MLPClassifier(optimizer="crawl").fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("distribution", ["Zoo_B", "zoo-b", "zoo.b"])
def test_qualified_name_works_however_the_distribution_is_spelled(rivals, distribution):
    found = find("optimizer", f"{distribution}/crawl")
    assert found is sys.modules["zoo_b.optimizers"].Sprint


def test_available_lists_names_that_work(rivals):
    names = available_optimizers()
    assert {"adam", "trot", "zoo-a/adam", "zoo-a/crawl", "Zoo_B/crawl"} <= set(names)
    assert "crawl" not in names
    for name in names:
        make_optimizer(name)


def test_misspelled_qualified_name_gets_a_suggestion(rivals):
    with pytest.raises(ValueError, match="Did you mean 'zoo-a/crawl'"):
        make_optimizer("zo-a/crawl")
    with pytest.raises(ValueError, match="Did you mean 'skopt-dl/rmsprop'"):
        make_optimizer("skopt-dl/rmsprp")


def test_qualified_name_works_in_set_params(rivals):
    model = MLPClassifier(optimizer="zoo-a/crawl").set_params(optimizer__learning_rate=0.5)
    assert repr(model.optimizer) == "Crawl(learning_rate=0.5)"
