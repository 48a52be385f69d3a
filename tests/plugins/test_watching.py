"""A plugin that hangs, prints, or raises anything leaves a message that names it."""

import re
import sys
import threading
import traceback

import pytest
from distributions import OPTIMIZERS, hook

from skopt_dl import MLPClassifier, available_optimizers, make_optimizer
from skopt_dl.networks.objective import NetworkObjective
from skopt_dl.optimizers import SGD
from skopt_dl.plugins import PluginWarning, watching

X, CLASSES = [[0.0], [1.0]], [0, 1]
CRAWL = {"crawl": "zoo.optimizers:Crawl"}

RAISED = {
    "SystemExit: bye": "raise SystemExit('bye')",
    "SystemExit": "raise SystemExit",
    "GeneratorExit": "raise GeneratorExit",
    "RecursionError: maximum recursion": "def f(): f()\n{}f()",
    "MemoryError": "raise MemoryError",
    "Stop: now": "class Stop(BaseException): pass\n{}raise Stop('now')",
    "Mine: now": "class Mine(KeyboardInterrupt): pass\n{}raise Mine('now')",
    "Mute": "class Mute(Exception):\n{}    def __str__(self): raise ValueError\n{}raise Mute",
}


def install(site, before_update="", at_import="", in_hook=""):
    """A distribution whose optimizer `crawl` also does something else."""
    body = hook(CRAWL).replace("    return", f"    {in_hook}\n    return")
    update = f"{before_update}\n        return -step"
    files = {
        "zoo/__init__.py": f"{at_import}\n{body}",
        "zoo/optimizers.py": OPTIMIZERS.replace("return -step", update),
    }
    site.install("zoo-optimizers", files)


def fit(optimizer="crawl", **params):
    return MLPClassifier(2, optimizer=optimizer, max_iter=2, **params).fit(X, CLASSES)


def test_whatever_an_import_or_a_hook_or_a_class_raises_is_told_with_distribution_and_hook(site):
    site.install("good", {"good.py": hook({"good": "skopt_dl.optimizers:SGD"})})
    for number, code in enumerate(RAISED.values()):
        at_once, later = code.replace("{}", ""), code.replace("{}", "    ")
        losses = f"from skopt_dl import hookimpl\n@hookimpl\ndef skopt_dl_losses():\n    {later}\n"
        slow = hook({f"slow_{number}": f"slow_{number}.classes:Slow"})
        site.install(f"at-import-{number}", {f"at_import_{number}.py": at_once})
        site.install(f"in-hook-{number}", {f"in_hook_{number}.py": losses})
        files = {f"slow_{number}/__init__.py": slow, f"slow_{number}/classes.py": at_once}
        site.install(f"of-class-{number}", files)
    with pytest.warns(PluginWarning) as caught:
        assert "good" in available_optimizers()
    (message,) = [str(each.message) for each in caught]
    for number, raised in enumerate(RAISED):
        assert f"at-import-{number}: Importing 'at_import_{number}' failed with {raised}" in message
        assert f"in-hook-{number}: Its hook 'skopt_dl_losses' failed with {raised}" in message
        told = f"'slow_{number}' of of-class-{number} cannot .* failed with {raised}"
        with pytest.raises(ImportError, match=told):
            make_optimizer(f"slow_{number}")


@pytest.mark.parametrize("raised", RAISED)
def test_whatever_update_raises_is_an_exception_that_names_the_plugin_and_its_hook(site, raised):
    install(site, before_update=RAISED[raised].replace("{}", " " * 8))
    with pytest.raises(Exception) as error:  # noqa: PT011
        fit()
    told = "".join(traceback.format_exception(error.value))
    assert raised.partition(":")[0] in told
    assert (
        "update of Crawl was running: the optimizer 'zoo-optimizers/crawl' (hook "
        "skopt_dl_optimizers), from the package zoo-optimizers 1.0. "
        "`skopt-dl plugins check zoo-optimizers` examines it; "
        "SKOPT_DL_DISABLE_PLUGINS=zoo-optimizers switches it off."
    ) in told


@pytest.mark.parametrize("method", ["init_state", "coefficients", "eval_params"])
def test_other_methods_are_named_too(site, method):
    install(site)
    path = site.folder / "zoo" / "optimizers.py"
    path.write_text(path.read_text() + f"    def {method}(self, *_): raise SystemExit(2)\n")
    (site.folder / "zoo" / "__init__.py").write_text(hook({"sprint": "zoo.optimizers:Sprint"}))
    with pytest.raises(RuntimeError, match=rf"^{method} of Sprint raised SystemExit: 2\.") as error:
        fit("sprint")
    assert "zoo-optimizers/sprint" in error.value.__notes__[0]


def test_optimizer_of_ones_own_is_not_blamed_on_a_plugin_and_loads_none(site):
    install(site)

    class Mine(SGD):
        def update(self, grad, state, params, step):
            raise self.error

    Mine.error = ValueError("mine")
    with pytest.raises(ValueError, match=r"^mine$") as error:
        fit(Mine())
    assert not hasattr(error.value, "__notes__")
    assert "zoo" not in sys.modules
    Mine.error = SystemExit("mine")
    with pytest.raises(RuntimeError, match=r"^update of Mine raised SystemExit: mine\.$"):
        fit(Mine())


def test_interrupted_import_says_what_was_interrupted(site):
    install(site, at_import="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt) as error:
        available_optimizers()
    (note,) = error.value.__notes__
    assert note == (
        "skopt_dl was importing 'zoo' of zoo-optimizers. SKOPT_DL_DISABLE_PLUGINS=zoo-optimizers "
        "keeps it from being loaded."
    )


def test_line_says_what_is_waited_for(site, capsys, monkeypatch):
    monkeypatch.setattr(watching, "PATIENCE", 0.01)
    install(site, at_import="import time; time.sleep(0.1)", in_hook="time.sleep(0.1)")
    assert "crawl" in available_optimizers()
    lines = capsys.readouterr().err.splitlines()
    first, second = [line for line in lines if "zoo" in line]
    way_out = "SKOPT_DL_DISABLE_PLUGINS=zoo-optimizers keeps it from being loaded."
    assert first == f"skopt_dl is still importing 'zoo' of zoo-optimizers. {way_out}"
    hook_ = "calling the hook 'skopt_dl_optimizers'"
    assert second == f"skopt_dl is still {hook_} of zoo-optimizers. {way_out}"


def test_what_is_printed_while_a_plugin_is_loaded_is_told_instead(site, capsys):
    install(site, at_import="print('Welcome')", in_hook="print('to the zoo ' * 20)")
    path = site.folder / "zoo" / "optimizers.py"
    path.write_text("print('again')\n" + path.read_text())
    with pytest.warns(PluginWarning) as caught:
        assert "crawl" in available_optimizers()
    message = str(caught[0].message)
    assert "zoo-optimizers: Importing 'zoo' printed 'Welcome'." in message
    assert re.search(r"Its hook 'skopt_dl_optimizers' printed 'to the zoo .{40,50}…'\.", message)
    with pytest.warns(
        PluginWarning, match=r"^Importing '.*Crawl' of zoo-optimizers printed 'again'"
    ):
        make_optimizer("crawl")
    assert capsys.readouterr().out == ""


def test_what_other_threads_print_meanwhile_is_printed(site, capsys):
    install(
        site,
        at_import="import threading; t = threading.Thread(target=print, args=['other'])\n"
        "t.start(); t.join(); print('own')",
    )
    with pytest.warns(PluginWarning, match="printed 'own'"):
        available_optimizers()
    assert capsys.readouterr().out == "other\n"


MINIMIZER = """
from skopt_dl.optimizers import Minimizer

class Leap(Minimizer):
    def minimize(self, value_and_grad, params, *, max_iter, tol, callback):
        value_and_grad(params)
        callback(params, 1.0)
        {}
"""
LEAP = "minimize of Leap was running: the optimizer 'zoo/leap' (hook skopt_dl_optimizers)"


@pytest.mark.parametrize("raised", ["SystemExit: bye", "GeneratorExit"])
def test_whatever_minimize_raises_is_an_exception_that_names_the_plugin_and_its_hook(site, raised):
    files = {
        "zoo/__init__.py": hook({"leap": "zoo.leap:Leap"}),
        "zoo/leap.py": MINIMIZER.format(RAISED[raised]),
    }
    site.install("zoo", files)
    with pytest.raises(RuntimeError, match=rf"^minimize of Leap raised {raised}") as caught:
        fit("leap")
    (note,) = caught.value.__notes__
    assert note.startswith(LEAP)


def test_minimize_is_not_blamed_for_what_passes_through_it(site, monkeypatch):
    def value_and_grad(*args):
        raise ZeroDivisionError("of the loss")

    files = {"zoo/__init__.py": hook({"leap": "zoo.leap:Leap"}), "zoo/leap.py": MINIMIZER}
    site.install("zoo", files)
    monkeypatch.setattr(NetworkObjective, "value_and_grad", value_and_grad)
    with pytest.raises(ZeroDivisionError, match="of the loss") as caught:
        fit("leap")
    assert not hasattr(caught.value, "__notes__")


def test_update_that_prints_is_told_and_called_at_every_step(site, capsys):
    install(site, before_update="print('step', step.number)")
    with (
        pytest.warns(PluginWarning, match="update of Crawl prints 'step' .*zoo-optimizers/crawl'"),
        pytest.warns(match="Maximum iterations"),
    ):
        fit()
    assert capsys.readouterr().out == "step 1\nstep 2\n"


def test_loading_leaves_stdout_and_threads_as_they_were(site):
    install(site)
    before = sys.stdout, threading.active_count()
    available_optimizers()
    assert (sys.stdout, threading.active_count()) == before
