"""Installed plugins are found, and a broken one is nobody else's problem."""

import re
import sys
import threading

import pytest
from distributions import hook

from skopt_dl import MLPClassifier, available_optimizers, hookimpl, make_optimizer
from skopt_dl.plugins import PluginWarning, available, find, lookup, register, unregister

GOOD = {"crawl": "good.optimizers:Crawl"}

# What a broken plugin's module holds, and what is said about it.
BROKEN = {
    "imports_a_missing_package": (
        "import a_package_that_is_missing",
        "Importing 'broken' failed with ModuleNotFoundError: No module named 'a_package_that",
    ),
    "exits_when_imported": ("import sys; sys.exit(3)", "failed with SystemExit: 3"),
    "hook_raises": (
        hook("{}['nothing']"),
        "Its hook 'skopt_dl_optimizers' failed with KeyError: 'nothing'.",
    ),
    "hook_returns_a_list": (
        hook(["broken:Class"]),
        "returned ['broken:Class']. It must return a dictionary such as {'name': 'package.module:",
    ),
    "hook_returns_nothing": (hook(None), "returned None. It must return a dictionary"),
    "hook_is_misspelled": (
        hook(GOOD, kind="optimisers"),
        "It implements 'skopt_dl_optimisers', which is no hook. Did you mean 'skopt_dl_optimizers'",
    ),
    "hook_takes_an_argument": (
        hook(GOOD).replace("()", "(manager)"),
        "It cannot be registered: PluginValidationError",
    ),
    "hook_is_not_marked": (
        hook(GOOD).replace("@hookimpl", ""),
        "Its function 'skopt_dl_optimizers' is not marked as a hook. Put @hookimpl (from skopt_dl",
    ),
    "has_no_hook": ("", "It has no hook. The module of its entry point needs a function such as"),
    "name_is_a_number": (hook({1: "broken:Class"}), "gives the name 1. A name is a str without"),
    "name_has_a_slash": (hook({"a/b": "broken:Class"}), "gives the name 'a/b'."),
    "target_has_no_colon": (
        hook({"walk": "broken.Walk"}),
        "names 'walk' for 'broken.Walk'. It must be a class, or a str 'package.module:Class'.",
    ),
    "target_is_an_object": (hook({"walk": 1.5}), "names 'walk' for 1.5."),
}


def install_good(site):
    site.install_optimizers("good-optimizers", "good", {"crawl": "Crawl"})


def test_installed_optimizer_works_by_name(site):
    install_good(site)
    assert "crawl" in available_optimizers()
    assert repr(make_optimizer("crawl", learning_rate=0.5)) == "Crawl(learning_rate=0.5)"
    assert make_optimizer("good-optimizers/crawl").learning_rate == 0.01


def test_class_is_imported_when_its_name_is_first_used(site):
    install_good(site)
    available_optimizers()
    assert "good" in sys.modules
    assert "good.optimizers" not in sys.modules
    make_optimizer("crawl")
    assert "good.optimizers" in sys.modules


def test_names_of_built_ins_load_no_plugin(site):
    install_good(site)
    make_optimizer("adam")
    find("activation", "relu")
    with pytest.raises(ValueError, match="Did you mean 'learning_rate'"):
        make_optimizer("adam", lr=1)
    assert "good" not in sys.modules


@pytest.mark.parametrize("kind", ["schedule", "loss", "activation", "initializer"])
def test_every_kind_has_a_hook(site, kind):
    bases = {
        "schedule": "skopt_dl.schedules import Schedule",
        "loss": "skopt_dl.networks import Loss",
        "activation": "skopt_dl.networks import Activation",
        "initializer": "skopt_dl.networks import Initializer",
    }
    base = bases[kind].split()[-1]
    module = {
        "kinds/__init__.py": hook(
            {"new": "kinds.new:New"}, {"loss": "losse"}.get(kind, kind) + "s"
        ),
        "kinds/new.py": f"from {bases[kind]}\n\nclass New({base}):\n    pass\n",
    }
    site.install("a-kind", module)
    assert "new" in available(kind)
    assert find(kind, "new").__module__ == "kinds.new"


def test_hook_may_name_classes_themselves(site):
    install_good(site)
    text = "from good.optimizers import Sprint\n" + hook("{'sprint': Sprint}")
    site.install("direct", {"direct.py": text})
    assert find("optimizer", "sprint") is sys.modules["good.optimizers"].Sprint


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plugin_is_set_aside_and_reported(site, case):
    text, message = BROKEN[case]
    site.install("broken-plugin", {"broken.py": text})
    install_good(site)
    with pytest.warns(PluginWarning, match=re.escape(message)) as caught:
        names = available_optimizers()
    assert "crawl" in names
    assert len(caught) == 1
    assert "broken-plugin" in str(caught[0].message)
    assert "good-optimizers" not in str(caught[0].message)


def test_all_broken_plugins_together_give_one_warning(site):
    for number, (text, _) in enumerate(BROKEN.values()):
        site.install(f"broken-{number}", {f"broken_{number}.py": text})
    install_good(site)
    with pytest.warns(PluginWarning) as caught:
        make_optimizer("crawl")
    make_optimizer("crawl")
    available_optimizers()
    assert len(caught) == 1
    assert all(f"broken-{number}:" in str(caught[0].message) for number in range(len(BROKEN)))


def test_plugin_with_one_bad_hook_keeps_its_other_names(site):
    text = hook(GOOD) + "\n@hookimpl\ndef skopt_dl_losses():\n    raise OSError('no disk')\n"
    site.install("half", {"half.py": text})
    install_good(site)
    with pytest.warns(PluginWarning, match="'skopt_dl_losses' failed with OSError: no disk"):
        assert make_optimizer("half/crawl").learning_rate == 0.01


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:Crawl", "importing 'nowhere:Crawl' failed with ModuleNotFoundError"),
        ("good.optimizers:Creep", "importing 'good.optimizers:Creep' failed with AttributeError"),
        ("good.optimizers:Optimizer.slots", "is not a subclass of skopt_dl.optimizers.Optimizer"),
        ("json:JSONDecoder", "is not a subclass of skopt_dl.optimizers.Optimizer or skopt_dl.opti"),
    ],
)
def test_name_without_a_usable_class_fails_when_used(site, target, message):
    install_good(site)
    site.install("empty-promises", {"promises.py": hook({"creep": target})})
    assert {"crawl", "creep"} <= set(available_optimizers())
    with pytest.raises((ImportError, TypeError), match="'creep' of empty-promises cannot") as error:
        make_optimizer("creep")
    assert message in str(error.value)
    make_optimizer("crawl")


def test_unknown_name_tells_what_is_wrong_with_the_plugins(site):
    site.install("broken-plugin", {"broken.py": "import a_package_that_is_missing"})
    install_good(site)
    with (
        pytest.warns(PluginWarning),
        pytest.raises(ValueError, match=r"Unknown optimizer 'crwal'\. Did you mean 'crawl'\?") as e,
    ):
        make_optimizer("crwal")
    assert "The plugin broken-plugin has problems: Importing 'broken' failed" in str(e.value)


def test_unreadable_metadata_of_another_distribution_is_no_obstacle(site):
    site.install("strange", {"strange.py": ""})
    (site.folder / "strange-1.0.dist-info" / "entry_points.txt").write_text("[skopt_dl]\nno value")
    install_good(site)
    make_optimizer("crawl")


@pytest.mark.parametrize("value", ["", "not a module", "good.optimizers:"])
def test_nonsense_in_an_entry_point_is_reported(site, value):
    site.install("strange", {"strange.py": ""}, {"strange": value})
    install_good(site)
    with pytest.warns(PluginWarning, match="strange: Importing"):
        make_optimizer("crawl")


def test_distribution_may_have_several_entry_points(site):
    install_good(site)
    files = {"two_a.py": hook({"a": GOOD["crawl"]}), "two_b.py": hook({"b": GOOD["crawl"]})}
    site.install("two", files, {"a": "two_a", "b": "two_b"})
    assert type(make_optimizer("two/a")) is type(make_optimizer("b"))


def test_plugin_may_look_names_up_while_it_is_imported(site):
    text = "from skopt_dl import available_optimizers\nseen = available_optimizers()\n"
    site.install("curious", {"curious.py": text + hook(GOOD)})
    install_good(site)
    make_optimizer("curious/crawl")
    assert "adam" in sys.modules["curious"].seen


def test_hooks_are_called_once_however_many_threads_look_names_up(site):
    install_good(site)
    counting = "import time\ntime.sleep(0.05)\ncalls = []\n" + hook("calls.append(1) or {}")
    site.install("counting", {"counting.py": counting})
    found, barrier = [], threading.Barrier(8)

    def look_up():
        barrier.wait()
        found.append(find("optimizer", "crawl"))

    threads = [threading.Thread(target=look_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert sys.modules["counting"].calls == [1]


def test_interrupted_loading_goes_on_with_the_next_look_up(site, monkeypatch):
    install_good(site)
    text = "import os\nif 'INTERRUPT' in os.environ:\n    raise KeyboardInterrupt\n"
    site.install("slow", {"slow.py": text + hook({"slow": GOOD["crawl"]})})
    monkeypatch.setenv("INTERRUPT", "1")
    with pytest.raises(KeyboardInterrupt):
        available_optimizers()
    monkeypatch.delenv("INTERRUPT")
    assert {"crawl", "slow"} <= set(available_optimizers())


def test_once_loaded_names_are_looked_up_without_pluggy(site, monkeypatch):
    install_good(site)
    make_optimizer("crawl")
    monkeypatch.delattr(lookup.manager, "_pluggy")
    model = MLPClassifier(2, optimizer="crawl", max_iter=2)
    with pytest.warns(match="Maximum iterations"):
        model.fit([[0.0], [1.0]], [0, 1])


def test_plugin_registered_at_run_time_works_until_it_is_unregistered():
    from skopt_dl.optimizers import SGD

    class Plugin:
        @hookimpl
        def skopt_dl_optimizers(self):
            return {"mine": SGD}

    register(Plugin(), "notebook")
    try:
        assert find("optimizer", "mine") is find("optimizer", "notebook/mine") is SGD
    finally:
        unregister("notebook")
    assert "mine" not in lookup.available("optimizer")
    with pytest.raises(ValueError, match=r"Plugin 'notebook' is not registered\. .*: none\."):
        unregister("notebook")


def test_only_names_unregister():
    class Plugin:
        @hookimpl
        def skopt_dl_optimizers(self):
            return {"mine": "skopt_dl.optimizers:SGD"}

    plugin = Plugin()
    register(plugin, "notebook")
    try:
        with pytest.raises(ValueError, match=r"is not registered\. .*: notebook\."):
            unregister(plugin)
    finally:
        unregister("notebook")


def test_broken_plugin_is_not_registered_at_run_time():
    class Plugin:
        pass

    for _ in range(2):
        with pytest.raises(ValueError, match=r"Plugin 'notebook': It has no hook\."):
            register(Plugin(), "notebook")
