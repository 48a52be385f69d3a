"""What the doctor finds, as data; tests/test_cli.py has how it is printed."""

import pytest
from distributions import hook

import skopt_dl
from skopt_dl.plugins import PluginWarning
from skopt_dl.plugins.doctor import diagnose, list_names


def diagnosis_of(subject):
    (found,) = [diagnosis for diagnosis in diagnose() if diagnosis.subject == subject]
    return found


def test_healthy_plugin_has_no_problems(site):
    site.install_optimizers("zoo", "zoo", {"crawl": "Crawl"})
    diagnosis = diagnosis_of("zoo")
    assert (diagnosis.version, diagnosis.status) == ("1.0", "loaded")
    assert diagnosis.names == ("optimizer crawl",)
    assert not diagnosis.problems


def test_plugin_that_cannot_be_imported_failed(site):
    site.install("broken-plugin", {"broken.py": "import a_package_that_is_missing"})
    with pytest.warns(PluginWarning):
        diagnosis = diagnosis_of("broken-plugin")
    assert (diagnosis.status, diagnosis.names) == ("failed", ())
    (problem,) = diagnosis.problems
    assert "No module named 'a_package_that_is_missing'" in problem.what
    assert "pip install --upgrade broken-plugin" in problem.remedy
    assert "SKOPT_DL_DISABLE_PLUGINS=broken-plugin" in problem.remedy


def test_every_class_is_tried(site):
    site.install("promises", {"promises.py": hook({"a": "nowhere:A", "b": "json:JSONDecoder"})})
    first, second = diagnosis_of("promises").problems
    assert "'a' of promises cannot be used: importing 'nowhere:A' failed" in first.what
    assert "'json:JSONDecoder' is not a subclass of" in second.what


def test_collisions_and_clashes_with_built_ins_are_told_to_each(site):
    site.install_optimizers("zoo-a", "zoo_a", {"crawl": "Crawl", "adam": "Sprint"})
    site.install_optimizers("zoo-b", "zoo_b", {"crawl": "Sprint"})
    collision, clash = map(str, diagnosis_of("zoo-a").problems)
    assert collision.startswith("Its optimizer 'crawl' is also the name of 'zoo-b/crawl', so the")
    assert "Write 'zoo-a/crawl'" in collision
    assert clash == (
        "Its optimizer 'adam' has the name of a built-in, which keeps it. Write 'zoo-a/adam'."
    )
    (other,) = map(str, diagnosis_of("zoo-b").problems)
    assert "'zoo-a/crawl'" in other


def test_list_has_every_name_with_its_distribution_and_class(site):
    site.install_optimizers("zoo", "zoo", {"crawl": "Crawl"})
    rows = list_names()
    assert ("optimizer", "crawl", "zoo", "1.0", "zoo.optimizers:Crawl") in rows
    relu = ("activation", "relu", "skopt-dl", skopt_dl.__version__)
    assert (*relu, "skopt_dl.layers.activations:ReLU") in rows
    assert {row.kind for row in rows} == {
        "optimizer",
        "schedule",
        "loss",
        "activation",
        "layer",
        "network",
        "initializer",
        "engine",
    }
