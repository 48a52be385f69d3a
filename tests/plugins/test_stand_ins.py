"""A fitted model works where the plugin that trained it is not installed."""

import copy
import importlib.metadata
import os
import pickle
import re
import sys
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
from distributions import hook
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skopt_dl
from skopt_dl import MLPClassifier, MLPRegressor, make_optimizer
from skopt_dl.optimizers import SGD
from skopt_dl.plugins import MissingPluginError, find

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

INSTALL = re.escape("Run `pip install zoo-optimizers`.")

KINDS = """
from skopt_dl.networks import losses
from skopt_dl.layers.activations import Tanh
from skopt_dl.networks.initializers import Normal
from skopt_dl.schedules import ExponentialDecay

class Bend(Tanh): pass
class Half(losses.SquaredError): pass
class Count(losses.Poisson): pass
class Surprise(losses.LogLoss):
    def for_targets(self, target_type):
        return Logistic() if target_type == "binary" else Softmax()
class Logistic(losses.LogisticLogLoss): pass
class Softmax(losses.SoftmaxLogLoss): pass
class Narrow(Normal): pass
class Fade(ExponentialDecay): pass
"""


@pytest.fixture
def zoo(site):
    """A plugin with something of every kind."""
    site.install_optimizers("zoo-optimizers", "zoo", {"crawl": "Crawl"})
    names = {
        "activations": {"bend": "Bend"},
        "losses": {"half": "Half", "count": "Count", "surprise": "Surprise"},
        "initializers": {"narrow": "Narrow"},
        "schedules": {"fade": "Fade"},
    }
    hooks = [
        hook({name: f"zoo.kinds:{cls}" for name, cls in classes.items()}, kind)
        for kind, classes in names.items()
    ]
    with (site.folder / "zoo" / "__init__.py").open("a") as module:
        module.write("\n".join(hooks))
    (site.folder / "zoo" / "kinds.py").write_text(KINDS)
    return site


rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
CLASSES = rng.integers(2, size=40)
COUNTS = rng.poisson(2.0, size=40).astype(float)


def classifier(**params):
    defaults = {"optimizer": "crawl", "max_iter": 2, "random_state": 0}
    return MLPClassifier(4, **{**defaults, **params})


@pytest.fixture
def stand_in(zoo, uninstall):
    """What stands in for a `Crawl(learning_rate=0.25)` from the plugin."""
    dumped = pickle.dumps(make_optimizer("crawl", learning_rate=0.25))
    uninstall()
    return pickle.loads(dumped)


def test_model_predicts_in_a_process_without_the_plugin(zoo, tmp_path):
    models = {}
    for by, optimizer in (("name", "crawl"), ("object", make_optimizer("crawl"))):
        model = models[by] = classifier(optimizer=optimizer).fit(X, CLASSES)
        joblib.dump(model, tmp_path / f"{by}.joblib")
        (tmp_path / f"{by}.pickle").write_bytes(pickle.dumps(model))
        (tmp_path / f"{by}.cloudpickle").write_bytes(cloudpickle.dumps(model))
    np.save(tmp_path / "X.npy", X)
    code = f"""
        import pickle, joblib, numpy as np
        from pathlib import Path
        from skopt_dl.plugins import MissingPluginError, available

        folder = Path({str(tmp_path)!r})
        X = np.load(folder / "X.npy")
        for by in ("name", "object"):
            for how in ("pickle", "joblib", "cloudpickle"):
                file = folder / f"{{by}}.{{how}}"
                model = joblib.load(file) if how == "joblib" else pickle.loads(file.read_bytes())
                print(*model.predict(X), sep="")
                for method in (model.fit, model.partial_fit):
                    try:
                        method(X, model.predict(X))
                    except MissingPluginError as error:
                        print(error)
        assert "crawl" not in available("optimizer")
    """
    lines = zoo.python(code, installed=False).splitlines()
    predicted = ["".join(map(str, model.predict(X))) for model in models.values()]
    assert lines[::3] == predicted[:1] * 3 + predicted[1:] * 3
    assert len(lines) == 2 * 9
    assert all(re.search(INSTALL, line) for line in lines[1::3] + lines[2::3])


def test_stand_in_shows_the_object_and_its_package(stand_in):
    expected = "<Crawl(learning_rate=0.25), from zoo-optimizers, not available>"
    assert repr(stand_in) == expected
    assert "Crawl(learning_rate=0.25)" in repr(classifier(optimizer=stand_in))
    assert "Crawl" in classifier(optimizer=stand_in)._repr_html_()
    assert "Crawl" in stand_in._repr_html_()


def test_stand_in_clones_and_takes_parameters(stand_in):
    other = clone(stand_in).set_params(learning_rate=0.5)
    assert (stand_in.learning_rate, other.learning_rate) == (0.25, 0.5)
    assert other.get_params() == {"learning_rate": 0.5}
    assert copy.copy(other).get_params() == copy.deepcopy(other).get_params() == other.get_params()
    with pytest.raises(ValueError, match=r"Valid parameters are: .*learning_rate"):
        other.set_params(lerning_rate=1)


def test_stand_in_raises_when_it_is_asked_to_work(stand_in):
    message = (
        r"Crawl \(module zoo\.optimizers\) comes from the package 'zoo-optimizers', which is not "
        f"installed here. {INSTALL}"
    )
    with pytest.raises(MissingPluginError, match=message):
        _ = stand_in.update
    with pytest.raises(MissingPluginError, match=message):
        stand_in.check_params()
    assert not hasattr(stand_in, "fit")


def test_stand_in_pickles_and_becomes_the_object_where_the_plugin_is(zoo, uninstall, monkeypatch):
    optimizer = make_optimizer("crawl", learning_rate=0.25)
    cls, dumped = type(optimizer), pickle.dumps(optimizer)
    uninstall()
    again = pickle.dumps(pickle.loads(dumped).set_params(learning_rate=0.5))
    assert repr(pickle.loads(again)).startswith("<Crawl(learning_rate=0.5)")
    monkeypatch.syspath_prepend(zoo.folder)
    restored = pickle.loads(again)
    assert type(restored).__qualname__ == cls.__qualname__
    assert restored.learning_rate == 0.5
    restored.check_params()


def test_loaded_model_clones_but_neither_it_nor_its_clone_trains(zoo, uninstall):
    dumped = pickle.dumps(classifier().fit(X, CLASSES))
    uninstall()
    model = pickle.loads(dumped)
    assert "not available" in repr(model.optimizer_)
    clone(model.optimizer_).set_params(learning_rate=1.0)
    for candidate in (model, clone(model), pickle.loads(pickle.dumps(model))):
        with pytest.raises(MissingPluginError, match=f"The optimizer 'crawl' .* {INSTALL}"):
            candidate.fit(X, CLASSES)
        with pytest.raises(MissingPluginError, match=INSTALL):
            candidate.partial_fit(X, CLASSES, classes=[0, 1])
        with pytest.raises(MissingPluginError, match=INSTALL):
            candidate.set_params(optimizer__learning_rate=1.0)
    model.set_params(optimizer="sgd").fit(X, CLASSES)
    assert type(model.optimizer_) is SGD


def test_search_over_a_loaded_model_says_what_to_install(zoo, uninstall):
    dumped = pickle.dumps(classifier())
    uninstall()
    search = GridSearchCV(pickle.loads(dumped), {"alpha": [0.1, 1.0]}, cv=2, error_score="raise")
    with pytest.raises(MissingPluginError, match=INSTALL):
        search.fit(X, CLASSES)


def test_misspelled_name_in_a_loaded_model_is_still_a_misspelled_name(zoo, uninstall):
    dumped = pickle.dumps(classifier().fit(X, CLASSES))
    uninstall()
    with pytest.raises(ValueError, match="Unknown optimizer 'crwal'"):
        pickle.loads(dumped).set_params(optimizer="crwal").fit(X, CLASSES)


def test_schedule_of_a_missing_plugin_is_named_when_training(zoo, uninstall):
    schedule = find("schedule", "fade")(0.1)
    model = classifier(optimizer=SGD(learning_rate=schedule)).fit(X, CLASSES)
    expected, dumped = model.predict(X), pickle.dumps(model)
    uninstall()
    loaded = pickle.loads(dumped)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    with pytest.raises(MissingPluginError, match=f"Fade .*{INSTALL}"):
        loaded.fit(X, CLASSES)
    loaded.set_params(optimizer__learning_rate=0.1).fit(X, CLASSES)


def test_initializer_of_a_missing_plugin_is_only_needed_to_train(zoo, uninstall):
    model = classifier(optimizer="sgd", init="narrow").fit(X, CLASSES)
    expected, dumped = model.predict_proba(X), pickle.dumps(model)
    uninstall()
    loaded = pickle.loads(dumped)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    with pytest.raises(MissingPluginError, match=f"The initializer 'narrow' .*{INSTALL}"):
        loaded.fit(X, CLASSES)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier_predicts_without_the_plugin_of_its_loss(zoo, uninstall, n_classes):
    y = np.arange(len(X)) % n_classes
    model = classifier(optimizer="sgd", loss="surprise").fit(X, y)
    expected, dumped = model.predict_proba(X), pickle.dumps(model)
    uninstall()
    np.testing.assert_array_equal(pickle.loads(dumped).predict_proba(X), expected)


@pytest.mark.parametrize("loss", ["half", "count"])
def test_regressor_predicts_without_the_plugin_of_its_loss(zoo, uninstall, loss):
    model = MLPRegressor(4, optimizer="sgd", loss=loss, max_iter=2, random_state=0).fit(X, COUNTS)
    expected, dumped = model.predict(X), pickle.dumps(model)
    uninstall()
    loaded = pickle.loads(dumped)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    with pytest.raises(MissingPluginError, match=INSTALL):
        loaded.fit(X, COUNTS)


def test_prediction_needs_the_plugin_of_the_activation_and_says_so(zoo, uninstall):
    dumped = pickle.dumps(classifier(optimizer="sgd", activation="bend").fit(X, CLASSES))
    uninstall()
    model = pickle.loads(dumped)
    assert [weights.shape for weights in model.coefs_] == [(3, 4), (4, 1)]
    with pytest.raises(MissingPluginError, match=f"Bend .*{INSTALL}"):
        model.predict(X)


@pytest.mark.parametrize(
    "damage", ["raise OSError('no disk')", "from skopt_dl.optimizers import SGD"]
)
def test_plugin_that_is_installed_but_changed_gives_a_stand_in_too(zoo, uninstall, damage):
    dumped = pickle.dumps(classifier().fit(X, CLASSES))
    (zoo.folder / "zoo" / "optimizers.py").write_text(damage)
    uninstall()
    sys.path.insert(0, str(zoo.folder))
    try:
        model = pickle.loads(dumped)
        model.predict(X)
        with pytest.raises(MissingPluginError, match=r"version 1\.0 does not provide it") as error:
            _ = model.optimizer_.update
    finally:
        sys.path.remove(str(zoo.folder))
    assert "pip install 'zoo-optimizers==1.0'" in str(error.value)


def test_objects_of_skopt_dl_and_of_scripts_pickle_as_usual(site):
    assert type(pickle.loads(pickle.dumps(SGD()))) is SGD
    text = "from skopt_dl.optimizers import SGD\nclass Own(SGD): pass\n"
    (site.folder / "own_module.py").write_text(text)
    from own_module import Own

    dumped = pickle.dumps(Own())
    assert b"_pickling" not in dumped
    assert type(pickle.loads(dumped)) is Own


def test_estimator_of_a_plugin_is_not_replaced_by_a_stand_in(site, uninstall):
    site.install_optimizers("zoo-optimizers", "zoo", {"crawl": "Crawl"})
    text = "from skopt_dl import MLPClassifier\nclass Model(MLPClassifier): pass\n"
    (site.folder / "zoo" / "model.py").write_text(text)
    from zoo.model import Model

    dumped = pickle.dumps(Model())
    uninstall()
    with pytest.raises(ModuleNotFoundError, match="zoo"):
        pickle.loads(dumped)


def test_package_is_told_apart_within_a_namespace(site, uninstall):
    for name in ("lion", "tiger"):
        files = {
            f"cats/{name}/__init__.py": hook({name: f"cats.{name}.optimizer:Cat"}),
            f"cats/{name}/optimizer.py": "from skopt_dl.optimizers import SGD\nclass Cat(SGD): 1",
        }
        site.install(f"cats-{name}", files, {name: f"cats.{name}"})
    dumped = pickle.dumps(make_optimizer("tiger"))
    uninstall()
    with pytest.raises(MissingPluginError, match="pip install cats-tiger"):
        _ = pickle.loads(dumped).update


def test_model_trained_with_lion_predicts_where_lion_is_not_installed(lion, site, tmp_path):
    model = MLPClassifier(4, optimizer="lion", max_iter=2, random_state=0).fit(X, CLASSES)
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "X.npy", X)
    # An environment like this one, without lion: everything else of site-packages, linked.
    packages = Path(lion.locate_file(""))
    for path in packages.iterdir():
        if not path.name.startswith("skopt_dl_lion") and path.suffix != ".pth":
            (site.folder / path.name).symlink_to(path)
    code = f"""
        import pickle, sys, numpy as np
        sys.path[:] = [path for path in sys.path if path != {str(packages)!r}]
        from importlib.util import find_spec
        from skopt_dl.plugins import MissingPluginError

        assert find_spec("skopt_dl_lion") is None
        model = pickle.load(open({str(tmp_path / "model")!r}, "rb"))
        X = np.load({str(tmp_path / "X.npy")!r})
        print(*model.predict(X), sep="")
        try:
            model.fit(X, model.predict(X))
        except MissingPluginError as error:
            print(error)
    """
    root = str(Path(skopt_dl.__file__).parents[1])
    path = os.pathsep.join([str(site.folder), root])
    predicted, message = site.python(code, PYTHONPATH=path).splitlines()
    assert predicted == "".join(map(str, model.predict(X)))
    assert "Run `pip install skopt-dl-lion`." in message


def test_lion_is_installed_and_not_imported_by_path(lion):
    import skopt_dl_lion

    root = Path(lion.locate_file("")).resolve()
    assert root in Path(skopt_dl_lion.__file__).resolve().parents
    assert lion.version == importlib.metadata.version("skopt-dl-lion")
