"""SAM: its rules, values of known code, and any optimizer inside."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_sam.optimizer import SAM

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.objectives import Layout, Quadratic
from skopt_dl.optimizers import SGD, Adam, AdamW, Momentum, Optimizer, PartialOptimizer
from skopt_dl.schedules import Cosine
from skopt_dl.testing import check_optimizer
from skopt_dl.training import minimise

REFERENCES = json.loads((Path(__file__).parent / "sam_references.json").read_text())
START = np.array(REFERENCES["start"])
QUADRATIC = Quadratic(
    np.array(REFERENCES["curvatures"]),
    layout=Layout.from_shapes([("w", "hidden", (2, 3)), ("b", "bias", (1, 2))]),
)
X, y = load_iris(return_X_y=True)
X = scale(X)
OURS = {
    "momentum": Momentum(0.05, 0.9),
    "far": SGD(0.1),
    "adaptive": Momentum(0.05, 0.9),
    "adam": Adam(0.05, beta_1=0.9, beta_2=0.95),
    "adamw": AdamW(0.05, weight_decay=0.1),
}

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def path_of(optimizers, n_steps=30):
    """Parameters after each step, of each model."""
    path, optimizers = [], list(optimizers)
    minimise(
        QUADRATIC,
        optimizers,
        np.stack([START] * len(optimizers)),
        max_epochs=n_steps,
        validate=lambda params, models: path.append(params.copy()) or {},
    )
    return np.array(path)


class HalfSteps(PartialOptimizer):
    """Matrices follow half the gradient, what is left AdamW; predicts with twice the weights."""

    slots = ("seen",)

    def __init__(self, learning_rate=0.1, share=0.5, epsilon=1e-8):
        self.learning_rate = learning_rate
        self.share = share
        self.epsilon = epsilon

    def treats(self, spec):
        return spec.role == "hidden"

    def rest(self):
        return AdamW(epsilon=self.epsilon)

    def update(self, grad, state, params, step):
        assert self.share.ndim in (0, 2)
        self.update_rest(grad, state, params, step)
        state["seen"] += grad
        for tensor in self.treated(grad, step.layout):
            tensor[...] = -step.learning_rate * self.share * tensor
        return grad

    def eval_params(self, params, state):
        return 2.0 * params


def test_sam_keeps_the_rules_for_optimizers():
    optimizer = SAM(adaptive=True, optimizer=Adam(0.01))
    assert check_optimizer(optimizer) == "not traced: it asks for the gradient elsewhere"


@pytest.mark.parametrize("case", REFERENCES["cases"], ids=lambda case: case["name"])
def test_parameters_follow_code_that_is_known(case):
    optimizer = SAM(**case["params"], optimizer=OURS[case["name"]])
    path = path_of([optimizer])[np.array(REFERENCES["steps"]) - 1, 0]
    np.testing.assert_allclose(path, case["path"], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("wrapped", [SGD(0.1), Adam(0.1), HalfSteps()], ids=str)
def test_without_a_way_uphill_it_is_the_wrapped_optimizer(wrapped):
    np.testing.assert_array_equal(path_of([SAM(rho=0.0, optimizer=wrapped)]), path_of([wrapped]))


def test_models_of_a_stack_have_their_own_distance_rate_and_optimizer():
    optimizers = [
        SAM(0.05),
        SAM(0.1, rho=0.5),
        SAM(optimizer=Adam(0.1)),
        SAM(rho=0.3, optimizer=Adam(0.2, beta_1=0.5)),
        SGD(0.1),
    ]
    together = path_of(optimizers)
    for k, optimizer in enumerate(optimizers):
        np.testing.assert_allclose(
            together[:, k], path_of([optimizer])[:, 0], rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SAM(0.2, optimizer=SGD(0.1)), SAM(optimizer=SGD(0.2))),
        (SAM(Cosine(0.2), optimizer=SGD()), SAM(optimizer=SGD(Cosine(0.2)))),
        (SAM("cosine", optimizer=Adam()), SAM(optimizer=Adam("cosine"))),
        (SAM(), SAM(optimizer=Momentum())),
    ],
    ids=str,
)
def test_learning_rate_is_its_own_or_that_of_the_wrapped_optimizer(one, other):
    np.testing.assert_array_equal(path_of([one]), path_of([other]))


def test_classifier_searches_over_the_wrapped_optimizer():
    assert type(make_optimizer("skopt-dl-sam/sam")) is SAM
    model = MLPClassifier(16, optimizer="sam", batch_size=16, max_iter=8, random_state=0)
    grid = {"optimizer__optimizer": [Momentum(0.05), Adam(0.01)], "optimizer__rho": [0.01, 0.5]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    model.set_params(optimizer=SAM(optimizer=Adam()), optimizer__optimizer__learning_rate=0.3)
    assert model.optimizer.wrapped.learning_rate == 0.3


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (SAM(rho=-0.1), "rho of SAM must be a float in"),
        (SAM(optimizer="adam"), r"optimizer of SAM must be an optimizer, such as Adam\(\)"),
        (SAM(optimizer=Optimizer), "optimizer of SAM must be an optimizer"),
        (SAM(optimizer=Adam(beta_1=2.0)), "beta_1 of Adam must be"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(optimizer, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=optimizer).fit(X, y)
