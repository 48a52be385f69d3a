"""Saved in any way, a model loads and predicts without the plugin that it was trained with.

Wherever the plugin keeps its classes: in its own module, in another one, in another distribution.
"""

import copy
import io
import pickle
import re
import shutil
import sys

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
from distributions import OPTIMIZERS, hook
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.optimizers import SGD
from skopt_dl.plugins import MissingPluginError, find

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
CLASSES = rng.integers(2, size=40)

HELPED = """
from skopt_dl.optimizers import Optimizer
from skopt_dl.schedules import ExponentialDecay

class Fade(ExponentialDecay): pass

class Crawl(Optimizer):
    def __init__(self, learning_rate=Fade(0.05)):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        return -step.learning_rate * grad
"""


def in_its_own_module(site):
    site.install_optimizers("zoo-optimizers", "zoo", {"crawl": "Crawl"})


def in_another_module(site):
    files = {
        "zoo_hooks.py": hook({"crawl": "animals.slow:Crawl"}),
        "animals/__init__.py": "",
        "animals/slow.py": OPTIMIZERS,
    }
    site.install("zoo-optimizers", files)


def in_another_distribution(site):
    site.install("zoo-optimizers", {"zoo_hooks.py": hook({"crawl": "animals:Crawl"})})
    site.install("animals", {"animals.py": OPTIMIZERS}, {})


def under_another_path(site):
    files = {
        "zoo_hooks.py": hook({"crawl": "animals:Crawl"}),
        "animals/__init__.py": "from animals_inside.slow import Crawl",
        "animals_inside/slow.py": OPTIMIZERS,
    }
    site.install("zoo-optimizers", files)


def with_a_schedule_of_its_own(site):
    files = {"zoo_hooks.py": hook({"crawl": "animals:Crawl"}), "animals.py": HELPED}
    site.install("zoo-optimizers", files)


def with_a_schedule_of_another_distribution(site):
    fade, crawl = HELPED.split("\n\nclass Crawl")
    crawl = f"from skopt_dl.optimizers import Optimizer\nfrom feeds import Fade\nclass Crawl{crawl}"
    site.install("zoo-optimizers", {"zoo_hooks.py": hook({"crawl": "animals:Crawl"})})
    site.install("animals", {"animals.py": crawl}, {})
    site.install("feeds", {"feeds.py": fade}, {}, requires=["skopt-dl>=0.1"])


def as_a_class_that_another_distribution_derives(site):
    """The hook gives the class itself, which has its base class in yet another distribution."""
    text = "from animals import Crawl\n" + hook("{'crawl': Crawl}")
    site.install("zoo-optimizers", {"zoo_hooks.py": text})
    site.install("animals", {"animals.py": "import beasts\nclass Crawl(beasts.Crawl): pass\n"}, {})
    site.install("beasts", {"beasts.py": OPTIMIZERS}, {})


PLACES = [
    in_its_own_module,
    in_another_module,
    in_another_distribution,
    under_another_path,
    with_a_schedule_of_its_own,
    with_a_schedule_of_another_distribution,
    as_a_class_that_another_distribution_derives,
]


def trained(by="name"):
    optimizer = "crawl" if by == "name" else make_optimizer("crawl")
    return MLPClassifier(4, optimizer=optimizer, max_iter=2, random_state=0).fit(X, CLASSES)


def through_skops(data):
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def with_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.getvalue()


WAYS = {
    "pickle": (pickle.dumps, pickle.loads),
    "joblib": (with_joblib, lambda data: joblib.load(io.BytesIO(data))),
    "cloudpickle": (cloudpickle.dumps, pickle.loads),
    "skops": (skops.io.dumps, through_skops),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("by", "way"),
    [
        *(("name", "pickle"), ("name", "joblib"), ("name", "skops")),
        *(("object", "pickle"), ("object", "cloudpickle"), ("object", "skops")),
    ],
)
def test_model_predicts_and_says_what_to_install(site, uninstall, place, by, way):
    place(site)
    model = make_pipeline(StandardScaler(), trained(by))
    model.fit(X, CLASSES)
    save, load = WAYS[way]
    expected, saved = model.predict_proba(X), save(model)
    uninstall()
    gone = {"zoo", "zoo_hooks", "animals", "animals_inside", "feeds", "beasts"}
    assert not gone & set(sys.modules)
    loaded = load(saved)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    assert repr(loaded[-1].optimizer_).endswith("from zoo-optimizers, not available>")
    with pytest.raises(MissingPluginError, match=re.escape("Run `pip install zoo-optimizers`.")):
        loaded.fit(X, CLASSES)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["pickle", "cloudpickle", "skops"])
def test_stand_in_is_the_object_again_where_the_plugin_is(
    site, uninstall, start_over, monkeypatch, place, way
):
    place(site)
    model, (save, load) = trained("object"), WAYS[way]
    saved = save(model)
    uninstall()
    again = save(load(saved))
    monkeypatch.syspath_prepend(site.folder)
    start_over()
    loaded = load(again)
    assert type(loaded.optimizer_) is type(loaded.optimizer) is find("optimizer", "crawl")
    for one in (model, loaded):
        one.partial_fit(X, CLASSES)
    np.testing.assert_array_equal(loaded.coefs_[0], model.coefs_[0])


def test_saved_model_predicts_in_a_process_without_the_plugin(
    site, uninstall, start_over, monkeypatch, tmp_path
):
    # The tests above try all places within one process.
    predicted = []
    for number, place in enumerate((in_its_own_module, in_another_distribution)):
        place(site)
        model = trained()
        joblib.dump(model, tmp_path / f"{number}.joblib")
        skops.io.dump(model, tmp_path / f"{number}.skops")
        predicted += [" ".join(map(str, model.predict(X)))] * 2
        uninstall()
        shutil.rmtree(site.folder)
        monkeypatch.syspath_prepend(site.folder)
        start_over()
    np.save(tmp_path / "X.npy", X)
    code = f"""
        import joblib, numpy as np, skops.io
        from pathlib import Path

        folder = Path({str(tmp_path)!r})
        X = np.load(folder / "X.npy")
        for number in range(2):
            saved = (folder / f"{{number}}.skops").read_bytes()
            print(*joblib.load(folder / f"{{number}}.joblib").predict(X))
            trusted = skops.io.get_untrusted_types(data=saved)
            print(*skops.io.loads(saved, trusted=trusted).predict(X))
            assert all(name.startswith("skopt_dl.") for name in trusted), trusted
    """
    assert site.python(code, installed=False).splitlines() == predicted


def test_class_is_found_by_its_name_where_a_new_version_has_moved_it(
    site, uninstall, start_over, monkeypatch
):
    in_another_module(site)
    saved = pickle.dumps(trained())
    uninstall()
    (site.folder / "animals" / "slow.py").rename(site.folder / "animals" / "snails.py")
    (site.folder / "zoo_hooks.py").write_text(hook({"crawl": "animals.snails:Crawl"}))
    monkeypatch.syspath_prepend(site.folder)
    start_over()
    assert type(pickle.loads(saved).optimizer_).__module__ == "animals.snails"


def test_saved_state_imports_only_what_installed_plugins_name(site, uninstall, start_over):
    in_its_own_module(site)
    (site.folder / "other.py").write_text("raise SystemExit('imported')")
    saved = skops.io.dumps(trained())
    uninstall()
    sys.path.insert(0, str(site.folder))
    start_over()
    (site.folder / "zoo" / "__init__.py").write_text(hook({}))
    forged = pickle.loads(pickle.dumps(through_skops(saved)))
    state = forged.__getstate__()
    plain = state["optimizer_"]["object of a plugin"]
    for module in ("other", "os"):
        plain.update(module=module, qualname="Crawl", names=())
        assert "not available" in repr(forged_model(state).optimizer_)
    assert "other" not in sys.modules


def forged_model(state):
    model = MLPClassifier.__new__(MLPClassifier)
    model.__setstate__(copy.deepcopy(state))
    return model


def test_list_of_activations_and_a_plugin_within_a_built_in_are_saved_alike(site, uninstall):
    kinds = """
    from skopt_dl.layers.activations import Tanh
    from skopt_dl.schedules import ExponentialDecay
    class Bend(Tanh): pass
    class Fade(ExponentialDecay): pass
    """
    files = {
        "zoo_hooks.py": hook({"bend": "animals:Bend"}, "activations")
        + hook({"fade": "animals:Fade"}, "schedules"),
        "animals.py": kinds,
    }
    site.install("zoo-optimizers", files)
    fade, bend = find("schedule", "fade")(0.1), find("activation", "bend")()
    model = MLPClassifier(
        (4, 4), activation=["relu", bend], optimizer=SGD(fade), max_iter=2, random_state=0
    ).fit(X, CLASSES)
    for save, load in WAYS.values():
        loaded = load(save(model))
        assert repr(loaded) == repr(model)
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    saved = {way: save(model) for way, (save, _) in WAYS.items()}
    uninstall()
    for way, (_, load) in WAYS.items():
        loaded = load(saved[way])
        assert "not available" in repr(loaded.optimizer_.learning_rate)
        with pytest.raises(MissingPluginError, match=r"Bend .*pip install zoo-optimizers"):
            loaded.predict(X)
